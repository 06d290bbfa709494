package pgdump

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// Encoder encodes pieces of rows before they are handed to a [Writer], see [Writer.AddEncoded]: where they were read, instead of on
// a goroutine of the writer's. One goroutine at a time.
type Encoder struct {
	enc   pieceEncoder
	form  Compression
	piece int
	buf   []byte
}

// How large pieces are, in bytes, that are encoded early: so small that the rows are still in the processor's cache, which they share with the server. With
// zstd's first level and two sessions pieces of 128 KiB took 3 % less CPU, the server's with it, than those of 256 KiB (medians of ten rounds: 6.11
// and 6.31 s), and those of 512 KiB more than these. The third level gets 289 MB/s from pieces of 128 KiB, 251 from those of 512 KiB, which are 0.1 % smaller; but those of 256 KiB
// it makes 5 % larger. lz4, whose frames are cheap and whose window is 64 KiB, loses more at each border.
const (
	earlyPiece    = 128 << 10
	earlyPieceLZ4 = 256 << 10
)

// Encoded is a piece that was encoded. The zero value is one to encode into.
type Encoded struct {
	out  []byte
	form Compression
	size int  // of the piece
	last byte // of it
}

// fastLevel is the highest level of a codec that keeps up with a session; 0 where none does.
func fastLevel(c Compression) int {
	switch c {
	case CompressionLZ4:
		return 1
	case CompressionZstd:
		return 3
	default:
		return 0
	}
}

// EncodesEarly tells whether there is an [Encoder] for this. There is none where it is better to leave encoding to the writer: the codec is
// none, it is slower than a session, or the stream has a frame of its own.
func EncodesEarly(c Compression, level int) bool {
	fast := fastLevel(c)
	return fast > 0 && level <= fast && level >= 0
}

// NewEncoder makes an encoder for a custom or directory archive, see [EncodesEarly].
func NewEncoder(c Compression, level int) (*Encoder, error) {
	if !EncodesEarly(c, level) {
		return nil, fmt.Errorf("internal error: no early encoder for %s, level %d", c, level)
	}
	piece := earlyPiece
	if c == CompressionLZ4 {
		piece = earlyPieceLZ4
	}
	enc, err := newPieceEncoder(FormatCustom, false, c, level, piece)
	if err != nil {
		return nil, err
	}
	return &Encoder{enc: enc, form: c, piece: piece}, nil
}

// PieceSize is how large pieces are best, in bytes: at most [MaxPiece].
func (c *Encoder) PieceSize() int { return c.piece }

// Encode encodes a piece of at most [MaxPiece] bytes into e, whose memory it uses again.
func (c *Encoder) Encode(e *Encoded, piece []byte) error {
	if len(piece) == 0 || len(piece) > MaxPiece {
		return fmt.Errorf("internal error: a piece of %d bytes", len(piece))
	}
	out, _, err := c.enc.encode(c.buf[:0], piece)
	if err != nil {
		return err
	}
	c.buf = out
	// What was encoded takes a third of its bound, and many pieces may wait.
	e.out, e.form, e.size, e.last = append(e.out[:0], out...), c.form, len(piece), piece[len(piece)-1]
	return nil
}

// encodedHead is what stands before a piece that [Encoded.Append] has appended: how long it is, how long its rows are, their last byte and the codec.
const encodedHead = 4 + 4 + 1 + 1

// Append appends the piece to b, for [Encoded.Load].
func (e *Encoded) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.out))) //nolint:gosec // some MiB at most
	b = binary.LittleEndian.AppendUint32(b, uint32(e.size))     //nolint:gosec // at most MaxPiece
	b = append(b, e.last, byte(e.form))
	return append(b, e.out...)
}

// Load makes e the piece that comes next from r, and gives its length there. What is no piece is an error.
func (e *Encoded) Load(r io.Reader) (int64, error) {
	var head [encodedHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	n, size := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
	if n == 0 || n > 2*MaxPiece || size == 0 || size > MaxPiece {
		return 0, fmt.Errorf("%w: a piece of %d bytes that says it takes %d", ErrDamaged, size, n)
	}
	e.out = slices.Grow(e.out[:0], int(n))[:n]
	if _, err := io.ReadFull(r, e.out); err != nil {
		return 0, err
	}
	e.size, e.last, e.form = int(size), head[8], Compression(head[9])
	return int64(n) + encodedHead, nil
}

// AddEncoded adds the next piece of the rows that are open, as an [Encoder] for the same compression has encoded it. It waits as Add does. e may
// be used again at once: it goes on with the memory of a piece that was written.
func (w *Writer) AddEncoded(e *Encoded) error {
	if e.form != w.options.Compression || w.blobs {
		return w.fail(fmt.Errorf("%w: a piece encoded with %s", errOrder, e.form))
	}
	p, err := w.next(false)
	if err != nil {
		return err
	}
	p.raw, p.bytes, p.last = true, e.size, e.last
	p.out, e.out = e.out, p.out
	w.pending = p
	return nil
}
