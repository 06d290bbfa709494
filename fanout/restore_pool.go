package fanout

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// runPool carries out steps, rows included, over all sessions.
func (r *restoreRun) runPool(ctx context.Context, pool *sessionPool, steps []*Step) error {
	if len(steps) == 0 {
		return nil
	}
	r.changed()
	r.announce(false)
	if r.plan.DataOnly {
		if err := r.orderByForeignKeys(ctx, pool.sessions[0], steps); err != nil {
			return err
		}
	}
	q := r.newQueue(steps)
	if err := pool.grow(ctx, r, r.sessionsFor(q, 0)); err != nil {
		return err
	}
	if err := pool.growNodes(ctx, r, q); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for s := range pool.all() {
		g.Go(func() error { return r.work(ctx, s, q) })
	}
	return g.Wait()
}

// sessionsFor is how many sessions with a node could have something to do at once.
func (r *restoreRun) sessionsFor(q *restoreQueue, node uint32) int {
	if r.sharesTables() && q.open[node] > 0 {
		return r.opts.Jobs
	}
	return min(r.opts.Jobs, q.open[node])
}

// work has one session carry out tasks until there are none. Its error ends the restore; a failure that is only to be
// recorded is none.
func (r *restoreRun) work(ctx context.Context, s *loadSession, q *restoreQueue) error {
	for {
		t, err := q.take(ctx, s.node)
		if t == nil || err != nil {
			return err
		}
		if err := r.carryOut(ctx, s, q, t); err != nil {
			return err
		}
	}
}

func (r *restoreRun) carryOut(ctx context.Context, s *loadSession, q *restoreQueue, t *restoreTask) error {
	if t.done {
		q.leave(t)
		q.finish(t)
		return nil
	}
	if t.load == nil {
		sql := r.plan.Definition(&s.state, t.step)
		if len(sql) > 0 {
			if err := r.defined(ctx, s, t.step.Entry, s.exec(ctx, entrySQL{entry: t.step.Entry, statements: sql})); err != nil {
				return err
			}
		}
		q.leave(t)
		q.finish(t)
		return nil
	}
	if err := r.load(ctx, s, t.load); err != nil {
		return err
	}
	if !q.leave(t) {
		return nil
	}
	if err := r.settle(ctx, s, t.load); err != nil {
		return err
	}
	q.finish(t)
	return nil
}
