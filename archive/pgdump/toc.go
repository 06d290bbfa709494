package pgdump

import (
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/pgark/pgark/archive"
)

// OffsetState says whether the place of an entry's data is known.
type OffsetState uint8

// The states, by their numbers in the archive.
const (
	OffsetNotSet OffsetState = 1 // the archive was written to a pipe
	OffsetSet    OffsetState = 2
	OffsetNoData OffsetState = 3
)

// Entry is one entry of the table of contents, with the place of its data.
type Entry struct {
	archive.Entry
	DataState OffsetState // custom format only, else 0
	Offset    uint64      // of the entry's data from the start of the file, if DataState is OffsetSet
	File      string      // member that holds the entry's data, of directory and tar archives
}

// TOC is the header and the table of contents of an archive.
type TOC struct {
	Header  Header
	Entries []Entry // in the archive's order

	sources map[int32][]int32 // see Sources
	size    int64             // bytes that header and table took, where they were read
}

// firstEntries is how many entries are allocated before any has been read.
const firstEntries = 32

// ReadTOC reads the header and the table of contents from the start of r: a custom-format archive or
// the toc.dat of a directory or tar archive. It reads no further than the end of the table, save for
// what its buffer of 32 KiB has taken in; if r is a [bufio.Reader] with a buffer of that size or
// larger, nothing is lost. It does not close r.
//
// Errors are a [*FormatError]; ErrNotDump, ErrVersion, ErrTruncated and ErrDamaged tell the classes.
func ReadTOC(r io.Reader) (*TOC, error) {
	return readTOC(newScanner(r))
}

func readTOC(s *scanner) (*TOC, error) {
	t := &TOC{Header: s.header()}
	count := s.int("number of entries")
	if s.err == nil && count <= 0 { // there is one of the encoding at least
		s.damaged("number of entries", "%d entries", count)
	}
	if s.err != nil {
		return nil, s.err
	}
	t.Entries = make([]Entry, 0, min(int(count), firstEntries))
	seen := make(map[int32]bool, cap(t.Entries))
	for i := range int(count) {
		s.entry = i + 1
		e := s.readEntry(&t.Header)
		if s.err == nil && seen[e.ID] && e.Kind != kindTypeStorage {
			s.damaged("id", "%d appears twice", e.ID)
		}
		if s.err != nil {
			return nil, s.err
		}
		seen[e.ID] = true
		t.Entries = append(t.Entries, e)
	}
	t.size = s.off
	t.renumber()
	return t, nil
}

// kindTypeStorage is an entry of Greenplum that is written with the ID of the type that it belongs to.
const kindTypeStorage = "TYPE STORAGE OPTIONS"

// renumber gives such entries IDs of their own, above all others.
func (t *TOC) renumber() {
	var last int32
	for i := range t.Entries {
		last = max(last, t.Entries[i].ID)
	}
	for i := range t.Entries {
		if e := &t.Entries[i]; e.Kind == kindTypeStorage && last < math.MaxInt32 {
			last++
			e.Deps = append(e.Deps, e.ID)
			e.ID = last
		}
	}
}

