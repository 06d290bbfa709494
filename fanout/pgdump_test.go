package fanout

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/internal/pgtest"
)

// serverPgDump is the pg_dump of the test server's version.
func serverPgDump(tb testing.TB, srv *pgtest.Server) PgDump {
	tb.Helper()
	path, err := pgtest.FindClient(srv.BinDir(), "pg_dump")
	if err != nil {
		tb.Skip(err)
	}
	p, err := FindPgDump(tb.Context(), path, Dialect{VersionNum: 10000})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// fakePgDump is a program that is called pg_dump: a shell script that answers --version and else runs body.
func fakePgDump(tb testing.TB, version, body string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "pg_dump")
	script := "#!/bin/sh\nif [ \"$1\" = --version ]; then echo '" + version + "'; exit 0; fi\n" + body + "\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil { //nolint:gosec // it has to run
		tb.Fatal(err)
	}
	return path
}

func TestFindPgDump(t *testing.T) {
	old := fakePgDump(t, "pg_dump (PostgreSQL) 9.6.24", "")
	newer := fakePgDump(t, "pg_dump (PostgreSQL) 98.1", "")
	newest := fakePgDump(t, "pg_dump (PostgreSQL) 99beta1 (Debian)", "")
	t.Setenv("PATH", strings.Join([]string{filepath.Dir(old), filepath.Dir(newest), filepath.Dir(newer)}, ":"))
	tests := []struct {
		name, explicit string
		major          int
		path, version  string
		err            error
	}{
		{name: "the server's own", major: 99, path: newest, version: "99beta1 (Debian)"},
		{name: "the next newer", major: 97, path: newer, version: "98.1"},
		{name: "none new enough", major: 100, err: ErrPgDumpTooOld},
		{name: "named", explicit: newest, major: 15, path: newest, version: "99beta1 (Debian)"},
		{name: "named in PATH", explicit: "pg_dump", major: 9, path: old, version: "9.6.24"},
		{name: "named and too old", explicit: old, major: 15, err: ErrPgDumpTooOld},
		{name: "named and missing", explicit: "/nonexistent/pg_dump", major: 15, err: ErrPgDumpMissing},
		{name: "named and something else", explicit: "/bin/true", major: 15, err: ErrPgDumpMissing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := FindPgDump(t.Context(), tt.explicit, Dialect{VersionNum: tt.major * 10000})
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if p.Path != tt.path || p.Version != tt.version {
				t.Errorf("found %+v", p)
			}
			if errors.Is(err, ErrPgDumpTooOld) && (!strings.Contains(err.Error(), "9.6.24") || !strings.Contains(err.Error(), "install")) {
				t.Errorf("does not say what was found and what to install: %v", err)
			}
		})
	}
}

// Only pg_dump 18 and later give statistics, of older servers, too.
func TestFindPgDumpForStatistics(t *testing.T) {
	old, own := fakePgDump(t, "pg_dump (PostgreSQL) 17.2", ""), fakePgDump(t, "pg_dump (PostgreSQL) 19.1", "")
	newest := fakePgDump(t, "pg_dump (PostgreSQL) 98.1", "")
	t.Setenv("PATH", strings.Join([]string{filepath.Dir(old), filepath.Dir(newest), filepath.Dir(own)}, ":"))
	for _, tt := range []struct {
		explicit, product, path string
		major                   int
		says                    string
	}{
		{major: 19, path: own},
		{major: 97, path: newest},
		{explicit: newest, major: 15, path: newest},
		{explicit: old, major: 15, says: "statistics come from the pg_dump of PostgreSQL 18 and later; found " + old},
		{product: "Greenplum", major: 12, says: "and that of Greenplum 7.1 is built on PostgreSQL 12"},
	} {
		s := StartPgDumpSearch(t.Context(), tt.explicit)
		p, err := s.Find(t.Context(), Dialect{Product: tt.product, Version: "7.1", VersionNum: tt.major * 10000}, true)
		s.Stop()
		if p.Path != tt.path || (err != nil) != (tt.says != "") || err != nil && (!errors.Is(err, ErrPgDumpTooOld) || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%+v: found %+v, error %v", tt, p, err)
		}
	}
}

