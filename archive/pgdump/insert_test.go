package pgdump

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

// readInserts gives the COPY text of statements whose table has these columns; a name with = is a generated one.
func readInserts(src io.Reader, columns string, d dialect, padded bool) (string, error) {
	text, err := io.ReadAll(src)
	if err != nil {
		return "", err
	}
	f, _, err := peekInserts(bytes.NewReader(text), d)
	if err != nil {
		return "", err
	}
	if f == nil {
		f = &insertForm{}
	}
	if !f.named {
		f.columns = nil
		for name := range strings.FieldsSeq(columns) {
			f.columns = append(f.columns, tableColumn{name: strings.TrimSuffix(name, "="), text: name, generated: strings.HasSuffix(name, "=")})
		}
	}
	var out bytes.Buffer
	r := newInsertReader(bytes.NewReader(text), f, d, nil, func(text []byte) error { out.Write(text); return nil })
	err = r.all(padded)
	return out.String(), err
}

// What pg_dump writes, in all its forms.
func TestInserts(t *testing.T) {
	for _, tt := range []struct {
		sql, columns string
		d            dialect
		want         string
	}{
		{"\n\n", "a", dialect{std: true}, ""},
		{"INSERT INTO t VALUES (1, 'a');\nINSERT INTO t VALUES (-2.5e-10, NULL);\n\n\n", "a b", dialect{std: true}, "1\ta\n-2.5e-10\t\\N\n"},
		{"INSERT INTO s.t VALUES\n\t(true, B'01'),\n\t(false, B'');\nINSERT INTO s.t VALUES\n\t(NULL, 'NaN');\n\n\n", "a b", dialect{std: true}, "t\t01\nf\t\n\\N\tNaN\n"},
		{"INSERT INTO \"S.x\".\"T\"\"y\" (\"A, b\", c) OVERRIDING SYSTEM VALUE VALUES (1, '') ON CONFLICT DO NOTHING;\n\n\n", "", dialect{std: true}, "1\t\n"},
		{"INSERT INTO t VALUES (DEFAULT, 1, DEFAULT, 2, DEFAULT);\n\n\n", "a= b c= d e=", dialect{std: true}, "1\t2\n"},
		{"INSERT INTO t VALUES (DEFAULT);\n\n\n", "a=", dialect{std: true}, "\n"},
		{"INSERT INTO t DEFAULT VALUES;\nINSERT INTO t DEFAULT VALUES;\n\n\n", "", dialect{std: true}, "\n\n"},
		{"INSERT INTO t VALUES ('''\\''\n\t\r\b\f\v\x01\x7f\\.''');\n\n\n", "a", dialect{std: true}, "'\\\\'\\n\\t\\r\\b\\f\\v\x01\x7f\\\\.'\n"},
		{"INSERT INTO t VALUES ('\\\\n''\\\\');\n\n\n", "a", dialect{}, "\\\\n'\\\\\n"},
		{"INSERT INTO t VALUES (E'\\\\n''\\\\', E'');\n\n\n", "a b", dialect{std: true}, "\\\\n'\\\\\t\n"},
		{"INSERT INTO t VALUES ('\x95\x5c\\\xb1\\');\n\n\n", "a", dialect{std: true, wide: wideSJIS}, "\x95\x5c\\\\\xb1\\\\\n"},
		{"INSERT INTO t VALUES ('\x95\x5c\\\\');\n\n\n", "a", dialect{wide: wideTwo}, "\x95\x5c\\\\\n"},
		{"INSERT INTO t VALUES ('\x81\x30\x81\x30\x81\x5c\\');\n\n\n", "a", dialect{std: true, wide: wideGB18030}, "\x81\x30\x81\x30\x81\x5c\\\\\n"},
	} {
		got, err := readInserts(strings.NewReader(tt.sql), tt.columns, tt.d, true)
		if err != nil || got != tt.want {
			t.Errorf("%q: %q, %v, not %q", tt.sql, got, err, tt.want)
		}
		got, err = readInserts(iotest.OneByteReader(strings.NewReader(strings.TrimRight(tt.sql, "\n"))), tt.columns, tt.d, false)
		if tt.want != "" && (err != nil || got != tt.want) {
			t.Errorf("%q, in a script: %q, %v, not %q", tt.sql, got, err, tt.want)
		}
		for n := range len(tt.sql) {
			if _, err := readInserts(strings.NewReader(tt.sql[:n]), tt.columns, tt.d, true); !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrDamaged) {
				t.Errorf("%q, cut off: %v", tt.sql[:n], err)
			}
		}
	}
}

