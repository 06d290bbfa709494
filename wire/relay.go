package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Verdict says what a [Relay] does with a query.
type Verdict struct {
	Forward bool   // the session runs it, and the client gets the session's answer
	Tag     string // if not forwarded: the command tag that the client is told, as if it had been run
	Refuse  string // if not forwarded and there is no Tag: the error that the client is told
}

// Relay lets one libpq program use a session that is open already: the program sees what the session sees, under its
// snapshot and its locks, and needs no password. It listens on a Unix socket in a directory of its own that only this
// user can enter, takes one client, and serves simple queries. A function call, by which pg_dump 17 and later
// read large objects, is refused as a query may be.
type Relay struct {
	cfg      *Config
	conn     *Conn // from the moment that Serve has it
	decide   func(sql string) Verdict
	dir      string
	listener net.Listener
	met      bool  // see Met
	failed   error // see Failed
}

const (
	relayPort  = 5432
	maxStartup = 10000 // PostgreSQL's own limit for a startup packet
	protocol3  = 3 << 16
	requestSSL = 80877103
	requestGSS = 80877104
	// maxSocketParent bounds the name of the directory that the socket's is made in: the socket's own has
	// 103 bytes at most where that is least, and elsewhere 107.
	maxSocketParent = 103 - len("/pgark-4294967295/.s.PGSQL.5432")
	reportedStatus  = 'I' // the client begins outside a transaction, whatever the session is in
)

// NewRelay makes the socket, for a session with the server of cfg that Serve will get. decide is called with each query. Close removes
// the socket.
func NewRelay(cfg *Config, decide func(sql string) Verdict) (*Relay, error) {
	parent := os.TempDir()
	if len(parent) > maxSocketParent {
		parent = "/tmp"
	}
	dir, err := os.MkdirTemp(parent, "pgark-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for a socket in %s (TMPDIR names another): %w", parent, err)
	}
	r := &Relay{cfg: cfg, decide: decide, dir: dir}
	// MkdirTemp makes it 0700, so nobody else reaches the socket, whatever its own mode.
	r.listener, err = net.Listen("unix", filepath.Join(dir, fmt.Sprintf(".s.PGSQL.%d", relayPort)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a socket: %w", err), os.Remove(dir))
	}
	return r, nil
}

// Conninfo is how libpq reaches the relay. It holds no secret.
func (r *Relay) Conninfo() string {
	return params{
		"host": r.dir, "port": strconv.Itoa(relayPort), "dbname": r.cfg.Database(), "user": r.cfg.User(),
	}.String()
}

// ServeSession is [Relay.Serve] with a session that is there already.
func (r *Relay) ServeSession(ctx context.Context, conn *Conn) error {
	session := make(chan *Conn, 1)
	session <- conn
	return r.Serve(ctx, session)
}

// Met tells whether a client has come. It is for after Serve.
func (r *Relay) Met() bool { return r.met }

// Failed is the first error that the server has answered a query of the client with, nil if there was none. It is for after Serve.
func (r *Relay) Failed() error { return r.failed }

// Close stops listening and removes the socket.
func (r *Relay) Close() error {
	err := r.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(r.dir))
}

// Serve waits for the client, and then for the session, and serves the client until it goes, until ctx ends, or until Close was called before a
// client came: none of that is an error if the session is left in order. An error says what is wrong with the client or with
// the session, which must be idle, and belongs to the relay until Serve has returned.
func (r *Relay) Serve(ctx context.Context, session <-chan *Conn) error {
	stop := context.AfterFunc(ctx, func() { r.listener.Close() }) //nolint:errcheck,gosec // Accept tells
	defer stop()
	client, err := r.listener.Accept()
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		return fmt.Errorf("wait for the client of a relay: %w", err)
	}
	r.met = true
	defer client.Close() //nolint:errcheck // it has gone, or has to
	// A client that is told to end sends a cancel request over a connection of its own and waits until that is closed.
	// Refused, it ends at once.
	if err := r.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("stop listening: %w", err)
	}
	// Nobody else is to come, and so nothing is left of it if this process is killed.
	if err := os.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("remove the directory of a socket: %w", err)
	}
	select {
	case r.conn = <-session:
	case <-ctx.Done():
		return nil
	}
	stopClient := context.AfterFunc(ctx, func() { client.Close() }) //nolint:errcheck,gosec // reading tells
	defer stopClient()
	s := &relaySession{Relay: r, in: bufio.NewReader(client), out: bufio.NewWriterSize(client, 64<<10)}
	err = s.startup()
	for err == nil {
		err = s.one(ctx)
	}
	if r.conn.err != nil {
		return r.conn.err
	}
	if errors.Is(err, ErrProtocol) {
		return err
	}
	return nil // the client went
}

