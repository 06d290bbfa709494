package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pgark/pgark/internal/pgtest"
)

// scale measures how the time of a dump depends on the number of nodes where the network is the bottleneck: one coordinator
// and some nodes, each with a server of its own, on a network whose links have a limit.
type scale struct {
	pgark  string
	counts []int
	mbit   int // of each host's link
	mb     int // of rows as COPY text, in all
	jobs   int
	runs   int

	rows   int
	dir    string
	lan    *lan
	client *host // where pgark and pg_dump run: its link has no limit
	coord  *scaleNode
	nodes  []*scaleNode
}

type scaleNode struct {
	host *host
	srv  *pgtest.Server
}

// scaleTime is what was measured with one number of nodes.
type scaleTime struct {
	nodes                         int
	segments, coordinator, pgDump time.Duration
}

func (s *scale) parse(args []string) error {
	fs := flag.NewFlagSet("bench scale", flag.ContinueOnError)
	counts := fs.String("nodes", "2,4,8", "`numbers` of nodes")
	fs.StringVar(&s.pgark, "pgark", "bin/pgark", "the pgark `program` to measure")
	fs.IntVar(&s.mbit, "mbit", 50, "megabits a second of each host's link")
	fs.IntVar(&s.mb, "mb", 200, "MB of rows in all")
	fs.IntVar(&s.jobs, "jobs", 2, "sessions of pgark, on each node by the route segments")
	fs.IntVar(&s.runs, "runs", 1, "rounds; the median is printed")
	if err := fs.Parse(args); err != nil {
		return err
	}
	for c := range strings.SplitSeq(*counts, ",") {
		n, err := strconv.Atoi(c)
		if err != nil || n < 1 || n > 50 {
			return fmt.Errorf("-nodes %s: %q is no number from 1 to 50", *counts, c)
		}
		s.counts = append(s.counts, n)
	}
	if s.mbit < 1 || s.mb < 1 || s.jobs < 1 || s.runs < 1 {
		return errors.New("-mbit, -mb, -jobs and -runs must be at least 1")
	}
	s.rows = s.mb * 1_000_000 / scaleRow
	path, err := filepath.Abs(s.pgark)
	s.pgark = path
	return err
}

// runScale runs the whole comparison. It removes all that it made, whatever happens.
func runScale(ctx context.Context, args []string) (err error) {
	var s scale
	if err := s.parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("only root may make network namespaces: run this as root")
	}
	for _, name := range []string{"ip", "tc"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w (Debian, Ubuntu: apt install iproute2)", err)
		}
	}
	if s.dir, err = os.MkdirTemp("", "pgark-scale-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	s.lan, err = newLAN(ctx)
	defer func() {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		err = errors.Join(err, s.stop(), s.lan.remove(context.WithoutCancel(ctx)))
	}()
	if err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	var times []scaleTime
	for _, n := range s.counts {
		t, err := s.with(ctx, n)
		if err != nil {
			return fmt.Errorf("%d nodes: %w", n, err)
		}
		times = append(times, t)
	}
	s.print(os.Stdout, times)
	return nil
}

// start makes all hosts and their servers, as many at once as there are cores for.
func (s *scale) start(ctx context.Context) (err error) {
	if s.client, err = s.lan.add(ctx, "client", 0); err != nil {
		return err
	}
	most := 0
	for _, n := range s.counts {
		most = max(most, n)
	}
	all := make([]*scaleNode, most+1)
	for i := range all {
		name := "coordinator"
		if i > 0 {
			name = fmt.Sprintf("node%d", i)
		}
		h, err := s.lan.add(ctx, name, s.mbit)
		if err != nil {
			return err
		}
		all[i] = &scaleNode{host: h}
	}
	s.coord, s.nodes = all[0], all[1:]
	fmt.Fprintf(os.Stderr, "bench: starting %d servers, each on a host of its own with %d Mbit/s\n", len(all), s.mbit)
	return each(all, func(n *scaleNode) (err error) {
		n.srv, err = n.host.launch(ctx, pgtest.Options{Settings: scaleSettings(), HBA: []string{"host all all " + lanSubnet + " trust"}})
		return err
	})
}

