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

// imitate starts an imitation of what was recorded, changed by change.
func imitate(t *testing.T, change func(*pgtest.Recording)) (*pgtest.Imitation, *wire.Config) {
	t.Helper()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	r := pgtest.ReadRecording(t, recorded)
	if change != nil {
		change(r)
	}
	im := pgtest.Imitate(t, srv, db, r)
	return im, parse(t, im.Conninfo(db))
}

func discover(t *testing.T, cfg *wire.Config, o Options) *Cluster {
	t.Helper()
	c, err := Discover(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q does not say %q", text, p)
		}
	}
}

func TestSegments(t *testing.T) {
	im, cfg := imitate(t, nil)
	c := discover(t, cfg, Options{})
	if c.Layout != fanout.LayoutSegments || len(c.Nodes) != 3 || c.Dialect.Version != "6.24.3" || c.Dialect.VersionNum != 90426 {
		t.Fatalf("%+v", c)
	}
	for i, n := range c.Nodes {
		if n.Err != nil || n.Name != fmt.Sprintf("seg%d", i) || n.ID != uint32(i)+1 || n.Content != i ||
			int(n.Config.Port()) != im.Segments[i].Port() || n.Config.Database() != cfg.Database() {
			t.Errorf("%+v", n)
		}
	}
	if r := routeOf(t, c, fanout.RouteCoordinator); !r.Works || r.Promise != fanout.PromiseSnapshot {
		t.Errorf("%+v", r)
	}
	if r := routeOf(t, c, fanout.RouteSegments); !r.Works || r.Promise != fanout.PromiseBarrier {
		t.Errorf("%+v", r)
	}
	r := routeOf(t, c, fanout.RouteCursors)
	if r.Works || r.Err != nil {
		t.Errorf("%+v", r)
	}
	contains(t, r.Reason, "CREATE EXTENSION gp_parallel_retrieve_cursor")
	// The sessions are real: rows can be read with the settings that were found.
	if got := query(t, connect(t, c.Nodes[1].Config), "SELECT pg_catalog.current_setting('gp_contentid')"); got[0][0] != "1" {
		t.Error(got)
	}
}

// failing checks that one segment is named, and that the route that needs it says the same.
func failing(t *testing.T, c *Cluster, i int, parts ...string) {
	t.Helper()
	for k, n := range c.Nodes {
		if (n.Err != nil) != (k == i) {
			t.Errorf("%s: %v", n.Name, n.Err)
		}
	}
	err := c.Nodes[i].Err
	if !errors.Is(err, ErrNode) {
		t.Fatalf("%v", err)
	}
	contains(t, err.Error(), append(parts, "segment "+c.Nodes[i].Name)...)
	r := routeOf(t, c, fanout.RouteSegments)
	if r.Works || r.Promise != "" || !errors.Is(r.Err, err) {
		t.Errorf("%+v", r)
	}
	contains(t, r.Reason, parts...)
	if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "dangerous") {
		t.Errorf("%q", err)
	}
}

func TestSegmentRefusedByHBA(t *testing.T) {
	im, cfg := imitate(t, nil)
	im.Segments[1].Refuse(pgtest.RefusedHBA)
	c := discover(t, cfg, Options{})
	failing(t, c, 1, `add the line "host `+cfg.Database()+` postgres 127.0.0.2/32 md5"`, "/data/gpseg1/pg_hba.conf on host 127.0.0.1", "gpstop -u")
	if !wire.IsPermission(c.Nodes[1].Err) || !wire.IsConnect(c.Nodes[1].Err) {
		t.Error(c.Nodes[1].Err)
	}
	if r := routeOf(t, c, fanout.RouteCoordinator); !r.Works {
		t.Errorf("%+v", r)
	}
}

func TestSegmentDown(t *testing.T) {
	im, cfg := imitate(t, nil)
	im.Segments[2].Close()
	failing(t, discover(t, cfg, Options{}), 2, fmt.Sprintf("127.0.0.1:%d", im.Segments[2].Port()), "connection refused", "--node seg2=HOST:PORT")
}

// TestSegmentMarkedDown has a primary that the cluster itself has given up: no route works.
func TestSegmentMarkedDown(t *testing.T) {
	_, cfg := imitate(t, func(r *pgtest.Recording) { r.Configuration[1].Status = "d" })
	c := discover(t, cfg, Options{})
	failing(t, c, 0, "content 0, host 127.0.0.1, port", "is down", "gprecoverseg")
	for _, r := range c.Routes {
		if r.Works || r.Err == nil {
			t.Errorf("%+v", r)
		}
	}
}

// TestMirrors has a standby coordinator and mirrors, one of which acts for its primary.
func TestMirrors(t *testing.T) {
	_, cfg := imitate(t, func(r *pgtest.Recording) {
		for _, c := range r.Configuration {
			c.Role, c.PreferredRole, c.DBID, c.Port = "m", "m", c.DBID+4, 1
			r.Configuration = append(r.Configuration, c)
		}
		failed, mirror := &r.Configuration[2], &r.Configuration[6]
		failed.PreferredRole = "m"
		mirror.PreferredRole, mirror.Status = "p", "d"
	})
	c := discover(t, cfg, Options{})
	if len(c.Nodes) != 3 || c.Nodes[1].Note == "" || c.Nodes[0].Note != "" {
		t.Fatalf("%+v", c.Nodes)
	}
	r := routeOf(t, c, fanout.RouteSegments)
	if !r.Works {
		t.Errorf("%+v", r)
	}
	contains(t, r.Reason, "seg1: acts for its failed partner")
}

