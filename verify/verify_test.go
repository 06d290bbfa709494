package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fill makes many kinds of rows: wide ones, strange names, no columns, large objects, partitions.
const fill = `
CREATE TABLE wide AS SELECT i, repeat(md5(i::text), 20) AS v FROM generate_series(1, 5000) i;
INSERT INTO wide SELECT 0, string_agg(md5(i::text), '') FROM generate_series(1, 100000) i; -- 3 MB in one row
CREATE SCHEMA "S ""x";
CREATE TABLE "S ""x"."T, t" ("a b" text, "tab	col" float8, g int GENERATED ALWAYS AS (1) STORED);
INSERT INTO "S ""x"."T, t" VALUES ('', 'NaN'), (NULL, 1e-300), (E'\t\n\\', 0.1);
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE empty (a int);
CREATE TABLE parent (a int);
CREATE TABLE child (b int) INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (2, 3);
CREATE TABLE part (k timestamptz) PARTITION BY RANGE (k);
CREATE TABLE part_1 PARTITION OF part DEFAULT;
INSERT INTO part VALUES ('2020-01-01 12:00+00');
SELECT lo_from_bytea(4711, decode(repeat('00ff', 200000), 'hex'));
SELECT lo_from_bytea(4712, '');
`

// dumped makes an archive of a database.
func dumped(t *testing.T, srv *pgtest.Server, db string) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := fanout.Dump(t.Context(), &b, fanout.DumpOptions{Cluster: cluster(t, srv, db), Jobs: 2}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// cluster is a server of its own.
func cluster(t *testing.T, srv *pgtest.Server, db string) *topology.Cluster {
	t.Helper()
	return discover(t, config(t, srv, db), topology.Options{})
}

func discover(t *testing.T, cfg *wire.Config, o topology.Options) *topology.Cluster {
	t.Helper()
	c, err := topology.Discover(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func config(t *testing.T, srv *pgtest.Server, db string) *wire.Config {
	t.Helper()
	cfg, err := wire.ParseConfig(srv.Conninfo(db))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func reader(t *testing.T, b []byte) *archive.Reader {
	t.Helper()
	a, err := archive.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// classes lists findings as "class table".
func classes(r *Report) []string {
	list := []string{}
	for _, f := range r.Findings {
		list = append(list, f.Class+" "+strings.ReplaceAll(f.Table, `"`, ""))
	}
	return list
}

func TestDatabaseIsTheSame(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, fill)
	a := reader(t, dumped(t, srv, db))
	for _, jobs := range []int{1, 3} {
		r, err := Database(t.Context(), a, cluster(t, srv, db), Options{Jobs: jobs})
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK || r.Tables != 7 || len(r.Findings) > 0 {
			t.Errorf("-j %d: %+v", jobs, r)
		}
	}
	srv.WaitNoSessions(t, db)
}

// TestDatabaseDiffers changes one thing in each table. Each is found, none is found twice, and what is new in the database
// is no finding.
func TestDatabaseDiffers(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, fill)
	a := reader(t, dumped(t, srv, db))
	srv.Exec(t, db, `
UPDATE wide SET v = reverse(v) WHERE i = 0;
UPDATE "S ""x"."T, t" SET "a b" = NULL WHERE "a b" = '';
INSERT INTO nothing DEFAULT VALUES;
ALTER TABLE empty RENAME COLUMN a TO b;
DROP TABLE part CASCADE;
UPDATE child SET b = 4;
SELECT lo_put(4711, 300000, '\x01');
CREATE TABLE fresh (a int);
SELECT lo_create(4713);
CREATE ROLE reads_little LOGIN; GRANT USAGE ON SCHEMA "S ""x" TO reads_little;
GRANT SELECT ON wide TO reads_little;`)
	t.Cleanup(func() { srv.Exec(t, db, "DROP OWNED BY reads_little; DROP ROLE reads_little") })
	r, err := Database(t.Context(), a, cluster(t, srv, db), Options{Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"differs large objects", "differs S x.T, t", "differs public.child", "missing-column public.empty",
		"differs public.nothing", "missing-table public.part_1", "differs public.wide",
	}
	if diff := cmp.Diff(want, classes(r)); diff != "" {
		t.Error(diff)
	}
	r, err = Database(t.Context(), a, discover(t, config(t, srv, db).With(wire.Overrides{User: "reads_little"}), topology.Options{}), Options{Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	want = []string{
		"unreadable large objects", "unreadable S x.T, t", "unreadable public.child", "missing-column public.empty",
		"unreadable public.nothing", "unreadable public.parent", "missing-table public.part_1", "differs public.wide",
	}
	if diff := cmp.Diff(want, classes(r)); diff != "" {
		t.Error(diff)
	}
}

// TestRowsInOtherPartitions: rows that a restore puts through the root of a table partitioned by the hash of an enum may be in other
// partitions than they were in. That is no difference; a row that is missing is one.
func TestRowsInOtherPartitions(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `
CREATE TYPE colour AS ENUM ('red', 'green', 'blue', 'white', 'black');
CREATE TABLE root (c colour, i int) PARTITION BY HASH (c);
CREATE TABLE leaf_0 PARTITION OF root FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE leaf_1 PARTITION OF root FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO root SELECT c, 1 FROM unnest(enum_range(NULL::colour)) c;
CREATE TABLE other_0 (i int); CREATE TABLE other_1 (i int); INSERT INTO other_0 VALUES (1);`)
	a := reader(t, dumped(t, srv, db))
	// What lies where is chance in a real restore; here all rows move.
	srv.Exec(t, db, `
ALTER TABLE root DETACH PARTITION leaf_0; ALTER TABLE root DETACH PARTITION leaf_1;
ALTER TABLE leaf_0 RENAME TO leaf; ALTER TABLE leaf_1 RENAME TO leaf_0; ALTER TABLE leaf RENAME TO leaf_1;
ALTER TABLE other_0 RENAME TO other; ALTER TABLE other_1 RENAME TO other_0; ALTER TABLE other RENAME TO other_1;`)
	found := func() []string {
		t.Helper()
		r, err := Database(t.Context(), a, cluster(t, srv, db), Options{Jobs: 2})
		if err != nil {
			t.Fatal(err)
		}
		return classes(r)
	}
	others := []string{"differs public.other_0", "differs public.other_1"}
	if d := cmp.Diff(others, found()); d != "" {
		t.Error(d)
	}
	srv.Exec(t, db, "DELETE FROM leaf_0 WHERE c = 'red'; DELETE FROM leaf_1 WHERE c = 'red'")
	if d := cmp.Diff(append([]string{"differs public.leaf_0", "differs public.leaf_1"}, others...), found()); d != "" {
		t.Error(d)
	}
}

// TestRangesCoverTheTable reads a table in ranges of a few pages and gets the digest of the whole.
func TestRangesCoverTheTable(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, fill)
	a := reader(t, dumped(t, srv, db))
	cat, err := a.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	targets, err := archivedTables(a, cat, nil)
	if err != nil {
		t.Fatal(err)
	}
	const pages = 16 << 10
	live := cluster(t, srv, db)
	live.Dialect.TIDRangeScan = true
	c := newComparison(live, textSettings(a, cat), Options{Jobs: 3}.withDefaults())
	c.rangeMin = pages
	if err := c.run(t.Context(), targets); err != nil {
		t.Fatal(err)
	}
	if r := c.report(targets); !r.OK {
		t.Error(r.Findings)
	}
	conn, err := wire.Connect(t.Context(), live.Coordinator.Config, c.settings)
	if err != nil {
		t.Fatal(err)
	}
	places, err := c.sites[0].describe(t.Context(), conn, targets, true)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(t.Context())
	if n := len(planUnits(places, 3, true, pages)); n < 10 {
		t.Errorf("%d units: nothing was split", n)
	}
}

func TestDatabaseInOtherEncoding(t *testing.T) {
	srv := pgtest.Shared(t)
	latin, utf := srv.CreateDB(t, pgtest.Encoding("LATIN1")), srv.CreateDB(t)
	const rows = `CREATE TABLE U&"t\00E4ble" (U&"c\00F6lumn" text); INSERT INTO U&"t\00E4ble" VALUES (U&'w\00E4re'), (U&'\00FF')`
	srv.Exec(t, latin, rows)
	srv.Exec(t, utf, rows)
	a := reader(t, dumped(t, srv, latin))
	for _, db := range []string{latin, utf} {
		r, err := Database(t.Context(), a, cluster(t, srv, db), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK || r.Rows != 2 {
			t.Errorf("%s: %+v", db, r)
		}
	}
}

func TestDatabaseCancelled(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, fill)
	a := reader(t, dumped(t, srv, db))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Database(ctx, a, cluster(t, srv, db), Options{Jobs: 2, Progress: cancelAt{cancel}})
	if err == nil {
		t.Errorf("no error, but %+v", r)
	}
	srv.WaitNoSessions(t, db)
}

// cancelAt cancels as soon as rows come.
type cancelAt struct{ cancel context.CancelFunc }

func (cancelAt) Plan(int, uint64)         {}
func (c cancelAt) Advance(uint64, uint64) { c.cancel() }

func TestArchive(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, fill)
	b := dumped(t, srv, db)
	check := func(b []byte, quick bool) *Report {
		t.Helper()
		r, err := Archive(t.Context(), bytes.NewReader(b), int64(len(b)), Options{Volume: "v", Jobs: 2, Quick: quick})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, quick := range []bool{false, true} {
		if r := check(b, quick); !r.OK || r.Tables != 7 {
			t.Errorf("quick %v: %+v", quick, r)
		}
	}
	for i := 0; i < len(b); i += max(1, len(b)/200) {
		flipped := bytes.Clone(b)
		flipped[i] ^= 0x10
		if r := check(flipped, false); r.OK || r.Findings[0].Volume != "v" {
			t.Errorf("byte %d: not found: %+v", i, r)
		}
		if r := check(b[:i], false); r.OK {
			t.Errorf("cut at %d: not found", i)
		}
	}
}

// TestReportJSON pins the contract: no field is missing and findings are an array even if there are none.
func TestReportJSON(t *testing.T) {
	r := newReport()
	r.OK = true
	r.Merge(newReport())
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"ok":true,"tables":0,"rows":0,"blocks":0,"bytes":0,"findings":[]}`; string(got) != want {
		t.Errorf("%s", got)
	}
	r.add(Finding{Class: "c", Offset: -1, Block: 2})
	r.Merge(newReport())
	got, err = json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"findings":[{"class":"c","volume":"","offset":-1,"table":"","block":2,"message":""}]`; r.OK || !strings.Contains(string(got), want) {
		t.Errorf("%s", got)
	}
}

func TestVerdictNamesTheDifference(t *testing.T) {
	x := &target{}
	x.want.Add([]byte("a"))
	if class, message := x.verdict(); class != ClassDiffers || message != "the archive has 1 rows, the database has 0" {
		t.Error(class, message)
	}
	x.got.Add([]byte("b"))
	if class, message := x.verdict(); class != ClassDiffers || !strings.Contains(message, fmt.Sprint(x.got)) {
		t.Error(class, message)
	}
}
