package fanout_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/gpbackup"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/wire"
)

// testStock dumps in pg_dump's formats by two routes. What is read back of them are the rows of an archive of pgark; they are restored
// by pgark, and by the psql and the pg_restore of Greenplum.
func (g *greenplum) testStock(t *testing.T) {
	db, c, want := g.fewerKinds(t, "stock")
	dir := t.TempDir()
	for _, x := range []struct {
		format, route string
		codec         archive.Codec
	}{
		{fanout.FormatCustom, fanout.RouteSegments, archive.CodecZstd},
		{fanout.FormatCustom, fanout.RouteCoordinator, archive.CodecGzip},
		{fanout.FormatDirectory, fanout.RouteSegments, archive.CodecGzip},
		{fanout.FormatTar, fanout.RouteSegments, archive.CodecNone},
		{fanout.FormatPlain, fanout.RouteSegments, archive.CodecNone},
		{fanout.FormatPlain, fanout.RouteCoordinator, archive.CodecNone},
	} {
		name := x.format + " by " + x.route
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			begun := time.Now()
			res := g.dumpStock(t, c, path, x.format, x.route, x.codec)
			g.report(t, time.Since(begun), "%d tables, %d rows, %.0f MB of rows in %.0f MB", res.Tables, res.Summary.Rows,
				float64(res.Summary.RawBytes)/1e6, float64(res.Summary.Bytes)/1e6)
			if res.Route != x.route {
				t.Errorf("took route %s: %s", res.Route, res.RouteReason)
			}
			src := openStock(t, path, x.format)
			sameRows(t, want, digestsOf(reader(t, imported(t, src))))
			if x.route == fanout.RouteSegments {
				g.restoreSource(t, src, db)
			}
		})
	}
	t.Run("psql", func(t *testing.T) {
		copied := g.database(t, "psql")
		g.client(t, "psql", copied, "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", filepath.Join(dir, "plain-by-segments"))
		sameRows(t, want, digestsOf(reader(t, g.dumpCopy(t, copied))))
	})
	t.Run("pg_restore", func(t *testing.T) {
		copied := g.database(t, "pg_restore")
		// Or the server refuses the largest floats, those of its own pg_dump, too.
		g.exec(t, "postgres", "ALTER DATABASE "+wire.Ident(copied)+" SET extra_float_digits = 3")
		g.client(t, "pg_restore", copied, "-1", filepath.Join(dir, "custom-by-coordinator"))
		sameRows(t, want, digestsOf(reader(t, g.dumpCopy(t, copied))))
	})
}

// client runs a program of the database with PATH's, and logs what it says.
func (g *greenplum) client(t *testing.T, name, db string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append(args, "-d", db, "-h", g.cfg.Host(), "-p", strconv.Itoa(int(g.cfg.Port())), "-U", g.cfg.User())...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	said := make(map[string]bool)
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "ERROR") && !said[line] {
			said[line] = true
			t.Logf("%s: %s", name, strings.TrimSpace(line))
		}
	}
}

// fewerKinds makes a database of tables of all kinds, and gives the digests of an archive of it.
func (g *greenplum) fewerKinds(t *testing.T, name string) (db string, c *fanout.Cluster, want map[string]archive.Digest) {
	t.Helper()
	db = g.database(t, name)
	rows := g.rows
	g.rows = max(1000, rows/10)
	g.loadKinds(t, db)
	g.rows = rows
	c = g.cluster(t, g.in(db))
	file, _ := g.dumpBy(t, c, fanout.RouteSegments, fanout.DumpOptions{})
	return db, c, digestsOf(reader(t, file))
}

func (g *greenplum) dumpCopy(t *testing.T, db string) []byte {
	t.Helper()
	file, _ := g.dumpBy(t, g.cluster(t, g.in(db)), fanout.RouteCoordinator, fanout.DumpOptions{})
	return file
}

