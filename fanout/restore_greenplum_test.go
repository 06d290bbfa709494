package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/wire"
)

// gpDatabases makes databases on a real Greenplum.
type gpDatabases struct {
	conninfo string
	made     int
}

func realGreenplum(t *testing.T) *gpDatabases {
	t.Helper()
	conninfo := os.Getenv("PGARK_TEST_GREENPLUM")
	if conninfo == "" {
		t.Skip("PGARK_TEST_GREENPLUM holds no connection string of a Greenplum's coordinator")
	}
	return &gpDatabases{conninfo: conninfo}
}

func (g *gpDatabases) config(t *testing.T, db string) *wire.Config {
	t.Helper()
	cfg, err := wire.ParseConfig(g.conninfo)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.With(wire.Overrides{Database: db})
}

// query runs SQL, waiting for a server that recovers: others may be testing crashes on it.
func (g *gpDatabases) query(t *testing.T, db, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	conn, err := wire.Connect(ctx, g.config(t, db), wire.TextSettings(""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.QueryStrings(ctx, sql)
	if err != nil {
		t.Fatalf("%v\nSQL: %.300s", err, sql)
	}
	var lines []string
	for _, row := range rows {
		lines = append(lines, strings.Join(row, "|"))
	}
	return strings.Join(lines, "\n")
}

func (g *gpDatabases) create(t *testing.T) string {
	t.Helper()
	g.made++
	name := fmt.Sprintf("pgark_test_restore_%d_%d", os.Getpid(), g.made)
	g.query(t, "postgres", "CREATE DATABASE "+name)
	t.Cleanup(func() { g.query(t, "postgres", "DROP DATABASE IF EXISTS "+name) })
	return name
}

// kinds makes a database with a table of every kind, and some more.
func (g *gpDatabases) kinds(t *testing.T) string {
	t.Helper()
	db := g.create(t)
	sql, err := os.ReadFile(filepath.Join("..", "testdata", "greenplum", "kinds.sql"))
	if err != nil {
		t.Fatal(err)
	}
	g.query(t, db, string(sql))
	g.query(t, db, `CREATE TYPE sales.color AS ENUM ('red', 'green', 'blue');
CREATE TABLE sales.by_enum (c sales.color, n int) DISTRIBUTED BY (c);
INSERT INTO sales.by_enum SELECT (ARRAY['red', 'green', 'blue'])[1 + i % 3]::sales.color, i FROM generate_series(1, 300) i;
CREATE TABLE sales.wide_ao (id int, t text, f float8) WITH (appendonly=true, orientation=column, compresstype=zlib) DISTRIBUTED BY (t);
INSERT INTO sales.wide_ao SELECT i, md5(i::text), i / 3.0 FROM generate_series(1, 50000) i;
CREATE TABLE sales.wide_heap (LIKE sales.wide_ao) DISTRIBUTED BY (id);
INSERT INTO sales.wide_heap SELECT * FROM sales.wide_ao;`)
	return db
}

func (g *gpDatabases) dump(t *testing.T, db, route string) []byte {
	t.Helper()
	c, err := topology.Discover(t.Context(), g.config(t, db), topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return dumped(t, c, fanout.DumpOptions{Jobs: 2, Route: route, BarrierTimeout: time.Minute})
}

func (g *gpDatabases) restore(t *testing.T, db string, a *archive.Reader, o fanout.RestoreOptions) (*fanout.RestoreResult, error) {
	t.Helper()
	o.Target, o.Discover = g.config(t, db), discoverer(topology.Options{})
	return fanout.Restore(t.Context(), a, o)
}

// whereKeysSay checks tables of kinds by their keys: a row on the wrong segment is not found by its key.
const whereKeysSay = `SELECT (SELECT count(*) FROM generate_series(1, 100) i WHERE EXISTS (SELECT 1 FROM sales.heap_hash h WHERE h.id = i)),
  (SELECT count(*) FROM sales.wide_ao a JOIN sales.wide_ao b ON a.t = b.t), (SELECT count(*) FROM sales.wide_heap a JOIN sales.wide_heap b ON a.id = b.id),
  (SELECT count(*) FROM sales.by_enum WHERE c = 'green'), (SELECT count(*) FROM sales.heap_replicated),
  (SELECT count(*) FROM gp_dist_random('sales.heap_replicated')), (SELECT count(*) FROM sales.part_two_levels a JOIN sales.part_two_levels b USING (id))`

// TestGreenplumRestore restores tables of all kinds by both routes from archives of all routes.
func TestGreenplumRestore(t *testing.T) {
	g := realGreenplum(t)
	db := g.kinds(t)
	keys := g.query(t, db, whereKeysSay)
	for _, by := range []string{fanout.RouteSegments, fanout.RouteCoordinator} {
		file := g.dump(t, db, by)
		want := tableDigests(t, file)
		for _, route := range []string{fanout.RouteSegments, fanout.RouteCoordinator} {
			to := g.create(t)
			if by == fanout.RouteCoordinator && route == fanout.RouteSegments {
				// Small tables come without their segments, so nothing is proven of them.
				if result, err := g.restore(t, to, reader(t, file), fanout.RestoreOptions{Jobs: 2, Route: route}); err != nil || !result.OK() {
					t.Errorf("from route %s by route %s: %v, %+v", by, route, err, result)
				}
				continue
			}
			result, err := g.restore(t, to, reader(t, file), fanout.RestoreOptions{Jobs: 2, Route: route})
			if err != nil || !result.OK() || result.Route != route {
				t.Fatalf("from route %s by route %s: %v, %+v", by, route, err, result)
			}
			if route == fanout.RouteSegments && result.DirectTables < 25 {
				t.Errorf("%d tables directly: %q", result.DirectTables, result.Warnings)
			}
			if diff := cmp.Diff(want, tableDigests(t, g.dump(t, to, fanout.RouteSegments))); diff != "" {
				t.Errorf("from route %s by route %s:\n%s", by, route, diff)
			}
			if got := g.query(t, to, whereKeysSay); got != keys {
				t.Errorf("from route %s by route %s, by key: %s, want %s", by, route, got, keys)
			}
			// What was loaded past the coordinator is as good as what was not.
			g.query(t, to, `INSERT INTO sales.wide_ao SELECT i, 'more', 1 FROM generate_series(1, 1000) i; UPDATE sales.wide_ao SET f = 2 WHERE id < 100;
DELETE FROM sales.wide_ao WHERE id % 2 = 0; DELETE FROM sales.wide_heap WHERE id % 2 = 0`)
			g.query(t, to, "VACUUM sales.wide_ao")
			if got := g.query(t, to, "SELECT (SELECT count(*) FROM sales.wide_ao), (SELECT count(*) FROM sales.wide_heap)"); got != "25500|25000" {
				t.Errorf("after changes: %s", got)
			}
		}
	}
}

// TestGreenplumRestoreNotProven: a table whose policy differs in the target goes through the coordinator.
func TestGreenplumRestoreNotProven(t *testing.T) {
	g := realGreenplum(t)
	db := g.kinds(t)
	file := g.dump(t, db, fanout.RouteSegments)
	to := g.create(t)
	if _, err := g.restore(t, to, reader(t, file), fanout.RestoreOptions{SchemaOnly: true}); err != nil {
		t.Fatal(err)
	}
	g.query(t, to, `ALTER TABLE sales.wide_heap SET DISTRIBUTED BY (t); ALTER TABLE sales.ao_col SET DISTRIBUTED RANDOMLY;
ALTER TABLE sales.opclass SET DISTRIBUTED BY (b, a)`)
	result, err := g.restore(t, to, reader(t, file), fanout.RestoreOptions{DataOnly: true, Jobs: 2})
	if err != nil || !result.OK() {
		t.Fatalf("%v, %+v", err, result)
	}
	for why, table := range map[string]string{
		"distribution key is another one": "sales.wide_heap", "policy is another one": "sales.ao_col", "key is another one in": "sales.opclass",
		"hash of their distribution key (an enum": "sales.by_enum", "their partitions were there before": "sales.part_range", "inherit": "sales.parent",
	} {
		if !slices.ContainsFunc(result.Warnings, func(w string) bool { return strings.Contains(w, table) && strings.Contains(w, why) }) {
			t.Errorf("no warning says of %s: %s; there are %q", table, why, result.Warnings)
		}
	}
	if got, want := g.query(t, to, whereKeysSay), g.query(t, db, whereKeysSay); got != want {
		t.Errorf("by key: %s, want %s", got, want)
	}
}

// TestGreenplumRestoreFindsMisplacedRows: an archive that lies about where rows were.
func TestGreenplumRestoreFindsMisplacedRows(t *testing.T) {
	g := realGreenplum(t)
	db := g.kinds(t)
	a := reader(t, g.dump(t, db, fanout.RouteSegments))
	m, err := a.Moment()
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Nodes { // segments 0 and 1 change places
		if c := m.Nodes[i].Content; c == 0 || c == 1 {
			m.Nodes[i].Content = 1 - c
		}
	}
	result, err := g.restore(t, g.create(t), a, fanout.RestoreOptions{Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	wrong := make(map[string]string)
	for _, x := range result.Mismatches {
		wrong[x.Table] = x.What
	}
	for _, table := range []string{"wide_ao", "wide_heap", "part_two_levels", "heap_two_keys"} {
		if !strings.Contains(wrong[table], "rows are not where their key says") {
			t.Errorf("table %s: %q", table, wrong[table])
		}
	}
	for _, table := range []string{"heap_random", "heap_replicated", "by_enum"} {
		if wrong[table] != "" {
			t.Errorf("table %s: %s", table, wrong[table])
		}
	}
}

// TestGreenplumRestoreRefuses: another number of segments, another product.
func TestGreenplumRestoreRefuses(t *testing.T) {
	g := realGreenplum(t)
	db := g.kinds(t)
	file := g.dump(t, db, fanout.RouteSegments)
	to := g.create(t)
	for want, tamper := range map[string]func(*archive.Moment, *archive.Catalog){
		"of 2 segments and the target has 3": func(m *archive.Moment, _ *archive.Catalog) { m.Nodes = m.Nodes[:3] },
		"segments of other versions":         func(_ *archive.Moment, c *archive.Catalog) { c.ServerVersion = "7.1.0" },
		"the target is Greenplum":            func(_ *archive.Moment, c *archive.Catalog) { c.Product = "Apache Cloudberry" },
	} {
		a := reader(t, file)
		m, _ := a.Moment()
		c, err := a.Catalog()
		if err != nil {
			t.Fatal(err)
		}
		tamper(m, c)
		_, err = g.restore(t, to, a, fanout.RestoreOptions{Route: fanout.RouteSegments})
		if !errors.Is(err, fanout.ErrRoute) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "nothing in database") {
			t.Errorf("%v; want an error with %q", err, want)
		}
	}
	if n := g.query(t, to, "SELECT count(*) FROM pg_namespace WHERE nspname = 'sales'"); n != "0" {
		t.Error("something was changed")
	}
	// Another number of segments is no obstacle for the coordinator.
	a := reader(t, file)
	m, err := a.Moment()
	if err != nil {
		t.Fatal(err)
	}
	m.Nodes = append(m.Nodes, archive.Node{ID: 9, Name: "seg9", Content: 9})
	result, err := g.restore(t, to, a, fanout.RestoreOptions{Jobs: 2})
	if err != nil || !result.OK() || result.Route != fanout.RouteCoordinator || !strings.Contains(result.RouteReason, "of 4 segments") {
		t.Fatalf("%v, %+v", err, result)
	}
	if got, want := g.query(t, to, whereKeysSay), g.query(t, db, whereKeysSay); got != want {
		t.Errorf("by key: %s, want %s", got, want)
	}
}

// Rows in an encoding whose characters have ASCII in them: Greenplum's own ANALYZE behind the COPY failed, and the table stayed empty.
func TestGreenplumRestoreGBK(t *testing.T) {
	g := realGreenplum(t)
	path := filepath.Join(t.TempDir(), "gbk.sql")
	if err := os.WriteFile(path, []byte(`--
-- Greenplum Database database dump
--

SET client_encoding = 'GBK';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: t; Type: TABLE; Schema: public; Owner: gpadmin; Tablespace: 
--

CREATE TABLE public.t (
    a integer,
    b text
) DISTRIBUTED BY (a);


--
-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: gpadmin
--

COPY public.t (a, b) FROM stdin;
1	`+"\xd5\x5c\xbf\x5c\x81\x5c"+`
2	`+"\x81\x5c\xd5\x5c"+`
\.


--
-- Greenplum Database database dump complete
--

`), 0o600); err != nil {
		t.Fatal(err)
	}
	db := g.create(t)
	res, err := fanout.RestoreSource(t.Context(), openStock(t, path, fanout.FormatPlain), fanout.RestoreOptions{Target: g.config(t, db), Discover: discoverer(topology.Options{}), NoOwner: true})
	if err != nil || !res.OK() {
		t.Fatal(err, res)
	}
	if got := g.query(t, db, "SELECT b FROM public.t ORDER BY a"); got != "誠縗乗\n乗誠" {
		t.Error(got)
	}
}
