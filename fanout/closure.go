package fanout

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// Need says why an entry is restored with others that were selected.
type Need struct {
	Entry int32
	By    int32  // the entry that needs it, or that it is a part of; 0 for one that was selected
	How   string // "selected", "schema", "depends", "part of", ...
}

// closure finds what selected entries need: all that the catalog says they depend on, and what belongs to it.
type closure struct {
	plan   *Plan
	needs  map[int32]Need
	order  []int32 // of their finding
	todo   []int32
	parent map[int32]bool // partitioned tables that are there for one of their partitions only

	dependents map[int32][]int32
	pairs      map[int32][]int32 // of operators, see pairOperators
	schemas    map[string]int32
	names      map[tableName][]int32 // of a catalog that does not record what depends on what
	extensions map[string][]int32    // likewise, by the schema that they are made in
}

// withDependencies finds them, if that is asked for, and notes what could not be followed.
func (p *Plan) withDependencies() error {
	if !p.Options.WithDependencies {
		if p.Options.FKTables {
			return fmt.Errorf("%w: tables that foreign keys refer to come only with dependencies", ErrUsage)
		}
		return nil
	}
	sel := &p.Options.Select
	switch {
	case sel.List != nil:
		return fmt.Errorf("%w: a list says itself what is restored: it can't bring dependencies", ErrUsage)
	case !sel.byObject() && len(sel.Schemas) == 0:
		return fmt.Errorf("%w: dependencies need something that is selected", ErrUsage)
	}
	c := newClosure(p)
	chooser := newChooser(p)
	for _, e := range p.order {
		switch e.Kind {
		case "ENCODING", "STDSTRINGS", "SEARCHPATH", kindDatabase, kindDatabaseProp, kindACL, kindComment, kindLabel:
			continue
		}
		if chooser.selected(e) || e.Kind == kindSchema && !sel.byObject() && slices.Contains(sel.Schemas, e.Name) {
			c.add(e.ID, Need{How: "selected"})
		}
	}
	c.run()
	var left []string // foreign keys
	for found := 0; found < len(c.order); {
		found = len(c.order)
		c.silentParts()
		left = c.foreignKeys()
		c.ownedSequences()
	}
	c.tellSilent(left)
	c.globals(c.tellRoles())
	p.Needs = make([]Need, len(c.order))
	p.needed = make(map[int32]bool, len(c.order))
	for i, id := range c.order {
		p.Needs[i] = c.needs[id]
		p.needed[id] = true
	}
	return nil
}

func newClosure(p *Plan) *closure {
	c := &closure{
		plan: p, needs: make(map[int32]Need), parent: make(map[int32]bool),
		dependents: make(map[int32][]int32), pairs: make(map[int32][]int32), schemas: make(map[string]int32),
	}
	if p.namesOnly {
		c.names, c.extensions = make(map[tableName][]int32), make(map[string][]int32)
	}
	for _, e := range p.order {
		for _, dep := range c.deps(e) {
			if p.byID[dep] != nil && dep != e.ID {
				c.dependents[dep] = append(c.dependents[dep], e.ID)
			}
		}
		if e.Kind == kindSchema {
			c.schemas[e.Name] = e.ID
		}
		if c.names != nil {
			c.register(e)
		}
	}
	c.pairOperators()
	return c
}

// add takes an entry in, the first time.
func (c *closure) add(id int32, n Need) bool {
	if _, ok := c.needs[id]; ok || c.plan.byID[id] == nil {
		return false
	}
	n.Entry = id
	c.needs[id] = n
	c.order = append(c.order, id)
	c.todo = append(c.todo, id)
	return true
}

func (c *closure) run() {
	for len(c.todo) > 0 {
		id := c.todo[0]
		c.todo = c.todo[1:]
		c.expand(c.plan.byID[id])
	}
}

