package fanout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pgark/pgark/archive"
)

// The formats of pg_dump, by the names that it has for them.
const (
	FormatCustom    = "custom"
	FormatDirectory = "directory"
	FormatTar       = "tar"
	FormatPlain     = "plain"
)

// StockOptions says how a dump in a format of pg_dump is written.
type StockOptions struct {
	Format  string        // FormatCustom and so on
	Version string        // of the archive format, "1.13" to "1.16"; "" takes the oldest that holds the content
	Codec   archive.Codec // none, gzip, lz4 or zstd; of tar and plain none
	Level   int           // 0 is the codec's default
	Created time.Time     // recorded in the archive; its zone is lost
	Jobs    int           // pieces that are compressed at once; 0 is [DefaultJobs]
	Parts   int           // TABLE DATA entries that a large table is divided into; 0 and 1 leave it in one

	// Script is for FormatPlain, and for the script in a tar archive: what to write, as [WriteScript] takes it.
	Script ScriptOptions
}

func (o *StockOptions) jobs() int {
	if o.Jobs > 0 {
		return o.Jobs
	}
	return DefaultJobs()
}

// StockTarget is where a dump in a format of pg_dump goes.
type StockTarget struct {
	// Out gets the bytes of all formats but FormatDirectory. If it is an [io.WriterAt], too, the places of the data are
	// written into the table of contents at the end; otherwise it is a pipe, which has none. It is neither synced nor closed.
	Out io.Writer
	// Dir is the directory that FormatDirectory makes. It must not exist, or be empty. It appears under its name when it is complete.
	Dir string
}

// StockSummary is what was written.
type StockSummary struct {
	Version  string // of the archive format
	Rows     uint64 // of an archive of pgark
	RawBytes uint64 // of rows
	Bytes    uint64 // written
	Notes    []string
}

// errStockFormat is for what the command line has let through by mistake.
var errStockFormat = errors.New("not a format of pg_dump")

// writeStock writes a dump whose contents feed gives.
func writeStock(ctx context.Context, t StockTarget, cat *archive.Catalog, feed rowFeed, o StockOptions) (*StockSummary, error) {
	switch o.Format {
	case FormatPlain:
		out := &countingWriter{w: t.Out}
		sum := &StockSummary{}
		err := WriteScriptFrom(ctx, &feedSource{cat: cat, feed: feed, bytes: &sum.RawBytes}, out, o.Script)
		sum.Bytes = out.n
		return sum, err
	case FormatCustom, FormatDirectory, FormatTar:
		return writeStockArchive(ctx, t, cat, feed, o)
	}
	return nil, fmt.Errorf("%w: %q", errStockFormat, o.Format)
}

func writeStockArchive(ctx context.Context, t StockTarget, cat *archive.Catalog, feed rowFeed, o StockOptions) (*StockSummary, error) {
	return nil, errStockFormat
}
