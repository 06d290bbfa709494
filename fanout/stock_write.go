package fanout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
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

	NoStatistics bool // leave out the planner's statistics

	// Script is for FormatPlain, and for the script in a tar archive: what to write, as [WriteScript] takes it.
	Script ScriptOptions

	// AsIs has [ConvertSource] copy the data of a custom archive into another one as it is compressed, without decompressing it: the quickest
	// way to another version of the format. Damage is copied, too. Codec must be the source's, and Parts is not for it.
	AsIs bool

	raw      *pgdump.Dump         // whose data is copied; nil for none
	asDumped bool                 // the catalog is one of these formats, and stays as it is
	hold     func(*pgdump.Writer) // is given a finished archive, whose name it must not have yet; nil: it gets it at once
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
	// Partial is told the hidden directory in which the files of FormatDirectory are until then; nil for nobody. It is gone when the call
	// returns: only who ends the program before that has to remove it.
	Partial func(dir string)
	// Spool is a directory, on the output's disk, in which a dump may have files without names for what it reads ahead; "" for none. They hold
	// 4 GiB for each session at most, and leave as much free as all rows that are still to come take in the database.
	Spool string
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
	if o.NoStatistics {
		cat = withoutStatistics(cat)
	}
	switch o.Format {
	case FormatPlain:
		out := &countingWriter{w: t.Out}
		sum := &StockSummary{}
		o.Script.Warn = func(message string) { sum.Notes = append(sum.Notes, message) }
		err := WriteScriptFrom(ctx, &feedSource{cat: cat, feed: feed, bytes: &sum.RawBytes}, out, o.Script)
		sum.Bytes = out.n
		return sum, err
	case FormatCustom, FormatDirectory, FormatTar:
		if !o.asDumped {
			cat = withOrder(cat)
		}
		return writeStockArchive(ctx, t, cat, feed, o)
	}
	return nil, fmt.Errorf("%w: %q", errStockFormat, o.Format)
}

// withoutNumbers takes the numbers of the server's catalog off what a script with its comments (pg_dump -v) has told of objects, but for large
// ones: that is how a catalog is known which does not record what depends on what.
func withoutNumbers(cat *archive.Catalog) *archive.Catalog {
	if cat.TOCVersion != "" {
		return cat
	}
	cat = ownCatalog(cat, 0)
	for i := range cat.Entries {
		if e := &cat.Entries[i]; !e.Global() && e.Kind != kindBlob && e.Kind != kindBlobs && e.Kind != kindBlobMetadata {
			e.TableOID, e.OID = 0, 0
		}
	}
	return cat
}

// writeStockArchive writes a custom, directory or tar archive.
func writeStockArchive(ctx context.Context, t StockTarget, cat *archive.Catalog, feed rowFeed, o StockOptions) (*StockSummary, error) {
	whole := cat
	split := newSplit(cat, feed, o.Parts)
	if len(split.parts) > 0 {
		cat = split.catalog()
	}
	cat = withoutNumbers(cat)
	w, err := newStockWriter(ctx, t, cat, o)
	if err != nil {
		return nil, err
	}
	held := false
	defer func() {
		if !held {
			w.Abort()
		}
	}()
	if o.raw != nil && !w.CanCopy(o.raw) {
		return nil, fmt.Errorf("%w: data is copied as it is only from a custom archive into one of the same compression", ErrUsage)
	}
	byID := make(map[int32]*archive.Entry, len(whole.Entries))
	for i := range whole.Entries {
		byID[whole.Entries[i].ID] = &whole.Entries[i]
	}
	toc := w.TOC()
	for i := range toc.Entries {
		e := &toc.Entries[i].Entry
		if !e.HadDumper || split.isPart[e.ID] {
			continue
		}
		err := error(nil)
		if o.raw != nil {
			err = w.Copy(ctx, o.raw, e.ID)
		} else {
			err = writeData(ctx, w, e, toc.Sources(e.ID), byID, feed, split)
		}
		if err != nil {
			var where *pgdump.WriteError // of an entry before, perhaps
			if errors.As(err, &where) {
				return nil, err
			}
			return nil, fmt.Errorf("entry %d, %s: %w", e.ID, describeEntry(e), err)
		}
	}
	sum, err := w.Finish()
	if err == nil && o.hold == nil {
		err = w.Place()
	}
	if err != nil {
		return nil, err
	}
	if o.hold != nil {
		held = true
		o.hold(w)
	}
	return &StockSummary{Version: fmt.Sprintf("1.%d", sum.Minor), RawBytes: sum.RawBytes, Bytes: sum.Bytes, Notes: sum.Notes}, nil
}

