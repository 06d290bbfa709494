package archive

import "io"

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

// StreamSpans returns where the frames of some streams of one volume lie in it, in the order of the volume, with neighbours
// joined. Streams that there aren't have none.
func (x *Reader) StreamSpans(ids []StreamID) []Span {
	if len(ids) == 0 {
		return nil
	}
	v, _ := x.streamVolume(ids[0])
	wanted := make([]bool, len(v.streams)+1)
	for _, id := range ids {
		if of, local := x.streamVolume(id); of == v {
			wanted[local] = true
		}
	}
	wanted[0] = false // documents, and streams that there aren't
	var spans []Span
	for i := range v.frames.n {
		r := v.frames.at(i)
		if !wanted[r.stream] {
			continue
		}
		s := Span{v.offsets[i], frameHeaderLen + int64(r.stored)}
		if n := len(spans); n > 0 && spans[n-1].Offset+spans[n-1].Length == s.Offset {
			spans[n-1].Length += s.Length
			continue
		}
		spans = append(spans, s)
	}
	return spans
}
