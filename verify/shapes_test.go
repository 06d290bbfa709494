package verify

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// longStream is one stream of a test archive, of rows with long floats.
type longStream struct {
	info archive.StreamInfo
	rows string
}

// longArchive is an archive as a server before version 12 gives it.
func longArchive(t *testing.T, streams ...longStream) *archive.Reader {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cat := &archive.Catalog{Database: "old", Encoding: "UTF8", Entries: []archive.Entry{
		{ID: 1, Kind: "TABLE DATA", Schema: "public", Name: "f", Section: archive.SectionData},
		{ID: 2, Kind: "TABLE DATA", Schema: "public", Name: "c", Section: archive.SectionData},
		{ID: 3, Kind: "TABLE DATA", Schema: "public", Name: "root", Section: archive.SectionData},
		{ID: 4, Kind: "TABLE DATA", Schema: "public", Name: "mixed", Section: archive.SectionData},
	}}
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, archive.WriterOptions{})
	check(err)
	check(w.SetCatalog(cat))
	check(w.SetMoment(&archive.Moment{}))
	enc, err := archive.NewEncoder(archive.CodecNone, 0)
	check(err)
	for _, s := range streams {
		id, err := w.OpenStream(s.info)
		check(err)
		var d archive.Digest
		var f archive.Frame
		check(enc.Encode(&f, archive.Raw{Stream: id, Data: []byte(s.rows), Digest: &d, Floats: s.info.Floats}))
		check(w.Append(&f))
		check(w.CloseStream(id, d))
	}
	_, err = w.Close()
	check(err)
	return reader(t, b.Bytes())
}

// Rows of an older server, of several nodes and of partitions that a later one does not have, are compared as values.
func TestLongFloats(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `
CREATE TABLE f (i int, a real, b float8[]);
INSERT INTO f VALUES (1, 0.1, '{0.1,NULL}'), (2, 16777216, '[0:1]={1e15,-0}');
CREATE TYPE pair AS (x int, y float8);
CREATE TABLE c (p pair, x int);
INSERT INTO c VALUES (ROW(1, 0.1), 1);
CREATE TABLE root (i int, v float8) PARTITION BY LIST (i);
CREATE TABLE root_one PARTITION OF root DEFAULT;
INSERT INTO root VALUES (1, 0.1), (2, 0.2), (3, 0.3);
CREATE TABLE mixed (i int, v float8) PARTITION BY LIST (i);
CREATE TABLE mixed_1 PARTITION OF mixed DEFAULT;
INSERT INTO mixed VALUES (1, 0.1);`)
	columns := func(c ...string) []string { return c }
	text := archive.StreamInfo{Schema: "public", Form: archive.FormFloats}
	stream := func(entry int32, table, floats string, c []string, rows string) longStream {
		s := text
		s.Entry, s.Table, s.Floats, s.Columns, s.Node = entry, table, floats, c, uint32(entry)
		return longStream{s, rows}
	}
	f := stream(1, "f", "-48", columns("i", "a", "b"), "1\t0.100000001\t{0.10000000000000001,NULL}\n")
	f2 := stream(1, "f", "-48", columns("i", "a", "b"), "2\t16777216\t[0:1]={1000000000000000,-0}\n")
	root1 := stream(3, "root_1_prt_1", "-8", columns("i", "v"), "1\t0.10000000000000001\n2\t0.20000000000000001\n")
	root2 := stream(3, "root_1_prt_2", "-8", columns("i", "v"), "3\t0.29999999999999999\n")
	mixed1 := stream(4, "mixed_1", "-8", columns("i", "v"), "1\t0.10000000000000001\n")
	mixed2 := stream(4, "mixed_2", "8-", columns("v", "i"), "0.10000000000000001\t2\n")
	same := stream(2, "c", "?-", columns("p", "x"), "(1,0.1)\t1\n")
	long := stream(2, "c", "?-", columns("p", "x"), "(1,0.10000000000000001)\t1\n")
	less := stream(2, "c", "?-", columns("p", "x"), "(1,0.10000000000000001)\t1\n(1,2)\t1\n")
	for _, c := range []struct {
		name    string
		streams []longStream
		want    []string
		says    string
	}{
		{"the same", []longStream{f, f2, root1, root2}, []string{}, ""},
		{"another value", []longStream{f, f, root1, root1, root2}, []string{"differs public.f", "differs public.root"}, "digest"},
		{"composite, the same text", []longStream{same}, []string{}, ""},
		{"composite, other text", []longStream{long}, []string{"incomparable public.c"}, `column "p" may hold floats, inside a composite type`},
		{"composite, other number", []longStream{less}, []string{"differs public.c"}, "2 rows"},
		{"columns in other orders", []longStream{mixed1, mixed2}, []string{"incomparable public.mixed_2"}, "one by one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Database(t.Context(), longArchive(t, c.streams...), cluster(t, srv, db), Options{Jobs: 2})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, classes(r)); d != "" {
				t.Error(d, r.Findings)
			}
			if c.says != "" && !strings.Contains(r.Findings[0].Message, c.says) {
				t.Error(r.Findings[0].Message)
			}
		})
	}
}

