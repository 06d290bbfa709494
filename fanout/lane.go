package fanout

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/wire"
)

// lane is the reading over sessions with one server: a member's.
type lane struct {
	member *member
	todo   chan []unit
	queue  leaderQueue
	holder sync.Mutex // held by who reads over the member's session, in a dump in order
}

// openLanes makes a lane for each member that something is read from. The coordinator always has one, for large objects.
func (a *attempt) openLanes() {
	for i, x := range a.m.members {
		if i == 0 || len(x.parts) > 0 {
			a.lanes = append(a.lanes, &lane{member: x, todo: make(chan []unit)})
		}
	}
}

// sessions is how many sessions read rows at most.
func (a *attempt) sessions() int {
	n := len(a.lanes) * a.o.Jobs
	if a.m.route.Name == RouteCursors {
		n *= max(1, len(a.o.Cluster.Nodes))
	}
	return n
}

// plan hands out batches: first of the tables that are sure to belong to the dump, the rest when the catalog is there.
func (a *attempt) plan(ctx context.Context) error {
	early, late := make([][]unit, len(a.lanes)), make([][]unit, len(a.lanes))
	// Tallies are shared by the lanes. They must be complete before anything is read.
	for i := range a.lanes {
		early[i] = a.split(i, a.sure)
	}
	if err := a.sendAll(ctx, early); err != nil {
		return err
	}
	select {
	case <-a.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for i := range a.lanes {
		late[i] = a.split(i, func(t *table) bool { return a.o.wantsData() && !a.sure(t) && a.entry(t) != 0 })
	}
	if a.o.wantsData() {
		blobs, err := largeObjectUnits(a.catalog)
		if err != nil {
			return err
		}
		late[0] = append(blobs, late[0]...)
	}
	if err := a.sendAll(ctx, late); err != nil {
		return err
	}
	for _, l := range a.lanes {
		close(l.todo)
	}
	return nil
}

func (a *attempt) sendAll(ctx context.Context, units [][]unit) error {
	a.announce(units)
	g, ctx := errgroup.WithContext(ctx)
	for i, l := range a.lanes {
		g.Go(func() error { return send(ctx, l.todo, units[i]) })
	}
	return g.Wait()
}

// announce tells the progress what is to come.
func (a *attempt) announce(units [][]unit) {
	var bytes uint64
	tables := make(map[*tally]bool)
	for _, lane := range units {
		for i := range lane {
			bytes += lane[i].bytes
			tables[lane[i].table] = true
		}
	}
	a.progress.Plan(len(tables), bytes)
}

func send(ctx context.Context, todo chan<- []unit, units []unit) error {
	for _, batch := range batches(units) {
		select {
		case todo <- batch:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// split cuts the parts of a lane's tables that are wanted.
func (a *attempt) split(i int, wanted func(*table) bool) []unit {
	var parts []part
	for _, p := range a.lanes[i].member.parts {
		if wanted(p.table) {
			parts = append(parts, p)
		}
	}
	if a.m.route.Name != RouteCursors {
		return planTables(parts, a.o.Jobs, a.tallies)
	}
	units := make([]unit, len(parts))
	for i := range parts {
		units[i] = cursorUnit(&parts[i])
	}
	return units
}

// read runs the sessions that read rows, which may be those of the members, and then has the session that holds a lane's locks read what they could not
// lock. Until the catalog is there, and so until the sessions have all their work, the leader's session is pg_dump's. In order
// the sessions are those that are open ahead.
func (a *attempt) read(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	for i, l := range a.lanes {
		if l.member.reads {
			g.Go(func() error { return a.worker(gctx, l, l.member.conn) })
			continue
		}
		for job := range a.o.Jobs {
			var joined *wire.Conn
			switch {
			case i == 0 && job < len(a.m.joined):
				joined = a.m.joined[job]
			case a.ahead != nil && a.ahead[i] != nil:
				joined = a.ahead[i][job]
			}
			g.Go(func() error { return a.worker(gctx, l, joined) })
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, l := range a.lanes {
		holder, err := a.reader(l, l.member.conn)
		if err != nil {
			return err
		}
		for _, u := range l.queue.units {
			if err := a.readHeld(ctx, holder, u); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *attempt) reader(l *lane, conn *wire.Conn) (*reader, error) {
	r := &reader{conn: conn, p: a.p, snapshot: l.member.snapshot, node: l.member.node.Name}
	// Greenplum would lock them on all segments each time.
	if l.member.locks && conn != l.member.conn && l.member.dialect.UtilityOption == "" {
		r.patience = a.leaderLockTimeout()
	}
	if a.ordered == nil {
		return r, nil
	}
	s, err := a.ordered.session()
	r.p = s
	return r, err
}

// pass has the session that holds a lane's locks read a unit that another session could not lock: at the end, or, where rows are written in order,
// when whoever writes waits for it. Not before: read ahead, it could fill what memory there is, and keep the session from what comes before it.
func (a *attempt) pass(ctx context.Context, l *lane, u unit) error {
	if a.ordered == nil {
		l.queue.add(u)
		return nil
	}
	if err := a.leaderFree(ctx); err != nil {
		return err
	}
	if _, err := receive(ctx, u.wanted); err != nil {
		return err
	}
	l.holder.Lock()
	defer l.holder.Unlock()
	holder, err := a.reader(l, l.member.conn)
	if err != nil {
		return err
	}
	return a.readHeld(ctx, holder, u)
}

// leaderFree waits until pg_dump is done with the leader's session.
func (a *attempt) leaderFree(ctx context.Context) error {
	select {
	case <-a.ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (a *attempt) readHeld(ctx context.Context, holder *reader, u unit) error {
	a.progress.Note("another session waits for table " + u.name() + ": the session that holds the lock reads it")
	if u.forCursor() {
		u.sql = "COPY (" + u.sql + ") TO STDOUT"
	}
	_, err := holder.read(ctx, []unit{u})
	return err
}

// openWorker opens a session on a lane's node that shows the moment, or takes one that is open.
func (a *attempt) openWorker(ctx context.Context, l *lane) (*wire.Conn, error) {
	if l.member == a.m.leader() {
		if conn := a.spare.Swap(nil); conn != nil {
			return conn, nil
		}
	}
	timeout := workerLockTimeout
	if !l.member.locks {
		timeout = a.leaderLockTimeout() // nobody else has the lock
	}
	return a.openShared(ctx, l.member, timeout)
}

// openShared opens a session on a member's node that shows the moment.
func (a *attempt) openShared(ctx context.Context, m *member, lockTimeout string) (*wire.Conn, error) {
	conn, err := a.session(ctx, m.node, lockTimeout)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", m.node.Name, err)
	}
	r := &reader{conn: conn, snapshot: m.snapshot, node: m.node.Name}
	if err := r.join(ctx); err != nil {
		closeSession(ctx, conn)
		return nil, err
	}
	return conn, nil
}

// openAhead opens the sessions of a dump in order while pg_dump gives the catalog, where there is enough to read for all of them. What can't be
// opened is left to who needs it, and who has an error to tell. The caller closes them.
func (a *attempt) openAhead(ctx context.Context) (opened [][]*wire.Conn) {
	var g errgroup.Group
	opened = make([][]*wire.Conn, len(a.lanes))
	for i, l := range a.lanes {
		var bytes uint64
		for j := range l.member.parts {
			bytes += l.member.parts[j].bytes
		}
		if a.o.Jobs == 1 || bytes < uint64(a.o.Jobs)*rangeMin || len(a.m.joined) > 0 { //nolint:gosec // positive
			continue
		}
		opened[i] = make([]*wire.Conn, a.o.Jobs)
		for job := range opened[i] {
			g.Go(func() error {
				conn, err := a.openWorker(ctx, l)
				if err != nil {
					a.log.Debug("no session ahead", "error", err)
					return nil
				}
				opened[i][job] = conn
				return nil
			})
		}
	}
	_ = g.Wait()
	return opened
}

// closeAhead closes them, and has others opened where they are needed.
func (a *attempt) closeAhead(ctx context.Context) {
	for _, conns := range a.ahead {
		for _, c := range conns {
			if c != nil {
				closeSession(ctx, c)
			}
		}
	}
	a.ahead = nil
}

// worker reads a lane's batches over one session: one of its own, or one that shows the moment already.
func (a *attempt) worker(ctx context.Context, l *lane, joined *wire.Conn) error {
	// A dump without rows, or with fewer units than sessions, opens no session in vain.
	var first []unit
	select {
	case batch, ok := <-l.todo:
		if !ok {
			return nil
		}
		first = batch
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	conn := joined
	switch {
	case conn == nil:
		var err error
		if conn, err = a.openWorker(ctx, l); err != nil {
			return err
		}
		defer closeSession(ctx, conn)
	case l.member.reads && l.member == a.m.leader():
		if err := a.leaderFree(ctx); err != nil {
			return err
		}
	}
	r, err := a.reader(l, conn)
	if err != nil {
		return err
	}
	pass := func(u unit) error { return a.pass(ctx, l, u) }
	read := func(batch []unit) error { return r.readOrPass(ctx, batch, pass) }
	if a.m.route.Name == RouteCursors {
		c := newCursorReader(conn, a.p, a.o.Cluster)
		defer c.close(ctx)
		read = func(batch []unit) error {
			if batch[0].forCursor() { // as the others are: batches are of small units, or of one
				return readCursors(ctx, c, batch, &l.queue)
			}
			return r.readOrPass(ctx, batch, pass)
		}
	}
	for {
		if err := read(first); err != nil {
			return err
		}
		select {
		case batch, ok := <-l.todo:
			if !ok {
				return nil
			}
			first = batch
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// readCursors reads a batch over parallel retrieve cursors. A unit whose table somebody waits for goes to the leader.
func readCursors(ctx context.Context, c *cursorReader, batch []unit, toLeader *leaderQueue) error {
	for i := range batch {
		err := c.read(ctx, &batch[i])
		switch {
		case wire.IsLockTimeout(err) && !hasBegun(err):
			toLeader.add(batch[i])
		case err != nil:
			return fmt.Errorf("table %s: %w", batch[i].name(), err)
		}
	}
	return nil
}
