package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

const (
	xzStreamHeaderLen = 12
	xzMinDict         = 64 << 10
	xzMaxDict         = MaxFrameRaw
	xzFilterLZMA2     = 0x21
)

type xzCompressor struct{}

func (xzCompressor) bound(n int) int { return n }

// compress makes one .xz stream of one block, its dictionary no larger than src needs. The library has no
// way to reuse its state, which doesn't matter at the speed of this codec.
func (xzCompressor) compress(dst, src []byte) (int, error) {
	dict := xzMinDict
	for dict < len(src) && dict < xzMaxDict {
		dict *= 2
	}
	out := sliceWriter{b: dst}
	w, err := xz.WriterConfig{DictCap: dict, CheckSum: xz.CRC32}.NewWriter(&out)
	if err != nil {
		if errors.Is(err, errNoGain) {
			err = errNoGain
		}
		return 0, err
	}
	return finish(w, &out, src)
}

type xzDecompressor struct{}

// decompress reads the first block of the .xz stream and leaves its index, its footer and its own checksum
// alone: the frame's checksums cover them. It does the container itself because the library allocates
// whatever dictionary a block header asks for.
func (xzDecompressor) decompress(dst, src []byte) (int, error) {
	dict, body, err := xzBlock(src)
	if err != nil {
		return 0, err
	}
	r, err := lzma.Reader2Config{DictCap: dict}.NewReader2(bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	return readExactly(r, dst)
}

// xzBlock reads stream header and block header (.xz format 1.0.4, sections 2.1.1 and 3.1) and returns the
// size of the dictionary and what follows, which begins with LZMA2 data.
func xzBlock(b []byte) (dict int, body []byte, err error) {
	if len(b) < xzStreamHeaderLen+12 || string(b[:6]) != "\xfd7zXZ\x00" {
		return 0, nil, errors.New("not an xz stream")
	}
	h := b[xzStreamHeaderLen:]
	size := (int(h[0]) + 1) * 4
	if h[0] == 0 || len(h) < size {
		return 0, nil, errors.New("xz block header is cut off")
	}
	body, h = h[size:], h[:size]
	if crc32.ChecksumIEEE(h[:size-4]) != binary.LittleEndian.Uint32(h[size-4:]) {
		return 0, nil, errors.New("checksum of the xz block header does not match")
	}
	flags, h := h[1], h[2:size-4]
	if flags&0x3f != 0 {
		return 0, nil, errors.New("xz block has filters other than LZMA2")
	}
	for bit := byte(0x40); bit != 0; bit <<= 1 { // compressed size, uncompressed size
		if flags&bit == 0 {
			continue
		}
		_, n := binary.Uvarint(h)
		if n <= 0 {
			return 0, nil, errors.New("xz block header is invalid")
		}
		h = h[n:]
	}
	if len(h) < 3 || h[0] != xzFilterLZMA2 || h[1] != 1 {
		return 0, nil, errors.New("xz block has filters other than LZMA2")
	}
	size64, err := lzma.DecodeDictCap(h[2])
	if err != nil {
		return 0, nil, err
	}
	if size64 > xzMaxDict {
		return 0, nil, fmt.Errorf("xz dictionary of %d bytes is larger than the limit of %d", size64, xzMaxDict)
	}
	return max(int(size64), lzma.MinDictCap), body, nil
}
