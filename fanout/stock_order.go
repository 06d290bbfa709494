package fanout

import (
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// withOrder gives entries dependencies that pg_restore -j needs to run them in a sound order, and that pg_dump leaves out:
//
// INDEX ATTACH depends on all tables that its own are partitions of. pg_restore -j takes the tables that an entry behind the data
// depends on for what it locks, and runs no two entries with one in common at the same time. A foreign key to or from a partitioned table locks
// all that is below, of which it names none; pg_dump has INDEX ATTACH name the two tables of its indexes, so where partitions have partitions the two
// may meet in a deadlock, and one of them is lost. Readers of scripts name no tables there at all.
//
// The rights on what is in a schema depend on the rights on the schema: whoever granted them, and grants them again, may have no other that
// lets them look into it.
func withOrder(cat *archive.Catalog) *archive.Catalog {
	byID := make(map[int32]*archive.Entry, len(cat.Entries))
	rights := make(map[string]int32) // on schemas
	for i := range cat.Entries {
		e := &cat.Entries[i]
		byID[e.ID] = e
		if schema, ok := strings.CutPrefix(e.Name, "SCHEMA "); ok && e.Kind == kindACL && e.Schema == "" {
			rights[schema] = e.ID
		}
	}
	above := descendantsOf(cat).parents()
	own := cat
	for i := range cat.Entries {
		e := &cat.Entries[i]
		deps := slices.Clip(e.Deps)
		if id, ok := rights[e.Schema]; ok && e.Kind == kindACL && !slices.Contains(deps, id) {
			deps = append(deps, id)
		}
		for at := 0; at < len(deps) && e.Kind == "INDEX ATTACH"; at++ { // to which the loop adds
			more := above[deps[at]]
			if x := byID[deps[at]]; x != nil && (x.Kind == "INDEX" || x.Kind == "CONSTRAINT") {
				more = x.Deps
			}
			for _, id := range more {
				if x := byID[id]; x != nil && x.Kind == kindTable && !slices.Contains(deps, id) {
					deps = append(deps, id)
				}
			}
		}
		if len(deps) == len(e.Deps) {
			continue
		}
		if own == cat {
			own = ownCatalog(cat, 0)
		}
		own.Entries[i].Deps = deps
	}
	return own
}
