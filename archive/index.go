package archive

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The kinds of index records.
const (
	recordFrame  = 1
	recordStream = 2
	recordNested = 3 // of a cluster volume
)

// frameRecord is what the index keeps of a frame; 68 bytes in memory.
type frameRecord struct {
	sha    [sha256.Size]byte // of the payload as stored
	stream StreamID
	block  uint32
	part   uint32
	rows   uint32
	raw    uint32
	stored uint32
	typ    FrameType
	codec  Codec
	flags  uint8
}

func recordOf(h *frameHeader, sha [sha256.Size]byte) frameRecord {
	return frameRecord{
		sha: sha, stream: h.stream, block: h.block, part: h.part, rows: h.rows, raw: h.raw, stored: h.stored,
		typ: h.typ, codec: h.codec, flags: h.flags,
	}
}

// header returns the frame header that belongs to the record, without its checksum of the payload.
func (r *frameRecord) header(tag [8]byte) frameHeader {
	return frameHeader{
		typ: r.typ, codec: r.codec, flags: r.flags, tag: tag, stream: r.stream, block: r.block, part: r.part,
		rows: r.rows, raw: r.raw, stored: r.stored,
	}
}

func (r *frameRecord) more() bool { return r.flags&flagMore != 0 }

// frameList holds the records of very many frames without ever moving them.
type frameList struct {
	chunks [][]frameRecord
	n      int
}

const frameChunk = 4096

func (l *frameList) add(r frameRecord) {
	if l.n%frameChunk == 0 {
		size := frameChunk
		if l.n == 0 {
			size = 64 // most archives are small
		}
		l.chunks = append(l.chunks, make([]frameRecord, 0, size))
	}
	last := &l.chunks[len(l.chunks)-1]
	*last = append(*last, r)
	l.n++
}

func (l *frameList) at(i int) *frameRecord { return &l.chunks[i/frameChunk][i%frameChunk] }

// appendFrameRecord writes one record of the index: kind, length, and
//
//	type, codec, flags: a byte each
//	stream, block, part, rows, raw length, stored length: uvarints
//	SHA-256 of the payload
func appendFrameRecord(b []byte, r *frameRecord) []byte {
	var body [3 + 6*binary.MaxVarintLen32 + sha256.Size]byte
	p := append(body[:0], uint8(r.typ), uint8(r.codec), r.flags)
	for _, v := range []uint32{uint32(r.stream), r.block, r.part, r.rows, r.raw, r.stored} {
		p = binary.AppendUvarint(p, uint64(v))
	}
	return appendField(b, recordFrame, append(p, r.sha[:]...))
}

func parseFrameRecord(s string) (frameRecord, error) {
	var r frameRecord
	if len(s) < 3 {
		return r, errIndexRecord
	}
	r.typ, r.codec, r.flags = FrameType(s[0]), Codec(s[1]), s[2]
	s = s[3:]
	for _, p := range []*uint32{(*uint32)(&r.stream), &r.block, &r.part, &r.rows, &r.raw, &r.stored} {
		v, n := uvarint(s)
		if n == 0 || v > math.MaxUint32 {
			return r, errIndexRecord
		}
		*p, s = uint32(v), s[n:]
	}
	if len(s) != sha256.Size {
		return r, errIndexRecord
	}
	copy(r.sha[:], s)
	h := r.header([8]byte{})
	return r, h.validate()
}

var errIndexRecord = errors.New("a record of the index is invalid")

// streamRecord is what the index keeps of a stream.
type streamRecord struct {
	id     StreamID
	info   StreamInfo
	digest Digest
}

// appendStreamRecord: 1 id  2 description, see appendStreamInfo  3 digest, 32 bytes.
func appendStreamRecord(b []byte, r *streamRecord) []byte {
	m := appendUint(nil, 1, uint64(r.id))
	m = appendField(m, 2, appendStreamInfo(nil, &r.info))
	m = appendField(m, 3, r.digest.appendBinary(nil))
	return appendField(b, recordStream, m)
}

func parseStreamRecord(s string) (streamRecord, error) {
	var r streamRecord
	var err error
	f := fields{s: s}
	seen := 0
	for f.next() {
		switch f.num {
		case 1:
			r.id = StreamID(f.uint(math.MaxUint32))
			seen++
		case 2:
			if r.info, err = parseStreamInfo(f.body); err != nil {
				return r, err
			}
			seen++
		case 3:
			r.digest = digestFromBinary(f.raw(digestLen))
			seen++
		}
	}
	if f.err == nil && seen != 3 {
		return r, errIndexRecord
	}
	return r, f.err
}

// index is what the index of a volume says, in the order it says it.
type index struct {
	frames  frameList
	streams []streamRecord
	nested  []nestedRecord // of a cluster volume
}

// nestedRecord says that a nested volume stands between two frames.
type nestedRecord struct {
	before int // number of the frame that follows it
	length uint64
}

// appendNestedRecord: the length as a uvarint.
func appendNestedRecord(b []byte, length uint64) []byte {
	return appendField(b, recordNested, binary.AppendUvarint(nil, length))
}

// parsePart adds the records of one raw part of the index. No record goes over from one part to the next.
func (x *index) parsePart(s string) error {
	for s != "" {
		kind, n := uvarint(s)
		size, k := uvarint(s[n:])
		if n == 0 || k == 0 || size > uint64(len(s)-n-k) {
			return errIndexRecord
		}
		body := s[n+k : n+k+int(size)]
		s = s[n+k+int(size):]
		switch kind {
		case recordFrame:
			r, err := parseFrameRecord(body)
			if err != nil {
				return err
			}
			x.frames.add(r)
		case recordStream:
			r, err := parseStreamRecord(body)
			if err != nil {
				return err
			}
			if int64(r.id) != int64(len(x.streams))+1 {
				return fmt.Errorf("%w: stream %d in place of %d", errIndexRecord, r.id, len(x.streams)+1)
			}
			x.streams = append(x.streams, r)
		case recordNested:
			length, n := uvarint(body)
			if n == 0 || n != len(body) || length < minVolume || length > math.MaxInt64 || len(x.nested) == MaxDatabases {
				return errIndexRecord
			}
			x.nested = append(x.nested, nestedRecord{before: x.frames.n, length: length})
		}
	}
	return nil
}
