package gpbackup

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// makeCatalog makes entries, as pg_dump has them, of the pieces of metadata.sql. Their order is that of the file, which
// gpbackup has sorted by what needs what, but for what has to wait for the rows. Memory: some ten times that file and its
// table of contents.
func (s *Set) makeCatalog() error {
	sql, err := s.metadata()
	if err != nil {
		return err
	}
	b := newCatalogBuilder(string(sql))
	if err := s.fill(b); err != nil {
		return err
	}
	s.desc.Warnings = append(s.desc.Warnings, b.warnings()...)
	s.cat = &b.cat
	return nil
}

// fill adds all entries, and the streams of rows.
func (s *Set) fill(b *catalogBuilder) error {
	b.cat.Database, b.cat.ServerVersion = unquote(s.config.Database), s.config.ServerVersion
	b.cat.Product, b.cat.PgDumpVersion, b.cat.Encoding = "Greenplum", "gpbackup "+s.config.BackupVersion, "UTF8"
	if err := s.covered(b.sql); err != nil {
		return err
	}
	global, pre, post := b.cut(s.toc.Global), b.cut(s.toc.PreData), b.cut(s.toc.PostData)
	b.globals(global)
	b.settings(global)
	b.database(global)
	pre, late := apart(pre)
	b.pieces(pre, archive.SectionPreData)
	if err := s.addData(b); err != nil {
		return err
	}
	if len(s.streams) > 0 && embedsASCII(b.cat.Encoding) {
		return fmt.Errorf("%w: they are in %s, a backslash in which may be a part of a character; restore it with gprestore", ErrEncoding, b.cat.Encoding)
	}
	b.values()
	post, keys := apart(post)
	b.pieces(post, archive.SectionPostData)
	b.pieces(append(late, keys...), archive.SectionPostData)
	s.addStatistics(b)
	b.finish()
	return nil
}

// metadata reads metadata.sql; a set of rows only has none. All that is in it are definitions: damage that no gpbackup could have
// written is told here, because it has no checksum.
func (s *Set) metadata() ([]byte, error) {
	path, err := s.files.find(fileKey{-1, s.config.Timestamp, 0, "metadata"})
	if err != nil {
		if s.config.DataOnly && errors.Is(err, ErrIncomplete) {
			return nil, nil
		}
		return nil, err
	}
	sql, err := readLimited(path, maxTOC)
	if err != nil {
		return nil, err
	}
	at := bytes.IndexByte(sql, 0)
	lines := bytes.Count(sql, []byte("\n"))
	switch {
	case at >= 0:
		return nil, fmt.Errorf("%w: %s has a zero byte at offset %d, as where blocks were lost", ErrDamaged, path, at)
	case lines > 1 && lines == bytes.Count(sql, []byte("\r\n")):
		return nil, fmt.Errorf("%w: each line of %s ends with CR LF: it was copied as a text, which changes it; copy the set again, as binary files",
			ErrDamaged, path)
	}
	return sql, nil
}

// piece is a part of metadata.sql, which is about one object.
type piece struct {
	*metaEntry
	of   string // its type; what gpbackup says further of an object of postdata has the object's here
	text string
}

// objectKey names an object within the table of contents. Several may have the same: operators with other operands,
// constraints of other tables.
type objectKey struct{ of, schema, name string }

func (p *piece) key() objectKey { return objectKey{p.of, p.Schema, p.Name} }

// relation is the schema and name of a table, view or sequence, as others refer to it.
func (p *piece) relation() string { return p.Schema + "." + p.Name }

// aboutKey names the entry with all comments, or all rights, of an object.
type aboutKey struct {
	kind   string
	object int32
}

// catalogBuilder makes a catalog. IDs of entries are their places, from 1.
type catalogBuilder struct {
	sql       string
	cat       archive.Catalog
	more      map[int32][]string  // statements that belong behind the definition of an entry
	last      map[objectKey]int32 // the entry that made an object of that name last
	about     map[aboutKey]int32
	schemas   map[string]int32    // SCHEMA entries, by names as the table of contents writes them
	relations map[string]int32    // tables, views and sequences by schema.name, likewise
	parents   map[string]string   // of partitions that have a definition of their own, likewise
	moved     map[string]relation // tables of partitions that were moved to another schema than the table's, by schema.name
	indexes   map[string]int32    // likewise
	exchanged map[string]bool     // external tables that become partitions of another name, likewise
	attached  []attachment
	columns   map[string][]string // of tables, likewise
	spread    map[string]spread   // of tables, likewise
	data      map[string]int32    // TABLE DATA entries, likewise
	keys      keySet
	cluster   map[objectKey]int32 // entries of roles and the like
	late      []archive.Entry     // values of sequences, which come with the rows
	views     int                 // materialized ones
	identity  int                 // columns
	passwords int
}

