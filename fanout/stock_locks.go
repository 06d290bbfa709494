package fanout

import (
	"slices"

	"github.com/pgark/pgark/archive"
)

// withLocks has each INDEX ATTACH depend on the tables of its indexes, too, and on those that these are partitions of. pg_restore -j takes what an
// entry behind the data depends on for what it locks, and runs no two such entries at the same time; in the catalog of pg_dump these depend on indexes
// alone. With a foreign key to or from the same partitioned table it ends in a deadlock now and then, of which one of the two is lost.
func withLocks(cat *archive.Catalog) *archive.Catalog {
	tables := make(map[int32]*archive.Entry)
	indexes := make(map[int32]*archive.Entry)
	for i := range cat.Entries {
		switch e := &cat.Entries[i]; e.Kind {
		case kindTable:
			tables[e.ID] = e
		case "INDEX", "CONSTRAINT":
			indexes[e.ID] = e
		}
	}
	above := make(map[int32][]int32) // of a table: what it is a partition of
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind != "TABLE ATTACH" {
			continue
		}
		// It has the name of the partition, and depends on both tables.
		isPart := func(id int32) bool {
			return tables[id] != nil && tables[id].Schema == e.Schema && tables[id].Name == e.Name
		}
		if at := slices.IndexFunc(e.Deps, isPart); at >= 0 {
			for _, id := range e.Deps {
				if tables[id] != nil && id != e.Deps[at] {
					above[e.Deps[at]] = append(above[e.Deps[at]], id)
				}
			}
		}
	}
	own := cat
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind != "INDEX ATTACH" {
			continue
		}
		deps := slices.Clone(e.Deps)
		add := func(ids []int32) {
			for _, id := range ids {
				if tables[id] != nil && !slices.Contains(deps, id) {
					deps = append(deps, id)
				}
			}
		}
		for _, id := range e.Deps {
			if index := indexes[id]; index != nil {
				add(index.Deps)
			}
		}
		for at := 0; at < len(deps); at++ { // up to the root: deps grows
			add(above[deps[at]])
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
