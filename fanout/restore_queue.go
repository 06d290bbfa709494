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
	load     *tableLoad  // rows to be loaded, or nil for a definition
	volume   *volumeLoad // of a worker: what load is a part of
	node     uint32      // ID of the node whose sessions carry it out, 0 for the coordinator's
	done     bool        // there is nothing left to do
	order    int         // place in the plan
	weight   uint64      // bytes of rows that it loads or reads through: the largest go first
	waits    int         // tasks that must be finished before
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
	open     map[uint32]int // tasks that are not finished, by node
	changed  chan struct{}  // closed, and replaced, when something was finished
}

func (r *restoreRun) newQueue(steps []*Step) *restoreQueue {
	q := &restoreQueue{
		joinFrom: r.limits.joinFrom, waiting: make(map[*restoreTask]bool), changed: make(chan struct{}),
		open: make(map[uint32]int),
	}
	tasks := make(map[int32][]*restoreTask, len(steps)) // one for each part of a load, or for a definition
	for i, s := range steps {
		tasks[s.Entry.ID] = r.tasksOf(s, i)
		for _, t := range tasks[s.Entry.ID] {
			q.waiting[t] = true
			q.open[t.node]++
		}
	}
	for _, s := range steps {
		for _, id := range s.Deps {
			if id == s.Entry.ID {
				continue
			}
			for _, before := range tasks[id] {
				before.then = append(before.then, tasks[s.Entry.ID]...)
			}
			for _, t := range tasks[s.Entry.ID] {
				t.waits += len(tasks[id])
			}
		}
	}
	// Dependencies come first in the plan as a rule, so one pass carries a table's weight to its indexes and on to what
	// needs those.
	for _, s := range steps {
		for _, t := range tasks[s.Entry.ID] {
			for _, after := range t.then {
				after.weight = max(after.weight, t.weight)
			}
		}
	}
	for _, s := range steps {
		for _, t := range tasks[s.Entry.ID] {
			if t.waits == 0 {
				q.promote(t)
			}
		}
	}
	return q
}

// tasksOf makes the tasks of a step that stands at a place of the plan.
func (r *restoreRun) tasksOf(s *Step, order int) []*restoreTask {
	e := r.loads[s.Entry.ID]
	if e == nil || e.remote {
		return []*restoreTask{{step: s, order: order, done: e != nil}}
	}
	tasks := make([]*restoreTask, len(e.parts))
	for i, l := range e.parts {
		tasks[i] = &restoreTask{step: s, load: l, node: l.node, order: order, weight: l.raw}
	}
	return tasks
}

// take returns a task for a session with a node, waiting until there is one. Several sessions may get the same large load.
// It returns nil when all tasks of that node are finished.
func (q *restoreQueue) take(ctx context.Context, node uint32) (*restoreTask, error) {
	for {
		q.mu.Lock()
		t := q.pick(node)
		done := t == nil && q.open[node] == 0
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

// pick chooses between the first ready task of a node that conflicts with nothing and the large load there with most left
// to do.
func (q *restoreQueue) pick(node uint32) *restoreTask {
	if len(q.ready) == 0 && len(q.running) == 0 && len(q.waiting) > 0 {
		// A circle of dependencies, which only a damaged or edited catalog has: break it where the plan comes first.
		q.promote(q.firstWaiting())
		q.announce()
	}
	best := -1
	for i, t := range q.ready {
		if t.node == node && !q.conflicts(t) {
			best = i
			break
		}
	}
	var join *restoreTask
	for _, t := range q.running {
		if t.node == node && t.load != nil && t.load.joinable(q.joinFrom) && (join == nil || t.load.left() > join.load.left()) {
			join = t
		}
	}
	if join != nil && (best < 0 || join.load.left() > q.ready[best].weight) {
		join.sessions++
		return join
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
		return t.step != o.step && (t.step.Conflicts(o.step) || o.step.Conflicts(t.step))
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
	q.open[t.node]--
	for _, after := range t.then {
		if after.waits--; after.waits == 0 && q.waiting[after] {
			q.promote(after)
		}
	}
	q.announce()
}

// announce wakes the sessions that wait.
func (q *restoreQueue) announce() {
	close(q.changed)
	q.changed = make(chan struct{})
}