func newCatalogBuilder(sql string) *catalogBuilder {
	return &catalogBuilder{
		sql: sql, more: make(map[int32][]string), last: make(map[objectKey]int32), about: make(map[aboutKey]int32),
		schemas: make(map[string]int32), relations: make(map[string]int32), parents: make(map[string]string), moved: make(map[string]relation), exchanged: make(map[string]bool),
		indexes: make(map[string]int32), columns: make(map[string][]string), spread: make(map[string]spread),
		data: make(map[string]int32), keys: newKeySet(), cluster: make(map[objectKey]int32),
	}
}

// add adds an entry, with the texts marked that pg_dump would have left NULL.
func (b *catalogBuilder) add(e archive.Entry) int32 {
	e.ID = int32(len(b.cat.Entries) + 1) //nolint:gosec // as many as entries of a file of 1 GiB
	for _, text := range []struct {
		value string
		bit   archive.NullSet
	}{
		{e.Schema, archive.NullSchema}, {e.Owner, archive.NullOwner}, {e.Drop, archive.NullDrop}, {e.Copy, archive.NullCopy},
	} {
		if text.value == "" {
			e.Nulls |= text.bit
		}
	}
	e.Nulls |= archive.NullTablespace | archive.NullTableAM // both stand in the definition, where they are not the default
	b.cat.Entries = append(b.cat.Entries, e)
	return e.ID
}

func (b *catalogBuilder) entry(id int32) *archive.Entry { return &b.cat.Entries[id-1] }

func (b *catalogBuilder) setOwner(id int32, owner string) {
	b.entry(id).Owner = owner
	b.entry(id).Nulls &^= archive.NullOwner
}

func (b *catalogBuilder) setDrop(id int32, sql string) {
	b.entry(id).Drop = sql
	b.entry(id).Nulls &^= archive.NullDrop
}

// depend adds what an entry waits for. An ID of 0 is none. What is there twice is told only in short lists, which most are.
func (b *catalogBuilder) depend(id int32, on ...int32) {
	const short = 100
	e := b.entry(id)
	for _, dep := range on {
		if dep != 0 && dep != id && (len(e.Deps) > short || !slices.Contains(e.Deps, dep)) {
			e.Deps = append(e.Deps, dep)
		}
	}
}

// cut takes pieces out of metadata.sql, without those that are empty: of the schema public nothing is written but its
// rights.
func (b *catalogBuilder) cut(all []metaEntry) []piece {
	var pieces []piece
	for i := range all {
		m := &all[i]
		if text := strings.TrimSpace(b.sql[m.Start:m.End]); text != "" {
			pieces = append(pieces, piece{m, typeOf(m.Type), text})
		}
	}
	return pieces
}

// settings adds what a session needs to read the catalog.
func (b *catalogBuilder) settings(global []piece) {
	encoding := "SET client_encoding = 'UTF8';"
	for i := range global {
		if global[i].of != "SESSION GUCS" {
			continue
		}
		for _, st := range splitSQL(global[i].text) {
			value, ok := strings.CutPrefix(st, "SET client_encoding = '")
			if value, quoted := strings.CutSuffix(value, "'"); ok && quoted && !strings.ContainsAny(value, "'\\") {
				encoding, b.cat.Encoding = st+";", value
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
}

// embedsASCII is wire.EmbedsASCII, which what reads files does without: CSV in such an encoding would be taken apart wrongly. gpbackup's own sessions
// have UTF8, if nobody makes them have another one.
func embedsASCII(encoding string) bool {
	switch strings.ToUpper(encoding) {
	case "SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC", "GB18030", "JOHAB":
		return true
	default:
		return false
	}
}

// values adds the values of sequences.
func (b *catalogBuilder) values() {
	for _, e := range b.late {
		e.Owner = b.entry(e.Deps[0]).Owner
		b.add(e)
	}
	b.late = nil
}

// finish does what could not be done before all entries were there: definitions get what is said of them later, rights and
// comments the owner of what they are about, as pg_dump has it.
func (b *catalogBuilder) finish() {
	for id, statements := range b.more {
		e := b.entry(id)
		e.DDL += strings.Join(statements, "")
	}
	for i := range b.cat.Entries {
		e := &b.cat.Entries[i]
		switch e.Kind {
		case kindComment, kindACL, kindLabel:
			if len(e.Deps) > 0 && b.entry(e.Deps[0]).Owner != "" {
				b.setOwner(e.ID, b.entry(e.Deps[0]).Owner)
			}
		}
	}
	for _, a := range b.attached {
		b.depend(a.entry, b.indexes[a.index], b.indexes[a.parent])
	}
}

func (b *catalogBuilder) warnings() []string {
	var all []string
	if len(b.cluster) > 0 {
		all = append(all, "roles, tablespaces, resource queues and groups are of the cluster, not of the database: "+
			"they are restored only if that is asked for")
	}
	if b.passwords > 0 {
		all = append(all, "the set has hashes of roles' passwords; an archive that is made of it gets them only if that is asked for")
	}
	if b.views > 0 {
		all = append(all, "materialized views are restored without rows, as gpbackup has them: REFRESH them afterwards")
	}
	if b.identity > 0 {
		all = append(all, "gpbackup does not record how far identity columns have counted: set their sequences after a restore")
	}
	return all
}
