package fanout

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

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
	Worker      string // path of pgark on the hosts
	Tool        string // "pgark 0.1.0": what a worker has to be
}

// Start implements [Starter].
func (s *DatabaseStarter) Start(ctx context.Context, jobs []Job, nodes []*Node, report func(rows, bytes uint64)) (Workers, error) {
	for i, n := range nodes {
		if n.Content < 0 {
			return nil, fmt.Errorf("%w of node %s: the database starts programs on segments only; have the workers started by ssh", ErrWorker, jobs[i].Name)
		}
	}
	packed, err := packJobs(jobs, nodes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWorker, err)
	}
	w := &dispatched{starter: s, jobs: jobs, volumes: make([]archive.Volume, len(jobs))}
	asking, enough := context.WithCancel(ctx)
	var asked sync.WaitGroup
	for _, n := range nodes {
		asked.Go(func() { readNames(asking, n.Config, jobs[0].Set, report) })
	}
	lines, started, err := s.run(ctx, "worker --job "+packed)
	enough()
	asked.Wait()
	if err == nil {
		err = w.take(lines)
	}
	if err == nil {
		return w, nil
	}
	if started {
		if left := w.Close(ctx, false); len(left) > 0 {
			err = &LeftError{Err: err, Volumes: left}
		}
	}
	return nil, err
}

// run has every segment run pgark with arguments, and returns all lines that they print. started says that some may have
// run, whatever the error is.
func (s *DatabaseStarter) run(ctx context.Context, arguments string) (lines []string, started bool, err error) {
	settings := wire.TextSettings("")
	settings.ApplicationName = "pgark workers"
	conn, err := wire.Connect(ctx, s.Coordinator, settings)
	if err != nil {
		return nil, false, err
	}
	// Closing the session is all it takes, whatever state it is in.
	defer closeSession(ctx, conn)
	table := wire.Ident("pgark_" + strings.ToLower(rand.Text()[:12]))
	// gp_external_enable_exec and the right to make such tables are the superuser's.
	create := "BEGIN; CREATE EXTERNAL WEB TEMP TABLE " + table + " (line pg_catalog.text) EXECUTE " +
		wire.Literal("exec "+ShellWord(s.Worker)+" "+arguments) + " ON ALL FORMAT 'TEXT' (DELIMITER 'off' ESCAPE 'off')"
	if _, err := conn.Exec(ctx, create); err != nil {
		return nil, false, fmt.Errorf("%w: have the database start programs, which takes a superuser: %w", ErrWorker, err)
	}
	err = conn.Query(ctx, "SELECT line FROM "+table, func(row wire.Row) error {
		lines = append(lines, string(row.Get(0)))
		return nil
	})
	if err != nil {
		var se *wire.ServerError
		if errors.As(err, &se) {
			se.Detail = "" // the command, which is long
		}
		return lines, true, fmt.Errorf("%w, started by the database: %w", ErrWorker, err)
	}
	_, err = conn.Exec(ctx, "ROLLBACK")
	return lines, true, err
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
	for _, text := range lines {
		var line WorkerLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			return fmt.Errorf("%w: it answers %.80q, which is no line of a worker", ErrWorker, text)
		}
		switch {
		case line.Hello != nil && (line.Hello.Tool != w.starter.Tool || line.Hello.Job != JobVersion):
			return fmt.Errorf("%w: host %s has %s, and this is %s: install the same on all hosts", ErrWorker, line.Hello.Host, line.Hello.Tool, w.starter.Tool)
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
func (w *dispatched) Keep() error { return nil }

// Close implements [Workers].
func (w *dispatched) Close(ctx context.Context, whole bool) (left []string) {
	if whole {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workerGrace)
	defer cancel()
	paths := make([]string, len(w.jobs))
	for i := range w.jobs {
		paths[i] = w.jobs[i].Path
		left = append(left, w.jobs[i].Name+":"+w.jobs[i].Path)
	}
	b, err := json.Marshal(paths)
	if err == nil {
		_, _, err = w.starter.run(ctx, "worker --discard "+w.jobs[0].Set+" "+ShellWord(string(b)))
	}
	if err == nil {
		return nil
	}
	return left
}
