package main

import (
	"bytes"
	"errors"
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

	"github.com/pgark/pgark/internal/pgtest"
)

// volumeBed is a cluster of postgres_fdw shards, and directories for sets of it: "lead" beside pgark, "volumes" beside
// the nodes. All workers run on this machine.
type volumeBed struct {
	shards *pgtest.Shards
	db     string
	dir    string // holds nothing but what follows
	worker string // pgark, as the hosts have it
	mark   string // in the environment of every process that a dump starts

	program string // pgark, if it is another than this test's own
}

// plain has pgark run without the race detector: with it, a hundred dumps and their workers take ten minutes.
func (b *volumeBed) plain(t *testing.T) {
	t.Helper()
	b.program = plainProgram(t)
	if err := errors.Join(os.Remove(b.worker), os.Symlink(b.program, b.worker)); err != nil {
		t.Fatal(err)
	}
}

// pgark prepares a run of it beside the lead volume.
func (b *volumeBed) pgark(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd, stderr := pgark(t, filepath.Join(b.dir, "lead"), args...)
	if b.program != "" {
		cmd.Path = b.program
	}
	return cmd, stderr
}

func newVolumeBed(t *testing.T, rows int) *volumeBed {
	t.Helper()
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("no /proc here")
	}
	b := &volumeBed{shards: pgtest.SharedShards(t), dir: t.TempDir()}
	b.db = b.shards.CreateDB(t)
	b.worker = filepath.Join(b.dir, "bin", "pgark")
	b.mark = "PGARK_TEST_DIR=" + b.dir
	for _, d := range []string{"bin", "lead", "volumes", "tmp"} {
		if err := os.Mkdir(filepath.Join(b.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, b.worker); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sale", "entry"} {
		b.shards.Table(t, b.db, pgtest.Table{Schema: "shop", Name: name, Columns: "id int, what text", Key: "id"})
		for i, srv := range b.shards.Shards {
			// The hash decides where a row belongs, and rows that are elsewhere can't be restored in place.
			srv.Exec(t, b.db, fmt.Sprintf(`CREATE TABLE h (id int) PARTITION BY HASH (id);
CREATE TABLE h_own PARTITION OF h FOR VALUES WITH (MODULUS %d, REMAINDER %d);
INSERT INTO shop.%s SELECT i, repeat(md5(i::text), 3) FROM generate_series(1, %d) i
WHERE satisfies_hash_partition('h'::regclass, %[1]d, %[2]d, i);
DROP TABLE h`, len(b.shards.Shards), i, name, rows))
		}
	}
	return b
}

// dump prepares a dump to volumes.
func (b *volumeBed) dump(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd, stderr := b.pgark(t, append([]string{
		"dump", "-d", b.shards.Coordinator.Conninfo(b.db), "-f", "set.pgark",
		"--volumes", filepath.Join(b.dir, "volumes", "{node}.pgark"), "--rsh", "sh -c", "--worker", b.worker,
	}, args...)...)
	cmd.Env = append(os.Environ(), b.mark, "TMPDIR="+filepath.Join(b.dir, "tmp"))
	cmd.WaitDelay = 10 * time.Second
	return cmd, stderr
}

// process is one that belongs to a dump.
type process struct {
	pid  int
	args string
}

func (p process) worker() bool { return strings.HasSuffix(p.args, "/bin/pgark worker") }

// processes lists what a dump has started, and itself, zombies excepted.
func (b *volumeBed) processes(t *testing.T) []process {
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
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), b.mark) {
			continue
		}
		args, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || len(args) == 0 {
			continue
		}
		found = append(found, process{pid, strings.TrimSpace(strings.ReplaceAll(string(args), "\x00", " "))})
	}
	return found
}

