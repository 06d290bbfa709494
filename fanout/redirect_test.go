package fanout

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgark/pgark/archive"
)

func renameIn(sql string, e *archive.Entry, to map[string]string) renamed {
	n := schemaNames{to: to, std: true, database: "db", known: map[tableName]bool{{"s", "t"}: true, {"s", "u"}: true}}
	return n.rename(sql, e)
}

// What a server or pg_dump does not write in tests against one: older and other products' definitions, and what is in doubt.
func TestRedirectDefinitions(t *testing.T) {
	for sql, want := range map[string]string{
		// Before 2018, with a search_path for each entry.
		"COMMENT ON COLUMN s.a IS 's.t';":                                                 "",
		"COMMENT ON COLUMN s.t.a IS 's.t';":                                               "COMMENT ON COLUMN n.t.a IS 's.t';",
		"ALTER SEQUENCE q OWNED BY s.id;":                                                 "",
		"ALTER SEQUENCE s.q OWNED BY s.t.id;":                                             "ALTER SEQUENCE n.q OWNED BY n.t.id;",
		"ALTER TABLE t ALTER COLUMN a SET DEFAULT nextval('q'::regclass);":                "",
		"ALTER TABLE t ALTER a SET DEFAULT nextval('s.q'::regclass);":                     "ALTER TABLE t ALTER a SET DEFAULT nextval('n.q'::regclass);",
		"SELECT pg_catalog.setval('s.q', 5, true);":                                       "SELECT pg_catalog.setval('n.q', 5, true);",
		`SELECT pg_catalog.setval('"s".q', 5, true);`:                                     "SELECT pg_catalog.setval('n.q', 5, true);",
		"SELECT pg_catalog.pg_extension_config_dump('s.t', '');":                          "SELECT pg_catalog.pg_extension_config_dump('n.t', '');",
		"ALTER TABLE s.t ALTER a SET DEFAULT nextval(('s.q'::text)::regclass);":           "ALTER TABLE n.t ALTER a SET DEFAULT nextval(('n.q'::text)::regclass);",
		"ALTER TABLE x.t ALTER a SET DEFAULT 's'::regnamespace;":                          "ALTER TABLE x.t ALTER a SET DEFAULT 'n'::regnamespace;",
		"ALTER TABLE x.t ALTER a SET DEFAULT 's.f(s.t,x.y[])'::regprocedure;":             "ALTER TABLE x.t ALTER a SET DEFAULT 'n.f(n.t,x.y[])'::regprocedure;",
		"ALTER TABLE x.t ALTER a SET DEFAULT 's.+(s.t,integer)'::pg_catalog.regoperator;": "ALTER TABLE x.t ALTER a SET DEFAULT 'n.+(n.t,integer)'::pg_catalog.regoperator;",
		// pg_dump --quote-all-identifiers.
		`ALTER TABLE "x"."t" ALTER "a" SET DEFAULT "nextval"('"s"."q"'::"regclass");`:             `ALTER TABLE "x"."t" ALTER "a" SET DEFAULT "nextval"('n."q"'::"regclass");`,
		`ALTER TABLE "x"."t" ALTER "a" SET DEFAULT ('"s"."q"'::"text")::"pg_catalog"."regclass";`: `ALTER TABLE "x"."t" ALTER "a" SET DEFAULT ('n."q"'::"text")::"pg_catalog"."regclass";`,
		"COPY s.t (a, s) FROM stdin;\n":                                       "COPY n.t (a, s) FROM stdin;\n",
		"CREATE VIEW s.v AS\n SELECT t.a\n   FROM s.t;":                       "CREATE VIEW n.v AS\n SELECT t.a\n   FROM n.t;",
		"CREATE VIEW v AS SELECT s.a FROM t s;":                               "",
		"SET search_path = s, pg_catalog;":                                    "SET search_path = n, pg_catalog;",
		"ALTER DATABASE db SET search_path TO 's', \"s\", other;":             "ALTER DATABASE db SET search_path TO 'n', n, other;",
		"CREATE FUNCTION s.f() RETURNS s.t LANGUAGE c AS '$libdir/s', 's.t';": "CREATE FUNCTION n.f() RETURNS n.t LANGUAGE c AS '$libdir/s', 's.t';",
		"CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA s;":                "CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA n;",
		"DROP OPERATOR s.* (integer, s.t);":                                   "DROP OPERATOR n.* (integer, n.t);",
		"CREATE OPERATOR CLASS s.c FOR TYPE s.t USING btree AS STORAGE s.t , OPERATOR 1 s.*(s.t,s.t) , FUNCTION 1 (s.t, s.t) s.f(s.t,s.t);": "CREATE OPERATOR CLASS n.c FOR TYPE n.t USING btree AS STORAGE n.t , OPERATOR 1 n.*(n.t,n.t) , FUNCTION 1 (n.t, n.t) n.f(n.t,n.t);",
		"ALTER TABLE ONLY s.t DROP CONSTRAINT s;":                                                    "ALTER TABLE ONLY n.t DROP CONSTRAINT s;",
		"CREATE FOREIGN TABLE s.f (a integer) SERVER s OPTIONS (schema_name 's', table_name 's.t');": "CREATE FOREIGN TABLE n.f (a integer) SERVER s OPTIONS (schema_name 's', table_name 's.t');",
		"CREATE USER MAPPING FOR s SERVER s OPTIONS (u 's.t');":                                      "",
		"ALTER DEFAULT PRIVILEGES FOR ROLE s IN SCHEMA s GRANT SELECT ON TABLES TO s;":               "ALTER DEFAULT PRIVILEGES FOR ROLE s IN SCHEMA n GRANT SELECT ON TABLES TO s;",
		"GRANT ALL ON SCHEMA s TO s;":                                                                "GRANT ALL ON SCHEMA n TO s;",
		"SECURITY LABEL FOR x ON COLUMN s.t.a IS 's.t';":                                             "SECURITY LABEL FOR x ON COLUMN n.t.a IS 's.t';",
		"ALTER PUBLICATION p ADD TABLES IN SCHEMA s;":                                                "ALTER PUBLICATION p ADD TABLES IN SCHEMA n;",
		"CREATE TABLE s.t (a s.\"T\"[], s integer) WITH (toast.x='1', s.y='2');":                     "CREATE TABLE n.t (a n.\"T\"[], s integer) WITH (toast.x='1', s.y='2');",
		"REFRESH MATERIALIZED VIEW s.m; -- s.t":                                                      "REFRESH MATERIALIZED VIEW n.m; -- s.t",
		// Columns, attributes and arguments whose names are keywords of other places, and are written without quotes.
		"CREATE TABLE s.t (id integer, set s.e, schema s.e);":                                      "CREATE TABLE n.t (id integer, set n.e, schema n.e);",
		"CREATE TYPE s.c AS (set s.e, a integer);":                                                 "CREATE TYPE n.c AS (set n.e, a integer);",
		"CREATE FUNCTION s.f(set s.e DEFAULT s.g()) RETURNS s.e LANGUAGE c SET s.x TO '1' AS 'l';": "CREATE FUNCTION n.f(set n.e DEFAULT n.g()) RETURNS n.e LANGUAGE c SET s.x TO '1' AS 'l';",
		"ALTER FUNCTION s.f(set s.e) OWNER TO s;":                                                  "ALTER FUNCTION n.f(set n.e) OWNER TO s;",
		"COMMENT ON FUNCTION s.f(set s.e) IS 's.t';":                                               "COMMENT ON FUNCTION n.f(set n.e) IS 's.t';",
		"CREATE PROCEDURE s.p(IN schema s, IN x s, IN set s) LANGUAGE c AS 'l';":                   "CREATE PROCEDURE n.p(IN schema s, IN x s, IN set s) LANGUAGE c AS 'l';",
		"GRANT ALL ON PROCEDURE s.p(IN schema s.e) TO s;":                                          "GRANT ALL ON PROCEDURE n.p(IN schema n.e) TO s;",
		"ALTER DATABASE db SET s.x = '1';":                                                         "",
		// MERGE, from 15 and 17 on in bodies.
		"CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC MERGE INTO s.t s USING s.u u ON ((s.a = u.a)) WHEN MATCHED AND (s.b > s.f(1)) THEN UPDATE SET b = u.b, s.c = 1 WHEN NOT MATCHED THEN INSERT (a, s) VALUES (u.a, s.g(2)) RETURNING s.a; END;": "CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC MERGE INTO n.t s USING n.u u ON ((s.a = u.a)) WHEN MATCHED AND (s.b > n.f(1)) THEN UPDATE SET b = u.b, s.c = 1 WHEN NOT MATCHED THEN INSERT (a, s) VALUES (u.a, n.g(2)) RETURNING s.a; END;",
		"CREATE VIEW v AS SELECT j.x FROM t s, JSON_TABLE(s.doc, '$' COLUMNS (a s.t PATH '$.a', NESTED PATH '$.b' COLUMNS (b integer PATH '$' DEFAULT s.a ON EMPTY))) j;":                                                                            "CREATE VIEW v AS SELECT j.x FROM t s, JSON_TABLE(s.doc, '$' COLUMNS (a n.t PATH '$.a', NESTED PATH '$.b' COLUMNS (b integer PATH '$' DEFAULT s.a ON EMPTY))) j;",
		// Without white space, as a person may write into a plain dump.
		`CREATE TABLE "s".t ("a""s".x,b"s".x,c s.x DEFAULT("b"OPERATOR("s".+)"s".f())&"s".f());`: `CREATE TABLE n.t ("a""s".x,b n.x,c n.x DEFAULT("b"OPERATOR(n.+)n.f())& n.f());`,
		`ALTER TABLE t ALTER a SET DEFAULT 'x'||$$s.q$$::regclass;`:                              `ALTER TABLE t ALTER a SET DEFAULT 'x'||'n.q'::regclass;`,
		`GRANT ALL ON SCHEMA"s"TO"s";`:                                                           `GRANT ALL ON SCHEMA n TO"s";`,
		// Greenplum.
		"CREATE TABLE s.t (a integer, t text)\n DISTRIBUTED BY (a s.ops) PARTITION BY RANGE(a) (START (1) END (5) WITH (tablename='t_1_prt_1', appendonly='true'));": "CREATE TABLE n.t (a integer, t text)\n DISTRIBUTED BY (a n.ops) PARTITION BY RANGE(a) (START (1) END (5) WITH (tablename='t_1_prt_1', appendonly='true'));",
		"CREATE READABLE EXTERNAL TABLE s.e (a s.t) LOCATION ('gpfdist://s.t:80/s.t') FORMAT 'TEXT' (delimiter E'\\t' null 's.t') ENCODING 'UTF8';":                  "CREATE READABLE EXTERNAL TABLE n.e (a n.t) LOCATION ('gpfdist://s.t:80/s.t') FORMAT 'TEXT' (delimiter E'\\t' null 's.t') ENCODING 'UTF8';",
		"ALTER TABLE s.t SET SUBPARTITION TEMPLATE (SUBPARTITION a VALUES('s') WITH (tablename='t'));":                                                               "ALTER TABLE n.t SET SUBPARTITION TEMPLATE (SUBPARTITION a VALUES('s') WITH (tablename='t'));",
	} {
		if want == "" {
			want = sql
		}
		got := renameIn(sql, &archive.Entry{Name: "t"}, map[string]string{"s": "n"})
		if diff := cmp.Diff(want, got.sql); diff != "" || len(got.doubts)+len(got.left) > 0 {
			t.Errorf("%s: doubts %q, left %q, %s", sql, got.doubts, got.left, diff)
		}
	}
}

