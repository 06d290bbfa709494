package fanout

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// maxNameBytes is the length of the longest name that servers take; they cut longer ones, which is no way to name a schema.
const maxNameBytes = 63

// RedirectError says which of the selected objects can't be restored into another schema. Nothing was changed.
type RedirectError struct {
	Objects []RedirectedObject
}

// RedirectedObject is an object, as the archive calls it, and why it can't be restored into another schema.
type RedirectedObject struct{ Object, Why string }

func (e *RedirectError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "nothing was restored: %d of the selected objects can't be redirected to another schema:", len(e.Objects))
	for _, o := range e.Objects {
		fmt.Fprintf(&b, "\n  %s: %s", sanitizeLine(o.Object), sanitizeLine(o.Why))
	}
	b.WriteString("\nleave them out (-L with a list without them, or -n, -N, -t), or restore under the old name and use ALTER SCHEMA ... RENAME TO")
	return b.String()
}

// Unwrap makes it wrong usage.
func (e *RedirectError) Unwrap() error { return ErrUsage }

// redirection renames schemas in the entries of a plan.
type redirection struct {
	plan  *Plan
	names schemaNames
	lost  []RedirectedObject  // what is refused
	left  map[string][]string // by entry: strings that look like names and were left as they are
	order []string            // keys of left
}

// redirect renames the schemas that the options name, in the plan's own copy of the catalog. Selections were made by the
// names of the archive; all that comes after this sees the new ones.
func (p *Plan) redirect() error {
	to := p.Options.Redirect
	if len(to) == 0 {
		return nil
	}
	if err := checkRedirect(p.Catalog, to); err != nil {
		return err
	}
	r := &redirection{plan: p, left: make(map[string][]string), names: schemaNames{
		to: to, std: p.style.stdStrings, database: p.Catalog.Database, segmented: isSegmented(p.Catalog.Product), known: knownObjects(p.Catalog),
	}}
	p.was = make(map[int32]tableName)
	carriers := regCarriers(p.Catalog, p.style.stdStrings)
	for _, e := range p.order {
		r.rows(e, carriers)
	}
	for _, e := range p.order {
		was := tableName{e.Schema, e.Name}
		if r.entry(e); was != (tableName{e.Schema, e.Name}) {
			p.was[e.ID] = was
		}
	}
	if len(r.lost) > 0 {
		return &RedirectError{Objects: r.lost}
	}
	if err := r.collisions(); err != nil {
		return err
	}
	r.schemas()
	for _, name := range r.order {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s holds text that looks like a name in a redirected schema, and was left as it is: %s",
			sanitizeLine(name), sanitizeLine(someTables(r.left[name]))))
	}
	return nil
}

// checkRedirect refuses what can't be meant.
func checkRedirect(cat *archive.Catalog, to map[string]string) error {
	there := make(map[string]bool)
	for i := range cat.Entries {
		e := &cat.Entries[i]
		there[e.Schema] = true
		if e.Kind == kindSchema {
			there[e.Name] = true
		}
	}
	for _, from := range slices.Sorted(maps.Keys(to)) {
		target := to[from]
		switch {
		case from == "" || target == "":
			return fmt.Errorf("%w: a schema can't be redirected from or to an empty name", ErrUsage)
		case isSystemSchema(from):
			return fmt.Errorf("%w: schema %s can't be redirected: it is the server's own", ErrUsage, quoteID(from))
		case isSystemSchema(target):
			return fmt.Errorf("%w: schema %s can't be redirected to %s, which is the server's own", ErrUsage, quoteID(from), quoteID(target))
		case from == target:
			return fmt.Errorf("%w: schema %s can't be redirected to itself", ErrUsage, quoteID(from))
		case len(target) > maxNameBytes || strings.ContainsRune(target, 0):
			return fmt.Errorf("%w: %s is no name for a schema: servers take at most %d bytes", ErrUsage, quoteID(target), maxNameBytes)
		case !there[from]:
			return fmt.Errorf("%w: the archive has nothing in a schema %s to redirect", ErrUsage, quoteID(from))
		}
	}
	return nil
}

func isSystemSchema(name string) bool {
	return name == "information_schema" || strings.HasPrefix(name, "pg_")
}

// refuse notes that a selected entry can't be redirected.
func (r *redirection) refuse(e *archive.Entry, why string) {
	o := RedirectedObject{Object: describeEntry(e), Why: why}
	if !slices.Contains(r.lost, o) {
		r.lost = append(r.lost, o)
	}
}

