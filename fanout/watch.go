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
	conn, err := d.session(ctx, node, workerLockTimeout)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("node %s: look after the session that holds the snapshot: %w", node.Name, err)
	}
	return watchOver(ctx, conn, node.Name, pid, every, lost, name)
}

// watchOver is watchSession over a session that is open, and is closed at the end.
func watchOver(ctx context.Context, conn *wire.Conn, node string, pid uint32, every time.Duration, lost error, name func() string) error {
	defer closeSession(ctx, conn)
	there := thereQuery(pid)
	for sleep(ctx, every) == nil {
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
	}
	return nil
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
	for _, x := range a.m.members {
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
	return g.Wait()
}

// lost tells whether a session is gone that holds a node's snapshot: another failure is then a consequence. The leader's
// is not looked at, since it may have been cancelled.
func (m *moment) lost(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	for _, x := range m.members[1:] {
		if _, err := x.conn.Exec(ctx, "SELECT 1"); err != nil {
			return fmt.Errorf("node %s: the session that held the snapshot was lost: %w", x.node.Name, err)
		}
	}
	return nil
}

// Workers whose answers travel only when they end say how they get on as the application_name of the session with which they
// watch their lead: "pgark worker 0a1b2c3d 1000 65536", with the begin of the set's id, rows and bytes.
const workerName = "pgark worker "

// readNames reports what the workers of a set on one node say, until ctx is done. It is for the progress only: a node
// that can't be asked is not.
func readNames(ctx context.Context, cfg *wire.Config, set string, report func(rows, bytes uint64)) {
	conn, err := plainSession(ctx, cfg, "pgark dump")
	if err != nil {
		return
	}
	defer closeSession(ctx, conn)
	prefix := fmt.Sprintf("%s%.8s ", workerName, set)
	query := "SELECT application_name FROM pg_catalog.pg_stat_activity WHERE application_name LIKE " + wire.Literal(prefix+"%")
	var rows, bytes uint64
	for sleep(ctx, leadPoll) == nil {
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
