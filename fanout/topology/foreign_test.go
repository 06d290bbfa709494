package topology

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

func accounts() pgtest.Table {
	return pgtest.Table{Schema: "bank", Name: "account", Columns: "id int, balance bigint", Key: "id"}
}

func TestForeign(t *testing.T) {
	s := pgtest.SharedShards(t)
	db := s.CreateDB(t)
	cfg := parse(t, s.Coordinator.Conninfo(db))
	if c := discover(t, cfg, Options{}); c.Layout != fanout.LayoutSingle {
		t.Errorf("servers without partitions: %+v", c)
	}
	s.Table(t, db, accounts())
	c := discover(t, cfg, Options{})
	if c.Layout != fanout.LayoutForeign || len(c.Nodes) != len(s.Shards) {
		t.Fatalf("%+v", c)
	}
	for i, n := range c.Nodes {
		if n.Err != nil || n.Name != pgtest.ShardName(i) || n.ID != uint32(i)+1 || n.Content != -1 || n.Dialect.Product != "PostgreSQL" ||
			int(n.Config.Port()) != s.Shards[i].Port() || n.Config.Host() != "127.0.0.1" || n.Config.Database() != db {
			t.Errorf("%+v", n)
		}
	}
	for _, name := range []string{fanout.RouteCoordinator, fanout.RouteSegments} {
		if r := routeOf(t, c, name); !r.Works || r.Promise != fanout.PromiseBarrier {
			t.Errorf("%+v", r)
		}
	}
	if r := routeOf(t, c, fanout.RouteCursors); r.Works || r.Err != nil {
		t.Errorf("%+v", r)
	}
}

// TestForeignOptions has servers and mappings with options of all kinds, and one that nothing is partitioned over.
func TestForeignOptions(t *testing.T) {
	srv := pgtest.Shared(t)
	const reader = "topology_reader"
	t.Cleanup(func() { srv.Exec(t, "postgres", "DROP ROLE "+reader) }) // when the database is gone
	db := srv.CreateDB(t)
	name := "o'dd \\ shard, {x}"
	srv.Exec(t, db, fmt.Sprintf(`CREATE EXTENSION postgres_fdw;
CREATE FOREIGN DATA WRAPPER fake;
CREATE ROLE %[4]s LOGIN;
CREATE SERVER "%[1]s" FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '%[2]s', port '%[3]d', dbname '%[5]s', fetch_size '50',
	use_remote_estimate 'true', extensions 'a, b', updatable 'false', connect_timeout '7', application_name 'x %%p');
CREATE USER MAPPING FOR PUBLIC SERVER "%[1]s" OPTIONS (user '%[4]s', password 'se''cret \ "x" {,}');
CREATE USER MAPPING FOR postgres SERVER "%[1]s" OPTIONS (user 'postgres', password_required 'false');
CREATE SERVER a_default FOREIGN DATA WRAPPER postgres_fdw OPTIONS (port '%[3]d', dbname 'postgres');
CREATE SERVER unused FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere.invalid');
CREATE SERVER fake FOREIGN DATA WRAPPER fake;
CREATE TABLE p (a int) PARTITION BY LIST (a);
CREATE FOREIGN TABLE p1 PARTITION OF p FOR VALUES IN (1) SERVER "%[1]s";
CREATE FOREIGN TABLE p2 PARTITION OF p FOR VALUES IN (2) SERVER a_default;
CREATE FOREIGN TABLE p3 PARTITION OF p FOR VALUES IN (3) SERVER fake;
CREATE FOREIGN TABLE q (a int) SERVER unused`, name, srv.Host(), srv.Port(), reader, db))

	t.Setenv("PGPASSWORD", "mine")
	t.Setenv("PGDATABASE", "mine")
	t.Setenv("PGPORT", "1")
	c := discover(t, parse(t, srv.Conninfo(db)), Options{})
	if len(c.Nodes) != 2 || c.Nodes[0].Name != "a_default" || c.Nodes[1].Name != name {
		t.Fatalf("%+v", c.Nodes)
	}
	for _, n := range c.Nodes {
		if n.Err != nil || n.Config.User() != "postgres" || n.Config.Host() != srv.Host() || n.Config.Password() != "" {
			t.Errorf("%+v %v", n, n.Config)
		}
	}
	if c.Nodes[0].Config.Database() != "postgres" || c.Nodes[0].Note == "" || c.Nodes[1].Note != "" {
		t.Errorf("%+v", c.Nodes)
	}

	// Another user has the mapping of everybody, whose password may not be seen: only the owner of the server may.
	cfg := parse(t, srv.Conninfo(db)).With(wire.Overrides{User: reader})
	c = discover(t, cfg, Options{})
	n := c.Nodes[1]
	if n.Err != nil || n.Config.User() != reader || n.Config.Password() != "" {
		t.Errorf("%+v %v", n, n.Config)
	}
	contains(t, n.Note, "no user mapping that "+reader+" may see", ".pgpass")
	contains(t, routeOf(t, c, fanout.RouteSegments).Reason, ".pgpass")

	// Its owner may.
	srv.Exec(t, db, `ALTER SERVER "`+name+`" OWNER TO `+reader)
	n = discover(t, cfg, Options{}).Nodes[1]
	if n.Config.Password() != `se'cret \ "x" {,}` || strings.Contains(fmt.Sprintf("%v %+v %s", n, n, n.Config), "se'cret") {
		t.Errorf("%v", n)
	}
}

