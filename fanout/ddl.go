package fanout

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pgark/pgark/archive"
)

// ErrUsage says that options contradict each other, or ask for what there is not.
var ErrUsage = errors.New("wrong usage")

// PlanOptions says what of a catalog is to be restored, and how, in pg_restore's terms.
type PlanOptions struct {
	Create, Clean, IfExists    bool
	SchemaOnly, DataOnly       bool
	Sections                   []string // "pre-data", "data", "post-data"; all if empty
	Select                     Selection
	NoOwner, NoACL, NoComments bool
	NoStatistics               bool
	NoSchema, NoData           bool // as DataOnly and SchemaOnly, but statistics are wanted; both: nothing else
	Without                    Without
	DisableTriggers            bool // with DataOnly: no trigger fires, and no foreign key is checked
	ToPostgres                 bool // translate the definitions for a single plain PostgreSQL, see [ToPostgres]
	WithDependencies           bool // also what the selected entries depend on, and what belongs to that
	Globals                    bool // also roles and tablespaces, where the archive has them
	FKTables                   bool // with WithDependencies: also the tables that foreign keys refer to

	// Redirect restores what is in a schema of the archive into another: new names by old ones. What is selected goes by the
	// names of the archive.
	Redirect map[string]string
}

// Plan is what a restore does, in order: pg_restore's choice of entries and its SQL for them. Restore and
// WriteScript carry it out, each in its own way.
//
// A plan is made once and not changed after that, so any number of goroutines may read it.
type Plan struct {
	Catalog  *archive.Catalog
	Options  PlanOptions
	DataOnly bool     // asked for, or implied: no definition is selected
	Steps    []*Step  // the selected entries in the order of a serial restore: main pass, ACL pass, post-ACL pass
	Warnings []string // what people should know about it
	Notes    []Note   // what a translation did not keep of what is selected
	Needs    []Need   // with dependencies: why each entry is there
	Roles    []string // with dependencies: owners, and who is granted something, in the database's encoding

	needed map[int32]bool           // with dependencies: all of them
	order  []*archive.Entry         // all entries, in the catalog's order or the list's
	byID   map[int32]*archive.Entry // all entries
	wanted map[int32]want
	rows   map[int32][]int32 // TABLE → its TABLE DATA entries
	tables map[int32]int32   // TABLE DATA → its TABLE
	style  scriptStyle

	namesOnly bool // the catalog does not record what depends on what

	was       map[int32]tableName // with Redirect: the names of the archive, of what has others now
	schemaSQL map[int32][]string  // with Redirect: statements that make the new schemas
	moved     map[string]string   // with Redirect: extensions that are to be made in a new schema
	named     []namedRows         // with Redirect: rows that are to be loaded and whose values may name objects, see lookIntoRows
}

// Pass is a phase of a restore. All steps of a pass are done before the first of the next: rights come after the
// rows, since an owner may have revoked her own, and refreshes and event triggers after the rights.
type Pass uint8

// The passes, in order.
const (
	PassMain    Pass = 0
	PassACL     Pass = 1
	PassPostACL Pass = 2
)

// Step is one entry that is to be restored.
type Step struct {
	Entry  *archive.Entry
	Pass   Pass
	Schema bool // its definition is wanted
	Data   bool // its data is wanted: rows, or SQL that counts as data, such as the value of a sequence

	// Deps are the steps that must be done first, by the IDs of their entries. Each stands before this one in
	// [Plan.Steps], so there are no cycles. Where the catalog names an entry that is not selected, what that
	// one depends on takes its place. After the rows of a table comes what the catalog has after the table.
	Deps  []int32
	Lock  []int32 // TABLE and TABLE DATA entries that it locks against everything else
	Share []int32 // likewise, that it shares with steps that share them, too
}

// Rows tells whether the rows of a table are to be loaded.
func (s *Step) Rows() bool { return s.Data && s.Entry.HadDumper && s.Entry.Kind == kindTableData }

// Blobs tells whether contents of large objects are to be loaded.
func (s *Step) Blobs() bool { return s.Data && s.Entry.HadDumper && s.Entry.Kind == kindBlobs }

// Conflicts tells whether the two steps need locks on a table that exclude each other.
func (s *Step) Conflicts(o *Step) bool {
	return overlap(s.Lock, o.Lock) || overlap(s.Lock, o.Share) || overlap(s.Share, o.Lock)
}

func overlap(a, b []int32) bool {
	return slices.ContainsFunc(a, func(id int32) bool { return slices.Contains(b, id) })
}

// The kinds of entry that are treated apart.
const (
	kindTable        = "TABLE"
	kindTableData    = "TABLE DATA"
	kindBlob         = "BLOB"
	kindBlobs        = "BLOBS"
	kindBlobMetadata = "BLOB METADATA"
	kindACL          = "ACL"
	kindComment      = "COMMENT"
	kindLabel        = "SECURITY LABEL"
	kindSchema       = "SCHEMA"
	kindDatabase     = "DATABASE"
	kindDatabaseProp = "DATABASE PROPERTIES"
	kindStatistics   = "STATISTICS DATA"

	kindExtendedStatistics = "EXTENDED STATISTICS DATA"
)

