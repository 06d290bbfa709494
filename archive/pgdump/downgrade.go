package pgdump

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pgark/pgark/archive"
)

// down converts an entry of version 1.16 for an older one, and reports whether that was done with it.
func (c *conversion) down(e *archive.Entry) (done bool) {
	if e.RelKind == relkindParted && e.TableAM != "" {
		c.lose("table access method of a partitioned table", e)
		e.TableAM = ""
	}
	e.RelKind = 0
	switch {
	case e.Kind == kindStatistics:
		c.lose("statistics", e)
		c.dropped[e.ID] = 0
		return true
	case e.Kind == kindBlobGroup:
		c.splitGroup(e)
		return true
	case e.Kind == kindBlobs:
		return c.joinBlobs(e)
	case (e.Kind == kindACL || e.Kind == kindComment || e.Kind == "SECURITY LABEL") && strings.HasPrefix(e.Name, "LARGE OBJECT"):
		return c.splitRights(e)
	}
	return false
}

// splitGroup makes an entry of each large object that a BLOB METADATA entry lists. The first keeps its ID. From 1.16 on they are part of
// the data, before they are not: BLOBS, which is data, does not depend on them.
func (c *conversion) splitGroup(e *archive.Entry) {
	for line := range strings.Lines(e.DDL) {
		oid, err := strconv.ParseUint(strings.TrimSpace(line), 10, 32)
		if err != nil || oid == 0 || c.blobs[uint32(oid)] != 0 {
			c.fail(fmt.Errorf("%w: entry %d, %s %s: %.40q is not the number of another large object", ErrDamaged, e.ID, e.Kind, e.Name, line))
			return
		}
		b := *e
		if len(c.groups[e.ID]) > 0 {
			b.ID = c.newID()
		}
		text := strconv.FormatUint(oid, 10)
		b.Kind, b.Name, b.OID, b.Section = kindBlob, text, uint32(oid), archive.SectionPreData
		b.DDL = "SELECT pg_catalog.lo_create('" + text + "');\n"
		b.Drop = "SELECT pg_catalog.lo_unlink('" + text + "');\n"
		b.Nulls &^= archive.NullDDL | archive.NullDrop
		c.groups[e.ID] = append(c.groups[e.ID], b.OID)
		c.blobs[b.OID] = b.ID
		c.entries = append(c.entries, b)
	}
}

// moveBlobs moves large objects, with what is said of them, to where older versions have them: before the data.
func (c *conversion) moveBlobs() {
	ids := make(map[int32]bool, len(c.blobs))
	for _, id := range c.blobs {
		ids[id] = true
	}
	rest := make([]archive.Entry, 0, len(c.entries))
	var moved []archive.Entry
	at := -1
	for i := range c.entries {
		e := &c.entries[i]
		if ids[e.ID] || e.Section == archive.SectionNone && len(e.Deps) == 1 && ids[e.Deps[0]] {
			moved = append(moved, *e)
			continue
		}
		if at < 0 && e.Section >= archive.SectionData {
			at = len(rest)
		}
		rest = append(rest, *e)
	}
	if at < 0 {
		at = len(rest)
	}
	c.entries = slices.Insert(rest, at, moved...)
}

// newID is an ID that no entry has.
func (c *conversion) newID() int32 {
	if c.last == math.MaxInt32 {
		c.fail(fmt.Errorf("%w: there are no numbers left for more entries", ErrDamaged))
		return c.last
	}
	c.last++
	return c.last
}

func (c *conversion) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// joinBlobs keeps one BLOBS entry for all large objects.
func (c *conversion) joinBlobs(e *archive.Entry) (done bool) {
	if c.blobsID != 0 {
		c.sources[c.blobsID] = append(c.sources[c.blobsID], e.ID)
		c.dropped[e.ID] = c.blobsID
		return true
	}
	c.blobsID = e.ID
	c.sources[e.ID] = []int32{e.ID}
	if len(c.groups) > 0 {
		e.Name, e.Deps = kindBlobs, nil
	}
	return false
}

// splitRights makes an entry for each large object of one that is about a group: it has the statements for one of them.
func (c *conversion) splitRights(e *archive.Entry) (done bool) {
	if len(e.Deps) == 0 {
		return false
	}
	oids := c.groups[e.Deps[0]]
	if len(oids) == 0 {
		return false
	}
	if e.Kind != kindACL { // of one large object
		if oid, err := strconv.ParseUint(strings.TrimPrefix(e.Name, "LARGE OBJECT "), 10, 32); err == nil && c.blobs[uint32(oid)] != 0 {
			e.Deps = []int32{c.blobs[uint32(oid)]}
		}
		return false
	}
	for i, oid := range oids {
		one := *e
		if i > 0 {
			one.ID = c.newID()
		}
		one.Name = "LARGE OBJECT " + strconv.FormatUint(uint64(oid), 10)
		one.Deps = []int32{c.blobs[oid]}
		one.DDL = rightsOf(e.DDL, oid)
		c.entries = append(c.entries, one)
	}
	return true
}

// rightsOf gives the statements for another large object.
func rightsOf(sql string, oid uint32) string {
	const mark = "LARGE OBJECT "
	var b strings.Builder
	quoted, from := false, 0
	for i := 0; i < len(sql); i++ {
		if sql[i] == '"' {
			quoted = !quoted
		}
		if quoted || !strings.HasPrefix(sql[i:], mark) {
			continue
		}
		b.WriteString(sql[from : i+len(mark)])
		b.WriteString(strconv.FormatUint(uint64(oid), 10))
		for i += len(mark); i < len(sql) && sql[i] >= '0' && sql[i] <= '9'; i++ {
		}
		from = i
		i--
	}
	b.WriteString(sql[from:])
	return b.String()
}
