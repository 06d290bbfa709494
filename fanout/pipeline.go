package fanout

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
)

// pipeline carries rows from the sessions into an archive:
//
//	sessions → [slot: raw rows] → encoders, one per core → [same slot: frame] → appender → archive.Writer
//
// The appender takes everything in the order in which it was handed in, so the blocks of a stream stand in order, and
// writes nothing before the catalog is there: until then a dump can start over without a trace.
//
// Memory: all rows under way lie in slots, and the number of slots is fixed. A slot holds at most FrameTarget raw
// bytes and their frame, so a pipeline holds at most slots × 2 × FrameTarget (8 MiB each) whatever the size of rows.
type pipeline struct {
	w       *archive.Writer
	slots   chan *slot // free ones
	encode  chan *slot
	ordered chan op // to the appender, first in, first out

	mu   sync.Mutex // orders the numbering of streams with their place in ordered
	next archive.StreamID
}

// rowPipe is what sessions hand their rows to: a [pipeline], or a session's end of an [orderedPipe].
type rowPipe interface {
	// open begins the stream of a unit.
	open(ctx context.Context, u *unit) (*stream, error)
	// take waits for a slot for rows of a stream. It is the caller's until it is given to rows or giveBack.
	take(ctx context.Context, st *stream) (*slot, error)
	giveBack(s *slot)
	// rows hands over the n bytes in the slot's buffer. more says that they are a part of one row, which goes on.
	rows(ctx context.Context, st *stream, s *slot, n int, more bool) error
	// close ends a stream; copied is the number of rows that the server says it sent.
	close(ctx context.Context, st *stream, copied uint64) error
}

// slot is the memory for one frame on its way, and what is known about it.
type slot struct {
	buf     []byte // FrameTarget, made when first used
	raw     archive.Raw
	digest  archive.Digest
	frame   archive.Frame
	encoded chan error // capacity 1: the encoder's word that frame is ready

	n     int             // of an ordered pipe: bytes in buf
	home  chan *slot      // likewise: where it goes back to
	early *pgdump.Encoded // likewise, in place of buf: rows that were encoded where they were read
}

// op is one thing for the appender to do; exactly one field is set.
type op struct {
	open  *stream
	frame *slot
	close *stream
}

// stream is a stream that is being written. The appender alone touches total.
type stream struct {
	id     archive.StreamID
	unit   *unit
	block  uint32 // session: next block's number
	part   uint32 // session: next part's number
	hasher archive.RowHasher
	copied uint64         // rows that the server said it sent, set before close
	total  archive.Digest // appender: what has been written

	filled  chan *slot  // of an ordered pipe, closed by close
	seen    uint64      // likewise: rows so far
	early   bool        // likewise: its rows are encoded where they are read
	begun   atomic.Bool // likewise: who writes has come to it
	spooled             // likewise: what can't be written yet
}

// maxSlots bounds the memory of a dump from many nodes: 320 MiB. Sessions take turns then.
const maxSlots = 40

// slotsFor is how many frames may be under way: each session fills one while another waits, each encoder holds one.
func slotsFor(sessions int) int {
	procs := runtime.GOMAXPROCS(0)
	return min(2*sessions+procs+1, max(maxSlots, 2*procs+1))
}

func newPipeline(w *archive.Writer, sessions int) *pipeline {
	n := slotsFor(sessions)
	p := &pipeline{
		w: w, slots: make(chan *slot, n), encode: make(chan *slot, n),
		// Streams opened and closed cost no slot; a bound on them keeps the small tables from running ahead.
		ordered: make(chan op, n+4*batchTables), next: 1,
	}
	for range n {
		p.slots <- &slot{encoded: make(chan error, 1)}
	}
	return p
}

// startEncoders runs one encoder per core in g. They end when encode is closed or ctx is done.
func (p *pipeline) startEncoders(ctx context.Context, g *errgroup.Group, codec archive.Codec, level int) {
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			enc, err := archive.NewEncoder(codec, level)
			if err != nil {
				return err
			}
			defer enc.Close()
			for {
				select {
				case s, ok := <-p.encode:
					switch {
					case !ok:
						return nil
					case ctx.Err() != nil: // a frame takes seconds with some codecs
						return context.Cause(ctx)
					}
					s.encoded <- enc.Encode(&s.frame, s.raw)
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		})
	}
}

