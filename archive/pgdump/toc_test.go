package pgdump

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

// sample is the head of an archive that some pg_dump wrote: header, table of contents and a little more.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tocLen is how many bytes of an archive its header and table of contents take.
func tocLen(t testing.TB, b []byte) int {
	t.Helper()
	s := newScanner(bytes.NewReader(b))
	if _, err := readTOC(s); err != nil {
		t.Fatal(err)
	}
	return int(s.off)
}

func TestReadTOCVersions(t *testing.T) {
	tests := []struct {
		file        string
		version     string
		compression Compression
		encoding    string
		server      string
		dump        string
	}{
		{"greenplum6-schema.toc", "1.13", CompressionNone, "UTF8", "9.4.26", "9.4.26"},
		{"pg15.toc", "1.14", CompressionNone, "UTF8", "15.18 (Debian 15.18-0+deb12u1)", "15.18 (Debian 15.18-0+deb12u1)"},
		{"pg17-zstd.toc", "1.16", CompressionZstd, "UTF8", "15.18 (Debian 15.18-0+deb12u1)", "17.5"},
		{"pg18.toc", "1.16", CompressionGzip, "UTF8", "15.18 (Debian 15.18-0+deb12u1)", "18.0"},
		{"pg18-directory.toc", "1.16", CompressionGzip, "UTF8", "15.18 (Debian 15.18-0+deb12u1)", "18.0"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			toc, err := ReadTOC(bytes.NewReader(sample(t, tt.file)))
			if err != nil {
				t.Fatal(err)
			}
			c := toc.Catalog()
			if c.TOCVersion != tt.version || toc.Header.Compression != tt.compression {
				t.Errorf("version %s, compression %v", c.TOCVersion, toc.Header.Compression)
			}
			if c.Encoding != tt.encoding || c.ServerVersion != tt.server || c.PgDumpVersion != tt.dump {
				t.Errorf("encoding %q, server %q, pg_dump %q", c.Encoding, c.ServerVersion, c.PgDumpVersion)
			}
			if len(c.Entries) < 10 {
				t.Errorf("%d entries", len(c.Entries))
			}
		})
	}
}

// TestReadTOCWithoutEncoding: such an archive could not be restored, since no session can have the encoding "".
func TestReadTOCWithoutEncoding(t *testing.T) {
	toc, err := ReadTOC(bytes.NewReader(sample(t, "pg15.toc")))
	if err != nil {
		t.Fatal(err)
	}
	toc.Entries = slices.DeleteFunc(toc.Entries, func(e Entry) bool { return e.Kind == "ENCODING" })
	if got := toc.Catalog().Encoding; got != "SQL_ASCII" {
		t.Errorf("encoding %q, where pg_restore sets SQL_ASCII", got)
	}
}

func TestReadTOCEntries(t *testing.T) {
	toc, err := ReadTOC(bytes.NewReader(sample(t, "pg15.toc")))
	if err != nil {
		t.Fatal(err)
	}
	byKind := map[string]Entry{}
	for _, e := range toc.Entries {
		if _, ok := byKind[e.Kind]; !ok || e.Name == "t1" {
			byKind[e.Kind] = e
		}
	}
	data := byKind["TABLE DATA"]
	if data.Copy != "COPY app.t1 (id, v, m, b) FROM stdin;\n" || data.Section != archive.SectionData || !data.HadDumper {
		t.Errorf("TABLE DATA: %+v", data)
	}
	table := byKind["TABLE"]
	if diff := cmp.Diff([]int32{table.ID}, data.Deps); diff != "" {
		t.Errorf("TABLE DATA does not depend on its table: %s", diff)
	}
	if table.TableAM != "heap" || table.Nulls&archive.NullTableAM != 0 || table.TableOID != 1259 || table.OID == 0 {
		t.Errorf("TABLE: %+v", table)
	}
	if enc := byKind["ENCODING"]; enc.Nulls&archive.NullSchema == 0 || enc.Nulls&archive.NullDDL != 0 {
		t.Errorf("ENCODING: NULL fields %b", enc.Nulls)
	}
	if data.DataState != OffsetSet || data.Offset == 0 {
		t.Errorf("place of the data: %v %d", data.DataState, data.Offset)
	}
}

// Every truncation is an error, never a success and never a panic.
func TestReadTOCTruncated(t *testing.T) {
	for _, file := range []string{"pg15.toc", "pg17-zstd.toc"} {
		b := sample(t, file)
		b = b[:tocLen(t, b)]
		for n := range len(b) {
			_, err := ReadTOC(bytes.NewReader(b[:n]))
			if !errors.Is(err, ErrTruncated) && (n != 0 || !errors.Is(err, ErrNotDump)) {
				t.Fatalf("%s cut to %d of %d bytes: %v", file, n, len(b), err)
			}
			var fe *FormatError
			if !errors.As(err, &fe) || fe.Offset > int64(n) {
				t.Fatalf("%s cut to %d bytes: offset in %v", file, n, err)
			}
		}
	}
}

