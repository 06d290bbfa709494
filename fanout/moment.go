package fanout

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// errSlipped says that what was taken is not one moment: mostly because tables changed meanwhile, so that locks and snapshots
// do not show the same. Everything is released and the moment is taken anew, [momentAttempts] times at most.
var errSlipped = errors.New("the moment has to be taken again")

const (
	// momentAttempts bounds how often a dump starts over because DDL got in between.
	momentAttempts = 20
	// littleBytes is below how many bytes a member's rows are read over the session that holds its snapshot. Another one costs a segment of
	// Greenplum 70 ms of CPU, and took PostgreSQL and its client 40 on a virtual machine where page faults are dear (pgbench -C).
	littleBytes = 1 << 20
	// manyTables is from how many on another session than the leader's looks at them. It costs about as much as the look at so many.
	manyTables = 500
	// lockBatch is how many tables one LOCK TABLE names. A longer statement gains nothing measurable.
	lockBatch = 500
)

// moment is the one point in time that a dump shows, held by the open transactions of its members: ACCESS SHARE on every
// table in scope, and snapshots that were taken after the last lock was granted. In the other order a TRUNCATE that
// commits in between would show as an empty table.
type moment struct {
	route    Route // taken, with the promise that holds
	members  []*member
	tables   map[uint32]*table // tables in scope that have rows, by OID on the coordinator
	parents  map[uint32]bool   // partitioned tables whose partitions have no entries of their own
	other    map[uint32]bool   // foreign tables whose rows do not belong to the dump
	joined   []*wire.Conn      // sessions on the coordinator that show the moment already
	blobs    bool              // there are large objects; known only if the rows go to volumes
	segments string            // configuration of Greenplum's segments

	undescribed []relation // those whose tables and parts are still to be found out, see [attempt.describeApart]
}

func (m *moment) leader() *member { return m.members[0] }

// takeMoment takes the locks, then the snapshots, then looks again. It leaves the members' transactions open. Whoever
// has the moment ends it with [dumper.endMoment], and closes it whatever happens; on an error the moment is closed already.
func (d *dumper) takeMoment(ctx context.Context, route Route) (m *moment, err error) {
	m = &moment{route: route}
	defer func() {
		if err != nil {
			m.close(ctx)
		}
	}()
	if d.o.NoBarrier && route.Promise == PromiseBarrier {
		m.route.Promise = PromiseNone
	}
	coordinator := &d.o.Cluster.Coordinator
	leader, err := d.leaderSession(ctx)
	if err != nil {
		return m, err
	}
	lead := &member{node: coordinator, dialect: &d.o.Cluster.Dialect, conn: leader, locks: true}
	m.members = append(m.members, lead)
	if lead.rels, err = d.scope.list(ctx, leader); err != nil {
		return m, err
	}
	for _, r := range lead.rels {
		if r.lockable() {
			lead.names = append(lead.names, "ONLY "+r.quoted())
		}
	}
	if m.segments, err = d.segmentConfiguration(ctx, leader); err != nil {
		return m, err
	}
	share, err := d.shares(ctx, m)
	if err != nil {
		return m, err
	}
	// LOCK TABLE takes no snapshot, so the first one of this transaction is the exported one.
	if _, err := leader.Exec(ctx, beginMoment); err != nil {
		return m, fmt.Errorf("begin the leader's transaction: %w", err)
	}
	if err := lead.accessShare(ctx, d.lockClause(route)); err != nil {
		return m, fmt.Errorf("%s: %w", leader.Addr(), err)
	}
	if err := d.openMembers(ctx, m, share); err != nil {
		return m, err
	}
	if err := d.importGiven(ctx, leader); err != nil {
		return m, err
	}
	if err := d.takeSnapshots(ctx, m); err != nil {
		return m, err
	}
	if err := d.look(ctx, m); err != nil {
		return m, err
	}
	d.log.Debug("moment taken", "route", m.route.Name, "promise", m.route.Promise, "snapshot", lead.snapshot,
		"tables", len(m.tables), "locked", len(lead.names), "members", len(m.members))
	return m, nil
}

