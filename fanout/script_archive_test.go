package fanout

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/internal/pgtest"
)

// The script of a pgark archive is pg_restore's of a stock dump of the same database, and psql makes the same database of it.
func TestScriptOfArchive(t *testing.T) {
	srv := pgtest.Shared(t)
	d := dumpAllKinds(t, srv)
	db := d.toc.Header.Database
	a := openArchive(t, makeArchive(t, srv, db, archiveRecipe{block: 8 << 10}))

	want := pgRestore(t, srv, "--restrict-key="+testRestrictKey, "-f", "-", d.file)
	var got bytes.Buffer
	check(t, WriteScript(t.Context(), a, &got, ScriptOptions{RestrictKey: testRestrictKey}))
	compareText(t, pgtest.SortLargeObjects(want), pgtest.SortLargeObjects(got.String()))

	got.Reset()
	check(t, WriteScript(t.Context(), a, &got, ScriptOptions{SingleTransaction: true}))
	key := regexp.MustCompile(`(?m)^\\restrict ([A-Za-z0-9]{63})$`).FindStringSubmatch(got.String())
	if key == nil || !strings.HasSuffix(got.String(), `\unrestrict `+key[1]+"\n\n") {
		t.Fatal("the script is not restricted by a random key")
	}
	file := filepath.Join(t.TempDir(), "script.sql")
	check(t, os.WriteFile(file, got.Bytes(), 0o600))
	copied := srv.CreateDB(t)
	srv.Psql(t, copied, "-f", file)
	restored := stockDumpOf(t, srv, copied)
	noDB := PlanOptions{}
	compareText(t, scriptText(t, d, noDB), scriptText(t, restored, noDB))
}

// Greenplum 6 has what PostgreSQL 9.4 has: psql -1 restored nothing of a script that set more.
func TestScriptOfGreenplum(t *testing.T) {
	file, err := os.ReadFile("../testdata/greenplum/kinds.pgark")
	check(t, err)
	var got bytes.Buffer
	check(t, WriteScript(t.Context(), openArchive(t, file), &got, ScriptOptions{NoRestrict: true}))
	var sets []string
	for line := range strings.Lines(got.String()) {
		if strings.HasPrefix(line, "SET ") && len(sets) < 9 {
			sets = append(sets, strings.Fields(line)[1])
		}
	}
	want := []string{
		"statement_timeout", "lock_timeout", "client_encoding", "standard_conforming_strings", "check_function_bodies", "xmloption",
		"client_min_messages", "gp_default_storage_options", "extra_float_digits",
	}
	if diff := cmp.Diff(want, sets); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(got.String(), "\n-- Dumped from database version 6.24.3 (Greenplum)\n") {
		t.Errorf("the product is lost:\n%.300s", got.String())
	}
}

// scriptText is a stock dump as a script.
func scriptText(t *testing.T, d *stockDump, o PlanOptions) string {
	t.Helper()
	var b bytes.Buffer
	check(t, WriteScriptFrom(t.Context(), d, &b, ScriptOptions{PlanOptions: o, NoRestrict: true}))
	return b.String()
}

// brokenSource is a catalog whose data can't be read.
type brokenSource struct {
	cat *archive.Catalog
	err error
}

func (s *brokenSource) Catalog() (*archive.Catalog, error)                    { return s.cat, nil }
func (s *brokenSource) Rows(context.Context, int32, func([]byte) error) error { return s.err }
func (s *brokenSource) LargeObjects(_ context.Context, _ int32, fn func(uint32, int64, []byte) error) error {
	for _, p := range []struct {
		oid  uint32
		at   int64
		data string
	}{{7, 3, "def"}, {7, 0, "abc"}, {8, 0, ""}, {9, 0, strings.Repeat("x", loChunk+1)}} {
		if err := fn(p.oid, p.at, []byte(p.data)); err != nil {
			return err
		}
	}
	return s.err
}

// Pieces of large objects that come in another order land where they belong.
func TestScriptLargeObjectsInAnyOrder(t *testing.T) {
	src := &brokenSource{cat: &archive.Catalog{Entries: []archive.Entry{
		{ID: 1, Kind: "STDSTRINGS", DDL: "SET standard_conforming_strings = 'on';\n", Section: archive.SectionPreData},
		{ID: 2, Kind: "BLOBS", Name: "BLOBS", HadDumper: true, Section: archive.SectionData, Nulls: archive.NullTablespace},
	}}}
	var b bytes.Buffer
	check(t, WriteScriptFrom(t.Context(), src, &b, ScriptOptions{SingleTransaction: true, NoRestrict: true}))
	_, body, _ := strings.Cut(b.String(), "Type: BLOBS")
	want := `SELECT pg_catalog.lo_open('7', 131072);
SELECT pg_catalog.lo_lseek64(0, 3, 0);
SELECT pg_catalog.lowrite(0, '\x646566');
SELECT pg_catalog.lo_lseek64(0, 0, 0);
SELECT pg_catalog.lowrite(0, '\x616263');
SELECT pg_catalog.lo_close(0);

SELECT pg_catalog.lo_open('8', 131072);
SELECT pg_catalog.lo_close(0);

SELECT pg_catalog.lo_open('9', 131072);
SELECT pg_catalog.lowrite(0, '\x` + strings.Repeat("78", loChunk) + `');
SELECT pg_catalog.lowrite(0, '\x78');
SELECT pg_catalog.lo_close(0);

COMMIT;`
	if !strings.Contains(body, want) {
		t.Errorf("got\n%.600s", body)
	}
}

