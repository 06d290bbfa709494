package gpbackup

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

func check(t *testing.T, s *Set, want []string) {
	t.Helper()
	if d := cmp.Diff(want, show(s.cat.Entries)); d != "" {
		t.Error(d)
	}
}

// Objects of the same name in the table of contents were one entry, with the definitions of all and the owner of one.
func TestSameNames(t *testing.T) {
	s := (&madeSet{
		version: "1.30.3",
		pre: []madePiece{
			{"SCHEMA", "s", "s", "", "CREATE SCHEMA s;"},
			{"TYPE", "s", "t", "", "CREATE TYPE s.t;\n"},
			{"FUNCTION", "s", "t_in(cstring)", "", "CREATE FUNCTION s.t_in(cstring) RETURNS s.t AS\n$$ a; b $$\nLANGUAGE c;"},
			{"FUNCTION", "s", "t_in(cstring)", "", "ALTER FUNCTION s.t_in(cstring) OWNER TO ann;"},
			{"FUNCTION", "s", "t_in(cstring, integer)", "", "CREATE FUNCTION s.t_in(cstring, integer) RETURNS s.t AS\n$$ a $$\nLANGUAGE c;"},
			{"FUNCTION", "s", "t_in(cstring, integer)", "", "ALTER FUNCTION s.t_in(cstring, integer) OWNER TO bob;"},
			{"TYPE", "s", "t", "", "CREATE TYPE s.t (\n\tINPUT = s.t_in\n);"},
			{"TYPE", "s", "t", "", "COMMENT ON TYPE s.t IS 'of; it';"},
			{"TYPE", "s", "t", "", "ALTER TYPE s.t OWNER TO ann;"},
			{"OPERATOR", "s", "=", "", "CREATE OPERATOR s.= (\n\tPROCEDURE = f,\n\tLEFTARG = integer\n);"},
			{"OPERATOR", "s", "=", "", "ALTER OPERATOR s.= (integer, NONE) OWNER TO ann;"},
			{"OPERATOR", "s", "=", "", "CREATE OPERATOR s.= (\n\tPROCEDURE = f,\n\tLEFTARG = text\n);"},
			{"OPERATOR", "s", "=", "", "ALTER OPERATOR s.= (text, NONE) OWNER TO bob;"},
			{"OPERATOR FAMILY", "s", "f", "", "CREATE OPERATOR FAMILY s.f USING hash;"},
			{"OPERATOR FAMILY", "s", "f", "", "ALTER OPERATOR FAMILY s.f USING hash OWNER TO ann;"},
			{"OPERATOR FAMILY", "s", "f", "", "CREATE OPERATOR FAMILY s.f USING btree;"},
			{"OPERATOR FAMILY", "s", "f", "", "ALTER OPERATOR FAMILY s.f USING btree OWNER TO bob;"},
			{"AGGREGATE", "s", "a(integer)", "", "CREATE AGGREGATE s.a(integer) (\n\tSFUNC = f\n);\n"},
			{"AGGREGATE", "s", "a(integer)", "", "ALTER AGGREGATE s.a(integer) OWNER TO ann;"},
			{"TABLE", "s", "x", "", "CREATE TABLE s.x (\n\ta integer\n) DISTRIBUTED BY (a);"},
			{"TABLE", "s", "x", "", "ALTER TABLE s.x OWNER TO ann;"},
			{"TABLE", "s", "x", "", "GRANT SELECT ON TABLE s.x TO bob;"},
			{"TABLE", "s", "x", "", "GRANT UPDATE (a) ON TABLE s.x TO bob;"},
			{"TABLE", "s", "y", "", "CREATE TABLE s.y (\n\ta integer\n) DISTRIBUTED BY (a);"},
		},
		post: []madePiece{
			{"CONSTRAINT", "s", "c", "s.x", "ALTER TABLE s.x ADD CONSTRAINT c CHECK (a > 1);"},
			{"CONSTRAINT METADATA", "s", "c", "s.c", "COMMENT ON CONSTRAINT c ON s.x IS 'x';"},
			{"CONSTRAINT", "s", "c", "s.y", "ALTER TABLE s.y ADD CONSTRAINT c CHECK (a > 2);"},
			{"CONSTRAINT METADATA", "s", "c", "s.c", "COMMENT ON CONSTRAINT c ON s.y IS 'y';"},
			{"TRIGGER", "s", "t", "s.x", "CREATE TRIGGER t BEFORE INSERT ON s.x EXECUTE PROCEDURE f();"},
			{"TRIGGER", "s", "t", "s.y", "CREATE TRIGGER t BEFORE INSERT ON s.y EXECUTE PROCEDURE f();"},
			{"TRIGGER METADATA", "s", "t", "s.t", "COMMENT ON TRIGGER t ON s.y IS 'y';"},
			{"RULE", "s", "r", "s.x", "CREATE RULE r AS ON INSERT TO s.x DO (SELECT 1; SELECT 2);"},
			{"RULE", "s", "r", "s.y", "CREATE RULE r AS ON INSERT TO s.y DO (SELECT 1; SELECT 3);"},
			{"POLICY", "s", "x", "s.x", "ALTER TABLE s.x ENABLE ROW LEVEL SECURITY;"},
			{"POLICY", "s", "x", "s.x", "\nCREATE POLICY \"p 1\"\nON s.x\n USING (true);\n"},
			{"POLICY METADATA", "s", "x", "s.x", "COMMENT ON POLICY \"p 1\" ON s.x IS 'one';"},
			{"POLICY", "s", "x", "s.x", "ALTER TABLE s.x ENABLE ROW LEVEL SECURITY;"},
			{"POLICY", "s", "x", "s.x", "\nCREATE POLICY p2\nON s.x\n USING (false);\n"},
			{"INDEX", "s", "i", "s.x", "CREATE INDEX i ON s.x USING btree (a);"},
			{"INDEX METADATA", "s", "i", "s.i", "ALTER TABLE s.x CLUSTER ON i;"},
			{"INDEX METADATA", "s", "i", "s.i", "ALTER INDEX s.top ATTACH PARTITION s.i;"},
			{"INDEX", "s", "top", "s.y", "CREATE INDEX top ON s.y USING btree (a);"},
			{"DEFAULT PRIVILEGES", "s", "", "", "ALTER DEFAULT PRIVILEGES FOR ROLE ann IN SCHEMA s REVOKE ALL ON TABLES FROM PUBLIC;"},
			{"DEFAULT PRIVILEGES", "s", "", "", "ALTER DEFAULT PRIVILEGES FOR ROLE bob IN SCHEMA s REVOKE ALL ON TYPES FROM PUBLIC;"},
		},
	}).open(t)
	check(t, s, []string{
		"SCHEMA||s||DROP SCHEMA s;|CREATE SCHEMA s;",
		"SHELL TYPE|s|t|||CREATE TYPE s.t;",
		"FUNCTION|s|t_in(cstring)|ann|DROP FUNCTION s.t_in(cstring);|CREATE FUNCTION s.t_in(cstring) RETURNS s.t AS$$ a; b $$LANGUAGE c;",
		"FUNCTION|s|t_in(cstring, integer)|bob|DROP FUNCTION s.t_in(cstring, integer);|" +
			"CREATE FUNCTION s.t_in(cstring, integer) RETURNS s.t AS$$ a $$LANGUAGE c;",
		"TYPE|s|t|ann|DROP TYPE s.t;|CREATE TYPE s.t (\tINPUT = s.t_in);",
		"COMMENT|s|TYPE t|ann||COMMENT ON TYPE s.t IS 'of; it';",
		"OPERATOR|s|=|ann|DROP OPERATOR s.= (integer, NONE);|CREATE OPERATOR s.= (\tPROCEDURE = f,\tLEFTARG = integer);",
		"OPERATOR|s|=|bob|DROP OPERATOR s.= (text, NONE);|CREATE OPERATOR s.= (\tPROCEDURE = f,\tLEFTARG = text);",
		"OPERATOR FAMILY|s|f|ann|DROP OPERATOR FAMILY s.f USING hash;|CREATE OPERATOR FAMILY s.f USING hash;",
		"OPERATOR FAMILY|s|f|bob|DROP OPERATOR FAMILY s.f USING btree;|CREATE OPERATOR FAMILY s.f USING btree;",
		"AGGREGATE|s|a(integer)|ann|DROP AGGREGATE s.a(integer);|CREATE AGGREGATE s.a(integer) (\tSFUNC = f);",
		"TABLE|s|x|ann|DROP TABLE s.x;|CREATE TABLE s.x (\ta integer) DISTRIBUTED BY (a);",
		"ACL|s|TABLE x|ann||GRANT SELECT ON TABLE s.x TO bob;GRANT UPDATE (a) ON TABLE s.x TO bob;",
		"TABLE|s|y||DROP TABLE s.y;|CREATE TABLE s.y (\ta integer) DISTRIBUTED BY (a);",
		"CHECK CONSTRAINT|s|x c||ALTER TABLE ONLY s.x DROP CONSTRAINT c;|ALTER TABLE s.x ADD CONSTRAINT c CHECK (a > 1);",
		"COMMENT|s|CONSTRAINT c ON x|||COMMENT ON CONSTRAINT c ON s.x IS 'x';",
		"CHECK CONSTRAINT|s|y c||ALTER TABLE ONLY s.y DROP CONSTRAINT c;|ALTER TABLE s.y ADD CONSTRAINT c CHECK (a > 2);",
		"COMMENT|s|CONSTRAINT c ON y|||COMMENT ON CONSTRAINT c ON s.y IS 'y';",
		"TRIGGER|s|x t||DROP TRIGGER t ON s.x;|CREATE TRIGGER t BEFORE INSERT ON s.x EXECUTE PROCEDURE f();",
		"TRIGGER|s|y t||DROP TRIGGER t ON s.y;|CREATE TRIGGER t BEFORE INSERT ON s.y EXECUTE PROCEDURE f();",
		"COMMENT|s|TRIGGER t ON y|||COMMENT ON TRIGGER t ON s.y IS 'y';",
		"RULE|s|x r||DROP RULE r ON s.x;|CREATE RULE r AS ON INSERT TO s.x DO (SELECT 1; SELECT 2);",
		"RULE|s|y r||DROP RULE r ON s.y;|CREATE RULE r AS ON INSERT TO s.y DO (SELECT 1; SELECT 3);",
		"ROW SECURITY|s|x|||ALTER TABLE s.x ENABLE ROW LEVEL SECURITY;",
		`POLICY|s|x p 1||DROP POLICY "p 1" ON s.x;|CREATE POLICY "p 1"ON s.x USING (true);`,
		`COMMENT|s|POLICY p 1 ON x|||COMMENT ON POLICY "p 1" ON s.x IS 'one';`,
		"POLICY|s|x p2||DROP POLICY p2 ON s.x;|CREATE POLICY p2ON s.x USING (false);",
		"INDEX|s|i||DROP INDEX s.i;|CREATE INDEX i ON s.x USING btree (a);ALTER TABLE s.x CLUSTER ON i;",
		"INDEX ATTACH|s|i|||ALTER INDEX s.top ATTACH PARTITION s.i;",
		"INDEX|s|top||DROP INDEX s.top;|CREATE INDEX top ON s.y USING btree (a);",
		"DEFAULT ACL|s|DEFAULT PRIVILEGES FOR TABLES|ann||ALTER DEFAULT PRIVILEGES FOR ROLE ann IN SCHEMA s REVOKE ALL ON TABLES FROM PUBLIC;",
		"DEFAULT ACL|s|DEFAULT PRIVILEGES FOR TYPES|bob||ALTER DEFAULT PRIVILEGES FOR ROLE bob IN SCHEMA s REVOKE ALL ON TYPES FROM PUBLIC;",
	})
	if e := find(t, s, "INDEX ATTACH", "i"); !slices.Equal(e.Deps, []int32{find(t, s, "INDEX", "i").ID, find(t, s, "INDEX", "top").ID}) {
		t.Errorf("an index is attached with dependencies %v", e.Deps)
	}
}

