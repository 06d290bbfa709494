package pgdump

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

func openTestScript(t testing.TB, b []byte) *Script {
	t.Helper()
	s, err := readScript(context.Background(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testTOC(t testing.TB, b []byte) *TOC {
	t.Helper()
	toc, err := ReadTOC(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return toc
}

// A script tells what an archive of the same database tells, and holds the same rows and large objects.
func TestPlainSamples(t *testing.T) {
	for _, v := range []string{"pg15", "pg17", "pg18"} {
		t.Run(v, func(t *testing.T) {
			src, err := OpenPlain(filepath.Join("testdata", "plain-"+v+".sql"))
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			s := src.(*Script)
			c := &comparison{}
			toc := testTOC(t, sample(t, v+"-custom-none.dump"))
			c.compare(t, s, toc)
			compareDeps(t, s, toc)
			compareFamilies(t, s, toc)
			got, err := contents(t, s)
			if err != nil {
				t.Fatal(err)
			}
			d, err := Open(filepath.Join("testdata", v+"-custom-none.dump"), OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			want, err := contents(t, d)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("rows (-archive +script):\n%s", d)
			}
			desc := s.Description()
			if desc.Format != "plain" || desc.Codec != "none" || desc.Files != 1 || len(desc.Warnings) != 0 || len(desc.Unproven) != 3 {
				t.Errorf("%+v", desc)
			}
		})
	}
}

func TestPlainGreenplum(t *testing.T) {
	s := openTestScript(t, sample(t, "plain-greenplum6-schema.sql"))
	toc := testTOC(t, sample(t, "greenplum6-custom-schema.dump"))
	// A script of that release leaves out the schema that every database has.
	kept := toc.Entries[:0]
	for _, e := range toc.Entries {
		if e.Kind != "SCHEMA" && e.Kind != "COMMENT" || !strings.HasSuffix(e.Name, "public") {
			kept = append(kept, e)
		}
	}
	toc.Entries = kept
	c := &comparison{}
	c.compare(t, s, toc)
	cat, err := s.Catalog()
	if err != nil || cat.Product != "Greenplum" || cat.ServerVersion != "" {
		t.Errorf("%s %q: %v", cat.Product, cat.ServerVersion, err)
	}
}

// tinyScript has one of each part that a script may consist of.
const tinyScript = `--
-- PostgreSQL database dump
--

\restrict abc123

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18

-- Started on 2024-05-06 07:08:09 UTC

SET client_encoding = 'LATIN1';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: t; Type: TABLE; Schema: s; Owner: o
--

CREATE TABLE s.t (
    a integer, -- ; ' "
    b text DEFAULT E'\';'
);


ALTER TABLE s.t OWNER TO o;

--
-- Name: f(); Type: FUNCTION; Schema: s; Owner: o
--

CREATE FUNCTION s.f() RETURNS integer
    LANGUAGE sql
    BEGIN ATOMIC
 SELECT CASE WHEN true THEN 1 ELSE 2 END;
END;


ALTER FUNCTION s.f() OWNER TO o;

--
-- Name: 7; Type: BLOB; Schema: -; Owner: o
--

SELECT pg_catalog.lo_create('7');


ALTER LARGE OBJECT 7 OWNER TO o;

--
-- Data for Name: t; Type: TABLE DATA; Schema: s; Owner: o
--

COPY s.t (a, b) FROM stdin;
1	one
2	two\\
\.


--
-- Data for Name: u; Type: TABLE DATA; Schema: s; Owner: o
--

INSERT INTO s.u VALUES (1, 'a;b');
INSERT INTO s.u VALUES (2, $$;$$);


--
-- Data for Name: BLOBS; Type: BLOBS; Schema: -; Owner: -
--

BEGIN;

SELECT pg_catalog.lo_open('7', 131072);
SELECT pg_catalog.lowrite(0, '\x6162');
SELECT pg_catalog.lo_close(0);

COMMIT;


--
-- PostgreSQL database dump complete
--

\unrestrict abc123

`

func TestPlainTiny(t *testing.T) {
	s := openTestScript(t, []byte(tinyScript))
	got, err := contents(t, s)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"s.t(a,b)": "1\tone\n2\ttwo\\\\\n", "large objects": "7 0 6162\n"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	cat, err := s.Catalog()
	if err != nil || cat.Encoding != "LATIN1" || cat.ServerVersion != "15.18 (Debian 15.18-0+deb12u1)" || cat.PgDumpVersion != "15.18" {
		t.Errorf("%+v, %v", cat, err)
	}
	m, err := s.Moment()
	if err != nil || !m.Time.Equal(time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)) {
		t.Errorf("%+v, %v", m, err)
	}
	var statements []string
	for _, e := range cat.Entries {
		if s.HasStatements(e.ID) != (e.Name == "u") {
			t.Errorf("HasStatements of %s", e.Name)
		}
		err := s.DataStatements(t.Context(), e.ID, func(sql []byte) error {
			statements = append(statements, string(sql))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == "BLOB" && (e.OID != 7 || e.Drop != "SELECT pg_catalog.lo_unlink('7');\n" || e.Owner != "o") {
			t.Errorf("%+v", e)
		}
		if e.Kind == "FUNCTION" && (!strings.HasSuffix(e.DDL, "END;\nEND;\n") || e.Drop != "DROP FUNCTION s.f();\n" || e.Owner != "o") {
			t.Errorf("%+v", e)
		}
	}
	if d := cmp.Diff([]string{"INSERT INTO s.u VALUES (1, 'a;b');", "INSERT INTO s.u VALUES (2, $$;$$);"}, statements); d != "" {
		t.Error(d)
	}
}

// A script that is cut off anywhere is no whole dump, whatever stands before the cut.
func TestPlainTruncated(t *testing.T) {
	whole := strings.TrimRight(tinyScript, "\n")
	for n := range len(whole) {
		_, err := readScript(t.Context(), strings.NewReader(whole[:n]), int64(n))
		title := strings.Index(whole, "dump\n")
		switch {
		case err == nil:
			t.Fatalf("cut to %d bytes, it is read as if it were whole", n)
		case n > title+4 && !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrDamaged):
			t.Fatalf("cut to %d bytes: %v", n, err)
		case n > title+4 && !IsPlain([]byte(whole[:n])):
			t.Fatalf("cut to %d bytes, it is not recognized", n)
		}
		var se *ScriptError
		if !errors.As(err, &se) || se.Offset > int64(n) || se.Line == 0 {
			t.Fatalf("cut to %d bytes: no place in %v", n, err)
		}
	}
}

// Samples that are cut anywhere: an error, and never a panic.
func TestPlainSamplesTruncated(t *testing.T) {
	b := bytes.TrimRight(sample(t, "plain-pg15.sql"), "\n")
	for n := 1000; n < len(b); n += 61 {
		if _, err := readScript(t.Context(), bytes.NewReader(b[:n]), int64(n)); !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(b), err)
		}
	}
}

func TestIsPlain(t *testing.T) {
	for text, want := range map[string]bool{
		"--\n-- PostgreSQL database dump\n--\n\n":             true,
		"--\n-- Greenplum Database database dump\n--\n\n":     true,
		"--\n-- PostgreSQL database cluster dump\n--\n\n":     true,
		"--\n-- Greenplum Database cluster dump\n--\n\n":      true,
		"--\r\n-- PostgreSQL database dump\r\n--\r\n":         true,
		"\xef\xbb\xbf--\n-- PostgreSQL database dump\n--\n\n": true,
		"--\n-- PostgreSQL database dump complete\n--\n\n":    false,
		"-- MySQL dump 10.13\n":                               false,
		"SELECT 1;\n-- PostgreSQL database dump\n":            false,
		"PGDMP": false,
		"":      false,
		strings.Repeat("--\n", 4<<10) + "-- PostgreSQL database dump": false,
	} {
		if got := IsPlain([]byte(text)); got != want {
			t.Errorf("%.40q: %v", text, got)
		}
	}
}

// What is no file is not read, and a file that is gone is an error of the file system.
func TestOpenPlainFiles(t *testing.T) {
	if _, err := OpenPlain(t.TempDir()); !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
	if _, err := OpenPlain(filepath.Join(t.TempDir(), "none.sql")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := OpenScript(ctx, "testdata/plain-pg15.sql"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A file that changes while it is open is noticed where its rows are read.
func TestPlainFileChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiny.sql")
	if err := os.WriteFile(path, []byte(tinyScript), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := OpenPlain(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	read := func() error { return src.StreamRows(t.Context(), 1, func([]byte) error { return nil }) }
	if err := read(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(tiny(t, "two", "three")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := read(); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if err := os.Truncate(path, 200); err != nil {
		t.Fatal(err)
	}
	if err := read(); !errors.Is(err, ErrTruncated) || !strings.Contains(err.Error(), "TABLE DATA s.t") {
		t.Error(err)
	}
}

// An error of the caller comes back as it is, and ends the call.
func TestPlainCallbackErrors(t *testing.T) {
	s := openTestScript(t, []byte(tinyScript))
	mine := errors.New("mine")
	calls := 0
	fail := func([]byte) error { calls++; return mine }
	cat, err := s.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range cat.Entries {
		if err := s.DataStatements(t.Context(), e.ID, fail); err != nil && err != mine { //nolint:errorlint // as it is
			t.Error(err)
		}
		if err := s.LargeObjects(t.Context(), e.ID, func(uint32, int64, []byte) error { calls++; return mine }); err != nil && err != mine { //nolint:errorlint // as it is
			t.Error(err)
		}
		for _, st := range s.TableStreams(e.ID) {
			if err := s.StreamRows(t.Context(), st.ID, fail); err != mine && e.Kind != kindBlobs { //nolint:errorlint // as it is
				t.Error(err)
			}
		}
	}
	if calls != 3 {
		t.Errorf("%d calls", calls)
	}
	if err := s.StreamRows(t.Context(), archive.StreamID(99), fail); err == nil {
		t.Error("there is no stream 99")
	}
}

// Several goroutines read one script at once.
func TestPlainConcurrent(t *testing.T) {
	s := openTestScript(t, sample(t, "plain-pg17.sql"))
	want, err := contents(t, s)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got, err := contents(t, s)
			if err != nil || cmp.Diff(want, got) != "" {
				t.Errorf("it reads otherwise: %v", err)
			}
		})
	}
	wg.Wait()
}
