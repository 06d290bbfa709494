package pgtest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP proxy in front of a server that breaks connections on purpose. Its methods may be called at any time
// from any goroutine.
type Proxy struct {
	target   string
	listener net.Listener
	wg       sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond // of stalled and closed
	conns   map[net.Conn]struct{}
	stalled bool
	refuse  bool
	closed  bool
	budget  [2]int64 // bytes that may still pass in each direction before everything is cut; negative: no limit
	passed  [2]int64
}

// The two directions of a connection.
const (
	upstream   = 0 // client to server
	downstream = 1 // server to client
)

// NewProxy listens on a free port of 127.0.0.1 and passes connections on to target ("host:port"). It is closed, with
// its connections and goroutines, when the test ends.
func NewProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		tb.Fatalf("proxy: %v", err)
	}
	p := &Proxy{target: target, listener: l, conns: make(map[net.Conn]struct{}), budget: [2]int64{-1, -1}}
	p.changed = sync.NewCond(&p.mu)
	p.wg.Go(p.accept)
	tb.Cleanup(p.Close)
	return p
}

// Addr is where the proxy listens, as "127.0.0.1:port".
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Host is the address that the proxy listens on.
func (p *Proxy) Host() string { return loopback }

// Port is the port that the proxy listens on.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Conninfo connects to a database through the proxy.
func (p *Proxy) Conninfo(dbname string) string {
	return conninfo(loopback, p.Port(), dbname) + " sslmode=disable"
}

// Stall stops the bytes in both directions and keeps the connections open, as a dead network does.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = true
}

// Resume ends Stall and Refuse.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled, p.refuse = false, false
	p.changed.Broadcast()
}

// Refuse closes new connections at once; those that exist go on.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = true
}

// Cut closes the connections that exist now. New ones pass.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

func (p *Proxy) cut() {
	for c := range p.conns {
		c.Close() //nolint:errcheck,gosec // breaking it is the purpose
	}
	p.budget = [2]int64{-1, -1}
	p.changed.Broadcast()
}

// HangUp tells clients that nothing more comes, but neither closes the connections nor passes anything more on, as a relay does
// that closes them by halves.
func (p *Proxy) HangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = true
	for c := range p.conns {
		if c.LocalAddr().String() != p.Addr() {
			continue // to the server
		}
		c.(*net.TCPConn).CloseWrite() //nolint:errcheck,gosec // breaking it is the purpose
	}
}

// CutAfter cuts all connections once n more bytes have come from the server; exactly n arrive at the client.
func (p *Proxy) CutAfter(n int64) { p.setBudget(downstream, n) }

// CutUpstreamAfter cuts all connections once n more bytes have come from the client; exactly n arrive at the server.
func (p *Proxy) CutUpstreamAfter(n int64) { p.setBudget(upstream, n) }

func (p *Proxy) setBudget(direction int, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.budget[direction] = n
}

// Passed tells how many bytes have gone to the server and to the client, on all connections together.
func (p *Proxy) Passed() (toServer, toClient int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passed[upstream], p.passed[downstream]
}

// Close ends the proxy and waits for its goroutines. It may be called more than once.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.listener.Close() //nolint:errcheck,gosec // accept ends with an error, as it should
	p.cut()
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := p.dial()
		if err != nil {
			client.Close() //nolint:errcheck,gosec // the client sees a closed connection
			continue
		}
		if !p.add(client, server) {
			continue
		}
		p.wg.Go(func() { p.pass(server, client, upstream) })
		p.wg.Go(func() { p.pass(client, server, downstream) })
	}
}

func (p *Proxy) dial() (net.Conn, error) {
	p.mu.Lock()
	refuse := p.refuse
	p.mu.Unlock()
	if refuse {
		return nil, net.ErrClosed
	}
	return net.DialTimeout("tcp", p.target, 10*time.Second)
}

// add records a pair of connections, or closes it if the proxy has been closed meanwhile.
func (p *Proxy) add(pair ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range pair {
		if p.closed {
			c.Close() //nolint:errcheck,gosec // nobody is left to tell
			continue
		}
		p.conns[c] = struct{}{}
	}
	return !p.closed
}

// pass copies one direction until either side ends, and then closes both.
func (p *Proxy) pass(dst, src net.Conn, direction int) {
	defer p.drop(dst, src)
	buf := make([]byte, 32<<10)
	for {
		n, readErr := src.Read(buf)
		if n > 0 {
			allowed, last := p.take(direction, int64(n))
			if _, err := dst.Write(buf[:allowed]); err != nil {
				return
			}
			if last {
				p.Cut()
				return
			}
		}
		if readErr != nil {
			return
		}
	}
}

// take waits while the proxy stalls and says how many of n bytes may pass, and whether they are the last.
func (p *Proxy) take(direction int, n int64) (allowed int64, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.stalled && !p.closed {
		p.changed.Wait()
	}
	if b := p.budget[direction]; b >= 0 {
		if n >= b {
			n, last = b, true
		}
		p.budget[direction] = b - n
	}
	p.passed[direction] += n
	return n, last
}

func (p *Proxy) drop(pair ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range pair {
		c.Close() //nolint:errcheck,gosec // may be closed already
		delete(p.conns, c)
	}
}
