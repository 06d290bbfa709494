package fanout

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// DatabaseStarter has a Greenplum or Cloudberry start the workers: a temporary external web table runs the command on
// every segment, as the server's user, and its lines come back as rows. To cancel the query ends all of them: each
// sees that nobody reads its answers. Nothing else has to be reached on the hosts, and nothing is left in the database,
// since the table lives in a transaction that is rolled back.
//
// Lines travel when a worker ends, so there is no word to commit: a worker gives its volume its name by itself, and after a
// failure elsewhere the volumes that have theirs are removed in the same way.
type DatabaseStarter struct {
	Coordinator *wire.Config
	Nodes       []Node // the segments
	Worker      string // path of pgark on the hosts
	Tool        string // "pgark 0.1.0": what a worker has to be

	conn *wire.Conn // with the coordinator, kept for the next query: with its processes on the segments it takes 0.3 s of CPU to make
}

// Close implements [Starter].
func (s *DatabaseStarter) Close(ctx context.Context) {
	if s.conn != nil {
		closeSession(ctx, s.conn)
		s.conn = nil
	}
}

// Check implements [Starter].
func (s *DatabaseStarter) Check(ctx context.Context, _ []Place) error {
	// A program that is not there would fail the query for the first host that lacks it. So the shell says it, for each.
	word := ShellWord(s.Worker)
	lines, _, err := s.collect(ctx, "{ "+word+" worker --hello || echo \"missing $(hostname)\"; } 2>&1", "HOST")
	if err != nil {
		return err
	}
	var errs []error
	greeted := 0
	for _, text := range lines {
		var line WorkerLine
		switch err := json.Unmarshal([]byte(text), &line); {
		case strings.HasPrefix(text, "missing "):
			errs = append(errs, fmt.Errorf("%w: host %s has no pgark that runs at %s", ErrWorker, strings.TrimPrefix(text, "missing "), s.Worker))
		case err != nil || line.Hello == nil: // what the shell says of it
		case line.Hello.is(s.Tool):
			greeted++
		default:
			errs = append(errs, fmt.Errorf("%w: %w", ErrWorker, line.Hello.other(s.Tool)))
		}
	}
	if greeted == 0 && len(errs) == 0 {
		errs = []error{fmt.Errorf("%w: no host answers as a worker does: %.200q", ErrWorker, lines)}
	}
	return joinErrors(errs)
}

// Run implements [Starter]. The tasks are one query, so what ends one without a word ends all in any case.
func (s *DatabaseStarter) Run(ctx context.Context, tasks []Task, places []Place, together bool, take func(i int, line *WorkerLine) error) []error {
	r := &databaseRun{take: take, together: together, done: make([]bool, len(tasks)), errs: make([]error, len(tasks))}
	err := s.segmentsOnly(places)
	if err == nil {
		err = s.runTasks(ctx, tasks, places, r)
	}
	for i := range tasks {
		switch {
		case r.done[i] || r.errs[i] != nil:
		case err != nil:
			r.errs[i] = err
		default:
			r.errs[i] = fmt.Errorf("%w of node %s: it ended without a result", ErrWorker, places[i].Node)
		}
	}
	return r.errs
}

// runTasks keeps a session with each segment, by which a worker knows that its lead is there, and has the workers run.
func (s *DatabaseStarter) runTasks(ctx context.Context, tasks []Task, places []Place, r *databaseRun) error {
	leads, err := s.leads(ctx, places)
	if err != nil {
		return err
	}
	defer endLeads(ctx, leads)
	for i, conn := range leads {
		node := s.node(places[i].Content)
		identity, err := conn.QueryString(ctx, identityQuery)
		if err != nil {
			return fmt.Errorf("node %s: ask which server it is: %w", node.Name, err)
		}
		tasks[i].Watch = &WatchSpec{Conninfo: conninfos(node.Config), Identity: identity, PID: conn.PID()}
	}
	packed, err := packTasks(tasks, places)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWorker, err)
	}
	asking, enough := context.WithCancel(ctx)
	var asked sync.WaitGroup
	for i := range tasks {
		asked.Go(func() {
			readNames(ctx, asking, leads[i], tasks[i].Run, func(rows, bytes uint64) {
				_ = r.take(i, &WorkerLine{Progress: &WorkerProgress{Rows: rows, Bytes: bytes}}) // which has no say in this
			})
		})
	}
	_, err = s.query(ctx, "exec "+ShellWord(s.Worker)+" worker --task "+packed, "ALL", r.line)
	enough()
	asked.Wait()
	return err
}

