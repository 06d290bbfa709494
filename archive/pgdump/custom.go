package pgdump

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/pgark/pgark/archive"
)

// customStore is the data blocks of a custom archive.
type customStore struct {
	r       io.ReaderAt
	length  int64
	toc     *TOC
	closing func() error

	offsets []uint64  // places of data in the table of contents, in order
	scan    sync.Once // for an archive without the places of its data
	scanned map[int32]int64
	scanErr error
}

func newCustomStore(r io.ReaderAt, size int64, toc *TOC, closing func() error) *customStore {
	s := &customStore{r: r, length: size, toc: toc, closing: closing}
	for i := range toc.Entries {
		if e := &toc.Entries[i]; e.DataState == OffsetSet {
			s.offsets = append(s.offsets, e.Offset)
		}
	}
	slices.Sort(s.offsets)
	return s
}

func (s *customStore) size() (bytes uint64, files int) { return uint64(max(s.length, 0)), 1 } //nolint:gosec // not negative

func (s *customStore) close() error { return s.closing() }

// at reads from a place in the file on.
func (s *customStore) at(offset int64) *scanner {
	x := &scanner{
		r: bufio.NewReaderSize(io.NewSectionReader(s.r, offset, s.length-offset), compressedBuffer), off: offset,
		intSize: s.toc.Header.IntSize, offSize: s.toc.Header.OffSize,
	}
	return x
}

// place finds an entry's data.
func (s *customStore) place(e *Entry) (int64, error) {
	if e.DataState == OffsetSet {
		if e.Offset < uint64(s.toc.size) || e.Offset >= uint64(s.length) { //nolint:gosec // not negative
			return 0, dataError(e, "", int64(min(e.Offset, math.MaxInt64)), ErrTruncated, //nolint:gosec // bounded
				fmt.Sprintf("the file of %d bytes has no such place for data", s.length))
		}
		return int64(e.Offset), nil //nolint:gosec // in the file
	}
	s.scan.Do(func() { s.scanned, s.scanErr = s.findBlocks(nil) })
	if at, ok := s.scanned[e.ID]; ok {
		return at, nil
	}
	if s.scanErr != nil {
		return 0, s.scanErr
	}
	return 0, dataError(e, "", -1, ErrTruncated, "the archive has no data of it")
}

// findBlocks hops from block to block, from the table of contents on, without reading what is in them. visit may be nil.
func (s *customStore) findBlocks(visit func(id int32, kind byte, from, to int64)) (map[int32]int64, error) {
	found := make(map[int32]int64)
	x := s.at(s.toc.size)
	for {
		from := x.off
		kind, err := x.r.ReadByte()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return found, err
		}
		if kind == 0 && s.isTOCAgain(x) {
			return found, nil
		}
		x.off++
		if kind != blockData && kind != blockBlobs {
			x.damaged("type of a block", "%d", kind)
		}
		id := x.int("number of a block")
		if _, twice := found[id]; x.err == nil && twice {
			x.damaged("number of a block", "%d comes twice", id)
		}
		if x.err == nil {
			err = s.skip(x, kind)
		}
		if x.err != nil {
			return found, x.err
		}
		if err != nil {
			return found, err
		}
		found[id] = from
		if visit != nil {
			visit(id, kind, from, x.off)
		}
	}
}

// isTOCAgain tells whether what follows is the table of contents once more, from its number of entries on. A pg_dump whose
// output is appended to a file writes it at the end, where it means to write it over the first. The byte that was read last is
// the sign of that number.
func (s *customStore) isTOCAgain(x *scanner) bool {
	count, err := x.r.Peek(s.toc.Header.IntSize)
	if err != nil {
		return false
	}
	n := 0
	for i := len(count) - 1; i >= 0; i-- {
		n = n<<8 | int(count[i])
	}
	return n == len(s.toc.Entries)
}

// skip passes the content of a block.
func (s *customStore) skip(x *scanner, kind byte) error {
	if kind == blockData {
		return s.skipChunks(x)
	}
	for {
		oid := x.int("OID of a large object")
		if x.err != nil || oid == 0 {
			return x.err
		}
		if err := s.skipChunks(x); err != nil {
			return err
		}
	}
}

func (s *customStore) skipChunks(x *scanner) error {
	for {
		n := x.int("length of a chunk")
		switch {
		case x.err != nil:
			return x.err
		case n == 0:
			return nil
		case n < 0:
			x.damaged("length of a chunk", "%d", n)
			return x.err
		case int64(n) > s.length-x.off:
			x.fail("chunk", ErrTruncated, fmt.Sprintf("it has %d bytes, the file only %d more", n, s.length-x.off))
			return x.err
		}
		if int64(n) <= int64(x.r.Buffered()) {
			if _, err := x.r.Discard(int(n)); err != nil {
				return err
			}
			x.off += int64(n)
			continue
		}
		x.off += int64(n)
		x.r.Reset(io.NewSectionReader(s.r, x.off, s.length-x.off))
	}
}

