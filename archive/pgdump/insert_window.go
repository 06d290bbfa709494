package pgdump

import (
	"errors"
	"fmt"
	"io"
)

func (r *insertReader) offset() int64 { return r.base + int64(r.pos) }

// has tells whether n more bytes are there, and reads on for them. n is smaller than the window.
func (r *insertReader) has(n int) bool {
	for len(r.buf)-r.pos < n {
		if !r.more() {
			return false
		}
	}
	return true
}

// more reads on, and lets go of what was used.
func (r *insertReader) more() bool {
	if r.err != nil || r.eof {
		return false
	}
	if r.check != nil {
		if err := r.check(); err != nil {
			r.fail(err)
			return false
		}
	}
	if r.buf == nil {
		r.buf = make([]byte, 0, insertWindow)
	}
	r.base += int64(r.pos)
	r.buf = r.buf[:copy(r.buf, r.buf[r.pos:])]
	r.pos = 0
	for empty := 0; ; empty++ {
		n, err := r.src.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		switch {
		case errors.Is(err, io.EOF):
			r.eof = true
			return n > 0
		case err != nil:
			r.fail(err)
			return false
		case n > 0:
			return true
		case empty > 100:
			r.fail(io.ErrNoProgress)
			return false
		}
	}
}

func (r *insertReader) atEnd() bool { return !r.has(1) }

// accept takes a text if it is what follows.
func (r *insertReader) accept(text string) bool {
	if r.err != nil || !r.has(len(text)) || string(r.buf[r.pos:r.pos+len(text)]) != text {
		return false
	}
	r.pos += len(text)
	return true
}

// expect takes a text that has to follow.
func (r *insertReader) expect(text, what string) bool {
	if r.accept(text) || r.err != nil {
		return r.err == nil
	}
	rest := r.buf[r.pos:]
	if len(rest) < len(text) && string(rest) == text[:len(rest)] {
		r.truncated()
		return false
	}
	r.failf(ErrDamaged, "%s is expected, not %s", what, r.clip())
	return false
}

// flushLarge gives away what has gathered, if it is much.
func (r *insertReader) flushLarge() {
	if len(r.out) >= rowsChunk {
		r.flush()
	}
}

// flush gives away what has gathered, in pieces of rowsChunk at most.
func (r *insertReader) flush() {
	for out := r.out; len(out) > 0 && r.err == nil; {
		n := min(len(out), rowsChunk)
		if err := r.emit(out[:n]); err != nil {
			r.err = err
		}
		out = out[n:]
	}
	r.out = r.out[:0]
}

func (r *insertReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *insertReader) failf(err error, format string, args ...any) {
	r.fail(&insertError{err: err, offset: r.offset(), detail: fmt.Sprintf(format, args...)})
}

func (r *insertReader) truncated() { r.failf(ErrTruncated, "the statements end within one") }

func (r *insertReader) truncatedAt(offset int64, detail string) {
	r.fail(&insertError{err: ErrTruncated, offset: offset, detail: detail})
}

// clip is the beginning of what follows, for people.
func (r *insertReader) clip() string {
	r.has(1)
	return clip(r.buf[r.pos:])
}
