package topology

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

//nolint:gochecknoglobals // a flag of the test binary
var update = flag.Bool("update", false, "write testdata/greenplum from the real one that PGARK_TEST_GREENPLUM names")

const recorded = "6.24.3"

// realGreenplum gives the way to a real cluster, or skips the test.
func realGreenplum(t *testing.T) *wire.Config {
	t.Helper()
	conninfo := os.Getenv("PGARK_TEST_GREENPLUM")
	if conninfo == "" {
		t.Skip("PGARK_TEST_GREENPLUM does not name a Greenplum")
	}
	return parse(t, conninfo)
}

func parse(t *testing.T, conninfo string) *wire.Config {
	t.Helper()
	cfg, err := wire.ParseConfig(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func connect(t *testing.T, cfg *wire.Config) *wire.Conn {
	t.Helper()
	conn, err := wire.Connect(t.Context(), cfg, settings())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(t.Context()) })
	return conn
}

func query(t *testing.T, conn *wire.Conn, sql string) [][]string {
	t.Helper()
	rows, err := conn.QueryStrings(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestGreenplumRecording compares the recording with the real Greenplum, or writes it with -update.
func TestGreenplumRecording(t *testing.T) {
	cfg := realGreenplum(t)
	r := record(t, cfg)
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	file := pgtest.RecordingFile(t, recorded)
	if *update {
		if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have := pgtest.ReadRecording(t, recorded)
	if !strings.Contains(r.Coordinator.Version, "Greenplum Database "+recorded+" ") || len(r.Segments) != len(have.Segments) {
		t.Skipf("another Greenplum than the recorded one: %s", r.Coordinator.Version)
	}
	// A server that was built with SSL says more, and the superuser may have another name.
	alike := strings.NewReplacer(", SSL off", "", strconv.Quote(cfg.User()), `"postgres"`)
	for why, want := range have.Refusals {
		for _, field := range []string{"S", "C", "M", "D", "H"} {
			if alike.Replace(r.Refusals[why][field]) != alike.Replace(want[field]) {
				t.Errorf("%s: %q, recorded %q", why, r.Refusals[why][field], want[field])
			}
		}
	}
	if !maps.Equal(r.Coordinator.Settings, have.Coordinator.Settings) {
		t.Errorf("%v, recorded %v", r.Coordinator.Settings, have.Coordinator.Settings)
	}
}

func record(t *testing.T, cfg *wire.Config) *pgtest.Recording {
	t.Helper()
	const utility = "-c gp_session_role=utility"
	conn := connect(t, cfg)
	r := &pgtest.Recording{UtilityOption: utility, Coordinator: recordInstance(t, conn), Refusals: make(map[string]pgtest.Refusal)}
	for _, row := range query(t, conn, `SELECT dbid, content, role, preferred_role, mode, status, port, hostname, address, datadir
		FROM pg_catalog.gp_segment_configuration ORDER BY content, role DESC`) {
		c := pgtest.ConfigurationRow{
			DBID: number(t, row[0]), Content: number(t, row[1]), Role: row[2], PreferredRole: row[3], Mode: row[4], Status: row[5],
			Port: number(t, row[6]), Hostname: row[7], Address: row[8], Datadir: "/data/" + path.Base(row[9]),
		}
		r.Configuration = append(r.Configuration, c)
		if c.Role != "p" || c.Content < 0 {
			continue
		}
		seg := cfg.With(wire.Overrides{Host: c.Address, Port: uint16(c.Port), Options: utility})
		r.Segments = append(r.Segments, recordInstance(t, connect(t, seg)))
		if c.Content > 0 {
			continue
		}
		addr := fmt.Sprintf("%s:%d", c.Address, c.Port)
		who := []string{"user", cfg.User(), "database", cfg.Database()}
		r.Refusals[pgtest.RefusedPlain] = pgtest.RecordRefusal(t, "127.0.0.1", addr, who...)
		r.Refusals[pgtest.RefusedOption] = pgtest.RecordRefusal(t, "127.0.0.1", addr, append(who, "options", "-c gp_role=utility")...)
		r.Refusals[pgtest.RefusedHBA] = pgtest.RecordRefusal(t, "127.0.0.2", addr, who...)
	}
	for _, row := range query(t, conn, "SELECT name FROM pg_catalog.pg_available_extensions WHERE name LIKE 'gp_parallel%' ORDER BY 1") {
		r.Extensions = append(r.Extensions, row[0])
	}
	return r
}

func recordInstance(t *testing.T, conn *wire.Conn) pgtest.Instance {
	t.Helper()
	i := pgtest.Instance{
		Version:  query(t, conn, "SELECT pg_catalog.version()")[0][0],
		Settings: make(map[string]string),
	}
	for _, name := range []string{"server_version_num", "gp_contentid", "gp_dbid", "gp_role"} {
		i.Settings[name] = query(t, conn, "SELECT pg_catalog.current_setting("+wire.Literal(name)+")")[0][0]
	}
	return i
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// routeOf gives a route by name.
func routeOf(t *testing.T, c *Cluster, name string) Route {
	t.Helper()
	for _, r := range c.Routes {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("no route %s: %+v", name, c.Routes)
	return Route{}
}

func TestRealGreenplum(t *testing.T) {
	cfg := realGreenplum(t)
	c, err := Discover(t.Context(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Dialect.Product != "Greenplum" || c.Layout != fanout.LayoutSegments || len(c.Nodes) == 0 {
		t.Fatalf("%+v", c)
	}
	for i, n := range c.Nodes {
		if n.Err != nil || n.Content != i || n.ID != uint32(i)+1 {
			t.Errorf("%+v", n)
		}
	}
	for _, name := range []string{fanout.RouteCoordinator, fanout.RouteSegments} {
		if r := routeOf(t, c, name); !r.Works {
			t.Errorf("%+v", r)
		}
	}
}

// TestRealGreenplumCursors has the extension created on the way, and leads an endpoint astray.
func TestRealGreenplumCursors(t *testing.T) {
	cfg := realGreenplum(t)
	conn := connect(t, cfg)
	name := fmt.Sprintf("topology_test_%d", os.Getpid())
	if _, err := conn.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	defer conn.Exec(t.Context(), "DROP DATABASE "+name)
	cfg = cfg.With(wire.Overrides{Database: name})
	discover := func(o Options) Route {
		t.Helper()
		c, err := Discover(t.Context(), cfg, o)
		if err != nil {
			t.Fatal(err)
		}
		return routeOf(t, c, fanout.RouteCursors)
	}
	if r := discover(Options{}); r.Works || !strings.Contains(r.Reason, "CREATE EXTENSION gp_parallel_retrieve_cursor") {
		t.Errorf("%+v", r)
	}
	own, err := wire.Connect(t.Context(), cfg, settings())
	if err != nil {
		t.Fatal(err)
	}
	_, err = own.Exec(t.Context(), "CREATE EXTENSION gp_parallel_retrieve_cursor")
	own.Close(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r := discover(Options{}); !r.Works || r.Promise != fanout.PromiseSnapshot {
		t.Errorf("%+v", r)
	}
	c, err := Discover(t.Context(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := discovery{conn: connect(t, cfg), cluster: c}
	c.Dialect.EndpointsQuery += " AND gp_segment_id < 2"
	if err := d.tryCursor(t.Context()); err == nil || !strings.Contains(err.Error(), "no endpoint on seg2") {
		t.Errorf("without the last endpoint: %v", err)
	}
	astray := map[string]Address{"seg1": {Port: c.Nodes[2].Config.Port()}}
	if r := discover(Options{Overrides: astray}); r.Works || !strings.Contains(r.Reason, "lead to another instance") {
		t.Errorf("%+v", r)
	}
}
