package fanout_test

import (
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/pgark/pgark/fanout"
)

// testGpbackup has gpbackup copy a database, and compares an archive with that copy. PGARK_TEST_GPBACKUP and
// PGARK_TEST_GPRESTORE name the programs, PGARK_TEST_GPBACKUP_DIR a directory that they may write to on all hosts.
func (g *greenplum) testGpbackup(t *testing.T) {
	backup, restore := program(t, "PGARK_TEST_GPBACKUP", "gpbackup"), program(t, "PGARK_TEST_GPRESTORE", "gprestore")
	var where []string
	if dir := os.Getenv("PGARK_TEST_GPBACKUP_DIR"); dir != "" {
		where = []string{"--backup-dir", dir}
	}
	db, rows := g.database(t, "gpbackup"), g.rows
	g.rows = max(1000, rows/10)
	g.loadKinds(t, db)
	g.rows = rows
	// gprestore can't restore it: it loads segments with rows whose hash is another one in another database.
	g.exec(t, db, "DROP TABLE big.key_enum")
	copied := "pgark_test_gprestored"
	g.drop(t, copied)
	t.Cleanup(func() { g.drop(t, copied) })

	begun := time.Now()
	out := output(t, backup, append(where, "--dbname", db)...)
	took := time.Since(begun)
	stamp := regexp.MustCompile(`Backup Timestamp = (\d{14})`).FindStringSubmatch(out)
	if stamp == nil {
		t.Fatalf("gpbackup names no timestamp:\n%s", out)
	}
	begun = time.Now()
	output(t, restore, append(where, "--timestamp", stamp[1], "--create-db", "--redirect-db", copied)...)
	restored := time.Since(begun)

	c := g.cluster(t, g.in(db))
	begun = time.Now()
	file, res := g.dumpBy(t, c, fanout.RouteSegments, fanout.DumpOptions{})
	g.report(t, time.Since(begun), "dump of %d tables, %d rows; gpbackup took %.2f s, gprestore %.2f s", res.Tables, res.Summary.Rows,
		took.Seconds(), restored.Seconds())
	g.verify(t, file, g.cluster(t, g.in(copied)), "")
}

func program(t *testing.T, env, name string) string {
	t.Helper()
	if s := os.Getenv(env); s != "" {
		return s
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not in PATH, and %s names none", name, env)
	}
	return path
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}
