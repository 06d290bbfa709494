package pgdump

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgark/pgark/archive"
)

// The newest and the oldest version that is written: pg_restore of PostgreSQL 11 and later, and of Greenplum 6, reads 1.13.
const (
	minorOldestWritten = 13
	minorNewestWritten = minorNewest
)

const (
	kindStatistics = "STATISTICS DATA"
	relkindParted  = 'p'
)

// MinorFor is the oldest version that holds a catalog with its data compressed in this way:
//
//	1.16  statistics; the access method of a partitioned table
//	1.15  lz4, zstd
//	1.14  table access methods
//	1.13  all else
//
// Large objects are converted between the two ways that the versions have for them, without loss.
func MinorFor(cat *archive.Catalog, c Compression) uint8 {
	minor := uint8(minorOldestWritten)
	if c == CompressionLZ4 || c == CompressionZstd {
		minor = minorCodec
	}
	for i := range cat.Entries {
		switch e := &cat.Entries[i]; {
		case e.Kind == kindStatistics && !e.CatalogStatistics(), e.RelKind == relkindParted && e.TableAM != "":
			return minorRelKind
		case e.TableAM != "":
			minor = max(minor, minorTableAM)
		}
	}
	return minor
}

// newTOC makes the table of contents of a catalog in the version that o asks for.
func newTOC(cat *archive.Catalog, format Format, o *WriteOptions) (*TOC, []string, error) {
	switch {
	case o.Minor < minorOldestWritten || o.Minor > minorNewestWritten:
		return nil, nil, fmt.Errorf("%w: 1.%d is not written, only 1.%d to 1.%d", ErrVersion, o.Minor, minorOldestWritten, minorNewestWritten)
	case o.Minor < minorCodec && (o.Compression == CompressionLZ4 || o.Compression == CompressionZstd):
		return nil, nil, fmt.Errorf("%w: archive version 1.%d has no %s; that needs 1.%d, which pg_restore 16 and later read", ErrVersion, o.Minor, o.Compression, minorCodec)
	}
	c := &conversion{minor: o.Minor, sources: make(map[int32][]int32)}
	c.run(cat.Entries)
	if c.err != nil {
		return nil, nil, c.err
	}
	toc := &TOC{
		Header: Header{
			Version: Version{versionMajor, o.Minor, 0}, IntSize: 4, OffSize: 8, Format: format, Compression: o.Compression,
			Level: headerLevel(o), Created: localTime(o.Created), Database: cat.Database,
			ServerVersion: VersionWithProduct(cat), DumpVersion: cat.PgDumpVersion,
		},
		Entries: make([]Entry, len(c.entries)),
		sources: c.sources,
	}
	for i := range c.entries {
		toc.Entries[i].Entry = c.entries[i]
		if o.Minor < minorTableAM { // which are read by pg_restore before 12, too: it ends where one of these is NULL
			toc.Entries[i].Nulls &^= archive.NullOwner | archive.NullDDL | archive.NullDrop
		}
	}
	return toc, c.notes(), nil
}

// headerLevel is what versions before 1.15 say of the compression: a level of zlib.
func headerLevel(o *WriteOptions) int32 {
	switch {
	case o.Compression != CompressionGzip:
		return 0
	case o.Level == 0:
		return -1
	}
	return int32(o.Level) //nolint:gosec // 1 to 9
}

func localTime(t time.Time) LocalTime {
	if t.IsZero() {
		t = time.Unix(0, 0).UTC()
	}
	dst := int32(0)
	if t.IsDST() {
		dst = 1
	}
	return LocalTime{
		Sec: int32(t.Second()), Min: int32(t.Minute()), Hour: int32(t.Hour()), Day: int32(t.Day()), //nolint:gosec // of a calendar
		Month: int32(t.Month()) - 1, Year: int32(t.Year()) - 1900, IsDST: dst, //nolint:gosec // likewise
	}
}

// Sources are the entries of the catalog whose data belongs to an entry of the table of contents, in their order: mostly it itself.
func (t *TOC) Sources(entry int32) []int32 {
	if s, ok := t.sources[entry]; ok {
		return s
	}
	return []int32{entry}
}

