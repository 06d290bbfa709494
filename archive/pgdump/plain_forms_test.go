package pgdump

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

func entriesOf(t *testing.T, script string) []archive.Entry {
	t.Helper()
	cat, err := openTestScript(t, []byte(script)).Catalog()
	if err != nil {
		t.Fatal(err)
	}
	return cat.Entries
}

func findEntry(t *testing.T, all []archive.Entry, kind, name string) archive.Entry {
	t.Helper()
	for _, e := range all {
		if e.Kind == kind && e.Name == name {
			return e
		}
	}
	t.Fatalf("there is no %s %s among %d entries", kind, name, len(all))
	return archive.Entry{}
}

// oldScript is in the form of releases up to 10.3, in which names have no schema.
const oldScript = `--
-- PostgreSQL database dump
--

SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = off;
SET escape_string_warning = off;

SET search_path = app, pg_catalog;

SET default_tablespace = '';

SET default_with_oids = true;

--
-- Name: t; Type: TABLE; Schema: app; Owner: o; Tablespace: 
--

CREATE TABLE t (
    a integer,
    b text DEFAULT 'it\'s;'
);


ALTER TABLE app.t OWNER TO o;

SET search_path = public, pg_catalog;

SET default_with_oids = false;

--
-- Name: t; Type: TABLE; Schema: public; Owner: o; Tablespace: 
--

CREATE TABLE t (
    a integer
);


ALTER TABLE public.t OWNER TO o;

SET search_path = app, pg_catalog;

--
-- Data for Name: t; Type: TABLE DATA; Schema: app; Owner: o
--

COPY t (a, b) WITH OIDS FROM stdin;
5	1	x
\.


--
-- Data for Name: BLOBS; Type: BLOBS; Schema: -; Owner: 
--

SET search_path = pg_catalog;

BEGIN;

SELECT pg_catalog.lo_open('7', 131072);
SELECT pg_catalog.lowrite(0, '\\x61\\x');
SELECT pg_catalog.lo_close(0);

COMMIT;

SET search_path = public, pg_catalog;

--
-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: o
--

COPY t (a) FROM stdin;
2
\.


--
-- PostgreSQL database dump complete
--

`

func TestPlainOldForm(t *testing.T) {
	script := strings.Replace(oldScript, `\\x61\\x`, `\\x6162`, 1)
	// In that release the owner's statement has the name as the definition has it.
	script = strings.NewReplacer("ALTER TABLE app.t OWNER", "ALTER TABLE t OWNER", "ALTER TABLE public.t OWNER", "ALTER TABLE t OWNER").Replace(script)
	s := openTestScript(t, []byte(script))
	got, err := contents(t, s)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"app.t(a,b)": "1\tx\n", "public.t(a)": "2\n", "large objects": "7 0 6162\n"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	cat, err := s.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for _, e := range cat.Entries {
		if e.Kind == kindTable || e.Kind == kindTableData {
			tables = append(tables, fmt.Sprintf("%s %s.%s %s %v %q", e.Kind, e.Schema, e.Name, e.Owner, e.WithOIDs, e.Copy))
		}
		if e.Kind == "SEARCHPATH" || e.Kind == "STDSTRINGS" && !strings.Contains(e.DDL, "off") {
			t.Errorf("%+v", e)
		}
	}
	if d := cmp.Diff([]string{
		`TABLE app.t o true ""`, `TABLE public.t o false ""`,
		`TABLE DATA app.t o true "COPY t (a, b) FROM stdin;\n"`, `TABLE DATA public.t o false "COPY t (a) FROM stdin;\n"`,
	}, tables); d != "" {
		t.Error(d)
	}
	if _, err := readScript(t.Context(), strings.NewReader(oldScript), int64(len(oldScript))); !errors.Is(err, ErrDamaged) {
		t.Errorf("large object that is no hex: %v", err)
	}
}

