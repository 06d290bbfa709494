package archive_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

// clusterDB is a database of a test archive.
type clusterDB struct {
	name  string
	codec archive.Codec
	parts []part
}

func clusterDBs() []clusterDB {
	return []clusterDB{
		{name: "template1", codec: archive.CodecNone},
		{name: "shop", codec: archive.CodecZstd, parts: testParts()},
		{name: "odd \"name\"\n", codec: archive.CodecNone, parts: testParts()},
	}
}

func clusterCatalog() *archive.Catalog {
	return &archive.Catalog{
		Encoding: "UTF8", ServerVersion: "15.18", Product: "PostgreSQL", PgDumpVersion: "15.18",
		Entries: []archive.Entry{{ID: 1, TableOID: 1260, Kind: "ROLE", Name: "ann", Section: archive.SectionNone, DDL: "CREATE ROLE ann;\n"}},
	}
}

func clusterMoment() *archive.Moment {
	return &archive.Moment{Time: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC), Route: "coordinator", Promise: "none", Reason: "each has its own"}
}

func clusterOptions() archive.WriterOptions {
	return archive.WriterOptions{Codec: archive.CodecZstd, Created: time.Date(2024, 5, 6, 7, 8, 10, 0, time.UTC), Tool: "pgark 0.2.0"}
}

