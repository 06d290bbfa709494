// Package topology finds out who holds which data: it asks a server what it is and what it can do, once, and
// answers with a [Cluster] whose dialect says it in capabilities. No other package compares versions.
//
// This version knows plain PostgreSQL.
package topology

import (
	"context"
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
)

// oldest is the oldest server_version_num that pgark reads.
const oldest = 120000

// Discover connects to a server and finds the cluster that it belongs to. The session is closed when it returns.
// Errors are those of [wire.Connect] and of the queries.
func Discover(ctx context.Context, cfg *wire.Config) (*Cluster, error) {
	settings := wire.TextSettings("")
	settings.ApplicationName = "pgark topology"
	conn, err := wire.Connect(ctx, cfg, settings)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	banner, err := conn.QueryString(ctx, "SELECT pg_catalog.version()")
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", conn.Addr(), err)
	}
	d := dialect(banner, conn.ServerVersion(), conn.ServerVersionNum())
	c := &Cluster{
		Dialect:     d,
		Layout:      fanout.LayoutSingle,
		Coordinator: Node{Name: "coordinator", Content: -1, Config: cfg},
	}
	c.Routes = routes(d)
	return c, nil
}

// dialect turns a server's words about itself into capabilities.
func dialect(banner, version string, num int) Dialect {
	return Dialect{
		Product: product(banner), Version: version, VersionNum: num,
		TIDRangeScan:   num >= 140000,
		ExportSnapshot: num >= 90200,
		ShortFloats:    num >= 120000, GeneratedColumns: num >= 120000, DeclarativeParts: num >= 100000,
		IdleTimeout: num >= 90600, BlockingPIDs: num >= 90600,
	}
}

func product(banner string) string {
	switch {
	case strings.Contains(banner, "Greenplum"):
		return "Greenplum"
	case strings.Contains(banner, "Cloudberry"):
		return "Apache Cloudberry"
	default:
		return "PostgreSQL"
	}
}

func routes(d Dialect) []Route {
	coordinator := Route{
		Name: "coordinator", Works: true, Promise: "snapshot",
		Reason: "all rows come from one server, under one exported snapshot",
	}
	switch {
	case d.Product != "PostgreSQL":
		coordinator = Route{Name: "coordinator", Reason: d.Product + " is not supported by this version of pgark"}
	case d.VersionNum < oldest:
		coordinator = Route{Name: "coordinator", Reason: fmt.Sprintf("PostgreSQL %s is older than %d, the oldest that pgark reads", d.Version, oldest/10000)}
	}
	return []Route{
		coordinator,
		{Name: "segments", Reason: "plain PostgreSQL has no segments"},
		{Name: "cursors", Reason: "plain PostgreSQL has no parallel retrieve cursors"},
	}
}
