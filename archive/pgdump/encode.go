package pgdump

import (
	"bytes"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/pierrec/lz4/v4"
)

// MaxPiece is the largest piece of data that is encoded at once, in bytes. A stock pg_restore takes chunks of four times that.
const MaxPiece = 4 << 20

// pieceEncoder encodes pieces of a stream independently of each other, so that it can be done side by side. What comes out one
// after the other is what a stock pg_restore takes for one stream, as was found out by trying: in a custom archive it hangs on several
// gzip members, and loses rows where a zstd frame does not end with a chunk; in a directory it takes what follows a member for nothing
// if it does not begin as one does. One goroutine at a time.
type pieceEncoder interface {
	// encode appends the piece to dst. sum goes to the frame of the stream.
	encode(dst, piece []byte) (out []byte, sum pieceSum, err error)
}

// pieceSum is the checksum of a piece, where the stream as a whole has one.
type pieceSum struct {
	sum   uint32
	bytes uint64
}

// newPieceEncoder makes an encoder for custom and directory archives. Level 0 is the codec's default. Pieces are at most so many bytes, which may tell how
// they are best encoded.
func newPieceEncoder(f Format, directory bool, c Compression, level, pieces int) (pieceEncoder, error) {
	switch c {
	case CompressionNone:
		return plainEncoder{}, nil
	case CompressionGzip:
		if level == 0 {
			level = defaultGzipLevel
		}
		w, err := flate.NewWriter(io.Discard, level)
		checksum := adler32.Checksum
		if directory {
			checksum = crc32.ChecksumIEEE
		}
		return &deflateEncoder{w: w, checksum: checksum}, err
	case CompressionLZ4:
		return newLZ4Encoder(level)
	case CompressionZstd:
		return newZstdEncoder(level, pieces)
	}
	return nil, fmt.Errorf("%w: %s in format %d", ErrVersion, c, f)
}

const (
	defaultGzipLevel = 6 // zlib's, which pg_dump takes
	defaultZstdLevel = 1 // fast enough to keep up with a server, and hardly larger than pg_dump's 3
)

type plainEncoder struct{}

func (plainEncoder) encode(dst, piece []byte) ([]byte, pieceSum, error) {
	return append(dst, piece...), pieceSum{}, nil
}

// deflateEncoder makes parts of one stream: raw deflate blocks that refer to nothing before them and end at a byte boundary. The
// rest of the stream is that of a [gzipFrame].
type deflateEncoder struct {
	w        *flate.Writer
	checksum func([]byte) uint32
	out      bytes.Buffer
}

func (e *deflateEncoder) encode(dst, piece []byte) ([]byte, pieceSum, error) {
	e.out = *bytes.NewBuffer(dst)
	e.w.Reset(&e.out)
	_, err := e.w.Write(piece)
	if err == nil {
		err = e.w.Flush()
	}
	return e.out.Bytes(), pieceSum{e.checksum(piece), uint64(len(piece))}, err
}

// lz4Encoder makes one frame of each piece, with a checksum of its content. What a frame takes in memory depends on how large its
// blocks may be, so small pieces have small ones.
type lz4Encoder struct {
	level lz4.CompressionLevel
	w     [4]*lz4.Writer // of each size of blocks
	out   bytes.Buffer
}

func newLZ4Encoder(level int) (pieceEncoder, error) {
	levels := []lz4.CompressionLevel{
		lz4.Fast, lz4.Fast, lz4.Level2, lz4.Level3, lz4.Level4, lz4.Level5, lz4.Level6, lz4.Level7, lz4.Level8, lz4.Level9,
	}
	if level < 0 || level >= len(levels) {
		return nil, fmt.Errorf("lz4 has no level %d", level)
	}
	return &lz4Encoder{level: levels[level]}, nil
}

func (e *lz4Encoder) encode(dst, piece []byte) ([]byte, pieceSum, error) {
	w, err := e.writer(len(piece))
	if err != nil {
		return nil, pieceSum{}, err
	}
	e.out = *bytes.NewBuffer(dst)
	w.Reset(&e.out)
	_, err = w.Write(piece)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	return e.out.Bytes(), pieceSum{}, err
}

// writer is the one with the smallest blocks that hold a piece.
func (e *lz4Encoder) writer(size int) (*lz4.Writer, error) {
	i, blocks := 0, [len(e.w)]lz4.BlockSize{lz4.Block64Kb, lz4.Block256Kb, lz4.Block1Mb, lz4.Block4Mb}
	for i < len(blocks)-1 && size > int(blocks[i]) {
		i++
	}
	if e.w[i] == nil {
		e.w[i] = lz4.NewWriter(io.Discard)
		err := e.w[i].Apply(lz4.BlockSizeOption(blocks[i]), lz4.ChecksumOption(true), lz4.ConcurrencyOption(1), lz4.CompressionLevelOption(e.level))
		if err != nil {
			return nil, err
		}
	}
	return e.w[i], nil
}
