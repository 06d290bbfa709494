package fanout

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/internal/pgtest"
)

// TestScriptStatistics: pg_restore 18 has words of its own above statistics.
func TestScriptStatistics(t *testing.T) {
	d := openStockDump(t, "../archive/pgdump/testdata/pg18-custom-gzip-statistics.dump")
	var b bytes.Buffer
	check(t, WriteScriptFrom(t.Context(), d, &b, ScriptOptions{PlanOptions: PlanOptions{Sections: []string{"post-data"}}}))
	of := strings.Count(b.String(), "; Type: STATISTICS DATA;")
	if got := strings.Count(b.String(), "-- Statistics for Name: "); got == 0 || got != of {
		t.Errorf("%d of %d statistics are called so", got, of)
	}
}

// stockDump is an uncompressed custom-format dump as a source, so that scripts can be compared with pg_restore's.
type stockDump struct {
	file    string
	content []byte
	toc     *pgdump.TOC
}

func openStockDump(tb testing.TB, file string) *stockDump {
	tb.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	toc, err := pgdump.ReadTOC(bytes.NewReader(content))
	if err != nil {
		tb.Fatal(err)
	}
	return &stockDump{file: file, content: content, toc: toc}
}

func (d *stockDump) Catalog() (*archive.Catalog, error) { return d.toc.Catalog(), nil }

// block gives a reader that stands after the head of an entry's data.
func (d *stockDump) block(id int32) (*bufio.Reader, error) {
	for _, e := range d.toc.Entries {
		if e.ID == id && e.DataState == pgdump.OffsetSet {
			r := bufio.NewReader(bytes.NewReader(d.content[e.Offset+1:]))
			if got := stockInt(r); got != int(id) {
				return nil, fmt.Errorf("data of entry %d, not %d", got, id)
			}
			return r, nil
		}
	}
	return nil, errors.New("no data")
}

func stockInt(r *bufio.Reader) int {
	var b [5]byte
	for i := range b {
		b[i], _ = r.ReadByte()
	}
	v := int(binary.LittleEndian.Uint32(b[1:]))
	if b[0] == 1 {
		return -v // an OID from 2^31 on is written as a negative number
	}
	return v
}

func stockChunks(r *bufio.Reader, fn func([]byte) error) error {
	for {
		n := stockInt(r)
		if n == 0 {
			return nil
		}
		b := make([]byte, n)
		for i := range b {
			b[i], _ = r.ReadByte()
		}
		if err := fn(b); err != nil {
			return err
		}
	}
}

func (d *stockDump) Rows(_ context.Context, id int32, fn func([]byte) error) error {
	r, err := d.block(id)
	if err != nil {
		return err
	}
	var all []byte
	if err := stockChunks(r, func(b []byte) error { all = append(all, b...); return nil }); err != nil {
		return err
	}
	rows, ok := bytes.CutSuffix(all, []byte("\\.\n\n\n"))
	if !ok {
		return errors.New("rows without their end")
	}
	return fn(rows)
}

func (d *stockDump) LargeObjects(_ context.Context, id int32, fn func(uint32, int64, []byte) error) error {
	r, err := d.block(id)
	if err != nil {
		return err
	}
	for {
		oid := stockInt(r)
		if oid == 0 {
			return nil
		}
		var at int64
		if err := fn(uint32(int32(oid)), 0, nil); err != nil {
			return err
		}
		err := stockChunks(r, func(b []byte) error {
			at += int64(len(b))
			return fn(uint32(int32(oid)), at-int64(len(b)), b)
		})
		if err != nil {
			return err
		}
	}
}

const testRestrictKey = "pgarktest"

