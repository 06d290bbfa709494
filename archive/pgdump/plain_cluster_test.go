package pgdump

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/internal/pgtest"
)

// oldCluster is what pg_dumpall wrote before version 11, and that of Greenplum 6 writes: databases are made before the parts.
const oldCluster = `--
-- PostgreSQL database cluster dump
--

SET default_transaction_read_only = off;

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;

--
-- Roles
--

CREATE ROLE ann;
ALTER ROLE ann WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS PASSWORD 'md5abc';


--
-- Database creation
--

CREATE DATABASE old WITH TEMPLATE = template0 OWNER = ann CONNECTION LIMIT = 7;
REVOKE CONNECT,TEMPORARY ON DATABASE old FROM PUBLIC;
GRANT TEMPORARY ON DATABASE old TO PUBLIC;
ALTER DATABASE old SET work_mem TO '9MB';
REVOKE CONNECT,TEMPORARY ON DATABASE template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE template1 TO PUBLIC;


\connect old

SET default_transaction_read_only = off;

--
-- PostgreSQL database dump
--

-- Dumped from database version 10.23
-- Dumped by pg_dump version 10.23

SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: t; Type: TABLE; Schema: public; Owner: ann
--

CREATE TABLE public.t (
    a integer
);


ALTER TABLE public.t OWNER TO ann;

--
-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: ann
--

COPY public.t (a) FROM stdin;
1
\.


--
-- PostgreSQL database dump complete
--

\connect template1

SET default_transaction_read_only = off;

--
-- PostgreSQL database dump
--

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;

--
-- PostgreSQL database dump complete
--

--
-- PostgreSQL database cluster dump complete
--

`

// newCluster has one part that makes its database, and what must not end it.
const newCluster = `--
-- PostgreSQL database cluster dump
--

\restrict abc

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;

DROP DATABASE IF EXISTS shop;
DROP ROLE IF EXISTS ann;

CREATE ROLE ann;
COMMENT ON ROLE ann IS '
\connect shop
--
-- PostgreSQL database dump
--
';

\unrestrict abc

--
-- Databases
--

--
-- Database "shop" dump
--

--
-- PostgreSQL database dump
--

\restrict def

SET client_encoding = 'LATIN1';
SET standard_conforming_strings = on;

--
-- Name: shop; Type: DATABASE; Schema: -; Owner: ann
--

CREATE DATABASE shop WITH TEMPLATE = template0;


ALTER DATABASE shop OWNER TO ann;

\unrestrict def
\connect shop
\restrict def

SET client_encoding = 'LATIN1';

--
-- Name: f(); Type: FUNCTION; Schema: public; Owner: ann
--

CREATE FUNCTION public.f() RETURNS text
    LANGUAGE sql
    AS $$ SELECT '
\connect x
--
-- PostgreSQL database dump complete
--
' $$;


--
-- Name: t; Type: TABLE; Schema: public; Owner: ann
--

CREATE TABLE public.t (
    a text
);


--
-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: ann
--

COPY public.t (a) FROM stdin;
\\connect x
--
-- PostgreSQL database dump complete
--
\.


--
-- PostgreSQL database dump complete
--

\unrestrict def

--
-- PostgreSQL database cluster dump complete
--

`

func readCluster(t *testing.T, text string) (*ClusterScript, error) {
	t.Helper()
	return readClusterScript(t.Context(), strings.NewReader(text), int64(len(text)))
}

// A script of pg_dumpall is divided where its parts begin and end, and nowhere within strings, bodies and rows.
func TestClusterScript(t *testing.T) {
	c, err := readCluster(t, newCluster)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.list) != 1 || c.list[0].Name != "shop" || c.list[0].Encoding != "LATIN1" || c.Encoding() != "UTF8" {
		t.Errorf("%+v", c.list)
	}
	if g := c.Globals(); strings.Contains(g, "DROP") || !strings.Contains(g, "CREATE ROLE ann;\nCOMMENT ON ROLE ann IS '\n\\connect shop\n") {
		t.Errorf("%q", g)
	}
	s, err := c.Part("shop")
	if err != nil {
		t.Fatal(err)
	}
	var rows bytes.Buffer
	err = s.StreamRows(t.Context(), 1, func(b []byte) error { rows.Write(b); return nil })
	if want := "\\\\connect x\n--\n-- PostgreSQL database dump complete\n--\n"; err != nil || rows.String() != want {
		t.Errorf("%q %v", rows.String(), err)
	}
	if i := slices.IndexFunc(s.cat.Entries, func(e archive.Entry) bool { return e.Kind == "FUNCTION" }); i < 0 || !strings.Contains(s.cat.Entries[i].DDL, "complete\n--\n' $$;") {
		t.Error("the function is not whole")
	}
	if _, err := c.Part("other"); !errors.Is(err, archive.ErrNoDatabase) || !strings.Contains(err.Error(), "shop") {
		t.Error(err)
	}
}

// Databases that are made before the parts, as before version 11, are made in their parts.
func TestClusterScriptOld(t *testing.T) {
	c, err := readCluster(t, oldCluster)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range c.list {
		names = append(names, d.Name)
	}
	if !slices.Equal(names, []string{"old", "template1"}) || strings.Contains(c.Globals(), "DATABASE") {
		t.Error(names, c.Globals())
	}
	s := c.parts["old"]
	for kind, want := range map[string]archive.Entry{
		"DATABASE": {Name: "old", DDL: "CREATE DATABASE old WITH TEMPLATE = template0 OWNER = ann"},
		"ACL":      {Name: "DATABASE old", DDL: "REVOKE CONNECT"}, "DATABASE PROPERTIES": {Name: "old", DDL: "ALTER DATABASE old SET"}, kindTable: {Name: "t", DDL: "CREATE TABLE"},
	} {
		i := slices.IndexFunc(s.cat.Entries, func(e archive.Entry) bool { return e.Kind == kind })
		if i < 0 || s.cat.Entries[i].Name != want.Name || !strings.HasPrefix(s.cat.Entries[i].DDL, want.DDL) {
			t.Errorf("%s: %+v", kind, s.cat.Entries)
		}
	}
}

