package pgdump

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

var errTest = errors.New("what was not foreseen")

// An error of fetch ends the writing, names the entry that it is about, and stays.
func TestWriteFetchFails(t *testing.T) {
	for _, v := range variants() {
		if v.minor != minorNewest {
			continue
		}
		t.Run(v.String(), func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			d := newDatabase()
			for i := range 50 {
				d.add(fmt.Sprintf("t%d", i), nil)
			}
			dir := t.TempDir()
			w, _ := v.create(t, t.Context(), filepath.Join(dir, "dump"), d.cat, WriteOptions{Jobs: 3})
			var err error
			for i := range 50 {
				err = errors.Join(err, w.Begin(int32(5+2*i)))
				for k := range 3 {
					err = errors.Join(err, w.Add(func(buf []byte) ([]byte, error) {
						if i == 7 && k == 1 {
							time.Sleep(5 * time.Millisecond) // others may fail meanwhile
							return nil, errTest
						}
						if i > 7 {
							return nil, errors.New("a later error")
						}
						return append(buf[:0], "1\n"...), nil
					}, nil))
				}
				err = errors.Join(err, w.End())
			}
			_, cerr := w.Close()
			var where *WriteError
			if !errors.As(cerr, &where) || where.Name != "t7" || !errors.Is(cerr, errTest) || !strings.Contains(cerr.Error(), "public.t7") {
				t.Errorf("%v", cerr)
			}
			if err != nil && !errors.Is(err, errTest) {
				t.Errorf("first another error: %v", err)
			}
			if left := tree(t, dir); len(left) > 0 {
				t.Errorf("left: %d files", len(left))
			}
		})
	}
}

// limited fails when it has taken n bytes.
type limited struct {
	memFile
	n int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.n -= len(p); l.n < 0 {
		return 0, errTest
	}
	return l.memFile.Write(p)
}

// A full disk is an error, wherever it happens.
func TestWriteOutputFails(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	d := smallDatabase()
	size := 0
	for n := 0; n == 0 || n < size; n += 1 + size/60 {
		for _, v := range []variant{{"custom", 15, CompressionZstd}, {"tar", 14, CompressionNone}} {
			out := &limited{n: n}
			if n == 0 {
				out.n = 1 << 40
			}
			var w *Writer
			var err error
			if v.format == "custom" {
				w, err = NewCustomWriter(t.Context(), out, d.cat, WriteOptions{Compression: v.codec, Jobs: 2})
			} else {
				w, err = NewTarWriter(t.Context(), out, d.cat, WriteOptions{})
			}
			if err == nil {
				err = d.fill(w, w.TOC().Entries, func() int { return 100000 })
				if _, cerr := w.Close(); err == nil {
					err = cerr
				}
			}
			if n == 0 && err == nil {
				size = max(size, len(out.b))
			} else if err == nil && n < len(out.b) || err != nil && !errors.Is(err, errTest) {
				t.Errorf("%s, %d bytes: %v", v, n, err)
			}
		}
	}
}

// When its context ends, the writing does, and leaves nothing behind; also when only Close is left to do.
func TestWriteCancelled(t *testing.T) {
	d := newDatabase()
	d.add("t", nil)
	for _, v := range variants() {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %v", v, late), func(t *testing.T) {
				defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
				ctx, cancel := context.WithCancelCause(t.Context())
				dir := t.TempDir()
				w, _ := v.create(t, ctx, filepath.Join(dir, "dump"), d.cat, WriteOptions{Jobs: 2})
				err := w.Begin(5)
				if !late {
					cancel(errTest)
				}
				for i := 0; i < 100 && err == nil; i++ {
					err = w.Add(given([]byte("1\n")), nil)
				}
				if !late {
					if !errors.Is(err, errTest) {
						t.Errorf("100 pieces are taken: %v", err)
					}
				} else if err = w.End(); err != nil {
					t.Error(err)
				}
				cancel(errTest)
				if _, err := w.Close(); !errors.Is(err, errTest) {
					t.Errorf("closed: %v", err)
				}
				if left := tree(t, dir); len(left) > 0 {
					t.Errorf("left: %d files", len(left))
				}
			})
		}
	}
}

