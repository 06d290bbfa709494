package pgdump

import (
	"bytes"
	"errors"
	"io"
)

// scriptChunk is how many bytes of a script are read at once.
const scriptChunk = 1 << 20

// maxIdle is up to where a window grows by doubling, and what it may have while it needs less.
const maxIdle = 16 << 20

// input is a stretch of a script as a window that moves forward over it, or a text in memory. Offsets are those of the
// file.
type input struct {
	r     io.ReaderAt // nil for a text in memory
	end   int64       // where it ends
	buf   []byte      // what is in the window
	start int64       // offset of buf[0]
	pos   int         // next byte in buf
	keep  int64       // bytes from this offset on stay in the window; -1 for none before pos
	tok   int64       // likewise, of the token that is being read
	check func() error
	err   error // the first failure, which sticks
}

// newInput reads the bytes of r in [from, end). check is asked now and then whether to go on; it may be nil.
func newInput(r io.ReaderAt, from, end int64, check func() error) *input {
	return &input{r: r, start: from, end: end, keep: -1, tok: -1, check: check}
}

func textInput(text []byte) *input {
	return &input{end: int64(len(text)), buf: text, keep: -1, tok: -1}
}

func (in *input) offset() int64 { return in.start + int64(in.pos) }

// bytes gives what is in the window of [from, to).
func (in *input) bytes(from, to int64) []byte { return in.buf[from-in.start : to-in.start] }

func (in *input) fail(err error) {
	if in.err == nil {
		in.err = err
	}
}

// more reads on, and lets go of what no one keeps. It reports false at the end and after a failure. It finds zero bytes,
// which neither SQL nor COPY text has.
func (in *input) more() bool {
	at := in.start + int64(len(in.buf))
	if in.err != nil || in.r == nil || at >= in.end {
		return false
	}
	if in.check != nil {
		if err := in.check(); err != nil {
			in.fail(err)
			return false
		}
	}
	if in.tok >= 0 && at-in.tok > maxComment+scriptChunk {
		in.fail(scriptErrorf(ErrDamaged, in.tok, "a name, a number or a comment of more than %d bytes", maxComment))
		return false
	}
	n := int(min(scriptChunk, in.end-at))
	had := in.room(n)
	if had >= maxString {
		in.fail(scriptErrorf(ErrDamaged, in.offset(), "a statement of more than %d bytes", maxString))
		return false
	}
	in.buf = in.buf[:had+n]
	got, err := in.r.ReadAt(in.buf[had:], at)
	if got < n {
		in.buf = in.buf[:had+got]
		if err == nil || errors.Is(err, io.EOF) {
			err = scriptErrorf(ErrTruncated, at+int64(got), "the file has become shorter while it was read")
		}
		in.fail(err)
		return false
	}
	if i := bytes.IndexByte(in.buf[had:], 0); i >= 0 {
		in.fail(scriptErrorf(ErrDamaged, at+int64(i), "a zero byte"))
		in.buf = in.buf[:had]
		return false
	}
	return true
}

// room makes room for n bytes and says how much of the window stays.
func (in *input) room(n int) int {
	from := in.offset()
	if in.keep >= 0 {
		from = min(from, in.keep)
	}
	if in.tok >= 0 {
		from = min(from, in.tok)
	}
	drop := int(from - in.start)
	rest := in.buf[drop:]
	switch need := len(rest) + n; {
	case need > cap(in.buf), cap(in.buf) > maxIdle && need < cap(in.buf)/8: // what a large statement took is let go of
		// That a part of what has arrived is added keeps copying linear.
		in.buf = append(make([]byte, 0, need+max(n, min(len(rest), maxIdle+len(rest)/4))), rest...)
	default:
		in.buf = in.buf[:copy(in.buf, rest)]
	}
	in.start = from
	in.pos -= drop
	return len(in.buf)
}

// skipPast passes everything up to the end of a mark, and reports whether the mark is there.
func (in *input) skipPast(mark []byte) bool {
	for {
		if i := bytes.Index(in.buf[in.pos:], mark); i >= 0 {
			in.pos += i + len(mark)
			return true
		}
		in.pos = max(in.pos, len(in.buf)-len(mark)+1)
		if !in.more() {
			in.pos = len(in.buf)
			return false
		}
	}
}