// A script that was cut off anywhere is never taken for a whole one.
func TestClusterScriptTruncated(t *testing.T) {
	for _, text := range []string{oldCluster, newCluster} {
		for n := range len(text) - 3 { // the end of the last comment, and a blank line
			if _, err := readCluster(t, text[:n]); err == nil {
				t.Errorf("%d of %d bytes are read", n, len(text))
			}
		}
	}
}

// What pg_dumpall does not write, and would do harm or be lost, is refused with a sentence that names it.
func TestClusterScriptRefuses(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		class    error
		says     string
	}{
		{"CREATE ROLE ann;", "\\! id", ErrDamaged, "psql takes no command"},
		{"\n--\n-- Databases", "\\! id\n--\n-- Databases", ErrDamaged, "does not give psql such commands"},
		{"CREATE ROLE ann;", "COPY t FROM PROGRAM 'id';", ErrRefused, "rows stand outside"},
		{"CREATE ROLE ann;", "DROP SCHEMA public;", ErrRefused, "does not write"},
		{"CREATE ROLE ann;", "SELECT 1 \\g x\n;", ErrDamaged, "within a statement"},
		{"CREATE ROLE ann;", "CREATE DATABASE more;", ErrRefused, "nothing of it"},
		{"CREATE ROLE ann;", "CREATE ROLE a\x00n;", ErrDamaged, "zero byte"},
		{"\\unrestrict abc", "\\unrestrict abd", ErrDamaged, "unrestrict"},
		{"\n--\n-- Databases", "\\connect other\n--\n-- Databases", ErrRefused, "it is of database shop"},
		{"\\connect shop\n\\restrict", "\\connect x\n\\restrict", ErrRefused, "connect x"},
		{"cluster dump complete\n--\n", "cluster dump complete\n--\nSELECT 1;", ErrRefused, "more statements"},
	} {
		if !strings.Contains(newCluster, tt.from) {
			t.Fatalf("there is no %q", tt.from)
		}
		if _, err := readCluster(t, strings.Replace(newCluster, tt.from, tt.to, 1)); !errors.Is(err, tt.class) || !strings.Contains(fmt.Sprint(err), tt.says) {
			t.Errorf("%q: got %v, want %v with %q", tt.to, err, tt.class, tt.says)
		}
	}
}

// FuzzClusterScript reads any bytes as a script of pg_dumpall: never a panic, errors say where, and parts are scripts.
func FuzzClusterScript(f *testing.F) {
	f.Add([]byte(oldCluster))
	f.Add([]byte(newCluster))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := readClusterScript(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			var se *ScriptError
			if !errors.As(err, &se) || se.Offset < 0 || se.Offset > int64(len(b)) {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		for _, d := range c.list {
			if d.Name == "" || d.Offset < 0 || d.Bytes <= 0 || d.Offset+d.Bytes > int64(len(b)) {
				t.Fatalf("%+v", d)
			}
			s, err := c.Part(d.Name)
			if err != nil {
				t.Fatal(err)
			}
			for i := range s.streams {
				if s.entryKind(i) != kindBlobs {
					_ = s.StreamRows(t.Context(), s.streams[i].ID, func([]byte) error { return nil }) // any outcome but a panic
				}
			}
		}
	})
}

func (s *Script) entryKind(stream int) string { return s.entries[s.streams[stream].Entry].Kind }

// What the pg_dumpall of each version writes holds the same databases, rows and roles.
func TestClusterScriptOfServer(t *testing.T) {
	t.Parallel()
	srv := pgtest.Start(t)
	srv.Exec(t, "postgres", `CREATE ROLE "ro""le"`)
	srv.Exec(t, "postgres", `CREATE DATABASE "we ird"`)
	srv.Exec(t, "we ird", `CREATE TABLE t (a text); INSERT INTO t VALUES (E'\n\\connect postgres\n'), ('ü'); ALTER TABLE t OWNER TO "ro""le"; SELECT lo_from_bytea(70000, 'large')`)
	for _, major := range append([]int{0}, pgtest.StockMajors(15)...) {
		for _, flags := range [][]string{nil, {"--clean", "--if-exists"}, {"--inserts", "--no-role-passwords"}} {
			file := stockDump(t, stockClient(t, major, "pg_dumpall"), append(flags, "-d", srv.Conninfo("postgres"))...)
			c, err := OpenClusterScript(t.Context(), file)
			if err != nil {
				t.Errorf("%d %q: %v", major, flags, err)
				continue
			}
			var names []string
			for _, d := range c.Databases() {
				names = append(names, d.Name)
			}
			if !slices.Equal(names, []string{"template1", "postgres", "we ird"}) || !strings.Contains(c.Globals(), `CREATE ROLE "ro""le";`) {
				t.Errorf("%d %q: databases %q, %s", major, flags, names, c.Globals())
			}
			part, err := c.Part("we ird")
			if err != nil {
				t.Fatal(err)
			}
			if rows := wholeContents(t, part)["public.t(a)"]; rows != "\\n\\\\connect postgres\\n\nü\n" {
				t.Errorf("%d %q: rows %q", major, flags, rows)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
