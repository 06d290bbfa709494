package pgdump

import (
	"archive/tar"
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

// sampleDumps are dumps that stock programs wrote of one database, in every format; those of directories are unpacked.
func sampleDumps(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, pattern := range []string{"testdata/pg1*.dump", "testdata/pg1*-tar.tar"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, f := range files {
			all[filepath.Base(f)] = f
		}
	}
	dirs, err := filepath.Glob("testdata/*.dir.tar")
	if err != nil || len(dirs) == 0 {
		t.Fatal(err)
	}
	for _, f := range dirs {
		all[filepath.Base(f)] = unpack(t, f)
	}
	return all
}

func unpack(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return findTOC(t, dir)
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.Clean("/"+h.Name))
		if h.Typeflag == tar.TypeDir {
			continue
		}
		content, err := io.ReadAll(r)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o700)
		}
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func findTOC(t *testing.T, dir string) string {
	t.Helper()
	found := ""
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if filepath.Base(path) == tocFile {
			found = filepath.Dir(path)
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatal(err, dir)
	}
	return found
}

// contents is all of a dump's rows and large objects, as text by name.
func contents(t *testing.T, src archive.Source) (map[string]string, error) {
	t.Helper()
	cat, err := src.Catalog()
	if err != nil {
		return nil, err
	}
	all := make(map[string]string)
	var b bytes.Buffer // one for all: to have it grow is much work for the race detector
	for i := range cat.Entries {
		e := &cat.Entries[i]
		for _, s := range src.TableStreams(e.ID) {
			b.Reset()
			if e.Kind == kindBlobs {
				err := src.LargeObjects(t.Context(), e.ID, func(oid uint32, offset int64, data []byte) error {
					fmt.Fprintf(&b, "%d %d %x\n", oid, offset, data)
					return nil
				})
				if err != nil {
					return nil, err
				}
				all["large objects"] += b.String()
				continue
			}
			if err := src.StreamRows(t.Context(), s.ID, func(text []byte) error { b.Write(text); return nil }); err != nil {
				return nil, err
			}
			all[s.Schema+"."+s.Table+"("+strings.Join(s.Columns, ",")+")"] = b.String()
		}
	}
	return all, nil
}

// Every format that stock programs write holds the same rows, which are those of the plain script.
func TestSamples(t *testing.T) {
	want := make(map[string]map[string]string)
	for name, path := range sampleDumps(t) {
		t.Run(name, func(t *testing.T) {
			d, err := Open(path, OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			got, err := contents(t, d)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) < 3 {
				t.Errorf("%d tables", len(got))
			}
			version := name[:4]
			if want[version] == nil {
				want[version] = got
			}
			if diff := cmp.Diff(want[version], got); diff != "" {
				t.Errorf("not the rows of other formats: %.2000s", diff)
			}
			problems, err := d.Structure(t.Context())
			if err != nil || len(problems) > 0 {
				t.Errorf("problems %+v, %v", problems, err)
			}
			if s := d.Description(); s.Program == "" || s.Bytes == 0 || s.Files == 0 || s.Created.Year() < 2020 || len(s.Unproven) == 0 {
				t.Errorf("description %+v", s)
			}
		})
	}
}

// The rows of Greenplum's own pg_dump.
func TestSampleGreenplum(t *testing.T) {
	d, err := Open("testdata/greenplum6-custom-gzip.dump", OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got, err := contents(t, d)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, text := range got {
		rows += strings.Count(text, "\n")
	}
	if len(got) < 5 || rows < 1000 {
		t.Errorf("%d tables, %d rows", len(got), rows)
	}
}

// A dump that is cut off anywhere is an error, and never fewer rows.
func TestTruncated(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pg17-custom-zstd.dump", "pg15-custom-gzip-pipe.dump", "pg15-tar.tar"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		want := whole(t, b)
		for n := 0; n < len(b); n++ {
			switch { // every length near the ends of header and file, many between
			case n > 512 && n < len(b)-8192:
				n += 211
			case n > 512 && n < len(b)-64:
				n += 31
			}
			if n >= len(b) {
				break
			}
			d, err := openFile(bytes.NewReader(b[:n]), int64(n), func() error { return nil })
			if err != nil {
				continue
			}
			got, err := contents(t, d)
			// All that is behind the last member's content is the tar file's end.
			if err == nil && (name != "pg15-tar.tar" || !cmp.Equal(got, want)) {
				t.Fatalf("%s cut off at %d of %d is read without an error", name, n, len(b))
			}
		}
	}
}

