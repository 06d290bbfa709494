package fanout

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// restoreTask is one step in the parallel part of a restore.
type restoreTask struct {
	step     *Step
	load     *tableLoad // rows to be loaded, or nil for a definition
	order    int        // place in the plan
	weight   uint64     // bytes of rows that it loads or reads through: the largest go first
	waits    int        // tasks that must be finished before
	then     []*restoreTask
	sessions int // at work on it
}

// restoreQueue hands out the tasks of the parallel part to sessions: what a task depends on is finished before it, no
// two tasks with conflicting locks run at once, the largest go first. Safe for concurrent use.
type restoreQueue struct {
	mu       sync.Mutex
	joinFrom uint64
	ready    []*restoreTask // sorted by weight, largest first, then by order
	waiting  map[*restoreTask]bool
	running  []*restoreTask
	changed  chan struct{} // closed, and replaced, when something was finished
}

func (r *restoreRun) newQueue(steps []*Step) *restoreQueue {
	q := &restoreQueue{
		joinFrom: r.limits.joinFrom, waiting: make(map[*restoreTask]bool), changed: make(chan struct{}),
	}
	tasks := make(map[int32]*restoreTask, len(steps))
	for i, s := range steps {
		t := &restoreTask{step: s, load: r.loads[s.Entry.ID], order: i}
		if t.load != nil {
			t.weight = t.load.want.Bytes
		}
		tasks[s.Entry.ID] = t
		q.waiting[t] = true
	}
	for _, s := range steps {
		t := tasks[s.Entry.ID]
		for _, id := range s.Deps {
			if before := tasks[id]; before != nil && before != t {
				before.then = append(before.then, t)
				t.waits++
			}
		}
	}
	// Dependencies come first in the plan as a rule, so one pass carries a table's weight to its indexes and on to what
	// needs those.
	for _, s := range steps {
		t := tasks[s.Entry.ID]
		for _, after := range t.then {
			after.weight = max(after.weight, t.weight)
		}
	}
	for _, s := range steps {
		if t := tasks[s.Entry.ID]; t.waits == 0 {
			q.promote(t)
		}
	}
	return q
}

// take returns a task to work on, waiting until there is one. Several sessions may get the same large load. It returns
// nil when all tasks are finished.
func (q *restoreQueue) take(ctx context.Context) (*restoreTask, error) {
	for {
		q.mu.Lock()
		t := q.pick()
		done := t == nil && len(q.running) == 0
		changed := q.changed
		q.mu.Unlock()
		if t != nil || done {
			return t, ctx.Err()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// pick chooses between the first ready task that conflicts with nothing and the large load with most left to do.
func (q *restoreQueue) pick() *restoreTask {
	best := -1
	for i, t := range q.ready {
		if !q.conflicts(t) {
			best = i
			break
		}
	}
	var join *restoreTask
	for _, t := range q.running {
		if t.load != nil && t.load.joinable(q.joinFrom) && (join == nil || t.load.left() > join.load.left()) {
			join = t
		}
	}
	if join != nil && (best < 0 || join.load.left() > q.ready[best].weight) {
		join.sessions++
		return join
	}
	if best < 0 && len(q.running) == 0 && len(q.waiting) > 0 {
		// A circle of dependencies, which only a damaged or edited catalog has: break it where the plan comes first.
		q.promote(q.firstWaiting())
		best = 0
	}
	if best < 0 {
		return nil
	}
	t := q.ready[best]
	q.ready = slices.Delete(q.ready, best, best+1)
	q.running = append(q.running, t)
	t.sessions++
	return t
}

func (q *restoreQueue) conflicts(t *restoreTask) bool {
	return slices.ContainsFunc(q.running, func(o *restoreTask) bool {
		return t.step.Conflicts(o.step) || o.step.Conflicts(t.step)
	})
}

func (q *restoreQueue) firstWaiting() *restoreTask {
	var first *restoreTask
	for t := range q.waiting {
		if first == nil || t.order < first.order {
			first = t
		}
	}
	return first
}

// promote makes a waiting task ready.
func (q *restoreQueue) promote(t *restoreTask) {
	delete(q.waiting, t)
	i, _ := slices.BinarySearchFunc(q.ready, t, func(a, b *restoreTask) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.order, b.order))
	})
	q.ready = slices.Insert(q.ready, i, t)
}

// leave says that a session has done its part of a task. It reports whether it was the last one, which then settles the
// task and calls finish.
func (q *restoreQueue) leave(t *restoreTask) (last bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.sessions--
	return t.sessions == 0
}

// finish ends a task and makes ready what waited for it only.
func (q *restoreQueue) finish(t *restoreTask) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running = slices.DeleteFunc(q.running, func(o *restoreTask) bool { return o == t })
	for _, after := range t.then {
		if after.waits--; after.waits == 0 && q.waiting[after] {
			q.promote(after)
		}
	}
	close(q.changed)
	q.changed = make(chan struct{})
}
