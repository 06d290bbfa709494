package fanout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// closeTimeout bounds the polite end of a session after the work, or after it was cancelled.
const closeTimeout = 5 * time.Second

// attempt is one try at a dump, from the moment to the last row. Nothing is written to the archive before pg_dump has
// given the catalog; an attempt that fails with errSlipped has written nothing and may be repeated.
type attempt struct {
	*dumper
	early   *catalogRun
	m       *moment
	p       *pipeline      // of a dump to an archive of pgark
	ordered *orderedPipe   // of one in another format
	ahead   [][]*wire.Conn // likewise: sessions by lane that are open before there is work for them; may be nil
	lanes   []*lane
	tallies map[uint32]*tally // by OID of the table
	turn    atomic.Int32      // whether writing begins, or the attempt has failed before: decided once
	ready   chan struct{}     // closed when catalog and entries are set
	catalog *archive.Catalog  // by then
	entries map[uint32]int32  // OID of a table → its TABLE DATA entry
	labels  map[string]string // of enums at the moment, by OID
	missing []uint32          // tables that pg_dump has no rows of although [attempt.sure] said so

	spare atomic.Pointer[wire.Conn] // a session on the coordinator that shows the moment, for whoever needs one first; may be nil
}

// What becomes of an attempt.
const (
	turnOpen int32 = iota
	turnWriting
	turnFailed
)

func (d *dumper) attempt(ctx context.Context, aw *archive.Writer, route Route) (err error) {
	d.progress.Note("taking locks and the snapshot")
	early, err := d.startCatalog(ctx)
	if err != nil {
		return err
	}
	defer early.stop()
	m, err := d.takeMoment(early.unlessFailed(ctx), route)
	if err != nil {
		return d.unlessBroken(ctx, early, early.reason(ctx, err))
	}
	defer m.close(ctx)
	a := &attempt{dumper: d, early: early, m: m, tallies: make(map[uint32]*tally), ready: make(chan struct{})}
	defer a.closeSpare(ctx)
	defer func() { // not before: others read it while the catalog is compared
		for _, oid := range a.missing {
			d.unsure[oid] = true
		}
	}()
	if err := a.describeApart(ctx); err != nil {
		return d.unlessBroken(ctx, early, err)
	}
	if err := a.runWatched(ctx, aw); err != nil {
		return d.unlessBroken(ctx, early, err)
	}
	if err := d.endMoment(ctx, m); err != nil {
		return err
	}
	if err := a.steadyEnd(ctx); err != nil {
		return err
	}
	d.result.Route, d.result.Promise = m.route.Name, m.route.Promise
	d.result.Snapshot, d.result.Moment, d.result.Entries = m.leader().snapshot, m.leader().time, len(a.catalog.Entries)
	d.result.Tables, d.result.PgDump = len(a.entries), d.tool.Path+" "+d.tool.Version
	return nil
}

// describeApart describes what takeMoment has left: many tables, over a session that is not the leader's, which pg_dump has meanwhile. For
// 10,000 tables the look takes 0.7 s.
func (a *attempt) describeApart(ctx context.Context) error {
	if a.m.undescribed == nil {
		return nil
	}
	lead := a.m.leader()
	conn, err := a.openShared(ctx, lead, workerLockTimeout)
	if err != nil { // there may be no session to spare
		a.log.Debug("the leader describes the tables", "error", err)
		return a.describe(ctx, a.m, a.m.undescribed, lead.conn)
	}
	a.early.give(lead.conn)
	err = a.describe(ctx, a.m, a.m.undescribed, conn)
	if err == nil && !lead.reads {
		a.spare.Store(conn)
		return nil
	}
	closeSession(ctx, conn)
	if wire.IsLockTimeout(err) {
		// A size is asked for under a lock. Somebody waits for a stronger one, and only who has one, the leader, need not wait behind that.
		a.log.Debug("the leader describes the tables after pg_dump", "error", err)
		if _, err := a.early.wait(ctx); err != nil {
			return a.steadyError(err, a.early.relay.Failed())
		}
		return a.describe(ctx, a.m, a.m.undescribed, lead.conn)
	}
	if err != nil {
		a.early.stop() // before its session is closed
	}
	return err
}

