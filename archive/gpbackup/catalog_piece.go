package gpbackup

import (
	"strings"

	"github.com/pgark/pgark/archive"
)

// The kinds of entry about another one.
const (
	kindComment = "COMMENT"
	kindACL     = "ACL"
	kindLabel   = "SECURITY LABEL"
)

// pieces makes entries of pieces. Several may be about one object: its definition, its owner, rights, a comment. Before
// gpbackup 1.9 all of that was in one piece.
func (b *catalogBuilder) pieces(all []piece, section archive.Section) {
	for i := range all {
		p := &all[i]
		w := sortWords(p)
		id := b.last[p.key()]
		if p.of == "POLICY" {
			b.rowSecurity(p, &w)
		}
		// Names don't tell whether this is another object: operators with other operands have the same, so have constraints
		// of other tables, and a type and its shell. The text does.
		if w.defines || id == 0 && len(w.other) > 0 {
			id = b.define(p, w.other, section)
			b.last[p.key()] = id
		} else if len(w.other) > 0 {
			b.further(id, p, w.other)
		}
		b.owned(id, p, &w, section)
		b.describe(id, p, &w)
	}
}

// words are the statements of a piece, by what they do.
type words struct {
	other                    []string // define the object, or alter it
	defines                  bool     // define it
	comments, labels, rights []string
	object, owner            string // of ALTER object OWNER TO owner
}

func sortWords(p *piece) words {
	var w words
	for _, st := range splitSQL(p.text) {
		switch {
		case hasPrefix(st, "GRANT ", "REVOKE "):
			w.rights = append(w.rights, st+";\n")
		case strings.HasPrefix(st, "COMMENT ON "):
			w.comments = append(w.comments, st+";\n")
		case strings.HasPrefix(st, "SECURITY LABEL "):
			w.labels = append(w.labels, st+";\n")
		default:
			if object, owner := ownerOf(st); owner != "" && isObject(object, p.of) {
				w.object, w.owner = object, owner
				continue
			}
			w.defines = w.defines || strings.HasPrefix(st, "CREATE ") || alwaysDefines(p.of)
			w.other = append(w.other, st)
		}
	}
	return w
}

// alwaysDefines tells the types of which each statement that is none about rights and the like makes something.
func alwaysDefines(of string) bool {
	switch of {
	case "CONSTRAINT", "DEFAULT PRIVILEGES", "SEQUENCE OWNER", "EXCHANGE PARTITION":
		return true
	}
	return false
}

// rowSecurity takes what makes row security of a table effective, which gpbackup writes with each policy.
func (b *catalogBuilder) rowSecurity(p *piece, w *words) {
	n := 0
	for n < len(w.other) && strings.HasPrefix(w.other[n], "ALTER TABLE ") {
		n++
	}
	if n == 0 {
		return
	}
	k := objectKey{"ROW SECURITY", p.Schema, p.Name}
	if b.last[k] == 0 {
		b.last[k] = b.add(archive.Entry{
			Kind: "ROW SECURITY", Schema: unquote(p.Schema), Name: unquote(p.Name), Section: archive.SectionPostData,
			DDL: lines(w.other[:n]),
		})
		b.afterRows(b.last[k], p)
	}
	w.other = w.other[n:]
}

// define adds the entry that makes an object.
func (b *catalogBuilder) define(p *piece, statements []string, section archive.Section) int32 {
	kind := kindOf(p, statements, section)
	e := archive.Entry{Kind: kind, Schema: unquote(p.Schema), Name: b.nameOf(kind, p, statements), Section: section}
	if !inSchema(kind) {
		e.Schema = ""
	}
	var values, kept, functions []string
	for _, st := range statements {
		switch {
		case kind == "SEQUENCE" && strings.HasPrefix(st, "SELECT pg_catalog.setval("): // data
			values = append(values, st+";\n")
		case kind == "EXTENSION" && strings.HasPrefix(st, "SET search_path"): // the statement names the schema, and others follow
		case p.of == "LANGUAGE" && len(kept) > 0:
			functions = append(functions, st)
		default:
			kept = append(kept, st)
		}
	}
	e.DDL, e.Drop = lines(kept), dropStatement(kind, p, statements)
	if kind == "DEFAULT ACL" {
		e.Owner = defaultRole(statements[0])
	}
	id := b.add(e)
	if e.Schema != "" {
		b.depend(id, b.schemas[p.Schema])
	}
	b.defined(id, p, statements)
	b.further(id, p, functions)
	for _, st := range values {
		b.late = append(b.late, archive.Entry{
			Kind: "SEQUENCE SET", Schema: e.Schema, Name: e.Name, Section: archive.SectionData, DDL: st, Deps: []int32{id},
		})
	}
	return id
}

