package fanout_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/verify"
)

// stockRestore runs a pg_restore of a version.
func stockRestore(t *testing.T, srv *pgtest.Server, major int, stdin string, args ...string) string {
	t.Helper()
	var program string
	if major == 0 {
		var err error
		if program, err = pgtest.FindClient(srv.BinDir(), "pg_restore"); err != nil {
			t.Skip(err)
		}
	} else {
		program = pgtest.StockClient(t, major, "pg_restore")
	}
	cmd := exec.Command(program, args...)
	if stdin != "" { // through a pipe, in which nobody can seek
		cat := exec.Command("cat", stdin)
		pipe, err := cat.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = pipe
		if err := cat.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { // of a tar archive it does not read the script at the end
			_ = pipe.Close()
			_ = cat.Wait()
		}()
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := pgtest.Output(t, cmd)
	if err != nil && !onlyTimeout(stderr.String()) {
		t.Fatalf("pg_restore %d %s: %v\n%.3000s", major, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// stockMajors are the versions of pg_restore that read every archive version up to 1.14. 0 is the server's own.
func stockMajors() []int { return append([]int{0}, pgtest.StockMajors(14)...) }

// onlyTimeout forgives the one error that later versions have with any older server, in each session: a setting that it does
// not know.
func onlyTimeout(stderr string) bool {
	n := strings.Count(stderr, "ERROR:")
	return n > 0 && strings.Count(stderr, `unrecognized configuration parameter "transaction_timeout"`) == n
}

// restored compares what a stock program has restored with the archive of the database that was dumped: definitions by pg_dump's
// script of them, rows by their digests.
func restored(t *testing.T, srv *pgtest.Server, a *archive.Reader, want []string, how string, load func(db string)) {
	t.Helper()
	db := srv.CreateDB(t)
	load(db)
	sameLines(t, how, want, definitions(t, srv, db))
	report, err := verify.Database(t.Context(), a, discover(t, srv.Conninfo(db)), verify.Options{Jobs: 2})
	if err != nil || !report.OK || report.Tables < 20 {
		t.Errorf("%s: %v, %+v", how, err, report)
	}
}

// definitions is the script of all definitions, its lines sorted: constraints come in another order after a parallel restore.
func definitions(t *testing.T, srv *pgtest.Server, db string) []string {
	t.Helper()
	return sortedCopy(strings.Split(stockScript(t, srv, db, "-s"), "\n"))
}

// sameLines compares scripts, whose difference is looked for only if there is one: it takes long.
func sameLines(t *testing.T, how string, want, got []string) {
	t.Helper()
	if slices.Equal(want, got) {
		return
	}
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			t.Errorf("%s: line %d is\n%.300s\nand should be\n%.300s", how, i, got[i], want[i])
			return
		}
	}
	t.Errorf("%s: %d lines, want %d", how, len(got), len(want))
}

// dumpToMemory gives the archive of a dump.
func dumpToMemory(t *testing.T, o fanout.DumpOptions) *archive.Reader {
	t.Helper()
	var b bytes.Buffer
	if _, err := fanout.Dump(t.Context(), &b, o); err != nil {
		t.Fatal(err)
	}
	a, err := archive.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// sortedCopy sorts lines: rows come in another order after a parallel restore.
func sortedCopy(lines []string) []string {
	lines = slices.Clone(lines)
	slices.Sort(lines)
	return lines
}

// Whatever format, codec and version is written, straight from the database or from an archive, the stock pg_restore of every release
// that is to read it makes the same database of it.
func TestStockRestores(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := allKindsAndMore(t, srv)
	want := definitions(t, srv, db)
	cluster := discover(t, srv.Conninfo(db))
	a := dumpToMemory(t, fanout.DumpOptions{Cluster: cluster, Jobs: 2, Codec: archive.CodecZstd})
	all := stockMajors()
	codecs, newest := pgtest.StockMajors(15), pgtest.StockMajors(16)
	for _, x := range []struct {
		format, version string
		codec           archive.Codec
		clients         []int
		live            bool
	}{
		{fanout.FormatCustom, "", archive.CodecGzip, all, true},
		{fanout.FormatCustom, "1.14", archive.CodecNone, []int{0}, false},
		{fanout.FormatCustom, "1.16", archive.CodecZstd, newest, false},
		{fanout.FormatCustom, "", archive.CodecLZ4, codecs, true},
		{fanout.FormatDirectory, "", archive.CodecGzip, all, false},
		{fanout.FormatDirectory, "1.16", archive.CodecZstd, []int{17}, true},
		{fanout.FormatDirectory, "1.15", archive.CodecLZ4, codecs, false},
		{fanout.FormatTar, "", archive.CodecNone, all, true},
		{fanout.FormatTar, "1.16", archive.CodecNone, newest, false},
	} {
		t.Run(fmt.Sprintf("%s %s %s", x.format, x.version, x.codec), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "dump")
			o := fanout.StockOptions{Format: x.format, Version: x.version, Codec: x.codec, Jobs: 2}
			write := func(target fanout.StockTarget) error {
				var err error
				if x.live {
					_, err = fanout.DumpStock(t.Context(), target, fanout.DumpOptions{Cluster: cluster, Jobs: 2}, o)
				} else {
					_, err = fanout.ConvertArchive(t.Context(), a, target, o, nil)
				}
				return err
			}
			writeStockFile(t, path, x.format, write)
			for _, major := range x.clients {
				restored(t, srv, a, want, fmt.Sprintf("pg_restore %d", major), func(db string) {
					stockRestore(t, srv, major, "", "-d", srv.Conninfo(db), path)
				})
				if x.format != fanout.FormatTar {
					parallel(t, srv, db, major, path)
				}
				if x.format != fanout.FormatDirectory && major == x.clients[0] {
					restored(t, srv, a, want, fmt.Sprintf("pg_restore %d from a pipe", major), func(db string) {
						stockRestore(t, srv, major, path, "-d", srv.Conninfo(db))
					})
				}
			}
			d, err := pgdump.Open(path, pgdump.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if problems, err := d.Structure(t.Context()); err != nil || len(problems) > 0 {
				t.Errorf("%+v, %v", problems, err)
			}
			// And back: the archive that is made of it has the digests of the first one.
			var back bytes.Buffer
			if _, err := fanout.ImportSource(t.Context(), d, &back, fanout.ImportOptions{Jobs: 2}); err != nil {
				t.Fatal(err)
			}
			sameDigests(t, a, back.Bytes())
		})
	}
}

// parallel restores tables over four sessions. Not all: pg_restore -j itself runs into deadlocks with some kinds of objects.
func parallel(t *testing.T, srv *pgtest.Server, db string, major int, path string) {
	t.Helper()
	copied := srv.CreateDB(t)
	stockRestore(t, srv, major, "", "-j", "4", "-n", "public", "-t", "wide", "-t", "no columns", "-t", "of no rows", "-d", srv.Conninfo(copied), path)
	for _, sql := range []string{
		"SELECT count(*), sum(id), sum(hashtext(v)::bigint) FROM wide", `SELECT count(*) FROM "no columns"`, `SELECT count(*) FROM "of no rows"`,
	} {
		if want, got := srv.QueryString(t, db, sql), srv.QueryString(t, copied, sql); want != got {
			t.Errorf("pg_restore %d -j 4: %s: %s, want %s", major, sql, got, want)
		}
	}
}

func writeStockFile(t *testing.T, path, format string, write func(fanout.StockTarget) error) {
	t.Helper()
	if format == fanout.FormatDirectory {
		if err := write(fanout.StockTarget{Dir: path}); err != nil {
			t.Fatal(err)
		}
		return
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := write(fanout.StockTarget{Out: f}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// sameDigests compares two archives table by table.
func sameDigests(t *testing.T, a *archive.Reader, b []byte) {
	t.Helper()
	x, err := archive.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	sum := func(r *archive.Reader) map[string]string {
		all := make(map[string]archive.Digest)
		for _, s := range r.Streams() {
			name := s.Schema + "." + s.Table
			if s.Schema == "" {
				name = "large objects"
			}
			d := all[name]
			d.Merge(s.Digest)
			all[name] = d
		}
		text := make(map[string]string)
		for name, d := range all {
			text[name] = d.String()
		}
		return text
	}
	if diff := cmp.Diff(sum(a), sum(x)); diff != "" {
		t.Errorf("other digests: %s", diff)
	}
}

// Selections, lists and switches of the stock pg_restore work on what pgark writes.
func TestStockRestoreSwitches(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := allKindsAndMore(t, srv)
	path := filepath.Join(t.TempDir(), "dump")
	writeStockFile(t, path, fanout.FormatCustom, func(target fanout.StockTarget) error {
		_, err := fanout.DumpStock(t.Context(), target, fanout.DumpOptions{Cluster: discover(t, srv.Conninfo(db)), Jobs: 2}, fanout.StockOptions{Format: fanout.FormatCustom, Codec: archive.CodecGzip})
		return err
	})
	for _, major := range stockMajors() {
		list := stockRestore(t, srv, major, "", "-l", path)
		if !strings.Contains(list, "TABLE DATA public wide") {
			t.Errorf("pg_restore %d -l: %.500s", major, list)
		}
		file := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(file, []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"-L", file}, {"-t", "wide"}, {"-s"}, {"-a", "-t", "wide"}, {"-n", "public", "-t", "of no rows"}} {
			if out := stockRestore(t, srv, major, "", append(args, "-f", "-", path)...); len(out) < 300 {
				t.Errorf("pg_restore %d %q: %.500s", major, args, out)
			}
		}
		if major > 16 {
			continue // transaction_timeout, which an older server does not know, ends the transaction
		}
		copied := srv.CreateDB(t)
		stockRestore(t, srv, major, "", "-1", "-t", "wide", "-d", srv.Conninfo(copied), path)
		if n := srv.QueryString(t, copied, "SELECT count(*) FROM wide"); n != "20001" {
			t.Errorf("pg_restore %d -1 -t wide: %s rows", major, n)
		}
	}
}

// A large table in several entries is loaded by a stock pg_restore over several sessions, with each row once.
func TestStockIntraTable(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `CREATE TABLE wide AS SELECT g AS id, repeat(md5(g::text), 30) AS v FROM generate_series(1, 30000) g;
CREATE TABLE narrow AS SELECT 1 AS id; ALTER TABLE wide ADD PRIMARY KEY (id); CREATE TABLE refers (id int REFERENCES wide); INSERT INTO refers VALUES (5)`)
	cluster := discover(t, srv.Conninfo(db))
	a := dumpToMemory(t, fanout.DumpOptions{Cluster: cluster, Jobs: 2})
	const sum = "SELECT (SELECT count(*) || ' ' || sum(id) || ' ' || sum(hashtext(v)::bigint) FROM wide), (SELECT count(*) FROM refers)"
	for _, format := range []string{fanout.FormatCustom, fanout.FormatDirectory} {
		for _, live := range []bool{true, false} {
			path := filepath.Join(t.TempDir(), "dump")
			writeStockFile(t, path, format, func(target fanout.StockTarget) error {
				o := fanout.StockOptions{Format: format, Codec: archive.CodecGzip, Parts: 3}
				if live {
					_, err := fanout.DumpStock(t.Context(), target, fanout.DumpOptions{Cluster: cluster, Jobs: 2}, o)
					return err
				}
				_, err := fanout.ConvertArchive(t.Context(), a, target, o, nil)
				return err
			})
			for _, major := range stockMajors() {
				if n := strings.Count(stockRestore(t, srv, major, "", "-l", path), "TABLE DATA public wide"); n != 3 {
					t.Errorf("%s: %d entries, want 3", format, n)
				}
				for _, jobs := range []string{"1", "4"} {
					copied := srv.CreateDB(t)
					stockRestore(t, srv, major, "", "-j", jobs, "-d", srv.Conninfo(copied), path)
					if want, got := srv.QueryString(t, db, sum), srv.QueryString(t, copied, sum); want != got {
						t.Errorf("%s, pg_restore %d -j %s: %s, want %s", format, major, jobs, got, want)
					}
				}
			}
			d, err := pgdump.Open(path, pgdump.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			copied := srv.CreateDB(t)
			r, err := fanout.RestoreSource(t.Context(), d, fanout.RestoreOptions{Target: parseConfig(t, srv.Conninfo(copied)), Jobs: 4})
			if err != nil || !r.OK() || srv.QueryString(t, db, sum) != srv.QueryString(t, copied, sum) {
				t.Errorf("%s: %v, %+v", format, err, r)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
