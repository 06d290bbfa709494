package fanout

import (
	"fmt"
	"strings"

	"github.com/pgark/pgark/archive"
)

// Note is something that a translation could not keep, and of which objects.
type Note struct {
	What    string   // what became of it: "DISTRIBUTED clauses left out"
	Why     string   // for people
	Lost    bool     // whole objects, or what they do, are missing; else only how rows are spread or stored
	Objects []string // as TABLE sales.orders, in the catalog's order and encoding

	entries []int32 // of the objects
}

// notedObjects is how many objects the text of a note names.
const (
	notedObjects     = 3
	notedLostObjects = 20
)

// String names the objects, if they are few, or some of them.
func (n Note) String() string {
	limit := notedObjects
	if n.Lost {
		limit = notedLostObjects
	}
	names := n.Objects
	if len(names) > limit {
		names = append(append([]string{}, names[:limit]...), fmt.Sprintf("and %d more", len(names)-limit))
	}
	return fmt.Sprintf("%s (%s): %s", n.What, n.Why, strings.Join(names, ", "))
}

// noteKind is what notes have in common that are told as one.
type noteKind struct {
	What, Why string
	Lost      bool
}

// noteID is a kind of note that is told in more than one place, or of many objects.
type noteID uint8

const (
	noteDistributed noteID = iota + 1
	noteStorage
	noteOIDs
	noteTemplate
	noteExchanged
	noteExternal
	noteDependent
	noteExecuteOn
	noteSQLData
	noteSettings
	noteBitmap
	noteClusterOn
	noteLeafACL
	noteForeign
	noteServers
	noteWrappers
)

// kind is what such a note says.
func (id noteID) kind() noteKind {
	switch id {
	case noteDistributed:
		return noteKind{What: "DISTRIBUTED clauses left out", Why: "one server has all rows"}
	case noteStorage:
		return noteKind{What: "storage clauses left out", Why: "PostgreSQL stores tables its own way"}
	case noteOIDs:
		return noteKind{What: "WITH OIDS left out", Why: "servers from version 12 on have no such column"}
	case noteTemplate:
		return noteKind{What: "subpartition templates left out", Why: "PostgreSQL has none: name the parts of a partition when you add it"}
	case noteExchanged:
		return noteKind{
			What: "external partitions made ordinary, empty partitions", Why: "they read files and programs of the cluster", Lost: true,
		}
	case noteExternal:
		return noteKind{
			What: "external tables left out", Lost: true,
			Why: "they read and write files and programs of the cluster; a foreign table may take their place",
		}
	case noteDependent:
		return noteKind{What: "left out with what they are made of", Why: "they read what is left out itself", Lost: true}
	case noteExecuteOn:
		return noteKind{What: "EXECUTE ON left out of functions", Why: "there is one server to run them on"}
	case noteSQLData:
		return noteKind{What: "SQL data access left out of functions", Why: "PostgreSQL does not tell functions apart by it"}
	case noteSettings:
		return noteKind{What: "settings of the cluster's planner left out", Why: "PostgreSQL does not know them"}
	case noteBitmap:
		return noteKind{What: "bitmap indexes made btree indexes", Why: "PostgreSQL makes bitmaps as it reads"}
	case noteClusterOn:
		return noteKind{What: "CLUSTER ON left out", Why: "PostgreSQL's partitioned tables can't be marked so", Lost: true}
	case noteLeafACL:
		return noteKind{
			What: "rights set on partitioned tables alone",
			Why:  "they hold for rows read through the table; who reads a partition by its own name needs them there",
		}
	case noteForeign:
		return noteKind{What: "foreign tables made ordinary tables", Why: "indexes and constraints that only their servers have are not in the archive"}
	case noteServers:
		return noteKind{What: "foreign servers and their user mappings left out", Why: "the tables that lay there are ordinary ones now"}
	case noteWrappers:
		return noteKind{What: "foreign data wrappers left out", Why: "no server of theirs is left"}
	default:
		return noteKind{}
	}
}

// note adds an object to one of these.
func (t *translator) note(id noteID, e *archive.Entry) { t.notes.add(id.kind(), e) }

// noteBook collects notes.
type noteBook struct {
	order []noteKind
	notes map[noteKind]*Note
}

func (b *noteBook) add(kind noteKind, e *archive.Entry) {
	if b.notes == nil {
		b.notes = make(map[noteKind]*Note)
	}
	n := b.notes[kind]
	if n == nil {
		n = &Note{What: kind.What, Why: kind.Why, Lost: kind.Lost}
		b.notes[kind] = n
		b.order = append(b.order, kind)
	}
	if k := len(n.entries); k > 0 && n.entries[k-1] == e.ID {
		return
	}
	n.Objects = append(n.Objects, sanitizeLine(describeEntry(e)))
	n.entries = append(n.entries, e.ID)
}

// list gives the notes, what is lost first.
func (b *noteBook) list() []Note {
	var lost, changed []Note
	for _, kind := range b.order {
		if n := *b.notes[kind]; n.Lost {
			lost = append(lost, n)
		} else {
			changed = append(changed, n)
		}
	}
	return append(lost, changed...)
}

// selectedNotes are the notes on definitions that the plan carries out, or would if they had not been left out.
func (p *Plan) selectedNotes(notes []Note, whole *archive.Catalog) []Note {
	if len(notes) == 0 {
		return nil
	}
	c := newChooser(p)
	selected := make(map[int32]bool, len(whole.Entries))
	for i := range whole.Entries {
		e := &whole.Entries[i]
		w := p.wanted[e.ID]
		if p.byID[e.ID] == nil {
			w = c.wants(e, e.Section)
		}
		selected[e.ID] = w.schema
	}
	var all []Note
	for _, n := range notes {
		kept := Note{What: n.What, Why: n.Why, Lost: n.Lost}
		for i, id := range n.entries {
			if selected[id] {
				kept.Objects = append(kept.Objects, n.Objects[i])
				kept.entries = append(kept.entries, id)
			}
		}
		if len(kept.Objects) > 0 {
			all = append(all, kept)
		}
	}
	return all
}

func noteTexts(notes []Note) []string {
	texts := make([]string, len(notes))
	for i, n := range notes {
		texts[i] = n.String()
	}
	return texts
}
