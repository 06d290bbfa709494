package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// archived is one table whose rows an archive holds.
type archived struct {
	entry         int32
	schema, table string // in the database's encoding
	streams       []archive.Stream
}

// archivedTables lists the tables in the order of their first streams. A partition that has no entry of its own is there twice: by
// its name, and with the others as the table that has the entry.
func archivedTables(streams []archive.Stream, cat *archive.Catalog) []*archived {
	blobs := make(map[int32]bool)
	data := make(map[int32]*archive.Entry)
	for i := range cat.Entries {
		switch e := &cat.Entries[i]; e.Kind {
		case "BLOBS":
			blobs[e.ID] = true
		case "TABLE DATA":
			data[e.ID] = e
		}
	}
	type key struct {
		entry         int32
		schema, table string
	}
	byKey := make(map[key]*archived)
	var all []*archived
	add := func(k key, s *archive.Stream) {
		t := byKey[k]
		if t == nil {
			t = &archived{entry: k.entry, schema: k.schema, table: k.table}
			byKey[k] = t
			all = append(all, t)
		}
		t.streams = append(t.streams, *s)
	}
	for i := range streams {
		s := &streams[i]
		if blobs[s.Entry] {
			continue
		}
		add(key{s.Entry, s.Schema, s.Table}, s)
		if e := data[s.Entry]; e != nil && (e.Schema != s.Schema || e.Name != s.Table) {
			add(key{s.Entry, e.Schema, e.Name}, s)
		}
	}
	return all
}

// findTable finds the table that a person means by name: exactly that text first, as schema.table or table, then as psql
// reads it, where what is not quoted is lower case.
func findTable(name string, tables []*archived, text textDecoder) (*archived, error) {
	for _, match := range nameMatchers(name) {
		var found []*archived
		for _, t := range tables {
			if match(text.String(t.schema), text.String(t.table)) {
				found = append(found, t)
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			var names []string
			for _, t := range found {
				names = append(names, quotedName(text.String(t.schema), text.String(t.table)))
			}
			return nil, usagef("%s is ambiguous: say one of %s", quoteArg(name), strings.Join(names, ", "))
		}
	}
	return nil, nil
}

// nameMatchers returns the ways to read a name, the best first.
func nameMatchers(name string) []func(schema, table string) bool {
	ways := []func(schema, table string) bool{
		func(schema, table string) bool { return schema+"."+table == name || table == name },
	}
	parts, ok := splitName(name)
	switch {
	case ok && len(parts) == 1:
		ways = append(ways, func(_, table string) bool { return table == parts[0] })
	case ok && len(parts) == 2:
		ways = append(ways, func(schema, table string) bool { return schema == parts[0] && table == parts[1] })
	}
	return ways
}

// splitName takes a dotted name apart as psql does: letters fold to lower case unless quoted, "" is a quote.
func splitName(name string) ([]string, bool) {
	var parts []string
	var b strings.Builder
	quoted := false
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '"' && quoted && i+1 < len(name) && name[i+1] == '"':
			b.WriteByte('"')
			i++
		case c == '"':
			quoted = !quoted
		case c == '.' && !quoted:
			parts = append(parts, b.String())
			b.Reset()
		case c >= 'A' && c <= 'Z' && !quoted:
			b.WriteByte(c + 'a' - 'A')
		default:
			b.WriteByte(c)
		}
	}
	return append(parts, b.String()), !quoted
}

// quotedName writes a name as splitName reads it, in UTF-8.
// What has no schema is no table, and is named as it is.
func quotedName(schema, table string) string {
	if schema == "" {
		return table
	}
	return quotedIdent(schema) + "." + quotedIdent(table)
}

func quotedIdent(s string) string {
	plain := s != ""
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
			plain = false
		}
	}
	if plain {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// noSuchTable explains why the archive has no rows under a name: they were not dumped, they are in partitions, or there
// is no such table.
func noSuchTable(name string, cat *archive.Catalog, tables []*archived, text textDecoder) error {
	for _, match := range nameMatchers(name) {
		for i := range cat.Entries {
			e := &cat.Entries[i]
			if !isTableKind(e.Kind) || !match(text.String(e.Schema), text.String(e.Name)) {
				continue
			}
			full := quotedName(text.String(e.Schema), text.String(e.Name))
			leaves := partitionLeaves(cat, e.ID)
			held := make(map[int32]bool)
			for _, t := range tables {
				held[t.entry] = true
			}
			data := tableOfData(cat)
			var names []string
			for _, leaf := range leaves {
				if held[data[leaf.ID]] {
					names = append(names, quotedName(text.String(leaf.Schema), text.String(leaf.Name)))
				}
			}
			if len(names) > 0 {
				return withHint(fmt.Errorf("%s is a partitioned table: its rows are in its partitions", full),
					"name one of "+strings.Join(names, ", "))
			}
			return fmt.Errorf("the archive has the definition of %s, but no rows of it", full)
		}
	}
	return withHint(fmt.Errorf("the archive has no table %s", quoteArg(name)), "`pgark list` names those that it has")
}

// partitionLeaves returns the entries of the tables that are attached below a partitioned table, at any depth, and have no
// partitions themselves, in the order of the catalog.
func partitionLeaves(cat *archive.Catalog, root int32) []*archive.Entry {
	parents := cat.PartitionParents()
	children := make(map[int32][]*archive.Entry)
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if parent, ok := parents[e.ID]; ok {
			children[parent] = append(children[parent], e)
		}
	}
	var leaves []*archive.Entry
	seen := map[int32]bool{root: true}
	for todo := slices.Clone(children[root]); len(todo) > 0; todo = todo[1:] {
		e := todo[0]
		switch {
		case seen[e.ID]:
			continue
		case len(children[e.ID]) > 0:
			todo = append(todo, children[e.ID]...)
		default:
			leaves = append(leaves, e)
		}
		seen[e.ID] = true
	}
	return leaves
}