// lockClause keeps the leader's locks off the segments where rows are read through the coordinator only: then every
// reading session has locks there of its own.
func (d *dumper) lockClause(route Route) string {
	if route.Name == RouteSegments {
		return ""
	}
	return d.o.Cluster.Dialect.LockOnlyCoordinator
}

// openMembers connects to the nodes that have a share in the moment, all at once.
func (d *dumper) openMembers(ctx context.Context, m *moment, share shares) error {
	nodes := d.sharers(m.route)
	opened := make([]*member, len(nodes))
	g, gctx := errgroup.WithContext(ctx)
	for i, node := range nodes {
		g.Go(func() (err error) {
			opened[i], err = d.openMember(gctx, node, share[node.ID])
			return err
		})
	}
	err := g.Wait()
	for _, x := range opened {
		if x != nil {
			m.members = append(m.members, x)
		}
	}
	return err
}

// sharers are the nodes that take part in the moment with a snapshot of their own.
func (d *dumper) sharers(route Route) []*Node {
	c := d.o.Cluster
	switch {
	case c.Layout == LayoutSegments && route.Name != RouteSegments, c.Layout == LayoutSingle:
		return nil
	}
	nodes := make([]*Node, len(c.Nodes))
	for i := range c.Nodes {
		nodes[i] = &c.Nodes[i]
	}
	return nodes
}

// takeSnapshots takes one snapshot on each member, behind the barrier if that was promised.
func (d *dumper) takeSnapshots(ctx context.Context, m *moment) error {
	if d.touches(m) {
		if err := d.openJoined(ctx, m); err != nil {
			return err
		}
	}
	if m.route.Promise != PromiseBarrier {
		if err := d.snapshotAll(ctx, m, nil); err != nil {
			return err
		}
		return m.exportAll(ctx)
	}
	b, err := d.newBarrier(ctx, m.members)
	if err != nil {
		return err
	}
	defer b.close(ctx)
	d.progress.Note("waiting for running writers to finish")
	err = b.during(ctx, func(ctx context.Context) error { return d.snapshotAll(ctx, m, b) })
	if err != nil {
		return err
	}
	return m.exportAll(ctx)
}

