package verify

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
)

// Content is what [Database] compares with a database: an archive of pgark, or a [Survey].
type Content interface {
	Catalog() (*archive.Catalog, error)
	Moment() (*archive.Moment, error)
	// Streams returns all streams, with their digests.
	Streams() []archive.Stream
}

// Survey is a dump of another program after all of its rows have been read: with the digests that its format lacks.
type Survey struct {
	archive.Source
	streams []archive.Stream
}

// Streams returns all streams that could be read. The caller must not change them.
func (s *Survey) Streams() []archive.Stream { return s.streams }

// NewSurvey makes a survey of digests that are known already, by entry, as those of a restore. Entries without one are left
// out.
func NewSurvey(src archive.Source, digests map[int32]archive.Digest) (*Survey, error) {
	streams, err := sourceStreams(src, nil)
	if err != nil {
		return nil, err
	}
	s := &Survey{Source: src}
	for i := range streams {
		x := streams[i]
		d, ok := digests[x.Entry]
		if !ok {
			continue
		}
		if len(s.streams) > 0 && s.streams[len(s.streams)-1].Entry == x.Entry {
			d = archive.Digest{} // the first of the entry's streams has it all
		}
		x.Digest = d
		s.streams = append(s.streams, x)
	}
	return s, nil
}

// structured is a source that can check its own structure.
type structured interface {
	Structure(ctx context.Context) ([]archive.Problem, error)
}

// surveyChunk is how many bytes of rows each goroutine of a survey holds.
const surveyChunk = 1 << 20

// Source reads all rows of another program's dump, over o.Jobs goroutines, and reports what is wrong with it as far as its
// format lets that be seen; with o.Quick it looks at its structure only. What the format can't prove, the dump's
// description says. The survey has the digests of what could be read. The error is not nil only if reading was not possible, or
// ctx ended: damage is in the report.
//
// Memory: o.Jobs × 1 MiB, and what the dump's decoders take.
func Source(ctx context.Context, src archive.Source, o Options) (*Report, *Survey, error) {
	o = o.withDefaults()
	s := &sourceCheck{source: src, options: o, report: newReport(), rows: make(map[int32]uint64)}
	if x, ok := src.(structured); ok {
		problems, err := x.Structure(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, p := range problems {
			s.report.add(Finding{Class: ClassDamaged, Volume: problemFile(p, o), Offset: p.Offset, Block: -1, Message: p.Message})
		}
	}
	cat, err := src.Catalog()
	if err != nil {
		return nil, nil, err
	}
	s.utf8 = cat.Encoding == "UTF8"
	streams, err := sourceStreams(src, o.Entries)
	if err != nil {
		return nil, nil, err
	}
	s.refused(cat)
	if !o.Quick {
		if err := s.readAll(ctx, streams); err != nil {
			return nil, nil, err
		}
		s.countEntries(cat)
	}
	slices.SortStableFunc(s.report.Findings, func(a, b Finding) int { return bytes.Compare([]byte(a.Table), []byte(b.Table)) })
	s.report.OK = len(s.report.Findings) == 0
	slices.SortFunc(s.survey, func(a, b archive.Stream) int { return int(a.ID) - int(b.ID) })
	return s.report, &Survey{Source: src, streams: s.survey}, nil
}

// refused reports tables whose rows the dump holds, and does not give.
func (s *sourceCheck) refused(cat *archive.Catalog) {
	r, ok := s.source.(archive.RowRefuser)
	if !ok {
		return
	}
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if s.options.Entries != nil && !s.options.Entries[e.ID] {
			continue
		}
		if err := r.Refused(e.ID); err != nil {
			s.report.add(Finding{
				Class: ClassUnreadable, Volume: s.options.Volume, Offset: -1, Block: -1, Table: tableName(e.Schema, e.Name), Message: err.Error(),
			})
		}
	}
}

func problemFile(p archive.Problem, o Options) string {
	if p.File != "" {
		return p.File
	}
	return o.Volume
}

// sourceStreams are all streams of a source, in the order of its catalog.
func sourceStreams(src archive.Source, entries map[int32]bool) ([]archive.Stream, error) {
	cat, err := src.Catalog()
	if err != nil {
		return nil, err
	}
	var streams []archive.Stream
	for i := range cat.Entries {
		if id := cat.Entries[i].ID; entries == nil || entries[id] {
			streams = append(streams, src.TableStreams(id)...)
		}
	}
	return streams, nil
}

