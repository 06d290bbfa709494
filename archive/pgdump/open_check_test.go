package pgdump

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
)

// Damage to a table of contents that takes an entry its data was read as a dump with fewer rows or large objects, and nothing was said.
func TestDataWithoutEntry(t *testing.T) {
	tests := []struct {
		name, kind string
		damage     func(toc *TOC, e *Entry)
	}{
		{"no entries", kindTableData, func(toc *TOC, _ *Entry) { toc.Entries = nil }},
		{"kind of rows", kindTableData, func(_ *TOC, e *Entry) { e.Kind = "TABLE DAT\x01" }},
		{"kind of large objects", kindBlobs, func(_ *TOC, e *Entry) { e.Kind = "BLORS" }},
		{"no rows", kindTableData, func(_ *TOC, e *Entry) { e.HadDumper = false }},
		{"no large objects", kindBlobs, func(_ *TOC, e *Entry) { e.HadDumper = false }},
		{"number of a large object", kindBlob, func(_ *TOC, e *Entry) { e.OID ^= 1 }},
		{"a large object more", kindBlobGroup, func(_ *TOC, e *Entry) { e.DDL += "4711\n" }},
		{"a large object less", kindBlobGroup, func(_ *TOC, e *Entry) { e.DDL = "4711" + e.DDL[strings.Index(e.DDL, "\n"):] }},
	}
	for name, path := range sampleDumps(t) {
		if strings.HasSuffix(path, ".tar") { // its members are those of a directory
			continue
		}
		for _, tt := range tests {
			bad, changed := damaged(t, path, tt.kind, tt.damage)
			if !changed {
				continue
			}
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				d, err := Open(bad, OpenOptions{})
				if err == nil {
					defer d.Close()
					_, err = contents(t, d)
				}
				if !errors.Is(err, ErrDamaged) {
					t.Errorf("it is read: %v", err)
				}
			})
		}
	}
}

// damaged copies a dump, with a change to the first entry of a kind; changed tells whether there is one.
func damaged(t *testing.T, path, kind string, damage func(toc *TOC, e *Entry)) (bad string, changed bool) {
	t.Helper()
	dir := t.TempDir()
	file, bad := path, filepath.Join(dir, "dump")
	to := bad
	if info, err := os.Stat(path); err != nil {
		t.Fatal(err)
	} else if info.IsDir() {
		if err := os.CopyFS(bad, os.DirFS(path)); err != nil {
			t.Fatal(err)
		}
		file, to = filepath.Join(path, tocFile), filepath.Join(bad, tocFile)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	toc, err := ReadTOC(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for i := range toc.Entries {
		if e := &toc.Entries[i]; e.DataState == OffsetSet { // the table may be of another length: it is searched for
			e.DataState = OffsetNotSet
		}
	}
	if i := slices.IndexFunc(toc.Entries, func(e Entry) bool { return e.Kind == kind }); i >= 0 {
		damage(toc, &toc.Entries[i])
		changed = true
	}
	if err := os.WriteFile(to, append(toc.Append(nil), b[toc.size:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	return bad, changed
}

// A number of entries that is too small leaves out those behind: no data begins where the table of contents seems to end.
func TestFewerEntries(t *testing.T) {
	b, err := os.ReadFile("testdata/pg16-custom-zstd.dump")
	if err != nil {
		t.Fatal(err)
	}
	toc, err := ReadTOC(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	all := len(toc.Entries)
	entries := toc.Entries
	toc.Entries = nil
	at := len(toc.Append(nil)) - toc.Header.IntSize
	toc.Entries = entries
	for n := range all {
		less := bytes.Clone(b)
		less[at], less[at+1] = byte(n), byte(n>>8)
		if _, err := openFile(bytes.NewReader(less), int64(len(less)), nil); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d of %d entries: %v", n, all, err)
		}
	}
}

// A list of large objects that was cut off is one of fewer.
func TestListOfLargeObjectsCutOff(t *testing.T) {
	for name, path := range sampleDumps(t) {
		lists, err := filepath.Glob(filepath.Join(path, "blobs*.toc"))
		if err != nil || len(lists) == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir, _ := damaged(t, path, "", nil)
			list := filepath.Join(dir, filepath.Base(lists[0]))
			if err := os.WriteFile(list, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			d, err := Open(dir, OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if _, err := contents(t, d); !errors.Is(err, ErrDamaged) {
				t.Errorf("it is read: %v", err)
			}
			problems, err := d.Structure(t.Context())
			if err != nil || !slices.ContainsFunc(problems, func(p archive.Problem) bool { return strings.HasPrefix(p.File, "blob_") }) {
				t.Errorf("the files that nothing lists are not found: %v, %v", problems, err)
			}
		})
	}
}
