package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/pgark/pgark/archive"
)

// each runs fn for 0 to n-1 on all cores and stops at the first failures.
func each(t *testing.T, n int, fn func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := w; i < n && !t.Failed(); i += runtime.GOMAXPROCS(0) {
				if err := fn(i); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

func check(b []byte) (*archive.CheckResult, error) {
	return archive.Check(context.Background(), bytes.NewReader(b), int64(len(b)), archive.CheckOptions{Jobs: 1})
}

// readAll does what a careful reader does: every frame.
func readAll(b []byte) error {
	r, err := archive.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	d := r.NewDecoder()
	defer d.Close()
	for f := range r.Frames() {
		if _, err := d.Frame(f); err != nil {
			return err
		}
	}
	return nil
}

func TestCheckSound(t *testing.T) {
	for _, c := range codecs() {
		b, sum := writeArchive(t, testOptions(c), testParts())
		for _, jobs := range []int{0, 1, 3} {
			res, err := archive.Check(context.Background(), bytes.NewReader(b), int64(len(b)), archive.CheckOptions{Jobs: jobs})
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Findings) > 0 || res.Blocks != sum.Blocks || res.Rows != sum.Rows || res.RawBytes != sum.RawBytes || res.Tables != 2 {
				t.Errorf("%s: %+v", c, res)
			}
		}
		res, err := archive.Check(context.Background(), bytes.NewReader(b), int64(len(b)), archive.CheckOptions{Quick: true})
		if err != nil || len(res.Findings) > 0 {
			t.Errorf("quick: %s: %+v, %v", c, res, err)
		}
	}
}

// Every bit of an archive matters.
func TestEveryBitFlip(t *testing.T) {
	t.Parallel()
	for _, c := range []archive.Codec{archive.CodecNone, archive.CodecZstd} {
		t.Run(c.String(), func(t *testing.T) {
			good, _ := writeArchive(t, testOptions(c), testParts())
			frames := framesOf(t, good)
			each(t, len(good)*8, func(i int) error {
				b := bytes.Clone(good)
				b[i/8] ^= 1 << (i % 8)
				err := readAll(b)
				if err == nil {
					return errors.New("a reader does not notice")
				}
				if !errors.Is(err, archive.ErrDamaged) && !errors.Is(err, archive.ErrTruncated) {
					return fmt.Errorf("error of the wrong class: %w", err)
				}
				res, err := check(b)
				if err != nil {
					return err
				}
				return names(res.Findings, frames, int64(i/8))
			})
		})
	}
}

func framesOf(t *testing.T, b []byte) []archive.FrameInfo {
	t.Helper()
	var out []archive.FrameInfo
	for f := range open(t, b).Frames() {
		out = append(out, f)
	}
	return out
}

// names checks that one of the findings is about the byte at offset.
func names(found []archive.Finding, frames []archive.FrameInfo, offset int64) error {
	if len(found) == 0 {
		return errors.New("the check finds nothing")
	}
	for _, f := range frames {
		if f.Type != archive.FrameBlock || offset < f.Offset || offset >= f.Offset+48+int64(f.Stored) {
			continue
		}
		for _, x := range found {
			if x.Offset == f.Offset && x.Block == int64(f.Block) && x.Table == testParts()[f.Stream-1].info.Table && x.Stream == f.Stream {
				return nil
			}
		}
		return fmt.Errorf("byte %d of block %d of stream %d is not named in %+v", offset, f.Block, f.Stream, found)
	}
	return nil
}

func TestEveryTruncation(t *testing.T) {
	for _, c := range []archive.Codec{archive.CodecNone, archive.CodecZstd} {
		t.Run(c.String(), func(t *testing.T) {
			good, _ := writeArchive(t, testOptions(c), testParts())
			frames := framesOf(t, good)
			each(t, len(good), func(n int) error {
				b := good[:n]
				if readAll(b) == nil {
					return errors.New("a reader does not notice")
				}
				res, err := check(b)
				if err != nil {
					return err
				}
				return namesCut(res.Findings, frames, int64(n))
			})
		})
	}
}

// namesCut checks that a finding names the table, the block and the place where the archive was cut.
func namesCut(found []archive.Finding, frames []archive.FrameInfo, n int64) error {
	if len(found) == 0 {
		return errors.New("the check finds nothing")
	}
	for _, f := range frames {
		if f.Type != archive.FrameBlock || n < f.Offset || n >= f.Offset+48+int64(f.Stored) {
			continue
		}
		for _, x := range found {
			if x.Class == archive.ClassTruncated && x.Offset == f.Offset && x.Block == int64(f.Block) && x.Table == testParts()[f.Stream-1].info.Table {
				return nil
			}
		}
		return fmt.Errorf("block %d of stream %d is not named in %+v", f.Block, f.Stream, found)
	}
	return nil
}

func TestTrailingGarbage(t *testing.T) {
	good, _ := writeArchive(t, testOptions(archive.CodecZstd), testParts())
	for _, tail := range [][]byte{{0}, make([]byte, 5000), good, good[len(good)-88:]} {
		b := append(bytes.Clone(good), tail...)
		if err := readAll(b); err == nil {
			t.Error("a reader does not notice")
		}
		res, err := check(b)
		if err != nil || len(res.Findings) == 0 {
			t.Errorf("the check finds nothing: %v", err)
		}
	}
}

// Damage to the index must not hide damage to a block.
func TestDamagedIndexAndBlock(t *testing.T) {
	b, _ := writeArchive(t, testOptions(archive.CodecNone), testParts())
	frames := framesOf(t, b)
	b[len(b)-200] ^= 1
	for _, f := range frames {
		if f.Type != archive.FrameBlock {
			continue
		}
		for _, off := range []int64{f.Offset + 20, f.Offset + 50} {
			bad := bytes.Clone(b)
			bad[off] ^= 4
			res, err := check(bad)
			if err != nil {
				t.Fatal(err)
			}
			if err := names(res.Findings, frames, off); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestNotAnArchive(t *testing.T) {
	for _, s := range []string{"", "x", "PGDMP\x01\x0e\x00", strings.Repeat("hello world\n", 1000)} {
		_, err := archive.NewReader(strings.NewReader(s), int64(len(s)))
		if !errors.Is(err, archive.ErrNotArchive) {
			t.Errorf("%.10q: %v", s, err)
		}
	}
}

// Reading what shrinks meanwhile is an error that names the block.
func TestShrinks(t *testing.T) {
	b, _ := writeArchive(t, testOptions(archive.CodecNone), testParts())
	src := &shrinking{Reader: bytes.NewReader(b), limit: int64(len(b))}
	r, err := archive.NewReader(src, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	src.limit = 100
	d := r.NewDecoder()
	for blk := range r.Blocks(1) {
		var e *archive.DamageError
		if err := d.Block(blk, nil); !errors.As(err, &e) || !errors.Is(err, archive.ErrTruncated) || e.Table != "t" {
			t.Error(err)
		}
	}
}

type shrinking struct {
	*bytes.Reader
	limit int64
}

func (s *shrinking) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > s.limit {
		return 0, io.EOF
	}
	return s.Reader.ReadAt(p, off)
}
