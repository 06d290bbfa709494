package fanout

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
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
// returns lost when it is not, another error when it can't look, and nil when ctx is done.
func (d *dumper) watchSession(ctx context.Context, node *Node, pid uint32, every time.Duration, lost error) error {
	conn, err := d.session(ctx, node, workerLockTimeout)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("node %s: look after the session that holds the snapshot: %w", node.Name, err)
	}
	defer closeSession(ctx, conn)
	query := fmt.Sprintf("SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity a WHERE a.pid = %d)", pid)
	for sleep(ctx, every) == nil {
		there, err := conn.QueryString(ctx, query)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("node %s: look after the session that holds the snapshot: %w", node.Name, err)
		case there != "t":
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
				fmt.Errorf("node %s: the session that held the snapshot was lost, so one moment is no longer certain", x.node.Name))
		})
	}
	return g.Wait()
}
