package archive

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// build derives the rest from the index, and checks that the index makes sense.
func (x *Reader) build(streams []streamRecord) error {
	if x.frames.n > math.MaxInt32 || x.frames.n == 0 || x.frames.at(0).typ != FrameHeader {
		return errors.New("it has too many frames or does not begin with the header")
	}
	b := &builder{x: x, opened: make([]bool, len(streams)), ended: make([]bool, len(streams)), counts: make([]int, len(streams)+1)}
	x.offsets = make([]int64, x.frames.n)
	x.docs = map[FrameType][2][]int{}
	at := uint64(0)
	for i := range x.frames.n {
		r := x.frames.at(i)
		x.offsets[i] = int64(at)
		if at += frameHeaderLen + uint64(r.stored); at > x.trailer.indexOffset {
			return errors.New("its frames are longer than the volume")
		}
		if err := b.frame(i, r); err != nil {
			return err
		}
	}
	if at != x.trailer.indexOffset {
		return errors.New("its frames are shorter than the volume")
	}
	if i := slices.Index(b.ended, false); i >= 0 {
		return fmt.Errorf("stream %d has no end", i+1)
	}
	b.sortBlocks()
	x.entries = make(map[int32][]Stream)
	for i := range streams {
		s, err := x.buildStream(&streams[i])
		if err != nil {
			return fmt.Errorf("stream %d of %s: %w", i+1, tableName(streams[i].info.Schema, streams[i].info.Table), err)
		}
		x.streams = append(x.streams, s)
		x.entries[s.Entry] = append(x.entries[s.Entry], s)
	}
	return x.checkDocuments()
}

// builder goes over the frames of an index in their order.
type builder struct {
	x             *Reader
	opened, ended []bool
	counts        []int // block frames of each stream
}

func (b *builder) frame(i int, r *frameRecord) error {
	switch r.typ {
	case FrameHeader:
		if i != 0 {
			return errors.New("it has a second header")
		}
	case FrameMoment, FrameCatalog:
		if r.block > 1 {
			return fmt.Errorf("it has more than two copies of the %s", r.typ)
		}
		d := b.x.docs[r.typ]
		d[r.block] = append(d[r.block], i)
		b.x.docs[r.typ] = d
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

// sortBlocks fills Reader.blocks and Reader.first.
func (b *builder) sortBlocks() {
	x := b.x
	x.first = make([]int, len(b.counts))
	n := 0
	for i, c := range b.counts {
		x.first[i] = n
		n += c
	}
	x.blocks = make([]uint32, n)
	next := slices.Clone(x.first)
	for i := range x.frames.n {
		if r := x.frames.at(i); r.typ == FrameBlock {
			x.blocks[next[r.stream-1]] = uint32(i)
			next[r.stream-1]++
		}
	}
	order := func(i, j uint32) int {
		a, b := x.frames.at(int(i)), x.frames.at(int(j))
		return cmp.Or(cmp.Compare(a.block, b.block), cmp.Compare(i, j))
	}
	for i := range len(b.counts) - 1 {
		if part := x.blocks[x.first[i]:x.first[i+1]]; !slices.IsSortedFunc(part, order) {
			slices.SortFunc(part, order)
		}
	}
}

// buildStream sums up the blocks of a stream and compares them with its digest.
func (x *Reader) buildStream(r *streamRecord) (Stream, error) {
	s := Stream{StreamInfo: r.info, ID: r.id, Digest: r.digest}
	var rows, raw uint64
	part, more := uint32(0), false
	for _, i := range x.blocks[x.first[r.id-1]:x.first[r.id]] {
		f := x.frames.at(int(i))
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

// checkDocuments checks that two whole copies of moment and catalog are there.
func (x *Reader) checkDocuments() error {
	for _, t := range []FrameType{FrameMoment, FrameCatalog} {
		for _, parts := range x.docs[t] {
			if len(parts) == 0 {
				return fmt.Errorf("a copy of the %s is missing", t)
			}
			for n, i := range parts {
				if f := x.frames.at(i); int64(f.part) != int64(n) || f.more() != (n < len(parts)-1) {
					return fmt.Errorf("a part of the %s is missing", t)
				}
			}
		}
	}
	return nil
}
