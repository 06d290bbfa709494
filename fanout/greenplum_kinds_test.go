package fanout_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/verify"
	"github.com/pgark/pgark/wire"
)

func allRoutes() []string {
	return []string{fanout.RouteSegments, fanout.RouteCursors, fanout.RouteCoordinator}
}

// loadKinds fills a database with tables of every kind: small ones with many oddities, and large ones.
func (g *greenplum) loadKinds(t *testing.T, db string) {
	t.Helper()
	begun := time.Now()
	conn := open(t, g.in(db))
	for _, file := range []string{"kinds.sql", "rows.sql"} {
		sql, err := os.ReadFile("../testdata/greenplum/" + file)
		if err != nil {
			t.Fatal(err)
		}
		run(t, conn, strings.ReplaceAll(string(sql), "ROWS", strconv.Itoa(g.rows)))
	}
	run(t, conn, "RESET client_min_messages; CREATE EXTENSION IF NOT EXISTS gp_parallel_retrieve_cursor")
	g.report(t, time.Since(begun), "made tables of all kinds, with %d rows in each large one", g.rows)
}

// testKinds dumps tables of all kinds by every route, and restores each archive by both routes into other databases.
func (g *greenplum) testKinds(t *testing.T) {
	db := g.database(t, "kinds")
	g.loadKinds(t, db)
	c := g.cluster(t, g.in(db))
	counts, places := g.counts(t, db), g.places(t, db)

	archives := make(map[string][]byte)
	var first map[string]string
	for _, route := range allRoutes() {
		t.Run("dump by "+route, func(t *testing.T) {
			works(t, c, route)
			begun := time.Now()
			file, res := g.dumpBy(t, c, route, fanout.DumpOptions{})
			took := time.Since(begun)
			g.report(t, took, "%d tables, %d rows, %.0f MB of rows, %.0f MB/s, promise %s", res.Tables, res.Summary.Rows,
				float64(res.Summary.RawBytes)/1e6, float64(res.Summary.RawBytes)/1e6/took.Seconds(), res.Promise)
			if diff := cmp.Diff(counts, tableRows(t, file)); diff != "" {
				t.Errorf("the server (-) and the archive (+) count other rows:\n%s", diff)
			}
			digests := tableDigests(t, file)
			if first == nil {
				first = digests
			}
			if diff := cmp.Diff(first, digests); diff != "" {
				t.Errorf("other rows than by the first route:\n%s", diff)
			}
			checkNodes(t, c, route, reader(t, file))
			archives[route] = file
		})
	}
	t.Run("verify", func(t *testing.T) { g.verify(t, archives[fanout.RouteSegments], c, "") })
	for _, from := range allRoutes() {
		for _, by := range []string{fanout.RouteCoordinator, fanout.RouteSegments} {
			t.Run("dump by "+from+", restore by "+by, func(t *testing.T) {
				if archives[from] == nil {
					t.Skip("there is no archive")
				}
				g.restoreKinds(t, archives[from], by, places)
			})
		}
	}
	t.Run("into PostgreSQL", func(t *testing.T) { g.restoreIntoPostgres(t, archives[fanout.RouteSegments]) })
}

// checkNodes checks that an archive says which node the rows are of.
func checkNodes(t *testing.T, c *fanout.Cluster, route string, a *archive.Reader) {
	t.Helper()
	m, err := a.Moment()
	if err != nil {
		t.Fatal(err)
	}
	if m.Route != route || len(m.Nodes) != 1+len(c.Nodes) || len(m.Distributions) == 0 {
		t.Errorf("the moment has route %s, %d nodes, %d distributions", m.Route, len(m.Nodes), len(m.Distributions))
	}
	kinds := make(map[string]string)
	for _, d := range m.Distributions {
		kinds[d.Schema+"."+d.Table] = d.Kind
	}
	nodes := make(map[string]map[uint32]bool)
	for _, s := range a.Streams() {
		name := s.Schema + "." + s.Table
		if nodes[name] == nil {
			nodes[name] = make(map[uint32]bool)
		}
		nodes[name][s.Node] = true
	}
	for name, of := range nodes {
		switch kind := kinds[name]; {
		case kind == "":
			t.Errorf("%s has no distribution", name)
		case kind == archive.DistributedReplicated && len(of) != 1:
			t.Errorf("%s is replicated and has rows of nodes %v", name, of)
		case kind != archive.DistributedReplicated && route == fanout.RouteSegments && (of[0] || len(of) != len(c.Nodes)):
			t.Errorf("%s has rows of nodes %v, not of every segment", name, of)
		}
	}
}

