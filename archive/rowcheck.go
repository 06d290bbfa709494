package archive

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// RowCheck looks whether rows can be those of their table: by the number of their fields, and whether their bytes can be text. It takes
// rows as a [RowCutter] gives them.
type RowCheck struct {
	Columns int  // 0 where they are not known: then all rows must have as many fields as the first
	UTF8    bool // they must be UTF-8, too

	rows   uint64
	fields int // of a row in parts, so far
	wrong  string
}

// Wrong says what is wrong with the first row that can't be right; "" if there is none.
func (c *RowCheck) Wrong() string { return c.wrong }

// Add looks at a run of rows, or at a part of one.
func (c *RowCheck) Add(run []byte, part uint32, more bool) {
	if c.wrong != "" {
		return
	}
	if bytes.IndexByte(run, 0) >= 0 {
		c.zero(run)
		return
	}
	if part > 0 || more { // a character may be cut here, so only fields are counted
		if c.fields += bytes.Count(run, []byte{'\t'}); !more {
			c.count(c.fields + 1)
			c.fields = 0
		}
		return
	}
	before := c.rows
	for row := range bytes.Lines(run) {
		c.count(bytes.Count(row, []byte{'\t'}) + 1)
	}
	if c.UTF8 && c.wrong == "" && !utf8.Valid(run) {
		for row := range bytes.Lines(run) {
			if before++; !utf8.Valid(row) {
				c.wrong = fmt.Sprintf("row %d is not UTF-8: %.60q", before, row)
				return
			}
		}
	}
}

// zero says which row has a zero byte, which no text has: as where a block of a file was lost.
func (c *RowCheck) zero(run []byte) {
	row := c.rows + 1 + uint64(bytes.Count(run[:bytes.IndexByte(run, 0)], []byte{'\n'}))
	c.wrong = fmt.Sprintf("row %d has a zero byte", row)
}

func (c *RowCheck) count(fields int) {
	if c.Columns == 0 {
		c.Columns = fields
	}
	if c.rows++; c.wrong == "" && fields != c.Columns {
		c.wrong = fmt.Sprintf("row %d has %d fields, the table has %d columns", c.rows, fields, c.Columns)
	}
}
