package pgdump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
)

// memFile is a file in memory, whose bytes can be patched.
type memFile struct{ b []byte }

func (f *memFile) Write(p []byte) (int, error) {
	f.b = append(f.b, p...)
	return len(p), nil
}

func (f *memFile) WriteAt(p []byte, at int64) (int, error) { return copy(f.b[at:], p), nil }

// blob is a large object of a test.
type blob struct {
	oid  uint32
	data []byte
}

// database is what tests write: a catalog, and the rows and large objects of its entries.
type database struct {
	cat   *archive.Catalog
	rows  map[int32][]byte
	blobs []blob
}

// add adds a table with its rows.
func (d *database) add(name string, rows []byte) {
	id := int32(len(d.cat.Entries) + 1)
	oid := uint32(20000 + id)
	d.cat.Entries = append(d.cat.Entries, archive.Entry{
		ID: id, TableOID: 1259, OID: oid, Kind: "TABLE", Schema: "public", Name: name, Owner: "postgres", Section: archive.SectionPreData,
		DDL: "CREATE TABLE public." + name + " (\n    v text\n);\n", Drop: "DROP TABLE public." + name + ";\n", TableAM: "heap", Nulls: archive.NullCopy,
	})
	d.rows[id+1] = rows
	d.cat.Entries = append(d.cat.Entries, archive.Entry{
		ID: id + 1, OID: oid, Kind: kindTableData, Schema: "public", Name: name, Owner: "postgres", Section: archive.SectionData,
		Copy: "COPY public." + name + " (v) FROM stdin;\n", HadDumper: true, Deps: []int32{id}, Nulls: archive.NullDDL | archive.NullDrop | archive.NullTablespace | archive.NullTableAM,
	})
}

// newDatabase is a database without tables.
func newDatabase(blobs ...blob) *database {
	d := &database{cat: &archive.Catalog{Database: "test", ServerVersion: "15.18", PgDumpVersion: "15.18", Encoding: "UTF8"}, rows: make(map[int32][]byte), blobs: blobs}
	none := archive.NullCopy | archive.NullSchema | archive.NullTablespace | archive.NullTableAM
	add := func(e archive.Entry) {
		e.ID = int32(len(d.cat.Entries) + 1)
		d.cat.Entries = append(d.cat.Entries, e)
	}
	for _, set := range [][2]string{
		{"ENCODING", "SET client_encoding = 'UTF8';\n"},
		{"STDSTRINGS", "SET standard_conforming_strings = 'on';\n"},
		{"SEARCHPATH", "SELECT pg_catalog.set_config('search_path', '', false);\n"},
	} {
		add(archive.Entry{Kind: set[0], Name: set[0], DDL: set[1], Section: archive.SectionPreData, Nulls: none | archive.NullDrop})
	}
	for _, b := range blobs {
		oid := fmt.Sprint(b.oid)
		add(archive.Entry{
			TableOID: 2613, OID: b.oid, Kind: kindBlob, Name: oid, Owner: "postgres", Section: archive.SectionPreData,
			DDL: "SELECT pg_catalog.lo_create('" + oid + "');\n", Drop: "SELECT pg_catalog.lo_unlink('" + oid + "');\n", Nulls: none,
		})
	}
	if len(blobs) > 0 {
		add(archive.Entry{Kind: kindBlobs, Name: kindBlobs, Section: archive.SectionData, HadDumper: true, Nulls: none | archive.NullDDL | archive.NullDrop})
	}
	return d
}

// variant is a way to write it.
type variant struct {
	format string // custom, pipe (custom), directory, tar, tarpipe
	minor  uint8
	codec  Compression
}

func (v variant) String() string { return fmt.Sprintf("%s 1.%d %s", v.format, v.minor, v.codec) }

// variants are all there are.
func variants() []variant {
	var all []variant
	for minor := uint8(minorOldestWritten); minor <= minorNewestWritten; minor++ {
		for _, c := range []Compression{CompressionNone, CompressionGzip, CompressionLZ4, CompressionZstd} {
			if c >= CompressionLZ4 && minor < minorCodec {
				continue
			}
			for _, format := range []string{"custom", "pipe", "directory", "tar", "tarpipe"} {
				if c == CompressionNone || !strings.HasPrefix(format, "tar") {
					all = append(all, variant{format, minor, c})
				}
			}
		}
	}
	return all
}

