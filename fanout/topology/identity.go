package topology

import (
	"context"
	"fmt"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/wire"
)

// identity tells one database from all others. The system identifier alone does not: a promoted copy of a server keeps it.
type identity struct {
	system   string // of the server's data directory
	started  string // when the server started
	database string // OID
}

// plainNode is what a node of plain PostgreSQL says about itself.
type plainNode struct {
	dialect  Dialect
	identity identity
	standby  bool
}

// lookPlain asks a server that should be a PostgreSQL.
func lookPlain(ctx context.Context, conn *wire.Conn) (plainNode, error) {
	rows, err := conn.QueryStrings(ctx, `SELECT pg_catalog.version(), pg_catalog.pg_is_in_recovery(), pg_catalog.pg_postmaster_start_time(),
(SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`)
	if err != nil {
		return plainNode{}, err
	}
	row := rows[0]
	n := plainNode{
		dialect:  dialect(row[0], conn.ServerVersion(), conn.ServerVersionNum()),
		standby:  row[1] == "t",
		identity: identity{started: row[2], database: row[3]},
	}
	if n.dialect.VersionNum >= 90600 {
		n.identity.system, err = conn.QueryString(ctx, "SELECT system_identifier FROM pg_catalog.pg_control_system()")
	}
	return n, err
}

// check says why a server can't be a node.
func (n plainNode) check() error {
	if segmented(n.dialect) {
		return fmt.Errorf("it is %s %s, and a node must be a plain PostgreSQL", n.dialect.Product, n.dialect.Version)
	}
	if why := tooOld(n.dialect); why != "" {
		return fmt.Errorf("%s", why)
	}
	if n.standby {
		return fmt.Errorf("it is a standby, where nothing can be locked against writers: name its primary")
	}
	return nil
}

// lookAtNodes tries nodes of plain PostgreSQL, and keeps what they say.
func (d *discovery) lookAtNodes(ctx context.Context) []plainNode {
	seen := make([]plainNode, len(d.cluster.Nodes))
	d.probe(ctx, func(ctx context.Context, conn *wire.Conn, i int) error {
		var err error
		if seen[i], err = lookPlain(ctx, conn); err != nil {
			return err
		}
		return seen[i].check()
	})
	for i := range seen {
		if d.cluster.Nodes[i].Err == nil {
			d.cluster.Nodes[i].Dialect = seen[i].dialect
		}
	}
	return seen
}

// noun is what a node is called.
func (d *discovery) noun() string { return Noun(d.cluster.Layout) }

// Noun is what a layout's nodes are called, other than the coordinator: "segment", "shard", "node".
func Noun(l Layout) string {
	switch l {
	case fanout.LayoutSegments:
		return "segment"
	case fanout.LayoutForeign:
		return "shard"
	}
	return "node"
}