// What can't be told is refused, and what looks like a name and is data is reported.
func TestRedirectDoubts(t *testing.T) {
	for sql, part := range map[string]string{
		"CREATE VIEW v AS SELECT s.a FROM s.t;":                                                                "names the schema or a column",
		"CREATE VIEW v AS SELECT 1 FROM s.unknown s;":                                                          "names the schema or an alias",
		"CREATE VIEW v AS SELECT 1 FROM db.s.t;":                                                               "three parts",
		`CREATE VIEW v AS SELECT 1 FROM U&"\0073".t;`:                                                          "U&",
		"ALTER TABLE t ALTER a SET DEFAULT '{s.t}'::regclass[];":                                               "not redirected",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$SELECT 1 FROM s.t$$;":                               "its body",
		"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$BEGIN EXECUTE 'DROP TABLE S.t'; END$$;":         "its body",
		"CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS $$ # s\nreturn 1 $$;":                          "its body",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT format(''%I.t'', ''s'')';":                    "its body",
		`CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$SELECT 1 FROM U&"\0073".t$$;`:                       "its body",
		"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $x$BEGIN EXECUTE $$s.t$$; END$x$;":               "its body",
		"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $x$BEGIN EXECUTE $a1$DROP SCHEMA s$a1$; END$x$;": "its body",
		"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $x$BEGIN EXECUTE 'DO $$s.f();$$'; END$x$;":       "its body",
		"CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS $$s$$;":                                        "its body",
		`CREATE FUNCTION f() RETURNS int LANGUAGE sql AS E'SELECT \'s\'';`:                                     "its body",
	} {
		got := renameIn(sql, &archive.Entry{Name: "v"}, map[string]string{"s": "n"})
		if !strings.Contains(strings.Join(got.doubts, "; "), part) {
			t.Errorf("%s: doubts %q, want %q", sql, got.doubts, part)
		}
	}
	for _, sql := range []string{
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$SELECT 1 -- s.t\n FROM xs.t, sx.t, s_t /* s */$$;",
		"CREATE FUNCTION f() RETURNS int LANGUAGE plperl AS $x$ my $s = $a . \"$s\"; s$s; return $s; $x$;",
		"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.a > OLD.a THEN NEW.b := f(NEW.c, OLD.d); INSERT INTO x VALUES (NEW.*); RETURN NEW; END IF; END$$;",
	} {
		if got := renameIn(sql, &archive.Entry{}, map[string]string{"s": "n", "new": "x", "old": "y"}); len(got.doubts) > 0 {
			t.Errorf("%s: doubts %q", sql, got.doubts)
		}
	}
	for _, sql := range []string{
		"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN SELECT 1 FROM new.t; END$$;",
		"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$DECLARE v new.t%ROWTYPE; BEGIN END$$;",
		"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM new.f(1); END$$;",
		"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN SET search_path = new; END$$;",
		"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;",
	} {
		if got := renameIn(sql, &archive.Entry{}, map[string]string{"new": "x"}); len(got.doubts) == 0 {
			t.Errorf("%s: no doubts", sql)
		}
	}
	got := renameIn("CREATE TRIGGER a AFTER INSERT ON x.t EXECUTE FUNCTION s.f('s.t', 'x');", &archive.Entry{}, map[string]string{"s": "n"})
	if diff := cmp.Diff([]string{"'s.t'"}, got.left); diff != "" || len(got.doubts) > 0 {
		t.Errorf("left %s, doubts %q", diff, got.doubts)
	}
}

