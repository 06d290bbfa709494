package wire

import (
	"encoding/binary"
	"math/bits"
)

// COPY text of a row: columns separated by tabs, NULL is \N, and these bytes are escaped. See
// https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2.
//
// The table gives the letter after the backslash, 0 for bytes that stand for themselves.
const escapes = "" +
	"\x00\x00\x00\x00\x00\x00\x00\x00btnvfr\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	zeros16 + zeros16 + zeros16 + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\\\x00\x00\x00" + zeros16 + zeros16 +
	zeros16 + zeros16 + zeros16 + zeros16 + zeros16 + zeros16 + zeros16 + zeros16

const zeros16 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080

	// rowSlack is how many bytes beyond a row textRow may write: it copies eight at a time.
	rowSlack = 8
)

// suspects sets the high bit of each byte of x that is below 14 or a backslash. Above a byte that is, others may be set
// too: the lowest one counts. (Sean Eron Anderson, Bit Twiddling Hacks, "Determine if a word has a byte less than n".)
func suspects(x uint64) uint64 {
	slash := x ^ '\\'*ones
	return ((x-14*ones) & ^x | (slash-ones) & ^slash) & highs
}

// textRows writes the rows that are whole in the read buffer, have the right form, and surely fit into dst as COPY text.
// This is the loop that all rows pass.
//
// Measured with BenchmarkRowsOut: 1,000,000 rows of 7 columns, 138 MB as text, from PostgreSQL 15 over a Unix socket on two
// cores. COPY takes 0.51 s, of which CopyOut spends 15 ms on cutting rows; SELECT takes 0.48 s, of which RowsOut spends 63 ms
// here (2.2 GB/s). So the server is what takes the time, both ways, and it is no slower in sending columns than in escaping.
func (s *scanner) textRows(dst []byte, columns int) (n int) {
	for s.w-s.r > headerLen && s.buf[s.r] == msgDataRow {
		size := int(binary.BigEndian.Uint32(s.buf[s.r+1:])) - 4
		if size < 2 || size > s.w-s.r-headerLen || 2*size+rowSlack > len(dst)-n {
			break
		}
		m := textRow(dst[n:], s.buf[s.r+headerLen:], size, columns)
		if m < 0 {
			break // whoever reads it in pieces says what is wrong
		}
		n += m
		s.r += headerLen + size
	}
	return n
}

// textRow writes the DataRow whose body is src[:size] as COPY text and returns the number of bytes, -1 if the row is
// malformed. dst must have room for 2*size + rowSlack. What is behind the body in src may be read and has no effect.
func textRow(dst, src []byte, size, columns int) (n int) {
	if size < 2 || int(binary.BigEndian.Uint16(src)) != columns {
		return -1
	}
	pos := 2
	for range columns {
		if size-pos < 4 {
			return -1
		}
		length := int(int32(binary.BigEndian.Uint32(src[pos:]))) //nolint:gosec // -1 is NULL
		pos += 4
		if length < 0 {
			if length != -1 {
				return -1
			}
			dst[n], dst[n+1], dst[n+2] = '\\', 'N', '\t'
			n += 3
			continue
		}
		end := pos + length
		if end > size {
			return -1
		}
		for pos+8 <= end {
			x := binary.LittleEndian.Uint64(src[pos:])
			binary.LittleEndian.PutUint64(dst[n:], x)
			hit := suspects(x)
			if hit == 0 {
				n, pos = n+8, pos+8
				continue
			}
			n, pos = escapeHit(dst, src, n, pos, hit)
		}
		for pos < end {
			if pos+8 > len(src) {
				n = escapeTail(dst, n, src[pos:end])
				pos = end
				break
			}
			// Eight bytes are copied; those that don't belong to the column are overwritten and never suspect.
			x := binary.LittleEndian.Uint64(src[pos:])
			binary.LittleEndian.PutUint64(dst[n:], x)
			hit := suspects(x | ^uint64(0)<<(8*(end-pos)))
			if hit == 0 {
				n, pos = n+end-pos, end
				break
			}
			n, pos = escapeHit(dst, src, n, pos, hit)
		}
		dst[n] = '\t'
		n++
	}
	if pos != size {
		return -1
	}
	if columns == 0 {
		n = 1
	}
	dst[n-1] = '\n'
	return n
}

// escapeHit goes past the first suspect of eight bytes that have been copied from src[pos:] to dst[n:].
func escapeHit(dst, src []byte, n, pos int, hit uint64) (newN, newPos int) {
	i := bits.TrailingZeros64(hit) / 8
	n, pos = n+i, pos+i
	if e := escapes[src[pos]]; e != 0 {
		dst[n], dst[n+1] = '\\', e
		return n + 2, pos + 1
	}
	return n + 1, pos + 1 // below 14 and harmless
}

// escapeTail writes src to dst[n:], byte by byte.
func escapeTail(dst []byte, n int, src []byte) int {
	for _, b := range src {
		if e := escapes[b]; e != 0 {
			dst[n], dst[n+1] = '\\', e
			n += 2
			continue
		}
		dst[n] = b
		n++
	}
	return n
}

// escapeText writes src as COPY text to dst until one of them ends. An escape is never split.
func escapeText(dst, src []byte) (n, used int) {
	for used+8 <= len(src) && n+8 <= len(dst) {
		x := binary.LittleEndian.Uint64(src[used:])
		binary.LittleEndian.PutUint64(dst[n:], x)
		hit := suspects(x)
		if hit == 0 {
			n, used = n+8, used+8
			continue
		}
		if bits.TrailingZeros64(hit) >= 7*8 { // its escape may not fit
			n, used = n+7, used+7
			break
		}
		n, used = escapeHit(dst, src, n, used, hit)
	}
	for used < len(src) && n < len(dst) {
		b := src[used]
		if e := escapes[b]; e != 0 {
			if n+2 > len(dst) {
				break
			}
			dst[n], dst[n+1] = '\\', e
			n++
		} else {
			dst[n] = b
		}
		n++
		used++
	}
	return n, used
}
