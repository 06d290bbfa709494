package fanout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// discoverer finds clusters as the command line does.
func discoverer(o topology.Options) func(context.Context, *wire.Config) (*fanout.Cluster, error) {
	return func(ctx context.Context, cfg *wire.Config) (*fanout.Cluster, error) {
		return topology.Discover(ctx, cfg, o)
	}
}

// dumped is an archive of a cluster.
func dumped(t *testing.T, c *fanout.Cluster, o fanout.DumpOptions) []byte {
	t.Helper()
	var file pgtest.Memory
	o.Cluster = c
	if _, err := fanout.Dump(t.Context(), &file, o); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// into restores and expects it to go well.
func into(t *testing.T, conninfo string, file []byte, o fanout.RestoreOptions) *fanout.RestoreResult {
	t.Helper()
	result, err := tryInto(t, conninfo, file, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range result.Failures {
		t.Errorf("not restored: %v", f)
	}
	for _, m := range result.Mismatches {
		t.Errorf("table %s.%s: %s", m.Schema, m.Table, m.What)
	}
	return result
}

func tryInto(t *testing.T, conninfo string, file []byte, o fanout.RestoreOptions) (*fanout.RestoreResult, error) {
	t.Helper()
	cfg, err := wire.ParseConfig(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	o.Target = cfg
	if o.Discover == nil {
		o.Discover = discoverer(topology.Options{})
	}
	return fanout.Restore(t.Context(), reader(t, file), o)
}

// shardTables makes, in a database of each shard, what shardedDB keeps there.
func shardTables(t *testing.T, s *pgtest.Shards, db string) {
	t.Helper()
	for _, srv := range s.Shards {
		srv.Exec(t, db, `CREATE SCHEMA app; CREATE TABLE app.orders (id int PRIMARY KEY, note text, price float8);
CREATE TABLE app."line items" (id int, "order" int);`)
	}
}

// elsewhere has the foreign servers lead to another database, each one server further.
func elsewhere(s *pgtest.Shards, db string) map[string]map[string]string {
	servers := make(map[string]map[string]string)
	for i := range s.Shards {
		srv := s.Shards[(i+1)%len(s.Shards)]
		servers[pgtest.ShardName(i)] = map[string]string{"host": "127.0.0.1", "port": fmt.Sprint(srv.Port()), "dbname": db}
	}
	return servers
}

const shardSums = `SELECT (SELECT string_agg(x.n || ' ' || x.h, ', ') FROM (
  SELECT count(*) n, sum(hashtext(o::text)::bigint) h FROM app.orders o UNION ALL
  SELECT count(*), sum(hashtext(l::text)::bigint) FROM app."line items" l UNION ALL
  SELECT count(*), sum(hashtext(a::text)::bigint) FROM app.local a) x)`

// TestRestoreShards restores into a new coordinator whose foreign servers lead to other databases, on both routes.
func TestRestoreShards(t *testing.T) {
	t.Parallel()
	s, db := shardedDB(t)
	file := dumped(t, cluster(t, s.Coordinator.TCPConninfo(db)), fanout.DumpOptions{Jobs: 2})
	want := s.Coordinator.QueryString(t, db, shardSums)
	for _, route := range []string{fanout.RouteSegments, fanout.RouteCoordinator, fanout.RouteAuto} {
		to := s.CreateEqualDB(t)
		shardTables(t, s, to)
		result := into(t, s.Coordinator.TCPConninfo(to), file, fanout.RestoreOptions{Jobs: 2, Route: route, Servers: elsewhere(s, to)})
		direct := 6
		used := fanout.RouteSegments
		if route == fanout.RouteCoordinator {
			direct, used = 0, route
		}
		if result.Route != used || result.DirectTables != direct || result.Tables != 8 || result.Rows != 40000 {
			t.Errorf("route %s: %s (%s), %d tables and %d rows, %d directly", route, result.Route, result.RouteReason, result.Tables, result.Rows, result.DirectTables)
		}
		if got := s.Coordinator.QueryString(t, to, shardSums); got != want {
			t.Errorf("route %s: %s, want %s", route, got, want)
		}
	}
}

// TestRestoreShardsSpareLiveRows: the archive's foreign servers lead to the tables in use. Nothing may be added to them
// by accident, also not with -c, which drops foreign tables and not what they stand for.
func TestRestoreShardsSpareLiveRows(t *testing.T) {
	t.Parallel()
	s, db := shardedDB(t)
	file := dumped(t, cluster(t, s.Coordinator.TCPConninfo(db)), fanout.DumpOptions{Jobs: 2})
	want := s.Coordinator.QueryString(t, db, shardSums)
	for _, o := range []fanout.RestoreOptions{
		{}, {Route: fanout.RouteCoordinator}, {Clean: true, IfExists: true}, {SingleTransaction: true},
	} {
		to := s.CreateEqualDB(t)
		_, err := tryInto(t, s.Coordinator.TCPConninfo(to), file, o)
		var full *fanout.ForeignNotEmptyError
		if !errors.As(err, &full) || !strings.Contains(err.Error(), " on shard1 (") {
			t.Errorf("clean %t, one transaction %t: %v; want an error that names the servers that hold rows", o.Clean, o.SingleTransaction, err)
		}
		if got := s.Coordinator.QueryString(t, db, shardSums); got != want {
			t.Fatalf("the live tables have changed: %s, were %s", got, want)
		}
	}
	for _, route := range []string{fanout.RouteSegments, fanout.RouteCoordinator} {
		_, err := tryInto(t, s.Coordinator.TCPConninfo(db), file, fanout.RestoreOptions{DataOnly: true, Route: route})
		if err == nil || !strings.Contains(err.Error(), "nothing") {
			t.Errorf("rows into tables that hold rows: %v", err)
		}
	}
}

// TestRestoreShardsNotProven: what differs in the target goes through the coordinator, which puts each row where it
// belongs, and a warning says why.
func TestRestoreShardsNotProven(t *testing.T) {
	t.Parallel()
	s, db := shardedDB(t)
	file := dumped(t, cluster(t, s.Coordinator.TCPConninfo(db)), fanout.DumpOptions{Jobs: 2})
	to := s.CreateEqualDB(t)
	shardTables(t, s, to)
	servers := fanout.RestoreOptions{SchemaOnly: true, Servers: elsewhere(s, to)}
	into(t, s.Coordinator.TCPConninfo(to), file, servers)
	// The rows of two partitions change places; note is called otherwise on one server.
	s.Coordinator.Exec(t, to, `ALTER TABLE app.orders DETACH PARTITION app.orders_shard1; ALTER TABLE app.orders DETACH PARTITION app.orders_shard2;
ALTER TABLE app.orders ATTACH PARTITION app.orders_shard1 FOR VALUES WITH (MODULUS 3, REMAINDER 1);
ALTER TABLE app.orders ATTACH PARTITION app.orders_shard2 FOR VALUES WITH (MODULUS 3, REMAINDER 0);
ALTER FOREIGN TABLE app.orders_shard3 ALTER note OPTIONS (ADD column_name 'remark');`)
	s.Shards[0].Exec(t, to, "ALTER TABLE app.orders RENAME note TO remark")
	result, err := tryInto(t, s.Coordinator.TCPConninfo(to), file, fanout.RestoreOptions{DataOnly: true, Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	if result.DirectTables != 4 {
		t.Errorf("%d tables directly, want 4: %s", result.DirectTables, result.RouteReason)
	}
	if !slices.ContainsFunc(result.Warnings, func(w string) bool {
		return strings.Contains(w, "app.orders_shard1, app.orders_shard2: their partition bounds are others in the target")
	}) {
		t.Errorf("warnings %q", result.Warnings)
	}
	// The archive's rows do not belong into the partitions of that name any more; postgres_fdw does not check.
	if got := s.Coordinator.QueryString(t, to, "SELECT count(*) FROM app.orders_shard3"); got != s.Coordinator.QueryString(t, db, "SELECT count(*) FROM app.orders_shard3") {
		t.Errorf("%s rows under another column name", got)
	}
}

// TestRestoreShardsFindsMisplacedRows: the archive says that rows belong where they don't.
func TestRestoreShardsFindsMisplacedRows(t *testing.T) {
	t.Parallel()
	s, db := shardedDB(t)
	s.Shards[1].Exec(t, db, "INSERT INTO app.orders SELECT i, 'not of this partition' FROM generate_series(100001, 100100) i")
	file := dumped(t, cluster(t, s.Coordinator.TCPConninfo(db)), fanout.DumpOptions{Jobs: 2})
	to := s.CreateEqualDB(t)
	shardTables(t, s, to)
	result, err := tryInto(t, s.Coordinator.TCPConninfo(to), file, fanout.RestoreOptions{Jobs: 2, Servers: elsewhere(s, to)})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Failures) != 0 || len(result.Mismatches) != 1 || result.Mismatches[0].Table != "orders_shard2" ||
		!strings.Contains(result.Mismatches[0].What, "rows are not where their key says") {
		t.Errorf("failures %v, mismatches %+v", result.Failures, result.Mismatches)
	}
}

// TestRestoreShardsFaults: what can't be loaded names the table and the server, and the state.
func TestRestoreShardsFaults(t *testing.T) {
	t.Parallel()
	s, db := shardedDB(t)
	file := dumped(t, cluster(t, s.Coordinator.TCPConninfo(db)), fanout.DumpOptions{Jobs: 2})

	to := s.CreateEqualDB(t)
	shardTables(t, s, to)
	s.Shards[0].Exec(t, to, "DROP TABLE app.orders")
	result, err := tryInto(t, s.Coordinator.TCPConninfo(to), file, fanout.RestoreOptions{Jobs: 2, Servers: elsewhere(s, to)})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Failures) != 1 || !strings.Contains(result.Failures[0].Error(),
		`orders_shard3: ERROR: relation "app.orders" does not exist`) || !strings.Contains(result.Failures[0].Error(),
		`CREATE TABLE "app"."orders" ("id" integer, "note" text, "price" double precision)`) {
		t.Errorf("failures: %v", result.Failures)
	}

	to = s.CreateEqualDB(t)
	shardTables(t, s, to)
	servers := elsewhere(s, to)
	s.Shards[2].Exec(t, to, "ALTER TABLE app.orders ADD CHECK (id < 100)") // it is where shard2 leads to
	result, err = tryInto(t, s.Coordinator.TCPConninfo(to), file, fanout.RestoreOptions{Jobs: 2, Servers: servers, Route: fanout.RouteSegments})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Failures) != 1 || !strings.Contains(result.Failures[0].Error(), "TABLE DATA app.orders_shard2: node shard2: ERROR: new row for relation") {
		t.Errorf("failures: %v", result.Failures)
	}

	to = s.CreateEqualDB(t)
	shardTables(t, s, to)
	s.Shards[0].Exec(t, to, `CREATE FUNCTION app.die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
CREATE TRIGGER die BEFORE INSERT ON app."line items" FOR EACH ROW EXECUTE FUNCTION app.die()`)
	_, err = tryInto(t, s.Coordinator.TCPConninfo(to), file, fanout.RestoreOptions{Jobs: 2, Servers: elsewhere(s, to), Route: fanout.RouteSegments})
	if err == nil || !strings.Contains(err.Error(), "TABLE DATA app.line items_shard3: the session was lost: node shard3: connection lost") ||
		!strings.Contains(err.Error(), "holds what was restored until then") {
		t.Errorf("a session that was ended: %v", err)
	}

	servers["shard2"]["port"] = "1"
	to = s.CreateEqualDB(t)
	_, err = tryInto(t, s.Coordinator.TCPConninfo(to), file, fanout.RestoreOptions{Servers: servers, Route: fanout.RouteSegments, ExitOnError: true})
	if err == nil || !strings.Contains(err.Error(), "shard2") {
		t.Errorf("a server that is not there: %v", err)
	}
}

// TestRestoreRoutesRefused: a route that can't work is refused before anything is changed.
func TestRestoreRoutesRefused(t *testing.T) {
	t.Parallel()
	s := pgtest.SharedShards(t)
	db := s.CreateDB(t)
	s.Coordinator.Exec(t, db, "CREATE TABLE t AS SELECT 1 AS a")
	file := dumped(t, cluster(t, s.Coordinator.TCPConninfo(db)), fanout.DumpOptions{})
	to := s.CreateEqualDB(t)
	_, err := tryInto(t, s.Coordinator.TCPConninfo(to), file, fanout.RestoreOptions{Route: fanout.RouteSegments})
	if !errors.Is(err, fanout.ErrRoute) || !strings.Contains(err.Error(), "was changed") {
		t.Errorf("%v", err)
	}
	if n := s.Coordinator.QueryString(t, to, "SELECT count(*) FROM pg_class WHERE relname = 't'"); n != "0" {
		t.Error("something was changed")
	}
	_, err = tryInto(t, s.Coordinator.TCPConninfo(to), file, fanout.RestoreOptions{Servers: map[string]map[string]string{"nowhere": {"host": "x"}}})
	if !errors.Is(err, fanout.ErrUsage) || !strings.Contains(err.Error(), `no foreign server "nowhere"`) {
		t.Errorf("%v", err)
	}
}

// TestRestoreEqualNodes: each node gets the definitions and its own rows back; one database takes the rows of all.
func TestRestoreEqualNodes(t *testing.T) {
	t.Parallel()
	s := pgtest.SharedShards(t)
	db, to, one := s.CreateEqualDB(t), s.CreateEqualDB(t), s.CreateEqualDB(t)
	nodes := func(db string) (list []topology.DataNode) {
		for i, srv := range s.Shards {
			list = append(list, topology.DataNode{Name: fmt.Sprintf("n%d", i+1), Conninfo: srv.TCPConninfo(db)})
		}
		return list
	}
	for i, srv := range s.All() {
		srv.Exec(t, db, fmt.Sprintf(`CREATE TABLE t (id serial PRIMARY KEY, v text); CREATE INDEX ON t (v);
INSERT INTO t SELECT i, 'row ' || i FROM generate_series(%d, %d) i`, i*1000+1, (i+1)*1000-i))
	}
	cfg, err := wire.ParseConfig(s.Coordinator.TCPConninfo(db))
	if err != nil {
		t.Fatal(err)
	}
	c, err := topology.Discover(t.Context(), cfg, topology.Options{DataNodes: nodes(db)})
	if err != nil {
		t.Fatal(err)
	}
	file := dumped(t, c, fanout.DumpOptions{})

	o := fanout.RestoreOptions{Discover: discoverer(topology.Options{DataNodes: nodes(to)})}
	result := into(t, s.Coordinator.TCPConninfo(to), file, o)
	if result.Route != fanout.RouteSegments || result.Rows != 3994 || result.Tables != 1 {
		t.Errorf("%+v", result)
	}
	const sum = "SELECT count(*), min(id), max(id), sum(hashtext(v)::bigint) FROM t"
	for i, srv := range s.All() {
		if got, want := srv.QueryString(t, to, sum), srv.QueryString(t, db, sum); got != want {
			t.Errorf("node %d: %s, want %s", i, got, want)
		}
	}
	if _, err := tryInto(t, s.Coordinator.TCPConninfo(to), file, o); err == nil || !strings.Contains(err.Error(), "already has rows") {
		t.Errorf("a second time: %v", err)
	}
	log := restoredAgain(t, s.Coordinator.TCPConninfo(to), file, o)
	if strings.Count(log, "the archive is not complete") != 1 || strings.Count(log, "object=\"TABLE public.t\"") != 4 ||
		!strings.Contains(log, `msg="not restored" node=n2 object="TABLE public.t"`) {
		t.Errorf("the log does not say once what is the archive's, and of each node what is the node's:\n%s", log)
	}

	result = into(t, s.Coordinator.TCPConninfo(one), file, fanout.RestoreOptions{})
	if got := s.Coordinator.QueryString(t, one, "SELECT count(*) FROM t"); got != "3994" || result.Route != fanout.RouteCoordinator {
		t.Errorf("%s rows in one database, route %s", got, result.Route)
	}
}

// restoredAgain restores the definitions of a salvaged archive where they are already, and gives what was logged.
func restoredAgain(t *testing.T, conninfo string, file []byte, o fanout.RestoreOptions) string {
	t.Helper()
	a := reader(t, file)
	m, err := a.Moment()
	if err != nil {
		t.Fatal(err)
	}
	m.Losses = []archive.Loss{{Message: "gone"}}
	if o.Target, err = wire.ParseConfig(conninfo); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	o.SchemaOnly, o.Log = true, slog.New(slog.NewTextHandler(&log, nil))
	if result, err := fanout.Restore(t.Context(), a, o); err != nil || len(result.Failures) == 0 {
		t.Errorf("%v, %+v", err, result)
	}
	return log.String()
}

// TestRestoreLongFloats loads rows that a server from before PostgreSQL 12 has printed.
func TestRestoreLongFloats(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db, to := srv.CreateDB(t), srv.CreateDB(t)
	srv.Exec(t, db, "CREATE TABLE f (d float8, r real)")
	file := dumped(t, cluster(t, srv.TCPConninfo(db)), fanout.DumpOptions{SchemaOnly: false})
	a := reader(t, file)
	cat, err := a.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := archive.NewWriter(&out, archive.WriterOptions{Codec: archive.CodecNone})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	writeFloats(t, w, cat, "0.10000000000000001\t0.100000001\n0.33333333333333331\tNaN\n")
	result := into(t, srv.TCPConninfo(to), out.Bytes(), fanout.RestoreOptions{})
	if got := srv.QueryString(t, to, "SELECT * FROM f ORDER BY 1"); got != "0.1|0.1\n0.3333333333333333|NaN" || result.Rows != 2 {
		t.Errorf("%d rows: %s", result.Rows, got)
	}
}

// writeFloats ends an archive whose only stream is of long floats.
func writeFloats(t *testing.T, w *archive.Writer, cat *archive.Catalog, rows string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	i := slices.IndexFunc(cat.Entries, func(e archive.Entry) bool { return e.Kind == "TABLE DATA" })
	id, err := w.OpenStream(archive.StreamInfo{
		Entry: cat.Entries[i].ID, Schema: "public", Table: "f", Columns: []string{"d", "r"}, Form: archive.FormFloats, Floats: "84",
	})
	must(err)
	var digest archive.Digest
	must(digest.AddRowsCanonical("84", []byte(rows)))
	enc, err := archive.NewEncoder(archive.CodecNone, 0)
	must(err)
	defer enc.Close()
	var frame archive.Frame
	must(enc.Encode(&frame, archive.Raw{Stream: id, Data: []byte(rows), Rows: 2}))
	must(w.Append(&frame))
	must(w.CloseStream(id, digest))
	must(w.SetCatalog(cat))
	must(w.SetMoment(&archive.Moment{Route: "coordinator", Promise: "snapshot"}))
	_, err = w.Close()
	must(err)
}
