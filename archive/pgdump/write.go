package pgdump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pgark/pgark/archive"
)

// WriteOptions say how an archive is written.
type WriteOptions struct {
	Minor       uint8 // of the archive's version, 1.13 to 1.16; 0 is the oldest that holds the content, see [MinorFor]
	Compression Compression
	Level       int       // 0 for the codec's default
	Created     time.Time // recorded in its own zone, which is lost
	Jobs        int       // pieces that are encoded at once; 0 is 1

	// RestoreSQL writes the script that a tar archive holds for people, behind the table of
	// contents; nil for none. toc is that, with the names of the members.
	RestoreSQL func(w io.Writer, toc *TOC) error

	// Partial is told the directory that the files of a directory archive are in until it is complete, as soon as it is made; nil for nobody.
	// Who ends the program without Abort has to remove it.
	Partial func(dir string)
}

// WriteSummary is what a finished archive comes to.
type WriteSummary struct {
	Minor    uint8
	RawBytes uint64   // of rows and large objects, before compression; what Copy has copied is not counted
	Bytes    uint64   // written
	Notes    []string // what the version does not hold, by name
}

// Writer writes an archive as pg_dump does: custom, directory or tar. The data of entries is written one after the other, each in
// pieces, which are encoded by Jobs goroutines and written in order. One goroutine may call its methods.
//
//	Begin, Add, Add, ..., End                               the rows of a TABLE DATA entry
//	BeginBlobs, BeginBlob, Add, ..., EndBlob, ..., End      the large objects of a BLOBS entry
//
// What is written depends on the calls alone, not on the number of jobs. The first error stays: every later call returns it. It may
// be about an entry that was ended before: a [*WriteError] says which.
//
// Memory: (2 × Jobs + 2) × [MaxPiece] for what was encoded, Jobs × [MaxPiece] for pieces, what the encoders take, and
// the table of contents. Nothing of it is allocated before a piece needs it.
type Writer struct {
	toc     *TOC
	sink    sink
	options WriteOptions
	targets map[int32]int  // place in toc.Entries
	left    map[int32]bool // entries whose data is still to come
	first   int            // no entry before this place in toc.Entries is left
	notes   []string

	lines  pipeline
	parent context.Context //nolint:containedctx // which may end before the archive is complete
	err    error           // the first of a call's own
	ended  bool
	placed bool // it has its name, or is given up

	current *Entry // that is open
	oid     uint32 // of the large object that is open
	pending *piece // the last piece that was added: it may be the end of its stream
	open    bool   // an entry is open
	raw     bool   // its data is added as it is
	blobs   bool
	blob    bool // a large object is open
}

// sink is where the encoded data goes: one for each format. One goroutine at a time.
type sink interface {
	begin(e *Entry) error // data of an entry
	end(e *Entry) error   // ends it
	beginBlob(e *Entry, oid uint32) error
	endBlob(e *Entry, oid uint32) error
	write(encoded []byte) error     // of the entry or large object that is open; never empty
	close(toc *TOC) (uint64, error) // completes the archive, and tells its size
	place() error                   // gives it its name, where it has another one until then
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
	w := &Writer{toc: toc, options: o, notes: notes, targets: make(map[int32]int), left: make(map[int32]bool), parent: ctx}
	for i := range toc.Entries {
		e := &toc.Entries[i]
		w.targets[e.ID] = i
		if e.HadDumper {
			w.left[e.ID] = true
		}
	}
	encoders := make([]pieceEncoder, o.Jobs)
	for i := range encoders {
		if encoders[i], err = newPieceEncoder(format, directory, o.Compression, o.Level, MaxPiece); err != nil {
			return nil, err
		}
	}
	if w.sink, err = open(toc, &w.options); err != nil {
		return nil, err
	}
	w.lines.sink = w.sink
	w.lines.start(ctx, encoders)
	return w, nil
}

// ErrInserts says that the rows of a table are statements (pg_dump --inserts) that can't be given as COPY text, which the readers give
// of all others, nor written as such. A custom archive with its own table of contents can be copied, see [Writer.Copy].
var ErrInserts = errors.New("its rows are INSERT statements (pg_dump --inserts) that can't be read")

var (
	errOrder    = errors.New("internal error: data of an archive in wrong order")
	errNotBegun = errors.New("internal error: no data of an entry is open")
)

// fail keeps the first error.
func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return w.err
}

// state is the error that was met before, if any.
func (w *Writer) state() error {
	switch {
	case w.err != nil:
		return w.err
	case w.ended:
		return w.fail(errOrder)
	case w.lines.ctx.Err() != nil:
		return w.fail(w.lines.failure())
	}
	return nil
}

// Begin begins the rows of a TABLE DATA entry. Where the archive goes to a pipe, entries come in the order of the catalog.
func (w *Writer) Begin(entry int32) error { return w.begin(entry, kindTableData, false) }

// BeginBlobs begins the large objects of a BLOBS entry.
func (w *Writer) BeginBlobs(entry int32) error { return w.begin(entry, kindBlobs, false) }

