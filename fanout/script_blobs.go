package fanout

import (
	"context"
	"encoding/hex"
	"strconv"

	"github.com/pgark/pgark/archive"
)

const (
	// loWrite is libpq's INV_WRITE, the mode of lo_open.
	loWrite = 0x20000
	// loChunk is how many bytes one lowrite of a script writes, as in pg_restore's.
	loChunk = 16 << 10
)

// largeObjects writes the contents of the large objects of one BLOBS entry. The entries that make them come before.
func (s *script) largeObjects(ctx context.Context, e *archive.Entry) error {
	s.statements(s.plan.schemaSetting(&s.state, &archive.Entry{Schema: "pg_catalog"}))
	if !s.single {
		s.print("BEGIN;\n\n")
	}
	b := blobScript{s: s}
	if err := s.src.LargeObjects(ctx, e.ID, b.piece); err != nil {
		return err
	}
	b.close()
	if !s.single {
		s.print("COMMIT;\n\n")
	}
	return s.err()
}

// err is the sticky error of the output.
func (s *script) err() error {
	_, err := s.w.Write(nil)
	return err
}

// blobScript writes the pieces of large objects, gathered into chunks.
type blobScript struct {
	s    *script
	open bool
	oid  uint32
	pos  int64 // where the next piece goes on, what buf holds included
	buf  []byte
}

func (b *blobScript) piece(oid uint32, offset int64, data []byte) error {
	if !b.open || b.oid != oid {
		b.close()
		b.open, b.oid, b.pos = true, oid, 0
		b.s.print("SELECT pg_catalog.lo_open('", strconv.FormatUint(uint64(oid), 10), "', ", strconv.Itoa(loWrite), ");\n")
	}
	if offset != b.pos {
		b.flush()
		b.s.print("SELECT pg_catalog.lo_lseek64(0, ", strconv.FormatInt(offset, 10), ", 0);\n")
	}
	b.pos = offset + int64(len(data))
	for len(data) > 0 {
		if len(b.buf) == loChunk {
			b.flush()
		}
		n := min(len(data), loChunk-len(b.buf))
		b.buf = append(b.buf, data[:n]...)
		data = data[n:]
	}
	return b.s.err()
}

func (b *blobScript) flush() {
	if len(b.buf) == 0 {
		return
	}
	b.s.print("SELECT pg_catalog.lowrite(0, ", stringLiteral(`\x`+hex.EncodeToString(b.buf), b.s.plan.style.stdStrings), ");\n")
	b.buf = b.buf[:0]
}

func (b *blobScript) close() {
	if !b.open {
		return
	}
	b.flush()
	b.open = false
	b.s.print("SELECT pg_catalog.lo_close(0);\n\n")
}