// defined notes what others may refer to, and what a new entry depends on.
func (b *catalogBuilder) defined(id int32, p *piece, statements []string) {
	name, text := p.relation(), statements[0]
	switch kind := b.entry(id).Kind; kind {
	case "SCHEMA":
		b.schemas[p.Name] = id
	case "TABLE", "FOREIGN TABLE":
		b.relations[name] = id
		b.columns[name], b.spread[name] = tableColumns(text), spreadOf(text)
		if p.Reference != "" && p.Reference != name {
			b.parents[name] = p.Reference
			b.depend(id, b.relations[p.Reference])
		}
	case "EXTERNAL TABLE", "VIEW":
		b.relations[name] = id
	case "SEQUENCE":
		b.relations[name] = id
		if table, ok := strings.CutPrefix(text, "ALTER TABLE "); ok {
			b.identity++
			b.depend(id, b.relations[table[:qualifiedLength(table)]])
		}
	case "MATERIALIZED VIEW":
		b.relations[name] = id
		b.views++
	case "SEQUENCE OWNED BY":
		b.depend(id, b.relations[p.Reference], b.relations[name])
	case "EXCHANGE PARTITION": // the table, and the external one that becomes its partition
		for i := 0; i < len(text); {
			n := qualifiedLength(text[i:])
			table := b.relations[text[i:i+n]]
			b.depend(id, table)
			if table != 0 && b.entry(table).Kind == "EXTERNAL TABLE" {
				b.exchanged[text[i:i+n]] = true
			}
			i += max(n, 1)
		}
	case "RULE":
		if p.of == "VIEW" { // the view that stands for a dummy: what it needs is named in it
			b.depend(id, b.relations[name])
			b.entry(id).Deps = append(b.entry(id).Deps, b.keys.ofNames(text)...)
			return
		}
		b.afterRows(id, p)
	default:
		b.afterRows(id, p)
		b.keyed(id, p, kind, text)
	}
}

// further adds what alters an object that is there.
func (b *catalogBuilder) further(id int32, p *piece, statements []string) {
	for _, st := range statements {
		if parent, index, ok := attachedIndex(st); ok { // waits for both indexes
			e := *b.entry(id)
			at := b.add(archive.Entry{Kind: "INDEX ATTACH", Schema: e.Schema, Name: e.Name, Section: e.Section, DDL: st + ";\n"})
			b.attached = append(b.attached, attachment{at, parent, index})
			continue
		}
		if object, owner := ownerOf(st); owner != "" && p.of == "LANGUAGE" { // of its functions: fails by itself, where it fails
			e := archive.Entry{Kind: "PROCEDURAL LANGUAGE", Name: object, Section: b.entry(id).Section, DDL: st + ";\n"}
			b.depend(b.add(e), id)
			continue
		}
		if part, schema, ok := movedPartition(st); ok && p.of == "TABLE" {
			b.moved[schema+"."+part] = relation{p.Schema, p.Name}
			b.depend(id, b.schemas[schema])
		}
		b.more[id] = append(b.more[id], st+";\n")
	}
}

// movedPartition reads ALTER TABLE partition SET SCHEMA schema, which gpbackup writes behind the definition of a partition's table.
func movedPartition(st string) (name, schema string, ok bool) {
	rest, ok := strings.CutPrefix(st, "ALTER TABLE ")
	if !ok {
		return "", "", false
	}
	n := qualifiedLength(rest)
	schema, ok = strings.CutPrefix(rest[n:], " SET SCHEMA ")
	from := nameLength(rest) + 1
	return rest[min(from, n):n], schema, ok && nameLength(schema) == len(schema)
}

// owned sets the owner of an object. id is 0 for what the set does not make.
func (b *catalogBuilder) owned(id int32, p *piece, w *words, section archive.Section) {
	switch {
	case w.owner == "":
	case id != 0:
		b.setOwner(id, unquote(w.owner))
		// Who restores takes what is not dropped for no object.
		if kind := b.entry(id).Kind; b.entry(id).Drop == "" && ownable(kind) {
			b.setDrop(id, "DROP "+w.object+";\n")
		}
	case p.of == "SCHEMA" && p.Name == "public": // who has it where it is restored keeps it
	default:
		b.add(archive.Entry{
			Kind: p.of, Schema: unquote(p.Schema), Name: unquote(p.Name), Section: section,
			DDL: "ALTER " + w.object + " OWNER TO " + w.owner + ";\n",
		})
	}
}

// describe adds comments, labels and rights of an object as entries of their own, one for each of these. Statements about
// columns come in other pieces than those about their table, and have to be carried out after them.
func (b *catalogBuilder) describe(id int32, p *piece, w *words) {
	for _, x := range []struct {
		kind       string
		statements []string
	}{{kindComment, w.comments}, {kindLabel, w.labels}, {kindACL, w.rights}} {
		if len(x.statements) == 0 {
			continue
		}
		k := aboutKey{x.kind, id}
		if at := b.about[k]; at != 0 {
			b.more[at] = append(b.more[at], x.statements...)
			continue
		}
		e := archive.Entry{Kind: x.kind, Section: archive.SectionNone, DDL: strings.Join(x.statements, "")}
		if id != 0 {
			e.Schema, e.Name, e.Deps = b.entry(id).Schema, b.tagOf(id, p), []int32{id}
			b.about[k] = b.add(e)
			continue
		}
		kind := kindOf(p, nil, archive.SectionPreData)
		if e.Name = kind + " " + unquote(p.Name); inSchema(kind) {
			e.Schema = unquote(p.Schema)
		}
		b.add(e)
	}
}

// lines are statements as one text.
func lines(statements []string) string {
	if len(statements) == 0 {
		return ""
	}
	return strings.Join(statements, ";\n") + ";\n"
}

// ownerOf reads ALTER object OWNER TO owner; both are empty for other statements.
func ownerOf(st string) (object, owner string) {
	alter, ok := strings.CutPrefix(st, "ALTER ")
	if !ok {
		return "", ""
	}
	owner, ok = after(alter, "OWNER TO ")
	if end := nameLength(owner); !ok || end != len(owner) || end == 0 {
		return "", ""
	}
	return strings.TrimSpace(strings.TrimSuffix(alter, "OWNER TO "+owner)), owner
}
