package fanout

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/wire"
)

// ErrBarrier is wrapped by errors about a write barrier that could not be had: nothing has been read yet.
var ErrBarrier = errors.New("no write barrier")

const (
	// DefaultBarrierTimeout is how long a dump tries to get its write barrier.
	DefaultBarrierTimeout = 10 * time.Second
	// barrierShare is the part of deadlock_timeout that one try may take, from its first lock to its last release. So a
	// try is always over before a server looks for deadlocks, and no server ever ends a user's transaction for its sake.
	barrierShare = 0.8
	// barrierFirst is how long the first try may take. Most writers are done in a moment. Writers that lock tables in another
	// order than the barrier let no try succeed that meets them, however long, and all wait for it: so long tries are
	// rare. With 8 such writers a dump's failed tries fell from 25 to 6, and their longest wait from 0.84 s to
	// 0.21 s, against doubling the time of each try.
	barrierFirst = 50 * time.Millisecond
	// barrierRest is the longest pause between two tries, in which writers get on.
	barrierRest = 500 * time.Millisecond
	// barrierIdle ends a session that holds the barrier if this program is stopped or cut off just then.
	barrierIdle = 5 * time.Second
)

const (
	barrierSavepoint = "SAVEPOINT barrier"
	barrierRelease   = "ROLLBACK TO SAVEPOINT barrier; RELEASE SAVEPOINT barrier"
)

// barrier keeps writers out of the tables of all its lockers for as long as the nodes take their snapshots. A
// transaction that has committed on one node and not yet on the next still has its lock on the next, so when SHARE is
// granted everywhere none is half committed, and none can begin to be.
type barrier struct {
	d       *dumper
	lockers []*locker
	budget  time.Duration // of one try
}

// locker is a member that holds a part of the barrier.
type locker struct {
	*member
	monitor *wire.Conn // to ask who is in the way; opened after the first try that failed
	inWay   string     // who was, at the last look; "" when it has its locks
	vacuum  string     // table that an autovacuum was at then
	open    bool       // the savepoint is there
}

// newBarrier prepares a barrier over members that have locks. Its close must be called.
func (d *dumper) newBarrier(ctx context.Context, members []*member) (*barrier, error) {
	b := &barrier{d: d}
	for _, m := range members {
		if !m.locks || len(m.names) == 0 {
			continue
		}
		// SHOW takes no snapshot.
		s, err := m.conn.QueryString(ctx, "SHOW deadlock_timeout")
		if err != nil {
			return nil, fmt.Errorf("node %s: read deadlock_timeout: %w", m.node.Name, err)
		}
		timeout, err := parseSetting(s)
		if err != nil {
			return nil, fmt.Errorf("node %s: deadlock_timeout: %w", m.node.Name, err)
		}
		budget := time.Duration(float64(timeout) * barrierShare)
		if len(b.lockers) == 0 || budget < b.budget {
			b.budget = budget
		}
		b.lockers = append(b.lockers, &locker{member: m})
	}
	return b, nil
}

// parseSetting reads a time as SHOW prints it: "1s", "500ms", "2min".
func parseSetting(s string) (time.Duration, error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("unexpected value %q", s)
	}
	switch s[len(digits):] {
	case "ms":
		return time.Duration(n) * time.Millisecond, nil
	case "s":
		return time.Duration(n) * time.Second, nil
	case "min":
		return time.Duration(n) * time.Minute, nil
	case "h":
		return time.Duration(n) * time.Hour, nil
	case "d":
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return 0, fmt.Errorf("unexpected value %q", s)
}

func (b *barrier) close(ctx context.Context) {
	for _, l := range b.lockers {
		if l.monitor != nil {
			closeSession(ctx, l.monitor)
		}
	}
}

