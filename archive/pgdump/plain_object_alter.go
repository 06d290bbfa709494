package pgdump

// alterTable reads an ALTER TABLE statement after these words.
func (r *sqlReader) alterTable(o *object) {
	r.skip("if exists")
	only := ""
	if r.skip("only") {
		only = "ONLY "
	}
	table, ok := r.qualified()
	if !ok {
		return
	}
	switch {
	case r.skip("add constraint"):
		from := r.t.from
		name, ok := r.ident()
		if !ok {
			return
		}
		text := string(trimmed(r.sql[from:r.t.from]))
		*o = object{
			name: qualified{name: name, text: text}, table: table, drop: "ALTER TABLE " + only + table.text + " DROP CONSTRAINT " + text + ";\n",
			named: "CONSTRAINT " + text + " ON " + table.text, tags: []string{table.name + " " + name, name},
		}
		r.constraint(o)
	case r.skip("attach partition"):
		if child, ok := r.qualified(); ok {
			*o = object{kind: "TABLE ATTACH", name: child, table: child, refs: []qualified{table}, tags: []string{child.name}}
		}
	case r.skip("enable row level security"):
		*o = object{
			kind: "ROW SECURITY", name: qualified{name: table.name}, table: table, tags: []string{table.name},
		}
	case r.skip("alter"):
		r.alterColumn(o, table)
	case r.skip("enable always trigger"), r.skip("enable replica trigger"), r.skip("enable trigger"), r.skip("disable trigger"):
		// A partition's trigger is made with that of the table above it, but may be switched otherwise.
		if name, ok := r.ident(); ok && name != "all" && name != "user" {
			*o = object{kind: "TRIGGER", name: qualified{name: name}, table: table, tags: []string{table.name + " " + name, name}}
		}
	case r.skip("inherit"):
		if parent, ok := r.qualified(); ok {
			*o = object{table: table, refs: []qualified{parent}}
		}
	}
}

// constraint reads what kind of constraint is added.
func (r *sqlReader) constraint(o *object) {
	switch {
	case r.at("foreign"):
		o.kind = "FK CONSTRAINT"
		if r.find("references") != "" {
			r.next()
			if q, ok := r.qualified(); ok {
				o.refs = append(o.refs, q)
			}
		}
	case r.at("check"):
		o.kind = "CHECK CONSTRAINT"
	case r.at("primary"), r.at("unique"):
		o.kind, o.key, o.backed = "CONSTRAINT", true, true
	case r.at("exclude"):
		o.kind, o.backed = "CONSTRAINT", true
	case r.at("not"):
		o.kind = "CONSTRAINT"
	default:
		*o = object{}
	}
}

// alterColumn reads the default of a column, or an identity column, which is how its sequence is made.
func (r *sqlReader) alterColumn(o *object, table qualified) {
	r.skip("column")
	from := r.t.from
	column, ok := r.ident()
	if !ok {
		return
	}
	text := string(trimmed(r.sql[from:r.t.from]))
	switch {
	case r.skip("set default"):
		*o = object{
			kind: "DEFAULT", name: qualified{name: column, text: text}, table: table, tags: []string{table.name + " " + column, column},
			drop: "ALTER TABLE " + table.text + " ALTER COLUMN " + text + " DROP DEFAULT;\n",
		}
	case r.skip("add generated"):
		for r.t.kind != sqlEnd && !r.skip("sequence name") {
			r.next()
		}
		if q, ok := r.qualified(); ok {
			*o = object{kind: "SEQUENCE", name: q, table: table, named: "SEQUENCE " + q.text, tags: []string{q.name}}
		}
	}
}

// alter reads all other ALTER statements.
func (r *sqlReader) alter(o *object) {
	switch {
	case r.skip("sequence"):
		seq, ok := r.qualified()
		if !ok || !r.skip("owned by") {
			return
		}
		*o = object{kind: "SEQUENCE OWNED BY", name: seq, tags: []string{seq.name}}
		if parts, _ := r.path(); len(parts) == 3 {
			o.table = qualified{schema: parts[0], name: parts[1]}
		} else if len(parts) == 2 {
			o.table = qualified{name: parts[0]}
		}
	case r.skip("index"):
		parent, ok := r.qualified()
		if !ok || !r.skip("attach partition") {
			return
		}
		if child, ok := r.qualified(); ok {
			*o = object{kind: "INDEX ATTACH", name: child, refs: []qualified{parent}, tags: []string{child.name}}
		}
	case r.skip("domain"):
		r.alterDomain(o)
	case r.skip("publication"):
		r.alterPublication(o)
	case r.skip("default privileges"):
		o.kind = "DEFAULT ACL"
	case r.skip("database"):
		r.databaseProperties(o)
	case r.skip("role"): // ... IN DATABASE
		r.find("database")
		r.skip("database")
		r.databaseProperties(o)
	case r.skip("foreign table"):
		r.alterTable(o)
		if o.kind == "DEFAULT" {
			o.drop = "ALTER FOREIGN TABLE" + o.drop[len("ALTER TABLE"):]
		}
	case r.skip("type"):
		q, ok := r.qualified()
		if ok && r.skip("set default encoding") {
			*o = object{kind: kindTypeStorage, name: q, tags: []string{q.name}}
		}
	}
}

func (r *sqlReader) databaseProperties(o *object) {
	o.kind = "DATABASE PROPERTIES"
	if name, ok := r.ident(); ok {
		o.tags = []string{name}
	}
}

func (r *sqlReader) alterDomain(o *object) {
	domain, ok := r.qualified()
	if !ok || !r.skip("add constraint") {
		return
	}
	from := r.t.from
	if name, ok := r.ident(); ok {
		text := string(trimmed(r.sql[from:r.t.from]))
		*o = object{
			kind: "CHECK CONSTRAINT", name: qualified{schema: domain.schema, name: name, text: text},
			drop:  "ALTER DOMAIN " + domain.text + " DROP CONSTRAINT " + text + ";\n",
			named: "CONSTRAINT " + text + " ON DOMAIN " + domain.text, tags: []string{domain.name + " " + name, name},
		}
	}
}

func (r *sqlReader) alterPublication(o *object) {
	name, ok := r.ident()
	if !ok {
		return
	}
	publication := qualified{name: name}
	switch {
	case r.skip("add table"):
		r.skip("only")
		if q, ok := r.qualified(); ok {
			*o = object{kind: "PUBLICATION TABLE", name: publication, table: q, tags: []string{name + " " + q.name, q.name}}
		}
	case r.skip("add tables in schema"):
		if schema, ok := r.ident(); ok {
			*o = object{
				kind: "PUBLICATION TABLES IN SCHEMA", name: qualified{schema: schema, name: name}, tags: []string{name + " " + schema},
			}
		}
	}
}
