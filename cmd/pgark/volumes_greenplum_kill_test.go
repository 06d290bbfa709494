package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/verify"
	"github.com/pgark/pgark/wire"
)

// greenplumBed is two databases on a real Greenplum, one with rows and an empty one, and directories for sets of the first: "lead"
// beside pgark, "volumes" beside the segments, which are on this machine. "tmp" is for what pgark puts aside.
type greenplumBed struct {
	db, copy *wire.Config
	servers  []greenplumWatch // the coordinator, then the segments
	dir      string           // holds nothing but what follows
	program  string           // pgark, as the segments have it
	volumes  string           // where volumes are, with {node}
	mark     string           // in the environment of every process that the lead starts
}

// greenplumWatch is sessions with one server, one in each of the databases, which see that server only.
type greenplumWatch struct {
	name     string
	db, copy *wire.Conn
}

// newGreenplumBed makes databases of two names, and rows in the first.
func newGreenplumBed(t *testing.T, name, copied string, rows int) *greenplumBed {
	t.Helper()
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("no /proc here")
	}
	cfg := greenplumServer(t)
	for _, db := range []string{name, copied} {
		runSQL(t, cfg, "DROP DATABASE IF EXISTS "+wire.Ident(db))
		runSQL(t, cfg, "CREATE DATABASE "+wire.Ident(db))
		t.Cleanup(func() { runSQL(t, cfg, "DROP DATABASE "+wire.Ident(db)) })
	}
	b := &greenplumBed{db: cfg.With(wire.Overrides{Database: name}), copy: cfg.With(wire.Overrides{Database: copied})}
	program, dir := serverProgram(t)
	b.program, b.dir = program, filepath.Dir(program)
	b.volumes = filepath.Join(dir, "{node}.pgark")
	b.mark = "PGARK_TEST_DIR=" + b.dir
	for _, d := range []string{"lead", "tmp"} {
		if err := os.Mkdir(filepath.Join(b.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.fill(t, rows)
	b.watch(t)
	return b
}

// fill makes tables: two with rows on all segments, one of them with keys and partitions, and one that is on each segment as a whole.
func (b *greenplumBed) fill(t *testing.T, rows int) {
	t.Helper()
	runSQL(t, b.db, fmt.Sprintf(`CREATE TABLE public.sale (id int, what text) DISTRIBUTED BY (id);
INSERT INTO public.sale SELECT i, repeat(md5(i::text), 3) FROM generate_series(1, %d) i;
CREATE TABLE public.entry (id int, day int, what text, PRIMARY KEY (id, day)) DISTRIBUTED BY (id)
PARTITION BY RANGE (day) (START (0) END (4) EVERY (1));
INSERT INTO public.entry SELECT i, i %% 4, repeat(md5(i::text), 3) FROM generate_series(1, %[1]d) i;
CREATE TABLE public.everywhere (id int) DISTRIBUTED REPLICATED;
INSERT INTO public.everywhere SELECT generate_series(1, 1000);
CREATE INDEX sale_id ON public.sale (id)`, rows))
}

// watch opens sessions with each server.
func (b *greenplumBed) watch(t *testing.T) {
	t.Helper()
	cluster, err := topology.Discover(t.Context(), b.db, topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(cluster.Nodes) == 0 || !isHere(cluster.Nodes[0].Config.Host()) {
		t.Skip("the segments are on other hosts")
	}
	connect := func(n topology.Node, database string) *wire.Conn {
		settings := wire.TextSettings("")
		settings.ApplicationName = "watch"
		o := wire.Overrides{Database: database}
		if n.Content < 0 {
			o.Options = cluster.Dialect.UtilityOption
		}
		conn, err := wire.Connect(t.Context(), n.Config.With(o), settings)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.Background()) })
		return conn
	}
	for _, n := range append([]topology.Node{cluster.Coordinator}, cluster.Nodes...) {
		b.servers = append(b.servers, greenplumWatch{n.Name, connect(n, b.db.Database()), connect(n, b.copy.Database())})
	}
}

