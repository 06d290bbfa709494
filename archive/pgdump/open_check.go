package pgdump

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The table of contents has no checksum. What pg_dump never writes shows some of its damage all the same: above all an entry that has
// lost its data, which would be left out of whatever is made of the archive, without a word.

// checkEntries refuses data of an entry that can't have any, and an entry of rows or large objects without data.
func (t *TOC) checkEntries() error {
	for i := range t.Entries {
		e := &t.Entries[i]
		mayHave := e.Kind == kindTableData || e.Kind == kindBlobs
		old := e.Kind == kindBlobComments && t.Header.Version.Minor < minorBlobs
		switch {
		case e.HadDumper && !mayHave && !old:
			return fmt.Errorf("%w: entry %d of the table of contents, %q %s, has data, which no such entry has", ErrDamaged, e.ID, e.Kind, e.Name)
		case !e.HadDumper && mayHave:
			return fmt.Errorf("%w: entry %d of the table of contents, %s %s, has no data", ErrDamaged, e.ID, e.Kind, e.Name)
		}
	}
	return nil
}

// checkBegin refuses a table of contents behind which there is no data: its number of entries is too small.
func (s *customStore) checkBegin() error {
	x := s.at(s.toc.size)
	kind, err := x.r.ReadByte()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	case kind == blockData, kind == blockBlobs, kind == 0 && s.isTOCAgain(x):
		return nil
	}
	return &FormatError{
		Offset: s.toc.size, Field: "number of entries", Err: ErrDamaged,
		Detail: fmt.Sprintf("behind %d entries no data begins, and the file does not end", len(s.toc.Entries)),
	}
}

// wantedBlobs are the large objects that entries make and whose data an entry has; nil where the archive does not tell, as
// without the section that makes them.
func (d *Dump) wantedBlobs(data *Entry) map[uint32]bool {
	var wanted map[uint32]bool
	add := func(oid uint32) {
		if wanted == nil {
			wanted = make(map[uint32]bool)
		}
		wanted[oid] = true
	}
	datas := 0
	for i := range d.toc.Entries {
		if d.toc.Entries[i].Kind == kindBlobs {
			datas++
		}
	}
	for i := range d.toc.Entries {
		e := &d.toc.Entries[i]
		switch {
		case e.Kind == kindBlobGroup && slices.Contains(data.Deps, e.ID):
			for line := range strings.Lines(e.DDL) {
				if oid, err := strconv.ParseUint(strings.TrimSpace(line), 10, 32); err == nil {
					add(uint32(oid))
				}
			}
		case e.Kind == kindBlob && datas == 1:
			add(e.OID)
		}
	}
	return wanted
}

// checkBlobs compares the large objects that were read with those that there should be.
func (d *Dump) checkBlobs(e *Entry, read map[uint32]bool) error {
	wanted := d.wantedBlobs(e)
	if wanted == nil {
		return nil
	}
	for _, oid := range slices.Sorted(maps.Keys(wanted)) {
		if !read[oid] {
			return dataError(e, e.File, -1, ErrDamaged, fmt.Sprintf("large object %d has an entry, and no data", oid))
		}
	}
	for _, oid := range slices.Sorted(maps.Keys(read)) {
		if !wanted[oid] {
			return dataError(e, e.File, -1, ErrDamaged, fmt.Sprintf("large object %d has data, and no entry", oid))
		}
	}
	return nil
}