// Owners were lost of what has no plain DROP statement, which who restores takes for nothing that has an owner, and of names
// with words in them.
func TestOwners(t *testing.T) {
	var m madeSet
	m.version = "1.30.3"
	var want []string
	for _, x := range []struct{ of, schema, name, object, create, kind, tag string }{
		{"OPERATOR CLASS", "s", "c", "OPERATOR CLASS s.c USING btree", "CREATE OPERATOR CLASS s.c\n\tFOR TYPE integer", "OPERATOR CLASS", "c"},
		{"OPERATOR FAMILY", "s", "f", "OPERATOR FAMILY s.f USING btree", "CREATE OPERATOR FAMILY s.f USING btree", "OPERATOR FAMILY", "f"},
		{"OPERATOR", "s", "#>", `OPERATOR "s".#> (NONE, text)`, `CREATE OPERATOR "s".#> (PROCEDURE = f)`, "OPERATOR", "#>"},
		{"TEXT SEARCH DICTIONARY", "s", "d", "TEXT SEARCH DICTIONARY s.d", "CREATE TEXT SEARCH DICTIONARY s.d (\n\tTEMPLATE = x\n)", "TEXT SEARCH DICTIONARY", "d"},
		{"TEXT SEARCH CONFIGURATION", "s", "c", "TEXT SEARCH CONFIGURATION s.c", "CREATE TEXT SEARCH CONFIGURATION s.c (\n\tPARSER = x\n)", "TEXT SEARCH CONFIGURATION", "c"},
		{"FOREIGN DATA WRAPPER", "", "w", "FOREIGN DATA WRAPPER w", "CREATE FOREIGN DATA WRAPPER w", "FOREIGN DATA WRAPPER", "w"},
		{"FOREIGN SERVER", "", "srv", "SERVER srv", "CREATE SERVER srv\n\tFOREIGN DATA WRAPPER w", "SERVER", "srv"},
		{"LANGUAGE", "", "pl", "LANGUAGE pl", "CREATE OR REPLACE PROCEDURAL LANGUAGE pl", "PROCEDURAL LANGUAGE", "pl"},
		{"PROTOCOL", "", "p", "PROTOCOL p", "CREATE PROTOCOL p (readfunc = f)", "PROTOCOL", "p"},
		{"COLLATION", "s", "coll", "COLLATION s.coll", "CREATE COLLATION s.coll (LC_COLLATE = 'C')", "COLLATION", "coll"},
		{"CONVERSION", "s", "conv", "CONVERSION s.conv", "CREATE CONVERSION s.conv FOR 'UTF8' TO 'LATIN1' FROM f", "CONVERSION", "conv"},
		{"DOMAIN", "s", "dom", "DOMAIN s.dom", "CREATE DOMAIN s.dom AS integer", "DOMAIN", "dom"},
		{"TYPE", "s", "ty", "TYPE s.ty", "CREATE TYPE s.ty AS ENUM ('a')", "TYPE", "ty"},
		{"AGGREGATE", "s", "agg(*)", "AGGREGATE s.agg(*)", "CREATE AGGREGATE s.agg(*) (SFUNC = f)", "AGGREGATE", "agg(*)"},
		{"FUNCTION", "s", "fn(integer)", "FUNCTION s.fn(integer)", "CREATE FUNCTION s.fn(integer) RETURNS integer AS $$ ALTER TABLE x OWNER TO y; $$ LANGUAGE sql", "FUNCTION", "fn(integer)"},
		{"FUNCTION", "s", "pr()", "PROCEDURE s.pr()", "CREATE PROCEDURE s.pr() AS $$ $$ LANGUAGE sql", "PROCEDURE", "pr()"},
		{"VIEW", "s", "v", "VIEW s.v", "CREATE VIEW s.v AS  SELECT 1", "VIEW", "v"},
		{"SEQUENCE", "s", "seq", "TABLE s.seq", "CREATE SEQUENCE s.seq", "SEQUENCE", "seq"},
		{"MATERIALIZED VIEW", "s", "m", "MATERIALIZED VIEW s.m", "CREATE MATERIALIZED VIEW s.m AS  SELECT 1", "MATERIALIZED VIEW", "m"},
		{"FOREIGN TABLE", "s", "ft", "FOREIGN TABLE s.ft", "CREATE FOREIGN TABLE s.ft (\n\ta integer\n) SERVER srv", "FOREIGN TABLE", "ft"},
		{"TABLE", "s", "ext", "TABLE s.ext", "CREATE READABLE EXTERNAL TABLE s.ext (\n\ta integer\n) LOCATION ('x')", "EXTERNAL TABLE", "ext"},
		{"SCHEMA", "sc", "sc", "SCHEMA sc", "CREATE SCHEMA sc", "SCHEMA", "sc"},
		{"TABLE", "s", `"a OWNER TO b"`, `TABLE s."a OWNER TO b"`, "CREATE TABLE s.\"a OWNER TO b\" (\n)", "TABLE", "a OWNER TO b"},
	} {
		m.pre = append(m.pre, madePiece{x.of, x.schema, x.name, "", x.create + ";"},
			madePiece{x.of, x.schema, x.name, "", "ALTER " + x.object + ` OWNER TO "the OWNER TO be";`})
		want = append(want, x.kind+" "+x.tag)
	}
	m.post = []madePiece{
		{"EVENT TRIGGER", "", "e", "", "CREATE EVENT TRIGGER e\nON ddl_command_start\nEXECUTE PROCEDURE f();"},
		{"EVENT TRIGGER METADATA", "", "e", "e", "ALTER EVENT TRIGGER e DISABLE;"},
		{"EVENT TRIGGER METADATA", "", "e", "e", `ALTER EVENT TRIGGER e OWNER TO "the OWNER TO be";`},
		{"STATISTICS", "s", "st", "s.ft", "CREATE STATISTICS s.st ON a FROM s.ft;"},
		{"STATISTICS METADATA", "s", "st", "s.st", `ALTER STATISTICS s.st OWNER TO "the OWNER TO be";`},
	}
	m.global = []madePiece{
		{"DATABASE", "", "db", "", "CREATE DATABASE db TEMPLATE template0;"},
		{"DATABASE METADATA", "", "db", "", `ALTER DATABASE db OWNER TO "the OWNER TO be";`},
		{"DATABASE GUC", "", "db", "", "ALTER DATABASE db SET work_mem TO '1MB';"},
	}
	want = append(want, "EVENT TRIGGER e", "STATISTICS st", "DATABASE db")
	s := m.open(t)
	for _, w := range want {
		kind, name := w, ""
		for _, e := range s.cat.Entries {
			if w == e.Kind+" "+e.Name {
				kind, name = e.Kind, e.Name
			}
		}
		e := find(t, s, kind, name)
		if e.Owner != "the OWNER TO be" || e.Nulls&archive.NullOwner != 0 {
			t.Errorf("owner of %s: %q", w, e.Owner)
		}
		if e.Drop == "" || strings.Contains(e.DDL, "OWNER TO be") {
			t.Errorf("%s: drop %q, definition %q", w, e.Drop, e.DDL)
		}
	}
	if e := find(t, s, "EVENT TRIGGER", "e"); !strings.HasSuffix(e.DDL, "();\nALTER EVENT TRIGGER e DISABLE;\n") {
		t.Errorf("%q", e.DDL)
	}
	if e := find(t, s, "DATABASE PROPERTIES", "db"); e.DDL != "ALTER DATABASE db SET work_mem TO '1MB';\n" {
		t.Errorf("%q", e.DDL)
	}
}