// A comment says nothing that the statements contradict.
func TestPlainFalseComments(t *testing.T) {
	tests := []struct {
		name     string
		from, to string
		kind     string // of the entry that s.t is then
		check    func(e archive.Entry) bool
	}{
		{"another name", "-- Name: t; Type: TABLE", "-- Name: x; Type: TABLE", kindTable, func(e archive.Entry) bool { return e.Name == "t" && e.Owner == "o" }},
		{"another schema", "TABLE; Schema: s; Owner: o\n--\n\nCREATE", "TABLE; Schema: x; Owner: o\n--\n\nCREATE", kindTable, func(e archive.Entry) bool { return e.Schema == "s" }},
		{"another owner", "TABLE; Schema: s; Owner: o\n--\n\nCREATE", "TABLE; Schema: s; Owner: p\n--\n\nCREATE", kindTable, func(e archive.Entry) bool { return e.Owner == "o" }},
		{"another kind", "Type: TABLE; Schema: s", "Type: COMMENT; Schema: s", kindTable, func(e archive.Entry) bool { return e.Name == "t" }},
		{"encoding", "Type: TABLE; Schema: s", "Type: ENCODING; Schema: s", kindTable, func(e archive.Entry) bool { return e.Name == "t" }},
		{"rows of another table", "-- Data for Name: t;", "-- Data for Name: victim;", kindTableData, func(e archive.Entry) bool { return e.Name == "t" && e.Schema == "s" }},
		{"owner of another table", "ALTER TABLE s.t OWNER TO o;", "ALTER TABLE s.victim OWNER TO o;", kindTable, func(e archive.Entry) bool { return e.Drop == "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if e := findEntry(t, entriesOf(t, tiny(t, tt.from, tt.to)), tt.kind, "t"); !tt.check(e) {
				t.Errorf("%+v", e)
			}
		})
	}
}

