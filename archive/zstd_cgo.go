//go:build cgo

package archive

import "github.com/DataDog/zstd"

const zstdBackend = "zstd (libzstd 1.5.7 by cgo)"

// zstdCompressor holds one context of libzstd, which a finalizer of the binding frees.
type zstdCompressor struct {
	ctx   zstd.Ctx
	level int
}

func newZstdCompressor(level int) (compressor, error) {
	return &zstdCompressor{ctx: zstd.NewCtx(), level: level}, nil
}

func (c *zstdCompressor) bound(n int) int { return zstd.CompressBound(n) }

func (c *zstdCompressor) compress(dst, src []byte) (int, error) {
	out, err := c.ctx.CompressLevel(dst, src, c.level)
	return len(out), err
}

type zstdDecompressor struct{ ctx zstd.Ctx }

func newZstdDecompressor() (decompressor, error) {
	return &zstdDecompressor{ctx: zstd.NewCtx()}, nil
}

// decompress works in one call straight into dst, so that libzstd allocates no window and can't write past it.
func (d *zstdDecompressor) decompress(dst, src []byte) (int, error) {
	if err := checkZstdFrame(src, len(dst)); err != nil {
		return 0, err
	}
	return d.ctx.DecompressInto(dst, src)
}
