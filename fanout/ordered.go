package fanout

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
)

// orderedPipe carries rows from the sessions to a writer that takes them in one order only, entry after entry, as the
// formats of pg_dump want them:
//
//	sessions, each unit's rows in slots → one queue for each unit → the writer takes queue after queue
//
// Sessions get the units in that order, too (see [writeOrder]), and read ahead of the writer as far as their slots reach. So the
// first unit that is not written is always one that some session is at work on with slots of its own to come back,
// or one that is read to its end: nothing can wait for ever.
//
// Where the codec is fast, each session encodes its rows as soon as it has read them, in small pieces, and slots hold what was
// encoded. Rows are in the processor's cache then, and no goroutine that wakes up for reading takes the place of the server's. Measured
// with 295 MB in 2 million rows from PostgreSQL 15 on the same two cores, as custom format with zstd:1, wall time by that of pg_dump 18 in the same
// round (medians of twelve): with encoders of their own, pieces of 4 MiB and the longer pauses of before -j1 1.21 and -j2 0.97, so 1.01 and 0.92.
//
// Where there is a disk for it, a session whose slots are full puts what it has encoded into a [spool] and reads on. So each can have a table for itself,
// see [attempt.order], and none waits for another that is at work on what comes first.
//
// Memory: each session has orderedSlots slots of at most FrameTarget bytes, 4 MiB; or as much in slots of what was encoded, one piece of rows, and
// what the encoder takes, less than 4 MiB.
type orderedPipe struct {
	progress Progress
	encoder  func() (*pgdump.Encoder, error) // one for each session; nil where whoever writes encodes
	space    *spoolSpace                     // nil where there are no spools
	whole    bool                            // the disk has room for what is read ahead of a whole table

	waiting atomic.Int32 // sessions that who writes could give something to do, but is too slow for

	mu     sync.Mutex
	spools []*spool
}

// spoolPause is how long a session that could read ahead waits before it looks again whether the output is quicker than what it gets.
const spoolPause = 20 * time.Millisecond

// close gives back what sessions have on the disk, and tells how much they have put there. None may be at work.
func (p *orderedPipe) close() (took int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.spools {
		x.close()
	}
	p.spools = nil
	if p.space != nil {
		took = p.space.took.Load()
	}
	return took
}

// orderedSlots is how far a session reads ahead, in slots of [archive.FrameTarget]: one range of [orderedRange] bytes of a table, whose text may be
// larger than it.
const orderedSlots = 6

// session returns the pipe's end for one session.
func (p *orderedPipe) session() (*orderedSession, error) {
	s := &orderedSession{pipe: p, free: make(chan *slot, orderedSlots)}
	for range orderedSlots {
		s.free <- &slot{home: s.free}
	}
	if p.encoder == nil {
		return s, nil
	}
	var err error
	if s.encoder, err = p.encoder(); err != nil {
		return s, err
	}
	slots := orderedSlots * archive.FrameTarget / s.encoder.PieceSize()
	s.early, s.read = make(chan *slot, slots), &slot{}
	for range slots {
		s.early <- &slot{home: s.early, early: new(pgdump.Encoded)}
	}
	if p.space != nil {
		s.spool = &spool{space: p.space}
		p.mu.Lock()
		p.spools = append(p.spools, s.spool)
		p.mu.Unlock()
	}
	return s, nil
}

// orderedSession is a [rowPipe] with the slots of one session.
type orderedSession struct {
	pipe *orderedPipe
	free chan *slot

	encoder *pgdump.Encoder // nil where whoever writes encodes
	read    *slot           // rows before they are encoded
	early   chan *slot      // for what was encoded
	spool   *spool          // for more of it; nil for none
	last    pgdump.Encoded  // what goes there
}

func (s *orderedSession) open(_ context.Context, u *unit) (*stream, error) {
	st := &stream{unit: u, filled: make(chan *slot, max(orderedSlots, cap(s.early))), early: s.encoder != nil && !u.blobs}
	if st.early && s.spool != nil {
		st.spooled = spooled{spool: s.spool, more: make(chan struct{}, 1), empty: make(chan struct{}, 1)}
	}
	u.opened <- st // a unit is read once
	return st, nil
}

