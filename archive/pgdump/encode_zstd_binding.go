//go:build cgo && !linux

package pgdump

import (
	"encoding/binary"
	"errors"
	"runtime"

	"github.com/DataDog/zstd"
	"github.com/cespare/xxhash/v2"
)

// zstdEncoder makes one frame of each piece, with a checksum of its content. The binding's call for a whole frame has no way
// to ask for the checksum, so it is added: a bit in the frame's head, and the low half of the content's XXH64 behind it (RFC
// 8878, section 3.1.1). On Linux libzstd is called past the binding, see encode_zstd_cgo.go.
type zstdEncoder struct {
	ctx   zstd.Ctx
	level int
}

func newZstdEncoder(level, _ int) (pieceEncoder, error) {
	if level == 0 {
		level = defaultZstdLevel
	}
	return &zstdEncoder{ctx: zstd.NewCtx(), level: level}, nil
}

const (
	zstdDescriptor = 4    // place of the frame header descriptor, behind the magic number
	zstdChecksum   = 0x04 // its bit
)

func (e *zstdEncoder) encode(dst, piece []byte) ([]byte, pieceSum, error) {
	from := len(dst)
	bound := zstd.CompressBound(len(piece))
	if cap(dst)-from < bound+4 {
		dst = append(make([]byte, 0, from+bound+4), dst...)
	}
	frame, err := e.ctx.CompressLevel(dst[from:from+bound], piece, e.level)
	runtime.KeepAlive(e) // its context has a finalizer, which the binding lets run while libzstd is at work
	if err != nil {
		return nil, pieceSum{}, err
	}
	if len(frame) <= zstdDescriptor || &frame[0] != &dst[from : from+1][0] || frame[zstdDescriptor]&zstdChecksum != 0 {
		return nil, pieceSum{}, errors.New("libzstd made a frame of another kind than expected")
	}
	frame[zstdDescriptor] |= zstdChecksum
	dst = dst[:from+len(frame)]
	return binary.LittleEndian.AppendUint32(dst, uint32(xxhash.Sum64(piece))), pieceSum{}, nil //nolint:gosec // the low half
}