// A server that prints long floats is compared with an archive of one that does not. The server is made to look like
// an old one as far as this package asks for it.
func TestLongFloatsInDatabase(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `
CREATE TYPE pair AS (x int, y float8);
CREATE TABLE c (p pair, x int, v float8);
INSERT INTO c VALUES (ROW(1, 0.1), 1, 0.1);`)
	a := reader(t, dumped(t, srv, db))
	for _, digits := range []string{"3", "0"} {
		old := discover(t, config(t, srv, db), topology.Options{})
		old.Dialect.ShortFloats = false
		c := newComparison(old, textSettings(a, &archive.Catalog{Encoding: "UTF8"}), Options{}.withDefaults())
		c.settings.Set = append(c.settings.Set, [2]string{"extra_float_digits", digits})
		cat, err := a.Catalog()
		if err != nil {
			t.Fatal(err)
		}
		targets, err := archivedTables(a, cat, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.run(t.Context(), targets); err != nil {
			t.Fatal(err)
		}
		if r := c.report(targets); !r.OK {
			t.Error(r.Findings)
		}
		if d := cmp.Diff([]string{"p"}, targets[0].unknown); d != "" {
			t.Error(d)
		}
	}
}

// Of a dump of rows only nothing tells which columns are floats: they are compared as a server prints them that has as many digits.
func TestLongFloatsWithoutDefinition(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `CREATE TABLE f (v float8, w float8); INSERT INTO f VALUES (100000, 100000);`)
	info := archive.StreamInfo{Entry: 1, Schema: "public", Table: "f", Columns: []string{"v", "w"}, Form: archive.FormFloats, Floats: "?8"}
	a := longArchive(t, longStream{info, "1e+05\t100000\n"})
	old := discover(t, config(t, srv, db), topology.Options{})
	old.Dialect.ShortFloats = false
	c := newComparison(old, textSettings(a, &archive.Catalog{Encoding: "UTF8"}), Options{}.withDefaults())
	c.settings.Set = append(c.settings.Set, [2]string{"extra_float_digits", "-10"})
	targets, err := archivedTables(a, &archive.Catalog{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.run(t.Context(), targets); err != nil {
		t.Fatal(err)
	}
	if r := c.report(targets); !r.OK {
		t.Error(r.Findings)
	}
}

// Partitions in a dump of rows only have no names of columns: all rows of their table were taken for empty ones.
func TestPartitionsWithoutDefinition(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `
CREATE TABLE root (i int, v text) PARTITION BY LIST (i);
CREATE TABLE root_1 PARTITION OF root FOR VALUES IN (1);
CREATE TABLE root_2 PARTITION OF root DEFAULT;
INSERT INTO root VALUES (1, 'a'), (2, NULL);`)
	part := func(table, rows string) longStream {
		return longStream{archive.StreamInfo{Entry: 3, Schema: "public", Table: table, Form: archive.FormText}, rows}
	}
	r, err := Database(t.Context(), longArchive(t, part("root_1", "1\ta\n"), part("root_2", "2\t\\N\n")), cluster(t, srv, db), Options{})
	if err != nil || !r.OK {
		t.Error(err, r)
	}
}

