package gpbackup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
