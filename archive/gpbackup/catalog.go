package gpbackup

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// makeCatalog makes entries, as pg_dump has them, of the pieces of metadata.sql.
func (s *Set) makeCatalog() error {
	sql, err := s.metadata()
	if err != nil {
		return err
	}
	b := &catalogBuilder{sql: sql, tables: make(map[string]int32), main: make(map[mainKey]int32), columns: make(map[string][]string)}
	b.cat.Database, b.cat.ServerVersion = unquote(s.config.Database), s.config.ServerVersion
	b.cat.Product, b.cat.PgDumpVersion, b.cat.Encoding = "Greenplum", "gpbackup "+s.config.BackupVersion, "UTF8"
	if err := b.settings(s.toc.Global); err != nil {
		return err
	}
	if err := b.globals(s.toc.Global); err != nil {
		return err
	}
	if err := b.pieces(s.toc.PreData, archive.SectionPreData); err != nil {
		return err
	}
	if err := s.addData(b); err != nil {
		return err
	}
	if err := b.pieces(s.toc.PostData, archive.SectionPostData); err != nil {
		return err
	}
	if b.left > 0 {
		s.desc.Warnings = append(s.desc.Warnings, fmt.Sprintf(
			"%d statements about roles, tablespaces, resource queues and groups are left out: they are of the cluster, not of the database; metadata.sql has them", b.left))
	}
	if b.views > 0 {
		s.desc.Warnings = append(s.desc.Warnings, "materialized views are restored without rows, as gpbackup has them: REFRESH them afterwards")
	}
	s.cat = &b.cat
	return nil
}

// metadata reads metadata.sql; a set of rows only has none.
func (s *Set) metadata() ([]byte, error) {
	path, err := s.files.find(fileKey{-1, s.config.Timestamp, 0, "metadata"})
	if err != nil {
		if s.config.DataOnly {
			return nil, nil
		}
		return nil, err
	}
	return readLimited(path, maxTOC)
}

// mainKey names an object within the table of contents.
type mainKey struct{ kind, schema, name string }

type catalogBuilder struct {
	sql     []byte
	cat     archive.Catalog
	main    map[mainKey]int32   // the entry that makes an object
	tables  map[string]int32    // TABLE entries by schema.name, as the table of contents writes it
	columns map[string][]string // of tables, likewise
	data    map[string]int32    // TABLE DATA entries, likewise
	keys    []int32             // constraints so far
	left    int                 // statements that are not restored
	views   int
}

func (b *catalogBuilder) add(e archive.Entry) int32 {
	e.ID = int32(len(b.cat.Entries) + 1) //nolint:gosec // as many as entries of a file of 1 GiB
	if e.Schema == "" {
		e.Nulls |= archive.NullSchema
	}
	if e.Owner == "" {
		e.Nulls |= archive.NullOwner
	}
	if e.Drop == "" {
		e.Nulls |= archive.NullDrop
	}
	if e.Copy == "" {
		e.Nulls |= archive.NullCopy
	}
	e.Nulls |= archive.NullTablespace | archive.NullTableAM
	b.cat.Entries = append(b.cat.Entries, e)
	return e.ID
}

// text is a piece of metadata.sql.
func (b *catalogBuilder) text(m *metaEntry) (string, error) {
	if m.Start < 0 || m.End < m.Start || m.End > int64(len(b.sql)) {
		return "", fmt.Errorf("%w: %s %s.%s is said to stand at bytes %d to %d of metadata.sql, which has %d",
			ErrDamaged, m.Type, m.Schema, m.Name, m.Start, m.End, len(b.sql))
	}
	return strings.TrimSpace(string(b.sql[m.Start:m.End])), nil
}

// settings begins the catalog with what a session needs to read it.
func (b *catalogBuilder) settings(global []metaEntry) error {
	encoding := "SET client_encoding = 'UTF8';"
	for i := range global {
		if global[i].Type != "SESSION GUCS" {
			continue
		}
		text, err := b.text(&global[i])
		if err != nil {
			return err
		}
		for _, st := range splitSQL(text) {
			if value, ok := strings.CutPrefix(st, "SET client_encoding = '"); ok {
				encoding = st + ";"
				b.cat.Encoding = strings.TrimSuffix(value, "'")
			}
		}
	}
	for _, e := range []archive.Entry{
		{Kind: "ENCODING", Name: "ENCODING", DDL: encoding + "\n"},
		{Kind: "STDSTRINGS", Name: "STDSTRINGS", DDL: "SET standard_conforming_strings = 'on';\n"},
		{Kind: "SEARCHPATH", Name: "SEARCHPATH", DDL: "SELECT pg_catalog.set_config('search_path', '', false);\n"},
	} {
		e.Section = archive.SectionPreData
		b.add(e)
	}
	return nil
}

