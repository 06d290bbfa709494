package pgtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServerLifecycle(t *testing.T) {
	s := Start(t, WithSetting("work_mem", "5MB"), WithSetting("wal_level", "logical"))
	db := s.CreateDB(t)
	s.Exec(t, db, "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, NULL)")
	if got, want := s.QueryString(t, db, "SELECT * FROM t ORDER BY a"), "1|x\n2|"; got != want {
		t.Errorf("rows: %q, want %q", got, want)
	}
	if got, want := s.QueryString(t, db, "SHOW work_mem"), "5MB"; got != want {
		t.Errorf("work_mem = %s, want %s", got, want)
	}
	s.Exec(t, maintenanceDB, "SET work_mem = '6MB'; SELECT pg_advisory_lock(1)")
	if got, want := s.QueryString(t, maintenanceDB, "SELECT current_setting('work_mem'), count(*) FROM pg_locks WHERE locktype = 'advisory'"), "5MB|0"; got != want {
		t.Errorf("what a session had set and locked, seen by the next: %s, want %s", got, want)
	}
	s.Restart(t)
	s.Kill(t)
	s.Restart(t)
	if got := s.QueryString(t, db, "SELECT count(*) FROM pg_class WHERE relname = 't'"); got != "1" {
		t.Errorf("after recovery: %s tables, want 1", got)
	}
	latin := s.CreateDB(t, Encoding("LATIN1"))
	if got := s.QueryString(t, latin, "SHOW server_encoding"); got != "LATIN1" {
		t.Errorf("encoding %s", got)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Host()); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", s.Host(), err)
	}
}

// TestServerEndsWithItsProcess starts a server from a copy of this test binary and kills that process.
func TestServerEndsWithItsProcess(t *testing.T) {
	const env = "PGTEST_CHILD"
	if out := os.Getenv(env); out != "" {
		s := Shared(t)
		if err := os.WriteFile(out+".new", []byte(s.DataDir()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(out+".new", out); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // until killed
	}
	if _, err := FindBinDir(); err != nil {
		missing(t, err)
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "datadir")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestServerEndsWithItsProcess$")
	cmd.Env = append(os.Environ(), env+"="+out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dataDir []byte
	waitFor(t, "the child's server", func() bool {
		var err error
		dataDir, err = os.ReadFile(out)
		return err == nil
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child was killed, but says it ended well")
	}
	waitFor(t, "the server's directory to be removed", func() bool {
		_, err := os.Stat(filepath.Dir(string(dataDir)))
		return os.IsNotExist(err)
	})
	if strings.Contains(processes(t), string(dataDir)) {
		t.Errorf("the server of %s still runs", dataDir)
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// processes gives the command lines of all processes.
func processes(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil { // else it has just ended
			all = append(append(all, b...), '\n')
		}
	}
	return string(all)
}

func TestScriptText(t *testing.T) {
	const script = "\\restrict a\nSELECT '\\restrict b';\n\\unrestrict a\n\n\\restrict c\n"
	if got, want := WithoutKeys(script), "SELECT '\\restrict b';\n\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	object := func(s string) string {
		return "SELECT pg_catalog.lo_open('" + s + "', 131072);\nSELECT pg_catalog.lo_close(0);\n\n"
	}
	if got, want := SortLargeObjects("a\n"+object("2")+"b\n"+object("1")+"c\n"), "a\n"+object("1")+"b\n"+object("2")+"c\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
