package archive

import (
	"bytes"
	"errors"
	"slices"
)

// ErrOpenRow says that the text of a stream ends within a row.
var ErrOpenRow = errors.New("the last row has no end")

// RowCutter cuts COPY text that comes in pieces which may end anywhere into runs of whole rows. The parts of a row that
// is larger than a run come one after the other.
//
// Not safe for concurrent use. It holds one buffer.
type RowCutter struct {
	// Grab returns an empty buffer for the next run, which holds as much as its capacity, at least 1 byte. The buffer
	// is the cutter's until it is given to Emit.
	Grab func() ([]byte, error)
	// Emit takes a run, in a buffer that Grab gave, and may keep it. A run is of whole rows, unless part or more are set:
	// part > 0 says that it goes on with a row of which parts came before, more that the row does not end in it either. What
	// ends a row in parts ends the run.
	Emit func(run []byte, part uint32, more bool) error

	buf  []byte
	part uint32 // of the row that is under way, if it is in parts
}

// Write takes the next piece. It returns the errors of Grab and Emit as they are.
func (c *RowCutter) Write(text []byte) error {
	for len(text) > 0 {
		if c.buf == nil {
			var err error
			if c.buf, err = c.Grab(); err != nil {
				return err
			}
		}
		take := text[:min(len(text), cap(c.buf)-len(c.buf))]
		if c.part > 0 {
			if i := bytes.IndexByte(take, '\n'); i >= 0 {
				take = take[:i+1]
			}
		}
		c.buf = append(c.buf, take...)
		text = text[len(take):]
		if err := c.pass(); err != nil {
			return err
		}
	}
	return nil
}

// pass emits what is ready.
func (c *RowCutter) pass() error {
	switch {
	case c.part > 0 && c.buf[len(c.buf)-1] == '\n':
		err := c.emit(c.buf, c.part, false)
		c.part = 0
		return err
	case len(c.buf) < cap(c.buf):
		return nil
	case c.part > 0:
		err := c.emit(c.buf, c.part, true)
		c.part++
		return err
	}
	end := bytes.LastIndexByte(c.buf, '\n') + 1
	if end == 0 {
		c.part = 1
		return c.emit(c.buf, 0, true)
	}
	full, rest := c.buf[:end], slices.Clone(c.buf[end:])
	if err := c.emit(full, 0, false); err != nil || len(rest) == 0 {
		return err
	}
	return c.Write(rest)
}

func (c *RowCutter) emit(run []byte, part uint32, more bool) error {
	c.buf = nil
	return c.Emit(run, part, more)
}

// Close emits what is left. It fails with [ErrOpenRow] where that is not whole rows.
func (c *RowCutter) Close() error {
	switch {
	case c.part > 0, len(c.buf) > 0 && c.buf[len(c.buf)-1] != '\n':
		return ErrOpenRow
	case len(c.buf) > 0:
		return c.emit(c.buf, 0, false)
	}
	return nil
}

// RunDigest digests the runs of a stream in their order: whole rows, and rows in parts. Rows counts what it has seen.
type RunDigest struct {
	Digest Digest
	floats string
	hasher RowHasher
}

// NewRunDigest makes a digest of rows with floats as [StreamInfo.Floats] says.
func NewRunDigest(floats string) RunDigest {
	return RunDigest{floats: floats, hasher: NewRowHasher(floats)}
}

// Add adds a run as [RowCutter] emits it.
func (d *RunDigest) Add(run []byte, part uint32, more bool) error {
	if part == 0 && !more {
		return d.Digest.AddRowsCanonical(d.floats, run)
	}
	if !more {
		run = run[:len(run)-1] // the LF that ends the row
	}
	if _, err := d.hasher.Write(run); err != nil {
		return err
	}
	if !more {
		d.hasher.Done(&d.Digest)
	}
	return nil
}