// Rows of a partitioned table are the same in an archive that has them as one and in one that has them by partition.
func TestDiffPartitions(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `
CREATE TABLE root (i int, v float8) PARTITION BY LIST (i);
CREATE TABLE root_1 PARTITION OF root FOR VALUES IN (1);
CREATE TABLE root_x PARTITION OF root DEFAULT PARTITION BY LIST (i);
CREATE TABLE root_2 PARTITION OF root_x FOR VALUES IN (2);
INSERT INTO root VALUES (1, 0.1), (2, 0.2);
CREATE TYPE pair AS (x int, y float8);
CREATE TABLE c (p pair, x int);
INSERT INTO c VALUES (ROW(1, 0.1), 1);`)
	info := archive.StreamInfo{Entry: 3, Schema: "public", Table: "root_1_prt_1", Columns: []string{"i", "v"}, Form: archive.FormFloats, Floats: "-8"}
	pair := archive.StreamInfo{Entry: 2, Schema: "public", Table: "c", Columns: []string{"p", "x"}, Form: archive.FormFloats, Floats: "?-"}
	now := reader(t, dumped(t, srv, db))
	data := func(v string) []string {
		t.Helper()
		old := longArchive(t, longStream{info, "1\t0.10000000000000001\n2\t" + v + "\n"}, longStream{pair, "(1,0.10000000000000001)\t1\n"})
		var list []string
		for _, pair := range [][2]*archive.Reader{{old, now}, {now, old}} {
			diffs, err := Diff(pair[0], pair[1])
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range diffs {
				if d.Kind == kindTableData && (d.Class == DiffRows || d.Class == DiffIncomparable) {
					list = append(list, d.Class+" "+d.Name)
				} else if strings.HasPrefix(d.Name, "root_") && d.Kind == kindTableData {
					t.Error(d)
				}
			}
		}
		return list
	}
	if d := cmp.Diff([]string{"incomparable c", "incomparable c"}, data("0.20000000000000001")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"incomparable c", "rows root", "incomparable c", "rows root"}, data("0.20000000000000007")); d != "" {
		t.Error(d)
	}
}

// Of a cluster of equal nodes the rows of all are compared together.
func TestEqualNodes(t *testing.T) {
	srv := pgtest.Shared(t)
	all, one, two := srv.CreateDB(t), srv.CreateDB(t), srv.CreateDB(t)
	for _, db := range []string{all, one, two} {
		srv.Exec(t, db, "CREATE TABLE t (a int); CREATE TABLE u (a int)")
	}
	srv.Exec(t, all, "INSERT INTO t VALUES (1), (2), (3)")
	srv.Exec(t, one, "INSERT INTO t VALUES (3), (1)")
	srv.Exec(t, two, "INSERT INTO t VALUES (2)")
	a := reader(t, dumped(t, srv, all))
	live := discover(t, config(t, srv, one), topology.Options{DataNodes: []topology.DataNode{{Name: "b", Conninfo: srv.Conninfo(two)}}})
	compare := func(want ...string) {
		t.Helper()
		r, err := Database(t.Context(), a, live, Options{Jobs: 2})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(append([]string{}, want...), classes(r)); d != "" {
			t.Error(d)
		}
	}
	compare()
	srv.Exec(t, two, "INSERT INTO t VALUES (4)")
	compare("differs public.t")
	srv.Exec(t, two, "DROP TABLE u")
	compare("differs public.t", "missing-table public.u")
}

// Partitions on other servers are read through the coordinator.
func TestForeignPartitions(t *testing.T) {
	srv := pgtest.Shared(t)
	coordinator, one, two := srv.CreateDB(t), srv.CreateDB(t), srv.CreateDB(t)
	for i, db := range []string{one, two} {
		srv.Exec(t, db, fmt.Sprintf("CREATE TABLE p%d (i int, v float8)", i))
		srv.Exec(t, coordinator, fmt.Sprintf(`CREATE EXTENSION IF NOT EXISTS postgres_fdw;
CREATE TABLE IF NOT EXISTS p (i int, v float8) PARTITION BY HASH (i);
CREATE SERVER shard%[1]d FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '%[2]s', port '%[3]d', dbname '%[4]s');
CREATE USER MAPPING FOR CURRENT_USER SERVER shard%[1]d OPTIONS (user 'postgres');
CREATE FOREIGN TABLE p%[1]d PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER %[1]d) SERVER shard%[1]d;`, i, srv.Host(), srv.Port(), db))
	}
	srv.Exec(t, coordinator, "CREATE TABLE l (i int); INSERT INTO l VALUES (1); INSERT INTO p SELECT i, i / 3.0 FROM generate_series(1, 100) i")
	live := cluster(t, srv, coordinator)
	if live.Layout == topology.LayoutEqual || len(live.Nodes) != 2 {
		t.Fatalf("%+v", live)
	}
	a := reader(t, dumped(t, srv, coordinator))
	compare := func(want ...string) {
		t.Helper()
		r, err := Database(t.Context(), a, live, Options{Jobs: 2})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(append([]string{}, want...), classes(r)); d != "" || r.Tables != 3 || r.Rows != 101 {
			t.Error(d, r)
		}
	}
	compare()
	srv.Exec(t, two, "UPDATE p1 SET v = 0 WHERE i = (SELECT min(i) FROM p1)")
	compare("differs public.p1")
}

