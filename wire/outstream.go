package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// outStream is what [CopyOut] and [RowsOut] have in common: rows on their way from the server, as COPY text.
type outStream struct {
	conn  *Conn
	next  func(ctx context.Context, buf []byte) (n int, open bool, err error) // Fill without watching and counting
	rest  int                                                                 // bytes of the current message that are still to come
	rows  uint64
	bytes uint64
	err   error // why there are no more rows; io.EOF at the regular end

	uncounted bool // the server may end it without a row count
}

// Rows counts the rows that have been given out whole.
func (o *outStream) Rows() uint64 { return o.rows }

// Bytes counts the bytes that have been given out.
func (o *outStream) Bytes() uint64 { return o.bytes }

// Fill copies rows into buf and returns how many bytes. It waits until buf is full, in that the next row does not fit,
// or until the rows end; so buffers of 1 MiB and more cost least.
//
// Rows come whole. Only one that is larger than buf comes in parts: it starts at the start of buf, open is true, and
// the next Fill goes on with it; the part with open false ends it and holds no other row.
//
// At the regular end the error is io.EOF, with n 0, after the server's row count has been compared (ErrRowCount). Some
// statements end without a count: RETRIEVE from Greenplum's endpoints is one.
// With any other error what has been read is of no use, but the session may be: see Conn.Err.
func (o *outStream) Fill(ctx context.Context, buf []byte) (n int, open bool, err error) {
	if o.err != nil {
		return 0, false, o.err
	}
	if len(buf) == 0 {
		return 0, false, io.ErrShortBuffer
	}
	// TLS gives out 16 KiB at a time, whatever has gathered.
	o.conn.in.bulk = o.bytes > pauseAfter && o.conn.tls == nil
	defer func() { o.conn.in.bulk = false }()
	if o.bytes > pauseAfter {
		o.conn.socket.unwatch()
	}
	err = o.conn.during(ctx, func() error {
		var err error
		if n, open, err = o.next(ctx, buf); err == nil && ctx.Err() != nil {
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

// fail ends the stream for the caller.
func (o *outStream) fail(err error) {
	o.err = err
	if o.conn.stream == o {
		o.conn.stream = nil
	}
}

// abandon has the rest read by somebody else: of a message that has been begun, the scanner skips the rest.
func (o *outStream) abandon() {
	o.conn.in.skip = o.rest
	o.fail(errors.New("the rows were given up"))
}

// end reads what comes after the last row, from the message that says so, of type done. Its error is io.EOF if all is well.
func (o *outStream) end(done byte) error {
	c := o.conn
	typ, body, err := c.message(false)
	if err != nil {
		return err
	}
	if typ != done && typ != msgError {
		return c.lose(fmt.Errorf("%w: message of type %q within rows", ErrProtocol, typ))
	}
	r := result{conn: c}
	if err := r.take(typ, body); err != nil {
		return c.lose(err)
	}
	c.stream = nil
	if err := r.read(); err != nil {
		return err
	}
	if !r.tag.counted && o.uncounted {
		return io.EOF
	}
	if uint64(r.tag.Rows) != o.rows { //nolint:gosec // a negative count is a wrong one, too
		return fmt.Errorf("%w: %d rows arrived, but the server says %q", ErrRowCount, o.rows, r.tag.Text)
	}
	return io.EOF
}

// expect reads the message that starts the result of the oldest queued query, and gives its body. Where it is not of type want,
// it reads the whole result: its error is then the query's, or says that what was wanted did not come.
func (c *Conn) expect(want byte, what string) ([]byte, error) {
	if err := c.flush(); err != nil {
		return nil, err
	}
	typ, body, err := c.message(false)
	if err != nil || typ == want {
		return body, err
	}
	if typ == msgReadyForQuery || typ == msgDataRow {
		return nil, c.lose(fmt.Errorf("%w: message of type %q at the start of a result", ErrProtocol, typ))
	}
	r := result{conn: c, discard: true}
	if err := r.take(typ, body); err != nil {
		return nil, c.lose(err)
	}
	if err := r.read(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s expected, but the statement was: %s", what, r.tag.Text)
}

// giveUp throws away what is left of a stream.
func (c *Conn) giveUp(o *outStream) error {
	o.abandon()
	r := result{conn: c, discard: true}
	return r.read()
}
