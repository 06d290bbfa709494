package fanout

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
)

// pieceSink takes rows in pieces: [pgdump.Writer] is one.
type pieceSink interface {
	// Add takes the next piece of some rows: COPY text that may end anywhere, at most archive.FrameTarget bytes of it. fetch
	// gives it, on whatever goroutine, once; it may put it into buf, which has room for so much. done, if not nil, is
	// called when it is not needed any more.
	Add(fetch func(buf []byte) ([]byte, error), done func()) error
	// AddEncoded takes one that was encoded. Only rows of a dump that [orderedPipe] was told to encode come so.
	AddEncoded(piece *pgdump.Encoded) error
}

// rowFeed gives a dump's contents to who writes them entry by entry.
type rowFeed interface {
	// rows gives the rows of a TABLE DATA entry, in order. Each entry is asked for once, in the order of the catalog. Now and
	// then, where a row ends, it calls cut with the number of bytes since the last time, as far as size counts them.
	rows(ctx context.Context, e *archive.Entry, to pieceSink, cut func(bytes uint64) error) error
	// size is about how many bytes the rows of an entry take, 0 where that is not known.
	size(e *archive.Entry) uint64
	// largeObjects gives those of a BLOBS entry, object by object and front to back. An empty one has an empty piece.
	largeObjects(ctx context.Context, e *archive.Entry, fn func(oid uint32, offset int64, data []byte) error) error
}

// archiveFeed are those of an archive of pgark. Blocks are decoded wherever fetch is called.
type archiveFeed struct {
	archive  *archive.Reader
	decoders chan *archive.Decoder // as many as fetch may be called at once, and one for what is decoded before it is added
	progress Progress
	src      archiveSource
}

func newArchiveFeed(a *archive.Reader, jobs int, p Progress) *archiveFeed {
	x := &archiveFeed{archive: a, decoders: make(chan *archive.Decoder, jobs+1), progress: p, src: archiveSource{a: a}}
	for range cap(x.decoders) {
		x.decoders <- a.NewDecoder()
	}
	return x
}

func (x *archiveFeed) close() {
	for range cap(x.decoders) {
		(<-x.decoders).Close()
	}
}

func (x *archiveFeed) size(e *archive.Entry) uint64 {
	var raw uint64
	for _, s := range x.archive.TableStreams(e.ID) {
		raw += s.Raw
	}
	return raw
}

func (x *archiveFeed) rows(ctx context.Context, e *archive.Entry, to pieceSink, cut func(uint64) error) error {
	streams := x.archive.TableStreams(e.ID)
	if len(streams) == 0 {
		return x.src.missing()
	}
	var total uint64
	for i := range streams {
		s := &streams[i]
		if err := x.stream(ctx, e, s, to, cut); err != nil {
			return fmt.Errorf("stream %d: %w", s.ID, err)
		}
		total += s.Digest.Rows
	}
	x.progress.TableDone(e.Schema, e.Name, total)
	return nil
}

