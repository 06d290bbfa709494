package pgdump

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pgark/pgark/archive"
)

// Before version 1.12 (pg_dump up to 8.4) no entry makes a large object: pg_restore makes each when it comes to its data, and comments on
// them are the data of another entry. The catalog of such an archive gets the entries that newer versions have for this.
const (
	kindBlobComments = "BLOB COMMENTS"

	// maxBlobComments bounds the comments on all large objects.
	maxBlobComments = 64 << 20
	// unlinkOld drops a large object if it is there, as pg_restore does for these archives whether IF EXISTS is asked for or not; its
	// number and a quote follow.
	unlinkOld = "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata WHERE oid = '"
	// largeObjectsClass is the OID of pg_largeobject_metadata.
	largeObjectsClass = 2995
)

// addOldBlobs adds to the catalog what makes the large objects of an archive before 1.12: a group of them before each BLOBS entry, and a comment. What
// can't be read of them is a warning here: the archive may be damaged, and whoever reads the data is told.
func (d *Dump) addOldBlobs() {
	if d.toc.Header.Version.Minor >= minorBlobs {
		return
	}
	var last, group int32
	for i := range d.cat.Entries {
		last = max(last, d.cat.Entries[i].ID)
	}
	entries := make([]archive.Entry, 0, len(d.cat.Entries)+1)
	for i := range d.cat.Entries {
		e := d.cat.Entries[i]
		switch {
		case !e.HadDumper:
		case e.Kind == kindBlobs && last < math.MaxInt32:
			oids, err := d.store.blobIDs(d.entries[e.ID])
			if err != nil {
				d.desc.Warnings = append(d.desc.Warnings, fmt.Sprintf("not all large objects of entry %d are known: %v", e.ID, err))
			}
			if len(oids) == 0 {
				break
			}
			last++
			group = last
			entries = append(entries, oldBlobGroup(group, oids))
			e.Deps = append(slices.Clone(e.Deps), group)
		case e.Kind == kindBlobComments:
			text, err := d.blobComments(d.entries[e.ID])
			if err != nil {
				d.desc.Warnings = append(d.desc.Warnings, fmt.Sprintf("the comments on large objects, of entry %d, can't be read: %v", e.ID, err))
				break // it stays as it is, and can't be converted
			}
			e.Kind, e.Name, e.Section, e.HadDumper = "COMMENT", "LARGE OBJECTS of this database", archive.SectionData, false
			e.DDL, e.Nulls = text, e.Nulls&^archive.NullDDL
			if group != 0 {
				e.Deps = append(slices.Clone(e.Deps), group)
			}
		}
		entries = append(entries, e)
	}
	d.cat.Entries = entries
}

// oldBlobGroup is an entry that makes large objects, which belong to whoever restores them.
func oldBlobGroup(id int32, oids []uint32) archive.Entry {
	slices.Sort(oids)
	oids = slices.Compact(oids)
	e := archive.Entry{
		ID: id, TableOID: largeObjectsClass, OID: oids[0], Kind: kindBlobGroup, Section: archive.SectionData, Drop: unlinkOld,
		Name:  strconv.FormatUint(uint64(oids[0]), 10),
		Nulls: archive.NullCopy | archive.NullSchema | archive.NullTablespace | archive.NullTableAM | archive.NullOwner,
	}
	if n := len(oids); n > 1 {
		e.Name += ".." + strconv.FormatUint(uint64(oids[n-1]), 10)
	}
	var list strings.Builder
	for _, oid := range oids {
		list.WriteString(strconv.FormatUint(uint64(oid), 10) + "\n")
	}
	e.DDL = list.String()
	return e
}

// blobComments reads the statements of a BLOB COMMENTS entry.
func (d *Dump) blobComments(e *Entry) (string, error) {
	r, err := d.store.data(e)
	if err != nil {
		return "", err
	}
	defer r.Close()
	var text strings.Builder
	n, err := io.Copy(&text, io.LimitReader(r, maxBlobComments+1))
	if err == nil && n > maxBlobComments {
		err = fmt.Errorf("%w: they have more than %d bytes", ErrDamaged, maxBlobComments)
	}
	return text.String(), err
}

// blobIDs are the numbers of the large objects of an entry, as far as they can be read.
func (s *customStore) blobIDs(e *Entry) ([]uint32, error) {
	x, err := s.open(e, blockBlobs)
	if err != nil {
		return nil, err
	}
	var oids []uint32
	for {
		oid := x.int("OID of a large object")
		if x.err != nil || oid == 0 {
			return oids, x.err
		}
		if err := s.skipChunks(x); err != nil {
			return oids, err
		}
		oids = append(oids, uint32(oid)) //nolint:gosec // from 2^31 on it is written as a negative number
	}
}

func (s *directoryStore) blobIDs(e *Entry) ([]uint32, error) { return memberBlobIDs(s, e.File) }

func (s *tarStore) blobIDs(e *Entry) ([]uint32, error) { return memberBlobIDs(s, s.file(e)) }

// memberBlobIDs reads the numbers in a list of large objects.
func memberBlobIDs(m members, name string) ([]uint32, error) {
	var oids []uint32
	err := readBlobList(m, name, func(oid uint32, _ string) { oids = append(oids, oid) })
	return oids, err
}

// blobMembers are the members that a list of large objects names, as far as it can be read: who reads the data is told of the rest.
func blobMembers(m members, name string) []string {
	var names []string
	_ = readBlobList(m, name, func(_ uint32, name string) { names = append(names, name) })
	return names
}

func readBlobList(m members, name string, fn func(oid uint32, name string)) error {
	list, _, err := m.member(name)
	if err != nil {
		return err
	}
	defer list.Close()
	lines := bufio.NewReaderSize(list, maxBlobName)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		oid, name, err := parseBlobLine(string(line))
		if err != nil {
			return err
		}
		fn(oid, name)
	}
}