// entry renames schemas in an entry. What it says counts only if it is going to be carried out.
func (r *redirection) entry(e *archive.Entry) {
	switch {
	case e.Kind == kindRoleSetting:
		if r.plan.wanted[e.ID].schema && mentionsAny(e.DDL, r.names.to) {
			r.plan.Warnings = append(r.plan.Warnings, fmt.Sprintf(
				"settings of role %s have the name of a redirected schema in them, and were left as they are", sanitizeLine(e.Name)))
		}
		return
	case e.Global():
		return
	}
	switch e.Kind {
	case "ENCODING", "STDSTRINGS", "SEARCHPATH", kindDatabase, kindBlob, kindBlobs, kindBlobMetadata:
		return
	}
	w := r.plan.wanted[e.ID]
	name, before := describeEntry(e), e.DDL
	var doubts []string
	change := func(sql *string, counts bool) {
		if *sql == "" {
			return
		}
		x := r.names.rename(*sql, e)
		*sql = x.sql
		if !counts {
			return
		}
		doubts = append(doubts, x.doubts...)
		if len(x.left) > 0 && r.left[name] == nil {
			r.order = append(r.order, name)
		}
		r.left[name] = append(r.left[name], x.left...)
	}
	change(&e.DDL, w.schema || w.data && !e.HadDumper)
	change(&e.Drop, r.plan.Options.Clean && w.any())
	change(&e.Copy, w.data)
	for _, why := range doubts {
		r.refuse(e, why)
	}
	if e.Kind == "EXTENSION" {
		r.extension(e, r.names.rename(before, e).sql != before)
	}
	e.Name = r.names.tag(e)
	if target, ok := r.names.to[e.Schema]; ok {
		e.Schema = target
	}
}

// rows refuses rows that can't be redirected: values that name objects by their schema, and tables of an extension that has its
// own schema.
func (r *redirection) rows(e *archive.Entry, carriers map[tableName]regNames) {
	if e.Kind != kindTableData || !r.plan.wanted[e.ID].data || !e.HadDumper {
		return
	}
	if of := carriers[tableName{e.Schema, e.Name}]; of > 0 {
		r.plan.named = append(r.plan.named, namedRows{e, of == regBare})
	}
	if _, ok := r.names.to[e.Schema]; !ok || r.plan.byID[r.plan.tables[e.ID]] == nil {
		return
	}
	if x := r.plan.byID[r.plan.tables[e.ID]]; x.Kind == "EXTENSION" && r.names.rename(x.DDL, x).sql == x.DDL {
		r.refuse(e, "it is a table of extension "+quoteID(x.Name)+", which is not made in that schema")
	}
}

// knownObjects are the names of a catalog's relations, types and functions.
func knownObjects(cat *archive.Catalog) map[tableName]bool {
	known := make(map[tableName]bool)
	for i := range cat.Entries {
		switch e := &cat.Entries[i]; e.Kind {
		case kindTable, "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "EXTERNAL TABLE", "SEQUENCE", "TYPE", "DOMAIN", "COLLATION":
			known[tableName{e.Schema, e.Name}] = true
		case "FUNCTION", "PROCEDURE", "AGGREGATE":
			name, _, _ := strings.Cut(e.Name, "(")
			known[tableName{e.Schema, name}] = true
		}
	}
	return known
}

// tag is an entry's name with the schemas renamed that it has in itself: argument types, and the schema that rights or a comment are of.
// It is what people see and nothing that is carried out.
func (n *schemaNames) tag(e *archive.Entry) string {
	switch e.Kind {
	case kindSchema:
		if target, ok := n.to[e.Name]; ok {
			return target
		}
	case kindACL, kindComment, kindLabel:
		if from, ok := strings.CutPrefix(e.Name, "SCHEMA "); ok {
			if target, ok := n.to[from]; ok {
				return "SCHEMA " + target
			}
			return e.Name
		}
		if strings.HasPrefix(e.Name, "FUNCTION ") || strings.HasPrefix(e.Name, "AGGREGATE ") || strings.HasPrefix(e.Name, "PROCEDURE ") {
			return n.signature(e.Name)
		}
	case "FUNCTION", "PROCEDURE", "AGGREGATE":
		return n.signature(e.Name)
	}
	return e.Name
}

// signature renames schemas in the argument types at the end of a name.
func (n *schemaNames) signature(name string) string {
	i := strings.LastIndexByte(name, '(')
	if i < 0 || !strings.HasSuffix(name, ")") {
		return name
	}
	return name[:i] + n.rename(name[i:], &archive.Entry{}).sql
}
