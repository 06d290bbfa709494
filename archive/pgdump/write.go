package pgdump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
)

// WriteOptions say how an archive is written.
type WriteOptions struct {
	Minor       uint8 // of the archive's version, 1.13 to 1.16; 0 is the oldest that holds the content, see [MinorFor]
	Compression Compression
	Level       int       // 0 for the codec's default
	Created     time.Time // recorded in its own zone, which is lost
	Jobs        int       // pieces that are encoded at once; 0 is 1

	// RestoreSQL writes the script that a tar archive holds for people; nil for none.
	RestoreSQL func(w io.Writer) error
}

// WriteSummary is what a finished archive comes to.
type WriteSummary struct {
	Minor    uint8
	RawBytes uint64   // of rows and large objects, before compression
	Bytes    uint64   // written
	Notes    []string // what the version does not hold, by name
}

// Writer writes an archive as pg_dump does: custom, directory or tar. The data of entries is written one after the other, each in
// pieces, which are encoded by Jobs goroutines and written in order. One goroutine may call its methods.
//
//	Begin, Add, Add, ..., End                               the rows of a TABLE DATA entry
//	BeginBlobs, BeginBlob, Add, ..., EndBlob, ..., End      the large objects of a BLOBS entry
//
// What is written depends on the calls alone, not on the number of jobs. The first error stays: every later call returns it.
//
// Memory: (2 × Jobs + 2) × [MaxPiece] for what was encoded, Jobs × [MaxPiece] for pieces, what the encoders take, and
// the table of contents.
type Writer struct {
	toc     *TOC
	sink    sink
	options WriteOptions
	targets map[int32]int  // place in toc.Entries
	left    map[int32]bool // entries whose data is still to come
	notes   []string

	ctx    context.Context //nolint:containedctx // of the goroutines, which live as long as the writer
	cancel context.CancelCauseFunc
	group  *errgroup.Group
	work   chan *piece
	order  chan writeOp
	free   chan *piece
	ended  bool

	current *Entry // that is open
	oid     uint32 // of the large object that is open
	pending *piece // the last piece that was added: it may be the end of its stream
	open    bool   // an entry is open
	blobs   bool
	blob    bool // a large object is open
	raw     uint64
}

// piece is a part of a stream on its way.
type piece struct {
	fetch  func(buf []byte) ([]byte, error)
	done   func()
	suffix string // added behind it before it is encoded
	out    []byte
	sum    pieceSum
	raw    int
	coded  chan error // capacity 1
}

// writeOp is one thing for the goroutine that writes: a piece, or fn.
type writeOp struct {
	piece *piece
	fn    func() error
}

// sink is where the encoded data goes: one for each format. One goroutine at a time.
type sink interface {
	begin(e *Entry) error // data of an entry
	end(e *Entry) error   // ends it
	beginBlob(e *Entry, oid uint32) error
	endBlob(e *Entry, oid uint32) error
	write(encoded []byte) error     // of the entry or large object that is open; never empty
	close(toc *TOC) (uint64, error) // completes the archive, and tells its size
	abort()                         // removes what was made
	canSeek() bool                  // entries may come in any order
}

// endOfData stands behind the rows of a table.
const endOfData = "\\.\n\n\n"

func newWriter(ctx context.Context, cat *archive.Catalog, format Format, directory bool, o WriteOptions, open func(*TOC, *WriteOptions) (sink, error)) (*Writer, error) {
	o.Jobs = max(o.Jobs, 1)
	if o.Minor == 0 {
		o.Minor = MinorFor(cat, o.Compression)
	}
	toc, notes, err := newTOC(cat, format, &o)
	if err != nil {
		return nil, err
	}
	w := &Writer{toc: toc, options: o, notes: notes, targets: make(map[int32]int), left: make(map[int32]bool)}
	for i := range toc.Entries {
		e := &toc.Entries[i]
		w.targets[e.ID] = i
		if e.HadDumper {
			w.left[e.ID] = true
		}
	}
	encoders := make([]pieceEncoder, o.Jobs)
	for i := range encoders {
		if encoders[i], err = newPieceEncoder(format, directory, o.Compression, o.Level); err != nil {
			return nil, err
		}
	}
	if w.sink, err = open(toc, &w.options); err != nil {
		return nil, err
	}
	w.start(ctx, encoders)
	return w, nil
}

