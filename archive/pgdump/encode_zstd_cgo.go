//go:build cgo && linux

package pgdump

/*
#include <stddef.h>

// These are libzstd's, of its stable interface since version 1.4.0. The library itself comes into the program with the binding, which has no
// call that sets a parameter. They are weak because this package is linked without it first, by cgo, to see what it needs.
typedef struct ZSTD_CCtx_s ZSTD_CCtx;
ZSTD_CCtx *ZSTD_createCCtx(void) __attribute__((weak));
size_t ZSTD_freeCCtx(ZSTD_CCtx *cctx) __attribute__((weak));
size_t ZSTD_CCtx_setParameter(ZSTD_CCtx *cctx, int param, int value) __attribute__((weak));
size_t ZSTD_compress2(ZSTD_CCtx *cctx, void *dst, size_t dstCapacity, const void *src, size_t srcSize) __attribute__((weak));
unsigned ZSTD_isError(size_t code) __attribute__((weak));
const char *ZSTD_getErrorName(size_t code) __attribute__((weak));
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/DataDog/zstd"
)

// Parameters of libzstd, ZSTD_cParameter in its zstd.h.
const (
	zstdLevel    = 100
	zstdHashLog  = 102
	zstdMinMatch = 105
	zstdChecksum = 201
)

// zstdEncoder makes one frame of each piece, with a checksum of its content. It owns a context of libzstd, which is freed with it.
type zstdEncoder struct{ ctx *C.ZSTD_CCtx }

// At its first level libzstd looks for matches of six bytes in up to 256 KiB of data, and of seven in more. Rows are better off with seven, and with
// a table of 32,768 places to look for them, also where pieces are small: 60 MB of rows of numbers, dates and words became in pieces of 128 KiB, and in
// those of 256 KiB with libzstd's own parameters,
//
//	          128 KiB            256 KiB
//	own       386 MB/s  0.3354   380 MB/s  0.3315
//	these     401 MB/s  0.3294   399 MB/s  0.3260
const (
	firstLevelMinMatch = 7
	firstLevelHashLog  = 15
)

func newZstdEncoder(level int) (pieceEncoder, error) {
	if level == 0 {
		level = defaultZstdLevel
	}
	e := &zstdEncoder{ctx: C.ZSTD_createCCtx()}
	if e.ctx == nil {
		return nil, errors.New("libzstd has no memory for a context")
	}
	runtime.AddCleanup(e, func(ctx *C.ZSTD_CCtx) { C.ZSTD_freeCCtx(ctx) }, e.ctx)
	type parameter struct{ name, value int }
	set := []parameter{{zstdLevel, level}, {zstdChecksum, 1}}
	if level == 1 {
		set = append(set, parameter{zstdMinMatch, firstLevelMinMatch}, parameter{zstdHashLog, firstLevelHashLog})
	}
	for _, p := range set {
		if code := C.ZSTD_CCtx_setParameter(e.ctx, C.int(p.name), C.int(p.value)); C.ZSTD_isError(code) != 0 {
			return nil, fmt.Errorf("libzstd does not take %d for its parameter %d: %s", p.value, p.name, C.GoString(C.ZSTD_getErrorName(code)))
		}
	}
	return e, nil
}

func (e *zstdEncoder) encode(dst, piece []byte) ([]byte, pieceSum, error) {
	from, bound := len(dst), zstd.CompressBound(len(piece))+zstdSum
	if cap(dst)-from < bound {
		dst = append(make([]byte, 0, from+bound), dst...)
	}
	code := C.ZSTD_compress2(e.ctx, unsafe.Pointer(unsafe.SliceData(dst[from:from+bound])), C.size_t(bound),
		unsafe.Pointer(unsafe.SliceData(piece)), C.size_t(len(piece)))
	runtime.KeepAlive(e)
	if C.ZSTD_isError(code) != 0 {
		return nil, pieceSum{}, fmt.Errorf("libzstd: %s", C.GoString(C.ZSTD_getErrorName(code)))
	}
	return dst[:from+int(code)], pieceSum{}, nil //nolint:gosec // at most bound
}

// zstdSum is how long a frame's checksum is, in bytes.
const zstdSum = 4
