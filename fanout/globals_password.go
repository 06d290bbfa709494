package fanout

import (
	"slices"

	"github.com/pgark/pgark/archive"
)

// withoutRolePasswords gives a catalog whose roles have no passwords, a copy if any had one. The definition of a role stays as it is but
// for them.
func withoutRolePasswords(cat *archive.Catalog) *archive.Catalog {
	var changed *archive.Catalog
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind != kindRole && e.Kind != kindGlobal {
			continue
		}
		ddl := withoutPasswords(e.DDL)
		if ddl == e.DDL {
			continue
		}
		if changed == nil {
			c := *cat
			c.Entries = slices.Clone(cat.Entries)
			changed = &c
		}
		changed.Entries[i].DDL = ddl
	}
	if changed == nil {
		return cat
	}
	return changed
}

// withoutPasswords takes the passwords out of statements. A text that has none stays as it is, byte for byte.
func withoutPasswords(sql string) string {
	g := &globalsParser{}
	changed := false
	var kept []string
	for _, s := range lexStatements(sql, true) {
		if g.withoutPassword(s) {
			changed = true
			continue
		}
		changed = changed || len(s.edits) > 0
		kept = append(kept, s.result())
	}
	if !changed {
		return sql
	}
	return joinStatements(kept)
}