// verify compares an archive with a database that nobody writes to. Of one table it may say that it can't be compared.
func (g *greenplum) verify(t *testing.T, file []byte, c *topology.Cluster, incomparable string) {
	t.Helper()
	begun := time.Now()
	r, err := verify.Database(t.Context(), reader(t, file), c, verify.Options{Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Class != verify.ClassIncomparable || f.Table != incomparable {
			t.Errorf("verify: %s %s: %s", f.Class, f.Table, f.Message)
		}
	}
	g.report(t, time.Since(begun), "verify: %d tables, %d rows compared, %d findings", r.Tables, r.Rows, len(r.Findings))
}

func discoverCluster(ctx context.Context, cfg *wire.Config) (*fanout.Cluster, error) {
	return topology.Discover(ctx, cfg, topology.Options{})
}

// restoreKinds restores into an empty database by one route, and compares rows and places.
func (g *greenplum) restoreKinds(t *testing.T, file []byte, by string, places map[string]string) {
	db := g.database(t, "copy")
	begun := time.Now()
	res, err := fanout.Restore(t.Context(), reader(t, file), fanout.RestoreOptions{
		Target: g.in(db), Jobs: 2, Route: by, Discover: discoverCluster,
	})
	if err != nil {
		t.Fatal(err)
	}
	checkRestored(t, res)
	if res.Route != by {
		t.Errorf("took route %s: %s", res.Route, res.RouteReason)
	}
	g.report(t, time.Since(begun), "%d tables (%d straight to their segments), %d rows, %.0f MB of rows", res.Tables, res.DirectTables,
		res.Rows, float64(res.RawBytes)/1e6)
	for _, w := range res.Warnings {
		t.Logf("warning: %s", w)
	}
	c := g.cluster(t, g.in(db))
	g.verify(t, file, c, "")
	straight := by == fanout.RouteSegments && res.DirectTables > 0
	for name, place := range g.places(t, db) {
		// Where the coordinator put the rows of a table without a key, or with a key that hashes by OID, is its affair.
		kind, _, _ := strings.Cut(place, " ")
		if place != places[name] && (kind == "hash" || kind == "replicated") {
			t.Errorf("%s: rows lie elsewhere\nwas %s\nnow %s", name, places[name], place)
		}
		if place != places[name] && kind == "random" && straight && g.rows >= 1_000_000 && strings.HasPrefix(name, "big.") {
			t.Logf("%s: rows lie elsewhere although they may go straight to their segments", name)
		}
	}
}

func checkRestored(t *testing.T, res *fanout.RestoreResult) {
	t.Helper()
	for _, f := range res.Failures {
		t.Errorf("restore %s %s: %v", f.Entry.Kind, f.Entry.Name, f.Err)
	}
	for _, m := range res.Mismatches {
		t.Errorf("restore: %s.%s differs: %s", m.Schema, m.Table, m.What)
	}
}

// restoreIntoPostgres restores into a plain PostgreSQL, which must have the same rows, floats included.
func (g *greenplum) restoreIntoPostgres(t *testing.T, file []byte) {
	if file == nil {
		t.Skip("there is no archive")
	}
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	cfg, err := wire.ParseConfig(srv.Conninfo(db))
	if err != nil {
		t.Fatal(err)
	}
	srv.Exec(t, db, `DO $$ BEGIN CREATE ROLE `+wire.Ident(g.cfg.User())+` SUPERUSER; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE gpkinds_reader; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;`)
	begun := time.Now()
	res, err := fanout.Restore(t.Context(), reader(t, file), fanout.RestoreOptions{
		Target: cfg, Jobs: 2, Discover: discoverCluster, ToPostgres: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	checkRestored(t, res)
	g.report(t, time.Since(begun), "%d tables, %d rows", res.Tables, res.Rows)
	for _, w := range res.Warnings {
		t.Logf("warning: %s", w)
	}
	c, err := topology.Discover(t.Context(), cfg, topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	// A column of a composite type that holds floats is printed in another way, and the archive's row can't tell.
	g.verify(t, file, c, `"sales"."heap_random"`)
}

// tablesQuery lists what has rows of its own on segments, with the kind of its distribution; "oid" where a key hashes by OID.
const tablesQuery = `SELECT n.nspname, c.relname, CASE WHEN p.policytype = 'r' THEN 'replicated' WHEN p.distkey::text = '' THEN 'random'
  WHEN EXISTS (SELECT 1 FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = c.oid AND a.attnum = ANY (p.distkey) AND t.typtype = 'e') THEN 'oid' ELSE 'hash' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN gp_distribution_policy p ON p.localoid = c.oid
WHERE c.relkind = 'r' AND c.relstorage IN ('h', 'a', 'c') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT 1 FROM pg_partition x WHERE x.parrelid = c.oid)
  AND NOT EXISTS (SELECT 1 FROM pg_partition_rule r WHERE r.parchildrelid = c.oid AND EXISTS
    (SELECT 1 FROM pg_partition_rule s WHERE s.parparentrule = r.oid))`

// counts has the server count the rows of every table with rows of its own.
func (g *greenplum) counts(t *testing.T, db string) map[string]uint64 {
	t.Helper()
	conn := open(t, g.in(db))
	counts := make(map[string]uint64)
	for _, r := range query(t, conn, tablesQuery) {
		n, err := strconv.ParseUint(query(t, conn, "SELECT count(*) FROM ONLY "+wire.QualifiedName(r[0], r[1]))[0][0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		counts[r[0]+"."+r[1]] = n
	}
	return counts
}

// places says of every table how it is distributed, and which rows each segment has: their number and a sum of hashes.
func (g *greenplum) places(t *testing.T, db string) map[string]string {
	t.Helper()
	conn := open(t, g.in(db))
	places := make(map[string]string)
	c := g.cluster(t, g.in(db))
	segments := make([]*wire.Conn, len(c.Nodes))
	for i := range c.Nodes {
		segments[i] = open(t, c.Nodes[i].Config)
	}
	for _, r := range query(t, conn, tablesQuery) {
		name := wire.QualifiedName(r[0], r[1])
		place := r[2]
		if place == "replicated" {
			for i, s := range segments {
				rows := query(t, s, "SELECT count(*), sum(pg_catalog.hashtext(x::text)::bigint) FROM ONLY "+name+" x")
				place += fmt.Sprintf(" %s:%s", c.Nodes[i].Name, strings.Join(rows[0], "/"))
			}
		} else {
			rows := query(t, conn, "SELECT x.gp_segment_id, count(*), sum(pg_catalog.hashtext(x::text)::bigint) FROM ONLY "+name+" x GROUP BY 1 ORDER BY 1")
			for _, s := range rows {
				place += " seg" + strings.Join(s, "/")
			}
		}
		places[r[0]+"."+r[1]] = place
	}
	return places
}
