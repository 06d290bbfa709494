package pgdump

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/internal/pgtest"
)

// plainDB is a database with every kind of object, and large objects besides.
func plainDB(t *testing.T, srv *pgtest.Server) string {
	t.Helper()
	db := srv.CreateDB(t)
	pgtest.AllKinds(t, srv, db)
	srv.Exec(t, db, `SELECT lo_from_bytea(0, convert_to(repeat('0123456789', 5000), 'UTF8')); SELECT lo_create(0);
		CREATE TABLE public."x; Type: VIEW; Schema: y; Owner: z" (a integer);
		CREATE TABLE public."line
-- Name: evil; Type: TABLE; Schema: public; Owner: x
end" (a integer);
		INSERT INTO public."x; Type: VIEW; Schema: y; Owner: z" VALUES (1);`)
	return db
}

func runClient(t *testing.T, srv *pgtest.Server, program string, args ...string) string {
	t.Helper()
	path, err := pgtest.FindClient(srv.BinDir(), program)
	if err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "dump")
	cmd := exec.Command(path, append(args, "-f", file)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return file
}

// Whatever the switches, a script gives the entries, the rows and the large objects that an archive gives which pg_dump wrote
// with the same switches.
func TestPlainOfServer(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := plainDB(t, srv)
	tests := []struct {
		name string
		args []string // of both
		more []string // of the script
		c    comparison
	}{
		{name: "default"},
		{name: "clean", more: []string{"-c", "--if-exists"}},
		{name: "clean without if exists", more: []string{"-c"}},
		{name: "create", more: []string{"-C"}, c: comparison{database: true}},
		{name: "create clean", more: []string{"-C", "-c", "--if-exists"}, c: comparison{database: true}},
		{name: "verbose", more: []string{"-v"}},
		{name: "inserts", args: []string{"--inserts"}},
		{name: "rows per insert", args: []string{"--column-inserts", "--rows-per-insert=5"}},
		{name: "no owner", more: []string{"-O"}, c: comparison{noOwner: true}},
		{name: "no rights", more: []string{"-x"}, c: comparison{noRights: true}},
		{name: "session authorization", more: []string{"--use-set-session-authorization"}},
		{name: "quoted", args: []string{"--quote-all-identifiers"}},
		{name: "no dollar quotes", args: []string{"--disable-dollar-quoting"}},
		{name: "through the root", args: []string{"--load-via-partition-root"}},
		{name: "data only", args: []string{"-a", "--disable-triggers"}},
		{name: "schema only", args: []string{"-s"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"-d", srv.Conninfo(db)}, tt.args...)
			src, err := OpenPlain(runClient(t, srv, "pg_dump", append(args, tt.more...)...))
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			archived, err := Open(runClient(t, srv, "pg_dump", append(args, "-Fc", "-Z0")...), OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer archived.Close()
			s := src.(*Script)
			tt.c.compare(t, s, givenTOC(archived))
			if tt.name == "default" || tt.name == "verbose" || tt.name == "quoted" || tt.name == "through the root" {
				compareDeps(t, s, archived.TOC())
				compareFamilies(t, s, archived.TOC())
			}
			compareContents(t, archived, s)
		})
	}
}

