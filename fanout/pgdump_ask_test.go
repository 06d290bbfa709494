package fanout

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgark/pgark/internal/pgtest"
)

// programFile is a file that looks like a program of the system's, holds text, and can't be run.
func programFile(tb testing.TB, pieces ...string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "pg_dump")
	if err := os.WriteFile(path, []byte("\x7fELF\x02\x01\x01\x00"+strings.Join(pieces, "\x00")+"\x00"), 0o755); err != nil { //nolint:gosec // as a program's
		tb.Fatal(err)
	}
	return path
}

// What a program's file says of it is what the program says of itself.
func TestPgDumpByFile(t *testing.T) {
	srv := pgtest.Shared(t)
	path, err := pgtest.FindClient(srv.BinDir(), "pg_dump")
	if err != nil {
		t.Skip(err)
	}
	asked, err := askPgDump(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	asked.Unasked = true
	if read, ok := pgDumpByFile(path); ok && read != asked {
		t.Errorf("its file says %+v, it says %+v", read, asked)
	} else if !ok {
		text, err := os.ReadFile(path)
		if err != nil || bytes.HasPrefix(text, []byte("\x7fELF")) {
			t.Errorf("%s is not known by its file (%v)", path, err)
		}
	}
}

func TestPgDumpByFilesText(t *testing.T) {
	const says = "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
	for name, tt := range map[string]struct {
		path    string
		version string // "" where the file does not tell
	}{
		"as compilers leave it":      {programFile(t, "x", says, "y"), "15.18 (Debian 15.18-0+deb12u1)"},
		"with its line feed":         {programFile(t, "x", says+"\n", "y"), "15.18 (Debian 15.18-0+deb12u1)"},
		"across the end of a piece":  {programFile(t, strings.Repeat("x", 64<<10+256-40), says), "15.18 (Debian 15.18-0+deb12u1)"},
		"far down":                   {programFile(t, strings.Repeat("x", 5<<20), says), "15.18 (Debian 15.18-0+deb12u1)"},
		"no end":                     {programFile(t, says+strings.Repeat("x", 1<<20)), ""},
		"another program":            {programFile(t, "pg_restore (PostgreSQL) 15.18"), ""},
		"within a text":              {programFile(t, "this is not "+says), ""},
		"Greenplum's":                {programFile(t, "pg_dump (PostgreSQL) 9.4.26", strings.Repeat("x", 1<<20), "  --gp-syntax    dump with"), ""},
		"Cloudberry's":               {programFile(t, "for Apache Cloudberry", "pg_dump (PostgreSQL) 14.4"), ""},
		"no number":                  {programFile(t, "pg_dump (PostgreSQL) devel"), ""},
		"a script":                   {fakePgDump(t, says, ""), ""},
		"not there":                  {filepath.Join(t.TempDir(), "pg_dump"), ""},
		"a directory":                {t.TempDir(), ""},
		"shorter than what is asked": {programFile(t), ""},
	} {
		p, ok := pgDumpByFile(tt.path)
		if ok != (tt.version != "") || p.Version != tt.version || ok && (p.Major != 15 || p.Path != tt.path || p.Segmented) {
			t.Errorf("%s: %+v, %v", name, p, ok)
		}
	}
}

// A program that can't be run is no reason not to use another, but one if it was named; and one that can be run keeps its error.
func TestPgDumpInstead(t *testing.T) {
	broken := programFile(t, "pg_dump (PostgreSQL) 98.1")
	good := fakePgDump(t, "pg_dump (PostgreSQL) 98.2", "")
	t.Setenv("PATH", filepath.Dir(broken)+":"+filepath.Dir(good))
	failure := errors.New("it failed")
	for _, tt := range []struct {
		explicit, path string
		major          int
	}{
		{major: 98, path: good},
		{major: 97, path: good}, // where all have been looked at
		{major: 98, explicit: broken},
	} {
		s := StartPgDumpSearch(t.Context(), tt.explicit)
		defer s.Stop()
		first, err := s.Find(t.Context(), Dialect{VersionNum: tt.major * 10000}, false)
		if err != nil || first.Path != broken {
			t.Errorf("%+v: found %+v, %v", tt, first, err)
			continue
		}
		other, err := s.Instead(t.Context(), first, failure)
		if other.Path != tt.path || (err == nil) != (tt.path != "") || err != nil && !errors.Is(err, ErrPgDumpMissing) {
			t.Errorf("%+v: instead %+v, %v", tt, other, err)
			continue
		}
		if err == nil {
			if _, err := s.Instead(t.Context(), other, failure); err != failure { //nolint:errorlint // the very one
				t.Errorf("%+v: instead of one that runs: %v", tt, err)
			}
		}
	}
}

// One that runs with the libraries beside it only is taken with them.
func TestPgDumpInsteadWithLibraries(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bin", "pg_dump")
	for name, text := range map[string]string{
		filepath.Join(dir, "lib", "libpq.so.5"): "",
		path:                                    "#!/bin/sh\ncase $LD_LIBRARY_PATH in " + dir + "/lib*) echo 'pg_dump (PostgreSQL) 98.1';; *) exit 127;; esac\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // a test's
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil { //nolint:gosec // it has to run
			t.Fatal(err)
		}
	}
	s := StartPgDumpSearch(t.Context(), path)
	defer s.Stop()
	tool, err := s.Instead(t.Context(), PgDump{Path: path, Unasked: true}, errors.New("it failed"))
	if err != nil || tool.Path != path || tool.Libraries != filepath.Join(dir, "lib") || tool.Unasked {
		t.Errorf("%+v, %v", tool, err)
	}
}
