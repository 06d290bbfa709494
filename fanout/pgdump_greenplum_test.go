package fanout

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// fakeGreenplumPgDump says what the real one says of itself, and runs only if it finds its library.
func fakeGreenplumPgDump(t *testing.T, version string) string {
	t.Helper()
	home := t.TempDir()
	for _, dir := range []string{"bin", "lib"} {
		check(t, os.Mkdir(filepath.Join(home, dir), 0o755))
	}
	check(t, os.WriteFile(filepath.Join(home, "lib", "libpq.so.5"), nil, 0o644))
	path := filepath.Join(home, "bin", "pg_dump")
	script := `#!/bin/sh
case ":$LD_LIBRARY_PATH:" in *:` + filepath.Join(home, "lib") + `:*) ;; *) echo 'libpq.so.5: cannot open' >&2; exit 127;; esac
case "$1" in
--version) echo '` + version + `' ;;
--help) echo '  --gp-syntax                  dump with Greenplum Database syntax (default if gpdb)' ;;
esac
`
	check(t, os.WriteFile(path, []byte(script), 0o755)) //nolint:gosec // it has to run
	return path
}

func TestFindPgDumpByProduct(t *testing.T) {
	stock9 := fakePgDump(t, "pg_dump (PostgreSQL) 9.4.26", "")
	stock12 := fakePgDump(t, "pg_dump (PostgreSQL) 12.22", "")
	gp6 := fakeGreenplumPgDump(t, "pg_dump (PostgreSQL) 9.4.26")
	gp7 := fakeGreenplumPgDump(t, "pg_dump (Greenplum Database) 12.12")
	greenplum6 := Dialect{Product: "Greenplum", Version: "6.24.3", VersionNum: 90426}
	greenplum7 := Dialect{Product: "Greenplum", Version: "7.1.0", VersionNum: 120012}
	cloudberry := Dialect{Product: "Apache Cloudberry", Version: "2.0.0", VersionNum: 140004}
	postgres12 := Dialect{Product: "PostgreSQL", Version: "12.22", VersionNum: 120022}
	tests := []struct {
		name     string
		paths    []string // in PATH
		home     string   // GPHOME
		explicit string
		server   Dialect
		want     string
		err      error
		says     string
	}{
		{name: "its own", paths: []string{stock9, gp7, gp6}, server: greenplum6, want: gp6},
		{name: "its own of the release", paths: []string{stock12, gp6, gp7}, server: greenplum7, want: gp7},
		{name: "by GPHOME", paths: []string{stock9}, home: filepath.Dir(filepath.Dir(gp6)), server: greenplum6, want: gp6},
		{name: "never PostgreSQL's", paths: []string{stock9, stock12}, server: cloudberry, err: ErrPgDumpMissing, says: "greenplum_path.sh"},
		{name: "never that of another release", paths: []string{gp7}, server: cloudberry, err: ErrPgDumpMissing, says: "12.12"},
		{name: "never Greenplum's for PostgreSQL", paths: []string{gp7, stock12}, server: postgres12, want: stock12},
		{name: "named", paths: []string{stock9}, explicit: gp6, server: greenplum6, want: gp6},
		{name: "named, PostgreSQL's", explicit: stock9, server: greenplum6, err: ErrPgDumpProduct, says: "distributes"},
		{name: "named, Greenplum's", explicit: gp7, server: postgres12, err: ErrPgDumpProduct, says: "postgresql-client-12"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if strings.HasPrefix(tt.name, "never") && tt.err != nil {
				hideInstalledGreenplum(t, tt.server)
			}
			dirs := make([]string, len(tt.paths))
			for i, p := range tt.paths {
				dirs[i] = filepath.Dir(p)
			}
			t.Setenv("PATH", strings.Join(append(dirs, "/bin"), ":"))
			t.Setenv("GPHOME", tt.home)
			t.Setenv("LD_LIBRARY_PATH", "/nowhere")
			p, err := FindPgDump(t.Context(), tt.explicit, tt.server)
			if !errors.Is(err, tt.err) || p.Path != tt.want {
				t.Fatalf("found %+v, error %v; want %q, error %v", p, err, tt.want, tt.err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v does not say %q", err, tt.says)
			}
			if p.Segmented != (err == nil && tt.server.Product != "PostgreSQL") {
				t.Errorf("found %+v", p)
			}
		})
	}
}

