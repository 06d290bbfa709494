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

// Parameters of libzstd, ZSTD_cParameter in its zstd.h. Whether literals are compressed is among its experimental ones, which may change their meaning
// with a version of it.
const (
	zstdLevel        = 100
	zstdHashLog      = 102
	zstdMinMatch     = 105
	zstdTargetLength = 106
	zstdChecksum     = 201
	zstdLiterals     = 1002
)

// zstdEncoder makes one frame of each piece, with a checksum of its content. It owns a context of libzstd, which is freed with it.
type zstdEncoder struct{ ctx *C.ZSTD_CCtx }

// zstdParameter is a parameter of libzstd and its value.
type zstdParameter struct{ name, value int }

// firstLevelSmall is what suits rows in small pieces at libzstd's first level better than its own parameters, which look for matches of six bytes at every
// other place: matches of seven, at every third place, in a table of 32,768. Literals are compressed as they are without (a step of three is libzstd's
// for its negative levels, which don't). In pieces of 128 KiB, to MB/s and part of the rows' size:
//
//	                                            own            these          a step of two
//	numbers, dates and words (TPC-H lineitem)   382  0.3355    416  0.3372    392  0.3294
//	two integers                                347  0.4044    404  0.4094    349  0.4074
//	MD5 sums and times                          522  0.2943    600  0.3046    503  0.3050
//	JSON                                        918  0.0912    943  0.0960    915  0.0919
//	source code                                 408  0.2812    434  0.2898    418  0.2813
//
// In whole dumps with two sessions on two cores the longer step is hard to see: the processor's time was 6 % less to 1 % more than with a step of two, by run. In
// pieces of 1 MiB libzstd's own are better.
func firstLevelSmall() []zstdParameter {
	return []zstdParameter{{zstdMinMatch, 7}, {zstdHashLog, 15}, {zstdTargetLength, 2}, {zstdLiterals, 1}}
}

func newZstdEncoder(level, pieces int) (pieceEncoder, error) {
	if level == 0 {
		level = defaultZstdLevel
	}
	e := &zstdEncoder{ctx: C.ZSTD_createCCtx()}
	if e.ctx == nil {
		return nil, errors.New("libzstd has no memory for a context")
	}
	runtime.AddCleanup(e, func(ctx *C.ZSTD_CCtx) { C.ZSTD_freeCCtx(ctx) }, e.ctx)
	set := []zstdParameter{{zstdLevel, level}, {zstdChecksum, 1}}
	if level == 1 && pieces <= earlyPiece {
		set = append(set, firstLevelSmall()...)
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