// What it does not write is an error, whether a server would take it or not.
func TestInsertsRefused(t *testing.T) {
	for sql, where := range map[string]int64{
		"INSERT INTO t VALUES (1);\n":                                         23,
		"INSERT INTO t VALUES (1, 2, 3);\n":                                   26,
		"INSERT INTO t VALUES (1,2);\n":                                       23,
		"INSERT INTO t VALUES  (1, 2);\n":                                     20,
		"INSERT INTO t VALUES (1, 2)\n;\n":                                    27,
		"INSERT INTO t VALUES (1, 2) ;\n":                                     27,
		"INSERT INTO t VALUES (1, 2), (3, 4);\n":                              27,
		"INSERT INTO t VALUES\n\t(1, 2)\n;\n":                                 28,
		"INSERT INTO t VALUES\n\t(1, 2),\n(3, 4);\n":                          28,
		"INSERT INTO t VALUES (1, 2);\nINSERT INTO u VALUES (1, 2);\n":        29,
		"INSERT INTO t VALUES (1, 2);\nINSERT INTO t (a, b) VALUES (1, 2);\n": 29,
		"INSERT INTO t VALUES (1, 2); INSERT INTO t VALUES (1, 2);\n":         28,
		"INSERT INTO t VALUES (1, 2);\n\nINSERT INTO t VALUES (1, 2);\n":      30,
		"INSERT INTO t VALUES (1, 2); -- \n":                                  28,
		"INSERT INTO t VALUES (DEFAULT, 2);\n":                                29,
		"INSERT INTO t VALUES (.5, 2);\n":                                     22,
		"INSERT INTO t VALUES (1., 2);\n":                                     24,
		"INSERT INTO t VALUES (1e, 2);\n":                                     24,
		"INSERT INTO t VALUES (1 + 1, 2);\n":                                  23,
		"INSERT INTO t VALUES (+1, 2);\n":                                     22,
		"INSERT INTO t VALUES (null, 2);\n":                                   22,
		"INSERT INTO t VALUES (TRUE, 2);\n":                                   22,
		"INSERT INTO t VALUES (truth, 2);\n":                                  22,
		"INSERT INTO t VALUES (trueish, 2);\n":                                26,
		"INSERT INTO t VALUES (now(), 2);\n":                                  22,
		"INSERT INTO t VALUES ($$x$$, 2);\n":                                  22,
		"INSERT INTO t VALUES (B'012', 2);\n":                                 26,
		"INSERT INTO t VALUES (b'01', 2);\n":                                  22,
		"INSERT INTO t VALUES (X'01', 2);\n":                                  22,
		"INSERT INTO t VALUES (U&'x', 2);\n":                                  22,
		"INSERT INTO t VALUES (E'\\n', 2);\n":                                 25,
		"INSERT INTO t VALUES ('a'::text, 2);\n":                              25,
		"INSERT INTO t VALUES ('a'\n'b', 2);\n":                               25,
		"INSERT INTO t VALUES ('a\x00', 2);\n":                                24,
		"INSERT INTO t VALUES (1, 2) ON CONFLICT DO UPDATE SET a = 1;\n":      27,
		"INSERT INTO t VALUES (1, 2) RETURNING a;\n":                          27,
		"INSERT INTO t VALUES (1, 2);\nDELETE FROM t;\n":                      29,
		"insert into t values (1, 2);\n":                                      -1,
		"INSERT INTO t SELECT 1, 2;\n":                                        -1,
		"INSERT INTO t OVERRIDING USER VALUE VALUES (1, 2);\n":                -1,
		"INSERT INTO t (a,b) VALUES (1, 2);\n":                                -1,
		"INSERT INTO t AS x VALUES (1, 2);\n":                                 -1,
		"INSERT INTO a.b.c VALUES (1, 2);\n":                                  -1,
		"INSERT INTO t (a, b) DEFAULT VALUES;\n":                              -1,
		"WITH x AS (SELECT 1) INSERT INTO t VALUES (1, 2);\n":                 -1,
		"1\t2\n\\.\n":                          -1,
		"/* */ INSERT INTO t VALUES (1, 2);\n": -1,
		"INSERT INTO t VALUES (1, 2);\nINSERT INTO t DEFAULT VALUES;\n":                29,
		"INSERT INTO t VALUES (1, 2) ON CONFLICT DO NOTHING ON CONFLICT DO NOTHING;\n": 50,
	} {
		_, err := readInserts(strings.NewReader(sql+"\n\n"), "a b", dialect{std: true}, true)
		var at *insertError
		if !errors.Is(err, ErrDamaged) || errors.As(err, &at) != (where >= 0) || where >= 0 && at.offset != where {
			t.Errorf("%q: %v", sql, err)
		}
	}
	for _, sql := range []string{"INSERT INTO t VALUES ('\\n');", "INSERT INTO t VALUES ('\\'');"} {
		if _, err := readInserts(strings.NewReader(sql+"\n\n\n"), "a", dialect{}, true); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q, with escapes: %v", sql, err)
		}
	}
	if _, err := readInserts(strings.NewReader("INSERT INTO t VALUES ('\x95'', '');\n\n\n"), "a b", dialect{std: true, wide: wideSJIS}, true); !errors.Is(err, ErrDamaged) {
		t.Errorf("half a character: %v", err)
	}
}

