package fanout

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/pgark/pgark/wire"
)

// FloatColumns says, for the tables with these OIDs, in which columns there are floats: a mark for each column that a dump
// reads, as [archive.StreamInfo] has them in Floats. Tables without any are left out. It looks through domains, arrays, ranges
// and composite types, at any depth; not through multiranges, which no server has that prints floats with all digits.
func FloatColumns(ctx context.Context, conn *wire.Conn, oids []uint32, d Dialect) (map[uint32]string, error) {
	if len(oids) == 0 {
		return nil, nil
	}
	generated := ""
	if d.GeneratedColumns {
		generated = " AND a.attgenerated = ''"
	}
	type column struct{ table, typ uint32 }
	var columns []column
	types := floatTypes{}
	var todo []uint32
	err := queryOIDs(ctx, conn, `SELECT a.attrelid, a.atttypid FROM pg_catalog.pg_attribute a
WHERE a.attnum > 0 AND NOT a.attisdropped`+generated+` AND a.attrelid = `+anyOID(oids)+`
ORDER BY a.attrelid, a.attnum`, func(v []uint32) {
		columns = append(columns, column{v[0], v[1]})
		todo = append(todo, v[1])
	})
	if err == nil {
		err = types.load(ctx, conn, todo)
	}
	if err != nil {
		return nil, fmt.Errorf("find the columns with floats: %w", err)
	}
	marks := make(map[uint32]string, len(oids))
	some := make(map[uint32]bool)
	for _, c := range columns {
		m := types.mark(c.typ)
		marks[c.table] += string(rune(m))
		some[c.table] = some[c.table] || m != floatsNone
	}
	for table := range marks {
		if !some[table] {
			delete(marks, table)
		}
	}
	return marks, nil
}

// The marks of [archive.StreamInfo.Floats].
const (
	floatsNone    = '-'
	floatsReal    = '4'
	floatsDouble  = '8'
	floatsUnknown = '?'
)

// floatTypes is what is known of types, by OID.
type floatTypes map[uint32]*floatType

// floatType says what a type is made of.
type floatType struct {
	parts     []uint32 // its base type, element type, subtype or the types of its columns
	composite bool
	known     byte // its mark where it is known by itself or was found out before; 0 otherwise
}

// load reads the types with these OIDs and all that they are made of, level by level.
func (f floatTypes) load(ctx context.Context, conn *wire.Conn, oids []uint32) error {
	for {
		slices.Sort(oids)
		oids = slices.DeleteFunc(slices.Compact(oids), func(oid uint32) bool { return f[oid] != nil })
		if len(oids) == 0 {
			return nil
		}
		for _, oid := range oids {
			f[oid] = &floatType{known: builtinFloats(oid)}
		}
		var next []uint32
		// A type is an array if it has elements and a length of its own; point, for one, has elements and no length.
		err := queryOIDs(ctx, conn, `SELECT t.oid, t.typbasetype, CASE WHEN t.typlen = -1 THEN t.typelem ELSE 0 END,
  COALESCE(r.rngsubtype, 0), (t.typtype = 'b' AND t.typname = 'cube')::pg_catalog.int4, 0
FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid WHERE t.oid = `+anyOID(oids)+`
UNION ALL
SELECT t.oid, a.atttypid, 0, 0, 0, 1
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid
WHERE t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped AND t.oid = `+anyOID(oids), func(v []uint32) {
			t := f[v[0]]
			if t == nil || t.known != 0 {
				return
			}
			for _, part := range v[1:4] {
				if part != 0 {
					t.parts = append(t.parts, part)
					next = append(next, part)
				}
			}
			if v[4] == 1 { // of the extension cube: coordinates in double precision
				t.known = floatsDouble
			}
			t.composite = t.composite || v[5] == 1
		})
		if err != nil {
			return err
		}
		oids = next
	}
}

// builtinFloats gives the marks of the types that are floats or made of them, whose OIDs are the same on every server.
func builtinFloats(oid uint32) byte {
	switch oid {
	case 700:
		return floatsReal
	case 701, 600, 601, 602, 603, 604, 628, 718: // double precision, point, lseg, path, box, polygon, line, circle
		return floatsDouble
	}
	return 0
}

// mark says where floats are in values of a type that was loaded. Types can't contain themselves.
func (f floatTypes) mark(oid uint32) byte {
	t := f[oid]
	if t == nil {
		return floatsNone
	}
	if t.known != 0 {
		return t.known
	}
	t.known = floatsNone
	for _, part := range t.parts {
		switch m := f.mark(part); {
		case m == floatsNone:
		case t.composite: // its numbers may be of any type
			t.known = floatsUnknown
		default:
			t.known = m
		}
	}
	return t.known
}

// queryOIDs runs a query whose columns are all numbers of 32 bits. The numbers are valid in fn only.
func queryOIDs(ctx context.Context, conn *wire.Conn, sql string, fn func([]uint32)) error {
	var numbers []uint32
	return conn.Query(ctx, sql, func(row wire.Row) error {
		numbers = numbers[:0]
		for i := range row.Len() {
			n, err := strconv.ParseUint(string(row.Get(i)), 10, 32)
			if err != nil {
				return fmt.Errorf("the server gives %q for a number: %w", row.Get(i), err)
			}
			numbers = append(numbers, uint32(n))
		}
		fn(numbers)
		return nil
	})
}