// during runs under behind the barrier, at most until the context that it gets is done. Whatever happens, the barrier is
// gone when it returns. Errors about a barrier that could not be had wrap ErrBarrier; then under was not called.
func (b *barrier) during(ctx context.Context, under func(context.Context) error) error {
	if len(b.lockers) == 0 {
		return under(ctx)
	}
	begun := time.Now()
	first := barrierFirst
	for _, l := range b.lockers {
		// Many tables take their time even with nobody in the way: a try that can't succeed is a nuisance to writers.
		first = max(first, 2*l.locking)
	}
	allowed := min(first, b.budget)
	for try := 1; ; try++ {
		granted, err := b.try(ctx, allowed, under)
		if granted || err != nil {
			return err
		}
		spent := time.Since(begun)
		b.d.log.Debug("barrier not granted", "try", try, "allowed", allowed, "in the way", b.inWay())
		if spent >= b.d.o.BarrierTimeout {
			return fmt.Errorf("%w within %v (%d tries): %s", ErrBarrier, b.d.o.BarrierTimeout, try, b.inWay())
		}
		if try == 3 {
			b.d.progress.Note("waiting for writers: " + b.inWay())
		}
		b.openMonitors(ctx)
		b.askVacuum(ctx)
		rest := min(barrierRest, allowed)
		if err := sleep(ctx, rest/2+rand.N(rest)); err != nil {
			return err
		}
		allowed = min(first*time.Duration(luby(try+1)), b.budget)
	}
}

// inWay says who kept the barrier from being granted.
func (b *barrier) inWay() string {
	var who []string
	tables := 0
	for _, l := range b.lockers {
		tables += len(l.names)
		if l.inWay != "" {
			who = append(who, "on node "+l.node.Name+" "+l.inWay)
		}
	}
	if len(who) == 0 {
		return fmt.Sprintf("the locks on %d tables took longer than the %v that a try may take; nobody was seen in the way", tables, b.budget)
	}
	return strings.Join(who, "; ")
}

// try asks for all locks at once, and gives all back before its time is over.
func (b *barrier) try(ctx context.Context, allowed time.Duration, under func(context.Context) error) (granted bool, err error) {
	late := time.Now().Add(allowed)
	tryCtx, cancel := context.WithDeadline(ctx, late)
	defer cancel()
	g, gctx := errgroup.WithContext(tryCtx)
	for _, l := range b.lockers {
		g.Go(func() error { return l.lock(gctx, b, allowed) })
	}
	err = g.Wait()
	if err == nil {
		granted = true
		b.d.log.Debug("barrier granted", "left", time.Until(late))
		// The snapshots may take what is left of the longest try: the locks have not been waited for all that long.
		underCtx, cancel := context.WithDeadline(ctx, late.Add(b.budget-allowed))
		defer cancel()
		err = under(underCtx)
		if err != nil && underCtx.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: the snapshots could not be taken within %v: %w", errSlipped, b.budget, err)
		}
	}
	if releaseErr := b.releaseAll(ctx); releaseErr != nil {
		return granted, releaseErr
	}
	switch {
	case granted:
		return true, err
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case wire.IsUndefined(err):
		return false, fmt.Errorf("%w: %w", errSlipped, err)
	case wire.IsPermission(err):
		return false, fmt.Errorf("%w: it needs LOCK TABLE ... IN SHARE MODE, for which this user has no right: %w; "+
			"grant UPDATE, DELETE or TRUNCATE on the tables (from PostgreSQL 17 on MAINTAIN does, too), or take another route", ErrBarrier, err)
	case wire.IsLockTimeout(err) || wire.IsCancelled(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		return false, nil
	}
	return false, err
}

// lock asks for SHARE on everything that the locker's server has of the tables in scope.
func (l *locker) lock(ctx context.Context, b *barrier, allowed time.Duration) error {
	l.vacuum = ""
	// The server ends the statement in time by itself. Only if that is not heard of it is cancelled.
	begin := fmt.Sprintf("%s; SET LOCAL statement_timeout = %d", barrierSavepoint, (allowed - allowed/8).Milliseconds())
	if l.dialect.IdleTimeout {
		begin += fmt.Sprintf("; SET LOCAL idle_in_transaction_session_timeout = %d", barrierIdle.Milliseconds())
	}
	sql := []string{
		begin, "LOCK TABLE " + strings.Join(l.names, ", ") + " IN SHARE MODE",
		// What comes under the locks is bounded by the budget: 43 ms, as the locks have in a first try, can be too short for a snapshot.
		fmt.Sprintf("SET LOCAL statement_timeout = %d", b.budget.Milliseconds()),
	}
	if err := l.conn.Send(sql...); err != nil {
		return fmt.Errorf("node %s: %w", l.node.Name, err)
	}
	l.open = true
	// The look happens while the locker still waits: afterwards nobody is in the way any more.
	looked := make(chan struct{})
	lookCtx, stop := context.WithCancel(ctx)
	go func() {
		defer close(looked)
		l.look(lookCtx, allowed/2)
	}()
	var err error
	for range sql {
		if _, e := l.conn.NextExec(ctx); e != nil && err == nil {
			err = e
		}
		if l.conn.Err() != nil {
			break
		}
	}
	stop()
	<-looked
	if err != nil {
		return fmt.Errorf("node %s: %w", l.node.Name, err)
	}
	l.inWay, l.vacuum = "", ""
	return nil
}

