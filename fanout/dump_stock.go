package fanout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
)

// stockWrite writes a dump of a catalog whose rows feed gives.
type stockWrite func(ctx context.Context, cat *archive.Catalog, feed rowFeed) error

// DumpStock dumps a database in a format of pg_dump. Sessions read in parallel and ahead; the format has its rows in one
// order, that of the catalog. It is [Dump] otherwise: the same moment, the same errors. Rows that lie on several nodes
// come together, node after node for each table; the route cursors, which can't be read in order, is not taken.
//
// After an error t is to be thrown away; see [StockTarget], also for what it takes on the disk meanwhile. Memory: (sessions + 1) × 6 × 4 MiB and
// what the encoders take, see package pgdump.
func DumpStock(ctx context.Context, t StockTarget, o DumpOptions, s StockOptions) (*DumpResult, error) {
	if o.Volumes != nil {
		return nil, fmt.Errorf("%w: the formats of pg_dump have no volumes", ErrUsage)
	}
	if o.Route == RouteCursors {
		return nil, fmt.Errorf("%w: the route cursors can't be read in the order that the formats of pg_dump need; take segments or coordinator", ErrUsage)
	}
	if o.Session != nil {
		defer closeSession(ctx, o.Session)
	}
	d, routes, passed, err := newDumper(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer d.close()
	routes = slices.DeleteFunc(slices.Clone(routes), func(r Route) bool { return r.Name == RouteCursors })
	if len(routes) == 0 {
		return nil, fmt.Errorf("%w: no route works but cursors, which can't be read in the order that the formats of pg_dump need", ErrRoute)
	}
	if s.Created.IsZero() {
		s.Created = d.created
	}
	if d.encoder = s.encoder(); s.Parts < 2 { // where a part of an entry ends, a unit must end, too
		d.spoolDir = t.Spool
	}
	var w *pgdump.Writer // the archive, which gets its name when the moment has proved to have lasted
	s.hold = func(finished *pgdump.Writer) { w = finished }
	d.stock = func(ctx context.Context, cat *archive.Catalog, feed rowFeed) error {
		sum, err := writeStock(ctx, t, cat, feed, s)
		if err == nil {
			d.result.Summary.RawBytes, d.result.Summary.Bytes, d.result.StockNotes = sum.RawBytes, sum.Bytes, sum.Notes
		}
		return err
	}
	err = d.dump(ctx, nil, routes, passed)
	if err == nil {
		err = context.Cause(ctx)
	}
	if w != nil {
		defer w.Abort()
		if err == nil {
			err = w.Place()
		}
	}
	if err != nil {
		return nil, err
	}
	return d.result, nil
}

// ConvertArchive writes an archive of pgark in a format of pg_dump, without a database.
func ConvertArchive(ctx context.Context, a *archive.Reader, t StockTarget, s StockOptions, p Progress) (*StockSummary, error) {
	cat, err := a.Catalog()
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	p = orSilent(p)
	var bytes uint64
	tables := 0
	for _, x := range a.Streams() {
		bytes += x.Raw
		tables++
	}
	p.Plan(tables, bytes)
	feed := newArchiveFeed(a, s.jobs(), p)
	defer feed.close()
	return writeStock(ctx, t, cat, feed, s)
}

// ConvertSource writes a dump of another program in a format of pg_dump, without a database.
func ConvertSource(ctx context.Context, src archive.Source, t StockTarget, s StockOptions, p Progress) (*StockSummary, error) {
	cat, err := src.Catalog()
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	if err := requireRows(src, cat); err != nil {
		return nil, err
	}
	p = orSilent(p)
	p.Plan(planSource(src, cat))
	if s.AsIs {
		if s.raw = dumpBehind(src); s.raw == nil || s.Format != FormatCustom || s.Parts > 1 {
			return nil, fmt.Errorf("%w: data is copied as it is only from a custom archive into another one, and not in parts", ErrUsage)
		}
		cat = s.raw.RawCatalog(cat)
	}
	s.asDumped = dumpBehind(src) != nil
	return writeStock(ctx, t, cat, &sourceFeed{source: src, progress: p}, s)
}

// dumpBehind is the stock archive that a source reads; nil if it is something else.
func dumpBehind(src archive.Source) *pgdump.Dump {
	switch x := src.(type) {
	case *pgdump.Dump:
		return x
	case *floatSource:
		return dumpBehind(x.Source)
	case *countedFloatSource:
		return dumpBehind(x.Source)
	}
	return nil
}

// planSource is how much there is to read, as far as the format tells.
func planSource(src archive.Source, cat *archive.Catalog) (tables int, raw uint64) {
	for i := range cat.Entries {
		if streams := src.TableStreams(cat.Entries[i].ID); len(streams) > 0 {
			tables++
			raw += guessRaw(src, streams)
		}
	}
	return tables, raw
}

// feedSource gives a feed's contents to a script.
type feedSource struct {
	cat   *archive.Catalog
	feed  rowFeed
	bytes *uint64 // of rows, counted
	byID  map[int32]*archive.Entry
}

func (f *feedSource) Catalog() (*archive.Catalog, error) { return f.cat, nil }

func (f *feedSource) entry(id int32) *archive.Entry {
	if f.byID == nil {
		f.byID = make(map[int32]*archive.Entry, len(f.cat.Entries))
		for i := range f.cat.Entries {
			f.byID[f.cat.Entries[i].ID] = &f.cat.Entries[i]
		}
	}
	return f.byID[id]
}

func (f *feedSource) Rows(ctx context.Context, entry int32, fn func(text []byte) error) error {
	buf := make([]byte, archive.FrameTarget)
	to := textSink(func(fetch func([]byte) ([]byte, error), done func()) error {
		text, err := fetch(buf)
		if err == nil {
			*f.bytes += uint64(len(text))
			err = fn(text)
		}
		if done != nil {
			done()
		}
		return err
	})
	return f.feed.rows(ctx, f.entry(entry), to, func(uint64) error { return nil })
}

// textSink is a [pieceSink] for rows that are wanted as text.
type textSink func(fetch func([]byte) ([]byte, error), done func()) error

func (f textSink) Add(fetch func([]byte) ([]byte, error), done func()) error { return f(fetch, done) }

func (f textSink) AddEncoded(*pgdump.Encoded) error {
	return errors.New("internal error: rows that are wanted as text came encoded")
}

func (f *feedSource) LargeObjects(ctx context.Context, entry int32, fn func(oid uint32, offset int64, data []byte) error) error {
	return f.feed.largeObjects(ctx, f.entry(entry), fn)
}

// countingWriter counts bytes.
type countingWriter struct {
	w io.Writer
	n uint64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += uint64(n)
	return n, err
}
