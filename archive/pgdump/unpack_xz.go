package pgdump

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// maxXZDict bounds the memory that an xz stream may ask for. The highest level of xz asks for 64 MiB.
const maxXZDict = 128 << 20

const (
	xzMagic       = "\xfd7zXZ\x00"
	xzFooterMagic = "YZ"
	xzHeaderLen   = 12 // of a stream, and of its footer
	xzFilterLZMA2 = 0x21
)

var errXZ = errors.New("xz: it is not as the format has it")

// xzReader reads .xz streams (format 1.0.4) up to the end of what it is read from, and checks all that they have checksums of. It takes
// the container apart itself because the library allocates whatever dictionary a block asks for.
type xzReader struct {
	in     *bufio.Reader
	flags  [2]byte
	began  bool  // a stream has begun
	any    bool  // there was a stream
	blocks int64 // of the stream
	size   int64 // likewise, decompressed

	data *lzma.Reader2 // of the block, nil between blocks
	from countingReader
	sum  hash.Hash // nil for none
	read int64     // of the block, decompressed
}

// countingReader counts what is read of a bufio.Reader, and reads not a byte more than it is asked for.
type countingReader struct {
	r *bufio.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *countingReader) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

func (x *xzReader) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if x.data == nil {
			if err := x.next(); err != nil {
				return 0, err
			}
			continue
		}
		n, err := x.data.Read(p)
		x.read += int64(n)
		if x.sum != nil {
			x.sum.Write(p[:n])
		}
		if errors.Is(err, io.EOF) {
			err = x.endBlock()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

// next goes on to the next block. It returns io.EOF at the end of the last stream.
func (x *xzReader) next() error {
	for {
		if !x.began {
			if err := x.beginStream(); err != nil {
				return err
			}
		}
		size, err := x.in.Peek(1)
		if err != nil {
			return cutOff(err)
		}
		if size[0] != 0 {
			return x.beginBlock(4 * (int(size[0]) + 1))
		}
		if err := x.endStream(); err != nil {
			return err
		}
	}
}

// cutOff is the error of what should go on.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (x *xzReader) beginStream() error {
	for x.any { // padding, in fours
		b, err := x.in.Peek(4)
		switch {
		case len(b) == 0 && errors.Is(err, io.EOF):
			return io.EOF
		case err != nil:
			return cutOff(err)
		}
		if !bytes.Equal(b, make([]byte, 4)) {
			break
		}
		if _, err := x.in.Discard(4); err != nil {
			return err
		}
	}
	var h [xzHeaderLen]byte
	if _, err := io.ReadFull(x.in, h[:]); err != nil {
		return cutOff(err)
	}
	if string(h[:6]) != xzMagic || h[6] != 0 || crc32.ChecksumIEEE(h[6:8]) != binary.LittleEndian.Uint32(h[8:]) {
		return errXZ
	}
	x.flags = [2]byte{h[6], h[7]}
	if _, err := x.newSum(); err != nil {
		return err
	}
	x.began, x.any, x.blocks, x.size = true, true, 0, 0
	return nil
}

// newSum is the checksum that the blocks of the stream have, nil for none.
func (x *xzReader) newSum() (hash.Hash, error) {
	switch x.flags[1] {
	case 0:
		return nil, nil
	case 1:
		return crc32.NewIEEE(), nil
	case 4:
		return crc64.New(crc64.MakeTable(crc64.ECMA)), nil
	case 10:
		return sha256.New(), nil
	}
	return nil, fmt.Errorf("xz: checksum of an unknown kind, %d", x.flags[1])
}

