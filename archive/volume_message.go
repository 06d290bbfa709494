package archive

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// maxVolumes limits the bytes of the list of volumes. One of 1000 volumes of 1000 tables each takes 70 MB.
const maxVolumes = 1 << 30

// appendVolumes writes l as a message: 1 set id  2 volume, repeated  3 binding, repeated.
func appendVolumes(b []byte, l *VolumeList) []byte {
	b = appendField(b, 1, l.Set[:])
	for i := range l.Volumes {
		b = appendField(b, 2, appendVolume(nil, &l.Volumes[i]))
	}
	for _, x := range l.Bindings {
		b = appendField(b, 3, appendInt(appendUint(nil, 1, uint64(x.OID)), 2, int64(x.Entry)))
	}
	return b
}

func parseVolumes(s string) (*VolumeList, error) {
	l := &VolumeList{}
	f := fields{s: s, repeat: []uint64{2, 3}}
	for f.next() {
		switch f.num {
		case 1:
			l.Set = SetID(f.raw(len(l.Set)))
		case 2:
			v, err := parseVolume(f.body)
			if err != nil {
				return nil, err
			}
			if int64(v.Number) != int64(len(l.Volumes))+1 { // before very many are read
				return nil, fmt.Errorf("list of volumes: volume %d is in the place of %d", v.Number, len(l.Volumes)+1)
			}
			l.Volumes = append(l.Volumes, v)
		case 3:
			b, err := parseBinding(f.body)
			if err != nil {
				return nil, err
			}
			l.Bindings = append(l.Bindings, b)
		}
	}
	if f.err != nil {
		return nil, fmt.Errorf("list of volumes: %w", f.err)
	}
	return l, l.check()
}

// check says what is wrong with a list.
func (l *VolumeList) check() error {
	if l.Set == (SetID{}) {
		return errors.New("list of volumes: it has no id of a set")
	}
	for i := range l.Volumes {
		if v := &l.Volumes[i]; int64(v.Number) != int64(i)+1 {
			return fmt.Errorf("list of volumes: volume %d is in the place of %d", v.Number, i+1)
		}
		if err := l.Volumes[i].check(); err != nil {
			return err
		}
	}
	for i, b := range l.Bindings {
		if b.OID == 0 || b.Entry < 0 || i > 0 && b.OID <= l.Bindings[i-1].OID {
			return fmt.Errorf("list of volumes: the binding of table %d is invalid or out of order", b.OID)
		}
	}
	return nil
}

// appendVolume writes v as a message:
//
//	1 number  2 volume id  3 root  4 length  5 node  6 host  7 path  8 streams  9 rows  10 raw bytes  11 table, repeated
func appendVolume(b []byte, v *Volume) []byte {
	b = appendUint(b, 1, uint64(v.Number))
	b = appendField(b, 2, v.ID[:])
	b = appendField(b, 3, v.Root[:])
	b = appendUint(b, 4, v.Bytes)
	b = appendUint(b, 5, uint64(v.Node))
	b = appendString(b, 6, v.Host)
	b = appendString(b, 7, v.Path)
	b = appendUint(b, 8, v.Streams)
	b = appendUint(b, 9, v.Rows)
	b = appendUint(b, 10, v.RawBytes)
	for i := range v.Tables {
		b = appendField(b, 11, appendVolumeTable(nil, &v.Tables[i]))
	}
	return b
}