// each does something for all nodes, two at a time.
func each(nodes []*scaleNode, do func(*scaleNode) error) error {
	errs := make([]error, len(nodes))
	free := make(chan struct{}, 2)
	var wait sync.WaitGroup
	for i, n := range nodes {
		free <- struct{}{}
		wait.Go(func() {
			errs[i] = do(n)
			<-free
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (s *scale) stop() error {
	var errs []error
	for _, n := range append([]*scaleNode{s.coord}, s.nodes...) {
		if n != nil && n.srv != nil {
			errs = append(errs, n.srv.Stop())
		}
	}
	return errors.Join(errs...)
}

// with measures all ways with one number of nodes.
func (s *scale) with(ctx context.Context, nodes int) (scaleTime, error) {
	db := fmt.Sprintf("scale%d", nodes)
	fmt.Fprintf(os.Stderr, "bench: %d nodes: loading %d rows\n", nodes, s.rows)
	if err := s.load(ctx, db, nodes); err != nil {
		return scaleTime{}, err
	}
	pgDump, err := pgtest.FindClient(s.coord.srv.BinDir(), "pg_dump")
	if err != nil {
		return scaleTime{}, err
	}
	conninfo := fmt.Sprintf("host=%s port=%d user=postgres dbname=%s", s.coord.host.addr, s.coord.srv.Port(), db)
	t := scaleTime{nodes: nodes}
	byRoute := func(route string) []string {
		return []string{s.pgark, "dump", "--progress=none", "--route", route, "-j", strconv.Itoa(s.jobs), "-f", "%OUT", "-d", conninfo}
	}
	t.pgDump, err = s.time(ctx, "pg_dump", "", []string{pgDump, "-Fc", "-Z1", "--include-foreign-data=*", "-f", "%OUT", "-d", conninfo})
	if err != nil {
		return t, err
	}
	if t.coordinator, err = s.time(ctx, "pgark, route coordinator", "coordinator", byRoute("coordinator")); err != nil {
		return t, err
	}
	if t.segments, err = s.time(ctx, "pgark, route segments", "segments", byRoute("segments")); err != nil {
		return t, err
	}
	return t, s.unload(ctx, db, nodes)
}

// load makes the database on the coordinator and on some nodes. The rows are made where they stay.
func (s *scale) load(ctx context.Context, db string, nodes int) error {
	share := make(map[*scaleNode]int, nodes)
	for i, n := range s.nodes[:nodes] {
		share[n] = i
	}
	err := each(s.nodes[:nodes], func(n *scaleNode) error {
		from, to := s.share(share[n], nodes)
		return errors.Join(n.psql(ctx, "postgres", "CREATE DATABASE "+db), n.psql(ctx, db, shardSQL(from, to)))
	})
	if err != nil {
		return err
	}
	if err := s.coord.psql(ctx, "postgres", "CREATE DATABASE "+db); err != nil {
		return err
	}
	return s.coord.psql(ctx, db, s.joinSQL(db, nodes))
}

func (s *scale) unload(ctx context.Context, db string, nodes int) error {
	return each(append([]*scaleNode{s.coord}, s.nodes[:nodes]...), func(n *scaleNode) error {
		return n.psql(ctx, "postgres", "DROP DATABASE "+db+" WITH (FORCE)")
	})
}

// psql runs SQL on a node's server over its unix socket, past the network.
func (n *scaleNode) psql(ctx context.Context, db, sql string) error {
	psql, err := pgtest.FindClient(n.srv.BinDir(), "psql")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, psql, "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", n.srv.Conninfo(db))
	cmd.Stdin = strings.NewReader(sql)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("psql: %w\n%s", err, out)
	}
	return nil
}

// time runs a program on the client's host, as often as there are rounds, and gives the median of its time. Of pgark's
// archives it checks the route and the number of rows.
func (s *scale) time(ctx context.Context, name, route string, args []string) (time.Duration, error) {
	out := filepath.Join(s.dir, "out")
	for i := range args {
		if args[i] == "%OUT" {
			args[i] = out
		}
	}
	var samples []sample
	for range s.runs {
		fmt.Fprintf(os.Stderr, "bench: %s", name)
		got, err := runProgram(ctx, s.client.run(args...))
		if err != nil {
			fmt.Fprintln(os.Stderr)
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(os.Stderr, ": %s s, %s s of CPU\n", seconds(got.wall), seconds(got.cpu))
		if route != "" {
			if err := s.checkArchive(ctx, out, route); err != nil {
				return 0, fmt.Errorf("%s: %w", name, err)
			}
		}
		if err := os.Remove(out); err != nil {
			return 0, err
		}
		samples = append(samples, got)
	}
	return median(samples).wall, nil
}

func (s *scale) checkArchive(ctx context.Context, path, route string) error {
	b, err := exec.CommandContext(ctx, s.pgark, "inspect", "--json", path).Output()
	if err != nil {
		return fmt.Errorf("pgark inspect: %w", err)
	}
	var in struct {
		Route string
		Rows  int
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if in.Route != route || in.Rows != s.rows {
		return fmt.Errorf("the archive has %d rows by route %s, want %d by route %s", in.Rows, in.Route, s.rows, route)
	}
	return nil
}

// print writes the table as Markdown.
func (s *scale) print(w io.Writer, times []scaleTime) {
	total := float64(s.rows) * scaleRow / 1e6
	fmt.Fprintf(w, "%.0f MB of rows in all; each host's link has %d Mbit/s (%.1f MB/s); pgark with -j%d\n\n", total, s.mbit, float64(s.mbit)/8, s.jobs)
	fmt.Fprintln(w, "| nodes | pg_dump s | pgark, coordinator s | pgark, segments s | segments MB/s | gain over coordinator | over pg_dump |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|")
	for _, t := range times {
		fmt.Fprintf(w, "| %d | %.1f | %.1f | %.1f | %.0f | %.1f× | %.1f× |\n", t.nodes, t.pgDump.Seconds(), t.coordinator.Seconds(),
			t.segments.Seconds(), total/t.segments.Seconds(), float64(t.coordinator)/float64(t.segments), float64(t.pgDump)/float64(t.segments))
	}
}
