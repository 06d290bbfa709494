package fanout

import (
	"fmt"
	"iter"
	"sync"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
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

// tableLoad is the loading of one part of an entry's rows by one or several sessions with the same server: each takes the
// next block that nobody has, so that all end at about the same time.
type tableLoad struct {
	entry    *entryLoad
	want     archive.Digest
	raw      uint64 // bytes of its rows
	streams  []archive.Stream
	schema   string // of the table that is loaded, as the coordinator knows it
	table    string
	sql      string // the COPY statement
	node     uint32 // ID of the target's node that the rows go to, 0 for the coordinator
	nodeName string
	again    bool // another part loads the same rows into another node: they count once
	shared   bool // several sessions may take part

	mu        sync.Mutex
	next      func() (archive.Block, bool)
	stop      func()
	remaining uint64 // raw bytes of the blocks that nobody has taken
	got       archive.Digest
	rows      uint64
	omitted   int // large objects left alone because they could not be created
}

// planLoads prepares a load for each step that has rows, all through the coordinator.
func (r *restoreRun) planLoads() {
	r.loads = make(map[int32]*entryLoad)
	for _, step := range r.steps {
		if step.Rows() || step.Blobs() {
			r.loads[step.Entry.ID] = r.planLoad(step)
		}
	}
	r.shareLoads()
}

// shareLoads decides which tables are shared among sessions.
func (r *restoreRun) shareLoads() {
	byNode := make(map[uint32][]*tableLoad)
	for _, e := range r.loads {
		for _, l := range e.parts {
			byNode[l.node] = append(byNode[l.node], l)
		}
	}
	for _, parts := range byNode {
		shareParts(parts, r.opts.Jobs, r.limits.shareFrom)
	}
}

// shareParts decides which loads into one node are shared among sessions: those large enough that one session with such a
// table would still be at work when the others are done. Sharing excludes FREEZE, which needs the table for one
// transaction alone.
func shareParts(parts []*tableLoad, jobs int, from uint64) {
	var total uint64
	for _, l := range parts {
		total += l.raw
	}
	for _, l := range parts {
		l.shared = jobs > 1 && l.raw >= from && l.raw >= total/uint64(4*jobs) //nolint:gosec // jobs are positive
	}
}

// planLoad prepares the load of an entry. Streams may differ in the order of their columns: the partitions of one table
// need not have the same.
func (r *restoreRun) planLoad(step *Step) *entryLoad {
	e := &entryLoad{step: step, blobs: step.Blobs(), foreign: r.plan.loadsForeign(step.Entry.ID)}
	byColumns := make(map[string]*tableLoad)
	var parts []*tableLoad
	groups := make(map[*tableLoad][]archive.Stream)
	for _, s := range r.archive.TableStreams(step.Entry.ID) {
		if !r.mine(s.Node) {
			continue
		}
		if !loadable(s.Form) {
			e.err = fmt.Errorf("rows in form %d can't be loaded", s.Form)
		}
		sql := r.copyStatement(step, &s)
		l := byColumns[sql]
		if l == nil {
			l = &tableLoad{schema: step.Entry.Schema, table: step.Entry.Name, sql: sql}
			byColumns[sql] = l
			parts = append(parts, l)
		}
		groups[l] = append(groups[l], s)
	}
	if len(parts) == 0 {
		parts = []*tableLoad{{schema: step.Entry.Schema, table: step.Entry.Name, sql: r.plan.CopyStatement(step)}}
		if len(r.moment.Losses) == 0 && r.ofNode == nil {
			e.err = errNoRows
		}
	}
	e.setParts(parts)
	for _, l := range parts {
		l.setStreams(r.archive, groups[l])
		e.want.Merge(l.want)
	}
	return e
}

func loadable(f archive.Form) bool { return f == archive.FormText || f == archive.FormFloats }

// copyStatement is how a stream is loaded through the coordinator.
func (r *restoreRun) copyStatement(step *Step, s *archive.Stream) string {
	e := step.Entry
	if step.Blobs() || s.Schema == e.Schema && s.Table == e.Name || len(s.Columns) == 0 {
		return r.plan.CopyStatement(step)
	}
	return copyInto(e.Schema, e.Name, s.Columns)
}

func copyInto(schema, table string, columns []string) string {
	list := ""
	if len(columns) > 0 {
		list = " (" + quoteColumns(columns) + ")"
	}
	return "COPY " + wire.QualifiedName(schema, table) + list + " FROM stdin"
}

// setStreams says which rows a part is made of.
func (l *tableLoad) setStreams(a *archive.Reader, streams []archive.Stream) {
	l.streams = streams
	for i := range streams {
		l.want.Merge(streams[i].Digest)
		l.raw += streams[i].Raw
	}
	l.remaining = l.raw
	var blocks iter.Seq[archive.Block] = func(yield func(archive.Block) bool) {
		for i := range streams {
			for b := range a.Blocks(streams[i].ID) {
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
}

// losses are warnings of what a salvaged archive lacks.
func losses(m *archive.Moment) []string {
	var warnings []string
	for _, l := range m.Losses {
		what := "the archive"
		if l.Table != "" {
			what = "table " + qualifiedID(l.Schema, l.Table)
		}
		warnings = append(warnings, fmt.Sprintf("%s is not complete: %s", what, l.Message))
	}
	return warnings
}

// mine tells whether this restore is of the streams of a node.
func (r *restoreRun) mine(node uint32) bool { return r.ofNode == nil || *r.ofNode == node }

// tables is the number of tables whose rows are to be loaded.
func (r *restoreRun) tables() int {
	n := 0
	for _, e := range r.loads {
		if !e.blobs {
			n++
		}
	}
	return n
}

// sharesTables reports whether several sessions load some table.
func (r *restoreRun) sharesTables() bool {
	for _, e := range r.loads {
		if len(e.parts) > 1 || len(e.parts) > 0 && e.parts[0].shared {
			return true
		}
	}
	return false
}

// announce tells the progress how much there is to load, remotely or over sessions of this process.
func (r *restoreRun) announce(remote bool) {
	var bytes uint64
	tables := 0
	for _, e := range r.loads {
		if e.remote != remote {
			continue
		}
		if !e.blobs {
			tables++
		}
		for _, l := range e.parts {
			bytes += l.raw
		}
	}
	r.opts.Progress.Plan(tables, bytes)
}

// stopLoads ends the iterations over blocks of loads that were not settled.
func (r *restoreRun) stopLoads() {
	for _, e := range r.loads {
		for _, l := range e.parts {
			l.end()
		}
	}
}

// end ends the iteration over blocks.
func (l *tableLoad) end() {
	l.mu.Lock()
	l.stop()
	l.mu.Unlock()
}

// take gives the next block to a session, until none is left or the entry's load has failed.
func (l *tableLoad) take() (archive.Block, bool) {
	if l.entry.failed() != nil {
		return archive.Block{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.next()
	l.remaining -= min(b.Raw, l.remaining)
	if !ok {
		l.remaining = 0
	}
	return b, ok
}

// joinable reports whether one more session would help, given how much must be left.
func (l *tableLoad) joinable(from uint64) bool {
	if l.entry.failed() != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shared && l.remaining >= max(from, 1)
}

// left is how many raw bytes nobody has taken.
func (l *tableLoad) left() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.remaining
}

// add counts what a session has committed, or keeps its error.
func (l *tableLoad) add(d archive.Digest, rows uint64, err error) {
	if err != nil {
		l.entry.fail(err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got.Merge(d)
	l.rows += rows
}
