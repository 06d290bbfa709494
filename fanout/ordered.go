package fanout

import (
	"bytes"
	"context"
	"fmt"

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
// Memory: each session has orderedSlots slots of at most FrameTarget bytes, 4 MiB; or as much in slots of what was encoded, one piece of rows, and
// what the encoder takes, less than 4 MiB.
type orderedPipe struct {
	progress Progress
	encoder  func() (*pgdump.Encoder, error) // one for each session; nil where whoever writes encodes
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
	if s.encoder, err = p.encoder(); err != nil || s.encoder == nil {
		return s, err
	}
	slots := orderedSlots * archive.FrameTarget / s.encoder.PieceSize()
	s.early, s.read = make(chan *slot, slots), &slot{}
	for range slots {
		s.early <- &slot{home: s.early, early: new(pgdump.Encoded)}
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
}

func (s *orderedSession) open(_ context.Context, u *unit) (*stream, error) {
	st := &stream{unit: u, filled: make(chan *slot, max(orderedSlots, cap(s.early))), early: s.encoder != nil && !u.blobs}
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
	if st.early {
		to, err := receive(ctx, s.early)
		if err != nil {
			return err
		}
		if err := s.encoder.Encode(to.early, x.buf[:n]); err != nil {
			return err
		}
		x = to
	}
	x.n = n
	st.filled <- x // there is room for all slots of the session
	s.pipe.progress.Advance(rows, uint64(n))
	return nil
}

func receive(ctx context.Context, c <-chan *slot) (*slot, error) {
	select {
	case x := <-c:
		return x, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
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

// each calls fn for the slots of a unit, in order; fn gives them back to their home. It returns the number of rows.
func (u *unit) each(ctx context.Context, fn func(*slot) error) (uint64, error) {
	var st *stream
	select {
	case st = <-u.opened:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	for {
		select {
		case x, ok := <-st.filled:
			if !ok {
				return st.copied, nil
			}
			if err := fn(x); err != nil {
				return 0, err
			}
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}