func (s *DatabaseStarter) node(content int) *Node {
	for i := range s.Nodes {
		if s.Nodes[i].Content == content {
			return &s.Nodes[i]
		}
	}
	return nil
}

// databaseRun gathers what the workers of several tasks say.
type databaseRun struct {
	take     func(i int, line *WorkerLine) error
	together bool
	pieces   pieces
	done     []bool
	errs     []error
}

// line takes one line of any of them.
func (r *databaseRun) line(text string) error {
	line, err := r.pieces.add([]byte(text))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWorker, err)
	}
	if line == nil || line.From == 0 {
		return nil // hello, which has been checked
	}
	i := int(line.From) - 1
	switch {
	case i >= len(r.done):
		return fmt.Errorf("%w: it answers to task %d of %d", ErrWorker, line.From, len(r.done))
	case line.Error != nil:
		r.errs[i] = fmt.Errorf("%w: %w", ErrWorker, line.err())
	case line.Done:
		r.done[i] = true
	case line.Progress != nil: // it comes too late, and was reported
	case r.errs[i] == nil:
		r.errs[i] = r.take(i, line)
	}
	if r.together {
		return r.errs[i]
	}
	return nil
}

// segmentsOnly refuses places where the database starts nothing.
func (s *DatabaseStarter) segmentsOnly(places []Place) error {
	for _, p := range places {
		if p.Content < 0 {
			return fmt.Errorf("%w of node %s: the database starts programs on segments only; have the workers started by ssh", ErrWorker, p.Node)
		}
	}
	return nil
}

// Start implements [Starter].
func (s *DatabaseStarter) Start(ctx context.Context, jobs []Job, places []Place, report func(rows, bytes uint64)) (Workers, error) {
	if err := s.segmentsOnly(places); err != nil {
		return nil, err
	}
	packed, err := packJobs(jobs, places)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWorker, err)
	}
	w := &dispatched{starter: s, jobs: jobs, volumes: make([]archive.Volume, len(jobs))}
	leads := make([]*wire.Conn, len(jobs))
	asking, enough := context.WithCancel(ctx)
	var asked sync.WaitGroup
	for i := range jobs {
		leads[i] = jobs[i].lead
		asked.Go(func() { readNames(ctx, asking, leads[i], jobs[i].Set, report) })
	}
	lines, started, err := s.collect(ctx, "exec "+ShellWord(s.Worker)+" worker --job "+packed, "ALL")
	enough()
	asked.Wait()
	if err == nil {
		err = w.take(lines)
	}
	if err == nil {
		return w, nil
	}
	if started {
		// The database may not have ended the workers yet. From here on they take their volumes back themselves.
		endLeads(ctx, leads)
		s.awaitEnd(ctx, leads, places)
		if left := w.Close(ctx, false); len(left) > 0 {
			err = &LeftError{Err: err, Volumes: left}
		}
	}
	return nil, err
}

// leads opens a session with each segment, by which a worker there knows that its lead is there.
func (s *DatabaseStarter) leads(ctx context.Context, places []Place) (leads []*wire.Conn, err error) {
	defer func() {
		if err != nil {
			endLeads(ctx, leads)
		}
	}()
	for _, p := range places {
		node := s.node(p.Content)
		if node == nil {
			return leads, fmt.Errorf("%w of node %s: the database has no segment with content id %d", ErrWorker, p.Node, p.Content)
		}
		conn, err := plainSession(ctx, node.Config, "pgark lead")
		if err != nil {
			return leads, fmt.Errorf("node %s: %w", node.Name, err)
		}
		leads = append(leads, conn)
	}
	return leads, nil
}

// endLeads ends them. To end one twice is no mistake.
func endLeads(ctx context.Context, leads []*wire.Conn) {
	for _, conn := range leads {
		closeSession(ctx, conn)
	}
}

// awaitEnd waits until the servers don't show them any more, which takes some milliseconds.
func (s *DatabaseStarter) awaitEnd(ctx context.Context, leads []*wire.Conn, places []Place) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workerGrace)
	defer cancel()
	for i, p := range places {
		conn, err := plainSession(ctx, s.node(p.Content).Config, "pgark lead")
		if err != nil {
			continue // a segment that is gone has no workers
		}
		for {
			there, err := sessionThere(ctx, conn, leads[i].PID())
			if err != nil || !there || sleep(ctx, leadEndPoll) != nil {
				break
			}
		}
		closeSession(ctx, conn)
	}
}

// leadEndPoll is how often a lead looks whether a session that it has closed is gone.
const leadEndPoll = 10 * time.Millisecond

