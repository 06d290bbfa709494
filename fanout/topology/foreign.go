package topology

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/pgark/pgark/fanout"
)

// foreignServer is a server of postgres_fdw that holds partitions.
type foreignServer struct {
	oid, name string
	user      string // that the session is, whose mapping counts
	options   map[string]string
}

// The handler is found by what it is, not by the wrapper's name: anybody may call a wrapper postgres_fdw.
const serversQuery = `SELECT DISTINCT s.oid, s.srvname, CURRENT_USER
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_foreign_table t ON t.ftrelid = c.oid
JOIN pg_catalog.pg_foreign_server s ON s.oid = t.ftserver
JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw
JOIN pg_catalog.pg_proc p ON p.oid = w.fdwhandler AND p.proname = 'postgres_fdw_handler'
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid
	AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'postgres_fdw'
WHERE c.relkind = 'f' AND c.relispartition`

// The mapping of the current user goes before that of everybody. Its options are NULL where it is hidden from us, and where
// it has none.
const mappingQuery = `SELECT m.umid FROM pg_catalog.pg_user_mappings m
WHERE m.srvid = %[1]s AND (m.usename = CURRENT_USER OR m.umuser = 0) ORDER BY m.umuser = 0 LIMIT 1`

const optionsQuery = `SELECT o.option_name, o.option_value
FROM pg_catalog.pg_foreign_server s, pg_catalog.pg_options_to_table(s.srvoptions) o WHERE s.oid = %[1]s`

const mappingOptionsQuery = `SELECT o.option_name, o.option_value
FROM pg_catalog.pg_user_mappings m, pg_catalog.pg_options_to_table(m.umoptions) o WHERE m.umid = %[1]s`

// foreignServers lists the servers that hold partitions, by name.
func (d *discovery) foreignServers(ctx context.Context) ([]*foreignServer, error) {
	if !d.cluster.Dialect.DeclarativeParts {
		return nil, nil
	}
	rows, err := d.conn.QueryStrings(ctx, serversQuery)
	if err != nil {
		return nil, fmt.Errorf("list the foreign servers of %s: %w", d.conn.Addr(), err)
	}
	servers := make([]*foreignServer, len(rows))
	for i, row := range rows {
		servers[i] = &foreignServer{oid: row[0], name: row[1], user: row[2], options: make(map[string]string)}
	}
	slices.SortFunc(servers, func(a, b *foreignServer) int { return cmp.Compare(a.name, b.name) })
	for _, s := range servers {
		if err := d.readServer(ctx, s); err != nil {
			return nil, fmt.Errorf("read the settings of foreign server %s: %w", s.name, err)
		}
	}
	return servers, nil
}

// readServer reads a server's options, then those of the user mapping.
func (d *discovery) readServer(ctx context.Context, s *foreignServer) error {
	add := func(query, oid string) error {
		rows, err := d.conn.QueryStrings(ctx, fmt.Sprintf(query, oid))
		for _, row := range rows {
			s.options[row[0]] = row[1]
		}
		return err
	}
	if err := add(optionsQuery, s.oid); err != nil {
		return err
	}
	mapping, err := d.conn.QueryStrings(ctx, fmt.Sprintf(mappingQuery, s.oid))
	if err != nil || len(mapping) == 0 {
		return err
	}
	return add(mappingOptionsQuery, mapping[0][0])
}

// foreign makes a node of every server.
func (d *discovery) foreign(ctx context.Context, servers []*foreignServer) error {
	c := d.cluster
	c.Layout = fanout.LayoutForeign
	for i, s := range servers {
		n := Node{ID: uint32(i) + 1, Name: s.name, Content: -1} //nolint:gosec // a count of servers
		var err error
		if n.Config, err = s.config(c.Coordinator.Config); err != nil {
			return fmt.Errorf("settings of foreign server %s: %w", s.name, err)
		}
		if s.options["user"] == "" {
			n.Note = fmt.Sprintf("no user mapping that %[1]s may see names a user: connected as %[1]s, with a password from ~/.pgpass if one is wanted", s.user)
		}
		c.Nodes = append(c.Nodes, n)
	}
	if err := override(c, d.options.Overrides); err != nil {
		return err
	}
	self, err := lookPlain(ctx, d.conn)
	if err != nil {
		return fmt.Errorf("ask %s what it is: %w", d.conn.Addr(), err)
	}
	d.lookAtNodes(ctx)
	c.Routes = d.foreignRoutes(self)
	return nil
}

// foreignRoutes all need a session with every shard: where rows come through the coordinator, the barrier does.
func (d *discovery) foreignRoutes(self plainNode) []Route {
	coordinator := Route{
		Name: fanout.RouteCoordinator, Works: true, Promise: fanout.PromiseBarrier,
		Reason: "rows come through the coordinator; a write barrier on every shard makes it one moment",
	}
	segments := Route{
		Name: fanout.RouteSegments, Works: true, Promise: fanout.PromiseBarrier,
		Reason: "direct sessions with every shard, behind a write barrier",
	}
	if err := self.check(); err != nil {
		err = fmt.Errorf("coordinator: %w", err)
		fail(&coordinator, err)
		fail(&segments, err)
	} else if err := d.failed(); err != nil {
		fail(&coordinator, err)
		fail(&segments, err)
	} else if n := notes(d.cluster); n != "" {
		segments.Reason += "; " + n
	}
	return []Route{coordinator, segments, noCursors()}
}