func parseVolume(s string) (Volume, error) {
	var v Volume
	f := fields{s: s, repeat: []uint64{11}}
	seen := 0
	for f.next() {
		switch f.num {
		case 1:
			v.Number = uint32(f.uint(MaxVolumes))
			seen++
		case 2:
			v.ID = VolumeID(f.raw(len(v.ID)))
			seen++
		case 3:
			v.Root = [32]byte(f.raw(len(v.Root)))
			seen++
		case 4:
			v.Bytes = f.uint(math.MaxInt64)
			seen++
		case 5:
			v.Node = uint32(f.uint(math.MaxUint32))
		case 6:
			v.Host = f.str()
		case 7:
			v.Path = f.str()
		case 8:
			v.Streams = f.uint(math.MaxInt32)
		case 9:
			v.Rows = f.uint(math.MaxUint64)
		case 10:
			v.RawBytes = f.uint(math.MaxUint64)
		case 11:
			t, err := parseVolumeTable(f.body)
			if err != nil {
				return v, err
			}
			v.Tables = append(v.Tables, t)
		}
	}
	switch {
	case f.err != nil:
		return v, fmt.Errorf("description of a volume: %w", f.err)
	case seen != 4:
		return v, errors.New("description of a volume: its number, id, root or length is missing")
	}
	return v, v.check()
}

// check says what is wrong with what is said of a volume.
func (v *Volume) check() error {
	fail := func(what string) error { return fmt.Errorf("description of volume %d: %s", v.Number, what) }
	if v.Number == 0 || v.Number > MaxVolumes || v.Bytes == 0 || v.Bytes > math.MaxInt64 || v.Streams > math.MaxInt32 {
		return fail("its number, length or number of streams is out of bounds")
	}
	if strings.ContainsRune(v.Path, 0) || strings.ContainsRune(v.Host, 0) {
		return fail("host or path has a character of value 0")
	}
	var rows, raw uint64
	for i, t := range v.Tables {
		if i > 0 {
			if p := &v.Tables[i-1]; t.OID < p.OID || t.OID == p.OID && t.Entry <= p.Entry {
				return fail("its tables are out of order")
			}
		}
		rows += t.Digest.Rows
		raw += t.Raw
	}
	if rows != v.Rows || raw != v.RawBytes {
		return fail("its tables have other rows or bytes than it has")
	}
	return nil
}

// appendVolumeTable: 1 OID  2 entry  3 digest, 32 bytes  4 raw bytes  5 stored bytes  6 blocks.
func appendVolumeTable(b []byte, t *VolumeTable) []byte {
	b = appendUint(b, 1, uint64(t.OID))
	b = appendInt(b, 2, int64(t.Entry))
	b = appendField(b, 3, t.Digest.appendBinary(nil))
	b = appendUint(b, 4, t.Raw)
	b = appendUint(b, 5, t.Stored)
	return appendUint(b, 6, t.Blocks)
}

func parseVolumeTable(s string) (VolumeTable, error) {
	var t VolumeTable
	f := fields{s: s}
	seen := false
	for f.next() {
		switch f.num {
		case 1:
			t.OID = uint32(f.uint(math.MaxUint32))
		case 2:
			t.Entry = f.int32()
		case 3:
			t.Digest = digestFromBinary(f.raw(digestLen))
			seen = true
		case 4:
			t.Raw = f.uint(math.MaxUint64)
		case 5:
			t.Stored = f.uint(math.MaxUint64)
		case 6:
			t.Blocks = f.uint(math.MaxUint64)
		}
	}
	if f.err == nil && !seen {
		f.fail("a table has no digest")
	}
	return t, f.err
}

func parseBinding(s string) (Binding, error) {
	var b Binding
	f := fields{s: s}
	for f.next() {
		switch f.num {
		case 1:
			b.OID = uint32(f.uint(math.MaxUint32))
		case 2:
			b.Entry = f.int32()
		}
	}
	return b, f.err
}

// MarshalBinary encodes v as in the list of volumes, so that the process that wrote a volume can tell the one that
// writes the lead volume.
func (v *Volume) MarshalBinary() ([]byte, error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	return appendVolume(nil, v), nil
}

// UnmarshalBinary decodes what MarshalBinary made.
func (v *Volume) UnmarshalBinary(b []byte) error {
	x, err := parseVolume(string(b))
	if err == nil {
		*v = x
	}
	return err
}
