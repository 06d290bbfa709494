package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgark/pgark/internal/pgtest"
)

// pgark prepares the program in a process of its own.
func pgark(t *testing.T, dir string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	stderr := new(bytes.Buffer)
	cmd := exec.Command(self, args...)
	cmd.Args[0] = "pgark" // which is how the test binary knows what to be
	cmd.Dir, cmd.Stderr = dir, stderr
	return cmd, stderr
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return -1
}

// files lists a directory, hidden files included.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// blocked makes a database in which a table is locked, so that a dump waits until unlock is called.
func blocked(t *testing.T, srv *pgtest.Server) (db string) {
	t.Helper()
	db = srv.CreateDB(t)
	srv.Exec(t, db, "CREATE TABLE t AS SELECT 1 AS i")
	psql, err := pgtest.FindClient(srv.BinDir(), "psql")
	if err != nil {
		t.Fatal(err)
	}
	locker := exec.Command(psql, "-Xq", "-d", srv.Conninfo(db)+" application_name=pgtest")
	stdin, err := locker.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := locker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = locker.Wait()
	})
	if _, err := stdin.Write([]byte("BEGIN; LOCK TABLE t;\n")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, srv, "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = '"+db+"' AND mode = 'AccessExclusiveLock' AND granted")
	return db
}

// waitFor waits until a query on the server answers something other than 0.
func waitFor(t *testing.T, srv *pgtest.Server, query string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if srv.QueryString(t, "postgres", query) != "0" {
			return
		}
	}
	t.Fatal("waited in vain: " + query)
}

// TestInterruptedDump sends signals to a dump that waits for a lock. The first cancels it: exit code 130, no file, no
// session left.
func TestInterruptedDump(t *testing.T) {
	srv := pgtest.Shared(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			db, dir := blocked(t, srv), t.TempDir()
			cmd, stderr := pgark(t, dir, "dump", "-f", "x.pgark", "-d", srv.Conninfo(db))
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			waitFor(t, srv, "SELECT count(*) FROM pg_stat_activity WHERE datname = '"+db+"' AND wait_event_type = 'Lock'")
			if got := files(t, dir); len(got) != 1 || !strings.HasPrefix(got[0], ".x.pgark.partial-") {
				t.Errorf("while it runs there should be a partial file alone, not %q", got)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if code := exitCode(t, cmd.Wait()); code != exitInterrupted {
				t.Errorf("exit code %d, not 130\n%s", code, stderr)
			}
			if got := files(t, dir); len(got) > 0 {
				t.Errorf("files left: %q", got)
			}
			if !strings.Contains(stderr.String(), "no archive was written") {
				t.Errorf("the message does not say what state things are in:\n%s", stderr)
			}
			waitFor(t, srv, "SELECT (count(*) = 0)::int FROM pg_stat_activity WHERE datname = '"+db+"' AND application_name LIKE 'pgark%'")
		})
	}
}

// TestInterruptedBeforeOutput sends a signal to a dump whose server takes the connection and says nothing. There is no output yet, and the
// message says so as it does later on.
func TestInterruptedBeforeOutput(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, args := range [][]string{{"-f", "x"}, {"-f", "x", "-F", "custom"}, {"-f", "x", "--all-databases"}} {
		dir := t.TempDir()
		cmd, stderr := pgark(t, dir, append([]string{"dump", "-d", fmt.Sprintf("host=127.0.0.1 port=%d user=u dbname=d sslmode=disable", l.Addr().(*net.TCPAddr).Port)}, args...)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		nc, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if code := exitCode(t, cmd.Wait()); code != exitInterrupted {
			t.Errorf("%q: exit code %d, not 130", args, code)
		}
		_ = nc.Close()
		if !regexp.MustCompile(`no (archive|dump) was written`).MatchString(stderr.String()) || len(files(t, dir)) > 0 {
			t.Errorf("%q: files %q\n%s", args, files(t, dir), stderr)
		}
	}
}

// TestFullDisk dumps to a file system that is too small. The message says so, and nothing is left.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, "CREATE TABLE t AS SELECT md5(i::text) FROM generate_series(1, 50000) i")
	cmd, stderr := pgark(t, dir, "dump", "-Z", "none", "-f", "x.pgark", "-d", srv.Conninfo(db))
	if code := exitCode(t, cmd.Run()); code != exitFailed {
		t.Errorf("exit code %d, not 1", code)
	}
	for _, want := range []string{"write x.pgark: no space left on the device after ", "no archive was written"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("the message lacks %q:\n%s", want, stderr)
		}
	}
	if got := files(t, dir); len(got) > 0 {
		t.Errorf("files left: %q", got)
	}
}

