package fanout

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

const (
	// pipelineStatements and pipelineBytes bound the statements that a session sends before it reads the first answer,
	// so that neither side ever waits for the other with full buffers.
	pipelineStatements = 100
	pipelineBytes      = 16 << 10
	// deadlockRetries is how often a statement is tried again that the server chose to end a deadlock.
	deadlockRetries = 5
	// closeGrace bounds how long the end of a restore waits for the server to take its leave.
	closeGrace = 5 * time.Second
)

// storageDefaults is what a Greenplum makes of new tables without options: a table of the archive that has none is to have none,
// whatever the target's database or role says.
const storageDefaults = "gp_default_storage_options"

// loadSession is one session that restores, with what one session needs: the settings it has, a decoder, buffers.
// One goroutine at a time.
type loadSession struct {
	node    uint32 // ID of the node that it is with, 0 for the coordinator
	conn    *wire.Conn
	state   State
	decoder *archive.Decoder
	free    chan []byte // buffers between the decoding and the sending side of a load, made when first needed
	user    string      // the role that owns what the session makes
}

// sessionPool is the sessions of a restore: with the coordinator the leader, always there, and more for the parallel
// part; and those with the nodes that rows go to directly.
type sessionPool struct {
	sessions []*loadSession
	nodes    map[uint32][]*loadSession // by Node.ID
}

// openPool connects the leader.
func (r *restoreRun) openPool(ctx context.Context) (*sessionPool, error) {
	leader, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	return &sessionPool{sessions: []*loadSession{leader}}, nil
}

// grow connects until there are n sessions. A server that has no more connections to give makes the restore slower, not
// impossible.
func (p *sessionPool) grow(ctx context.Context, r *restoreRun, n int) error {
	for len(p.sessions) < n {
		s, err := r.connect(ctx)
		if ctx.Err() != nil {
			if err == nil { // the pool's close is to find it
				p.sessions = append(p.sessions, s)
			}
			return context.Cause(ctx)
		}
		if err != nil {
			r.warn(fmt.Sprintf("only %d of %d sessions: %v", len(p.sessions), n, err))
			return nil
		}
		p.sessions = append(p.sessions, s)
	}
	return nil
}

func (p *sessionPool) close(ctx context.Context) {
	for s := range p.all() {
		s.close(ctx)
	}
}

