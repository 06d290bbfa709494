//go:build !linux

package wire

import (
	"syscall"
	"time"
)

// As libpq does where the system has no such option, it is ignored.
func setUserTimeout(string, syscall.RawConn, time.Duration) error { return nil }
