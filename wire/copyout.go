package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// CopyOut is a COPY TO STDOUT under way, in text form: rows that end with a line feed. Read it to its end with Fill;
// then the session is free for the next one. To end it early, end the context, or call the session's Drain.
type CopyOut struct {
	outStream
	inRow bool   // the last part was not the end of its row
	ahead []byte // what came with the last part, but belongs to the rows after it
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
	body, err := c.expect(msgCopyOut, "COPY TO STDOUT")
	if err != nil {
		return nil, err
	}
	if len(body) < 3 {
		return nil, c.lose(fmt.Errorf("%w: malformed CopyOutResponse", ErrProtocol))
	}
	o := &CopyOut{outStream: outStream{conn: c}}
	o.next = o.fill
	c.stream = &o.outStream
	if body[0] != 0 {
		err := errors.New("the statement is a COPY in binary format, only text is supported")
		return nil, errors.Join(err, c.giveUp(c.stream))
	}
	return o, nil
}

// fill is what Fill calls.
func (o *CopyOut) fill(ctx context.Context, buf []byte) (n int, open bool, err error) {
	if o.rest > 0 || len(o.ahead) > 0 {
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
			return 0, false, o.end(msgCopyDone)
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

// fillPart gives the next part of a message that is larger than buf was at its start. That is one row of PostgreSQL, and
// rows of several segments of Greenplum, whose coordinator gathers them: so the part ends where a row does, if one does.
func (o *CopyOut) fillPart(buf []byte) (n int, open bool, err error) {
	n = copy(buf, o.ahead)
	o.ahead = o.ahead[n:]
	want := n + min(o.rest, len(buf)-n)
	for n < want {
		m, err := o.conn.in.read(buf[n:want])
		if err != nil {
			return 0, false, o.conn.lose(err)
		}
		n += m
		o.rest -= m
	}
	if o.rest == 0 && len(o.ahead) == 0 && buf[n-1] != '\n' {
		return 0, false, o.conn.lose(fmt.Errorf("%w: CopyData that does not end with a line feed", ErrProtocol))
	}
	end := bytes.LastIndexByte(buf[:n], '\n') + 1
	if o.inRow {
		end = bytes.IndexByte(buf[:n], '\n') + 1
	}
	o.inRow = end == 0
	if o.inRow {
		return n, true, nil
	}
	o.ahead = slices.Concat(buf[end:n], o.ahead)
	return end, false, nil
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
