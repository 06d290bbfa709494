package fanout_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
)

// statisticsOf are the entries with statistics, a text for each.
func statisticsOf(t *testing.T, cat *archive.Catalog, err error) (texts []string, others int) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for i := range cat.Entries {
		if e := &cat.Entries[i]; e.Kind == "STATISTICS DATA" {
			texts = append(texts, e.Schema+"."+e.Name+": "+e.DDL)
		} else if e.Section != archive.SectionNone && !strings.Contains("ENCODING STDSTRINGS SEARCHPATH DATABASE", e.Kind) {
			others++
		}
	}
	slices.Sort(texts)
	return texts, others
}

// Statistics are those that pg_dump 18 gives. A server that can't take them is restored without, and says so once: each of them failed, and so
// did the restore.
func TestStatisticsFromPgDump18(t *testing.T) {
	t.Parallel()
	program := pgtest.StockClient(t, 18, "pg_dump")
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'public.t '||g % 7 FROM generate_series(1, 500) g;
		CREATE MATERIALIZED VIEW m AS SELECT v FROM t; ANALYZE t; ANALYZE m`)
	stock := filepath.Join(t.TempDir(), "stock")
	if _, err := pgtest.Output(t, exec.Command(program, "--statistics", "-Fc", "-f", stock, "-d", srv.Conninfo(db))); err != nil {
		t.Fatal(err)
	}
	d, err := pgdump.Open(stock, pgdump.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cat, err := d.Catalog()
	want, _ := statisticsOf(t, cat, err)
	dump := func(o fanout.DumpOptions) *archive.Reader {
		t.Helper()
		var b bytes.Buffer
		o.PgDumpPath = program
		dumpTo(t, srv.Conninfo(db), &b, o)
		return reader(t, b.Bytes())
	}
	for _, o := range []fanout.DumpOptions{{Statistics: true}, {Statistics: true, SchemaOnly: true}, {Statistics: true, DataOnly: true}, {Statistics: true, SchemaOnly: true, DataOnly: true}} {
		a := dump(o)
		cat, err := a.Catalog()
		got, others := statisticsOf(t, cat, err)
		sameLines(t, "statistics", want, got)
		if len(want) != 3 || others == 0 != (o.SchemaOnly && o.DataOnly) || len(a.Streams()) == 0 != o.SchemaOnly {
			t.Errorf("%+v: %d statistics, %d other entries, %d streams", o, len(want), others, len(a.Streams()))
		}
	}

	a, to := dump(fanout.DumpOptions{Statistics: true}), srv.CreateDB(t)
	res, err := fanout.Restore(t.Context(), a, fanout.RestoreOptions{Target: parseConfig(t, srv.Conninfo(to))})
	if err != nil || len(res.Failures) > 0 {
		t.Fatalf("%v, %+v", err, res)
	}
	only := fanout.RestoreOptions{Target: parseConfig(t, srv.Conninfo(to)), NoSchema: true, NoData: true}
	res2, err := fanout.Restore(t.Context(), a, only)
	warnings := strings.Join(res.Warnings, "\n")
	if srv.QueryString(t, to, "SELECT current_setting('server_version_num')::int >= 180000") == "t" {
		if err != nil || warnings != "" || res2.Objects != 3 || srv.QueryString(t, to, "SELECT sum(relpages) > 0 AND max(reltuples) = 500 FROM pg_class WHERE relname IN ('t', 'm')") != "t" {
			t.Errorf("%v, warnings %q, %d objects", err, warnings, res2.Objects)
		}
		return
	}
	if !strings.HasPrefix(warnings, "the statistics of 3 tables and indexes are left out, since PostgreSQL restores them from version 18 on, and the target is of version ") ||
		len(res.Warnings) != 1 {
		t.Errorf("warnings %q", warnings)
	}
	if err == nil || !strings.Contains(err.Error(), "nothing to restore but statistics") || res2.Objects != 0 {
		t.Errorf("error %v where nothing could be restored", err)
	}
}
