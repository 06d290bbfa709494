package pgtest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Front is one instance of an [Imitation]: a TCP server that changes what passes between a client and the stock server.
type Front struct {
	target    string
	recording *Recording
	instance  Instance
	utility   string // option that a session must have; "" for the coordinator
	listener  net.Listener
	wg        sync.WaitGroup

	mu     sync.Mutex
	refuse Refusal // every session, with this
	conns  map[net.Conn]struct{}
	closed bool
}

// Codes of startup packets, see https://www.postgresql.org/docs/current/protocol-message-formats.html.
const (
	codeProtocol3 = 3 << 16
	codeCancel    = 80877102
	codeSSL       = 80877103
	codeGSS       = 80877104
	maxMessage    = 64 << 20
)

func newFront(tb testing.TB, srv *Server, r *Recording, i Instance, utility string) *Front {
	tb.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		tb.Fatalf("front: %v", err)
	}
	f := &Front{
		target: srv.TCPAddr(), recording: r, instance: i, utility: utility, listener: l, conns: make(map[net.Conn]struct{}),
	}
	f.wg.Go(f.accept)
	tb.Cleanup(f.Close)
	return f
}

// Port is the port that the front listens on, on 127.0.0.1.
func (f *Front) Port() int { return portOf(f.listener.Addr().String()) }

// Refuse refuses new sessions in the words of the recording.
func (f *Front) Refuse(why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = f.recording.Refusals[why]
}

// Close ends the front, as an instance that is down, and waits for its goroutines. It may be called more than once.
func (f *Front) Close() {
	f.mu.Lock()
	f.closed = true
	f.listener.Close() //nolint:errcheck,gosec // accept ends with an error, as it should
	for c := range f.conns {
		c.Close() //nolint:errcheck,gosec // ending it is the purpose
	}
	f.mu.Unlock()
	f.wg.Wait()
}

func (f *Front) accept() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		if f.add(client) {
			f.wg.Go(func() {
				defer f.drop(client)
				_ = f.serve(client) // the client sees a closed connection
			})
		}
	}
}

func (f *Front) add(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		c.Close() //nolint:errcheck,gosec // nobody is left to tell
		return false
	}
	f.conns[c] = struct{}{}
	return true
}

func (f *Front) drop(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.Close() //nolint:errcheck,gosec // may be closed already
	delete(f.conns, c)
}

// serve brings one connection from its startup to its end.
func (f *Front) serve(client net.Conn) error {
	for {
		packet, err := readPacket(client, nil)
		if err != nil {
			return err
		}
		if len(packet) < 8 {
			return errors.New("startup packet without a code")
		}
		switch code := binary.BigEndian.Uint32(packet[4:]); code {
		case codeSSL, codeGSS:
			if _, err := client.Write([]byte{'N'}); err != nil {
				return err
			}
		case codeCancel:
			server, err := net.DialTimeout("tcp", f.target, 10*time.Second)
			if err != nil {
				return err
			}
			defer server.Close() //nolint:errcheck // it has had its request
			_, err = server.Write(packet)
			return err
		default:
			return f.session(client, code, packet[8:])
		}
	}
}

// session decides about a startup, and passes what follows.
func (f *Front) session(client net.Conn, code uint32, body []byte) error {
	f.mu.Lock()
	refusal := f.refuse
	f.mu.Unlock()
	body, wrong := f.startup(body)
	if refusal == nil {
		refusal = wrong
	}
	if refusal != nil {
		_, err := client.Write(refusal.message())
		return err
	}
	server, err := net.DialTimeout("tcp", f.target, 10*time.Second)
	if err != nil {
		return err
	}
	if !f.add(server) {
		return net.ErrClosed
	}
	packet := binary.BigEndian.AppendUint32(nil, uint32(8+len(body))) //nolint:gosec // a startup packet is small
	packet = binary.BigEndian.AppendUint32(packet, code)
	if _, err := server.Write(append(packet, body...)); err != nil {
		f.drop(server)
		return err
	}
	f.wg.Go(func() {
		defer f.drop(client)
		_, _ = io.Copy(client, server)
	})
	defer f.drop(server)
	return f.pass(server, client)
}

// startup takes the utility option out of a startup's parameters, and gives the refusal of a session that lacks it.
func (f *Front) startup(body []byte) ([]byte, Refusal) {
	if f.utility == "" {
		return body, nil
	}
	fields := strings.Split(strings.TrimSuffix(string(body), "\x00\x00"), "\x00")
	at := -1
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == "options" {
			at = i
		}
	}
	if at < 0 {
		return body, f.recording.Refusals[RefusedPlain]
	}
	rest, found, other := stripOption(fields[at+1], f.utility)
	switch {
	case other:
		return body, f.recording.Refusals[RefusedOption]
	case !found:
		return body, f.recording.Refusals[RefusedPlain]
	}
	if fields[at+1] = rest; rest == "" {
		fields = slices.Delete(fields, at, at+2)
	}
	return []byte(strings.Join(fields, "\x00") + "\x00\x00"), nil
}

// pass copies a client's messages until either side ends, and changes its queries.
func (f *Front) pass(server io.Writer, client io.Reader) error {
	for {
		typ := make([]byte, 1)
		if _, err := io.ReadFull(client, typ); err != nil {
			return err
		}
		packet, err := readPacket(client, typ)
		if err != nil {
			return err
		}
		if typ[0] == 'Q' {
			sql := f.instance.rewrite(string(packet[5:]), f.recording.Extensions)
			packet = binary.BigEndian.AppendUint32(typ, uint32(4+len(sql))) //nolint:gosec // at most a little more than was read
			packet = append(packet, sql...)
		}
		if _, err := server.Write(packet); err != nil {
			return err
		}
	}
}