// expand adds what an entry needs, and what belongs to it.
func (c *closure) expand(e *archive.Entry) {
	if id, ok := c.schemas[e.Schema]; ok && e.Schema != "" {
		c.add(id, Need{By: e.ID, How: "schema"})
	}
	for _, dep := range c.deps(e) {
		x := c.plan.byID[dep]
		if x == nil || dep == e.ID || e.Kind == "INDEX ATTACH" && x.Kind == kindTable { // the indexes bring those that are needed; see withOrder
			continue
		}
		how := "depends"
		switch {
		case c.attaches(e, x):
			how = "partition of"
		case c.inherits(e, x):
			how = "inherits from"
		}
		// The indexes of partitions depend on those of the tables above; their triggers do in scripts.
		above := (e.Kind == "INDEX" || e.Kind == "CONSTRAINT" || e.Kind == "TRIGGER") && c.needs[e.ID].How == "depends"
		if _, there := c.needs[dep]; !there && (how == "partition of" || above) {
			c.parent[dep] = true
		}
		c.add(dep, Need{By: e.ID, How: how})
		c.wholeFor(e, dep)
	}
	for _, id := range c.pairs[e.ID] {
		c.add(id, Need{By: e.ID, How: "commutator or negator"})
	}
	c.byName(e)
	for _, id := range c.dependents[e.ID] {
		if how := c.belongs(c.plan.byID[id], e); how != "" {
			c.add(id, Need{By: e.ID, How: how})
		}
	}
}

// wholeFor takes in all partitions of a table that was there for some of them, if an entry that needs it may need all of its rows.
func (c *closure) wholeFor(e *archive.Entry, table int32) {
	switch e.Kind {
	case "VIEW", "MATERIALIZED VIEW", "FK CONSTRAINT", "FUNCTION", "PROCEDURE":
		if c.parent[table] {
			delete(c.parent, table)
			c.todo = append(c.todo, table)
		}
	}
}

// attaches tells whether an entry makes a table a partition of another one, or is such a partition: it depends on that, too.
func (c *closure) attaches(e, to *archive.Entry) bool {
	switch e.Kind {
	case "TABLE ATTACH":
		return to.Schema != e.Schema || to.Name != e.Name
	case kindTable, "FOREIGN TABLE":
		return slices.ContainsFunc(c.dependents[e.ID], func(id int32) bool {
			x := c.plan.byID[id]
			return x.Kind == "TABLE ATTACH" && x.Schema == e.Schema && x.Name == e.Name && slices.Contains(c.deps(x), to.ID)
		})
	}
	return false
}

// inherits tells whether a table has another one among its parents.
func (c *closure) inherits(e, from *archive.Entry) bool {
	isTable := func(e *archive.Entry) bool { return e.Kind == kindTable || e.Kind == "FOREIGN TABLE" }
	if !isTable(e) || !isTable(from) {
		return false
	}
	for _, s := range c.statements(e) {
		at := s.find("INHERITS", "(")
		if at < 0 {
			continue
		}
		for _, item := range s.list(at + 1) {
			_, text := s.qualified(item[0])
			parts := splitQualified(text)
			if name := parts[len(parts)-1]; name == from.Name && (len(parts) == 1 || parts[0] == from.Schema) {
				return true
			}
		}
	}
	return false
}

// heirs are tables that are not restored and inherit from some that are.
func (c *closure) heirs() []string {
	var names []string
	for _, e := range c.plan.order {
		if _, in := c.needs[e.ID]; in || e.Kind != kindTable && e.Kind != "FOREIGN TABLE" {
			continue
		}
		if slices.ContainsFunc(c.deps(e), func(id int32) bool {
			_, in := c.needs[id]
			return in && c.inherits(e, c.plan.byID[id])
		}) {
			names = append(names, qualifiedID(e.Schema, e.Name))
		}
	}
	return names
}

// belongs tells whether, and how, an entry that depends on another is a part of it.
func (c *closure) belongs(e, of *archive.Entry) string {
	if of.Kind == kindSchema && e.Schema != "" { // scripts have what is in a schema depend on it
		return ""
	}
	switch e.Kind {
	case kindACL, kindComment, kindLabel:
		if of.Kind != kindACL {
			return "part of"
		}
	case kindTableData, "DEFAULT", "CONSTRAINT", "CHECK CONSTRAINT", "INDEX", "TRIGGER", "RULE", "POLICY", "ROW SECURITY", "STATISTICS",
		"MATERIALIZED VIEW DATA", kindStatistics, kindExtendedStatistics:
		if c.owns(of, e) {
			return "part of"
		}
	case "SEQUENCE SET", kindTypeStorage:
		return "part of"
	case kindExchange:
		if of.Kind == kindTable {
			return "part of"
		}
	case "SEQUENCE":
		if of.Kind == kindTable && strings.HasPrefix(e.DDL, "ALTER TABLE") { // an identity column
			return "part of"
		}
	case "TABLE ATTACH":
		if of.Schema == e.Schema && of.Name == e.Name {
			return "part of"
		}
		if !c.parent[of.ID] {
			return "partition of it"
		}
	case "INDEX ATTACH": // of the index, or of the constraint whose index it is
		if of.Schema == e.Schema && (of.Name == e.Name || of.Kind == "CONSTRAINT" && strings.HasSuffix(of.Name, " "+e.Name)) {
			return "part of"
		}
	}
	return ""
}

