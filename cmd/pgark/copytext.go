package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// errRowShape is a row that does not have the fields that its stream declares.
var errRowShape = errors.New("a row has another number of fields than its table has columns")

// rowShaper rewrites rows of COPY text: other columns, or CSV as the server's own COPY ... CSV writes it.
type rowShaper struct {
	w      io.Writer
	fields int   // in a row
	pick   []int // which fields, in which order; nil for all
	csv    bool

	partial []byte // beginning of a row whose end is in a later part; rows are at most 1 GB, PostgreSQL's own limit
	out     []byte
	cells   [][]byte
	plain   []byte
}

// write takes bytes of whole or partial rows, in order.
func (s *rowShaper) write(p []byte) error {
	s.out = s.out[:0]
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			s.partial = append(s.partial, p...)
			break
		}
		row := p[:i]
		if len(s.partial) > 0 {
			s.partial = append(s.partial, row...)
			row = s.partial
		}
		if err := s.row(row); err != nil {
			return err
		}
		s.partial = s.partial[:0]
		p = p[i+1:]
	}
	_, err := s.w.Write(s.out)
	return err
}

func (s *rowShaper) row(row []byte) error {
	if s.fields > 0 {
		s.cells = splitFields(s.cells[:0], row)
	} else {
		s.cells = s.cells[:0]
	}
	if len(s.cells) != s.fields {
		return fmt.Errorf("%w: %d, not %d", errRowShape, len(s.cells), s.fields)
	}
	if s.pick == nil {
		for i, cell := range s.cells {
			s.cell(i, cell, s.fields)
		}
	} else {
		for i, field := range s.pick {
			s.cell(i, s.cells[field], len(s.pick))
		}
	}
	s.out = append(s.out, '\n')
	return nil
}

// cell appends field number i of n.
func (s *rowShaper) cell(i int, field []byte, n int) {
	if !s.csv {
		if i > 0 {
			s.out = append(s.out, '\t')
		}
		s.out = append(s.out, field...)
		return
	}
	if i > 0 {
		s.out = append(s.out, ',')
	}
	if len(field) == 2 && field[0] == '\\' && field[1] == 'N' {
		return
	}
	s.plain = unescapeCopy(s.plain[:0], field)
	s.out = appendCSV(s.out, s.plain, n == 1)
}

// splitFields splits a row at its tabs. Tabs inside values are escaped, so every tab is a delimiter.
func splitFields(cells [][]byte, row []byte) [][]byte {
	for {
		i := bytes.IndexByte(row, '\t')
		if i < 0 {
			return append(cells, row)
		}
		cells = append(cells, row[:i])
		row = row[i+1:]
	}
}

// unescapeCopy undoes the backslashes of COPY text ("File Formats" of COPY in PostgreSQL's manual).
func unescapeCopy(dst, field []byte) []byte {
	for len(field) > 0 {
		i := bytes.IndexByte(field, '\\')
		if i < 0 || i+1 == len(field) {
			return append(dst, field...)
		}
		dst = append(dst, field[:i]...)
		c := field[i+1]
		field = field[i+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'v':
			c = '\v'
		case '0', '1', '2', '3', '4', '5', '6', '7':
			c, field = octal(c-'0', field)
		case 'x':
			c, field = hexByte(field)
		}
		dst = append(dst, c)
	}
	return dst
}

// octal reads up to two more digits of \ooo.
func octal(v byte, rest []byte) (byte, []byte) {
	for n := 0; n < 2 && len(rest) > 0 && rest[0] >= '0' && rest[0] <= '7'; n++ {
		v, rest = v<<3|(rest[0]-'0'), rest[1:]
	}
	return v, rest
}

// hexByte reads the one or two digits of \xhh; without any, the x stands for itself.
func hexByte(rest []byte) (byte, []byte) {
	v, n := byte(0), 0
	for n < 2 && n < len(rest) {
		d, ok := hexDigit(rest[n])
		if !ok {
			break
		}
		v, n = v<<4|d, n+1
	}
	if n == 0 {
		return 'x', rest
	}
	return v, rest[n:]
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// appendCSV writes one value as COPY ... CSV does: quoted if it is empty (an unquoted nothing is NULL), has a comma, quote
// or line end, or is \. alone on its line.
func appendCSV(dst, v []byte, alone bool) []byte {
	if len(v) > 0 && !bytes.ContainsAny(v, ",\"\n\r") && !(alone && string(v) == `\.`) {
		return append(dst, v...)
	}
	dst = append(dst, '"')
	for _, c := range v {
		if c == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// appendCopyText escapes one value for COPY text.
func appendCopyText(dst []byte, v string) []byte {
	for i := 0; i < len(v); i++ {
		switch c := v[i]; c {
		case '\\':
			dst = append(dst, '\\', '\\')
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\v':
			dst = append(dst, '\\', 'v')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// headerLine is the line of column names that COPY ... HEADER writes.
func headerLine(names []string, csv bool) []byte {
	var line []byte
	for i, name := range names {
		switch {
		case csv && i > 0:
			line = append(line, ',')
		case i > 0:
			line = append(line, '\t')
		}
		if csv {
			line = appendCSV(line, []byte(name), len(names) == 1)
		} else {
			line = appendCopyText(line, name)
		}
	}
	return append(line, '\n')
}