// Rows that share their table are marked, so that nobody empties the table between them.
func TestPlainSharedTable(t *testing.T) {
	all := entriesOf(t, tiny(t, "INSERT INTO s.u VALUES (1, 'a;b');", "COPY s.t (b) FROM stdin;\nx\n\\.\n"))
	n := 0
	for _, e := range all {
		if e.Kind == kindTableData && e.Name == "t" {
			n++
			if !strings.HasPrefix(e.DDL, viaRootMark) {
				t.Errorf("%+v", e)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d entries", n)
	}
}

// Statements that no comment announces are entries by themselves, and none is lost.
func TestPlainAnonymous(t *testing.T) {
	script := `SET client_encoding = 'UTF8';
CREATE SCHEMA s;
CREATE TABLE s.t (a integer);
ALTER TABLE s.t OWNER TO o;
ALTER TABLE s.t CLUSTER ON x;
/* block; */
COPY s.t FROM stdin;
\.
INSERT INTO s.t VALUES (1);
INSERT INTO s.t VALUES (2);
INSERT INTO s.u VALUES (3);
SELECT pg_catalog.setval('s.q', 5, true);
CREATE INDEX i ON s.t (a);
SET SESSION AUTHORIZATION g;
GRANT SELECT ON TABLE s.t TO r;
RESET SESSION AUTHORIZATION;
VACUUM;
ALTER TABLE ONLY s.t ADD CONSTRAINT c UNIQUE (a);
`
	var got []string
	for _, e := range entriesOf(t, script)[2:] {
		got = append(got, fmt.Sprintf("%s %s.%s %d %v %s", e.Kind, e.Schema, e.Name, e.Section, e.Deps, e.Owner))
	}
	want := []string{
		"SCHEMA .s 2 [] ", "TABLE s.t 2 [3] o", "ACL s.t 1 [] ", "STATEMENT .ALTER TABLE s.t CLUSTER ON x; 2 [] ",
		"TABLE DATA s.t 3 [4 3] ", "TABLE DATA s.t 3 [4 3] ", "TABLE DATA s.u 3 [3] ", "SEQUENCE SET s.q 3 [3] ",
		"INDEX s.i 4 [3 4 7 8] ", "STATEMENT .VACUUM; 4 [7 8 9 10 11] ", "CONSTRAINT s.t c 4 [3 4 7 8 12] ",
	}
	// The name of a right is made up.
	for i := range got {
		if strings.HasPrefix(got[i], "ACL ") {
			got[i] = "ACL s.t 1 [] "
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	acl := ""
	for _, e := range entriesOf(t, script) {
		if e.Kind == kindACL {
			acl = e.DDL
		}
	}
	if acl != "SET SESSION AUTHORIZATION g;\nGRANT SELECT ON TABLE s.t TO r;\nRESET SESSION AUTHORIZATION;\n" {
		t.Errorf("%q", acl)
	}
}

// Indexes that are attached in a circle, which no server has, do not keep the reader busy for ever.
func TestPlainCircle(t *testing.T) {
	entriesOf(t, `CREATE TABLE a (i integer);
CREATE TABLE b (i integer);
ALTER TABLE a ADD CONSTRAINT x UNIQUE (i);
ALTER TABLE b ADD CONSTRAINT y UNIQUE (i);
ALTER INDEX x ATTACH PARTITION y;
ALTER INDEX y ATTACH PARTITION x;
ALTER INDEX x ATTACH PARTITION x;
ALTER TABLE b ADD CONSTRAINT z FOREIGN KEY (i) REFERENCES a(i);
`)
}

// The search path in the definition of Greenplum's protocols was refused, and so the script.
func TestPlainProtocol(t *testing.T) {
	const definition = "SET search_path = s, public;\n\nCREATE TRUSTED PROTOCOL p ( readfunc = 'r', writefunc = 'w');"
	s := openTestScript(t, []byte(`--
-- Greenplum Database database dump
--

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: p; Type: PROTOCOL; Schema: -; Owner: o
--

-- Set the search_path required to look up the functions
`+definition+`


ALTER PROTOCOL p OWNER TO o;

--
-- Name: t; Type: TABLE; Schema: s; Owner: o; Tablespace: 
--

CREATE TABLE s.t (
    a integer
) DISTRIBUTED BY (a);


--
-- Greenplum Database database dump complete
--

`))
	cat, err := s.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range cat.Entries {
		switch e.Kind {
		case "PROTOCOL":
			got = append(got, e.Kind+" "+e.Owner)
			if !strings.Contains(e.DDL, definition) {
				t.Errorf("%q", e.DDL)
			}
		case kindTable:
			got = append(got, e.Kind+" "+e.Name)
		}
	}
	if d := cmp.Diff([]string{"PROTOCOL o", "TABLE t"}, got); d != "" {
		t.Error(d)
	}
}

// Without comments (--) what a comment, a right or a setting is of is told by the statement: it says whether and when that is restored.
func TestPlainNamesOfStatements(t *testing.T) {
	all := entriesOf(t, `SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
ALTER DATABASE "a;b" SET work_mem TO '6MB';
ALTER ROLE r IN DATABASE "a;b" SET work_mem TO '6MB';
COMMENT ON DATABASE "a;b" IS 'x IS y';
COMMENT ON EVENT TRIGGER e IS 'x';
GRANT SELECT ON TABLE s.t TO r;
REVOKE ALL ON LARGE OBJECT 7 FROM PUBLIC;
`)
	var got []string
	for _, e := range all {
		if e.Section != archive.SectionPreData || e.Kind == "DATABASE PROPERTIES" {
			got = append(got, e.Kind+" "+e.Name)
		}
	}
	want := []string{"DATABASE PROPERTIES a;b", "DATABASE PROPERTIES a;b", `COMMENT DATABASE "a;b"`, "COMMENT EVENT TRIGGER e", "ACL TABLE s.t", "ACL LARGE OBJECT 7"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