// Back and forth gives the bytes that were there; swapping twice does so, too.
func TestRedirectAndBack(t *testing.T) {
	forms := []string{
		"CREATE TABLE %s.t (a %s.x, b integer DEFAULT %s.f(1));\n", "CREATE VIEW o.v AS\n SELECT z.a,\n    %s.f(z.b) AS q\n   FROM (%s.t z\n     JOIN %s.u ON ((z.a OPERATOR(%s.+) u.b)));\n",
		"ALTER TABLE ONLY %s.t\n    ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES %s.u(b);\n", "COPY %s.t (a, b) FROM stdin;\n", "GRANT ALL ON SCHEMA %s TO r;\n",
		"CREATE POLICY p ON %s.t USING ((EXISTS ( SELECT 1\n   FROM %s.u\n  WHERE (u.a = t.a))));\n", "DROP FUNCTION %s.f(%s.t);\n",
		"CREATE TRIGGER g AFTER UPDATE ON %s.t FOR EACH ROW WHEN ((old.a IS DISTINCT FROM new.a)) EXECUTE FUNCTION %s.f();\n",
	}
	name := rapid.OneOf(rapid.StringMatching(`[a-z][a-z0-9_]{1,8}`), rapid.StringMatching(`[A-Za-z."'\\ ü=]{1,6}`))
	rapid.Check(t, func(t *rapid.T) {
		from, to := name.Draw(t, "from"), name.Draw(t, "to")
		taken := map[string]bool{"o": true, "z": true, "u": true, "t": true, "old": true, "new": true}
		if from == to || taken[from] || taken[to] {
			t.Skip()
		}
		var b strings.Builder
		for range rapid.IntRange(1, 4).Draw(t, "statements") {
			b.WriteString(rapid.SampledFrom(forms).Draw(t, "form"))
		}
		sql, want := strings.ReplaceAll(b.String(), "%s", quoteID(from)), strings.ReplaceAll(b.String(), "%s.", quoteID(to)+".")
		there := renameIn(sql, &archive.Entry{}, map[string]string{from: to})
		if len(there.doubts) > 0 || !strings.Contains(sql, "ON SCHEMA") && there.sql != want {
			t.Fatalf("%q: doubts %q, %q", sql, there.doubts, there.sql)
		}
		if back := renameIn(there.sql, &archive.Entry{}, map[string]string{to: from}); back.sql != sql {
			t.Fatalf("there %q, back %q, was %q", there.sql, back.sql, sql)
		}
		swap := map[string]string{from: to, to: from}
		if back := renameIn(renameIn(sql, &archive.Entry{}, swap).sql, &archive.Entry{}, swap); back.sql != sql {
			t.Fatalf("swapped twice: %q, was %q", back.sql, sql)
		}
	})
}

