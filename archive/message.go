package archive

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// A message is how everything but rows is written: fields in ascending order of their numbers, each
//
//	number  uvarint
//	length  uvarint
//	body    length bytes
//
// Unknown numbers are skipped. Numbers are never used again for something else. A field that holds its zero
// value is left out, and integers take as few bytes as they can, so one value has one encoding.

// appendField writes one field, even an empty one.
func appendField[T ~string | ~[]byte](b []byte, num uint64, body T) []byte {
	b = binary.AppendUvarint(b, num)
	b = binary.AppendUvarint(b, uint64(len(body)))
	return append(b, body...)
}

func appendString(b []byte, num uint64, s string) []byte {
	if s == "" {
		return b
	}
	return appendField(b, num, s)
}

func appendUint(b []byte, num, v uint64) []byte {
	if v == 0 {
		return b
	}
	return appendField(b, num, binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64), v))
}

func appendInt(b []byte, num uint64, v int64) []byte { return appendUint(b, num, zigzag(v)) }

func appendBool(b []byte, num uint64, v bool) []byte {
	if !v {
		return b
	}
	return appendUint(b, num, 1)
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// fields walks over a message. Text that it returns is part of the message's own memory.
//
//	for f.next() { switch f.num { case 1: x.Name = f.str() } }
//	return f.err
type fields struct {
	s      string
	repeat []uint64 // numbers that may come more than once
	num    uint64   // of the current field
	body   string
	more   bool // not the first field
	err    error
}

// next goes to the next field; false at the end and after an error.
func (f *fields) next() bool {
	if f.err != nil || f.s == "" {
		return false
	}
	num, ok := f.uvarint()
	size, ok2 := f.uvarint()
	if !ok || !ok2 || size > uint64(len(f.s)) {
		f.fail("a field is cut off")
		return false
	}
	if f.more && (num < f.num || num == f.num && !slices.Contains(f.repeat, num)) {
		f.fail("field %d follows field %d", num, f.num)
		return false
	}
	f.num, f.more = num, true
	f.body, f.s = f.s[:size], f.s[size:]
	return true
}

func (f *fields) uvarint() (uint64, bool) {
	v, n := uvarint(f.s)
	if n == 0 {
		return 0, false
	}
	f.s = f.s[n:]
	return v, true
}

// uvarint reads a minimal unsigned varint of LEB128 from s; n is 0 where there is none.
func uvarint(s string) (v uint64, n int) {
	for i := 0; i < len(s) && i < binary.MaxVarintLen64; i++ {
		c := s[i]
		if i == binary.MaxVarintLen64-1 && c > 1 {
			return 0, 0
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			if c == 0 && i > 0 {
				return 0, 0
			}
			return v, i + 1
		}
	}
	return 0, 0
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("message is invalid: %s", fmt.Sprintf(format, args...))
	}
}

// str returns the field as text, which isn't empty: empty text is left out.
func (f *fields) str() string {
	if f.body == "" {
		f.fail("field %d is empty", f.num)
	}
	return f.body
}

// uint returns the field as a number between 1 and limit: zero is left out.
func (f *fields) uint(limit uint64) uint64 {
	v := f.uintOrZero(limit)
	if v == 0 {
		f.fail("field %d is zero", f.num)
	}
	return v
}

func (f *fields) uintOrZero(limit uint64) uint64 {
	v, n := uvarint(f.body)
	if n == 0 || n != len(f.body) || v > limit {
		f.fail("field %d is no number up to %d", f.num, limit)
		return 0
	}
	return v
}

func (f *fields) bool() bool { return f.uint(1) == 1 }

func (f *fields) int32() int32 {
	v := unzigzag(f.uint(math.MaxUint32))
	return int32(v)
}

// raw returns the field, which has exactly n bytes.
func (f *fields) raw(n int) []byte {
	if len(f.body) != n {
		f.fail("field %d has %d bytes, not %d", f.num, len(f.body), n)
		return make([]byte, n)
	}
	return []byte(f.body)
}
