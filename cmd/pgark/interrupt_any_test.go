package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgark/pgark/internal/pgtest"
)

// interruptMoments is how many moments of each command are tried, spread evenly over the time that it takes.
const interruptMoments = 12

// TestInterruptedAtAnyMoment sends SIGINT to dump, restore and verify at moments from the first session on until the
// command would have ended. Each ends with 130, or with 0 if it was quicker, and leaves no session; a dump leaves a
// whole archive or no file.
func TestInterruptedAtAnyMoment(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `CREATE TABLE a AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 300000) g;
CREATE TABLE b AS SELECT * FROM a; ALTER TABLE a ADD PRIMARY KEY (id); CREATE INDEX ON b (v); ALTER TABLE b ADD FOREIGN KEY (id) REFERENCES a`)
	file := filepath.Join(t.TempDir(), "x.pgark")
	command, stderr := pgark(t, ".", "dump", "-q", "-f", file, "-d", srv.Conninfo(db))
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	for name, try := range map[string]func(t *testing.T, dir string) (db string, args []string){
		"dump": func(_ *testing.T, dir string) (string, []string) {
			return db, []string{"dump", "-q", "-j", "2", "-f", filepath.Join(dir, "x.pgark"), "-d", srv.Conninfo(db)}
		},
		"restore": func(t *testing.T, _ string) (string, []string) {
			target := srv.CreateDB(t)
			return target, []string{"restore", "-q", "-j", "2", "-d", srv.Conninfo(target), file}
		},
		"verify": func(_ *testing.T, _ string) (string, []string) {
			return db, []string{"verify", "-q", "-j", "2", "-d", srv.Conninfo(db), file}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			target, args := try(t, dir)
			takes := runInterrupted(t, srv, target, args, -1)
			for i := range interruptMoments {
				dir := t.TempDir()
				target, args := try(t, dir)
				runInterrupted(t, srv, target, args, takes*time.Duration(i)/interruptMoments)
				srv.WaitNoSessions(t, target)
				checkArchiveOrNothing(t, dir)
			}
		})
	}
}

// runInterrupted runs a command and interrupts it a time after its first session was seen, or not if that is negative.
// It returns how long the command took from then on.
func runInterrupted(t *testing.T, srv *pgtest.Server, db string, args []string, after time.Duration) time.Duration {
	t.Helper()
	cmd, stderr := pgark(t, ".", args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, srv, "SELECT count(*) FROM pg_stat_activity WHERE datname = '"+db+"' AND application_name LIKE 'pgark%'")
	begin := time.Now()
	if after >= 0 {
		time.Sleep(after)
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil && !strings.Contains(err.Error(), "finished") {
			t.Fatal(err)
		}
	}
	code := exitCode(t, cmd.Wait())
	if code != exitDone && (code != exitInterrupted || after < 0) {
		t.Errorf("%s, interrupted after %v: exit code %d\n%s", args[0], after, code, stderr)
	}
	return time.Since(begin)
}

// checkArchiveOrNothing finds a whole archive in dir, or no file at all.
func checkArchiveOrNothing(t *testing.T, dir string) {
	t.Helper()
	names := files(t, dir)
	if len(names) == 0 {
		return
	}
	cmd, stderr := pgark(t, dir, "verify", "-q", "x.pgark")
	if code := exitCode(t, cmd.Run()); code != exitDone || len(names) != 1 {
		t.Errorf("left behind: %q, verify says %d\n%s", names, code, stderr)
	}
	if info, err := os.Stat(filepath.Join(dir, "x.pgark")); err == nil && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
}
