package topology

import (
	"context"
	"fmt"
	"strconv"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/wire"
)

// Mirrors (role 'm') hold the rows of their primaries once more, and are never read. The datadir is for advice.
const segmentsQuery = `SELECT content, dbid, preferred_role, status, address, port, datadir
FROM pg_catalog.gp_segment_configuration WHERE role = 'p' ORDER BY content`

// segment is a primary as the catalog has it.
type segment struct {
	content int
	dbid    string
	failed  bool // over: it acts for the primary that its content prefers
	down    bool
	host    string
	port    uint16
	dir     string
}

// segments makes a node of every primary segment.
func (d *discovery) segments(ctx context.Context) error {
	c := d.cluster
	c.Layout = fanout.LayoutSegments
	if err := d.checkCoordinator(ctx); err != nil {
		return err
	}
	list, err := d.listSegments(ctx)
	if err != nil {
		return err
	}
	database, err := d.conn.QueryString(ctx, "SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()")
	if err != nil {
		return fmt.Errorf("ask %s for its database: %w", d.conn.Addr(), err)
	}
	d.directories = make(map[uint32]string)
	for _, s := range list {
		n := s.node(c)
		d.directories[n.ID] = s.dir
		c.Nodes = append(c.Nodes, n)
	}
	if err := override(c, d.options.Overrides); err != nil {
		return err
	}
	d.probe(ctx, func(ctx context.Context, conn *wire.Conn, i int) error {
		return list[i].look(ctx, conn, database)
	})
	c.Routes = []Route{d.coordinatorRoute(list), d.segmentsRoute(list), d.cursorsRoute(ctx, list)}
	return nil
}

// checkCoordinator refuses a session that is not one of the whole cluster: with a segment, or in utility mode.
func (d *discovery) checkCoordinator(ctx context.Context) error {
	rows, err := d.conn.QueryStrings(ctx, `SELECT pg_catalog.current_setting('gp_contentid'), pg_catalog.current_setting('gp_role')`)
	if err != nil {
		return fmt.Errorf("ask %s what it is: %w", d.conn.Addr(), err)
	}
	product := d.cluster.Dialect.Product
	switch content, role := rows[0][0], rows[0][1]; {
	case content != "-1":
		return fmt.Errorf("%w: %s is the segment with content %s of a %s cluster: connect to the cluster's coordinator instead, pgark finds the segments by itself",
			ErrNode, d.conn.Addr(), content, product)
	case role != "dispatch":
		return fmt.Errorf("%w: the session with %s is in %s mode, which shows the coordinator without its segments: take gp_role and gp_session_role out of PGOPTIONS",
			ErrNode, d.conn.Addr(), role)
	}
	return nil
}

func (d *discovery) listSegments(ctx context.Context) ([]segment, error) {
	rows, err := d.conn.QueryStrings(ctx, segmentsQuery)
	if err != nil {
		return nil, fmt.Errorf("list the segments of %s: %w", d.conn.Addr(), err)
	}
	var list []segment
	for _, row := range rows {
		content, err := strconv.Atoi(row[0])
		if err != nil {
			return nil, fmt.Errorf("list the segments of %s: content %q is not a number", d.conn.Addr(), row[0])
		}
		port, err := strconv.ParseUint(row[5], 10, 16)
		if err != nil {
			return nil, fmt.Errorf("list the segments of %s: port %q of content %d is not a number", d.conn.Addr(), row[5], content)
		}
		if content == -1 {
			continue
		}
		if content != len(list) {
			return nil, fmt.Errorf("%w: %s has no primary segment for content %d (gp_segment_configuration): its rows can't be read", ErrNode, d.conn.Addr(), len(list))
		}
		list = append(list, segment{
			content: content, dbid: row[1], failed: row[2] != "p", down: row[3] != "u", host: row[4], port: uint16(port), dir: row[6],
		})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: %s has no segments (gp_segment_configuration)", ErrNode, d.conn.Addr())
	}
	return list, nil
}

// node makes a node of a segment.
func (s segment) node(c *Cluster) Node {
	n := Node{
		ID: uint32(s.content) + 1, Name: "seg" + strconv.Itoa(s.content), Content: s.content, //nolint:gosec // counted from 0
		Config: c.Coordinator.Config.With(wire.Overrides{Host: s.host, Port: s.port, Options: c.Dialect.UtilityOption}),
	}
	if s.failed {
		n.Note = "acts for its failed partner"
	}
	if s.down {
		n.Err = fmt.Errorf("%w: segment %s (content %d, host %s, port %d) is down, and no mirror acts for it (status 'd' in gp_segment_configuration): "+
			"recover it (gprecoverseg)", ErrNode, n.Name, s.content, s.host, s.port)
	}
	return n
}

// look makes sure that a session is with this segment, and with the same database: an address may lead elsewhere.
func (s segment) look(ctx context.Context, conn *wire.Conn, database string) error {
	rows, err := conn.QueryStrings(ctx, `SELECT pg_catalog.current_setting('gp_contentid'), pg_catalog.current_setting('gp_dbid'),
pg_catalog.pg_is_in_recovery(), (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`)
	if err != nil {
		return err
	}
	content, dbid, standby, oid := rows[0][0], rows[0][1], rows[0][2], rows[0][3]
	switch {
	case content != strconv.Itoa(s.content):
		return fmt.Errorf("%s leads to the instance with content %s, not %d: correct the address (--node)", conn.Addr(), content, s.content)
	case standby == "t":
		return fmt.Errorf("%s leads to a mirror (dbid %s), which is never read: correct the address (--node)", conn.Addr(), dbid)
	case dbid != s.dbid:
		return fmt.Errorf("%s leads to the instance with dbid %s, not %s: another cluster's, or the configuration has just changed", conn.Addr(), dbid, s.dbid)
	case oid != database:
		return fmt.Errorf("%s leads to a segment of another cluster: its database %s has OID %s, the coordinator's %s", conn.Addr(), conn.Config().Database(), oid, database)
	}
	return nil
}

// coordinatorRoute needs no session with segments, but segments that are up.
func (d *discovery) coordinatorRoute(list []segment) Route {
	r := Route{
		Name: fanout.RouteCoordinator, Works: true, Promise: fanout.PromiseSnapshot,
		Reason: "rows come through the coordinator, under one exported snapshot",
	}
	if err := d.downSegments(list); err != nil {
		fail(&r, err)
	}
	return r
}

func (d *discovery) segmentsRoute(list []segment) Route {
	r := Route{
		Name: fanout.RouteSegments, Works: true, Promise: fanout.PromiseBarrier,
		Reason: "direct sessions with every segment in utility mode, behind a write barrier",
	}
	if n := notes(d.cluster); n != "" {
		r.Reason += "; " + n
	}
	if err := d.failed(); err != nil {
		fail(&r, err)
	}
	return r
}

// downSegments gives the errors of segments that the cluster itself takes for down.
func (d *discovery) downSegments(list []segment) error {
	for i := range list {
		if list[i].down {
			return d.cluster.Nodes[i].Err
		}
	}
	return nil
}
