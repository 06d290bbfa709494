package fanout

import (
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

const kindUserMapping = "USER MAPPING"

// silentParts takes in what definitions can't be read again without although nothing records it: casts between types that are there and
// default operator classes of them and of built-in types, the operator classes of exclusion constraints, and the user mappings of servers.
func (c *closure) silentParts() {
	for again := true; again; {
		again = false
		for _, e := range c.plan.order {
			if by, how := c.silently(e); by != 0 && c.add(e.ID, Need{By: by, How: how}) {
				again = true
			}
		}
		c.run()
	}
}

// silently tells for which entry that is there another one is needed, and how; 0 for none.
func (c *closure) silently(e *archive.Entry) (by int32, how string) {
	if _, in := c.needs[e.ID]; in {
		return 0, ""
	}
	switch e.Kind {
	case "CAST":
		for _, id := range append(slices.Clone(e.Deps), c.namedIn(e)...) {
			switch _, in := c.needs[id]; {
			case c.plan.byID[id] == nil, c.names != nil && c.plan.byID[id].Kind == "FUNCTION": // that it is used is recorded nowhere in a script
			case !in:
				return 0, ""
			case by == 0:
				by = id
			}
		}
		return by, "cast"
	case "OPERATOR CLASS":
		of := c.classOf(e)
		if by = c.where(func(x *archive.Entry) bool { return x.Kind == "TYPE" && (tableName{x.Schema, x.Name}) == of }); by != 0 {
			return by, "default operator class"
		}
		if of.schema == "pg_catalog" { // what values are compared with it nothing tells, but there are few such classes
			if by = c.where(comparesValues); by != 0 {
				return by, "default operator class of a built-in type"
			}
		}
		return c.where(func(x *archive.Entry) bool { return isExclusion(x) && c.mentions(x, e.Schema, e.Name) }), "operator class"
	case "EXTENSION":
		// The one whose operator classes are of the types that every server has.
		if e.Name == "btree_gist" {
			return c.where(isExclusion), "operator classes"
		}
	case "TRANSFORM":
		if of, language := c.transformOf(e); of != "" && c.names != nil {
			return c.where(func(x *archive.Entry) bool { return c.transforms(x, of, language) }), "transform"
		}
	case kindUserMapping:
		if _, server := userMapping(c.statements(e)); server != "" {
			return c.where(func(x *archive.Entry) bool { return x.Kind == "SERVER" && x.Name == server }), "part of"
		}
	}
	return 0, ""
}

// where is the first entry that is there and such, 0 if none is.
func (c *closure) where(such func(e *archive.Entry) bool) int32 {
	for _, id := range c.order {
		if such(c.plan.byID[id]) {
			return id
		}
	}
	return 0
}

// comparesValues tells whether an entry, or what belongs to it, may compare values by the default of their type: keys do, and queries.
func comparesValues(e *archive.Entry) bool {
	return e.Kind == kindTable || e.Kind == "VIEW" || e.Kind == "MATERIALIZED VIEW" || e.Kind == "INDEX" || e.Kind == "CONSTRAINT"
}

// isExclusion tells whether a constraint has a GiST index.
func isExclusion(e *archive.Entry) bool {
	return e.Kind == "CONSTRAINT" && (strings.Contains(e.DDL, " EXCLUDE USING gist ") || strings.Contains(e.DDL, ` EXCLUDE USING "gist" `) ||
		strings.Contains(e.DDL, " WITHOUT OVERLAPS)"))
}

// classOf is the type that an operator class is the default for; none for other classes. One without a schema is built in or, before 2018,
// in the schema of the class.
func (c *closure) classOf(e *archive.Entry) tableName {
	for _, s := range c.statements(e) {
		at := s.find("DEFAULT", "FOR", "TYPE")
		switch {
		case at < 0 || !s.isName(at+3):
		case s.is(at+4, ".") && s.isName(at+5):
			return tableName{s.name(at + 3), s.name(at + 5)}
		case slices.ContainsFunc(c.plan.order, func(x *archive.Entry) bool { return x.Kind == "TYPE" && x.Schema == e.Schema && x.Name == s.name(at+3) }):
			return tableName{e.Schema, s.name(at + 3)}
		default:
			return tableName{"pg_catalog", s.name(at + 3)}
		}
	}
	return tableName{}
}

// transformOf is the type of a transform, as it is written, and its language.
func (c *closure) transformOf(e *archive.Entry) (of, language string) {
	for _, s := range c.statements(e) {
		if at := s.find("LANGUAGE"); s.is(0, "CREATE", "TRANSFORM", "FOR") && at > 3 && s.isName(at+1) {
			return strings.TrimSpace(s.sql[s.tokens[3].from:s.tokens[at].from]), s.name(at + 1)
		}
	}
	return "", ""
}

// transforms tells whether a function has values of a type transformed. Scripts don't record what with.
func (c *closure) transforms(e *archive.Entry, of, language string) bool {
	if e.Kind != "FUNCTION" && e.Kind != "PROCEDURE" {
		return false
	}
	for _, s := range c.statements(e) {
		at := s.find("LANGUAGE")
		if at < 0 || !s.isName(at+1) || s.name(at+1) != language {
			continue
		}
		for i := range s.tokens {
			if s.is(i, "FOR", "TYPE") && i+2 < len(s.tokens) && strings.HasPrefix(s.sql[s.tokens[i+2].from:], of) {
				return true
			}
		}
	}
	return false
}

// mentions tells whether a definition has a name with its schema.
func (c *closure) mentions(e *archive.Entry, schema, name string) bool {
	for _, s := range c.statements(e) {
		for i := range s.tokens {
			if s.isName(i) && s.is(i+1, ".") && s.isName(i+2) && s.name(i) == schema && s.name(i+2) == name {
				return true
			}
		}
	}
	return false
}
