package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// RowsOut is the result of a query under way, as COPY text: byte for byte what COPY TO STDOUT prints for the same rows.
// Read it to its end with Fill; then the session is free for the next one. To end it early, end the context, or call
// the session's Drain.
//
// A row is never held as a whole: memory is the session's read buffer, whatever the size of rows. One difference to
// CopyOut: the bytes that escaping will add are not known before, so a buffer may come back when there is less room in
// it than twice the next row.
type RowsOut struct {
	outStream
	columns int

	// Of the row whose message is being read in pieces:
	fields int    // columns that have not been begun
	left   int    // bytes of the current column that have not been read
	part   bool   // the row has been given out in part
	behind bool   // there are other rows in the buffer before those of this call
	held   []byte // at most 2 bytes that had no room in the last buffer
}

// NextRowsOut takes the result of the oldest queued query, which must be one statement that gives rows. If that failed,
// its error is returned and the next queued query's result may be taken.
//
// COPY has special rules for client encodings in which a byte of a character may look like a backslash or a control
// character. Servers don't use these encodings for databases, and NextRowsOut refuses them.
func (c *Conn) NextRowsOut(ctx context.Context) (*RowsOut, error) {
	if err := c.takeable(ctx); err != nil {
		return nil, err
	}
	var o *RowsOut
	err := c.during(ctx, func() (err error) {
		o, err = c.nextRowsOut()
		return err
	})
	return o, err
}

func (c *Conn) nextRowsOut() (*RowsOut, error) {
	body, err := c.expect(msgRowDescription, "rows")
	if err != nil {
		return nil, err
	}
	columns, text, err := describedColumns(body)
	if err != nil {
		return nil, c.lose(err)
	}
	o := &RowsOut{outStream: outStream{conn: c, uncounted: true}, columns: columns}
	o.next = o.fill
	c.stream = &o.outStream
	switch {
	case !text:
		err = errors.New("the statement gives rows in binary format, only text is supported")
	case EmbedsASCII(c.Encoding()):
		err = fmt.Errorf("rows can't be turned into COPY text in client_encoding %s", c.Encoding())
	default:
		return o, nil
	}
	return nil, errors.Join(err, c.giveUp(c.stream))
}

// describedColumns checks a RowDescription and counts its columns. text says that all of them come as text.
func describedColumns(body []byte) (n int, text bool, err error) {
	const (
		fixed  = 18 // table, number, type, size, modifier, format
		format = 16 // where the format is in it
	)
	if len(body) < 2 {
		return 0, false, fmt.Errorf("%w: malformed row description", ErrProtocol)
	}
	n, text = int(binary.BigEndian.Uint16(body)), true
	body = body[2:]
	for range n {
		_, rest, ok := cutString(body)
		if !ok || len(rest) < fixed {
			return 0, false, fmt.Errorf("%w: malformed row description", ErrProtocol)
		}
		text = text && rest[format] == 0 && rest[format+1] == 0
		body = rest[fixed:]
	}
	if len(body) > 0 {
		return 0, false, fmt.Errorf("%w: %d bytes after the description of the last column", ErrProtocol, len(body))
	}
	return n, text, nil
}

// EmbedsASCII says that bytes below 0x80 may be parts of characters in a client encoding.
func EmbedsASCII(encoding string) bool {
	switch strings.ToUpper(encoding) {
	case "SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC", "GB18030", "JOHAB":
		return true
	default:
		return false
	}
}

// FillAfter is Fill for a buffer that holds other whole rows already, in its first used bytes: those of several small
// results gather in one buffer. n counts only what has been added; it is 0, without an error, if the next row does
// not fit, so a row never comes in parts behind others.
func (o *RowsOut) FillAfter(ctx context.Context, buf []byte, used int) (n int, open bool, err error) {
	if used == len(buf) && o.err == nil {
		return 0, false, nil
	}
	o.behind = used > 0
	defer func() { o.behind = false }()
	return o.Fill(ctx, buf[used:])
}