// One value may be of any size, and takes no memory for it. Errors of the source, of the caller and of the context come as they are.
func TestInsertsStream(t *testing.T) {
	const size = 100 << 20
	statement := func() io.Reader {
		return io.MultiReader(strings.NewReader("INSERT INTO t VALUES ('"), io.LimitReader(&endless{text: "0123456789 \\ ''"}, size), strings.NewReader("');\n\n\n"))
	}
	f := &insertForm{head: "INSERT INTO t VALUES", columns: []tableColumn{{name: "a"}}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var n int64
	err := newInsertReader(statement(), f, dialect{std: true}, nil, func(text []byte) error {
		if n += int64(len(text)); len(text) > rowsChunk {
			t.Fatalf("a piece of %d bytes", len(text))
		}
		return nil
	}).all(true)
	runtime.ReadMemStats(&after)
	if err != nil || n != size/15*15+1+size%15 { // a backslash more for two quotes less
		t.Errorf("%d bytes: %v", n, err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("%d KiB allocated in all", got>>10)
	}
	mine := errors.New("mine")
	if err := newInsertReader(statement(), f, dialect{std: true}, nil, func([]byte) error { return mine }).all(true); err != mine { //nolint:errorlint // as it is
		t.Error(err)
	}
	if err := newInsertReader(io.MultiReader(io.LimitReader(statement(), 1000), iotest.ErrReader(mine)), f, dialect{std: true}, nil, nil).all(true); err != mine { //nolint:errorlint // as it is
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := newInsertReader(statement(), f, dialect{std: true}, ended(ctx), func([]byte) error { cancel(); return nil }).all(true); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// endless is a text over and over.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.text[(e.at+i)%len(e.text)]
	}
	e.at += len(p)
	return len(p), nil
}

// The columns of tables come from definitions, where these are certain.
func TestTableColumns(t *testing.T) {
	const base = "CREATE TABLE s.base (\n    a integer NOT NULL,\n    g integer GENERATED ALWAYS AS ((a + 1)) STORED,\n    \"B b\" text\n);\n\n\n"
	for _, tt := range []struct{ name, ddl, want, why string }{
		{"t", "CREATE TABLE s.t (\n    a integer DEFAULT 1 NOT NULL,\n    b numeric(10,2)[] DEFAULT ARRAY[1, 2],\n    CONSTRAINT c CHECK ((a = ANY (ARRAY[1, 2]))),\n    \"check\" text COLLATE \"C\" DEFAULT 'x, )'::text\n)\nPARTITION BY RANGE (a, b);\n\n\n", "a b \"check\"", ""},
		{"t", "CREATE UNLOGGED TABLE t (\n    a integer\n)\nWITH (fillfactor='70', autovacuum_enabled='true');\n\n\nALTER TABLE ONLY t ALTER COLUMN a SET STATISTICS 5;\n", "a", ""},
		{"t", "CREATE FOREIGN TABLE s.t (\n    a integer OPTIONS (\n    x 'y, z)'\n    ) NOT NULL,\n    b text\n)\nSERVER s\nOPTIONS (\n    z 'inherits (x)'\n);\n", "a b", ""},
		{"t", "CREATE TABLE s.t (\n);\n", "", ""},
		{"t", "CREATE TABLE s.t (\n    a integer,\n    b integer GENERATED ALWAYS AS ((a * 2)),\n    CONSTRAINT n NOT NULL a,\n    NOT NULL b\n);\n", "a b=", ""},
		{"t", "CREATE TABLE s.t (\n    a integer,\n    c text\n) DISTRIBUTED BY (a) PARTITION BY RANGE(a) (START (1) END (5) EVERY (1) WITH (tablename='x', appendonly='false'));\n", "a c", ""},
		{"T \"x", "CREATE TABLE s.\"T \"\"x\" (\n    \"A\" integer\n);\n", `"A"`, ""},
		{"t", "CREATE TABLE s.t OF s.pair (\n    n WITH OPTIONS NOT NULL\n);\n", "n t", ""},
		{"t", "CREATE TABLE s.t OF s.nosuch;\n", "", "the type that it is of, is not in the dump"},
		{"t", "CREATE TABLE s.t (\n)\nINHERITS (s.base);\n", "a g= \"B b\"", ""},
		{"t", "CREATE TABLE t (\n)\nINHERITS (base);\n", "a g= \"B b\"", ""},
		{"t", "CREATE TABLE s.t (\n    \"B b\" text,\n    a integer,\n    own integer,\n    g integer\n)\nINHERITS (s.base);\n", "\"B b\" a own g=", ""},
		{"t", "CREATE TABLE s.t (\n    own integer\n)\nINHERITS (s.base);\n", "", "in which order columns stand"},
		{"t", "CREATE TABLE s.t (\n    a integer\n)\nINHERITS (s.base);\n", "", "in which order columns stand"},
		{"t", "CREATE TABLE s.t (\n)\nINHERITS (s.base, s.base);\n", "", "in which order columns stand"},
		{"t", "CREATE TABLE s.t (\n)\nINHERITS (s.nosuch);\n", "", "which it inherits, are not known: its definition is not in the dump"},
		{"t", "CREATE TABLE s.t (\n)\nINHERITS (s.t);\n", "", "inherits from itself"},
		{"t", "CREATE TABLE s.t PARTITION OF s.base\nFOR VALUES IN (1);\n", "", "PARTITION OF"},
		{"t", "CREATE TABLE s.t (\n    a integer,\n    LIKE s.base\n);\n", "", "LIKE"},
		{"t", "CREATE TABLE s.t (\n    a integer\n);\nALTER TABLE ONLY s.t ADD COLUMN b text;\n", "", "change its columns"},
		{"t", "CREATE TABLE s.other (\n    a integer\n);\n", "", "not as pg_dump writes it"},
		{"t", "CREATE TABLE s.t AS SELECT 1;\n", "", "not as pg_dump writes it"},
		{"t", "CREATE TABLE s.t (\n    a integer", "", "has no end"},
		{"twice", "", "", "several definitions"},
		{"nosuch", "", "", "its definition is not in the dump"},
		{"altered", "", "", "alters the table"},
	} {
		cat := &archive.Catalog{Entries: []archive.Entry{
			{ID: 1, Kind: "TABLE", Schema: "s", Name: "base", DDL: base},
			{ID: 2, Kind: "TYPE", Schema: "s", Name: "pair", DDL: "CREATE TYPE s.pair AS (\n\tn integer,\n\tt text\n);\n"},
			{ID: 3, Kind: "TABLE", Schema: "s", Name: "twice", DDL: "CREATE TABLE s.twice (\n);\n"},
			{ID: 4, Kind: "TABLE", Schema: "s", Name: "twice", DDL: "CREATE TABLE s.twice (\n);\n"},
			{ID: 5, Kind: "TABLE", Schema: "s", Name: "altered", DDL: "CREATE TABLE s.altered (\n);\n"},
			{ID: 6, Kind: kindStatement, DDL: "ALTER TABLE s.altered ADD x int;\n"},
		}}
		if tt.ddl != "" {
			cat.Entries = append(cat.Entries, archive.Entry{ID: 7, Kind: "TABLE", Schema: "s", Name: tt.name, DDL: tt.ddl})
		}
		columns, err := newColumnFinder(cat, dialect{std: true}).of("s", tt.name)
		var got []string
		for _, c := range columns {
			if c.generated {
				c.text += "="
			}
			got = append(got, c.text)
		}
		if (err == nil) != (tt.why == "") || err != nil && !strings.Contains(err.Error(), tt.why) || strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, %v", tt.ddl, got, err)
		}
	}
}

// Rows that went through the root of a partitioned table have the order of their partition.
func TestTableColumnsOfRoot(t *testing.T) {
	cat := &archive.Catalog{Entries: []archive.Entry{
		{ID: 1, Kind: "TABLE", Schema: "s", Name: "root", DDL: "CREATE TABLE s.root (\n    a integer\n)\nPARTITION BY LIST (a);\n"},
	}}
	if _, err := newColumnFinder(cat, dialect{std: true}).of("s", "root"); err != nil {
		t.Error(err) // Greenplum's, whose rows are its own
	}
	cat.Entries = append(cat.Entries, archive.Entry{ID: 2, Kind: "TABLE ATTACH", Schema: "s", Name: "p"})
	if _, err := newColumnFinder(cat, dialect{std: true}).of("s", "root"); err == nil || !strings.Contains(err.Error(), "partitions") {
		t.Error(err)
	}
}

// A dump that is cut off anywhere within its rows gives an error, whatever the format, and never fewer rows.
func TestInsertsTruncated(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/inserts-*")
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		open := func(b []byte) (archive.Source, error) {
			if strings.HasSuffix(file, ".sql") {
				return readScript(t.Context(), bytes.NewReader(b), int64(len(b)))
			}
			return openFile(bytes.NewReader(b), int64(len(b)), func() error { return nil })
		}
		whole, err := open(b)
		if err != nil {
			t.Fatal(err)
		}
		want, err := contents(t, whole)
		if err != nil || len(want) < 3 {
			t.Fatal(want, err)
		}
		end := len(bytes.TrimRight(b, "\x00\n"))
		for n := range end {
			src, err := open(b[:n])
			if err != nil {
				continue
			}
			got, err := contents(t, src)
			cat, _ := src.Catalog()
			for i := range cat.Entries {
				err = errors.Join(err, src.(archive.RowRefuser).Refused(cat.Entries[i].ID))
			}
			if err == nil && cmp.Diff(want, got) != "" {
				t.Fatalf("%s cut to %d of %d bytes: fewer rows, and no error", file, n, len(b))
			}
		}
	}
}