// open begins to read an entry's block.
func (s *customStore) open(e *Entry, kind byte) (*scanner, error) {
	at, err := s.place(e)
	if err != nil {
		return nil, err
	}
	x := s.at(at)
	got := x.byte("type of a block")
	id := x.int("number of a block")
	switch {
	case x.err != nil:
		return nil, dataError(e, "", at, x.err, "")
	case got != kind || id != e.ID:
		return nil, dataError(e, "", at, ErrDamaged, fmt.Sprintf("there is a block of type %d for entry %d", got, id))
	}
	return x, nil
}

func (s *customStore) data(e *Entry) (io.ReadCloser, error) {
	x, err := s.open(e, blockData)
	if err != nil {
		return nil, err
	}
	return newDataReader(&chunkReader{x: x, e: e}, s.toc.Header.Compression, true)
}

func (s *customStore) blobs(ctx context.Context, e *Entry, fn func(oid uint32, r io.Reader) error) error {
	x, err := s.open(e, blockBlobs)
	if err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		oid := x.int("OID of a large object")
		if x.err != nil {
			return dataError(e, "", x.off, x.err, "")
		}
		if oid == 0 {
			return nil
		}
		chunks := &chunkReader{x: x, e: e}
		if err := s.blob(uint32(oid), chunks, fn); err != nil { //nolint:gosec // from 2^31 on it is written as a negative number
			return err
		}
	}
}

// blob reads one large object. One that is written in no chunk at all is empty, whatever the compression.
func (s *customStore) blob(oid uint32, chunks *chunkReader, fn func(oid uint32, r io.Reader) error) error {
	if chunks.advance(); chunks.ended && chunks.err == nil {
		return fn(oid, eofReader{})
	}
	r, err := newDataReader(chunks, s.toc.Header.Compression, true)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := fn(oid, r); err != nil {
		return err
	}
	if !chunks.ended { // what was read is the caller's word
		return fmt.Errorf("%w: large object %d was not read to its end", ErrDamaged, oid)
	}
	return nil
}

type eofReader struct{}

func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }

// chunkReader reads the chunks of one stream, up to the one of length 0.
type chunkReader struct {
	x     *scanner
	e     *Entry
	left  int // bytes of the chunk
	ended bool
	err   error
}

// advance begins the next chunk if the last one is used up.
func (c *chunkReader) advance() {
	if c.left > 0 || c.ended || c.err != nil {
		return
	}
	n := c.x.int("length of a chunk")
	switch {
	case c.x.err != nil:
		c.err = dataError(c.e, "", c.x.off, c.x.err, "")
	case n < 0:
		c.err = dataError(c.e, "", c.x.off, ErrDamaged, fmt.Sprintf("a chunk of %d bytes", n))
	case n == 0:
		c.ended = true
	default:
		c.left = int(n)
	}
}

func (c *chunkReader) Read(p []byte) (int, error) {
	c.advance()
	switch {
	case c.err != nil:
		return 0, c.err
	case c.ended:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	n, err := c.x.r.Read(p[:min(len(p), c.left)])
	c.left -= n
	c.x.off += int64(n)
	if err != nil {
		c.err = dataError(c.e, "", c.x.off, err, "")
		if n > 0 {
			return n, nil
		}
		return 0, c.err
	}
	return n, nil
}

// stored is the distance to the next block.
func (s *customStore) stored(e *Entry) uint64 {
	if e.DataState != OffsetSet {
		return 0
	}
	next := uint64(s.length) //nolint:gosec // not negative
	if i, _ := slices.BinarySearch(s.offsets, e.Offset+1); i < len(s.offsets) {
		next = min(next, s.offsets[i])
	}
	return next - min(next, e.Offset)
}

func (s *customStore) problems(_ context.Context, toc *TOC) ([]archive.Problem, error) {
	var problems []archive.Problem
	found := make(map[int32]byte)
	places, err := s.findBlocks(func(id int32, kind byte, _, _ int64) { found[id] = kind })
	if err != nil {
		offset := int64(-1)
		var fe *FormatError
		if errors.As(err, &fe) {
			offset = fe.Offset
		} else if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrTruncated) {
			return nil, err
		}
		problems = append(problems, archive.Problem{Offset: offset, Message: err.Error()})
	}
	for i := range toc.Entries {
		e := &toc.Entries[i]
		at, ok := places[e.ID]
		switch {
		case e.HadDumper && !ok && err == nil:
			problems = append(problems, archive.Problem{Offset: -1, Message: fmt.Sprintf("there is no data of entry %d, %s %s", e.ID, e.Kind, e.Name)})
		case ok && e.DataState == OffsetSet && e.Offset != uint64(at): //nolint:gosec // not negative
			problems = append(problems, archive.Problem{Offset: at, Message: fmt.Sprintf("the data of entry %d, %s %s, is not where the table of contents says: at %d", e.ID, e.Kind, e.Name, e.Offset)})
		}
		delete(found, e.ID)
	}
	var unknown []int32
	for id := range found {
		unknown = append(unknown, id)
	}
	slices.Sort(unknown)
	for _, id := range unknown {
		problems = append(problems, archive.Problem{Offset: places[id], Message: fmt.Sprintf("there is data of entry %d, which is not in the table of contents", id)})
	}
	return problems, nil
}