// globals takes what is of the database, and counts what is of the cluster.
func (b *catalogBuilder) globals(global []metaEntry) error {
	for i := range global {
		m := &global[i]
		text, err := b.text(m)
		if err != nil {
			return err
		}
		switch m.Type {
		case "SESSION GUCS":
		case "DATABASE":
			id := b.add(archive.Entry{
				Kind: "DATABASE", Name: unquote(m.Name), Section: archive.SectionPreData, DDL: text + "\n", Drop: "DROP DATABASE " + m.Name + ";\n",
			})
			b.main[mainKey{"DATABASE", "", m.Name}] = id
		case "DATABASE METADATA", "DATABASE GUC":
			b.about(b.main[mainKey{"DATABASE", "", m.Name}], "DATABASE", m, text, archive.SectionNone)
		default:
			b.left += len(splitSQL(text))
		}
	}
	return nil
}

// pieces makes entries of pieces, of which several may be about one object: its definition, its owner, rights, a comment.
func (b *catalogBuilder) pieces(all []metaEntry, section archive.Section) error {
	for i := range all {
		m := &all[i]
		text, err := b.text(m)
		if err != nil {
			return err
		}
		if text == "" {
			continue // of the schema public, which is there
		}
		kind := kindOf(m.Type, text)
		k := mainKey{strings.TrimSuffix(m.Type, " METADATA"), m.Schema, m.Name}
		if id, ok := b.main[k]; ok || isAbout(text) {
			b.about(id, kind, m, text, section)
			continue
		}
		b.main[k] = b.define(kind, m, text, section)
	}
	return nil
}

// define adds the entry that makes an object.
func (b *catalogBuilder) define(kind string, m *metaEntry, text string, section archive.Section) int32 {
	e := archive.Entry{Kind: kind, Schema: unquote(m.Schema), Name: unquote(m.Name), Section: section, DDL: text + "\n"}
	if kind == "SCHEMA" || kind == "EXTENSION" || kind == "PROCEDURAL LANGUAGE" {
		e.Schema = ""
	}
	var after []string
	if kind == "SEQUENCE" { // its value is data
		var make []string
		for _, st := range splitSQL(text) {
			if strings.HasPrefix(st, "SELECT pg_catalog.setval(") {
				after = append(after, st+";\n")
				continue
			}
			make = append(make, st+";\n")
		}
		e.DDL = strings.Join(make, "")
	}
	e.Drop = dropStatement(kind, m)
	switch {
	case section == archive.SectionPostData:
		e.Deps = b.postDeps(kind, m)
		if table, ok := b.tables[m.Reference]; ok && kind != "INDEX" {
			e.Name = b.cat.Entries[table-1].Name + " " + e.Name
		}
	case m.Reference != "":
		if id, ok := b.tables[m.Reference]; ok {
			e.Deps = []int32{id}
		}
	}
	id := b.add(e)
	switch kind {
	case "TABLE", "FOREIGN TABLE":
		b.tables[m.Schema+"."+m.Name] = id
		b.columns[m.Schema+"."+m.Name] = tableColumns(text)
	case "MATERIALIZED VIEW":
		b.views++
	case "CONSTRAINT":
		b.keys = append(b.keys, id)
	}
	for _, st := range after {
		b.add(archive.Entry{Kind: "SEQUENCE SET", Schema: e.Schema, Name: e.Name, Section: archive.SectionData, DDL: st, Deps: []int32{id}})
	}
	return id
}

// postDeps are what an index, a constraint or a trigger waits for: its table, the table's rows, and of a foreign key all keys.
func (b *catalogBuilder) postDeps(kind string, m *metaEntry) []int32 {
	var deps []int32
	if id, ok := b.tables[m.Reference]; ok {
		deps = append(deps, id)
	}
	if id, ok := b.data[m.Reference]; ok {
		deps = append(deps, id)
	}
	if kind == "FK CONSTRAINT" {
		deps = append(deps, b.keys...)
		deps = append(deps, slices.Sorted(maps.Values(b.data))...)
	}
	return deps
}

