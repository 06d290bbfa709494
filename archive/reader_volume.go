package archive

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sort"
)

// volume is one open volume, with its index.
type volume struct {
	r       io.ReaderAt
	size    int64
	name    string // for messages
	header  Header
	trailer trailer
	frames  frameList
	offsets []int64 // of each frame
	streams []Stream
	blocks  []uint32 // frames of blocks, by stream, block and part
	first   []int    // where each stream begins in blocks; one more than streams
	docs    map[FrameType][2][]int
	nested  []Span   // of a cluster volume: where the nested ones lie
	base    StreamID // its streams' numbers among those of the set are higher by this
}

// openVolume reads and checks trailer, header and index, of whatever kind of volume it is.
func openVolume(r io.ReaderAt, size int64, name string) (*volume, error) {
	v := &volume{r: r, size: size, name: name}
	if err := v.open(); err != nil {
		return nil, v.locate(err)
	}
	return v, nil
}

// locate adds the name of the volume to err.
func (v *volume) locate(err error) error {
	var d *DamageError
	switch {
	case err == nil || v.name == "":
	case errors.As(err, &d):
		d.Volume = v.name
	default:
		return fmt.Errorf("%s: %w", v.name, err)
	}
	return err
}

// number is that of the volume in its set.
func (v *volume) number() uint32 { return v.header.Member.Number }

// allFrames yields what the index says, with the numbers that the streams have in the set.
func (v *volume) allFrames() iter.Seq[FrameInfo] {
	return func(yield func(FrameInfo) bool) {
		for i := range v.frames.n {
			if !yield(v.frameInfo(i)) {
				return
			}
		}
	}
}

func (v *volume) frameInfo(i int) FrameInfo {
	r := v.frames.at(i)
	f := FrameInfo{
		Volume: v.number(), Offset: v.offsets[i], Type: r.typ, Codec: r.codec, More: r.more(), Stream: r.stream, Block: r.block,
		Part: r.part, Rows: r.rows, Raw: r.raw, Stored: r.stored, SHA256: r.sha,
	}
	if f.Stream != 0 {
		f.Stream += v.base
	}
	return f
}

// streamBlocks yields the blocks of the stream that has number id in this volume.
func (v *volume) streamBlocks(id StreamID) iter.Seq[Block] {
	return func(yield func(Block) bool) {
		all := v.streamFrames(id)
		for len(all) > 0 {
			n := v.parts(all)
			if !yield(v.block(all[:n])) {
				return
			}
			all = all[n:]
		}
	}
}

// streamFrames returns the block frames of a stream in order.
func (v *volume) streamFrames(id StreamID) []uint32 {
	if id == 0 || int64(id) > int64(len(v.streams)) {
		return nil
	}
	return v.blocks[v.first[id-1]:v.first[id]]
}

// parts returns how many of all make up the first block.
func (v *volume) parts(all []uint32) int {
	n := slices.IndexFunc(all, func(i uint32) bool { return !v.frames.at(int(i)).more() })
	return n + 1
}

func (v *volume) block(parts []uint32) Block {
	first := v.frames.at(int(parts[0]))
	b := Block{
		Volume: v.number(), Stream: first.stream + v.base, Seq: first.block, Offset: v.offsets[parts[0]], Codec: first.codec, Parts: len(parts),
		Floats: v.streams[first.stream-1].Floats,
	}
	for _, i := range parts {
		r := v.frames.at(int(i))
		b.Rows += r.rows
		b.Raw += uint64(r.raw)
		b.Stored += uint64(r.stored) + frameHeaderLen
	}
	return b
}

// blockFrames finds the frames of one block; nil if there is no such block.
func (v *volume) blockFrames(id StreamID, seq uint32) []uint32 {
	all := v.streamFrames(id)
	i := sort.Search(len(all), func(i int) bool { return v.frames.at(int(all[i])).block >= seq })
	if i == len(all) || v.frames.at(int(all[i])).block != seq {
		return nil
	}
	return all[i : i+v.parts(all[i:])]
}

// frameAt finds the frame that begins at offset.
func (v *volume) frameAt(offset int64) (int, bool) { return slices.BinarySearch(v.offsets, offset) }

// damage says that err is about frame i.
func (v *volume) damage(i int, err error) error {
	if err == nil {
		return nil
	}
	r := v.frames.at(i)
	e := &DamageError{
		Volume: v.name, Offset: v.offsets[i], Stream: r.stream, Block: r.block, HasBlock: r.typ == FrameBlock,
		Message: fmt.Sprintf("the %s is damaged: %v", r.typ, err), Err: ErrDamaged,
	}
	if r.stream != 0 {
		s := &v.streams[r.stream-1]
		e.Stream += v.base
		e.Schema, e.Table = s.Schema, s.Table
	}
	var cut *DamageError
	switch {
	case errors.As(err, &cut): // the volume shrank while it was open
		e.Err, e.Message = cut.Err, cut.Message
	case errors.Is(err, ErrVersion):
		e.Err = err
	}
	return e
}
