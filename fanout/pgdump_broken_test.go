package fanout_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
)

// A dump goes on with another pg_dump where the first one can't be run, and says so if that was named.
func TestDumpWithBrokenPgDump(t *testing.T) {
	srv := pgtest.Shared(t)
	path, err := pgtest.FindClient(srv.BinDir(), "pg_dump")
	if err != nil {
		t.Skip(err)
	}
	db := srv.CreateDB(t)
	srv.Exec(t, db, "CREATE TABLE t AS SELECT generate_series(1, 10)")
	cluster := discover(t, srv.Conninfo(db))
	good, err := fanout.FindPgDump(t.Context(), path, cluster.Dialect)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "pg_dump")
	if err := os.WriteFile(broken, []byte("\x7fELF\x00pg_dump (PostgreSQL) "+good.Version+"\x00"), 0o755); err != nil { //nolint:gosec // as a program's
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(broken)+":"+filepath.Dir(good.Path)+":"+os.Getenv("PATH"))
	for _, explicit := range []string{"", broken} {
		var b bytes.Buffer
		result, err := fanout.Dump(t.Context(), &b, fanout.DumpOptions{Cluster: cluster, PgDumpPath: explicit})
		switch {
		case explicit != "":
			if !errors.Is(err, fanout.ErrPgDumpMissing) || !strings.Contains(err.Error(), broken) {
				t.Errorf("with the broken one alone: %v", err)
			}
		case err != nil || result.Summary.Rows != 10 || strings.HasPrefix(result.PgDump, broken):
			t.Errorf("%+v, %v", result, err)
		}
	}
}

// pg_dump is told the encoding of the session that it uses: a setting of the database can't change it.
func TestDumpEncodingOfCatalog(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `CREATE TABLE "ä€" AS SELECT 'ö€' AS a; ALTER DATABASE `+db+` SET client_encoding = 'LATIN1'`)
	var b bytes.Buffer
	dumpTo(t, srv.Conninfo(db), &b, fanout.DumpOptions{})
	cat, err := reader(t, b.Bytes()).Catalog()
	if err != nil || cat.Encoding != "UTF8" {
		t.Fatalf("encoding %q, %v", cat.Encoding, err)
	}
	for i := range cat.Entries {
		if cat.Entries[i].Name == "ä€" {
			return
		}
	}
	t.Error("the table has another name")
}
