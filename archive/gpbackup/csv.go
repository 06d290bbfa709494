package gpbackup

import (
	"fmt"
)

// csvRows turns CSV as COPY ... TO ... WITH CSV writes it into COPY text, as COPY ... TO would have written the same rows:
// nothing is NULL and "" an empty text, quotes are doubled, and a value may hold anything, line breaks included.
//
// It takes its input in pieces that may end anywhere, and gives rows in pieces that may, too. Memory: one piece, at most twice as
// long as what came in.
type csvRows struct {
	columns int // fields of a row; -1 if it is not known
	fn      func(text []byte) error

	state  csvState
	fields int    // of this row, so far
	rows   uint64 // complete ones
	offset int64  // of the input
	out    []byte
}

type csvState uint8

const (
	csvStart  csvState = iota // at the beginning of a field
	csvPlain                  // in a field without quotes
	csvQuoted                 // within quotes
	csvQuote                  // behind a quote within quotes: it ends them, or stands for one if another follows
)

// csvClass says what a byte means: 0 itself, else a letter of COPY text after a backslash, or one of the marks.
type csvClass [256]byte

const (
	csvComma   = 1
	csvNewline = 2
	csvMark    = 3 // a quote
)

func newCSVClass() *csvClass {
	var c csvClass
	c[','], c['\n'], c['"'] = csvComma, csvNewline, csvMark
	c['\\'], c['\b'], c['\f'], c['\r'], c['\t'], c['\v'] = '\\', 'b', 'f', 'r', 't', 'v'
	return &c
}

// write takes a piece of the input.
func (c *csvRows) write(p []byte, class *csvClass) error {
	c.out = c.out[:0]
	for i := 0; i < len(p); {
		switch c.state {
		case csvStart:
			if p[i] == '"' {
				c.state = csvQuoted
				i++
				continue
			}
			if p[i] == ',' || p[i] == '\n' {
				if !c.noColumns() {
					c.out = append(c.out, '\\', 'N')
				}
				if err := c.endField(p[i], i); err != nil {
					return err
				}
				i++
				continue
			}
			c.state = csvPlain
		case csvPlain:
			from := i
			for i < len(p) && class[p[i]] == 0 {
				i++
			}
			c.out = append(c.out, p[from:i]...)
			if i == len(p) {
				break
			}
			switch k := class[p[i]]; k {
			case csvComma, csvNewline:
				if err := c.endField(p[i], i); err != nil {
					return err
				}
			case csvMark, 'r':
				return c.damaged(i, "a quote or a carriage return in a value without quotes")
			default:
				c.out = append(c.out, '\\', k)
			}
			i++
		case csvQuoted:
			from := i
			for i < len(p) && (class[p[i]] == 0 || p[i] == ',') {
				i++
			}
			c.out = append(c.out, p[from:i]...)
			if i == len(p) {
				break
			}
			switch k := class[p[i]]; k {
			case csvMark:
				c.state = csvQuote
			case csvNewline:
				c.out = append(c.out, '\\', 'n')
			default:
				c.out = append(c.out, '\\', k)
			}
			i++
		case csvQuote:
			switch p[i] {
			case '"':
				c.out = append(c.out, '"')
				c.state = csvQuoted
			case ',', '\n':
				if err := c.endField(p[i], i); err != nil {
					return err
				}
			default:
				return c.damaged(i, "text follows a closing quote")
			}
			i++
		}
	}
	c.offset += int64(len(p))
	if len(c.out) == 0 {
		return nil
	}
	return c.fn(c.out)
}

// noColumns tells whether an empty line is a row without fields, not a NULL.
func (c *csvRows) noColumns() bool { return c.columns == 0 && c.fields == 0 }

func (c *csvRows) endField(mark byte, at int) error {
	c.state = csvStart
	c.fields++
	if mark == ',' {
		c.out = append(c.out, '\t')
		return nil
	}
	if c.columns >= 0 && c.fields != max(c.columns, 1) {
		return c.damaged(at, fmt.Sprintf("it has %d fields, the table %d columns", c.fields, c.columns))
	}
	c.out = append(c.out, '\n')
	c.fields = 0
	c.rows++
	return nil
}

func (c *csvRows) damaged(at int, what string) error {
	return fmt.Errorf("%w: row %d, at byte %d of the table's CSV: %s", ErrDamaged, c.rows+1, c.offset+int64(at), what)
}

// close looks whether the input ended with a row.
func (c *csvRows) close() error {
	if c.state != csvStart || c.fields > 0 {
		return fmt.Errorf("%w: the table's CSV ends within row %d, after %d bytes", ErrIncomplete, c.rows+1, c.offset)
	}
	return nil
}
