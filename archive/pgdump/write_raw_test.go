package pgdump

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
)

// recopy writes a custom archive again, its data as it lies there.
func recopy(t *testing.T, d *Dump, out io.Writer, o WriteOptions) error {
	t.Helper()
	h := d.TOC().Header
	o.Compression, o.Created = h.Compression, h.Created.In(time.UTC)
	w, err := NewCustomWriter(t.Context(), out, d.TOC().Catalog(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if !w.CanCopy(d) {
		t.Fatal("it can't be copied")
	}
	for _, e := range w.TOC().Entries {
		if e.HadDumper {
			if err := w.Copy(t.Context(), d, e.ID); err != nil {
				return err
			}
		}
	}
	_, err = w.Close()
	return err
}

// What stock programs wrote comes out byte by byte when nothing is changed.
func TestCopySamples(t *testing.T) {
	files, err := filepath.Glob("testdata/pg1*-custom*.dump")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range append(files, "testdata/inserts-pg17-custom.dump") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			d, err := Open(file, OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			f := &memFile{}
			var out io.Writer = f
			pipe := !slices.ContainsFunc(d.TOC().Entries, func(e Entry) bool { return e.DataState == OffsetSet })
			if pipe {
				out = struct{ io.Writer }{f}
			}
			if err := recopy(t, d, out, WriteOptions{Minor: d.TOC().Header.Version.Minor}); err != nil {
				t.Fatal(err)
			}
			if pipe { // a pg_dump whose output was appended to a file has its table of contents at the end once more
				want = want[:min(len(want), len(f.b))]
			}
			if !bytes.Equal(f.b, want) {
				t.Errorf("%d bytes, not the same as the %d that were there", len(f.b), len(want))
			}
		})
	}
}

// A copy in another version holds the same rows and large objects, also where several entries of large objects become one.
func TestCopyVersions(t *testing.T) {
	for _, file := range []string{"pg15-custom-gzip-pipe.dump", "pg16-custom-lz4.dump", "pg17-custom-gzip.dump", "pg18-custom-gzip-statistics.dump", "pg18-custom-zstd.dump", "pg17-custom-lz4.dump", "pg17-custom-none.dump", "greenplum6-custom-gzip.dump"} {
		d, err := Open(filepath.Join("testdata", file), OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want, err := contents(t, d)
		if err != nil {
			t.Fatal(err)
		}
		for minor := uint8(minorOldestWritten); minor <= minorNewestWritten; minor++ {
			if d.TOC().Header.Compression > CompressionGzip && minor < minorCodec {
				continue
			}
			f := &memFile{}
			if err := recopy(t, d, f, WriteOptions{Minor: minor, Jobs: 2}); err != nil {
				t.Fatal(err)
			}
			copied, err := openFile(bytes.NewReader(f.b), int64(len(f.b)), nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := contents(t, copied)
			if err != nil {
				t.Fatal(err)
			}
			for name, rows := range want {
				if got[name] != rows {
					t.Errorf("%s, 1.%d: %s differs", file, minor, name)
				}
			}
			if problems, err := copied.Structure(t.Context()); err != nil || len(problems) > 0 {
				t.Errorf("%s, 1.%d: %v, %v", file, minor, problems, err)
			}
		}
		_ = d.Close()
	}
}

// Copies and data that is encoded anew may be mixed. A source that is cut off is an error.
func TestCopyMixed(t *testing.T) {
	d, err := Open("testdata/pg17-custom-zstd.dump", OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want, err := contents(t, d)
	if err != nil {
		t.Fatal(err)
	}
	f := &memFile{}
	w, err := NewCustomWriter(t.Context(), f, d.cat, WriteOptions{Compression: CompressionZstd, Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range w.TOC().Entries {
		switch {
		case !e.HadDumper:
		case i%2 == 0 || e.Kind != kindTableData:
			err = errors.Join(err, w.Copy(t.Context(), d, e.ID))
		default:
			err = errors.Join(err, w.Begin(e.ID), d.StreamRows(t.Context(), d.TableStreams(e.ID)[0].ID, func(text []byte) error {
				return w.Add(given(bytes.Clone(text)), nil)
			}), w.End())
		}
	}
	if _, cerr := w.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	got := whole(t, f.b)
	for name, rows := range want {
		if name != "large objects" && got[name] != rows {
			t.Errorf("%s differs", name)
		}
	}
	b, err := os.ReadFile("testdata/pg17-custom-zstd.dump")
	if err != nil {
		t.Fatal(err)
	}
	for n := tocLen(t, b); n < len(b); n += 101 {
		short, err := openFile(bytes.NewReader(b[:n]), int64(n), nil)
		if err != nil {
			continue
		}
		if err := recopy(t, short, &memFile{}, WriteOptions{}); err == nil {
			t.Fatalf("cut off at %d of %d, and copied", n, len(b))
		}
	}
}

// What can't be copied is told before it is tried.
func TestCanCopy(t *testing.T) {
	for file, can := range map[string]bool{"pg17-custom-zstd.dump": true, "pg17-custom-gzip.dump": false, "pg17-tar.tar": false} {
		d, err := Open(filepath.Join("testdata", file), OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w, err := NewCustomWriter(t.Context(), io.Discard, d.cat, WriteOptions{Compression: CompressionZstd})
		if err != nil {
			t.Fatal(err)
		}
		if w.CanCopy(d) != can {
			t.Errorf("%s: %v", file, !can)
		}
		if id := firstData(d.cat); !can && w.Copy(t.Context(), d, id) == nil {
			t.Errorf("%s is copied", file)
		}
		w.Abort()
		_ = d.Close()
	}
}

func firstData(cat *archive.Catalog) int32 {
	for i := range cat.Entries {
		if cat.Entries[i].HadDumper {
			return cat.Entries[i].ID
		}
	}
	return 0
}

// INSERT statements are copied as what they are, and not into an archive that says of them that they are COPY text.
func TestCopyInserts(t *testing.T) {
	d, err := Open("testdata/inserts-pg17-custom.dump", OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, e := range d.TOC().Entries {
		if e.Kind == kindTableData && (e.Copy != "" || e.Nulls&archive.NullCopy == 0) {
			t.Errorf("%s: the table of contents has %q", e.Name, e.Copy)
		}
	}
	w, err := NewCustomWriter(t.Context(), &memFile{}, d.cat, WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Copy(t.Context(), d, firstData(d.cat)); err == nil {
		t.Error("they are copied as COPY text")
	}
	f := &memFile{}
	if w, err = NewCustomWriter(t.Context(), f, d.cat, WriteOptions{Compression: CompressionZstd}); err != nil {
		t.Fatal(err)
	}
	rewriteInto(t, d, w)
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want, err := contents(t, d)
	if err != nil {
		t.Fatal(err)
	}
	got := whole(t, f.b)
	for name, rows := range want {
		if got[name] != rows || len(want) < 4 {
			t.Errorf("%s: %q, not %q", name, got[name], rows)
		}
	}
}
