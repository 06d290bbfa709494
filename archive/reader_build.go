package archive

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// build derives the rest from the index, and checks that the index makes sense.
func (v *volume) build(idx *index) error {
	streams := idx.streams
	if v.frames.n > math.MaxInt32 || v.frames.n == 0 || v.frames.at(0).typ != FrameHeader {
		return errors.New("it has too many frames or does not begin with the header")
	}
	b := &builder{v: v, opened: make([]bool, len(streams)), ended: make([]bool, len(streams)), counts: make([]int, len(streams)+1)}
	v.offsets = make([]int64, v.frames.n)
	v.docs = map[FrameType][2][]int{}
	if len(idx.nested) > 0 && !v.header.Cluster {
		return errors.New("it names nested volumes, which this kind of volume does not have")
	}
	at := uint64(0)
	nested := idx.nested
	for i := range v.frames.n {
		r := v.frames.at(i)
		nested = v.buildNested(nested, i, &at)
		v.offsets[i] = int64(at)
		if at += frameHeaderLen + uint64(r.stored); at > v.trailer.indexOffset {
			return errors.New("its frames are longer than the volume")
		}
		if err := b.frame(i, r); err != nil {
			return err
		}
	}
	if v.buildNested(nested, v.frames.n, &at); at != v.trailer.indexOffset {
		return errors.New("its frames are shorter than the volume")
	}
	if i := slices.Index(b.ended, false); i >= 0 {
		return fmt.Errorf("stream %d has no end", i+1)
	}
	b.sortBlocks()
	for i := range streams {
		s, err := v.buildStream(&streams[i])
		if err != nil {
			return fmt.Errorf("stream %d of %s: %w", i+1, tableName(streams[i].info.Schema, streams[i].info.Table), err)
		}
		v.streams = append(v.streams, s)
	}
	return v.checkDocuments()
}

// buildNested places the nested volumes that stand before frame i, and returns the others. One that does not fit moves at behind
// the end of the frames, where everything that follows is an error.
func (v *volume) buildNested(nested []nestedRecord, i int, at *uint64) []nestedRecord {
	for len(nested) > 0 && nested[0].before == i {
		if *at > v.trailer.indexOffset || nested[0].length > v.trailer.indexOffset-*at {
			*at = math.MaxInt64
			return nil
		}
		v.nested = append(v.nested, Span{Offset: int64(*at), Length: int64(nested[0].length)})
		*at += nested[0].length
		nested = nested[1:]
	}
	return nested
}

// builder goes over the frames of an index in their order.
type builder struct {
	v             *volume
	opened, ended []bool
	counts        []int // block frames of each stream
}

func (b *builder) frame(i int, r *frameRecord) error {
	switch r.typ {
	case FrameHeader:
		if i != 0 {
			return errors.New("it has a second header")
		}
	case FrameMoment, FrameCatalog, FrameVolumes, FrameDatabases:
		if r.block > 1 {
			return fmt.Errorf("it has more than two copies of the %s", r.typ)
		}
		d := b.v.docs[r.typ]
		d[r.block] = append(d[r.block], i)
		b.v.docs[r.typ] = d
	case FrameStream, FrameBlock, FrameStreamEnd:
		id := int64(r.stream) - 1
		if id < 0 || id >= int64(len(b.opened)) {
			return fmt.Errorf("stream %d has no description", r.stream)
		}
		if b.opened[id] == (r.typ == FrameStream) || b.ended[id] {
			return fmt.Errorf("the frames of stream %d are in the wrong order", r.stream)
		}
		switch r.typ {
		case FrameStream:
			b.opened[id] = true
		case FrameStreamEnd:
			b.ended[id] = true
		default:
			b.counts[id]++
		}
	case FrameIndex:
		return errors.New("it has an index frame among the others")
	}
	return nil
}

// sortBlocks fills blocks and first of the volume.
func (b *builder) sortBlocks() {
	v := b.v
	v.first = make([]int, len(b.counts))
	n := 0
	for i, c := range b.counts {
		v.first[i] = n
		n += c
	}
	v.blocks = make([]uint32, n)
	next := slices.Clone(v.first)
	for i := range v.frames.n {
		if r := v.frames.at(i); r.typ == FrameBlock {
			v.blocks[next[r.stream-1]] = uint32(i)
			next[r.stream-1]++
		}
	}
	order := func(i, j uint32) int {
		a, b := v.frames.at(int(i)), v.frames.at(int(j))
		return cmp.Or(cmp.Compare(a.block, b.block), cmp.Compare(i, j))
	}
	for i := range len(b.counts) - 1 {
		if part := v.blocks[v.first[i]:v.first[i+1]]; !slices.IsSortedFunc(part, order) {
			slices.SortFunc(part, order)
		}
	}
}

// buildStream sums up the blocks of a stream and compares them with its digest.
func (v *volume) buildStream(r *streamRecord) (Stream, error) {
	s := Stream{StreamInfo: r.info, ID: r.id, Digest: r.digest}
	var rows, raw uint64
	part, more := uint32(0), false
	for _, i := range v.blocks[v.first[r.id-1]:v.first[r.id]] {
		f := v.frames.at(int(i))
		if !more {
			part = 0
		}
		if int64(f.block) != int64(s.Blocks) || f.part != part {
			return s, fmt.Errorf("part %d of block %d is missing", part, s.Blocks)
		}
		rows += uint64(f.rows)
		raw += uint64(f.raw)
		s.Stored += frameHeaderLen + uint64(f.stored)
		if more = f.more(); more {
			part++
		} else {
			s.Blocks++
		}
	}
	s.Raw = raw
	switch {
	case more:
		return s, fmt.Errorf("the last part of block %d is missing", s.Blocks)
	case rows != s.Digest.Rows || raw != s.Digest.Bytes && s.Form != FormFloats:
		return s, errors.New("its blocks have other rows or bytes than its digest")
	}
	return s, nil
}

// documents are those that the kind of volume has.
func (v *volume) documents() []FrameType {
	switch m := &v.header.Member; {
	case m.isMember():
		return nil
	case m.isLead():
		return []FrameType{FrameMoment, FrameCatalog, FrameVolumes}
	}
	if v.header.Cluster {
		return []FrameType{FrameMoment, FrameCatalog, FrameDatabases}
	}
	return []FrameType{FrameMoment, FrameCatalog}
}

// checkDocuments checks that two whole copies of each document are there, and no document that isn't to be there.
func (v *volume) checkDocuments() error {
	want := v.documents()
	for t := range v.docs {
		if !slices.Contains(want, t) {
			return fmt.Errorf("it has a %s, which this kind of volume does not have", t)
		}
	}
	if v.header.Member.isLead() && len(v.streams) > 0 {
		return errors.New("it is the lead volume of a set and has rows")
	}
	if v.header.Cluster && len(v.streams) > 0 {
		return errors.New("it is a cluster volume and has rows outside of its databases")
	}
	for _, t := range want {
		for _, parts := range v.docs[t] {
			if len(parts) == 0 {
				return fmt.Errorf("a copy of the %s is missing", t)
			}
			for n, i := range parts {
				if f := v.frames.at(i); int64(f.part) != int64(n) || f.more() != (n < len(parts)-1) {
					return fmt.Errorf("a part of the %s is missing", t)
				}
			}
		}
	}
	return nil
}
