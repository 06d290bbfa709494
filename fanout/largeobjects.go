package fanout

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pgark/pgark/archive"
)

// Large objects travel as rows of COPY text, so that they have blocks, row counts and digests as tables do:
// one stream for each BLOBS entry of the catalog, [archive.FormText], columns loid, offset and data. A row is one
// chunk of one large object: its OID, the chunk's offset in bytes, its bytes as bytea in hex ("\\x..." in COPY
// text). An empty large object has one row with offset 0 and no bytes. Chunks come in any order.

// largeObjectColumns are the columns of a stream of large objects.
func largeObjectColumns() []string { return []string{"loid", "offset", "data"} }

// largeObjectUnit reads the large objects with the given OIDs, all of them if there are none given.
//
// lo_get needs no right beyond that on the large object, other than pg_largeobject itself. Its size can't be asked
// for in SQL, so chunks are read until one is short. The objects are sorted, their contents are not: they come
// as the loops run, object by object and front to back.
func largeObjectUnit(entry int32, name string, oids []uint32) unit {
	where := ""
	if len(oids) > 0 {
		where = " WHERE o.oid = ANY ('{" + joinOIDs(oids) + "}'::pg_catalog.oid[])"
	}
	return unit{
		info: archive.StreamInfo{
			Entry: entry, Table: name, Columns: largeObjectColumns(), Form: archive.FormText,
		},
		sql: fmt.Sprintf(`COPY (SELECT m.oid, x.off, x.data FROM (
SELECT o.oid FROM pg_catalog.pg_largeobject_metadata o%[2]s ORDER BY o.oid OFFSET 0) m, LATERAL (
WITH RECURSIVE chunk(off, data) AS (
  SELECT 0::pg_catalog.int8, pg_catalog.lo_get(m.oid, 0, %[1]d)
  UNION ALL SELECT c.off + %[1]d, pg_catalog.lo_get(m.oid, c.off + %[1]d, %[1]d) FROM chunk c
    WHERE pg_catalog.length(c.data) = %[1]d)
SELECT off, data FROM chunk WHERE off = 0 OR pg_catalog.length(data) > 0) x) TO STDOUT`, archive.LargeObjectChunk, where),
		table: &tally{units: 1}, blobs: true,
	}
}

// largeObjectUnits makes a unit of each BLOBS entry.
func largeObjectUnits(cat *archive.Catalog) ([]unit, error) {
	blobs, err := largeObjectEntries(cat)
	if err != nil {
		return nil, err
	}
	units := make([]unit, len(blobs))
	for i, b := range blobs {
		units[i] = largeObjectUnit(b.Entry, string(b.Name), b.OIDs)
	}
	return units, nil
}

// largeObjectEntries lists the BLOBS entries. Up to archive version 1.15 there is one for all large objects;
// later each depends on the BLOB METADATA entry that lists, in its DDL, the OIDs it is for.
func largeObjectEntries(cat *archive.Catalog) ([]JobBlobs, error) {
	lists := make(map[int32]*archive.Entry)
	for i := range cat.Entries {
		if e := &cat.Entries[i]; e.Kind == "BLOB METADATA" {
			lists[e.ID] = e
		}
	}
	var blobs []JobBlobs
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind != "BLOBS" {
			continue
		}
		var oids []uint32
		for _, dep := range e.Deps {
			list := lists[dep]
			if list == nil {
				continue
			}
			for _, s := range strings.Fields(list.DDL) {
				oid, err := strconv.ParseUint(s, 10, 32)
				if err != nil {
					return nil, fmt.Errorf("pg_dump's list of large objects in entry %d: %w", list.ID, err)
				}
				oids = append(oids, uint32(oid))
			}
		}
		blobs = append(blobs, JobBlobs{Entry: e.ID, Name: Text(e.Name), OIDs: oids})
	}
	return blobs, nil
}
