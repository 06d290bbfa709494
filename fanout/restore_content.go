package fanout

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/pgark/pgark/archive"
)

// content is what a restore restores: an archive of pgark ([archive.Reader]), or a dump of another program ([archive.Source]).
type content interface {
	Catalog() (*archive.Catalog, error)
	Moment() (*archive.Moment, error)
	TableStreams(entry int32) []archive.Stream
}

// run is what a session takes at once of the rows to be loaded.
type run struct {
	block archive.Block // of an archive of pgark

	// Of a dump of another program: whole rows, or a part of one. Who takes a part that goes on gets the next ones, too.
	text []byte
	part uint32
	more bool
	from *sourceRuns
}

// runs hands out the rows of a load, run by run.
type runs interface {
	// next returns the next run; none after the last one. It is called by one goroutine at a time, until stop.
	next(ctx context.Context) (run, bool, error)
	stop()
}

// blockRuns are the blocks of streams of an archive.
type blockRuns struct {
	pull func() (archive.Block, bool)
	end  func()
}

func newBlockRuns(a *archive.Reader, streams []archive.Stream) *blockRuns {
	var blocks iter.Seq[archive.Block] = func(yield func(archive.Block) bool) {
		for i := range streams {
			for b := range a.Blocks(streams[i].ID) {
				if !yield(b) {
					return
				}
			}
		}
	}
	r := &blockRuns{end: func() {}}
	r.pull = func() (archive.Block, bool) {
		r.pull, r.end = iter.Pull(blocks)
		return r.pull()
	}
	return r
}

func (r *blockRuns) next(context.Context) (run, bool, error) {
	b, ok := r.pull()
	return run{block: b}, ok, nil
}

func (r *blockRuns) stop() { r.end() }

// sourceBuffers is how many runs of a stream of a source, of [loadChunk] bytes, may wait for sessions.
const sourceBuffers = 6

// sourceRuns reads the streams of a source, which can only be read from the beginning, and cuts them into runs. Its
// goroutine lives from the first call of next to stop.
type sourceRuns struct {
	source  archive.Source
	streams []archive.Stream
	blobs   bool

	cancel context.CancelFunc
	done   sync.WaitGroup
	full   chan run
	free   chan []byte
	err    error // set before full is closed

	turn   sync.Mutex // held by who has a row in parts
	broken bool       // the rest of such a row is still to come, and nobody wants it
}

// errBroken is returned to sessions that would have to go on within a row.
var errBroken = errors.New("another session gave up within a row")

func newSourceRuns(src archive.Source, streams []archive.Stream, blobs bool) *sourceRuns {
	return &sourceRuns{source: src, streams: streams, blobs: blobs, cancel: func() {}}
}

func (r *sourceRuns) start(ctx context.Context) {
	ctx, r.cancel = context.WithCancel(ctx)
	r.full = make(chan run, sourceBuffers)
	r.free = make(chan []byte, sourceBuffers)
	for range sourceBuffers {
		r.free <- nil // made when first used: most tables are small
	}
	r.done.Go(func() {
		defer close(r.full)
		for i := range r.streams {
			if r.err = r.read(ctx, &r.streams[i]); r.err != nil {
				return
			}
		}
	})
}

func (r *sourceRuns) read(ctx context.Context, s *archive.Stream) error {
	c := &archive.RowCutter{
		Grab: func() ([]byte, error) {
			select {
			case b := <-r.free:
				if b == nil {
					b = make([]byte, 0, loadChunk)
				}
				return b[:0], nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		},
		Emit: func(text []byte, part uint32, more bool) error {
			r.full <- run{text: text, part: part, more: more, from: r} // there is room for as many as there are buffers
			return nil
		},
	}
	var err error
	if r.blobs {
		err = archive.LargeObjectRows(ctx, r.source, s.Entry, c.Write)
	} else {
		err = r.source.StreamRows(ctx, s.ID, c.Write)
	}
	if err == nil {
		err = c.Close()
	}
	return err
}

// next may be called by several goroutines. While one has a row in parts the others wait.
func (r *sourceRuns) next(ctx context.Context) (run, bool, error) {
	r.turn.Lock()
	if r.full == nil {
		r.start(ctx)
	}
	var x run
	ok, err := false, errBroken
	if !r.broken {
		x, ok, err = r.receive(ctx)
	}
	if !x.more {
		r.turn.Unlock()
	}
	return x, ok, err
}

// nextPart returns the part after one that goes on.
func (r *sourceRuns) nextPart(ctx context.Context) (run, error) {
	x, ok, err := r.receive(ctx)
	if err == nil && !ok {
		err = errOpenRow
	}
	if !x.more {
		r.turn.Unlock()
	}
	return x, err
}

func (r *sourceRuns) receive(ctx context.Context) (run, bool, error) {
	select {
	case x, ok := <-r.full:
		if !ok {
			return run{}, false, r.err
		}
		return x, true, nil
	case <-ctx.Done():
		return run{}, false, context.Cause(ctx)
	}
}

// giveBack returns a run's memory.
func (r *sourceRuns) giveBack(x *run) { r.free <- x.text }

// abandon says that the rest of a row in parts is not wanted. No session gets another run: it would begin within a row.
func (r *sourceRuns) abandon() {
	r.broken = true
	r.turn.Unlock()
}

func (r *sourceRuns) stop() {
	r.cancel()
	r.done.Wait()
}
