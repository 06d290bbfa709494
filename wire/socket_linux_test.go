package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// unwatchedPair gives both ends of a connection, the first one unwatched.
func unwatchedPair(t *testing.T, network, address string) (conn, peer net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if peer, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	s := &socket{Conn: dialled}
	s.unwatch()
	conn = s.Conn
	if _, ok := conn.(*blockingConn); !ok {
		t.Fatalf("it is still a %T", conn)
	}
	if s.unwatch(); s.Conn != conn {
		t.Error("it was done twice")
	}
	if _, err := dialled.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read from the connection that was: %v", err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = peer.Close()
	})
	return conn, peer
}

func unwatchedPairs(t *testing.T, f func(t *testing.T, conn, peer net.Conn)) {
	t.Helper()
	t.Parallel()
	for _, x := range [][2]string{{"unix", filepath.Join(t.TempDir(), "s")}, {"tcp", "127.0.0.1:0"}} {
		t.Run(x[0], func(t *testing.T) {
			conn, peer := unwatchedPair(t, x[0], x[1])
			f(t, conn, peer)
		})
	}
}

// What is written on one side arrives on the other, also where it has to wait for room, and the end is an end.
func TestUnwatchedCarries(t *testing.T) {
	unwatchedPairs(t, func(t *testing.T, conn, peer net.Conn) {
		if conn.RemoteAddr().String() != peer.LocalAddr().String() || conn.LocalAddr().String() != peer.RemoteAddr().String() {
			t.Errorf("between %v and %v, not %v and %v", conn.LocalAddr(), conn.RemoteAddr(), peer.RemoteAddr(), peer.LocalAddr())
		}
		want := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
		go func() {
			time.Sleep(3 * blockingSlice / 2) // longer than one call waits
			_, _ = io.Copy(peer, peer)
			_ = peer.Close()
		}()
		go func() {
			if n, err := conn.Write(want); n != len(want) || err != nil {
				t.Errorf("Write = %d, %v", n, err)
			}
		}()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("what came back is not what was sent, or %v", err)
		}
		if n, err := conn.Read(nil); n != 0 || err != nil {
			t.Errorf("Read of nothing = %d, %v", n, err)
		}
	})
}

func TestUnwatchedEnds(t *testing.T) {
	unwatchedPairs(t, func(t *testing.T, conn, peer net.Conn) {
		_ = peer.Close()
		if n, err := conn.Read(make([]byte, 10)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("Read after the other side has closed = %d, %v", n, err)
		}
		var err error
		for range 10 { // TCP is told by the answer to the first
			if _, err = conn.Write([]byte("x")); err != nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) { // and no SIGPIPE
			t.Errorf("Write after the other side has closed: %v", err)
		}
	})
}

// Deadlines end calls that are at work, and those that come later, until they are taken back.
func TestUnwatchedDeadlines(t *testing.T) {
	unwatchedPairs(t, func(t *testing.T, conn, peer net.Conn) {
		large := make([]byte, 64<<20)
		begun := time.Now()
		time.AfterFunc(10*time.Millisecond, func() {
			if err := conn.SetDeadline(time.Unix(1, 0)); err != nil {
				t.Error(err)
			}
		})
		_, err := conn.Read(make([]byte, 1))
		var timeout net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("Read: %v", err)
		}
		if _, err := conn.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write: %v", err)
		}
		if err := errors.Join(conn.SetReadDeadline(time.Time{}), conn.SetWriteDeadline(time.Now().Add(blockingSlice))); err != nil {
			t.Error(err)
		}
		if n, err := conn.Write(large); n == 0 || n == len(large) || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write of more than there is room for = %d, %v", n, err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("all this took %v", took)
		}
		if _, err := peer.Write([]byte("y")); err != nil {
			t.Error(err)
		}
		if n, err := conn.Read(make([]byte, 10)); n != 1 || err != nil {
			t.Errorf("Read without a deadline = %d, %v", n, err)
		}
	})
}

// Close ends a call that is at work at once, and gives the descriptor back.
func TestUnwatchedCloses(t *testing.T) {
	unwatchedPairs(t, func(t *testing.T, conn, peer net.Conn) {
		closed := make(chan error, 1)
		time.AfterFunc(10*time.Millisecond, func() { closed <- conn.Close() })
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("Read = %d, %v", n, err)
		}
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		for what, err := range map[string]error{"Close": conn.Close(), "SetDeadline": conn.SetDeadline(time.Now())} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s of a closed one: %v", what, err)
			}
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read of a closed one: %v", err)
		}
		// The descriptor, too: otherwise the other side would not see it before the garbage is collected, or never.
		if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the other side sees %v", err)
		}
	})
}

// What is no socket of the system stays as it is.
func TestUnwatchedOther(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	s := &socket{Conn: a}
	if s.unwatch(); s.Conn != a {
		t.Errorf("it has become a %T", s.Conn)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
