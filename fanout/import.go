package fanout

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
)

// ImportOptions say how an archive of pgark is made of another dump.
type ImportOptions struct {
	Codec    archive.Codec
	Level    int
	Jobs     int // streams that are read at once; 0 is [DefaultJobs]
	Tool     string
	Created  time.Time // now, if zero
	Progress Progress  // nil: silent

	// RolePasswords keeps the hashes of roles' passwords, which a set of gpbackup has. Without it they are taken out.
	RolePasswords bool
	NoStatistics  bool // leave out the planner's statistics
}

// ImportSource writes an archive of pgark with everything of another program's dump: its catalog, what is known of its moment, and
// all rows, digested. Where the dump says how many rows a table has, these are compared; rows that can't be the table's are an error, as
// the archive would vouch for them. It does not close w; after an error w
// holds a part of an archive that must be thrown away.
//
// Memory: that of a [Dump] with as many sessions as Jobs.
func ImportSource(ctx context.Context, src archive.Source, w io.Writer, o ImportOptions) (archive.Summary, error) {
	src, err := WithFloats(src)
	if err != nil {
		return archive.Summary{}, fmt.Errorf("read the catalog: %w", err)
	}
	return importStreams(ctx, src, w, o, func(ctx context.Context, s *archive.Stream, blobs bool, write func([]byte) error) error {
		if blobs {
			return archive.LargeObjectRows(ctx, src, s.Entry, write)
		}
		return src.StreamRows(ctx, s.ID, write)
	})
}

// ImportArchive is [ImportSource] of an archive of pgark: the same content, compressed in another way.
func ImportArchive(ctx context.Context, a *archive.Reader, w io.Writer, o ImportOptions) (archive.Summary, error) {
	o.RolePasswords = true // which were asked for when it was made
	return importStreams(ctx, a, w, o, func(ctx context.Context, s *archive.Stream, _ bool, write func([]byte) error) error {
		d := a.NewDecoder()
		defer d.Close()
		for b := range a.Blocks(s.ID) {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if err := d.Block(b, write); err != nil {
				return err
			}
		}
		return nil
	})
}

// readStream gives the rows of a stream to write, in pieces that may end anywhere.
type readStream func(ctx context.Context, s *archive.Stream, blobs bool, write func([]byte) error) error

func importStreams(ctx context.Context, c content, w io.Writer, o ImportOptions, read readStream) (archive.Summary, error) {
	if o.Jobs <= 0 {
		o.Jobs = DefaultJobs()
	}
	if o.Created.IsZero() {
		o.Created = time.Now()
	}
	cat, err := c.Catalog()
	if err != nil {
		return archive.Summary{}, fmt.Errorf("read the catalog: %w", err)
	}
	if !o.RolePasswords {
		cat = withoutRolePasswords(cat)
	}
	if o.NoStatistics {
		cat = withoutStatistics(cat)
	}
	moment, err := c.Moment()
	if err != nil {
		return archive.Summary{}, fmt.Errorf("read the moment: %w", err)
	}
	if err := requireRows(c, cat); err != nil {
		return archive.Summary{}, err
	}
	aw, err := archive.NewWriter(w, archive.WriterOptions{
		Codec: o.Codec, Level: o.Level, Created: o.Created, Database: cat.Database, Tool: o.Tool,
	})
	if err != nil {
		return archive.Summary{}, err
	}
	im := &importer{content: c, read: read, progress: orSilent(o.Progress), p: newPipeline(aw, o.Jobs)}
	if err := im.run(ctx, aw, cat, moment, o); err != nil {
		aw.Abort()
		return archive.Summary{}, err
	}
	return aw.Close()
}

// importer is one import.
type importer struct {
	content  content
	read     readStream
	progress Progress
	p        *pipeline
	units    []*importUnit
}

type importUnit struct {
	unit
	stream archive.Stream
	blobs  bool
}

