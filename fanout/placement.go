package fanout

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// placement decides, table by table, whether rows may go straight to the nodes that they came from. What is not proven
// goes through the coordinator, which puts each row where it belongs.
type placement struct {
	run           *restoreRun
	distributions map[tableName]*archive.Distribution // the archive's
	nodes         map[uint32]*Node                    // the target's, by the archive's Node.ID
	refused       map[string][]string                 // tables by the reason why not
}

func (r *restoreRun) newPlacement() *placement {
	p := &placement{
		run: r, nodes: make(map[uint32]*Node), refused: make(map[string][]string),
		distributions: make(map[tableName]*archive.Distribution, len(r.moment.Distributions)),
	}
	for i := range r.moment.Distributions {
		d := &r.moment.Distributions[i]
		p.distributions[tableName{d.Schema, d.Table}] = d
	}
	return p
}

// placeLoads replaces loads through the coordinator by loads into the nodes, where that is proven to put every row where
// it belongs. It runs when the definitions have been carried out and before any row is loaded.
func (r *restoreRun) placeLoads(ctx context.Context, pool *sessionPool) error {
	if r.result.Route != RouteSegments {
		return nil
	}
	p := r.newPlacement()
	var why string
	var err error
	switch r.layout {
	case LayoutSegments:
		err = p.placeSegments(ctx, pool.sessions[0])
	case LayoutForeign:
		why, err = p.placeForeign(ctx, pool)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	if why != "" {
		return r.refuseSegments(why)
	}
	r.reportPlacement(p)
	r.shareLoads()
	return nil
}

// refuseSegments takes the rows through the coordinator, unless the other route was asked for.
func (r *restoreRun) refuseSegments(why string) error {
	if r.opts.Route == RouteSegments {
		return fmt.Errorf("%w: %s: %s", ErrRoute, RouteSegments, why)
	}
	r.setRoute(RouteCoordinator, why)
	return nil
}

// candidates are the loads of tables with rows, in the order of the plan.
func (p *placement) candidates() []*entryLoad {
	var some []*entryLoad
	for _, step := range p.run.steps {
		if e := p.run.loads[step.Entry.ID]; e != nil && !e.blobs && e.err == nil && (e.want.Rows > 0 || e.unknown) {
			some = append(some, e)
		}
	}
	return some
}

// refuse notes why a table goes through the coordinator.
func (p *placement) refuse(e *entryLoad, why string) {
	p.refused[why] = append(p.refused[why], qualifiedID(e.step.Entry.Schema, e.step.Entry.Name))
}

// reportPlacement says by which route the rows go, and which tables go through the coordinator, and why.
func (r *restoreRun) reportPlacement(p *placement) {
	direct, others := 0, 0
	for _, e := range p.candidates() {
		if e.parts[0].node != 0 {
			direct++
		}
	}
	for why, tables := range p.refused {
		others += len(tables)
		slices.Sort(tables)
		r.warn(fmt.Sprintf("through the coordinator: %s: %s", someTables(tables), why))
	}
	r.result.DirectTables = direct
	switch {
	case direct == 0:
		r.setRoute(RouteCoordinator, "of no table with rows is it proven where they belong")
	case others == 0:
		r.setRoute(RouteSegments, fmt.Sprintf("proven for each table with rows (%d)", direct))
	default:
		r.setRoute(RouteSegments, fmt.Sprintf("proven for %d of %d tables with rows; the others go through the coordinator", direct, direct+others))
	}
}

// piece is the streams of one table that go to one node.
type piece struct {
	table   tableName
	columns []string
	node    uint32 // the archive's
	streams []archive.Stream
}

// pieces groups an entry's streams by table, columns and node. Those of one table stand together.
func (p *placement) pieces(e *entryLoad) []*piece {
	type key struct {
		loadKey
		node uint32
	}
	var all []*piece
	found := make(map[key]*piece)
	for _, s := range p.run.streams(e.step.Entry.ID) {
		k := key{loadKeyOf(&s), s.Node}
		of := found[k]
		if of == nil {
			of = &piece{table: k.table, columns: s.Columns, node: s.Node}
			found[k] = of
			all = append(all, of)
		}
		of.streams = append(of.streams, s)
	}
	slices.SortStableFunc(all, func(a, b *piece) int {
		return cmp.Or(strings.Compare(a.table.schema, b.table.schema), strings.Compare(a.table.table, b.table.table), cmp.Compare(a.node, b.node))
	})
	return all
}

// load makes the part that loads a piece into a node, by the COPY statement as that node knows the table.
func (p *placement) load(of *piece, node *Node, sql string) *tableLoad {
	l := &tableLoad{schema: of.table.schema, table: of.table.table, node: node.ID, nodeName: node.Name, sql: sql}
	l.setStreams(p.run.content, of.streams, false)
	return l
}

// distribution is what the archive says of a table, or of the table that it is a part of.
func (p *placement) distribution(e *entryLoad, table tableName) *archive.Distribution {
	if d := p.distributions[table]; d != nil {
		return d
	}
	return p.distributions[tableName{e.step.Entry.Schema, e.step.Entry.Name}]
}
