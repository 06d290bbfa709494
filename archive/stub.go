package archive

import (
	"context"
	"errors"
	"io"
	"time"
)

var errStub = errors.New("not there yet")

type CheckOptions struct {
	Jobs  int
	Quick bool
}

// Finding is one thing that is wrong with an archive.
type Finding struct {
	Class         string // damage, truncated, index, digest, ...
	Offset        int64
	Stream        StreamID
	Schema, Table string
	Block         int64 // -1 where it concerns no block
	Message       string
}
type CheckResult struct {
	Tables   int
	Streams  int
	Blocks   int
	Rows     uint64
	RawBytes uint64
	Bytes    uint64 // of the volume that were read
	Findings []Finding
}

func Check(ctx context.Context, r io.ReaderAt, size int64, o CheckOptions) (*CheckResult, error) {
	return nil, errStub
}

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