func (w *Writer) begin(entry int32, kind string, raw bool) error {
	if err := w.state(); err != nil {
		return err
	}
	i, ok := w.targets[entry]
	if !ok || !w.left[entry] || w.open {
		return w.fail(fmt.Errorf("%w: entry %d", errOrder, entry))
	}
	e := &w.toc.Entries[i]
	if e.Kind != kind {
		return w.fail(fmt.Errorf("%w: entry %d is %s, not %s", errOrder, entry, e.Kind, kind))
	}
	if kind == kindTableData && strings.TrimSpace(e.Copy) == "" && !raw {
		return w.fail(fmt.Errorf("%w: entry %d, %s", ErrInserts, entry, e.Name))
	}
	if before := w.firstLeft(); before < i && !w.sink.canSeek() {
		return w.fail(fmt.Errorf("%w: entry %d before entry %d, to a pipe", errOrder, entry, w.toc.Entries[before].ID))
	}
	w.open, w.raw, w.blobs = true, raw, kind == kindBlobs
	delete(w.left, entry)
	w.current = e
	return w.do(func() error {
		w.lines.entry, w.lines.last = e, '\n'
		if r, ok := w.sink.(rawSink); ok {
			r.setRaw(raw)
		}
		return w.sink.begin(e)
	})
}

// firstLeft is the place of the first entry whose data is still to come.
func (w *Writer) firstLeft() int {
	for w.first < len(w.toc.Entries) && !w.left[w.toc.Entries[w.first].ID] {
		w.first++
	}
	return w.first
}

// do has fn called by the goroutine that writes, after all that was handed over before.
func (w *Writer) do(fn func() error) error {
	return w.keep(w.lines.hand(writeOp{fn: fn}))
}

func (w *Writer) keep(err error) error {
	if err != nil {
		return w.fail(err)
	}
	return nil
}

// Add adds a piece of at most [MaxPiece] bytes: of COPY text, or of a large object. fetch gives it, once, on another goroutine; it may
// put it into buf, which has room for so much. done, if not nil, is called when the piece is not needed any more; where
// the writing is given up it may never be called. Add waits while 2 × Jobs + 2 pieces are under way.
func (w *Writer) Add(fetch func(buf []byte) ([]byte, error), done func()) error {
	p, err := w.next(false)
	if err != nil {
		return err
	}
	p.fetch, p.done = fetch, done
	w.pending = p
	return nil
}

// next is a piece for what is added to what is open.
func (w *Writer) next(raw bool) (*piece, error) {
	if err := w.state(); err != nil {
		return nil, err
	}
	if !w.open || w.blobs && !w.blob || w.raw != raw {
		return nil, w.fail(errNotBegun)
	}
	if err := w.flush(""); err != nil {
		return nil, err
	}
	p, err := w.lines.take()
	return p, w.keep(err)
}

// flush hands the pending piece on, with what is to stand behind it.
func (w *Writer) flush(suffix string) error {
	p := w.pending
	if p != nil && p.raw && suffix != "" { // what stands behind it becomes a piece of its own
		if err := w.flush(""); err != nil {
			return err
		}
		p = nil
	}
	if p == nil && suffix != "" {
		var err error
		if p, err = w.lines.take(); err != nil {
			return w.fail(err)
		}
	}
	if p == nil {
		return nil
	}
	w.pending = nil
	p.suffix = suffix
	return w.keep(w.lines.hand(writeOp{piece: p}))
}

// End ends the rows, or the large objects, of an entry. Rows whose last one does not end in LF are an error.
func (w *Writer) End() error {
	if err := w.state(); err != nil {
		return err
	}
	if !w.open || w.blob {
		return w.fail(errNotBegun)
	}
	suffix := endOfData
	if w.blobs || w.raw {
		suffix = ""
	}
	if err := w.flush(suffix); err != nil {
		return err
	}
	e := w.current
	w.open = false
	return w.do(func() error { return w.sink.end(e) })
}

// BeginBlob begins a large object. Each may come once.
func (w *Writer) BeginBlob(oid uint32) error {
	if err := w.state(); err != nil {
		return err
	}
	if !w.open || !w.blobs || w.blob {
		return w.fail(errNotBegun)
	}
	if oid == 0 { // which ends the list of them
		return w.fail(fmt.Errorf("%w: a large object without a number", ErrDamaged))
	}
	w.blob, w.oid = true, oid
	e := w.current
	return w.do(func() error { return w.sink.beginBlob(e, oid) })
}

// EndBlob ends a large object.
func (w *Writer) EndBlob() error {
	if err := w.state(); err != nil {
		return err
	}
	if !w.blob {
		return w.fail(errNotBegun)
	}
	if err := w.flush(""); err != nil {
		return err
	}
	w.blob = false
	e, oid := w.current, w.oid
	return w.do(func() error { return w.sink.endBlob(e, oid) })
}

// TOC is the table of contents that is written: the catalog in the archive's version. The caller must not change it.
func (w *Writer) TOC() *TOC { return w.toc }