// Before gpbackup 1.9 one piece had the definition and all that is about it. It all was the definition, and foreign keys
// came before the rows.
func TestOldPieces(t *testing.T) {
	m := &madeSet{
		version: "1.8.2", segments: 1,
		pre: []madePiece{
			{"PROCEDURAL LANGUAGE", "", "pl", "", "CREATE PROCEDURAL LANGUAGE pl HANDLER h;\nALTER FUNCTION h() OWNER TO ann;\n\n\nALTER LANGUAGE pl OWNER TO bob;"},
			{"EXTENSION", "", "x", "", "SET search_path=s,pg_catalog;\nCREATE EXTENSION IF NOT EXISTS x WITH SCHEMA s;\nSET search_path=pg_catalog;"},
			{"TABLE", "s", "a", "", "CREATE TABLE s.a (\n\ti integer\n) DISTRIBUTED BY (i);\n\n\nCOMMENT ON TABLE s.a IS 'x';\n\n\nALTER TABLE s.a OWNER TO ann;\n" +
				"\n\nREVOKE ALL ON TABLE s.a FROM PUBLIC;\nGRANT ALL ON TABLE s.a TO ann;\n\nCOMMENT ON COLUMN s.a.i IS 'y';"},
			{"SEQUENCE", "s", "q", "s.a", "CREATE SEQUENCE s.q;\n\nSELECT pg_catalog.setval('s.q', 3, true);\n\n\nALTER TABLE s.q OWNER TO ann;"},
			{"CONSTRAINT", "s", "a_fk", "s.a", "ALTER TABLE ONLY s.a ADD CONSTRAINT a_fk FOREIGN KEY (i) REFERENCES s.a(i);\n\n\nCOMMENT ON CONSTRAINT a_fk ON s.a IS 'k';"},
			{"CONSTRAINT", "s", "a_pk", "s.a", "ALTER TABLE ONLY s.a ADD CONSTRAINT a_pk PRIMARY KEY (i);"},
		},
		tables: []madeTable{{"a", "(i)", ", rowscopied: 1", []string{"1\n"}}},
	}
	check(t, m.open(t), []string{
		"PROCEDURAL LANGUAGE||pl|bob|DROP PROCEDURAL LANGUAGE pl;|CREATE PROCEDURAL LANGUAGE pl HANDLER h;",
		"PROCEDURAL LANGUAGE||FUNCTION h()|||ALTER FUNCTION h() OWNER TO ann;",
		"EXTENSION||x||DROP EXTENSION x;|CREATE EXTENSION IF NOT EXISTS x WITH SCHEMA s;",
		"TABLE|s|a|ann|DROP TABLE s.a;|CREATE TABLE s.a (\ti integer) DISTRIBUTED BY (i);",
		"COMMENT|s|TABLE a|ann||COMMENT ON TABLE s.a IS 'x';COMMENT ON COLUMN s.a.i IS 'y';",
		"ACL|s|TABLE a|ann||REVOKE ALL ON TABLE s.a FROM PUBLIC;GRANT ALL ON TABLE s.a TO ann;",
		"SEQUENCE|s|q|ann|DROP SEQUENCE s.q;|CREATE SEQUENCE s.q;",
		"CONSTRAINT|s|a a_pk||ALTER TABLE ONLY s.a DROP CONSTRAINT a_pk;|ALTER TABLE ONLY s.a ADD CONSTRAINT a_pk PRIMARY KEY (i);",
		"TABLE DATA|s|a|ann||",
		"SEQUENCE SET|s|q|ann||SELECT pg_catalog.setval('s.q', 3, true);",
		"FK CONSTRAINT|s|a a_fk||ALTER TABLE ONLY s.a DROP CONSTRAINT a_fk;|ALTER TABLE ONLY s.a ADD CONSTRAINT a_fk FOREIGN KEY (i) REFERENCES s.a(i);",
		"COMMENT|s|CONSTRAINT a_fk ON a|||COMMENT ON CONSTRAINT a_fk ON s.a IS 'k';",
	})
}