// fill is what Fill calls.
func (o *RowsOut) fill(ctx context.Context, buf []byte) (n int, open bool, err error) {
	if o.part {
		return o.fillPart(buf)
	}
	in := o.conn.in
	for {
		n += in.textRows(buf[n:], o.columns)
		typ, size, err := in.head()
		if err != nil {
			return n, false, o.conn.lose(err)
		}
		switch {
		case asynchronous(typ):
			if err := o.conn.aside(); err != nil {
				return n, false, err
			}
		case typ != msgDataRow:
			if n > 0 {
				return n, false, nil // the end is for the next call
			}
			return 0, false, o.end(msgCommandComplete)
		case size > (len(buf)-n-rowSlack)/2 && (n > 0 || o.behind):
			return n, false, nil
		case size <= (len(buf)-n-rowSlack)/2 && headerLen+size <= len(in.buf) && in.w-in.r < headerLen+size:
			if err := in.await(headerLen + size); err != nil {
				return n, false, o.conn.lose(err)
			}
		default: // too large for one of the buffers, or wrong
			if err := o.begin(size); err != nil {
				return n, false, err
			}
			m, open, err := o.fillPart(buf[n:])
			if n += m; err != nil || open {
				return n, open, err
			}
		}
		if ctx.Err() != nil {
			return n, false, nil
		}
	}
}

// begin uses up the header of a DataRow with a body of size bytes, and its number of columns.
func (o *RowsOut) begin(size int) error {
	in := o.conn.in
	if size < 2 {
		return o.malformed("row without a number of columns")
	}
	if err := in.await(headerLen + 2); err != nil {
		return o.conn.lose(err)
	}
	if n := int(binary.BigEndian.Uint16(in.buf[in.r+headerLen:])); n != o.columns {
		return o.malformed("row of %d columns, %d were announced", n, o.columns)
	}
	in.r += headerLen + 2
	o.rest, o.fields, o.left = size-2, o.columns, 0
	return nil
}

func (o *RowsOut) malformed(format string, args ...any) error {
	return o.conn.lose(fmt.Errorf("%w: "+format, append([]any{ErrProtocol}, args...)...))
}

// fillPart goes on with the row that has been begun, up to its end or the end of buf. It leaves the row in part if that
// comes first.
func (o *RowsOut) fillPart(buf []byte) (n int, open bool, err error) {
	o.part = true
	for {
		m := copy(buf[n:], o.held)
		n, o.held = n+m, append(o.held[:0], o.held[m:]...)
		switch {
		case len(o.held) > 0 || n == len(buf) && (o.left > 0 || o.fields > 0):
			return n, true, nil
		case o.left > 0:
			m, err := o.data(buf[n:])
			if n += m; err != nil {
				return n, false, err
			}
		case o.fields > 0:
			if err := o.column(); err != nil {
				return n, false, err
			}
		case o.rest > 0:
			return n, false, o.malformed("%d bytes after the last column", o.rest)
		case n == len(buf):
			return n, true, nil
		default:
			buf[n] = '\n'
			o.part = false
			return n + 1, false, nil
		}
	}
}

// column begins the next column: held gets the tab before it and the NULL that it may be.
func (o *RowsOut) column() error {
	in := o.conn.in
	if o.rest < 4 {
		return o.malformed("row ends in a column's length")
	}
	if err := in.await(4); err != nil {
		return o.conn.lose(err)
	}
	length := int(int32(binary.BigEndian.Uint32(in.buf[in.r:]))) //nolint:gosec // -1 is NULL
	in.r += 4
	o.rest -= 4
	if length < -1 || length > o.rest {
		return o.malformed("column of length %d with %d bytes left", length, o.rest)
	}
	if o.fields < o.columns {
		o.held = append(o.held, '\t')
	}
	if length < 0 {
		o.held = append(o.held, '\\', 'N')
	}
	o.left = max(length, 0)
	o.fields--
	return nil
}

// data gives bytes of the current column.
func (o *RowsOut) data(buf []byte) (n int, err error) {
	in := o.conn.in
	if in.r == in.w {
		if err := in.more(); err != nil {
			return 0, o.conn.lose(err)
		}
	}
	src := in.buf[in.r:min(in.w, in.r+o.left)]
	n, used := escapeText(buf, src)
	if used == 0 { // no room for both bytes of an escape
		o.held = append(o.held, '\\', escapes[src[0]])
		used = 1
	}
	in.r += used
	o.left -= used
	o.rest -= used
	return n, nil
}
