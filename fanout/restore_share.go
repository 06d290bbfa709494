package fanout

import (
	"context"
	"fmt"
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
	want     archive.Digest // zero where it is unknown
	unknown  bool           // of a dump of another program, which does not tell digest and size
	raw      uint64         // bytes of its rows; where that is unknown, a guess
	streams  []archive.Stream
	schema   string // of the table that is loaded, as the coordinator knows it
	table    string
	sql      string // the COPY statement
	node     uint32 // ID of the target's node that the rows go to, 0 for the coordinator
	nodeName string
	again    bool // another part loads the same rows into another node: they count once
	shared   bool // several sessions may take part

	mu        sync.Mutex
	runs      runs
	remaining uint64 // raw bytes of the runs that nobody has taken
	taken     uint64 // raw bytes of the others
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
	for _, s := range r.streams(step.Entry.ID) {
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
			e.err = noRows(r.content, step.Entry.ID)
		}
	}
	e.setParts(parts)
	for _, l := range parts {
		l.setStreams(r.content, groups[l], e.blobs)
		e.want.Merge(l.want)
		e.unknown = e.unknown || l.unknown
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
func (l *tableLoad) setStreams(c content, streams []archive.Stream, blobs bool) {
	l.streams = streams
	for i := range streams {
		l.want.Merge(streams[i].Digest)
		l.raw += streams[i].Raw
	}
	if a, ok := c.(*archive.Reader); ok {
		l.runs = newBlockRuns(a, streams)
	} else {
		src := c.(archive.Source)
		l.unknown, l.runs = len(streams) > 0, newSourceRuns(src, streams, blobs)
		l.raw = guessRaw(src, streams)
	}
	l.remaining = l.raw
}

// guessRaw guesses how many bytes of rows are in streams of a source.
func guessRaw(src archive.Source, streams []archive.Stream) uint64 {
	// What pg_dump's default compression makes of typical rows. A wrong guess costs some time, and makes progress jump.
	const ratio = 4
	var raw uint64
	for i := range streams {
		switch s := &streams[i]; {
		case s.Raw > 0:
			raw += s.Raw
		case s.Stored > 0 && src.Description().Codec == "none":
			raw += s.Stored
		case s.Stored > 0:
			raw += ratio * s.Stored
		default:
			raw += loadChunk + 1 // large enough to be read ahead
		}
	}
	return raw
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

// end ends the iteration over the rows.
func (l *tableLoad) end() {
	if l.runs != nil {
		l.runs.stop()
	}
}

// take gives the next run of rows to a session, until none is left or the entry's load has failed.
func (l *tableLoad) take(ctx context.Context) (run, bool, error) {
	if l.entry.failed() != nil {
		return run{}, false, nil
	}
	if _, ok := l.runs.(*blockRuns); ok {
		l.mu.Lock()
		defer l.mu.Unlock()
		x, ok, err := l.runs.next(ctx)
		l.count(x.block.Raw, !ok)
		return x, ok, err
	}
	// Whoever waits for the reader must not keep others from asking what is left.
	x, ok, err := l.runs.next(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(uint64(len(x.text)), !ok)
	return x, ok, err
}

// count notes bytes that were taken. l.mu is held.
func (l *tableLoad) count(bytes uint64, last bool) {
	l.taken += bytes
	l.remaining -= min(bytes, l.remaining)
	if last {
		l.remaining = 0
	}
}

// countPart is count for the later parts of a row.
func (l *tableLoad) countPart(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(uint64(bytes), false)
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