func (s *orderedSession) take(ctx context.Context, st *stream) (*slot, error) {
	if st.early {
		if s.read.buf == nil {
			s.read.buf = make([]byte, s.encoder.PieceSize())
		}
		return s.read, nil
	}
	x, err := receive(ctx, s.free)
	if err == nil && x.buf == nil {
		x.buf = make([]byte, archive.FrameTarget)
	}
	return x, err
}

func (s *orderedSession) giveBack(x *slot) {
	if x != s.read {
		s.free <- x
	}
}

func (s *orderedSession) rows(ctx context.Context, st *stream, x *slot, n int, _ bool) error {
	// A line feed within a value is written as \n.
	rows := uint64(bytes.Count(x.buf[:n], []byte{'\n'}))
	st.seen += rows
	if !st.early {
		x.n = n
		st.filled <- x // there is room for all slots of the session
	} else if err := s.encode(ctx, st, x.buf[:n]); err != nil {
		return err
	}
	s.pipe.progress.Advance(rows, uint64(n))
	return nil
}

// encode encodes some rows of a stream into a slot, or into the spool where they can't be written yet.
func (s *orderedSession) encode(ctx context.Context, st *stream, rows []byte) error {
	to, err := s.place(ctx, st)
	if err != nil {
		return err
	}
	if to == nil {
		if err := s.encoder.Encode(&s.last, rows); err != nil || st.put(&s.last) {
			return err
		}
		if to, err = s.wait(ctx, st); err != nil {
			return err
		}
		*to.early, s.last = s.last, *to.early
	} else if err := s.encoder.Encode(to.early, rows); err != nil {
		return err
	}
	st.filled <- to
	return nil
}

// place finds a slot for more of a stream; nil if it is better put into the spool.
func (s *orderedSession) place(ctx context.Context, st *stream) (*slot, error) {
	for {
		if st.pending() == 0 { // what is in the spool comes first
			select {
			case x := <-s.early:
				return x, nil
			default:
			}
		}
		if st.spool == nil || st.begun.Load() {
			return s.wait(ctx, st)
		}
		if s.pipe.waiting.Load() == 0 {
			return nil, nil
		}
		// The output is what is slow: more for the same disk would make it slower.
		if err := sleep(ctx, spoolPause); err != nil {
			return nil, err
		}
	}
}

// wait waits until who writes has come to the stream and gives a slot back.
func (s *orderedSession) wait(ctx context.Context, st *stream) (*slot, error) {
	if st.begun.Load() {
		s.pipe.waiting.Add(1)
		defer s.pipe.waiting.Add(-1)
	}
	for st.pending() > 0 {
		if _, err := receive(ctx, st.empty); err != nil {
			return nil, err
		}
	}
	return receive(ctx, s.early)
}

func receive[T any](ctx context.Context, c <-chan T) (x T, err error) {
	select {
	case x = <-c:
		return x, nil
	case <-ctx.Done():
		return x, context.Cause(ctx)
	}
}

func (s *orderedSession) close(_ context.Context, st *stream, copied uint64) error {
	if st.seen != copied {
		return fmt.Errorf("%s: the server says that it sent %d rows, but %d arrived", st.unit.name(), copied, st.seen)
	}
	st.copied = copied
	close(st.filled)
	return nil
}

// each calls fn for the slots of a unit, in order; fn gives them back to their home. It returns the number of rows. It is called once.
func (u *unit) each(ctx context.Context, fn func(*slot) error) (uint64, error) {
	close(u.wanted)
	st, err := receive(ctx, u.opened)
	if err != nil {
		return 0, err
	}
	st.begun.Store(true)
	for {
		x, err := st.next(ctx)
		switch {
		case err != nil:
			return 0, err
		case x == nil:
			return st.copied, nil
		}
		if err := fn(x); err != nil {
			return 0, err
		}
	}
}

// next is the next slot of a stream; nil at its end.
func (st *stream) next(ctx context.Context) (x *slot, err error) {
	for {
		// Slots that are filled now came before what is in the spool now: while there is anything, the session fills none.
		pending, open := st.pending() > 0, true
		if pending {
			select {
			case x, open = <-st.filled:
			default:
			}
		} else {
			select {
			case x, open = <-st.filled:
			case <-st.more:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		switch {
		case x != nil:
			return x, nil
		case pending:
			return st.fromSpool()
		case !open && st.pending() == 0:
			return nil, nil
		}
	}
}
