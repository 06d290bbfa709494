package archive

// Section says in which part of a restore an entry belongs, as pg_dump has it.
type Section uint8

// The sections, numbered as in pg_dump's own files.
const (
	SectionNone     Section = 1 // run where it stands, or never by itself (ENCODING, COMMENT on a database)
	SectionPreData  Section = 2
	SectionData     Section = 3
	SectionPostData Section = 4
)

// NullSet marks text fields of an [Entry] that were NULL, not empty, where they came from.
// Only a writer of stock formats needs the difference.
type NullSet uint16

// One bit for each text field that a stock dump may leave NULL.
const (
	NullDDL        NullSet = 0x01
	NullDrop       NullSet = 0x02
	NullCopy       NullSet = 0x04
	NullSchema     NullSet = 0x08
	NullTablespace NullSet = 0x10
	NullTableAM    NullSet = 0x20
	NullOwner      NullSet = 0x40
)

// Entry is one object of the catalog: what pg_dump calls a TOC entry.
//
// Text is in the encoding of the database (Catalog.Encoding), byte for byte as the server sent it.
type Entry struct {
	ID         int32  // unique in one catalog, > 0; Deps refer to it
	TableOID   uint32 // catalog table that holds the object (pg_class is 1259), 0 where there is none
	OID        uint32 // the object's own OID, 0 where there is none
	Kind       string // pg_dump's description: TABLE, TABLE DATA, FK CONSTRAINT, ACL, ...
	Schema     string
	Name       string // pg_dump's tag
	Owner      string
	Section    Section
	DDL        string // statements that make the object; for BLOBS and TABLE DATA usually empty
	Drop       string // statement that removes it
	Copy       string // TABLE DATA: the COPY ... FROM stdin statement
	Tablespace string
	TableAM    string // table access method
	RelKind    byte   // pg_class.relkind where the source knows it (archive version 1.16 and later), else 0
	WithOIDs   bool
	HadDumper  bool    // the source had data for this entry
	Deps       []int32 // IDs; may repeat and may name IDs that are not in this catalog
	Nulls      NullSet
}

// Catalog is everything of a database but its rows.
type Catalog struct {
	Database      string  // name of the database
	Encoding      string  // server encoding, for example UTF8, LATIN1, SQL_ASCII
	ServerVersion string  // as the server says it: "15.18 (Debian 15.18-0+deb12u1)"
	Product       string  // "PostgreSQL", "Greenplum", "Apache Cloudberry"
	PgDumpVersion string  // of the pg_dump that produced the entries
	TOCVersion    string  // version of the stock archive format they came in, "1.14"
	Entries       []Entry // in pg_dump's order, which is a valid restore order
}

// PartitionParents maps the ID of each table that is a partition to the ID of the table that it is attached to. A TABLE
// ATTACH entry, which depends on both, has the partition's name.
func (c *Catalog) PartitionParents() map[int32]int32 {
	tables := make(map[int32]*Entry)
	for i := range c.Entries {
		if e := &c.Entries[i]; e.Kind == "TABLE" || e.Kind == "FOREIGN TABLE" {
			tables[e.ID] = e
		}
	}
	parents := make(map[int32]int32)
	for i := range c.Entries {
		e := &c.Entries[i]
		if e.Kind != "TABLE ATTACH" {
			continue
		}
		var child, parent int32
		for _, dep := range e.Deps {
			switch t := tables[dep]; {
			case t == nil:
			case t.Schema == e.Schema && t.Name == e.Name:
				child = dep
			default:
				parent = dep
			}
		}
		if child != 0 && parent != 0 {
			parents[child] = parent
		}
	}
	return parents
}
