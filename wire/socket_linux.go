package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// blockingConn is a connection that the runtime's poller does not watch: its calls block their threads, as those of a C program do.
//
// The poller is told whenever something arrives, also while nobody waits for it: for each 8 KiB that the server sends it wakes a thread, for
// nothing while a session pauses or compresses (see pace), and it is the server's process that pays for that. Measured with -F custom
// -Z zstd:1 and PostgreSQL 15 on the same two cores, by the time of pg_dump 18 in the same round (medians of five), watched and not:
// 4 million rows in 611 MB of table, -j1 1.03 and 0.93, -j2 0.88 and 0.78; 4 million in 292 MB, -j1 1.05 and 0.99, -j2 0.97 and 0.92. One
// of 6 million short rows called epoll 8,700 times, and 760 times.
//
// It costs a thread for each session that waits. A deadline that is set is seen by calls at work within [blockingSlice].
type blockingConn struct {
	fd            int
	local, remote net.Addr

	mu          sync.Mutex
	read, write time.Time // deadlines, zero for none
	calls       int       // at work; the last one closes fd when closed is set
	closed      bool
}

// blockingSlice is how long a call waits in the system before it looks at its deadline again.
const blockingSlice = 100 * time.Millisecond

// unwatched gives a connection that goes on with the socket of nc, or nc itself where it is none.
func unwatched(nc net.Conn) net.Conn {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nc
	}
	c := &blockingConn{fd: -1, local: nc.LocalAddr(), remote: nc.RemoteAddr()}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nc
	}
	// A duplicate of the descriptor: the poller forgets the original when that is closed.
	controlErr := raw.Control(func(fd uintptr) {
		if c.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err != nil {
			c.fd = -1
			return
		}
		slice := unix.NsecToTimeval(blockingSlice.Nanoseconds())
		err = errors.Join(unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &slice),
			unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &slice))
	})
	if controlErr != nil || err != nil {
		if c.fd >= 0 {
			unix.Close(c.fd) //nolint:errcheck,gosec // a duplicate
		}
		return nc
	}
	nc.Close() //nolint:errcheck,gosec // the socket itself stays open
	// Shared with the original, so not before that is gone: its calls must not block. It fails for a bad descriptor only, and calls would
	// return at once if it did.
	_ = unix.SetNonblock(c.fd, false)
	return c
}

func (c *blockingConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.call("read", &c.read, func() (int, error) { return unix.Read(c.fd, p) })
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (c *blockingConn) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var sent int
		sent, err = c.call("write", &c.write, func() (int, error) {
			return unix.SendmsgN(c.fd, p[n:], nil, nil, unix.MSG_NOSIGNAL)
		})
		n += sent
	}
	return n, err
}

// call makes a system call until that has done something, or the deadline is over or the connection closed.
func (c *blockingConn) call(op string, deadline *time.Time, call func() (int, error)) (n int, err error) {
	for {
		if err = c.begin(deadline); err != nil {
			break
		}
		n, err = call()
		c.end()
		if err == nil {
			return n, nil
		}
		if err != unix.EAGAIN && err != unix.EINTR { //nolint:errorlint // a system call's own
			err = os.NewSyscallError(op, err)
			break
		}
	}
	return 0, &net.OpError{Op: op, Net: c.remote.Network(), Source: c.local, Addr: c.remote, Err: err}
}

func (c *blockingConn) begin(deadline *time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return net.ErrClosed
	case !deadline.IsZero() && !time.Now().Before(*deadline):
		return os.ErrDeadlineExceeded
	}
	c.calls++
	return nil
}

func (c *blockingConn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls--; c.calls == 0 && c.closed {
		unix.Close(c.fd) //nolint:errcheck,gosec // Close has returned
	}
}

// Close closes the connection. A call at work ends, and closes the descriptor.
func (c *blockingConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	if c.calls > 0 {
		return os.NewSyscallError("shutdown", unix.Shutdown(c.fd, unix.SHUT_RDWR))
	}
	return os.NewSyscallError("close", unix.Close(c.fd))
}

func (c *blockingConn) LocalAddr() net.Addr                { return c.local }
func (c *blockingConn) RemoteAddr() net.Addr               { return c.remote }
func (c *blockingConn) SetDeadline(t time.Time) error      { return c.limit(t, &c.read, &c.write) }
func (c *blockingConn) SetReadDeadline(t time.Time) error  { return c.limit(t, &c.read) }
func (c *blockingConn) SetWriteDeadline(t time.Time) error { return c.limit(t, &c.write) }

func (c *blockingConn) limit(t time.Time, deadlines ...*time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	for _, d := range deadlines {
		*d = t
	}
	return nil
}
