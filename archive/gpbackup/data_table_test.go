package gpbackup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
)

// Tables that share bytes of a segment's file, and a set without a word on its segments that has no rows of any: both gave other rows
// than were there, without an error where numbers of rows are not recorded.
func TestSegmentFiles(t *testing.T) {
	dir := unpack(t, "single-none")
	files, _ := filepath.Glob(filepath.Join(dir, "gpseg0/backups/*/*/*_toc.yaml"))
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	second := strings.Index(string(good), "startbyte: 4") // the first table is at 0
	if second < 0 {
		t.Fatalf("%s", good)
	}
	bad := string(good[:second]) + "startbyte: 3" + string(good[second+len("startbyte: 4"):])
	if err := os.WriteFile(files[0], []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "those before end at") {
		t.Errorf("tables that overlap: %v", err)
	}

	m := &madeSet{version: "1.0.0", config: "dataonly: true\n", tables: []madeTable{{name: "a", columns: "(a)"}}}
	if _, err := Open(m.write(t), Options{}); !errors.Is(err, ErrIncomplete) {
		t.Errorf("no segment at all: %v", err)
	}
	m.tables[0].rows = []string{"1\n", "2\n"}
	s := m.open(t)
	if got, err := rowsOf(s, "a"); got != "1\n2\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if !strings.Contains(strings.Join(s.desc.Warnings, ";"), "by their files there were 2") {
		t.Errorf("warnings %q", s.desc.Warnings)
	}
}

