package fanout

import (
	"fmt"
	"iter"
	"sync"

	"github.com/pgark/pgark/archive"
)

// restoreLimits are the sizes, in bytes of COPY text, by which a restore decides how to load a table.
type restoreLimits struct {
	// freezeFrom is the smallest table that is truncated and loaded in one transaction with FREEZE: what that saves
	// (writing the log under wal_level minimal, a later vacuum) must be worth a new file on disk.
	freezeFrom uint64
	// shareFrom is the smallest table that several sessions load at once.
	shareFrom uint64
	// joinFrom is how much of a shared table must be left for one more session to join.
	joinFrom uint64
}

func defaultRestoreLimits() restoreLimits {
	return restoreLimits{freezeFrom: 1 << 20, shareFrom: 64 << 20, joinFrom: 16 << 20}
}

// tableLoad is the loading of one table's rows, or of one entry's large objects, by one or several sessions: each takes
// the next block that nobody has, so that all end at about the same time.
type tableLoad struct {
	step   *Step
	want   archive.Digest
	schema string
	table  string
	shared bool // several sessions may take part
	blobs  bool

	mu        sync.Mutex
	next      func() (archive.Block, bool)
	stop      func()
	remaining uint64 // raw bytes of the blocks that nobody has taken
	got       archive.Digest
	rows      uint64
	err       error // the first; nobody takes another block
	skipped   bool  // err says why, nothing was loaded
	omitted   int   // large objects left alone because they could not be created
}

// planLoads prepares a load for each step that has rows, and decides which tables are shared among sessions: those
// large enough that one session with such a table would still be at work when the others are done. Sharing excludes
// FREEZE, which needs the table for one transaction alone.
func (r *restoreRun) planLoads() error {
	r.loads = make(map[int32]*tableLoad)
	losses, err := r.losses()
	if err != nil {
		return err
	}
	var total uint64
	for _, step := range r.steps {
		if !step.Rows() && !step.Blobs() {
			continue
		}
		l := r.planLoad(step, losses)
		r.loads[step.Entry.ID] = l
		total += l.want.Bytes
	}
	for _, l := range r.loads {
		l.shared = r.opts.Jobs > 1 && l.want.Bytes >= r.limits.shareFrom &&
			l.want.Bytes >= total/uint64(4*r.opts.Jobs)
	}
	return nil
}

func (r *restoreRun) planLoad(step *Step, losses bool) *tableLoad {
	l := &tableLoad{step: step, schema: step.Entry.Schema, table: step.Entry.Name, blobs: step.Blobs()}
	streams := r.archive.TableStreams(step.Entry.ID)
	for i := range streams {
		l.want.Merge(streams[i].Digest)
		if streams[i].Form != archive.FormText {
			l.err = fmt.Errorf("rows in form %d can't be loaded", streams[i].Form)
		}
	}
	if len(streams) == 0 && !losses {
		l.err = errNoRows
	}
	l.remaining = l.want.Bytes
	var blocks iter.Seq[archive.Block] = func(yield func(archive.Block) bool) {
		for i := range streams {
			for b := range r.archive.Blocks(streams[i].ID) {
				if !yield(b) {
					return
				}
			}
		}
	}
	l.next = func() (archive.Block, bool) {
		l.next, l.stop = iter.Pull(blocks)
		return l.next()
	}
	l.stop = func() {}
	return l
}

// losses warns of what a salvaged archive lacks, and reports whether it lacks anything.
func (r *restoreRun) losses() (bool, error) {
	moment, err := r.archive.Moment()
	if err != nil {
		return false, fmt.Errorf("read the moment: %w", err)
	}
	for _, l := range moment.Losses {
		what := "the archive"
		if l.Table != "" {
			what = "table " + qualifiedID(l.Schema, l.Table)
		}
		r.warn(fmt.Sprintf("%s is not complete: %s", what, l.Message))
	}
	return len(moment.Losses) > 0, nil
}

// tables is the number of tables whose rows are to be loaded.
func (r *restoreRun) tables() int {
	n := 0
	for _, l := range r.loads {
		if !l.blobs {
			n++
		}
	}
	return n
}

// sharesTables reports whether several sessions load some table.
func (r *restoreRun) sharesTables() bool {
	for _, l := range r.loads {
		if l.shared {
			return true
		}
	}
	return false
}

// announce tells the progress how much there is to load.
func (r *restoreRun) announce() {
	var bytes uint64
	for _, l := range r.loads {
		bytes += l.want.Bytes
	}
	r.opts.Progress.Plan(r.tables(), bytes)
}

// stopLoads ends the iterations over blocks of loads that were not settled.
func (r *restoreRun) stopLoads() {
	for _, l := range r.loads {
		l.mu.Lock()
		l.stop()
		l.mu.Unlock()
	}
}

// take gives the next block to a session, until none is left or the load has failed.
func (l *tableLoad) take() (archive.Block, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return archive.Block{}, false
	}
	b, ok := l.next()
	l.remaining -= min(b.Raw, l.remaining)
	if !ok {
		l.remaining = 0
	}
	return b, ok
}

// joinable reports whether one more session would help, given how much must be left.
func (l *tableLoad) joinable(from uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shared && l.err == nil && l.remaining >= max(from, 1)
}

// left is how many raw bytes nobody has taken.
func (l *tableLoad) left() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.remaining
}

func (l *tableLoad) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// add counts what a session has committed, or keeps its error.
func (l *tableLoad) add(d archive.Digest, rows uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if l.err == nil {
			l.err = err
		}
		return
	}
	l.got.Merge(d)
	l.rows += rows
}

func (l *tableLoad) skip() {
	l.mu.Lock()
	l.skipped = true
	l.mu.Unlock()
}
