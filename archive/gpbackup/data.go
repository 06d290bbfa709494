package gpbackup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/pgark/pgark/archive"
)

// segments are the tables of contents of the segments' single files of one backup, by content.
type segments map[int]*segmentTOC

func extensionOf(path string) string { return path[len(trimExtension(path)):] }

// csvBuffer is how much CSV is read at once.
const csvBuffer = 128 << 10

// StreamRows implements [archive.Source]. A piece is up to 256 KiB.
func (s *Set) StreamRows(ctx context.Context, id archive.StreamID, fn func(text []byte) error) error {
	if id < 1 || int(id) > len(s.streams) {
		return fmt.Errorf("there is no stream %d", id)
	}
	p := &s.places[id-1]
	if err := p.copies.settle(ctx, s); err != nil {
		return err
	}
	return s.readPlace(ctx, p, fn)
}

// readPlace reads the rows of a place.
func (s *Set) readPlace(ctx context.Context, p *dataPlace, fn func(text []byte) error) error {
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
				return errors.Join(rows.close(), c.finish(ctx, p))
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

// finish reads, behind the last table of a single file that is read, what is left of it, and looks whether it ends where it should: only then
// the checksum of the compression is read.
func (c *cursor) finish(ctx context.Context, p *dataPlace) error {
	if !p.last {
		return nil
	}
	if err := c.skipTo(ctx, p.fileEnd); err != nil {
		return err
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
