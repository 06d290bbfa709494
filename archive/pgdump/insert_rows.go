package pgdump

import (
	"fmt"
	"io"
)

// insertWindow is how many bytes of statements are read at once. A value may be of any size: it goes through the window, and
// out in pieces, and is nowhere whole.
const insertWindow = 256 << 10

// insertReader turns the INSERT statements of one table into COPY text. It knows what dumpTableData_insert of pg_dump writes, byte by
// byte, and nothing else: what is otherwise is an error that says where. Memory: two windows, and two to four times what is given
// to emit at once.
//
//	INSERT INTO s.t VALUES (1, 'it''s', NULL);
//	INSERT INTO s.t (a, "B") OVERRIDING SYSTEM VALUE VALUES
//		(1, true),
//		(2, B'01') ON CONFLICT DO NOTHING;
//	INSERT INTO s.none DEFAULT VALUES;
type insertReader struct {
	form  *insertForm
	src   io.Reader
	check func() error // asked now and then whether to go on; may be nil
	emit  func(text []byte) error

	escapes bool // standard_conforming_strings is off: a backslash in a string is written twice
	wide    wideEncoding
	special [256]bool // what does not stand for itself in a string, or in COPY text

	buf  []byte // read and not yet used: buf[pos:]
	pos  int
	base int64 // bytes of the source before buf
	eof  bool
	out  []byte
	err  error // the first failure, which sticks: an *insertError, or one of the source, of ctx or of emit
}

// insertError says where in the statements of a table there is what can't be read.
type insertError struct {
	err    error // ErrDamaged or ErrTruncated
	offset int64 // from the first byte of the statements
	detail string
}

func (e *insertError) Error() string {
	return fmt.Sprintf("%v: at byte %d: %s", e.err, e.offset, e.detail)
}
func (e *insertError) Unwrap() error { return e.err }

func newInsertReader(src io.Reader, form *insertForm, d dialect, check func() error, emit func([]byte) error) *insertReader {
	r := &insertReader{form: form, src: src, check: check, emit: emit, escapes: !d.std, wide: d.wide}
	for _, c := range []byte("'\\\b\f\n\r\t\v\x00") {
		r.special[c] = true
	}
	for c := 0x80; c < len(r.special) && r.wide != narrow; c++ {
		r.special[c] = true
	}
	return r
}

// all reads every statement. padded tells that pg_dump's two line ends stand behind the last one, as they do in archives;
// without them something is missing.
func (r *insertReader) all(padded bool) error {
	if padded && r.atEnd() { // as much as an empty table has
		r.failf(ErrTruncated, "there is nothing, not even the two line ends that follow the rows")
	}
	lines := 0
	for r.err == nil && !r.atEnd() {
		switch {
		case r.buf[r.pos] == '\n':
			r.pos++
			lines++
			continue
		case padded && lines > 0:
			r.failf(ErrDamaged, "something follows the end of the rows: %s", r.clip())
		}
		lines = 0
		r.statement()
		if r.err == nil && (padded || !r.atEnd()) {
			r.expect("\n", "the end of a line behind a statement")
		}
	}
	if r.err == nil && padded && lines != len(endOfInserts) {
		r.failf(ErrTruncated, "the statements do not end with two line ends")
	}
	r.flush()
	return r.err
}

// endOfInserts stands behind the last statement of a table in an archive.
const endOfInserts = "\n\n"

// statement reads one statement with its semicolon, and tells whether it leaves conflicts alone.
func (r *insertReader) statement() (conflicts bool) {
	if !r.expect(r.form.head, "what the first statement of the table begins with") {
		return false
	}
	if r.form.defaults { // the head is the whole statement
		r.row()
		return false
	}
	between, first := "\n\t(", ""
	if r.accept(" (") {
		first = " ("
	} else if !r.expect(between, "a row in parentheses") {
		return false
	}
	for {
		r.values()
		r.row()
		if r.err != nil || first != "" || !r.accept(","+between) {
			break
		}
	}
	conflicts = r.accept(onConflict)
	r.expect(";", "a semicolon behind a row")
	return conflicts
}

// onConflict is what --on-conflict-do-nothing adds to each statement.
const onConflict = " ON CONFLICT DO NOTHING"

// row ends a row.
func (r *insertReader) row() {
	r.out = append(r.out, '\n')
	if len(r.out) >= rowsChunk {
		r.flush()
	}
}

// values reads the values of a row and its closing parenthesis.
func (r *insertReader) values() {
	first := true
	for i := range r.form.columns {
		if i > 0 && !r.expect(", ", "a comma and one more value") {
			return
		}
		c := &r.form.columns[i]
		if c.generated {
			r.expect("DEFAULT", "DEFAULT for a generated column")
			continue
		}
		if !first {
			r.out = append(r.out, '\t')
		}
		first = false
		r.value(c)
		if r.err != nil {
			return
		}
	}
	r.expect(")", "the end of a row that has a value for each column")
}

// value reads one value.
func (r *insertReader) value(c *tableColumn) {
	if !r.has(1) {
		r.truncated()
		return
	}
	switch b := r.buf[r.pos]; {
	case b == '\'':
		r.pos++
		r.literal(r.escapes)
	case b == '-' || isDigit(b):
		r.number()
	case b == 'N':
		r.keyword("NULL", `\N`)
	case b == 't':
		r.keyword("true", "t")
	case b == 'f':
		r.keyword("false", "f")
	case b == 'B':
		r.bits()
	case b == 'E':
		if r.expect("E'", "a value") {
			r.literal(true)
		}
	case b == 'D' && r.accept("DEFAULT"):
		r.failf(ErrDamaged, "DEFAULT for column %s, which by the definition of the table is not generated", clip([]byte(c.name)))
	default:
		r.failf(ErrDamaged, "pg_dump writes no such value: %s", r.clip())
	}
}

func (r *insertReader) keyword(word, text string) {
	if r.expect(word, "a value") {
		r.out = append(r.out, text...)
	}
}

// number reads an integer, a numeric or a float: what pg_dump does not quote. A numeric has up to 150,000 digits.
func (r *insertReader) number() {
	if r.accept("-") {
		r.out = append(r.out, '-')
	}
	r.digits("0123456789", 1)
	if r.accept(".") {
		r.out = append(r.out, '.')
		r.digits("0123456789", 1)
	}
	if r.err == nil && r.has(1) && r.buf[r.pos]|0x20 == 'e' {
		r.out = append(r.out, r.buf[r.pos])
		r.pos++
		if r.has(1) && (r.buf[r.pos] == '+' || r.buf[r.pos] == '-') {
			r.out = append(r.out, r.buf[r.pos])
			r.pos++
		}
		r.digits("0123456789", 1)
	}
}

// bits reads a bit string.
func (r *insertReader) bits() {
	if r.expect("B'", "a value") {
		r.digits("01", 0)
		r.expect("'", "the end of a bit string")
	}
}

// digits copies what has these digits only, at least some of them.
func (r *insertReader) digits(set string, least int) {
	low, high := set[0], set[len(set)-1]
	n := 0
	for r.err == nil && r.has(1) {
		from := r.pos
		for r.pos < len(r.buf) && r.buf[r.pos] >= low && r.buf[r.pos] <= high {
			r.pos++
		}
		n += r.pos - from
		r.out = append(r.out, r.buf[from:r.pos]...)
		if r.pos < len(r.buf) {
			break
		}
		r.flushLarge()
	}
	if n < least && r.err == nil {
		r.failf(ErrDamaged, "a digit is missing: %s", r.clip())
	}
}