// segment chooses one.
func (b *greenplumBed) segment() greenplumWatch { return b.servers[1+rand.N(len(b.servers)-1)] }

// ask returns the rows of an answer, a line each.
func (w greenplumWatch) ask(t *testing.T, sql string) string {
	t.Helper()
	return answer(t, w.db, sql)
}

func answer(t *testing.T, conn *wire.Conn, sql string) string {
	t.Helper()
	rows, err := conn.QueryStrings(context.Background(), sql)
	if err != nil {
		t.Fatalf("%s: %s: %v", conn.Addr(), sql, err)
	}
	var lines []string
	for _, r := range rows {
		lines = append(lines, strings.Join(r, " "))
	}
	return strings.Join(lines, "\n")
}

// ours is a condition on databases' names.
func (b *greenplumBed) ours() string {
	return "datname IN (" + wire.Literal(b.db.Database()) + ", " + wire.Literal(b.copy.Database()) + ")"
}

// cmd prepares pgark in the lead's directory.
func (b *greenplumBed) cmd(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd, stderr := pgark(t, filepath.Join(b.dir, "lead"), args...)
	cmd.Env = append(os.Environ(), b.mark, "TMPDIR="+filepath.Join(b.dir, "tmp"))
	cmd.WaitDelay = 10 * time.Second
	return cmd, stderr
}

// dump prepares a dump to volumes whose workers the database starts.
func (b *greenplumBed) dump(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	return b.cmd(t, append([]string{
		"dump", "-d", b.db.Conninfo(), "-f", "set.pgark", "--volumes", b.volumes, "--start", startDB, "--worker", b.program,
	}, args...)...)
}

// restore prepares a restore of the set into the other database.
func (b *greenplumBed) restore(t *testing.T, start string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	return b.cmd(t, append([]string{
		"restore", "-c", "--if-exists", "-d", b.copy.Conninfo(), "--start", start, "--worker", b.program, "set.pgark",
	}, args...)...)
}

// run runs pgark in the lead's directory and returns what it printed.
func (b *greenplumBed) run(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd, errs := b.cmd(t, args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	if got := exitCode(t, cmd.Run()); got != code {
		t.Errorf("pgark %.200q: exit code %d, not %d\n%s%s", args, got, code, &out, errs)
	}
	return out.String(), errs.String()
}

// mustRun runs a command that nothing disturbs.
func mustRun(t *testing.T, cmd *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	if code := exitCode(t, cmd.Run()); code != exitDone {
		t.Errorf("%.200q: exit code %d\n%s", cmd.Args, code, stderr)
	}
}

// processes lists the lead and what it has started, itself or by the database, zombies excepted.
func (b *greenplumBed) processes(t *testing.T) []process {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || len(raw) == 0 {
			continue
		}
		args := strings.TrimSpace(strings.ReplaceAll(string(raw), "\x00", " "))
		if !strings.Contains(args, b.dir) {
			env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
			if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), b.mark) {
				continue
			}
		}
		found = append(found, process{pid, args})
	}
	return found
}

// aWorker waits for a worker to run, and chooses one; ok is false if there are no more to come.
func (b *greenplumBed) aWorker(t *testing.T, ended <-chan struct{}) (pid int, ok bool) {
	t.Helper()
	for {
		workers := slices.DeleteFunc(b.processes(t), func(p process) bool { return !strings.HasPrefix(p.args, b.program+" worker") })
		if len(workers) > 0 {
			return workers[rand.N(len(workers))].pid, true
		}
		select {
		case <-ended:
			return 0, false
		case <-time.After(time.Millisecond):
		}
	}
}

