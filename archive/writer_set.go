package archive

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// check says what is wrong with what a caller or a header says of a volume's place in a set.
func (m *Member) check() error {
	switch {
	case m.Set == (SetID{}) && *m != (Member{}):
		return errors.New("a volume that has a number or a lead volume belongs to a set, which needs an id")
	case m.Number > MaxVolumes:
		return fmt.Errorf("volume %d of a set: the largest number is %d", m.Number, MaxVolumes)
	}
	return nil
}

// SetVolumes writes the list of a set's volumes into its lead volume, once, when all of them are whole; Close writes it a second time.
// volumes are in any order, numbered from 1 without gaps; bindings say which entries the tables of those streams belong
// to that don't know it themselves, in any order, each table once. A table without either is refused: nobody would restore it. Neither
// slice is kept or changed.
func (x *Writer) SetVolumes(volumes []Volume, bindings []Binding) error {
	bound := make(map[uint32]bool, len(bindings))
	for _, b := range bindings {
		bound[b.OID] = true
	}
	for i := range volumes {
		for _, t := range volumes[i].Tables {
			if t.Entry == 0 && t.OID != 0 && !bound[t.OID] {
				x.mu.Lock()
				defer x.mu.Unlock()
				return x.fail(fmt.Errorf("volume %d has rows of the table with OID %d, and nothing says which entry that belongs to", volumes[i].Number, t.OID))
			}
		}
	}
	return x.setVolumes(volumes, bindings)
}

func (x *Writer) setVolumes(volumes []Volume, bindings []Binding) error {
	l := &VolumeList{Set: x.member.Set, Volumes: slices.Clone(volumes), Bindings: slices.Clone(bindings)}
	slices.SortFunc(l.Volumes, func(a, b Volume) int { return cmp.Compare(a.Number, b.Number) })
	slices.SortFunc(l.Bindings, func(a, b Binding) int { return cmp.Compare(a.OID, b.OID) })
	err := l.check()
	if !x.member.isLead() {
		err = errors.New("only the lead volume of a set has a list of volumes")
	}
	if err != nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.fail(err)
	}
	return x.setDocument(FrameVolumes, appendVolumes(nil, l), maxVolumes, &x.volumes)
}

// describe sums up the streams of a member by their tables.
func (x *Writer) describe() Volume {
	v := Volume{
		Number: x.member.Number, ID: x.id, Root: x.sum.Root, Bytes: x.offset, Streams: uint64(len(x.streams)), Rows: x.sum.Rows, RawBytes: x.sum.RawBytes,
	}
	tables := map[tableKey]*VolumeTable{}
	for i := range x.streams {
		s := &x.streams[i]
		addToTable(tables, &s.info, &VolumeTable{Digest: s.digest, Raw: s.raw, Stored: s.stored, Blocks: s.blocks})
	}
	v.Tables = sortTables(tables)
	return v
}

type tableKey struct {
	oid   uint32
	entry int32
}

// addToTable adds what t counts to the table of a stream.
func addToTable(tables map[tableKey]*VolumeTable, info *StreamInfo, t *VolumeTable) {
	k := tableKey{info.OID, info.Entry}
	sum := tables[k]
	if sum == nil {
		sum = &VolumeTable{OID: info.OID, Entry: info.Entry}
		tables[k] = sum
	}
	sum.Digest.Merge(t.Digest)
	sum.Raw += t.Raw
	sum.Stored += t.Stored
	sum.Blocks += t.Blocks
}

func sortTables(tables map[tableKey]*VolumeTable) []VolumeTable {
	var list []VolumeTable
	for _, k := range slices.SortedFunc(maps.Keys(tables), func(a, b tableKey) int {
		return cmp.Or(cmp.Compare(a.oid, b.oid), cmp.Compare(a.entry, b.entry))
	}) {
		list = append(list, *tables[k])
	}
	return list
}
