package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	zstdMagic      = 0xFD2FB528
	zstdMaxBlock   = 128 << 10
	zstdMaxWindow  = MaxFrameRaw
	zstdRLE        = 1
	zstdReserved   = 3
	zstdSingle     = 0x20 // bits of the frame header descriptor
	zstdUnusedBits = 0x18
	zstdChecksum   = 0x04
	zstdDictMask   = 0x03
)

// checkZstdFrame walks over the blocks of b without decoding them (RFC 8878, section 3.1.1). It makes sure
// that b is exactly one Zstandard frame of raw bytes without a dictionary and with a bounded window, so that
// neither of the decoders below ever sees old formats, skippable frames, a second frame or a huge window.
func checkZstdFrame(b []byte, raw int) error {
	le := binary.LittleEndian
	if len(b) < 6 || le.Uint32(b) != zstdMagic {
		return errors.New("not a zstd frame")
	}
	desc := b[4]
	if desc&zstdDictMask != 0 || desc&zstdUnusedBits != 0 {
		return errors.New("zstd frame needs a dictionary or a newer format")
	}
	p := 5
	if desc&zstdSingle == 0 {
		base := uint64(1) << (10 + b[p]>>3)
		if window := base + base/8*uint64(b[p]&7); window > zstdMaxWindow {
			return fmt.Errorf("zstd window of %d bytes is larger than the limit of %d", window, zstdMaxWindow)
		}
		p++
	}
	size, n, err := zstdContentSize(b[p:], desc)
	if err != nil {
		return err
	}
	if n > 0 && size != uint64(raw) {
		return fmt.Errorf("zstd frame says it holds %d bytes, not %d", size, raw)
	}
	return walkZstdBlocks(b[p+n:], desc&zstdChecksum != 0)
}

// zstdContentSize reads the content size, which takes n bytes; none where the frame doesn't tell.
func zstdContentSize(b []byte, desc byte) (size uint64, n int, err error) {
	switch desc >> 6 {
	case 0:
		if desc&zstdSingle != 0 {
			n = 1
		}
	case 1:
		n = 2
	case 2:
		n = 4
	case 3:
		n = 8
	}
	if len(b) < n {
		return 0, 0, errors.New("zstd frame header is cut off")
	}
	for i := n - 1; i >= 0; i-- {
		size = size<<8 | uint64(b[i])
	}
	if n == 2 {
		size += 256
	}
	return size, n, nil
}

func walkZstdBlocks(b []byte, sum bool) error {
	for last := false; !last; {
		if len(b) < 3 {
			return errors.New("zstd frame is cut off")
		}
		h := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		last = h&1 != 0
		n, kind := int(h>>3), h>>1&3
		if kind == zstdReserved || n > zstdMaxBlock {
			return errors.New("zstd block is invalid")
		}
		if kind == zstdRLE {
			n = 1
		}
		if len(b)-3 < n {
			return errors.New("zstd block is cut off")
		}
		b = b[3+n:]
	}
	want := 0
	if sum {
		want = 4
	}
	if len(b) != want {
		return fmt.Errorf("%d bytes follow the zstd frame", len(b)-want)
	}
	return nil
}
