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

// Notes about what does not change what the database says.
var (
	noteDistributed = noteKind{What: "DISTRIBUTED clauses left out", Why: "one server has all rows"}
	noteStorage     = noteKind{What: "storage clauses left out", Why: "PostgreSQL stores tables its own way"}
)

// noteBook collects notes.
type noteBook struct {
	order []noteKind
	notes map[noteKind][]string
}

func (b *noteBook) add(kind noteKind, e *archive.Entry) {
	if b.notes == nil {
		b.notes = make(map[noteKind][]string)
	}
	objects, known := b.notes[kind]
	if !known {
		b.order = append(b.order, kind)
	}
	name := sanitizeLine(describeEntry(e))
	if n := len(objects); n > 0 && objects[n-1] == name {
		return
	}
	b.notes[kind] = append(objects, name)
}

// list gives the notes, what is lost first.
func (b *noteBook) list() []Note {
	var lost, changed []Note
	for _, kind := range b.order {
		n := Note{What: kind.What, Why: kind.Why, Lost: kind.Lost, Objects: b.notes[kind]}
		if n.Lost {
			lost = append(lost, n)
		} else {
			changed = append(changed, n)
		}
	}
	return append(lost, changed...)
}
