package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// CopyOut is a COPY TO STDOUT under way, in text form: rows that end with a line feed. Read it to its end with Fill;
// then the session is free for the next one. To end it early, end the context, or call the session's Drain.
type CopyOut struct {
	conn  *Conn
	rest  int // bytes of the current row that are still to come: it is larger than the buffers it is read into
	rows  uint64
	bytes uint64
	err   error // why there are no more rows; io.EOF at the regular end
}

// CopyOut starts a COPY TO STDOUT.
func (c *Conn) CopyOut(ctx context.Context, sql string) (*CopyOut, error) {
	if c.err != nil {
		return nil, c.err
	}
	if len(c.lengths) > 0 || c.copyIn != nil {
		return nil, fmt.Errorf("%w: %s", ErrBusy, shorten(sql))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var o *CopyOut
	err := c.during(ctx, func() (err error) {
		if err = c.Send(sql); err == nil {
			o, err = c.nextCopyOut()
		}
		return err
	})
	return o, err
}

// NextCopyOut takes the result of the oldest queued query, which must be one COPY TO STDOUT statement. If that failed,
// its error is returned and the next queued query's result may be taken.
func (c *Conn) NextCopyOut(ctx context.Context) (*CopyOut, error) {
	if err := c.takeable(ctx); err != nil {
		return nil, err
	}
	var o *CopyOut
	err := c.during(ctx, func() (err error) {
		o, err = c.nextCopyOut()
		return err
	})
	return o, err
}

func (c *Conn) nextCopyOut() (*CopyOut, error) {
	if err := c.flush(); err != nil {
		return nil, err
	}
	typ, body, err := c.message()
	if err != nil {
		return nil, err
	}
	if typ != msgCopyOut {
		return nil, c.notCopyOut(typ, body)
	}
	if len(body) < 3 {
		return nil, c.lose(fmt.Errorf("%w: malformed CopyOutResponse", ErrProtocol))
	}
	c.copyOut = &CopyOut{conn: c}
	if body[0] != 0 {
		err := errors.New("the statement is a COPY in binary format, only text is supported")
		return nil, errors.Join(err, c.finishCopyOut(c.copyOut))
	}
	return c.copyOut, nil
}

// notCopyOut reads the result of a query that is no COPY, which begins with the message given.
func (c *Conn) notCopyOut(typ byte, body []byte) error {
	r := result{conn: c, discard: true}
	if typ == msgReadyForQuery {
		return c.lose(fmt.Errorf("%w: query without a result", ErrProtocol))
	}
	if err := r.take(typ, body); err != nil {
		return c.lose(err)
	}
	if err := r.read(); err != nil {
		return err
	}
	return fmt.Errorf("COPY TO STDOUT expected, but the statement was: %s", r.tag.Text)
}

// finishCopyOut throws away what is left of a COPY.
func (c *Conn) finishCopyOut(o *CopyOut) error {
	o.abandon()
	r := result{conn: c, discard: true}
	return r.read()
}

// Rows counts the rows that have been given out whole.
func (o *CopyOut) Rows() uint64 { return o.rows }

// Bytes counts the bytes that have been given out.
func (o *CopyOut) Bytes() uint64 { return o.bytes }

// Fill copies rows into buf and returns how many bytes. It waits until buf is full, in that the next row does not fit,
// or until the COPY ends; so buffers of 1 MiB and more cost least.
//
// Rows come whole. Only one that is larger than buf comes in parts: it starts at the start of buf, open is true, and
// the next Fill goes on with it; the part with open false ends it and holds no other row.
//
// At the regular end the error is io.EOF, with n 0, after the server's row count has been compared (ErrRowCount).
// With any other error what has been read is of no use, but the session may be: see Conn.Err.
func (o *CopyOut) Fill(ctx context.Context, buf []byte) (n int, open bool, err error) {
	if o.err != nil {
		return 0, false, o.err
	}
	if len(buf) == 0 {
		return 0, false, io.ErrShortBuffer
	}
	// TLS gives out 16 KiB at a time, whatever has gathered.
	o.conn.in.bulk = o.bytes > pauseAfter && o.conn.tls == nil
	defer func() { o.conn.in.bulk = false }()
	err = o.conn.during(ctx, func() error {
		var err error
		if n, open, err = o.fill(ctx, buf); err == nil && ctx.Err() != nil {
			// What is queued behind is given up, too: it belongs to the work that was cancelled.
			err = ctx.Err()
			if lost := o.conn.drain(); lost != nil {
				err = fmt.Errorf("%w: %w", err, lost)
			}
		}
		return err
	})
	if err != nil {
		o.fail(err)
		return 0, false, o.err
	}
	o.rows += uint64(bytes.Count(buf[:n], []byte{'\n'})) //nolint:gosec // not negative
	o.bytes += uint64(n)                                 //nolint:gosec // not negative
	return n, open, nil
}

// fail ends the COPY for the caller.
func (o *CopyOut) fail(err error) {
	o.err = err
	if o.conn.copyOut == o {
		o.conn.copyOut = nil
	}
}

// abandon has the rest of the COPY read by somebody else: of a row that has been begun, the scanner skips the rest.
func (o *CopyOut) abandon() {
	o.conn.in.skip = o.rest
	o.fail(errors.New("COPY was given up"))
}

// fill is Fill without contexts and counters.
func (o *CopyOut) fill(ctx context.Context, buf []byte) (n int, open bool, err error) {
	if o.rest > 0 {
		return o.fillPart(buf)
	}
	in := o.conn.in
	for {
		n += in.copyRows(buf[n:])
		typ, size, err := in.head()
		if err != nil {
			return n, false, o.conn.lose(err)
		}
		switch {
		case asynchronous(typ):
			if err := o.conn.aside(); err != nil {
				return n, false, err
			}
		case typ != msgCopyData:
			if n > 0 {
				return n, false, nil // the end is for the next call
			}
			return 0, false, o.end()
		case size == 0:
			return n, false, o.conn.lose(fmt.Errorf("%w: CopyData without a row", ErrProtocol))
		case size > len(buf)-n && n > 0:
			return n, false, nil
		case size > len(buf):
			in.r += headerLen
			o.rest = size
			return o.fillPart(buf)
		case headerLen+size > len(in.buf): // past the read buffer, which is too small for it
			in.r += headerLen
			o.rest = size
			if _, _, err := o.fillPart(buf[n : n+size]); err != nil {
				return n, false, err
			}
			n += size
		case in.w-in.r < headerLen+size:
			if err := in.await(headerLen + size); err != nil {
				return n, false, o.conn.lose(err)
			}
		case in.buf[in.r+headerLen+size-1] != '\n':
			return n, false, o.conn.lose(fmt.Errorf("%w: CopyData that does not end with a line feed", ErrProtocol))
		}
		if ctx.Err() != nil {
			return n, false, nil
		}
	}
}

// fillPart gives the next part of a row that is larger than buf was at its start.
func (o *CopyOut) fillPart(buf []byte) (n int, open bool, err error) {
	want := min(o.rest, len(buf))
	for n < want {
		m, err := o.conn.in.read(buf[n:want])
		if err != nil {
			return 0, false, o.conn.lose(err)
		}
		n += m
		o.rest -= m
	}
	if o.rest == 0 && buf[n-1] != '\n' {
		return 0, false, o.conn.lose(fmt.Errorf("%w: CopyData that does not end with a line feed", ErrProtocol))
	}
	return n, o.rest > 0, nil
}

// end reads what comes after the last row. Its error is io.EOF if all is well.
func (o *CopyOut) end() error {
	c := o.conn
	typ, body, err := c.message()
	if err != nil {
		return err
	}
	r := result{conn: c}
	switch typ {
	case msgCopyDone:
	case msgError:
		if err := r.take(typ, body); err != nil {
			return c.lose(err)
		}
	default:
		return c.lose(fmt.Errorf("%w: message of type %q within COPY", ErrProtocol, typ))
	}
	c.copyOut = nil
	if err := r.read(); err != nil {
		return err
	}
	if uint64(r.tag.Rows) != o.rows { //nolint:gosec // a negative count is a wrong one, too
		return fmt.Errorf("%w: %d rows arrived, but the server says %q", ErrRowCount, o.rows, r.tag.Text)
	}
	return io.EOF
}

// copyRows copies the rows that are whole in the read buffer and fit into buf. This is the loop that all rows pass.
func (s *scanner) copyRows(buf []byte) (n int) {
	in := s.buf[s.r:s.w]
	for len(in) > headerLen && in[0] == msgCopyData {
		end := int(binary.BigEndian.Uint32(in[1:headerLen])) + 1
		if end <= headerLen || end > len(in) || end-headerLen > len(buf)-n || in[end-1] != '\n' {
			break
		}
		copy(buf[n:], in[headerLen:end])
		n += end - headerLen
		in = in[end:]
	}
	s.r = s.w - len(in)
	return n
}

// await reads until the buffer holds n bytes, or is full.
func (s *scanner) await(n int) error {
	for s.w-s.r < n && s.w-s.r < len(s.buf) {
		if err := s.more(); err != nil {
			return err
		}
	}
	return nil
}
