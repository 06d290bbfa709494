package pgdump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pgark/pgark/archive"
)

// DataError says where in an archive reading data failed. It wraps a sentinel of this package, or the error of the file or
// of the decompression.
type DataError struct {
	Entry  int32
	Name   string // of the table, for people
	File   string // of a directory or tar archive: the member
	Offset int64  // in the file or member, -1 where it is not known
	Detail string
	Err    error
}

func (e *DataError) Error() string {
	where := fmt.Sprintf("data of entry %d, %s", e.Entry, e.Name)
	if e.File != "" {
		where += ", " + e.File
	}
	if e.Offset >= 0 {
		where += fmt.Sprintf(", at offset %d", e.Offset)
	}
	msg := fmt.Sprintf("%s: %v", where, e.Err)
	if e.Detail != "" {
		msg += ": " + e.Detail
	}
	return msg
}

func (e *DataError) Unwrap() error { return e.Err }

// dataError makes one of what reading has met, whose end is a truncation.
func dataError(e *Entry, file string, offset int64, err error, detail string) error {
	var known *DataError
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrTruncated
	} else if !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrDamaged) && detail == "" {
		err, detail = ErrDamaged, err.Error()
	}
	return &DataError{Entry: e.ID, Name: e.Name, File: file, Offset: offset, Detail: detail, Err: err}
}

// dataChunk is how many bytes of rows are given at once.
const dataChunk = 256 << 10

// StreamRows implements [archive.Source]. A piece is up to 256 KiB.
func (d *Dump) StreamRows(ctx context.Context, id archive.StreamID, fn func(text []byte) error) error {
	if id < 1 || int(id) > len(d.streams) {
		return fmt.Errorf("there is no stream %d", id)
	}
	e := d.entries[d.streams[id-1].Entry]
	if e.Kind == kindBlobs {
		return fmt.Errorf("entry %d has large objects, not rows", e.ID)
	}
	if d.inserts != nil && d.inserts.forms[e.ID] != nil {
		return d.insertRows(ctx, e, d.inserts.forms[e.ID], fn)
	}
	if hasOIDs(e.Copy) {
		fn = (&oidCutter{fn: fn}).write
	}
	return d.rows(ctx, e, fn)
}

// insertRows reads a table's rows that are INSERT statements.
func (d *Dump) insertRows(ctx context.Context, e *Entry, f *insertForm, fn func(text []byte) error) error {
	r, err := d.store.data(e)
	if err != nil {
		return dataError(e, e.File, -1, err, "")
	}
	defer r.Close()
	x := newInsertReader(&dataSource{r, e}, f, d.inserts.dialect, ended(ctx), fn)
	err = x.all(true)
	var wrong *insertError
	if errors.As(err, &wrong) {
		return dataError(e, e.File, -1, wrong.err, fmt.Sprintf("at byte %d of its statements: %s", wrong.offset, wrong.detail))
	}
	if err != nil {
		return err
	}
	return r.Close()
}

// ended tells why a context has ended, if it has.
func ended(ctx context.Context) func() error {
	return func() error { return context.Cause(ctx) }
}

// dataSource says of an error of reading what was read.
type dataSource struct {
	r io.Reader
	e *Entry
}

func (s *dataSource) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = dataError(s.e, s.e.File, -1, err, "")
	}
	return n, err
}

// rows reads a table's rows up to the line that ends them, which must be the end of the data.
func (d *Dump) rows(ctx context.Context, e *Entry, fn func(text []byte) error) error {
	r, err := d.store.data(e)
	if err != nil {
		return dataError(e, e.File, -1, err, "")
	}
	defer r.Close()
	const end = len(endOfData)
	buf := make([]byte, dataChunk)
	n, lineEnd := 0, true // bytes held back: they may be the end
	var marks markFinder
	marked := wideOf(d.toc.encoding()) == narrow // else a backslash may be part of a character
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		k, err := r.Read(buf[n:])
		n += k
		if n > end {
			give := buf[:n-end]
			lineEnd = give[len(give)-1] == '\n'
			if marked && marks.find(give) {
				return dataError(e, e.File, -1, ErrDamaged, `a line \. stands among the rows`)
			}
			if err := fn(give); err != nil {
				return err
			}
			n = copy(buf, buf[n-end:n])
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return dataError(e, e.File, -1, err, "")
		}
	}
	switch {
	case string(buf[:n]) != endOfData:
		return dataError(e, e.File, -1, ErrTruncated, `the rows do not end with a line \.`)
	case !lineEnd:
		return dataError(e, e.File, -1, ErrDamaged, "the last row has no end")
	}
	return r.Close()
}

// markFinder looks for \. in rows that come in pieces. In rows a backslash stands doubled, or before one of some letters.
type markFinder struct{ escaped bool } // the next byte follows a backslash that stands for itself

func (m *markFinder) find(text []byte) bool {
	if m.escaped && len(text) > 0 {
		if text[0] == '.' {
			return true
		}
		text, m.escaped = text[1:], false
	}
	for {
		i := bytes.IndexByte(text, '\\')
		switch {
		case i < 0:
			return false
		case i+1 == len(text):
			m.escaped = true
			return false
		case text[i+1] == '.':
			return true
		}
		text = text[i+2:]
	}
}

// LargeObjects implements [archive.Source].
func (d *Dump) LargeObjects(ctx context.Context, entry int32, fn func(oid uint32, offset int64, data []byte) error) error {
	e := d.entries[entry]
	if e == nil || e.Kind != kindBlobs {
		return fmt.Errorf("entry %d has no large objects", entry)
	}
	buf := make([]byte, dataChunk)
	read := make(map[uint32]bool)
	err := d.store.blobs(ctx, e, func(oid uint32, r io.Reader) error {
		read[oid] = true
		for at := int64(0); ; {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			n, err := r.Read(buf)
			if n > 0 || at == 0 && errors.Is(err, io.EOF) {
				if err := fn(oid, at, buf[:n]); err != nil {
					return &callerError{err}
				}
			}
			at += int64(n)
			switch {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return dataError(e, e.File, -1, err, fmt.Sprintf("large object %d: %v", oid, err))
			}
		}
	})
	var caller *callerError
	if errors.As(err, &caller) {
		return caller.err
	}
	if err != nil && ctx.Err() == nil {
		return dataError(e, e.File, -1, err, "")
	}
	if err != nil {
		return err
	}
	return d.checkBlobs(e, read)
}

// callerError carries an error of the caller's function through.
type callerError struct{ err error }

func (e *callerError) Error() string { return e.err.Error() }