// relaySession is the client's side of a relay.
type relaySession struct {
	*Relay
	in  *bufio.Reader
	out *bufio.Writer
}

// startup answers as a server that trusts its client.
func (s *relaySession) startup() error {
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(s.in, head); err != nil {
			return err
		}
		length, code := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:])
		if length < 8 || length > maxStartup {
			return fmt.Errorf("%w: startup packet of %d bytes from the client of a relay", ErrProtocol, length)
		}
		if _, err := s.in.Discard(int(length) - 8); err != nil {
			return err
		}
		switch {
		case code == requestSSL || code == requestGSS:
			if err := s.out.WriteByte('N'); err != nil {
				return err
			}
			if err := s.out.Flush(); err != nil {
				return err
			}
		case code>>16 == 3:
			return s.welcome(code)
		default:
			return fmt.Errorf("%w: startup code %d from the client of a relay", ErrProtocol, code)
		}
	}
}

func (s *relaySession) welcome(version uint32) error {
	if version > protocol3 { // newer than 3.0: NegotiateProtocolVersion down to it, with no option refused
		s.message('v', []byte{0, 3, 0, 0, 0, 0, 0, 0})
	}
	s.message('R', []byte{0, 0, 0, 0})
	names := make([]string, 0, len(s.conn.params))
	for name := range s.conn.params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		s.message(msgParameterStatus, []byte(name+"\x00"+s.conn.params[name]+"\x00"))
	}
	s.message('K', make([]byte, 8)) // nobody listens for cancel requests
	s.message(msgReadyForQuery, []byte{reportedStatus})
	return s.out.Flush()
}

// message writes one message. Its error comes with the next Flush.
func (s *relaySession) message(typ byte, body []byte) {
	head := binary.BigEndian.AppendUint32([]byte{typ}, uint32(4+len(body))) //nolint:gosec // what the session read is bounded
	s.out.Write(head)                                                       //nolint:errcheck,gosec // sticky
	s.out.Write(body)                                                       //nolint:errcheck,gosec // sticky
}

// one serves one message of the client. io.EOF means that it has gone.
func (s *relaySession) one(ctx context.Context) error {
	head := make([]byte, headerLen)
	if _, err := io.ReadFull(s.in, head); err != nil {
		return err
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length < 4 || length > maxMessage {
		return fmt.Errorf("%w: message of %d bytes from the client of a relay", ErrProtocol, length)
	}
	body, err := io.ReadAll(io.LimitReader(s.in, int64(length)-4))
	if err != nil {
		return err
	}
	if len(body) != int(length)-4 {
		return io.ErrUnexpectedEOF
	}
	switch head[0] {
	case 'X':
		return io.EOF
	case 'Q':
		if err := s.query(ctx, strings.TrimSuffix(string(body), "\x00")); err != nil {
			return err
		}
		return s.out.Flush()
	case 'F':
		s.refuse("a relay serves simple queries only")
		return s.out.Flush()
	default:
		return fmt.Errorf("%w: message of type %q from the client of a relay, which serves simple queries only", ErrProtocol, head[0])
	}
}

func (s *relaySession) query(ctx context.Context, sql string) error {
	v := s.decide(sql)
	switch {
	case v.Forward:
		return s.forward(ctx, sql)
	case v.Tag != "":
		s.message(msgCommandComplete, append([]byte(v.Tag), 0))
	default:
		s.refuse(v.Refuse)
		return nil
	}
	s.message(msgReadyForQuery, []byte{reportedStatus})
	return nil
}

// refuse answers with an error.
func (s *relaySession) refuse(why string) {
	s.message(msgError, []byte("SERROR\x00VERROR\x00C0A000\x00M"+why+"\x00\x00"))
	s.message(msgReadyForQuery, []byte{reportedStatus})
}

// forward has the session run a query and copies its messages to the client.
func (s *relaySession) forward(ctx context.Context, sql string) error {
	c := s.conn
	return c.during(ctx, func() error {
		if err := c.Send(sql); err != nil {
			return err
		}
		if err := c.flush(); err != nil {
			return err
		}
		for {
			typ, body, err := c.in.next()
			if err != nil {
				return c.lose(err)
			}
			s.message(typ, body)
			switch {
			case typ == msgError && s.failed == nil:
				if e, err := parseServerError(body); err == nil { // else it is the client's to make out
					s.failed = e
				}
			case typ == msgReadyForQuery:
				return c.ready(body)
			case typ == msgCopyIn || typ == msgCopyOut:
				return c.lose(fmt.Errorf("%w: COPY through a relay", ErrProtocol))
			case asynchronous(typ):
				if err := c.handle(typ, body); err != nil {
					return c.lose(err)
				}
			}
		}
	})
}
