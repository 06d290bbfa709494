package fanout_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/verify"
)

// tarMembers are the members of a tar file by their names; order has the names.
func tarMembers(t *testing.T, b []byte) (members map[string]string, order []string) {
	t.Helper()
	members = make(map[string]string)
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return members, order
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, h.Name)
		members[h.Name] = string(content)
	}
}

// extract writes members to where the server, which is another user, can read them, and gives that directory.
func extract(t *testing.T, members map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgark-tar-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for name, content := range members {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil { //nolint:gosec // for the server
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // likewise
		t.Fatal(err)
	}
	return dir
}

// restore.sql does what it says to a person: with the path filled in, psql makes the same database of the extracted members.
func TestTarScript(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := allKindsAndMore(t, srv)
	want := definitions(t, srv, db)
	const blobs = "SELECT count(*) || ' ' || string_agg(oid || ' ' || md5(lo_get(oid)), ',' ORDER BY oid) FROM pg_largeobject_metadata"
	wantBlobs := srv.QueryString(t, db, blobs)
	for _, major := range stockMajors() {
		sameAsPgDump(t, srv, db, major)
	}
	cluster := discover(t, srv.Conninfo(db))
	a := dumpToMemory(t, fanout.DumpOptions{Cluster: cluster, Jobs: 2})
	var pipe bytes.Buffer
	if _, err := fanout.DumpStock(t.Context(), fanout.StockTarget{Out: &pipe}, fanout.DumpOptions{Cluster: cluster, Jobs: 2}, fanout.StockOptions{Format: fanout.FormatTar}); err != nil {
		t.Fatal(err)
	}
	for how, content := range map[string][]byte{"dumped": pipe.Bytes(), "converted": convertToTar(t, a, "1.16")} {
		members, order := tarMembers(t, content)
		script := members["restore.sql"]
		if order[1] != "restore.sql" || strings.Count(script, "$$PATH$$") < 20 {
			t.Fatalf("%s: the members are %q, the script %.300s", how, order, script)
		}
		dir := extract(t, members)
		file := filepath.Join(dir, "edited.sql")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(script, "$$PATH$$", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
		srv.Exec(t, db, "DROP TABLE wide") // the script drops the database
		srv.Psql(t, "postgres", "-f", file)
		sameLines(t, how, want, definitions(t, srv, db))
		if got := srv.QueryString(t, db, blobs); got != wantBlobs {
			t.Errorf("%s: large objects %s, want %s", how, got, wantBlobs)
		}
		report, err := verify.Database(t.Context(), a, discover(t, srv.Conninfo(db)), verify.Options{Jobs: 2})
		if err != nil || !report.OK || report.Tables < 20 {
			t.Errorf("%s: %v, %+v", how, err, report)
		}
	}
}

// convertToTar writes an archive as a tar archive twice, over one job to a file and over several to a pipe, which gives the same bytes.
func convertToTar(t *testing.T, a *archive.Reader, version string) []byte {
	t.Helper()
	o := fanout.StockOptions{Format: fanout.FormatTar, Jobs: 1, Created: time.Unix(1700000000, 0), Version: version}
	path := filepath.Join(t.TempDir(), "dump.tar")
	writeStockFile(t, path, fanout.FormatTar, func(target fanout.StockTarget) error {
		_, err := fanout.ConvertArchive(t.Context(), a, target, o, nil)
		return err
	})
	once, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	o.Jobs = 3
	if _, err := fanout.ConvertArchive(t.Context(), a, fanout.StockTarget{Out: &again}, o, nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(once, again.Bytes()) {
		t.Errorf("converting twice gives other bytes: %d, then %d", len(once), again.Len())
	}
	return once
}

// sameAsPgDump compares the script with that of a pg_dump, line for line but for empty ones, for \restrict, whose key pg_dump forgets, and for
// large objects: there pg_dump names a file that it does not write. The pg_restore of that version reads the tar archive.
func sameAsPgDump(t *testing.T, srv *pgtest.Server, db string, major int) {
	t.Helper()
	program, err := pgtest.FindClient(srv.BinDir(), "pg_dump")
	if major != 0 {
		program = pgtest.StockClient(t, major, "pg_dump")
	} else if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "stock.tar"), filepath.Join(dir, "copied.tar")
	if out, err := exec.Command(program, "-Ft", "--exclude-table-data=wide", "-f", path, "-d", srv.Conninfo(db)).CombinedOutput(); err != nil {
		t.Fatalf("pg_dump %d: %v\n%s", major, err, out)
	}
	d, err := pgdump.Open(path, pgdump.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	writeStockFile(t, copied, fanout.FormatTar, func(target fanout.StockTarget) error {
		_, err := fanout.ConvertSource(t.Context(), d, target, fanout.StockOptions{Format: fanout.FormatTar, Version: d.Description().Version}, nil)
		return err
	})
	blobs := regexp.MustCompile(`(?m)^(SELECT pg_catalog\.lo_put\(.*\n.*|\\i .*)\n`)
	restrict := regexp.MustCompile(`(?m)^\\(un)?restrict .*\n`)
	scriptOf := func(path string) (script string, lines []string) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		members, _ := tarMembers(t, b)
		script = members["restore.sql"]
		rest := restrict.ReplaceAllString(blobs.ReplaceAllString(script, ""), "")
		return script, strings.Split(regexp.MustCompile(`\n\n+`).ReplaceAllString(rest, "\n"), "\n")
	}
	_, want := scriptOf(path)
	script, got := scriptOf(copied)
	sameLines(t, fmt.Sprint("pg_dump ", major), want, got)
	keys := restrict.FindAllString(script, -1)
	if n := len(blobs.FindAllString(script, -1)); n < 3 || len(keys) < 4 || strings.Contains(keys[0], "null") || strings.TrimPrefix(keys[len(keys)-1], `\un`) != keys[0][1:] {
		t.Errorf("pg_dump %d: %d large objects, %q", major, n, keys)
	}
	if out := stockRestore(t, srv, major, "", "-t", "of no rows", "-f", "-", copied); !strings.Contains(out, `COPY public."of no rows" (a) FROM stdin`) {
		t.Errorf("pg_restore %d -t: %.300s", major, out)
	}
}
