package fanout

import (
	"context"
	"fmt"
	"strconv"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// makeParts decides what is read where, under the snapshots. The session is the leader's, or stands for it where there is one server only.
func (d *dumper) makeParts(ctx context.Context, m *moment, conn *wire.Conn) error {
	switch d.o.Cluster.Layout {
	case LayoutSegments:
		if m.route.Name == RouteSegments {
			return d.segmentParts(ctx, m)
		}
		return d.coordinatorSegmentParts(ctx, m)
	case LayoutForeign:
		return d.foreignParts(ctx, m)
	case LayoutEqual:
		return d.equalParts(ctx, m)
	default:
		return m.leader().ownParts(ctx, conn, sortedTables(m.tables))
	}
}

// ownParts are whole tables of the member's own server, under the names that the coordinator has for them.
func (m *member) ownParts(ctx context.Context, conn *wire.Conn, tables []*table) error {
	oids := make([]uint32, len(tables))
	for i, t := range tables {
		oids[i] = t.OID
	}
	sizes, err := tableSizes(ctx, conn, sizeQuery, oids)
	if err != nil {
		return err
	}
	for _, t := range tables {
		m.parts = append(m.parts, m.part(t, sizes[t.OID]))
	}
	return nil
}

func (m *member) part(t *table, s size) part {
	p := part{
		table: t, node: m.node.ID, from: "ONLY " + t.quoted(), columns: t.Columns,
		split: m.dialect.TIDRangeScan, pages: s.pages, bytes: s.bytes,
	}
	if t.lockable() {
		p.lock = p.from
	}
	switch {
	case t.Condition != "":
		p.where = " " + t.Condition // an extension's filter begins with WHERE
	case t.Kind == 'f':
		p.split, p.where = false, " WHERE true" // COPY takes no foreign table, only a query
	}
	return p
}

// segmentParts: every segment has a part of every table; of a replicated one each has all, and one is read.
func (d *dumper) segmentParts(ctx context.Context, m *moment) error {
	segments := m.members[1:]
	if len(segments) == 0 {
		return fmt.Errorf("%w: there are no segments", errLayout)
	}
	each := make([][]*table, len(m.members))
	for _, t := range sortedTables(m.tables) {
		switch {
		case t.Policy == nil:
			each[0] = append(each[0], t)
		case t.Policy.Kind == archive.DistributedReplicated:
			i := 1 + int(t.OID)%min(len(segments), max(int(t.Policy.Segments), 1))
			each[i] = append(each[i], t)
		default:
			for i := range segments {
				each[i+1] = append(each[i+1], t)
			}
		}
	}
	for i, x := range m.members {
		if err := x.ownParts(ctx, x.conn, each[i]); err != nil {
			return fmt.Errorf("node %s: %w", x.node.Name, err)
		}
	}
	return nil
}

// coordinatorSegmentParts: the coordinator fetches from the segments. A large table is asked for segment by segment:
// such a query goes to that segment alone.
func (d *dumper) coordinatorSegmentParts(ctx context.Context, m *moment) error {
	lead := m.leader()
	tables := sortedTables(m.tables)
	oids := make([]uint32, len(tables))
	for i, t := range tables {
		oids[i] = t.OID
	}
	sizes, err := tableSizes(ctx, lead.conn, sizeQuerySegments, oids)
	if err != nil {
		return err
	}
	for _, t := range tables {
		s := sizes[t.OID]
		whole := lead.part(t, s)
		whole.split = false
		spread := t.Policy != nil && t.Policy.Kind != archive.DistributedReplicated && t.Condition == ""
		if !spread || s.bytes < rangeMin || m.route.Name == RouteCursors {
			lead.parts = append(lead.parts, whole)
			continue
		}
		for i := range d.o.Cluster.Nodes {
			node := &d.o.Cluster.Nodes[i]
			p := whole
			p.node, p.bytes = node.ID, s.bytes/uint64(len(d.o.Cluster.Nodes))
			p.where = " WHERE gp_segment_id = " + strconv.Itoa(node.Content)
			lead.parts = append(lead.parts, p)
		}
	}
	return nil
}

// foreignParts: the coordinator's own tables, and foreign partitions, on their servers or through the coordinator.
func (d *dumper) foreignParts(ctx context.Context, m *moment) error {
	lead := m.leader()
	var own []*table
	byNode := make(map[uint32][]*table)
	for _, t := range sortedTables(m.tables) {
		if !t.Leaf {
			own = append(own, t)
			continue
		}
		node, err := d.o.Cluster.server(t)
		if err != nil {
			return fmt.Errorf("%w: %w", errSlipped, err)
		}
		t.Policy.Node, t.Policy.Segments = node.ID, 1
		byNode[node.ID] = append(byNode[node.ID], t)
	}
	if err := lead.ownParts(ctx, lead.conn, own); err != nil {
		return err
	}
	for _, x := range m.members[1:] {
		parts, err := x.remoteParts(ctx, byNode[x.node.ID])
		if err != nil {
			return fmt.Errorf("node %s: %w", x.node.Name, err)
		}
		if m.route.Name == RouteSegments {
			x.parts = parts
			continue
		}
		for _, p := range parts {
			through := lead.part(p.table, size{p.pages, p.bytes})
			through.node = p.node
			lead.parts = append(lead.parts, through)
		}
	}
	return nil
}

// remoteParts are the tables that foreign partitions stand for, on their server, with what is locked there checked.
func (m *member) remoteParts(ctx context.Context, tables []*table) ([]part, error) {
	names := make([]tableName, len(tables))
	for i, t := range tables {
		names[i] = tableName{t.Remote.Schema, t.Remote.Name}
	}
	found, err := describeNamed(ctx, m.conn, names)
	if err != nil {
		return nil, err
	}
	locked, err := m.locked(ctx)
	if err != nil {
		return nil, err
	}
	parts := make([]part, 0, len(tables))
	for i, t := range tables {
		r := found[names[i]]
		if r == nil || !locked[r.oid] {
			return nil, fmt.Errorf("%w: %s, which %s stands for, was not locked", errSlipped, t.Remote.quoted(), t.quoted())
		}
		if err := r.fits(t, t.Remote.Columns, "table "+t.Remote.quoted()+" that "+t.quoted()+" stands for"); err != nil {
			return nil, err
		}
		parts = append(parts, part{
			table: t, node: m.node.ID, from: r.from(names[i]), lock: r.from(names[i]), columns: t.Remote.Columns,
			split: m.dialect.TIDRangeScan && r.kind == 'r' && !r.children, pages: r.size.pages, bytes: r.size.bytes,
		})
	}
	return parts, nil
}

// equalParts: every node has the same tables, each with rows of its own.
func (d *dumper) equalParts(ctx context.Context, m *moment) error {
	tables := sortedTables(m.tables)
	byName := make(map[tableName]*table, len(tables))
	for _, t := range tables {
		byName[tableName{t.Schema, t.Name}] = t
		t.Policy = &archive.Distribution{
			OID: t.OID, Schema: t.Schema, Table: t.Name, Kind: archive.DistributedNode, Segments: uint32(len(m.members)),
		}
	}
	if err := m.leader().ownParts(ctx, m.leader().conn, tables); err != nil {
		return err
	}
	for _, x := range m.members[1:] {
		if err := d.equalMember(ctx, x, tables, byName); err != nil {
			return fmt.Errorf("node %s: %w", x.node.Name, err)
		}
	}
	return nil
}

func (d *dumper) equalMember(ctx context.Context, x *member, tables []*table, byName map[tableName]*table) error {
	seen, err := d.scope.list(ctx, x.conn)
	if err != nil {
		return err
	}
	locked, err := x.locked(ctx)
	if err != nil {
		return err
	}
	for _, r := range seen {
		switch {
		case r.lockable() && !locked[r.OID]:
			return fmt.Errorf("%w: %s is there and was not locked", errSlipped, r.quoted())
		case r.hasRows() && byName[tableName{r.Schema, r.Name}] == nil:
			return fmt.Errorf("%w: it has table %s, which the coordinator's catalog lacks: its rows would be missing; "+
				"create it on the coordinator too, or leave it out with -T", errLayout, r.quoted())
		}
	}
	if blobs, err := hasBlobs(ctx, x.conn); err != nil {
		return err
	} else if blobs {
		return fmt.Errorf("%w: it has large objects, of which only the coordinator's can be dumped", errLayout)
	}
	names := make([]tableName, len(tables))
	for i, t := range tables {
		names[i] = tableName{t.Schema, t.Name}
	}
	found, err := describeNamed(ctx, x.conn, names)
	if err != nil {
		return err
	}
	for i, t := range tables {
		r := found[names[i]]
		if r == nil {
			return fmt.Errorf("%w: it lacks table %s", errLayout, t.quoted())
		}
		if err := r.fits(t, t.Columns, "table "+t.quoted()); err != nil {
			return err
		}
		x.parts = append(x.parts, x.part(t, r.size))
	}
	return nil
}

// readPolicies reads how Greenplum spreads the tables. One without a policy is the coordinator's own.
func (d *dumper) readPolicies(ctx context.Context, m *moment) error {
	if d.o.Cluster.Layout != LayoutSegments {
		return nil
	}
	oids := make([]uint32, 0, len(m.tables))
	for oid := range m.tables {
		oids = append(oids, oid)
	}
	policies, err := policiesOf(ctx, m.leader().conn, oids)
	for oid, p := range policies {
		t := m.tables[oid]
		p.Schema, p.Table = t.Schema, t.Name
		t.Policy = &p.Distribution
	}
	return err
}
