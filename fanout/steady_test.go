package fanout_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
)

// TestDumpWhileNamesChange renames between the snapshot and the run of pg_dump, which would write definitions that use the new
// names beside ones that have the old: the moment is taken again.
func TestDumpWhileNamesChange(t *testing.T) {
	tool, err := exec.LookPath("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	srv := pgtest.Shared(t)
	for _, change := range []struct{ name, sql string }{
		{"schema", "ALTER SCHEMA old RENAME TO new_name"},
		{"type", "ALTER TYPE old.ty RENAME TO new_name"},
		{"domain in another schema", "CREATE SCHEMA new_name; ALTER DOMAIN old.dom SET SCHEMA new_name"},
		{"function", "ALTER FUNCTION old.fn RENAME TO new_name"},
		{"function gone", "DROP FUNCTION old.alone(int); COMMENT ON SCHEMA old IS 'new_name'"},
		{"view gone", "DROP VIEW old.w; COMMENT ON SCHEMA old IS 'new_name'"},
		{"sequence gone", "DROP SEQUENCE old.sq; COMMENT ON SCHEMA old IS 'new_name'"},
		{"schema gone", "DROP SCHEMA older CASCADE; COMMENT ON SCHEMA old IS 'new_name'"},
		{"view", "ALTER VIEW old.v RENAME TO new_name"},
		{"column of a view", "ALTER VIEW old.v RENAME COLUMN a TO new_name"},
		{"index", "ALTER INDEX old.ix RENAME TO new_name"},
		{"no name", "CREATE TYPE old.new_name AS ENUM (); COMMENT ON SCHEMA old IS 'new_name'; CREATE INDEX new_name ON old.t2 (a)"},
	} {
		t.Run(change.name, func(t *testing.T) {
			db := srv.CreateDB(t)
			srv.Exec(t, db, `CREATE SCHEMA old; CREATE TYPE old.ty AS ENUM ('a'); CREATE DOMAIN old.dom AS int; CREATE SEQUENCE seq; CREATE SEQUENCE old.sq;
CREATE SCHEMA older; CREATE VIEW older.v AS SELECT 1 AS a; CREATE AGGREGATE older.ag(int) (sfunc = int4pl, stype = int);
CREATE FUNCTION old.fn() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION old.alone(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE VIEW old.v AS SELECT old.fn() AS a; CREATE VIEW old.w AS SELECT a FROM old.v;
CREATE TABLE t (a old.ty DEFAULT 'a', b old.dom, c int DEFAULT nextval('seq')); CREATE TABLE old.t2 (a int); CREATE INDEX ix ON old.t2 (a)`)
			dir := t.TempDir()
			script := "#!/bin/sh\ncase $1 in --version|--help) ;; *) if mkdir " + dir + "/once 2>/dev/null; then psql -qX '" + srv.Conninfo(db) +
				"' -c \"" + change.sql + "\" >&2 || exit 9; fi;; esac\nexec " + tool + " \"$@\"\n"
			path := filepath.Join(dir, "pg_dump")
			if err := os.WriteFile(path, []byte(script), 0o755); err != nil { //nolint:gosec // it has to be run
				t.Fatal(err)
			}
			var b bytes.Buffer
			dumpTo(t, srv.Conninfo(db), &b, fanout.DumpOptions{PgDumpPath: path})
			cat, err := reader(t, b.Bytes()).Catalog()
			if err != nil {
				t.Fatal(err)
			}
			var all strings.Builder
			for i := range cat.Entries {
				all.WriteString(cat.Entries[i].DDL)
			}
			again := change.name != "no name"
			if got := strings.Contains(all.String(), "new_name"); got != again {
				t.Errorf("new names %t, want %t:\n%s", got, again, all.String())
			}
		})
	}
}

// TestDumpOfBrokenView: what pg_dump fails at again is no view that was dropped meanwhile, and not tried twenty times.
func TestDumpOfBrokenView(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, "CREATE VIEW v AS SELECT 1 AS a; DELETE FROM pg_rewrite WHERE ev_class = 'v'::regclass")
	said := &notes{}
	_, err := fanout.Dump(t.Context(), io.Discard, fanout.DumpOptions{Cluster: cluster(t, srv.Conninfo(db)), Progress: said})
	if err == nil || !strings.Contains(err.Error(), "appears to be empty") || strings.Contains(err.Error(), "taken again") {
		t.Errorf("error: %v", err)
	}
	if again := said.count("starting over"); again != 1 {
		t.Errorf("started over %d times", again)
	}
}

// TestDumpWhileLabelsChange renames an enum's label while rows are read: which label they have is not certain.
func TestDumpWhileLabelsChange(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	manyTables(t, srv, db)
	srv.Exec(t, db, "CREATE TYPE e AS ENUM ('a'); CREATE TABLE small AS SELECT 'a'::e AS e")
	g := newGate(nil)
	g.meanwhile(func() { srv.Exec(t, db, "ALTER TYPE e RENAME VALUE 'a' TO 'b'; CREATE TYPE f AS ENUM ('x')") })
	_, err := fanout.Dump(t.Context(), g, fanout.DumpOptions{Cluster: cluster(t, srv.Conninfo(db)), Jobs: 2})
	if err == nil || !strings.Contains(err.Error(), "renamed while rows were read") {
		t.Errorf("error: %v", err)
	}
}

// TestDumpWhileSchemasSwap has another schema take the name of one whose tables are locked, as a new release of an application does, while rows
// are read: by name they would be the other's.
func TestDumpWhileSchemasSwap(t *testing.T) {
	srv := pgtest.Shared(t)
	for _, stock := range []bool{false, true} {
		db := srv.CreateDB(t)
		manyTables(t, srv, db)
		srv.Exec(t, db, "CREATE SCHEMA z; CREATE TABLE z.t AS SELECT 1 AS a; CREATE SCHEMA z_new; CREATE TABLE z_new.t AS SELECT 2 AS a")
		g := newGate(nil)
		g.meanwhile(func() {
			srv.Exec(t, db, "ALTER SCHEMA z RENAME TO tmp; ALTER SCHEMA z_new RENAME TO z; ALTER SCHEMA tmp RENAME TO z_new")
		})
		o := fanout.DumpOptions{Cluster: cluster(t, srv.Conninfo(db)), Jobs: 2}
		var err error
		if stock {
			_, err = fanout.DumpStock(t.Context(), fanout.StockTarget{Out: g}, o, fanout.StockOptions{Format: fanout.FormatCustom})
		} else {
			_, err = fanout.Dump(t.Context(), g, o)
		}
		if err == nil || !strings.Contains(err.Error(), `z.t is called z_new.t by now`) && !strings.Contains(err.Error(), `z_new.t is called z.t by now`) {
			t.Errorf("stock %t: error: %v", stock, err)
		}
	}
}
