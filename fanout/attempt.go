package fanout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	m       *moment
	p       *pipeline
	ready   chan struct{}    // closed when catalog and entries are set
	catalog *archive.Catalog // by then
	entries map[uint32]int32 // OID of a table → its TABLE DATA entry
}

func (d *dumper) attempt(ctx context.Context, aw *archive.Writer) (err error) {
	leader, err := d.session(ctx, d.leaderLockTimeout())
	if err != nil {
		return err
	}
	defer closeSession(ctx, leader)
	d.progress.Note("taking locks and the snapshot")
	m, err := takeMoment(ctx, leader, &d.scope, d.o.Cluster.Dialect.LockOnlyCoordinator, d.log)
	if err != nil {
		return fmt.Errorf("%s: %w", leader.Addr(), err)
	}
	a := &attempt{dumper: d, m: m, p: newPipeline(aw, d.o.Jobs), ready: make(chan struct{})}
	if err := a.run(ctx, aw); err != nil {
		return err
	}
	if err := m.end(ctx); err != nil {
		return err
	}
	d.result.Snapshot, d.result.Moment, d.result.Entries = m.snapshot, m.time, len(a.catalog.Entries)
	d.result.Tables = len(a.entries)
	return nil
}

func closeSession(ctx context.Context, conn *wire.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = conn.Close(ctx) // what the session was for is done, or has failed with an error that says more
}

// run has the catalog, the readers, the encoders and the appender work side by side.
func (a *attempt) run(ctx context.Context, aw *archive.Writer) error {
	g, ctx := errgroup.WithContext(ctx)
	todo := make(chan []unit)
	g.Go(func() error { return a.getCatalog(ctx) })
	g.Go(func() error {
		defer close(todo)
		return a.plan(ctx, todo)
	})
	a.p.startEncoders(ctx, g, a.o.Codec, a.o.Level)
	g.Go(func() error { return a.appendAll(ctx, aw) })
	g.Go(func() error {
		// Only after an orderly end: an encoder must not see its channel closed while a reader may still send.
		if err := a.read(ctx, todo); err != nil {
			return err
		}
		close(a.p.encode)
		close(a.p.ordered)
		return nil
	})
	return g.Wait()
}

