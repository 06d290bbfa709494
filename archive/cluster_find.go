package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Nested is an archive that lies inside of a file.
type Nested struct {
	Offset, Bytes int64
	ID            VolumeID
	Database      string // from its header; empty where that is damaged
	Whole         bool   // it has a header and a trailer that belong together. What is between them may still be damaged
}

// FindNested looks for the archives of databases in a cluster archive that is cut off or damaged, by their headers and trailers alone,
// in the order of the file. It reads the headers of all frames, and everything where these are damaged. Of an archive without a trailer it
// gives all bytes up to the next thing that it knows. [Salvage] takes each.
//
// An archive that a database holds (as a large object, say) is taken for one of a database only if that stands uncompressed and close
// behind damage, and the end of the database's own archive is lost.
func FindNested(ctx context.Context, r io.ReaderAt, size int64) ([]Nested, error) {
	f := &nestedFinder{scanner: scanner{r: r, size: size}, heads: map[int64]int{}}
	if t := f.trailerAt(size - trailerLen); t != nil && t.volumeLen == uint64(size) {
		if h, _, err := readHeaderFrame(r, size); err != nil || h.Cluster { // of an archive of one database it is no lead
			tag := t.id.tag()
			f.lead = &tag
		}
	}
	for at := int64(0); at < size; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		next, err := f.at(at)
		if err != nil {
			return nil, err
		}
		if next == at {
			if next, err = f.resync(ctx, at+1); err != nil {
				return nil, err
			}
		}
		at = next
	}
	return f.resolve(), nil
}

// nestedFinder goes over the headers of all frames in a file, and gathers what begins and what ends an archive.
type nestedFinder struct {
	scanner
	begins []Nested      // volumes by their headers, without length; the cluster volume's not among them
	heads  map[int64]int // places in begins, by offset
	ends   []Nested      // by their trailers
	leads  []int64       // offsets of frames of the cluster volume
	lead   *[8]byte      // its tag, once it is known
}

// maxFound bounds the memory for what is found: some times what a cluster archive may hold.
const maxFound = 4 * MaxDatabases

// at looks at what stands at an offset and returns where to go on: at the same offset where nothing does.
func (f *nestedFinder) at(at int64) (int64, error) {
	if len(f.begins)+len(f.ends)+len(f.leads) > maxFound {
		return 0, fmt.Errorf("%w: there are more archives in the file than it can have been written with", ErrDamaged)
	}
	h, err := f.header(at)
	switch {
	case h == nil && err != nil:
		return 0, err
	case h == nil:
		return f.end(at), nil
	case h.typ == FrameHeader:
		if err := f.begin(at); err != nil {
			return 0, err
		}
	case f.lead != nil && h.tag == *f.lead:
		f.leads = append(f.leads, at)
	}
	if next := at + h.size(); next <= f.size && f.follows(next) {
		return next, nil
	}
	return at + frameHeaderLen, nil // bytes were lost, and the next frame begins before this one would end
}

// end notes a trailer, if there is one, and returns where to go on.
func (f *nestedFinder) end(at int64) int64 {
	t := f.trailerAt(at)
	if t == nil {
		return at
	}
	if n := int64(t.volumeLen); t.volumeLen <= uint64(at+trailerLen) && n >= minVolume {
		f.ends = append(f.ends, Nested{Offset: at + trailerLen - n, Bytes: n, ID: t.id})
	}
	return at + trailerLen
}

// begin notes the header of a volume, if it is one.
func (f *nestedFinder) begin(at int64) error {
	section := io.NewSectionReader(f.r, at, f.size-at)
	h, _, err := readHeaderFrame(section, f.size-at)
	var damage *DamageError
	switch {
	case errors.As(err, &damage), errors.Is(err, ErrVersion):
		return nil
	case err != nil:
		return err
	case h.Cluster:
		tag := h.ID.tag()
		f.lead = &tag
		f.leads = append(f.leads, at)
	case h.Member == (Member{}):
		f.heads[at] = len(f.begins)
		f.begins = append(f.begins, Nested{Offset: at, ID: h.ID, Database: h.Database})
	}
	return nil
}

