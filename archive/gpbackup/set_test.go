package gpbackup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/pgark/pgark/archive"
)

// unpack unpacks a sample set and returns the directory above its files.
func unpack(tb testing.TB, name string) string {
	tb.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".tar.xz"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	x, err := xz.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	for r := tar.NewReader(x); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return filepath.Join(dir, name)
		}
		if err != nil {
			tb.Fatal(err)
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
			tb.Fatal(err)
		}
	}
}

// flat copies all files of a set into one directory.
func flat(tb testing.TB, dir string) string {
	tb.Helper()
	to := tb.TempDir()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, d.Name()), b, 0o600)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return to
}

// truth is what is in the tables: "rows md5" by name.
func truth(tb testing.TB, file string) map[string]string {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		tb.Fatal(err)
	}
	all := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 && !strings.HasPrefix(line, "#") {
			all[f[0]] = f[1] + " " + f[2]
		}
	}
	return all
}

// tables reads all tables of a set, as truth has them.
func tables(tb testing.TB, s *Set) (map[string]string, error) {
	tb.Helper()
	all := make(map[string]string)
	for i := range s.cat.Entries {
		e := &s.cat.Entries[i]
		if e.Kind != "TABLE DATA" {
			continue
		}
		var b bytes.Buffer
		for _, x := range s.TableStreams(e.ID) {
			if err := s.StreamRows(context.Background(), x.ID, func(text []byte) error { b.Write(text); return nil }); err != nil {
				return nil, err
			}
		}
		rows := strings.SplitAfter(b.String(), "\n")
		rows = rows[:len(rows)-1]
		if n, ok := s.ExpectedRows(e.ID); !ok || n != uint64(len(rows)) {
			tb.Errorf("%s: %d rows, expected %d", e.Name, len(rows), n)
		}
		slices.Sort(rows)
		name := quoteIfNeeded(e.Schema) + "." + quoteIfNeeded(e.Name)
		all[name] = fmt.Sprintf("%d %x", len(rows), md5.Sum([]byte(strings.Join(rows, ""))))
	}
	return all, nil
}