// FuzzRedirect: whatever the text, nothing but names and strings changes, and names only into what they are to be.
func FuzzRedirect(f *testing.F) {
	for _, sql := range []string{
		"CREATE VIEW s.v AS WITH s AS (SELECT s.a FROM s.t s) SELECT * FROM s;", "CREATE RULE r AS ON INSERT TO s.t WHERE (new.a > 1) DO ALSO (UPDATE s.t SET a.b = 1; SELECT 1);",
		"CREATE FUNCTION s.f(a s.t DEFAULT s.g()) RETURNS TABLE(x s.t) LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;", "((((s.t", "s.", ".s.*", "CREATE RULE",
		"MERGE INTO s.t USING (s.u) ON s.a WHEN", "INSERT INTO s.t WITH x AS (DELETE FROM s.u USING s.v) SELECT ROWS FROM (s.f(1) AS (a s.t))", "SELECT 's.t'::regclass[], ('s'::text)::regnamespace",
		"SET search_path TO 's', s", "CREATE FUNCTION f() AS $$s$$ LANGUAGE", "COMMENT ON COLUMN s.s.s.s IS 's'", "UPDATE s.t TABLESAMPLE s.f(", "OPERATOR(s.*)", `U&"s".t`,
		`""s.t`, `SET search_path TO "x"s"y",u&s`, `1."s".t`, `SELECT $"s"$.t, u&s.f(), "x"s"y"`, `SELECT 'x'$$s.t$$'y'::regclass, 'x'$$s.t$$::regclass`,
	} {
		f.Add(sql, true)
	}
	f.Fuzz(func(t *testing.T, sql string, std bool) {
		n := schemaNames{to: map[string]string{"s": "N 1", "b": "s"}, std: std, database: "db"}
		got := n.rename(sql, &archive.Entry{Name: "t", Kind: kindStatistics})
		before, after := lexSQL(sql, std), lexSQL(got.sql, std)
		if len(before) != len(after) {
			t.Fatalf("%d tokens became %d: %q, %q", len(before), len(after), sql, got.sql)
		}
		for i := range before {
			was, is := sql[before[i].from:before[i].to], got.sql[after[i].from:after[i].to]
			if was == is || before[i].kind == tokenString && after[i].kind == tokenString {
				continue
			}
			if to, ok := n.to[unquoteName(was)]; !ok || unquoteName(is) != to {
				t.Fatalf("%q became %q in %q", was, is, sql)
			}
		}
	})
}

