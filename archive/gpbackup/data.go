package gpbackup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/pgark/pgark/archive"
)

// segments are the tables of contents of the segments' single files of one backup, by content.
type segments map[int]*segmentTOC

// tableData is the rows of one table or partition, and of which backup they are.
type tableData struct {
	*dataEntry
	timestamp string
}

// tables lists whose rows the set has: what its restore plan says, each of the backup that it names. A set without a plan, as old ones
// are, has all rows itself.
func (s *Set) tables() ([]tableData, error) {
	own := s.config.Timestamp
	if s.config.MetadataOnly {
		return nil, nil
	}
	if len(s.config.RestorePlan) == 0 {
		if s.config.Incremental {
			return nil, fmt.Errorf("%w: incremental set %s has no restore plan", ErrDamaged, own)
		}
		all := make([]tableData, len(s.toc.Data))
		for i := range s.toc.Data {
			all[i] = tableData{&s.toc.Data[i], own}
		}
		return all, nil
	}
	var all []tableData
	seen := make(map[string]bool)
	for _, step := range s.config.RestorePlan {
		if !isTimestamp(step.Timestamp) {
			return nil, fmt.Errorf("%w: set %s builds upon set %q", ErrDamaged, own, step.Timestamp)
		}
		contents := s.toc
		if step.Timestamp != own && len(step.Tables) > 0 {
			contents = &toc{}
			if err := s.yaml(fileKey{-1, step.Timestamp, 0, "toc"}, maxTOC, contents); err != nil {
				return nil, fmt.Errorf("set %s builds upon set %s: %w", own, step.Timestamp, err)
			}
		}
		byName := make(map[string]*dataEntry, len(contents.Data))
		for i := range contents.Data {
			byName[contents.Data[i].fqn()] = &contents.Data[i]
		}
		for _, fqn := range step.Tables {
			d := byName[fqn]
			switch {
			case d == nil:
				return nil, fmt.Errorf("%w: set %s has no rows of %s, which set %s says are there", ErrIncomplete, step.Timestamp, fqn, own)
			case seen[fqn]:
				return nil, fmt.Errorf("%w: the restore plan of set %s names %s twice", ErrDamaged, own, fqn)
			}
			seen[fqn] = true
			all = append(all, tableData{d, step.Timestamp})
		}
	}
	return all, nil
}

// addData adds an entry for the rows of each table; those of partitions are their table's.
func (s *Set) addData(b *catalogBuilder) error {
	b.data = make(map[string]int32)
	all, err := s.tables()
	if err != nil {
		return err
	}
	if s.config.Segments == 0 && len(all) > 0 {
		s.config.Segments = s.seenSegments()
	}
	of := make(map[string][]tableData)
	var order []string
	for _, d := range all {
		name := d.fqn()
		if d.Root != "" {
			name = d.Schema + "." + d.Root
		}
		if of[name] == nil {
			order = append(order, name)
		}
		of[name] = append(of[name], d)
	}
	for _, name := range order {
		if err := s.addTable(b, name, of[name]); err != nil {
			return err
		}
	}
	return nil
}

// seenSegments counts them by their files, where an old configuration does not tell.
func (s *Set) seenSegments() int {
	n := 0
	for k := range s.files.files {
		if k.timestamp == s.config.Timestamp && k.content >= n {
			n = k.content + 1
		}
	}
	return n
}

// addTable adds the entry and the streams of one table.
func (s *Set) addTable(b *catalogBuilder, name string, parts []tableData) error {
	columns, known := []string(nil), false
	if parts[0].Attributes != "" {
		if columns, known = nameList(parts[0].Attributes); !known {
			return fmt.Errorf("%w: the columns of %s: %.60q", ErrDamaged, name, parts[0].Attributes)
		}
	} else if c := b.columns[name]; c != nil {
		columns, known = c, true
	}
	table := parts[0].Name
	if parts[0].Root != "" {
		table = parts[0].Root
	}
	e := archive.Entry{
		Kind: "TABLE DATA", Schema: unquote(parts[0].Schema), Name: unquote(table), OID: parts[0].OID, Section: archive.SectionData, HadDumper: true,
		Copy: copyStatement(parts[0].Schema+"."+table, columns),
	}
	if id, ok := b.tables[name]; ok {
		e.Deps = []int32{id}
		e.Owner = b.cat.Entries[id-1].Owner
	}
	id := b.add(e)
	b.data[name] = id
	from := len(s.streams)
	for i := range parts {
		if err := s.addStreams(id, &parts[i], columns, known); err != nil {
			return err
		}
	}
	s.byEntry[id] = [2]int{from, len(s.streams)}
	return nil
}

