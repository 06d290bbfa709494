package fanout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/wire"
)

const (
	// leadPoll is how often a worker looks whether its lead is still there. A server that waits for its workers does not
	// notice that its client has gone.
	leadPoll = time.Second
	// holderPoll is how often a dump looks whether the sessions are there that hold its moment, and how long it waits with
	// that: a short dump sees it at its end.
	holderPoll = 10 * time.Second
)

// watchSession looks now and then, over a session of its own, whether another session on the node is still there. It
// returns lost when it is not, another error when it can't look, and nil when ctx is done. name gives the session's
// application_name at each look; nil leaves it.
func (d *dumper) watchSession(ctx context.Context, node *Node, pid uint32, every time.Duration, lost error, name func() string) error {
	return watchOver(ctx, node.Name, pid, every, lost, name, func() (*wire.Conn, error) { return d.session(ctx, node, workerLockTimeout) })
}

// watchOver is watchSession over a session that open opens, when it is time for the first look: what is short does without.
func watchOver(ctx context.Context, node string, pid uint32, every time.Duration, lost error, name func() string, open func() (*wire.Conn, error)) error {
	if sleep(ctx, every) != nil {
		return nil
	}
	conn, err := open()
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("node %s: look after the lead's session: %w", node, err)
	}
	defer closeSession(ctx, conn)
	there := thereQuery(pid)
	for {
		query := "SELECT " + there
		if name != nil {
			query += " AND pg_catalog.set_config('application_name', " + wire.Literal(name()) + ", false) IS NOT NULL"
		}
		answer, err := conn.QueryString(ctx, query)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("node %s: look after the lead's session: %w", node, err)
		case answer != "t":
			return lost
		}
		if sleep(ctx, every) != nil {
			return nil
		}
	}
}

// thereQuery is an expression: whether a session is there.
func thereQuery(pid uint32) string {
	return fmt.Sprintf("EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity a WHERE a.pid = %d)", pid)
}

// sessionThere tells whether a session is there, over another one on the same node.
func sessionThere(ctx context.Context, conn *wire.Conn, pid uint32) (bool, error) {
	answer, err := conn.QueryString(ctx, "SELECT "+thereQuery(pid))
	return answer == "t", err
}

// watchHolders ends the dump when a session is lost that holds its moment, rather than hours later.
func (a *attempt) watchHolders(ctx context.Context) error {
	if sleep(ctx, holderPoll) != nil {
		return nil
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, x := range a.m.watched() {
		g.Go(func() error {
			lost := fmt.Errorf("node %s: the session that held the snapshot was lost, so one moment is no longer certain", x.node.Name)
			err := a.watchSession(gctx, x.node, x.conn.PID(), holderPoll, lost, nil)
			if err == nil || errors.Is(err, lost) {
				return err
			}
			a.log.Debug("not watched", "error", err) // a server without a session to spare must not fail the dump; its end tells
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	<-ctx.Done() // who watches no more must not end the dump
	return nil
}

// watched are the members whose sessions may be lost without anybody seeing it for long. Not the only one, if all is read over it.
func (m *moment) watched() []*member {
	if len(m.members) == 1 && m.leader().reads {
		return nil
	}
	return m.members
}

// lost tells whether a session is gone that holds a node's snapshot: another failure is then a consequence. The leader's
// is not looked at, since it may have been cancelled.
func (m *moment) lost(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	for _, x := range m.members[1:] {
		_, err := x.conn.Exec(ctx, "SELECT 1")
		if errors.Is(err, wire.ErrClosed) || errors.Is(err, wire.ErrBusy) { // we closed it after the failure, or it was reading
			continue
		}
		if err != nil {
			return fmt.Errorf("node %s: the session that held the snapshot was lost: %w", x.node.Name, err)
		}
	}
	return nil
}

// Workers whose answers travel only when they end say how they get on as the application_name of the session with which they
// watch their lead: "pgark worker 0a1b2c3d 1000 65536", with the begin of the set's id, rows and bytes.
const workerName = "pgark worker "

// readNames reports what the workers of a set, or a command, on one node say, over the lead's session there, until asking is
// done. It is for the progress only: a node that can't be asked is not. No query is cancelled with asking: the session may hold
// a snapshot, and a transaction that is cancelled loses it.
func readNames(ctx, asking context.Context, conn *wire.Conn, run string, report func(rows, bytes uint64)) {
	prefix := fmt.Sprintf("%s%.8s ", workerName, run)
	query := "SELECT application_name FROM pg_catalog.pg_stat_activity WHERE application_name LIKE " + wire.Literal(prefix+"%")
	var rows, bytes uint64
	for sleep(asking, leadPoll) == nil {
		// Within a transaction the view would always show what it has shown first.
		if _, err := conn.QueryStrings(ctx, "SELECT pg_catalog.pg_stat_clear_snapshot()"); err != nil {
			return
		}
		names, err := conn.QueryStrings(ctx, query)
		if err != nil {
			return
		}
		for _, n := range names {
			var r, b uint64
			if _, err := fmt.Sscanf(strings.TrimPrefix(n[0], prefix), "%d %d", &r, &b); err == nil && r >= rows && b >= bytes {
				report(r-rows, b-bytes)
				rows, bytes = r, b
			}
		}
	}
}
