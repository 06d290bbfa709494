package pgdump

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

const (
	// maxString bounds one string. PostgreSQL itself holds no text of 1 GiB, and pg_dump builds each
	// statement in a buffer of less than that.
	maxString = 1 << 30
	// firstChunk is what a string may allocate before its bytes have arrived.
	firstChunk = 64 << 10
)

// scanner reads the primitives of an archive and keeps count of where it is.
//
//	Int: a sign byte, 0 or 1 for negative, then intSize bytes of magnitude, little-endian
//	Str: an Int length, then that many bytes; length -1 is NULL
//	Off: a state byte, then offSize bytes, little-endian
//
// The first failure sticks: every later read returns zero values, so that a caller may read a whole
// record and look at err once.
type scanner struct {
	r       *bufio.Reader
	off     int64
	intSize int
	offSize int
	entry   int // for errors
	err     error
}

func newScanner(r io.Reader) *scanner {
	return &scanner{r: bufio.NewReaderSize(r, 32<<10), intSize: 4, offSize: 8}
}

// fail records the first failure.
func (s *scanner) fail(field string, err error, detail string) {
	if s.err != nil {
		return
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrTruncated
	}
	s.err = &FormatError{Offset: s.off, Entry: s.entry, Field: field, Detail: detail, Err: err}
}

func (s *scanner) damaged(field, format string, args ...any) {
	s.fail(field, ErrDamaged, fmt.Sprintf(format, args...))
}

func (s *scanner) byte(field string) byte {
	if s.err != nil {
		return 0
	}
	b, err := s.r.ReadByte()
	if err != nil {
		s.fail(field, err, "")
		return 0
	}
	s.off++
	return b
}

func (s *scanner) full(field string, p []byte) {
	if s.err != nil {
		return
	}
	n, err := io.ReadFull(s.r, p)
	s.off += int64(n)
	if err != nil {
		s.fail(field, err, "")
	}
}

// int reads an Int, which must fit 32 bits whatever its size in the archive.
func (s *scanner) int(field string) int32 {
	sign := s.byte(field)
	var buf [8]byte
	s.full(field, buf[:s.intSize])
	if s.err != nil {
		return 0
	}
	if sign > 1 {
		s.damaged(field, "sign byte is %d", sign)
		return 0
	}
	var v uint64
	for i := s.intSize - 1; i >= 0; i-- {
		v = v<<8 | uint64(buf[i])
	}
	if sign == 1 && v == -math.MinInt32 { // the OID 2^31, which is written as a negative number
		return math.MinInt32
	}
	if v > math.MaxInt32 {
		s.damaged(field, "integer of magnitude %d is out of range", v)
		return 0
	}
	if sign == 1 {
		return -int32(v)
	}
	return int32(v)
}

// str reads a Str; null tells NULL from the empty string.
func (s *scanner) str(field string) (value string, null bool) {
	n := s.int(field)
	switch {
	case s.err != nil:
		return "", false
	case n == -1:
		return "", true
	case n < 0 || n >= maxString:
		s.damaged(field, "string of length %d", n)
		return "", false
	}
	buf := make([]byte, 0, min(int(n), firstChunk))
	for len(buf) < int(n) {
		// Doubling only what has arrived keeps a false length from allocating.
		step := min(int(n)-len(buf), max(len(buf), firstChunk))
		from := len(buf)
		buf = append(buf, make([]byte, step)...)
		s.full(field, buf[from:])
		if s.err != nil {
			return "", false
		}
	}
	for _, b := range buf {
		if b == 0 {
			s.damaged(field, "string holds a zero byte")
			return "", false
		}
	}
	return string(buf), false
}

// text reads a Str that may not be NULL.
func (s *scanner) text(field string) string {
	v, null := s.str(field)
	if null {
		s.damaged(field, "is NULL")
	}
	return v
}

// oid reads an object id, which archives hold as decimal text.
func (s *scanner) oid(field string) uint32 {
	t := s.text(field)
	if s.err != nil {
		return 0
	}
	v, err := strconv.ParseUint(t, 10, 32)
	if err != nil {
		s.damaged(field, "%q is not an object id", t)
		return 0
	}
	return uint32(v)
}

// offset reads an Off.
func (s *scanner) offset(field string) (OffsetState, uint64) {
	state := OffsetState(s.byte(field))
	var buf [8]byte
	s.full(field, buf[:s.offSize])
	if s.err != nil {
		return 0, 0
	}
	if state < OffsetNotSet || state > OffsetNoData {
		s.damaged(field, "state of the offset is %d", state)
		return 0, 0
	}
	var v uint64
	for i := s.offSize - 1; i >= 0; i-- {
		v = v<<8 | uint64(buf[i])
	}
	return state, v
}