// Many small tables are asked for in batches; one that can't be read takes nothing from the others.
func TestManyTables(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('CREATE TABLE t%s (a int); INSERT INTO t%s VALUES (%s)', i, i, i); END LOOP; END $$;
CREATE ROLE reads_most LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reads_most;
REVOKE SELECT ON t7, t8, t200 FROM reads_most;`)
	t.Cleanup(func() { srv.Exec(t, db, "DROP OWNED BY reads_most; DROP ROLE reads_most") })
	a := reader(t, dumped(t, srv, db))
	srv.Exec(t, db, "UPDATE t9 SET a = 0; UPDATE t250 SET a = 0")
	live := discover(t, config(t, srv, db).With(wire.Overrides{User: "reads_most"}), topology.Options{})
	r, err := Database(t.Context(), a, live, Options{Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"unreadable public.t200", "differs public.t250", "unreadable public.t7", "unreadable public.t8", "differs public.t9"}
	if d := cmp.Diff(want, classes(r)); d != "" || r.Rows != 297 {
		t.Error(d, r.Rows)
	}
}

// greenplumTables have floats of every kind, in tables of every distribution.
const greenplumTables = `
CREATE DOMAIN fl AS float8;
CREATE DOMAIN fla AS float4[];
CREATE TYPE frange AS RANGE (subtype = float8);
CREATE TYPE pair AS (a int, b float4);
CREATE TABLE f (i int, f4 float4, f8 float8, a4 float4[], a8 float8[], p point, r frange, ar frange[], d fl, da fla, l lseg, b box,
  pa path, po polygon, c circle, n numeric, tx text[]) DISTRIBUTED BY (i);
INSERT INTO f SELECT i, (random()*1e6)::float4, random()*1e10, ARRAY[random(),NULL,i/3.0]::float4[], ARRAY[random(),'NaN','-Infinity',i/7.0]::float8[],
  point(i/3.0,random()), frange(i/3.0, i::float8), ARRAY[frange(i/9.0,NULL),'empty'], i/11.0, ARRAY[i/13.0]::float4[], lseg(point(0.1,i/3.0),point(2,3)),
  box(point(0.1,i/3.0),point(2,3)), path(polygon(box(point(0.1,i/3.0),point(2,3)))), polygon(box(point(0.1,i/3.0),point(2,3))), circle(point(0.1,i/3.0),i),
  i/3.0, ARRAY['0.10000000000000001'] FROM generate_series(1,20000) i;
INSERT INTO f(i,f4,f8) SELECT 100000+e, ('1e'||(e%38))::float4, ('1.1e'||e)::float8 FROM generate_series(-300,300) e;
INSERT INTO f(i,f4,f8) SELECT 200000+e, (2::float8^(e/2))::float4, 2::float8^e FROM generate_series(-200,200) e;
INSERT INTO f(i,a8) VALUES (-1,'[0:1]={0.1,2}'),(-2,'{}'),(-3,'{{0.1,2},{3,0.3}}'), (-4, '{1e23,-0,5e-324,1.7976931348623157e308}');
CREATE TABLE composite (i int, c pair) DISTRIBUTED BY (i);
INSERT INTO composite SELECT i, ROW(i,0.1::float4)::pair FROM generate_series(1,10) i;
CREATE TABLE parts (i int, d date, v float8) DISTRIBUTED BY (i) PARTITION BY RANGE (d) (START ('2024-01-01') END ('2024-07-01') EVERY (interval '1 month'));
INSERT INTO parts SELECT i, '2024-01-01'::date + i % 180, i/7.0 FROM generate_series(1,30000) i;
CREATE TABLE everywhere (i int, v float8) DISTRIBUTED REPLICATED;
INSERT INTO everywhere SELECT i, i/3.0 FROM generate_series(1,1000) i;
CREATE TABLE anyhow (i int, t text) WITH (appendonly=true, orientation=column) DISTRIBUTED RANDOMLY;
INSERT INTO anyhow SELECT i, md5(i::text) FROM generate_series(1,10000) i;
CREATE TABLE parent (i int, v real) DISTRIBUTED BY (i);
CREATE TABLE child (w real) INHERITS (parent) DISTRIBUTED BY (i);
INSERT INTO parent VALUES (1, 0.1);
INSERT INTO child VALUES (2, 0.2, 0.3);
`

// An archive of Greenplum is the same as Greenplum, and as its copy in one PostgreSQL, floats included; and so is what
// the copy gives.
func TestGreenplum(t *testing.T) {
	conninfo := os.Getenv("PGARK_TEST_GREENPLUM")
	if conninfo == "" {
		t.Skip("PGARK_TEST_GREENPLUM does not name a Greenplum")
	}
	gp := greenplumDatabase(t, conninfo)
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	var b bytes.Buffer
	if _, err := fanout.Dump(t.Context(), &b, fanout.DumpOptions{Cluster: gp, Jobs: 2}); err != nil {
		t.Fatal(err)
	}
	a := reader(t, b.Bytes())
	compare := func(live *topology.Cluster, want ...string) {
		t.Helper()
		r, err := Database(t.Context(), a, live, Options{Jobs: 2})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(append([]string{}, want...), classes(r)); d != "" || r.Tables != 7 {
			t.Error(d, r.Tables)
		}
	}
	compare(gp)
	r, err := fanout.Restore(t.Context(), a, fanout.RestoreOptions{Target: config(t, srv, db), Jobs: 2, NoOwner: true, NoACL: true, ToPostgres: true})
	if err != nil || !r.OK() {
		t.Fatal(err, r)
	}
	compare(cluster(t, srv, db), "incomparable public.composite")
	copied := a
	a = reader(t, dumped(t, srv, db))
	diffs, err := Diff(copied, a)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diffs {
		// The roles that made the databases may have different names.
		if (d.Class == DiffRows || d.Kind == kindTableData && d.Class != DiffOwner) && d.Name != "composite" {
			t.Error(d)
		}
	}
}

// greenplumDatabase makes a database of its own, and drops it at the end.
func greenplumDatabase(t *testing.T, conninfo string) *topology.Cluster {
	t.Helper()
	cfg, err := wire.ParseConfig(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(ctx context.Context, cfg *wire.Config, sql ...string) {
		t.Helper()
		conn, err := wire.Connect(ctx, cfg, wire.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(ctx) }()
		for _, s := range sql {
			if _, err := conn.Exec(ctx, s); err != nil {
				t.Fatal(err)
			}
		}
	}
	const name = "pgark_verify_test"
	exec(t.Context(), cfg, "DROP DATABASE IF EXISTS "+name, "CREATE DATABASE "+name)
	t.Cleanup(func() { exec(context.WithoutCancel(t.Context()), cfg, "DROP DATABASE "+name) })
	own := cfg.With(wire.Overrides{Database: name})
	exec(t.Context(), own, greenplumTables)
	return discover(t, own, topology.Options{})
}

// Statistics change with every ANALYZE: they were called definitions, which none of the two archives had changed.
func TestDiffStatistics(t *testing.T) {
	for kind, want := range map[string]string{"STATISTICS DATA": "the planner's statistics differ", "VIEW": "the definitions differ"} {
		got := diffGroup(diffKey{kind, "public", "t"}, []diffObject{{ddl: "SELECT 1"}}, []diffObject{{ddl: "SELECT 2"}})
		if len(got) != 1 || got[0].Message != want || got[0].Class != DiffDefinition {
			t.Errorf("%s: %+v", kind, got)
		}
	}
}