// copyStatement is pg_dump's.
func copyStatement(table string, columns []string) string {
	list := ""
	if len(columns) > 0 {
		quoted := make([]string, len(columns))
		for i, c := range columns {
			quoted[i] = `"` + strings.ReplaceAll(c, `"`, `""`) + `"`
		}
		list = "(" + strings.Join(quoted, ", ") + ")"
	}
	return "COPY " + table + " " + list + " FROM stdin;\n"
}

// addStreams adds a stream for each segment. Of a replicated table every segment has all rows, and one is taken.
func (s *Set) addStreams(entry int32, d *tableData, columns []string, known bool) error {
	contents := s.config.Segments
	if d.Rows < 0 {
		return fmt.Errorf("%w: set %s says that %s has %d rows", ErrDamaged, d.timestamp, d.fqn(), d.Rows)
	}
	expected := uint64(d.Rows)
	if d.Replicated {
		if contents > 0 && expected%uint64(contents) != 0 { //nolint:gosec // not negative
			return fmt.Errorf("%w: replicated table %s has %d rows on %d segments", ErrDamaged, d.fqn(), d.Rows, contents)
		}
		expected /= uint64(max(contents, 1)) //nolint:gosec // not negative
		contents = min(contents, 1)
	}
	s.rows[entry] += expected
	for content := range contents {
		p, err := s.place(content, d)
		if err != nil {
			return fmt.Errorf("table %s on segment %d: %w", d.fqn(), content, err)
		}
		p.columns = -1
		if known {
			p.columns = len(columns)
		}
		x := archive.Stream{
			StreamInfo: archive.StreamInfo{
				Entry: entry, OID: d.OID, Node: uint32(content + 1), Schema: unquote(d.Schema), Table: unquote(d.Name), Columns: columns, Form: archive.FormText, //nolint:gosec // few
			},
			ID: archive.StreamID(len(s.streams) + 1), //nolint:gosec // tables times segments
		}
		switch {
		case p.to >= 0 && p.compressed == "":
			x.Stored = uint64(p.to - p.from) //nolint:gosec // not negative
		case p.to < 0:
			if info, err := os.Stat(p.path); err == nil {
				x.Stored = uint64(max(info.Size(), 0)) //nolint:gosec // not negative
			}
		}
		s.streams = append(s.streams, x)
		s.places = append(s.places, p)
	}
	return nil
}

// place finds the rows of a table on a segment: in a file of their own, or within the segment's single file.
func (s *Set) place(content int, d *tableData) (dataPlace, error) {
	own := fileKey{content, d.timestamp, d.OID, "data"}
	if _, ok := s.files.files[own]; ok {
		path, err := s.files.find(own)
		return dataPlace{path: path, to: -1, compressed: extensionOf(path)}, err
	}
	all := fileKey{content, d.timestamp, 0, "data"}
	if _, ok := s.files.files[all]; !ok {
		return dataPlace{}, s.files.missing(own)
	}
	path, err := s.files.find(all)
	if err != nil {
		return dataPlace{}, err
	}
	contents := s.segment[d.timestamp]
	if contents == nil {
		contents = make(segments)
		s.segment[d.timestamp] = contents
	}
	t := contents[content]
	if t == nil {
		t = &segmentTOC{}
		if err := s.yaml(fileKey{content, d.timestamp, 0, "toc"}, maxTOC, t); err != nil {
			return dataPlace{}, err
		}
		contents[content] = t
	}
	span, ok := t.Data[d.OID]
	if !ok || span.Start < 0 || span.End < span.Start {
		return dataPlace{}, fmt.Errorf("%w: the segment's table of contents does not say where its rows are", ErrIncomplete)
	}
	return dataPlace{path: path, from: span.Start, to: span.End, last: span.End == t.end(), compressed: extensionOf(path)}, nil
}

func extensionOf(path string) string { return path[len(trimExtension(path)):] }

// csvBuffer is how much CSV is read at once.
const csvBuffer = 128 << 10

// StreamRows implements [archive.Source]. A piece is up to 256 KiB.
func (s *Set) StreamRows(ctx context.Context, id archive.StreamID, fn func(text []byte) error) error {
	if id < 1 || int(id) > len(s.streams) {
		return fmt.Errorf("there is no stream %d", id)
	}
	p := &s.places[id-1]
	c, err := s.readers.open(p)
	if err != nil {
		return located(p, err)
	}
	rows := &csvRows{columns: p.columns, fn: func(text []byte) error {
		if err := fn(text); err != nil {
			return &callerError{err}
		}
		return nil
	}}
	err = s.copyRows(ctx, c, p, rows)
	var caller *callerError
	if errors.As(err, &caller) {
		err = caller.err
	} else if err != nil && ctx.Err() == nil {
		err = located(p, err)
	}
	return errors.Join(err, s.readers.giveBack(c, err == nil && p.to >= 0))
}