func TestRedirectUsage(t *testing.T) {
	cat := &archive.Catalog{PgDumpVersion: "15.1", Entries: []archive.Entry{
		{ID: 1, Kind: "SCHEMA", Name: "a", Section: archive.SectionPreData, DDL: "CREATE SCHEMA a;\n", Drop: "DROP SCHEMA a;\n", Owner: "o"},
		{ID: 2, Kind: "SCHEMA", Name: "b", Section: archive.SectionPreData, DDL: "CREATE SCHEMA b;\n", Drop: "DROP SCHEMA b;\n", Owner: "o"},
		{ID: 3, Kind: "TABLE", Schema: "a", Name: "t", Section: archive.SectionPreData, DDL: "CREATE TABLE a.t ();\n", Drop: "DROP TABLE a.t;\n"},
		{ID: 4, Kind: "VIEW", Schema: "b", Name: "t", Section: archive.SectionPreData, DDL: "CREATE VIEW b.t AS SELECT 1 FROM a.t;\n", Drop: "DROP VIEW b.t;\n"},
		{ID: 5, Kind: "TABLE", Schema: "public", Name: "p", Section: archive.SectionPreData, DDL: "CREATE TABLE public.p ();\n", Drop: "DROP TABLE public.p;\n"},
	}}
	for _, c := range []struct {
		to   map[string]string
		part string
	}{
		{map[string]string{"nope": "x"}, "nothing in a schema nope"},
		{map[string]string{"a": "a"}, "itself"},
		{map[string]string{"pg_catalog": "x"}, "the server's own"},
		{map[string]string{"information_schema": "x"}, "the server's own"},
		{map[string]string{"a": "pg_x"}, "the server's own"},
		{map[string]string{"a": ""}, "empty"},
		{map[string]string{"a": strings.Repeat("x", 64)}, "63 bytes"},
		{map[string]string{"a": "b"}, "TABLE a.t and VIEW b.t"},
		{map[string]string{"a": "x", "b": "x"}, "TABLE a.t and VIEW b.t"},
	} {
		_, err := NewPlan(cat, PlanOptions{Redirect: c.to})
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%v: %v", c.to, err)
		}
	}
	if cat.Entries[2].DDL != "CREATE TABLE a.t ();\n" {
		t.Error("the archive's catalog was changed")
	}
}

