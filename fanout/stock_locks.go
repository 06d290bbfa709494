package fanout

import (
	"slices"

	"github.com/pgark/pgark/archive"
)

// withLocks has each INDEX ATTACH depend on all tables that its own are partitions of. pg_restore -j takes the tables that an entry behind the data
// depends on for what it locks, and runs no two entries with one in common at the same time. A foreign key to or from a partitioned table locks
// all that is below, of which it names none; pg_dump has INDEX ATTACH name the two tables of its indexes, so where partitions have partitions the two
// may meet in a deadlock, and one of them is lost. Readers of scripts name no tables there at all.
func withLocks(cat *archive.Catalog) *archive.Catalog {
	byID := make(map[int32]*archive.Entry, len(cat.Entries))
	for i := range cat.Entries {
		byID[cat.Entries[i].ID] = &cat.Entries[i]
	}
	above := descendantsOf(cat).parents()
	own := cat
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind != "INDEX ATTACH" {
			continue
		}
		deps := slices.Clone(e.Deps)
		for at := 0; at < len(deps); at++ { // to which the loop adds
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
