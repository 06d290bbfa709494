package fanout_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// shardedDB makes a database on a coordinator and three shards: two tables over the shards, one on the coordinator.
func shardedDB(t *testing.T) (*pgtest.Shards, string) {
	t.Helper()
	s := pgtest.SharedShards(t)
	db := s.CreateDB(t)
	s.Table(t, db, pgtest.Table{
		Schema: "app", Name: "orders", Columns: "id int, note text, price float8", Key: "id",
		Remote: "ALTER TABLE app.orders ADD PRIMARY KEY (id)",
	})
	s.Table(t, db, pgtest.Table{Schema: "app", Name: "line items", Columns: `id int, "order" int`, Key: "order"})
	s.Coordinator.Exec(t, db, `
CREATE TABLE app.local (id int PRIMARY KEY, v text);
CREATE TABLE app.parts (id int) PARTITION BY RANGE (id);
CREATE TABLE app.part PARTITION OF app.parts DEFAULT;
INSERT INTO app.local SELECT i, 'local ' || i FROM generate_series(1, 1000) i;
INSERT INTO app.orders SELECT i, 'note' || i, i / 7.0 FROM generate_series(1, 30000) i;
INSERT INTO app."line items" SELECT i, i / 3 FROM generate_series(1, 9000) i;
CREATE FOREIGN TABLE app.alone (id int, note text, price float8) SERVER shard1 OPTIONS (schema_name 'app', table_name 'orders');`)
	return s, db
}

// tableDigests joins the digests of each table's streams.
func tableDigests(t *testing.T, file []byte) map[string]string {
	t.Helper()
	sums := make(map[string]archive.Digest)
	for _, s := range reader(t, file).Streams() {
		d := sums[s.Schema+"."+s.Table]
		d.Merge(s.Digest)
		sums[s.Schema+"."+s.Table] = d
	}
	texts := make(map[string]string)
	for name, d := range sums {
		texts[name] = d.String()
	}
	return texts
}

// TestDumpShards reads partitions from their servers, and through the coordinator, with the same outcome.
func TestDumpShards(t *testing.T) {
	t.Parallel()
	s, db := shardedDB(t)
	c := cluster(t, s.Coordinator.TCPConninfo(db))
	var digests []map[string]string
	for _, route := range []string{fanout.RouteSegments, fanout.RouteCoordinator} {
		var file pgtest.Memory
		result, err := fanout.Dump(t.Context(), &file, fanout.DumpOptions{Cluster: c, Jobs: 2, Route: route})
		if err != nil {
			t.Fatalf("route %s: %v", route, err)
		}
		if result.Route != route || result.Promise != fanout.PromiseBarrier {
			t.Errorf("route %s, promise %s; want %s, barrier", result.Route, result.Promise, route)
		}
		a := reader(t, file.Bytes())
		perNode := make(map[uint32]uint64)
		for _, st := range a.Streams() {
			perNode[st.Node] += st.Digest.Rows
		}
		m, err := a.Moment()
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Nodes) != 4 || len(m.Distributions) != 6 {
			t.Errorf("route %s: %d nodes and %d distributions in the moment, want 4 and 6", route, len(m.Nodes), len(m.Distributions))
		}
		if perNode[0] != 1000 || perNode[1]+perNode[2]+perNode[3] != 39000 || perNode[1] == 0 || perNode[2] == 0 || perNode[3] == 0 {
			t.Errorf("route %s: rows by node %v", route, perNode)
		}
		cat, err := a.Catalog()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range cat.Entries {
			if e.Kind == "TABLE DATA" && e.Name == "alone" {
				t.Error("the rows of a foreign table that is no partition are listed")
			}
		}
		digests = append(digests, tableDigests(t, file.Bytes()))
	}
	if diff := cmp.Diff(digests[0], digests[1]); diff != "" {
		t.Errorf("routes differ:\n%s", diff)
	}
}

// TestDumpForeignData has the rows of foreign tables only where they are asked for, beside shards and without any.
func TestDumpForeignData(t *testing.T) {
	t.Parallel()
	s, db := shardedDB(t)
	s.Coordinator.Exec(t, db, "ALTER FOREIGN TABLE app.alone ALTER note OPTIONS (column_name 'note')")
	want := s.Shards[0].QueryString(t, db, "SELECT count(*) FROM app.orders")
	for _, drop := range []string{"", `DROP TABLE app.orders, app."line items"`} {
		if drop != "" {
			s.Coordinator.Exec(t, db, drop)
		}
		c := cluster(t, s.Coordinator.TCPConninfo(db))
		for _, servers := range [][]string{nil, {"shard1"}, {"shard2"}} {
			var file pgtest.Memory
			_, err := fanout.Dump(t.Context(), &file, fanout.DumpOptions{Cluster: c, Filter: fanout.Filter{ForeignServers: servers}})
			if err != nil {
				t.Fatalf("%s layout, %v: %v", c.Layout, servers, err)
			}
			rows, there := tableRows(t, file.Bytes())["app.alone"]
			if asked := len(servers) > 0 && servers[0] == "shard1"; there != asked || asked && fmt.Sprint(rows) != want {
				t.Errorf("%s layout, %v: %d rows of a foreign table (%v), want %s only if asked for", c.Layout, servers, rows, there, want)
			}
		}
	}
}

