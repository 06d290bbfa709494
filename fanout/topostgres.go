package fanout

import (
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// ToPostgres translates a catalog of Greenplum or Cloudberry, or of a cluster sharded with postgres_fdw, into one that a
// single plain PostgreSQL (13 or newer) takes, and says what could not be kept.
//
// What says only where rows lie and how they are stored is left out. Partition clauses of Greenplum 6 become partitions of
// PostgreSQL, inside the definition of their root, where PostgreSQL's mean exactly the same; else the table becomes an
// ordinary one with the same columns. Foreign tables whose rows are in the catalog, or that are partitions, become
// ordinary tables. What PostgreSQL has nothing for is left out, with all that belongs to it.
//
// The given catalog is not changed. Entries keep their IDs, so the rows of an archive still find theirs. Translating what is
// PostgreSQL's already changes nothing.
func ToPostgres(cat *archive.Catalog) (*archive.Catalog, []Note) {
	t := newTranslator(cat)
	for i := range t.entries {
		t.entry(&t.entries[i])
	}
	t.dropForeign()
	t.leaveOutDependents()
	for i := range t.entries {
		t.afterTables(&t.entries[i])
	}
	out := *cat
	out.Product = productPostgreSQL
	out.Entries = slices.DeleteFunc(t.entries, func(e archive.Entry) bool { return t.gone[e.ID] != "" })
	return &out, t.notes.list()
}

// IsSegmentedCatalog tells whether a catalog is of a product whose DDL a plain PostgreSQL does not take.
func IsSegmentedCatalog(cat *archive.Catalog) bool { return isSegmented(cat.Product) }

// stillThere takes out of a list what a translation has left out. What never was in the catalog stays, to be refused.
func stillThere(list []int32, before, after *archive.Catalog) []int32 {
	if list == nil {
		return nil
	}
	gone := make(map[int32]bool, len(before.Entries))
	for i := range before.Entries {
		gone[before.Entries[i].ID] = true
	}
	for i := range after.Entries {
		delete(gone, after.Entries[i].ID)
	}
	return slices.DeleteFunc(slices.Clone(list), func(id int32) bool { return gone[id] })
}

// translator is one translation under way.
type translator struct {
	entries   []archive.Entry
	byID      map[int32]*archive.Entry
	users     map[int32][]int32 // by ID: the entries that depend on it
	std       bool              // standard_conforming_strings
	segmented bool
	gone      map[int32]string // by ID: what is left out, as people call it
	parted    map[int32]bool   // TABLE entries that became partitioned tables
	local     map[int32]bool   // FOREIGN TABLE entries that became tables
	notes     noteBook
}

func newTranslator(cat *archive.Catalog) *translator {
	t := &translator{
		entries: slices.Clone(cat.Entries), byID: make(map[int32]*archive.Entry, len(cat.Entries)),
		users: make(map[int32][]int32), std: true, segmented: isSegmented(cat.Product),
		gone: make(map[int32]string), parted: make(map[int32]bool), local: make(map[int32]bool),
	}
	for i := range t.entries {
		e := &t.entries[i]
		t.byID[e.ID] = e
		for _, id := range e.Deps {
			t.users[id] = append(t.users[id], e.ID)
		}
		if e.Kind == "STDSTRINGS" {
			t.std = strings.Contains(e.DDL, "'on'")
		}
	}
	return t
}

// entry translates one entry, or leaves it out.
func (t *translator) entry(e *archive.Entry) {
	if e.Kind == kindForeign {
		t.foreignTable(e)
	}
	if !t.segmented {
		return
	}
	switch e.Kind {
	case "EXTERNAL TABLE":
		t.leaveOutQuietly(e)
		t.note(noteExternal, e)
	case kindExchange:
		t.leaveOutQuietly(e)
		t.note(noteExchanged, e)
	case "PROTOCOL":
		t.leaveOut(e, "protocols of external tables left out", "PostgreSQL has no external tables")
	case "TYPE STORAGE OPTIONS":
		t.leaveOutQuietly(e)
		t.note(noteStorage, e)
	case "TAG", "TASK", "STORAGE SERVER", "STORAGE USER MAPPING", "DIRECTORY TABLE", "DYNAMIC TABLE", "RESOURCE QUEUE",
		"RESOURCE GROUP", "PROFILE":
		t.leaveOut(e, strings.ToLower(e.Kind)+" entries left out", "PostgreSQL has no such objects")
	case "EXTENSION":
		if isGreenplumExtension(e.Name) {
			t.leaveOut(e, "extensions left out", "they are part of the cluster's product")
		}
	case kindTable:
		t.table(e)
	case "MATERIALIZED VIEW":
		t.materializedView(e)
	case "INDEX":
		t.index(e)
	case "FUNCTION", "PROCEDURE":
		t.function(e)
	case "AGGREGATE":
		t.aggregate(e)
	case kindSchema:
		// In archives of old it is there like any other; every new database has it already.
		if e.Name == "public" && strings.HasPrefix(e.DDL, "CREATE SCHEMA public;") {
			e.DDL = strings.Replace(e.DDL, "CREATE SCHEMA", "CREATE SCHEMA IF NOT EXISTS", 1)
		}
	case kindDatabase, kindDatabaseProp:
		t.databaseSettings(e)
	case kindRole, kindGlobal:
		t.global(e)
	}
	if t.gone[e.ID] == "" && isGreenplumAM(e.TableAM) {
		t.note(noteStorage, e)
		e.TableAM = "heap"
	}
}

// leaveOut takes an entry out of the catalog and notes it.
func (t *translator) leaveOut(e *archive.Entry, what, why string) {
	t.leaveOutQuietly(e)
	t.notes.add(noteKind{What: what, Why: why, Lost: true}, e)
}

func (t *translator) leaveOutQuietly(e *archive.Entry) { t.gone[e.ID] = describeEntry(e) }

// leaveOutDependents leaves out what belongs to, or reads, what is left out. Tables and functions stay: a table's rows
// must not go unnoticed, so let the server say what it lacks.
func (t *translator) leaveOutDependents() {
	var todo []int32
	for id := range t.gone {
		todo = append(todo, id)
	}
	slices.Sort(todo)
	for len(todo) > 0 {
		id := todo[0]
		todo = todo[1:]
		for _, user := range t.users[id] {
			e := t.byID[user]
			if t.gone[user] != "" {
				continue
			}
			switch e.Kind {
			case kindComment, kindACL, kindLabel, "USER MAPPING", kindTableData:
				if e.Kind == kindACL && t.keepsACL(e) {
					continue
				}
				t.leaveOutQuietly(e)
			case "CHECK CONSTRAINT":
				if t.byID[id].Kind != "EXTERNAL TABLE" {
					continue
				}
				t.leaveOutQuietly(e)
			case "VIEW", "MATERIALIZED VIEW", "MATERIALIZED VIEW DATA", "RULE", "TRIGGER", "INDEX":
				t.leaveOutQuietly(e)
				t.note(noteDependent, e)
			default:
				continue
			}
			todo = append(todo, user)
		}
	}
}

// keepsACL tells whether an ACL entry belongs to an object that is kept: the first that it depends on, but for the schema that it has in a script.
func (t *translator) keepsACL(e *archive.Entry) bool {
	for _, id := range e.Deps {
		if t.gone[id] == "" && t.byID[id] != nil && t.byID[id].Kind != kindACL && t.byID[id].Kind != kindSchema {
			return true
		}
	}
	return false
}

// afterTables adapts what depends on tables that became partitioned ones, or ordinary instead of foreign.
func (t *translator) afterTables(e *archive.Entry) {
	for _, id := range e.Deps {
		switch {
		case t.parted[id]:
			t.onPartitioned(e, t.byID[id])
		case t.local[id]:
			t.onLocal(e)
		default:
			continue
		}
		return
	}
}

// statements are those of an entry's definition.
func (t *translator) statements(e *archive.Entry) []*statement { return lexStatements(e.DDL, t.std) }
