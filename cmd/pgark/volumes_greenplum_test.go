package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgark/pgark/wire"
)

// greenplumServer is the Greenplum that PGARK_TEST_GREENPLUM names, and how to reach its coordinator.
func greenplumServer(t *testing.T) *wire.Config {
	t.Helper()
	info := os.Getenv("PGARK_TEST_GREENPLUM")
	if info == "" {
		t.Skip("PGARK_TEST_GREENPLUM holds no connection string of a Greenplum's coordinator")
	}
	cfg, err := wire.ParseConfig(info)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// runSQL carries out a statement in a session of its own, and returns the first value of its answer.
func runSQL(t *testing.T, cfg *wire.Config, sql string) string {
	t.Helper()
	ctx := context.Background() // databases are dropped when the test is over
	conn, err := wire.Connect(ctx, cfg, wire.TextSettings(""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.QueryStrings(ctx, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if len(rows) == 0 {
		return ""
	}
	return rows[0][0]
}

// greenplumDB makes a database with some rows on the Greenplum that PGARK_TEST_GREENPLUM names.
func greenplumDB(t *testing.T) (conninfo string, sql func(string) string) {
	t.Helper()
	cfg := greenplumServer(t)
	const name = "pgark_volumes_test"
	runSQL(t, cfg, "DROP DATABASE IF EXISTS "+name)
	runSQL(t, cfg, "CREATE DATABASE "+name)
	db := cfg.With(wire.Overrides{Database: name})
	sql = func(s string) string { return runSQL(t, db, s) }
	sql("CREATE TABLE public.t (id int, v text) DISTRIBUTED BY (id)")
	sql("INSERT INTO public.t SELECT i, md5(i::text) FROM generate_series(1, 300000) i")
	sql("CREATE TABLE public.everywhere (id int) DISTRIBUTED REPLICATED")
	sql("INSERT INTO public.everywhere SELECT generate_series(1, 1000)")
	return db.Conninfo(), sql
}

// serverProgram copies this program to where the server's user can run it, and makes a directory where it can write.
func serverProgram(t *testing.T) (program, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	base, err := os.MkdirTemp("/tmp", "pgark-volumes-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	program, dir = filepath.Join(base, "pgark"), filepath.Join(base, "volumes")
	in, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(program, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{base, dir} { // whatever the umask
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return program, dir
}

// TestGreenplumVolumes has a real Greenplum start the workers.
func TestGreenplumVolumes(t *testing.T) {
	conninfo, sql := greenplumDB(t)
	program, dir := serverProgram(t)
	lead := filepath.Join(t.TempDir(), "set.pgark")
	dump := func(codec string, more ...string) *exec.Cmd {
		args := []string{
			"dump", "-q", "-d", conninfo, "-Z", codec, "--start", "db", "--worker", program,
			"--volumes", filepath.Join(dir, "it's {archive}.{node}"), "-f", lead,
		}
		cmd, stderr := pgark(t, dir, append(args, more...)...)
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(stderr.String())
			}
		})
		return cmd
	}
	if err := dump("zstd").Run(); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); len(got) != 3 {
		t.Fatalf("volumes: %v", got)
	}
	check, stderr := pgark(t, dir, "verify", "-d", conninfo, lead)
	if err := check.Run(); err != nil {
		t.Fatalf("verify: %v: %s", err, stderr)
	}
	// A volume that exists: nothing is left of the others, and the one that was there is.
	for _, name := range []string{lead, filepath.Join(dir, "it's set.seg0"), filepath.Join(dir, "it's set.seg2")} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if code := exitCode(t, dump("zstd").Run()); code != 1 {
		t.Errorf("exit code %d, not 1", code)
	}
	if got := files(t, dir); len(got) != 1 || got[0] != "it's set.seg1" {
		t.Errorf("after a failure: %v", got)
	}
	if err := os.Remove(filepath.Join(dir, "it's set.seg1")); err != nil {
		t.Fatal(err)
	}
	// A lead that is killed: nobody tells the workers.
	for _, after := range []time.Duration{300, 800, 1200} {
		cmd := dump("zstd:15")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(after * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		limit := time.Now().Add(10 * time.Second)
		for {
			left := strings.Join(files(t, dir), ", ")
			sessions := sql("SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE application_name LIKE 'pgark %' AND datname = current_database()")
			tables := sql("SELECT count(*) FROM pg_catalog.pg_class WHERE relname LIKE 'pgark%'")
			if left == "" && sessions == "0" && tables == "0" {
				break
			}
			if time.Now().After(limit) {
				t.Errorf("10 s after the lead was killed: files %q, %s sessions, %s tables", left, sessions, tables)
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
}
