package archive

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Raw is what one frame of a stream is made of. It is only read, and not kept.
type Raw struct {
	Stream StreamID
	Block  uint32  // number in the stream, from 0, without gaps
	Part   uint32  // 0 for the first frame of a block
	More   bool    // the block goes on in the next part
	Data   []byte  // 1 to MaxFrameRaw bytes
	Rows   uint32  // rows that end in this frame; set from Digest where that is used
	Digest *Digest // if not nil and this frame is a whole block of text rows, their digest is added to it
	Floats string  // of a stream of FormFloats: StreamInfo.Floats, so that Digest is that of the canonical text
}

// whole says that the frame is a block of its own.
func (r *Raw) whole() bool { return r.Part == 0 && !r.More }

// Frame is an encoded frame, ready for [Writer.Append]. The zero value is ready for [Encoder.Encode], which
// reuses its memory. It may go from one goroutine to another, not be shared.
type Frame struct {
	hdr frameHeader
	sha [sha256.Size]byte
	buf []byte // room for the header, then the payload
}

// Rows is the number of rows that end in the frame.
func (f *Frame) Rows() uint32 { return f.hdr.rows }

// RawBytes is the number of bytes before compression.
func (f *Frame) RawBytes() int { return int(f.hdr.raw) }

// StoredBytes is the number of bytes that the frame takes in the archive, its header included.
func (f *Frame) StoredBytes() int { return int(f.hdr.size()) }

// Encoder makes frames. It reuses its memory, a few times the size of a frame. One goroutine at a time.
type Encoder struct {
	codec Codec
	comp  compressor // nil for CodecNone
}

// NewEncoder makes an encoder for one codec. Level 0 is the codec's default.
func NewEncoder(c Codec, level int) (*Encoder, error) {
	comp, err := newCompressor(c, level)
	if err != nil {
		return nil, err
	}
	return &Encoder{codec: c, comp: comp}, nil
}

// Close releases the encoder's memory.
func (e *Encoder) Close() { e.comp = nil }

// Encode makes one frame of a block in f: counts and digests its rows, compresses it if that makes it shorter,
// and computes its checksums.
func (e *Encoder) Encode(f *Frame, b Raw) error {
	if len(b.Data) == 0 || len(b.Data) > MaxFrameRaw {
		return fmt.Errorf("a frame holds 1 to %d bytes, not %d", MaxFrameRaw, len(b.Data))
	}
	if b.Digest != nil && b.whole() {
		before := b.Digest.Rows
		if err := b.Digest.AddRowsCanonical(b.Floats, b.Data); err != nil {
			return fmt.Errorf("block %d of stream %d: %w", b.Block, b.Stream, err)
		}
		b.Rows = uint32(b.Digest.Rows - before)
	}
	if !b.whole() && (b.Rows > 1 || b.More && b.Rows > 0) {
		return errors.New("a block of several parts holds one row, which ends in its last part")
	}
	h := frameHeader{typ: FrameBlock, stream: b.Stream, block: b.Block, part: b.Part, rows: b.Rows}
	if b.More {
		h.flags = flagMore
	}
	return e.encode(f, h, b.Data)
}

// encode makes a frame of any type. h has all that doesn't follow from data.
func (e *Encoder) encode(f *Frame, h frameHeader, data []byte) error {
	n, err := e.payload(f, &h, data)
	if err != nil {
		return fmt.Errorf("compress with %s: %w", e.codec, err)
	}
	f.buf = f.buf[:frameHeaderLen+n]
	payload := f.buf[frameHeaderLen:]
	h.raw, h.stored = uint32(len(data)), uint32(n)
	h.payloadCRC = checksum(payload)
	f.sha = sha256.Sum256(payload)
	f.hdr = h
	return nil
}

// payload writes data or its compressed form behind the room for the header, and sets h.codec to what it took.
func (e *Encoder) payload(f *Frame, h *frameHeader, data []byte) (int, error) {
	size := len(data)
	if e.comp != nil {
		size = max(size, e.comp.bound(len(data)))
	}
	if cap(f.buf) < frameHeaderLen+size {
		f.buf = make([]byte, frameHeaderLen+size)
	}
	dst := f.buf[frameHeaderLen : frameHeaderLen+size]
	if e.comp != nil {
		n, err := e.comp.compress(dst, data)
		switch {
		case err == nil && n < len(data):
			h.codec = e.codec
			return n, nil
		case err != nil && !errors.Is(err, errNoGain):
			return 0, err
		}
	}
	h.codec = CodecNone
	return copy(dst, data), nil
}

// countRows returns how many rows of the form end in a whole block.
func countRows(form Form, data []byte) int {
	switch form {
	case FormText, FormFloats:
		return bytes.Count(data, []byte{'\n'})
	case FormCSV:
		var d Digest
		if d.AddCSV(data) != nil {
			return -1
		}
		return int(d.Rows)
	case FormBinary:
	}
	return 0
}