// TestPasswordStaysSecret connects with a password from each place it can come from, to a server that demands one. It
// is in no output, even of failures, and in no archive.
func TestPasswordStaysSecret(t *testing.T) {
	const secret = "pAssw0rd-s3cret"
	srv := pgtest.Start(t, pgtest.WithHBA("host all guarded 127.0.0.1/32 scram-sha-256"))
	srv.Exec(t, "postgres", "SET password_encryption = 'scram-sha-256'; CREATE ROLE guarded LOGIN SUPERUSER PASSWORD '"+secret+"'")
	host, port, _ := strings.Cut(srv.TCPAddr(), ":")
	dir := t.TempDir()
	pgpass := filepath.Join(dir, "pgpass")
	if err := os.WriteFile(pgpass, []byte("*:*:*:guarded:"+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	uri := "postgres://guarded:" + secret + "@" + srv.TCPAddr() + "/"
	conn := []string{"-h", host, "-p", port, "-U", "guarded"}
	for name, tc := range map[string]struct {
		env  string
		args []string
		code int
	}{
		"PGPASSWORD":     {"PGPASSWORD=" + secret, append(conn, "postgres"), exitDone},
		"pgpass":         {"PGPASSFILE=" + pgpass, append(conn, "postgres"), exitDone},
		"URI":            {"", []string{"-d", uri + "postgres"}, exitDone},
		"keywords":       {"", []string{"-d", "host=" + host + " port=" + port + " user=guarded dbname=postgres password=" + secret}, exitDone},
		"none":           {"", append(conn, "-w", "postgres"), exitConnect},
		"wrong database": {"", []string{"-v", "-d", uri + "nosuch"}, exitConnect},
		"wrong password": {"PGPASSWORD=x" + secret, append(conn, "postgres"), exitConnect},
		"bad URI":        {"", []string{"-d", "postgres://guarded:" + secret + "@[bad/", "-p", "1"}, exitUsage},
		"bad keywords":   {"", []string{"-d", "password=" + secret + " port=x"}, exitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cmd, stderr := pgark(t, dir, append([]string{"dump", "-f", "x.pgark"}, tc.args...)...)
			var stdout bytes.Buffer
			cmd.Stdout = &stdout
			cmd.Env = append(os.Environ(), "HOME="+dir, "PGPASSFILE=/nonexistent", tc.env)
			if code := exitCode(t, cmd.Run()); code != tc.code {
				t.Errorf("exit code %d, not %d\n%s", code, tc.code, stderr)
			}
			archive, _ := os.ReadFile(filepath.Join(dir, "x.pgark"))
			for what, text := range map[string][]byte{"stdout": stdout.Bytes(), "stderr": stderr.Bytes(), "archive": archive} {
				if bytes.Contains(text, []byte(secret)) {
					t.Errorf("the password is in %s:\n%s", what, text)
				}
			}
			if tc.code != exitDone && len(files(t, dir)) > 0 {
				t.Errorf("files left: %q", files(t, dir))
			}
		})
	}
}

// TestInterruptedTwice sends two signals to a dump into a directory whose server does not answer any more. The second ends it at once, and
// the hidden directory does not stay behind.
func TestInterruptedTwice(t *testing.T) {
	srv := pgtest.Shared(t)
	db, dir := srv.CreateDB(t), t.TempDir()
	srv.Exec(t, db, "CREATE TABLE t AS SELECT md5(g::text) AS v FROM generate_series(1, 2000000) g")
	proxy := pgtest.NewProxy(t, srv.TCPAddr())
	cmd, stderr := pgark(t, dir, "dump", "-q", "-F", "directory", "-f", "x.dir", "-d", proxy.Conninfo(db))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); len(files(t, dir)) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was written")
		}
	}
	proxy.Stall()
	if got := files(t, dir); len(got) != 1 || !strings.HasPrefix(got[0], ".x.dir.partial-") {
		t.Errorf("while it runs there should be a partial directory alone, not %q", got)
	}
	for range 2 {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
	}
	if code := exitCode(t, cmd.Wait()); code != exitInterrupted {
		t.Errorf("exit code %d, not 130\n%s", code, stderr)
	}
	if got := files(t, dir); len(got) > 0 {
		t.Errorf("files left: %q", got)
	}
}