// FuzzInserts reads any bytes as statements: never a panic, the same however the bytes arrive, and not without their end.
func FuzzInserts(f *testing.F) {
	f.Add("INSERT INTO t VALUES (1, 'a''b\\\n', NULL);\n\n\n", true, byte(0))
	f.Add("INSERT INTO t (a, b, c) OVERRIDING SYSTEM VALUE VALUES\n\t(true, B'01', -1.5e+10),\n\t(false, E'\\\\', '') ON CONFLICT DO NOTHING;\n\n\n", false, byte(2))
	f.Add("INSERT INTO t DEFAULT VALUES;\nINSERT INTO t DEFAULT VALUES;\n\n\n", true, byte(3))
	f.Fuzz(func(t *testing.T, sql string, std bool, wide byte) {
		d := dialect{std: std, wide: wideEncoding(wide % 4)}
		got, err := readInserts(strings.NewReader(sql), "a b= c", d, true)
		form, _, formErr := peekInserts(strings.NewReader(sql), d)
		if formErr == nil && form != nil && form.named {
			var out bytes.Buffer
			r := newInsertReader(iotest.OneByteReader(strings.NewReader(sql)), form, d, nil, func(text []byte) error { out.Write(text); return nil })
			if slow := r.all(true); (slow == nil) != (err == nil) || err == nil && out.String() != got {
				t.Fatalf("%q, %v, and byte by byte %q, %v", got, err, out.String(), slow)
			}
		}
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrTruncated) {
				t.Fatal(err)
			}
			return
		}
		for n := range min(len(sql), 100) {
			if _, err := readInserts(strings.NewReader(sql[:n]), "a b= c", d, true); err == nil {
				t.Fatalf("%q is whole, too", sql[:n])
			}
		}
	})
}