// Pieces that overlap made a catalog of any size of a small file. Bytes of no piece were left out without a word.
func TestRanges(t *testing.T) {
	big := "CREATE TABLE s.a (\n\tb integer\n) DISTRIBUTED BY (b);" + strings.Repeat(" ", 100<<10)
	m := &madeSet{version: "1.30.3", pre: []madePiece{{"TABLE", "s", "a", "", big}}}
	x := toc{}
	for range 100_000 {
		x.PreData = append(x.PreData, metaEntry{Type: "TABLE", Schema: "s", Name: "a", End: int64(len(big))})
	}
	s := &Set{toc: &x, config: config{MetadataOnly: true}}
	if err := s.fill(newCatalogBuilder(big)); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "overlap") {
		t.Errorf("the same bytes many times: %v", err)
	}
	m.gap = "\n\nCREATE TABLE s.lost (\n);"
	s = m.open(t)
	problems, err := s.Structure(t.Context())
	if err != nil || len(problems) != 1 || problems[0].Offset != int64(2+len(big)+2) || !strings.Contains(problems[0].Message, "CREATE TABLE s.lost") {
		t.Errorf("bytes of no piece: %+v, %v", problems, err)
	}
	if !strings.Contains(strings.Join(s.desc.Warnings, ";"), "does not know") {
		t.Errorf("warnings %q", s.desc.Warnings)
	}
}

