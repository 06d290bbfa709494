package gpbackup

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
)

// rowsOf reads the rows of a table as COPY text, "" if it has none.
func rowsOf(s *Set, table string) (string, error) {
	var b bytes.Buffer
	for i := range s.cat.Entries {
		if e := &s.cat.Entries[i]; e.Kind == "TABLE DATA" && e.Name == table {
			for _, x := range s.TableStreams(e.ID) {
				if err := s.StreamRows(context.Background(), x.ID, func(text []byte) error { b.Write(text); return nil }); err != nil {
					return "", err
				}
			}
		}
	}
	return b.String(), nil
}

func expected(t *testing.T, s *Set, table string) (uint64, bool) {
	t.Helper()
	return s.ExpectedRows(find(t, s, "TABLE DATA", table).ID)
}

func copied() []string { return []string{"1\n2\n", "2\n1\n", "1\n2\n"} }

// Sets of versions before 1.27 don't tell which tables are replicated: their rows were there once for each segment. Later
// ones also take a table for replicated that is distributed by a column of an unlucky name: its rows but those of one
// segment were not there.
func TestReplicatedByDefinition(t *testing.T) {
	parts := []string{"1\n", "2\n", "3\n"}
	s := (&madeSet{
		version: "1.26.0", segments: 3,
		pre: []madePiece{
			{"TABLE", "s", "old", "", "CREATE TABLE s.old (\n\ta integer\n) DISTRIBUTED REPLICATED;\n"},
			{"TABLE", "s", "wrong", "", "CREATE TABLE s.wrong (\n\ta integer\n) WITH (appendonly=true) DISTRIBUTED REPLICATED;\n"},
			{"TABLE", "s", "unlucky", "", "CREATE TABLE s.unlucky (\n\t\"REPLICATED\" integer\n) DISTRIBUTED BY (\"REPLICATED\");\n"},
			{"TABLE", "s", "parts", "", "CREATE TABLE s.parts (\n\ta text DEFAULT (' DISTRIBUTED REPLICATED'::text)\n) DISTRIBUTED RANDOMLY;\n"},
			{"TABLE", "s", "differ", "", "CREATE TABLE s.differ (\n\ta integer\n) DISTRIBUTED REPLICATED;\n"},
		},
		tables: []madeTable{
			{"old", "(a)", ", rowscopied: 6", copied()},
			{"wrong", "(a)", ", rowscopied: 6, isreplicated: false", copied()},
			{"unlucky", `("REPLICATED")`, ", rowscopied: 3, isreplicated: true", parts},
			{"parts", "(a)", ", rowscopied: 3", parts},
			{"differ", "(a)", ", rowscopied: 5", []string{"1\n2\n", "1\n2\n", "1\n"}},
		},
	}).open(t)
	for table, want := range map[string]string{"old": "1\n2\n", "wrong": "1\n2\n", "unlucky": "1\n2\n3\n", "parts": "1\n2\n3\n"} {
		got, err := rowsOf(s, table)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", table, got, err)
		}
		if n, ok := expected(t, s, table); !ok || n != uint64(strings.Count(want, "\n")) {
			t.Errorf("%s: %d rows expected, %v", table, n, ok)
		}
	}
	if _, err := rowsOf(s, "differ"); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "s.differ") {
		t.Errorf("copies that differ: %v", err)
	}
}

