package gpbackup

import (
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// keySet are the entries that make columns of tables unique, which foreign keys and some views need. A key needs one of
// them, so there is one for the same columns.
type keySet struct {
	byColumns map[string]int32 // by table and columns, in their alphabetical order
	primary   map[string]int32 // by table
	odd       map[string]int32 // whose columns can't be told: the last one, which waits for those before
}

func newKeySet() keySet {
	return keySet{make(map[string]int32), make(map[string]int32), make(map[string]int32)}
}

// columnsKey names columns of a table, whatever their order. list is a list of names in parentheses.
func columnsKey(table, list string) (string, bool) {
	names, ok := nameList(list)
	if !ok || len(names) == 0 {
		return "", false
	}
	slices.Sort(names)
	return table + "\x00" + strings.Join(names, "\x00"), true
}

// keyed notes a key, or lets a foreign key wait for what it refers to. All keys come before foreign keys: see apart.
func (b *catalogBuilder) keyed(id int32, p *piece, kind, text string) {
	switch kind {
	case "INDEX":
		b.indexes[p.relation()] = id
		list, ok := after(text, "USING ")
		if _, partial := after(list, "WHERE "); !ok || partial || !strings.HasPrefix(text, "CREATE UNIQUE INDEX ") {
			return
		}
		list = strings.TrimSpace(list[nameLength(list):])
		b.addKey(id, p.Reference, list[:groupLength(list)])
	case "CONSTRAINT":
		list, primary := after(text, "PRIMARY KEY ")
		if primary && b.keys.primary[p.Reference] == 0 {
			b.keys.primary[p.Reference] = id
		}
		if !primary {
			list, _ = after(text, "UNIQUE ")
		}
		if list != "" { // else it is one that excludes others
			b.addKey(id, p.Reference, list[:groupLength(list)])
		}
	case kindForeignKey:
		b.refers(id, p, text)
	}
}

func (b *catalogBuilder) addKey(id int32, table, list string) {
	k, ok := columnsKey(table, list)
	if !ok {
		b.depend(id, b.keys.odd[table])
		b.keys.odd[table] = id
		return
	}
	if b.keys.byColumns[k] == 0 {
		b.keys.byColumns[k] = id
	}
}

// refers lets a foreign key wait for the table that it refers to, its rows, and its key.
func (b *catalogBuilder) refers(id int32, p *piece, text string) {
	rest, _ := after(text, "REFERENCES ")
	n := qualifiedLength(rest)
	table, list := rest[:n], strings.TrimSpace(rest[n:])
	if b.relations[table] == 0 {
		table = p.Schema + "." + table
	}
	b.depend(id, b.relations[table], b.rowsOf(table))
	k, ok := columnsKey(table, list[:groupLength(list)])
	switch key := b.keys.byColumns[k]; {
	case ok && key != 0:
		b.depend(id, key)
	case !ok && b.keys.primary[table] != 0:
		b.depend(id, b.keys.primary[table])
	default:
		b.depend(id, b.keys.odd[table])
	}
}

// ofNames are the primary keys of all tables that a text names: a view may group by one.
func (s *keySet) ofNames(sql string) []int32 {
	var all []int32
	seen := make(map[int32]bool)
	for i := 0; i < len(sql); {
		n := qualifiedLength(sql[i:])
		if n == 0 {
			n = max(1, sqlLength(sql[i:]))
		} else if id := s.primary[sql[i:i+n]]; id != 0 && !seen[id] {
			seen[id] = true
			all = append(all, id)
		}
		i += n
	}
	return all
}

// afterRows lets an entry wait for the table that it belongs to, and that one's rows.
func (b *catalogBuilder) afterRows(id int32, p *piece) {
	b.depend(id, b.relations[p.Reference])
	if b.entry(id).Section == archive.SectionPostData {
		b.depend(id, b.rowsOf(p.Reference))
	}
}

// rowsOf is the entry with the rows of a table. Those of a partition mostly are its root's.
func (b *catalogBuilder) rowsOf(table string) int32 {
	const most = 64 // levels
	for range most {
		if id := b.data[table]; id != 0 {
			return id
		}
		parent, ok := b.parents[table]
		if !ok {
			return 0
		}
		table = parent
	}
	return 0
}

// attachment is an entry that attaches an index to that of a partitioned table. Either may come later.
type attachment struct {
	entry         int32
	parent, index string
}

// attachedIndex reads ALTER INDEX parent ATTACH PARTITION index.
func attachedIndex(st string) (parent, index string, ok bool) {
	rest, ok := strings.CutPrefix(st, "ALTER INDEX ")
	if !ok {
		return "", "", false
	}
	n := qualifiedLength(rest)
	index, ok = strings.CutPrefix(rest[n:], " ATTACH PARTITION ")
	return rest[:n], index, ok
}

// apart takes out the foreign keys, with the comments on them. They come last: gpbackup writes them before the indexes that
// they may need, and in old versions before the rows.
func apart(all []piece) (kept, foreign []piece) {
	var last objectKey
	following := false
	for _, p := range all {
		if p.of != "CONSTRAINT" || following && p.key() != last {
			following = false
		}
		if p.of == "CONSTRAINT" && strings.HasPrefix(p.text, "ALTER ") {
			following, last = constraintKind(p.text) == kindForeignKey, p.key()
		}
		if following {
			foreign = append(foreign, p)
		} else {
			kept = append(kept, p)
		}
	}
	return kept, foreign
}