func (a *attempt) closeSpare(ctx context.Context) {
	if conn := a.spare.Swap(nil); conn != nil {
		closeSession(ctx, conn)
	}
}

// runWatched reads everything, as long as the moment is held.
func (a *attempt) runWatched(parent context.Context, aw *archive.Writer) error {
	ctx, done := context.WithCancelCause(parent)
	watched := make(chan error, 1)
	go func() {
		err := a.watchHolders(ctx)
		done(err) // nil is no reason of its own
		watched <- err
	}()
	var err error
	switch {
	case a.stock != nil:
		a.openLanes()
		err = a.runOrdered(ctx, a.stock)
	case a.o.Volumes != nil:
		err = a.runVolumes(ctx, aw)
	default:
		a.openLanes()
		a.p = newPipeline(aw, a.sessions())
		err = a.run(ctx, aw)
	}
	done(nil)
	lost := <-watched
	if err == nil || errors.Is(err, errSlipped) {
		return err
	}
	if lost == nil {
		lost = a.m.lost(parent)
	}
	if lost != nil && !errors.Is(err, lost) {
		return fmt.Errorf("%w (%w)", lost, err)
	}
	return err
}

func closeSession(ctx context.Context, conn *wire.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = conn.Close(ctx) // what the session was for is done, or has failed with an error that says more
}

// run has the catalog, the readers, the encoders and the appender work side by side.
func (a *attempt) run(ctx context.Context, aw *archive.Writer) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.getCatalog(ctx) })
	g.Go(func() error { return a.plan(ctx) })
	a.p.startEncoders(ctx, g, a.o.Codec, a.o.Level)
	g.Go(func() error { return a.appendAll(ctx, aw) })
	g.Go(func() error { return a.readAll(ctx) })
	return g.Wait()
}

// readAll reads, and ends the pipeline: only after an orderly end, since an encoder must not see its channel closed while
// a reader may still send.
func (a *attempt) readAll(ctx context.Context) error {
	if err := a.read(ctx); err != nil {
		return a.undefinedEarly(err)
	}
	close(a.p.encode)
	close(a.p.ordered)
	return nil
}

// getCatalog gets the catalog from pg_dump and matches what it lists with what was locked.
func (a *attempt) getCatalog(ctx context.Context) error {
	a.early.give(a.m.leader().conn)
	cat, err := a.early.wait(ctx)
	if err != nil {
		return a.steadyError(err, a.early.relay.Failed())
	}
	d := &a.o.Cluster.Dialect
	if cat.Product = d.Product; d.UtilityOption != "" {
		cat.ServerVersion = d.Version // pg_dump says which PostgreSQL it is based on
	}
	for i := range cat.Entries {
		if e := &cat.Entries[i]; e.WithOIDs {
			a.progress.Note("table " + wire.QualifiedName(e.Schema, e.Name) + " is WITH OIDS: the archive has its rows without their OIDs")
		}
	}
	if err := a.match(cat); err != nil {
		return err
	}
	if err := a.steady(ctx, cat); err != nil {
		return err
	}
	if err := a.addGlobals(ctx, cat); err != nil {
		return err
	}
	a.catalog = cat
	if !a.turn.CompareAndSwap(turnOpen, turnWriting) {
		return errSlipped // as the reader says, with the reason
	}
	close(a.ready)
	return nil
}

