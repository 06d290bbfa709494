package fanout_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/verify"
)

// oldTOC rewrites a table of contents of 1.13 as a pg_dump of PostgreSQL 8 writes it: nothing makes the large objects, and comments on them
// are data of an entry of their own, whose ID it gives.
func oldTOC(t *testing.T, b []byte, minor uint8) (old []byte, length int, comments int32) {
	t.Helper()
	toc, err := pgdump.ReadTOC(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	length = len(toc.Append(nil))
	toc.Header.Version.Minor = minor
	toc.Entries = slices.DeleteFunc(toc.Entries, func(e pgdump.Entry) bool { return e.Kind == "BLOB" || strings.HasPrefix(e.Name, "LARGE OBJECT") })
	for i := range toc.Entries {
		comments = max(comments, toc.Entries[i].ID)
	}
	comments++
	for i := range toc.Entries {
		if e := toc.Entries[i]; e.Kind == "BLOBS" {
			e.ID, e.Kind, e.Name, e.Deps = comments, "BLOB COMMENTS", "BLOB COMMENTS", nil
			if e.File != "" {
				e.File = fmt.Sprintf("%d.dat", comments)
			}
			toc.Entries = slices.Insert(toc.Entries, i+1, e)
			return toc.Append(nil), length, comments
		}
	}
	t.Fatal("no large objects")
	return nil, 0, 0
}

// oldArchive makes an archive of an old version out of one of 1.13.
func oldArchive(t *testing.T, cluster fanout.DumpOptions, format string, minor uint8, comments string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "old")
	o := fanout.StockOptions{Format: format, Version: "1.13", Codec: archive.CodecNone}
	if format == fanout.FormatDirectory {
		if _, err := fanout.DumpStock(t.Context(), fanout.StockTarget{Dir: path}, cluster, o); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(path, "toc.dat")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		toc, _, id := oldTOC(t, b, minor)
		for name, content := range map[string]string{file: string(toc), filepath.Join(path, fmt.Sprintf("%d.dat", id)): comments} {
			if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	var b, out bytes.Buffer
	if _, err := fanout.DumpStock(t.Context(), fanout.StockTarget{Out: &b}, cluster, o); err != nil {
		t.Fatal(err)
	}
	if format == fanout.FormatCustom { // in a pipe no entry knows where its data is
		toc, length, id := oldTOC(t, b.Bytes(), minor)
		out.Write(toc)
		out.Write(b.Bytes()[length:])
		number := func(n int) { out.Write(binary.LittleEndian.AppendUint32([]byte{0}, uint32(n))) }
		out.WriteByte(1)
		number(int(id))
		number(len(comments))
		out.WriteString(comments)
		number(0)
	} else {
		members, _ := tarMembers(t, b.Bytes())
		w := tar.NewWriter(&out)
		put := func(name, content string) {
			if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o600, Format: tar.FormatUSTAR}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		toc, _, id := oldTOC(t, []byte(members["toc.dat"]), minor)
		put("toc.dat", string(toc))
		rest := tar.NewReader(&b)
		for h, err := rest.Next(); err == nil; h, err = rest.Next() {
			if h.Name != "toc.dat" && h.Name != "restore.sql" {
				put(h.Name, members[h.Name])
			}
		}
		put(fmt.Sprintf("%d.dat", id), comments)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Large objects of archives from before PostgreSQL 9.0, which pg_restore makes when it comes to their data: all that reads an archive has them,
// and restores them as pg_restore does.
func TestOldLargeObjects(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `CREATE TABLE t AS SELECT g AS a FROM generate_series(1, 100) g; SELECT lo_from_bytea(7001, '\x00ff5c0a'), lo_create(7002);
SELECT lo_from_bytea(3000000001, convert_to(repeat('0123456789', 30000), 'UTF8')); COMMENT ON LARGE OBJECT 7002 IS 'empty; ''so'''`)
	const state = `SELECT (SELECT sum(a) FROM t), string_agg(oid || ' ' || md5(lo_get(oid)) || ' ' || lomowner::regrole || ' ' || coalesce(obj_description(oid, 'pg_largeobject'), '-'), ',' ORDER BY oid) FROM pg_largeobject_metadata`
	want := srv.Psql(t, db, "-c", state)
	check := func(how, copied string) {
		t.Helper()
		if got := srv.Psql(t, copied, "-c", state); got != want {
			t.Errorf("%s: %s, want %s", how, got, want)
		}
	}
	cluster := fanout.DumpOptions{Cluster: discover(t, srv.Conninfo(db)), Jobs: 1}
	cutOff(t, oldArchive(t, cluster, fanout.FormatCustom, 11, "COMMENT ON LARGE OBJECT 7002 IS 'empty';\n"))
	for i, x := range []struct {
		format string
		minor  uint8
	}{{fanout.FormatCustom, 10}, {fanout.FormatCustom, 11}, {fanout.FormatTar, 11}, {fanout.FormatDirectory, 11}} {
		how := fmt.Sprintf("%s 1.%d", x.format, x.minor)
		path := oldArchive(t, cluster, x.format, x.minor, "COMMENT ON LARGE OBJECT 7002 IS 'empty; ''so''';\n")
		majors := stockMajors()
		if i > 0 {
			majors = majors[:1]
		}
		copied := srv.CreateDB(t)
		for _, major := range majors { // that the test's archives are right
			stockRestore(t, srv, major, "", "-c", "--if-exists", "-d", srv.Conninfo(copied), path)
			check(fmt.Sprint(how, ", pg_restore ", major), copied)
		}
		d, err := pgdump.Open(path, pgdump.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if problems, err := d.Structure(t.Context()); err != nil || len(problems) > 0 || len(d.Description().Warnings) > 0 {
			t.Errorf("%s: %+v, %v, %q", how, problems, err, d.Description().Warnings)
		}
		ours := srv.CreateDB(t)
		srv.Exec(t, ours, "CREATE TABLE t (a int); SELECT lo_from_bytea(7001, 'other')") // and the others are not there, which -c does not mind
		r, err := fanout.RestoreSource(t.Context(), d, fanout.RestoreOptions{Target: parseConfig(t, srv.Conninfo(ours)), Jobs: 2, Clean: true})
		if err != nil || !r.OK() {
			t.Fatalf("%s: %v, %+v", how, err, r)
		}
		check(how, ours)
		var made bytes.Buffer
		if _, err := fanout.ImportSource(t.Context(), d, &made, fanout.ImportOptions{Jobs: 1}); err != nil {
			t.Fatal(err)
		}
		a, err := archive.NewReader(bytes.NewReader(made.Bytes()), int64(made.Len()))
		if err != nil {
			t.Fatal(err)
		}
		report, err := verify.Database(t.Context(), a, discover(t, srv.Conninfo(db)), verify.Options{Jobs: 1})
		if err != nil || !report.OK {
			t.Errorf("%s: %v, %+v", how, err, report)
		}
		for version, major := range map[string]int{"1.13": 0, "1.16": 17} {
			if i%2 == 0 && major > 0 {
				continue
			}
			newer := filepath.Join(t.TempDir(), "newer")
			writeStockFile(t, newer, x.format, func(target fanout.StockTarget) error {
				_, err := fanout.ConvertSource(t.Context(), d, target, fanout.StockOptions{Format: x.format, Version: version, Jobs: 1}, nil)
				return err
			})
			copied := srv.CreateDB(t)
			stockRestore(t, srv, major, "", "-d", srv.Conninfo(copied), newer)
			check(how+" as "+version, copied)
		}
	}
}

// cutOff cuts an old custom archive off: that is seen, and nothing of it is converted.
func cutOff(t *testing.T, path string) {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := len(whole) - 1; n > 0; n -= 1 + n/40 {
		if err := os.Truncate(path, int64(n)); err != nil {
			t.Fatal(err)
		}
		d, err := pgdump.Open(path, pgdump.OpenOptions{})
		if err != nil {
			continue
		}
		problems, err := d.Structure(t.Context())
		if err == nil && len(problems) == 0 {
			t.Errorf("cut off at %d of %d: nothing is wrong", n, len(whole))
		}
		_, err = fanout.ConvertSource(t.Context(), d, fanout.StockTarget{Out: new(bytes.Buffer)}, fanout.StockOptions{Format: fanout.FormatTar}, nil)
		if err == nil {
			t.Errorf("cut off at %d of %d: converted", n, len(whole))
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
