package pgdump

// object is what a statement says of the object that it makes or changes.
type object struct {
	kind  string      // of entry, as pg_dump calls it; "" if the statement is of no kind that pg_dump writes
	name  qualified   // of the object itself; a constraint's, a trigger's, a column's has no schema
	table qualified   // the relation that it is part of, or is attached to another
	refs  []qualified // other relations: parents, what a foreign key references, the index that another is attached to
	named string      // how DROP and COMMENT name it: "TABLE s.t", "TRIGGER x ON s.t"; "" if it has no such name
	drop  string      // statement that removes it, where that is not DROP with named
	tags  []string    // what pg_dump calls it, the newest release's way first; empty where the comment has to tell

	partitioned bool // a table by PARTITION BY
	key         bool // a primary key or unique: foreign keys may reference it
	backed      bool // a constraint that has an index, and so a tablespace
}

// schema is where the entry of the object belongs; "" if it is in none or the statement does not tell.
func (o *object) schema() string {
	if o.name.schema == "" {
		return o.table.schema
	}
	return o.name.schema
}

// identify reads the first statement of an entry, without its semicolon.
func identify(sql []byte, std bool, wide wideEncoding) object {
	r := newSQLReader(sql, std, wide)
	var o object
	switch {
	case r.skip("create"):
		r.create(&o)
	case r.skip("alter table"):
		r.alterTable(&o)
	case r.skip("alter"):
		r.alter(&o)
	case r.skip("comment on"):
		o.kind = "COMMENT"
	case r.skip("security label"):
		o.kind = "SECURITY LABEL"
	case r.at("grant"), r.at("revoke"), r.skip("set session authorization"):
		o.kind = "ACL"
	case r.skip("refresh materialized view"):
		if q, ok := r.qualified(); ok {
			o = object{kind: "MATERIALIZED VIEW DATA", name: q, tags: []string{q.name}}
		}
	case r.skip("select"):
		r.selectCall(&o)
	}
	return o
}

// create reads a CREATE statement after its first word.
func (r *sqlReader) create(o *object) {
	r.skip("or replace")
	r.skipAny("global", "local", "temporary", "temp", "unlogged", "recursive", "trusted", "unique", "default", "writable",
		"readable", "constraint", "procedural")
	switch {
	case r.skip("table"):
		r.createTable(o, "TABLE")
	case r.skip("foreign table"):
		r.createTable(o, "FOREIGN TABLE")
	case r.skip("external table"), r.skip("external web table"):
		r.plain(o, "EXTERNAL TABLE")
	case r.skip("view"):
		r.plain(o, "VIEW")
	case r.skip("materialized view"):
		r.plain(o, "MATERIALIZED VIEW")
	case r.skip("index"):
		r.createIndex(o)
	case r.skip("function"):
		r.createRoutine(o, "FUNCTION")
	case r.skip("procedure"):
		r.createRoutine(o, "PROCEDURE")
	case r.skip("aggregate"):
		r.createAggregate(o)
	case r.skip("type"):
		r.createType(o)
	case r.skip("operator class"):
		r.createOperatorClass(o, "OPERATOR CLASS")
	case r.skip("operator family"):
		r.createOperatorClass(o, "OPERATOR FAMILY")
	case r.skip("operator"):
		r.createOperator(o)
	case r.skip("cast"):
		if g, ok := r.group(); ok {
			*o = object{kind: "CAST", named: "CAST " + g, tags: []string{"CAST " + g}}
		}
	case r.skip("transform"):
		r.createTransform(o)
	case r.skip("rule"):
		r.createOn(o, "RULE", "to")
	case r.skip("trigger"):
		r.createOn(o, "TRIGGER", "on")
	case r.skip("policy"):
		r.createOn(o, "POLICY", "on")
	case r.skip("user mapping"):
		r.createUserMapping(o)
	default:
		r.createNamed(o)
	}
}

