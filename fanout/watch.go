package fanout

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
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
	defer closeSession(ctx, conn)
	there := fmt.Sprintf("EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity a WHERE a.pid = %d)", pid)
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
			return fmt.Errorf("node %s: look after the session that holds the snapshot: %w", node.Name, err)
		case answer != "t":
			return lost
		}
	}
	return nil
}

// watchHolders ends the dump when a session is lost that holds its moment, rather than hours later.
func (a *attempt) watchHolders(ctx context.Context) error {
	if sleep(ctx, holderPoll) != nil {
		return nil
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, x := range a.m.members {
		g.Go(func() error {
			return a.watchSession(gctx, x.node, x.conn.PID(), holderPoll,
				fmt.Errorf("node %s: the session that held the snapshot was lost, so one moment is no longer certain", x.node.Name), nil)
		})
	}
	return g.Wait()
}

// Workers whose answers travel only when they end say how they get on as the application_name of the session with which they
// watch their lead: "pgark worker 0a1b2c3d 1000 65536", with the begin of the set's id, rows and bytes.
const workerName = "pgark worker "

// told counts what is done, for the name of a session.
type told struct {
	Progress
	rows, bytes atomic.Uint64
}

// Advance implements [Progress].
func (t *told) Advance(rows, bytes uint64) {
	t.rows.Add(rows)
	t.bytes.Add(bytes)
	t.Progress.Advance(rows, bytes)
}

func (t *told) name(set string) string {
	return fmt.Sprintf("%s%.8s %d %d", workerName, set, t.rows.Load(), t.bytes.Load())
}

// readNames reports what the workers of a set on one node say, until ctx is done. It is for the progress only: a node
// that can't be asked is not.
func readNames(ctx context.Context, cfg *wire.Config, set string, report func(rows, bytes uint64)) {
	settings := wire.TextSettings("")
	settings.ApplicationName = "pgark dump"
	conn, err := wire.Connect(ctx, cfg, settings)
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