// start starts the goroutines.
func (w *Writer) start(ctx context.Context, encoders []pieceEncoder) {
	pieces := 2*len(encoders) + 2
	w.work, w.order, w.free = make(chan *piece, pieces), make(chan writeOp, pieces+16), make(chan *piece, pieces)
	for range pieces {
		w.free <- &piece{coded: make(chan error, 1)}
	}
	ctx, w.cancel = context.WithCancelCause(ctx)
	w.group, w.ctx = errgroup.WithContext(ctx)
	for _, e := range encoders {
		w.group.Go(func() error { return w.encode(e) })
	}
	w.group.Go(w.writeAll)
}

// encode encodes pieces until there are none.
func (w *Writer) encode(e pieceEncoder) error {
	var buf []byte
	for {
		select {
		case p, ok := <-w.work:
			if !ok {
				return nil
			}
			if buf == nil {
				buf = make([]byte, MaxPiece+len(endOfData))
			}
			err := p.encode(e, buf)
			p.coded <- err
			if err != nil {
				return err
			}
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		}
	}
}

func (p *piece) encode(e pieceEncoder, buf []byte) error {
	var text []byte
	var err error
	if p.fetch != nil {
		text, err = p.fetch(buf[:MaxPiece])
		if err == nil && len(text) > MaxPiece {
			err = fmt.Errorf("a piece of %d bytes is larger than %d", len(text), MaxPiece)
		}
	}
	if err == nil {
		p.raw = len(text)
		if p.suffix != "" {
			n := copy(buf, text) // it may be there already
			text = buf[:n+copy(buf[n:], p.suffix)]
		}
		p.out, p.sum, err = p.out[:0], pieceSum{}, nil
		if len(text) > 0 {
			p.out, p.sum, err = e.encode(p.out, text)
		}
	}
	if p.done != nil {
		p.done()
	}
	return err
}

// writeAll writes everything in order.
func (w *Writer) writeAll() error {
	for {
		select {
		case op, ok := <-w.order:
			if !ok {
				return nil
			}
			if err := w.apply(op); err != nil {
				return err
			}
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		}
	}
}

