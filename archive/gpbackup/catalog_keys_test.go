package gpbackup

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
)

// Each foreign key depended on all keys and all rows: ten thousand of them took minutes, and gigabytes.
func TestForeignKeys(t *testing.T) {
	const n = 10_000
	m := &madeSet{version: "1.30.3", segments: 1}
	var post []madePiece
	for i := range n {
		name := fmt.Sprintf("t%d", i)
		to := fmt.Sprintf("t%d", (i+1)%n)
		m.pre = append(m.pre, madePiece{"TABLE", "s", name, "", "CREATE TABLE s." + name + " (\n\ta integer,\n\tb integer\n) DISTRIBUTED BY (a);"})
		m.post = append(m.post, madePiece{
			"CONSTRAINT", "s", name + "_fk", "s." + name,
			"ALTER TABLE ONLY s." + name + " ADD CONSTRAINT " + name + "_fk FOREIGN KEY (b, a) REFERENCES s." + to + "(b, a);",
		})
		text := "ALTER TABLE ONLY s." + name + " ADD CONSTRAINT k PRIMARY KEY (a, b);"
		of := "CONSTRAINT"
		if i%2 == 1 { // which comes after the keys that refer to it
			of, text = "INDEX", "CREATE UNIQUE INDEX k"+name+" ON s."+name+" USING btree (a, b);"
		}
		post = append(post, madePiece{of, "s", "k" + name, "s." + name, text})
	}
	m.post = append(m.post, post...)
	dir := m.write(t)
	begun := time.Now()
	s := open(t, dir, Options{})
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	byID := make(map[int32]archive.Entry)
	seen := 0
	for _, e := range s.cat.Entries {
		byID[e.ID] = e
		if e.Kind != "FK CONSTRAINT" {
			continue
		}
		seen++
		var on []string
		for _, id := range e.Deps {
			on = append(on, byID[id].Kind+" "+byID[id].Name)
		}
		i := 0
		if _, err := fmt.Sscanf(e.Name, "t%d ", &i); err != nil {
			t.Fatal(err)
		}
		to := (i + 1) % n
		key := fmt.Sprintf("CONSTRAINT t%d kt%d", to, to)
		if to%2 == 1 {
			key = fmt.Sprintf("INDEX kt%d", to)
		}
		if want := []string{fmt.Sprintf("TABLE t%d", i), fmt.Sprintf("TABLE t%d", to), key}; !slices.Equal(on, want) {
			t.Fatalf("%s depends on %v, not on %v", e.Name, on, want)
		}
	}
	if seen != n {
		t.Errorf("%d foreign keys", seen)
	}
}

// A foreign key waits for the rows of both tables, a view that stands for a dummy for the key that it groups by, and what is
// of a partition for the rows of its root.
func TestPostDataDeps(t *testing.T) {
	s := (&madeSet{
		version: "1.30.3", segments: 1,
		pre: []madePiece{
			{"TABLE", "s", "a", "", "CREATE TABLE s.a (\n\ti integer\n) DISTRIBUTED BY (i);"},
			{"TABLE", "s", `"B"`, "", "CREATE TABLE s.\"B\" (\n\ti integer\n) PARTITION BY RANGE (i) DISTRIBUTED BY (i);"},
			{"TABLE", "s", "leaf", `s."B"`, "CREATE TABLE s.leaf (\n\ti integer\n) DISTRIBUTED BY (i);"},
			{"TABLE", "s", "leaf", `s."B"`, "ALTER TABLE ONLY s.\"B\" ATTACH PARTITION s.leaf FOR VALUES FROM (1) TO (2);"},
			{"VIEW", "s", "v", "", "CREATE VIEW s.v AS \nSELECT\n\tNULL::integer AS i;"},
			{"SEQUENCE", "s", "a_i_seq", "", "ALTER TABLE s.a\nALTER COLUMN i ADD GENERATED ALWAYS AS IDENTITY (\n\tSEQUENCE NAME s.a_i_seq);\n"},
		},
		post: []madePiece{
			{"CONSTRAINT", "s", "pk", `s."B"`, `ALTER TABLE s."B" ADD CONSTRAINT pk PRIMARY KEY (i);`},
			{"CONSTRAINT", "s", "fk", "s.a", `ALTER TABLE ONLY s.a ADD CONSTRAINT fk FOREIGN KEY (i) REFERENCES s."B"(i);`},
			{"INDEX", "s", "li", "s.leaf", "CREATE INDEX li ON s.leaf USING btree (i);"},
			{"VIEW", "s", "v", "", "CREATE OR REPLACE VIEW s.v AS  SELECT x.i FROM s.\"B\" x GROUP BY x.i;"},
		},
		tables: []madeTable{{"a", "(i)", ", rowscopied: 1", []string{"1\n"}}, {`"B"`, "(i)", ", rowscopied: 1", []string{"1\n"}}},
	}).open(t)
	id := func(kind, name string) int32 { return find(t, s, kind, name).ID }
	for _, x := range []struct {
		kind, name string
		want       []int32
	}{
		{"FK CONSTRAINT", "a fk", []int32{id("TABLE", "a"), id("TABLE DATA", "a"), id("TABLE", "B"), id("TABLE DATA", "B"), id("CONSTRAINT", "B pk")}},
		{"INDEX", "li", []int32{id("TABLE", "leaf"), id("TABLE DATA", "B")}},
		{"RULE", "v _RETURN", []int32{id("VIEW", "v"), id("CONSTRAINT", "B pk")}},
		{"TABLE", "leaf", []int32{id("TABLE", "B")}},
		{"SEQUENCE", "a_i_seq", []int32{id("TABLE", "a")}},
	} {
		if got := find(t, s, x.kind, x.name).Deps; !slices.Equal(got, x.want) {
			t.Errorf("%s %s depends on %v, not on %v", x.kind, x.name, got, x.want)
		}
	}
	if !strings.Contains(find(t, s, "TABLE", "leaf").DDL, "ATTACH PARTITION") {
		t.Error("the partition is not attached")
	}
	if !strings.Contains(strings.Join(s.desc.Warnings, ";"), "identity") {
		t.Errorf("warnings %q", s.desc.Warnings)
	}
}