// trailerAt reads the trailer at an offset; nil if there is none.
func (f *nestedFinder) trailerAt(at int64) *trailer {
	if at < 0 || f.size-at < trailerLen {
		return nil
	}
	var b [trailerLen]byte
	if readAt(f.r, b[:], at) != nil {
		return nil // what reads it next says why
	}
	t, err := decodeTrailer(b[:])
	if err != nil {
		return nil
	}
	return &t
}

// follows says whether something that it knows stands at an offset.
func (f *nestedFinder) follows(at int64) bool {
	if at == f.size || f.trailerAt(at) != nil {
		return true
	}
	h, _ := f.header(at)
	return h != nil
}

// resync returns the offset of the next frame or trailer at or after from, the end of the file if there is none.
func (f *nestedFinder) resync(ctx context.Context, from int64) (int64, error) {
	at, found, err := f.search.next(ctx, f.r, f.size, from, func(at int64) (int64, bool) {
		if h, _ := f.header(at); h != nil {
			return at, true
		}
		start := at - trailerCRC - 4 // both end in a magic that begins alike
		return start, f.trailerAt(start) != nil
	})
	if err != nil || found {
		return at, err
	}
	return f.size, nil
}

// resolve makes archives of what begins and ends. Where they overlap, the one that has both and is longer is taken: the other is inside.
func (f *nestedFinder) resolve() []Nested {
	var whole, headless, cut []Nested
	for _, e := range f.ends {
		i, ok := f.heads[e.Offset]
		switch {
		case f.lead != nil && e.ID.tag() == *f.lead:
		case ok && f.begins[i].ID == e.ID:
			e.Whole, e.Database = true, f.begins[i].Database
			whole = append(whole, e)
		case e.Offset > 0:
			headless = append(headless, e)
		}
	}
	found := joinNested(joinNested(nil, whole), headless)
	for _, b := range f.begins {
		if b.Bytes = f.limit(b.Offset, found) - b.Offset; !overlaps(found, &b) {
			cut = append(cut, b)
		}
	}
	return joinNested(found, cut)
}

// limit is where an archive that begins at an offset and has no end must end: where something else begins.
func (f *nestedFinder) limit(from int64, found []Nested) int64 {
	end := f.size
	for _, list := range [][]Nested{found, f.begins} { // both in the order of the file
		i, _ := slices.BinarySearchFunc(list, from+1, func(n Nested, at int64) int { return cmp.Compare(n.Offset, at) })
		if i < len(list) {
			end = min(end, list[i].Offset)
		}
	}
	if i, _ := slices.BinarySearch(f.leads, from+1); i < len(f.leads) {
		end = min(end, f.leads[i])
	}
	return end
}

// joinNested adds those of some that overlap with none of found and with no longer one of some, in the order of the file. found is in
// that order.
func joinNested(found, some []Nested) []Nested {
	slices.SortStableFunc(some, func(a, b Nested) int { return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(b.Bytes, a.Bytes)) })
	all := slices.Clone(found)
	end := int64(0)
	for _, n := range some {
		if n.Offset >= end && !overlaps(found, &n) {
			end = n.Offset + n.Bytes
			all = append(all, n)
		}
	}
	slices.SortFunc(all, func(a, b Nested) int { return cmp.Compare(a.Offset, b.Offset) })
	return all
}

// overlaps says whether n has bytes in common with one of found, which are in the order of the file and apart.
func overlaps(found []Nested, n *Nested) bool {
	i, _ := slices.BinarySearchFunc(found, n.Offset+n.Bytes, func(o Nested, at int64) int { return cmp.Compare(o.Offset, at) })
	return i > 0 && found[i-1].Offset+found[i-1].Bytes > n.Offset
}
