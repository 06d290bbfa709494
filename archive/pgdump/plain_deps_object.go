package pgdump

import "strings"

// objectOf finds what a comment, a label or a right is of. It is nil where that is nothing that the script makes, such as a
// function of the server, or where the statement does not tell.
func (f *depFinder) objectOf(e *scriptEntry, std bool, wide wideEncoding) *scriptEntry {
	r := newSQLReader([]byte(e.DDL), std, wide)
	switch e.Kind {
	case kindComment:
		if !r.skip("comment on") {
			return nil
		}
		return f.objectNamed(e, r, "is")
	case "SECURITY LABEL":
		if r.find("on") == "" {
			return nil
		}
		r.next()
		return f.objectNamed(e, r, "is")
	}
	for !r.at("grant") && !r.at("revoke") {
		if r.t.kind == sqlEnd {
			return nil
		}
		r.next()
	}
	if r.find("on") == "" {
		return nil
	}
	r.next()
	return f.objectNamed(e, r, "to", "from")
}

// objectNamed reads a kind of object and its name, up to a keyword.
func (f *depFinder) objectNamed(e *scriptEntry, r *sqlReader, until ...string) *scriptEntry {
	sub := *r.lx.in
	from, pos := r.t.from, *r.lx
	first := r.t
	if r.find(until...) == "" {
		return nil
	}
	text := string(trimmed(r.sql[from:r.t.from]))
	*r.lx, *r.lx.in, r.t = pos, sub, first
	text = strings.Replace(text, "FOREIGN SERVER ", "SERVER ", 1)
	if strings.HasPrefix(text, "LANGUAGE ") {
		text = "PROCEDURAL " + text
	}
	for _, named := range []string{text, strings.Replace(text, "TYPE ", "DOMAIN ", 1), strings.Replace(text, "FUNCTION ", "AGGREGATE ", 1)} {
		if o := f.named[named]; o != nil {
			return o
		}
	}
	switch {
	case r.skip("schema"):
		if name, ok := r.ident(); ok {
			return f.schemas[name]
		}
	case r.skip("column"):
		return f.columnOwner(e, r)
	case r.skip("constraint"), r.skip("trigger"), r.skip("rule"), r.skip("policy"):
		return f.onTable(e, r)
	case r.skip("index"):
		if q, ok := r.qualified(); ok {
			return f.indexes[e.keyOf(q)]
		}
	case r.skip("table"), r.skip("view"), r.skip("materialized view"), r.skip("sequence"), r.skip("foreign table"):
		if q, ok := r.qualified(); ok {
			return f.relations[e.keyOf(q)]
		}
	}
	return nil
}

// columnOwner reads the name of a column, and finds its table or its type.
func (f *depFinder) columnOwner(e *scriptEntry, r *sqlReader) *scriptEntry {
	parts, text := r.path()
	switch len(parts) {
	case 2:
		parts = append([]string{e.Schema}, parts...)
	case 3:
	default:
		return nil
	}
	if o := f.relations[[2]string{parts[0], parts[1]}]; o != nil {
		return o
	}
	end := newSQLReader([]byte(text), true, narrow)
	for range len(parts) - 1 {
		end.next()
		end.next()
	}
	return f.named["TYPE "+strings.TrimSuffix(text[:max(end.t.from, 1)], ".")]
}

// onTable reads the name of what stands on a table, and finds the table: such a constraint is part of its definition.
func (f *depFinder) onTable(e *scriptEntry, r *sqlReader) *scriptEntry {
	if r.find("on") == "" {
		return nil
	}
	r.next()
	if r.skip("domain") {
		_, text := r.path()
		return f.named["DOMAIN "+text]
	}
	if q, ok := r.qualified(); ok {
		return f.relations[e.keyOf(q)]
	}
	return nil
}