func quoteIfNeeded(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == "" {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

func open(tb testing.TB, path string, o Options) *Set {
	tb.Helper()
	s, err := Open(path, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// Every way in which gpbackup writes a set gives the rows that were there.
func TestSamples(t *testing.T) {
	t.Parallel()
	want := truth(t, "expected.tsv")
	for _, name := range []string{"multi-gzip", "multi-zstd", "multi-none", "single-zstd", "single-gzip-leaf", "single-none", "stats-leaf", "onedir"} {
		all := unpack(t, name)
		for _, how := range []string{"as it is", "copied to one place"} {
			t.Run(name+" "+how, func(t *testing.T) {
				dir := all
				if how != "as it is" {
					dir = flat(t, dir)
				}
				if !IsSet(dir) {
					t.Error("not seen to be a set")
				}
				s := open(t, dir, Options{})
				compare(t, s, want)
				problems, err := s.Structure(t.Context())
				if err != nil || len(problems) > 0 {
					t.Errorf("problems %+v, %v", problems, err)
				}
			})
		}
	}
}

func compare(t *testing.T, s *Set, want map[string]string) {
	t.Helper()
	got, err := tables(t, s)
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s: %q, want %q", name, got[name], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d tables, want %d", len(got), len(want))
	}
}

// An incremental set has the rows of the sets that it builds upon.
func TestIncremental(t *testing.T) {
	dir := unpack(t, "incr")
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrChoice) || !strings.Contains(err.Error(), "20261122173439, 20261122173442") {
		t.Errorf("two sets, and none named: %v", err)
	}
	compare(t, open(t, dir, Options{Timestamp: "20261122173439"}), truth(t, "expected.tsv"))
	compare(t, open(t, dir, Options{Timestamp: "20261122173442"}), truth(t, "expected-incr.tsv"))
	compare(t, open(t, flat(t, dir), Options{Timestamp: "20261122173442"}), truth(t, "expected-incr.tsv"))
	matches, _ := filepath.Glob(filepath.Join(dir, "gpseg-1/backups/*/20261122173442/*_config.yaml"))
	compare(t, open(t, matches[0], Options{}), truth(t, "expected-incr.tsv"))
	compare(t, open(t, filepath.Dir(matches[0]), Options{}), truth(t, "expected-incr.tsv"))
	// Without the set that it builds upon.
	old, _ := filepath.Glob(filepath.Join(dir, "gpseg*/backups/*/20261122173439"))
	for _, d := range old {
		if err := os.RemoveAll(d); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "20261122173439") {
		t.Errorf("a set that is needed is missing: %v", err)
	}
}

func TestPartialSets(t *testing.T) {
	s := open(t, unpack(t, "filtered"), Options{})
	got, err := tables(t, s)
	if err != nil || len(got) != 2 || !strings.Contains(strings.Join(s.desc.Warnings, ";"), "filtered") {
		t.Errorf("%v, %v, %q", got, err, s.desc.Warnings)
	}
	s = open(t, unpack(t, "metaonly"), Options{})
	if got, err = tables(t, s); err != nil || len(got) != 0 || len(s.cat.Entries) < 20 {
		t.Errorf("%v, %v, %d entries", got, err, len(s.cat.Entries))
	}
}

// Definitions are entries as pg_dump has them.
func TestCatalog(t *testing.T) {
	s := open(t, unpack(t, "multi-gzip"), Options{})
	byName := make(map[string]archive.Entry)
	for _, e := range s.cat.Entries {
		byName[e.Kind+" "+e.Schema+" "+e.Name] = e
	}
	table := byName["TABLE sales customers"]
	if table.Owner != "gpadmin" || !strings.HasPrefix(table.DDL, "CREATE TABLE sales.customers (") || strings.Contains(table.DDL, "OWNER") || table.Drop != "DROP TABLE sales.customers;\n" {
		t.Errorf("%+v", table)
	}
	data := byName["TABLE DATA sales customers"]
	if data.Copy != "COPY sales.customers (\"id\", \"name\", \"mood\", \"addr\", \"tags\", \"note\") FROM stdin;\n" || !slices.Equal(data.Deps, []int32{table.ID}) {
		t.Errorf("%+v", data)
	}
	for _, name := range []string{
		"ENCODING  ENCODING", "DATABASE  sample", "SCHEMA  sales", `SCHEMA  Weird "Schema`, "TYPE sales mood", "SEQUENCE sales orders_id_seq",
		"SEQUENCE SET sales orders_id_seq", "SEQUENCE OWNED BY sales orders_id_seq", "FUNCTION sales tax(numeric)", `TABLE Weird "Schema Tab,le "x"\ y`,
		"COMMENT sales TABLE customers", "ACL sales TABLE customers", "CONSTRAINT sales customers customers_pkey", "INDEX sales customers_name_idx",
		"CHECK CONSTRAINT sales customers name_len", "VIEW sales rich", "MATERIALIZED VIEW sales mv", "DOMAIN sales posint", "ACL  SCHEMA sales",
	} {
		if _, ok := byName[name]; !ok {
			t.Errorf("there is no %s", name)
		}
	}
	if t.Failed() {
		for _, e := range s.cat.Entries {
			t.Log(e.ID, e.Kind, e.Schema, e.Name, e.Owner, e.Deps)
		}
	}
}

// What is missing or cut off is an error that names it, and never fewer rows.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	dirs := make(map[string]string)
	for _, tt := range []struct{ name, pattern string }{
		{"multi-gzip", "gpseg1/backups/*/*/gpbackup_1_*_24796.gz"},
		{"multi-none", "gpseg2/backups/*/*/gpbackup_2_*_24875"}, // of a table without rows
		{"single-zstd", "gpseg0/backups/*/*/gpbackup_0_*.zst"},
		{"single-none", "gpseg0/backups/*/*/gpbackup_0_*_toc.yaml"},
		{"multi-gzip", "gpseg-1/backups/*/*/*_metadata.sql"},
		{"multi-gzip", "gpseg-1/backups/*/*/*_toc.yaml"},
	} {
		if dirs[tt.name] == "" {
			dirs[tt.name] = unpack(t, tt.name)
		}
		dir := dirs[tt.name]
		files, _ := filepath.Glob(filepath.Join(dir, tt.pattern))
		if len(files) != 1 {
			t.Fatal(tt.pattern, files)
		}
		if err := os.Rename(files[0], files[0]+".away"); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Options{}); !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s without %s: %v", tt.name, tt.pattern, err)
		}
		if err := os.Rename(files[0]+".away", files[0]); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"multi-gzip", "multi-zstd", "multi-none", "single-none", "single-zstd", "single-gzip-leaf"} {
		if dirs[name] == "" {
			dirs[name] = unpack(t, name)
		}
		dir := dirs[name]
		files, _ := filepath.Glob(filepath.Join(dir, "gpseg0/backups/*/*/gpbackup_0_*"))
		largest, size := "", int64(0)
		for _, f := range files {
			if info, err := os.Stat(f); err == nil && info.Size() > size && !strings.HasSuffix(f, ".yaml") {
				largest, size = f, info.Size()
			}
		}
		for _, cut := range []int64{1, 7, size / 2, size - 1} {
			b, err := os.ReadFile(largest)
			if err == nil {
				err = os.WriteFile(largest, b[:size-cut], 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(dir, Options{})
			if err == nil {
				_, err = readAll(s)
				_ = s.Close()
			}
			if !errors.Is(err, ErrIncomplete) && !errors.Is(err, ErrDamaged) {
				t.Errorf("%s, %d bytes cut off: %v", name, cut, err)
			}
			if err := os.WriteFile(largest, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A configuration that is cut off is still good YAML: its plan named fewer tables, and the rows of the others were left out without a word. So
// were definitions lost that a lost block, or a transfer as text, had changed.
func TestCutConfiguration(t *testing.T) {
	dir := unpack(t, "multi-none")
	for _, tt := range []struct {
		pattern string
		change  func(text string) string
		want    error
	}{
		{"*_config.yaml", func(text string) string { return text[:strings.Index(text, "  - sales.events")] }, ErrIncomplete},
		{"*_config.yaml", func(text string) string { return text[:strings.Index(text, "  - sales.customers")] }, ErrIncomplete},
		{"*_config.yaml", func(text string) string { return strings.Replace(text, "  - sales.orders\n", "", 1) }, ErrIncomplete},
		{"*_config.yaml", func(text string) string { return strings.Replace(text, "metadataonly: false", "metadataonly: true", 1) }, ErrDamaged},
		{"*_config.yaml", func(text string) string { return strings.Replace(text, "segmentcount: ", "segmentcount: 9999", 1) }, ErrDamaged},
		{"*_config.yaml", func(text string) string { return text[:strings.Index(text, "incremental:")] }, ErrIncomplete},
		{"*_metadata.sql", func(text string) string { return text[:len(text)-100] + strings.Repeat("\x00", 100) }, ErrDamaged},
		{"*_metadata.sql", func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }, ErrDamaged},
	} {
		files, err := filepath.Glob(filepath.Join(dir, "gpseg-1/backups/*/*", tt.pattern))
		if err != nil || len(files) != 1 {
			t.Fatal(tt.pattern, files, err)
		}
		good, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		bad := tt.change(string(good))
		if err := os.WriteFile(files[0], []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Options{}); !errors.Is(err, tt.want) {
			t.Errorf("%s that ends with %.60q: %v", tt.pattern, bad[len(bad)-60:], err)
		}
		if err := os.WriteFile(files[0], good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A table of contents that is cut off made an empty database of a set of definitions.
func TestCutContents(t *testing.T) {
	dir := unpack(t, "metaonly")
	files, _ := filepath.Glob(filepath.Join(dir, "gpseg-1/backups/*/*/*_toc.yaml"))
	text, err := os.ReadFile(files[0])
	if err == nil {
		err = os.WriteFile(files[0], text[:bytes.Index(text, []byte("postdataentries:"))], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrIncomplete) {
		t.Errorf("a table of contents that is cut off: %v", err)
	}
}

// readAll reads all rows, as far as that goes, and counts them as a restore does.
func readAll(s *Set) (int, error) {
	n := 0
	for i := range s.cat.Entries {
		rows := 0
		for _, x := range s.TableStreams(s.cat.Entries[i].ID) {
			if err := s.StreamRows(context.Background(), x.ID, func(text []byte) error { rows += bytes.Count(text, []byte{'\n'}); return nil }); err != nil {
				return n, err
			}
		}
		if want, ok := s.ExpectedRows(s.cat.Entries[i].ID); ok && want != uint64(rows) {
			return n, fmt.Errorf("%w: %d rows, expected %d", ErrDamaged, rows, want)
		}
		n += rows
	}
	return n, nil
}

// What a set says never leads out of its directories, or into memory that it does not have.
func TestHostile(t *testing.T) {
	dir := unpack(t, "multi-none")
	files, _ := filepath.Glob(filepath.Join(dir, "gpseg-1/backups/*/*/*_toc.yaml"))
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{"endbyte: 1934", "endbyte: 99999999999"},
		{"startbyte: 0", "startbyte: -5"},
		{"endbyte: 31", "endbyte: 99999999999999999999"},
		{"rowscopied: 5000", "rowscopied: -1"},
		{"attributestring: (id,name,mood,addr,tags,note)", "attributestring: (id,name"},
		{"oid: 24785", "oid: 5"},
		{"globalentries:", "globalentries: &a [*a, *a]\nx:"},
		{"predataentries:", "predataentries: {a: b}\nz:"},
	} {
		bad := strings.ReplaceAll(string(good), change[0], change[1])
		if bad == string(good) {
			if change[0] == "endbyte: 1934" {
				continue
			}
			t.Fatalf("nothing is changed by %q", change)
		}
		if err := os.WriteFile(files[0], []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, Options{})
		if err == nil {
			_, err = readAll(s)
			_ = s.Close()
		}
		if err == nil {
			t.Errorf("%q is read", change)
		}
	}
	if err := os.WriteFile(files[0], good, 0o600); err != nil {
		t.Fatal(err)
	}
	// A link in the place of a file is none of the set's.
	data, _ := filepath.Glob(filepath.Join(dir, "gpseg1/backups/*/*/gpbackup_1_*_24785"))
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("1,2,3,4,5,6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(data[0]), os.Symlink(secret, data[0])); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrIncomplete) {
		t.Errorf("a link is followed: %v", err)
	}
}
