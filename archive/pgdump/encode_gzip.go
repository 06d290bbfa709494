package pgdump

import (
	"encoding/binary"
	"hash/crc32"
)

// gzipFrame is what surrounds the parts of one compressed stream: zlib's framing (RFC 1950) in custom archives, gzip's (RFC 1952) in
// directories. The stream is one, with one checksum: whatever is changed in it is noticed, which would not be so of several gzip
// members one after the other.
type gzipFrame struct {
	member bool // gzip's framing

	sum   uint32
	bytes uint64
	begun bool
}

// reset begins a stream.
func (f *gzipFrame) reset() {
	f.sum, f.bytes, f.begun = 1, 0, false
	if f.member {
		f.sum = 0
	}
}

// add adds a part to the checksum.
func (f *gzipFrame) add(p pieceSum) {
	if f.member {
		f.sum = combineCRC(f.sum, p.sum, p.bytes)
	} else {
		f.sum = combineAdler(f.sum, p.sum, p.bytes)
	}
	f.bytes += p.bytes
}

// head appends what a stream begins with, once.
func (f *gzipFrame) head(b []byte) []byte {
	if f.begun {
		return b
	}
	f.begun = true
	if f.member {
		return append(b, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3) // deflate, no time, Unix
	}
	return append(b, 0x78, 0x9c)
}

// end appends what a stream ends with: an empty last block, and the checksum of all parts together.
func (f *gzipFrame) end(b []byte) []byte {
	b = append(f.head(b), 0x03, 0x00)
	if !f.member {
		return binary.BigEndian.AppendUint32(b, f.sum)
	}
	b = binary.LittleEndian.AppendUint32(b, f.sum)
	return binary.LittleEndian.AppendUint32(b, uint32(f.bytes)) //nolint:gosec // the length modulo 2^32
}

// combineAdler gives the Adler-32 of two texts one after the other, from theirs and the length of the second (RFC 1950,
// section 9: both sums are linear in the bytes).
func combineAdler(a, b uint32, length uint64) uint32 {
	const mod = 65521
	n := length % mod
	a1, a2 := uint64(a&0xffff), uint64(a>>16)
	b1, b2 := uint64(b&0xffff), uint64(b>>16)
	s1 := (a1 + b1 + mod - 1) % mod
	s2 := (a2 + b2 + n*(a1+mod-1)) % mod
	return uint32(s2<<16 | s1) //nolint:gosec // both are below 2^16
}

// combineCRC gives the CRC-32 of two texts one after the other, from theirs and the length of the second: the CRC is a polynomial over
// GF(2), and length more bytes multiply the first one's by x^(8 × length). The highest bit stands for x^0.
func combineCRC(a, b uint32, length uint64) uint32 {
	power, square := uint32(1)<<31, uint32(1)<<23 // 1 and x^8
	for ; length > 0; length >>= 1 {
		if length&1 != 0 {
			power = multiplyCRC(power, square)
		}
		square = multiplyCRC(square, square)
	}
	return multiplyCRC(power, a) ^ b
}

// multiplyCRC multiplies two polynomials modulo that of the CRC-32.
func multiplyCRC(a, b uint32) uint32 {
	var product uint32
	for ; a != 0; a <<= 1 {
		if a&(1<<31) != 0 {
			product ^= b
		}
		carry := b & 1
		if b >>= 1; carry != 0 {
			b ^= crc32.IEEE
		}
	}
	return product
}
