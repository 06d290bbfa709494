package fanout

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// segmentNodes pairs the archive's segments with the target's by content. It says why there is no such pairing: without
// it no row belongs where it came from.
func (r *restoreRun) segmentNodes() (map[uint32]*Node, string) {
	byContent := make(map[int]*Node)
	for i := range r.cluster.Nodes {
		byContent[r.cluster.Nodes[i].Content] = &r.cluster.Nodes[i]
	}
	pairs := make(map[uint32]*Node)
	was := 0
	for _, n := range r.moment.Nodes {
		if n.Content < 0 {
			continue
		}
		was++
		if to := byContent[int(n.Content)]; to != nil {
			pairs[n.ID] = to
		}
	}
	if was != len(byContent) || was != len(pairs) {
		return nil, fmt.Sprintf("the archive is of %d segments and the target has %d, so its rows belong elsewhere", was, len(byContent))
	}
	return pairs, ""
}

// segmentTable is a table of the target, and how it is spread.
type segmentTable struct {
	*policy
	kind   byte // relkind
	parent bool // has partitions, or tables that inherit from it
}

// placeSegments decides about tables of Greenplum.
func (p *placement) placeSegments(ctx context.Context, s *loadSession) error {
	p.nodes, _ = p.run.segmentNodes()
	candidates := p.candidates()
	var names []tableName
	pieces := make(map[*entryLoad][]*piece, len(candidates))
	for _, e := range candidates {
		pieces[e] = p.pieces(e)
		for _, of := range pieces[e] {
			if n := len(names); n == 0 || names[n-1] != of.table {
				names = append(names, of.table)
			}
		}
	}
	tables, err := segmentTables(ctx, s.conn, names)
	if err != nil {
		return err
	}
	for _, e := range candidates {
		parts, why := p.segmentParts(e, pieces[e], tables)
		if why != "" {
			p.refuse(e, why)
			continue
		}
		e.setParts(parts)
	}
	return nil
}

// segmentParts proves an entry's placement and makes its parts, or says what is not proven.
func (p *placement) segmentParts(e *entryLoad, pieces []*piece, tables map[tableName]*segmentTable) ([]*tableLoad, string) {
	own := tableName{e.step.Entry.Schema, e.step.Entry.Name}
	table := p.run.plan.Table(e.step.Entry.ID)
	if table != nil && p.run.hasFailed(table.ID) {
		return nil, "this restore could not create them"
	}
	made := table != nil && p.run.isMade(table.ID)
	var parts []*tableLoad
	for _, of := range pieces {
		d, is := p.distribution(e, of.table), tables[of.table]
		if why := samePolicy(d, is, len(p.nodes)); why != "" {
			return nil, why
		}
		if of.table != own && !made {
			return nil, "their partitions were there before this restore, so what belongs into each is not proven"
		}
		if is.kind != 'r' || is.parent {
			return nil, "segments take no rows of their own for tables that are partitioned or that others inherit from"
		}
		sql := copyInto(of.table.schema, of.table.table, of.columns)
		if d.Kind == archive.DistributedReplicated && p.run.opts.Remote != nil {
			return nil, "they are replicated, and one segment's volume has their rows for all"
		}
		if d.Kind == archive.DistributedReplicated {
			for i := range p.run.cluster.Nodes {
				l := p.load(of, &p.run.cluster.Nodes[i], sql)
				l.again = i > 0
				parts = append(parts, l)
			}
			continue
		}
		node := p.nodes[of.node]
		if node == nil {
			return nil, "the archive does not say which segment their rows came from"
		}
		parts = append(parts, p.load(of, node, sql))
	}
	return parts, ""
}

// samePolicy says how a table's distribution in the target differs from the archive's, "" if it is the same and rows that
// belonged to a segment there belong to the same one here.
func samePolicy(d *archive.Distribution, is *segmentTable, segments int) string {
	switch {
	case d == nil:
		return "the archive does not say how their rows are distributed"
	case is == nil:
		return "the target does not have them, or has them on the coordinator only"
	case d.Kind != is.Kind:
		return "their distribution policy is another one in the target"
	case int(d.Segments) != segments || int(is.Segments) != segments:
		return "they are spread over a part of the segments only"
	case d.Kind != archive.DistributedHash:
		return ""
	case !slices.Equal(d.Columns, is.Columns):
		return "their distribution key is another one in the target"
	case !slices.Equal(d.OpClasses, is.OpClasses):
		return "the operator classes of their distribution key are others in the target"
	}
	for i, class := range d.OpClasses {
		if why := unstableHash(class, is.types[i]); why != "" {
			return why
		}
	}
	return ""
}

// unstableHash says why the hash of a type's values may be another one in another database, "" if it can't. Enums are hashed
// by the OIDs of their labels, which every database gives anew, as the OIDs that regclass and its like stand for; what holds
// other values may hold such.
func unstableHash(class, typ string) string {
	schema, name, _ := strings.Cut(class, ".")
	if schema != "pg_catalog" {
		return "their distribution key has an operator class that is not the server's own"
	}
	for _, of := range []string{"enum", "array", "range", "record"} {
		if strings.Contains(name, of) {
			return "the hash of their distribution key (an enum, or a type that may hold one) is not the same in every database"
		}
	}
	if strings.Contains(name, "oid_ops") && typ != "oid" {
		return "their distribution key is of type " + typ + ", whose hash is not the same in every database"
	}
	return ""
}

// segmentTables finds tables of the target that its segments have rows of.
func segmentTables(ctx context.Context, conn *wire.Conn, names []tableName) (map[tableName]*segmentTable, error) {
	found, err := findNamed(ctx, conn, names)
	if err != nil {
		return nil, err
	}
	oids := make([]uint32, 0, len(found))
	for _, t := range found {
		oids = append(oids, t.oid)
	}
	policies, err := policiesOf(ctx, conn, oids)
	if err != nil {
		return nil, err
	}
	tables := make(map[tableName]*segmentTable, len(policies))
	for name, t := range found {
		if p := policies[t.oid]; p != nil {
			tables[name] = &segmentTable{policy: p, kind: t.kind, parent: t.children}
		}
	}
	return tables, nil
}
