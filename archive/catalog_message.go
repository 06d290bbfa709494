package archive

import (
	"encoding/binary"
	"fmt"
	"math"
)

// maxCatalog limits the bytes of a catalog, which is held in memory whole.
const maxCatalog = 1 << 30

// appendCatalog writes c as a message:
//
//	1 database  2 encoding  3 server version  4 product  5 pg_dump version  6 TOC version  7 entry, repeated
func appendCatalog(b []byte, c *Catalog) []byte {
	b = appendString(b, 1, c.Database)
	b = appendString(b, 2, c.Encoding)
	b = appendString(b, 3, c.ServerVersion)
	b = appendString(b, 4, c.Product)
	b = appendString(b, 5, c.PgDumpVersion)
	b = appendString(b, 6, c.TOCVersion)
	var e []byte
	for i := range c.Entries {
		e = appendEntry(e[:0], &c.Entries[i])
		b = appendField(b, 7, e)
	}
	return b
}

func parseCatalog(s string) (*Catalog, error) {
	c := &Catalog{}
	f := fields{s: s, repeat: []uint64{7}}
	for f.next() {
		switch f.num {
		case 1:
			c.Database = f.str()
		case 2:
			c.Encoding = f.str()
		case 3:
			c.ServerVersion = f.str()
		case 4:
			c.Product = f.str()
		case 5:
			c.PgDumpVersion = f.str()
		case 6:
			c.TOCVersion = f.str()
		case 7:
			e, err := parseEntry(f.body)
			if err != nil {
				return nil, fmt.Errorf("catalog entry %d: %w", len(c.Entries)+1, err)
			}
			c.Entries = append(c.Entries, e)
		}
	}
	if f.err != nil {
		return nil, fmt.Errorf("catalog: %w", f.err)
	}
	return c, nil
}

// appendEntry writes e as a message:
//
//	 1 id, zigzag   2 table OID  3 OID    4 kind        5 schema     6 name      7 owner          8 section  9 DDL
//	10 drop        11 copy      12 tablespace  13 table AM  14 relkind  15 with OIDs  16 had dumper
//	17 dependencies, zigzag one after the other  18 nulls
func appendEntry(b []byte, e *Entry) []byte {
	b = appendInt(b, 1, int64(e.ID))
	b = appendUint(b, 2, uint64(e.TableOID))
	b = appendUint(b, 3, uint64(e.OID))
	b = appendString(b, 4, e.Kind)
	b = appendString(b, 5, e.Schema)
	b = appendString(b, 6, e.Name)
	b = appendString(b, 7, e.Owner)
	b = appendUint(b, 8, uint64(e.Section))
	b = appendString(b, 9, e.DDL)
	b = appendString(b, 10, e.Drop)
	b = appendString(b, 11, e.Copy)
	b = appendString(b, 12, e.Tablespace)
	b = appendString(b, 13, e.TableAM)
	b = appendUint(b, 14, uint64(e.RelKind))
	b = appendBool(b, 15, e.WithOIDs)
	b = appendBool(b, 16, e.HadDumper)
	if len(e.Deps) > 0 {
		deps := make([]byte, 0, len(e.Deps)*2)
		for _, d := range e.Deps {
			deps = binary.AppendUvarint(deps, zigzag(int64(d)))
		}
		b = appendField(b, 17, deps)
	}
	return appendUint(b, 18, uint64(e.Nulls))
}

func parseEntry(s string) (Entry, error) {
	var e Entry
	f := fields{s: s}
	for f.next() {
		switch f.num {
		case 1:
			e.ID = f.int32()
		case 2:
			e.TableOID = uint32(f.uint(math.MaxUint32))
		case 3:
			e.OID = uint32(f.uint(math.MaxUint32))
		case 4:
			e.Kind = f.str()
		case 5:
			e.Schema = f.str()
		case 6:
			e.Name = f.str()
		case 7:
			e.Owner = f.str()
		case 8:
			e.Section = Section(f.uint(math.MaxUint8))
		case 9:
			e.DDL = f.str()
		case 10:
			e.Drop = f.str()
		case 11:
			e.Copy = f.str()
		case 12:
			e.Tablespace = f.str()
		case 13:
			e.TableAM = f.str()
		case 14:
			e.RelKind = byte(f.uint(math.MaxUint8))
		case 15:
			e.WithOIDs = f.bool()
		case 16:
			e.HadDumper = f.bool()
		case 17:
			e.Deps = f.int32s()
		case 18:
			e.Nulls = NullSet(f.uint(math.MaxUint16))
		}
	}
	return e, f.err
}

// int32s returns the field as zigzag numbers, at least one.
func (f *fields) int32s() []int32 {
	out := make([]int32, 0, len(f.body)/2+1)
	for s := f.str(); s != ""; {
		v, n := uvarint(s)
		if n == 0 || v > math.MaxUint32 {
			f.fail("field %d holds no list of numbers", f.num)
			return nil
		}
		out = append(out, int32(unzigzag(v)))
		s = s[n:]
	}
	return out
}
