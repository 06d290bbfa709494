package wire

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	cancelGrace  = 5 * time.Second        // how long the server may take to answer after a context has ended
	cancelRepeat = 500 * time.Millisecond // one request cancels one statement, and several may be queued
	cancelPassed = time.Second            // how long a request that was sent may take to be passed on
)

// watch stands by to interrupt what the session does when a context ends. Its end must be called.
type watch struct {
	conn *Conn
	stop func() bool
	over context.CancelFunc // the watched call has returned
	done chan struct{}      // closed when interrupt has returned
}

// watch begins to watch ctx. Until its end, the session's deadline belongs to it.
func (c *Conn) watch(ctx context.Context) *watch {
	if ctx.Done() == nil {
		return nil
	}
	calling, over := context.WithCancel(context.WithoutCancel(ctx))
	w := &watch{conn: c, over: over, done: make(chan struct{})}
	w.stop = context.AfterFunc(ctx, func() {
		defer close(w.done)
		c.interrupt(calling)
	})
	return w
}

// interrupt gives the server a deadline to answer, and asks it to cancel, until calling ends or the deadline is over.
func (c *Conn) interrupt(calling context.Context) {
	deadline := time.Now().Add(cancelGrace)
	if err := c.nc.SetDeadline(deadline); err != nil {
		return // closed
	}
	ctx, cancel := context.WithDeadline(calling, deadline)
	defer cancel()
	repeat := time.NewTicker(cancelRepeat)
	defer repeat.Stop()
	for {
		// A request that fails is repeated, and if all fail the deadline speaks.
		_ = c.sendCancel(ctx)
		select {
		case <-ctx.Done():
			return
		case <-repeat.C:
		}
	}
}

// end stops watching and tells whether the context ended meanwhile. The session has no deadline afterwards.
func (w *watch) end() (interrupted bool) {
	if w == nil {
		return false
	}
	w.over()
	if w.stop() {
		return false
	}
	<-w.done
	if w.conn.err == nil {
		if err := w.conn.nc.SetDeadline(time.Time{}); err != nil {
			w.conn.lose(err) //nolint:errcheck,gosec // the next call tells
		}
	}
	return true
}

// during runs one call under ctx. This is the one place where a context meets the protocol.
func (c *Conn) during(ctx context.Context, call func() error) error {
	if c.err != nil {
		return c.err
	}
	w := c.watch(ctx)
	err := call()
	if w.end() && err != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}

// sendCancel asks the server to cancel the session's current statement: over a connection of its own, to the address
// that was reached, with TLS if the session has it, so that the key stays secret. It waits until the server closes that
// connection, which it does after it has passed the request on.
func (c *Conn) sendCancel(ctx context.Context) error {
	raw, err := c.route.dialer.DialContext(ctx, c.route.network, c.route.address)
	if err != nil {
		return err
	}
	defer raw.Close() //nolint:errcheck // nothing is expected from it any more
	limited := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(limited)
		raw.SetDeadline(time.Unix(1, 0)) //nolint:errcheck,gosec // fails only if it is closed already
	})
	defer stop()
	nc := raw
	if c.tls != nil {
		if nc, err = c.cancelTLS(ctx, raw); err != nil {
			return err
		}
	}
	if _, err := nc.Write(cancelRequest(c.pid, c.key)); err != nil {
		return err
	}
	// The call may be over meanwhile. A request on its way must not be left to hit the session's next statement.
	if !stop() {
		<-limited // else its deadline could come after this one
	}
	if err := nc.SetDeadline(time.Now().Add(cancelPassed)); err != nil {
		return err
	}
	if _, err := nc.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		var netErr net.Error
		if errors.As(err, &netErr) && netErr.Timeout() {
			return err
		} // else reset, which serves as well
	}
	return nil
}

// cancelRequest makes the message. Keys have four bytes up to protocol 3.0 and may be longer from 3.2 on.
func cancelRequest(pid uint32, key []byte) []byte {
	m := binary.BigEndian.AppendUint32(nil, uint32(12+len(key))) //nolint:gosec // a key has 256 bytes at most
	m = binary.BigEndian.AppendUint32(m, 80877102)
	m = binary.BigEndian.AppendUint32(m, pid)
	return append(m, key...)
}

// cancelTLS secures the connection of a cancel request the way the session's own was.
func (c *Conn) cancelTLS(ctx context.Context, nc net.Conn) (net.Conn, error) {
	if c.cfg.pg.SSLNegotiation != "direct" {
		if _, err := nc.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil { // SSLRequest, 80877103
			return nil, err
		}
		answer := make([]byte, 1)
		if _, err := io.ReadFull(nc, answer); err != nil {
			return nil, err
		}
		if answer[0] != 'S' {
			return nil, errors.New("the server has no TLS for a cancel request")
		}
	}
	secure := tls.Client(nc, c.tls)
	return secure, secure.HandshakeContext(ctx)
}