// callerError carries an error of the caller's function through.
type callerError struct{ err error }

func (e *callerError) Error() string { return e.err.Error() }

func located(p *dataPlace, err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		err = fmt.Errorf("%w: it is cut off", ErrIncomplete)
	case !errors.Is(err, ErrIncomplete) && !errors.Is(err, ErrDamaged) && !errors.Is(err, os.ErrNotExist):
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return fmt.Errorf("%s: %w", p.path, err)
}

// copyRows reads the rows of a place.
func (s *Set) copyRows(ctx context.Context, c *cursor, p *dataPlace, rows *csvRows) error {
	if err := c.skipTo(ctx, p.from); err != nil {
		return err
	}
	buf := make([]byte, csvBuffer)
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		b := buf
		if p.to >= 0 {
			if b = buf[:min(int64(len(buf)), p.to-c.at)]; len(b) == 0 {
				return errors.Join(rows.close(), c.finish(p))
			}
		}
		n, err := c.r.Read(b)
		c.at += int64(n)
		if n > 0 {
			if err := rows.write(b[:n], s.class); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF) && p.to < 0:
			return rows.close()
		case errors.Is(err, io.EOF) && c.at == p.to:
			return rows.close()
		case err != nil:
			return err
		}
	}
}

// finish looks, behind the last table of a single file, whether that ends there: only then the checksum of the compression is read.
func (c *cursor) finish(p *dataPlace) error {
	if !p.last {
		return nil
	}
	var one [1]byte
	n, err := io.ReadFull(c.r, one[:])
	switch {
	case n > 0:
		c.at++
		return fmt.Errorf("%w: bytes follow the last table", ErrDamaged)
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// cursor reads a file, decompressed, from its beginning on.
type cursor struct {
	path  string
	f     *os.File
	r     io.Reader
	at    int64
	close func()
}

func openCursor(p *dataPlace) (*cursor, error) {
	f, err := os.Open(p.path)
	if err != nil {
		return nil, err
	}
	c := &cursor{path: p.path, f: f, r: f, close: func() {}}
	if err := c.decompress(p.compressed); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return c, nil
}

// maxZstdWindow bounds the memory that a frame may ask for.
const maxZstdWindow = 128 << 20

func (c *cursor) decompress(extension string) error {
	switch extension {
	case ".gz":
		z, err := gzip.NewReader(bufio.NewReaderSize(c.f, csvBuffer))
		if err != nil {
			return err
		}
		c.r = z
	case ".zst":
		z, err := zstd.NewReader(bufio.NewReaderSize(c.f, csvBuffer), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return err
		}
		c.r, c.close = z, z.Close
	}
	return nil
}

// skipTo passes what comes before a place.
func (c *cursor) skipTo(ctx context.Context, to int64) error {
	if seeker, ok := c.r.(io.Seeker); ok {
		at, err := seeker.Seek(to, io.SeekStart)
		c.at = at
		return err
	}
	for c.at < to {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		n, err := io.CopyN(io.Discard, c.r, min(to-c.at, 16<<20))
		c.at += n
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *cursor) end() error {
	c.close()
	return c.f.Close()
}

// maxIdle bounds how many cursors of single files wait for the next table.
const maxIdle = 64

// cursors keep those of single files open where a table was read to its end: the next table is mostly asked for next.
type cursors struct {
	mu     sync.Mutex
	idle   []*cursor
	closed bool
}

func newCursors() *cursors { return &cursors{} }

// open takes the idle cursor that is nearest before a place, or opens the file.
func (x *cursors) open(p *dataPlace) (*cursor, error) {
	if p.to >= 0 {
		x.mu.Lock()
		best := -1
		for i, c := range x.idle {
			if c.path == p.path && c.at <= p.from && (best < 0 || c.at > x.idle[best].at) {
				best = i
			}
		}
		if best >= 0 {
			c := x.idle[best]
			x.idle = append(x.idle[:best], x.idle[best+1:]...)
			x.mu.Unlock()
			return c, nil
		}
		x.mu.Unlock()
	}
	return openCursor(p)
}

// giveBack keeps a cursor that has read its table, or closes it.
func (x *cursors) giveBack(c *cursor, good bool) error {
	if !good {
		return c.end()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return c.end()
	}
	x.idle = append(x.idle, c)
	if len(x.idle) <= maxIdle {
		return nil
	}
	oldest := x.idle[0]
	x.idle = x.idle[1:]
	return oldest.end()
}

func (x *cursors) close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	var err error
	for _, c := range x.idle {
		err = errors.Join(err, c.end())
	}
	x.idle = nil
	return err
}