// createNamed reads what has a kind of words, and a name.
func (r *sqlReader) createNamed(o *object) {
	for words, kind := range map[string]string{
		"schema": "SCHEMA", "extension": "EXTENSION", "sequence": "SEQUENCE", "domain": "DOMAIN", "language": "PROCEDURAL LANGUAGE",
		"access method": "ACCESS METHOD", "collation": "COLLATION", "conversion": "CONVERSION",
		"text search parser": "TEXT SEARCH PARSER", "text search dictionary": "TEXT SEARCH DICTIONARY",
		"text search template": "TEXT SEARCH TEMPLATE", "text search configuration": "TEXT SEARCH CONFIGURATION",
		"foreign data wrapper": "FOREIGN DATA WRAPPER", "server": "SERVER", "event trigger": "EVENT TRIGGER",
		"publication": "PUBLICATION", "subscription": "SUBSCRIPTION", "database": "DATABASE", "protocol": "PROTOCOL",
		"statistics": "STATISTICS",
	} {
		if !r.skip(words) {
			continue
		}
		r.plain(o, kind)
		if kind == "STATISTICS" && r.find("from") != "" {
			r.next()
			o.table, _ = r.qualified()
		}
		return
	}
}

// plain reads a name that is all there is to the object's own.
func (r *sqlReader) plain(o *object, kind string) {
	r.skip("if not exists")
	if q, ok := r.qualified(); ok {
		*o = object{kind: kind, name: q, named: kind + " " + q.text, tags: []string{q.name}}
	}
}

func (r *sqlReader) createTable(o *object, kind string) {
	r.plain(o, kind)
	if o.kind == "" {
		return
	}
	if r.skip("partition of") {
		if q, ok := r.qualified(); ok {
			o.refs = append(o.refs, q)
		}
	}
	for {
		switch r.find("inherits", "partition", "as") {
		case "":
			return
		case "as": // CREATE TABLE AS, which reads what is there
			*o = object{}
			return
		case "inherits":
			r.next()
			r.parents(o)
		case "partition":
			r.next()
			o.partitioned = o.partitioned || r.at("by")
		}
	}
}

// parents reads the list of INHERITS.
func (r *sqlReader) parents(o *object) {
	if !r.skipMark('(') {
		return
	}
	for {
		q, ok := r.qualified()
		if !ok {
			return
		}
		o.refs = append(o.refs, q)
		if !r.skipMark(',') {
			return
		}
	}
}

func (r *sqlReader) createIndex(o *object) {
	r.skip("concurrently")
	r.skip("if not exists")
	name, ok := r.qualified()
	if !ok || !r.skip("on") {
		return
	}
	r.skip("only")
	if table, ok := r.qualified(); ok {
		*o = object{kind: "INDEX", name: name, table: table, tags: []string{name.name}}
		o.name.schema = table.schema
		o.named = "INDEX " + inSchemaOf(table, name.text)
	}
}

// inSchemaOf qualifies a name as another is.
func inSchemaOf(q qualified, name string) string {
	if q.schema == "" {
		return name
	}
	r := newSQLReader([]byte(q.text), true, narrow)
	r.next()
	if r.atMark('.') {
		return q.text[:r.t.to] + name
	}
	return name
}

func (r *sqlReader) createType(o *object) {
	r.plain(o, "TYPE")
	if r.atMark('(') { // a base type: its functions go with it
		o.drop = "DROP " + o.named + " CASCADE;\n"
	}
}

// createOn reads what has a name of its own and stands on a table behind a keyword.
func (r *sqlReader) createOn(o *object, kind, before string) {
	from := r.t
	name, ok := r.ident()
	text := string(trimmed(r.sql[from.from:r.t.from]))
	if !ok || r.find(before) == "" {
		return
	}
	r.next()
	if table, ok := r.qualified(); ok {
		*o = object{
			kind: kind, name: qualified{name: name, text: text}, table: table, named: kind + " " + text + " ON " + table.text,
			tags: []string{table.name + " " + name, name},
		}
	}
}
