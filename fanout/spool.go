package fanout

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/pgark/pgark/archive/pgdump"
)

// spoolMost is how much of a session's a spool holds, in bytes, and how large a table may be to be read whole for the sake of it: about what is
// still in memory when it is read again.
const spoolMost = 4 << 30

// spoolHole is how much is read of a spool before its room on the disk is given back.
const spoolHole = 8 << 20

// spoolSpace is the disk that the spools of a dump share. There must always be room for all the rows that are not written yet, as if they were not
// compressed, so that no dump fails for the sake of its spools.
type spoolSpace struct {
	dir    string
	left   atomic.Int64 // bytes of tables whose rows are not written yet
	failed atomic.Bool  // something went wrong with a spool, so none takes more
	took   atomic.Int64 // bytes that were put into spools in all
}

// check is an error unless the disk has files without names, and room for what the largest table leaves in one.
func (s *spoolSpace) check(largest uint64) error {
	f, err := openSpool(s.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if n := int64(min(largest, spoolMost)); !s.room(f, n) { //nolint:gosec // at most that
		return fmt.Errorf("%d of %d bytes in %s would have to be free", s.left.Load()+n, freeSpace(f), s.dir)
	}
	return nil
}

// room tells whether n bytes more may be put into a spool.
func (s *spoolSpace) room(f *os.File, n int64) bool {
	return !s.failed.Load() && freeSpace(f)-n >= s.left.Load()
}

// spool holds pieces of rows that a session has encoded and nobody can write yet, first in, first out, in a file without a name. The session puts them in, who
// writes the dump takes them out.
type spool struct {
	space *spoolSpace
	buf   []byte   // the session's
	hole  int64    // who writes: up to here the file has given its room back
	file  *os.File // nil until it is needed; set by the session before w

	mu   sync.Mutex
	r, w int64 // what is in it: from r to w
}

// spooled is what a stream has in its session's spool.
type spooled struct {
	spool *spool        // nil for none
	bytes int64         // guarded by the spool's mutex: in it, not taken yet
	more  chan struct{} // capacity 1: something was put in
	empty chan struct{} // capacity 1: all was taken
	again *slot         // who writes: for what is taken
}

// pending is how many bytes of the stream are in the spool.
func (s *spooled) pending() int64 {
	if s.spool == nil {
		return 0
	}
	s.spool.mu.Lock()
	defer s.spool.mu.Unlock()
	return s.bytes
}

// put puts a piece in. It returns false where there is no room.
func (s *spooled) put(e *pgdump.Encoded) bool {
	p := s.spool
	if p.space.failed.Load() {
		return false
	}
	if p.file == nil {
		f, err := openSpool(p.space.dir)
		if err != nil {
			p.space.failed.Store(true)
			return false
		}
		p.file = f
	}
	p.buf = e.Append(p.buf[:0])
	n := int64(len(p.buf))
	p.mu.Lock()
	if p.r == p.w {
		p.r, p.w = 0, 0
	}
	at, held := p.w, p.w-p.r
	p.mu.Unlock()
	if held+n > spoolMost || !p.space.room(p.file, n) {
		return false
	}
	if at == 0 { // nobody takes anything out before w is set
		p.hole = 0
		if err := p.file.Truncate(0); err != nil {
			p.space.failed.Store(true)
			return false
		}
	}
	if _, err := p.file.WriteAt(p.buf, at); err != nil { // what was written of it is written over
		p.space.failed.Store(true)
		return false
	}
	p.mu.Lock()
	p.w += n
	s.bytes += n
	p.mu.Unlock()
	p.space.took.Add(n)
	notify(s.more)
	return true
}

// fromSpool takes the stream's next piece out, which must be there. The slot before must be back.
func (s *spooled) fromSpool() (*slot, error) {
	if s.again == nil {
		s.again = &slot{home: make(chan *slot, 1), early: new(pgdump.Encoded)}
	} else {
		<-s.again.home
	}
	return s.again, s.take(s.again.early)
}

func (s *spooled) take(e *pgdump.Encoded) error {
	p := s.spool
	p.mu.Lock()
	from, left := p.r, s.bytes
	p.mu.Unlock()
	n, err := e.Load(io.NewSectionReader(p.file, from, left))
	if err != nil {
		return fmt.Errorf("read back what was read ahead, in a file without a name in %s, at byte %d: %w", p.space.dir, from, err)
	}
	if to := from + n; to-p.hole >= spoolHole {
		giveBack(p.file, p.hole, to-p.hole) // before the session can begin anew
		p.hole = to
	}
	p.mu.Lock()
	p.r += n
	s.bytes -= n
	empty := s.bytes == 0
	p.mu.Unlock()
	if empty {
		notify(s.empty)
	}
	return nil
}

func (p *spool) close() {
	if p.file != nil {
		_ = p.file.Close() // there is nothing of it to keep
	}
}

// notify makes whoever waits for c look again.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
