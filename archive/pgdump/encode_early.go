package pgdump

import "fmt"

// EarlyPiece is the size of pieces, in bytes, that are best encoded by an [Encoder]. Rows that were just read are still in the
// processor's cache then, and a session waits less for its reader. zstd at its first level makes 591 MB of them 1.4 % larger than
// pieces of [MaxPiece].
const EarlyPiece = 256 << 10

// Encoder encodes pieces of rows before they are handed to a [Writer], see [Writer.AddEncoded]: where they were read, instead of on
// a goroutine of the writer's. One goroutine at a time.
type Encoder struct {
	enc  pieceEncoder
	form Compression
	buf  []byte
}

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

// NewEncoder makes an encoder for a custom or directory archive. It is nil, without an error, where it is better to leave encoding to the
// writer: the codec is none, it is slower than a session, or the stream has a frame of its own.
func NewEncoder(c Compression, level int) (*Encoder, error) {
	if fast := fastLevel(c); fast == 0 || level > fast || level < 0 {
		return nil, nil
	}
	enc, err := newPieceEncoder(FormatCustom, false, c, level)
	if err != nil {
		return nil, err
	}
	return &Encoder{enc: enc, form: c}, nil
}

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

// AddEncoded adds the next piece of the rows that are open, as an [Encoder] for the same archive has encoded it. done, if not nil, is called when
// e may be used again; where the writing is given up it may never be called.
func (w *Writer) AddEncoded(e *Encoded, done func()) error {
	if e.form != w.options.Compression || w.blobs {
		return w.fail(fmt.Errorf("%w: a piece encoded with %s", errOrder, e.form))
	}
	p, err := w.next(false)
	if err != nil {
		return err
	}
	p.early, p.done, p.bytes, p.last = e, done, e.size, e.last
	w.pending = p
	return nil
}
