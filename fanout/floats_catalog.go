package fanout

import (
	"context"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// WithFloats gives a dump of a server that prints floats with more digits than they need (before PostgreSQL 12) with the
// columns marked in which there are any, as a dump of pgark has them: so digests are those of the same rows on a later server. The
// types are read from the definitions; where a column's can't be found out it counts as [archive.FloatsUnknown].
func WithFloats(src archive.Source) (archive.Source, error) {
	cat, err := src.Catalog()
	if err != nil || !printsLongFloats(cat) {
		return src, err
	}
	marked := &floatSource{Source: src, streams: make(map[int32][]archive.Stream)}
	types := newCatalogTypes(cat)
	for i := range cat.Entries {
		e := &cat.Entries[i]
		streams := src.TableStreams(e.ID)
		if e.Kind != kindTableData || len(streams) == 0 {
			continue
		}
		streams = slices.Clone(streams)
		for k := range streams {
			if marks := types.marks(e, streams[k].Columns); strings.Trim(marks, string(rune(floatsNone))) != "" {
				streams[k].Form, streams[k].Floats = archive.FormFloats, marks
			}
		}
		marked.streams[e.ID] = streams
	}
	if _, ok := src.(archive.RowCounter); ok {
		return &countedFloatSource{marked}, nil
	}
	return marked, nil
}

// floatSource is a source whose streams are marked.
type floatSource struct {
	archive.Source
	streams map[int32][]archive.Stream // of TABLE DATA entries
}

// Structure forwards the source's check of its structure, where it has one.
func (s *floatSource) Structure(ctx context.Context) ([]archive.Problem, error) {
	if x, ok := s.Source.(interface {
		Structure(ctx context.Context) ([]archive.Problem, error)
	}); ok {
		return x.Structure(ctx)
	}
	return nil, nil
}

// Refused implements archive.RowRefuser.
func (s *floatSource) Refused(entry int32) error {
	if r, ok := s.Source.(archive.RowRefuser); ok {
		return r.Refused(entry)
	}
	return nil
}

// TableStreams implements archive.Source.
func (s *floatSource) TableStreams(entry int32) []archive.Stream {
	if streams, ok := s.streams[entry]; ok {
		return streams
	}
	return s.Source.TableStreams(entry)
}

// countedFloatSource is a floatSource of a format that tells numbers of rows.
type countedFloatSource struct{ *floatSource }

// ExpectedRows implements archive.RowCounter.
func (s *countedFloatSource) ExpectedRows(entry int32) (uint64, bool) {
	return s.Source.(archive.RowCounter).ExpectedRows(entry)
}

// printsLongFloats tells whether the server of a catalog is older than PostgreSQL 12, or is Greenplum up to 6.
func printsLongFloats(cat *archive.Catalog) bool {
	major := dumpMajor(cat.ServerVersion)
	switch {
	case cat.Product == "Greenplum": // by its own version, or by that of the PostgreSQL that it is based on; scripts of 6 and older name none
		return major <= 6 || major == 8 || major == 9
	case major == 0:
		return false
	case isSegmented(cat.Product):
		return false
	}
	return major < 12
}

// catalogTypes finds the types of columns in definitions.
type catalogTypes struct {
	tables map[int32]*archive.Entry
	byName map[tableName]int32 // TABLE entries
	types  map[tableName]*archive.Entry
	std    bool
	open   map[*archive.Entry]bool // being looked at: a type can't be made of itself, but a damaged catalog may say so
}

func newCatalogTypes(cat *archive.Catalog) *catalogTypes {
	c := &catalogTypes{
		tables: make(map[int32]*archive.Entry), byName: make(map[tableName]int32), types: make(map[tableName]*archive.Entry),
		std: styleOf(cat).stdStrings, open: make(map[*archive.Entry]bool),
	}
	for i := range cat.Entries {
		e := &cat.Entries[i]
		switch e.Kind {
		case kindTable, "FOREIGN TABLE":
			c.tables[e.ID] = e
			c.byName[tableName{e.Schema, e.Name}] = e.ID
			c.types[tableName{e.Schema, e.Name}] = e // a table's row is a type, too
		case "TYPE", "DOMAIN":
			c.types[tableName{e.Schema, e.Name}] = e
		}
	}
	return c
}

// marks are those of the columns of a TABLE DATA entry's table.
func (c *catalogTypes) marks(data *archive.Entry, columns []string) string {
	id, ok := c.byName[tableName{data.Schema, data.Name}]
	if !ok {
		return strings.Repeat(string(rune(floatsUnknown)), len(columns))
	}
	types := make(map[string]byte)
	c.columns(c.tables[id], types)
	marks := make([]byte, len(columns))
	for i, name := range columns {
		mark, ok := types[name]
		if !ok {
			mark = floatsUnknown
		}
		marks[i] = mark
	}
	return string(marks)
}

// columns collects the marks of a table's columns, inherited ones included.
func (c *catalogTypes) columns(e *archive.Entry, marks map[string]byte) {
	if c.open[e] {
		return
	}
	c.open[e] = true
	defer delete(c.open, e)
	all := lexStatements(e.DDL, c.std)
	if len(all) == 0 {
		return
	}
	s := all[0]
	for i := range s.tokens {
		if s.tokens[i].depth == 0 && s.is(i, "(") {
			c.list(s, i, e.Schema, marks)
			break
		}
	}
	for _, id := range e.Deps { // parents
		if parent := c.tables[id]; parent != nil {
			inherited := make(map[string]byte)
			c.columns(parent, inherited)
			for name, mark := range inherited {
				if _, ok := marks[name]; !ok {
					marks[name] = mark
				}
			}
		}
	}
}

// list reads the columns in the parenthesis at i.
func (c *catalogTypes) list(s *statement, i int, schema string, marks map[string]byte) {
	for _, item := range s.list(i) {
		from, to := item[0], item[1]
		if !s.isName(from) || from+1 >= to || !s.isName(from+1) ||
			s.tokens[from].kind == tokenWord && s.isAny(from, "CONSTRAINT", "CHECK", "LIKE", "EXCLUDE", "PRIMARY", "UNIQUE", "FOREIGN", "COLUMN", "DEFAULT") {
			continue
		}
		marks[s.name(from)] = c.mark(s, from+1, schema)
	}
}

// mark is that of the type that is written from token i on.
func (c *catalogTypes) mark(s *statement, i int, schema string) byte {
	next, text := s.qualified(i)
	parts := splitQualified(text)
	name := parts[len(parts)-1]
	if len(parts) > 1 {
		schema = parts[len(parts)-2]
	}
	builtin := len(parts) == 1 || schema == "pg_catalog"
	if builtin {
		switch name {
		case "real", "float4":
			return floatsReal
		case "double", "float8", "point", "lseg", "path", "box", "polygon", "line", "circle":
			return floatsDouble
		case "float": // float(24) and less are real
			if s.is(next, "(") {
				return floatsUnknown
			}
			return floatsDouble
		}
	}
	if name == "cube" {
		return floatsDouble
	}
	if e := c.types[tableName{schema, name}]; e != nil && schema != "pg_catalog" {
		return c.userType(e)
	}
	if builtin || c.types[tableName{schema, name}] == nil && schema == "pg_catalog" {
		return floatsNone
	}
	return floatsUnknown // of an extension, or not in this dump
}

// userType is the mark of a type that the catalog defines.
func (c *catalogTypes) userType(e *archive.Entry) byte {
	if c.open[e] {
		return floatsUnknown
	}
	if c.tables[e.ID] != nil {
		marks := make(map[string]byte)
		c.columns(e, marks)
		return composite(marks)
	}
	c.open[e] = true
	defer delete(c.open, e)
	all := lexStatements(e.DDL, c.std)
	if len(all) == 0 {
		return floatsUnknown
	}
	s := all[len(all)-1]
	for _, x := range all {
		if x.is(0, "CREATE", e.Kind) {
			s = x
		}
	}
	i, _ := s.qualified(2)
	switch {
	case s.is(i, "AS", "ENUM"):
		return floatsNone
	case s.is(0, "CREATE", "DOMAIN"):
		if s.is(i, "AS") {
			i++
		}
		return c.mark(s, i, e.Schema)
	case s.is(i, "AS", "("):
		marks := make(map[string]byte)
		c.list(s, i+1, e.Schema, marks)
		return composite(marks)
	case s.is(i, "AS", "RANGE", "("):
		for _, item := range s.list(i + 2) {
			if s.is(item[0], "SUBTYPE", "=") {
				return c.mark(s, item[0]+2, e.Schema)
			}
		}
	}
	return floatsUnknown // a base type, whose output function may print whatever it likes
}

// composite is the mark of a type with these columns: floats in it can't be told from other text.
func composite(marks map[string]byte) byte {
	for _, mark := range marks {
		if mark != floatsNone {
			return floatsUnknown
		}
	}
	return floatsNone
}

// splitQualified takes a name of one or more parts apart.
func splitQualified(text string) []string {
	var parts []string
	for _, t := range lexSQL(text, true) {
		if t.kind == tokenWord || t.kind == tokenQuoted {
			parts = append(parts, unquoteName(text[t.from:t.to]))
		}
	}
	if len(parts) == 0 {
		return []string{""}
	}
	return parts
}
