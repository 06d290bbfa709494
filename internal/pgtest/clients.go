package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// StockClient finds a program of PostgreSQL's of a major version other than the server's, as tools/clients puts it into .tools:
// 17 and 18. Without it the test is skipped, but fails in continuous integration (CI=true), which must have it.
func StockClient(tb testing.TB, major int, program string) string {
	tb.Helper()
	_, here, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(here), "..", "..", ".tools", fmt.Sprintf("pg%d", major), "bin", program)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		tb.Fatalf("%s of PostgreSQL %d is missing: tools/clients fetches it", program, major)
	}
	tb.Skipf("%s of PostgreSQL %d is not there: tools/clients fetches it", program, major)
	return ""
}