// TestDumpShardsDefinitions needs no session with a shard.
func TestDumpShardsDefinitions(t *testing.T) {
	t.Parallel()
	s, db := shardedDB(t)
	s.Coordinator.Exec(t, db, "ALTER SERVER shard2 OPTIONS (SET port '1')")
	c := cluster(t, s.Coordinator.TCPConninfo(db))
	result, err := fanout.Dump(t.Context(), io.Discard, fanout.DumpOptions{Cluster: c, SchemaOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if result.Route != fanout.RouteCoordinator || result.Promise != fanout.PromiseSnapshot || result.Entries == 0 {
		t.Errorf("route %s, promise %s, %d entries", result.Route, result.Promise, result.Entries)
	}
	_, err = fanout.Dump(t.Context(), io.Discard, fanout.DumpOptions{Cluster: c})
	if !errors.Is(err, fanout.ErrRoute) || !strings.Contains(err.Error(), "shard2") {
		t.Errorf("with rows: %v; want an error that names shard2", err)
	}
}

// TestDumpShardsRefusals: what lies behind a foreign partition must be a table, with the columns that it shows.
func TestDumpShardsRefusals(t *testing.T) {
	t.Parallel()
	s, db := shardedDB(t)
	c := cluster(t, s.Coordinator.TCPConninfo(db))
	for _, x := range []struct{ sql, undo, want string }{
		{
			"ALTER TABLE app.orders RENAME TO real_orders; CREATE VIEW app.orders AS SELECT * FROM app.real_orders",
			"DROP VIEW app.orders; ALTER TABLE app.real_orders RENAME TO orders",
			`node shard2: the nodes do not have the tables that they should have: table "app"."orders" that "app"."orders_shard2" stands for is no table`,
		},
		{"ALTER TABLE app.orders RENAME price TO cost", "ALTER TABLE app.orders RENAME cost TO price", `lacks the column "price"`},
		{"ALTER TABLE app.orders RENAME TO gone", "ALTER TABLE app.gone RENAME TO orders", `it has no table "app"."orders"`},
	} {
		s.Shards[1].Exec(t, db, x.sql)
		_, err := fanout.Dump(t.Context(), io.Discard, fanout.DumpOptions{Cluster: c})
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("after %s on shard2: %v; want an error with %q", x.sql, err, x.want)
		}
		s.Shards[1].Exec(t, db, x.undo)
	}
}

// TestDumpEqualNodes reads the same tables on three servers.
func TestDumpEqualNodes(t *testing.T) {
	t.Parallel()
	s := pgtest.SharedShards(t)
	db := s.CreateEqualDB(t)
	var nodes []topology.DataNode
	for i, srv := range s.All() {
		srv.Exec(t, db, fmt.Sprintf(`CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT i, 'row ' || i FROM generate_series(%d, %d) i`, i*1000+1, (i+1)*1000))
		if i > 0 {
			nodes = append(nodes, topology.DataNode{Name: fmt.Sprintf("n%d", i), Conninfo: srv.TCPConninfo(db)})
		}
	}
	cfg, err := wire.ParseConfig(s.Coordinator.TCPConninfo(db))
	if err != nil {
		t.Fatal(err)
	}
	c, err := topology.Discover(t.Context(), cfg, topology.Options{DataNodes: nodes})
	if err != nil {
		t.Fatal(err)
	}
	dump := func() ([]byte, error) {
		var file pgtest.Memory
		_, err := fanout.Dump(t.Context(), &file, fanout.DumpOptions{Cluster: c, Jobs: 1})
		return file.Bytes(), err
	}
	file, err := dump()
	if err != nil {
		t.Fatal(err)
	}
	if rows := tableRows(t, file)["public.t"]; rows != 4000 {
		t.Errorf("%d rows, want 4000", rows)
	}
	for _, x := range []struct{ sql, undo, want string }{
		{"CREATE TABLE extra (id int)", "DROP TABLE extra", "node n2: the nodes do not have the tables that they should have: it has table \"public\".\"extra\""},
		{"ALTER TABLE t RENAME TO other", "ALTER TABLE other RENAME TO t", "node n2"},
		{"ALTER TABLE t ALTER v TYPE varchar(20)", "", "node n2: the nodes do not have the tables that they should have: column \"v\""},
	} {
		s.Shards[1].Exec(t, db, x.sql)
		if _, err := dump(); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("after %s on n2: %v; want an error with %q", x.sql, err, x.want)
		}
		if x.undo != "" {
			s.Shards[1].Exec(t, db, x.undo)
		}
	}
}

// TestBarrierNeedsRights: without the right to lock against writers, nothing is read and the message says what is missing.
func TestBarrierNeedsRights(t *testing.T) {
	t.Parallel()
	s, db := shardedDB(t)
	for _, srv := range s.All() {
		srv.Exec(t, db, `DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'onlyreads') THEN CREATE ROLE onlyreads LOGIN; END IF; END $$;
GRANT USAGE ON SCHEMA app TO onlyreads; GRANT SELECT ON ALL TABLES IN SCHEMA app TO onlyreads;`)
	}
	s.Coordinator.Exec(t, db, `GRANT USAGE ON FOREIGN SERVER shard1, shard2, shard3 TO onlyreads;
CREATE USER MAPPING FOR onlyreads SERVER shard1 OPTIONS (user 'onlyreads');
CREATE USER MAPPING FOR onlyreads SERVER shard2 OPTIONS (user 'onlyreads');
CREATE USER MAPPING FOR onlyreads SERVER shard3 OPTIONS (user 'onlyreads');`)
	c := cluster(t, s.Coordinator.TCPConninfo(db)+" user=onlyreads")
	var file pgtest.Memory
	_, err := fanout.Dump(t.Context(), &file, fanout.DumpOptions{Cluster: c, Route: fanout.RouteSegments})
	if !errors.Is(err, fanout.ErrBarrier) || !strings.Contains(err.Error(), "SHARE MODE") {
		t.Errorf("%v; want an error about the barrier", err)
	}
}
