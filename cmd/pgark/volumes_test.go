package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgark/pgark/fanout"
)

// TestVolumesOfShards dumps shards to volumes beside them, and uses the set in all ways that an archive is used.
func TestVolumesOfShards(t *testing.T) {
	b := newVolumeBed(t, 3000)
	cmd, stderr := b.dump(t)
	if code := exitCode(t, cmd.Run()); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	b.whole(t)
	conninfo := b.shards.Coordinator.Conninfo(b.db)
	b.run(t, exitDone, "verify", "-d", conninfo, "set.pgark")
	if got := strings.Count(b.run(t, exitDone, "cat", "set.pgark", "shop.sale_shard2"), "\n"); got < 500 {
		t.Errorf("cat prints %d rows of shard 2", got)
	}
	if got := b.run(t, exitDone, "list", "set.pgark"); !strings.Contains(got, "sale_shard3") {
		t.Errorf("the list lacks a table:\n%s", got)
	}
	inspect := b.run(t, exitDone, "inspect", "set.pgark")
	for _, name := range []string{"shard1.pgark", "shard2.pgark", "shard3.pgark"} {
		if !strings.Contains(inspect, filepath.Join(b.dir, "volumes", name)) {
			t.Errorf("inspect does not name %s:\n%s", name, inspect)
		}
	}
	plain := b.shards.Coordinator.CreateDB(t)
	b.restored(t, plain)

	// All volumes in one place.
	moved := filepath.Join(b.dir, "moved")
	if err := os.Rename(filepath.Join(b.dir, "volumes"), moved); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(b.dir, "volumes"), 0o700); err != nil {
		t.Fatal(err)
	}
	got := b.run(t, exitFailed, "restore", "-d", b.shards.Coordinator.Conninfo(b.shards.Coordinator.CreateDB(t)), "--to-postgres", "set.pgark")
	for _, want := range []string{filepath.Join(b.dir, "volumes", "shard1.pgark"), "shard3.pgark", "--volume-dir"} {
		if !strings.Contains(got, want) {
			t.Errorf("the message lacks %s:\n%s", want, got)
		}
	}
	b.run(t, exitDone, "verify", "--volume-dir", moved, "-d", conninfo, "set.pgark")
	b.restored(t, b.shards.Coordinator.CreateDB(t), "--volume-dir", moved)

	// One of them is lost.
	if err := os.Remove(filepath.Join(moved, "shard2.pgark")); err != nil {
		t.Fatal(err)
	}
	if got := b.run(t, exitFound, "verify", "--volume-dir", moved, "set.pgark"); !strings.Contains(got, "shard2.pgark") || strings.Contains(got, "shard1.pgark") {
		t.Errorf("verify does not name the missing volume alone:\n%s", got)
	}
}

// restored restores the set into a plain database, and compares it with the shards' rows.
func (b *volumeBed) restored(t *testing.T, db string, args ...string) {
	t.Helper()
	srv := b.shards.Coordinator
	b.run(t, exitDone, append(append([]string{"restore"}, args...), "-d", srv.Conninfo(db), "--to-postgres", "set.pgark")...)
	const sum = "SELECT count(*), sum(hashtext(s::text)) FROM shop.%s s"
	for _, table := range []string{"sale", "entry"} {
		query := fmt.Sprintf(sum, table)
		if got, want := srv.QueryString(t, db, query), srv.QueryString(t, b.db, query); got != want {
			t.Errorf("shop.%s: %s restored, %s dumped", table, got, want)
		}
	}
}

