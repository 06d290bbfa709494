package fanout

import (
	"math"
	"slices"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
)

// splitFrom is the smallest table that is divided, in bytes for each part.
const splitFrom = 8 << 20

// split divides the rows of large tables into several TABLE DATA entries, which pg_restore -j loads at the same time. Each has the mark
// of rows that go through the root of a partitioned table: without it pg_restore truncates the table before each of them. A
// pg_restore from before March 2023 does not look for the mark.
type split struct {
	cat    *archive.Catalog
	sizes  map[int32]uint64  // of the entries that are divided
	parts  map[int32][]int32 // their other parts
	isPart map[int32]bool
	last   int32
}

func newSplit(cat *archive.Catalog, feed rowFeed, n int) *split {
	s := &split{cat: cat, sizes: make(map[int32]uint64), parts: make(map[int32][]int32), isPart: make(map[int32]bool)}
	if n < 2 {
		return s
	}
	for i := range cat.Entries {
		s.last = max(s.last, cat.Entries[i].ID)
	}
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind != kindTableData || !e.HadDumper || LoadsViaRoot(e) {
			continue
		}
		size := feed.size(e)
		if size < uint64(n)*splitFrom || s.last > math.MaxInt32-int32(n) { //nolint:gosec // at most 1000
			continue
		}
		s.sizes[e.ID] = size / uint64(n) //nolint:gosec // positive
		for range n - 1 {
			s.last++
			s.parts[e.ID] = append(s.parts[e.ID], s.last)
			s.isPart[s.last] = true
		}
	}
	return s
}

// catalog is the catalog with the parts, each behind the entry that it is of. What depends on the rows of a table depends on
// all of them, and so does what comes after the data and depends on the table: pg_restore itself lets that wait for one entry only.
func (s *split) catalog() *archive.Catalog {
	c := *s.cat
	c.Entries = make([]archive.Entry, 0, len(s.cat.Entries)+len(s.isPart))
	rows := make(map[int32][]int32) // all TABLE DATA entries of a table that is divided, by its TABLE
	for i := range s.cat.Entries {
		e := &s.cat.Entries[i]
		if parts := s.parts[e.ID]; len(parts) > 0 && len(e.Deps) > 0 {
			rows[e.Deps[0]] = append([]int32{e.ID}, parts...)
		}
	}
	for _, e := range s.cat.Entries {
		deps := e.Deps
		for _, dep := range e.Deps {
			more := s.parts[dep]
			if e.Section == archive.SectionPostData && len(rows[dep]) > 0 {
				more = rows[dep]
			}
			for _, id := range more {
				if !slices.Contains(deps, id) {
					deps = append(slices.Clone(deps), id)
				}
			}
		}
		e.Deps = deps
		parts := s.parts[e.ID]
		if len(parts) > 0 {
			e.DDL = viaRootMark + sanitizeLine(qualifiedID(e.Schema, e.Name))
			e.Nulls &^= archive.NullDDL
		}
		c.Entries = append(c.Entries, e)
		for _, id := range parts {
			part := e
			part.ID = id
			c.Entries = append(c.Entries, part)
		}
	}
	return &c
}

// begin follows the writing of an entry's rows, which has begun.
func (s *split) begin(w *pgdump.Writer, entry int32) *splitRows {
	return &splitRows{w: w, left: s.parts[entry], size: s.sizes[entry]}
}

// splitRows goes on with the next part when one has its share.
type splitRows struct {
	w    *pgdump.Writer
	left []int32 // parts that were not begun
	size uint64  // of one
	have uint64  // of this one, so far
}

func (s *splitRows) cut(bytes uint64) error {
	if s.have += bytes; len(s.left) == 0 || s.have < s.size {
		return nil
	}
	return s.next()
}

func (s *splitRows) next() error {
	if err := s.w.End(); err != nil {
		return err
	}
	id := s.left[0]
	s.left, s.have = s.left[1:], 0
	return s.w.Begin(id)
}

// end ends the last part. Parts that are left are empty.
func (s *splitRows) end() error {
	for len(s.left) > 0 {
		if err := s.next(); err != nil {
			return err
		}
	}
	return s.w.End()
}