// writeCluster makes a cluster archive, and says where its databases are.
func writeCluster(t testing.TB, dbs []clusterDB) ([]byte, archive.Summary, []archive.ClusterDatabase) {
	t.Helper()
	var out bytes.Buffer
	w, err := archive.NewClusterWriter(&out, clusterOptions())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SetMoment(clusterMoment()); err != nil { // some documents come first, some last
		t.Fatal(err)
	}
	for _, db := range dbs {
		o := testOptions(db.codec)
		o.Database = db.name
		nested, sum := nestedArchive(t, o, db.parts)
		dst, err := w.Begin(db.name, "UTF8")
		if err != nil {
			t.Fatal(err)
		}
		for len(nested) > 0 { // in pieces of odd sizes
			n := min(len(nested), 1+len(nested)/3)
			if _, err := dst.Write(nested[:n]); err != nil {
				t.Fatal(err)
			}
			nested = nested[n:]
		}
		if err := w.End(sum); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.SetCatalog(clusterCatalog()); err != nil {
		t.Fatal(err)
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), sum, w.Databases()
}

// nestedArchive is writeArchive, also without any streams.
func nestedArchive(t testing.TB, o archive.WriterOptions, parts []part) ([]byte, archive.Summary) {
	t.Helper()
	if len(parts) > 0 {
		return writeArchive(t, o, parts)
	}
	var out bytes.Buffer
	w, err := archive.NewWriter(&out, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.SetMoment(testMoment()), w.SetCatalog(testCatalog())); err != nil {
		t.Fatal(err)
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), sum
}

func openCluster(t testing.TB, b []byte) *archive.Cluster {
	t.Helper()
	c, err := archive.NewCluster(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClusterRoundTrip(t *testing.T) {
	b, sum, list := writeCluster(t, clusterDBs())
	if sum.Bytes != uint64(len(b)) || sum.Rows != 52 || sum.Streams != 10 || sum.Blocks != 12 {
		t.Errorf("summary %+v of %d bytes", sum, len(b))
	}
	path := filepath.Join(t.TempDir(), "c.pgark")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := archive.OpenCluster(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	if d := cmp.Diff(list, c.Databases()); d != "" {
		t.Error(d)
	}
	if h := c.Header(); c.Root() != sum.Root || c.Size() != int64(len(b)) || !h.Cluster || h.Minor != archive.FormatMinorCluster {
		t.Errorf("%+v", h)
	}
	cat, err := c.Catalog()
	if d := cmp.Diff(clusterCatalog(), cat); d != "" || err != nil {
		t.Error(d, err)
	}
	m, err := c.Moment()
	if d := cmp.Diff(clusterMoment(), m); d != "" || err != nil {
		t.Error(d, err)
	}
	for i, db := range clusterDBs() {
		r, err := c.Open(db.name)
		if err != nil {
			t.Fatal(err)
		}
		if len(db.parts) > 0 {
			checkContent(t, r, db.parts)
		}
		o := testOptions(db.codec)
		o.Database = db.name
		alone, asum := nestedArchive(t, o, db.parts)
		d := &c.Databases()[i]
		if !bytes.Equal(b[d.Offset:d.Offset+d.Bytes], alone) || d.Root != asum.Root || d.ID != asum.ID || d.Rows != asum.Rows || d.RawBytes != asum.RawBytes {
			t.Errorf("%s: %+v is not the archive that the database alone has", db.name, d)
		}
	}
	if _, err := c.Open("nosuch"); !errors.Is(err, archive.ErrNoDatabase) || !strings.Contains(err.Error(), `shop, "odd \"name\"\n"`) {
		t.Error(err)
	}
	for name, check := range map[string]func() (*archive.CheckResult, error){
		"Cluster.Check": func() (*archive.CheckResult, error) { return c.Check(t.Context(), archive.CheckOptions{Jobs: 3}) },
		"CheckFiles": func() (*archive.CheckResult, error) {
			return archive.CheckFiles(t.Context(), path, archive.CheckOptions{}, archive.OpenOptions{})
		},
		"Check": func() (*archive.CheckResult, error) { return check(b) },
	} {
		res, err := check()
		if err != nil || len(res.Findings) > 0 || res.Rows != sum.Rows || res.Blocks != sum.Blocks || res.Tables != 4 || len(res.Databases) != 3 {
			t.Errorf("%s: %+v, %v", name, res, err)
		} else if d := res.Databases[1]; d.Name != "shop" || d.Rows != 26 || d.Tables != 2 || d.Offset != list[1].Offset {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// An archive of several databases is no archive of one, and the other way round; both say what they are.
func TestClusterKinds(t *testing.T) {
	b, _, list := writeCluster(t, clusterDBs())
	path := filepath.Join(t.TempDir(), "c.pgark")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := archive.Open(path)
	var e *archive.ClusterError
	if !errors.As(err, &e) || !errors.Is(err, archive.ErrCluster) || !cmp.Equal(e.Databases, list) || !strings.Contains(err.Error(), "template1, shop,") ||
		!strings.HasPrefix(err.Error(), path) {
		t.Error(err)
	}
	if _, err := archive.Salvage(t.Context(), bytes.NewReader(b), int64(len(b)), io.Discard, archive.SalvageOptions{}); !errors.Is(err, archive.ErrCluster) {
		t.Error(err)
	}
	one, _ := writeArchive(t, testOptions(archive.CodecNone), testParts())
	if _, err := archive.NewCluster(bytes.NewReader(one), int64(len(one))); !errors.Is(err, archive.ErrNotCluster) {
		t.Error(err)
	}
	if _, err := archive.SalvageCluster(t.Context(), bytes.NewReader(one), int64(len(one)), io.Discard, archive.SalvageOptions{}); !errors.Is(err, archive.ErrNotCluster) {
		t.Error(err)
	}
	if _, err := archive.NewCluster(strings.NewReader("hello"), 5); !errors.Is(err, archive.ErrNotArchive) {
		t.Error(err)
	}
	none, sum, _ := writeCluster(t, nil)
	if c := openCluster(t, none); len(c.Databases()) != 0 || sum.Rows != 0 {
		t.Error("a server without databases")
	}
}

// readCluster does what a careful reader does: every frame of every database.
func readCluster(b []byte) error {
	c, err := archive.NewCluster(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	if _, err := c.Catalog(); err != nil {
		return err
	}
	if _, err := c.Moment(); err != nil {
		return err
	}
	for _, db := range c.Databases() {
		r, err := c.Open(db.Name)
		if err != nil {
			return err
		}
		d := r.NewDecoder()
		for f := range r.Frames() {
			if _, err := d.Frame(f); err != nil {
				return err
			}
		}
		d.Close()
	}
	return nil
}

// databaseAt is the database that has the byte at offset; nil for none.
func databaseAt(list []archive.ClusterDatabase, offset int64) *archive.ClusterDatabase {
	for i := range list {
		if d := &list[i]; offset >= d.Offset && offset < d.Offset+d.Bytes {
			return d
		}
	}
	return nil
}

// Every bit of a cluster archive matters, and the check names the database.
func TestClusterBitFlips(t *testing.T) {
	t.Parallel()
	good, _, list := writeCluster(t, clusterDBs())
	each(t, len(good), func(i int) error {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		d := databaseAt(list, int64(i))
		// The second copy of a document of the cluster volume is read only if the first is damaged.
		if err := readCluster(b); err == nil && d != nil {
			return errors.New("a reader does not notice")
		} else if err != nil && !errors.Is(err, archive.ErrDamaged) && !errors.Is(err, archive.ErrTruncated) {
			return fmt.Errorf("error of the wrong class: %w", err)
		}
		res, err := check(b)
		if err != nil {
			return err
		}
		for _, f := range res.Findings {
			switch {
			case d == nil && f.Database == "":
				return nil
			case d != nil && f.Database == d.Name && f.Offset >= d.Offset && f.Offset < d.Offset+d.Bytes:
				return nil
			}
		}
		return fmt.Errorf("the check does not find it: %+v", res.Findings)
	})
}

// A cluster archive that was cut off is never taken for a whole one, nor for one of its databases, not even where it was
// cut behind one. What is whole in it can be saved.
func TestClusterTruncated(t *testing.T) {
	t.Parallel()
	good, _, list := writeCluster(t, clusterDBs())
	each(t, len(good), func(n int) error {
		b := good[:n]
		if readCluster(b) == nil || readAll(b) == nil {
			return errors.New("a reader does not notice")
		}
		res, err := check(b)
		if err != nil {
			return err
		}
		if len(res.Findings) == 0 {
			return errors.New("the check finds nothing")
		}
		found, err := archive.FindNested(context.Background(), bytes.NewReader(b), int64(n))
		if err != nil {
			return err
		}
		for i, d := range list {
			if d.Offset+d.Bytes > int64(n) {
				break
			}
			want := archive.Nested{Offset: d.Offset, Bytes: d.Bytes, ID: d.ID, Database: d.Name, Whole: true}
			if i >= len(found) || found[i] != want {
				return fmt.Errorf("%+v is not found but %+v", want, found)
			}
		}
		return nil
	})
}

func TestClusterTrailingBytes(t *testing.T) {
	good, _, _ := writeCluster(t, clusterDBs())
	one, _ := writeArchive(t, testOptions(archive.CodecNone), testParts())
	for _, tail := range [][]byte{{0}, one, good, one[len(one)-88:]} {
		b := append(bytes.Clone(good), tail...)
		if readCluster(b) == nil || readAll(b) == nil {
			t.Error("a reader does not notice")
		}
		if res, err := check(b); err != nil || len(res.Findings) == 0 {
			t.Errorf("the check finds nothing: %v", err)
		}
	}
}

// Archives that have changed places, or were replaced by others, are told from those that belong there.
func TestClusterSwapped(t *testing.T) {
	dbs := []clusterDB{{name: "a1", codec: archive.CodecNone, parts: testParts()}, {name: "b2", codec: archive.CodecNone, parts: testParts()}}
	good, _, list := writeCluster(t, dbs)
	a, b := list[0], list[1]
	if a.Bytes != b.Bytes {
		t.Fatal("archives of different lengths")
	}
	swapped := bytes.Clone(good)
	copy(swapped[a.Offset:], good[b.Offset:b.Offset+b.Bytes])
	copy(swapped[b.Offset:], good[a.Offset:a.Offset+a.Bytes])
	o := testOptions(archive.CodecNone)
	o.Database, o.Created = "a1", o.Created.Add(time.Hour)
	other, _ := writeArchive(t, o, dbs[0].parts)
	stale := bytes.Clone(good)
	copy(stale[a.Offset:], other)
	for _, bad := range []struct {
		file []byte
		want string
		dbs  []string
	}{
		{swapped, "an archive of database", []string{"a1", "b2"}},
		{stale, "another archive of the database", []string{"a1"}},
	} {
		c := openCluster(t, bad.file)
		for _, name := range bad.dbs {
			if _, err := c.Open(name); !errors.Is(err, archive.ErrDamaged) || !strings.Contains(err.Error(), bad.want) || !strings.Contains(err.Error(), "database "+name) {
				t.Error(name, err)
			}
		}
		res, err := c.Check(t.Context(), archive.CheckOptions{Quick: true})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range res.Findings {
			if f.Class != archive.ClassVolume || !strings.Contains(f.Message, bad.want) {
				t.Errorf("%+v", f)
			}
			names = append(names, f.Database)
		}
		if !slices.Equal(names, bad.dbs) {
			t.Error("findings about", names)
		}
	}
}

// What is no whole archive of the database, and calls in the wrong order, are refused, and nothing is written after that.
func TestClusterWriterMisuse(t *testing.T) {
	one, sum := nestedArchive(t, testOptions(archive.CodecNone), nil) // of database shop
	write := func(w *archive.ClusterWriter, name string, b []byte, sum archive.Summary) error {
		dst, err := w.Begin(name, "UTF8")
		if err != nil {
			return err
		}
		if _, err := dst.Write(b); err != nil {
			return err
		}
		return w.End(sum)
	}
	for name, misuse := range map[string]func(w *archive.ClusterWriter) error{
		"an archive that is cut off": func(w *archive.ClusterWriter) error { return write(w, "shop", one[:len(one)-1], sum) },
		"bytes behind the archive":   func(w *archive.ClusterWriter) error { return write(w, "shop", append(bytes.Clone(one), 0), sum) },
		"another database":           func(w *archive.ClusterWriter) error { return write(w, "other", one, sum) },
		"another summary": func(w *archive.ClusterWriter) error {
			return write(w, "shop", one, archive.Summary{ID: sum.ID, Bytes: sum.Bytes})
		},
		"nothing":              func(w *archive.ClusterWriter) error { return write(w, "shop", nil, sum) },
		"a name that can't be": func(w *archive.ClusterWriter) error { return write(w, "a\x00b", one, sum) },
		"no name":              func(w *archive.ClusterWriter) error { return write(w, "", one, sum) },
		"the same database again": func(w *archive.ClusterWriter) error {
			return errors.Join(write(w, "shop", one, sum), write(w, "shop", one, sum))
		},
		"an end without a begin": func(w *archive.ClusterWriter) error { return w.End(sum) },
		"a begin within": func(w *archive.ClusterWriter) error {
			_, err := w.Begin("a", "")
			_, err2 := w.Begin("b", "")
			return errors.Join(err, err2)
		},
		"a catalog within": func(w *archive.ClusterWriter) error {
			_, err := w.Begin("a", "")
			return errors.Join(err, w.SetCatalog(&archive.Catalog{}))
		},
		"a close within": func(w *archive.ClusterWriter) error {
			_, err := w.Begin("a", "")
			_, err2 := w.Close()
			return errors.Join(err, err2)
		},
		"no documents":                func(w *archive.ClusterWriter) error { _, err := w.Close(); return err },
		"a database after it failed":  func(w *archive.ClusterWriter) error { w.Abort(); return write(w, "shop", one, sum) },
		"a cluster volume as archive": func(w *archive.ClusterWriter) error { c, s, _ := writeCluster(t, nil); return write(w, "shop", c, s) },
		"bytes after the end": func(w *archive.ClusterWriter) error {
			dst, err := w.Begin("shop", "")
			_, err2 := dst.Write(one)
			err3 := w.End(sum)
			if err = errors.Join(err, err2, err3); err != nil {
				t.Error(err)
			}
			_, err = dst.Write(one)
			return err
		},
	} {
		var out bytes.Buffer
		w, err := archive.NewClusterWriter(&out, clusterOptions())
		if err != nil {
			t.Fatal(err)
		}
		if err := misuse(w); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := archive.NewClusterWriter(io.Discard, archive.WriterOptions{Member: archive.Member{Set: archive.NewSetID()}}); err == nil {
		t.Error("a cluster archive that is a volume of a set")
	}
}

const clusterGolden = "testdata/cluster-v1.1.pgark"

// goldenCluster is a cluster archive with codec none throughout.
func goldenCluster(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	o := clusterOptions()
	o.Codec = archive.CodecNone
	w, err := archive.NewClusterWriter(&out, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, db := range []clusterDB{{name: "postgres"}, {name: "shop", parts: testParts()}} {
		o := testOptions(archive.CodecNone)
		o.Database = db.name
		nested, sum := nestedArchive(t, o, db.parts)
		dst, err := w.Begin(db.name, "UTF8")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dst.Write(nested); err != nil {
			t.Fatal(err)
		}
		if err := w.End(sum); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.SetCatalog(clusterCatalog()), w.SetMoment(clusterMoment())); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A cluster archive of version 1.1 stays readable, and its bytes are pinned. With PGARK_UPDATE_GOLDEN set it is written anew, which is right only
// before it is released.
func TestClusterGolden(t *testing.T) {
	got := goldenCluster(t)
	if os.Getenv("PGARK_UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(clusterGolden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(clusterGolden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the same calls write other bytes than before")
	}
	c := openCluster(t, want)
	list, err := json.Marshal(c.Databases())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(list, []byte(`"Name":"postgres","Encoding":"UTF8","Offset":94,`)) || len(c.Databases()) != 2 || c.Databases()[1].Rows != 26 {
		t.Error(string(list))
	}
	r, err := c.Open("shop")
	if err != nil {
		t.Fatal(err)
	}
	checkContent(t, r, testParts())
}
