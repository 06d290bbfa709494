package fanout

import (
	"context"
	"fmt"
	"strconv"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// table is a table whose rows can be read, as the coordinator knows it.
type table struct {
	relation
	Columns []string // without dropped and generated ones, in the table's order
	Types   []string // of the columns, as format_type has them
	Floats  string   // as [archive.StreamInfo] has it; "" without floats or where they print short
	Remote  remote   // of a foreign partition
	Policy  *archive.Distribution
}

// remote is what a foreign partition stands for on its server.
type remote struct {
	Schema, Name string
	Columns      []string // names there of the table's columns
}

func (r remote) quoted() string { return wire.QualifiedName(r.Schema, r.Name) }

// part is what one session can read of a table: all that a node has of it, or that the coordinator fetches from a node.
type part struct {
	table   *table
	node    uint32   // ID of the node whose rows these are, 0 if they are the coordinator's or not known
	from    string   // what to read: a quoted name, with ONLY in front where partitions or children must not be read
	lock    string   // the same for LOCK TABLE, "" where that does not take it
	columns []string // their names there
	where   string   // " WHERE ...", "" for all
	split   bool     // can be read in ctid ranges
	pages   uint64   // of the main fork there
	bytes   uint64   // of the main fork and the TOAST table there: an estimate of the work
}

// describeTables gives the tables among the relations with their columns. It runs under the leader's locks, so it
// never waits.
func describeTables(ctx context.Context, conn *wire.Conn, rels []relation, d *Dialect) (map[uint32]*table, error) {
	tables := make(map[uint32]*table, len(rels))
	oids := make([]uint32, 0, len(rels))
	for _, r := range rels {
		if r.hasRows() {
			tables[r.OID] = &table{relation: r}
			oids = append(oids, r.OID)
		}
	}
	if len(oids) == 0 {
		return tables, nil
	}
	generated := ""
	if d.GeneratedColumns {
		generated = " AND a.attgenerated = ''"
	}
	err := conn.Query(ctx, `SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), COALESCE((SELECT o.option_value
  FROM pg_catalog.pg_options_to_table(a.attfdwoptions) o WHERE o.option_name = 'column_name'), a.attname::pg_catalog.text)
FROM pg_catalog.pg_attribute a
WHERE a.attnum > 0 AND NOT a.attisdropped`+generated+` AND a.attrelid = `+anyOID(oids)+`
ORDER BY a.attrelid, a.attnum`, func(row wire.Row) error {
		oid, err := strconv.ParseUint(string(row.Get(0)), 10, 32)
		if t := tables[uint32(oid)]; t != nil {
			t.Columns = append(t.Columns, string(row.Get(1)))
			t.Types = append(t.Types, string(row.Get(2)))
			t.Remote.Columns = append(t.Remote.Columns, string(row.Get(3)))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the columns of the tables: %w", err)
	}
	if d.ShortFloats {
		return tables, nil
	}
	floats, err := FloatColumns(ctx, conn, oids, *d)
	if err != nil {
		return nil, err
	}
	for oid, f := range floats {
		if t := tables[oid]; t != nil {
			t.Floats = f
		}
	}
	return tables, nil
}

// describeRemotes finds out what the foreign partitions stand for.
func describeRemotes(ctx context.Context, conn *wire.Conn, tables map[uint32]*table) error {
	var oids []uint32
	for oid, t := range tables {
		if t.Leaf {
			oids = append(oids, oid)
		}
	}
	if len(oids) == 0 {
		return nil
	}
	err := conn.Query(ctx, `SELECT c.oid,
  COALESCE((SELECT o.option_value FROM pg_catalog.pg_options_to_table(t.ftoptions) o WHERE o.option_name = 'schema_name'), n.nspname::pg_catalog.text),
  COALESCE((SELECT o.option_value FROM pg_catalog.pg_options_to_table(t.ftoptions) o WHERE o.option_name = 'table_name'), c.relname::pg_catalog.text),
  pg_catalog.pg_get_expr(c.relpartbound, c.oid)
FROM pg_catalog.pg_foreign_table t
JOIN pg_catalog.pg_class c ON c.oid = t.ftrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = `+anyOID(oids), func(row wire.Row) error {
		oid, err := strconv.ParseUint(string(row.Get(0)), 10, 32)
		if t := tables[uint32(oid)]; t != nil {
			t.Remote.Schema, t.Remote.Name = string(row.Get(1)), string(row.Get(2))
			t.Policy = &archive.Distribution{
				OID: t.OID, Schema: t.Schema, Table: t.Name, Kind: archive.DistributedForeign, Bound: string(row.Get(3)),
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read what the foreign tables stand for: %w", err)
	}
	return nil
}

// size is how much there is of a table on one server.
type size struct{ pages, bytes uint64 }

// sizeQuery gives OID, pages and bytes of tables; the list of their OIDs and [endOfSizes] belong behind it. Each size is asked for once: the server
// opens a table for it, which takes 40 µs where the session has not seen it. OFFSET keeps the planner from having it asked for again.
const sizeQuery = `SELECT x.oid, x.main / pg_catalog.current_setting('block_size')::pg_catalog.int8,
  x.main + CASE WHEN x.main > 0 AND x.reltoastrelid <> 0 THEN pg_catalog.pg_relation_size(x.reltoastrelid) ELSE 0 END
FROM (SELECT c.oid, c.reltoastrelid, pg_catalog.pg_relation_size(c.oid) AS main
  FROM pg_catalog.pg_class c WHERE c.relkind = 'r' AND c.oid = `

// sizeQuerySegments does so for the sum over all segments, of which each looks after its own. pg_relation_size on the
// coordinator would go out to all of them once for each table. gp_dist_random is syntax, not a function in a schema.
const sizeQuerySegments = `SELECT c.oid,
  pg_catalog.sum(pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::pg_catalog.int8)::pg_catalog.int8,
  pg_catalog.sum(pg_catalog.pg_relation_size(c.oid))::pg_catalog.int8
FROM gp_dist_random('pg_catalog.pg_class') c WHERE c.relkind = 'r' AND c.oid = `

// tableSizes asks a server for the sizes of tables by OID.
func tableSizes(ctx context.Context, conn *wire.Conn, query string, oids []uint32) (map[uint32]size, error) {
	sizes := make(map[uint32]size, len(oids))
	if len(oids) == 0 {
		return sizes, nil
	}
	err := conn.Query(ctx, query+anyOID(oids)+endOfSizes(query), func(row wire.Row) error {
		var v [3]uint64
		for i := range v {
			if row.IsNull(i) {
				continue // dropped by somebody who had the lock before us
			}
			var err error
			if v[i], err = strconv.ParseUint(string(row.Get(i)), 10, 64); err != nil {
				return fmt.Errorf("size of a table: %w", err)
			}
		}
		sizes[uint32(v[0])] = size{v[1], v[2]}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the sizes of the tables: %w", err)
	}
	return sizes, nil
}

func endOfSizes(query string) string {
	if query == sizeQuerySegments {
		return " GROUP BY 1"
	}
	return " OFFSET 0) x"
}

// anyOID is the right side of a comparison with many OIDs. They travel as one array literal: the planner hashes it, and
// 10,000 OIDs are 60 kB.
func anyOID(oids []uint32) string { return "ANY ('{" + joinOIDs(oids) + "}'::pg_catalog.oid[])" }