// All that a plan carries out leads to the new schemas: swapped ones, drops too, and the schema that nothing else makes.
func TestRedirectPlan(t *testing.T) {
	cat := &archive.Catalog{PgDumpVersion: "15.1", ServerVersion: "15.1", Entries: []archive.Entry{
		{ID: 1, Kind: "SEARCHPATH", Section: archive.SectionPreData, DDL: "SELECT pg_catalog.set_config('search_path', '', false);\n"},
		{ID: 2, Kind: "SCHEMA", Name: "a", Section: archive.SectionPreData, DDL: "CREATE SCHEMA a;\n", Drop: "DROP SCHEMA a;\n", Owner: "o", Nulls: archive.NullSchema},
		{ID: 3, Kind: "SCHEMA", Name: "b", Section: archive.SectionPreData, DDL: "CREATE SCHEMA b;\n", Drop: "DROP SCHEMA b;\n", Owner: "o", Nulls: archive.NullSchema},
		{ID: 4, Kind: "TABLE", Schema: "a", Name: "t", Section: archive.SectionPreData, DDL: "CREATE TABLE a.t ();\n", Drop: "DROP TABLE a.t;\n", Owner: "o"},
		{ID: 5, Kind: "VIEW", Schema: "b", Name: "v", Section: archive.SectionPreData, DDL: "CREATE VIEW b.v AS SELECT 1 FROM a.t;\n", Drop: "DROP VIEW b.v;\n", Owner: "o"},
		{ID: 6, Kind: "TABLE", Schema: "public", Name: "p", Section: archive.SectionPreData, DDL: "CREATE TABLE public.p ();\n", Drop: "DROP TABLE public.p;\n", Owner: "o"},
	}}
	for i := range cat.Entries {
		cat.Entries[i].Nulls |= archive.NullTablespace
	}
	sql := func(o PlanOptions) string {
		t.Helper()
		p, err := NewPlan(cat, o)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		st := &State{}
		for _, d := range p.Drops(st) {
			b.WriteString(strings.Join(d.SQL, "\n"))
		}
		for _, s := range p.Steps {
			b.WriteString(strings.Join(p.Definition(st, s), "\n") + "\n")
		}
		return strings.Join(strings.Fields(b.String()), " ")
	}
	swapped := sql(PlanOptions{Redirect: map[string]string{"a": "b", "b": "a", "public": "pub"}, Clean: true, NoOwner: true, NoACL: true})
	want := "DROP TABLE pub.p; DROP VIEW a.v; DROP TABLE b.t; DROP SCHEMA a; DROP SCHEMA b; CREATE SCHEMA IF NOT EXISTS pub; CREATE SCHEMA IF NOT EXISTS b; " +
		"CREATE SCHEMA IF NOT EXISTS a; CREATE TABLE b.t (); CREATE VIEW a.v AS SELECT 1 FROM b.t; CREATE TABLE pub.p ();"
	if diff := cmp.Diff(want, swapped); diff != "" {
		t.Error(diff)
	}
	one := sql(PlanOptions{Redirect: map[string]string{"a": "n"}, Select: Selection{Tables: []string{"a.t"}}})
	if want := "CREATE SCHEMA IF NOT EXISTS n; CREATE TABLE n.t (); ALTER TABLE n.t OWNER TO o;"; one != want {
		t.Errorf("%s, want %s", one, want)
	}
	if got := sql(PlanOptions{Redirect: map[string]string{"b": "n"}, Select: Selection{Tables: []string{"a.t"}}}); strings.Contains(got, "n.") {
		t.Errorf("nothing selected is in the schema: %s", got)
	}
	public := sql(PlanOptions{Redirect: map[string]string{"public": "n"}})
	if !strings.Contains(public, "CREATE SCHEMA n AUTHORIZATION pg_database_owner; GRANT USAGE ON SCHEMA n TO PUBLIC;") || strings.Contains(public, "public") {
		t.Error(public)
	}
}

