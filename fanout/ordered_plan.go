package fanout

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// orderedRange is how many bytes of a table one session reads at once: what it has of the text while another's is
// written should fit into its slots.
const orderedRange = 16 << 20

// orderedEnd is how many bytes the last ranges of a table have, which take the place of the last one of orderedRange for each session:
// whoever reads the last of all has the others wait for it. With 641 MB and two sessions on two cores, idle time went from 0.55 to 0.46 s of
// processor, of 8.5 s (medians of twenty rounds); with ranges of 16 MiB to the end a session may wait 0.2 s.
const orderedEnd = orderedRange / 4

// writeOrder is the order in which units are written, and so the one in which they are read.
type writeOrder struct {
	units   []*orderedUnit
	byEntry map[int32][]*orderedUnit // likewise
}

// orderedUnit is one unit in its place.
type orderedUnit struct {
	unit
	seq  int // its place
	lane int
}

func newWriteOrder() *writeOrder { return &writeOrder{byEntry: make(map[int32][]*orderedUnit)} }

// add puts a unit at the end of the order. The one in it is the one to be read.
func (w *writeOrder) add(entry int32, lane int, u unit) {
	u.info.Entry, u.opened, u.wanted = entry, make(chan *stream, 1), make(chan struct{})
	o := &orderedUnit{unit: u, seq: len(w.units), lane: lane}
	w.units = append(w.units, o)
	w.byEntry[entry] = append(w.byEntry[entry], o)
}

// planOrdered puts all units into the order of the catalog's entries. The catalog must be there.
func (a *attempt) planOrdered() (*writeOrder, error) {
	p := newWriteOrder()
	if !a.o.wantsData() {
		return p, nil
	}
	parts := make(map[int32][]lanePart)
	for i, l := range a.lanes {
		for j := range l.member.parts {
			x := &l.member.parts[j]
			if id := a.entry(x.table); id != 0 {
				parts[id] = append(parts[id], lanePart{lane: i, part: x})
			}
		}
	}
	blobs, err := largeObjectUnits(a.catalog)
	if err != nil {
		return nil, err
	}
	var tables []orderedTable
	for i := range a.catalog.Entries {
		e := &a.catalog.Entries[i]
		switch e.Kind {
		case kindBlobs:
			t := orderedTable{entry: e.ID}
			for _, u := range blobs {
				if u.info.Entry == e.ID {
					t.blobs = append(t.blobs, u)
				}
			}
			tables = append(tables, t)
		case kindTableData:
			tables = append(tables, orderedTable{entry: e.ID, columns: copyColumns(e.Copy), parts: parts[e.ID]})
		}
	}
	err = a.order(tables, func(t *orderedTable) (bool, error) { return true, a.addTable(p, t) })
	return p, err
}

// orderedTable is what the rows of an entry are read from.
type orderedTable struct {
	entry   int32
	columns []string   // in the order of the entry's
	parts   []lanePart // of its table, or of all tables that are parts of it, on all nodes
	blobs   []unit     // in place of them
}

// lanePart is what one lane has of a table.
type lanePart struct {
	lane int
	*part
	whole bool // it is read as a whole, see [attempt.order]
}

// order calls add for each table, in order, until it returns false, and says which of their parts are read as a whole.
//
// That costs the server less than ranges do, see [planTables]. One session can have a part for itself where what comes behind it is enough for all
// others meanwhile; they put it into their spools. What is left at the end is read in ranges, so that all sessions end at about the same time.
func (a *attempt) order(tables []orderedTable, add func(*orderedTable) (more bool, err error)) error {
	later := make([]uint64, len(a.lanes)) // bytes that come behind, for each lane
	for i := range tables {
		slices.SortStableFunc(tables[i].parts, func(x, y lanePart) int {
			return cmp.Or(cmp.Compare(x.table.OID, y.table.OID), cmp.Compare(x.lane, y.lane))
		})
		for _, x := range tables[i].parts {
			later[x.lane] += x.bytes
		}
	}
	others := uint64(a.o.Jobs) - 1 //nolint:gosec // Jobs is positive
	for i := range tables {
		for j := range tables[i].parts {
			x := &tables[i].parts[j]
			later[x.lane] -= x.bytes
			x.whole = a.ordered.whole && x.bytes <= spoolMost && x.bytes*others <= later[x.lane]
		}
		if more, err := add(&tables[i]); err != nil || !more {
			return err
		}
	}
	return nil
}

// addTable adds the units of an entry's rows, with their columns in its order.
func (a *attempt) addTable(p *writeOrder, t *orderedTable) error {
	for _, u := range t.blobs {
		p.add(t.entry, 0, u)
	}
	for _, x := range t.parts {
		ordered, err := inOrder(x.part, t.columns)
		if err != nil {
			return err
		}
		ends := []uint64{ordered.pages}
		if ordered.split && a.o.Jobs > 1 && ordered.where == "" && !x.whole {
			ends = orderedRanges(ordered.bytes, ordered.pages, uint64(a.o.Jobs)) //nolint:gosec // positive
		}
		from := uint64(0)
		for i, to := range ends {
			bytes := ordered.bytes
			if len(ends) > 1 {
				bytes = uint64(float64(ordered.bytes) * (float64(to-from) / float64(ordered.pages)))
			}
			p.add(t.entry, x.lane, partUnit(ordered, from, to, i == 0, i == len(ends)-1, bytes))
			from = to
		}
	}
	return nil
}

