package fanout

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgark/pgark/internal/pgtest"
)

// shop is a schema with most of what a restore has to put in order.
const shop = `
CREATE SCHEMA shop; CREATE SCHEMA "Odd ""name";
CREATE TYPE shop.state AS ENUM ('new', 'paid', 'sent');
CREATE TABLE shop.customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, upper_name text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE TABLE shop.orders (id serial PRIMARY KEY, customer int REFERENCES shop.customers, state shop.state DEFAULT 'new', at timestamptz)
  PARTITION BY RANGE (id);
CREATE TABLE shop.orders_1 PARTITION OF shop.orders FOR VALUES FROM (MINVALUE) TO (500);
CREATE TABLE shop.orders_2 PARTITION OF shop.orders FOR VALUES FROM (500) TO (MAXVALUE);
CREATE INDEX ON shop.orders (customer); CREATE INDEX ON shop.orders_2 (at);
CREATE TABLE shop.lines (order_id int REFERENCES shop.orders, n int, what text, price numeric, PRIMARY KEY (order_id, n));
CREATE TABLE shop.a (id int PRIMARY KEY, b int); CREATE TABLE shop.b (id int PRIMARY KEY, a int REFERENCES shop.a);
CREATE TABLE "Odd ""name"."tab	le" ("col ""x" text, "sp ace" bytea, nothing int);
CREATE TABLE shop.none (); CREATE TABLE shop.empty (i int);
CREATE VIEW shop.paid AS SELECT * FROM shop.orders WHERE state = 'paid';
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.what := NEW.what || '!'; RETURN NEW; END $$;
INSERT INTO shop.customers (name) SELECT 'customer ' || g FROM generate_series(1, 200) g;
INSERT INTO shop.orders (customer, state, at) SELECT 1 + g % 200, 'paid', '2020-01-01 UTC'::timestamptz + g * interval '1 hour' FROM generate_series(1, 1000) g;
INSERT INTO shop.lines SELECT id, n, 'thing ' || n || E'\t\\.\n', id + n / 3.0 FROM shop.orders, generate_series(1, 3) n;
INSERT INTO shop.a VALUES (1, 1), (2, 2); INSERT INTO shop.b VALUES (1, 1), (2, 2);
ALTER TABLE shop.a ADD FOREIGN KEY (b) REFERENCES shop.b;
INSERT INTO "Odd ""name"."tab	le" VALUES ('\.', '\x00ff5c', NULL), ('', '', 1), (NULL, NULL, NULL), (E'\\N', '\x0a', 2);
INSERT INTO shop.none SELECT FROM generate_series(1, 3);
CREATE TRIGGER touch BEFORE INSERT ON shop.lines FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE TRIGGER late AFTER INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
ALTER TABLE shop.lines ADD CONSTRAINT price CHECK (price > 0) NOT VALID;
ALTER TABLE shop.lines ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON shop.lines USING (price < 100);
CREATE MATERIALIZED VIEW shop.sums AS SELECT order_id, sum(price) FROM shop.lines GROUP BY 1;
CREATE MATERIALIZED VIEW shop.top AS SELECT max(sum) FROM shop.sums; CREATE UNIQUE INDEX ON shop.sums (order_id);
COMMENT ON TABLE shop.lines IS 'it''s lines'; COMMENT ON CONSTRAINT price ON shop.lines IS 'positive';
GRANT SELECT ON shop.customers TO PUBLIC; ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO PUBLIC;
CREATE PUBLICATION pub FOR TABLE shop.customers; CREATE STATISTICS shop.st ON customer, state FROM shop.orders_1;
SELECT lo_from_bytea(4711, '\x00010203'), lo_create(4712);
SELECT lo_from_bytea(4713, convert_to(repeat('large ', 100000), 'UTF8'));
COMMENT ON LARGE OBJECT 4711 IS 'four bytes'; GRANT SELECT ON LARGE OBJECT 4713 TO PUBLIC;
`

// shopDB makes a database with the shop in it, and its archive.
func shopDB(t *testing.T, srv *pgtest.Server) (db string, b []byte) {
	t.Helper()
	db = srv.CreateDB(t)
	srv.Exec(t, db, shop)
	return db, makeArchive(t, srv, db, archiveRecipe{})
}

func TestRestoreRoundTrip(t *testing.T) {
	srv := pgtest.Shared(t)
	src, b := shopDB(t, srv)
	for _, o := range []RestoreOptions{{Jobs: 1}, {Jobs: 4}, {Jobs: 4, ExitOnError: true}, {SingleTransaction: true}} {
		t.Run(fmt.Sprintf("jobs %d, exit on error %t, one transaction %t", o.Jobs, o.ExitOnError, o.SingleTransaction), func(t *testing.T) {
			dst := srv.CreateDB(t)
			res := restored(t, srv, dst, b, o)
			sameSchema(t, srv, src, dst)
			sameRows(t, srv, dst, b)
			if res.Tables != 9 || res.Database != dst {
				t.Errorf("%d tables into %s", res.Tables, res.Database)
			}
			for _, sql := range []string{
				"SELECT nextval('shop.orders_id_seq')", "SELECT * FROM shop.top", "SELECT count(*) FROM pg_largeobject_metadata",
			} {
				if want, got := srv.QueryString(t, src, sql), srv.QueryString(t, dst, sql); want != got && !strings.Contains(sql, "nextval") {
					t.Errorf("%s: %s, want %s", sql, got, want)
				}
			}
		})
	}
}