// read runs the sessions that read rows, and then has the leader read what they could not lock. Until the catalog is
// there, and so until the sessions have all their work, the leader's session is pg_dump's.
func (a *attempt) read(ctx context.Context, todo <-chan []unit) error {
	var queue leaderQueue
	g, gctx := errgroup.WithContext(ctx)
	for range a.o.Jobs {
		g.Go(func() error { return a.worker(gctx, todo, &queue) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	leader := &reader{conn: a.m.leader, p: a.p, m: a.m, node: a.o.Cluster.Coordinator.Name}
	for _, u := range queue.units {
		a.progress.Note("another session waits for table " + u.name() + ": the session that holds the lock reads it")
		if _, err := leader.read(ctx, []unit{u}); err != nil {
			return err
		}
	}
	return nil
}

func (a *attempt) worker(ctx context.Context, todo <-chan []unit, queue *leaderQueue) error {
	// A dump without rows, or with fewer units than sessions, opens no session in vain.
	var first []unit
	select {
	case batch, ok := <-todo:
		if !ok {
			return nil
		}
		first = batch
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	conn, err := a.session(ctx, workerLockTimeout)
	if err != nil {
		return err
	}
	defer closeSession(ctx, conn)
	r := &reader{conn: conn, p: a.p, m: a.m, node: a.o.Cluster.Coordinator.Name}
	if err := r.join(ctx); err != nil {
		return err
	}
	if err := r.readOrPass(ctx, first, queue); err != nil {
		return err
	}
	return r.work(ctx, todo, queue)
}

// getCatalog runs pg_dump and matches what it lists with what was locked. pg_dump uses the leader's own session: so it
// sees the moment, waits for no lock (the leader has them), takes none, and needs no password.
func (a *attempt) getCatalog(ctx context.Context) error {
	relay, err := wire.NewRelay(a.m.leader, catalogQuery)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return relay.Serve(gctx) })
	var cat *archive.Catalog
	g.Go(func() (err error) {
		cat, err = a.tool.Catalog(gctx, CatalogOptions{
			Conninfo: relay.Conninfo(), Encoding: a.m.leader.Encoding(), Log: a.log,
			Filter: a.o.Filter, SchemaOnly: a.o.SchemaOnly, DataOnly: a.o.DataOnly, Sections: a.o.Sections,
			NoOwner: a.o.NoOwner, NoACL: a.o.NoACL, NoComments: a.o.NoComments,
		})
		return errors.Join(err, relay.Close()) // a pg_dump that never came must not be waited for
	})
	if err := g.Wait(); err != nil {
		return err
	}
	cat.Product = a.o.Cluster.Dialect.Product
	if err := a.match(cat); err != nil {
		return err
	}
	a.catalog = cat
	close(a.ready)
	return nil
}

// catalogQuery decides on pg_dump's queries. The leader's transaction and locks stand for the ones that it asks for;
// it has written the whole catalog when it asks for rows.
func catalogQuery(sql string) wire.Verdict {
	for _, stand := range []string{"BEGIN", "SET TRANSACTION", "LOCK TABLE", "COMMIT", "ROLLBACK"} {
		if strings.HasPrefix(sql, stand) {
			return wire.Verdict{Tag: stand}
		}
	}
	for _, rows := range []string{"COPY ", "DECLARE "} {
		if strings.HasPrefix(sql, rows) {
			return wire.Verdict{Refuse: "pgark reads the rows itself"}
		}
	}
	return wire.Verdict{Forward: true}
}

// match finds the entry of each table's rows. A table with rows in the catalog that was not locked was missed by the
// scope, so it is forced into the next attempt's.
func (a *attempt) match(cat *archive.Catalog) error {
	a.entries = make(map[uint32]int32)
	var missed error
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind != "TABLE DATA" {
			continue
		}
		if a.m.tables[e.OID] == nil {
			a.scope.forced = append(a.scope.forced, e.OID)
			missed = fmt.Errorf("%w: pg_dump lists %s, which was not locked", errSlipped, wire.QualifiedName(e.Schema, e.Name))
		}
		a.entries[e.OID] = e.ID
	}
	if missed != nil {
		return missed
	}
	for oid, t := range a.m.tables {
		if a.sure(t) && a.entries[oid] == 0 {
			if a.unsure == nil {
				a.unsure = make(map[uint32]bool)
			}
			a.unsure[oid] = true
			missed = fmt.Errorf("%w: pg_dump does not list the rows of %s", errSlipped, t.quoted())
		}
	}
	return missed
}

// sure tells whether a table's rows belong to the dump whatever pg_dump will say, so that reading can begin before
// its catalog is there.
func (a *attempt) sure(t *table) bool {
	return a.o.wantsData() && a.o.Filter.Empty() && !t.Config && !a.unsure[t.OID]
}

// plan hands out batches: first of the tables that are sure to belong to the dump, the rest when the catalog is there.
func (a *attempt) plan(ctx context.Context, todo chan<- []unit) error {
	if !a.o.wantsData() {
		return nil
	}
	var early, late []*table
	for _, t := range a.m.tables {
		if a.sure(t) {
			early = append(early, t)
		}
	}
	if err := a.send(ctx, todo, a.split(early)); err != nil {
		return err
	}
	select {
	case <-a.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for oid := range a.entries {
		if t := a.m.tables[oid]; !a.sure(t) {
			late = append(late, t)
		}
	}
	blobs, err := largeObjectUnits(a.catalog)
	if err != nil {
		return err
	}
	return a.send(ctx, todo, append(blobs, a.split(late)...))
}

// split orders tables by OID first, since they come from a map, and cuts them into units.
func (a *attempt) split(tables []*table) []unit {
	slices.SortFunc(tables, func(x, y *table) int { return int(int64(x.OID) - int64(y.OID)) })
	return planTables(tables, a.o.Jobs, a.o.Cluster.Dialect.TIDRangeScan)
}

func (a *attempt) send(ctx context.Context, todo chan<- []unit, units []unit) error {
	var bytes uint64
	tables := make(map[*tally]bool)
	for i := range units {
		bytes += units[i].bytes
		tables[units[i].table] = true
	}
	a.progress.Plan(len(tables), bytes)
	for _, batch := range batches(units) {
		select {
		case todo <- batch:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
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
			return a.entries[u.info.OID]
		}
		return u.info.Entry
	}, a.progress)
}

func (a *attempt) describeMoment() *archive.Moment {
	c := a.o.Cluster.Coordinator
	settings := make(map[string]string)
	for _, s := range wire.TextSettings(a.m.leader.Encoding()).Set {
		settings[s[0]] = s[1]
	}
	settings["client_encoding"] = a.m.leader.Encoding()
	return &archive.Moment{
		Time: a.m.time, Route: a.result.Route, Promise: a.result.Promise, Settings: settings,
		Nodes: []archive.Node{{ID: c.ID, Name: c.Name, Host: c.Config.Host(), Port: c.Config.Port(), Snapshot: a.m.snapshot}},
	}
}
