//go:build !linux

package fanout

import (
	"errors"
	"os"
)

// openSpool fails: how much room there is is asked of Linux only.
func openSpool(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func freeSpace(*os.File) int64 { return 0 }

func giveBack(*os.File, int64, int64) {}