// stream adds the blocks of a stream; those of a partition whose columns have another order, with their fields in
// that of the entry's COPY statement.
func (x *archiveFeed) stream(ctx context.Context, e *archive.Entry, s *archive.Stream, to pieceSink, cut func(uint64) error) error {
	order, err := fieldOrder(s.Columns, copyColumns(e.Copy))
	if err != nil {
		return err
	}
	if order != nil || !loadable(s.Form) {
		d := <-x.decoders
		defer func() { x.decoders <- d }()
		if err := streamText(ctx, x.archive, d, s, e.Copy, func(text []byte) error { return addCopies(ctx, text, to) }); err != nil {
			return err
		}
		return cut(s.Raw)
	}
	for b := range x.archive.Blocks(s.ID) {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if b.Parts > 1 || b.Raw > archive.FrameTarget {
			if err := x.largeBlock(ctx, b, to); err != nil {
				return err
			}
			if err := cut(b.Raw); err != nil {
				return err
			}
			continue
		}
		err := to.Add(func(buf []byte) ([]byte, error) {
			d := <-x.decoders
			defer func() { x.decoders <- d }()
			buf = buf[:0]
			err := d.Block(b, func(part []byte) error {
				buf = append(buf, part...)
				return nil
			})
			x.progress.Advance(uint64(b.Rows), b.Raw)
			return buf, err
		}, nil)
		if err == nil {
			err = cut(b.Raw)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// largeBlock adds a block of several parts, which is one row, part by part: they can't be decoded side by side.
func (x *archiveFeed) largeBlock(ctx context.Context, b archive.Block, to pieceSink) error {
	d := <-x.decoders
	defer func() { x.decoders <- d }()
	defer x.progress.Advance(uint64(b.Rows), b.Raw)
	return d.Block(b, func(part []byte) error { return addCopies(ctx, part, to) })
}

// addCopies adds copies of text that is gone when this returns.
func addCopies(ctx context.Context, text []byte, to pieceSink) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	for len(text) > 0 {
		n := min(len(text), archive.FrameTarget)
		own := bytes.Clone(text[:n])
		if err := to.Add(func([]byte) ([]byte, error) { return own, nil }, nil); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

func (x *archiveFeed) largeObjects(ctx context.Context, e *archive.Entry, fn func(oid uint32, offset int64, data []byte) error) error {
	o := blobOrder{fn: fn}
	return x.src.LargeObjects(ctx, e.ID, o.piece)
}

// sourceFeed are those of another program's dump.
type sourceFeed struct {
	source   archive.Source
	progress Progress
}

// size is not known: another program's dump does not say how much there is before it is read.
func (x *sourceFeed) size(*archive.Entry) uint64 { return 0 }

func (x *sourceFeed) rows(ctx context.Context, e *archive.Entry, to pieceSink, _ func(uint64) error) error {
	var total uint64
	streams := x.source.TableStreams(e.ID)
	if len(streams) == 0 {
		return noRows(x.source, e.ID)
	}
	err := sourceRows(ctx, x.source, streams, func(text []byte) error {
		rows := uint64(bytes.Count(text, []byte{'\n'}))
		total += rows
		x.progress.Advance(rows, uint64(len(text)))
		return addCopies(ctx, text, to)
	})
	if err != nil {
		return err
	}
	x.progress.TableDone(e.Schema, e.Name, total)
	return countRows(x.source, e.ID, total)
}

func (x *sourceFeed) largeObjects(ctx context.Context, e *archive.Entry, fn func(oid uint32, offset int64, data []byte) error) error {
	o := blobOrder{fn: fn} // a script may leave holes (lo_lseek64)
	return x.source.LargeObjects(ctx, e.ID, o.piece)
}

// blobDecoder decodes rows of a stream of large objects that come in pieces.
type blobDecoder struct {
	fn   func(oid uint32, offset int64, data []byte) error
	line []byte
	data []byte
}

func (d *blobDecoder) write(text []byte) error {
	for len(text) > 0 {
		row, rest, whole := bytes.Cut(text, []byte{'\n'})
		if text = rest; !whole {
			d.line = append(d.line, row...)
			return nil
		}
		if len(d.line) > 0 {
			d.line = append(d.line, row...)
			row = d.line
		}
		oid, offset, hexed, err := parseLargeObjectRow(row)
		if err != nil {
			return err
		}
		d.data = append(d.data[:0], hexed...)
		n, err := hex.Decode(d.data, d.data)
		if err != nil {
			return fmt.Errorf("large object %d: its bytes at %d are not in hex: %w", oid, offset, err)
		}
		if err := d.fn(oid, offset, d.data[:n]); err != nil {
			return err
		}
		d.line = d.line[:0]
	}
	return nil
}

// maxLargeObject is how long a large object can be, by PostgreSQL's large_object.h: INT_MAX pages of 2 KiB.
const maxLargeObject = math.MaxInt32 * 2048

// blobOrder makes sure that pieces of large objects come in order, as formats need them that are written front to back.
type blobOrder struct {
	fn   func(oid uint32, offset int64, data []byte) error
	oid  uint32
	next int64
	seen map[uint32]bool
}

func (o *blobOrder) piece(oid uint32, offset int64, data []byte) error {
	if o.seen == nil {
		o.seen = make(map[uint32]bool)
	}
	if oid != o.oid || len(o.seen) == 0 {
		if o.seen[oid] {
			return fmt.Errorf("the pieces of large object %d do not stand together, and can't be written front to back", oid)
		}
		o.seen[oid] = true
		o.oid, o.next = oid, 0
	}
	if offset < o.next {
		return fmt.Errorf("large object %d: the piece at %d comes after bytes up to %d: they can't be written front to back", oid, offset, o.next)
	}
	if offset > maxLargeObject { // else a line of a script would write zeros without end
		return fmt.Errorf("large object %d: a piece at %d, where servers hold no more than %d bytes", oid, offset, int64(maxLargeObject))
	}
	for o.next < offset { // a hole reads as zeros
		n := min(offset-o.next, archive.LargeObjectChunk)
		if err := o.fn(oid, o.next, make([]byte, n)); err != nil {
			return err
		}
		o.next += n
	}
	o.next += int64(len(data))
	return o.fn(oid, offset, data)
}