func (g *greenplum) dumpStock(t *testing.T, c *fanout.Cluster, path, format, route string, codec archive.Codec) *fanout.DumpResult {
	t.Helper()
	target := fanout.StockTarget{Dir: path}
	if format != fanout.FormatDirectory {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		target = fanout.StockTarget{Out: f}
	}
	res, err := fanout.DumpStock(t.Context(), target, fanout.DumpOptions{Cluster: c, Route: route, Jobs: 2},
		fanout.StockOptions{Format: format, Codec: codec, Script: fanout.ScriptOptions{NoRestrict: true}})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func openStock(t *testing.T, path, format string) archive.Source {
	t.Helper()
	var src archive.Source
	var err error
	if format == fanout.FormatPlain {
		src, err = pgdump.OpenScript(t.Context(), path)
	} else {
		src, err = pgdump.Open(path, pgdump.OpenOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// imported is an archive of pgark with what a dump of another program holds.
func imported(t *testing.T, src archive.Source) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := fanout.ImportSource(t.Context(), src, &b, fanout.ImportOptions{Codec: archive.CodecZstd, Jobs: 2}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sameRows compares digests of tables, partitions together. A table without rows may be absent.
func sameRows(t *testing.T, want, got map[string]archive.Digest) {
	t.Helper()
	if diff := cmp.Diff(byRoot(want), byRoot(got)); diff != "" {
		t.Errorf("other rows:\n%s", diff)
	}
}

// byRoot adds the partitions of each table (t_1_prt_a).
func byRoot(all map[string]archive.Digest) map[string]string {
	sums := make(map[string]archive.Digest)
	for name, d := range all {
		root, _, _ := strings.Cut(name, "_1_prt_")
		sum := sums[root]
		sum.Merge(d)
		sums[root] = sum
	}
	texts := make(map[string]string)
	for name, d := range sums {
		if d.Rows > 0 {
			texts[name] = d.String()
		}
	}
	return texts
}

// restoreSource restores a dump into another database of the Greenplum, which must then hold the rows of the first.
func (g *greenplum) restoreSource(t *testing.T, src archive.Source, from string) {
	t.Helper()
	db := g.database(t, "source")
	g.exec(t, "postgres", "ALTER DATABASE "+wire.Ident(db)+" SET gp_default_storage_options = 'appendonly=true, orientation=column'")
	begun := time.Now()
	res, err := fanout.RestoreSource(t.Context(), src, fanout.RestoreOptions{Target: g.in(db), Jobs: 2, Discover: discoverCluster})
	if err != nil {
		t.Fatal(err)
	}
	checkRestored(t, res)
	g.report(t, time.Since(begun), "restored: %d tables, %d rows", res.Tables, res.Rows)
	file, _ := g.dumpBy(t, g.cluster(t, g.in(from)), fanout.RouteSegments, fanout.DumpOptions{})
	g.verify(t, file, g.cluster(t, g.in(db)), "")
	if diff := cmp.Diff(g.definitions(t, from), g.definitions(t, db)); diff != "" {
		t.Errorf("other definitions:\n%s", diff)
	}
}

// definitions are what Greenplum's own pg_dump says of a database, statement by statement.
func (g *greenplum) definitions(t *testing.T, db string) []string {
	t.Helper()
	path, err := exec.LookPath("pg_dump")
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), path, "-s", "-h", g.cfg.Host(), "-p", strconv.Itoa(int(g.cfg.Port())), "-U", g.cfg.User(), db)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^--.*\n`).Split(string(out), -1)
	space, end := regexp.MustCompile(`\s+`), regexp.MustCompile(` *(\))`)
	for i := range all { // a server that was given a definition says it with more spaces
		all[i] = end.ReplaceAllString(space.ReplaceAllString(strings.TrimSpace(all[i]), " "), "$1")
	}
	// Tables WITH OIDS come without; gpbackup writes inherited columns as the table's own.
	oids := regexp.MustCompile(`; SET default_with_oids = \w+;`)
	for i := range all {
		all[i] = oids.ReplaceAllString(all[i], ";")
	}
	all = slices.DeleteFunc(all, func(s string) bool { return s == "" || strings.Contains(s, " INHERITS (") })
	slices.Sort(all)
	return all
}

// testSets has gpbackup write sets in all of its ways; each is read, compared with the database, and restored into another one.
func (g *greenplum) testSets(t *testing.T) {
	backup := program(t, "PGARK_TEST_GPBACKUP", "gpbackup")
	root := os.Getenv("PGARK_TEST_GPBACKUP_DIR")
	if root == "" {
		t.Skip("PGARK_TEST_GPBACKUP_DIR names no directory")
	}
	db, _, want := g.fewerKinds(t, "sets")
	for i, flags := range [][]string{
		nil,
		{"--leaf-partition-data", "--compression-type", "zstd"},
		{"--no-compression", "--with-stats"},
		{"--single-data-file"},
		{"--single-data-file", "--leaf-partition-data", "--no-compression"},
		{"--single-backup-dir"},
		{"--leaf-partition-data", "--incremental"},
	} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			dir := filepath.Join(root, "pgark_test_"+strconv.Itoa(i)+"_"+strconv.FormatInt(time.Now().UnixNano(), 36))
			args := []string{"--backup-dir", dir, "--dbname", db}
			if slices.Contains(flags, "--incremental") {
				output(t, backup, append(args, "--leaf-partition-data")...)
				time.Sleep(time.Second) // the name of a set has the second
			}
			out := output(t, backup, append(args, flags...)...)
			stamp := regexp.MustCompile(`Backup Timestamp = (\d{14})`).FindStringSubmatch(out)
			if stamp == nil {
				t.Fatalf("gpbackup names no timestamp:\n%s", out)
			}
			src, err := gpbackup.Open(dir, gpbackup.Options{Timestamp: stamp[1]})
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			for _, w := range src.Description().Warnings {
				t.Logf("warning: %s", w)
			}
			floats, err := fanout.WithFloats(src)
			if err != nil {
				t.Fatal(err)
			}
			sameRows(t, want, digestsOf(reader(t, imported(t, floats))))
			g.restoreSource(t, floats, db)
		})
	}
	t.Run("statistics", func(t *testing.T) { g.testStatistics(t, root) })
}

// digestsOf are the digests of tables by schema and name.
func digestsOf(a *archive.Reader) map[string]archive.Digest {
	sums := make(map[string]archive.Digest)
	for _, s := range a.Streams() {
		d := sums[s.Schema+"."+s.Table]
		d.Merge(s.Digest)
		sums[s.Schema+"."+s.Table] = d
	}
	return sums
}

// testAll dumps all databases of the Greenplum that are the test's, and restores one of them.
func (g *greenplum) testAll(t *testing.T) {
	db, _, want := g.fewerKinds(t, "all")
	other := g.database(t, "all_other")
	t.Run("fill", func(t *testing.T) { // whose session then ends
		g.exec(t, other, "CREATE TABLE x AS SELECT g AS a FROM generate_series(1, 1000) g DISTRIBUTED BY (a)")
	})
	var b bytes.Buffer
	res, err := fanout.DumpCluster(t.Context(), &b, fanout.ClusterDumpOptions{
		Server: g.in("postgres"), Databases: []string{db, other},
		Discover: func(ctx context.Context, cfg *wire.Config) (*fanout.Cluster, error) { return discoverCluster(ctx, cfg) },
		Dump:     fanout.DumpOptions{Jobs: 2, Codec: archive.CodecZstd},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range res.Warnings {
		t.Logf("warning: %s", w)
	}
	c := openCluster(t, b.Bytes())
	kinds := make(map[string]int)
	cat, err := c.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range fanout.GlobalEntries(cat) {
		kinds[e.Kind]++
	}
	t.Logf("of the server: %v", kinds)
	a, err := c.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	sameRows(t, want, digestsOf(a))
	g.drop(t, other)
	r, err := fanout.RestoreCluster(t.Context(), c, fanout.ClusterRestoreOptions{
		Server: g.in("postgres"), Databases: []string{other}, Restore: fanout.RestoreOptions{Discover: discoverCluster, Jobs: 2},
	})
	if err != nil || !r.OK() {
		t.Fatalf("%v %s", err, showClusterRestore(r))
	}
	for _, w := range r.Globals.Warnings {
		t.Logf("warning: %s", w)
	}
	if got := query(t, open(t, g.in(other)), "SELECT count(*) FROM x"); got[0][0] != "1000" {
		t.Error(got)
	}
}

// testRedirect restores schemas under other names, and compares with what the server makes of ALTER SCHEMA ... RENAME.
func (g *greenplum) testRedirect(t *testing.T) {
	from, c, _ := g.fewerKinds(t, "redirect_from")
	file, _ := g.dumpBy(t, c, fanout.RouteSegments, fanout.DumpOptions{})
	db := g.database(t, "redirected")
	res, err := fanout.Restore(t.Context(), reader(t, file), fanout.RestoreOptions{
		Target: g.in(db), Jobs: 2, Discover: discoverCluster, Redirect: map[string]string{"sales": "big", "big": "other big"},
	})
	if err != nil {
		t.Fatal(err)
	}
	checkRestored(t, res)
	g.exec(t, from, `ALTER SCHEMA big RENAME TO "other big"; ALTER SCHEMA sales RENAME TO big`)
	if diff := cmp.Diff(g.definitions(t, from), g.definitions(t, db)); diff != "" {
		t.Errorf("other definitions:\n%s", diff)
	}
	renamed, _ := g.dumpBy(t, g.cluster(t, g.in(from)), fanout.RouteSegments, fanout.DumpOptions{})
	g.verify(t, renamed, g.cluster(t, g.in(db)), "")
}
