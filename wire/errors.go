package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var (
	// ErrPooler says that a connection pooler answers in the server's place. Snapshots, locks and settings belong to
	// one server session, and a pooler may change that session between two statements.
	ErrPooler = errors.New("there is a connection pooler between us and the server")

	// ErrConnLost says that the session is gone: the server, the network or our own deadline ended it.
	ErrConnLost = errors.New("connection lost")

	// ErrClosed says that the session was closed by our own Close.
	ErrClosed = errors.New("connection is closed")

	// ErrBusy says that results of earlier queries have not been taken yet.
	ErrBusy = errors.New("results of earlier queries are pending")

	// ErrProtocol says that the other side sent what the protocol does not allow, at least not here.
	ErrProtocol = errors.New("protocol violation")

	// ErrRowCount says that the server counted other rows at the end of a COPY than arrived.
	ErrRowCount = errors.New("row count differs from the server's")
)

// ServerError is an error or a notice as the server sent it, see
// https://www.postgresql.org/docs/current/protocol-error-fields.html.
type ServerError struct {
	Severity   string // ERROR, FATAL, PANIC, or WARNING, NOTICE, ... for a notice; never translated since version 9.6
	Code       string // SQLSTATE
	Message    string
	Detail     string
	Hint       string
	Where      string // the context, innermost first
	Position   int    // character of the statement, from 1; 0 is unknown
	Schema     string
	Table      string
	Column     string
	DataType   string
	Constraint string
}

// Error gives the message with its SQLSTATE, and detail, hint and context on lines of their own.
func (e *ServerError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s (SQLSTATE %s)", e.Severity, e.Message, e.Code)
	for _, part := range [][2]string{{"detail", e.Detail}, {"hint", e.Hint}, {"where", e.Where}} {
		if part[1] != "" {
			fmt.Fprintf(&b, "\n%s: %s", part[0], part[1])
		}
	}
	return b.String()
}

// Fatal says that the server ends the session with this error.
func (e *ServerError) Fatal() bool { return e.Severity == "FATAL" || e.Severity == "PANIC" }

// parseServerError decodes the fields of an ErrorResponse or NoticeResponse.
func parseServerError(body []byte) (*ServerError, error) {
	e := &ServerError{}
	for len(body) > 0 && body[0] != 0 {
		field := body[0]
		text, rest, ok := cutString(body[1:])
		if !ok {
			return nil, fmt.Errorf("%w: error field %q has no end", ErrProtocol, field)
		}
		body = rest
		e.set(field, text)
	}
	if len(body) != 1 {
		return nil, fmt.Errorf("%w: error message has no end", ErrProtocol)
	}
	return e, nil
}

func (e *ServerError) set(field byte, text string) {
	switch field {
	case 'S': // translated; 'V' comes after it where the server knows it
		e.Severity = text
	case 'V':
		e.Severity = text
	case 'C':
		e.Code = text
	case 'M':
		e.Message = text
	case 'D':
		e.Detail = text
	case 'H':
		e.Hint = text
	case 'W':
		e.Where = text
	case 'P':
		if n, err := strconv.Atoi(text); err == nil {
			e.Position = n
		}
	case 's':
		e.Schema = text
	case 't':
		e.Table = text
	case 'c':
		e.Column = text
	case 'd':
		e.DataType = text
	case 'n':
		e.Constraint = text
	}
}

// ConnectError says that no session could be had: the server can't be reached, or does not let us in.
type ConnectError struct {
	Addr string // where to, without a password
	Err  error
}

func (e *ConnectError) Error() string { return "cannot connect to " + e.Addr + ": " + e.Err.Error() }

func (e *ConnectError) Unwrap() error { return e.Err }

// code gives the SQLSTATE in err, "" if there is none.
func code(err error) string {
	var e *ServerError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// IsConnect says that err is a failed attempt to connect, for whatever reason: network, TLS, authentication, no such
// database, too many sessions, a pooler.
func IsConnect(err error) bool {
	var e *ConnectError
	return errors.As(err, &e)
}

// IsTooMany says that the server, the database or the role has no session to spare (53300).
func IsTooMany(err error) bool { return code(err) == "53300" }

// IsPermission says that the server refused for lack of a privilege (42501) or did not accept who we are (class 28).
func IsPermission(err error) bool {
	c := code(err)
	return c == "42501" || strings.HasPrefix(c, "28")
}

// IsLockTimeout says that a lock was not granted in time, or at once with NOWAIT (55P03).
func IsLockTimeout(err error) bool { return code(err) == "55P03" }

// IsUndefined says that a relation or schema named in the statement does not exist (42P01, 3F000), or was dropped while
// the statement waited for its lock (XX000 in some versions: could not open relation with OID).
func IsUndefined(err error) bool {
	var e *ServerError
	if !errors.As(err, &e) {
		return false
	}
	return e.Code == "42P01" || e.Code == "3F000" ||
		e.Code == "XX000" && strings.HasPrefix(e.Message, "could not open relation with OID")
}

// IsDropped says that an object of any kind was not there: one that a transaction's snapshot shows may have been dropped since (42P01, 3F000,
// 42704, 42883, 42703, and XX000 where the server's own functions look for it).
func IsDropped(err error) bool {
	var e *ServerError
	if !errors.As(err, &e) {
		return false
	}
	return IsUndefined(err) || e.Code == "42704" || e.Code == "42883" || e.Code == "42703" ||
		e.Code == "XX000" && strings.HasPrefix(e.Message, "cache lookup failed")
}

// IsCancelled says that the server cancelled the statement, on our request, an administrator's or a timeout's (57014).
func IsCancelled(err error) bool { return code(err) == "57014" }

// IsAdminShutdown says that the server is being stopped or an administrator ended the session (57P01, 57P02, 57P03). As a mere ERROR these
// are of another process, a parallel worker or a segment's: the statement failed, and the session lives on.
func IsAdminShutdown(err error) bool {
	var e *ServerError
	if !errors.As(err, &e) || e.Severity == "ERROR" { // not Fatal: Greenplum 6 says it in the language of lc_messages only
		return false
	}
	return e.Code == "57P01" || e.Code == "57P02" || e.Code == "57P03"
}

// IsConnLost says that a session was there and is gone, whether the server said goodbye or not. A new one may work.
func IsConnLost(err error) bool { return errors.Is(err, ErrConnLost) && !IsConnect(err) }
