package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// unit is one query whose rows belong to one target: a table on one server, or a part of it.
type unit struct {
	place *place
	sql   string
	size  uint64 // estimate, to put the largest first
}

const (
	// rangeMin is the default of comparison.rangeMin.
	rangeMin = 32 << 20
	// rangesPerJob is how many ranges each session gets, so that all end at about the same time.
	rangesPerJob = 4
	// batchTables and batchBytes bound how many small tables one session asks for before it waits for the first answer.
	batchTables = 64
	batchBytes  = 4 << 20
)

// planUnits cuts the places into units, largest first. A table is split only where the server can read a range of it
// without scanning everything (split), and into parts of least bytes or more.
func planUnits(places []*place, jobs int, split bool, least uint64) []unit {
	var total uint64
	for _, p := range places {
		total += p.size
	}
	size := max(total/uint64(jobs*rangesPerJob), least)
	var units []unit
	for _, p := range places {
		if p.blobs {
			units = append(units, unit{place: p, sql: largeObjectSQL(p.oids), size: p.size})
			continue
		}
		parts := uint64(1)
		if split && jobs > 1 && p.kind == 'r' && p.condition == "" {
			parts = min(p.size/size+1, max(p.pages, 1))
		}
		for i := range parts {
			units = append(units, unit{place: p, sql: tableSQL(p, i, parts), size: p.size / parts})
		}
	}
	slices.SortStableFunc(units, func(a, b unit) int { return cmp.Compare(b.size, a.size) })
	return units
}

// batches groups units, which are in the order of their sizes: a large one alone, small ones together, to be asked for back to back.
func batches(units []unit) [][]unit {
	var all [][]unit
	var size uint64
	for _, u := range units {
		last := len(all) - 1
		if last < 0 || size+u.size > batchBytes || len(all[last]) == batchTables {
			all, size = append(all, nil), 0
			last++
		}
		all[last] = append(all[last], u)
		size += u.size
	}
	return all
}

// tableSQL reads part i of a table in equal ranges of pages. The first has no lower and the last no upper bound.
func tableSQL(t *place, i, parts uint64) string {
	columns := t.columns
	if len(columns) == 0 {
		columns = t.all
	}
	quoted := make([]string, len(columns))
	for k, c := range columns {
		quoted[k] = wire.Ident(c)
	}
	list, name := strings.Join(quoted, ", "), wire.QualifiedName(t.schema, t.table)
	if parts == 1 && (t.kind == 'r' || t.external) && t.condition == "" {
		if list != "" {
			list = " (" + list + ")"
		}
		if t.external {
			return "COPY " + name + list + " TO STDOUT IGNORE EXTERNAL PARTITIONS"
		}
		return "COPY " + name + list + " TO STDOUT"
	}
	only := ""
	if t.kind == 'r' {
		only = "ONLY "
	}
	var where []string
	if i > 0 {
		where = append(where, fmt.Sprintf("ctid >= '(%d,0)'::pg_catalog.tid", t.pages*i/parts))
	}
	if i < parts-1 {
		where = append(where, fmt.Sprintf("ctid < '(%d,0)'::pg_catalog.tid", t.pages*(i+1)/parts))
	}
	clause := ""
	switch {
	case t.condition != "":
		clause = " " + t.condition // begins with WHERE
	case len(where) > 0:
		clause = " WHERE " + strings.Join(where, " AND ")
	}
	return "COPY (SELECT " + list + " FROM " + only + name + clause + ") TO STDOUT"
}

// largeObjectChunk is the size in which archives hold large objects: one row of loid, offset and data for each chunk.
const largeObjectChunk = 256 << 10

// largeObjectSQL reads large objects as rows of the same shape as an archive's; those with the given OIDs, or all.
func largeObjectSQL(oids []uint32) string {
	where := ""
	if len(oids) > 0 {
		where = " WHERE m.oid = ANY ('{" + joinOIDs(oids) + "}'::pg_catalog.oid[])"
	}
	return fmt.Sprintf(`COPY (SELECT m.oid, x.off, x.data FROM pg_catalog.pg_largeobject_metadata m, LATERAL (
WITH RECURSIVE chunk(off, data) AS (
  SELECT 0::pg_catalog.int8, pg_catalog.lo_get(m.oid, 0, %[1]d)
  UNION ALL SELECT c.off + %[1]d, pg_catalog.lo_get(m.oid, c.off + %[1]d, %[1]d) FROM chunk c
    WHERE pg_catalog.length(c.data) = %[1]d)
SELECT off, data FROM chunk WHERE off = 0 OR pg_catalog.length(data) > 0) x%[2]s) TO STDOUT`, largeObjectChunk, where)
}

// largeObjectOIDs lists the large objects whose contents a BLOBS entry is for. Since archive version 1.16 a BLOB METADATA
// entry that it depends on names them in its DDL; before, there is one BLOB entry for each.
func largeObjectOIDs(cat *archive.Catalog, entry int32) ([]uint32, error) {
	deps := make(map[int32]bool)
	for i := range cat.Entries {
		if e := &cat.Entries[i]; e.ID == entry {
			for _, d := range e.Deps {
				deps[d] = true
			}
		}
	}
	var oids, singles []uint32
	for i := range cat.Entries {
		e := &cat.Entries[i]
		switch {
		case e.Kind == "BLOB METADATA" && deps[e.ID]:
			for _, s := range strings.Fields(e.DDL) {
				oid, err := parseOID([]byte(s))
				if err != nil {
					return nil, fmt.Errorf("the list of large objects in entry %d: %w", e.ID, err)
				}
				oids = append(oids, oid)
			}
		case e.Kind == "BLOB":
			oid, err := parseOID([]byte(e.Name))
			if err != nil {
				return nil, fmt.Errorf("the large object of entry %d: %w", e.ID, err)
			}
			singles = append(singles, oid)
		}
	}
	if len(oids) > 0 {
		return oids, nil
	}
	return singles, nil
}
