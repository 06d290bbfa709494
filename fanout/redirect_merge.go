package fanout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// collisions refuses objects that would have the same name once schemas are one. Their entries have the new names already.
func (r *redirection) collisions() error {
	type place struct{ schema, kind, name string }
	first := make(map[place]*archive.Entry)
	var both []string
	for _, e := range r.plan.order {
		if !r.isTarget(e.Schema) || !r.plan.wanted[e.ID].schema {
			continue
		}
		for _, name := range r.takes(e) {
			k := place{e.Schema, name[0], name[1]}
			o := first[k]
			if o == nil {
				first[k] = e
				continue
			}
			if a, b := r.plan.oldName(o), r.plan.oldName(e); r.oldSchema(o) != r.oldSchema(e) {
				both = append(both, fmt.Sprintf("%s and %s", sanitizeLine(a), sanitizeLine(b)))
			}
		}
	}
	if len(both) == 0 {
		return nil
	}
	slices.Sort(both)
	return fmt.Errorf("%w: schemas can't become one, since objects in them would have the same name: %s",
		ErrUsage, strings.Join(slices.Compact(both), ", "))
}

func (r *redirection) oldSchema(e *archive.Entry) string {
	if was, ok := r.plan.was[e.ID]; ok {
		return was.schema
	}
	return e.Schema
}

// takes are the names that an entry's object takes, each with the space of names that it is in.
func (r *redirection) takes(e *archive.Entry) [][2]string {
	switch e.Kind {
	case kindTable, "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "EXTERNAL TABLE":
		return [][2]string{{"relation", e.Name}, {"type", e.Name}}
	case "SEQUENCE", "INDEX":
		return [][2]string{{"relation", e.Name}}
	case "TYPE", "DOMAIN":
		return [][2]string{{"relation", e.Name}, {"type", e.Name}}
	case "CONSTRAINT": // has an index of its name
		w := &renamer{statement: statement{sql: e.DDL, tokens: lexSQL(e.DDL, r.names.std)}}
		for i := range w.tokens {
			if w.words(i, "ADD", "CONSTRAINT") && w.named(i+2) {
				return [][2]string{{"relation", w.ident(i + 2)}}
			}
		}
	case kindTableData, "SEQUENCE SET", "SEQUENCE OWNED BY", "DEFAULT", "FK CONSTRAINT", "CHECK CONSTRAINT", "TRIGGER", "RULE", "POLICY":
		return nil // go with a table
	}
	if e.Drop == "" {
		return nil
	}
	return [][2]string{{"other", strings.Replace(e.Drop, "DROP PROCEDURE", "DROP FUNCTION", 1)}}
}

// oldName is an entry's kind and name as the archive has them.
func (p *Plan) oldName(e *archive.Entry) string {
	if was, ok := p.was[e.ID]; ok {
		old := *e
		old.Schema, old.Name = was.schema, was.table
		return describeEntry(&old)
	}
	return describeEntry(e)
}