func TestReadTOCRefuses(t *testing.T) {
	good := sample(t, "pg15.toc")
	change := func(at int, to ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], to)
		return b
	}
	tests := []struct {
		name string
		b    []byte
		want error
	}{
		{"empty", nil, ErrTruncated},
		{"text", []byte("-- PostgreSQL database dump"), ErrNotDump},
		{"short text", []byte("--"), ErrNotDump},
		{"newer minor", change(6, 17), ErrVersion},
		{"newer major", change(5, 2), ErrVersion},
		{"older", change(6, 9), ErrVersion},
		{"size of integers", change(8, 32), ErrDamaged},
		{"size of offsets", change(9, 0), ErrDamaged},
		{"format", change(10, 7), ErrDamaged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ReadTOC(bytes.NewReader(tt.b)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// A newer version is refused with a sentence that names both versions.
func TestReadTOCNewerMessage(t *testing.T) {
	b := bytes.Clone(sample(t, "pg15.toc"))
	b[6] = 17
	_, err := ReadTOC(bytes.NewReader(b))
	if err == nil || !strings.Contains(err.Error(), "version 1.17") || !strings.Contains(err.Error(), "1.16") {
		t.Errorf("message: %v", err)
	}
}

// False counts and lengths are refused without the memory that they claim.
func TestReadTOCFalseLengths(t *testing.T) {
	head := []byte("PGDMP\x01\x0e\x00\x04\x08\x01")
	i := func(v ...byte) []byte { return append([]byte{0}, v...) }
	for range 8 {
		head = append(head, i(0, 0, 0, 0)...)
	}
	for range 3 {
		head = append(head, i(0, 0, 0, 0)...) // empty strings
	}
	huge := map[string][]byte{
		"entries": append(bytes.Clone(head), i(0xff, 0xff, 0xff, 0x7f)...),
		"string": append(append(append(append(bytes.Clone(head), i(1, 0, 0, 0)...), i(1, 0, 0, 0)...), i(0, 0, 0, 0)...),
			i(0xff, 0xff, 0xff, 0x3f)...),
	}
	for name, b := range huge {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := ReadTOC(bytes.NewReader(b))
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatal("read as if nothing were wrong")
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
				t.Errorf("%d bytes allocated for %d", got, len(b))
			}
		})
	}
}

// A flipped bit never panics; where it parses, what was read obeys the promises of Entry.
func TestReadTOCBitFlips(t *testing.T) {
	good := sample(t, "greenplum6-schema.toc")
	good = good[:tocLen(t, good)]
	for bit := 0; bit < len(good)*8; bit += 17 {
		good[bit/8] ^= 1 << (bit % 8)
		if toc, err := ReadTOC(bytes.NewReader(good)); err == nil {
			checkTOC(t, toc)
		}
		good[bit/8] ^= 1 << (bit % 8)
	}
}

func checkTOC(t testing.TB, toc *TOC) {
	t.Helper()
	seen := map[int32]bool{}
	for _, e := range toc.Entries {
		if e.ID <= 0 || seen[e.ID] {
			t.Fatalf("id %d", e.ID)
		}
		seen[e.ID] = true
		if e.Section < archive.SectionNone || e.Section > archive.SectionPostData {
			t.Fatalf("section %d", e.Section)
		}
		if e.Nulls&archive.NullDDL != 0 && e.DDL != "" {
			t.Fatal("NULL that is not empty")
		}
	}
}

func FuzzReadTOC(f *testing.F) {
	files, err := filepath.Glob("testdata/*.toc")
	if err != nil || len(files) == 0 {
		f.Fatal("no samples", err)
	}
	for _, file := range files {
		b := sample(f, filepath.Base(file))
		f.Add(b[:min(len(b), 4096)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		toc, err := ReadTOC(bytes.NewReader(b))
		if err != nil {
			var fe *FormatError
			if !errors.As(err, &fe) {
				t.Fatalf("error without a place: %v", err)
			}
			return
		}
		checkTOC(t, toc)
		if got := len(toc.Catalog().Entries); got != len(toc.Entries) {
			t.Fatalf("catalog of %d entries", got)
		}
	})
}

// Greenplum writes how a type is stored with the ID of the type; every entry of a catalog needs one of its own.
func TestTypeStorageHasItsOwnID(t *testing.T) {
	f, err := os.Open("../../testdata/greenplum/kinds.toc")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	toc, err := ReadTOC(f)
	if err != nil {
		t.Fatal(err)
	}
	byID := make(map[int32]*Entry)
	var storage *Entry
	for i := range toc.Entries {
		e := &toc.Entries[i]
		if byID[e.ID] != nil {
			t.Errorf("%s %s and %s %s have ID %d", byID[e.ID].Kind, byID[e.ID].Name, e.Kind, e.Name, e.ID)
		}
		byID[e.ID] = e
		if e.Kind == "TYPE STORAGE OPTIONS" {
			storage = e
		}
	}
	if storage == nil {
		t.Fatal("there is no such entry")
	}
	last := byID[storage.Deps[len(storage.Deps)-1]]
	if last.Kind != "TYPE" || last.Name != storage.Name {
		t.Errorf("it depends on %s %s, not on its type", last.Kind, last.Name)
	}
}