func (im *importer) run(ctx context.Context, aw *archive.Writer, cat *archive.Catalog, moment *archive.Moment, o ImportOptions) error {
	if err := aw.SetMoment(moment); err != nil {
		return err
	}
	if err := aw.SetCatalog(cat); err != nil {
		return err
	}
	im.plan(cat)
	g, gctx := errgroup.WithContext(ctx)
	todo := make(chan *importUnit)
	g.Go(func() error {
		defer close(todo)
		for _, u := range im.units {
			select {
			case todo <- u:
			case <-gctx.Done():
				return context.Cause(gctx)
			}
		}
		return nil
	})
	im.p.startEncoders(gctx, g, o.Codec, o.Level)
	g.Go(func() error { return im.p.append(gctx, func(u *unit) int32 { return u.info.Entry }, im.progress) })
	g.Go(func() error {
		readers, rctx := errgroup.WithContext(gctx)
		for range min(o.Jobs, max(len(im.units), 1)) {
			readers.Go(func() error { return im.work(rctx, todo) })
		}
		if err := readers.Wait(); err != nil {
			return err
		}
		close(im.p.encode)
		close(im.p.ordered)
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	return im.count(cat)
}

// plan makes a unit of each stream, in the order of the catalog.
func (im *importer) plan(cat *archive.Catalog) {
	var raw uint64
	tables := 0
	for i := range cat.Entries {
		e := &cat.Entries[i]
		streams := im.content.TableStreams(e.ID)
		if len(streams) == 0 {
			continue
		}
		tables++
		left := &tally{units: len(streams)}
		for _, s := range streams {
			u := &importUnit{stream: s, blobs: e.Kind == kindBlobs, unit: unit{info: s.StreamInfo, table: left}}
			u.info.Entry = e.ID
			im.units = append(im.units, u)
		}
		if src, ok := im.content.(archive.Source); ok {
			raw += guessRaw(src, streams)
			continue
		}
		for _, s := range streams {
			raw += s.Raw
		}
	}
	im.progress.Plan(tables, raw)
}

func (im *importer) work(ctx context.Context, todo <-chan *importUnit) error {
	for u := range todo {
		if err := im.one(ctx, u); err != nil {
			return fmt.Errorf("table %s: %w", u.name(), err)
		}
	}
	return ctx.Err()
}

// one moves the rows of one stream into the pipeline.
func (im *importer) one(ctx context.Context, u *importUnit) error {
	st, err := im.p.open(ctx, &u.unit)
	if err != nil {
		return err
	}
	var s *slot
	var rows uint64
	check := archive.RowCheck{Columns: len(u.stream.Columns)}
	_, foreign := im.content.(archive.Source)
	foreign = foreign && !u.blobs
	c := &archive.RowCutter{
		Grab: func() ([]byte, error) {
			var err error
			if s, err = im.p.take(ctx, st); err != nil {
				return nil, err
			}
			return s.buf[:0], nil
		},
		Emit: func(run []byte, part uint32, more bool) error {
			if part == 0 && !more {
				rows += uint64(bytes.Count(run, []byte{'\n'}))
			} else if !more {
				rows++
			}
			if foreign {
				check.Add(run, part, more)
			}
			full := s
			s = nil
			return im.p.rows(ctx, st, full, len(run), more)
		},
	}
	err = im.read(ctx, &u.stream, u.blobs, c.Write)
	if err == nil {
		err = c.Close()
	}
	if err == nil && check.Wrong() != "" {
		err = fmt.Errorf("the rows are damaged: %s", check.Wrong())
	}
	if s != nil {
		im.p.giveBack(s)
	}
	if err != nil {
		return err
	}
	return im.p.close(ctx, st, rows)
}

// countRows compares the number of an entry's rows that were read with what the dump says, if it does.
func countRows(src any, entry int32, got uint64) error {
	counter, ok := src.(archive.RowCounter)
	if !ok {
		return nil
	}
	if want, ok := counter.ExpectedRows(entry); ok && got != want {
		return fmt.Errorf("%d rows were read, the dump says that it has %d", got, want)
	}
	return nil
}

// count compares the rows with the numbers that the dump tells.
func (im *importer) count(cat *archive.Catalog) error {
	got := make(map[int32]uint64)
	seen := make(map[int32]bool)
	for _, u := range im.units {
		if !seen[u.info.Entry] {
			seen[u.info.Entry], got[u.info.Entry] = true, u.table.rows
		}
	}
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if err := countRows(im.content, e.ID, got[e.ID]); err != nil {
			return fmt.Errorf("table %s: %w", qualifiedID(e.Schema, e.Name), err)
		}
	}
	return nil
}