// TestRestoreKeepsTimeZone makes what is computed during a restore the way that the database itself computes it: a materialized
// view of days, a check of them, and a trigger.
func TestRestoreKeepsTimeZone(t *testing.T) {
	srv := pgtest.Shared(t)
	local := func(db string) {
		for _, s := range []string{"TimeZone = 'Europe/Berlin'", "DateStyle = 'German, DMY'", "IntervalStyle = 'iso_8601'", "bytea_output = 'escape'"} {
			srv.Exec(t, db, "ALTER DATABASE "+db+" SET "+s)
		}
	}
	src, dst := srv.CreateDB(t), srv.CreateDB(t)
	local(src)
	local(dst)
	srv.Exec(t, src, `CREATE TABLE t (at timestamptz CHECK (at::date >= '2020-01-01'::date), d date, i interval, b bytea, day date);
CREATE FUNCTION day() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.day := NEW.at::date; RETURN NEW; END';
CREATE TRIGGER day BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION day(); ALTER TABLE t ENABLE ALWAYS TRIGGER day;
INSERT INTO t VALUES ('2020-01-01 00:30', '02.01.2020', '-1 day +02:03', '\x00ff5c'), ('2020-07-01 00:30', '01.02.2020', '1 mon -1 day', 'a');
CREATE MATERIALIZED VIEW v AS SELECT at::date AS day, d::text AS d, i::text AS i, b::text AS b FROM t`)
	b := makeArchive(t, srv, src, archiveRecipe{})
	for _, o := range []RestoreOptions{{SingleTransaction: true}, {Jobs: 4, Clean: true}} {
		restored(t, srv, dst, b, o)
		for _, sql := range []string{"SELECT pg_catalog.string_agg(t::text, ' ' ORDER BY at) FROM t", "SELECT pg_catalog.string_agg(v::text, ' ' ORDER BY day) FROM v"} {
			if want, got := srv.QueryString(t, src, sql), srv.QueryString(t, dst, sql); got != want {
				t.Errorf("%s: %s, want %s", sql, got, want)
			}
		}
	}
}

func TestRestoreAllKinds(t *testing.T) { restoreAllKinds(t, pgtest.Shared(t)) }

// The newest server has kinds of objects that others lack.
func TestRestoreAllKindsOfNewest(t *testing.T) {
	t.Parallel()
	dir, ok := pgtest.StockServer(18)
	if !ok {
		t.Skip("no server of PostgreSQL 18 that can be started: tools/clients fetches one")
	}
	restoreAllKinds(t, pgtest.Start(t, pgtest.WithBinDir(dir)))
}

func restoreAllKinds(t *testing.T, srv *pgtest.Server) {
	t.Helper()
	src, dst := srv.CreateDB(t), srv.CreateDB(t)
	pgtest.AllKinds(t, srv, src)
	b := makeArchive(t, srv, src, archiveRecipe{})
	restored(t, srv, dst, b, RestoreOptions{Jobs: 4})
	sameSchema(t, srv, src, dst)
	sameRows(t, srv, dst, b)
	restored(t, srv, dst, b, RestoreOptions{Jobs: 4, Clean: true, ExitOnError: true})
	sameSchema(t, srv, src, dst)
	sameRows(t, srv, dst, b)
	restored(t, srv, dst, b, RestoreOptions{Clean: true, SingleTransaction: true})
	sameSchema(t, srv, src, dst)
}

func TestRestoreEncodings(t *testing.T) {
	srv := pgtest.Shared(t)
	for encoding, sql := range map[string]string{
		"LATIN1":    "CREATE TABLE \"tabl\u00e9\" (\"n\u00e9\" text); INSERT INTO \"tabl\u00e9\" VALUES ('caf\u00e9'), (chr(255)); COMMENT ON TABLE \"tabl\u00e9\" IS '\u00fc'",
		"SQL_ASCII": "CREATE TABLE raw (t text); INSERT INTO raw VALUES (E'\\xff\\xfe'), (E'\\xc3\\xa9'); COMMENT ON TABLE raw IS E'\\xe9'",
	} {
		t.Run(encoding, func(t *testing.T) {
			src, dst := srv.CreateDB(t, pgtest.Encoding(encoding)), srv.CreateDB(t, pgtest.Encoding(encoding))
			srv.Exec(t, src, "SET client_encoding = UTF8; "+sql)
			b := makeArchive(t, srv, src, archiveRecipe{})
			restored(t, srv, dst, b, RestoreOptions{Jobs: 2})
			sameSchema(t, srv, src, dst)
			sameRows(t, srv, dst, b)
		})
	}
	t.Run("LATIN1 into UTF8", func(t *testing.T) {
		src, dst := srv.CreateDB(t, pgtest.Encoding("LATIN1")), srv.CreateDB(t)
		srv.Exec(t, src, "CREATE TABLE t (v text); INSERT INTO t VALUES (chr(233))")
		restored(t, srv, dst, makeArchive(t, srv, src, archiveRecipe{}), RestoreOptions{})
		if got := srv.QueryString(t, dst, "SELECT v FROM t"); got != "\u00e9" {
			t.Errorf("%q", got)
		}
	})
}