// pgRestore runs the stock program.
func pgRestore(tb testing.TB, srv *pgtest.Server, args ...string) string {
	tb.Helper()
	program, err := pgtest.FindClient(srv.BinDir(), "pg_restore")
	if err != nil {
		tb.Skip(err)
	}
	var stderr strings.Builder
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.Stderr = &stderr
	out, err := pgtest.Output(tb, cmd)
	if err != nil && strings.Contains(stderr.String(), "unrecognized option '--restrict-key") {
		tb.Skipf("%s is older than --restrict-key, without which its scripts are not the same twice", program)
	}
	if err != nil {
		tb.Fatalf("pg_restore %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// dumpAllKinds makes a stock dump of a database with every kind of object, and large objects besides.
func dumpAllKinds(tb testing.TB, srv *pgtest.Server) *stockDump {
	tb.Helper()
	db := srv.CreateDB(tb)
	pgtest.AllKinds(tb, srv, db)
	srv.Exec(tb, db, `SELECT lo_from_bytea(0, convert_to(repeat('0123456789', 5000), 'UTF8'));
		SELECT lo_create(0);
		ALTER DATABASE `+db+` SET work_mem = '5MB'; COMMENT ON DATABASE `+db+` IS 'it''s';
		GRANT TEMPORARY ON DATABASE `+db+` TO pg_monitor;`)
	return stockDumpOf(tb, srv, db)
}

func stockDumpOf(tb testing.TB, srv *pgtest.Server, db string) *stockDump {
	tb.Helper()
	program, err := pgtest.FindClient(srv.BinDir(), "pg_dump")
	if err != nil {
		tb.Skip(err)
	}
	file := filepath.Join(tb.TempDir(), "stock.dump")
	out, err := exec.Command(program, "-Fc", "-Z0", "-f", file, "-d", srv.Conninfo(db)).CombinedOutput()
	if err != nil {
		tb.Fatalf("pg_dump: %v\n%s", err, out)
	}
	return openStockDump(tb, file)
}

// Whatever the switches, the script is the text that pg_restore writes.
func TestScriptIsPgRestores(t *testing.T) {
	srv := pgtest.Shared(t)
	d := dumpAllKinds(t, srv)
	pick := func(kind string, n int) []string { return namesOf(d, kind, n) }
	list := filepath.Join(t.TempDir(), "list")
	ids := writeReversedList(t, list, d)

	type options = ScriptOptions
	tests := []struct {
		name string
		args []string
		o    options
	}{
		{"all", nil, options{}},
		{"schema only", []string{"-s"}, options{PlanOptions: PlanOptions{SchemaOnly: true}}},
		{"data only", []string{"-a"}, options{PlanOptions: PlanOptions{DataOnly: true}}},
		{"clean", []string{"-c"}, options{PlanOptions: PlanOptions{Clean: true}}},
		{"clean if exists", []string{"-c", "--if-exists"}, options{PlanOptions: PlanOptions{Clean: true, IfExists: true}}},
		{"create", []string{"-C"}, options{PlanOptions: PlanOptions{Create: true}}},
		{"create clean", []string{"-C", "-c"}, options{PlanOptions: PlanOptions{Create: true, Clean: true}}},
		{
			"create clean if exists",
			[]string{"-C", "-c", "--if-exists"},
			options{PlanOptions: PlanOptions{Create: true, Clean: true, IfExists: true}},
		},
		{"no owner", []string{"-O"}, options{PlanOptions: PlanOptions{NoOwner: true}}},
		{"no rights", []string{"-x"}, options{PlanOptions: PlanOptions{NoACL: true}}},
		{"no comments", []string{"--no-comments"}, options{PlanOptions: PlanOptions{NoComments: true}}},
		{"pre-data", []string{"--section=pre-data"}, options{PlanOptions: PlanOptions{Sections: []string{"pre-data"}}}},
		{"data", []string{"--section=data"}, options{PlanOptions: PlanOptions{Sections: []string{"data"}}}},
		{"post-data", []string{"--section=post-data"}, options{PlanOptions: PlanOptions{Sections: []string{"post-data"}}}},
		{
			"two sections",
			[]string{"--section=pre-data", "--section=data", "-s"},
			options{PlanOptions: PlanOptions{Sections: []string{"pre-data", "data"}, SchemaOnly: true}},
		},
		{"one transaction", []string{"-1"}, options{SingleTransaction: true}},
		selected("schemas", "-n", pick("SCHEMA", 2), func(s *Selection, v []string) { s.Schemas = v }),
		selected("without schemas", "-N", append(pick("SCHEMA", 1), "public"), func(s *Selection, v []string) { s.ExcludeSchemas = v }),
		selected("tables", "-t", append(pick("TABLE", 12), pick("VIEW", 3)...), func(s *Selection, v []string) { s.Tables = v }),
		selected("indexes", "-I", pick("INDEX", 4), func(s *Selection, v []string) { s.Indexes = v }),
		selected("triggers", "-T", pick("TRIGGER", 2), func(s *Selection, v []string) { s.Triggers = v }),
		selected("functions", "-P", append(pick("FUNCTION", 4), pick("AGGREGATE", 1)...), func(s *Selection, v []string) { s.Functions = v }),
		{"list", []string{"-L", list}, options{PlanOptions: PlanOptions{Select: Selection{List: ids}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := pgRestore(t, srv, append(tt.args, "--restrict-key="+testRestrictKey, "-f", "-", d.file)...)
			var got bytes.Buffer
			tt.o.RestrictKey = testRestrictKey
			if err := WriteScriptFrom(t.Context(), d, &got, tt.o); err != nil {
				t.Fatal(err)
			}
			compareText(t, want, got.String())
		})
	}
}

func selected(name, flag string, names []string, set func(*Selection, []string)) struct {
	name string
	args []string
	o    ScriptOptions
} {
	tt := struct {
		name string
		args []string
		o    ScriptOptions
	}{name: name}
	for _, n := range names {
		tt.args = append(tt.args, flag, n)
	}
	set(&tt.o.Select, names)
	return tt
}

// namesOf gives names of objects of a kind, spread over the catalog.
func namesOf(d *stockDump, kind string, n int) []string {
	var all []string
	for _, e := range d.toc.Entries {
		if e.Kind == kind {
			all = append(all, e.Name)
		}
	}
	step := max(len(all)/n, 1)
	var some []string
	for i := 0; i < len(all) && len(some) < n; i += step {
		some = append(some, all[i])
	}
	return some
}

// writeReversedList writes a list of every other entry, tables last to first.
func writeReversedList(tb testing.TB, file string, d *stockDump) []int32 {
	tb.Helper()
	var b strings.Builder
	b.WriteString(";\n; a comment\n\n")
	for i := len(d.toc.Entries) - 1; i >= 0; i -= 2 {
		b.WriteString(listLine(&d.toc.Entries[i].Entry) + "\n")
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		tb.Fatal(err)
	}
	ids, err := ParseList(strings.NewReader(b.String()))
	if err != nil {
		tb.Fatal(err)
	}
	return ids
}

// compareText shows where two texts part, not all of both.
func compareText(tb testing.TB, want, got string) {
	tb.Helper()
	if want == got {
		return
	}
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	at := 0
	for at < len(w) && at < len(g) && w[at] == g[at] {
		at++
	}
	from := max(at-4, 0)
	tb.Errorf("line %d differs (-pg_restore +pgark):\n%s", at+1,
		cmp.Diff(w[from:min(at+8, len(w))], g[from:min(at+8, len(g))]))
}

// The list is pg_restore's, down to the header.
func TestListIsPgRestores(t *testing.T) {
	srv := pgtest.Shared(t)
	d := dumpAllKinds(t, srv)
	want := pgRestore(t, srv, "-l", d.file)
	var got bytes.Buffer
	cat, err := d.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	compression := "0"
	if cat.TOCVersion >= "1.15" { // from there on it has a name
		compression = "none"
	}
	err = ListTOC(&got, cat, ListOptions{
		Created: d.toc.Header.Created.In(time.UTC), Compression: compression, Format: "CUSTOM",
	})
	if err != nil {
		t.Fatal(err)
	}
	compareText(t, want, got.String())
	ids, err := ParseList(&got)
	if err != nil || len(ids) == 0 {
		t.Errorf("%d entries, %v", len(ids), err)
	}
}
