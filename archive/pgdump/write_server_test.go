package pgdump

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/internal/pgtest"
)

// serverSample is a database whose large objects pg_dump 17 has in several groups, with rights, comments and owners.
const serverSample = `
DO $$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'odd "LARGE OBJECT 7; role') THEN
		CREATE ROLE "odd ""LARGE OBJECT 7; role";
	END IF;
END $$;
CREATE TABLE parent (id integer PRIMARY KEY, v text);
INSERT INTO parent SELECT g, repeat(md5(g::text), g % 50) FROM generate_series(1, 20000) g;
CREATE TABLE child (id serial PRIMARY KEY, parent integer REFERENCES parent);
INSERT INTO child (parent) SELECT g FROM generate_series(1, 5000) g;
CREATE INDEX ON child (parent);
CREATE TABLE parts (at date, v text) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO parts SELECT date '2024-01-01' + g, E'\\.\n' || g FROM generate_series(0, 700) g;
CREATE TABLE nothing (a integer);
CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM parent;
SELECT lo_from_bytea(50000 + g, convert_to(repeat(g::text, g), 'UTF8')) FROM generate_series(1, 1100) g;
DO $$ BEGIN
	FOR i IN 50001..51100 LOOP
		EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO "odd ""LARGE OBJECT 7; role"', i);
	END LOOP;
END $$;
SELECT lo_create(60001), lo_from_bytea(4294967290, 'last'), lo_from_bytea(3000000000, '');
COMMENT ON LARGE OBJECT 60001 IS 'LARGE OBJECT 5';
ALTER LARGE OBJECT 3000000000 OWNER TO "odd ""LARGE OBJECT 7; role";
`

// client runs a program and returns what it says and how it ends.
func client(t *testing.T, major int, program string, stdin io.Reader, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(stockClient(t, major, program), args...)
	cmd.Stdin = stdin
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := pgtest.Output(t, cmd)
	if err != nil || stderr.Len() > 0 {
		return string(out), fmt.Errorf("%s of %d %q: %w: %.2000s", program, major, args, err, stderr.String())
	}
	return string(out), nil
}

// plainLines is a database as its own pg_dump writes it, without order: a parallel restore has another one.
func plainLines(t *testing.T, srv *pgtest.Server, major int, db string, args ...string) []string {
	t.Helper()
	out, err := client(t, major, "pg_dump", nil, append(args, "-d", srv.Conninfo(db))...)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.Split(out, "\n"), func(l string) bool {
		return strings.HasPrefix(l, "\\restrict") || strings.HasPrefix(l, "\\unrestrict")
	})
	slices.Sort(lines)
	return lines
}

// rewrite writes a dump that is there in another way.
func rewrite(t *testing.T, src *Dump, v variant, path string) []string {
	t.Helper()
	w, save := v.create(t, t.Context(), path, src.cat, WriteOptions{Jobs: 2})
	defer w.Abort()
	rewriteInto(t, src, w)
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	save()
	return sum.Notes
}