// encoder makes encoders for rows that are encoded where they are read; nil where the writer does that.
func (o *StockOptions) encoder() func() (*pgdump.Encoder, error) {
	c, ok := stockCompression(o.Codec)
	if o.Format != FormatCustom && o.Format != FormatDirectory || !ok || !pgdump.EncodesEarly(c, o.Level) {
		return nil
	}
	return func() (*pgdump.Encoder, error) { return pgdump.NewEncoder(c, o.Level) }
}

// stockCompression is a codec as the formats of pg_dump know it.
func stockCompression(c archive.Codec) (to pgdump.Compression, ok bool) {
	switch c {
	case archive.CodecNone:
		return pgdump.CompressionNone, true
	case archive.CodecGzip:
		return pgdump.CompressionGzip, true
	case archive.CodecLZ4:
		return pgdump.CompressionLZ4, true
	case archive.CodecZstd:
		return pgdump.CompressionZstd, true
	default:
		return 0, false
	}
}

func newStockWriter(ctx context.Context, t StockTarget, cat *archive.Catalog, o StockOptions) (*pgdump.Writer, error) {
	options := pgdump.WriteOptions{Level: o.Level, Created: o.Created, Jobs: o.jobs()}
	var ok bool
	if options.Compression, ok = stockCompression(o.Codec); !ok {
		return nil, fmt.Errorf("%w: pg_restore does not read %s", ErrUsage, o.Codec)
	}
	if o.raw != nil { // what is said of data that stays as it is stays, too
		options.Level = int(o.raw.TOC().Header.Level)
	}
	if o.Version != "" {
		if _, err := fmt.Sscanf(o.Version, "1.%d", &options.Minor); err != nil {
			return nil, fmt.Errorf("%w: archive version %q", ErrUsage, o.Version)
		}
	}
	switch o.Format {
	case FormatDirectory:
		options.Partial = t.Partial
		return pgdump.NewDirectoryWriter(ctx, t.Dir, cat, options)
	case FormatTar:
		options.RestoreSQL = func(w io.Writer, toc *pgdump.TOC) error { return writeTarScript(ctx, w, toc, cat, o.Script) }
		return pgdump.NewTarWriter(ctx, t.Out, cat, options)
	default:
		return pgdump.NewCustomWriter(ctx, t.Out, cat, options)
	}
}

// writeData writes the data of one entry, which is that of one or several entries of the catalog.
func writeData(ctx context.Context, w *pgdump.Writer, e *archive.Entry, sources []int32, byID map[int32]*archive.Entry, feed rowFeed, split *split) error {
	if e.Kind == kindBlobs {
		return writeBlobs(ctx, w, e, sources, byID, feed)
	}
	if e.Kind != kindTableData {
		return fmt.Errorf("it has data, and nobody knows of what kind")
	}
	if err := w.Begin(e.ID); err != nil {
		return err
	}
	parts := split.begin(w, e.ID)
	for _, id := range sources {
		if err := feed.rows(ctx, byID[id], w, parts.cut); err != nil {
			return err
		}
	}
	return parts.end()
}

func writeBlobs(ctx context.Context, w *pgdump.Writer, e *archive.Entry, sources []int32, byID map[int32]*archive.Entry, feed rowFeed) error {
	if err := w.BeginBlobs(e.ID); err != nil {
		return err
	}
	open, last := false, uint32(0)
	for _, id := range sources {
		err := feed.largeObjects(ctx, byID[id], func(oid uint32, _ int64, data []byte) error {
			if open && oid != last {
				if err := w.EndBlob(); err != nil {
					return err
				}
				open = false
			}
			if !open {
				if err := w.BeginBlob(oid); err != nil {
					return err
				}
				open, last = true, oid
			}
			return addCopies(ctx, data, w)
		})
		if err != nil {
			return err
		}
	}
	if open {
		if err := w.EndBlob(); err != nil {
			return err
		}
	}
	return w.End()
}