// failingWriter takes so many bytes.
type failingWriter struct{ room int }

var errDiskFull = errors.New("no space left")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, errDiskFull
	}
	return len(p), nil
}

func TestScriptErrors(t *testing.T) {
	srcErr := errors.New("damaged")
	src := &brokenSource{cat: planCatalog(), err: srcErr}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context //nolint:containedctx // one of the cases
		src  Source
		w    *failingWriter
		o    ScriptOptions
		want error
		says string
	}{
		{"data", t.Context(), src, &failingWriter{1 << 20}, ScriptOptions{}, srcErr, "TABLE DATA s.a"},
		{"output", t.Context(), src, &failingWriter{0}, ScriptOptions{PlanOptions: PlanOptions{SchemaOnly: true}}, errDiskFull, "script"},
		{"context", ctx, src, &failingWriter{1 << 20}, ScriptOptions{}, context.Canceled, ""},
		{"create in a transaction", t.Context(), src, nil, ScriptOptions{SingleTransaction: true, PlanOptions: PlanOptions{Create: true}}, ErrUsage, ""},
		{"restrict key", t.Context(), src, nil, ScriptOptions{RestrictKey: "a b"}, ErrUsage, "key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := WriteScriptFrom(tt.ctx, tt.src, tt.w, tt.o)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A name with a line break can't put a statement or a command of psql into the script.
func TestScriptNamesWithLineBreaks(t *testing.T) {
	evil := "x\n\\! touch pwned\r\nDROP TABLE y; --"
	cat := planCatalog()
	for i := range cat.Entries {
		e := &cat.Entries[i]
		e.Name, e.Schema, e.Owner, e.Tablespace, e.DDL, e.Drop, e.Copy = evil, evil, evil, evil, "", "", ""
	}
	cat.ServerVersion, cat.PgDumpVersion = evil, "15.18"+evil
	var b bytes.Buffer
	check(t, WriteScriptFrom(t.Context(), &brokenSource{cat: cat}, &b, ScriptOptions{NoRestrict: true}))
	// psql takes what stands between the quotes of an identifier for nothing else.
	bare := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(b.String(), "")
	for line := range strings.Lines(bare) {
		if strings.HasPrefix(line, `\!`) || strings.HasPrefix(line, "DROP") {
			t.Fatalf("injected: %s", line)
		}
	}
	b.Reset()
	check(t, ListTOC(&b, cat, ListOptions{}))
	if strings.Contains(b.String(), "\nDROP") || strings.Contains(b.String(), "\r") {
		t.Error("injected into the list")
	}
	cat.Entries = append(cat.Entries, archive.Entry{ID: 90, Kind: "DATABASE", Name: evil, DDL: "x", Section: archive.SectionPreData})
	if err := WriteScriptFrom(t.Context(), &brokenSource{cat: cat}, &b, ScriptOptions{PlanOptions: PlanOptions{Create: true}}); err == nil {
		t.Error("connects to a database with a line break in its name")
	}
}

func TestScriptConnect(t *testing.T) {
	for name, want := range map[string]string{
		"plain":    "\\connect plain\n\nSET",
		"Upper":    "\\connect \"Upper\"\n\nSET",
		`it's \ x`: "\\encoding SQL_ASCII\n\\connect -reuse-previous=on \"dbname='it\\'s \\\\ x'\"\n\nSET",
	} {
		cat := &archive.Catalog{Entries: []archive.Entry{{
			ID: 1, Kind: "DATABASE", Name: name, DDL: "CREATE DATABASE x;\n", Section: archive.SectionPreData,
		}}}
		var b bytes.Buffer
		check(t, WriteScriptFrom(t.Context(), &brokenSource{cat: cat}, &b, ScriptOptions{NoRestrict: true, PlanOptions: PlanOptions{Create: true}}))
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s: %s", name, b.String())
		}
	}
}

// TestScriptConnectReadOnly: a setting of the database that makes it read-only comes with the script, and must not keep the rest of it out.
func TestScriptConnectReadOnly(t *testing.T) {
	for sql, want := range map[string]string{
		"ALTER DATABASE d SET default_transaction_read_only TO 'on';\n": "\\connect d\n\nSET default_transaction_read_only = off;\n\nSET",
		"ALTER DATABASE d SET work_mem TO '7MB';\n":                     "\\connect d\n\nSET statement_timeout",
	} {
		cat := &archive.Catalog{Entries: []archive.Entry{
			{ID: 1, Kind: "DATABASE", Name: "d", DDL: "CREATE DATABASE d;\n", Section: archive.SectionPreData},
			{ID: 2, Kind: "DATABASE PROPERTIES", Name: "d", DDL: sql, Section: archive.SectionPreData},
		}}
		var b bytes.Buffer
		check(t, WriteScriptFrom(t.Context(), &brokenSource{cat: cat}, &b, ScriptOptions{NoRestrict: true, PlanOptions: PlanOptions{Create: true}}))
		if strings.Count(b.String(), want) != 2 {
			t.Errorf("%s: %s", sql, b.String())
		}
	}
}
