package fanout

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/wire"
)

// shares are, by node, the tables there that foreign partitions stand for.
type shares map[uint32][]tableName

// shares finds what the servers of foreign partitions have to lock, before any snapshot.
func (d *dumper) shares(ctx context.Context, m *moment) (shares, error) {
	if d.o.Cluster.Layout != LayoutForeign {
		return nil, nil
	}
	lead := m.leader()
	tables, err := describeTables(ctx, lead.conn, lead.rels, lead.dialect)
	if err != nil {
		return nil, err
	}
	if err := describeRemotes(ctx, lead.conn, tables); err != nil {
		return nil, err
	}
	s := make(shares)
	for _, t := range sortedTables(tables) {
		if !t.Leaf {
			continue
		}
		node, err := d.o.Cluster.server(t)
		if err != nil {
			return nil, err
		}
		s[node.ID] = append(s[node.ID], tableName{t.Remote.Schema, t.Remote.Name})
	}
	return s, nil
}

// server is the node that a foreign partition lies on.
func (c *Cluster) server(t *table) (*Node, error) {
	for i := range c.Nodes {
		if c.Nodes[i].Name == t.Server {
			return &c.Nodes[i], nil
		}
	}
	return nil, fmt.Errorf("%w: partition %s lies on the foreign server %s, which was not there when the cluster was discovered",
		errLayout, t.quoted(), wire.Ident(t.Server))
}

func sortedTables(tables map[uint32]*table) []*table {
	sorted := make([]*table, 0, len(tables))
	for _, t := range tables {
		sorted = append(sorted, t)
	}
	slices.SortFunc(sorted, func(x, y *table) int { return int(int64(x.OID) - int64(y.OID)) })
	return sorted
}

// openMember connects the session that holds a node's share, locks there what is to be locked, and begins its
// transaction. No snapshot is taken.
func (d *dumper) openMember(ctx context.Context, node *Node, share []tableName) (*member, error) {
	conn, err := d.session(ctx, node, d.leaderLockTimeout())
	if err != nil {
		return nil, &routeError{fmt.Errorf("node %s: %w", node.Name, err)}
	}
	m := &member{node: node, dialect: d.dialectOf(node), conn: conn, locks: d.o.Cluster.Layout != LayoutSegments}
	err = d.beginMember(ctx, m, share)
	if err != nil {
		closeSession(ctx, conn)
		return nil, fmt.Errorf("node %s: %w", node.Name, err)
	}
	return m, nil
}

func (d *dumper) beginMember(ctx context.Context, m *member, share []tableName) error {
	switch d.o.Cluster.Layout {
	case LayoutForeign:
		found, err := describeNamed(ctx, m.conn, share)
		if err != nil {
			return err
		}
		for _, name := range share {
			t := found[name]
			if t == nil {
				return fmt.Errorf("%w: it has no table %s, which a foreign partition stands for", errLayout, wire.QualifiedName(name.schema, name.table))
			}
			m.names = append(m.names, t.from(name))
		}
	case LayoutEqual:
		var err error
		if m.rels, err = d.scope.list(ctx, m.conn); err != nil {
			return err
		}
		for _, r := range m.rels {
			if r.lockable() {
				m.names = append(m.names, "ONLY "+r.quoted())
			}
		}
	}
	if _, err := m.conn.Exec(ctx, beginMoment); err != nil {
		return fmt.Errorf("begin its transaction: %w", err)
	}
	if !m.locks {
		return nil
	}
	return m.accessShare(ctx, "")
}

// from is the table as FROM and LOCK TABLE take it: with its partitions and children, since a foreign table shows
// their rows too.
func (r *remoteTable) from(name tableName) string {
	q := wire.QualifiedName(name.schema, name.table)
	if r.kind == 'r' && !r.children {
		q = "ONLY " + q
	}
	return q
}

// touches tells whether sessions on the coordinator must reach the nodes while the snapshots are taken: postgres_fdw
// takes its snapshot of a server when a session first reads from it.
func (d *dumper) touches(m *moment) bool {
	return d.o.Cluster.Layout == LayoutForeign && m.route.Name == RouteCoordinator
}

// openJoined connects the sessions that [dumper.joinEarly] needs, before anybody waits for them.
func (d *dumper) openJoined(ctx context.Context, m *moment) error {
	conns := make([]*wire.Conn, d.o.Jobs)
	g, gctx := errgroup.WithContext(ctx)
	for i := range conns {
		g.Go(func() (err error) {
			conns[i], err = d.session(gctx, m.leader().node, workerLockTimeout)
			return err
		})
	}
	err := g.Wait()
	for _, c := range conns {
		if c != nil {
			m.joined = append(m.joined, c)
		}
	}
	return err
}

// joinEarly has all sessions on the coordinator, the leader's too, share the leader's snapshot and begin their
// transactions on all foreign servers, which the barrier holds still.
func (d *dumper) joinEarly(ctx context.Context, m *moment, b *barrier) error {
	lead := m.leader()
	if b != nil {
		// The snapshot can't be exported as long as the savepoint is there. Writers that get on now meet the
		// barrier on the servers; what they write on the coordinator alone, the snapshot doesn't show.
		for _, l := range b.lockers {
			if l.member == lead {
				if err := l.release(ctx); err != nil {
					return err
				}
			}
		}
	}
	if err := lead.export(ctx); err != nil {
		return err
	}
	touch := touchSQL(lead.rels)
	g, gctx := errgroup.WithContext(ctx)
	for _, conn := range append([]*wire.Conn{lead.conn}, m.joined...) {
		g.Go(func() error {
			if conn != lead.conn {
				r := &reader{conn: conn, snapshot: lead.snapshot, node: lead.node.Name}
				if err := r.join(gctx); err != nil {
					return err
				}
			}
			for _, sql := range touch {
				if _, err := conn.Exec(gctx, sql); err != nil {
					return fmt.Errorf("reach the foreign servers through %s: %w", lead.node.Name, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// touchSQL reads from one partition on each server.
func touchSQL(rels []relation) []string {
	var all []string
	seen := make(map[string]bool)
	for _, r := range rels {
		if r.Kind == 'f' && r.Leaf && !seen[r.Server] {
			seen[r.Server] = true
			all = append(all, "SELECT 1 FROM ONLY "+r.quoted()+" LIMIT 1")
		}
	}
	return all
}

// segmentConfiguration is who serves which part of a Greenplum cluster; "" elsewhere. It must be asked for outside of the
// moment's transaction, which would show its own time's.
func (d *dumper) segmentConfiguration(ctx context.Context, conn *wire.Conn) (string, error) {
	if d.o.Cluster.Layout != LayoutSegments {
		return "", nil
	}
	rows, err := conn.QueryStrings(ctx, `SELECT content, dbid, role, status, address, port
FROM pg_catalog.gp_segment_configuration WHERE role = 'p' ORDER BY 1, 2`)
	if err != nil {
		return "", fmt.Errorf("read gp_segment_configuration: %w", err)
	}
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = fmt.Sprintf("  content %s: dbid %s, role %s, status %s, at %s:%s", r[0], r[1], r[2], r[3], r[4], r[5])
	}
	return strings.Join(lines, "\n"), nil
}

// routeError is what keeps a route from working, found before anything was read: route auto takes the next.
type routeError struct{ error }

func (e *routeError) Unwrap() error { return e.error }
