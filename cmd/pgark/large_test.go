package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgark/pgark/internal/pgtest"
)

// memoryLimit is what no command may exceed at -j 8, in bytes, whatever the size of tables and rows.
const memoryLimit = 512 << 20

// TestLarge dumps, verifies and restores rows of 100 MB, several at once, a table of five million rows and ten
// thousand small tables, over eight sessions, and measures the memory of each command. The program is built without
// the race detector, which needs a multiple.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("large")
	}
	t.Parallel()
	bin := plainProgram(t)
	// With PostgreSQL's own default for the size of the lock table.
	srv := pgtest.Start(t, pgtest.WithSetting("max_locks_per_transaction", "64"))
	for name, sql := range map[string]string{
		"rows of 100 MB":    largeRows(),
		"five million rows": "CREATE TABLE t AS SELECT g AS id, -g AS minus FROM generate_series(1, 5000000) g; CREATE INDEX ON t (id)",
		"10,000 tables":     manySmallTables(),
	} {
		t.Run(name, func(t *testing.T) {
			db, copied := srv.CreateDB(t), srv.CreateDB(t)
			srv.Exec(t, db, sql)
			file := filepath.Join(t.TempDir(), "x.pgark")
			for _, args := range [][]string{
				{"dump", "-q", "-j", "8", "-f", file, "-d", srv.Conninfo(db)},
				{"verify", "-q", file},
				{"restore", "-q", "-j", "8", "-d", srv.Conninfo(copied), file},
				{"verify", "-q", "-d", srv.Conninfo(copied), file},
			} {
				cmd := exec.Command(bin, args...)
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("pgark %s: %v\n%s", args[0], err, out)
				}
				peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
				t.Logf("pgark %s: peak memory %d MiB", args[0], peak>>20)
				if peak > memoryLimit {
					t.Errorf("pgark %s: peak memory %d MiB, limit %d MiB", args[0], peak>>20, memoryLimit>>20)
				}
			}
		})
	}
}

// plainProgram builds pgark without the race detector.
func plainProgram(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "pgark")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// largeRows makes eight tables with two rows of 100 MB each, so that each of eight sessions has one under way.
func largeRows() string {
	var b strings.Builder
	for i := range 8 {
		fmt.Fprintf(&b, "CREATE TABLE wide%d (id int, v text);\n", i)
		fmt.Fprintf(&b, "INSERT INTO wide%d SELECT g, repeat(md5(g::text), 3200000) FROM generate_series(1, 2) g;\n", i)
	}
	return b.String()
}

func manySmallTables() string {
	return `DO $$ BEGIN FOR i IN 1..10000 LOOP
EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text)', i);
EXECUTE format('INSERT INTO t%s VALUES (1, ''one''), (2, NULL)', i);
IF i % 500 = 0 THEN COMMIT; END IF;
END LOOP; END $$`
}
