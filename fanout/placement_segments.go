package fanout

import (
	"context"
	"fmt"
	"slices"
	"strconv"
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
	for _, n := range r.moment.Nodes {
		if n.Content < 0 {
			continue
		}
		to := byContent[int(n.Content)]
		if to == nil {
			break
		}
		pairs[n.ID] = to
	}
	was := 0
	for _, n := range r.moment.Nodes {
		if n.Content >= 0 {
			was++
		}
	}
	if was != len(byContent) || was != len(pairs) {
		return nil, fmt.Sprintf("the archive is of %d segments and the target has %d, so its rows belong elsewhere", was, len(byContent))
	}
	return pairs, ""
}

// policy is where a table of the target has its rows.
type policy struct {
	archive.Distribution
	kind   byte   // relkind
	parent bool   // has partitions, or tables that inherit from it
	types  string // why the hash of its key's types may be another one in another database
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
			if !slices.Contains(names[max(0, len(names)-1):], of.table) {
				names = append(names, of.table)
			}
		}
	}
	policies, err := policiesOf(ctx, s.conn, names)
	if err != nil {
		return err
	}
	for _, e := range candidates {
		parts, why := p.segmentParts(e, pieces[e], policies)
		if why != "" {
			p.refuse(e, why)
			continue
		}
		e.setParts(parts)
	}
	return nil
}

// segmentParts proves an entry's placement and makes its parts, or says what is not proven.
func (p *placement) segmentParts(e *entryLoad, pieces []*piece, policies map[tableName]*policy) ([]*tableLoad, string) {
	own := tableName{e.step.Entry.Schema, e.step.Entry.Name}
	table := p.run.plan.Table(e.step.Entry.ID)
	if table != nil && p.run.hasFailed(table.ID) {
		return nil, "this restore could not create them"
	}
	made := table != nil && p.run.isMade(table.ID)
	var parts []*tableLoad
	for _, of := range pieces {
		d, is := p.distribution(e, of.table), policies[of.table]
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
func samePolicy(d *archive.Distribution, is *policy, segments int) string {
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
	for _, class := range d.OpClasses {
		if why := unstableHash(class); why != "" {
			return why
		}
	}
	return is.types
}

// unstableHash says why the hash of a value may be another one in another database, "" if it can't. Enums are hashed by
// the OIDs of their labels, which every database gives anew; what holds other values may hold such.
func unstableHash(class string) string {
	schema, name, _ := strings.Cut(class, ".")
	if schema != "pg_catalog" {
		return "their distribution key has an operator class that is not the server's own"
	}
	for _, of := range []string{"enum", "array", "range", "record"} {
		if strings.Contains(name, of) {
			return "the hash of their distribution key (an enum, or a type that may hold one) is not the same in every database"
		}
	}
	return ""
}

// policiesOf reads how tables are distributed, in the words of [archive.Distribution].
func policiesOf(ctx context.Context, conn *wire.Conn, names []tableName) (map[tableName]*policy, error) {
	oids, err := tableOIDs(ctx, conn, names)
	if err != nil || len(oids) == 0 {
		return nil, err
	}
	list := make([]uint32, 0, len(oids))
	for _, oid := range oids {
		list = append(list, oid)
	}
	policies := make(map[tableName]*policy, len(oids))
	err = conn.Query(ctx, `SELECT n.nspname, c.relname, c.oid, c.relkind, p.policytype, p.numsegments,
  a.attname, opn.nspname, o.opcname, t.typname,
  EXISTS (SELECT 1 FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN (SELECT localoid, policytype, numsegments, distkey, distclass,
    pg_catalog.generate_series(0, GREATEST(pg_catalog.array_upper(distkey, 1), 0)) AS i
  FROM pg_catalog.gp_distribution_policy WHERE policytype <> 'e') p ON p.localoid = c.oid
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.distkey[p.i]
LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_opclass o ON o.oid = p.distclass[p.i]
LEFT JOIN pg_catalog.pg_namespace opn ON opn.oid = o.opcnamespace
WHERE c.oid = `+anyOID(list)+` ORDER BY c.oid, p.i`, func(row wire.Row) error { return addPolicy(policies, row) })
	if err != nil {
		return nil, fmt.Errorf("read the distribution policies of the target: %w", err)
	}
	return policies, nil
}

// addPolicy takes one column of a policy's key, or a policy without a key.
func addPolicy(policies map[tableName]*policy, row wire.Row) error {
	name := tableName{string(row.Get(0)), string(row.Get(1))}
	p := policies[name]
	if p == nil {
		oid, err := strconv.ParseUint(string(row.Get(2)), 10, 32)
		if err != nil {
			return fmt.Errorf("pg_class.oid: %w", err)
		}
		segments, err := strconv.ParseUint(string(row.Get(5)), 10, 32)
		if err != nil {
			return fmt.Errorf("gp_distribution_policy.numsegments: %w", err)
		}
		p = &policy{kind: row.Get(3)[0], parent: string(row.Get(10)) == "t"}
		p.OID, p.Schema, p.Table, p.Segments = uint32(oid), name.schema, name.table, uint32(segments)
		p.Kind = archive.DistributedRandom
		if string(row.Get(4)) == "r" {
			p.Kind = archive.DistributedReplicated
		}
		policies[name] = p
	}
	if row.IsNull(6) {
		return nil
	}
	class, typ := string(row.Get(8)), string(row.Get(9))
	p.Kind = archive.DistributedHash
	p.Columns = append(p.Columns, string(row.Get(6)))
	p.OpClasses = append(p.OpClasses, string(row.Get(7))+"."+class)
	if strings.Contains(class, "oid_ops") && typ != "oid" {
		p.types = "their distribution key is of type " + typ + ", whose hash is not the same in every database"
	}
	return nil
}
