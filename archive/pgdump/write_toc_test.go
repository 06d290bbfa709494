package pgdump

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// What was read is written byte by byte.
func TestTOCRoundTrip(t *testing.T) {
	files, err := filepath.Glob("testdata/*.toc")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	dumps, _ := filepath.Glob("testdata/*.dump")
	for _, file := range append(files, dumps...) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		toc, err := ReadTOC(bytes.NewReader(b))
		if err != nil {
			t.Fatal(file, err)
		}
		if got := toc.Append(nil); !bytes.Equal(got, b[:tocLen(t, b)]) {
			t.Errorf("%s: the table of contents is not the same", file)
		}
	}
}

// A tar archive that a stock pg_dump wrote comes out byte by byte, but for the times of its members.
func TestTarSamples(t *testing.T) {
	files, err := filepath.Glob("testdata/pg1*-tar.tar")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Open(file, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		script, _, err := d.store.(*tarStore).member("restore.sql")
		if err != nil {
			t.Fatal(err)
		}
		h := d.TOC().Header
		for _, pipe := range []bool{false, true} {
			f := &memFile{}
			var out io.Writer = f
			if pipe {
				out = struct{ io.Writer }{f}
			}
			w, err := NewTarWriter(t.Context(), out, d.cat, WriteOptions{Minor: h.Version.Minor, Created: h.Created.In(time.UTC), RestoreSQL: func(w io.Writer, _ *TOC) error {
				_, err := io.Copy(w, script)
				return err
			}})
			if err != nil {
				t.Fatal(err)
			}
			rewriteInto(t, d, w)
			if _, err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if pipe {
				continue
			}
			got := withoutTimes(t, f.b)
			if stock := withoutTimes(t, scriptFirst(t, want)); !bytes.Equal(got, stock) {
				at := 0
				for at < min(len(got), len(stock)) && got[at] == stock[at] {
					at++
				}
				t.Errorf("%s: %d bytes, not %d; they differ at %d: %q, not %q", file, len(got), len(stock), at, got[at:min(at+60, len(got))], stock[at:min(at+60, len(stock))])
			}
		}
	}
}

// scriptFirst puts the script of a tar file behind its table of contents, where it stands here.
func scriptFirst(t *testing.T, b []byte) []byte {
	t.Helper()
	s, err := newTarStore(bytes.NewReader(b), int64(len(b)), nil)
	if err != nil {
		t.Fatal(err)
	}
	end := func(name string) int64 { return (s.places[name].to + tarBlock - 1) / tarBlock * tarBlock }
	head, from, to := end(tocFile), s.places[scriptFile].from-tarBlock, end(scriptFile)
	return slices.Concat(b[:head], b[from:to], b[head:from], b[to:])
}

// withoutTimes is a tar file without the times of its members, and the checksums of their heads.
func withoutTimes(t *testing.T, b []byte) []byte {
	t.Helper()
	b = bytes.Clone(b)
	s, err := newTarStore(bytes.NewReader(b), int64(len(b)), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range s.places {
		head := b[place.from-tarBlock : place.from]
		clear(head[136:156])
	}
	return b
}

// Lengths of members that do not fit into octal digits, as every tar reads them.
func TestTarHead(t *testing.T) {
	for _, size := range []uint64{0, 1, 8<<30 - 1, 8 << 30, 5 << 40} {
		head := tarHead("blob_4294967295.dat", size, 1234567)
		name, length, err := parseTarHead(head)
		if err != nil || name != "blob_4294967295.dat" || uint64(length) != size {
			t.Errorf("%d: %q, %d, %v", size, name, length, err)
		}
		h, err := tar.NewReader(bytes.NewReader(head)).Next()
		if err != nil || h.Name != name || uint64(h.Size) != size || h.ModTime.Unix() != 1234567 || h.Mode != 0o600 {
			t.Errorf("%d: %+v, %v", size, h, err)
		}
	}
}