// snapshotAll takes the snapshots, the leader's last: its catalog is the archive's.
func (d *dumper) snapshotAll(ctx context.Context, m *moment, b *barrier) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, x := range m.members[1:] {
		g.Go(func() error { return x.takeSnapshot(gctx) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := m.leader().takeSnapshot(ctx); err != nil {
		return err
	}
	if d.touches(m) {
		return d.joinEarly(ctx, m, b)
	}
	return nil
}

// takeSnapshot takes the one snapshot of the member's transaction. A segment exports it at once; where there is a
// savepoint the export must wait until that is gone.
func (m *member) takeSnapshot(ctx context.Context) error {
	if !m.locks {
		if err := m.export(ctx); err != nil {
			return &routeError{err}
		}
		return nil
	}
	clock, err := m.conn.QueryString(ctx, "SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::pg_catalog.int8")
	if err != nil {
		return fmt.Errorf("node %s: take the snapshot: %w", m.node.Name, err)
	}
	micros, err := strconv.ParseInt(clock, 10, 64)
	if err != nil {
		return fmt.Errorf("node %s: the server's clock: %w", m.node.Name, err)
	}
	m.time = time.UnixMicro(micros).UTC()
	return nil
}

// export exports the snapshot, unless it is exported.
func (m *member) export(ctx context.Context) (err error) {
	if m.snapshot != "" {
		return nil
	}
	if m.snapshot, err = m.conn.QueryString(ctx, "SELECT pg_catalog.pg_export_snapshot()"); err != nil {
		return fmt.Errorf("node %s: export the snapshot: %w", m.node.Name, err)
	}
	return nil
}

// exportAll exports the snapshots that are not exported yet.
func (m *moment) exportAll(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, x := range m.members {
		g.Go(func() error { return x.export(ctx) })
	}
	return g.Wait()
}

// look lists the tables again, under the snapshots, and refuses a moment whose locks and snapshots do not show the same.
func (d *dumper) look(ctx context.Context, m *moment) error {
	lead := m.leader()
	seen, err := d.scope.list(ctx, lead.conn)
	if err != nil {
		return err
	}
	if err := d.unchanged(ctx, lead.conn, seen); err != nil {
		return err
	}
	locked, err := lead.locked(ctx)
	if err != nil {
		return err
	}
	m.parents, m.other = make(map[uint32]bool), make(map[uint32]bool)
	for _, r := range seen {
		m.parents[r.OID] = r.Parent
		switch {
		case r.External && r.Root != 0:
			d.progress.Note("partition " + r.quoted() + " is an external table: its rows do not belong to the dump")
		case r.Kind == 'f' && !r.hasRows():
			m.other[r.OID] = true
		case r.lockable() && !locked[r.OID]:
			return fmt.Errorf("%w: %s is there and was not locked", errSlipped, r.quoted())
		}
	}
	if !d.o.wantsData() {
		return nil
	}
	if len(seen) >= manyTables && d.o.Cluster.Layout == LayoutSingle && d.o.Volumes == nil {
		m.undescribed = seen
		return nil
	}
	return d.describe(ctx, m, seen, lead.conn)
}

// describe finds out what is to be read of the relations. The session is the leader's, or another on the coordinator that shows
// the moment.
func (d *dumper) describe(ctx context.Context, m *moment, rels []relation, conn *wire.Conn) (err error) {
	if m.tables, err = describeTables(ctx, conn, rels, m.leader().dialect); err != nil {
		return err
	}
	if err := describeRemotes(ctx, conn, m.tables); err != nil {
		return err
	}
	if err := d.readPolicies(ctx, m); err != nil {
		return err
	}
	if d.o.Volumes != nil {
		if err := d.lookForWorkers(ctx, m); err != nil {
			return err
		}
	}
	if err := d.makeParts(ctx, m, conn); err != nil {
		return err
	}
	return d.chooseReaders(ctx, m, conn)
}

// chooseReaders finds the members whose sessions, which hold the moment, read the rows, too: one less for the server. These are all where a dump in
// order is to be read over one session: nothing is read there before pg_dump, which the leader's session serves, has given the catalog. And
// those with little to read.
func (d *dumper) chooseReaders(ctx context.Context, m *moment, conn *wire.Conn) error {
	if m.route.Name == RouteCursors || d.o.Volumes != nil {
		return nil
	}
	alone := d.stock != nil && d.o.Jobs == 1
	for i, x := range m.members {
		if i == 0 && len(m.joined) > 0 {
			continue
		}
		x.reads = alone && x.locks || x.little()
	}
	if lead := m.leader(); lead.reads && !alone {
		blobs, err := hasBlobs(ctx, conn)
		if err != nil {
			return err
		}
		lead.reads = !blobs // whose size is not known
	}
	return nil
}

// endMoment closes the transactions. An error means that the locks or the snapshots were lost on the way, and with
// them the promise.
func (d *dumper) endMoment(ctx context.Context, m *moment) error {
	for _, x := range m.members {
		if err := x.end(ctx); err != nil {
			return err
		}
	}
	now, err := d.segmentConfiguration(ctx, m.leader().conn)
	if err != nil {
		return err
	}
	if now != m.segments {
		return fmt.Errorf("the segments changed while their rows were read (a failover or a restart; see gp_segment_configuration), "+
			"so one moment is no longer certain; dump again\nbefore:\n%s\nnow:\n%s", m.segments, now)
	}
	return nil
}

// close ends the sessions that hold the moment.
func (m *moment) close(ctx context.Context) {
	for _, conn := range m.joined {
		closeSession(ctx, conn)
	}
	for _, x := range m.members {
		closeSession(ctx, x.conn)
	}
}

// distributions are the records of how the tables are spread, for the archive.
func (m *moment) distributions() []archive.Distribution {
	var all []archive.Distribution
	for _, t := range sortedTables(m.tables) {
		if t.Policy != nil {
			all = append(all, *t.Policy)
		}
	}
	return all
}