// What is of the cluster was left out.
func TestGlobals(t *testing.T) {
	s := (&madeSet{
		version: "1.30.3",
		global: []madePiece{
			{"SESSION GUCS", "", "", "", "SET client_encoding = 'UTF8';"},
			{"RESOURCE QUEUE", "", `"Q"`, "", `CREATE RESOURCE QUEUE "Q" WITH (ACTIVE_STATEMENTS=3);`},
			{"RESOURCE QUEUE", "", `"Q"`, "", `COMMENT ON RESOURCE QUEUE "Q" IS 'slow';`},
			{"RESOURCE GROUP", "", "g", "", "CREATE RESOURCE GROUP g WITH (CONCURRENCY=3);"},
			{"ROLE", "", "ann", "", "CREATE ROLE ann;\nALTER ROLE ann WITH LOGIN PASSWORD 'md5x;' RESOURCE QUEUE \"Q\" RESOURCE GROUP g;"},
			{"ROLE", "", "ann", "", "ALTER ROLE ann DENY BETWEEN DAY 1 TIME '1:00' AND DAY 2 TIME '2:00';"},
			{"ROLE", "", "ann", "", "COMMENT ON ROLE ann IS 'a';"},
			{"ROLE", "", `"b B"`, "", "CREATE ROLE \"b B\";\nALTER ROLE \"b B\" WITH NOLOGIN;"},
			{"ROLE GRANT", "", "ann", "", "GRANT \"b B\" TO ann WITH ADMIN OPTION GRANTED BY ann;"},
			{"TABLESPACE", "", "fast", "", "CREATE TABLESPACE fast LOCATION '/fast'\n\tWITH (content0='/a');"},
			{"TABLESPACE", "", "fast", "", "ALTER TABLESPACE fast SET (seq_page_cost=1);"},
			{"TABLESPACE", "", "fast", "", "ALTER TABLESPACE fast OWNER TO ann;"},
			{"TABLESPACE", "", "fast", "", "REVOKE ALL ON TABLESPACE fast FROM PUBLIC;\nGRANT ALL ON TABLESPACE fast TO \"b B\";"},
			{"DATABASE", "", "db", "", "CREATE DATABASE db TEMPLATE template0;"},
			{"ROLE GUCS", "", "ann", "", "ALTER ROLE ann SET search_path TO a, b;"},
			{"ROLE GUCS", "", "ann", "", "ALTER ROLE ann SET work_mem TO '1MB';"},
			{"ROLE GUCS", "", "ann", "", "ALTER ROLE ann IN DATABASE \"D\" SET work_mem TO '1MB';"},
		},
	}).open(t)
	var got []string
	for _, e := range s.cat.Entries {
		if e.Global() {
			got = append(got, fmt.Sprintf("%d %d|%s|%s|%v|%s", e.ID, e.TableOID, e.Kind, e.Name, e.Deps, strings.ReplaceAll(e.DDL, "\n", "~")))
		}
	}
	if d := cmp.Diff([]string{
		`1 0|RESOURCE QUEUE|Q|[]|CREATE RESOURCE QUEUE "Q" WITH (ACTIVE_STATEMENTS=3);~`,
		`2 0|COMMENT|RESOURCE QUEUE "Q"|[1]|COMMENT ON RESOURCE QUEUE "Q" IS 'slow';~`,
		`3 0|RESOURCE GROUP|g|[]|CREATE RESOURCE GROUP g WITH (CONCURRENCY=3);~`,
		`4 1260|ROLE|ann|[1 3]|CREATE ROLE ann;~ALTER ROLE ann WITH LOGIN PASSWORD 'md5x;' RESOURCE QUEUE "Q" RESOURCE GROUP g;~` +
			`ALTER ROLE ann DENY BETWEEN DAY 1 TIME '1:00' AND DAY 2 TIME '2:00';~`,
		`5 0|COMMENT|ROLE ann|[4]|COMMENT ON ROLE ann IS 'a';~`,
		`6 1260|ROLE|b B|[]|CREATE ROLE "b B";~ALTER ROLE "b B" WITH NOLOGIN;~`,
		`7 1261|ROLE MEMBERSHIP|"b B" TO ann|[6 4]|GRANT "b B" TO ann WITH ADMIN OPTION GRANTED BY ann;~`,
		`8 1213|TABLESPACE|fast|[4]|CREATE TABLESPACE fast LOCATION '/fast'~	WITH (content0='/a');~ALTER TABLESPACE fast SET (seq_page_cost=1);~ALTER TABLESPACE fast OWNER TO ann;~`,
		`9 0|ACL|TABLESPACE fast|[8 6]|REVOKE ALL ON TABLESPACE fast FROM PUBLIC;~GRANT ALL ON TABLESPACE fast TO "b B";~`,
		`10 2964|ROLE SETTING|ann|[4]|ALTER ROLE ann SET search_path TO a, b;~ALTER ROLE ann SET work_mem TO '1MB';~`,
		`11 2964|ROLE SETTING|ann IN DATABASE D|[4]|ALTER ROLE ann IN DATABASE "D" SET work_mem TO '1MB';~`,
	}, got); d != "" {
		t.Error(d)
	}
	if w := strings.Join(s.desc.Warnings, ";"); !strings.Contains(w, "only if that is asked for") || !strings.Contains(w, "passwords") {
		t.Errorf("warnings %q", w)
	}
}