func TestForeignUnreachable(t *testing.T) {
	s := pgtest.SharedShards(t)
	db := s.CreateDB(t)
	s.Table(t, db, accounts())
	front := pgtest.NewProxy(t, s.Shards[1].TCPAddr())
	front.Close()
	s.Coordinator.Exec(t, db, fmt.Sprintf("ALTER SERVER shard2 OPTIONS (SET port '%d')", front.Port()))
	cfg := parse(t, s.Coordinator.Conninfo(db))
	c := discover(t, cfg, Options{})
	if c.Nodes[0].Err != nil || c.Nodes[1].Err == nil || c.Nodes[2].Err != nil {
		t.Fatalf("%+v", c.Nodes)
	}
	contains(t, c.Nodes[1].Err.Error(), "shard shard2", fmt.Sprint(front.Port()), "--node shard2=HOST:PORT")
	for _, name := range []string{fanout.RouteCoordinator, fanout.RouteSegments} {
		if r := routeOf(t, c, name); r.Works || !errors.Is(r.Err, ErrNode) || !wire.IsConnect(r.Err) {
			t.Errorf("%+v", r)
		}
	}
	c = discover(t, cfg, Options{Overrides: map[string]Address{"shard2": {Port: uint16(s.Shards[1].Port())}}})
	if c.Nodes[1].Err != nil {
		t.Error(c.Nodes[1].Err)
	}
	s.Coordinator.Exec(t, db, fmt.Sprintf("ALTER SERVER shard2 OPTIONS (SET port '%d', SET dbname 'gone')", s.Shards[1].Port()))
	contains(t, fmt.Sprint(discover(t, cfg, Options{}).Nodes[1].Err), "shard shard2", `database "gone" does not exist`)
}

// TestForeignLoop has partitions on two servers that are one database: each partition is a table of its own.
func TestForeignLoop(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, "CREATE EXTENSION postgres_fdw; CREATE TABLE p (a int) PARTITION BY LIST (a)")
	for i := range 2 {
		srv.Exec(t, db, fmt.Sprintf(`CREATE SERVER s%[1]d FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '%[2]s', port '%[3]d', dbname '%[4]s');
CREATE USER MAPPING FOR postgres SERVER s%[1]d OPTIONS (user 'postgres');
CREATE TABLE r%[1]d (a int);
CREATE FOREIGN TABLE p%[1]d PARTITION OF p FOR VALUES IN (%[1]d) SERVER s%[1]d OPTIONS (table_name 'r%[1]d')`, i, srv.Host(), srv.Port(), db))
	}
	c := discover(t, parse(t, srv.Conninfo(db)), Options{})
	if len(c.Nodes) != 2 || !routeOf(t, c, fanout.RouteSegments).Works {
		t.Errorf("%+v", c)
	}
}

// nodes lists databases as data nodes.
func nodes(db string, servers ...*pgtest.Server) []DataNode {
	var list []DataNode
	for i, srv := range servers {
		list = append(list, DataNode{Name: string(rune('a' + i)), Conninfo: srv.TCPConninfo(db)})
	}
	return list
}