// sourceCheck is one run of [Source].
type sourceCheck struct {
	source  archive.Source
	options Options
	utf8    bool // names and rows must be UTF-8

	mu     sync.Mutex // guards what follows
	report *Report
	survey []archive.Stream
	rows   map[int32]uint64 // by entry
}

func (s *sourceCheck) readAll(ctx context.Context, streams []archive.Stream) error {
	var stored uint64
	tables := make(map[int32]bool)
	for i := range streams {
		stored += streams[i].Stored
		if !isBlobs(&streams[i]) {
			tables[streams[i].Entry] = true
		}
	}
	s.options.Progress.Plan(len(tables), stored)
	s.report.Tables = len(tables)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(s.options.Jobs)
	for i := range streams {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error { return s.read(gctx, streams[i]) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx) // which may have ended before any was read
}

// read reads one stream and keeps what it found.
func (s *sourceCheck) read(ctx context.Context, x archive.Stream) error {
	c := &rowCheck{RowCheck: archive.RowCheck{Columns: len(x.Columns), UTF8: s.utf8}, digest: archive.NewRunDigest(x.Floats)}
	var err error
	if c.blobs = isBlobs(&x); c.blobs {
		err = s.largeObjects(ctx, &x, c)
	} else {
		err = c.all(func(fn func([]byte) error) error { return s.source.StreamRows(ctx, x.ID, fn) })
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.options.Progress.Advance(c.digest.Digest.Rows, x.Stored)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.blobs {
		s.rows[x.Entry] += c.digest.Digest.Rows
		s.report.Rows += c.digest.Digest.Rows
	}
	s.report.Bytes += c.digest.Digest.Bytes
	finding := Finding{Class: ClassDamaged, Volume: s.options.Volume, Offset: -1, Block: -1, Table: tableName(x.Schema, x.Table)}
	if err != nil {
		finding.Message = err.Error()
		s.report.add(finding)
		return nil
	}
	if wrong := c.Wrong(); wrong != "" {
		finding.Message = wrong
		s.report.add(finding)
	}
	x.Digest, x.Raw = c.digest.Digest, c.digest.Digest.Bytes
	s.survey = append(s.survey, x)
	return nil
}

func isBlobs(x *archive.Stream) bool {
	return slices.Equal(x.Columns, []string{"loid", "offset", "data"}) && x.OID == 0
}

// largeObjects reads large objects, digested in the form that streams of large objects have.
func (s *sourceCheck) largeObjects(ctx context.Context, x *archive.Stream, c *rowCheck) error {
	c.Columns, c.UTF8 = 3, false
	return c.all(func(fn func([]byte) error) error {
		return archive.LargeObjectRows(ctx, s.source, x.Entry, fn)
	})
}

// countEntries compares the rows that were read with the numbers that the dump tells.
func (s *sourceCheck) countEntries(cat *archive.Catalog) {
	counter, ok := s.source.(archive.RowCounter)
	if !ok {
		return
	}
	for i := range cat.Entries {
		e := &cat.Entries[i]
		want, ok := counter.ExpectedRows(e.ID)
		if got := s.rows[e.ID]; ok && got != want {
			s.report.add(Finding{
				Class: ClassDamaged, Volume: s.options.Volume, Offset: -1, Block: -1, Table: tableName(e.Schema, e.Name),
				Message: fmt.Sprintf("%d rows were read, the dump says that it has %d", got, want),
			})
		}
	}
}

// rowCheck looks at the rows of one stream.
type rowCheck struct {
	archive.RowCheck
	blobs  bool
	digest archive.RunDigest
	buf    []byte
}

// all checks what read gives.
func (c *rowCheck) all(read func(fn func([]byte) error) error) error {
	c.buf = make([]byte, 0, surveyChunk)
	cutter := &archive.RowCutter{
		Grab: func() ([]byte, error) { return c.buf[:0], nil },
		Emit: c.run,
	}
	if err := read(cutter.Write); err != nil {
		return err
	}
	return cutter.Close()
}

func (c *rowCheck) run(run []byte, part uint32, more bool) error {
	c.Add(run, part, more)
	return c.digest.Add(run, part, more)
}
