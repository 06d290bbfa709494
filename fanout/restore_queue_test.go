package fanout

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/pgark/pgark/archive"
)

// TestQueueKeepsOrderAndLocks runs random graphs of steps over several sessions: every step is carried out once, after
// what it depends on, and never beside one that it conflicts with.
func TestQueueKeepsOrderAndLocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "steps")
		steps := make([]*Step, n)
		for i := range steps {
			s := &Step{Entry: &archive.Entry{ID: int32(i + 1), Kind: "FK CONSTRAINT", Section: archive.SectionPostData}}
			// Mostly what comes before, sometimes a circle or an ID that is not there.
			s.Deps = rapid.SliceOfN(rapid.Int32Range(1, int32(i+2)), 0, 3).Draw(t, "deps")
			s.Lock = rapid.SliceOfN(rapid.Int32Range(1, 5), 0, 2).Draw(t, "lock")
			steps[i] = s
		}
		checkQueue(t, steps, rapid.IntRange(1, 6).Draw(t, "sessions"))
	})
}

func checkQueue(t *rapid.T, steps []*Step, sessions int) {
	r := &restoreRun{limits: defaultRestoreLimits()}
	q := r.newQueue(steps)
	var mu sync.Mutex
	var running []*Step
	finished := make(map[int32]bool)
	var g errgroup.Group
	for range sessions {
		g.Go(func() error {
			for {
				task, err := q.take(t.Context(), 0)
				if task == nil || err != nil {
					return err
				}
				mu.Lock()
				for _, o := range running {
					if task.step.Conflicts(o) || o.Conflicts(task.step) {
						err = fmt.Errorf("step %d runs beside %d", task.step.Entry.ID, o.Entry.ID)
					}
				}
				for _, id := range task.step.Deps {
					if id < task.step.Entry.ID && !finished[id] {
						err = fmt.Errorf("step %d runs before %d", task.step.Entry.ID, id)
					}
				}
				running = append(running, task.step)
				mu.Unlock()
				if err != nil {
					return err
				}
				mu.Lock()
				running = slices.DeleteFunc(running, func(s *Step) bool { return s == task.step })
				if finished[task.step.Entry.ID] {
					err = fmt.Errorf("step %d ran twice", task.step.Entry.ID)
				}
				finished[task.step.Entry.ID] = true
				mu.Unlock()
				if err != nil {
					return err
				}
				if q.leave(task) {
					q.finish(task)
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(finished) != len(steps) {
		t.Fatalf("%d of %d steps were carried out", len(finished), len(steps))
	}
}

// TestQueueGivesLargestFirst: what is large begins first, and an index of a large table before a small table's rows.
func TestQueueGivesLargestFirst(t *testing.T) {
	entry := func(id int32, kind string) *archive.Entry { return &archive.Entry{ID: id, Kind: kind} }
	steps := []*Step{
		{Entry: entry(1, "TABLE DATA")},
		{Entry: entry(2, "TABLE DATA")},
		{Entry: entry(3, "INDEX"), Deps: []int32{2}},
		{Entry: entry(4, "TABLE DATA")},
	}
	r := &restoreRun{limits: defaultRestoreLimits(), loads: map[int32]*entryLoad{}}
	for id, bytes := range map[int32]uint64{1: 10, 2: 1000, 4: 500} {
		r.loads[id] = &entryLoad{}
		r.loads[id].setParts([]*tableLoad{{raw: bytes}})
	}
	q := r.newQueue(steps)
	var order []int32
	for {
		task, err := q.take(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if task == nil {
			break
		}
		order = append(order, task.step.Entry.ID)
		q.leave(task)
		q.finish(task)
	}
	if want := []int32{2, 3, 4, 1}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}
