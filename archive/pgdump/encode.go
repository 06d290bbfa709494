package pgdump

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/pierrec/lz4/v4"
)

// MaxPiece is the largest piece of data that is encoded at once, in bytes. A stock pg_restore takes chunks of four times that.
const MaxPiece = 4 << 20

// pieceEncoder encodes pieces of a stream independently of each other, so that it can be done side by side. What comes out one
// after the other is what a stock pg_restore takes for one stream, as was found out by trying: in a custom archive it hangs on several
// gzip members, and loses rows where a zstd frame does not end with a chunk. One goroutine at a time.
type pieceEncoder interface {
	// encode appends the piece to dst. sum goes to the frame of the stream.
	encode(dst, piece []byte) (out []byte, sum pieceSum, err error)
}

// pieceSum is the checksum of a piece, where the stream as a whole has one.
type pieceSum struct {
	adler uint32
	bytes uint64
}

// newPieceEncoder makes an encoder for custom and directory archives. Level 0 is the codec's default.
func newPieceEncoder(f Format, directory bool, c Compression, level int) (pieceEncoder, error) {
	switch c {
	case CompressionNone:
		return plainEncoder{}, nil
	case CompressionGzip:
		if level == 0 {
			level = defaultGzipLevel
		}
		if directory {
			w, err := gzip.NewWriterLevel(io.Discard, level)
			return &gzipEncoder{w: w}, err
		}
		w, err := flate.NewWriter(io.Discard, level)
		return &deflateEncoder{w: w}, err
	case CompressionLZ4:
		return newLZ4Encoder(level)
	case CompressionZstd:
		return newZstdEncoder(level)
	}
	return nil, fmt.Errorf("%w: %s in format %d", ErrVersion, c, f)
}

// defaultGzipLevel is zlib's, which pg_dump takes.
const defaultGzipLevel = 6

type plainEncoder struct{}

func (plainEncoder) encode(dst, piece []byte) ([]byte, pieceSum, error) {
	return append(dst, piece...), pieceSum{}, nil
}

// deflateEncoder makes parts of one zlib stream (RFC 1950): raw deflate blocks that refer to nothing before them and end at a byte
// boundary. The stream's head, its last block and the checksum of all parts together are the writer's.
type deflateEncoder struct {
	w   *flate.Writer
	out bytes.Buffer
}

func (e *deflateEncoder) encode(dst, piece []byte) ([]byte, pieceSum, error) {
	e.out = *bytes.NewBuffer(dst)
	e.w.Reset(&e.out)
	_, err := e.w.Write(piece)
	if err == nil {
		err = e.w.Flush()
	}
	return e.out.Bytes(), pieceSum{adler32.Checksum(piece), uint64(len(piece))}, err
}

// zlibHead begins a zlib stream; zlibEnd is an empty last block, before the checksum.
func zlibHead() []byte { return []byte{0x78, 0x9c} }

func zlibEnd(sum uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0x03, 0x00}, sum)
}

// combineAdler gives the Adler-32 of two texts one after the other, from theirs and the length of the second (RFC 1950,
// section 9: both sums are linear in the bytes).
func combineAdler(a, b uint32, length uint64) uint32 {
	const mod = 65521
	n := length % mod
	a1, a2 := uint64(a&0xffff), uint64(a>>16)
	b1, b2 := uint64(b&0xffff), uint64(b>>16)
	s1 := (a1 + b1 + mod - 1) % mod
	s2 := (a2 + b2 + n*(a1+mod-1)) % mod
	return uint32(s2<<16 | s1) //nolint:gosec // both are below 2^16
}

// gzipEncoder makes one gzip member of each piece (RFC 1952); a file may hold many.
type gzipEncoder struct {
	w   *gzip.Writer
	out bytes.Buffer
}

func (e *gzipEncoder) encode(dst, piece []byte) ([]byte, pieceSum, error) {
	e.out = *bytes.NewBuffer(dst)
	e.w.Reset(&e.out)
	_, err := e.w.Write(piece)
	if err == nil {
		err = e.w.Close()
	}
	return e.out.Bytes(), pieceSum{}, err
}

// lz4Encoder makes one frame of each piece, with a checksum of its content.
type lz4Encoder struct {
	w   *lz4.Writer
	out bytes.Buffer
}

func newLZ4Encoder(level int) (pieceEncoder, error) {
	e := &lz4Encoder{w: lz4.NewWriter(io.Discard)}
	levels := []lz4.CompressionLevel{
		lz4.Fast, lz4.Fast, lz4.Level2, lz4.Level3, lz4.Level4, lz4.Level5, lz4.Level6, lz4.Level7, lz4.Level8, lz4.Level9,
	}
	if level < 0 || level >= len(levels) {
		return nil, fmt.Errorf("lz4 has no level %d", level)
	}
	return e, e.w.Apply(lz4.BlockSizeOption(lz4.Block4Mb), lz4.ChecksumOption(true), lz4.ConcurrencyOption(1), lz4.CompressionLevelOption(levels[level]))
}

func (e *lz4Encoder) encode(dst, piece []byte) ([]byte, pieceSum, error) {
	e.out = *bytes.NewBuffer(dst)
	e.w.Reset(&e.out)
	_, err := e.w.Write(piece)
	if cerr := e.w.Close(); err == nil {
		err = cerr
	}
	return e.out.Bytes(), pieceSum{}, err
}