// owns tells whether a table, a view or an index is the one that a part says it is of. pg_dump begins the names of constraints,
// triggers and the like with the table's; others have it first among their dependencies.
func (c *closure) owns(of, part *archive.Entry) bool {
	switch of.Kind {
	case kindTable, "FOREIGN TABLE", "EXTERNAL TABLE", "VIEW", "MATERIALIZED VIEW", kindTableData:
	case "DOMAIN":
		return part.Kind == "CHECK CONSTRAINT" && of.Schema == part.Schema && strings.HasPrefix(part.Name, of.Name+" ")
	case "STATISTICS", "INDEX", "CONSTRAINT":
		return part.Kind == kindExtendedStatistics || part.Kind == kindStatistics
	default:
		return false
	}
	switch part.Kind {
	case "CONSTRAINT", "CHECK CONSTRAINT", "TRIGGER", "RULE", "POLICY", "DEFAULT":
		return len(part.Deps) == 1 || c.partOf(part, of)
	case kindTableData, "MATERIALIZED VIEW DATA", kindStatistics, "ROW SECURITY":
		return of.Schema == part.Schema && of.Name == part.Name
	}
	for _, dep := range part.Deps { // an index, or extended statistics: of the first table
		if x := c.plan.byID[dep]; x != nil && (x.Kind == kindTable || x.Kind == "MATERIALIZED VIEW" || x.Kind == "FOREIGN TABLE") {
			return x.ID == of.ID
		}
	}
	return false
}

// partOf tells whether the name of a part begins with that of an object. Where that is so of others that it depends on, too, as of tables
// a and "a b", it is the one whose name leaves what the part's definition calls it.
func (c *closure) partOf(part, of *archive.Entry) bool {
	own, ok := strings.CutPrefix(part.Name, of.Name+" ")
	if !ok || of.Schema != part.Schema {
		return false
	}
	for _, id := range c.deps(part) {
		x := c.plan.byID[id]
		if x == nil || x.Name == of.Name || x.Schema != of.Schema {
			continue
		}
		if other, ok := strings.CutPrefix(part.Name, x.Name+" "); ok && c.calls(part, other) && !c.calls(part, own) {
			return false
		}
	}
	return true
}

// calls tells whether there is a name in a definition.
func (c *closure) calls(e *archive.Entry, name string) bool {
	for _, s := range c.statements(e) {
		for i := range s.tokens {
			if s.isName(i) && s.name(i) == name {
				return true
			}
		}
	}
	return false
}

// kindExchange is an entry of gpbackup: an external table becomes a partition of a table.
const kindExchange = "EXCHANGE PARTITION"

// kindTypeStorage is an entry of Greenplum that belongs to a type.
const kindTypeStorage = "TYPE STORAGE OPTIONS"

// foreignKeys takes those in whose tables are all there, or brings them if that is asked for. It gives those that are left out.
func (c *closure) foreignKeys() (left []string) {
	for again := true; again; {
		again, left = false, nil
		for _, e := range c.plan.order {
			if _, in := c.needs[e.ID]; in || e.Kind != "FK CONSTRAINT" {
				continue
			}
			own, others := c.ownTable(e)
			if own == 0 {
				continue
			}
			missing := slices.ContainsFunc(others, func(id int32) bool { _, in := c.needs[id]; return !in })
			if missing && !c.plan.Options.FKTables {
				left = append(left, e.Schema+"."+e.Name)
				continue
			}
			if c.add(e.ID, Need{By: own, How: "part of"}) {
				c.run()
				again = true
			}
		}
	}
	return left
}