// aSession waits for a session of pgark on a server, and has done something to it: cancel, or terminate. which is a condition and
// more, on pg_stat_activity.
func (b *greenplumBed) aSession(t *testing.T, at greenplumWatch, what, which string, ended <-chan struct{}) bool {
	t.Helper()
	sql := "SELECT count(pg_catalog.pg_" + what + "_backend(pid)) FROM (SELECT pid FROM pg_catalog.pg_stat_activity WHERE " + b.ours() +
		" AND application_name LIKE 'pgark%' AND " + which + " LIMIT 1) x"
	for at.ask(t, sql) == "0" {
		select {
		case <-ended:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
	return true
}

// firstName waits for the first volume to get its name; it returns false if there is none before the dump ends.
func (b *greenplumBed) firstName(t *testing.T, ended <-chan struct{}) bool {
	t.Helper()
	for len(files(t, filepath.Join(b.dir, "volumes"))) == 0 {
		select {
		case <-ended:
			return false
		case <-time.After(100 * time.Microsecond):
		}
	}
	return true
}

// left lists the files of a set, hidden ones included, and what was put aside.
func (b *greenplumBed) left(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, d := range []string{"lead", "tmp", "volumes"} {
		for _, name := range files(t, filepath.Join(b.dir, d)) {
			found = append(found, filepath.Join(d, name))
		}
	}
	return found
}

// sweep removes what a lead may leave in the directory for temporary files when it is killed while it starts pg_dump: the directory
// of a socket. It is no part of a set.
func (b *greenplumBed) sweep(t *testing.T, code int) {
	t.Helper()
	for _, name := range files(t, filepath.Join(b.dir, "tmp")) {
		path := filepath.Join(b.dir, "tmp", name)
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if code >= 0 || !strings.HasPrefix(name, "pgark-") || !info.IsDir() {
			continue
		}
		if inside := files(t, path); len(inside) > 1 || len(inside) == 1 && !strings.HasPrefix(inside[0], ".s.PGSQL.") {
			continue
		}
		t.Logf("the directory of a socket was left: %s", name)
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}

// forget removes all of them.
func (b *greenplumBed) forget(t *testing.T) {
	t.Helper()
	for _, name := range b.left(t) {
		if err := os.RemoveAll(filepath.Join(b.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// set lists the files of a set that is complete.
func (b *greenplumBed) set() []string {
	names := []string{"lead/set.pgark"}
	for _, s := range b.servers[1:] {
		names = append(names, "volumes/"+s.name+".pgark")
	}
	return names
}

// whole asserts that the set is complete and sound, and that there is nothing else.
func (b *greenplumBed) whole(t *testing.T) {
	t.Helper()
	if got := b.left(t); !slices.Equal(got, b.set()) {
		t.Errorf("files %q, not %q", got, b.set())
	}
	b.run(t, exitDone, "verify", "set.pgark")
}

// onServer is what there is of pgark on a server: sessions, also those that a coordinator's have on segments, and that
// don't tell their name; locks; prepared transactions; tables.
func (b *greenplumBed) onServer(t *testing.T, at greenplumWatch) string {
	t.Helper()
	left := at.ask(t, `SELECT 'session', pid::text, application_name, state, substr(query, 1, 80) FROM pg_catalog.pg_stat_activity
WHERE `+b.ours()+` AND application_name <> 'watch'
UNION ALL SELECT 'lock', pid::text, relation::regclass::text, mode, granted::text FROM pg_catalog.pg_locks
WHERE database IN (SELECT oid FROM pg_catalog.pg_database WHERE `+b.ours()+`)
AND pid NOT IN (SELECT pid FROM pg_catalog.pg_stat_activity WHERE application_name = 'watch')
UNION ALL SELECT 'prepared', gid, '', '', '' FROM pg_catalog.pg_prepared_xacts WHERE database IN (`+wire.Literal(b.db.Database())+", "+wire.Literal(b.copy.Database())+")")
	for _, conn := range []*wire.Conn{at.db, at.copy} {
		left += answer(t, conn, "SELECT 'table', relname::text FROM pg_catalog.pg_class WHERE relname LIKE 'pgark%' OR relpersistence = 't'")
	}
	return left
}

// quiet waits until nothing of pgark is left but files.
func (b *greenplumBed) quiet(t *testing.T) {
	t.Helper()
	const limit = 10 * time.Second
	begun := time.Now()
	var left string
	for {
		left = ""
		for _, p := range b.processes(t) {
			left += fmt.Sprintf("process %d: %.200s\n", p.pid, p.args)
		}
		for _, s := range b.servers {
			if text := b.onServer(t, s); text != "" {
				left += s.name + ":\n" + text + "\n"
			}
		}
		if left == "" {
			return
		}
		if time.Since(begun) > limit {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("after %v there is still\n%s", limit, left)
	for ; len(b.processes(t)) > 0; time.Sleep(100 * time.Millisecond) { // it must not be taken for something of the next round
		if time.Since(begun) > 2*time.Minute {
			t.Fatalf("and after %v", time.Since(begun))
		}
	}
	t.Logf("all processes had ended after %v", time.Since(begun))
}

// greenplumBlow is one way to disturb pgark. It returns false if there was nothing left to disturb.
type greenplumBlow struct {
	name   string
	strike func(t *testing.T, b *greenplumBed, lead *os.Process, ended <-chan struct{}) bool
	codes  []int // that pgark may end with but for 0; -1 is a death by a signal
}

func signalGreenplumLead(sig syscall.Signal) func(*testing.T, *greenplumBed, *os.Process, <-chan struct{}) bool {
	return func(_ *testing.T, _ *greenplumBed, lead *os.Process, _ <-chan struct{}) bool {
		return lead.Signal(sig) == nil
	}
}

// session is a blow at a session on the coordinator, or on one of the segments.
func session(what, which string, segment bool) func(*testing.T, *greenplumBed, *os.Process, <-chan struct{}) bool {
	return func(t *testing.T, b *greenplumBed, _ *os.Process, ended <-chan struct{}) bool {
		at := b.servers[0]
		if segment {
			at = b.segment()
		}
		return b.aSession(t, at, what, which, ended)
	}
}

// commonBlows disturb whatever pgark does.
func commonBlows() []greenplumBlow {
	return []greenplumBlow{
		{"SIGKILL to the lead", signalGreenplumLead(syscall.SIGKILL), []int{-1}},
		{"SIGINT to the lead", signalGreenplumLead(syscall.SIGINT), []int{exitInterrupted}},
		{"SIGTERM to the lead", signalGreenplumLead(syscall.SIGTERM), []int{exitInterrupted}},
		{"SIGKILL to a worker", func(t *testing.T, b *greenplumBed, _ *os.Process, ended <-chan struct{}) bool {
			pid, ok := b.aWorker(t, ended)
			return ok && syscall.Kill(pid, syscall.SIGKILL) == nil
		}, []int{exitFailed}},
		{"SIGKILL to the lead of a worker that sleeps", func(t *testing.T, b *greenplumBed, lead *os.Process, ended <-chan struct{}) bool {
			pid, ok := b.aWorker(t, ended)
			if !ok || syscall.Kill(pid, syscall.SIGSTOP) != nil {
				return false
			}
			time.Sleep(rand.N(300 * time.Millisecond))
			_ = lead.Kill()
			time.Sleep(rand.N(300 * time.Millisecond))
			return syscall.Kill(pid, syscall.SIGCONT) == nil
		}, []int{-1}},
	}
}

// databaseBlows are at the sessions by which a database starts workers.
func databaseBlows() []greenplumBlow {
	return []greenplumBlow{
		{"a cancel of the session with the workers", session("cancel", "application_name = 'pgark workers'", false), []int{exitFailed}},
		{"the end of the session with the workers", session("terminate", "application_name = 'pgark workers'", false), []int{exitFailed, exitConnect}},
	}
}

func greenplumDumpBlows() []greenplumBlow {
	snapshot := "application_name = 'pgark dump' AND state LIKE 'idle in transaction%' ORDER BY backend_start"
	all := append(append(commonBlows(), databaseBlows()...), []greenplumBlow{
		{"the end of the session with a segment's snapshot", session("terminate", snapshot, true), []int{exitFailed, exitConnect}},
		{"the end of the leader's session", session("terminate", snapshot, false), []int{exitFailed, exitConnect}},
		{"the end of any session with a segment", session("terminate", "true ORDER BY random()", true), []int{exitFailed, exitConnect}},
	}...)
	for _, blow := range all[:len(all)-1] {
		strike := blow.strike
		blow.name += " when the first volume has its name"
		blow.strike = func(t *testing.T, b *greenplumBed, lead *os.Process, ended <-chan struct{}) bool {
			return b.firstName(t, ended) && strike(t, b, lead, ended)
		}
		all = append(all, blow)
	}
	return all
}

// disturb runs pgark, strikes after a while, and waits until nothing is left but files. It returns the exit code.
func (b *greenplumBed) disturb(t *testing.T, cmd *exec.Cmd, blow greenplumBlow, after time.Duration) int {
	t.Helper()
	code := struck(t, cmd, after, func(ended <-chan struct{}) { blow.strike(t, b, cmd.Process, ended) })
	b.quiet(t)
	return code
}

// TestGreenplumVolumesNothingLeft disturbs dumps to volumes, whose workers a Greenplum starts, at random moments. Either the set is
// complete, or nothing is left: no process, session, lock, table or file.
func TestGreenplumVolumesNothingLeft(t *testing.T) {
	b := newGreenplumBed(t, "pgark_kill_dump", "pgark_kill_dump_copy", 250000)
	const codec = "zstd:6"
	took := time.Hour
	for range 3 {
		begun := time.Now()
		cmd, stderr := b.dump(t, "-Z", codec)
		mustRun(t, cmd, stderr)
		took = min(took, time.Since(begun))
		b.whole(t)
		b.forget(t)
	}
	rounds := 100
	if testing.Short() {
		rounds = 18
	}
	all, complete, kept := greenplumDumpBlows(), 0, 0
	for i := range rounds {
		blow := all[i%len(all)]
		after := rand.N(took * 11 / 10)
		t.Run(fmt.Sprintf("%d %s after %v", i, blow.name, after.Round(time.Millisecond)), func(t *testing.T) {
			defer b.forget(t)
			cmd, stderr := b.dump(t, "-Z", codec)
			code := b.disturb(t, cmd, blow, after)
			switch b.outcome(t, blow, code, after < took/4, stderr.String()) {
			case len(b.set()):
				complete++
			case 0:
			default:
				kept++
			}
		})
	}
	t.Logf("a dump takes %v; of %d that were disturbed %d were complete all the same, %d were killed and left volumes", took, rounds, complete, kept)
}

// outcome asserts that the dump has left what it may leave, and returns how many files that are. early is for moments at which the
// program may not have begun to dump, or to expect signals.
func (b *greenplumBed) outcome(t *testing.T, blow greenplumBlow, code int, early bool, stderr string) int {
	t.Helper()
	b.sweep(t, code)
	left := b.left(t)
	t.Logf("exit code %d, left %q: %s", code, left, stderr)
	switch {
	case code == exitDone, slices.Contains(left, b.set()[0]):
		b.whole(t)
		return len(left)
	case early && code < 0:
	case !slices.Contains(blow.codes, code):
		t.Errorf("exit code %d, not one of %v", code, blow.codes)
	}
	for _, name := range left {
		switch {
		case code < 0 && slices.Contains(b.set(), name):
			// A lead that is killed can't have the volumes removed that are complete by then.
			b.run(t, exitDone, "verify", filepath.Join(b.dir, name))
		case code > 0 && strings.Contains(stderr, filepath.Join(b.dir, name)):
		default:
			t.Errorf("%s is left", name)
		}
	}
	if code > 0 && !early && !strings.Contains(stderr, "no archive was written") {
		t.Error("the message does not say what state things are in")
	}
	if code < 0 && len(left) > 0 {
		// The next one says so, and neither replaces them nor leaves more.
		cmd, stderr := b.dump(t)
		if code := exitCode(t, cmd.Run()); code != exitFailed {
			t.Errorf("the next dump ends with exit code %d, not 1", code)
		}
		for _, want := range []string{filepath.Join(b.dir, left[0]), "exists", "no archive was written"} {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("the next dump does not say %q:\n%s", want, stderr)
			}
		}
		if now := b.left(t); !slices.Equal(now, left) {
			t.Errorf("the next dump leaves %q", now)
		}
		b.quiet(t)
	}
	return len(left)
}

func greenplumRestoreBlows(start string) []greenplumBlow {
	lost := []int{exitFailed, exitConnect, exitFound}
	blows := append(commonBlows(), []greenplumBlow{
		{"the end of a session that loads a segment", session("terminate", "application_name = 'pgark restore' ORDER BY random()", true), lost},
		{"a cancel in a session that loads a segment", session("cancel", "application_name = 'pgark restore' AND state = 'active' ORDER BY random()", true), lost},
		{"the end of a session with the coordinator", session("terminate", "application_name = 'pgark restore' ORDER BY random()", false), lost},
	}...)
	if start == startDB {
		blows = append(append(blows, databaseBlows()...), []greenplumBlow{
			{"the end of the lead's session with a segment", session("terminate", "application_name = 'pgark lead'", true), lost},
			{"the end of a worker's session that watches", session("terminate", "application_name LIKE 'pgark worker%' AND application_name <> 'pgark workers'", true), lost},
		}...)
	}
	return blows
}

// TestGreenplumRestoreNothingLeft disturbs restores, whose workers load volumes beside the segments, at random moments. Nothing is
// left of pgark, and the next restore repairs the database.
func TestGreenplumRestoreNothingLeft(t *testing.T) {
	b := newGreenplumBed(t, "pgark_kill_restore", "pgark_kill_restore_copy", 250000)
	cmd, stderr := b.dump(t)
	mustRun(t, cmd, stderr)
	b.whole(t)
	took := make(map[string]time.Duration)
	for _, start := range []string{startSSH, startDB} {
		took[start] = time.Hour
		for range 3 { // the first finds nothing to drop
			begun := time.Now()
			cmd, stderr := b.restore(t, start)
			mustRun(t, cmd, stderr)
			took[start] = min(took[start], time.Since(begun))
		}
		b.quiet(t)
	}
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	codes := make(map[int]int)
	for i := range rounds {
		start := []string{startDB, startSSH}[i%2]
		all := greenplumRestoreBlows(start)
		blow := all[i/2%len(all)]
		after := rand.N(took[start] * 9 / 10)
		t.Run(fmt.Sprintf("%d %s %s after %v", i, start, blow.name, after.Round(time.Millisecond)), func(t *testing.T) {
			cmd, stderr := b.restore(t, start)
			code := b.disturb(t, cmd, blow, after)
			codes[code]++
			t.Logf("exit code %d: %s", code, stderr)
			early := after < took[start]/4 // it may not yet expect signals
			if code != exitDone && !slices.Contains(blow.codes, code) && !(early && code < 0) {
				t.Errorf("exit code %d, not one of %v", code, blow.codes)
			}
			if got := b.left(t); !slices.Equal(got, b.set()) {
				t.Errorf("files %q, not %q", got, b.set())
			}
			if code == exitDone {
				b.run(t, exitDone, "verify", "-d", b.copy.Conninfo(), "set.pgark")
			}
			cmd, stderr = b.restore(t, start, "--verify")
			mustRun(t, cmd, stderr)
			b.quiet(t)
			if got := b.left(t); !slices.Equal(got, b.set()) {
				t.Errorf("after an undisturbed restore: files %q, not %q", got, b.set())
			}
		})
	}
	t.Logf("restores take %v; %d that were disturbed ended with codes (and how many times) %v", took, rounds, codes)
}

// findings runs a verification on the hosts of the volumes and returns what it found.
func (b *greenplumBed) findings(t *testing.T, start string, code int) []verify.Finding {
	t.Helper()
	out, _ := b.run(t, code, b.verification(start, "--json")...)
	var report struct {
		OK       bool             `json:"ok"`
		Findings []verify.Finding `json:"findings"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if report.OK != (code == exitDone) || report.OK != (len(report.Findings) == 0) {
		t.Errorf("exit code %d, and %s", code, out)
	}
	return report.Findings
}

// verification is the command line of a verification by workers, without a comparison.
func (b *greenplumBed) verification(start string, args ...string) []string {
	return append([]string{
		"verify", "--start", start, "--worker", b.program,
		"-h", b.db.Host(), "-p", strconv.Itoa(int(b.db.Port())), "-U", b.db.User(), "set.pgark",
	}, args...)
}

// volume is the path of a segment's volume.
func (b *greenplumBed) volume(segment int) string {
	return strings.ReplaceAll(b.volumes, "{node}", b.servers[1+segment].name)
}

// TestGreenplumVerifyStart has the volumes of a set checked where they lie, whole and with all that can be wrong with them.
func TestGreenplumVerifyStart(t *testing.T) {
	b := newGreenplumBed(t, "pgark_kill_verify", "pgark_kill_verify_copy", 300000)
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	cmd, stderr := b.dump(t)
	mustRun(t, cmd, stderr)
	aside := filepath.Join(b.dir, "aside")
	stale := filepath.Join(b.dir, "stale")
	rename(b.volume(1), stale)
	b.forget(t)
	runSQL(t, b.db, "DELETE FROM public.everywhere WHERE id = 7")
	cmd, stderr = b.dump(t)
	mustRun(t, cmd, stderr)
	b.whole(t)
	for _, start := range []string{startDB, startSSH} {
		t.Run(start, func(t *testing.T) {
			b.findings(t, start, exitDone)
			expect := func(class string, volumes ...int) {
				t.Helper()
				found := b.findings(t, start, exitFound)
				t.Logf("%+v", found)
				for i := range b.servers[1:] {
					tables := make(map[string]bool)
					for _, f := range found {
						host, path, ok := strings.Cut(f.Volume, ":")
						if path == b.volume(i) && f.Class == class && ok && host != "" {
							tables[f.Table] = true
						}
					}
					if slices.Contains(volumes, i) != (len(tables) > 0) {
						t.Errorf("class %s, volume of segment %d: tables %v", class, i, tables)
					}
					if class != archive.ClassFrame && slices.Contains(volumes, i) {
						for _, name := range []string{"sale", "entry"} {
							if !tables[wire.QualifiedName("public", name)] {
								t.Errorf("class %s, volume of segment %d: it does not name table %s", class, i, name)
							}
						}
					}
					if delete(tables, ""); class == archive.ClassFrame && slices.Contains(volumes, i) && len(tables) != 1 {
						t.Errorf("a byte of the volume of segment %d is wrong, and these tables are named: %v", i, tables)
					}
				}
				for _, f := range found {
					if f.Class != class && f.Class != archive.ClassDigest {
						t.Errorf("%+v is not of class %s", f, class)
					}
				}
			}
			rename(b.volume(2), aside)
			expect(archive.ClassMissing, 2)
			rename(aside, b.volume(2))

			flip(t, b.volume(0))
			expect(archive.ClassFrame, 0)
			flip(t, b.volume(0))

			rename(b.volume(0), aside)
			rename(b.volume(1), b.volume(0))
			rename(aside, b.volume(1))
			expect(archive.ClassVolume, 0, 1)
			rename(b.volume(0), aside)
			rename(b.volume(1), b.volume(0))
			rename(aside, b.volume(1))

			rename(b.volume(1), aside)
			rename(stale, b.volume(1))
			expect(archive.ClassVolume, 1)
			rename(b.volume(1), stale)
			rename(aside, b.volume(1))
			b.findings(t, start, exitDone)

			begun := time.Now()
			b.run(t, exitDone, b.verification(start)...)
			took := time.Since(begun)
			all := commonBlows()
			if start == startDB {
				all = append(all, databaseBlows()...)
			}
			for _, blow := range all {
				after := rand.N(took)
				t.Run(fmt.Sprintf("%s after %v", blow.name, after.Round(time.Millisecond)), func(t *testing.T) {
					cmd, stderr := b.cmd(t, b.verification(start)...)
					var stdout bytes.Buffer
					cmd.Stdout = &stdout
					code := b.disturb(t, cmd, blow, after)
					t.Logf("exit code %d: %s%s", code, &stdout, stderr)
					// A volume whose worker is gone could not be checked, which is a finding.
					if code != exitDone && code != exitFound && !slices.Contains(blow.codes, code) && !(after < took/4 && code < 0) {
						t.Errorf("exit code %d, not one of %v", code, blow.codes)
					}
					b.whole(t)
				})
			}
		})
	}
}

// flip inverts a bit in the middle of a file, which stays its owner's.
func flip(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, info.Size()/2); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, info.Size()/2); err != nil {
		t.Fatal(err)
	}
}

// TestGreenplumVolumesQuoting has names of all kinds, and paths, that a shell would take for commands.
func TestGreenplumVolumesQuoting(t *testing.T) {
	const evil = "it's $(touch HURT) `touch HURT`; touch HURT \"q\" \\"
	b := newGreenplumBed(t, "d "+evil, "c "+evil, 1000)
	runSQL(t, b.db, "CREATE SCHEMA "+wire.Ident(evil))
	table := wire.QualifiedName(evil, "t "+evil)
	runSQL(t, b.db, "CREATE TABLE "+table+" ("+wire.Ident("key "+evil)+" int, "+wire.Ident(evil)+" text) DISTRIBUTED BY ("+wire.Ident("key "+evil)+")")
	runSQL(t, b.db, "INSERT INTO "+table+" SELECT i, "+wire.Literal(evil)+" || i FROM generate_series(1, 1000) i")
	home := filepath.Join(b.dir, evil)
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(home, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(home, "pgark")
	if err := os.Rename(b.program, program); err != nil {
		t.Fatal(err)
	}
	b.program = program
	b.volumes = filepath.Join(b.dir, "volumes", evil+" {node}")

	cmd, stderr := b.dump(t)
	mustRun(t, cmd, stderr)
	if got := files(t, filepath.Join(b.dir, "volumes")); len(got) != len(b.servers)-1 || !slices.Contains(got, filepath.Base(b.volume(0))) {
		t.Errorf("volumes %q", got)
	}
	b.run(t, exitDone, "verify", "-d", b.db.Conninfo(), "set.pgark")
	for _, start := range []string{startDB, startSSH} {
		b.findings(t, start, exitDone)
		cmd, stderr := b.restore(t, start, "--verify")
		mustRun(t, cmd, stderr)
		if got := runSQL(t, b.copy, "SELECT count(*) FROM "+table+" WHERE "+wire.Ident(evil)+" LIKE 'it''s%'"); got != "1000" {
			t.Errorf("--start %s restores %s rows", start, got)
		}
	}
	cmd, stderr = b.restore(t, startSSH, "--verify", "--rsh", "sh -c")
	mustRun(t, cmd, stderr)
	// A volume that is lost is one of these names, too, and a dump that fails has all of them removed.
	if err := os.Remove(b.volume(1)); err != nil {
		t.Fatal(err)
	}
	for _, start := range []string{startDB, startSSH} {
		if found := b.findings(t, start, exitFound); len(found) == 0 || !strings.HasSuffix(found[0].Volume, ":"+b.volume(1)) {
			t.Errorf("%+v", found)
		}
	}
	if err := os.Remove(filepath.Join(b.dir, "lead", "set.pgark")); err != nil {
		t.Fatal(err)
	}
	cmd, stderr = b.dump(t)
	if code := exitCode(t, cmd.Run()); code != exitFailed || !strings.Contains(stderr.String(), "exists") {
		t.Errorf("a dump to volumes that exist: exit code %d\n%s", code, stderr)
	}
	if got := files(t, filepath.Join(b.dir, "volumes")); len(got) != len(b.servers)-2 {
		t.Errorf("after it the volumes are %q", got)
	}
	b.quiet(t)

	dirs := []string{".", b.dir, filepath.Join(b.dir, "lead"), filepath.Join(b.dir, "tmp"), filepath.Join(b.dir, "volumes"), home, os.TempDir(), os.Getenv("HOME"), "/"}
	for _, s := range b.servers {
		dirs = append(dirs, s.ask(t, "SHOW data_directory"))
	}
	for _, dir := range dirs {
		if _, err := os.Lstat(filepath.Join(dir, "HURT")); err == nil {
			t.Errorf("a command has run in %s", dir)
		}
	}
}
