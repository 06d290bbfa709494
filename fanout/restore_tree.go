package fanout

import (
	"maps"
	"slices"

	"github.com/pgark/pgark/archive"
)

// parallelSteps copies the steps of a plan and adds what it leaves open because in serial order it never matters: a
// foreign key, a trigger or a check on a partitioned or inherited table reaches all its descendants, so it waits for their
// rows and excludes what locks them.
func parallelSteps(p *Plan) []*Step {
	tree := descendantsOf(p.Catalog)
	selected := make(map[int32]bool, len(p.Steps))
	for _, s := range p.Steps {
		selected[s.Entry.ID] = true
	}
	steps := make([]*Step, len(p.Steps))
	for i, s := range p.Steps {
		c := *s
		steps[i] = &c
		if s.Entry.Section != archive.SectionPostData || !reachesDescendants(s.Entry.Kind) {
			continue
		}
		c.Deps, c.Lock = slices.Clone(s.Deps), slices.Clone(s.Lock)
		for _, id := range tree.below(s.Entry.Deps) {
			for _, rows := range p.rows[id] {
				if selected[rows] {
					c.Deps = append(c.Deps, rows)
				}
				c.Lock = append(c.Lock, rows)
			}
			c.Lock = append(c.Lock, id)
		}
		slices.Sort(c.Deps)
		c.Deps = slices.Compact(c.Deps)
	}
	return steps
}

func reachesDescendants(kind string) bool {
	switch kind {
	case "FK CONSTRAINT", "TRIGGER", "CHECK CONSTRAINT", "CONSTRAINT":
		return true
	}
	return false
}

// tableTree is the children of each TABLE entry: its partitions, and the tables that inherit from it.
type tableTree map[int32][]int32

func descendantsOf(cat *archive.Catalog) tableTree {
	tree := make(tableTree)
	tables := make(map[int32]bool)
	named := make(map[tableName]int32)
	for i := range cat.Entries {
		if e := &cat.Entries[i]; e.Kind == kindTable {
			tables[e.ID] = true
			named[tableName{e.Schema, e.Name}] = e.ID
		}
	}
	for i := range cat.Entries {
		e := &cat.Entries[i]
		child := e.ID
		switch e.Kind {
		case kindTable: // made with INHERITS
		case "TABLE ATTACH": // has the name of the partition and depends on both
			child = named[tableName{e.Schema, e.Name}]
		default:
			continue
		}
		for _, parent := range e.Deps {
			if tables[parent] && parent != child {
				tree[parent] = append(tree[parent], child)
			}
		}
	}
	return tree
}

// parents is the tree the other way: what each table is directly below, by ID.
func (t tableTree) parents() map[int32][]int32 {
	above := make(map[int32][]int32)
	for _, parent := range slices.Sorted(maps.Keys(t)) {
		for _, child := range t[parent] {
			above[child] = append(above[child], parent)
		}
	}
	return above
}

// below collects the descendants of tables, without themselves.
func (t tableTree) below(tables []int32) []int32 {
	var all []int32
	seen := make(map[int32]bool)
	todo := slices.Clone(tables)
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, child := range t[id] {
			if !seen[child] {
				seen[child] = true
				all = append(all, child)
				todo = append(todo, child)
			}
		}
	}
	return all
}