func whole(t *testing.T, b []byte) map[string]string {
	t.Helper()
	d, err := openFile(bytes.NewReader(b), int64(len(b)), func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	got, err := contents(t, d)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A changed bit in compressed data of a format that has checksums is noticed, or changes nothing.
func TestFlippedBits(t *testing.T) {
	b, err := os.ReadFile("testdata/pg15-custom-gzip.dump")
	if err != nil {
		t.Fatal(err)
	}
	want := whole(t, b)
	toc := tocLen(t, b)
	for i := toc; i < len(b); i += 37 {
		flipped := bytes.Clone(b)
		flipped[i] ^= 1 << (i % 8)
		d, err := openFile(bytes.NewReader(flipped), int64(len(b)), func() error { return nil })
		if err != nil {
			continue
		}
		if got, err := contents(t, d); err == nil && !cmp.Equal(got, want) {
			t.Fatalf("a changed bit at %d is not noticed", i)
		}
	}
}

// What an archive asks for is looked at before it is given: no allocation follows a length that the file does not have.
func TestHostile(t *testing.T) {
	toc, err := ReadTOC(bytes.NewReader(sample(t, "pg15.toc")))
	if err != nil {
		t.Fatal(err)
	}
	toc.Entries = toc.Entries[:3]
	head := toc.Append(nil)
	many := bytes.Clone(head[:bytes.LastIndex(head, []byte{0, 3, 0, 0, 0})])
	many = append(many, 0, 0, 0x94, 0x35, 0x77) // two billion entries
	allocated := testing.AllocsPerRun(1, func() {
		if _, err := openFile(bytes.NewReader(many), int64(len(many)), nil); err == nil {
			t.Error("two billion entries that are not there")
		}
	})
	if allocated > 1000 {
		t.Errorf("%v allocations", allocated)
	}
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret.dat")
	if err := os.WriteFile(outside, []byte("1\n\\.\n\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../secret.dat", outside, "link.dat", "a/../../secret.dat", "..", "", "fifo.dat"} {
		if err := os.Symlink(outside, filepath.Join(dir, "link.dat")); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
		h := toc.Header
		h.Format = FormatTar
		bad := &TOC{Header: h, Entries: []Entry{{
			Entry: archive.Entry{ID: 1, Kind: kindTableData, Name: "t", Copy: "COPY s.t (a) FROM stdin;\n", Section: archive.SectionData, HadDumper: true, Schema: "s"},
			File:  name,
		}}}
		if err := os.WriteFile(filepath.Join(dir, tocFile), bad.Append(nil), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Open(dir, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := contents(t, d); err == nil {
			t.Errorf("%q leads to %q", name, got)
		}
		_ = d.Close()
	}
}

func TestCopyColumns(t *testing.T) {
	for statement, want := range map[string][]string{
		"COPY s.t (a, b) FROM stdin;\n":                               {"a", "b"},
		"COPY t (a) FROM stdin;\n":                                    {"a"},
		"COPY s.t  FROM stdin;\n":                                     nil,
		`COPY "S x"."t""(" ("a b", "c,d", "e""f") FROM stdin;` + "\n": {"a b", "c,d", `e"f`},
		"COPY s.t (a) WITH OIDS FROM stdin;\n":                        {"a"},
	} {
		got, err := copyColumns(statement)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%q: %q, %v", statement, got, err)
		}
	}
	for _, statement := range []string{
		"", "COPY", "COPY s.t (a) FROM stdin; DROP TABLE x;", "COPY s.t (a FROM stdin;", `COPY s."t (a) FROM stdin;`, "COPY s.t () FROM stdin;",
		"COPY s.t (a) FROM PROGRAM 'x';", "SELECT 1;", `COPY s.t ("") FROM stdin;`,
	} {
		if got, err := copyColumns(statement); err == nil {
			t.Errorf("%q: %q", statement, got)
		}
	}
}

func FuzzOpenCustom(f *testing.F) {
	for _, name := range []string{"pg17-custom-zstd.dump", "pg17-custom-lz4.dump", "pg15-custom-gzip-pipe.dump", "pg15-tar.tar"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := openFile(bytes.NewReader(b), int64(len(b)), func() error { return nil })
		if err != nil {
			return
		}
		_, _ = d.Structure(t.Context())
		sum := md5.New()
		for i := range d.streams {
			_ = d.StreamRows(t.Context(), d.streams[i].ID, func(text []byte) error { sum.Write(text); return nil })
			_ = d.LargeObjects(t.Context(), d.streams[i].Entry, func(_ uint32, _ int64, data []byte) error { sum.Write(data); return nil })
		}
	})
}

func FuzzCopyStatement(f *testing.F) {
	f.Add(`COPY "S x"."t""(" ("a b", "c,d", "e""f") FROM stdin;`)
	f.Fuzz(func(t *testing.T, s string) {
		columns, err := copyColumns(s)
		if err == nil && len(columns) > len(s) {
			t.Error(columns)
		}
	})
}

func FuzzBlobLine(f *testing.F) {
	f.Add("16408 blob_16408.dat\n")
	f.Fuzz(func(t *testing.T, s string) {
		if _, name, err := parseBlobLine(s); err == nil && strings.ContainsAny(name, "/\n\x00") {
			t.Error(name)
		}
	})
}
