package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pgark/pgark/internal/pgtest"
)

// terminal opens a new one. shown closes it, and is what was written to it.
func terminal(t *testing.T) (tty *os.File, shown func() string) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal can be made here: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	text := make(chan string)
	go func() {
		b, _ := io.ReadAll(screen) // ends with EIO when nobody has the terminal open any more
		text <- string(b)
	}()
	return tty, func() string {
		tty.Close()
		return <-text
	}
}

// TestScriptOnTerminal: a script may be looked at, as with pg_dump and pg_restore. Nothing else is for a terminal.
func TestScriptOnTerminal(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, "CREATE TABLE t AS SELECT 1 AS i")
	dir := t.TempDir()
	conninfo, path := srv.Conninfo(db), filepath.Join(dir, "x.pgark")
	if cmd, stderr := pgark(t, dir, "dump", "-q", "-f", path, "-d", conninfo); cmd.Run() != nil {
		t.Fatal(stderr)
	}
	for _, tt := range []struct {
		code int
		args []string
	}{
		{0, []string{"restore", "-f", "-", path}},
		{0, []string{"convert", "-F", "plain", "-f", "-", path}},
		{0, []string{"dump", "-F", "plain", "-f", "-", "-d", conninfo}},
		{exitUsage, []string{"convert", "-F", "plain", "-Z", "gzip", "-f", "-", path}},
		{exitUsage, []string{"convert", "-F", "custom", "-f", "-", path}},
		{exitUsage, []string{"convert", "-f", "-", path}},
		{exitUsage, []string{"dump", "-F", "plain", "-Z", "gzip", "-f", "-", "-d", conninfo}},
		{exitUsage, []string{"dump", "-f", "-", "-d", conninfo}},
	} {
		cmd, stderr := pgark(t, dir, tt.args...)
		tty, shown := terminal(t)
		cmd.Stdout = tty
		code := exitCode(t, cmd.Run())
		if text := shown(); code != tt.code || strings.Contains(text, "CREATE TABLE public.t") != (code == 0) {
			t.Errorf("%q: exit code %d\n%s%s", tt.args, code, text, stderr)
		}
	}
}
