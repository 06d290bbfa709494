package fanout

import (
	"context"
	"fmt"
	"slices"

	"github.com/pgark/pgark/wire"
)

// tableName is a table's schema and name.
type tableName struct{ schema, table string }

// orderByForeignKeys makes tables that refer to others by foreign keys wait for those, for a restore of rows alone into
// tables whose constraints exist already. Where tables refer to each other in a circle it has no order to offer: the
// server may then refuse rows, which is reported as any refusal is.
func (r *restoreRun) orderByForeignKeys(ctx context.Context, s *loadSession, steps []*Step) error {
	byName := make(map[tableName]*Step)
	for _, step := range steps {
		if step.Rows() {
			byName[tableName{step.Entry.Schema, step.Entry.Name}] = step
		}
	}
	if len(byName) < 2 {
		return nil
	}
	after := make(map[*Step][]*Step)
	err := s.conn.Query(ctx, `SELECT cn.nspname, c.relname, fn.nspname, f.relname FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_catalog.pg_class f ON f.oid = k.confrelid JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
WHERE k.contype = 'f' AND k.conrelid <> k.confrelid`, func(row wire.Row) error {
		child := byName[tableName{string(row.Get(0)), string(row.Get(1))}]
		parent := byName[tableName{string(row.Get(2)), string(row.Get(3))}]
		if child != nil && parent != nil {
			after[child] = append(after[child], parent)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for foreign keys in the target: %w", err)
	}
	for _, child := range steps {
		for _, parent := range after[child] {
			if !leadsTo(after, parent, child) && !slices.Contains(child.Deps, parent.Entry.ID) {
				child.Deps = append(child.Deps, parent.Entry.ID)
			}
		}
	}
	return nil
}

// leadsTo reports whether following the references of from arrives at to.
func leadsTo(after map[*Step][]*Step, from, to *Step) bool {
	seen := map[*Step]bool{from: true}
	for todo := []*Step{from}; len(todo) > 0; {
		step := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if step == to {
			return true
		}
		for _, next := range after[step] {
			if !seen[next] {
				seen[next] = true
				todo = append(todo, next)
			}
		}
	}
	return false
}
