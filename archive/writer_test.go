package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/pgark/pgark/archive"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// failing takes limit bytes and then fails, as a full disk does.
type failing struct {
	limit int
	wrote int
}

var errFull = errors.New("no space left on device")

func (f *failing) Write(p []byte) (int, error) {
	n := min(len(p), f.limit-f.wrote)
	f.wrote += n
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

// The first error of a write stays, and nothing is written after it.
func TestWriterSticky(t *testing.T) {
	good, _ := writeArchive(t, testOptions(archive.CodecNone), testParts())
	for limit := 0; limit < len(good); limit += 7 {
		out := &failing{limit: limit}
		err := writeSome(out)
		if !errors.Is(err, errFull) {
			t.Fatalf("limit %d: %v", limit, err)
		}
		if out.wrote != limit {
			t.Fatalf("wrote %d of %d", out.wrote, limit)
		}
		if limit > 600 {
			break
		}
	}
}

// writeSome goes on after errors and returns what Close says.
func writeSome(out io.Writer) error {
	w, err := archive.NewWriter(out, archive.WriterOptions{})
	if err != nil {
		return err
	}
	_ = w.SetCatalog(testCatalog())
	_ = w.SetMoment(testMoment())
	id, err := w.OpenStream(archive.StreamInfo{Table: "t", Form: archive.FormText})
	if err == nil {
		_ = w.CloseStream(id, archive.Digest{})
	}
	_, err = w.Close()
	return err
}

// What a caller does wrong is an error that says what.
func TestWriterRefuses(t *testing.T) {
	type env struct {
		w   *archive.Writer
		id  archive.StreamID
		enc *archive.Encoder
	}
	block := func(e env, n, part uint32, more bool, rows uint32) error {
		var f archive.Frame
		if err := e.enc.Encode(&f, archive.Raw{Stream: e.id, Block: n, Part: part, More: more, Rows: rows, Data: []byte("x\n")}); err != nil {
			return err
		}
		return e.w.Append(&f)
	}
	for want, do := range map[string]func(e env) error{
		"still open":                func(e env) error { _, err := e.w.Close(); return err },
		"no moment or no catalog":   func(e env) error { _ = e.w.CloseStream(e.id, archive.Digest{}); _, err := e.w.Close(); return err },
		"has a catalog already":     func(e env) error { return errors.Join(e.w.SetCatalog(testCatalog()), e.w.SetCatalog(testCatalog())) },
		"stream 9 was never opened": func(e env) error { return e.w.BindStream(9, 1) },
		"closed already":            func(e env) error { _ = e.w.CloseStream(e.id, archive.Digest{}); return block(e, 0, 0, false, 1) },
		"block 0 is missing": func(e env) error {
			_ = block(e, 1, 0, false, 1)
			return e.w.CloseStream(e.id, archive.Digest{Rows: 1, Bytes: 2})
		},
		"comes twice":          func(e env) error { _ = block(e, 0, 0, false, 1); return block(e, 0, 0, false, 1) },
		"comes out of order":   func(e env) error { _ = block(e, 0, 0, true, 0); return block(e, 0, 2, true, 0) },
		"lack their last part": func(e env) error { _ = block(e, 0, 0, true, 0); return e.w.CloseStream(e.id, archive.Digest{}) },
		"its blocks hold 1 and 2": func(e env) error {
			_ = block(e, 0, 0, false, 1)
			return e.w.CloseStream(e.id, archive.Digest{Rows: 2, Bytes: 2})
		},
		"holds one row":         func(e env) error { return block(e, 0, 0, true, 1) },
		"row form 9 is unknown": func(e env) error { _, err := e.w.OpenStream(archive.StreamInfo{Form: 9}); return err },
		"was given up":          func(e env) error { e.w.Abort(); return block(e, 0, 0, false, 1) },
		"a frame holds 1 to": func(e env) error {
			var f archive.Frame
			return e.enc.Encode(&f, archive.Raw{Stream: e.id, Data: make([]byte, archive.MaxFrameRaw+1)})
		},
		"does not end in a line feed": func(e env) error {
			var f archive.Frame
			return e.enc.Encode(&f, archive.Raw{Stream: e.id, Data: []byte("x"), Digest: &archive.Digest{}})
		},
	} {
		w, err := archive.NewWriter(io.Discard, archive.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		id, err := w.OpenStream(archive.StreamInfo{Table: "t", Form: archive.FormText})
		if err != nil {
			t.Fatal(err)
		}
		enc, err := archive.NewEncoder(archive.CodecNone, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := do(env{w, id, enc}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
		w.Abort()
	}
}

// Many goroutines append blocks of many streams, in any order; all of them come back in theirs.
func TestWriterConcurrent(t *testing.T) {
	const workers, streams, blocks = 4, 3, 40
	var out bytes.Buffer
	w, err := archive.NewWriter(&out, testOptions(archive.CodecZstd))
	if err != nil {
		t.Fatal(err)
	}
	for i := range streams {
		if _, err := w.OpenStream(archive.StreamInfo{Schema: "public", Table: fmt.Sprint("t", i), Form: archive.FormText}); err != nil {
			t.Fatal(err)
		}
	}
	totals := make([][streams]archive.Digest, workers)
	var wg sync.WaitGroup
	for n := range workers {
		wg.Go(func() {
			enc, err := archive.NewEncoder(archive.CodecZstd, 1)
			if err != nil {
				t.Error(err)
				return
			}
			var f archive.Frame
			for b := n; b < blocks*streams; b += workers {
				s, seq := b%streams, b/streams
				rows := bytes.Repeat(fmt.Appendf(nil, "%d\t%d\n", s, seq), 100)
				raw := archive.Raw{Stream: archive.StreamID(s + 1), Block: uint32(seq), Data: rows, Digest: &totals[n][s]}
				if err := errors.Join(enc.Encode(&f, raw), w.Append(&f)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for s := range streams {
		var total archive.Digest
		for n := range workers {
			total.Merge(totals[n][s])
		}
		if err := w.CloseStream(archive.StreamID(s+1), total); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.SetMoment(testMoment()), w.SetCatalog(testCatalog())); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	res, err := archive.Check(context.Background(), bytes.NewReader(out.Bytes()), int64(out.Len()), archive.CheckOptions{Jobs: 4})
	if err != nil || len(res.Findings) > 0 || res.Blocks != streams*blocks {
		t.Fatal(res, err)
	}
	r := open(t, out.Bytes())
	for s := range streams {
		for i, b := range readStream(t, r, archive.StreamID(s+1)) {
			if want := fmt.Sprintf("%d\t%d\n", s, i); !bytes.HasPrefix(b, []byte(want)) {
				t.Fatalf("block %d of stream %d begins with %.10q", i, s+1, b)
			}
		}
	}
}

// A row much larger than a frame goes in parts, and no part of the machinery needs it whole.
func TestLargeRow(t *testing.T) {
	row := append(bytes.Repeat([]byte("0123456789abcdef"), 2<<20), '\n')
	parts := []part{{info: archive.StreamInfo{Table: "big", Form: archive.FormText}, blocks: [][]byte{row}, split: archive.FrameTarget}}
	b, _ := writeArchive(t, testOptions(archive.CodecZstd), parts)
	res, err := check(b)
	if err != nil || len(res.Findings) > 0 || res.Rows != 1 {
		t.Fatal(res, err)
	}
	r := open(t, b)
	for blk := range r.Blocks(1) {
		if blk.Parts != 9 || blk.Rows != 1 || blk.Raw != uint64(len(row)) {
			t.Errorf("%+v", blk)
		}
	}
	if got := readStream(t, r, 1); !bytes.Equal(got[0], row) {
		t.Error("the row differs")
	}
}

// A cancelled check or salvage stops.
func TestCancel(t *testing.T) {
	b, _ := writeArchive(t, testOptions(archive.CodecNone), testParts())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := archive.Check(ctx, bytes.NewReader(b), int64(len(b)), archive.CheckOptions{Jobs: 2}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := archive.Salvage(ctx, bytes.NewReader(b), int64(len(b)), io.Discard, archive.SalvageOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