// What makes an external table a partition needs both tables.
func TestExchangedPartition(t *testing.T) {
	s := (&madeSet{version: "1.30.3", pre: []madePiece{
		{"TABLE", "s", "p", "", "CREATE TABLE s.p (\n\ta integer\n) DISTRIBUTED BY (a);"},
		{"TABLE", "s", "p_1_ext_part_", "", "CREATE READABLE EXTERNAL TABLE s.p_1_ext_part_ (\n\ta integer\n) LOCATION ('x');"},
		{"EXCHANGE PARTITION", "s", "p", "", "ALTER TABLE s.p EXCHANGE PARTITION FOR (RANK(1)) WITH TABLE s.p_1_ext_part_ WITHOUT VALIDATION;\n\nDROP TABLE s.p_1_ext_part_;"},
	}, stats: madeStats("s.p_1_ext_part_")}).open(t)
	entries := s.cat.Entries
	e := entries[slices.IndexFunc(entries, func(e archive.Entry) bool { return e.Kind == "EXCHANGE PARTITION" })]
	var needs []string
	for _, x := range entries {
		if slices.Contains(e.Deps, x.ID) {
			needs = append(needs, x.Kind+" "+x.Name)
		}
	}
	if diff := cmp.Diff([]string{"TABLE p", "EXTERNAL TABLE p_1_ext_part_"}, needs); diff != "" {
		t.Error(diff)
	}
	// Its statistics failed: the partition has another name.
	if i := slices.IndexFunc(entries, func(e archive.Entry) bool { return e.Kind == kindStatistics }); i >= 0 || len(s.desc.Warnings) > 0 {
		t.Error(i, s.desc.Warnings)
	}
}
