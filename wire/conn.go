package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Notice is a message from the server that is no error.
type Notice = ServerError

// Conn is one session. It is for one goroutine at a time.
//
// Every method that takes a context honours it in the same way: when the context ends, the server is asked to cancel
// what it does, and the method waits for its answer, but no longer than five seconds. If it answers, the session
// remains usable (in a failed transaction, if one was open); if not, the connection is closed. Either way the error
// wraps the context's. A context that has already ended sends nothing.
type Conn struct {
	// OnNotice is called with notices and warnings as they arrive, from within the method that reads them, and, while a
	// CopyIn is open, from another goroutine. It may be nil.
	OnNotice func(*Notice)

	cfg        *Config
	route      *route
	nc         net.Conn
	tls        *tls.Config // nil without TLS
	in         *scanner
	socket     *socket // what is below nc with TLS, and nc itself without
	pid        uint32
	key        []byte // for CancelRequest
	params     map[string]string
	versionNum int
	status     byte  // of the transaction, as of the last ReadyForQuery
	err        error // why the session can't be used any more

	out      []byte // queries that have not been sent yet
	lengths  []int  // length of each query, oldest first: those sent and not completed, then those in out
	sent     int    // how many of lengths have been sent
	inFlight int    // sum of lengths[:sent]

	stream *outStream // rows on their way, nil if none
	copyIn *CopyIn
}

// Connect opens a session: pgconn finds the host, sets up TLS and authenticates; then the settings are applied. It
// fails with a *ConnectError, or with the context's error if that ended first. A connection pooler in between is
// refused with ErrPooler.
func Connect(ctx context.Context, cfg *Config, s Settings) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", cfg.Addr(), err)
	}
	if cfg.err != nil {
		return nil, &ConnectError{Addr: cfg.Addr(), Err: cfg.err}
	}
	c, err := dial(ctx, cfg, s)
	if err == nil {
		if err = c.setUp(ctx, s); err == nil {
			return c, nil
		}
		err = errors.Join(err, c.abandon())
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("connect to %s: %w", cfg.Addr(), ctx.Err())
	}
	return nil, &ConnectError{Addr: cfg.Addr(), Err: err}
}

// dial has pgconn open the session and takes the socket over.
func dial(ctx context.Context, cfg *Config, s Settings) (*Conn, error) {
	pg, route := cfg.dialConfig(s)
	pc, err := pgconn.ConnectConfig(ctx, pg)
	if !s.Startup && refusesParameter(err) && ctx.Err() == nil {
		// A pooler such as PgBouncer knows only some parameters here. It is found out, and named, once it answers queries.
		delete(pg.RuntimeParams, statementTimeout)
		pc, err = pgconn.ConnectConfig(ctx, pg)
	}
	if err != nil {
		return nil, translate(err)
	}
	if err := pc.SyncConn(ctx); err != nil {
		return nil, errors.Join(translate(err), pc.Close(ctx))
	}
	h, err := pc.Hijack()
	if err != nil {
		return nil, err
	}
	c := &Conn{
		cfg: cfg, route: route, nc: h.Conn, socket: route.socket, tls: h.TLSConfig, pid: h.PID, key: h.SecretKey,
		params: h.ParameterStatuses, status: h.TxStatus,
	}
	c.in = newScanner(h.Conn)
	return c, nil
}

// refusesParameter says that what was asked for a session is no server of PostgreSQL, which knows every parameter here that it can
// be told later.
func refusesParameter(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && pe.Code == "08P01" && strings.Contains(pe.Message, "startup parameter") // PgBouncer's, never translated
}

// translate makes a server's error that pgconn met ours, and drops pgconn's words around it.
func translate(err error) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		severity := pe.SeverityUnlocalized
		if severity == "" {
			severity = pe.Severity
		}
		return &ServerError{
			Severity: severity, Code: pe.Code, Message: pe.Message, Detail: pe.Detail, Hint: pe.Hint,
			Where: pe.Where, Position: int(pe.Position), Schema: pe.SchemaName, Table: pe.TableName,
			Column: pe.ColumnName, DataType: pe.DataTypeName, Constraint: pe.ConstraintName,
		}
	}
	var ce *pgconn.ConnectError
	if errors.As(err, &ce) && ce.Unwrap() != nil {
		return ce.Unwrap()
	}
	return err
}

// Apply applies settings to a session that is open, on top of those that it has. Settings that go with the request for a session are
// an error.
func (c *Conn) Apply(ctx context.Context, s Settings) error {
	if s.Startup {
		return errors.New("internal error: these settings are for a session's begin")
	}
	if s.ApplicationName != "" && c.cfg.pg.RuntimeParams["application_name"] == "" {
		s.Set = append(slices.Clone(s.Set), [2]string{"application_name", s.ApplicationName})
	}
	return c.setUp(ctx, s)
}

