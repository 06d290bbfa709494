package fanout

import (
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// Selection picks objects by name, as pg_restore's switches do: names are exact and case-sensitive, no patterns.
// The zero value picks everything. Conditions on schemas and on objects must both hold; within one list any
// name will do.
type Selection struct {
	Schemas, ExcludeSchemas []string
	Tables                  []string // and views, materialized views, sequences, foreign tables; also as "schema.table"
	Indexes, Triggers       []string // a trigger as "table trigger"
	Functions               []string // with argument types, "f(integer, text)"; aggregates and procedures, too
	List                    []int32  // entry IDs, in the order in which they are to be restored; nil if there is no list

	Strict bool // each name, but for those of ExcludeSchemas, must be that of something
}

// missing describes the first name that is that of nothing, "" if there is none. As in pg_restore, what is outside of the selected schemas
// does not count.
func (s *Selection) missing(p *Plan) string {
	for _, list := range []struct {
		kind  string
		names []string
		only  func(name []string) Selection
	}{
		{"schema", s.Schemas, func(n []string) Selection { return Selection{Schemas: n} }},
		{"table", s.Tables, func(n []string) Selection { return Selection{Tables: n} }},
		{"index", s.Indexes, func(n []string) Selection { return Selection{Indexes: n} }},
		{"function", s.Functions, func(n []string) Selection { return Selection{Functions: n} }},
		{"trigger", s.Triggers, func(n []string) Selection { return Selection{Triggers: n} }},
	} {
		for i, name := range list.names {
			one := list.only(list.names[i : i+1])
			if one.ExcludeSchemas = s.ExcludeSchemas; list.kind != "schema" {
				one.Schemas = s.Schemas
			}
			c := &chooser{plan: p, opts: &PlanOptions{Select: one}}
			if !slices.ContainsFunc(p.Catalog.Entries, func(e archive.Entry) bool {
				return !follows(&e) && c.picked(&e) || list.kind == "schema" && e.Kind == kindSchema && e.Name == name
			}) {
				return list.kind + " " + quoteID(name)
			}
		}
	}
	return ""
}

// byObject tells whether some kind of object is picked by name, which leaves out all other kinds.
func (s *Selection) byObject() bool {
	return len(s.Tables)+len(s.Indexes)+len(s.Triggers)+len(s.Functions) > 0
}

// want is what a plan wants of an entry.
type want struct {
	schema  bool
	data    bool
	special bool // it is no object, but says how to read the others
}

func (w want) any() bool { return w.schema || w.data }

// chooser decides what a plan wants of each entry.
type chooser struct {
	plan     *Plan
	opts     *PlanOptions
	sections map[archive.Section]bool
	listed   map[int32]bool // nil if there is no list
}

func newChooser(p *Plan) *chooser {
	c := &chooser{plan: p, opts: &p.Options, sections: make(map[archive.Section]bool)}
	names := map[string]archive.Section{
		"pre-data": archive.SectionPreData, "data": archive.SectionData, "post-data": archive.SectionPostData,
	}
	for name, section := range names {
		c.sections[section] = len(c.opts.Sections) == 0 || slices.Contains(c.opts.Sections, name)
	}
	if list := c.opts.Select.List; list != nil {
		c.listed = make(map[int32]bool, len(list))
		for _, id := range list {
			c.listed[id] = true
		}
	}
	return c
}

// wants decides about an entry that stands in a section, or after the last entry of it if it has none of its own.
// The rules, and their order, are pg_restore's.
func (c *chooser) wants(e *archive.Entry, section archive.Section) want {
	if e.Global() {
		return c.wantsGlobal(e)
	}
	if c.opts.Without.leavesOut(e) {
		return want{}
	}
	switch e.Kind {
	case "ENCODING", "STDSTRINGS", "SEARCHPATH":
		return want{special: true}
	case kindDatabase, kindDatabaseProp:
		return want{schema: c.opts.Create}
	case kindSchema:
		if c.oldPublic(e.Name) {
			return want{}
		}
	case kindComment:
		if c.opts.NoComments || e.Name == "SCHEMA public" && c.oldPublic("public") {
			return want{}
		}
	case kindStatistics, kindExtendedStatistics:
		if !c.opts.wantsStatistics() {
			return want{}
		}
	}
	if c.opts.NoACL && isACL(e) || !c.sections[section] || c.listed != nil && !c.listed[e.ID] {
		return want{}
	}
	if e.Kind == "<Init>" && e.Name == "Max OID" {
		return want{}
	}
	if !c.selected(e) {
		return want{}
	}
	return c.components(e)
}

// oldPublic tells whether a schema is the one that every database has from the start. Before version 11 pg_dump wrote it
// all the same, and pg_restore left it out unless it had been dropped.
func (c *chooser) oldPublic(schema string) bool {
	major := dumpMajor(c.plan.Catalog.PgDumpVersion)
	_, redirected := c.opts.Redirect[schema]
	return schema == "public" && major > 0 && major < 11 && (!c.opts.Clean || c.opts.Create) && !redirected
}

// selected applies the switches that pick objects by name.
func (c *chooser) selected(e *archive.Entry) bool {
	if c.plan.needed != nil {
		return c.plan.needed[e.ID]
	}
	sel := &c.opts.Select
	if follows(e) {
		if strings.HasPrefix(e.Name, "DATABASE ") {
			return c.opts.Create
		}
		if len(sel.Schemas) > 0 || len(sel.ExcludeSchemas) > 0 || sel.byObject() {
			return c.followsWanted(e)
		}
		return true
	}
	return c.picked(e)
}

// follows tells whether the entry is selected with what it belongs to, and not by its own name.
func follows(e *archive.Entry) bool {
	switch e.Kind {
	case kindACL, kindComment, kindLabel, kindStatistics:
		return true
	}
	return false
}

// picked tells whether schema and name of an entry are among those that are selected.
func (c *chooser) picked(e *archive.Entry) bool {
	sel := &c.opts.Select
	inSchema := e.Nulls&archive.NullSchema == 0
	if len(sel.Schemas) > 0 && (!inSchema || !slices.Contains(sel.Schemas, e.Schema)) {
		return false
	}
	if inSchema && slices.Contains(sel.ExcludeSchemas, e.Schema) {
		return false
	}
	return !sel.byObject() || c.named(e)
}

// followsWanted tells whether what the entry belongs to is wanted. The rights on a column depend on the rights on
// the table too, which is no reason to want them. Of a script the object stands first, behind its schema, which is no reason either where the
// object is one of an extension: its reader has what follows the rows wait for much else.
func (c *chooser) followsWanted(e *archive.Entry) bool {
	script := c.plan.namesOnly
	alone := isStatistics(e)
	for _, id := range e.Deps {
		owner := c.plan.byID[id]
		if owner == nil || owner.Kind == kindACL || script && owner.Kind == kindSchema && owner.Name == e.Schema {
			continue
		}
		alone = alone && owner.Kind == kindSchema
		if w := c.plan.wanted[id]; w.any() || w.special || isStatistics(e) && c.measures(owner) {
			return true
		}
		if script {
			break
		}
	}
	return alone && c.pickedAs(e, kindTable, "INDEX")
}

// pickedAs tells whether an entry would be selected by its name if it were of one of these kinds: a dump of statistics only does not say.
func (c *chooser) pickedAs(e *archive.Entry, kinds ...string) bool {
	return slices.ContainsFunc(kinds, func(kind string) bool {
		as := *e
		as.Kind = kind
		return c.picked(&as)
	})
}

// measures tells whether statistics of an object are wanted where its definition may not be: it is selected by its name, or is an index of
// a table that is.
func (c *chooser) measures(of *archive.Entry) bool {
	if c.picked(of) {
		return true
	}
	if c.opts.wantsSchema() || of.Kind != "INDEX" && of.Kind != "CONSTRAINT" {
		return false
	}
	return slices.ContainsFunc(of.Deps, func(id int32) bool {
		table := c.plan.byID[id]
		return table != nil && (table.Kind == kindTable || table.Kind == "MATERIALIZED VIEW") && c.picked(table)
	})
}

// named tells whether the entry is of a kind that is picked by name, and its name is there.
func (c *chooser) named(e *archive.Entry) bool {
	sel := &c.opts.Select
	switch e.Kind {
	case kindTable, kindTableData, "VIEW", "FOREIGN TABLE", "EXTERNAL TABLE", "MATERIALIZED VIEW", "MATERIALIZED VIEW DATA",
		"SEQUENCE", "SEQUENCE SET":
		return slices.Contains(sel.Tables, e.Name) || e.Schema != "" && slices.Contains(sel.Tables, e.Schema+"."+e.Name)
	case "INDEX":
		return slices.Contains(sel.Indexes, e.Name)
	case "FUNCTION", "AGGREGATE", "PROCEDURE":
		return slices.Contains(sel.Functions, e.Name)
	case "TRIGGER":
		return slices.Contains(sel.Triggers, e.Name)
	default:
		return false
	}
}

// components tells which parts the entry has, and takes off those that are not asked for.
func (c *chooser) components(e *archive.Entry) want {
	w := want{schema: true, data: true}
	if !e.HadDumper {
		w.data = countsAsData(e)
		w.schema = !w.data
	}
	if e.DDL == "" || strings.HasPrefix(e.DDL, viaRootMark) {
		w.schema = false
	}
	w.schema = w.schema && c.opts.wantsSchema()
	w.data = w.data && (c.opts.wantsData() || isStatistics(e))
	return w
}

// isStatistics tells whether the entry has statistics of a table or the like, which are wanted apart from rows and definitions.
func isStatistics(e *archive.Entry) bool {
	return e.Kind == kindStatistics || e.Kind == kindExtendedStatistics
}

// countsAsData tells whether the SQL of an entry without rows belongs to the data.
func countsAsData(e *archive.Entry) bool {
	switch e.Kind {
	case "SEQUENCE SET", kindBlob, kindBlobMetadata, kindStatistics, kindExtendedStatistics:
		return true
	case kindACL, kindComment, kindLabel:
		return strings.HasPrefix(e.Name, "LARGE OBJECT ") || strings.HasPrefix(e.Name, "LARGE OBJECTS ")
	default:
		return false
	}
}

// isACL tells whether the entry grants or revokes something.
func isACL(e *archive.Entry) bool {
	return e.Kind == kindACL || e.Kind == "ACL LANGUAGE" || e.Kind == "DEFAULT ACL"
}

// passOf tells in which pass an entry is restored. A comment goes with its object.
func passOf(e *archive.Entry) Pass {
	switch {
	case isACL(e):
		return PassACL
	case e.Kind == "EVENT TRIGGER", e.Kind == "MATERIALIZED VIEW DATA",
		e.Kind == kindComment && strings.HasPrefix(e.Name, "EVENT TRIGGER "),
		e.Kind == kindStatistics && e.Section == archive.SectionPostData:
		return PassPostACL
	default:
		return PassMain
	}
}

// viaRootMark begins the definition of a TABLE DATA entry whose rows go through the root of a partitioned table.
const viaRootMark = "-- load via partition root "

// LoadsViaRoot tells whether a TABLE DATA entry loads its rows through the root of a partitioned table. They may
// land in any partition, so nothing may be emptied before them and nothing frozen.
//
// pg_dump marks such entries; before March 2023 it did not, and only the COPY statement shows it.
func LoadsViaRoot(e *archive.Entry) bool {
	if strings.HasPrefix(e.DDL, viaRootMark) {
		return true
	}
	return e.Copy != "" && copyTarget(e) == ""
}

// copyTarget gives the name of the table as the entry's COPY statement has it, with or without the schema and
// quoted or not; "" if the statement names some other table.
func copyTarget(e *archive.Entry) string {
	for _, schema := range []string{quoteID(e.Schema) + ".", alwaysQuoteID(e.Schema) + ".", ""} {
		for _, name := range []string{quoteID(e.Name), alwaysQuoteID(e.Name)} {
			if strings.HasPrefix(e.Copy, "COPY "+schema+name+" ") {
				return schema + name
			}
		}
	}
	return ""
}
