//go:build !cgo

package archive

import (
	"errors"

	"github.com/klauspost/compress/zstd"
)

const zstdBackend = "zstd (klauspost/compress, built without cgo)"

type zstdCompressor struct{ enc *zstd.Encoder }

func newZstdCompressor(level int) (compressor, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)),
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	return &zstdCompressor{enc: enc}, err
}

func (c *zstdCompressor) bound(n int) int { return n + n>>8 + 64 }

func (c *zstdCompressor) compress(dst, src []byte) (int, error) {
	out := c.enc.EncodeAll(src, dst[:0])
	if len(out) > len(dst) {
		return 0, errNoGain
	}
	return len(out), nil
}

type zstdDecompressor struct{ dec *zstd.Decoder }

func newZstdDecompressor() (decompressor, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxFrameRaw),
		zstd.WithDecodeAllCapLimit(true), zstd.IgnoreChecksum(true))
	return &zstdDecompressor{dec: dec}, err
}

func (d *zstdDecompressor) decompress(dst, src []byte) (int, error) {
	if err := checkZstdFrame(src, len(dst)); err != nil {
		return 0, err
	}
	out, err := d.dec.DecodeAll(src, dst[:0:len(dst)])
	if err == nil && len(out) > len(dst) {
		err = errors.New("more bytes than declared")
	}
	return len(out), err
}
