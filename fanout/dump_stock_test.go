package fanout_test

import (
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
)

// allKindsAndMore makes a database with every kind of object, large objects, and a table large enough to be read in ranges.
func allKindsAndMore(t *testing.T, srv *pgtest.Server) string {
	t.Helper()
	db := srv.CreateDB(t)
	pgtest.AllKinds(t, srv, db)
	srv.Exec(t, db, `SELECT lo_from_bytea(0, convert_to(repeat('0123456789', 100000), 'UTF8'));
SELECT lo_create(0);
SELECT lo_from_bytea(0, '\x00ff5c0a');
CREATE TABLE wide AS SELECT g AS id, repeat(md5(g::text), 30) AS v FROM generate_series(1, 60000) g;
INSERT INTO wide VALUES (0, repeat('a row of ten megabytes ', 450000));
CREATE TABLE "no columns" (); INSERT INTO "no columns" DEFAULT VALUES; INSERT INTO "no columns" DEFAULT VALUES;
CREATE TABLE "of no rows" (a int)`)
	return db
}

// A plain dump is what pg_dump writes, whatever the number of sessions.
func TestDumpPlain(t *testing.T) {
	srv := pgtest.Shared(t)
	db := allKindsAndMore(t, srv)
	want := stockScript(t, srv, db)
	cluster := discover(t, srv.Conninfo(db))
	for _, jobs := range []int{1, 2, 5} {
		var out bytes.Buffer
		r, err := fanout.DumpStock(t.Context(), fanout.StockTarget{Out: &out}, fanout.DumpOptions{Cluster: cluster, Jobs: jobs},
			fanout.StockOptions{Format: fanout.FormatPlain, Script: fanout.ScriptOptions{RestrictKey: "k"}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(splitScript(want), splitScript(out.String())); diff != "" {
			t.Errorf("%d jobs: %.3000s", jobs, diff)
		}
		if r.Summary.Rows < 60001 || r.Summary.Bytes != uint64(out.Len()) || r.Tables == 0 {
			t.Errorf("summary %+v", r.Summary)
		}
	}
	_ = archive.CodecNone
}

// stockScript is what pg_dump writes.
func stockScript(t *testing.T, srv *pgtest.Server, db string) string {
	t.Helper()
	program, err := pgtest.FindClient(srv.BinDir(), "pg_dump")
	if err != nil {
		t.Skip(err)
	}
	out, err := exec.Command(program, "--restrict-key=k", "-d", srv.Conninfo(db)).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// splitScript divides a script into lines, with large objects in order, as no two programs need to agree on theirs.
func splitScript(script string) []string {
	one := regexp.MustCompile(`(?s)SELECT pg_catalog\.lo_open\(.*?lo_close\(0\);\n\n`)
	all := one.FindAllString(script, -1)
	slices.Sort(all)
	script = one.ReplaceAllStringFunc(script, func(string) string {
		first := all[0]
		all = all[1:]
		return first
	})
	return strings.Split(script, "\n")
}
