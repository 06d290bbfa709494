package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	copyInBuffer  = 128 << 10 // small writes are gathered up to here
	copyInMessage = 1 << 20   // of larger ones, one message holds so much; rows may span messages
)

// CopyIn is a COPY FROM STDIN under way. It must be ended with Close or Abort. Write, Close and Abort are for one
// goroutine at a time.
type CopyIn struct {
	conn  *Conn
	watch *watch
	ended func() error // the error of the context that CopyIn was called with: that covers the whole COPY

	buf []byte // a CopyData message that has not been sent; its header is filled in when it is

	failed atomic.Pointer[ServerError] // what the server said before the end
	done   chan struct{}               // closed when the server's answer is complete; the fields below are valid then
	tag    Tag
	status byte
	params [][2]string // parameters that changed meanwhile
	lost   error       // why the answer never came
	over   error       // set by Close and Abort
}

// CopyIn starts a COPY FROM STDIN. When ctx ends, also later, between Writes, the COPY is cancelled.
func (c *Conn) CopyIn(ctx context.Context, sql string) (*CopyIn, error) {
	if c.err != nil {
		return nil, c.err
	}
	if len(c.lengths) > 0 || c.copyIn != nil {
		return nil, fmt.Errorf("%w: %s", ErrBusy, shorten(sql))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err := c.during(ctx, func() error {
		if err := c.Send(sql); err != nil {
			return err
		}
		return c.startCopyIn()
	})
	if err != nil {
		return nil, err
	}
	ci := &CopyIn{conn: c, ended: ctx.Err, done: make(chan struct{}), buf: make([]byte, headerLen, copyInBuffer)}
	c.copyIn = ci
	ci.watch = c.watch(ctx)
	go ci.listen()
	return ci, nil
}

// startCopyIn reads the server's first answer.
func (c *Conn) startCopyIn() error {
	if err := c.flush(); err != nil {
		return err
	}
	typ, body, err := c.message(false)
	if err != nil {
		return err
	}
	if typ == msgCopyIn {
		return nil
	}
	r := result{conn: c, discard: true}
	if err := r.take(typ, body); err != nil {
		return c.lose(err)
	}
	if err := r.read(); err != nil {
		return err
	}
	return fmt.Errorf("COPY FROM STDIN expected, but the statement was: %s", r.tag.Text)
}

// listen reads the server's answer in a goroutine of its own: an error comes while rows are still being sent.
func (ci *CopyIn) listen() {
	defer close(ci.done)
	for {
		typ, body, err := ci.conn.in.next()
		if err == nil {
			var complete bool
			if complete, err = ci.take(typ, body); complete {
				return
			}
		}
		if err != nil {
			ci.lost = err
			// A Write may wait for the other side to take rows, which never fails if only the half to us was closed, as what
			// stands between us and the server may do.
			ci.conn.nc.SetWriteDeadline(time.Unix(1, 0)) //nolint:errcheck,gosec // fails only if it is closed already
			return
		}
	}
}

func (ci *CopyIn) take(typ byte, body []byte) (complete bool, err error) {
	switch typ {
	case msgParameterStatus: // the session's own map belongs to another goroutine
		name, rest, ok := cutString(body)
		value, _, ok2 := cutString(rest)
		if !ok || !ok2 {
			return false, fmt.Errorf("%w: malformed parameter status", ErrProtocol)
		}
		ci.params = append(ci.params, [2]string{name, value})
	case msgNotice, msgNotification:
		return false, ci.conn.handle(typ, body)
	case msgError:
		e, err := parseServerError(body)
		if err != nil {
			return false, err
		}
		ci.failed.CompareAndSwap(nil, e)
		if e.Fatal() {
			return false, e
		}
	case msgCommandComplete:
		text, _, ok := cutString(body)
		if !ok {
			return false, fmt.Errorf("%w: malformed command tag", ErrProtocol)
		}
		ci.tag = parseTag(text)
	case msgReadyForQuery:
		if len(body) != 1 {
			return false, fmt.Errorf("%w: malformed ReadyForQuery", ErrProtocol)
		}
		ci.status = body[0]
		return true, nil
	default:
		return false, fmt.Errorf("%w: message of type %q in a COPY FROM STDIN", ErrProtocol, typ)
	}
	return false, nil
}

// Write sends rows; they need not be whole. p is not kept. If the server has refused the COPY meanwhile, its error is
// returned; Close or Abort must still be called. Large writes are sent as they are, small ones are gathered.
func (ci *CopyIn) Write(p []byte) (int, error) {
	if err := ci.problem(); err != nil {
		return 0, err
	}
	if len(p) <= copyInBuffer-len(ci.buf) {
		ci.buf = append(ci.buf, p...)
		return len(p), nil
	}
	written := 0
	for written < len(p) {
		if err := ci.problem(); err != nil {
			return written, err
		}
		part := p[written:min(len(p), written+copyInMessage)]
		if err := ci.send(part); err != nil {
			return written, err
		}
		written += len(part)
	}
	return written, nil
}

// problem says why no more rows should be sent.
func (ci *CopyIn) problem() error {
	if ci.over != nil {
		return ci.over
	}
	if e := ci.failed.Load(); e != nil {
		if e.Fatal() {
			return ci.conn.lose(e)
		}
		return e
	}
	select {
	case <-ci.done:
		return ci.answerLost()
	default:
		return ci.ended()
	}
}

// answerLost is the error for a session that went away, or a server that answered before it was asked.
func (ci *CopyIn) answerLost() error {
	if ci.lost != nil {
		return ci.conn.lose(ci.lost)
	}
	return ci.conn.lose(fmt.Errorf("%w: COPY FROM STDIN ended by itself: %s", ErrProtocol, ci.tag.Text))
}

// send sends what was gathered and p in one message.
func (ci *CopyIn) send(p []byte) error {
	if len(ci.buf)+len(p) == headerLen {
		return nil
	}
	ci.buf[0] = msgCopyData
	binary.BigEndian.PutUint32(ci.buf[1:], uint32(len(ci.buf)-1+len(p))) //nolint:gosec // about 1 MiB at most
	parts := net.Buffers{ci.buf, p}
	to := ci.conn.nc
	if ci.conn.tls == nil {
		to = ci.conn.socket.Conn // takes both at once
	}
	_, err := parts.WriteTo(to)
	ci.buf = ci.buf[:headerLen]
	if err != nil {
		return ci.writeFailed(err)
	}
	return nil
}

// writeFailed prefers what the server said at its end, and then that it ended, over the failed write.
func (ci *CopyIn) writeFailed(err error) error {
	if ci.conn.nc.SetReadDeadline(time.Now().Add(time.Second)) == nil {
		<-ci.done
		// Only one of the two is told of a timeout of TCP. The other sees an end that the server did not make.
		if ci.lost != nil && !errors.Is(ci.lost, os.ErrDeadlineExceeded) && !errors.Is(err, syscall.ETIMEDOUT) {
			err = ci.lost
		}
	}
	if e := ci.failed.Load(); e != nil {
		err = e
	}
	err = ci.conn.lose(err)
	if ctxErr := ci.ended(); ctxErr != nil {
		return fmt.Errorf("%w: %w", ctxErr, err)
	}
	return err
}

// Close ends the rows and returns how many the server counted. An error means that the COPY had no effect, unless the
// session was lost: then the server may or may not have completed it. If the context of CopyIn, or ctx, has ended, the
// COPY is aborted. Close after Close or Abort returns an error.
func (ci *CopyIn) Close(ctx context.Context) (rows int64, err error) {
	if ci.over != nil {
		return 0, ci.over
	}
	cancelled := ci.ended()
	if cancelled == nil {
		cancelled = ctx.Err()
	}
	if cancelled != nil {
		if err := ci.Abort(cancelled.Error()); err != nil { //nolint:contextcheck // ctx is over, Abort has its own limit
			return 0, fmt.Errorf("%w: %w", cancelled, err)
		}
		return 0, cancelled
	}
	err = ci.finish(ctx, func() error {
		if err := ci.send(nil); err != nil {
			return err
		}
		return ci.write([]byte{'c', 0, 0, 0, 4})
	})
	if err == nil {
		if e := ci.failed.Load(); e != nil {
			err = e
		}
	}
	if err != nil {
		return 0, err
	}
	return ci.tag.Rows, nil
}

// Abort makes the COPY fail, with a reason for the server's log. It returns nil if the session remains usable,
// whatever the server said to it.
func (ci *CopyIn) Abort(reason string) error {
	if ci.over != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), cancelGrace)
	defer cancel()
	return ci.finish(ctx, func() error {
		return ci.write(copyFail(reason))
	})
}