// match finds the entry of each table's rows. A table with rows in the catalog that was not locked was missed by the
// scope, so it is forced into the next attempt's.
func (a *attempt) match(cat *archive.Catalog) error {
	a.entries = make(map[uint32]int32)
	a.dropOther(cat)
	roots := make(map[uint32]bool) // tables whose partitions have no entries of their own
	for _, t := range a.m.tables {
		roots[t.Root] = true
	}
	var missed error
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind != "TABLE DATA" || !a.o.wantsData() {
			continue
		}
		if a.m.tables[e.OID] == nil && !roots[e.OID] && !a.m.parents[e.OID] {
			a.scope.forced = append(a.scope.forced, e.OID)
			missed = fmt.Errorf("%w: pg_dump lists %s, which was not locked", errSlipped, wire.QualifiedName(e.Schema, e.Name))
		}
		a.entries[e.OID] = e.ID
	}
	if missed != nil {
		return missed
	}
	for oid, t := range a.m.tables {
		if a.sure(t) && a.entry(t) == 0 {
			a.missing = append(a.missing, oid)
			missed = fmt.Errorf("%w: pg_dump does not list the rows of %s", errSlipped, t.quoted())
		}
	}
	return missed
}

// entry is the entry of a table's rows: its own, or that of the partitioned table which it is a part of; 0 if pg_dump
// does not list them.
func (a *attempt) entry(t *table) int32 {
	if id := a.entries[t.OID]; id != 0 {
		return id
	}
	return a.entries[t.Root]
}

// dropOther removes the rows of foreign tables that are no partitions, which pg_dump lists with the partitions'.
func (a *attempt) dropOther(cat *archive.Catalog) {
	gone := make(map[int32]bool)
	cat.Entries = slices.DeleteFunc(cat.Entries, func(e archive.Entry) bool {
		other := e.Kind == "TABLE DATA" && a.m.other[e.OID]
		if other {
			gone[e.ID] = true
		}
		return other
	})
	if len(gone) == 0 {
		return
	}
	for i := range cat.Entries {
		e := &cat.Entries[i]
		e.Deps = slices.DeleteFunc(e.Deps, func(id int32) bool { return gone[id] })
	}
}

// sure tells whether a table's rows belong to the dump whatever pg_dump will say, so that reading can begin before
// its catalog is there.
func (a *attempt) sure(t *table) bool {
	return a.o.wantsData() && a.o.Filter.Empty() && !t.Config && !a.unsure[t.OID]
}

// appendAll writes moment and catalog, then whatever the pipeline has ready.
func (a *attempt) appendAll(ctx context.Context, aw *archive.Writer) error {
	select {
	case <-a.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := aw.SetMoment(a.describeMoment()); err != nil {
		return err
	}
	if err := aw.SetCatalog(a.catalog); err != nil {
		return err
	}
	return a.p.append(ctx, func(u *unit) int32 {
		if u.info.OID != 0 {
			return a.entry(a.m.tables[u.info.OID])
		}
		return u.info.Entry
	}, a.progress)
}

func (a *attempt) describeMoment() *archive.Moment {
	lead := a.m.leader()
	settings := make(map[string]string)
	for _, s := range wire.TextSettings(lead.conn.Encoding()).Set {
		settings[s[0]] = s[1]
	}
	settings["client_encoding"] = lead.conn.Encoding()
	m := &archive.Moment{
		Time: lead.time, Route: a.m.route.Name, Promise: a.m.route.Promise, Reason: a.result.RouteReason,
		Settings: settings, Distributions: a.m.distributions(),
	}
	snapshots := make(map[uint32]string)
	for _, x := range a.m.members {
		snapshots[x.node.ID] = x.snapshot
	}
	c := a.o.Cluster
	for _, n := range append([]Node{c.Coordinator}, c.Nodes...) {
		node := archive.Node{
			ID: n.ID, Name: n.Name, Host: n.Config.Host(), Port: n.Config.Port(), Snapshot: snapshots[n.ID], Content: int32(n.Content),
		}
		if db := n.Config.Database(); db != c.Coordinator.Config.Database() {
			node.Database = db
		}
		m.Nodes = append(m.Nodes, node)
	}
	return m
}
