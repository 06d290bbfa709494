package pgdump

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// Every format, version and compression gives what was written back, and the same bytes however many goroutines encode and
// however long they take.
func TestWriteReadBack(t *testing.T) {
	d := smallDatabase()
	for _, v := range variants() {
		t.Run(v.String(), func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			var first map[string]string
			for jobs := range 4 {
				path := filepath.Join(t.TempDir(), "dump")
				n := 0
				d.write(t, v, path, jobs, func() int { n++; return 1 + 7919*n%50000 })
				src, err := Open(path, OpenOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if jobs == 0 {
					d.check(t, src)
					if problems, err := src.Structure(t.Context()); err != nil || len(problems) > 0 {
						t.Errorf("%+v, %v", problems, err)
					}
					first = tree(t, path)
				} else if got := tree(t, path); len(got) != len(first) {
					t.Errorf("%d files, not %d", len(got), len(first))
				} else {
					for name, b := range first {
						if got[name] != b {
							t.Errorf("%d jobs: %q has other bytes", jobs, name)
						}
					}
				}
				if err := src.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// Whatever pieces the data comes in, it is the same when it is read.
func TestWritePieces(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDatabase(blob{1, rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "blob")}, blob{2, nil})
		for i := range rapid.IntRange(0, 4).Draw(rt, "tables") {
			d.add(fmt.Sprintf("t%d", i), []byte(strings.Repeat("x\\\\.\n", rapid.IntRange(0, 200).Draw(rt, "rows"))))
		}
		v := rapid.SampledFrom(variants()).Draw(rt, "variant")
		if v.format == "tar" && v.minor == minorRelKind {
			d.blobs[0].data = append(d.blobs[0].data, 1)
		}
		path := filepath.Join(t.TempDir(), "dump")
		d.write(t, v, path, 2, func() int { return rapid.IntRange(1, 100).Draw(rt, "piece") })
		src, err := Open(path, OpenOptions{})
		if err != nil {
			rt.Fatal(err)
		}
		defer src.Close()
		d.check(t, src)
	})
}

// The largest pieces, and one that is too large.
func TestWriteLargestPiece(t *testing.T) {
	big := bytes.Repeat([]byte{'x'}, MaxPiece)
	big[MaxPiece-1] = '\n'
	noise := make([]byte, MaxPiece) // grows by compression
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for _, v := range variants() {
		if v.minor != minorNewest {
			continue
		}
		d := newDatabase(blob{5, slices.Concat(noise, noise)})
		d.add("t", slices.Concat(big, big, big[1:]))
		path := filepath.Join(t.TempDir(), "dump")
		d.write(t, v, path, 2, func() int { return MaxPiece })
		src, err := Open(path, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		d.check(t, src)
		_ = src.Close()

		w, _ := v.create(t, t.Context(), filepath.Join(t.TempDir(), "dump"), d.cat, WriteOptions{})
		err = errors.Join(w.BeginBlobs(5), w.BeginBlob(5), w.Add(given(make([]byte, MaxPiece+1)), nil), w.EndBlob(), w.End())
		if _, cerr := w.Close(); cerr == nil && err == nil {
			t.Errorf("%s: a piece of more than MaxPiece is taken", v)
		}
	}
}

// Calls in another order than the documented one, and data that would be read as something else, are errors that stay.
func TestWriterMisuse(t *testing.T) {
	d := smallDatabase()
	ids := make(map[string]int32)
	for _, e := range d.cat.Entries {
		ids[e.Kind+" "+e.Name] = e.ID
	}
	none, one, blobs := ids["TABLE DATA none"], ids["TABLE DATA one"], ids["BLOBS BLOBS"]
	insert := newDatabase()
	insert.add("inserted", nil)
	insert.cat.Entries[4].Copy = ""
	tests := map[string]struct {
		d  *database
		do func(w *Writer) error
	}{
		"no such entry":           {do: func(w *Writer) error { return w.Begin(9999) }},
		"an entry without data":   {do: func(w *Writer) error { return w.Begin(ids["TABLE none"]) }},
		"rows of large objects":   {do: func(w *Writer) error { return w.Begin(blobs) }},
		"large objects of rows":   {do: func(w *Writer) error { return w.BeginBlobs(none) }},
		"twice":                   {do: func(w *Writer) error { return errors.Join(w.BeginBlobs(blobs), w.End(), w.BeginBlobs(blobs)) }},
		"two at once":             {do: func(w *Writer) error { return errors.Join(w.BeginBlobs(blobs), w.Begin(none)) }},
		"piece without beginning": {do: func(w *Writer) error { return w.Add(given(nil), nil) }},
		"end without beginning":   {do: func(w *Writer) error { return w.End() }},
		"blob without beginning":  {do: func(w *Writer) error { return w.BeginBlob(5) }},
		"blob in rows":            {do: func(w *Writer) error { return errors.Join(skipBlobs(w, blobs), w.Begin(none), w.BeginBlob(5)) }},
		"piece outside of a blob": {do: func(w *Writer) error { return errors.Join(w.BeginBlobs(blobs), w.Add(given([]byte("x")), nil)) }},
		"blob of number 0":        {do: func(w *Writer) error { return errors.Join(w.BeginBlobs(blobs), w.BeginBlob(0)) }},
		"blob in a blob":          {do: func(w *Writer) error { return errors.Join(w.BeginBlobs(blobs), w.BeginBlob(1), w.BeginBlob(2)) }},
		"end in a blob":           {do: func(w *Writer) error { return errors.Join(w.BeginBlobs(blobs), w.BeginBlob(1), w.End()) }},
		"end of no blob":          {do: func(w *Writer) error { return errors.Join(w.BeginBlobs(blobs), w.EndBlob()) }},
		"no line end":             {do: func(w *Writer) error { return rowsOf(w, blobs, none, "1\n", "2") }},
		"no line end, then empty": {do: func(w *Writer) error { return rowsOf(w, blobs, none, "1\n", "2", "") }},
		"closed":                  {do: func(w *Writer) error { w.Abort(); return w.Begin(one) }},
		"closed twice":            {do: func(w *Writer) error { w.Abort(); _, err := w.Close(); return err }},
		"rows that are INSERTs":   {d: insert, do: func(w *Writer) error { return w.Begin(5) }},
		"nothing at all":          {do: func(*Writer) error { return nil }},
		"not ended":               {do: func(w *Writer) error { return w.BeginBlobs(blobs) }},
		"blob not ended":          {do: func(w *Writer) error { return errors.Join(w.BeginBlobs(blobs), w.BeginBlob(1)) }},
	}
	for name, tt := range tests {
		for _, v := range []variant{{"custom", 16, CompressionZstd}, {"pipe", 13, CompressionGzip}, {"directory", 15, CompressionLZ4}, {"tar", 14, CompressionNone}, {"tarpipe", 14, CompressionNone}} {
			t.Run(name+" "+v.String(), func(t *testing.T) {
				defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
				dir := t.TempDir()
				data := d
				if tt.d != nil {
					data = tt.d
				}
				w, _ := v.create(t, t.Context(), filepath.Join(dir, "dump"), data.cat, WriteOptions{Jobs: 2})
				err := tt.do(w)
				if _, cerr := w.Close(); cerr == nil {
					t.Fatalf("%v, and it is closed as if nothing had been", err)
				} else if err != nil && !strings.Contains(err.Error(), cerr.Error()) {
					t.Errorf("first %v, then %v", err, cerr)
				}
				if left := tree(t, dir); len(left) > 0 {
					t.Errorf("%d files are left", len(left))
				}
				w.Abort()
			})
		}
	}
}

func skipBlobs(w *Writer, id int32) error { return errors.Join(w.BeginBlobs(id), w.End()) }

func rowsOf(w *Writer, blobs, id int32, pieces ...string) error {
	err := errors.Join(skipBlobs(w, blobs), w.Begin(id))
	for _, p := range pieces {
		err = errors.Join(err, w.Add(given([]byte(p)), nil))
	}
	return errors.Join(err, w.End())
}

// To a pipe, data must come in the order of the catalog; else it need not.
func TestWriteOrder(t *testing.T) {
	d := smallDatabase()
	for _, v := range variants() {
		if v.minor != minorCodec {
			continue
		}
		path := filepath.Join(t.TempDir(), "dump")
		w, save := v.create(t, t.Context(), path, d.cat, WriteOptions{})
		backward := slices.Clone(w.TOC().Entries)
		slices.Reverse(backward)
		err := d.fill(w, backward, func() int { return 1000 })
		_, cerr := w.Close()
		if v.format == "pipe" {
			if !errors.Is(err, errOrder) || !errors.Is(cerr, errOrder) {
				t.Errorf("%s: %v, %v", v, err, cerr)
			}
			continue
		}
		if err != nil || cerr != nil {
			t.Fatal(v, err, cerr)
		}
		save()
		src, err := Open(path, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		d.check(t, src)
		_ = src.Close()
	}
}
