package archive

import (
	"context"
	"errors"
	"io"
	"time"
)

var errStub = errors.New("not there yet")

type SalvageOptions struct {
	Tool    string
	Created time.Time
}
type SalvageReport struct {
	Blocks, Rows, RawBytes uint64 // kept
	Tables                 []SalvagedTable
	Losses                 []Loss
	Notes                  []string // a catalog that is missing, and such
	Summary                Summary
}

// SalvagedTable is what was kept and lost of one table.
type SalvagedTable struct {
	Schema, Table string
	Blocks, Rows  uint64 // kept
	LostBlocks    uint64 // known to be lost
	LostRows      uint64
	Complete      bool // nothing is missing
}

func Salvage(ctx context.Context, r io.ReaderAt, size int64, out io.Writer, o SalvageOptions) (*SalvageReport, error) {
	return nil, errStub
}