// create begins to write to path.
func (v variant) create(t *testing.T, ctx context.Context, path string, cat *archive.Catalog, o WriteOptions) (*Writer, func()) {
	t.Helper()
	o.Minor, o.Compression, o.Created = v.minor, v.codec, time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	var w *Writer
	f := &memFile{}
	var err error
	switch v.format {
	case "custom":
		w, err = NewCustomWriter(ctx, f, cat, o)
	case "pipe":
		w, err = NewCustomWriter(ctx, struct{ io.Writer }{f}, cat, o)
	case "tar":
		w, err = NewTarWriter(ctx, f, cat, o)
	case "tarpipe":
		w, err = NewTarWriter(ctx, struct{ io.Writer }{f}, cat, o)
	case "directory":
		w, err = NewDirectoryWriter(ctx, path, cat, o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w, func() {
		if v.format == "directory" {
			return
		}
		if err := os.WriteFile(path, f.b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// given is a fetch of bytes that are there.
func given(b []byte) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return b, nil }
}

// put gives a writer bytes in pieces, every second one through its buffer, and every third one encoded, where that can be; cut says how
// long the next one is.
func put(w *Writer, b []byte, cut func() int) error {
	var early *Encoder
	var encoded Encoded
	for i := 0; len(b) > 0; i++ {
		n := min(cut(), len(b), MaxPiece)
		piece := b[:n]
		if early == nil && i == 2 && EncodesEarly(w.options.Compression, w.options.Level) { // most tables of tests have fewer pieces
			var err error
			if early, err = NewEncoder(w.options.Compression, w.options.Level); err != nil {
				return err
			}
		}
		if early != nil && !w.blobs && i%3 == 2 {
			if err := early.Encode(&encoded, piece); err != nil {
				return err
			}
			if i%2 == 0 { // by way of a file
				file := encoded.Append(nil)
				n, err := encoded.Load(bytes.NewReader(append(file, "and more"...)))
				if err != nil || n != int64(len(file)) {
					return fmt.Errorf("%d of %d bytes: %w", n, len(file), err)
				}
			}
			if err := w.AddEncoded(&encoded); err != nil {
				return err
			}
			b = b[n:]
			continue
		}
		fetch := given(piece)
		if i%2 == 0 {
			fetch = func(buf []byte) ([]byte, error) { return append(buf[:0], piece...), nil }
		}
		if err := w.Add(fetch, nil); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// fill writes the data of entries.
func (d *database) fill(w *Writer, entries []Entry, cut func() int) error {
	for i := range entries {
		e := &entries[i].Entry
		switch {
		case !e.HadDumper:
			continue
		case e.Kind == kindTableData:
			if err := errors.Join(w.Begin(e.ID), put(w, d.rows[e.ID], cut)); err != nil {
				return err
			}
		default:
			if err := w.BeginBlobs(e.ID); err != nil {
				return err
			}
			for _, b := range d.blobs {
				if err := errors.Join(w.BeginBlob(b.oid), put(w, b.data, cut), w.EndBlob()); err != nil {
					return err
				}
			}
		}
		if err := w.End(); err != nil {
			return err
		}
	}
	return nil
}

// write writes all to path.
func (d *database) write(t *testing.T, v variant, path string, jobs int, cut func() int) {
	t.Helper()
	w, save := v.create(t, t.Context(), path, d.cat, WriteOptions{Jobs: jobs})
	if err := d.fill(w, w.TOC().Entries, cut); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	save()
}

// check compares what can be read with what was written.
func (d *database) check(t *testing.T, src archive.Source) {
	t.Helper()
	cat, err := src.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	rows, blobs := 0, 0
	for i := range cat.Entries {
		e := &cat.Entries[i]
		for _, s := range src.TableStreams(e.ID) {
			if e.Kind != kindTableData {
				continue
			}
			rows++
			var b bytes.Buffer
			if err := src.StreamRows(t.Context(), s.ID, func(text []byte) error { b.Write(text); return nil }); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Bytes(), d.rows[e.ID]) {
				t.Errorf("%s: %d bytes, want %d, or others", e.Name, b.Len(), len(d.rows[e.ID]))
			}
		}
		if e.Kind != kindBlobs {
			continue
		}
		got := make(map[uint32][]byte)
		if err := src.LargeObjects(t.Context(), e.ID, func(oid uint32, _ int64, data []byte) error {
			got[oid] = append(got[oid], data...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, b := range d.blobs {
			if !bytes.Equal(got[b.oid], b.data) {
				t.Errorf("large object %d: %d bytes, want %d, or others", b.oid, len(got[b.oid]), len(b.data))
			}
		}
		blobs += len(got)
	}
	if rows != len(d.rows) || blobs != len(d.blobs) {
		t.Errorf("%d tables and %d large objects, want %d and %d", rows, blobs, len(d.rows), len(d.blobs))
	}
}

// tree is the bytes of a file, or of all files of a directory by name.
func tree(t *testing.T, path string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(path, func(name string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(name)
		all[strings.TrimPrefix(name, path)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// lines makes rows: of seed, about n bytes long, half of them hard to compress.
func lines(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 0, n+200)
	for len(b) < n {
		b = append(b, "a row with words that come again and again \\\\ \\t"...)
		for range r.IntN(100) {
			b = append(b, "0123456789abcdefghijklmnopqrstuv"[r.IntN(32)])
		}
		b = append(b, '\n')
	}
	return b
}

func smallDatabase() *database {
	d := newDatabase(blob{16500, []byte("large")}, blob{16501, nil}, blob{4294967295, lines(3, 300000)})
	d.add("none", nil)
	d.add("one", []byte("1\n"))
	d.add("many", lines(1, 700000))
	d.add("escaped", []byte("\\\\.\n\\N\n\n"))
	return d
}

// Level 3 of zstd makes of pieces of 256 KiB what is larger than its first level's.
func TestPieceSize(t *testing.T) {
	for c, want := range map[Compression]int{CompressionLZ4: 256 << 10, CompressionZstd: 128 << 10} {
		for level := range fastLevel(c) + 1 {
			e, err := NewEncoder(c, level)
			if err != nil {
				t.Fatal(err)
			}
			if got := e.PieceSize(); got != want {
				t.Errorf("%s, level %d: %d bytes, not %d", c, level, got, want)
			}
		}
	}
}
