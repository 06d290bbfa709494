package gpbackup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
)

// madeSet is a set that a test writes, in one directory, without compression.
type madeSet struct {
	version           string
	segments          int
	config            string // more lines
	global, pre, post []madePiece
	tables            []madeTable
	gap               string      // text of metadata.sql behind all pieces
	stats             []madePiece // of statistics.sql
}

type madePiece struct{ of, schema, name, reference, text string }

// madeTable is a table whose rows are in the set: the rows of each segment, as CSV.
type madeTable struct {
	name    string // in the schema s
	columns string
	more    string // lines of its entry
	rows    []string
}

const madeStamp = "20200101000000"

// write writes the set and returns its directory.
func (m *madeSet) write(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	var sql, toc strings.Builder
	section := func(name string, pieces []madePiece) {
		toc.WriteString(name + ":\n")
		for _, p := range pieces {
			from := sql.Len()
			sql.WriteString("\n\n" + p.text)
			fmt.Fprintf(&toc, "- {schema: %q, name: %q, objecttype: %q, referenceobject: %q, startbyte: %d, endbyte: %d}\n",
				p.schema, p.name, p.of, p.reference, from, sql.Len())
		}
	}
	section("globalentries", m.global)
	section("predataentries", m.pre)
	section("postdataentries", m.post)
	metadata := sql.String()
	if len(m.stats) > 0 {
		sql.Reset()
		sql.WriteString("SET client_encoding = 'UTF8';\n")
		section("statisticsentries", m.stats)
		put("gpbackup_"+madeStamp+"_statistics.sql", sql.String())
	}
	toc.WriteString("dataentries:\n")
	for i, t := range m.tables {
		fmt.Fprintf(&toc, "- {schema: s, name: %q, oid: %d, attributestring: %q, partitionroot: \"\"%s}\n", t.name, 100+i, t.columns, t.more)
		for content, rows := range t.rows {
			put(fmt.Sprintf("gpbackup_%d_%s_%d", content, madeStamp, 100+i), rows)
		}
	}
	put("gpbackup_"+madeStamp+"_toc.yaml", toc.String())
	put("gpbackup_"+madeStamp+"_config.yaml", fmt.Sprintf("backupversion: %s\nsegmentcount: %d\ndatabasename: db\ntimestamp: %q\n%s",
		m.version, m.segments, madeStamp, m.config))
	if !strings.Contains(m.config, "dataonly") {
		put("gpbackup_"+madeStamp+"_metadata.sql", metadata+m.gap)
	}
	return dir
}

func (m *madeSet) open(tb testing.TB) *Set {
	tb.Helper()
	return open(tb, m.write(tb), Options{})
}

// show is one line for each entry behind those of the session: kind, schema, name, owner, statement to drop it, definition.
func show(entries []archive.Entry) []string {
	var all []string
	for _, e := range entries {
		switch e.Kind {
		case "ENCODING", "STDSTRINGS", "SEARCHPATH":
			continue
		}
		all = append(all, strings.ReplaceAll(fmt.Sprintf("%s|%s|%s|%s|%s|%s", e.Kind, e.Schema, e.Name, e.Owner, e.Drop, e.DDL), "\n", ""))
	}
	return all
}

// find is the only entry of a kind and name.
func find(tb testing.TB, s *Set, kind, name string) *archive.Entry {
	tb.Helper()
	var found *archive.Entry
	for i := range s.cat.Entries {
		if e := &s.cat.Entries[i]; e.Kind == kind && e.Name == name {
			if found != nil {
				tb.Fatalf("two entries %s %s", kind, name)
			}
			found = e
		}
	}
	if found == nil {
		tb.Fatalf("no entry %s %s in\n%s", kind, name, strings.Join(show(s.cat.Entries), "\n"))
	}
	return found
}