// Add waits when many pieces are under way, fetch is called once for each, and done when it was encoded.
func TestWriteBounded(t *testing.T) {
	d := newDatabase()
	d.add("t", nil)
	w, err := NewCustomWriter(t.Context(), io.Discard, d.cat, WriteOptions{Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Begin(5); err != nil {
		t.Fatal(err)
	}
	var fetched, done atomic.Int32
	release := make(chan struct{})
	added := make(chan int, 1)
	go func() {
		n := 0
		for ; n < 30; n++ {
			if err := w.Add(func([]byte) ([]byte, error) { fetched.Add(1); <-release; return []byte("1\n"), nil }, func() { done.Add(1) }); err != nil {
				t.Error(err)
			}
			if n < 6 {
				added <- n
			}
		}
		close(added)
	}()
	for range 6 { // 2 × 2 + 2
		<-added
	}
	time.Sleep(50 * time.Millisecond)
	if n := len(added); n > 0 {
		t.Errorf("%d more pieces were taken", n)
	}
	close(release)
	for range added { // until the last was
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	sum, err := w.Close()
	if err != nil || sum.RawBytes != 60 || fetched.Load() != 30 || done.Load() != 30 {
		t.Errorf("%+v, %v, fetched %d, done %d", sum, err, fetched.Load(), done.Load())
	}
}

// Ten thousand tables of one row cost neither a large buffer nor a goroutine each.
func TestWriteManyTables(t *testing.T) {
	d := newDatabase()
	for i := range 10000 {
		d.add(fmt.Sprintf("t%d", i), []byte("1\n"))
	}
	for _, c := range []Compression{CompressionNone, CompressionGzip, CompressionLZ4, CompressionZstd} {
		var before, after runtime.MemStats
		w, err := NewCustomWriter(t.Context(), io.Discard, d.cat, WriteOptions{Compression: c, Jobs: 2})
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&before)
		begun := time.Now()
		if err := d.fill(w, w.TOC().Entries, func() int { return 10 }); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		t.Logf("%s: %v, %d MB allocated", c, time.Since(begun), (after.TotalAlloc-before.TotalAlloc)>>20)
		if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 1000 { // the race detector's memory pools lose much of what is in them
			t.Errorf("%s: %d MB were allocated", c, mb)
		}
	}
}

// The checksum of two texts is that of the texts one after the other.
func TestCombineChecksums(t *testing.T) {
	check := func(t interface{ Errorf(string, ...any) }, a, b []byte) {
		all := append(append([]byte(nil), a...), b...)
		if got, want := combineAdler(adler32.Checksum(a), adler32.Checksum(b), uint64(len(b))), adler32.Checksum(all); got != want {
			t.Errorf("%d and %d bytes: %08x, want %08x", len(a), len(b), got, want)
		}
		if got, want := combineCRC(crc32.ChecksumIEEE(a), crc32.ChecksumIEEE(b), uint64(len(b))), crc32.ChecksumIEEE(all); got != want {
			t.Errorf("%d and %d bytes: %08x, want %08x", len(a), len(b), got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "b")
		check(t, rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "a"), append(b, bytes.Repeat([]byte{0xff}, rapid.IntRange(0, 70000).Draw(t, "n"))...))
	})
	for _, n := range []int{0, 1, 65520, 65521, 65522, 2 * 65521, MaxPiece} { // around the modulus of one
		check(t, []byte("abc"), bytes.Repeat([]byte{0xff}, n))
	}
}

// The length that a gzip stream ends with is modulo 2^32, its checksum is of all.
func TestCombineLong(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("5 GiB are summed")
	}
	f := gzipFrame{member: true}
	f.reset()
	zeros := make([]byte, MaxPiece)
	piece := pieceSum{crc32.ChecksumIEEE(zeros), MaxPiece}
	want := uint32(0)
	for range 1280 {
		f.add(piece)
		want = crc32.Update(want, crc32.IEEETable, zeros)
	}
	end := f.end(nil)
	if got := binary.LittleEndian.Uint32(end[len(end)-8:]); got != want {
		t.Errorf("%08x, want %08x", got, want)
	}
	if n := binary.LittleEndian.Uint32(end[len(end)-4:]); n != 1<<30 {
		t.Errorf("length %d", n)
	}
}