// readEntry reads one entry, field by field in the archive's order.
func (s *scanner) readEntry(h *Header) Entry {
	var e Entry
	e.ID = s.int("id")
	if s.err == nil && e.ID <= 0 {
		s.damaged("id", "%d is not positive", e.ID)
	}
	e.HadDumper = s.int("data flag") != 0
	e.TableOID = s.oid("catalog id")
	e.OID = s.oid("object id")
	e.Name = s.text("name")
	e.Kind = s.text("kind")
	e.Section = oldSection(e.Kind)
	if h.Version.Minor >= minorSection {
		section := s.int("section")
		if s.err == nil && (section < int32(archive.SectionNone) || section > int32(archive.SectionPostData)) {
			s.damaged("section", "unknown section %d", section)
		}
		e.Section = archive.Section(section)
	}
	e.DDL = s.nullable("definition", &e.Nulls, archive.NullDDL)
	e.Drop = s.nullable("drop statement", &e.Nulls, archive.NullDrop)
	e.Copy = s.nullable("copy statement", &e.Nulls, archive.NullCopy)
	e.Schema = s.nullable("schema", &e.Nulls, archive.NullSchema)
	e.Tablespace = s.nullable("tablespace", &e.Nulls, archive.NullTablespace)
	e.Nulls |= archive.NullTableAM
	if h.Version.Minor >= minorTableAM {
		e.Nulls &^= archive.NullTableAM
		e.TableAM = s.nullable("table access method", &e.Nulls, archive.NullTableAM)
	}
	if h.Version.Minor >= minorRelKind {
		e.RelKind = s.relKind()
	}
	e.Owner = s.nullable("owner", &e.Nulls, archive.NullOwner)
	e.WithOIDs = s.text("OIDs flag") == "true"
	e.Deps = s.deps()
	if h.Format == FormatCustom {
		e.DataState, e.Offset = s.offset("place of the data")
	} else {
		e.File, _ = s.str("file name")
	}
	return e
}

// oldSection is the section of an entry in archives before 1.11, which don't tell: as pg_restore has it.
func oldSection(kind string) archive.Section {
	switch kind {
	case "COMMENT", "ACL", "ACL LANGUAGE":
		return archive.SectionNone
	case "TABLE DATA", "BLOBS", "BLOB COMMENTS":
		return archive.SectionData
	case "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "INDEX", "RULE", "TRIGGER":
		return archive.SectionPostData
	}
	return archive.SectionPreData
}

// nullable reads a Str and sets bit in nulls if it is NULL.
func (s *scanner) nullable(field string, nulls *archive.NullSet, bit archive.NullSet) string {
	v, null := s.str(field)
	if null {
		*nulls |= bit
	}
	return v
}

func (s *scanner) relKind() byte {
	k := s.int("relation kind")
	if s.err == nil && (k < 0 || k > math.MaxUint8) {
		s.damaged("relation kind", "%d", k)
		return 0
	}
	return byte(k)
}

// deps reads decimal strings up to a NULL.
func (s *scanner) deps() []int32 {
	var deps []int32
	for s.err == nil {
		t, null := s.str("dependency")
		if null || s.err != nil {
			break
		}
		id, err := strconv.ParseInt(t, 10, 32)
		if err != nil {
			s.damaged("dependency", "%q is not an id", t)
			break
		}
		deps = append(deps, int32(id))
	}
	return deps
}

// Catalog gives the archive's content without the places of the data. The entries are copied, their
// dependencies shared.
//
// Archives don't name the server's product; it is taken for PostgreSQL unless the server's version, or a table's
// definition, says otherwise. Who knows better sets Product.
func (t *TOC) Catalog() *archive.Catalog {
	product, version := cutProduct(t.Header.ServerVersion)
	c := &archive.Catalog{
		Database:      t.Header.Database,
		Encoding:      t.encoding(),
		ServerVersion: version,
		Product:       product,
		PgDumpVersion: t.Header.DumpVersion,
		TOCVersion:    t.Header.Version.String(),
		Entries:       make([]archive.Entry, len(t.Entries)),
	}
	for i := range t.Entries {
		c.Entries[i] = t.Entries[i].Entry
	}
	c.Product = productOfTables(c, t.dialect())
	return c
}

// encoding finds the name in the ENCODING entry: SET client_encoding = 'UTF8'; without one the bytes go to the server as they are, as
// with pg_restore.
func (t *TOC) encoding() string {
	for i := range t.Entries {
		if t.Entries[i].Kind != "ENCODING" {
			continue
		}
		if _, rest, ok := strings.Cut(t.Entries[i].DDL, "'"); ok {
			if name, _, ok := strings.Cut(rest, "'"); ok {
				return name
			}
		}
	}
	return "SQL_ASCII"
}
