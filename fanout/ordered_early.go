package fanout

import (
	"cmp"
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
)

// orderedReading is the reading of a dump in order: by sessions that are told first some units, and later all others.
type orderedReading struct {
	units  []*orderedUnit        // the first ones
	rest   chan<- []*orderedUnit // takes the others, once
	cancel context.CancelFunc
	done   chan error // capacity 1
}

// startReading reads the units, and then those that it is told. It ends when it has read all, or is stopped.
func (a *attempt) startReading(ctx context.Context, first []*orderedUnit) *orderedReading {
	ctx, cancel := context.WithCancel(ctx)
	rest := make(chan []*orderedUnit, 1)
	r := &orderedReading{units: first, rest: rest, cancel: cancel, done: make(chan error, 1)}
	for _, l := range a.lanes {
		l.todo = make(chan []unit)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := a.sendOrdered(ctx, first); err != nil {
			return err
		}
		select {
		case units := <-rest:
			if err := a.sendOrdered(ctx, units); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for _, l := range a.lanes {
			close(l.todo)
		}
		return nil
	})
	g.Go(func() error { return a.read(ctx) })
	go func() { r.done <- g.Wait() }()
	return r
}

// begins tells whether it goes on as if it had been told this order from the start: if so, what it has read belongs to the order's units.
func (r *orderedReading) begins(o *writeOrder) bool {
	same := func(x, y *orderedUnit) bool { return x.lane == y.lane && x.info.OID == y.info.OID && x.sql == y.sql }
	if len(r.done) > 0 || len(r.units) > len(o.units) || !slices.EqualFunc(r.units, o.units[:len(r.units)], same) {
		return false
	}
	for i, u := range r.units {
		o.units[i].opened, o.units[i].wanted = u.opened, u.wanted
	}
	return true
}

// wait waits for its end, and has it end with ctx.
func (r *orderedReading) wait(ctx context.Context) error {
	defer context.AfterFunc(ctx, r.cancel)()
	err := <-r.done
	r.done <- err // for stop
	return err
}

// stop ends it, if there is one, and waits until no session is at work.
func (r *orderedReading) stop() {
	if r == nil {
		return
	}
	r.cancel()
	r.done <- <-r.done
}

// readEarly reads what comes first while pg_dump is still busy with the catalog, which takes as long as 10 MB of rows or more. That
// pg_dump orders tables by their names is a guess: what was guessed wrong is read again. So what goes wrong with it is no error, either. It is
// nil where there are no sessions to read with, or opening, the context of the guess, has ended before they were open.
func (a *attempt) readEarly(ctx, opening context.Context) *orderedReading {
	a.ahead = a.openAhead(opening)
	if len(a.lanes) > 1 || a.ahead[0] == nil || opening.Err() != nil || !a.o.wantsData() {
		return nil
	}
	guess, err := a.guessOrder()
	if err != nil || len(guess.units) == 0 {
		return nil
	}
	a.log.Debug("sessions read before the catalog is there", "units", len(guess.units))
	return a.startReading(ctx, guess.units)
}

// guessOrder is the start of the order that planOrdered will find, if pg_dump lists the tables by their names: as much as the sessions
// can read before something is written.
func (a *attempt) guessOrder() (*writeOrder, error) {
	parts := slices.Clone(a.lanes[0].member.parts)
	slices.SortFunc(parts, func(x, y part) int {
		return cmp.Or(cmp.Compare(x.table.Schema, y.table.Schema), cmp.Compare(x.table.Name, y.table.Name))
	})
	tables := make([]orderedTable, len(parts))
	for i := range parts {
		tables[i] = orderedTable{columns: parts[i].table.Columns, parts: []lanePart{{part: &parts[i]}}}
	}
	order := newWriteOrder()
	var bytes uint64
	err := a.order(tables, func(t *orderedTable) (bool, error) {
		if t.parts[0].table.Root != 0 {
			return false, nil
		}
		before := len(order.units)
		if err := a.addTable(order, t); err != nil {
			return false, err
		}
		for _, u := range order.units[before:] {
			bytes += min(u.bytes, 2*orderedRange)
		}
		return bytes < uint64(a.o.Jobs)*2*orderedRange && len(order.units) <= a.o.Jobs*batchTables, nil //nolint:gosec // positive
	})
	return order, err
}
