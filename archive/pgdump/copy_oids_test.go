package pgdump

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

// Rows WITH OIDS are read without them, whatever pieces they come in, and copied as they are into an archive that says so.
func TestRowsWithOIDs(t *testing.T) {
	d := newDatabase()
	d.add("two", []byte("16384\t1\ta\\tb\n16385\t\\N\t\n"))
	d.add("none", []byte("7\n8\n"))
	for i := range d.cat.Entries {
		switch e := &d.cat.Entries[i]; {
		case e.Kind == kindTableData && e.Name == "two":
			e.Copy = "COPY public.two (a, b) WITH OIDS FROM stdin;\n"
		case e.Kind == kindTableData:
			e.Copy = "COPY public.none  WITH OIDS FROM stdin;\n"
		}
	}
	for _, format := range []string{"custom", "directory", "tar"} {
		path := filepath.Join(t.TempDir(), "dump")
		v := variant{format, minorOldestWritten, CompressionNone}
		d.write(t, v, path, 1, func() int { return 3 })
		src, err := Open(path, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		got, err := contents(t, src)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[string]string{"public.two(a,b)": "1\ta\\tb\n\\N\t\n", "public.none()": "\n\n"}, got); d != "" {
			t.Errorf("%s: %s", format, d)
		}
		cat, err := src.Catalog()
		if err != nil {
			t.Fatal(err)
		}
		statements := func(cat *archive.Catalog) string {
			all := ""
			for _, e := range cat.Entries {
				all += e.Copy
			}
			return all
		}
		if got := statements(cat); got != "COPY public.two (a, b) FROM stdin;\nCOPY public.none  FROM stdin;\n" {
			t.Errorf("%s: %s", format, got)
		}
		if got := statements(src.RawCatalog(cat)); strings.Count(got, oidsClause) != 2 {
			t.Errorf("%s: %s", format, got)
		}
		if w := strings.Join(src.Description().Warnings, ";"); !strings.Contains(w, "the rows of 2 tables have OIDs") {
			t.Errorf("%s: %s", format, w)
		}
	}
	for size := 1; size < 9; size++ {
		got := ""
		c := &oidCutter{fn: func(text []byte) error { got += string(text); return nil }}
		for rows := "1\ta\tb\n2\t\t\n3\n4\n55\tc\n"; rows != ""; {
			n := min(size, len(rows))
			if err := c.write([]byte(rows[:n])); err != nil {
				t.Fatal(err)
			}
			rows = rows[n:]
		}
		if want := "a\tb\n\t\n\n\nc\n"; got != want {
			t.Errorf("pieces of %d: %q, want %q", size, got, want)
		}
	}
}

// A character's second byte that is a backslash, and a dot behind it, are no mark.
func TestRowsOfWideEncoding(t *testing.T) {
	d := newDatabase()
	const row = "\x95\x5c.\n" // in SJIS
	d.add("t", []byte(row))
	d.cat.Encoding, d.cat.Entries[0].DDL = "SJIS", "SET client_encoding = 'SJIS';\n"
	path := filepath.Join(t.TempDir(), "dump")
	d.write(t, variant{"custom", minorOldestWritten, CompressionNone}, path, 1, func() int { return 100 })
	read := func() (map[string]string, error) {
		src, err := Open(path, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		return contents(t, src)
	}
	got, err := read()
	if err != nil || len(got) != 1 {
		t.Fatalf("%q, %v", got, err)
	}
	for _, rows := range got {
		if rows != row {
			t.Errorf("%q", rows)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), "'SJIS'", "'UTF8'", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := read(); err == nil {
		t.Errorf("%q", got)
	}
}