// setUp applies the settings and finds out whether the process that answers queries is the one that let us in.
func (c *Conn) setUp(ctx context.Context, s Settings) error {
	if s.Startup {
		return nil
	}
	var answers [][]string
	err := c.Query(ctx, s.query(c.Parameter("server_encoding")), func(row Row) error {
		if row.Len() >= 2 {
			answers = append(answers, []string{string(row.Get(0)), string(row.Get(1))})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("apply session settings: %w", err)
	}
	if len(answers) == 0 {
		return fmt.Errorf("%w: no answer to the session settings", ErrProtocol)
	}
	pid, version := answers[0][0], answers[0][1]
	if pid != strconv.FormatUint(uint64(c.pid), 10) {
		return fmt.Errorf("%w: the session was opened by process %d, but process %s answers; "+
			"connect directly to the server's own host and port", ErrPooler, c.pid, pid)
	}
	if c.versionNum, err = strconv.Atoi(version); err != nil {
		return fmt.Errorf("%w: server_version_num is %q", ErrProtocol, version)
	}
	return nil
}

// PID is the server process that serves this session.
func (c *Conn) PID() uint32 { return c.pid }

// Config is what the session was opened with.
func (c *Conn) Config() *Config { return c.cfg }

// Parameter gives one of the parameters that the server reports by itself, such as server_encoding; "" if it doesn't.
func (c *Conn) Parameter(name string) string { return c.params[name] }

// ServerVersion is the version in the server's words, such as "15.18 (Debian 15.18-0+deb12u1)".
func (c *Conn) ServerVersion() string { return c.params["server_version"] }

// ServerVersionNum is the version as one number, such as 150018; 0 with [Settings.Startup].
func (c *Conn) ServerVersionNum() int { return c.versionNum }

// Encoding is what text comes in: the current client_encoding.
func (c *Conn) Encoding() string { return c.params["client_encoding"] }

// Addr names the server that was reached, for messages; never a password.
func (c *Conn) Addr() string {
	host, port := c.route.endpoint()
	return addr(host, port, c.cfg.Database(), c.cfg.User())
}

// InTransaction is the state as of the last completed query: 'I' no transaction, 'T' in one, 'E' in a failed one.
func (c *Conn) InTransaction() byte { return c.status }

// Err tells why the session can't be used any more, nil if it can.
func (c *Conn) Err() error { return c.err }

// Close ends the session. What still runs is cancelled first, so that the server doesn't go on with it for nobody; that
// takes five seconds at most. Close may be called again.
func (c *Conn) Close(ctx context.Context) error {
	if c.err != nil {
		c.endCopyIn()
		return nil
	}
	if ci := c.copyIn; ci != nil {
		if err := ci.Abort("the session is being closed"); err != nil { //nolint:contextcheck // it has its own limit
			return err
		}
	}
	if c.sent > 0 {
		// One request is not enough: the server ignores it if it has not begun with the statement yet.
		over, cancel := context.WithCancel(ctx)
		cancel()
		if err := c.during(over, c.drain); err != nil {
			return fmt.Errorf("cancel what process %d does: %w", c.pid, err)
		}
	}
	// Terminate. The server notices the closed socket too, but logs it as an unexpected end.
	err := c.nc.SetWriteDeadline(time.Now().Add(cancelGrace))
	if err == nil {
		_, err = c.nc.Write([]byte{'X', 0, 0, 0, 4})
	}
	if err != nil {
		err = fmt.Errorf("close connection to %s: %w", c.Addr(), err)
	}
	return errors.Join(err, c.abandon())
}

// abandon closes the socket.
func (c *Conn) abandon() error {
	if c.err != nil {
		return nil
	}
	c.err = ErrClosed
	err := c.nc.Close()
	c.endCopyIn()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close connection to %s: %w", c.Addr(), err)
	}
	return nil
}

// lose closes the socket because of err and returns what every later call returns, too.
func (c *Conn) lose(err error) error {
	if c.err != nil {
		return c.err
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the server closed it without a word (terminated or crashed? its log tells)")
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("the server did not answer a cancel request for %s", cancelGrace)
	}
	c.err = fmt.Errorf("%w: %s: %w", ErrConnLost, c.Addr(), err)
	c.nc.Close() //nolint:errcheck,gosec // it is broken already, and that is what gets reported
	return c.err
}

// lastWords looks for what the server said before it closed the connection, which is a better reason than the failed
// write that told of it.
func (c *Conn) lastWords(writeErr error) error {
	if errors.Is(writeErr, os.ErrDeadlineExceeded) || c.nc.SetReadDeadline(time.Now().Add(time.Second)) != nil {
		return writeErr
	}
	for {
		typ, body, err := c.in.next()
		if err != nil {
			return writeErr
		}
		if typ != msgError {
			continue
		}
		if e, err := parseServerError(body); err == nil && e.Fatal() {
			return e
		}
	}
}
