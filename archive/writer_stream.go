package archive

import (
	"errors"
	"fmt"
	"math"
)

// writerStream is what the writer knows of a stream.
type writerStream struct {
	info    StreamInfo
	digest  Digest // from CloseStream
	rows    uint64
	raw     uint64
	stored  uint64            // with frame headers
	blocks  uint64            // appended whole
	seen    []uint64          // a bit for each block that was begun
	partial map[uint32]uint32 // next part of each block that was begun and not ended
	closed  bool
}

func (s *writerStream) record(i int) *streamRecord {
	return &streamRecord{id: StreamID(i + 1), info: s.info, digest: s.digest}
}

// OpenStream begins a stream and writes its description. Blocks of any number of open streams may be appended.
// info.Columns is kept and must not change.
func (x *Writer) OpenStream(info StreamInfo) (StreamID, error) {
	err := x.begin()
	defer x.mu.Unlock()
	if err != nil {
		return 0, err
	}
	body := appendStreamInfo(nil, &info)
	switch {
	case x.member.isLead():
		return 0, x.fail(errors.New("the lead volume of a set has no rows"))
	case info.Form.check() != nil:
		return 0, x.fail(fmt.Errorf("stream of %s: row form %d is unknown", tableName(info.Schema, info.Table), info.Form))
	case info.checkFloats() != nil:
		return 0, x.fail(fmt.Errorf("stream of %s: %w", tableName(info.Schema, info.Table), info.checkFloats()))
	case len(body) > maxStreamInfo:
		return 0, x.fail(fmt.Errorf("stream of %s: its description takes %d bytes, the limit is %d",
			tableName(info.Schema, info.Table), len(body), maxStreamInfo))
	case len(x.streams) >= math.MaxInt32:
		return 0, x.fail(fmt.Errorf("more than %d streams", math.MaxInt32))
	}
	id := StreamID(len(x.streams) + 1)
	if err := x.writeFrame(x.plain, frameHeader{typ: FrameStream, stream: id}, body); err != nil {
		return 0, err
	}
	x.streams = append(x.streams, writerStream{info: info})
	x.sum.Streams++
	return id, nil
}

// stream finds an open stream. x.mu is held.
func (x *Writer) stream(id StreamID) (*writerStream, error) {
	if id == 0 || int64(id) > int64(len(x.streams)) {
		return nil, x.fail(fmt.Errorf("stream %d was never opened", id))
	}
	s := &x.streams[id-1]
	if s.closed {
		return nil, x.fail(fmt.Errorf("stream %d of %s is closed already", id, tableName(s.info.Schema, s.info.Table)))
	}
	return s, nil
}

// Append writes a frame that an [Encoder] made; f can be used again afterwards. Blocks may come in any order,
// the parts of one block in theirs, and anything may come between them.
func (x *Writer) Append(f *Frame) error {
	err := x.begin()
	defer x.mu.Unlock()
	if err != nil {
		return err
	}
	s, err := x.stream(f.hdr.stream)
	if err != nil {
		return err
	}
	if err := s.admit(&f.hdr); err != nil {
		return x.fail(fmt.Errorf("stream %d of %s: %w", f.hdr.stream, tableName(s.info.Schema, s.info.Table), err))
	}
	if err := x.put(f); err != nil {
		return err
	}
	s.rows += uint64(f.hdr.rows)
	s.raw += uint64(f.hdr.raw)
	s.stored += uint64(f.hdr.size())
	x.sum.Rows += uint64(f.hdr.rows)
	x.sum.RawBytes += uint64(f.hdr.raw)
	if !f.hdr.more() {
		s.blocks++
		x.sum.Blocks++
	}
	return nil
}

// maxAhead limits how far ahead of the blocks that are there a block number may be, which bounds the memory for gaps.
const maxAhead = 1 << 20

// admit checks that h is the next part of its block and notes it.
func (s *writerStream) admit(h *frameHeader) error {
	if h.part == 0 {
		word, bit := int(h.block/64), uint64(1)<<(h.block%64)
		if uint64(h.block) > s.blocks+maxAhead {
			return fmt.Errorf("block %d comes when only %d are there", h.block, s.blocks)
		}
		for len(s.seen) <= word {
			s.seen = append(s.seen, 0)
		}
		if s.seen[word]&bit != 0 {
			return fmt.Errorf("block %d comes twice", h.block)
		}
		s.seen[word] |= bit
	} else if next, ok := s.partial[h.block]; !ok || next != h.part {
		return fmt.Errorf("part %d of block %d comes out of order", h.part, h.block)
	}
	switch {
	case !h.more():
		delete(s.partial, h.block)
	case s.partial == nil:
		s.partial = map[uint32]uint32{h.block: h.part + 1}
	default:
		s.partial[h.block] = h.part + 1
	}
	return nil
}

// CloseStream ends a stream and writes its digest, after checking that total has as many rows and bytes as were
// appended and that no block is missing. The bytes of [FormFloats] are those of the canonical text, which are not checked.
func (x *Writer) CloseStream(id StreamID, total Digest) error {
	err := x.begin()
	defer x.mu.Unlock()
	if err != nil {
		return err
	}
	s, err := x.stream(id)
	if err != nil {
		return err
	}
	if err := s.complete(total); err != nil {
		return x.fail(fmt.Errorf("stream %d of %s: %w", id, tableName(s.info.Schema, s.info.Table), err))
	}
	end := streamEnd{digest: total, blocks: uint32(s.blocks)}
	if err := x.writeFrame(x.plain, frameHeader{typ: FrameStreamEnd, stream: id}, end.append(nil)); err != nil {
		return err
	}
	s.digest, s.closed, s.seen, s.partial = total, true, nil, nil
	return nil
}

// complete checks a stream at its end.
func (s *writerStream) complete(total Digest) error {
	if len(s.partial) > 0 {
		return fmt.Errorf("%d blocks lack their last part", len(s.partial))
	}
	for b := range s.blocks {
		if s.seen[b/64]&(1<<(b%64)) == 0 {
			return fmt.Errorf("block %d is missing", b)
		}
	}
	if total.Rows != s.rows || total.Bytes != s.raw && s.info.Form != FormFloats {
		return fmt.Errorf("its digest counts %d rows and %d bytes, its blocks hold %d and %d",
			total.Rows, total.Bytes, s.rows, s.raw)
	}
	return nil
}

// BindStream says which catalog entry a stream belongs to, where that was not known when it was opened.
// The index records it, so any time before Close will do.
func (x *Writer) BindStream(id StreamID, entry int32) error {
	err := x.begin()
	defer x.mu.Unlock()
	if err != nil {
		return err
	}
	if id == 0 || int64(id) > int64(len(x.streams)) {
		return x.fail(fmt.Errorf("stream %d was never opened", id))
	}
	x.streams[id-1].info.Entry = entry
	return nil
}
