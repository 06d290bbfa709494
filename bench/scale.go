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
	nodes                                  int
	pgDump, coordinator, segments, volumes time.Duration
}

// scaleWay is one way to dump the rows of all nodes.
type scaleWay struct {
	name    string
	args    []string // program and arguments; %OUT stands for a directory, empty before and removed afterwards
	route   string   // that pgark's archive, %OUT/archive, must name; "" for other programs
	volumes int      // of the archive; 1 unless it is a set
	took    *time.Duration
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
	if s.client, err = s.lan.add(ctx, 0); err != nil {
		return err
	}
	most := 0
	for _, n := range s.counts {
		most = max(most, n)
	}
	all := make([]*scaleNode, most+1)
	for i := range all {
		h, err := s.lan.add(ctx, s.mbit)
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
	pgark := func(args ...string) []string {
		return append([]string{s.pgark, "dump", "--progress=none", "-j", strconv.Itoa(s.jobs), "-f", "%OUT/archive", "-d", conninfo}, args...)
	}
	t := scaleTime{nodes: nodes}
	ways := []scaleWay{
		{"pg_dump", []string{pgDump, "-Fc", "-Z1", "--include-foreign-data=*", "-f", "%OUT/archive", "-d", conninfo}, "", 0, &t.pgDump},
		{"pgark, route coordinator", pgark("--route", "coordinator"), "coordinator", 1, &t.coordinator},
		{"pgark, route segments", pgark("--route", "segments"), "segments", 1, &t.segments},
		{"pgark, volumes", pgark("--rsh", s.lan.rsh(), "--volumes", "%OUT/{host}/{node}.pgark"), "segments", 1 + nodes, &t.volumes},
	}
	for _, w := range ways {
		if *w.took, err = s.time(ctx, w); err != nil {
			return t, fmt.Errorf("%s: %w", w.name, err)
		}
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

// time dumps one way from the client's host, as often as there are rounds, and gives the median of its time.
func (s *scale) time(ctx context.Context, w scaleWay) (time.Duration, error) {
	samples := make([]sample, s.runs)
	for i := range samples {
		var err error
		if samples[i], err = s.once(ctx, w); err != nil {
			return 0, err
		}
	}
	return median(samples).wall, nil
}

// once dumps one way, checks what it wrote, and removes it. The directories in it are the disks of the nodes' hosts.
func (s *scale) once(ctx context.Context, w scaleWay) (got sample, err error) {
	out := filepath.Join(s.dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(out)) }()
	args := s.client.run(w.args...)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "%OUT", out)
	}
	before, err := s.lan.carried(ctx)
	if err != nil {
		return sample{}, err
	}
	fmt.Fprintf(os.Stderr, "bench: %s", w.name)
	got, err = runProgram(ctx, args)
	after, lost := s.lan.carried(ctx)
	if err = errors.Join(err, lost); err != nil {
		fmt.Fprintln(os.Stderr)
		return sample{}, err
	}
	fmt.Fprintf(os.Stderr, ": %s s, %s s of CPU, %.1f MB over the network\n", seconds(got.wall), seconds(got.cpu), float64(after-before)/1e6)
	if w.route == "" {
		return got, nil
	}
	return got, s.checkArchive(ctx, filepath.Join(out, "archive"), w)
}

// checkArchive checks that pgark's archive is whole, came the right way and has all rows.
func (s *scale) checkArchive(ctx context.Context, path string, w scaleWay) error {
	b, err := exec.CommandContext(ctx, s.pgark, "inspect", "--json", path).Output()
	if err != nil {
		return fmt.Errorf("pgark inspect: %w", err)
	}
	var in struct {
		Route   string
		Rows    int
		Volumes []struct{}
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if in.Route != w.route || in.Rows != s.rows || len(in.Volumes) != w.volumes {
		return fmt.Errorf("the archive has %d rows by route %s in %d volumes, want %d by route %s in %d",
			in.Rows, in.Route, len(in.Volumes), s.rows, w.route, w.volumes)
	}
	return command(ctx, s.pgark, "verify", path)
}

// print writes the table as Markdown.
func (s *scale) print(w io.Writer, times []scaleTime) {
	total := float64(s.rows) * scaleRow / 1e6
	fmt.Fprintf(w, "%.0f MB of rows in all; each host's link has %d Mbit/s (%.1f MB/s); pgark with -j%d\n\n", total, s.mbit, float64(s.mbit)/8, s.jobs)
	fmt.Fprint(w, "| nodes | pg_dump s | pgark, coordinator s |")
	for _, way := range []string{"segments", "volumes"} {
		fmt.Fprintf(w, " pgark, %s s | %[1]s MB/s | gain over coordinator | over pg_dump |", way)
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "|"+strings.Repeat("---|", 11))
	for _, t := range times {
		fmt.Fprintf(w, "| %d | %.1f | %.1f |", t.nodes, t.pgDump.Seconds(), t.coordinator.Seconds())
		for _, took := range []time.Duration{t.segments, t.volumes} {
			fmt.Fprintf(w, " %.1f | %.0f | %.1f× | %.1f× |", took.Seconds(), total/took.Seconds(),
				float64(t.coordinator)/float64(took), float64(t.pgDump)/float64(took))
		}
		fmt.Fprintln(w)
	}
}