// TestVolumesFullDisk has the disk of one node full.
func TestVolumesFullDisk(t *testing.T) {
	b := newVolumeBed(t, 20000)
	for _, node := range []string{"shard1", "shard2", "shard3"} {
		if err := os.Mkdir(filepath.Join(b.dir, "volumes", node), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	full := filepath.Join(b.dir, "volumes", "shard2")
	if err := syscall.Mount("tmpfs", full, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(full, 0); err != nil {
			t.Error(err)
		}
	})
	cmd, stderr := b.dump(t, "-Z", "none", "--volumes", filepath.Join(b.dir, "volumes", "{node}", "rows.pgark"))
	if code := exitCode(t, cmd.Run()); code != exitFailed {
		t.Errorf("exit code %d, not 1", code)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"worker of node shard2, host " + host + ": ", "write " + full + "/rows.pgark: no space left on the device after ", "no archive was written",
	} {
		if strings.Count(stderr.String(), want) != 1 {
			t.Errorf("the message should say %q once:\n%s", want, stderr)
		}
	}
	b.quiet(t)
	for _, d := range []string{"lead", "volumes/shard1", "volumes/shard2", "volumes/shard3"} {
		if left := files(t, filepath.Join(b.dir, d)); len(left) > 0 {
			t.Errorf("%s: %q is left", d, left)
		}
	}
}

// TestVolumesTakenBack has the worker of one node, or the lead, end while the volumes get their names. Those that have one
// lose it again.
func TestVolumesTakenBack(t *testing.T) {
	b := newVolumeBed(t, 100)
	for name, tc := range map[string]struct {
		word, then string // what the worker of shard 2 is told, and what happens then instead
		code       int
		want       string
	}{
		"a worker before it names":  {"name", "exit", exitFailed, "worker of node shard2, host "},
		"a worker before it keeps":  {"keep", "exit", exitFailed, "worker of node shard2, host "},
		"the lead between names":    {"name", "kill -9 $lead; exit", -1, ""},
		"a lead with a worker deaf": {"name", "kill -INT $lead; sleep 1; exit", exitInterrupted, "no archive was written"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := filepath.Join(t.TempDir(), "pgark")
			script := `#!/bin/sh
lead=$PPID
{
  IFS= read -r job; printf '%s\n' "$job"
  while IFS= read -r word; do
    case "$word $job" in ` + tc.word + `*'"Name":"shard2"'*) sleep 0.3; ` + tc.then + `; esac
    printf '%s\n' "$word"
  done
} | ` + fanout.ShellWord(b.worker) + ` worker
`
			if err := os.WriteFile(fake, []byte(script), 0o700); err != nil { //nolint:gosec // it is run
				t.Fatal(err)
			}
			cmd, stderr := b.dump(t, "--worker", fake)
			if code := exitCode(t, cmd.Run()); code != tc.code || !strings.Contains(stderr.String(), tc.want) {
				t.Errorf("exit code %d, not %d, and %q:\n%s", code, tc.code, tc.want, stderr)
			}
			t.Log(stderr)
			b.quiet(t)
			if left := b.left(t); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
}

// TestVolumesMessages has workers that are not what they should be, and places where no volume can be.
func TestVolumesMessages(t *testing.T) {
	b := newVolumeBed(t, 10)
	taken := filepath.Join(b.dir, "file")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		script string // what --worker is; "" for pgark itself
		args   []string
		code   int
		want   string
	}{
		"missing":      {args: []string{"--worker", "/no/such/pgark"}, code: exitFailed, want: "host 127.0.0.1: pgark was not found there (exit status 127): sh: "},
		"no program":   {args: []string{"--rsh", "/no/such/rsh {host}"}, code: exitFailed, want: "/no/such/rsh"},
		"old":          {script: `echo '{"hello":{"tool":"pgark 0.0.1","job":1,"host":"far"}}'; read job`, code: exitFailed, want: "host far has pgark 0.0.1, and this is " + toolName},
		"mute":         {script: `exit 0`, code: exitFailed, want: "it ended without a result (exit status 0)"},
		"talkative":    {script: `echo Welcome to far; cat > /dev/null`, code: exitFailed, want: `it answers "Welcome to far", which is no line of a worker`},
		"broken":       {script: `echo 'cannot execute: out of luck' >&2; exit 126`, code: exitFailed, want: "it ended without a result (exit status 126): cannot execute: out of luck"},
		"a file above": {args: []string{"--volumes", taken + "/{node}.pgark"}, code: exitFailed, want: "not a directory"},
		"a directory":  {args: []string{"--volumes", filepath.Join(b.dir, "volumes")}, code: exitUsage, want: "same path"},
		"one host by two names": {args: []string{
			"--force", "--volumes", filepath.Join(b.dir, "volumes", "{archive}"), "-T", "shop.*_shard3",
			"--node", fmt.Sprintf("shard2=localhost:%d", b.shards.Shards[1].Port()),
		}, code: exitFailed, want: "have the same volume, "},
		"the lead":  {args: []string{"--force", "--volumes", filepath.Join(b.dir, "lead", "{node}.pgark"), "-f", "shard2.pgark"}, code: exitFailed, want: "the lead volume and node shard2 have the same volume"},
		"no rights": {args: []string{"--volumes", "/proc/{node}.pgark"}, code: exitFailed, want: "/proc"},
	} {
		t.Run(name, func(t *testing.T) {
			args := tc.args
			if tc.script != "" {
				fake := filepath.Join(t.TempDir(), "pgark")
				if err := os.WriteFile(fake, []byte("#!/bin/sh\n"+tc.script+"\n"), 0o700); err != nil { //nolint:gosec // it is run
					t.Fatal(err)
				}
				args = append(args, "--worker", fake)
			}
			cmd, stderr := b.dump(t, args...)
			if code := exitCode(t, cmd.Run()); code != tc.code {
				t.Errorf("exit code %d, not %d", code, tc.code)
			}
			text := stderr.String()
			if strings.Count(text, tc.want) != 1 || strings.Count(text, "\n") > 2 {
				t.Errorf("the message should say %q, once:\n%s", tc.want, text)
			}
			t.Log(text)
			b.quiet(t)
			if left := b.left(t); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
}
