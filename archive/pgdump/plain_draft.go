package pgdump

import (
	"strconv"
	"strings"

	"github.com/pgark/pgark/archive"
)

// span is a stretch of a script: [from, to) in bytes.
type span struct{ from, to int64 }

// scriptEnv is what a script has set by the time it comes to an entry, as far as it belongs to the entry.
type scriptEnv struct {
	schema     string   // the first of search_path
	tablespace setValue // default_tablespace
	tableAM    setValue // default_table_access_method
	auth       setValue // SET SESSION AUTHORIZATION; "" is the default
	withOIDs   bool     // default_with_oids
}

// setValue is the value of a setting; known tells whether there was a statement that set it.
type setValue struct {
	value string
	known bool
}

// draft is an entry that is being read.
type draft struct {
	toc    *tocComment // nil for statements without such a comment
	from   int64       // where it begins
	env    scriptEnv
	body   strings.Builder // its definition up to the end of the last statement
	lines  int             // line ends that the definition has after it
	obj    object          // of the first statement
	first  bool            // there is a statement
	ended  bool            // nothing belongs to its definition any more
	isRule bool            // it makes a view again, with its query

	owner    string // ALTER ... OWNER TO
	hasOwner bool
	ownedAs  string // how that statement names the object: "FUNCTION s.f(integer)"
	method   string // ALTER TABLE ... SET ACCESS METHOD

	copySQL  string // with its line end
	target   qualified
	columns  []string
	withOIDs bool
	rows     span // of COPY text
	hasRows  bool
	inserts  span // of INSERT statements
	blobs    span // of calls that write large objects
	switched bool // SET SESSION AUTHORIZATION in it is still in force
}

// kind is what the entry is, as far as it is known by now.
func (d *draft) kind() string {
	if d.toc == nil {
		switch {
		case d.isRule:
			return "RULE"
		case d.obj.kind != "":
			return d.obj.kind
		case d.hasData():
			return kindTableData
		default:
			return kindStatement
		}
	}
	said := d.toc.names[0].kind
	if d.first && !trustedKind(said, d.obj.kind) {
		if d.obj.kind == "" {
			return kindStatement
		}
		return d.obj.kind
	}
	return said
}

// hasData tells whether there are rows, in whatever form.
func (d *draft) hasData() bool { return d.hasRows || d.inserts.to > 0 }

// isData tells whether the entry is one of those that hold data and no definition.
func (d *draft) isData() bool {
	switch d.kind() {
	case kindTableData, kindBlobs:
		return true
	}
	return false
}

// scriptEntry is an entry with the place of its data, before it has its dependencies.
type scriptEntry struct {
	archive.Entry
	obj     object
	said    tocNames // of the comment
	toc     *tocComment
	at      int64
	target  qualified // TABLE DATA: the table that its statements name
	columns []string
	rows    span
	hasRows bool
	oids    bool // the rows begin with them
	inserts span
	blobs   span
}

// entry makes the entry that a draft has become. greenplum is for what other products have otherwise.
func (d *draft) entry(greenplum bool) *scriptEntry {
	e := &scriptEntry{
		obj: d.obj, toc: d.toc, at: d.from, target: d.target, columns: d.columns,
		rows: d.rows, hasRows: d.hasRows, oids: d.withOIDs, inserts: d.inserts, blobs: d.blobs,
	}
	e.Kind = d.kind()
	if d.toc != nil {
		e.said = d.toc.reading(&d.obj, d.target)
	} else {
		e.said = tocNames{noSchema: true, noOwner: true}
	}
	if d.body.Len() > 0 {
		d.body.WriteString(strings.Repeat("\n", d.lines))
	}
	e.DDL = d.body.String()
	if d.toc != nil && d.toc.verbose {
		e.TableOID, e.OID = d.toc.tableOID, d.toc.oid
	}
	if oid, err := strconv.ParseUint(d.obj.name.name, 10, 32); err == nil && e.Kind == kindBlob {
		e.TableOID, e.OID = largeObjects, uint32(oid)
	}
	d.setNames(e)
	d.setStorage(e, greenplum)
	d.setOwner(e)
	d.setData(e)
	e.setNulls()
	return e
}

