package fanout

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// extension notes an extension that the archive has in a schema which is redirected. Its objects are named in other definitions, which
// now look for them in the new schema. A database has an extension once, so to drop it could take it from the old schema.
func (r *redirection) extension(e *archive.Entry, moves bool) {
	if !moves {
		return
	}
	e.Drop, e.Nulls = "", e.Nulls|archive.NullDrop
	p := r.plan
	if !p.wanted[e.ID].schema {
		if !p.DataOnly {
			p.Warnings = append(p.Warnings, fmt.Sprintf(
				"extension %s is not selected: what refers to it is redirected, and finds it only if it is in the new schema", quoteID(e.Name)))
		}
		return
	}
	if p.moved == nil {
		p.moved = make(map[string]string)
	}
	w := &renamer{statement: statement{sql: e.DDL, tokens: lexSQL(e.DDL, r.names.std)}}
	for i := range w.tokens {
		if w.words(i, "WITH", "SCHEMA") && w.named(i+2) {
			p.moved[e.Name] = w.ident(i + 2)
		}
	}
}

// checkExtensions refuses, before anything is changed, to restore what needs an extension in a new schema where the database has it in another
// one.
func (r *restoreRun) checkExtensions(ctx context.Context, s *loadSession) error {
	if len(r.plan.moved) == 0 {
		return nil
	}
	rows, err := s.conn.QueryStrings(ctx, `SELECT e.extname, n.nspname FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace ORDER BY 1`)
	if err != nil {
		return fmt.Errorf("look for extensions in the target: %w", err)
	}
	is := make(map[string]string, len(rows))
	for _, row := range rows {
		is[row[0]] = row[1]
	}
	var elsewhere []string
	for _, name := range slices.Sorted(maps.Keys(r.plan.moved)) {
		if schema, there := is[name]; there && schema != r.plan.moved[name] {
			elsewhere = append(elsewhere, fmt.Sprintf("%s (in %s, not %s)", quoteID(name), quoteID(schema), quoteID(r.plan.moved[name])))
		}
	}
	if len(elsewhere) > 0 {
		return fmt.Errorf("%w: the database has extensions in other schemas than the redirected ones: %s; leave out what needs them, "+
			"move them (ALTER EXTENSION ... SET SCHEMA), or restore into a database of its own", ErrUsage, strings.Join(elsewhere, ", "))
	}
	return nil
}
