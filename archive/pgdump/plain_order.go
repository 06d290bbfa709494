package pgdump

import (
	"math"
	"strings"

	"github.com/pgark/pgark/archive"
)

// arrange makes the list of entries that an archive of the same database has: with those that say how to read the others,
// rights beside what they are rights on, and with numbers. It returns them in that order, and tells whether the script says
// what depends on what.
func (p *scriptParser) arrange() (entries []*scriptEntry, whole bool) {
	p.viewDrops()
	p.templateDrops()
	p.matchDrops()
	p.nameRows()
	p.markShared()
	f := newDepFinder()
	for _, e := range p.entries {
		f.add(e, p.lx.std, p.lx.wide)
	}
	if p.program != "" && dumpMajorOf(p.program) >= 17 {
		for _, e := range p.entries {
			e.RelKind = relationKind(e.Kind, e.obj.partitioned)
		}
	}
	entries = append(p.specials(), f.withRights(p.entries)...)
	number(entries)
	whole = dependenciesWhole(p.entries)
	for _, e := range entries {
		e.Deps = nil
		if e.toc != nil && (e.Kind != kindTypeStorage || e.ID == e.toc.id) {
			e.Deps = append(e.Deps, e.toc.deps...)
		}
		if e.Kind == kindTypeStorage && e.toc != nil && e.toc.verbose {
			e.Deps = append(e.Deps, e.toc.id)
		}
		if !whole || e.Kind == kindTableData && !f.dependsOnTable(e) {
			e.Deps = f.withFound(e)
		}
	}
	return entries, whole
}

// dependenciesWhole tells whether the comments have all dependencies of the entries. pg_restore --verbose writes them; what
// pg_dump --verbose writes are a few, and none of indexes and constraints.
func dependenciesWhole(entries []*scriptEntry) bool {
	any := false
	for _, e := range entries {
		switch e.Kind {
		case "INDEX", kindConstr, "FK CONSTRAINT", "TRIGGER":
			if e.toc == nil || len(e.toc.deps) == 0 {
				return false
			}
			any = true
		}
	}
	return any
}

// dependsOnTable tells whether the first dependency of rows is their table, on which a restore relies.
func (f *depFinder) dependsOnTable(e *scriptEntry) bool {
	table := f.relations[[2]string{e.Schema, e.Name}]
	return table == nil || len(e.Deps) > 0 && e.Deps[0] == table.ID
}

// withFound gives the dependencies that were found, and then those of the comment.
func (f *depFinder) withFound(e *scriptEntry) []int32 {
	deps := make([]int32, 0, len(f.needs[e])+len(e.Deps))
	seen := make(map[int32]bool, cap(deps))
	for _, o := range f.needs[e] {
		deps = append(deps, o.ID)
		seen[o.ID] = true
	}
	for _, id := range e.Deps {
		if !seen[id] {
			deps = append(deps, id)
			seen[id] = true
		}
	}
	return deps
}

// specials are the entries that say how to read the others.
func (p *scriptParser) specials() []*scriptEntry {
	onOff := "off"
	if p.lx.std {
		onOff = "on"
	}
	all := []*scriptEntry{
		special("ENCODING", "SET client_encoding = '"+p.encoding+"';\n"),
		special("STDSTRINGS", "SET standard_conforming_strings = '"+onOff+"';\n"),
	}
	if p.searchPath != "" {
		all = append(all, special("SEARCHPATH", p.searchPath+";\n"))
	}
	return all
}

func special(kind, ddl string) *scriptEntry {
	e := &scriptEntry{}
	e.Kind, e.Name, e.DDL, e.Section = kind, kind, ddl, archive.SectionPreData
	e.Nulls = archive.NullOwner | archive.NullTablespace | archive.NullTableAM
	e.setNulls()
	return e
}

// nameRows gives rows the names that pg_dump gives them where their statements name another table or none: the rows of a
// partition may go through the table at the root, and a table without rows has no INSERT statement. The comment names the
// table, which has to be one that the script makes, and that is below the other one.
func (p *scriptParser) nameRows() {
	tables := make(map[[2]string]*scriptEntry)
	parents := make(map[[2]string][2]string)
	for _, e := range p.entries {
		switch {
		case e.Kind == kindTable || e.Kind == "FOREIGN TABLE":
			tables[[2]string{sanitized(e.Schema), sanitized(e.Name)}] = e
		case e.Kind == "TABLE ATTACH":
			parents[e.keyOf(e.obj.name)] = e.keyOf(e.obj.refs[0])
		}
	}
	for _, e := range p.entries {
		if e.Kind != kindTableData || e.toc == nil || e.target.name != "" && e.said.name == sanitized(e.target.name) {
			continue
		}
		table := tables[[2]string{e.said.schema, e.said.name}]
		switch {
		case table != nil && (e.target.name == "" || isBelow(parents, [2]string{table.Schema, table.Name}, e.keyOf(e.target))):
			e.Schema, e.Name = table.Schema, table.Name
		case len(tables) == 0 && strings.HasPrefix(e.DDL, viaRootMark):
			e.Schema, e.Name = e.said.schema, e.said.name
		}
	}
}