// largeObjects is the number of the catalog of large objects.
const largeObjects = 2613

// reading chooses the way to read the comment that fits the statements.
func (c *tocComment) reading(o *object, target qualified) tocNames {
	for _, n := range c.names {
		for _, tag := range append(o.tags, target.name) {
			if tag != "" && sanitized(tag) == n.name {
				return n
			}
		}
	}
	return c.names[0]
}

// setStorage gives the entry its tablespace and its access method.
func (d *draft) setStorage(e *scriptEntry, greenplum bool) {
	e.Nulls |= archive.NullTablespace | archive.NullTableAM
	if d.env.tablespace.known && hasTablespace(e.Kind, &d.obj) {
		e.Tablespace = d.env.tablespace.value
		e.Nulls &^= archive.NullTablespace
	}
	stored := e.Kind == kindTable && (!d.obj.partitioned || greenplum) || e.Kind == kindMatView
	switch {
	case d.method != "":
		e.TableAM = d.method
		e.Nulls &^= archive.NullTableAM
	case d.env.tableAM.known && stored:
		e.TableAM = d.env.tableAM.value
		e.Nulls &^= archive.NullTableAM
	}
	e.WithOIDs = d.withOIDs || d.env.withOIDs && e.Kind == kindTable
}

// setOwner gives the entry its owner, and the statement that drops it. Where the script makes someone the owner there is
// such a statement, and where it leaves an owner out there is none: whoever restores goes by that.
func (d *draft) setOwner(e *scriptEntry) {
	e.Drop = d.dropStatement(e.Kind)
	if !d.first && e.Kind == "SCHEMA" && d.toc != nil {
		e.Drop = strings.Replace(e.DDL, "creating", "dropping", 1)
	}
	e.Owner = e.said.owner
	noOwner := e.said.noOwner
	switch {
	case d.hasOwner:
		e.Owner, noOwner = d.owner, false
	case !ownable(e.Kind):
	case d.env.auth.known:
		if d.env.auth.value != "" {
			e.Owner, noOwner = d.env.auth.value, false
		}
	case e.Owner != "":
		e.Drop = ""
	}
	if noOwner {
		e.Owner = ""
		e.Nulls |= archive.NullOwner
	}
}

// dropStatement is the statement that removes what the entry makes; "" if there is none.
func (d *draft) dropStatement(kind string) string {
	named := d.obj.named
	if d.ownedAs != "" && ownedBySignature(kind) {
		named = d.ownedAs
	}
	switch {
	case kind == "SHELL TYPE", kind == kindStatement:
		return ""
	case kind == "SEQUENCE" && d.obj.table.name != "": // of an identity column
		return ""
	case d.obj.drop != "":
		return d.obj.drop
	case named != "" && d.obj.kind == kind:
		return "DROP " + named + ";\n"
	default:
		return ""
	}
}

// setData says what data the entry has.
func (d *draft) setData(e *scriptEntry) {
	if !d.isData() {
		return
	}
	e.HadDumper = true
	e.Copy = d.copySQL
	if !strings.HasPrefix(e.DDL, viaRootMark) {
		e.DDL = ""
	}
}

// viaRootMark begins the definition of a TABLE DATA entry whose rows go through the root of a partitioned table.
const viaRootMark = "-- load via partition root "

// setNulls marks the texts that are NULL in pg_dump's own archives.
func (e *scriptEntry) setNulls() {
	for bit, text := range map[archive.NullSet]string{
		archive.NullDDL: e.DDL, archive.NullDrop: e.Drop, archive.NullCopy: e.Copy, archive.NullSchema: e.Schema,
	} {
		e.Nulls &^= bit
		if text == "" {
			e.Nulls |= bit
		}
	}
}
