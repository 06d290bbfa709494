package pgdump

import "strings"

// setNames gives the entry the names that its statements have; the comment's where they tell none.
func (d *draft) setNames(e *scriptEntry) {
	schema := d.obj.schema()
	tags := d.obj.tags
	if d.isData() {
		schema, tags = d.target.schema, []string{d.target.name}
	}
	if schema == "" && !schemaLess(e.Kind) {
		unnamed := d.obj.name.name == "" && d.target.name == ""
		switch {
		case d.env.schema != "" && !(e.said.noSchema && d.toc != nil && unnamed):
			schema = d.env.schema
		case !e.said.noSchema:
			schema = e.said.schema
		}
	}
	e.Schema = schema
	e.Name = e.said.name
	switch {
	case d.hasData():
		e.Name = d.target.name
	case d.toc == nil && e.Kind == "RULE":
		e.Name = d.obj.name.name + " _RETURN"
	case e.Kind == kindBlobs && e.Name == "":
		e.Name = kindBlobs
	case e.Name == "" && len(tags) == 0 && !ownedBySignature(e.Kind):
		e.Name = statementName(e.Kind, strings.TrimRight(e.DDL, "\n"))
	case len(tags) > 0 && (d.toc == nil || ownable(e.Kind) && !ownedBySignature(e.Kind) && e.Kind != kindBlobGroup):
		e.Name = tags[0]
	default:
		for _, tag := range tags {
			if sanitized(tag) == e.Name {
				e.Name = tag
			}
		}
	}
	if name := d.obj.name.name; ownedBySignature(e.Kind) && e.Kind != "OPERATOR CLASS" && e.Kind != "OPERATOR FAMILY" && name != "" {
		e.Name = signatureTag(e.Name, name, d.obj.named)
	}
}

// statementName is the name of what a script without comments (--) does not name: what a comment or a right is on, as "EVENT TRIGGER e", which says when
// it can be restored, else the statement.
func statementName(kind, sql string) string {
	switch kind {
	case kindComment:
		if rest, ok := strings.CutPrefix(sql, "COMMENT ON "); ok {
			sql, _, _ = strings.Cut(rest, " IS ")
		}
	case kindACL:
		if _, rest, ok := strings.Cut(sql, " ON "); ok {
			sql, _, _ = strings.Cut(rest, " TO ")
			sql, _, _ = strings.Cut(sql, " FROM ")
		}
	}
	return sanitized(sql[:min(len(sql), maxStatementName)])
}

// maxStatementName is how much of a statement is its name where nothing else is.
const maxStatementName = 60

// signatureTag is the name of a function with its arguments' types. The comment tells it, save for a line break in the name.
func signatureTag(said, name, named string) string {
	if args, ok := strings.CutPrefix(said, sanitized(name)+"("); ok {
		return name + "(" + args
	}
	if i := strings.IndexByte(named, '('); said == "" && i >= 0 {
		return name + named[i:]
	}
	if said == "" {
		return name
	}
	return said
}

// schemaLess tells whether objects of a kind are in no schema.
func schemaLess(kind string) bool {
	switch kind {
	case "SCHEMA", "EXTENSION", "PROCEDURAL LANGUAGE", "CAST", "TRANSFORM", "ACCESS METHOD", "FOREIGN DATA WRAPPER", "SERVER",
		"USER MAPPING", "EVENT TRIGGER", "PUBLICATION", "SUBSCRIPTION", "DATABASE", "DATABASE PROPERTIES", "PROTOCOL", kindBlob,
		kindBlobs, kindBlobGroup:
		return true
	}
	return false
}