// all yields all sessions.
func (p *sessionPool) all() iter.Seq[*loadSession] {
	return func(yield func(*loadSession) bool) {
		for _, s := range p.sessions {
			if !yield(s) {
				return
			}
		}
		for _, some := range p.nodes {
			for _, s := range some {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// connect opens a session with the target's coordinator and sets it up for the archive's text.
func (r *restoreRun) connect(ctx context.Context) (*loadSession, error) {
	s, err := r.connectTo(ctx, r.target)
	if err != nil {
		return nil, fmt.Errorf("connect to the target: %w", err)
	}
	if err := r.commitLazily(ctx, s); err != nil {
		s.close(ctx)
		return nil, err
	}
	return s, nil
}

// connectTo opens a session with any server.
func (r *restoreRun) connectTo(ctx context.Context, cfg *wire.Config) (*loadSession, error) {
	settings := wire.LoadSettings(r.catalog.Encoding)
	settings.ApplicationName = "pgark restore"
	if cfg == r.target && (r.madeOf(kindDatabase) || r.madeOf(kindDatabaseProp)) {
		// ALTER DATABASE ... SET default_transaction_read_only came with the archive, and is for when it has been restored. One that was
		// there before keeps everybody out, us too.
		settings.Set = append(settings.Set, [2]string{"default_transaction_read_only", "off"})
	}
	if IsSegmentedCatalog(r.catalog) {
		settings.Optional = append(settings.Optional, [2]string{storageDefaults, ""})
		if wire.EmbedsASCII(r.catalog.Encoding) {
			// Greenplum's ANALYZE after a COPY fails at rows of a session with such an encoding, and the COPY with it.
			settings.Optional = append(settings.Optional, [2]string{"gp_autostats_mode", "none"})
		}
	}
	conn, err := wire.Connect(ctx, cfg, settings)
	if err != nil {
		return nil, err
	}
	s := &loadSession{conn: conn}
	conn.OnNotice = func(n *wire.Notice) { r.opts.Log.Warn("the server warns", "message", n.Message) }
	if err := r.setUp(ctx, s); err != nil {
		s.close(ctx)
		return nil, err
	}
	if a, ok := r.content.(*archive.Reader); ok {
		s.decoder = a.NewDecoder()
	}
	return s, nil
}

func (r *restoreRun) setUp(ctx context.Context, s *loadSession) error {
	for _, sql := range r.plan.Setup() {
		if _, err := s.conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("set up a session: %w", err)
		}
	}
	var err error
	if s.user, err = s.conn.QueryString(ctx, "SELECT current_user"); err != nil {
		return fmt.Errorf("set up a session: %w", err)
	}
	if !r.opts.disablesTriggers() {
		return nil
	}
	if _, err := s.conn.Exec(ctx, "SET session_replication_role = replica"); err != nil {
		return fmt.Errorf("load without triggers, which is for superusers and, since PostgreSQL 15, for who was granted SET ON PARAMETER session_replication_role: %w", err)
	}
	return nil
}

// disablesTriggers tells whether rows are loaded without triggers. The role of a session does so without a lock on the tables, and
// leaves nothing behind that a restore which is killed would have to put right again, as ALTER TABLE ... DISABLE TRIGGER does.
func (o *RestoreOptions) disablesTriggers() bool {
	return o.DisableTriggers && (o.DataOnly || o.NoSchema)
}

// flushFunction is what flush uses to write to the log of the server (PostgreSQL 9.6 and later).
const flushFunction = "pg_logical_emit_message"

// commitLazily has a session commit without waiting for the disk. Ten thousand small tables would wait twenty thousand
// times; flush waits once for all of them. Segments have logs of their own, which it would not reach.
func (r *restoreRun) commitLazily(ctx context.Context, s *loadSession) error {
	if r.opts.SingleTransaction || r.onSegments() {
		return nil
	}
	found, err := s.conn.QueryString(ctx, `SELECT pg_catalog.count(*) FROM pg_catalog.pg_proc
WHERE proname = '`+flushFunction+`' AND pg_catalog.has_function_privilege(oid, 'EXECUTE')`)
	if err != nil {
		return fmt.Errorf("set up a session: %w", err)
	}
	if found == "0" || found == "" {
		return nil
	}
	r.lazy = true
	_, err = s.conn.Exec(ctx, "SET synchronous_commit = off")
	return err
}

// flush commits once as the server is configured to. The log is written in order, so that makes everything durable
// that was committed before it, by any session.
func (r *restoreRun) flush(ctx context.Context, s *loadSession) error {
	if !r.lazy {
		return nil
	}
	_, err := s.conn.Exec(ctx, "RESET synchronous_commit; SELECT pg_catalog."+flushFunction+"(true, 'pgark', 'restored')")
	if err != nil {
		return fmt.Errorf("make the restored data durable: %w", err)
	}
	return nil
}

// close ends the session. It works after ctx is done too.
func (s *loadSession) close(ctx context.Context) {
	if s.decoder != nil {
		s.decoder.Close()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
	defer cancel()
	// Nothing depends on a farewell: the server rolls back and ends a session whose socket is closed.
	_ = s.conn.Close(ctx)
}

// rollback ends a transaction, if there is one, after an error. A session that is gone has none.
func (s *loadSession) rollback(ctx context.Context) {
	if s.conn.InTransaction() == 'I' || s.conn.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
	defer cancel()
	// An error here leaves the session unusable, which the next statement on it reports.
	_, _ = s.conn.Exec(ctx, "ROLLBACK")
}

// lost reports whether err means that the session is of no more use, as opposed to a statement that was refused.
func (s *loadSession) lost(err error) bool {
	return s.conn.Err() != nil || wire.IsConnLost(err) || wire.IsAdminShutdown(err)
}

// exec carries out the statements of an entry one after the other. It goes on after one that was refused, as pg_restore does
// within an entry, and returns the first such error.
func (s *loadSession) exec(ctx context.Context, q entrySQL) error {
	var first error
	for _, sql := range q.statements {
		_, err := s.conn.Exec(ctx, sql)
		for try := 0; try < deadlockRetries && isDeadlock(err) && s.conn.InTransaction() == 'I'; try++ {
			_, err = s.conn.Exec(ctx, sql)
		}
		if err != nil && (s.lost(err) || ctx.Err() != nil) {
			return err
		}
		first = worse(first, sql, s.ownerless(q.entry, sql, err))
	}
	return first
}

// elsewhereError is an object that was made, in the default tablespace, because the one that the archive has it in was refused.
type elsewhereError struct{ err error }

func (e *elsewhereError) Error() string {
	return "made in the default tablespace (create its own before, or leave out all with --no-tablespaces): " + e.err.Error()
}

func (e *elsewhereError) Unwrap() error { return e.err }

// ownerError is an object that was made, and belongs to who made it, because its owner in the archive was refused.
type ownerError struct {
	owner, user string
	err         error
}

func (e *ownerError) Error() string {
	return fmt.Sprintf("made, and owned by %q, since it could not be given to %q (that takes a role of that name which the user is a member of; --no-owner leaves owners out): %v",
		e.user, e.owner, e.err)
}

func (e *ownerError) Unwrap() error { return e.err }

// ownerless makes an ownerError of a refused statement that was to set the owner of an entry's object. Within a transaction the object is
// lost with it.
func (s *loadSession) ownerless(e *archive.Entry, sql string, err error) error {
	var refused *wire.ServerError
	if !errors.As(err, &refused) || s.lost(err) || s.conn.InTransaction() != 'I' || !setsOwner(e, sql) {
		return err
	}
	return &ownerError{owner: e.Owner, user: s.user, err: err}
}

// isMadeOtherwise tells whether an error is of an object that was made, though not as in the archive.
func isMadeOtherwise(err error) bool {
	var elsewhere *elsewhereError
	var owner *ownerError
	return errors.As(err, &elsewhere) || errors.As(err, &owner)
}

// worse is what an entry's statements come to with the next one's outcome: the first error, but for that of a setting without
// which the object was not made after all. In a transaction that is aborted nothing has an outcome of its own.
func worse(first error, sql string, err error) error {
	const aborted = "25P02"
	var elsewhere *elsewhereError
	var owner *ownerError
	switch {
	case err == nil:
		return first
	case errors.As(first, &elsewhere) && sqlState(err) == aborted:
		return elsewhere.err
	case errors.As(first, &elsewhere) && errors.As(err, &owner): // both hold
		return &elsewhereError{fmt.Errorf("%w; %w", elsewhere.err, err)}
	case errors.As(first, &elsewhere):
		return err
	case first != nil:
		return first
	case strings.HasPrefix(sql, setTablespace) && sqlState(err) != aborted:
		return &elsewhereError{err}
	}
	return err
}

// isDeadlock reports whether the server ended the statement to end a deadlock: other sessions of this restore, or of
// others, hold locks in another order. The statement can be tried again.
func isDeadlock(err error) bool { return sqlState(err) == "40P01" }

// entrySQL is the statements of one entry, with its place for errors.
type entrySQL struct {
	entry      *archive.Entry
	statements []string
}

// pipelined carries out the statements of many entries with few round trips and calls done for each entry, in order,
// with its first error. Each statement is a transaction of its own unless one is open. It stops at an error of done.
func (s *loadSession) pipelined(ctx context.Context, entries []entrySQL, done func(*archive.Entry, error) error) error {
	for len(entries) > 0 {
		n, count, size := 0, 0, 0
		var all []string
		for n < len(entries) && (n == 0 || count < pipelineStatements && size < pipelineBytes) {
			for _, sql := range entries[n].statements {
				size += len(sql)
			}
			count += len(entries[n].statements)
			all = append(all, entries[n].statements...)
			n++
		}
		if err := s.roundTrip(ctx, all, entries[:n], done); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// roundTrip sends the statements of some entries and takes all their answers, so that the session stays usable
// whatever done says.
func (s *loadSession) roundTrip(ctx context.Context, all []string, entries []entrySQL, done func(*archive.Entry, error) error) error {
	var sendErr error
	if len(all) > 0 {
		sendErr = s.conn.Send(all...)
	}
	var stop error
	for _, e := range entries {
		var first error
		for _, sql := range e.statements {
			err := sendErr
			if err == nil {
				_, err = s.conn.NextExec(ctx)
			}
			if err != nil && s.conn.Err() != nil {
				sendErr = err // no more answers will come
			}
			first = worse(first, sql, s.ownerless(e.entry, sql, err))
		}
		if stop == nil {
			stop = done(e.entry, first)
		}
	}
	return stop
}
