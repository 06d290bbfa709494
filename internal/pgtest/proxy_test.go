package pgtest

import (
	"io"
	"net"
	"testing"
	"time"
)

// dialProxy connects to a proxy in front of a server that sends 100,000 bytes and waits for the end.
func dialProxy(t *testing.T) (*Proxy, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		if _, err := c.Write(make([]byte, 100_000)); err == nil {
			io.Copy(io.Discard, c)
		}
	}()
	t.Cleanup(func() { <-done })
	p := NewProxy(t, l.Addr().String())
	p.Stall()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return p, c
}

func TestProxyCutsAfterExactlySoManyBytes(t *testing.T) {
	p, c := dialProxy(t)
	p.CutAfter(54_321)
	p.Resume()
	b, _ := io.ReadAll(c)
	if len(b) != 54_321 {
		t.Errorf("%d bytes arrived, want 54321", len(b))
	}
	if _, down := p.Passed(); down != 54_321 {
		t.Errorf("%d bytes counted", down)
	}
}

func TestProxyStallsAndCuts(t *testing.T) {
	p, c := dialProxy(t)
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes came through a stalled proxy", n)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	p.Resume()
	if _, err := io.ReadFull(c, make([]byte, 100_000)); err != nil {
		t.Error(err)
	}
	p.Cut()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes came through a cut connection", n)
	}
}
