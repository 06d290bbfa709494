package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"
)

// Digest is a checksum of rows that depends neither on their order nor on how they were spread over
// streams or nodes: their count, the sum of their lengths, and the sum modulo 2^128 of the XXH3-128 hash
// of each. A row is hashed without its ending LF, and Bytes counts it with the LF. Rows of [FormFloats] are hashed and
// counted as their canonical text, so Bytes is not what they take in the archive: that is [Stream.Raw].
//
// It detects accidents. It does not detect an adversary, who can make rows with any wanted sum.
// The zero value is the digest of no rows. Not safe for concurrent use; [Digest.Merge] joins parts.
type Digest struct {
	Rows   uint64
	Bytes  uint64
	Hi, Lo uint64 // the sum
}

// Add adds one row, given without its LF.
func (d *Digest) Add(row []byte) {
	d.add(xxh3.Hash128(row), uint64(len(row))+1, 1)
}

func (d *Digest) add(h xxh3.Uint128, size, rows uint64) {
	var carry uint64
	d.Lo, carry = bits.Add64(d.Lo, h.Lo, 0)
	d.Hi, _ = bits.Add64(d.Hi, h.Hi, carry)
	d.Bytes += size
	d.Rows += rows
}

var errNoLF = errors.New("the last row does not end in a line feed")

// AddRows adds a run of whole rows in COPY text, each ended by LF. Nothing is added where the last has none.
func (d *Digest) AddRows(raw []byte) error {
	if len(raw) > 0 && raw[len(raw)-1] != '\n' {
		return errNoLF
	}
	for len(raw) > 0 {
		n := bytes.IndexByte(raw, '\n')
		d.Add(raw[:n])
		raw = raw[n+1:]
	}
	return nil
}

// AddCSV is AddRows for COPY CSV with the quote character '"': a line feed between quotes belongs to the row.
func (d *Digest) AddCSV(raw []byte) error {
	for len(raw) > 0 {
		n := csvRow(raw)
		if n < 0 {
			return errNoLF
		}
		d.Add(raw[:n])
		raw = raw[n+1:]
	}
	return nil
}

// csvRow returns the index of the LF that ends the first row of raw, -1 if there is none. A doubled quote inside
// quotes closes and opens them again, so only the parity of quotes counts.
func csvRow(raw []byte) int {
	quoted := false
	for at := 0; ; at++ {
		n := bytes.IndexByte(raw[at:], '\n')
		if n < 0 {
			return -1
		}
		if bytes.Count(raw[at:at+n], []byte{'"'})%2 == 1 {
			quoted = !quoted
		}
		at += n
		if !quoted {
			return at
		}
	}
}

// Merge adds the rows of o.
func (d *Digest) Merge(o Digest) {
	d.add(xxh3.Uint128{Hi: o.Hi, Lo: o.Lo}, o.Bytes, o.Rows)
}

// String is "rows:bytes:sum", the sum in 32 hexadecimal digits.
func (d Digest) String() string {
	return fmt.Sprintf("%d:%d:%016x%016x", d.Rows, d.Bytes, d.Hi, d.Lo)
}

// ParseDigest reads what String wrote, and nothing else.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	bad := fmt.Errorf("%q is not a digest (rows:bytes:32 hexadecimal digits)", s)
	f := strings.Split(s, ":")
	if len(f) != 3 || len(f[2]) != 32 {
		return d, bad
	}
	var err [4]error
	d.Rows, err[0] = strconv.ParseUint(f[0], 10, 64)
	d.Bytes, err[1] = strconv.ParseUint(f[1], 10, 64)
	d.Hi, err[2] = strconv.ParseUint(f[2][:16], 16, 64)
	d.Lo, err[3] = strconv.ParseUint(f[2][16:], 16, 64)
	if errors.Join(err[:]...) != nil || d.String() != s {
		return Digest{}, bad
	}
	return d, nil
}

const digestLen = 32

// appendBinary writes rows, bytes and the sum, each little-endian.
func (d Digest) appendBinary(b []byte) []byte {
	for _, v := range []uint64{d.Rows, d.Bytes, d.Lo, d.Hi} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// digestFromBinary reads the first digestLen bytes of b.
func digestFromBinary(b []byte) Digest {
	le := binary.LittleEndian
	return Digest{Rows: le.Uint64(b), Bytes: le.Uint64(b[8:]), Lo: le.Uint64(b[16:]), Hi: le.Uint64(b[24:])}
}

// RowHasher hashes what comes in parts: a row larger than a frame, or a large object.
// The zero value is ready. Not safe for concurrent use. Of rows with floats it holds up to 64 KiB.
type RowHasher struct {
	h     xxh3.Hasher
	n     uint64
	canon *canonical // of rows of FormFloats
	text  []byte
}

// hashStep is how many bytes of a row are made canonical at once.
const hashStep = 32 << 10

// NewRowHasher makes a hasher for the rows of a stream: of [FormFloats] with its [StreamInfo.Floats], whose canonical text it
// hashes and counts; of other forms with none.
func NewRowHasher(floats string) RowHasher {
	if floats == "" {
		return RowHasher{}
	}
	return RowHasher{canon: &canonical{floats: floats}}
}

// Write adds bytes of the row; the LF that ends it must not be among them. It never fails.
func (h *RowHasher) Write(p []byte) (int, error) {
	if h.canon == nil {
		return h.write(p)
	}
	for part := range slices.Chunk(p, hashStep) {
		h.text = h.canon.add(h.text[:0], part)
		_, _ = h.write(h.text)
	}
	return len(p), nil
}

func (h *RowHasher) write(p []byte) (int, error) {
	h.n += uint64(len(p))
	return h.h.Write(p)
}

// Done adds what was written to d as one row, with the LF that ends it counted, and resets the hasher.
func (h *RowHasher) Done(d *Digest) {
	if h.canon != nil {
		h.text = h.canon.end(h.text[:0])
		_, _ = h.write(h.text)
	}
	h.done(d, 1, 1)
}

// DoneBinary adds what was written to d as one value that has no rows (FormBinary): its bytes and its hash, or
// nothing where nothing was written. It resets the hasher.
func (h *RowHasher) DoneBinary(d *Digest) {
	if h.n > 0 {
		h.done(d, 0, 0)
	}
}

func (h *RowHasher) done(d *Digest, lf, rows uint64) {
	d.add(h.h.Sum128(), h.n+lf, rows)
	h.h.Reset()
	h.n = 0
}