// conversion makes the entries of a version out of those of another.
type conversion struct {
	minor   uint8
	entries []archive.Entry
	sources map[int32][]int32
	last    int32
	blobs   map[uint32]int32 // the BLOB entry of each large object that was listed in a group
	groups  map[int32][]uint32
	blobsID int32           // the one BLOBS entry
	dropped map[int32]int32 // entries that are gone, and what stands for them; 0 for nothing
	lost    map[string][]string
	err     error // the first entry that can't be converted
}

func (c *conversion) run(from []archive.Entry) {
	c.blobs, c.groups, c.dropped, c.lost = make(map[uint32]int32), make(map[int32][]uint32), make(map[int32]int32), make(map[string][]string)
	for i := range from {
		c.last = max(c.last, from[i].ID)
	}
	c.entries = make([]archive.Entry, 0, len(from))
	for i := range from {
		e := from[i]
		if e.Global() { // pg_dump's formats have none, and pg_restore would restore them always
			c.lose("roles and tablespaces", &e)
			c.dropped[e.ID] = 0
			continue
		}
		if e.CatalogStatistics() { // pg_restore would not restore them without errors
			c.lose("statistics as rows of the server's catalog (run ANALYZE)", &e)
			c.dropped[e.ID] = 0
			continue
		}
		if c.minor < minorRelKind {
			if c.down(&e) {
				continue
			}
		} else if e.Kind == kindBlobs && e.Name == kindBlobs {
			if first := firstBlob(from); first != "" {
				e.Name = first
			}
		}
		if c.minor < minorTableAM {
			if e.TableAM != "" && e.TableAM != "heap" {
				c.lose("table access method "+e.TableAM, &e)
			}
			e.TableAM = ""
			e.Nulls |= archive.NullTableAM
		} else if e.TableAM == "" {
			e.Nulls |= archive.NullTableAM
		}
		c.entries = append(c.entries, e)
	}
	if len(c.blobs) > 0 {
		c.moveBlobs()
	}
	if len(c.dropped) == 0 {
		return
	}
	for i := range c.entries {
		c.entries[i].Deps = c.kept(c.entries[i].Deps)
	}
}

// firstBlob is the lowest OID of a BLOB entry. From 1.16 on a BLOBS entry is named so, and in a tar archive pg_restore looks for
// the member of that large object to begin with.
func firstBlob(from []archive.Entry) string {
	first := uint64(0)
	for i := range from {
		if from[i].Kind != kindBlob {
			continue
		}
		if oid, err := strconv.ParseUint(from[i].Name, 10, 32); err == nil && (first == 0 || oid < first) {
			first = oid
		}
	}
	if first == 0 {
		return ""
	}
	return strconv.FormatUint(first, 10)
}

// kept replaces dependencies on entries that are gone.
func (c *conversion) kept(deps []int32) []int32 {
	if !slices.ContainsFunc(deps, func(id int32) bool { _, gone := c.dropped[id]; return gone }) {
		return deps
	}
	all := make([]int32, 0, len(deps))
	for _, id := range deps {
		stand, gone := c.dropped[id]
		switch {
		case !gone:
			all = append(all, id)
		case stand != 0 && !slices.Contains(all, stand):
			all = append(all, stand)
		}
	}
	return all
}

func (c *conversion) lose(what string, e *archive.Entry) {
	name := e.Name
	if e.Schema != "" {
		name = e.Schema + "." + name
	}
	c.lost[what] = append(c.lost[what], name)
}

// notes says what is lost, in the order of the names.
func (c *conversion) notes() []string {
	var notes []string
	for _, what := range slices.Sorted(maps.Keys(c.lost)) {
		const most = 10
		names := c.lost[what]
		more := ""
		if len(names) > most {
			more = fmt.Sprintf(" and %d more", len(names)-most)
			names = names[:most]
		}
		notes = append(notes, fmt.Sprintf("the format, in version 1.%d, does not hold: %s: %s%s", c.minor, what, strings.Join(names, ", "), more))
	}
	return notes
}