func TestEqual(t *testing.T) {
	s := pgtest.SharedShards(t)
	db := s.CreateEqualDB(t)
	cfg := parse(t, s.Coordinator.Conninfo(db))
	c := discover(t, cfg, Options{DataNodes: nodes(db, s.Shards...)})
	if c.Layout != fanout.LayoutEqual || len(c.Nodes) != 3 || c.Nodes[2].Name != "c" || c.Nodes[2].ID != 3 || c.Nodes[2].Err != nil {
		t.Fatalf("%+v", c)
	}
	if r := routeOf(t, c, fanout.RouteSegments); !r.Works || r.Promise != fanout.PromiseBarrier {
		t.Errorf("%+v", r)
	}
	if r := routeOf(t, c, fanout.RouteCoordinator); r.Works || r.Err != nil {
		t.Errorf("%+v", r)
	}

	// What a node's settings leave open is the coordinator's.
	open := []DataNode{{Name: "a", Conninfo: fmt.Sprintf("host=%s port=%d", s.Shards[0].Host(), s.Shards[0].Port())}}
	t.Setenv("PGDATABASE", "other")
	n := discover(t, cfg, Options{DataNodes: open}).Nodes[0]
	if n.Err != nil || n.Config.Database() != db || n.Config.User() != "postgres" {
		t.Errorf("%+v", n)
	}

	// The coordinator may be on the list.
	c = discover(t, cfg, Options{DataNodes: nodes(db, s.All()...)})
	if len(c.Nodes) != 3 || c.Nodes[0].Name != "b" || c.Nodes[0].ID != 2 || !routeOf(t, c, fanout.RouteSegments).Works {
		t.Errorf("%+v", c.Nodes)
	}
}

func TestEqualErrors(t *testing.T) {
	s := pgtest.SharedShards(t)
	db := s.CreateEqualDB(t)
	cfg := parse(t, s.Coordinator.Conninfo(db))
	_, err := Discover(t.Context(), cfg, Options{DataNodes: nodes(db, s.Shards[0], s.Shards[1], s.Shards[0])})
	if !errors.Is(err, fanout.ErrUsage) {
		t.Fatal(err)
	}
	contains(t, err.Error(), "nodes a and c are the same database", "counted twice")
	for _, list := range [][]DataNode{
		{{Name: "a"}, {Name: "a"}}, {{Name: ""}}, {{Name: "coordinator"}}, {{Name: "a", Conninfo: "port=x"}},
	} {
		if _, err := Discover(t.Context(), cfg, Options{DataNodes: list}); !errors.Is(err, fanout.ErrUsage) {
			t.Errorf("%+v: %v", list, err)
		}
	}
	gone := nodes("gone", s.Shards[0])
	c := discover(t, cfg, Options{DataNodes: gone})
	contains(t, fmt.Sprint(c.Nodes[0].Err), "node a", `database "gone" does not exist`)
	if r := routeOf(t, c, fanout.RouteSegments); r.Works {
		t.Errorf("%+v", r)
	}
	im, segmented := imitate(t, nil)
	c = discover(t, cfg, Options{DataNodes: []DataNode{{Name: "gp", Conninfo: im.Conninfo(segmented.Database())}}})
	contains(t, fmt.Sprint(c.Nodes[0].Err), "node gp", "it is Greenplum 6.24.3")
}

// TestStandby has a node, then a coordinator, that can't be locked against writers.
func TestStandby(t *testing.T) {
	s := pgtest.SharedShards(t)
	db := s.CreateEqualDB(t)
	standby := pgtest.Start(t, pgtest.WithFile("standby.signal", nil))
	c := discover(t, parse(t, s.Coordinator.Conninfo(db)), Options{DataNodes: nodes("postgres", standby)})
	contains(t, fmt.Sprint(c.Nodes[0].Err), "node a", "it is a standby")
	c = discover(t, parse(t, standby.Conninfo("postgres")), Options{DataNodes: nodes(db, s.Shards[1])})
	r := routeOf(t, c, fanout.RouteSegments)
	contains(t, r.Reason, "coordinator: it is a standby")
	if r.Works {
		t.Errorf("%+v", r)
	}
}