// hideInstalledGreenplum skips a test that wants no pg_dump to be found on a machine that has one.
func hideInstalledGreenplum(t *testing.T, server Dialect) {
	t.Helper()
	t.Setenv("PATH", "/bin")
	t.Setenv("GPHOME", "")
	if p, err := FindPgDump(t.Context(), "", server); err == nil {
		t.Skipf("there is %s", p.Path)
	}
}

// greenplumSession connects to the real Greenplum that the environment names, or skips the test.
func greenplumSession(t *testing.T, database string) *wire.Conn {
	t.Helper()
	conninfo := os.Getenv("PGARK_TEST_GREENPLUM")
	if conninfo == "" {
		t.Skip("PGARK_TEST_GREENPLUM holds no connection string")
	}
	cfg, err := wire.ParseConfig(conninfo)
	check(t, err)
	if database != "" {
		cfg = cfg.With(wire.Overrides{Database: database})
	}
	conn, err := wire.Connect(t.Context(), cfg, wire.TextSettings(""))
	check(t, err)
	t.Cleanup(func() { closeSession(t.Context(), conn) })
	return conn
}

// kindsDatabase makes a database on the real Greenplum with every kind of table.
func kindsDatabase(t *testing.T, name string) *wire.Conn {
	t.Helper()
	admin := greenplumSession(t, "")
	drop := func() {
		if _, err := admin.Exec(context.Background(), "DROP DATABASE IF EXISTS "+name); err != nil {
			t.Error(err)
		}
	}
	drop()
	t.Cleanup(drop)
	_, err := admin.Exec(t.Context(), "CREATE DATABASE "+name)
	check(t, err)
	conn := greenplumSession(t, name)
	sql, err := os.ReadFile("../testdata/greenplum/kinds.sql")
	check(t, err)
	for _, s := range lexStatements(string(sql), true) {
		if _, err := conn.Exec(t.Context(), s.result()); err != nil {
			t.Fatalf("%v\n%s", err, s.result())
		}
	}
	return conn
}

// The real pg_dump gives its catalog through the relay, and it is what it writes into a file.
func TestGreenplumCatalog(t *testing.T) {
	conn := kindsDatabase(t, "pgark_catalog")
	tool, err := FindPgDump(t.Context(), "", Dialect{Product: "Greenplum", VersionNum: conn.ServerVersionNum()})
	check(t, err)
	cat := relayedCatalog(t, conn, tool, CatalogOptions{Encoding: conn.Encoding()})
	kinds := make(map[string]int)
	for i := range cat.Entries {
		kinds[cat.Entries[i].Kind]++
	}
	if kinds["TABLE"] < 28 || kinds["TABLE DATA"] != kinds["TABLE"] || kinds["EXTERNAL TABLE"] != 3 || cat.TOCVersion != "1.13" {
		t.Errorf("TOC %s: %v", cat.TOCVersion, kinds)
	}
	for _, o := range []CatalogOptions{
		{SchemaOnly: true},
		{DataOnly: true},
		{NoOwner: true, NoACL: true, NoComments: true},
		{Sections: []string{"pre-data"}},
		{Filter: Filter{Schemas: []string{"sales"}, ExcludeTables: []string{"sales.ao_*"}}},
		{Filter: Filter{Tables: []string{"sales.part_range"}}},
	} {
		if cat := relayedCatalog(t, conn, tool, o); len(cat.Entries) < 4 {
			t.Errorf("%+v: %d entries", o, len(cat.Entries))
		}
	}
}

func relayedCatalog(t *testing.T, conn *wire.Conn, tool PgDump, o CatalogOptions) *archive.Catalog {
	t.Helper()
	// pg_dump prepares statements, so a session of a dump serves one only.
	_, err := conn.Exec(t.Context(), "DEALLOCATE ALL")
	check(t, err)
	_, err = conn.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	check(t, err)
	relay, err := wire.NewRelay(conn.Config(), catalogQuery)
	check(t, err)
	o.Conninfo = relay.Conninfo()
	g, ctx := errgroup.WithContext(t.Context())
	g.Go(func() error { return relay.ServeSession(ctx, conn) })
	var cat *archive.Catalog
	g.Go(func() (err error) {
		cat, err = tool.Catalog(ctx, o)
		return errors.Join(err, relay.Close())
	})
	check(t, g.Wait())
	_, err = conn.Exec(t.Context(), "ROLLBACK")
	check(t, err)
	return cat
}