// orderedRanges divides the pages of a table that takes so many bytes into ranges, and gives the end of each: those of about [orderedRange]
// bytes, and at its end smaller ones.
func orderedRanges(bytes, pages, jobs uint64) []uint64 {
	n := min(bytes/orderedRange+1, max(pages, 1))
	if n == 1 {
		return []uint64{pages}
	}
	large, small := n, uint64(0) // ranges of either kind; four small ones are as large as a large one
	if end := min(jobs, n-1); pages/n >= orderedRange/orderedEnd {
		large, small = n-end, end*orderedRange/orderedEnd
	}
	ends := make([]uint64, 0, large+small)
	for i := range large {
		ends = append(ends, pages*(i+1)/n)
	}
	from := ends[large-1]
	for i := range small {
		ends = append(ends, from+(pages-from)*(i+1)/small)
	}
	return ends
}

// inOrder is a part with its columns in the order of a COPY statement: partitions may have another one.
func inOrder(p *part, columns []string) (*part, error) {
	if slices.Equal(p.table.Columns, columns) {
		return p, nil
	}
	ordered := *p
	ordered.columns = make([]string, len(columns))
	for i, c := range columns {
		at := slices.Index(p.table.Columns, c)
		if at < 0 || len(columns) != len(p.table.Columns) {
			return nil, fmt.Errorf("table %s has not the columns that pg_dump lists of it: %s", p.table.quoted(), quoteColumns(columns))
		}
		ordered.columns[i] = p.columns[at]
	}
	if ordered.where == "" {
		ordered.where = " WHERE true" // a query, since COPY of a table must have its own order
	}
	return &ordered, nil
}

// copyColumns are the columns in a COPY ... FROM stdin statement as pg_dump writes it.
func copyColumns(statement string) []string {
	var columns []string
	for _, t := range lexSQL(statement, true) {
		if t.depth == 0 {
			continue
		}
		switch text := statement[t.from:t.to]; t.kind {
		case tokenWord:
			columns = append(columns, text)
		case tokenQuoted:
			columns = append(columns, strings.ReplaceAll(text[1:len(text)-1], `""`, `"`))
		}
	}
	return columns
}

// sendOrdered hands each lane's units out in their order.
func (a *attempt) sendOrdered(ctx context.Context, units []*orderedUnit) error {
	lanes := make([][]unit, len(a.lanes))
	var bytes uint64
	tables := make(map[uint32]bool)
	for _, u := range units {
		lanes[u.lane] = append(lanes[u.lane], u.unit)
		bytes += u.bytes
		tables[u.info.OID] = true
	}
	a.progress.Plan(len(tables), bytes)
	g, ctx := errgroup.WithContext(ctx)
	for i, l := range a.lanes {
		g.Go(func() error {
			for _, batch := range orderedBatches(lanes[i]) {
				select {
				case l.todo <- batch:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// orderedBatches is [batches] without a change of order.
func orderedBatches(units []unit) [][]unit {
	var all [][]unit
	for len(units) > 0 {
		n, bytes := 1, units[0].bytes
		for n < len(units) && n < batchTables && bytes+units[n].bytes < batchBytes {
			bytes += units[n].bytes
			n++
		}
		all = append(all, units[:n])
		units = units[n:]
	}
	return all
}

// newOrderedPipe makes the pipe, with spools where there is a place and a use for them.
func (a *attempt) newOrderedPipe() *orderedPipe {
	p := &orderedPipe{progress: a.progress, encoder: a.encoder}
	if a.spoolDir == "" || a.encoder == nil || len(a.lanes)*a.o.Jobs < 2 {
		return p
	}
	space := &spoolSpace{dir: a.spoolDir}
	var all, largest uint64
	for _, l := range a.lanes {
		for i := range l.member.parts {
			bytes := l.member.parts[i].bytes
			all, largest = all+bytes, max(largest, bytes)
		}
	}
	space.left.Store(int64(min(all, math.MaxInt64))) //nolint:gosec // it fits
	if err := space.check(largest); err != nil {
		a.log.Debug("large tables are read in ranges, since sessions cannot read ahead into files", "error", err)
		return p
	}
	p.space, p.whole = space, a.o.Jobs > 1
	return p
}

// runOrdered has the catalog, the readers and whoever writes work side by side.
func (a *attempt) runOrdered(ctx context.Context, write stockWrite) error {
	a.ordered = a.newOrderedPipe()
	defer func() {
		if took := a.ordered.close(); took > 0 {
			a.log.Debug("sessions read ahead into files without names", "bytes", took)
		}
	}()
	early, enough := context.WithCancel(ctx)
	defer enough()
	begun := make(chan *orderedReading, 1)
	go func() { begun <- a.readEarly(ctx, early) }()
	err := a.getCatalog(ctx)
	if err != nil {
		enough()
	}
	reading := <-begun
	defer func() {
		reading.stop()
		a.closeAhead(ctx)
	}()
	if err != nil {
		return err
	}
	order, err := a.planOrdered()
	if err != nil {
		return err
	}
	if reading != nil && !reading.begins(order) {
		a.log.Debug("what was read before the catalog was there is not what comes first in it")
		reading.stop()
		a.ordered.close()
		a.closeAhead(ctx)
		reading = nil
	}
	if reading == nil {
		reading = a.startReading(ctx, nil)
	}
	reading.rest <- order.units[len(reading.units):]
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return reading.wait(ctx) })
	g.Go(func() error {
		feed := &liveFeed{a: a, order: order}
		if err := write(ctx, a.catalog, feed); err != nil {
			return err
		}
		if n := len(order.units); feed.next < n { // their sessions would wait for ever
			return fmt.Errorf("internal error: the rows of %s were not written", order.units[feed.next].name())
		}
		return nil
	})
	return g.Wait()
}