// look finds out who the locker waits for, if it still waits after some time.
func (l *locker) look(ctx context.Context, after time.Duration) {
	if l.monitor == nil || sleep(ctx, after) != nil {
		return
	}
	if who, vacuumed, err := whoHolds(ctx, l.monitor, l.conn.PID(), l.dialect.UtilityOption != ""); err == nil {
		l.inWay, l.vacuum = who, vacuumed
	}
	if l.monitor.Err() != nil {
		closeSession(ctx, l.monitor)
		l.monitor = nil
	}
}

// openMonitors opens the sessions for the looks between two tries, when no lock is held: on a busy machine that takes longer
// than a try.
func (b *barrier) openMonitors(ctx context.Context) {
	var g errgroup.Group
	for _, l := range b.lockers {
		if l.monitor != nil {
			continue
		}
		g.Go(func() error {
			conn, err := b.d.session(ctx, l.node, "0")
			if err == nil { // else there is no look: it is for the message only
				l.monitor = conn
			}
			return nil
		})
	}
	_ = g.Wait()
}

// releaseAll gives back the barrier's locks on all nodes at once.
func (b *barrier) releaseAll(ctx context.Context) error {
	// Cancelled or not, the locks go back: what writers wait for must not depend on how orderly this program ends.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	var g errgroup.Group
	for _, l := range b.lockers {
		g.Go(func() error { return l.release(ctx) })
	}
	return g.Wait()
}

func (l *locker) release(ctx context.Context) error {
	if !l.open {
		return nil
	}
	l.open = false
	_, err := l.conn.Exec(ctx, barrierRelease)
	if wire.IsCancelled(err) { // by a request that was meant for the lock
		_, err = l.conn.Exec(ctx, barrierRelease)
	}
	if err != nil {
		err = fmt.Errorf("node %s: give back the locks of the write barrier: %w", l.node.Name, err)
		if isServerError(err) {
			// A cancelled SAVEPOINT or RELEASE may have come to some segments and not to others. The end of the session
			// gives the locks back.
			err = fmt.Errorf("%w: %w", errSlipped, err)
		}
		return err
	}
	return nil
}

// askVacuum has the server end autovacuums that are in the way, as it does for anybody who waits for a table as long as
// deadlock_timeout, which the barrier does not. The lock that waits here does not stop writers.
func (b *barrier) askVacuum(ctx context.Context) {
	for _, l := range b.lockers {
		if l.vacuum == "" || l.monitor == nil {
			continue
		}
		b.d.progress.Note("on node " + l.node.Name + " an autovacuum of table " + l.vacuum + " is in the way: asking the server to end it")
		wait := time.Duration(float64(b.budget)/barrierShare) * 3 / 2
		sql := fmt.Sprintf("BEGIN; SET LOCAL lock_timeout = %d; LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE", wait.Milliseconds(), l.vacuum)
		_, err := l.monitor.Exec(ctx, sql)
		b.d.log.Debug("autovacuum", "table", l.vacuum, "error", err)
		if _, err := l.monitor.Exec(ctx, "ROLLBACK"); err != nil {
			closeSession(ctx, l.monitor)
			l.monitor = nil
		}
	}
}

// luby gives the n-th number, from 1, of 1 1 2 1 1 2 4 1 1 2 1 1 2 4 8 ...: how long to try when it is not known what helps,
// as Luby, Sinclair and Zuckerman proved to be best up to a factor.
func luby(n int) int {
	for k := 1; ; k++ {
		switch full := 1<<k - 1; {
		case n == full:
			return 1 << (k - 1)
		case n < full:
			n -= 1<<(k-1) - 1
			k = 0
		}
	}
}