// Without definitions, rows are given only if it is certain that they are no copies.
func TestReplicatedUndecided(t *testing.T) {
	m := &madeSet{
		version: "1.26.0", segments: 3, config: "dataonly: true\n",
		tables: []madeTable{
			{"sum", "(a)", ", rowscopied: 4", []string{"1\n2\n", "3\n", "4\n"}},
			{"empty", "(a)", "", []string{"", "", ""}},
			{"none", "(a)", ", rowscopied: 0", []string{"", "", ""}},
			{"size", "(a)", "", []string{"1\n", "2\n", "33\n"}},
			{"count", "(a)", ", rowscopied: 6", []string{"11111\n", "1\n222\n", "1\n2\n3\n"}},
			{"rows", "(a)", ", rowscopied: 6", []string{"1\n2\n", "3\n4\n", "1\n2\n"}},
			{"same", "(a)", ", rowscopied: 6", copied()},
			{"uncounted", "(a)", "", copied()},
			{"unlucky", `(a,"xREPLICATED")`, ", rowscopied: 3, isreplicated: true", []string{"1,2\n", "1,3\n", "1,4\n"}},
			{"told", "(a)", ", rowscopied: 6, isreplicated: true", copied()},
			{"untold", "(a)", ", rowscopied: 6, isreplicated: false", copied()},
		},
	}
	dir := m.write(t)
	s := open(t, dir, Options{})
	for table, want := range map[string]string{
		"sum": "1\n2\n3\n4\n", "none": "", "empty": "", "size": "1\n2\n33\n", "count": "11111\n1\n222\n1\n2\n3\n", "rows": "1\n2\n3\n4\n1\n2\n",
		"unlucky": "1\t2\n1\t3\n1\t4\n", "told": "1\n2\n", "untold": "1\n2\n2\n1\n1\n2\n",
	} {
		if got, err := rowsOf(s, table); err != nil || got != want {
			t.Errorf("%s: %q, %v", table, got, err)
		}
	}
	for _, table := range []string{"same", "uncounted"} {
		for range 2 {
			if _, err := rowsOf(s, table); !errors.Is(err, ErrUndecided) || !strings.Contains(err.Error(), "table s."+table) {
				t.Errorf("%s: %v", table, err)
			}
		}
	}
	if !strings.Contains(strings.Join(s.desc.Warnings, ";"), ": s.empty, s.count, s.rows, s.same, s.uncounted, s.unlucky;") {
		t.Errorf("warnings %q", s.desc.Warnings)
	}
	s = open(t, dir, Options{Replicated: []string{"s.same"}, Distributed: []string{"s.uncounted"}})
	for table, want := range map[string]string{"same": "1\n2\n", "uncounted": "1\n2\n2\n1\n1\n2\n"} {
		if got, err := rowsOf(s, table); err != nil || got != want {
			t.Errorf("%s, of which it is said: %q, %v", table, got, err)
		}
	}
	if n, ok := expected(t, s, "same"); !ok || n != 2 {
		t.Errorf("%d rows expected, %v", n, ok)
	}
	if _, err := Open(dir, Options{Replicated: []string{"s.other"}}); err == nil || !strings.Contains(err.Error(), "s.other") {
		t.Errorf("a table that is not in the set: %v", err)
	}
}

// Sizes of compressed files tell nothing. A search that was interrupted says nothing about the table.
func TestReplicatedCompressed(t *testing.T) {
	m := &madeSet{
		version: "1.20.0", segments: 2, config: "dataonly: true\ncompressed: true\n",
		tables: []madeTable{{"same", "(a)", ", rowscopied: 4", []string{"1\n222222222222222222222222\n", "222222222222222222222222\n1\n"}}},
	}
	dir := m.write(t)
	files, _ := filepath.Glob(filepath.Join(dir, "gpbackup_*_100"))
	for i, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, i*9)
		_, err = w.Write(text)
		if err := errors.Join(err, w.Close(), os.WriteFile(name+".gz", b.Bytes(), 0o600), os.Remove(name)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.StreamRows(ctx, 1, func([]byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if _, err := rowsOf(s, "same"); !errors.Is(err, ErrUndecided) {
		t.Errorf("the same rows: %v", err)
	}
}

// Sets of the first versions don't record numbers of rows, which were taken for 0.
func TestUncounted(t *testing.T) {
	s := (&madeSet{
		version: "0.9", segments: 2,
		pre:    []madePiece{{"TABLE", "s", "a", "", "CREATE TABLE s.a (\n\ta integer\n) DISTRIBUTED BY (a);\n"}},
		tables: []madeTable{{"a", "(a)", "", []string{"1\n", "2\n"}}},
	}).open(t)
	if n, ok := expected(t, s, "a"); ok {
		t.Errorf("%d rows are expected", n)
	}
	if !strings.Contains(strings.Join(s.desc.Warnings, ";"), "how many rows 1 tables have") {
		t.Errorf("warnings %q", s.desc.Warnings)
	}
	var _ archive.RowCounter = s
}
