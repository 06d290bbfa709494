// Package topology finds out who holds which data: it asks a server what it is and what it can do, once, and
// answers with a [Cluster] whose dialect says it in capabilities. No other package compares versions.
//
// It knows plain PostgreSQL, Greenplum and Apache Cloudberry with their segments, PostgreSQL whose partitions lie on other
// servers by postgres_fdw, and lists of databases that an application shards itself. [Discover] is the only entrance.
package topology

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/wire"
)

// What [Discover] answers with has its types in package fanout. They have names here for packages that do not import
// the engine.
type (
	// Cluster is everything that one dump covers.
	Cluster = fanout.Cluster
	// Dialect is what a server can do.
	Dialect = fanout.Dialect
	// Node is one server of a cluster.
	Node = fanout.Node
	// Route is a way for rows to travel.
	Route = fanout.Route
	// Layout says where rows are.
	Layout = fanout.Layout
)

// ErrNode is wrapped by the errors of nodes: it can't be reached, does not let us in, or is not what it should be.
var ErrNode = errors.New("a node can't be used")

// Discover connects to a server, finds the cluster that it belongs to, and tries every node once. All sessions are closed
// when it returns, but one that [Options] ask for.
//
// A node that can't be used is no error: the cluster names it (see Node.Err), and the routes that need it say so. Errors
// are those of [wire.Connect] to the coordinator and of its queries; a server that is no coordinator; wrong options, which
// wrap [fanout.ErrUsage].
func Discover(ctx context.Context, cfg *wire.Config, o Options) (*Cluster, error) {
	o = o.withDefaults()
	conn, err := wire.Connect(ctx, cfg, settings())
	if err != nil {
		return nil, explainCoordinator(err)
	}
	kept := false
	defer func() {
		if !kept {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}()
	banner, err := conn.QueryString(ctx, "SELECT pg_catalog.version()")
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", conn.Addr(), err)
	}
	c := &Cluster{
		Dialect:     dialect(banner, conn.ServerVersion(), conn.ServerVersionNum()),
		Layout:      fanout.LayoutSingle,
		Coordinator: Node{Name: "coordinator", Content: -1, Config: cfg},
	}
	d := discovery{conn: conn, cluster: c, options: o}
	if err := d.run(ctx); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("find the cluster of %s: %w", conn.Addr(), context.Cause(ctx))
	}
	if o.Session != nil && conn.Err() == nil && c.Coordinator.Config == cfg {
		kept = true
		o.Session(conn)
	}
	return c, nil
}

// settings are those of the sessions that discover.
func settings() wire.Settings {
	s := wire.TextSettings("")
	s.ApplicationName = "pgark topology"
	return s
}

// discovery is one run of [Discover].
type discovery struct {
	conn    *wire.Conn // with the coordinator
	cluster *Cluster
	options Options

	directories map[uint32]string // data directory of each segment, by node ID
}

// run finds out the layout, which brings nodes and routes.
func (d *discovery) run(ctx context.Context) error {
	c := d.cluster
	switch {
	case segmented(c.Dialect):
		if len(d.options.DataNodes) > 0 {
			return fmt.Errorf("%w: data nodes can't be listed for %s: its catalog names its segments", fanout.ErrUsage, c.Dialect.Product)
		}
		return d.segments(ctx)
	case len(d.options.DataNodes) > 0:
		return d.equal(ctx)
	}
	servers, err := d.foreignServers(ctx)
	if err != nil {
		return err
	}
	if len(servers) > 0 {
		return d.foreign(ctx, servers)
	}
	if err := override(c, d.options.Overrides); err != nil {
		return err
	}
	c.Routes = singleRoutes(c.Dialect)
	return nil
}

// singleRoutes are those of a PostgreSQL with all rows of its own.
func singleRoutes(d Dialect) []Route {
	coordinator := Route{
		Name: fanout.RouteCoordinator, Works: true, Promise: fanout.PromiseSnapshot,
		Reason: "all rows come from one server, under one exported snapshot",
	}
	if why := tooOld(d); why != "" {
		coordinator = Route{Name: fanout.RouteCoordinator, Reason: why}
	}
	return []Route{
		coordinator,
		{Name: fanout.RouteSegments, Reason: "plain PostgreSQL has no segments"},
		noCursors(),
	}
}

// tooOld says why a plain PostgreSQL is not read, "" if it is.
func tooOld(d Dialect) string {
	if d.VersionNum >= oldest {
		return ""
	}
	return fmt.Sprintf("PostgreSQL %s is older than %d, the oldest that pgark reads", d.Version, oldest/10000)
}

// explainCoordinator says what to do where the server that -d leads to is a member of a cluster, and not its coordinator.
func explainCoordinator(err error) error {
	var server *wire.ServerError
	if !errors.As(err, &server) {
		return err
	}
	err = quiet(err)
	switch {
	case strings.Contains(server.Message, "connections to primary segments are not allowed"):
		return fmt.Errorf("this is a segment of a Greenplum cluster: connect to the cluster's coordinator instead, pgark finds the segments by itself: %w", err)
	case strings.Contains(server.Message, "only utility mode connections are allowed"):
		return fmt.Errorf("the session was asked to be in utility mode, or the cluster was started that way for maintenance: "+
			"take gp_role out of PGOPTIONS, or start the cluster as a whole (gpstop -m, gpstart): %w", err)
	case strings.Contains(server.Detail, "VERSION:") && strings.Contains(server.Message, "recovery mode"):
		return fmt.Errorf("this is the standby of a Greenplum coordinator, or a mirror: connect to the acting coordinator instead: %w", err)
	}
	return err
}
