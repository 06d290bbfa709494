package fanout

import (
	"slices"

	"github.com/pgark/pgark/archive"
)

// addDependencies gives every step what must be done before it and what it locks.
func (p *Plan) addDependencies() {
	place := make(map[int32]int, len(p.Steps))
	for i, s := range p.Steps {
		place[s.Entry.ID] = i
	}
	for i, s := range p.Steps {
		s.Deps = p.stepsBefore(s.Entry, i, place)
		p.addLocks(s)
	}
}

// dependencies are an entry's as they count in a restore: what is made after the rows depends on a table's rows
// where the catalog names the table. So do its statistics, which are among the data: a table that is truncated to be loaded would lose them.
func (p *Plan) dependencies(e *archive.Entry) []int32 {
	if e.Section != archive.SectionPostData && e.Kind != kindStatistics {
		return e.Deps
	}
	var deps []int32
	for _, id := range e.Deps {
		if rows := p.rows[id]; len(rows) > 0 {
			deps = append(deps, rows...)
		} else {
			deps = append(deps, id)
		}
	}
	return deps
}

// stepsBefore collects the steps that the entry of step i depends on, through entries that are not selected.
// A dependency on a later step is dropped: a list may put things in any order, and that order is what was asked for.
func (p *Plan) stepsBefore(e *archive.Entry, i int, place map[int32]int) []int32 {
	var before []int32
	seen := map[int32]bool{e.ID: true}
	todo := slices.Clone(p.dependencies(e))
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		other := p.byID[id]
		if other == nil || seen[id] {
			continue
		}
		seen[id] = true
		at, selected := place[id]
		switch {
		case !selected:
			todo = append(todo, p.dependencies(other)...)
		case at < i:
			before = append(before, id)
		}
	}
	slices.Sort(before)
	return before
}

// addLocks notes which tables a step locks. Only what comes after the rows runs beside other such steps: an index
// needs a lock that admits other indexes, all the rest is ALTER TABLE or the like.
func (p *Plan) addLocks(s *Step) {
	if s.Entry.Section != archive.SectionPostData {
		return
	}
	var tables []int32
	for _, id := range p.dependencies(s.Entry) {
		if e := p.byID[id]; e != nil && (e.Kind == kindTable || e.Kind == kindTableData) && !slices.Contains(tables, id) {
			tables = append(tables, id)
		}
	}
	switch s.Entry.Kind {
	case "INDEX", "STATISTICS":
		s.Share = tables
	default:
		s.Lock = tables
	}
}
