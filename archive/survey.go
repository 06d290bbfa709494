package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// survey is all that the frames of a volume tell by themselves, whatever state its index is in.
type survey struct {
	r       io.ReaderAt
	size    int64
	tag     [8]byte
	header  *Header
	trailer *trailer
	index   *index // if all of it is there
	frames  frameList
	offsets []int64
	bad     map[int]error // frames whose payload is damaged, or unknown to this version
	gaps    []gap
	streams map[StreamID]*surveyStream
	blocks  map[StreamID][]uint32 // frames of each stream's blocks, by block, part and offset

	parser indexParser
	broken bool // parser failed
}

// gap is bytes that belong to no frame.
type gap struct{ offset, size int64 }

// surveyStream is what is known of a stream, from its own frames or from the index.
type surveyStream struct {
	info *StreamInfo // nil if its description is lost
	end  *streamEnd  // nil if its end is lost
}

// takeSurvey scans the volume once. each, if there is one, sees all that the scan finds, after it was noted.
func takeSurvey(ctx context.Context, r io.ReaderAt, size int64, each func(*survey, *found) error) (*survey, error) {
	tag, ok, err := volumeTag(ctx, r, size)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrNotArchive
	}
	s := &survey{
		r: r, size: size, tag: tag, bad: map[int]error{}, streams: map[StreamID]*surveyStream{},
		parser: indexParser{tag: tag},
	}
	err = scan(ctx, r, size, &tag, func(f *found) error {
		s.note(f)
		if each != nil {
			return each(s, f)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.finish()
	return s, nil
}

// note keeps what f tells.
func (s *survey) note(f *found) {
	switch f.kind {
	case scanTrailer:
		s.trailer = &f.trailer
		return
	case scanGap:
		s.gaps = append(s.gaps, gap{f.offset, f.size})
		return
	case scanBad:
		s.bad[s.frames.n] = f.err
	case scanFrame:
		if f.err == nil {
			f.err = s.read(f)
		}
		if f.err != nil {
			s.bad[s.frames.n] = f.err
		}
	}
	s.frames.add(recordOf(&f.hdr, [32]byte{}))
	s.offsets = append(s.offsets, f.offset)
}

// read parses the small frames of which everything else hangs.
func (s *survey) read(f *found) error {
	if f.hdr.codec != CodecNone && f.hdr.typ != FrameIndex {
		return nil // none of the small ones
	}
	switch f.hdr.typ {
	case FrameHeader:
		h, err := parseHeader(f.payload)
		if err == nil && f.offset == 0 {
			s.header = &h
		}
		return err
	case FrameStream:
		info, err := parseStreamInfo(string(f.payload))
		if err == nil {
			s.stream(f.hdr.stream).info = &info
		}
		return err
	case FrameStreamEnd:
		end, err := parseStreamEnd(f.payload)
		if err == nil {
			s.stream(f.hdr.stream).end = &end
		}
		return err
	case FrameIndex:
		err := s.parser.add(&f.hdr, f.payload)
		s.broken = s.broken || err != nil
		return err
	}
	return nil
}

func (s *survey) stream(id StreamID) *surveyStream {
	x := s.streams[id]
	if x == nil {
		x = &surveyStream{}
		s.streams[id] = x
	}
	return x
}

// finish sorts the blocks, and fills in from the index what the frames didn't tell.
func (s *survey) finish() {
	s.blocks = make(map[StreamID][]uint32)
	for i := range s.frames.n {
		if r := s.frames.at(i); r.typ == FrameBlock {
			s.stream(r.stream)
			s.blocks[r.stream] = append(s.blocks[r.stream], uint32(i))
		}
	}
	for _, frames := range s.blocks {
		slices.SortStableFunc(frames, func(i, j uint32) int {
			a, b := s.frames.at(int(i)), s.frames.at(int(j))
			return cmp.Or(cmp.Compare(a.block, b.block), cmp.Compare(a.part, b.part))
		})
	}
	if s.broken || !s.parser.done {
		return
	}
	s.index = &s.parser.index
	blocks := make([]uint32, len(s.index.streams)+1)
	for i := range s.index.frames.n {
		r := s.index.frames.at(i)
		if r.typ == FrameBlock && !r.more() && int64(r.stream) < int64(len(blocks)) {
			blocks[r.stream]++
		}
	}
	for i := range s.index.streams {
		r := &s.index.streams[i]
		x := s.stream(r.id)
		x.info = &r.info
		x.end = &streamEnd{digest: r.digest, blocks: blocks[r.id]}
	}
}

// ids returns the streams in order.
func (s *survey) ids() []StreamID { return slices.Sorted(maps.Keys(s.streams)) }

// name returns schema and table of a stream, empty if they are lost.
func (s *survey) name(id StreamID) (schema, table string) {
	if x := s.streams[id]; x != nil && x.info != nil {
		return x.info.Schema, x.info.Table
	}
	return "", ""
}

var errDocumentLost = errors.New("no copy of it is whole")

// document puts moment or catalog together from the sound parts of both copies.
func (s *survey) document(t FrameType, limit int) (string, error) {
	parts := map[uint32]int{}
	for i := range s.frames.n {
		r := s.frames.at(i)
		if r.typ == t && s.bad[i] == nil {
			if _, ok := parts[r.part]; !ok {
				parts[r.part] = i
			}
		}
	}
	var doc strings.Builder
	var u unpacker
	var buf []byte
	for n := uint32(0); ; n++ {
		i, ok := parts[n]
		if !ok {
			return "", errDocumentLost
		}
		r := s.frames.at(i)
		if doc.Len()+int(r.raw) > limit {
			return "", fmt.Errorf("it has more than %d bytes", limit)
		}
		raw, err := s.load(i, &buf, &u)
		if err != nil {
			return "", err
		}
		doc.Write(raw)
		if !r.more() {
			return doc.String(), nil
		}
	}
}

// load reads frame i again, into buf, and returns its raw bytes, valid as long as buf and u are left alone.
func (s *survey) load(i int, buf *[]byte, u *unpacker) ([]byte, error) {
	r := s.frames.at(i)
	*buf = grow(*buf, frameHeaderLen+int(r.stored))
	if err := readAt(s.r, *buf, s.offsets[i]); err != nil {
		return nil, err
	}
	h, err := parseFrameHeader(*buf)
	if err != nil {
		return nil, err
	}
	if h.stored != r.stored {
		return nil, errors.New("the frame changed while it was read")
	}
	return u.unpack(&h, (*buf)[frameHeaderLen:])
}
