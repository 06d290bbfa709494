package archive

import (
	"cmp"
	"io"
	"slices"
)

// A volume need not be here to be looked into: its header, index and trailer are enough to open it, to list its streams and
// blocks, and to prove that it is the volume that a lead volume lists, since the root covers header and index. Blocks
// can be copied as they are asked for; each is proven by the SHA-256 that the index has of it.

// Span is a run of bytes of a volume.
type Span struct{ Offset, Length int64 }

// Skeleton returns the spans of the volume of size bytes in r that opening it reads, in the order of their offsets. Whoever has
// these in their places, and anything between them, can open the volume. It looks at header and trailer only;
// errors are those of [NewReader].
func Skeleton(r io.ReaderAt, size int64) ([]Span, error) {
	v := &volume{r: r, size: size}
	if err := v.readTrailer(); err != nil {
		return nil, err
	}
	_, header, err := readHeaderFrame(r, size)
	if err != nil {
		return nil, err
	}
	return []Span{
		{0, int64(len(header))},
		{int64(v.trailer.indexOffset), int64(v.trailer.indexLen)}, // checked against size with the trailer
		{size - trailerLen, trailerLen},
	}, nil
}

// Origin says where a stream is: the number of its volume in the set, and its own number there.
func (x *Reader) Origin(id StreamID) (volume uint32, number StreamID) {
	v, local := x.streamVolume(id)
	return v.number(), local
}

// BlockSpans returns where the blocks of some streams of one volume lie in it, in the order of the volume, with neighbours
// joined. Streams that there aren't have none.
func (x *Reader) BlockSpans(ids []StreamID) []Span {
	var spans []Span
	for _, id := range ids {
		v, local := x.streamVolume(id)
		for _, i := range v.streamFrames(local) {
			spans = append(spans, Span{v.offsets[i], frameHeaderLen + int64(v.frames.at(int(i)).stored)})
		}
	}
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.Offset, b.Offset) })
	joined := spans[:0]
	for _, s := range spans {
		if n := len(joined); n > 0 && joined[n-1].Offset+joined[n-1].Length == s.Offset {
			joined[n-1].Length += s.Length
			continue
		}
		joined = append(joined, s)
	}
	return joined
}
