package fanout

import (
	"fmt"
	"sync"

	"github.com/pgark/pgark/archive"
)

// entryLoad is the loading of one entry's rows, or of one entry's large objects. It has one part that goes through the
// coordinator, or several: one for each order of columns in the streams, or for each node and table that the rows go to
// directly.
type entryLoad struct {
	step    *Step
	blobs   bool
	foreign bool // the table is a foreign table: its rows are kept by another server
	remote  bool // workers load it, each from the volume beside it
	want    archive.Digest
	unknown bool // want is unknown
	parts   []*tableLoad

	looked sync.Once       // whether rows may be loaded into what is there: before the first of any part, see mayLoad
	omit   map[uint32]bool // large objects that get no bytes, see blobsToOmit

	mu   sync.Mutex
	open int   // parts that are not settled
	err  error // the first of any part; no part takes another block
}

func (e *entryLoad) failed() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// fail keeps the first error.
func (e *entryLoad) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = err
	}
}

// setParts replaces the parts. Nothing may have been loaded yet.
func (e *entryLoad) setParts(parts []*tableLoad) {
	for _, p := range parts {
		p.entry = e
	}
	e.parts, e.open = parts, len(parts)
}

// settled says that one part is done, and reports whether it was the last.
func (e *entryLoad) settled() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open--
	return e.open == 0
}

// loaded is how many rows are there, counting once what every node has.
func (e *entryLoad) loaded() (rows, bytes uint64) {
	for _, p := range e.parts {
		p.mu.Lock()
		if !p.again {
			rows += p.rows
			bytes += p.taken
		}
		p.mu.Unlock()
	}
	return rows, bytes
}

// name names a part for messages, after the name of the entry: "" for the only one through the coordinator.
func (l *tableLoad) name() string {
	if l.node == 0 {
		return ""
	}
	name := "node " + l.nodeName
	if e := l.entry.step.Entry; l.schema != e.Schema || l.table != e.Name {
		name += ", table " + qualifiedID(l.schema, l.table)
	}
	return name
}

// located adds to an error where it was met.
func (l *tableLoad) located(err error) error {
	if err == nil || l.node == 0 {
		return err
	}
	return fmt.Errorf("%s: %w", l.name(), err)
}
