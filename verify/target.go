package verify

import (
	"slices"
	"sync"

	"github.com/pgark/pgark/archive"
)

// target is one table of the archive: the rows of one TABLE DATA entry, wherever they lay. For a partitioned table of
// Greenplum 6 these are the rows of all its partitions.
type target struct {
	schema, table string // as the entry names it
	columns       []string
	floats        string   // [archive.StreamInfo.Floats] of rows with long floats, "" if all have short ones or none
	blobs         bool     // large objects, not a table
	oids          []uint32 // of the large objects
	leaf          string   // the partitioned table that it is a part of, where that can't be compared as a whole
	copy          string   // the statement that loads it; partitions whose rows go through their root have the same one
	want          archive.Digest
	raw           uint64 // bytes of its rows

	mu             sync.Mutex // guards what follows while the workers run
	class, message string     // a finding that is known without reading
	unknown        []string   // columns whose floats the two sides print in different ways, and that can't be told from other text
	got            archive.Digest
	failed         error
}

// add joins the digest of one part of the table.
func (t *target) add(d archive.Digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.got.Merge(d)
}

// fail records why the table can't be read.
func (t *target) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = err
	}
}

// find records a finding that makes it needless to read the table; the first one counts.
func (t *target) find(class, message string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.class == "" {
		t.class, t.message = class, message
	}
}

// found tells whether there is a finding without reading.
func (t *target) found() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.class != ""
}

// setUnknown records the columns that are marked [archive.FloatsUnknown].
func (t *target) setUnknown(marks string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unknown = nil
	for i, c := range t.columns {
		if i < len(marks) && marks[i] == archive.FloatsUnknown {
			t.unknown = append(t.unknown, c)
		}
	}
}

// archivedTables lists what the archive holds rows of, ordered by name. The digests of an entry's streams are joined.
func archivedTables(a Content, cat *archive.Catalog, entries map[int32]bool) ([]*target, error) {
	byID := make(map[int32]*archive.Entry, len(cat.Entries))
	for i := range cat.Entries {
		byID[cat.Entries[i].ID] = &cat.Entries[i]
	}
	type key struct {
		entry         int32
		schema, table string
	}
	byKey := make(map[key]*target)
	mixed := mixedColumns(a)
	var targets []*target
	for i := range a.Streams() {
		s := &a.Streams()[i]
		if entries != nil && !entries[s.Entry] {
			continue
		}
		k := key{entry: s.Entry}
		e := byID[s.Entry]
		if e == nil || mixed[s.Entry] {
			k.schema, k.table = s.Schema, s.Table
		}
		t := byKey[k]
		if t == nil {
			var err error
			if t, err = newTarget(s, e, mixed[s.Entry], cat); err != nil {
				return nil, err
			}
			byKey[k] = t
			targets = append(targets, t)
		}
		t.merge(s)
	}
	slices.SortFunc(targets, func(x, y *target) int {
		return slices.Compare([]string{x.schema, x.table}, []string{y.schema, y.table})
	})
	return targets, nil
}

// mixedColumns finds the entries whose streams do not all have the same columns in the same order: partitions may differ in
// it. Their rows can't be compared with those of the whole table.
func mixedColumns(a Content) map[int32]bool {
	mixed := make(map[int32]bool)
	first := make(map[int32][]string)
	for i := range a.Streams() {
		s := &a.Streams()[i]
		if columns, ok := first[s.Entry]; !ok {
			first[s.Entry] = s.Columns
		} else if !slices.Equal(columns, s.Columns) {
			mixed[s.Entry] = true
		}
	}
	return mixed
}

// newTarget makes the target of a stream, of all those of its entry unless they are mixed.
func newTarget(s *archive.Stream, e *archive.Entry, mixed bool, cat *archive.Catalog) (*target, error) {
	t := &target{schema: s.Schema, table: s.Table, columns: s.Columns}
	if e != nil {
		t.copy = e.Copy
	}
	switch {
	case e == nil:
	case e.Kind == "BLOBS":
		t.blobs, t.schema, t.table = true, "", "large objects"
		var err error
		if t.oids, err = largeObjectOIDs(cat, e.ID); err != nil {
			return nil, err
		}
	case !mixed:
		t.schema, t.table = e.Schema, e.Name
	case s.Schema != e.Schema || s.Table != e.Name:
		t.leaf = tableName(e.Schema, e.Name)
	}
	return t, nil
}

// merge adds what a stream holds.
func (t *target) merge(s *archive.Stream) {
	switch s.Form {
	case archive.FormText:
	case archive.FormFloats:
		t.floats = s.Floats
	default:
		t.class, t.message = ClassIncomparable, "the archive does not hold these rows as COPY text"
	}
	t.want.Merge(s.Digest)
	t.raw += s.Raw
}

// movedAmong finds partitions that have other rows than in the archive, where all that their root loads together are the same:
// the hash of an enum is another one in another database, so a restored row may be in another partition. By the statement that
// loads them.
func movedAmong(targets []*target) map[string]bool {
	type sum struct{ want, got archive.Digest }
	sums := make(map[string]*sum)
	moved := make(map[string]bool)
	for _, t := range targets {
		if t.copy == "" {
			continue
		}
		s := sums[t.copy]
		if s == nil {
			s = new(sum)
			sums[t.copy], moved[t.copy] = s, true
		}
		s.want.Merge(t.want)
		s.got.Merge(t.got)
		if t.class != "" || t.failed != nil {
			moved[t.copy] = false
		}
	}
	for statement, s := range sums {
		moved[statement] = moved[statement] && s.want == s.got
	}
	return moved
}