// NewPlan chooses the entries and puts them in order. It fails if the options contradict each other, or if the
// list names an entry that the catalog does not have.
func NewPlan(cat *archive.Catalog, o PlanOptions) (*Plan, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	whole, notes := cat, []Note(nil)
	if o.ToPostgres {
		cat, notes = ToPostgres(whole)
		o.Select.List = stillThere(o.Select.List, whole, cat)
	}
	if len(o.Redirect) > 0 {
		cat = ownCatalog(cat, len(o.Redirect))
	}
	p := &Plan{
		Catalog: cat, Options: o, DataOnly: !o.wantsSchema(),
		byID:      make(map[int32]*archive.Entry, len(cat.Entries)),
		wanted:    make(map[int32]want, len(cat.Entries)),
		rows:      make(map[int32][]int32),
		tables:    make(map[int32]int32),
		style:     styleOf(cat),
		namesOnly: !recordsDependencies(cat),
	}
	for i := range cat.Entries {
		e := &cat.Entries[i]
		p.byID[e.ID] = e
		if e.Kind == kindTableData && len(e.Deps) > 0 {
			p.rows[e.Deps[0]] = append(p.rows[e.Deps[0]], e.ID)
			p.tables[e.ID] = e.Deps[0]
		}
	}
	if o.Select.Strict || o.WithDependencies {
		if missing := o.Select.missing(p); missing != "" {
			return nil, fmt.Errorf("%w: the archive has no %s", ErrNothingMatches, missing)
		}
	}
	if err := p.arrange(); err != nil {
		return nil, err
	}
	if err := p.withDependencies(); err != nil {
		return nil, err
	}
	p.choose()
	p.Notes = p.selectedNotes(notes, whole)
	if err := p.redirect(); err != nil {
		return nil, err
	}
	p.addSteps()
	p.addDependencies()
	p.warn()
	return p, nil
}

func (o *PlanOptions) wantsSchema() bool { return !o.DataOnly && !o.NoSchema }
func (o *PlanOptions) wantsData() bool   { return !o.SchemaOnly && !o.NoData }

// wantsStatistics: as in pg_restore, who asks for one thing only does not ask for statistics, too.
func (o *PlanOptions) wantsStatistics() bool {
	return !o.SchemaOnly && !o.DataOnly && !o.NoStatistics
}

func (o *PlanOptions) validate() error {
	switch {
	case o.SchemaOnly && o.DataOnly, !o.wantsSchema() && !o.wantsData() && !o.wantsStatistics():
		return fmt.Errorf("%w: schema only and data only together leave nothing", ErrUsage)
	case o.Clean && !o.wantsSchema():
		return fmt.Errorf("%w: clean and data only can't be used together: only definitions can be dropped", ErrUsage)
	case o.IfExists && !o.Clean:
		return fmt.Errorf("%w: if-exists is for clean", ErrUsage)
	}
	for _, s := range o.Sections {
		if !slices.Contains([]string{"pre-data", "data", "post-data"}, s) {
			return fmt.Errorf("%w: unknown section %q: there are pre-data, data and post-data", ErrUsage, s)
		}
	}
	return nil
}

// arrange sets the order: the catalog's, or that of the list with all the rest in front, as pg_restore has it.
func (p *Plan) arrange() error {
	list := p.Options.Select.List
	listed := make(map[int32]bool, len(list))
	for _, id := range list {
		if p.byID[id] == nil {
			return fmt.Errorf("%w: the list names entry %d, which the archive does not have", ErrUsage, id)
		}
		listed[id] = true
	}
	p.order = make([]*archive.Entry, 0, len(p.Catalog.Entries))
	for i := range p.Catalog.Entries {
		if e := &p.Catalog.Entries[i]; !listed[e.ID] {
			p.order = append(p.order, e)
		}
	}
	for _, id := range list {
		if listed[id] {
			p.order = append(p.order, p.byID[id])
			listed[id] = false // named twice counts once
		}
	}
	return nil
}

// choose marks what is wanted of each entry. What follows an object (its comment, its rights) looks at the mark of
// that object, which comes first in every catalog.
func (p *Plan) choose() {
	c := newChooser(p)
	section := archive.SectionPreData
	for _, e := range p.order {
		if e.Section != archive.SectionNone {
			section = e.Section
		}
		p.wanted[e.ID] = c.wants(e, section)
	}
	if !p.DataOnly {
		p.DataOnly = true
		for _, w := range p.wanted {
			if w.schema {
				p.DataOnly = false
			}
		}
	}
}

func (p *Plan) addSteps() {
	for pass := PassMain; pass <= PassPostACL; pass++ {
		for _, e := range p.order {
			w := p.wanted[e.ID]
			if !w.any() || passOf(e) != pass {
				continue
			}
			p.Steps = append(p.Steps, &Step{Entry: e, Pass: pass, Schema: w.schema, Data: w.data})
		}
	}
}

// Table gives the TABLE entry of a TABLE DATA entry, nil if the catalog does not have it.
func (p *Plan) Table(dataID int32) *archive.Entry {
	if e := p.byID[p.tables[dataID]]; e != nil && e.Kind == kindTable {
		return e
	}
	return nil
}

func (p *Plan) warn() {
	for _, s := range p.Steps {
		if s.Entry.WithOIDs {
			p.Warnings = append(p.Warnings, fmt.Sprintf("%s %s was made WITH OIDS, which servers from version 12 on don't have: it is restored without",
				s.Entry.Kind, sanitizeLine(s.Entry.Name)))
		}
		if s.Schema && !p.Options.NoOwner && p.ownerIsNumber(s.Entry) {
			p.Warnings = append(p.Warnings, fmt.Sprintf("the archive has the owner of database %s as a number only, %s: it belongs to who creates it",
				sanitizeLine(s.Entry.Name), s.Entry.Owner))
		}
		if s.Schema && p.ownerWanted(s.Entry) && !ownerKnown(s.Entry.Kind) {
			p.Warnings = append(p.Warnings, fmt.Sprintf("can't set the owner of %s %s: unknown kind of object",
				s.Entry.Kind, sanitizeLine(s.Entry.Name)))
		}
	}
}
