package gpbackup

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgark/pgark/internal/pgtest"
)

// asCSV and asText write a row as PostgreSQL's COPY does; a nil value is NULL.
func asCSV(row []*string) string {
	fields := make([]string, len(row))
	for i, v := range row {
		switch {
		case v == nil:
		case *v == "" || len(row) == 1 && *v == `\.` || strings.ContainsAny(*v, ",\"\n\r"):
			fields[i] = `"` + strings.ReplaceAll(*v, `"`, `""`) + `"`
		default:
			fields[i] = *v
		}
	}
	return strings.Join(fields, ",") + "\n"
}

func asText(row []*string) string {
	escape := strings.NewReplacer("\\", `\\`, "\b", `\b`, "\f", `\f`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\v", `\v`)
	fields := make([]string, len(row))
	for i, v := range row {
		fields[i] = `\N`
		if v != nil {
			fields[i] = escape.Replace(*v)
		}
	}
	return strings.Join(fields, "\t") + "\n"
}

// Whatever the values and the pieces, CSV becomes the text that COPY would have written.
func TestCSV(t *testing.T) {
	class := newCSVClass()
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(0, 4).Draw(t, "columns")
		value := rapid.Ptr(rapid.StringOf(rapid.SampledFrom([]rune("ab,\"\n\r\t\\.\b\f\vNé'"))), true)
		var in, want string
		rows := rapid.SliceOfN(rapid.SliceOfN(value, columns, columns), 0, 8).Draw(t, "rows")
		for _, row := range rows {
			if columns == 0 {
				in, want = in+"\n", want+"\n"
				continue
			}
			in, want = in+asCSV(row), want+asText(row)
		}
		var got bytes.Buffer
		c := &csvRows{columns: columns, fn: func(text []byte) error { got.Write(text); return nil }}
		for rest := in; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			if err := c.write([]byte(rest[:n]), class); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := c.close(); err != nil || got.String() != want || c.rows != uint64(len(rows)) {
			t.Fatalf("%q gives %q, want %q; %v", in, got.String(), want, err)
		}
	})
}

func TestCSVDamage(t *testing.T) {
	for _, in := range []string{
		"a", "a,b", "a,b,c\n", "a\n", `"a,b` + "\n", `"a"x,b` + "\n", `a"b,c` + "\n", "a\r,b\n", "a,b\nc", "a,b\n\"", ",\n,", "\n",
	} {
		c := &csvRows{columns: 2, fn: func([]byte) error { return nil }}
		err := c.write([]byte(in), newCSVClass())
		if err == nil {
			err = c.close()
		}
		if err == nil {
			t.Errorf("%q is read", in)
		}
	}
}

// A real server's CSV becomes its own text, byte by byte.
func TestCSVOfServer(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `CREATE TABLE t (a text, b bytea, c int[], d float8, e timestamptz, f text);
INSERT INTO t SELECT CASE g % 9 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN E'multi\nline\ttab' WHEN 3 THEN E'back\\slash\\N' WHEN 4 THEN 'comma,"quote"'
  WHEN 5 THEN E'\\.' WHEN 6 THEN 'ünïcödé 漢字' WHEN 7 THEN E'\r\n' ELSE E'\b\f\v\x01' END, decode(md5(g::text), 'hex'), ARRAY[g, NULL], g / 7.0, now(),
  CASE WHEN g % 2 = 0 THEN chr(g % 120 + 1) END FROM generate_series(1, 5000) g;
CREATE TABLE one AS SELECT CASE g % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE E'\\.' END AS v FROM generate_series(1, 9) g`)
	psql, err := pgtest.FindClient(srv.BinDir(), "psql")
	if err != nil {
		t.Skip(err)
	}
	ask := func(sql string) []byte {
		out, err := exec.Command(filepath.Clean(psql), "-XAtqd", srv.Conninfo(db), "-c", sql).Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for table, columns := range map[string]int{"t": 6, "one": 1} {
		want := ask("COPY " + table + " TO STDOUT")
		var got bytes.Buffer
		c := &csvRows{columns: columns, fn: func(text []byte) error { got.Write(text); return nil }}
		if err := c.write(ask("COPY "+table+" TO STDOUT WITH CSV DELIMITER ','"), newCSVClass()); err != nil {
			t.Fatal(err)
		}
		if err := c.close(); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("table %s is not the same: %v", table, err)
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("1,\"a\"\"b\",\\.\n,\"\",x\n"), 3)
	f.Fuzz(func(t *testing.T, in []byte, columns int) {
		n := 0
		c := &csvRows{columns: columns, fn: func(text []byte) error { n += bytes.Count(text, []byte{'\n'}); return nil }}
		if err := c.write(in, newCSVClass()); err == nil && c.close() == nil && uint64(n) != c.rows {
			t.Errorf("%d lines, %d rows", n, c.rows)
		}
	})
}

func FuzzTOC(f *testing.F) {
	f.Add([]byte("predataentries:\n- {schema: a, name: b, objecttype: POLICY, referenceobject: a.b, startbyte: 0, endbyte: 6}\n"), []byte("CREATE"))
	f.Add([]byte("globalentries:\n- schema: \"\"\n  name: a\n  objecttype: ROLE\n  startbyte: 0\n  endbyte: 3\ndataentries: []\n"), []byte("SET x;CREATE TABLE a (b int);ALTER TABLE a OWNER TO c;"))
	f.Fuzz(func(t *testing.T, b, sql []byte) {
		x := &toc{}
		if parseYAML("toc", b, x) != nil {
			return
		}
		_ = (&Set{toc: x, config: config{MetadataOnly: true}}).fill(newCatalogBuilder(string(sql)))
	})
}

func FuzzFileName(f *testing.F) {
	f.Add("gpbackup_0_20261122173412_24854.gz")
	f.Fuzz(func(t *testing.T, s string) {
		if x, ok := parseFileName(s); ok && x.key().String() == "" {
			t.Error(s)
		}
	})
}

func BenchmarkCSV(b *testing.B) {
	in := []byte(strings.Repeat("12345,customer 4711,\"a, b\",2024-01-02 00:00:00+00,,17.5\n", 20000))
	b.SetBytes(int64(len(in)))
	class := newCSVClass()
	for range b.N {
		c := &csvRows{columns: 6, fn: func([]byte) error { return nil }}
		if err := c.write(in, class); err != nil {
			b.Fatal(err)
		}
	}
}
