package pgdump

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// splitSQL divides a script into statements; what is left at the end without a semicolon is the last of them.
func splitSQL(in *input, std bool, wide wideEncoding) ([]string, error) {
	lx := &lexer{in: in, std: std, wide: wide}
	var all []string
	for {
		in.keep = in.offset()
		t := lx.next()
		if t.kind == sqlEnd {
			return all, in.err
		}
		if t.kind == sqlComment || t.kind == sqlBlock {
			continue
		}
		end := t
		for end.kind != sqlSemicolon && end.kind != sqlEnd {
			end = lx.next()
		}
		all = append(all, string(in.bytes(t.from, end.to)))
	}
}

// Statements end where psql ends them.
func TestSplitSQL(t *testing.T) {
	tests := []struct {
		sql  string
		off  bool // standard_conforming_strings
		want []string
	}{
		{"a; b;", false, []string{"a;", "b;"}},
		{"'a;''b;'; c", false, []string{"'a;''b;';", "c"}},
		{`'a\'; b`, false, []string{`'a\';`, "b"}},
		{`'a\'; b'; c`, true, []string{`'a\'; b';`, "c"}},
		{`E'a\'; b'; c`, false, []string{`E'a\'; b';`, "c"}},
		{"E'a'\n'b\\'; c'; d", false, []string{"E'a'\n'b\\'; c';", "d"}},
		{"E'a'\n -- c'\n\n'b\\'; c'; d", false, []string{"E'a'\n -- c'\n\n'b\\'; c';", "d"}},
		{"E'a' 'b\\'; c", false, []string{"E'a' 'b\\';", "c"}},
		{"B'1'\n'\\'; c", true, []string{"B'1'\n'\\';", "c"}},
		{`e'\\'; x'ab;'; b'1;'; n'a;'; U&'\;'; u&"a;"; c`, false, []string{`e'\\';`, "x'ab;';", "b'1;';", "n'a;';", `U&'\;';`, `u&"a;";`, "c"}},
		{`"a;""b;"; c`, false, []string{`"a;""b;";`, "c"}},
		{"$$a;$$; $x$ $$;$y$;$x$; $x1$;$x$;$x1$; b", false, []string{"$$a;$$;", "$x$ $$;$y$;$x$;", "$x1$;$x$;$x1$;", "b"}},
		{"a$b$; c$b$; $1; $1a;", false, []string{"a$b$;", "c$b$;", "$1;", "$1a;"}},
		{"1$$;$$; b", false, []string{"1$$;$$;", "b"}},
		{"$ä$;$ä$; b", false, []string{"$ä$;$ä$;", "b"}},
		{"a -- b;\n; /* c; /* d; */ e; */ f;", false, []string{"a -- b;\n;", "f;"}},
		{"a @--;\n; b - -; c", false, []string{"a @--;\n;", "b - -;", "c"}},
		{"CREATE RULE r AS ON DELETE TO t DO (a; b); c", false, []string{"CREATE RULE r AS ON DELETE TO t DO (a; b);", "c"}},
		{")); a;", false, []string{"));", "a;"}},
		{
			"CREATE FUNCTION f() BEGIN ATOMIC a; SELECT CASE WHEN b THEN c END; END; d;", false,
			[]string{"CREATE FUNCTION f() BEGIN ATOMIC a; SELECT CASE WHEN b THEN c END; END;", "d;"},
		},
		{
			"create or replace procedure p() begin atomic case a end; end; d;", false,
			[]string{"create or replace procedure p() begin atomic case a end; end;", "d;"},
		},
		{"CREATE FUNCTION begin() RETURNS int; b;", false, []string{"CREATE FUNCTION begin() RETURNS int;", "b;"}},
		{"BEGIN ATOMIC; b;", false, []string{"BEGIN ATOMIC;", "b;"}},
		{"CREATE TABLE f (begin atomic; a); b;", false, []string{"CREATE TABLE f (begin atomic; a);", "b;"}},
	}
	for _, tt := range tests {
		got, err := splitSQL(textInput([]byte(tt.sql)), !tt.off, narrow)
		if err != nil {
			t.Errorf("%q: %v", tt.sql, err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%q:\n%s", tt.sql, d)
		}
	}
}

// Where bytes of one character look like quotes or backslashes, they are neither.
func TestSplitSQLWide(t *testing.T) {
	tests := []struct {
		wide wideEncoding
		sql  string
		want int
	}{
		{wideSJIS, "E'\x95\x5c'; a", 2}, // 表
		{narrow, "E'\x95\x5c'; a", 1},
		{wideSJIS, "E'\xb1\\'; a'; b", 2}, // ｱ has one byte
		{wideTwo, "E'\xa4\x5c'; a", 2},
		{wideGB18030, "E'\x81\x30\x81\x30'; a", 2},
		{wideGB18030, "E'\x81\x5c'; a", 2},
		{wideSJIS, "'\x95", 0}, // cut off within a character
	}
	for _, tt := range tests {
		got, err := splitSQL(textInput([]byte(tt.sql)), true, tt.wide)
		if tt.want == 0 || tt.wide == narrow {
			if err == nil {
				t.Errorf("%q has an end", tt.sql)
			}
			continue
		}
		if err != nil || len(got) != tt.want {
			t.Errorf("%q: %q, %v", tt.sql, got, err)
		}
	}
}

// slowReader gives a script in a window that never holds more than it must.
type slowReader struct{ b []byte }

func (r slowReader) ReadAt(p []byte, at int64) (int, error) {
	n := copy(p, r.b[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// However far apart the parts of a statement are, it is divided as in memory.
func TestSplitSQLWindow(t *testing.T) {
	parts := []string{
		"a", ";", "'x;'", "E'\\''", "$$;$$", "$t$ $$ $t$", "\"n;\"", "-- c;\n", "/* ; */", "(", ")", "1", " ", "\n", "'", "U&'x'",
		"CREATE FUNCTION f() BEGIN ATOMIC a; END;", strings.Repeat("y", 60<<10), "'" + strings.Repeat("z;", 500<<10) + "'",
		"$q$" + strings.Repeat("w;$", 400<<10) + "$q$", strings.Repeat(" ", 900<<10), "/*" + strings.Repeat("*", 900<<10) + "*/",
	}
	rapid.Check(t, func(t *rapid.T) {
		var sql []byte
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(parts)-1), 1, 12).Draw(t, "parts") {
			sql = append(sql, parts[i]...)
		}
		want, wantErr := splitSQL(textInput(sql), true, narrow)
		got, err := splitSQL(newInput(slowReader{sql}, 0, int64(len(sql)), nil), true, narrow)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v and %v", err, wantErr)
		}
		if err == nil && cmp.Diff(want, got) != "" {
			t.Fatalf("%d statements and %d", len(want), len(got))
		}
	})
}

// Names, kinds and what removes an object are taken from its statement.
func TestIdentify(t *testing.T) {
	tests := []struct{ sql, kind, name, table, drop string }{
		{`CREATE TABLE s.t (a int)`, "TABLE", "s.t", "", "DROP TABLE s.t;\n"},
		{`CREATE UNLOGGED TABLE "S.x"."T""y" ()`, "TABLE", `S.x.T"y`, "", `DROP TABLE "S.x"."T""y";` + "\n"},
		{`CREATE TABLE t AS SELECT 1`, "", "", "", ""},
		{`CREATE FOREIGN TABLE s.t (a int) SERVER x`, "FOREIGN TABLE", "s.t", "", "DROP FOREIGN TABLE s.t;\n"},
		{`CREATE WRITABLE EXTERNAL WEB TABLE s.t (a int)`, "EXTERNAL TABLE", "s.t", "", "DROP EXTERNAL TABLE s.t;\n"},
		{`CREATE OR REPLACE VIEW S.V AS SELECT 1`, "VIEW", "s.v", "", "DROP VIEW S.V;\n"},
		{`CREATE UNIQUE INDEX "i i" ON ONLY "S"."T" USING btree (a)`, "INDEX", "S.i i", "S.T", `DROP INDEX "S"."i i";` + "\n"},
		{`CREATE TYPE s.t (INPUT = f)`, "TYPE", "s.t", "", "DROP TYPE s.t CASCADE;\n"},
		{`CREATE TYPE s.t AS (a int)`, "TYPE", "s.t", "", "DROP TYPE s.t;\n"},
		{`CREATE FUNCTION s.f(a int DEFAULT f(1, 2), VARIADIC b text[] DEFAULT 'x, DEFAULT') RETURNS int`, "FUNCTION", "s.f", "", "DROP FUNCTION s.f(a int, VARIADIC b text[]);\n"},
		{`CREATE AGGREGATE s.a(int ORDER BY text) (SFUNC = f)`, "AGGREGATE", "s.a", "", "DROP AGGREGATE s.a(int ORDER BY text);\n"},
		{`CREATE OPERATOR s.<%> (FUNCTION = f, RIGHTARG = numeric(1,2))`, "OPERATOR", "s.<%>", "", "DROP OPERATOR s.<%> (NONE, numeric(1,2));\n"},
		{`CREATE OPERATOR CLASS s.c DEFAULT FOR TYPE int USING btree AS STORAGE int`, "OPERATOR CLASS", "s.c", "", "DROP OPERATOR CLASS s.c USING btree;\n"},
		{`CREATE CAST (int AS s.t) WITH INOUT`, "CAST", ".", "", "DROP CAST (int AS s.t);\n"},
		{`CREATE TRANSFORM FOR bigint LANGUAGE sql (x)`, "TRANSFORM", ".", "", "DROP TRANSFORM FOR bigint LANGUAGE sql;\n"},
		{`CREATE CONSTRAINT TRIGGER "t t" AFTER UPDATE OF a ON s.t FROM s.u EXECUTE FUNCTION f()`, "TRIGGER", ".t t", "s.t", `DROP TRIGGER "t t" ON s.t;` + "\n"},
		{`CREATE RULE r AS ON INSERT TO s.t DO INSTEAD NOTHING`, "RULE", ".r", "s.t", "DROP RULE r ON s.t;\n"},
		{`CREATE POLICY p ON s.t USING (true)`, "POLICY", ".p", "s.t", "DROP POLICY p ON s.t;\n"},
		{`CREATE USER MAPPING FOR "U u" SERVER s OPTIONS (a 'b')`, "USER MAPPING", ".", "", `DROP USER MAPPING FOR "U u" SERVER s;` + "\n"},
		{`CREATE TRUSTED PROCEDURAL LANGUAGE l HANDLER h`, "PROCEDURAL LANGUAGE", ".l", "", "DROP PROCEDURAL LANGUAGE l;\n"},
		{`CREATE STATISTICS s.x ON a, b FROM s.t`, "STATISTICS", "s.x", "s.t", "DROP STATISTICS s.x;\n"},
		{`ALTER TABLE ONLY s.t ADD CONSTRAINT c PRIMARY KEY (a)`, "CONSTRAINT", ".c", "s.t", "ALTER TABLE ONLY s.t DROP CONSTRAINT c;\n"},
		{`ALTER TABLE s.t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES s.u(b)`, "FK CONSTRAINT", ".c", "s.t", "ALTER TABLE s.t DROP CONSTRAINT c;\n"},
		{`ALTER DOMAIN s.d ADD CONSTRAINT c CHECK (true)`, "CHECK CONSTRAINT", "s.c", "", "ALTER DOMAIN s.d DROP CONSTRAINT c;\n"},
		{`ALTER TABLE ONLY s.t ALTER COLUMN a SET DEFAULT 1`, "DEFAULT", ".a", "s.t", "ALTER TABLE s.t ALTER COLUMN a DROP DEFAULT;\n"},
		{`ALTER TABLE s.t ALTER COLUMN a ADD GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME s.q START 1)`, "SEQUENCE", "s.q", "s.t", "DROP SEQUENCE s.q;\n"},
		{`ALTER TABLE ONLY s.p ATTACH PARTITION s.c DEFAULT`, "TABLE ATTACH", "s.c", "s.c", ""},
		{`ALTER SEQUENCE s.q OWNED BY s.t.a`, "SEQUENCE OWNED BY", "s.q", "s.t", ""},
		{`ALTER PUBLICATION p ADD TABLE ONLY s.t`, "PUBLICATION TABLE", ".p", "s.t", ""},
		{`SELECT pg_catalog.setval('s."Q q"', 1, true)`, "SEQUENCE SET", "s.Q q", "", ""},
		{`SELECT pg_catalog.lo_create('7')`, "BLOB", ".7", "", "SELECT pg_catalog.lo_unlink('7');\n"},
		{`GRANT SELECT ON TABLE s.t TO x`, "ACL", ".", "", ""},
		{`DROP TABLE s.t`, "", "", "", ""},
	}
	for _, tt := range tests {
		o := identify([]byte(tt.sql), true, narrow)
		d := draft{obj: o, first: true}
		name := o.name.schema + "." + o.name.name
		table := ""
		if o.table.name != "" {
			table = o.table.schema + "." + o.table.name
		}
		drop := d.dropStatement(o.kind)
		if o.kind == "SEQUENCE" && drop == "" {
			drop = "DROP " + o.named + ";\n" // left out for an identity column
		}
		if o.kind != tt.kind || name != tt.name && tt.name != "" || table != tt.table || drop != tt.drop {
			t.Errorf("%s:\n%q %q %q %q", tt.sql, o.kind, name, table, drop)
		}
	}
}

func TestDecodeBytea(t *testing.T) {
	for text, want := range map[string]string{
		`\x0061ff`: "\x00a\xff", `a\\b`: `a\b`, `\000\377x`: "\x00\xffx", "": "", `\x`: "",
	} {
		if got, ok := decodeBytea([]byte(text)); !ok || string(got) != want {
			t.Errorf("%q: %q, %v", text, got, ok)
		}
	}
	for _, text := range []string{`\x0`, `\xzz`, `\`, `\9`, `\40`, `\400`, `\88a`} {
		if got, ok := decodeBytea([]byte(text)); ok {
			t.Errorf("%q: %q", text, got)
		}
	}
}