// aWorker waits for a worker to run, and chooses one; ok is false if the dump has no more to come.
func (b *volumeBed) aWorker(t *testing.T, ended <-chan struct{}) (pid int, ok bool) {
	t.Helper()
	for {
		workers := slices.DeleteFunc(b.processes(t), func(p process) bool { return !p.worker() })
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

// firstName waits for the first volume to get its name; it returns false if there is none before the dump ends.
func (b *volumeBed) firstName(t *testing.T, ended <-chan struct{}) bool {
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

// left lists the files of a set, hidden ones included.
func (b *volumeBed) left(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, d := range []string{"lead", "volumes"} {
		for _, name := range files(t, filepath.Join(b.dir, d)) {
			found = append(found, filepath.Join(d, name))
		}
	}
	return found
}

// forget removes all of them.
func (b *volumeBed) forget(t *testing.T) {
	t.Helper()
	for _, name := range b.left(t) {
		if err := os.RemoveAll(filepath.Join(b.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// quiet waits until no process and no session is left, with which their locks are gone as well.
func (b *volumeBed) quiet(t *testing.T) {
	t.Helper()
	b.quietOn(t, b.db)
}

// quietOn is quiet for sessions with another database.
func (b *volumeBed) quietOn(t *testing.T, db string) {
	t.Helper()
	const limit = 10 * time.Second
	var left string
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		left = ""
		for _, p := range b.processes(t) {
			left += fmt.Sprintf("process %d: %s\n", p.pid, p.args)
		}
		if left == "" {
			for i, srv := range b.shards.All() {
				if s := srv.Sessions(t, db); s != "" {
					left += fmt.Sprintf("session on server %d: %s\n", i, s)
				}
			}
		}
		if left == "" {
			return
		}
	}
	t.Errorf("after %v there is still\n%s", limit, left)
}

// whole asserts that the set is complete and sound.
func (b *volumeBed) whole(t *testing.T) {
	t.Helper()
	want := []string{"lead/set.pgark", "volumes/shard1.pgark", "volumes/shard2.pgark", "volumes/shard3.pgark"}
	if got := b.left(t); !slices.Equal(got, want) {
		t.Errorf("files %q, not %q", got, want)
	}
	b.run(t, exitDone, "verify", "set.pgark")
}

// run runs pgark beside the lead volume and returns what it printed.
func (b *volumeBed) run(t *testing.T, code int, args ...string) string {
	t.Helper()
	cmd, stderr := b.pgark(t, args...)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if got := exitCode(t, cmd.Run()); got != code {
		t.Errorf("pgark %s: exit code %d, not %d\n%s", strings.Join(args, " "), got, code, stderr)
	}
	return stdout.String() + stderr.String()
}

// blow is one way to disturb a dump. It returns false if there was nothing left to disturb.
type blow struct {
	name   string
	strike func(t *testing.T, b *volumeBed, lead *os.Process, ended <-chan struct{}) bool
	codes  []int // that the dump may end with; -1 is a death by a signal
}

func signalLead(sig syscall.Signal) func(*testing.T, *volumeBed, *os.Process, <-chan struct{}) bool {
	return func(_ *testing.T, _ *volumeBed, lead *os.Process, _ <-chan struct{}) bool {
		return lead.Signal(sig) == nil
	}
}

func blows() []blow {
	return []blow{
		{"SIGKILL to the lead", signalLead(syscall.SIGKILL), []int{-1}},
		{"SIGINT to the lead", signalLead(syscall.SIGINT), []int{exitInterrupted}},
		{"SIGTERM to the lead", signalLead(syscall.SIGTERM), []int{exitInterrupted}},
		{"SIGKILL to a worker", func(t *testing.T, b *volumeBed, _ *os.Process, ended <-chan struct{}) bool {
			pid, ok := b.aWorker(t, ended)
			return ok && syscall.Kill(pid, syscall.SIGKILL) == nil
		}, []int{exitFailed}},
		{"SIGKILL to the lead of a worker that sleeps", func(t *testing.T, b *volumeBed, lead *os.Process, ended <-chan struct{}) bool {
			pid, ok := b.aWorker(t, ended)
			if !ok || syscall.Kill(pid, syscall.SIGSTOP) != nil {
				return false
			}
			time.Sleep(rand.N(300 * time.Millisecond))
			_ = lead.Kill()
			return syscall.Kill(pid, syscall.SIGCONT) == nil
		}, []int{-1}},
		{"SIGINT to the lead of a worker that sleeps for good", func(t *testing.T, b *volumeBed, lead *os.Process, ended <-chan struct{}) bool {
			pid, ok := b.aWorker(t, ended)
			return ok && syscall.Kill(pid, syscall.SIGSTOP) == nil && lead.Signal(syscall.SIGINT) == nil
		}, []int{exitInterrupted}},
		{"the end of a session", func(t *testing.T, b *volumeBed, _ *os.Process, _ <-chan struct{}) bool {
			srv := b.shards.Shards[rand.N(len(b.shards.Shards))]
			return srv.QueryString(t, "postgres", `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'pgark dump' AND datname = '`+b.db+`' ORDER BY random() LIMIT 1`) == "t"
		}, []int{exitFailed, exitConnect}},
		{"SIGKILL to the lead when the first volume has its name", func(t *testing.T, b *volumeBed, lead *os.Process, ended <-chan struct{}) bool {
			return b.firstName(t, ended) && lead.Kill() == nil
		}, []int{-1}},
		{"SIGKILL to a worker when the first volume has its name", func(t *testing.T, b *volumeBed, _ *os.Process, ended <-chan struct{}) bool {
			if !b.firstName(t, ended) {
				return false
			}
			pid, ok := b.aWorker(t, ended)
			return ok && syscall.Kill(pid, syscall.SIGKILL) == nil
		}, []int{exitFailed}},
	}
}

// TestVolumesNothingLeft disturbs dumps to volumes at random moments. Either the set is complete, or nothing is left: no
// process, session, lock or file.
func TestVolumesNothingLeft(t *testing.T) {
	t.Parallel()
	b := newVolumeBed(t, 200000)
	b.plain(t)
	const codec = "zstd:6"
	begun := time.Now()
	cmd, stderr := b.dump(t, "-Z", codec)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	took := time.Since(begun)
	b.whole(t)
	b.forget(t)
	rounds := 100
	if testing.Short() {
		rounds = 18
	}
	all, complete := blows(), 0
	for i := range rounds {
		blow := all[i%len(all)]
		after := rand.N(took * 11 / 10)
		t.Run(fmt.Sprintf("%d %s after %v", i, blow.name, after.Round(time.Millisecond)), func(t *testing.T) {
			if b.disturb(t, blow, after, codec, after < took/4) {
				complete++
			}
		})
	}
	t.Logf("a dump takes %v; of %d that were disturbed %d were complete all the same", took, rounds, complete)
}

// struck runs a program, strikes after a while, and returns the exit code.
func struck(t *testing.T, cmd *exec.Cmd, after time.Duration, strike func(ended <-chan struct{})) int {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var failed error
	go func() {
		defer close(ended)
		failed = cmd.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(after):
		strike(ended)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("it does not end")
		_ = cmd.Process.Kill()
		<-ended
	}
	return exitCode(t, failed)
}

// disturb does one round, and tells whether the set is complete. early is for moments at which the program may not have
// begun to dump, or to expect signals.
func (b *volumeBed) disturb(t *testing.T, blow blow, after time.Duration, codec string, early bool) (complete bool) {
	t.Helper()
	defer b.forget(t)
	cmd, stderr := b.dump(t, "-Z", codec)
	code := struck(t, cmd, after, func(ended <-chan struct{}) { blow.strike(t, b, cmd.Process, ended) })
	b.quiet(t)
	if left := files(t, filepath.Join(b.dir, "tmp")); len(left) > 0 {
		// Only a lead that is killed in the instant before pg_dump has come to its socket can leave something.
		if t.Logf("in TMPDIR: %q", left); code >= 0 {
			t.Error("a lead that was not killed has left it")
		}
		for _, name := range left { // not for the next round to find
			if err := os.RemoveAll(filepath.Join(b.dir, "tmp", name)); err != nil {
				t.Error(err)
			}
		}
	}
	left := b.left(t)
	switch {
	case code == exitDone, slices.Contains(left, "lead/set.pgark"):
		b.whole(t)
		return true
	case early && code < 0:
	case !slices.Contains(blow.codes, code):
		t.Errorf("exit code %d, not one of %v\n%s", code, blow.codes, stderr)
	}
	// A lead that is killed may meet it, whatever else is disturbed: a worker that sleeps makes it as long as its sleep.
	if code < 0 && len(left) == len(b.shards.Shards) {
		for _, name := range left {
			b.run(t, exitDone, "verify", filepath.Join("..", name))
		}
		t.Log("met the instant in which all workers have agreed to keep, and the lead volume has no name yet")
		return false
	}
	for _, name := range left {
		// A worker that dies after it has named its volume can't take it back: then the lead says so.
		if code > 0 && strings.Contains(stderr.String(), filepath.Join(b.dir, name)) {
			t.Logf("left and named: %s", name)
			continue
		}
		t.Errorf("%s is left\n%s", name, stderr)
	}
	if code > 0 && !early && !strings.Contains(stderr.String(), "no archive was written") {
		t.Errorf("the message does not say what state things are in:\n%s", stderr)
	}
	t.Logf("exit code %d: %s", code, stderr)
	return false
}