func compareContents(t *testing.T, archived *Dump, s *Script) {
	t.Helper()
	want, got := wholeContents(t, archived), wholeContents(t, s)
	for name, rows := range want {
		if got[name] != rows {
			t.Errorf("%s: %d bytes in the archive, %d in the script", name, len(rows), len(got[name]))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d tables in the archive, %d in the script", len(want), len(got))
	}
}

// wholeContents is what contents gives, whatever pieces large objects come in.
func wholeContents(t *testing.T, src archive.Source) map[string]string {
	t.Helper()
	all, err := contents(t, src)
	if err != nil {
		t.Fatal(err)
	}
	cat, err := src.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, e := range cat.Entries {
		if e.Kind == kindBlobs {
			if err := archive.LargeObjectRows(t.Context(), src, e.ID, func(row []byte) error { b.Write(row); return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	all["large objects"] = b.String()
	return all
}

// pg_restore --verbose writes all dependencies into its scripts, and the script's are those.
func TestPlainOfPgRestore(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := plainDB(t, srv)
	custom := runClient(t, srv, "pg_dump", "-d", srv.Conninfo(db), "-Fc", "-Z0")
	toc := testTOC(t, sampleFile(t, custom))
	for _, args := range [][]string{{"-v"}, {"-v", "-C", "-c"}, {"-1"}, {}} {
		s := openTestScript(t, sampleFile(t, runClient(t, srv, "pg_restore", append(args, custom)...)))
		verbose := len(args) > 0 && args[0] == "-v"
		c := comparison{verbose: verbose, database: len(args) > 1}
		c.compare(t, s, toc)
		compareDeps(t, s, toc)
		if got := len(s.Description().Unproven); got != 3 && !verbose || got != 2 && verbose {
			t.Errorf("%v: %q", args, s.Description().Unproven)
		}
	}
}

func sampleFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// INSERT statements are all there, and each is one: there are as many as the tables have rows, and the server takes them.
func TestPlainInsertsOfServer(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := plainDB(t, srv)
	srv.Exec(t, db, "DELETE FROM kinds.all_types WHERE id = 2") // a float that is -0, which INSERT makes 0
	file := runClient(t, srv, "pg_dump", "-d", srv.Conninfo(db), "--inserts", "-t", "kinds.all_types", "-t", "kinds.indexed",
		"-t", "kinds.all_chars", "-t", "public.x*")
	s := openTestScript(t, sampleFile(t, file))
	cat, err := s.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	for _, e := range cat.Entries {
		if e.Kind != kindTableData {
			continue
		}
		tables++
		table := fmt.Sprintf(`"%s"."%s"`, e.Schema, strings.ReplaceAll(e.Name, `"`, `""`))
		var all bytes.Buffer
		n := 0
		fmt.Fprintf(&all, "BEGIN; SET session_replication_role = replica; CREATE TEMP TABLE kept AS TABLE ONLY %s; DELETE FROM ONLY %[1]s;", table)
		err := s.DataStatements(t.Context(), e.ID, func(sql []byte) error {
			n++
			all.Write(sql)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := srv.QueryString(t, db, "SELECT count(*) FROM ONLY "+table); got != fmt.Sprint(n) || n == 0 {
			t.Errorf("%s: %s rows, %d statements", table, got, n)
		}
		fmt.Fprintf(&all, `SELECT count(*) FROM ((SELECT old_row::text FROM kept old_row EXCEPT ALL SELECT new_row::text FROM ONLY %s new_row)
			UNION ALL (SELECT new_row::text FROM ONLY %[1]s new_row EXCEPT ALL SELECT old_row::text FROM kept old_row)) d; ROLLBACK`, table)
		if got := srv.QueryString(t, db, all.String()); !strings.HasSuffix(strings.TrimRight(got, "\n"), "0") {
			t.Errorf("%s: rows differ: %s", table, got)
		}
	}
	if tables != 4 {
		t.Errorf("%d tables", tables)
	}
}

// A script in another encoding keeps its bytes, also where those of one character look like quotes and backslashes.
func TestPlainEncodingOfServer(t *testing.T) {
	t.Parallel()
	srv := pgtest.Start(t) // other tests leave roles behind whose names not all encodings have
	for _, encoding := range []string{"SJIS", "EUC_JP", "GB18030", "BIG5", "UTF8"} {
		t.Run(encoding, func(t *testing.T) {
			db := srv.CreateDB(t)
			srv.Exec(t, db, `CREATE TABLE "表" ("十" text DEFAULT '能'); INSERT INTO "表" VALUES ('表\十''能;'), (E'ソ\nポ');
				COMMENT ON TABLE "表" IS '表'; CREATE FUNCTION "ポ"() RETURNS text LANGUAGE sql AS $$SELECT '表'$$;`)
			if encoding == "BIG5" {
				srv.Exec(t, db, `DELETE FROM "表" WHERE "十" LIKE 'ソ%'; DROP FUNCTION "ポ"()`)
			}
			for _, args := range [][]string{nil, {"--inserts"}, {"--disable-dollar-quoting"}} {
				args = append(args, "-d", srv.Conninfo(db), "-E", encoding)
				s := openTestScript(t, sampleFile(t, runClient(t, srv, "pg_dump", args...)))
				archived, err := Open(runClient(t, srv, "pg_dump", append(args, "-Fc", "-Z0")...), OpenOptions{})
				if err != nil {
					t.Fatal(err)
				}
				(&comparison{}).compare(t, s, givenTOC(archived))
				compareContents(t, archived, s)
				archived.Close()
				cat, err := s.Catalog()
				if err != nil || cat.Encoding != encoding {
					t.Error(cat.Encoding, err)
				}
			}
		})
	}
}

// Without its comments a script still gives all that it makes, in a valid order.
func TestPlainStrippedOfServer(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := plainDB(t, srv)
	whole := sampleFile(t, runClient(t, srv, "pg_dump", "-d", srv.Conninfo(db)))
	commented := openTestScript(t, whole)
	s := openTestScript(t, stripComments(whole))
	if IsPlain(stripComments(whole)) || len(s.Description().Unproven) != 4 {
		t.Errorf("%q", s.Description().Unproven)
	}
	kinds := func(s *Script) map[string]int {
		n := map[string]int{}
		cat, err := s.Catalog()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range cat.Entries {
			switch e.Kind {
			case "SHELL TYPE":
				e.Kind = "TYPE"
			case "RULE", "VIEW":
				e.Kind = "VIEW or RULE"
			}
			// What follows the first statement of an entry is on its own, and rights are statement by statement.
			if e.Kind != kindStatement && e.Kind != kindACL && e.Kind != "TRIGGER" && e.Kind != "DEFAULT ACL" && !strings.HasPrefix(e.Kind, "BLOB") {
				n[e.Kind]++
			}
		}
		return n
	}
	if d := cmp.Diff(kinds(commented), kinds(s)); d != "" {
		t.Errorf("entries (-commented +stripped):\n%s", d)
	}
	want, got := wholeContents(t, commented), wholeContents(t, s)
	for _, all := range []map[string]string{want, got} {
		for name := range all { // its name has a line that looks like a comment
			if strings.HasPrefix(name, "public.line\n") {
				delete(all, name)
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("rows (-commented +stripped):\n%.2000s", d)
	}
}

// stripComments takes the lines of comment off a script, but not out of rows.
func stripComments(b []byte) []byte {
	var out bytes.Buffer
	rows := false
	for line := range bytes.Lines(b) {
		switch {
		case rows:
			rows = string(line) != "\\.\n"
		case bytes.HasPrefix(line, []byte("COPY ")) && bytes.HasSuffix(line, []byte(" FROM stdin;\n")):
			rows = true
		case bytes.HasPrefix(line, []byte("--")):
			continue
		}
		out.Write(line)
	}
	return out.Bytes()
}
