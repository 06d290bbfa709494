package pgdump

import (
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// depFinder finds out what the entries of a script need to have before them, as far as their statements tell: plain scripts
// have an order only. It takes the entries in their order, and an entry depends on earlier ones only.
//
// What stands before the rows is restored in order, so what is said of it serves those who select entries. What comes
// after them is restored in parallel: entries of which their statements don't tell all that they need wait for
// everything before them, and everything after them waits for them.
type depFinder struct {
	schemas   map[string]*scriptEntry
	relations map[[2]string]*scriptEntry
	rows      map[[2]string][]*scriptEntry    // TABLE DATA by the name of the table
	indexes   map[[2]string]*scriptEntry      // INDEX, and CONSTRAINT that has one
	keys      map[[2]string][]*scriptEntry    // primary keys and unique constraints by the name of the table
	attached  map[*scriptEntry][]*scriptEntry // INDEX ATTACH by the index that others are attached to
	named     map[string]*scriptEntry         // by what DROP and COMMENT call it
	groups    []*scriptEntry                  // BLOB METADATA
	triggers  map[string][]*scriptEntry       // by their names
	above     map[[2]string][2]string         // what a partition is attached to

	barrier *scriptEntry   // what everything waits for that comes now
	since   []*scriptEntry // what came after the rows and after the barrier
	last    *scriptEntry   // of the pass at the very end
	needs   map[*scriptEntry][]*scriptEntry
	seen    map[*scriptEntry]bool         // what the entry that was taken last needs
	object  map[*scriptEntry]*scriptEntry // what a right, a comment or a label is of
}

func newDepFinder() *depFinder {
	return &depFinder{
		schemas: make(map[string]*scriptEntry), relations: make(map[[2]string]*scriptEntry),
		rows: make(map[[2]string][]*scriptEntry), indexes: make(map[[2]string]*scriptEntry),
		keys: make(map[[2]string][]*scriptEntry), attached: make(map[*scriptEntry][]*scriptEntry),
		named: make(map[string]*scriptEntry), needs: make(map[*scriptEntry][]*scriptEntry),
		object: make(map[*scriptEntry]*scriptEntry), triggers: make(map[string][]*scriptEntry),
		above: make(map[[2]string][2]string),
	}
}

// add takes the next entry. std and wide are how to read its statements.
func (f *depFinder) add(e *scriptEntry, std bool, wide wideEncoding) {
	f.seen = make(map[*scriptEntry]bool)
	if e.Kind != kindTableData {
		f.need(e, f.schemas[e.Schema])
	}
	known := true
	switch e.Kind {
	case kindComment, kindACL, "SECURITY LABEL":
		o := f.objectOf(e, std, wide)
		f.object[e] = o
		f.need(e, o)
		known = o != nil || e.Kind == kindACL
	case kindTableData:
		f.addRows(e)
	case kindBlobs:
		f.needBlobs(e)
	default:
		known = f.addObject(e)
	}
	f.addOrder(e, known)
	f.register(e)
}

func (f *depFinder) need(e *scriptEntry, all ...*scriptEntry) {
	for _, o := range all {
		if o != nil && o != e && !f.seen[o] {
			f.seen[o] = true
			f.needs[e] = append(f.needs[e], o)
		}
	}
}

// keyOf is the name of a relation that an entry names. Without a schema it is in that of the entry.
func (e *scriptEntry) keyOf(q qualified) [2]string {
	if q.schema == "" {
		return [2]string{e.Schema, q.name}
	}
	return q.key()
}

// addRows makes rows depend on their table, which comes first, and on that which they are loaded into.
func (f *depFinder) addRows(e *scriptEntry) {
	own, target := [2]string{e.Schema, e.Name}, e.keyOf(e.target)
	f.need(e, f.relations[own], f.relations[target], f.schemas[e.Schema])
	f.rows[own] = append(f.rows[own], e)
	if target != own {
		f.rows[target] = append(f.rows[target], e)
	}
}

// needBlobs makes the contents of large objects depend on what makes them: the group of the same name, or all groups.
func (f *depFinder) needBlobs(e *scriptEntry) {
	for _, g := range f.groups {
		if g.Name == e.Name {
			f.need(e, g)
			return
		}
	}
	f.need(e, f.groups...)
}

// addObject finds what the definition of an object names. It reports whether that is all that the object needs.
func (f *depFinder) addObject(e *scriptEntry) bool {
	o := &e.obj
	if o.table.name != "" {
		table := e.keyOf(o.table)
		f.need(e, f.relations[table])
		if e.Section == archive.SectionPostData {
			f.need(e, f.rows[table]...)
		}
	}
	switch e.Kind {
	case "FK CONSTRAINT":
		for _, q := range o.refs {
			f.needReferenced(e, e.keyOf(q))
		}
	case "INDEX ATTACH":
		parent := f.indexes[e.keyOf(o.refs[0])]
		child := f.indexes[e.keyOf(o.name)]
		f.need(e, child, parent)
		f.attach(child, parent)
		if parent != nil {
			f.attached[parent] = append(f.attached[parent], e)
		}
		return parent != nil && child != nil
	case kindTable, "FOREIGN TABLE", "TABLE ATTACH":
		for _, q := range o.refs {
			f.need(e, f.relations[e.keyOf(q)])
		}
	case "SEQUENCE SET", "SEQUENCE OWNED BY", "MATERIALIZED VIEW DATA":
		f.need(e, f.relations[e.keyOf(o.name)])
	case "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA":
		f.need(e, f.named["PUBLICATION "+o.name.name])
	case "STATISTICS DATA":
		key := [2]string{e.Schema, e.Name}
		f.need(e, f.relations[key], f.indexes[key])
	case "CHECK CONSTRAINT":
		_, domain, _ := strings.Cut(o.named, " ON DOMAIN ")
		f.need(e, f.named["DOMAIN "+domain])
	case "RULE": // of a view that others need before it is whole
		if o.kind == "VIEW" {
			f.need(e, f.relations[e.keyOf(o.name)])
		}
		return false
	case "TRIGGER":
		if o.named == "" { // a partition's, which is made with that of a table above it
			f.need(e, f.triggersAbove(e)...)
		}
	case kindBlob:
		return e.Section == archive.SectionPreData
	case "CONSTRAINT", "INDEX", "ROW SECURITY", "STATISTICS", "PUBLICATION", "SUBSCRIPTION", "DEFAULT ACL", "EVENT TRIGGER":
	default: // rules, policies, views and functions may have anything in their queries
		return e.Section != archive.SectionPostData
	}
	return e.Section != archive.SectionPostData || o.table.name == "" || f.relations[e.keyOf(o.table)] != nil
}

// triggersAbove are the triggers of the tables above a partition of which one has made the partition's own; all of the name where it is not known what is
// above, as in scripts of pg_dump 10.
func (f *depFinder) triggersAbove(e *scriptEntry) []*scriptEntry {
	tables := make(map[[2]string]bool)
	for t, ok := f.above[e.keyOf(e.obj.table)]; ok && !tables[t]; t, ok = f.above[t] {
		tables[t] = true
	}
	all := f.triggers[e.obj.name.name]
	above := slices.DeleteFunc(slices.Clone(all), func(t *scriptEntry) bool { return !tables[t.keyOf(t.obj.table)] })
	if len(above) == 0 {
		return all
	}
	return above
}

// attach makes an index that will be attached to another wait for that, as pg_dump has it, and go with it when it is dropped.
func (f *depFinder) attach(child, parent *scriptEntry) {
	if child == nil {
		return
	}
	if child.Kind == "INDEX" {
		child.Drop = ""
		child.setNulls()
	}
	if parent != nil && parent.at < child.at && !slices.Contains(f.needs[child], parent) {
		f.needs[child] = append(f.needs[child], parent)
	}
}

// needReferenced makes a foreign key depend on the rows of the table that it references, and on all keys of that; those of
// a partitioned table hold only when the indexes of all partitions are attached.
func (f *depFinder) needReferenced(e *scriptEntry, table [2]string) {
	f.need(e, f.relations[table])
	f.need(e, f.rows[table]...)
	todo := slices.Clone(f.keys[table])
	for len(todo) > 0 {
		key := todo[0]
		todo = todo[1:]
		f.need(e, key)
		for _, a := range f.attached[key] {
			child := f.indexes[a.keyOf(a.obj.name)]
			if child != nil && !f.seen[a] { // a false script may attach indexes in a circle
				todo = append(todo, child)
			}
			f.need(e, a)
		}
	}
}

// addOrder makes an entry wait for others only because they stand before it.
func (f *depFinder) addOrder(e *scriptEntry, known bool) {
	if e.Kind == "MATERIALIZED VIEW DATA" || e.Kind == "EVENT TRIGGER" || e.Kind == "STATISTICS DATA" && e.Section == archive.SectionPostData {
		f.need(e, f.last)
		f.last = e
		return
	}
	if e.Section == archive.SectionPreData || e.Kind == kindACL || e.Kind == "DEFAULT ACL" {
		return
	}
	if e.Section == archive.SectionNone && len(f.since) == 0 && f.barrier == nil {
		return // it belongs to something from before the rows
	}
	if e.Section != archive.SectionData || e.Kind == kindBlob || e.Kind == kindBlobs {
		f.need(e, f.barrier)
	}
	if !known {
		f.need(e, f.since...)
		f.barrier, f.since = e, nil
		return
	}
	f.since = append(f.since, e)
}

// register makes the entry known to those that follow.
func (f *depFinder) register(e *scriptEntry) {
	o := &e.obj
	key := [2]string{e.Schema, e.Name}
	if o.named != "" && f.named[o.named] == nil {
		f.named[o.named] = e
	}
	switch e.Kind {
	case "SCHEMA":
		f.schemas[e.Name] = e
	case "TABLE ATTACH":
		f.above[e.keyOf(o.table)] = e.keyOf(o.refs[0])
	case kindTable, "VIEW", kindMatView, "SEQUENCE", "FOREIGN TABLE", "EXTERNAL TABLE":
		f.relations[key] = e
	case "INDEX":
		f.indexes[key] = e
	case kindConstr:
		if o.backed {
			f.indexes[[2]string{e.Schema, o.name.name}] = e
		}
		if o.key {
			table := e.keyOf(o.table)
			f.keys[table] = append(f.keys[table], e)
		}
	case "TRIGGER":
		f.triggers[o.name.name] = append(f.triggers[o.name.name], e)
	case "PUBLICATION":
		f.named["PUBLICATION "+o.name.name] = e
	case "TYPE", "DOMAIN", kindBlob:
		f.named[o.named] = e
	case kindBlobGroup:
		f.groups = append(f.groups, e)
		for oid := range strings.Lines(e.DDL) {
			f.named["LARGE OBJECT "+strings.TrimSpace(oid)] = e
		}
	}
}