// rewriteInto writes the data of a dump.
func rewriteInto(t *testing.T, src *Dump, w *Writer) {
	t.Helper()
	add := func(data []byte) error {
		for piece := range slices.Chunk(bytes.Clone(data), 100000) {
			if err := w.Add(given(piece), nil); err != nil {
				return err
			}
		}
		return nil
	}
	for _, e := range w.TOC().Entries {
		if !e.HadDumper {
			continue
		}
		var err error
		if e.Kind == kindBlobs {
			err = rewriteBlobs(t, src, w, e.ID, add)
		} else {
			if err = w.Begin(e.ID); err == nil {
				err = src.StreamRows(t.Context(), src.TableStreams(e.ID)[0].ID, add)
			}
		}
		if err == nil {
			err = w.End()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func rewriteBlobs(t *testing.T, src *Dump, w *Writer, id int32, add func([]byte) error) error {
	t.Helper()
	if err := w.BeginBlobs(id); err != nil {
		return err
	}
	open := false
	for _, from := range w.TOC().Sources(id) {
		err := src.LargeObjects(t.Context(), from, func(oid uint32, at int64, data []byte) error {
			if at == 0 {
				if open {
					if err := w.EndBlob(); err != nil {
						return err
					}
				}
				open = true
				if err := w.BeginBlob(oid); err != nil {
					return err
				}
			}
			return add(data)
		})
		if err != nil {
			return err
		}
	}
	if open {
		return w.EndBlob()
	}
	return nil
}

// A database that a stock pg_dump has dumped comes back the same after it was rewritten in another format, compression and version, with
// each release of pg_restore into a server of that release: whole, in one transaction, over several sessions, definitions and rows apart, from a pipe,
// and by a list.
func TestStockRestoresRewritten(t *testing.T) {
	t.Parallel()
	full := !testing.Short()
	srv := pgtest.Shared(t)
	origin := srv.CreateDB(t)
	srv.Exec(t, origin, serverSample)
	sources := make(map[int]*Dump)
	for _, dumper := range []int{0, 18} { // large objects one by one, and in groups
		file := filepath.Join(t.TempDir(), "stock.dump")
		if _, err := client(t, dumper, "pg_dump", nil, "-Fc", "-d", srv.Conninfo(origin), "-f", file); err != nil {
			t.Fatal(err)
		}
		src, err := Open(file, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { src.Close() })
		sources[dumper] = src
	}
	want := plainLines(t, srv, 0, origin)
	if n := strings.Count(strings.Join(want, "\n"), "LARGE OBJECT 7"); n < 1100 {
		t.Fatalf("the rights of %d large objects", n)
	}
	for i, v := range []variant{
		{"custom", 14, CompressionGzip}, {"directory", 13, CompressionGzip}, {"pipe", 13, CompressionNone}, {"tarpipe", 14, CompressionNone},
	} {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			restoreAll(t, srv, 0, sources[18], v, want, full, i == 0)
		})
	}
	newest := pgtest.Start(t, pgtest.WithBinDir(filepath.Dir(pgtest.StockClient(t, 18, "postgres"))))
	newest.Exec(t, "postgres", `CREATE ROLE "odd ""LARGE OBJECT 7; role"`)
	reference := newest.CreateDB(t)
	file := filepath.Join(t.TempDir(), "stock.dump")
	if _, err := client(t, 18, "pg_dump", nil, "-Fc", "-d", srv.Conninfo(origin), "-f", file); err != nil {
		t.Fatal(err)
	}
	if _, err := client(t, 18, "pg_restore", nil, "-d", newest.Conninfo(reference), file); err != nil {
		t.Fatal(err)
	}
	wanted := plainLines(t, newest, 18, reference)
	for i, x := range []struct {
		dumper int
		variant
	}{
		{18, variant{"directory", 16, CompressionZstd}},
		{0, variant{"custom", 16, CompressionLZ4}},
		{18, variant{"custom", 15, CompressionZstd}},
		{18, variant{"pipe", 16, CompressionGzip}},
		{0, variant{"directory", 15, CompressionLZ4}},
		{18, variant{"tar", 16, CompressionNone}},
	} {
		t.Run(fmt.Sprintf("18 %d %s", x.dumper, x.variant), func(t *testing.T) {
			t.Parallel()
			restoreAll(t, newest, 18, sources[x.dumper], x.variant, wanted, full, i == 0)
		})
	}
}

// restoreAll restores a rewritten dump whole and over several sessions; full, in several ways, or in all.
func restoreAll(t *testing.T, to *pgtest.Server, target int, src *Dump, v variant, want []string, full, all bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dump")
	if notes := rewrite(t, src, v, path); len(notes) > 0 {
		t.Errorf("notes %q", notes)
	}
	list, err := client(t, target, "pg_restore", nil, "-l", path)
	if err != nil || !strings.Contains(list, "TABLE DATA public parent") {
		t.Errorf("%v: %.300s", err, list)
	}
	listFile := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(listFile, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	ways := map[string][][]string{"whole": {{}}}
	if !strings.HasPrefix(v.format, "tar") {
		ways["parallel"] = [][]string{{"-j", "4"}}
	}
	if v.format != "directory" && full {
		ways["pipe"] = [][]string{{}}
	}
	if all && full {
		ways["one transaction"] = [][]string{{"-1"}}
		ways["list"] = [][]string{{"-L", listFile}}
		ways["apart"] = [][]string{{"-s"}, {"-a", "--disable-triggers"}}
		ways["sections"] = [][]string{{"--section=pre-data"}, {"--section=data"}, {"--section=post-data"}}
	}
	for how, runs := range ways {
		db := to.CreateDB(t)
		for _, args := range runs {
			var stdin io.Reader
			if args = append(slices.Clone(args), "-d", to.Conninfo(db)); how == "pipe" {
				f, err := os.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				stdin = struct{ io.Reader }{f} // which exec copies into a pipe
			} else {
				args = append(args, path)
			}
			if _, err := client(t, target, "pg_restore", stdin, args...); err != nil {
				t.Errorf("%s: %v", how, err)
			}
		}
		if diff := cmp.Diff(want, plainLines(t, to, target, db)); diff != "" {
			t.Errorf("%s: another database: %.1500s", how, diff)
		}
	}
}
