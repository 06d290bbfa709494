package fanout

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// foreignLeaf is a foreign table of the target that is a partition.
type foreignLeaf struct {
	table
	parent tableName
	server string
}

// placeForeign decides about partitions on other servers. The foreign servers are part of what is restored, so only now is
// it known which they are. It says why none of the rows can go there directly.
func (p *placement) placeForeign(ctx context.Context, pool *sessionPool) (string, error) {
	r := p.run
	if err := r.discover(ctx, r.target); err != nil {
		return "", err
	}
	if r.cluster.Layout != LayoutForeign {
		return "the target has no partitions on foreign servers", nil
	}
	candidates := p.candidates()
	names := make([]tableName, len(candidates))
	for i, e := range candidates {
		names[i] = tableName{e.step.Entry.Schema, e.step.Entry.Name}
	}
	leaves, err := foreignLeaves(ctx, pool.sessions[0].conn, names, r.cluster.Dialect)
	if err != nil {
		return "", err
	}
	servers := make(map[string]*Node, len(r.cluster.Nodes))
	for i := range r.cluster.Nodes {
		servers[r.cluster.Nodes[i].Name] = &r.cluster.Nodes[i]
	}
	if r.opts.Route == RouteSegments {
		if why := r.unusable(); why != "" {
			return why, nil
		}
	}
	parents := r.parentsInCatalog()
	for i, e := range candidates {
		if !e.foreign {
			continue // its rows were the coordinator's, and are again
		}
		leaf := leaves[names[i]]
		part, why := p.foreignPart(e, leaf, parents[names[i]], servers)
		if why != "" {
			p.refuse(e, why)
			continue
		}
		e.setParts([]*tableLoad{part})
	}
	return "", nil
}

// foreignPart proves that a partition of the target takes the rows of the archive's, and makes the load into its server.
func (p *placement) foreignPart(e *entryLoad, leaf *foreignLeaf, parent tableName, servers map[string]*Node) (*tableLoad, string) {
	d := p.distributions[tableName{e.step.Entry.Schema, e.step.Entry.Name}]
	switch {
	case d == nil || d.Kind != archive.DistributedForeign || d.Bound == "":
		return nil, "the archive does not say which rows belong into them"
	case leaf == nil:
		return nil, "they are no foreign partitions in the target"
	case leaf.Policy.Bound != d.Bound:
		return nil, "their partition bounds are others in the target"
	case parent == tableName{} || leaf.parent != parent:
		return nil, "they are partitions of another table in the target"
	}
	node := servers[leaf.server]
	if node == nil {
		return nil, "no direct way to their foreign server is known"
	}
	if node.Err != nil {
		return nil, "their foreign server can't be used from here: " + node.Err.Error()
	}
	pieces := p.pieces(e)
	of := pieces[0]
	for _, o := range pieces[1:] {
		if !slices.Equal(o.columns, of.columns) {
			return nil, "their streams differ in their columns"
		}
		of.streams = append(of.streams, o.streams...)
	}
	columns := make([]string, len(of.columns))
	for i, c := range of.columns {
		at := slices.Index(leaf.Columns, c)
		if at < 0 {
			return nil, "they lack columns in the target"
		}
		columns[i] = leaf.Remote.Columns[at]
	}
	return p.load(of, node, copyInto(leaf.Remote.Schema, leaf.Remote.Name, columns)), ""
}

// parentsInCatalog finds the table that each partition of the archive belongs to.
func (r *restoreRun) parentsInCatalog() map[tableName]tableName {
	parents := make(map[tableName]tableName)
	for i := range r.catalog.Entries {
		e := &r.catalog.Entries[i]
		if e.Kind != "TABLE ATTACH" { // has the name of the partition and depends on both
			continue
		}
		for _, id := range e.Deps {
			o := r.plan.byID[id]
			if o != nil && o.Kind == kindTable && (o.Schema != e.Schema || o.Name != e.Name) {
				parents[tableName{e.Schema, e.Name}] = tableName{o.Schema, o.Name}
			}
		}
	}
	return parents
}

// foreignLeaves describes those of the tables that are foreign partitions.
func foreignLeaves(ctx context.Context, conn *wire.Conn, names []tableName, dialect Dialect) (map[tableName]*foreignLeaf, error) {
	found, err := findNamed(ctx, conn, names)
	if err != nil {
		return nil, err
	}
	var rels []relation
	var oids []uint32
	for name, t := range found {
		if t.kind == 'f' {
			rels = append(rels, relation{OID: t.oid, Schema: name.schema, Name: name.table, Kind: 'f', Leaf: true})
			oids = append(oids, t.oid)
		}
	}
	if len(oids) == 0 {
		return nil, nil //nolint:nilnil // there are none
	}
	tables, err := describeTables(ctx, conn, rels, &dialect)
	if err != nil {
		return nil, err
	}
	if err := describeRemotes(ctx, conn, tables); err != nil {
		return nil, err
	}
	leaves := make(map[tableName]*foreignLeaf)
	err = conn.Query(ctx, `SELECT c.oid, pn.nspname, pc.relname, s.srvname
FROM pg_catalog.pg_foreign_table t JOIN pg_catalog.pg_foreign_server s ON s.oid = t.ftserver
JOIN pg_catalog.pg_class c ON c.oid = t.ftrelid JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
JOIN pg_catalog.pg_class pc ON pc.oid = i.inhparent JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
WHERE c.relispartition AND c.oid = `+anyOID(oids), func(row wire.Row) error {
		oid, err := strconv.ParseUint(string(row.Get(0)), 10, 32)
		if t := tables[uint32(oid)]; t != nil && t.Policy != nil {
			leaves[tableName{t.Schema, t.Name}] = &foreignLeaf{
				table: *t, server: string(row.Get(3)), parent: tableName{string(row.Get(1)), string(row.Get(2))},
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for foreign partitions in the target: %w", err)
	}
	return leaves, nil
}