// collect is query for few lines.
func (s *DatabaseStarter) collect(ctx context.Context, command, on string) (lines []string, started bool, err error) {
	started, err = s.query(ctx, command, on, func(line string) error {
		lines = append(lines, line)
		return nil
	})
	return lines, started, err
}

// query has a command line run ON ALL segments, or once ON each HOST, and calls take with the lines that are printed. started
// says that some may have run, whatever the error is.
func (s *DatabaseStarter) query(ctx context.Context, command, on string, take func(line string) error) (started bool, err error) {
	conn := s.conn
	if conn == nil {
		if conn, err = plainSession(ctx, s.Coordinator, "pgark workers"); err != nil {
			return false, err
		}
	}
	s.conn = nil
	defer func() {
		if err != nil { // closing it is all it takes, whatever state it is in
			closeSession(ctx, conn)
			return
		}
		s.conn = conn
	}()
	table := wire.Ident("pgark_" + strings.ToLower(rand.Text()[:12]))
	// gp_external_enable_exec and the right to make such tables are the superuser's.
	create := "BEGIN; CREATE EXTERNAL WEB TEMP TABLE " + table + " (line pg_catalog.text) EXECUTE " +
		wire.Literal(command) + " ON " + on + " FORMAT 'TEXT' (DELIMITER 'off' ESCAPE 'off')"
	if _, err := conn.Exec(ctx, create); err != nil {
		if wire.IsPermission(err) {
			err = fmt.Errorf("it takes a superuser: %w", err)
		}
		return false, fmt.Errorf("%w: have the database start programs: %w", ErrWorker, err)
	}
	err = conn.Query(ctx, "SELECT line FROM "+table, func(row wire.Row) error { return take(string(row.Get(0))) })
	if err != nil {
		var se *wire.ServerError
		if errors.As(err, &se) {
			se.Detail = "" // the command, which is long
		}
		return true, fmt.Errorf("%w, started by the database: %w", ErrWorker, err)
	}
	_, err = conn.Exec(ctx, "ROLLBACK")
	return true, err
}

// plainSession opens a session that reads no rows of tables.
func plainSession(ctx context.Context, cfg *wire.Config, name string) (*wire.Conn, error) {
	settings := wire.TextSettings("")
	settings.ApplicationName = name
	return wire.Connect(ctx, cfg, settings)
}

// ShellWord quotes a word for a POSIX shell.
func ShellWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// dispatched are workers that the database has run.
type dispatched struct {
	starter *DatabaseStarter
	jobs    []Job
	volumes []archive.Volume
}

// take reads what the workers have said. One that gives up says so by its exit status, and then the query has failed.
func (w *dispatched) take(lines []string) error {
	got := 0
	var pieces pieces
	for _, text := range lines {
		line, err := pieces.add([]byte(text))
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrWorker, err)
		case line == nil:
		case line.Hello != nil && !line.Hello.is(w.starter.Tool):
			return fmt.Errorf("%w: %w", ErrWorker, line.Hello.other(w.starter.Tool))
		case line.Result != nil:
			v, err := line.Result.volume()
			if err != nil {
				return fmt.Errorf("%w: %w", ErrWorker, err)
			}
			if v.Number == 0 || int(v.Number) > len(w.jobs) {
				return fmt.Errorf("%w: it has written volume %d of %d", ErrWorker, v.Number, len(w.jobs))
			}
			w.volumes[v.Number-1] = v
			got++
		}
	}
	if got != len(w.jobs) {
		return fmt.Errorf("%w: %d of %d have written a volume", ErrWorker, got, len(w.jobs))
	}
	return nil
}

// Volumes implements [Workers].
func (w *dispatched) Volumes() []archive.Volume { return w.volumes }

// Commit implements [Workers]: the volumes have their names.
func (w *dispatched) Commit(context.Context) error { return nil }

// Keep implements [Workers]: no worker is left that could remove them.
func (w *dispatched) Keep(context.Context) error { return nil }

// Close implements [Workers].
func (w *dispatched) Close(ctx context.Context, whole bool) (left []string) {
	if whole {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workerGrace)
	defer cancel()
	paths := make(Texts, len(w.jobs))
	for i := range w.jobs {
		paths[i] = string(w.jobs[i].Path)
		left = append(left, string(w.jobs[i].Name+":"+w.jobs[i].Path))
	}
	b, err := json.Marshal(paths)
	if err == nil {
		_, _, err = w.starter.collect(ctx, "exec "+ShellWord(w.starter.Worker)+" worker --discard "+w.jobs[0].Set+" "+ShellWord(string(b)), "ALL")
	}
	if err == nil {
		return nil
	}
	return left
}
