package verify

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/wire"
)

// place is a target on one server.
type place struct {
	*target
	oid       uint32
	kind      byte     // pg_class.relkind; 'p' for every kind of partitioned table
	external  bool     // some of its partitions are external tables, whose rows are not the database's
	pages     uint64   // only if it may be split
	size      uint64   // bytes, an estimate
	condition string   // WHERE clause of an extension's configuration table
	marks     string   // where floats are in the columns, if the server prints them with all digits
	all       []string // columns here, for rows of which a dump names none, as those of a partition without a definition
}

// describeBatch is how many tables one query asks for.
const describeBatch = 500

// describe looks the targets up on the server, as the session's snapshot shows it. Those that can't be compared get their
// finding and no place. split says that large tables can be read in parts.
func (s *site) describe(ctx context.Context, conn *wire.Conn, targets []*target, split bool) ([]*place, error) {
	conditions, err := extensionConditions(ctx, conn)
	if err != nil {
		return nil, err
	}
	var places []*place
	for some := range slices.Chunk(targets, describeBatch) {
		found, err := s.describeSome(ctx, conn, some, split)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			p.condition = conditions[p.oid]
		}
		places = append(places, found...)
	}
	return places, nil
}

// extensionConditions returns the filters of the extensions' configuration tables: pg_dump writes only those rows.
func extensionConditions(ctx context.Context, conn *wire.Conn) (map[uint32]string, error) {
	conditions := make(map[uint32]string)
	err := conn.Query(ctx, `SELECT e.extconfig[i], COALESCE(e.extcondition[i], '')
FROM pg_catalog.pg_extension e, pg_catalog.generate_subscripts(e.extconfig, 1) i`, func(row wire.Row) error {
		oid, err := parseOID(row.Get(0))
		conditions[oid] = string(row.Get(1))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the extensions' configuration tables: %w", err)
	}
	return conditions, nil
}

func (s *site) describeSome(ctx context.Context, conn *wire.Conn, targets []*target, split bool) ([]*place, error) {
	var places []*place
	var names strings.Builder
	for i, t := range targets {
		if t.blobs {
			if s.first && !t.found() {
				places = append(places, &place{target: t, size: t.raw})
			}
			continue
		}
		if names.Len() > 0 {
			names.WriteString(", ")
		}
		fmt.Fprintf(&names, "(%d, %s, %s)", i, conn.Literal(t.schema), conn.Literal(t.table))
	}
	if names.Len() == 0 {
		return places, nil
	}
	byOID := make(map[uint32]*place)
	here := make([]bool, len(targets))
	err := conn.Query(ctx, s.describeSQL(names.String(), split), func(row wire.Row) error {
		i, err := strconv.Atoi(string(row.Get(0)))
		if err != nil {
			return err
		}
		here[i] = true
		p := &place{target: targets[i], kind: row.Get(2)[0], external: string(row.Get(5)) == "t", size: targets[i].raw / uint64(len(s.sites))}
		if p.oid, err = parseOID(row.Get(1)); err != nil {
			return err
		}
		byOID[p.oid] = p
		return p.parseSizes(row)
	})
	if err != nil {
		return nil, fmt.Errorf("look the tables up: %w", err)
	}
	for i, t := range targets {
		switch {
		case here[i] || t.blobs:
		case t.leaf != "":
			t.find(ClassIncomparable, fmt.Sprintf("the partitions of %s have their columns in different orders, so they are compared one by one, and %s has no such table", t.leaf, s.where()))
		default:
			t.find(ClassMissingTable, s.where()+" has no such table")
		}
	}
	if err := s.describeColumns(ctx, conn, byOID); err != nil {
		return nil, err
	}
	for _, p := range byOID {
		if !p.found() {
			places = append(places, p)
		}
	}
	return places, nil
}

// describeSQL finds tables by name. Sizes are asked for only where they decide something: Greenplum asks all of its segments for
// each of them.
func (s *site) describeSQL(names string, split bool) string {
	pages, size := "NULL", "NULL"
	if split {
		pages = "CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::pg_catalog.int8 END"
		size = "CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_table_size(c.oid) END"
	}
	kind, external := "c.relkind", "false"
	if s.dialect.LegacyParts {
		kind = "CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_partition p WHERE p.parrelid = c.oid) THEN 'p' ELSE c.relkind END"
		external = `EXISTS (SELECT 1 FROM pg_catalog.pg_partition p JOIN pg_catalog.pg_partition_rule r ON r.paroid = p.oid
  JOIN pg_catalog.pg_class x ON x.oid = r.parchildrelid WHERE p.parrelid = c.oid AND x.relstorage = 'x')`
	}
	return "SELECT v.i, c.oid, " + kind + ", " + pages + ", " + size + ", " + external + `
FROM (VALUES ` + names + `) v(i, s, t)
JOIN pg_catalog.pg_namespace n ON n.nspname = v.s::pg_catalog.name
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = v.t::pg_catalog.name
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')`
}

// parseSizes reads pages and bytes, which are NULL where they were not asked for, and for a table that is being dropped.
func (p *place) parseSizes(row wire.Row) error {
	for i, dst := range []*uint64{&p.pages, &p.size} {
		if row.IsNull(3 + i) {
			continue
		}
		v, err := strconv.ParseUint(string(row.Get(3+i)), 10, 64)
		if err != nil {
			return fmt.Errorf("size of a table: %w", err)
		}
		*dst = v
	}
	return nil
}

// describeColumns finds places that lack a column that the archive has, and where floats are in the others.
func (s *site) describeColumns(ctx context.Context, conn *wire.Conn, byOID map[uint32]*place) error {
	if len(byOID) == 0 {
		return nil
	}
	oids := make([]uint32, 0, len(byOID))
	for oid := range byOID {
		oids = append(oids, oid)
	}
	have := make(map[uint32][]string)
	generated := ""
	if s.dialect.GeneratedColumns {
		generated = " AND a.attgenerated = ''"
	}
	err := conn.Query(ctx, `SELECT a.attrelid, a.attname FROM pg_catalog.pg_attribute a
WHERE a.attnum > 0 AND NOT a.attisdropped`+generated+` AND a.attrelid = ANY ('{`+joinOIDs(oids)+`}'::pg_catalog.oid[])
ORDER BY a.attrelid, a.attnum`, func(row wire.Row) error {
		oid, err := parseOID(row.Get(0))
		have[oid] = append(have[oid], string(row.Get(1)))
		return err
	})
	if err != nil {
		return fmt.Errorf("look the columns up: %w", err)
	}
	var floats map[uint32]string
	if !s.dialect.ShortFloats {
		if floats, err = topology.FloatColumns(ctx, conn, oids, s.dialect); err != nil {
			return err
		}
	}
	for oid, p := range byOID {
		p.setColumns(have[oid], floats[oid], s)
	}
	return nil
}

// setColumns compares the columns with those that the table has here, with their marks. Where only one of the two sides has
// long floats, columns in which they can't be told from other text are noted: of composite types, or of a type that a dump of rows only
// does not tell.
func (p *place) setColumns(have []string, floats string, s *site) {
	p.all = have
	var missing []string
	marks := make([]byte, len(p.columns))
	for i, c := range p.columns {
		marks[i] = archive.FloatsNone
		k := slices.Index(have, c)
		switch {
		case k < 0:
			missing = append(missing, c)
		case k < len(floats):
			marks[i] = floats[k]
		}
	}
	switch {
	case len(missing) > 0:
		p.find(ClassMissingColumn, fmt.Sprintf("the table in %s has no %s", s.where(), plural("column", missing)))
	case s.dialect.ShortFloats:
		p.setUnknown(p.floats)
	case p.floats == "":
		p.marks = string(marks)
		p.setUnknown(p.marks)
	default: // both print all digits: what is not known of the archive's columns is compared as it is printed
		for i := range marks {
			if i < len(p.floats) && p.floats[i] == archive.FloatsUnknown {
				marks[i] = archive.FloatsUnknown
			}
		}
		p.marks = string(marks)
	}
}

func parseOID(b []byte) (uint32, error) {
	oid, err := strconv.ParseUint(string(b), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("an OID: %w", err)
	}
	return uint32(oid), nil
}

func joinOIDs(oids []uint32) string {
	var b strings.Builder
	for i, oid := range oids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(oid), 10))
	}
	return b.String()
}