func (w *Writer) apply(op writeOp) error {
	if op.fn != nil {
		return op.fn()
	}
	p := op.piece
	select {
	case err := <-p.coded:
		if err != nil {
			return err
		}
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
	w.raw += uint64(p.raw)
	if len(p.out) > 0 {
		if s, ok := w.sink.(summing); ok {
			s.addSum(p.sum)
		}
		if err := w.sink.write(p.out); err != nil {
			return err
		}
	}
	p.fetch, p.done, p.suffix = nil, nil, ""
	w.free <- p
	return nil
}

// summing is a sink whose streams have a checksum of all pieces.
type summing interface{ addSum(s pieceSum) }

// hand passes an operation on.
func (w *Writer) hand(op writeOp) error {
	select {
	case w.order <- op:
	case <-w.ctx.Done():
		return w.failure()
	}
	if op.piece != nil {
		w.work <- op.piece // there is room for all pieces
	}
	return nil
}

// failure is the first error of the goroutines.
func (w *Writer) failure() error { return context.Cause(w.ctx) }

var (
	errOrder    = errors.New("internal error: data of an archive in wrong order")
	errNotBegun = errors.New("internal error: no data of an entry is open")
)

// Begin begins the rows of a TABLE DATA entry. Where the archive goes to a pipe, entries come in the order of the catalog.
func (w *Writer) Begin(entry int32) error { return w.begin(entry, false) }

// BeginBlobs begins the large objects of a BLOBS entry.
func (w *Writer) BeginBlobs(entry int32) error { return w.begin(entry, true) }

func (w *Writer) begin(entry int32, blobs bool) error {
	if w.ctx.Err() != nil {
		return w.failure()
	}
	i, ok := w.targets[entry]
	if !ok || !w.left[entry] || w.open {
		return fmt.Errorf("%w: entry %d", errOrder, entry)
	}
	if !w.sink.canSeek() {
		for k := range i {
			if w.left[w.toc.Entries[k].ID] {
				return fmt.Errorf("%w: entry %d before entry %d, to a pipe", errOrder, entry, w.toc.Entries[k].ID)
			}
		}
	}
	w.open, w.blobs = true, blobs
	delete(w.left, entry)
	w.current = &w.toc.Entries[i]
	e := w.current
	return w.hand(writeOp{fn: func() error { return w.sink.begin(e) }})
}

// Add adds a piece of at most [MaxPiece] bytes: of COPY text, or of a large object. fetch gives it, once, on another goroutine; it may
// put it into buf, which has room for so much. done, if not nil, is called when the piece is not needed any more; where
// the writing is given up it may never be called.
func (w *Writer) Add(fetch func(buf []byte) ([]byte, error), done func()) error {
	if !w.open || w.blobs && !w.blob {
		return errNotBegun
	}
	if err := w.flush(""); err != nil {
		return err
	}
	p, err := w.take()
	if err != nil {
		return err
	}
	p.fetch, p.done = fetch, done
	w.pending = p
	return nil
}

func (w *Writer) take() (*piece, error) {
	select {
	case p := <-w.free:
		return p, nil
	case <-w.ctx.Done():
		return nil, w.failure()
	}
}

// flush hands the pending piece on, with what is to stand behind it.
func (w *Writer) flush(suffix string) error {
	p := w.pending
	if p == nil && suffix != "" {
		var err error
		if p, err = w.take(); err != nil {
			return err
		}
	}
	if p == nil {
		return nil
	}
	w.pending = nil
	p.suffix = suffix
	return w.hand(writeOp{piece: p})
}

// End ends the rows, or the large objects, of an entry.
func (w *Writer) End() error {
	if !w.open || w.blob {
		return errNotBegun
	}
	suffix := endOfData
	if w.blobs {
		suffix = ""
	}
	if err := w.flush(suffix); err != nil {
		return err
	}
	e := w.current
	w.open = false
	return w.hand(writeOp{fn: func() error { return w.sink.end(e) }})
}

// BeginBlob begins a large object.
func (w *Writer) BeginBlob(oid uint32) error {
	if !w.open || !w.blobs || w.blob {
		return errNotBegun
	}
	w.blob, w.oid = true, oid
	e := w.current
	return w.hand(writeOp{fn: func() error { return w.sink.beginBlob(e, oid) }})
}

// EndBlob ends a large object.
func (w *Writer) EndBlob() error {
	if !w.blob {
		return errNotBegun
	}
	if err := w.flush(""); err != nil {
		return err
	}
	w.blob = false
	e, oid := w.current, w.oid
	return w.hand(writeOp{fn: func() error { return w.sink.endBlob(e, oid) }})
}

// TOC is the table of contents that is written: the catalog in the archive's version. The caller must not change it.
func (w *Writer) TOC() *TOC { return w.toc }

// Close completes the archive. It fails where data of an entry was never given.
func (w *Writer) Close() (WriteSummary, error) {
	if err := w.finish(); err != nil {
		w.sink.abort()
		return WriteSummary{}, err
	}
	if len(w.left) > 0 || w.open {
		w.sink.abort()
		for _, e := range w.toc.Entries {
			if w.left[e.ID] {
				return WriteSummary{}, fmt.Errorf("%w: no data of entry %d, %s %s", errOrder, e.ID, e.Kind, e.Name)
			}
		}
		return WriteSummary{}, errOrder
	}
	n, err := w.sink.close(w.toc)
	if err != nil {
		w.sink.abort()
		return WriteSummary{}, err
	}
	return WriteSummary{Minor: w.options.Minor, RawBytes: w.raw, Bytes: n, Notes: w.notes}, nil
}

// finish waits for the goroutines to write what was handed over.
func (w *Writer) finish() error {
	if w.ended {
		return errOrder
	}
	w.ended = true
	close(w.work)
	close(w.order)
	err := w.group.Wait()
	w.cancel(nil)
	return err
}

// Abort gives the archive up, and removes what was made of it where that has a name. It does nothing after Close.
func (w *Writer) Abort() {
	if w.ended {
		return
	}
	w.ended = true
	w.cancel(context.Canceled)
	_ = w.group.Wait()
	w.sink.abort()
}