// about adds what a piece says about an object: its owner to the object's entry, rights and comments as entries of their own, and all
// else to its definition.
func (b *catalogBuilder) about(id int32, kind string, m *metaEntry, text string, section archive.Section) {
	var rights, comments, labels []string
	for _, st := range splitSQL(text) {
		switch {
		case strings.HasPrefix(st, "GRANT "), strings.HasPrefix(st, "REVOKE "):
			rights = append(rights, st+";\n")
		case strings.HasPrefix(st, "COMMENT ON "):
			comments = append(comments, st+";\n")
		case strings.HasPrefix(st, "SECURITY LABEL "):
			labels = append(labels, st+";\n")
		case id != 0 && ownerOf(st) != "":
			e := &b.cat.Entries[id-1]
			e.Owner = unquote(ownerOf(st))
			e.Nulls &^= archive.NullOwner
		case id == 0 && ownerOf(st) != "": // of the schema public
		case id != 0 && kind != "DATABASE":
			b.cat.Entries[id-1].DDL += st + ";\n"
		default:
			kind := "DATABASE PROPERTIES"
			if m.Type != "DATABASE GUC" && m.Type != "DATABASE METADATA" {
				kind = m.Type
			}
			b.add(archive.Entry{Kind: kind, Name: unquote(m.Name), Section: section, DDL: st + ";\n"})
		}
	}
	for _, x := range []struct {
		kind string
		all  []string
	}{{"COMMENT", comments}, {"SECURITY LABEL", labels}, {"ACL", rights}} {
		if len(x.all) == 0 {
			continue
		}
		e := archive.Entry{Kind: x.kind, Schema: unquote(m.Schema), Name: kind + " " + unquote(m.Name), Section: archive.SectionNone, DDL: strings.Join(x.all, "")}
		if kind == "SCHEMA" || kind == "DATABASE" {
			e.Schema = ""
		}
		if id != 0 {
			e.Deps = []int32{id}
			e.Owner = b.cat.Entries[id-1].Owner
		}
		b.add(e)
	}
}

// isAbout tells whether a piece makes no object: it is about one that is there.
func isAbout(text string) bool {
	for _, prefix := range []string{"GRANT ", "REVOKE ", "COMMENT ON ", "SECURITY LABEL "} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	all := splitSQL(text)
	return len(all) == 1 && ownerOf(all[0]) != ""
}

// ownerOf is the owner, as written, in ALTER ... OWNER TO name.
func ownerOf(st string) string {
	if !strings.HasPrefix(st, "ALTER ") {
		return ""
	}
	i := strings.LastIndex(st, " OWNER TO ")
	if i < 0 {
		return ""
	}
	name := st[i+len(" OWNER TO "):]
	if end := nameLength(name); end != len(name) || end == 0 {
		return ""
	}
	return name
}

// kindOf is pg_dump's word for an object of the table of contents.
func kindOf(objectType, text string) string {
	switch objectType = strings.TrimSuffix(objectType, " METADATA"); objectType {
	case "SEQUENCE OWNER":
		return "SEQUENCE OWNED BY"
	case "FOREIGN SERVER":
		return "SERVER"
	case "LANGUAGE":
		return "PROCEDURAL LANGUAGE"
	case "DEFAULT PRIVILEGES":
		return "DEFAULT ACL"
	case "CONSTRAINT":
		if strings.Contains(text, " FOREIGN KEY (") {
			return "FK CONSTRAINT"
		}
		if !strings.Contains(text, " PRIMARY KEY ") && !strings.Contains(text, " UNIQUE ") && strings.Contains(text, " CHECK (") {
			return "CHECK CONSTRAINT"
		}
	case "TABLE":
		if strings.HasPrefix(text, "CREATE FOREIGN TABLE ") {
			return "FOREIGN TABLE"
		}
		if strings.Contains(firstLine(text), "EXTERNAL ") {
			return "EXTERNAL TABLE"
		}
	}
	return objectType
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// dropStatement removes an object, where that is plain to write.
func dropStatement(kind string, m *metaEntry) string {
	name := m.Schema + "." + m.Name
	switch kind {
	case "SCHEMA", "EXTENSION":
		return "DROP " + kind + " " + m.Name + ";\n"
	case "TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE", "TYPE", "DOMAIN", "FUNCTION", "AGGREGATE", "FOREIGN TABLE", "EXTERNAL TABLE",
		"COLLATION", "CONVERSION", "INDEX":
		return "DROP " + kind + " " + name + ";\n"
	case "CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT":
		if m.Reference != "" {
			return "ALTER TABLE ONLY " + m.Reference + " DROP CONSTRAINT " + m.Name + ";\n"
		}
	case "TRIGGER", "RULE":
		if m.Reference != "" {
			return "DROP " + kind + " " + m.Name + " ON " + m.Reference + ";\n"
		}
	}
	return ""
}