// Which tables' values may name schemas, in definitions of before 2018 and in those with names in quotes, too.
func TestRedirectRegCarriers(t *testing.T) {
	for _, c := range []struct {
		how     string
		entries []archive.Entry
		want    map[tableName]regNames
	}{
		{"the rows of views", []archive.Entry{
			{Kind: "TABLE", Schema: "s", Name: "t", DDL: "CREATE TABLE s.t (x s.v, y integer);\n"},
			{Kind: "VIEW", Schema: "s", Name: "v", DDL: "CREATE VIEW s.v AS\n SELECT a.oid::regclass AS r\n   FROM o.a;\n"},
			{Kind: "TABLE", Schema: "s", Name: "u", DDL: "CREATE TABLE s.u (v integer, x integer DEFAULT o.f('s.t'::regclass));\n"},
		}, map[tableName]regNames{{"s", "t"}: regDotted, {"s", "v"}: regDotted}},
		{"a view on one, and composite types", []archive.Entry{
			{Kind: "TYPE", Schema: "s", Name: "c", DDL: "CREATE TYPE s.c AS (\n\tn pg_catalog.regnamespace\n);\n"},
			{Kind: "MATERIALIZED VIEW", Schema: "s", Name: "m", DDL: "CREATE MATERIALIZED VIEW s.m AS\n SELECT ROW('s')::s.c AS c\n  WITH NO DATA;\n"},
			{Kind: "VIEW", Schema: "s", Name: "v", DDL: "CREATE VIEW s.v AS\n SELECT m.c\n   FROM (s.m\n     CROSS JOIN o.x);\n"},
			{Kind: "TABLE", Schema: "s", Name: "t", DDL: "CREATE TABLE s.t OF s.v;\n"},
		}, map[tableName]regNames{{"s", "c"}: regBare, {"s", "m"}: regBare, {"s", "v"}: regBare, {"s", "t"}: regBare}},
		{"multiranges", []archive.Entry{
			{Kind: "TABLE", Schema: "s", Name: "t", DDL: "CREATE TABLE s.t (x \"S\".\"M.R\");\n"},
			{Kind: "TYPE", Schema: "s", Name: "r", DDL: "CREATE TYPE s.r AS RANGE (\n    subtype = regclass,\n    multirange_type_name = \"S\".\"M.R\"\n);\n"},
			{Kind: "TYPE", Schema: "s", Name: "q", DDL: "CREATE TYPE s.q AS RANGE (\n    subtype = oid,\n    multirange_type_name = s.mq\n);\n"},
			{Kind: "TABLE", Schema: "s", Name: "u", DDL: "CREATE TABLE s.u (x s.mq);\n"},
		}, map[tableName]regNames{{"s", "t"}: regDotted, {"s", "r"}: regDotted, {"S", "M.R"}: regDotted}},
		{"before 2018", []archive.Entry{
			{Kind: "TABLE", Schema: "s", Name: "t", DDL: "CREATE TABLE t (\n    v integer,\n    x v\n);\n"},
			{Kind: "TABLE", Schema: "s", Name: "above", DDL: "CREATE TABLE above (\n    a integer\n)\nINHERITS (t);\n"},
			{Kind: "TABLE", Schema: "s", Name: "beside", DDL: "CREATE TABLE beside (\n    v integer,\n    t text\n);\n"},
			{Kind: "VIEW", Schema: "s", Name: "v", DDL: "CREATE VIEW v AS\n SELECT b.r\n   FROM (base b\n     JOIN o.x USING (i));\n"},
			{Kind: "TABLE", Schema: "s", Name: "base", DDL: "CREATE TABLE base (\n    i integer,\n    r regclass\n);\n"},
		}, map[tableName]regNames{{"s", "t"}: regDotted, {"s", "above"}: regDotted, {"s", "v"}: regDotted, {"s", "base"}: regDotted}},
	} {
		got := regCarriers(&archive.Catalog{Entries: c.entries}, true)
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(tableName{})); diff != "" {
			t.Errorf("%s: %s", c.how, diff)
		}
	}
}
