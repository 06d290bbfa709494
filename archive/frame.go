package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The version of the format that this package writes. It reads every minor version of this major, and all earlier ones.
const (
	FormatMajor = 1
	FormatMinor = 0
	// FormatMinorCluster is the minor version of a cluster volume, which 1.0 does not have: see [ClusterWriter].
	FormatMinorCluster = 1
)

// Sizes of blocks and frames, in raw bytes (before compression).
const (
	// FrameTarget is the default size of a block, and the size at which longer things are cut into parts.
	FrameTarget = 4 << 20
	// MaxFrameRaw limits the raw and the stored bytes of any frame.
	MaxFrameRaw = 16 << 20
)

// FrameType says what a frame holds. Numbers are part of the format.
type FrameType uint8

// The frame types.
const (
	FrameHeader    FrameType = 1 // what this volume is; the first frame, once
	FrameMoment    FrameType = 2 // a part of the moment
	FrameCatalog   FrameType = 3 // a part of the catalog
	FrameStream    FrameType = 4 // opens a stream: its StreamInfo
	FrameBlock     FrameType = 5 // a part of a block: rows
	FrameStreamEnd FrameType = 6 // ends a stream: its digest and number of blocks
	FrameIndex     FrameType = 7 // a part of the index; the last frames
	FrameVolumes   FrameType = 8 // a part of the list of volumes of a set
	FrameDatabases FrameType = 9 // a part of the list of databases of a cluster volume; from version 1.1 on
)

// String names the type as the specification does.
func (t FrameType) String() string {
	switch t {
	case FrameHeader:
		return "header"
	case FrameMoment:
		return "moment"
	case FrameCatalog:
		return "catalog"
	case FrameStream:
		return "stream"
	case FrameBlock:
		return "block"
	case FrameStreamEnd:
		return "stream end"
	case FrameIndex:
		return "index"
	case FrameVolumes:
		return "volumes"
	case FrameDatabases:
		return "databases"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Bits of a frame header's flags byte.
const (
	flagMore     uint8 = 0x01 // the block or document goes on in the next part
	flagOptional uint8 = 0x02 // a reader that doesn't know the type skips the frame
	flagsKnown   uint8 = flagMore | flagOptional
)

const (
	frameMagic     = "\xf5PGK" // F5 never occurs in UTF-8 text
	frameHeaderLen = 48
	crcOffset      = 44 // of the header's own checksum
)

// frameHeader is in front of every frame:
//
//	 0  4  magic F5 50 47 4B
//	 4  1  type
//	 5  1  codec of the payload
//	 6  1  flags
//	 7  1  zero
//	 8  8  tag: the first 8 bytes of the volume's id
//	16  4  stream, 0 for frames that belong to none
//	20  4  block in the stream; for moment and catalog the number of the copy
//	24  4  part of the block, from 0
//	28  4  rows that end in this frame
//	32  4  raw length: bytes after decompression
//	36  4  stored length: bytes of payload that follow the header
//	40  4  CRC-32C of the payload
//	44  4  CRC-32C of bytes 0 to 43
type frameHeader struct {
	typ        FrameType
	codec      Codec
	flags      uint8
	tag        [8]byte
	stream     StreamID
	block      uint32
	part       uint32
	rows       uint32
	raw        uint32
	stored     uint32
	payloadCRC uint32
}

func (h *frameHeader) more() bool { return h.flags&flagMore != 0 }

// size is the number of bytes that the frame takes in the volume.
func (h *frameHeader) size() int64 { return frameHeaderLen + int64(h.stored) }

// put writes the header into the first frameHeaderLen bytes of b.
func (h *frameHeader) put(b []byte) {
	_ = b[frameHeaderLen-1]
	copy(b, frameMagic)
	b[4], b[5], b[6], b[7] = uint8(h.typ), uint8(h.codec), h.flags, 0
	copy(b[8:16], h.tag[:])
	le := binary.LittleEndian
	le.PutUint32(b[16:], uint32(h.stream))
	le.PutUint32(b[20:], h.block)
	le.PutUint32(b[24:], h.part)
	le.PutUint32(b[28:], h.rows)
	le.PutUint32(b[32:], h.raw)
	le.PutUint32(b[36:], h.stored)
	le.PutUint32(b[40:], h.payloadCRC)
	le.PutUint32(b[crcOffset:], checksum(b[:crcOffset]))
}

var (
	errNoFrame   = errors.New("no frame starts here")
	errHeaderCRC = errors.New("checksum of the frame header does not match")
)

// parseFrameHeader reads a header from the first frameHeaderLen bytes of b. Its lengths are within the limits when
// err is nil or ErrVersion.
func parseFrameHeader(b []byte) (frameHeader, error) {
	var h frameHeader
	if len(b) < frameHeaderLen || string(b[:4]) != frameMagic {
		return h, errNoFrame
	}
	le := binary.LittleEndian
	if le.Uint32(b[crcOffset:]) != checksum(b[:crcOffset]) {
		return h, errHeaderCRC
	}
	h = frameHeader{
		typ: FrameType(b[4]), codec: Codec(b[5]), flags: b[6],
		tag:    [8]byte(b[8:16]),
		stream: StreamID(le.Uint32(b[16:])), block: le.Uint32(b[20:]), part: le.Uint32(b[24:]), rows: le.Uint32(b[28:]),
		raw: le.Uint32(b[32:]), stored: le.Uint32(b[36:]), payloadCRC: le.Uint32(b[40:]),
	}
	if err := h.validate(); err != nil {
		return h, err
	}
	if b[7] != 0 {
		return h, fmt.Errorf("%w: a reserved byte of a frame header is %#x", ErrVersion, b[7])
	}
	return h, nil
}

// validate checks what can be checked of one header alone.
func (h *frameHeader) validate() error {
	switch {
	case h.raw > MaxFrameRaw || h.stored > MaxFrameRaw:
		return fmt.Errorf("frame of %d raw and %d stored bytes: the limit is %d", h.raw, h.stored, MaxFrameRaw)
	case h.stored > h.raw:
		return fmt.Errorf("frame of %d stored bytes is longer than its %d raw bytes", h.stored, h.raw)
	case h.codec == CodecNone && h.stored != h.raw:
		return fmt.Errorf("uncompressed frame of %d stored bytes says it has %d raw bytes", h.stored, h.raw)
	case h.rows > h.raw:
		return fmt.Errorf("frame of %d bytes says it has %d rows", h.raw, h.rows)
	case h.typ == 0:
		return errors.New("frame of type 0")
	case h.flags&flagOptional != 0:
		return nil
	case h.typ > FrameDatabases:
		return fmt.Errorf("%w: it holds a frame of the unknown type %d that must not be skipped", ErrVersion, h.typ)
	case h.flags&^flagsKnown != 0:
		return fmt.Errorf("%w: it holds a frame with unknown flags %#x", ErrVersion, h.flags)
	case !h.codec.known():
		return fmt.Errorf("%w: it holds a frame of the unknown codec %d", ErrVersion, h.codec)
	}
	return nil
}

// checksum is CRC-32C (Castagnoli), as in iSCSI (RFC 3720).
func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