// ownedSequences takes in the sequences that tables own, and that they do. pg_dump records neither as dependencies of the table; that a
// sequence needs the table that owns it is recorded, but not by scripts.
func (c *closure) ownedSequences() {
	tables, sequences := make(map[tableName]int32), make(map[tableName]int32)
	for _, id := range c.order {
		if e := c.plan.byID[id]; e.Kind == "SEQUENCE" {
			sequences[tableName{e.Schema, e.Name}] = id
		}
	}
	for _, e := range c.plan.order {
		if e.Kind == kindTable || e.Kind == "FOREIGN TABLE" {
			tables[tableName{e.Schema, e.Name}] = e.ID
		}
	}
	for _, e := range c.plan.order {
		if _, in := c.needs[e.ID]; in || e.Kind != "SEQUENCE OWNED BY" {
			continue
		}
		table := tables[c.ownerOf(e)]
		if sequence := sequences[tableName{e.Schema, e.Name}]; sequence != 0 && c.names != nil {
			c.add(table, Need{By: sequence, How: "owned by"})
		}
		if _, in := c.needs[table]; in {
			c.add(e.ID, Need{By: table, How: "part of"})
		}
	}
	c.run()
}

// ownerOf is the table that SEQUENCE OWNED BY names.
func (c *closure) ownerOf(e *archive.Entry) tableName {
	for _, s := range c.statements(e) {
		if at := s.find("OWNED", "BY"); at > 0 {
			_, text := s.qualified(at + 2)
			if parts := splitQualified(text); len(parts) > 2 {
				return tableName{parts[0], parts[1]}
			}
		}
	}
	return tableName{}
}

// ownTable finds the table of a foreign key if it is restored, and all else that the key depends on.
func (c *closure) ownTable(e *archive.Entry) (own int32, others []int32) {
	for _, dep := range c.deps(e) {
		x := c.plan.byID[dep]
		switch {
		case x == nil:
		case x.Kind == kindTable && c.partOf(e, x):
			if _, in := c.needs[dep]; in {
				own = dep
			}
		default:
			others = append(others, dep)
		}
	}
	return own, others
}

// tellSilent says which foreign keys are left out, and what could not be followed, since nothing records it.
func (c *closure) tellSilent(left []string) {
	if len(left) > 0 {
		c.plan.Warnings = append(c.plan.Warnings, fmt.Sprintf(
			"foreign keys are left out, since the tables that they refer to are not restored (--fk-tables brings them): %s", someTables(left)))
	}
	if heirs := c.heirs(); len(heirs) > 0 {
		c.plan.Warnings = append(c.plan.Warnings, "tables that inherit from restored ones are left out, and queries of those lack their rows (-t brings them): "+someTables(heirs))
	}
	var functions []string
	for _, id := range c.order {
		switch e := c.plan.byID[id]; e.Kind {
		case "FUNCTION", "PROCEDURE", "AGGREGATE":
			functions = append(functions, e.Schema+"."+e.Name)
		}
	}
	if len(functions) > 0 {
		c.plan.Warnings = append(c.plan.Warnings, "what the bodies of functions refer to is not recorded, and was not followed: "+someTables(functions))
	}
	if c.names != nil {
		c.plan.Warnings = append(c.plan.Warnings,
			"the dump does not record what depends on what: names in the definitions were followed, and what is not named there with its schema was not")
	}
}

// WriteTree writes what is restored as a tree: under each object that was selected what it needs and what belongs to it, each once,
// with the reason. text turns names, in the encoding of the database, into what can be shown.
func (p *Plan) WriteTree(w io.Writer, text func(string) string) error {
	below := make(map[int32][]Need)
	for _, n := range p.Needs {
		below[n.By] = append(below[n.By], n)
	}
	var b strings.Builder
	var write func(by int32, depth int)
	write = func(by int32, depth int) {
		for _, n := range below[by] {
			e := p.byID[n.Entry]
			name := e.Name
			if e.Schema != "" {
				name = e.Schema + "." + name
			}
			fmt.Fprintf(&b, "%s%s %s (%s)\n", strings.Repeat("  ", depth), e.Kind, sanitizeLine(text(name)), n.How)
			write(n.Entry, depth+1)
		}
	}
	write(0, 0)
	if len(p.Roles) > 0 {
		shown := make([]string, len(p.Roles))
		for i, r := range p.Roles {
			shown[i] = sanitizeLine(text(r))
		}
		fmt.Fprintf(&b, "roles that must be there: %s\n", strings.Join(shown, ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
