package pgdump

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// piece is a part of a stream on its way.
type piece struct {
	fetch  func(buf []byte) ([]byte, error)
	done   func()
	raw    bool   // out is what is written: it was encoded before
	suffix string // added behind it before it is encoded; not of one that is raw
	out    []byte
	sum    pieceSum
	bytes  int        // of what fetch gave
	last   byte       // of them
	coded  chan error // capacity 1
}

// writeOp is one thing for the goroutine that writes: a piece, or fn.
type writeOp struct {
	piece *piece
	fn    func() error
}

// pipeline encodes pieces on several goroutines, and writes what comes out, in order, on another. One goroutine may hand things to it.
type pipeline struct {
	ctx    context.Context //nolint:containedctx // of the goroutines, which live as long as the writer
	cancel context.CancelCauseFunc
	group  *errgroup.Group
	work   chan *piece
	order  chan writeOp
	free   chan *piece

	// Of the goroutine that writes.
	sink  sink
	entry *Entry // whose data is written
	bytes uint64 // of rows and large objects, before they were encoded
	last  byte   // of the rows that are open, '\n' before the first
}

// WriteError says which entry's data could not be written. It wraps what went wrong with the output, or what fetch met.
type WriteError struct {
	Entry              int32
	Kind, Schema, Name string
	Err                error
}

func (e *WriteError) Error() string {
	name := e.Name
	if e.Schema != "" {
		name = e.Schema + "." + name
	}
	return fmt.Sprintf("data of entry %d, %s %s: %v", e.Entry, e.Kind, name, e.Err)
}

func (e *WriteError) Unwrap() error { return e.Err }

// start starts the goroutines.
func (l *pipeline) start(ctx context.Context, encoders []pieceEncoder) {
	pieces := 2*len(encoders) + 2
	l.work, l.order, l.free = make(chan *piece, pieces), make(chan writeOp, pieces+16), make(chan *piece, pieces)
	for range pieces {
		l.free <- &piece{coded: make(chan error, 1)}
	}
	ctx, l.cancel = context.WithCancelCause(ctx)
	l.group, l.ctx = errgroup.WithContext(ctx)
	for _, e := range encoders {
		l.group.Go(func() error { return l.encode(e) })
	}
	l.group.Go(l.writeAll)
}

// finish waits for the goroutines to write what was handed over.
func (l *pipeline) finish() error {
	close(l.work)
	close(l.order)
	err := l.group.Wait()
	l.cancel(nil)
	return err
}

// abort ends the goroutines, and waits for them.
func (l *pipeline) abort() {
	l.cancel(context.Canceled)
	_ = l.group.Wait()
}

// failure is the first error of the goroutines.
func (l *pipeline) failure() error { return context.Cause(l.ctx) }

// take waits for a piece that is free.
func (l *pipeline) take() (*piece, error) {
	select {
	case p := <-l.free:
		return p, nil
	case <-l.ctx.Done():
		return nil, l.failure()
	}
}

// hand passes an operation on.
func (l *pipeline) hand(op writeOp) error {
	select {
	case l.order <- op:
	case <-l.ctx.Done():
		return l.failure()
	}
	switch p := op.piece; {
	case p == nil:
	case p.raw:
		p.coded <- nil
	default:
		l.work <- p // there is room for all pieces
	}
	return nil
}

// encode encodes pieces until there are none.
func (l *pipeline) encode(e pieceEncoder) error {
	var buf []byte
	for {
		select {
		case p, ok := <-l.work:
			if !ok {
				return nil
			}
			if buf == nil {
				buf = make([]byte, MaxPiece+len(endOfData))
			}
			p.coded <- p.encode(e, buf) // an error is told when the piece is to be written: it is the first in order
		case <-l.ctx.Done():
			return l.failure()
		}
	}
}

func (p *piece) encode(e pieceEncoder, buf []byte) error {
	var text []byte
	var err error
	if p.fetch != nil {
		text, err = p.fetch(buf[:MaxPiece:MaxPiece])
		if err == nil && len(text) > MaxPiece {
			err = fmt.Errorf("a piece of %d bytes is larger than %d", len(text), MaxPiece)
		}
	}
	if err == nil {
		if p.bytes = len(text); p.bytes > 0 {
			p.last = text[p.bytes-1]
		}
		if p.suffix != "" {
			n := copy(buf, text) // it may be there already
			text = buf[:n+copy(buf[n:], p.suffix)]
		}
		p.out, p.sum = p.out[:0], pieceSum{}
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
func (l *pipeline) writeAll() error {
	for {
		select {
		case op, ok := <-l.order:
			if !ok {
				return nil
			}
			err := l.apply(op)
			if e := l.entry; err != nil && e != nil && l.ctx.Err() == nil {
				return &WriteError{Entry: e.ID, Kind: e.Kind, Schema: e.Schema, Name: e.Name, Err: err}
			}
			if err != nil {
				return err
			}
		case <-l.ctx.Done():
			return l.failure()
		}
	}
}

func (l *pipeline) apply(op writeOp) error {
	if op.fn != nil {
		return op.fn()
	}
	p := op.piece
	select {
	case err := <-p.coded:
		if err != nil {
			return err
		}
	case <-l.ctx.Done():
		return l.failure()
	}
	if err := l.write(p); err != nil {
		return err
	}
	*p = piece{out: p.out, coded: p.coded}
	l.free <- p
	return nil
}

var errRowEnd = errors.New("the last row has no line end")

func (l *pipeline) write(p *piece) error {
	l.bytes += uint64(p.bytes) //nolint:gosec // not negative
	if p.bytes > 0 {
		l.last = p.last
	}
	if p.suffix != "" && l.last != '\n' {
		return errRowEnd // the end of the data would be taken for the end of that row
	}
	if len(p.out) == 0 {
		return nil
	}
	if s, ok := l.sink.(summing); ok {
		s.addSum(p.sum)
	}
	return l.sink.write(p.out)
}

// summing is a sink whose streams have a checksum of all pieces.
type summing interface{ addSum(s pieceSum) }
