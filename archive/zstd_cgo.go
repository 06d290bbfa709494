//go:build cgo

package archive

import (
	"runtime"

	"github.com/DataDog/zstd"
)

const zstdBackend = "zstd (libzstd 1.5.7 by cgo)"

// zstdCompressor holds one context of libzstd, which a finalizer of the binding frees. The binding does not keep the context
// alive while libzstd works in it, so each call does: without, the last call of all may have its context freed below it.
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
	runtime.KeepAlive(c)
	return len(out), err
}

// zstdDecompressor is the reverse.
type zstdDecompressor struct{ ctx zstd.Ctx }

func newZstdDecompressor() (decompressor, error) {
	return &zstdDecompressor{ctx: zstd.NewCtx()}, nil
}

// decompress works in one call straight into dst, so that libzstd allocates no window and can't write past it.
func (d *zstdDecompressor) decompress(dst, src []byte) (int, error) {
	if err := checkZstdFrame(src, len(dst)); err != nil {
		return 0, err
	}
	n, err := d.ctx.DecompressInto(dst, src)
	runtime.KeepAlive(d)
	return n, err
}
