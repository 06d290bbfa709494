package pgdump

import (
	"strconv"

	"github.com/pgark/pgark/archive"
)

// tocBuffer appends the primitives of an archive, as [scanner] reads them. Integers take intSize bytes, offsets offSize.
type tocBuffer struct {
	b                []byte
	intSize, offSize int
}

func (t *tocBuffer) int(v int32) {
	magnitude := uint64(v)
	sign := byte(0)
	if v < 0 {
		sign, magnitude = 1, uint64(-int64(v))
	}
	t.b = append(t.b, sign)
	for range t.intSize {
		t.b = append(t.b, byte(magnitude))
		magnitude >>= 8
	}
}

func (t *tocBuffer) str(s string) {
	t.int(int32(len(s))) //nolint:gosec // bounded by maxString where it was read, and by the server
	t.b = append(t.b, s...)
}

func (t *tocBuffer) null() { t.int(-1) }

func (t *tocBuffer) nullable(s string, nulls, bit archive.NullSet) {
	if nulls&bit != 0 {
		t.null()
		return
	}
	t.str(s)
}

func (t *tocBuffer) offset(state OffsetState, v uint64) {
	t.b = append(t.b, byte(state))
	for range t.offSize {
		t.b = append(t.b, byte(v))
		v >>= 8
	}
}

// Append appends header and table of contents to b, as pg_dump writes them: what [ReadTOC] has read comes out byte by byte.
func (t *TOC) Append(b []byte) []byte {
	h := &t.Header
	w := &tocBuffer{b: b, intSize: h.IntSize, offSize: h.OffSize}
	w.header(h)
	w.int(int32(len(t.Entries))) //nolint:gosec // read as such, or bounded by memory
	for i := range t.Entries {
		w.entry(h, &t.Entries[i])
	}
	return w.b
}

func (t *tocBuffer) header(h *Header) {
	t.b = append(t.b, magic...)
	t.b = append(t.b, h.Version.Major, h.Version.Minor, h.Version.Rev, byte(h.IntSize), byte(h.OffSize), byte(h.Format))
	if h.Version.Minor >= minorCodec {
		t.b = append(t.b, byte(h.Compression))
	} else {
		t.int(h.Level)
	}
	for _, v := range []int32{h.Created.Sec, h.Created.Min, h.Created.Hour, h.Created.Day, h.Created.Month, h.Created.Year, h.Created.IsDST} {
		t.int(v)
	}
	t.str(h.Database)
	t.str(h.ServerVersion)
	t.str(h.DumpVersion)
}

func (t *tocBuffer) entry(h *Header, e *Entry) {
	id, deps := e.ID, e.Deps
	if e.Kind == kindTypeStorage && len(deps) > 0 { // see renumber
		id, deps = deps[len(deps)-1], deps[:len(deps)-1]
	}
	t.int(id)
	had := int32(0)
	if e.HadDumper {
		had = 1
	}
	t.int(had)
	t.str(strconv.FormatUint(uint64(e.TableOID), 10))
	t.str(strconv.FormatUint(uint64(e.OID), 10))
	t.str(e.Name)
	t.str(e.Kind)
	if h.Version.Minor >= minorSection {
		t.int(int32(e.Section))
	}
	t.nullable(e.DDL, e.Nulls, archive.NullDDL)
	t.nullable(e.Drop, e.Nulls, archive.NullDrop)
	t.nullable(e.Copy, e.Nulls, archive.NullCopy)
	t.nullable(e.Schema, e.Nulls, archive.NullSchema)
	t.nullable(e.Tablespace, e.Nulls, archive.NullTablespace)
	if h.Version.Minor >= minorTableAM {
		t.nullable(e.TableAM, e.Nulls, archive.NullTableAM)
	}
	if h.Version.Minor >= minorRelKind {
		t.int(int32(e.RelKind))
	}
	t.nullable(e.Owner, e.Nulls, archive.NullOwner)
	t.str(strconv.FormatBool(e.WithOIDs))
	for _, d := range deps {
		t.str(strconv.FormatInt(int64(d), 10))
	}
	t.null()
	if h.Format == FormatCustom {
		t.offset(e.DataState, e.Offset)
	} else {
		t.str(e.File)
	}
}