// Scripts of pg_dumps before 2018 name tables by the search path, and some have lost their comments.
func TestInsertsOfScripts(t *testing.T) {
	s := openTestScript(t, []byte(`--
-- PostgreSQL database dump
--

SET client_encoding = 'LATIN1';
SET standard_conforming_strings = off;
SET search_path = "S s", pg_catalog;

--
-- Name: t; Type: TABLE; Schema: S s; Owner: o
--

CREATE TABLE t (
    a integer,
    b text
);


--
-- Data for Name: t; Type: TABLE DATA; Schema: S s; Owner: o
--

INSERT INTO t VALUES (1, 'x\\y''');
INSERT INTO t VALUES (2, NULL);


--
-- PostgreSQL database dump complete
--

`))
	got, err := contents(t, s)
	if d := cmp.Diff(map[string]string{"S s.t(a,b)": "1\tx\\\\y'\n2\t\\N\n"}, got); d != "" || err != nil {
		t.Error(d, err)
	}
	cat, err := s.Catalog()
	if err != nil || cat.Entries[len(cat.Entries)-1].Copy != "COPY t (a, b) FROM stdin;\n" {
		t.Errorf("%+v, %v", cat, err)
	}
	whole := sampleFile(t, "testdata/inserts-pg18.sql")
	want, err := contents(t, openTestScript(t, whole))
	if err != nil {
		t.Fatal(err)
	}
	delete(want, "s.empty(a)") // nothing tells of rows that are none
	got, err = contents(t, openTestScript(t, stripComments(whole)))
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
	// A file that changes after it was opened.
	b := append([]byte(nil), whole...)
	r := &shrinking{b: b}
	s, err = readScript(t.Context(), r, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	r.b = b[:bytes.Index(b, []byte("INSERT INTO s.t VALUES (2"))]
	if _, err := contents(t, s); !errors.Is(err, ErrTruncated) {
		t.Errorf("a file that has become shorter: %v", err)
	}
}

// shrinking is a file that may be cut.
type shrinking struct{ b []byte }

func (s *shrinking) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(s.b).ReadAt(p, at)
}