// TestOtherUtilityOption has a coordinator of version 7 with segments of version 6, which know another option.
func TestOtherUtilityOption(t *testing.T) {
	_, cfg := imitate(t, func(r *pgtest.Recording) {
		r.Coordinator.Version = "PostgreSQL 12.12 (Greenplum Database 7.1.0 build dev) on x86_64-pc-linux-gnu"
		r.Coordinator.Settings["server_version_num"] = "120012"
	})
	c := discover(t, cfg, Options{})
	if c.Dialect.UtilityOption != "-c gp_role=utility" || c.Dialect.LockOnlyCoordinator != " COORDINATOR ONLY" {
		t.Errorf("%+v", c.Dialect)
	}
	for _, n := range c.Nodes {
		contains(t, fmt.Sprint(n.Err), n.Name, `did not take "-c gp_role=utility"`, "Greenplum 7.1.0")
	}
	if r := routeOf(t, c, fanout.RouteSegments); r.Works {
		t.Errorf("%+v", r)
	}
}

// TestWrongSegment has addresses that lead to another segment, to another cluster, and out of it.
func TestWrongSegment(t *testing.T) {
	im, cfg := imitate(t, nil)
	astray := map[string]Address{"seg0": {Host: "127.0.0.1", Port: uint16(im.Segments[1].Port())}}
	failing(t, discover(t, cfg, Options{Overrides: astray}), 0, "content 1, not 0", "--node")

	// Another cluster's segment with the same numbers, whose database of the same name is another one.
	foreign := pgtest.Start(t)
	foreign.Exec(t, "postgres", "CREATE DATABASE before")
	foreign.Exec(t, "postgres", "CREATE DATABASE "+cfg.Database())
	other := pgtest.Imitate(t, foreign, cfg.Database(), pgtest.ReadRecording(t, recorded))
	astray = map[string]Address{"seg0": {Port: uint16(other.Segments[0].Port())}}
	failing(t, discover(t, cfg, Options{Overrides: astray}), 0, "a segment of another cluster")

	_, cfg = imitate(t, func(r *pgtest.Recording) { r.Segments[2].Settings["gp_dbid"] = "17" })
	failing(t, discover(t, cfg, Options{}), 2, "dbid 17, not 4")

	_, err := Discover(t.Context(), cfg, Options{Overrides: map[string]Address{"seg7": {Port: 1}}})
	if !errors.Is(err, fanout.ErrUsage) {
		t.Fatal(err)
	}
	contains(t, err.Error(), `"seg7"`, "seg0, seg1, seg2")
	_, err = Discover(t.Context(), cfg, Options{Overrides: map[string]Address{"coordinator": {Port: 1}}})
	if !errors.Is(err, fanout.ErrUsage) {
		t.Fatal(err)
	}
	if _, err = Discover(t.Context(), cfg, Options{DataNodes: []DataNode{{Name: "a"}}}); !errors.Is(err, fanout.ErrUsage) {
		t.Fatal(err)
	}
}

// TestOverriddenAddress leads around an address that does not work.
func TestOverriddenAddress(t *testing.T) {
	im, cfg := imitate(t, func(r *pgtest.Recording) { r.Configuration[3].Address = "nowhere.invalid" })
	c := discover(t, cfg, Options{})
	failing(t, c, 2, "nowhere.invalid", "--node seg2=HOST:PORT")
	c = discover(t, cfg, Options{Overrides: map[string]Address{"seg2": {Host: "127.0.0.1"}}})
	if c.Nodes[2].Err != nil || int(c.Nodes[2].Config.Port()) != im.Segments[2].Port() {
		t.Error(c.Nodes[2].Err)
	}
}

// TestNotTheCoordinator connects to what is no coordinator.
func TestNotTheCoordinator(t *testing.T) {
	im, cfg := imitate(t, nil)
	seg := cfg.With(wire.Overrides{Port: uint16(im.Segments[0].Port())})
	_, err := Discover(t.Context(), seg, Options{})
	if !wire.IsConnect(err) {
		t.Fatal(err)
	}
	contains(t, err.Error(), "this is a segment", "connect to the cluster's coordinator")
	if strings.Contains(err.Error(), "dangerous") {
		t.Error(err)
	}
	_, err = Discover(t.Context(), seg.With(wire.Overrides{Options: "-c gp_session_role=utility"}), Options{})
	if !errors.Is(err, ErrNode) {
		t.Fatal(err)
	}
	contains(t, err.Error(), "segment with content 0", "connect to the cluster's coordinator")

	_, cfg = imitate(t, func(r *pgtest.Recording) { r.Coordinator.Settings["gp_role"] = "utility" })
	if _, err = Discover(t.Context(), cfg, Options{}); !errors.Is(err, ErrNode) {
		t.Fatal(err)
	}
	contains(t, err.Error(), "utility mode", "PGOPTIONS")
}

// TestMissingContent has a configuration in which a segment has no primary.
func TestMissingContent(t *testing.T) {
	_, cfg := imitate(t, func(r *pgtest.Recording) { r.Configuration[2].Role = "m" })
	_, err := Discover(t.Context(), cfg, Options{})
	if !errors.Is(err, ErrNode) {
		t.Fatal(err)
	}
	contains(t, err.Error(), "no primary segment for content 1")
}