// copyFail makes the message with which a client gives a COPY FROM STDIN up.
func copyFail(reason string) []byte {
	reason = strings.ReplaceAll(reason[:min(len(reason), 1000)], "\x00", "")
	m := binary.BigEndian.AppendUint32([]byte{'f'}, uint32(4+len(reason)+1)) //nolint:gosec // bounded above
	return append(append(m, reason...), 0)
}

func (ci *CopyIn) write(message []byte) error {
	if _, err := ci.conn.nc.Write(message); err != nil {
		return ci.writeFailed(err)
	}
	return nil
}

// finish sends the last message, unless the server has answered already, and waits for the answer.
func (ci *CopyIn) finish(ctx context.Context, last func() error) error {
	ci.over = errors.New("COPY FROM STDIN has ended")
	ci.watch.end()
	ci.watch = nil // its end is waited for once
	c := ci.conn
	err := c.during(ctx, func() error {
		select {
		case <-ci.done:
		default:
			if err := last(); err != nil && c.err != nil {
				return err
			}
			<-ci.done
		}
		if ci.lost != nil {
			return c.lose(ci.lost)
		}
		for _, kv := range ci.params {
			c.params[kv[0]] = kv[1]
		}
		return c.ready([]byte{ci.status})
	})
	if c.err != nil {
		c.endCopyIn()
	}
	c.copyIn = nil
	return err
}

// endCopyIn waits for the goroutine of an open COPY FROM STDIN, whose socket has been closed.
func (c *Conn) endCopyIn() {
	ci := c.copyIn
	if ci == nil {
		return
	}
	c.copyIn = nil
	ci.over = c.err
	ci.watch.end()
	<-ci.done
}