// isBelow tells whether a table is a partition of another one, over any number of levels.
func isBelow(parents map[[2]string][2]string, table, root [2]string) bool {
	for range len(parents) {
		parent, ok := parents[table]
		if !ok {
			return false
		}
		if table = parent; table == root {
			return true
		}
	}
	return false
}

// markShared marks rows that share their table with other rows, or go through the root of a partitioned table, as pg_dump
// does: nobody may empty the table before them.
func (p *scriptParser) markShared() {
	shared := make(map[[2]string]int)
	for _, e := range p.entries {
		if e.Kind == kindTableData {
			shared[e.keyOf(e.target)]++
		}
	}
	for _, e := range p.entries {
		if e.Kind != kindTableData || e.target.name == "" || strings.HasPrefix(e.DDL, viaRootMark) {
			continue
		}
		key := e.keyOf(e.target)
		if shared[key] > 1 || key != [2]string{e.Schema, e.Name} {
			e.DDL = viaRootMark + sanitized(e.target.text)
			e.setNulls()
		}
	}
}

// withRights moves rights, which scripts have at their end, behind what they are rights on, and behind its comments. Those
// on what the script does not make, such as functions of the server, stay behind the rights that they follow.
func (f *depFinder) withRights(entries []*scriptEntry) []*scriptEntry {
	rights := make(map[*scriptEntry][]*scriptEntry)
	var rest, all []*scriptEntry
	var last *scriptEntry
	for _, e := range entries {
		if e.Kind != kindACL {
			rest = append(rest, e)
			continue
		}
		if o := f.object[e]; o != nil {
			last = o
		}
		rights[last] = append(rights[last], e)
	}
	first := rights[nil]
	var owner *scriptEntry
	for _, e := range rest {
		if owner != nil && !f.follows(e, owner) {
			all = append(all, rights[owner]...)
			owner = nil
		}
		if first != nil && (len(rights[e]) > 0 || e.Section >= archive.SectionData) {
			all, first = append(all, first...), nil
		}
		all = append(all, e)
		if len(rights[e]) > 0 {
			owner = e
		}
	}
	if owner != nil {
		all = append(all, rights[owner]...)
	}
	return append(all, first...)
}

// follows tells whether an entry belongs to another one that came shortly before it.
func (f *depFinder) follows(e, owner *scriptEntry) bool {
	switch e.Kind {
	case kindComment, "SECURITY LABEL":
		// pg_dump writes comments on the constraints of a domain after the rights on it.
		return f.object[e] == owner && !(owner.Kind == "DOMAIN" && strings.HasPrefix(e.DDL, "COMMENT ON CONSTRAINT "))
	case "SEQUENCE OWNED BY":
		return e.obj.name.key() == owner.obj.name.key()
	}
	return false
}

// number gives the entries their IDs: those of their comments where all comments have one.
func number(entries []*scriptEntry) {
	var last int32
	seen := make(map[int32]bool)
	verbose := true
	for _, e := range entries {
		switch {
		case e.toc == nil:
		case e.toc.verbose && (!seen[e.toc.id] || e.Kind == kindTypeStorage):
			seen[e.toc.id] = true
			last = max(last, e.toc.id)
		default:
			verbose = false
		}
	}
	if !verbose || last > math.MaxInt32-int32(len(entries)) {
		for i, e := range entries {
			e.ID = int32(i + 1)
			if e.toc != nil {
				e.toc.deps = nil // they are other numbers
			}
		}
		return
	}
	clear(seen)
	for _, e := range entries {
		if e.toc != nil && !(e.Kind == kindTypeStorage && seen[e.toc.id]) {
			e.ID = e.toc.id
			seen[e.ID] = true
			continue
		}
		last++
		e.ID = last
	}
}

// dumpMajorOf is the major version in "15.18 (Debian ...)".
func dumpMajorOf(version string) int {
	n := 0
	for i := 0; i < len(version) && i < 4 && isDigit(version[i]); i++ {
		n = n*10 + int(version[i]-'0')
	}
	return n
}
