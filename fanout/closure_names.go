package fanout

import (
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// deps is what an entry needs. Of a script only what is about the entry: its reader has what follows the rows wait for much of what
// stands before it, for the sake of the order.
func (c *closure) deps(e *archive.Entry) []int32 {
	if c.names == nil {
		return e.Deps
	}
	var deps []int32
	for _, id := range e.Deps {
		x := c.plan.byID[id]
		switch {
		case x == nil, follows(x): // nothing needs what belongs to something else
		case x.Kind == kindSchema && (e.Schema == "" || x.Name == e.Schema):
			deps = append(deps, id)
		case e.Kind == kindComment || e.Kind == kindACL || e.Kind == kindLabel: // its object stands first
			return append(deps, id)
		case x.Section == archive.SectionData && e.Section == archive.SectionPostData, x.Section == archive.SectionPostData && !keyNeeds(e.Kind, x.Kind):
		default:
			deps = append(deps, id)
		}
	}
	return deps
}

// recordsDependencies tells whether a catalog has what pg_dump knows of what depends on what. Scripts and sets of gpbackup have not, nor has what
// was made of them: their objects have no numbers.
func recordsDependencies(cat *archive.Catalog) bool {
	for i := range cat.Entries {
		switch e := &cat.Entries[i]; e.Kind {
		case kindTable, "VIEW", "SEQUENCE", "FUNCTION", "TYPE", kindSchema:
			return cat.TOCVersion != "" && e.TableOID != 0
		}
	}
	return cat.TOCVersion != ""
}

// keyNeeds tells whether what follows the rows may need an entry of another kind that does, too.
func keyNeeds(kind, other string) bool {
	index := func(kind string) bool { return kind == "INDEX" || kind == "CONSTRAINT" || kind == "INDEX ATTACH" }
	return index(other) && (index(kind) || kind == "FK CONSTRAINT" || kind == kindStatistics) || kind == "TRIGGER" && other == "TRIGGER" ||
		other == "PUBLICATION" && strings.HasPrefix(kind, "PUBLICATION TABLE")
}

// register makes an entry known by its name, in a catalog that does not record what depends on what.
func (c *closure) register(e *archive.Entry) {
	switch e.Kind {
	case kindTable, "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "EXTERNAL TABLE", "TYPE", "DOMAIN", "SEQUENCE", "FUNCTION", "AGGREGATE", "PROCEDURE", "COLLATION",
		"SHELL TYPE", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TEXT SEARCH PARSER", "TEXT SEARCH TEMPLATE":
		for _, name := range routineNames(e) {
			c.names[tableName{e.Schema, name}] = append(c.names[tableName{e.Schema, name}], e.ID)
		}
		if e.Kind != "TYPE" {
			break
		}
		for _, s := range c.statements(e) {
			if multi, ok := s.multirange(); ok {
				c.names[multi] = append(c.names[multi], e.ID)
			}
		}
	case "SERVER", "FOREIGN DATA WRAPPER", "PROCEDURAL LANGUAGE", "ACCESS METHOD", "PROTOCOL":
		c.names[tableName{"", e.Name}] = append(c.names[tableName{"", e.Name}], e.ID)
	case "EXTENSION": // which may be called as the wrapper or the language that it makes
		c.names[tableName{"", e.Name}] = append(c.names[tableName{"", e.Name}], e.ID)
		for _, s := range c.statements(e) {
			if at := s.find("SCHEMA"); at > 0 && s.isName(at+1) {
				c.extensions[s.name(at+1)] = append(c.extensions[s.name(at+1)], e.ID)
			}
		}
	}
}

// multirange is the name of the type that CREATE TYPE ... AS RANGE makes besides the range.
func (s *statement) multirange() (name tableName, ok bool) {
	for i := range s.tokens {
		if s.is(i, "multirange_type_name", "=") && s.isName(i+2) && s.is(i+3, ".") && s.isName(i+4) {
			return tableName{s.name(i + 2), s.name(i + 4)}, true
		}
	}
	return tableName{}, false
}

func (c *closure) statements(e *archive.Entry) []*statement {
	return lexStatements(e.DDL, c.plan.style.stdStrings)
}

// byName follows the names in a definition, in a catalog that does not record what depends on what.
func (c *closure) byName(e *archive.Entry) {
	for _, id := range c.namedIn(e) {
		how := "named in its definition"
		if x := c.plan.byID[id]; x.Kind == "EXTENSION" && !c.calls(e, x.Name) {
			how = "may have made what its definition names"
		}
		c.add(id, Need{By: e.ID, How: how})
		c.wholeFor(e, id)
	}
}

// namedIn finds what a definition names, in such a catalog.
func (c *closure) namedIn(e *archive.Entry) (found []int32) {
	if c.names == nil {
		return nil
	}
	add := func(schema, name string) {
		ids := c.names[tableName{schema, name}]
		switch {
		case name == "" && c.schemas[schema] != 0:
			ids = []int32{c.schemas[schema]}
		case len(ids) == 0 && schema != "":
			ids = c.mayMake(schema, name)
		}
		for _, id := range ids {
			if id != e.ID && !slices.Contains(found, id) {
				found = append(found, id)
			}
		}
	}
	if e.TableAM != "" {
		add("", e.TableAM)
	}
	var path []string // of a protocol, whose functions have no schema
	for _, s := range c.statements(e) {
		if s.is(0, "SET", "search_path", "=") && len(s.tokens) > 3 {
			path = splitQualified(s.sql[s.tokens[3].from:s.tokens[len(s.tokens)-1].to])
			continue
		}
		for i, t := range s.tokens {
			switch {
			case t.kind == tokenString && e.Kind == "PROTOCOL":
				for _, schema := range path {
					add(schema, strings.Trim(s.text(i), "'"))
				}
			case t.kind == tokenString && e.Kind == "EXTERNAL TABLE":
				if protocol, _, ok := strings.Cut(strings.Trim(s.text(i), "'"), "://"); ok {
					add("", protocol)
				}
			case t.kind == tokenString:
				add(c.registered(s, i))
			case s.isName(i) && s.is(i+1, ".") && s.isName(i+2) && !(i > 0 && s.is(i-1, ".")):
				add(s.name(i), s.name(i+2))
			case s.isName(i) && s.is(i+1, ".") && i+2 < len(s.tokens) && s.tokens[i+2].kind == tokenMark:
				if op := s.operator(i + 2); op != "" {
					add(s.name(i), op)
				}
			case s.isAny(i, "SERVER", "WRAPPER", "LANGUAGE", "USING") && s.isName(i+1):
				add("", s.name(i+1))
			case e.Kind == "EXTENSION" && s.is(i, "SCHEMA") && s.isName(i+1):
				if id, ok := c.schemas[s.name(i+1)]; ok {
					found = append(found, id)
				}
			}
		}
	}
	return found
}

// mayMake are the extensions that may have made an object: all of those in its schema, or the one of its name, as a type mostly is called.
func (c *closure) mayMake(schema, name string) []int32 {
	ids := c.extensions[schema]
	if i := slices.IndexFunc(ids, func(id int32) bool { return c.plan.byID[id].Name == name }); i >= 0 {
		return ids[i : i+1]
	}
	return ids
}

// routineNames are the names that an entry's object may have: all of the entry's, or what stands before an argument list, where it is not
// told whether a parenthesis belongs to the name.
func routineNames(e *archive.Entry) []string {
	names := []string{e.Name}
	for i := range len(e.Name) {
		if e.Name[i] == '(' {
			names = append(names, e.Name[:i])
		}
	}
	return names
}

// registered is the name of an object in a string, as 'schema.name'::regclass has it; none for other strings. A schema's is
// all there is.
func (c *closure) registered(s *statement, i int) (schema, name string) {
	at := i + 3
	if s.isName(at) && s.name(at) == "pg_catalog" && s.is(at+1, ".") {
		at += 2
	}
	w := &renamer{statement: *s, names: &schemaNames{std: c.plan.style.stdStrings}}
	content, ok := w.decode(i)
	if !ok || !s.is(i+1, ":", ":") || !s.isName(at) || !isRegType(s.name(at)) {
		return "", ""
	}
	x := &statement{sql: content, tokens: lexSQL(content, true)}
	switch {
	case !x.isName(0):
	case x.is(1, ".") && x.isName(2):
		return x.name(0), x.name(2)
	case x.is(1, ".") && len(x.tokens) > 2:
		return x.name(0), x.operator(2)
	case s.name(at) == "regnamespace" && len(x.tokens) == 1:
		return x.name(0), ""
	}
	return "", ""
}

// operator is the operator that begins with token i, "" if none does.
func (s *statement) operator(i int) string {
	to := i
	for to < len(s.tokens) && strings.Contains("+-*/<>=~!@#%^&|`?", s.text(to)) && (to == i || s.tokens[to].from == s.tokens[to-1].to) {
		to++
	}
	if to == i {
		return ""
	}
	return s.sql[s.tokens[i].from:s.tokens[to-1].to]
}
