package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// stockClients are the releases besides the server's whose programs tests run, with the newest archive version, 1.N, that each
// reads. tools/clients puts those that tests must have into .tools. The others are tested where somebody has put them there,
// as .tools/pg14: 16 must have been built with lz4 and zstd.
func stockClients() []stockRelease {
	return []stockRelease{{14, 14, true}, {15, 14, true}, {16, 15, true}, {17, 16, false}, {18, 16, false}}
}

type stockRelease struct {
	major, reads int
	optional     bool
}

// StockMajors are the major versions for StockClient whose pg_restore reads archive version 1.minor. Optional ones are left
// out if they are not there.
func StockMajors(minor int) []int {
	var all []int
	for _, r := range stockClients() {
		if r.reads >= minor && (!r.optional || hasPrograms(stockDir(r.major), "pg_dump", "pg_restore")) {
			all = append(all, r.major)
		}
	}
	return all
}

// stockDir is where the programs of a release are, or would be.
func stockDir(major int) string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", ".tools", fmt.Sprintf("pg%d", major), "bin")
}

// StockServer is the directory, for WithBinDir, of the server programs of a release that tools/clients has put into .tools. It is no good where
// the user as whom the server runs can't reach it.
func StockServer(major int) (dir string, ok bool) {
	dir, err := filepath.EvalSymlinks(stockDir(major))
	if err != nil || !hasPrograms(dir, "initdb", "postgres") {
		return "", false
	}
	for at := dir; ; at = filepath.Dir(at) {
		st, err := os.Stat(at)
		if err != nil || os.Geteuid() == 0 && st.Mode()&0o001 == 0 {
			return "", false
		}
		if at == filepath.Dir(at) {
			return dir, true
		}
	}
}

// StockClient finds a program of PostgreSQL's of a major version other than the server's, as tools/clients puts it into .tools:
// 17 and 18. Without it the test is skipped, but fails in continuous integration (CI=true), which must have it.
func StockClient(tb testing.TB, major int, program string) string {
	tb.Helper()
	path := filepath.Join(stockDir(major), program)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		tb.Fatalf("%s of PostgreSQL %d is missing: tools/clients fetches it", program, major)
	}
	tb.Skipf("%s of PostgreSQL %d is not there: tools/clients fetches it", program, major)
	return ""
}
