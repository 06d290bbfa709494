package pgdump

import (
	"math"
	"strings"

	"github.com/pgark/pgark/archive"
)

// arrange makes the list of entries that an archive of the same database has: with those that say how to read the others,
// rights beside what they are rights on, and with numbers. It returns them in that order.
func (p *scriptParser) arrange() []*scriptEntry {
	p.viewDrops()
	p.matchDrops()
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
	entries := append(p.specials(), f.withRights(p.entries)...)
	if number(entries) {
		return entries
	}
	for _, e := range entries {
		e.Deps = e.Deps[:0]
		for _, o := range f.needs[e] {
			e.Deps = append(e.Deps, o.ID)
		}
	}
	return entries
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
// on what the script does not make go to the end of what comes before the rows.
func (f *depFinder) withRights(entries []*scriptEntry) []*scriptEntry {
	rights := make(map[*scriptEntry][]*scriptEntry)
	var rest, all []*scriptEntry
	for _, e := range entries {
		if e.Kind == kindACL {
			rights[f.object[e]] = append(rights[f.object[e]], e)
		} else {
			rest = append(rest, e)
		}
	}
	loose := rights[nil]
	var owner *scriptEntry
	for _, e := range rest {
		if owner != nil && !f.follows(e, owner) {
			all = append(all, rights[owner]...)
			owner = nil
		}
		if e.Section >= archive.SectionData && loose != nil {
			all, loose = append(all, loose...), nil
		}
		all = append(all, e)
		if len(rights[e]) > 0 {
			owner = e
		}
	}
	if owner != nil {
		all = append(all, rights[owner]...)
	}
	return append(all, loose...)
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

// number gives the entries their IDs: those of their comments where all have one, with the dependencies that are there.
// It reports whether that is so.
func number(entries []*scriptEntry) bool {
	verbose := false
	var last int32
	seen := make(map[int32]bool)
	for _, e := range entries {
		switch {
		case e.toc != nil && e.toc.verbose && !seen[e.toc.id]:
			verbose = true
			seen[e.toc.id] = true
			last = max(last, e.toc.id)
		case e.toc == nil, e.Kind == kindTypeStorage:
		default:
			verbose, last = false, 0
			return numberInOrder(entries)
		}
	}
	if !verbose || last > math.MaxInt32-int32(len(entries)) {
		return numberInOrder(entries)
	}
	clear(seen)
	for _, e := range entries {
		if e.toc != nil && !seen[e.toc.id] {
			e.ID, e.Deps = e.toc.id, e.toc.deps
			seen[e.ID] = true
			continue
		}
		last++
		e.ID = last
		if e.toc != nil {
			e.Deps = append(e.toc.deps, e.toc.id)
		}
	}
	return true
}

func numberInOrder(entries []*scriptEntry) bool {
	for i, e := range entries {
		e.ID = int32(i + 1)
	}
	return false
}

// dumpMajorOf is the major version in "15.18 (Debian ...)".
func dumpMajorOf(version string) int {
	n := 0
	for i := 0; i < len(version) && i < 4 && isDigit(version[i]); i++ {
		n = n*10 + int(version[i]-'0')
	}
	return n
}