// TestRestoreLargeTable loads one table over several sessions, and a row that is larger than a frame.
func TestRestoreLargeTable(t *testing.T) {
	srv := pgtest.Shared(t)
	src, dst := srv.CreateDB(t), srv.CreateDB(t)
	srv.Exec(t, src, `CREATE TABLE big AS SELECT g AS id, repeat(md5(g::text), 10) AS v FROM generate_series(1, 60000) g;
ALTER TABLE big ADD PRIMARY KEY (id); CREATE INDEX ON big (v); CREATE INDEX ON big ((id % 7));
CREATE TABLE wide AS SELECT string_agg(md5(g::text), '') AS v FROM generate_series(1, 400000) g;
CREATE TABLE small AS SELECT 1 AS one;`)
	b := makeArchive(t, srv, src, archiveRecipe{block: 256 << 10})
	res, err := tryRestore(t, srv, dst, b, RestoreOptions{Jobs: 3}, smallLimits())
	check(t, err)
	if !res.OK() {
		t.Fatalf("%+v", res)
	}
	sameSchema(t, srv, src, dst)
	sameRows(t, srv, dst, b)
	if n := srv.QueryString(t, dst, "SELECT count(DISTINCT xmin::text) > 1 FROM big"); n != "t" {
		t.Error("one session loaded it all")
	}
}

// TestRestoreLargeObjects writes large objects of several blocks over several sessions.
func TestRestoreLargeObjects(t *testing.T) {
	srv := pgtest.Shared(t)
	src, dst := srv.CreateDB(t), srv.CreateDB(t)
	srv.Exec(t, src, `SELECT lo_from_bytea(500, convert_to(string_agg(md5(g::text), ''), 'UTF8')) FROM generate_series(1, 150000) g;
SELECT lo_from_bytea(0, convert_to(g::text, 'UTF8')) FROM generate_series(1, 300) g;
SELECT lo_create(501); SELECT lo_put(501, 3000000, 'after a gap')`)
	b := makeArchive(t, srv, src, archiveRecipe{})
	res, err := tryRestore(t, srv, dst, b, RestoreOptions{Jobs: 3}, smallLimits())
	check(t, err)
	if !res.OK() || res.Tables != 0 {
		t.Fatalf("%+v", res)
	}
	sameRows(t, srv, dst, b)
}

// TestForeignKeyWaitsForPartitions: a foreign key of a partitioned table waits for the rows of its partitions, which its
// entry does not name.
func TestForeignKeyWaitsForPartitions(t *testing.T) {
	srv := pgtest.Shared(t)
	_, b := shopDB(t, srv)
	catalog, err := openArchive(t, b).Catalog()
	check(t, err)
	plan, err := NewPlan(catalog, PlanOptions{})
	check(t, err)
	var partitions []int32
	found := false
	for _, s := range parallelSteps(plan) {
		switch {
		case s.Rows() && strings.HasPrefix(s.Entry.Name, "orders_"):
			partitions = append(partitions, s.Entry.ID)
		case s.Entry.Kind == "FK CONSTRAINT" && strings.HasPrefix(s.Entry.Name, "orders "):
			found = true
			for _, id := range partitions {
				if !slices.Contains(s.Deps, id) || !slices.Contains(s.Lock, id) {
					t.Errorf("%s waits for %v and locks %v, not for %d", s.Entry.Name, s.Deps, s.Lock, id)
				}
			}
		}
	}
	if !found || len(partitions) != 2 {
		t.Errorf("partitions %v, foreign key found: %t", partitions, found)
	}
}

// TestRestoreFreezes: a large enough table that the restore created is loaded with its rows frozen.
func TestRestoreFreezes(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	srv.Exec(t, src, "CREATE TABLE t AS SELECT g, md5(g::text) FROM generate_series(1, 50000) g; CREATE EXTENSION pageinspect")
	b := makeArchive(t, srv, src, archiveRecipe{})
	for _, o := range []RestoreOptions{{Jobs: 2}, {SingleTransaction: true}} {
		dst := srv.CreateDB(t)
		restored(t, srv, dst, b, o)
		// HEAP_XMIN_FROZEN is both hint bits together.
		if n := srv.QueryString(t, dst, "SELECT bool_and(t_infomask & 768 = 768) FROM heap_page_items(get_raw_page('t', 0))"); n != "t" {
			t.Errorf("one transaction %t: rows are not frozen", o.SingleTransaction)
		}
	}
}