// beginBlock reads a block's header of size bytes.
func (x *xzReader) beginBlock(size int) error {
	h := make([]byte, size) // at most 1 KiB
	if _, err := io.ReadFull(x.in, h); err != nil {
		return cutOff(err)
	}
	if crc32.ChecksumIEEE(h[:size-4]) != binary.LittleEndian.Uint32(h[size-4:]) {
		return errXZ
	}
	flags, rest := h[1], h[2:size-4]
	for bit := byte(0x40); bit != 0; bit <<= 1 { // its sizes, compressed and not
		if flags&bit == 0 {
			continue
		}
		_, n := binary.Uvarint(rest)
		if n <= 0 {
			return errXZ
		}
		rest = rest[n:]
	}
	if flags&0x3f != 0 || len(rest) < 3 || rest[0] != xzFilterLZMA2 || rest[1] != 1 {
		return errors.New("xz: it has filters other than LZMA2")
	}
	dict, err := lzma.DecodeDictCap(rest[2])
	if err != nil {
		return fmt.Errorf("xz: %w", err)
	}
	if dict > maxXZDict {
		return fmt.Errorf("%w: its dictionary of %d bytes is larger than the limit of %d", errTooLarge, dict, maxXZDict)
	}
	x.from = countingReader{r: x.in, n: int64(size)}
	x.read = 0
	if x.sum, err = x.newSum(); err != nil {
		return err
	}
	if x.data, err = (lzma.Reader2Config{DictCap: max(int(dict), lzma.MinDictCap)}).NewReader2(&x.from); err != nil {
		return cutOff(err)
	}
	return nil
}

// endBlock checks what follows the data of a block.
func (x *xzReader) endBlock() error {
	x.data = nil
	if err := x.zeros(x.from.n); err != nil {
		return err
	}
	if x.sum != nil {
		want := x.sum.Sum(nil)
		if x.flags[1] != 10 { // which is no number
			for i, k := 0, len(want)-1; i < k; i, k = i+1, k-1 {
				want[i], want[k] = want[k], want[i]
			}
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(x.in, got); err != nil {
			return cutOff(err)
		}
		if !bytes.Equal(got, want) {
			return errors.New("xz: the checksum does not match")
		}
	}
	x.blocks++
	x.size += x.read
	return nil
}

// zeros reads what fills n bytes up to a multiple of four.
func (x *xzReader) zeros(n int64) error {
	for ; n%4 != 0; n++ {
		b, err := x.in.ReadByte()
		if err != nil {
			return cutOff(err)
		}
		if b != 0 {
			return errXZ
		}
	}
	return nil
}

// endStream reads the index and the footer.
func (x *xzReader) endStream() error {
	x.began = false
	sum := crc32.NewIEEE()
	index := countingReader{r: x.in}
	number := func() (v int64, err error) {
		for shift := 0; shift < 63; shift += 7 {
			b, err := index.ReadByte()
			if err != nil {
				return 0, cutOff(err)
			}
			sum.Write([]byte{b})
			v |= int64(b&0x7f) << shift
			if b&0x80 == 0 {
				return v, nil
			}
		}
		return 0, errXZ
	}
	if _, err := number(); err != nil { // the mark of an index
		return err
	}
	n, err := number()
	if err != nil {
		return err
	}
	if n != x.blocks {
		return errXZ
	}
	var size int64
	for range n {
		if _, err := number(); err != nil {
			return err
		}
		one, err := number()
		if err != nil {
			return err
		}
		size += one
	}
	if size != x.size {
		return errXZ
	}
	for index.n%4 != 0 {
		if zero, err := number(); err != nil || zero != 0 {
			return errors.Join(errXZ, err)
		}
	}
	var f [4 + xzHeaderLen]byte
	if _, err := io.ReadFull(x.in, f[:]); err != nil {
		return cutOff(err)
	}
	if binary.LittleEndian.Uint32(f[:]) != sum.Sum32() || crc32.ChecksumIEEE(f[8:14]) != binary.LittleEndian.Uint32(f[4:]) ||
		[2]byte(f[12:14]) != x.flags || string(f[14:]) != xzFooterMagic ||
		(int64(binary.LittleEndian.Uint32(f[8:]))+1)*4 != index.n+4 {
		return errXZ
	}
	return nil
}
