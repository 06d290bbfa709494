package pgdump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ErrRefused says that a script may well be sound, and holds what pgark does not carry out: psql may be able to run it.
var ErrRefused = errors.New("pgark does not read this script")

// ScriptError says where in a script reading failed. It wraps a sentinel of this package or the error of the reader below.
type ScriptError struct {
	Offset int64  // bytes from the start of the file
	Line   int64  // from 1; 0 where it is not known, which it is in the first 256 MiB only
	Entry  string // kind and name of the entry, for people; "" outside of all entries
	Detail string // what is wrong
	Err    error
}

func (e *ScriptError) Error() string {
	where := fmt.Sprintf("at byte %d", e.Offset)
	if e.Line > 0 {
		where = fmt.Sprintf("in line %d, %s", e.Line, where)
	}
	if e.Entry != "" {
		where = "in " + e.Entry + ", " + where
	}
	return fmt.Sprintf("%v: %s: %s", e.Err, where, e.Detail)
}

func (e *ScriptError) Unwrap() error { return e.Err }

// scriptErrorf makes an error of a class at a place.
func scriptErrorf(err error, offset int64, format string, args ...any) *ScriptError {
	return &ScriptError{Offset: offset, Detail: fmt.Sprintf(format, args...), Err: err}
}

// countLines is how far into a file lines are counted for an error.
const countLines = 256 << 20

// locate adds to an error what is known of its place only with the file at hand.
func locate(r io.ReaderAt, err error, entry string) error {
	var se *ScriptError
	if !errors.As(err, &se) {
		return err
	}
	if se.Entry == "" {
		se.Entry = entry
	}
	if se.Line != 0 || se.Offset < 0 || se.Offset > countLines {
		return err
	}
	line := int64(1)
	buf := make([]byte, min(se.Offset, 1<<20))
	for at := int64(0); at < se.Offset; {
		b := buf[:min(int64(len(buf)), se.Offset-at)]
		if n, err := r.ReadAt(b, at); n < len(b) && err != nil {
			return se // the place in bytes has to do
		}
		line += int64(bytes.Count(b, []byte{'\n'}))
		at += int64(len(b))
	}
	se.Line = line
	return err
}