// Rows of a partition that is in another schema than its table were those of a table of the same name there.
func TestMovedPartition(t *testing.T) {
	pre := []madePiece{
		{"SCHEMA", "s", "s", "", "CREATE SCHEMA s;"},
		{"SCHEMA", "s2", "s2", "", "CREATE SCHEMA s2;"},
		{"TABLE", "s", "r", "", "CREATE TABLE s.r (\n\ta integer\n) DISTRIBUTED BY (a) PARTITION BY RANGE(a) (START (0) END (9));"},
		{"TABLE", "s", "r", "", "ALTER TABLE s.r_1_prt_2 SET SCHEMA s2;"},
		{"TABLE", "s2", "r", "", "CREATE TABLE s2.r (\n\ta integer\n) DISTRIBUTED BY (a);"},
	}
	entry := strings.NewReplacer(
		`schema: s, name: "r_1_prt_1", oid: 100, attributestring: "", partitionroot: ""`, `schema: s, name: r_1_prt_1, oid: 100, attributestring: "", partitionroot: r`,
		`schema: s, name: "r_1_prt_2", oid: 101, attributestring: "", partitionroot: ""`, `schema: s2, name: r_1_prt_2, oid: 101, attributestring: "", partitionroot: r`,
		`schema: s, name: "r",`, `schema: s2, name: r,`)
	for _, c := range []struct {
		config string
		pre    []madePiece
		want   []string
	}{
		{"", pre, []string{"s r: 2", "s2 r: 1"}},
		{"dataonly: true\n", nil, []string{"s r_1_prt_1: 1", "s2 r_1_prt_2: 1", "s2 r: 1"}},
	} {
		m := &madeSet{version: "1.30.3", segments: 1, config: c.config, pre: c.pre, tables: []madeTable{
			{"r_1_prt_1", "", "", []string{"1\n"}}, {"r_1_prt_2", "", "", []string{"2\n"}}, {"r", "(a)", "", []string{"3\n"}},
		}}
		dir := m.write(t)
		path := filepath.Join(dir, "gpbackup_"+madeStamp+"_toc.yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(entry.Replace(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir, Options{})
		var got []string
		for _, e := range s.cat.Entries {
			if e.Kind == "TABLE DATA" {
				got = append(got, fmt.Sprintf("%s %s: %d", e.Schema, e.Name, len(s.TableStreams(e.ID))))
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s%s", c.config, d)
		}
	}
}

// A row of a table without columns was one of a NULL, in a set without definitions.
func TestNoColumns(t *testing.T) {
	s := (&madeSet{version: "1.30.3", segments: 1, config: "dataonly: true\n", tables: []madeTable{{"a", "", "", []string{"\n\n"}}}}).open(t)
	if got, err := rowsOf(s, "a"); got != "\n\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// Partitions of Greenplum 7 have definitions of their own, and may have their columns in another order; the table of contents tells their table's
// name without a schema and quotes.
func TestPartitionsOfGreenplum7(t *testing.T) {
	table := func(schema, name, columns, of string) madePiece {
		return madePiece{"TABLE", schema, name, of, fmt.Sprintf("CREATE TABLE %s.%s (\n\t%s\n) DISTRIBUTED RANDOMLY;", schema, name,
			strings.ReplaceAll(columns, ",", " integer,\n\t")+" integer")}
	}
	pre := []madePiece{
		{"SCHEMA", "s", "s", "", "CREATE SCHEMA s;"},
		{"SCHEMA", "s2", "s2", "", "CREATE SCHEMA s2;"},
		table("s", "r", "a,b,c", ""), table("s2", "r", "a,b,c", ""), table("s", `"Big"`, "a,b,c", ""),
		table("s", "q1", "a,b,c", "s.r"), table("s", "q2", "c,b,a", "s.r"), table("s", "p1", "a,b,c", "s2.r"), table("s", "b1", "a,b,c", `s."Big"`),
	}
	m := &madeSet{version: "1.30.3", segments: 1, pre: pre, tables: []madeTable{
		{"q1", "(a,b,c)", "", []string{"1,2,3\n"}},
		{"q2", "(c,b,a)", "", []string{"30,20,10\n"}},
		{"p1", "(a,b,c)", "", []string{"4,5,6\n"}},
		{"b1", "(a,b,c)", "", []string{"7,8,9\n"}},
	}}
	for _, c := range []struct {
		config string
		pre    []madePiece
		want   []string
	}{
		{"", pre, []string{
			`COPY s.r ("a", "b", "c") FROM stdin; q1[a b c] q2[c b a]`, `COPY s2.r ("a", "b", "c") FROM stdin; p1[a b c]`,
			`COPY s."Big" ("a", "b", "c") FROM stdin; b1[a b c]`,
		}},
		// without definitions only the names say something
		{"dataonly: true\n", nil, []string{
			`COPY s.r ("a", "b", "c") FROM stdin; q1[a b c] q2[c b a] p1[a b c]`, `COPY s."Big" ("a", "b", "c") FROM stdin; b1[a b c]`,
		}},
		// a partition that was taken without its table
		{"", []madePiece{pre[0], table("s", "q1", "a,b,c", "s.r"), table("s", "q2", "c,b,a", "s.r"), table("s", "p1", "a,b,c", "s2.r"), table("s", "b1", "a,b,c", `s."Big"`)}, []string{
			`COPY s.q1 ("a", "b", "c") FROM stdin; q1[a b c]`, `COPY s.q2 ("c", "b", "a") FROM stdin; q2[c b a]`,
			`COPY s.p1 ("a", "b", "c") FROM stdin; p1[a b c]`, `COPY s.b1 ("a", "b", "c") FROM stdin; b1[a b c]`,
		}},
	} {
		m.config, m.pre = c.config, c.pre
		dir := m.write(t)
		path := filepath.Join(dir, "gpbackup_"+madeStamp+"_toc.yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for i, line := range lines {
			for name, root := range map[string]string{"q1": "r", "q2": "r", "p1": "r", "b1": "Big"} {
				if strings.Contains(line, `name: "`+name+`", oid`) {
					lines[i] = strings.Replace(line, `partitionroot: ""`, "partitionroot: "+root, 1)
				}
			}
		}
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir, Options{})
		var got []string
		for _, e := range s.cat.Entries {
			if e.Kind != "TABLE DATA" {
				continue
			}
			line := strings.TrimSpace(e.Copy)
			for _, x := range s.TableStreams(e.ID) {
				line += fmt.Sprintf(" %s%v", x.Table, x.Columns)
			}
			got = append(got, line)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q, %d definitions: %s", c.config, len(c.pre), d)
		}
	}
}

// A file with the rows of several tables has one checksum, at its end, which was read only with the file's last table.
func TestChecksumBehindTables(t *testing.T) {
	m := &madeSet{version: "1.30.3", segments: 1, config: "dataonly: true\n", tables: []madeTable{{name: "a", columns: "(a)"}}}
	dir := m.write(t)
	var file bytes.Buffer
	z := gzip.NewWriter(&file)
	if _, err := z.Write([]byte("1\n2\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	put := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, "gpbackup_0_"+madeStamp+name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("_toc.yaml", []byte("dataentries:\n  100: {startbyte: 0, endbyte: 2}\n  200: {startbyte: 2, endbyte: 4}\n"))
	put(".gz", file.Bytes())
	if got, err := rowsOf(open(t, dir, Options{}), "a"); got != "1\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	file.Bytes()[file.Len()-8] ^= 1
	put(".gz", file.Bytes())
	if got, err := rowsOf(open(t, dir, Options{}), "a"); !errors.Is(err, ErrDamaged) {
		t.Errorf("%q, %v", got, err)
	}
}

// In such an encoding the second byte of a character may be a backslash.
func TestEncodingOfRows(t *testing.T) {
	m := &madeSet{
		version: "1.30.3", segments: 1, global: []madePiece{{"SESSION GUCS", "", "", "", "SET client_encoding = 'GBK';"}},
		tables: []madeTable{{"a", "(a)", "", []string{"1\n"}}},
	}
	if _, err := Open(m.write(t), Options{}); !errors.Is(err, ErrEncoding) || !strings.Contains(err.Error(), "GBK") {
		t.Errorf("%v", err)
	}
	m.tables = nil
	m.open(t)
}