// The catalog is what pg_dump writes into a file, and nothing is left of pg_dump afterwards.
func TestCatalogIsPgDumps(t *testing.T) {
	srv := pgtest.Shared(t)
	d := dumpAllKinds(t, srv)
	db := d.toc.Header.Database
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	got, err := serverPgDump(t, srv).Catalog(t.Context(), CatalogOptions{Conninfo: srv.Conninfo(db), Encoding: "UTF8"})
	if err != nil {
		t.Fatal(err)
	}
	want := d.toc.Catalog()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("differs from a dump into a file:\n%.2000s", diff)
	}
	if got.Encoding != "UTF8" || got.TOCVersion == "" || got.Database != db {
		t.Errorf("%+v", got)
	}
	srv.WaitNoSessions(t, db)
}

func TestCatalogOptions(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.t (id serial PRIMARY KEY); CREATE TABLE b.t (x int);
		COMMENT ON TABLE a.t IS 'c'; GRANT SELECT ON a.t TO pg_monitor; ALTER ROLE postgres IN DATABASE `+db+` SET client_encoding = 'LATIN1'`)
	p := serverPgDump(t, srv)
	kinds := func(o CatalogOptions) (all []string, cat *archive.Catalog) {
		t.Helper()
		o.Conninfo, o.Encoding = srv.Conninfo(db), "UTF8"
		cat, err := p.Catalog(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range cat.Entries {
			if e.Schema == "a" || e.Schema == "b" {
				all = append(all, e.Schema+" "+e.Kind)
			}
		}
		return all, cat
	}
	full := []string{
		"a TABLE", "a COMMENT", "a SEQUENCE", "a SEQUENCE OWNED BY", "b TABLE", "a DEFAULT", "a TABLE DATA", "b TABLE DATA",
		"a SEQUENCE SET", "a CONSTRAINT", "a ACL",
	}
	without := func(list []string, drop ...string) (left []string) {
		for _, k := range list {
			if !strings.Contains(" "+strings.Join(drop, ", ")+",", " "+k+",") {
				left = append(left, k)
			}
		}
		return left
	}
	sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	tests := []struct {
		name string
		o    CatalogOptions
		want []string
	}{
		{"all", CatalogOptions{}, full},
		{"schema only", CatalogOptions{SchemaOnly: true}, without(full, "a TABLE DATA", "b TABLE DATA", "a SEQUENCE SET")},
		{"data only", CatalogOptions{DataOnly: true}, []string{"a TABLE DATA", "b TABLE DATA", "a SEQUENCE SET"}},
		{"sections", CatalogOptions{Sections: []string{"data"}}, []string{"a TABLE DATA", "b TABLE DATA", "a SEQUENCE SET"}},
		{"rights", CatalogOptions{NoACL: true}, without(full, "a ACL")},
		{"comments", CatalogOptions{NoComments: true}, without(full, "a COMMENT")},
		{"schema", CatalogOptions{Filter: Filter{Schemas: []string{"b"}}}, []string{"b TABLE", "b TABLE DATA"}},
		{"no schema", CatalogOptions{Filter: Filter{ExcludeSchemas: []string{"a"}}}, []string{"b TABLE", "b TABLE DATA"}},
		{"table", CatalogOptions{Filter: Filter{Tables: []string{"b.*"}}}, []string{"b TABLE", "b TABLE DATA"}},
		{"no data", CatalogOptions{Filter: Filter{Tables: []string{"b.t"}, ExcludeTableData: []string{"b.t"}}}, []string{"b TABLE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, cat := kinds(tt.o)
			if diff := cmp.Diff(tt.want, got, sorted); diff != "" {
				t.Error(diff)
			}
			if cat.Encoding != "UTF8" {
				t.Errorf("encoding %s: a setting of the role changed it", cat.Encoding)
			}
		})
	}
	t.Run("owner", func(t *testing.T) {
		_, cat := kinds(CatalogOptions{NoOwner: true})
		for _, e := range cat.Entries {
			if e.Owner != "" {
				t.Errorf("%s %s has an owner", e.Kind, e.Name)
			}
		}
	})
	t.Run("too new a switch", func(t *testing.T) {
		_, err := PgDump{Path: p.Path, Version: "13.1", Major: 13}.Catalog(t.Context(), CatalogOptions{
			Conninfo: srv.Conninfo(db), Filter: Filter{TablesAndChildren: []string{"t"}},
		})
		if !errors.Is(err, ErrPgDumpTooOld) || !strings.Contains(err.Error(), "16") {
			t.Errorf("error %v", err)
		}
	})
}

func TestCatalogErrors(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `CREATE TABLE secret (x int)`)
	srv.Exec(t, "postgres", `DROP ROLE IF EXISTS pgark_nobody; CREATE ROLE pgark_nobody LOGIN`)
	t.Cleanup(func() { srv.Exec(t, "postgres", `DROP ROLE pgark_nobody`) })
	p := serverPgDump(t, srv)
	good := srv.Conninfo(db)
	tests := []struct {
		name string
		p    PgDump
		o    CatalogOptions
		want error
		says string
	}{
		{"permission", p, CatalogOptions{Conninfo: strings.Replace(good, "user=postgres", "user=pgark_nobody", 1)}, ErrCatalogPermission, "secret"},
		{"pattern", p, CatalogOptions{Conninfo: good, Filter: Filter{Tables: []string{"nosuch"}}}, ErrNothingMatches, "no matching tables"},
		{"other database", p, CatalogOptions{Conninfo: good, Filter: Filter{Tables: []string{"nosuch.public.secret"}}}, ErrPattern, "cross-database"},
		{
			"version",
			PgDump{Path: fakePgDump(t, "", "echo 'pg_dump: error: aborting because of server version mismatch' >&2; exit 1")},
			CatalogOptions{},
			ErrPgDumpTooOld, "mismatch",
		},
		{"nothing", PgDump{Path: fakePgDump(t, "", "exit 0")}, CatalogOptions{}, pgdump.ErrTruncated, "gave no catalog"},
		{"garbage without end", PgDump{Path: fakePgDump(t, "", "while echo garbage; do :; done")}, CatalogOptions{}, pgdump.ErrNotDump, "PGDMP"},
		{"killed", PgDump{Path: fakePgDump(t, "", "kill -9 $$")}, CatalogOptions{}, pgdump.ErrTruncated, "killed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			_, err := tt.p.Catalog(t.Context(), tt.o)
			var pe *PgDumpError
			if !errors.Is(err, tt.want) || !errors.As(err, &pe) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %v and %q", err, tt.want, tt.says)
			}
		})
	}
	srv.WaitNoSessions(t, db)
}

// A pg_dump that waits ends when the dump is cancelled.
func TestCatalogCancelled(t *testing.T) {
	srv := pgtest.Shared(t)
	db, holder := lockedTable(t, srv)
	p := serverPgDump(t, srv)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := p.Catalog(ctx, CatalogOptions{Conninfo: srv.Conninfo(db)})
		done <- err
	}()
	for srv.QueryString(t, "postgres", `SELECT count(*) FROM pg_locks WHERE NOT granted`) == "0" {
		select {
		case err := <-done:
			t.Fatalf("it did not wait for the lock: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := holder.Close(context.Background()); err != nil {
		t.Error(err)
	}
	srv.WaitNoSessions(t, db)
}

func lockedTable(tb testing.TB, srv *pgtest.Server) (string, *pgconn.PgConn) {
	tb.Helper()
	db := srv.CreateDB(tb)
	srv.Exec(tb, db, "CREATE TABLE t (x int)")
	conn, err := pgconn.Connect(context.Background(), srv.Conninfo(db))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(tb.Context(), "BEGIN; LOCK TABLE t").ReadAll(); err != nil {
		tb.Fatal(err)
	}
	return db, conn
}

// Warnings of a pg_dump that did its work reach the log; settings for the server never reach it.
func TestCatalogWarningsAndEnvironment(t *testing.T) {
	toc, err := filepath.Abs("../archive/pgdump/testdata/pg15.toc")
	if err != nil {
		t.Fatal(err)
	}
	args := filepath.Join(t.TempDir(), "args")
	p := PgDump{Path: fakePgDump(t, "", `echo "$@" $PGPASSWORD $PGCLIENTENCODING > `+args+`
echo "pg_dump: warning: there are circular foreign-key constraints" >&2
cat `+toc+`; sleep 0`)}
	t.Setenv("PGCLIENTENCODING", "LATIN1")
	t.Setenv("PGPASSWORD", "hidden")
	var log bytes.Buffer
	cat, err := p.Catalog(t.Context(), CatalogOptions{
		Conninfo: "dbname=x", Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil || len(cat.Entries) == 0 {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "circular foreign-key") {
		t.Errorf("log: %s", log.String())
	}
	seen, err := os.ReadFile(args)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(seen)); !strings.HasSuffix(got, "--dbname=dbname=x") {
		t.Errorf("arguments and environment: %s", got)
	}
}
