package fanout

import (
	"context"

	"github.com/pgark/pgark/archive"
)

// runSerial carries out steps one after the other on the leader. Rows are not among them.
func (r *restoreRun) runSerial(ctx context.Context, pool *sessionPool, steps []*Step) error {
	if len(steps) == 0 {
		return nil
	}
	r.changed()
	var run []*Step
	for _, step := range steps {
		switch step.Entry.Kind {
		case kindDatabase: // createDatabase has done it
		case kindDatabaseProp:
			if err := r.define(ctx, pool.sessions[0], append(run, step)); err != nil {
				return err
			}
			run = run[:0]
			if err := r.reconnect(ctx, pool); err != nil {
				return err
			}
		default:
			run = append(run, step)
		}
	}
	return r.define(ctx, pool.sessions[0], run)
}

// runInOrder carries out steps, rows included, one after the other on one session.
func (r *restoreRun) runInOrder(ctx context.Context, s *loadSession, steps []*Step) error {
	r.changed()
	r.announce(false)
	var run []*Step
	for _, step := range steps {
		entry := r.loads[step.Entry.ID]
		if entry == nil {
			run = append(run, step)
			continue
		}
		if err := r.define(ctx, s, run); err != nil {
			return err
		}
		run = run[:0]
		for _, load := range entry.parts {
			if err := r.load(ctx, s, load); err != nil {
				return err
			}
			if err := r.settle(ctx, s, load); err != nil {
				return err
			}
		}
	}
	return r.define(ctx, s, run)
}

// define carries out the definitions of steps in order, with few round trips.
func (r *restoreRun) define(ctx context.Context, s *loadSession, steps []*Step) error {
	items := make([]entrySQL, 0, len(steps))
	for _, step := range steps {
		if sql := r.plan.Definition(&s.state, step); len(sql) > 0 {
			items = append(items, entrySQL{entry: step.Entry, statements: sql})
		}
	}
	return r.execAll(ctx, s, items, func(e *archive.Entry, err error) error {
		return r.defined(ctx, s, e, err)
	})
}

// execAll sends the statements of many entries. If the first error is to end the restore, nothing may be under way
// behind it, so each entry waits for its answer; inside a transaction what follows an error has no effect anyway.
func (r *restoreRun) execAll(ctx context.Context, s *loadSession, items []entrySQL, done func(*archive.Entry, error) error) error {
	if !r.opts.ExitOnError || r.opts.SingleTransaction {
		return s.pipelined(ctx, items, done)
	}
	for _, item := range items {
		if err := done(item.entry, s.exec(ctx, item)); err != nil {
			return err
		}
	}
	return nil
}

// defined records the outcome of an entry's definition.
func (r *restoreRun) defined(ctx context.Context, s *loadSession, e *archive.Entry, err error) error {
	if err == nil || isMadeOtherwise(err) {
		r.done(e.ID)
		if err != nil {
			return r.fail(ctx, s, e, err)
		}
		return nil
	}
	r.mu.Lock()
	r.made[e.ID] = false
	r.mu.Unlock()
	return r.fail(ctx, s, e, err)
}

// done records that an entry's definition was carried out.
func (r *restoreRun) done(id int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made[id] = true
	r.result.Objects++
}

func (r *restoreRun) isMade(id int32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.made[id]
}

// hasFailed reports whether an entry's definition was tried and refused.
func (r *restoreRun) hasFailed(id int32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	made, tried := r.made[id]
	return tried && !made
}

// changed records that the restore is about to change something on the server.
func (r *restoreRun) changed() {
	r.mu.Lock()
	r.change = true
	r.mu.Unlock()
}
