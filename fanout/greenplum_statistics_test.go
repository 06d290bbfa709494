package fanout_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive/gpbackup"
	"github.com/pgark/pgark/fanout"
)

// testStatistics restores the statistics of a set of gpbackup, and compares them with the source's and with what gprestore makes of it.
func (g *greenplum) testStatistics(t *testing.T, root string) {
	backup, restore := program(t, "PGARK_TEST_GPBACKUP", "gpbackup"), program(t, "PGARK_TEST_GPRESTORE", "gprestore")
	db := g.database(t, "statistics")
	g.exec(t, db, `CREATE SCHEMA s; CREATE SCHEMA "Odd ""Schema"; CREATE TYPE s.mood AS ENUM ('ok', 'bad');
CREATE TABLE s.plain (a int, b text, c numeric, d date, e boolean, f int[], g timestamptz) DISTRIBUTED BY (a);
INSERT INTO s.plain SELECT i, CASE WHEN i % 4 > 0 THEN 'it''s ' || i % 50 || E' "q" \\ é' END, i / 3.0, date '2024-01-01' + i % 10, i % 2 = 0,
  array[i, i % 5], timestamptz '2024-01-01' + i * interval '1 s' FROM generate_series(1, 4000) i;
CREATE TABLE s.parts (a int, b int, c text) DISTRIBUTED BY (a) PARTITION BY RANGE (b) (START (0) END (100) EVERY (50));
INSERT INTO s.parts SELECT i, i % 100, 'x' || i FROM generate_series(1, 2000) i;
CREATE TABLE s.empty (a int) DISTRIBUTED BY (a);
CREATE TABLE "Odd ""Schema"."Ta'b le" (a int, "gone" int, b text, c int4range, d tsvector, "E 'e'" s.mood, f int) DISTRIBUTED BY (a);
INSERT INTO "Odd ""Schema"."Ta'b le" SELECT i, 1, E'tab\t' || i % 9, int4range(i, i + 5), to_tsvector('word' || i % 20), (array['ok', 'bad'])[1 + i % 2]::s.mood, i % 3
  FROM generate_series(1, 1000) i;
ALTER TABLE "Odd ""Schema"."Ta'b le" DROP COLUMN gone;
CREATE INDEX ON s.plain (b); CREATE INDEX ON "Odd ""Schema"."Ta'b le" (f);
ANALYZE`)
	copied := "pgark_test_gprestored_statistics"
	g.drop(t, copied)
	t.Cleanup(func() { g.drop(t, copied) })
	dir := filepath.Join(root, "pgark_test_statistics_"+strconv.FormatInt(time.Now().UnixNano(), 36))
	out := output(t, backup, "--backup-dir", dir, "--dbname", db, "--with-stats")
	stamp := regexp.MustCompile(`Backup Timestamp = (\d{14})`).FindStringSubmatch(out)
	if stamp == nil {
		t.Fatalf("gpbackup names no timestamp:\n%s", out)
	}
	// gprestore ends with an error: it takes lengths of ranges for ranges, and finds no types of other schemas.
	said, err := exec.CommandContext(t.Context(), restore, "--backup-dir", dir, "--timestamp", stamp[1], "--with-stats", "--on-error-continue",
		"--create-db", "--redirect-db", copied).CombinedOutput()
	if err != nil {
		t.Logf("gprestore: %v", err)
	}
	src, err := gpbackup.Open(dir, gpbackup.Options{Timestamp: stamp[1]})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	to := g.database(t, "statistics_restored")
	res, err := fanout.RestoreSource(t.Context(), src, fanout.RestoreOptions{Target: g.in(to), Jobs: 2, Discover: discoverCluster})
	if err != nil {
		t.Fatal(err)
	}
	checkRestored(t, res)
	if all := slices.Concat(src.Description().Warnings, res.Warnings); strings.Contains(strings.Join(all, ";"), "statistics") {
		t.Errorf("warnings %q", all)
	}
	want, got, theirs := g.statistics(t, db), g.statistics(t, to), g.statistics(t, copied)
	if len(want) < 20 {
		t.Fatalf("%q", want)
	}
	// A set has nothing of partitions, and of an array only how wide it is, and how many of it are null and distinct.
	of := func(all []string, words ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(s string) bool {
			return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
		})
	}
	if diff := cmp.Diff(of(want, "_prt_", "|s.plain|f|"), of(got, "_prt_", "|s.plain|f|")); diff != "" {
		t.Errorf("not the source's:\n%s", diff)
	}
	if diff := cmp.Diff(of(theirs, "Odd"), of(got, "Odd")); diff != "" {
		t.Errorf("not gprestore's:\n%s\n%s", diff, said)
	}
}

// statistics are those of a database's own tables, a line each for a table and a column. The set has fractions with six digits.
func (g *greenplum) statistics(t *testing.T, db string) []string {
	t.Helper()
	var all []string
	for _, row := range query(t, open(t, g.in(db)), `SELECT concat_ws('|', 'table', r.oid::regclass, relpages, reltuples) AS x
FROM pg_class r JOIN pg_namespace n ON n.oid = relnamespace WHERE (nspname = 's' OR nspname LIKE 'Odd%') AND relkind = 'r'
UNION ALL SELECT concat_ws('|', 'column', starelid::regclass, attname, stainherit, round(stanullfrac::numeric, 5), stawidth, round(stadistinct::numeric, 5),
  stakind1, stakind2, stakind3, stakind4, stakind5, staop1, staop2, staop3, staop4, staop5,
  concat('1: ', stanumbers1, '2: ', stanumbers2, '3: ', stanumbers3, '4: ', stanumbers4, '5: ', stanumbers5),
  concat('1: ', stavalues1, '2: ', stavalues2, '3: ', stavalues3, '4: ', stavalues4, '5: ', stavalues5))
FROM pg_statistic JOIN pg_attribute ON attrelid = starelid AND attnum = staattnum JOIN pg_class r ON r.oid = starelid JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname = 's' OR nspname LIKE 'Odd%' ORDER BY x`) {
		all = append(all, row[0])
	}
	return all
}