// take waits for a free slot.
func (p *pipeline) take(ctx context.Context, _ *stream) (*slot, error) {
	select {
	case s := <-p.slots:
		if s.buf == nil {
			s.buf = make([]byte, archive.FrameTarget)
		}
		return s, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (p *pipeline) giveBack(s *slot) { p.slots <- s }

func (p *pipeline) hand(ctx context.Context, o op) error {
	select {
	case p.ordered <- o:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// open begins the stream of a unit.
func (p *pipeline) open(ctx context.Context, u *unit) (*stream, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := &stream{id: p.next, unit: u, hasher: archive.NewRowHasher(u.info.Floats)}
	if err := p.hand(ctx, op{open: st}); err != nil {
		return nil, err
	}
	p.next++
	return st, nil
}

// rows hands over the n bytes in the slot's buffer. more says that they are a part of one row, which goes on.
func (p *pipeline) rows(ctx context.Context, st *stream, s *slot, n int, more bool) error {
	s.digest = archive.Digest{}
	s.raw = archive.Raw{
		Stream: st.id, Block: st.block, Part: st.part, More: more, Data: s.buf[:n], Floats: st.unit.info.Floats,
	}
	switch {
	case !more && st.part == 0:
		s.raw.Digest = &s.digest // whole rows: the encoder hashes them
	case more:
		// One row over several frames is hashed here, where its parts come in order.
		if _, err := st.hasher.Write(s.raw.Data); err != nil {
			return err
		}
	default:
		if _, err := st.hasher.Write(s.raw.Data[:n-1]); err != nil { // without the LF that ends the row
			return err
		}
		st.hasher.Done(&s.digest)
		s.raw.Rows = 1
	}
	if more {
		st.part++
	} else {
		st.block, st.part = st.block+1, 0
	}
	// The appender waits for frames in this order, so a slot must be in encode as soon as it is in ordered: encode has
	// room for every slot there is, and never blocks.
	if err := p.hand(ctx, op{frame: s}); err != nil {
		return err
	}
	p.encode <- s
	return nil
}

// close ends a stream; copied is the number of rows that the server says it sent.
func (p *pipeline) close(ctx context.Context, st *stream, copied uint64) error {
	st.copied = copied
	return p.hand(ctx, op{close: st})
}

// append is the appender: it runs until ordered is closed.
func (p *pipeline) append(ctx context.Context, bind func(*unit) int32, progress Progress) error {
	streams := make(map[archive.StreamID]*stream)
	for {
		select {
		case o, ok := <-p.ordered:
			if !ok {
				return nil
			}
			if err := p.apply(ctx, o, streams, bind, progress); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *pipeline) apply(ctx context.Context, o op, streams map[archive.StreamID]*stream, bind func(*unit) int32, progress Progress) error {
	switch {
	case o.open != nil:
		o.open.unit.info.Entry = bind(o.open.unit)
		id, err := p.w.OpenStream(o.open.unit.info)
		if err == nil && id != o.open.id {
			err = fmt.Errorf("internal error: stream %d was expected to be %d", id, o.open.id)
		}
		streams[o.open.id] = o.open
		return err
	case o.frame != nil:
		s := o.frame
		select {
		case err := <-s.encoded:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := p.w.Append(&s.frame); err != nil {
			return err
		}
		streams[s.raw.Stream].total.Merge(s.digest)
		progress.Advance(s.digest.Rows, uint64(len(s.raw.Data)))
		p.giveBack(s)
		return nil
	default:
		st := o.close
		delete(streams, st.id)
		if st.total.Rows != st.copied {
			return fmt.Errorf("%s: the server says that it sent %d rows, but %d arrived", st.unit.name(), st.copied, st.total.Rows)
		}
		if t := st.unit.table; t.done(st.total.Rows) {
			progress.TableDone(st.unit.info.Schema, st.unit.info.Table, t.rows)
		}
		return p.w.CloseStream(st.id, st.total)
	}
}
