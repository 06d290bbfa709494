package fanout

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive/pgdump"
)

// Whatever the sessions, the units and the disk's room are, who writes gets the rows of each unit as they were read, and nobody waits for ever.
func TestOrderedPipe(t *testing.T) {
	t.Parallel()
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			checkOrderedPipe(t, rand.New(rand.NewPCG(seed, 7)))
		})
	}
}

func checkOrderedPipe(t *testing.T, r *rand.Rand) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := &orderedPipe{progress: silent{}, encoder: func() (*pgdump.Encoder, error) { return pgdump.NewEncoder(pgdump.CompressionZstd, 1) }}
	if r.IntN(4) > 0 {
		p.space = &spoolSpace{dir: t.TempDir()}
	}
	full := -1 // unit behind which there is no more room
	if p.space != nil && r.IntN(3) == 0 {
		full = r.IntN(10)
	}
	units := make([]unit, 1+r.IntN(12))
	rows := make([][]byte, len(units))
	for i := range units {
		units[i].opened, units[i].wanted = make(chan *stream, 1), make(chan struct{})
		// Each piece is a row, and a session has slots for 192 of them.
		for n := range r.IntN(800) {
			rows[i] = fmt.Appendf(rows[i], "%d of %d, %d\n", n, i, r.Uint64())
		}
	}
	todo := make(chan int)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(todo)
		for i := range units {
			select {
			case todo <- i:
			case <-gctx.Done():
				return context.Cause(gctx)
			}
			if i == full {
				p.space.left.Store(math.MaxInt64)
			}
		}
		return nil
	})
	slow := r.IntN(4) // of whom there is to wait for
	for job := range 1 + r.IntN(4) {
		g.Go(func() error {
			s, err := p.session()
			if err != nil {
				return err
			}
			for i := range todo {
				if err := readUnit(gctx, s, &units[i], rows[i], job == slow); err != nil {
					return err
				}
			}
			return nil
		})
	}
	got := make([][]byte, len(units))
	g.Go(func() error {
		d, err := zstd.NewReader(nil)
		if err != nil {
			return err
		}
		defer d.Close()
		for i := range units {
			n, err := units[i].each(gctx, func(s *slot) error {
				got[i], err = d.DecodeAll(s.early.Append(nil)[10:], got[i])
				if slow == 0 {
					time.Sleep(50 * time.Microsecond)
				}
				s.home <- s
				return err
			})
			if err != nil {
				return err
			}
			if want := bytes.Count(rows[i], []byte{'\n'}); n != uint64(want) {
				return fmt.Errorf("unit %d: %d rows, not %d", i, n, want)
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range units {
		if !bytes.Equal(got[i], rows[i]) {
			t.Errorf("unit %d: %d bytes, not the %d that were read, or others", i, len(got[i]), len(rows[i]))
		}
	}
	p.close()
}

// readUnit hands over the rows of a unit, one by one.
func readUnit(ctx context.Context, s *orderedSession, u *unit, rows []byte, slowly bool) error {
	st, err := s.open(ctx, u)
	if err != nil {
		return err
	}
	for row := range bytes.Lines(rows) {
		x, err := s.take(ctx, st)
		if err != nil {
			return err
		}
		if slowly {
			time.Sleep(20 * time.Microsecond)
		}
		if err := s.rows(ctx, st, x, copy(x.buf, row), false); err != nil {
			return err
		}
	}
	return s.close(ctx, st, uint64(bytes.Count(rows, []byte{'\n'})))
}

// A spool has its room on the disk for what is in it only, and nothing that has a name.
func TestSpoolGivesBack(t *testing.T) {
	dir := t.TempDir()
	p := &spool{space: &spoolSpace{dir: dir}}
	defer p.close()
	s := &spooled{spool: p, more: make(chan struct{}, 1), empty: make(chan struct{}, 1)}
	enc, err := pgdump.NewEncoder(pgdump.CompressionZstd, 1)
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]byte, enc.PieceSize())
	r := rand.New(rand.NewPCG(1, 2))
	for i := range rows {
		rows[i] = byte(r.Uint32())
	}
	var piece pgdump.Encoded
	if err := enc.Encode(&piece, rows); err != nil {
		t.Fatal(err)
	}
	want := piece.Append(nil)
	var largest int64
	for i := range 400 { // two in, one out, then all out, and again
		for range 2 {
			if !s.put(&piece) {
				t.Fatal("no room")
			}
		}
		for range 1 + 1000*(i%200/199) {
			if s.pending() == 0 {
				break
			}
			x, err := s.fromSpool()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(x.early.Append(nil), want) {
				t.Fatal("another piece")
			}
			x.home <- x
		}
		largest = max(largest, allocated(t, p.file))
	}
	// 200 pieces are in it at most.
	if most := int64(200*len(want) + spoolHole + spoolHole/4); largest > most {
		t.Errorf("%d bytes on the disk, want %d at most", largest, most)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

// What can't be read back is an error that says where, and no rows.
func TestSpoolDamaged(t *testing.T) {
	p := &spool{space: &spoolSpace{dir: t.TempDir()}}
	defer p.close()
	s := &spooled{spool: p, more: make(chan struct{}, 1), empty: make(chan struct{}, 1)}
	enc, err := pgdump.NewEncoder(pgdump.CompressionLZ4, 0)
	if err != nil {
		t.Fatal(err)
	}
	var piece pgdump.Encoded
	if err := enc.Encode(&piece, []byte("a row\n")); err != nil {
		t.Fatal(err)
	}
	for _, damage := range []func() error{
		func() error { return p.file.Truncate(5) },
		func() error { _, err := p.file.WriteAt([]byte{255, 255, 255, 255}, 0); return err },
	} {
		if !s.put(&piece) {
			t.Fatal("no room")
		}
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if err := s.take(&piece); err == nil {
			t.Error("no error")
		} else {
			t.Log(err)
		}
		p.r, p.w, s.bytes = 0, 0, 0
	}
}

// No spool is made where there is no place or no room for one, and one that fails has sessions wait as without.
func TestSpoolRefused(t *testing.T) {
	if (&spoolSpace{dir: t.TempDir() + "/none"}).check(1) == nil {
		t.Error("room in a directory that is not there")
	}
	space := &spoolSpace{dir: t.TempDir()}
	if err := space.check(1); err != nil {
		t.Error(err)
	}
	space.left.Store(math.MaxInt64 / 2)
	if space.check(1) == nil {
		t.Error("room where the dump has none")
	}
	space.left.Store(0)
	p := &spool{space: space}
	s := &spooled{spool: p}
	var piece pgdump.Encoded
	if p.file, _ = os.Open(os.DevNull); s.put(&piece) || !space.failed.Load() {
		t.Error("what can't be written to took something")
	}
	p.close()
}

// allocated is how much of the disk a file takes.
func allocated(t *testing.T, f *os.File) int64 {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks * 512
}
