package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// The ways in which an object of two archives can differ.
const (
	DiffOnlyA      = "only-a"     // A has it, B has not
	DiffOnlyB      = "only-b"     // B has it, A has not
	DiffDefinition = "definition" // its SQL differs
	DiffOwner      = "owner"
	DiffRows       = "rows" // the digests of its rows differ
	// DiffIncomparable: as many rows, in text that can't be compared, since the servers print floats in composite types
	// with other numbers of digits.
	DiffIncomparable = "incomparable"
)

// Difference is one object that is not the same in two archives.
type Difference struct {
	Class   string `json:"class"`
	Kind    string `json:"kind"`
	Schema  string `json:"schema"` // in the encoding of the archived database
	Name    string `json:"name"`
	Message string `json:"message"`
}

// Diff compares two archives by their catalogs and the digests of their tables, and returns what differs, ordered by
// schema, name and kind. Rows are not read. The order of the entries, their numbers, OIDs and the way in which rows
// are spread over streams, nodes and partitions are no difference.
func Diff(a, b *archive.Reader) ([]Difference, error) {
	inA, err := diffObjects(a)
	if err != nil {
		return nil, fmt.Errorf("the first archive's catalog: %w", err)
	}
	inB, err := diffObjects(b)
	if err != nil {
		return nil, fmt.Errorf("the second archive's catalog: %w", err)
	}
	joinPartitions(a, inA, inB)
	joinPartitions(b, inB, inA)
	return diffMaps(inA, inB), nil
}

// DiffCatalogs is Diff for catalogs without rows: what the databases of two archives of several share.
func DiffCatalogs(a, b *archive.Catalog) []Difference {
	return diffMaps(catalogObjects(a, nil, nil), catalogObjects(b, nil, nil))
}

func diffMaps(inA, inB map[diffKey][]diffObject) []Difference {
	diffs := []Difference{}
	for key, x := range inA {
		y := inB[key]
		diffs = append(diffs, diffGroup(key, x, y)...)
	}
	for key, y := range inB {
		if inA[key] == nil {
			diffs = append(diffs, diffGroup(key, nil, y)...)
		}
	}
	slices.SortStableFunc(diffs, func(x, y Difference) int {
		return cmp.Or(cmp.Compare(x.Schema, y.Schema), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Kind, y.Kind),
			cmp.Compare(x.Class, y.Class))
	})
	return diffs
}

// diffKey names an object. Several entries may share a name, comments and grants for example.
type diffKey struct{ kind, schema, name string }

type diffObject struct {
	ddl, owner string
	digest     archive.Digest
	unknown    bool // the rows hold long floats in places that can't be told from other text
}

func diffObjects(a *archive.Reader) (map[diffKey][]diffObject, error) {
	cat, err := a.Catalog()
	if err != nil {
		return nil, err
	}
	digests := make(map[int32]archive.Digest)
	unknown := make(map[int32]bool)
	for i := range a.Streams() {
		s := &a.Streams()[i]
		d := digests[s.Entry]
		d.Merge(s.Digest)
		digests[s.Entry] = d
		unknown[s.Entry] = unknown[s.Entry] || strings.ContainsRune(s.Floats, archive.FloatsUnknown)
	}
	return catalogObjects(cat, digests, unknown), nil
}

func catalogObjects(cat *archive.Catalog, digests map[int32]archive.Digest, unknown map[int32]bool) map[diffKey][]diffObject {
	objects := make(map[diffKey][]diffObject)
	for i := range cat.Entries {
		e := &cat.Entries[i]
		key := diffKey{e.Kind, e.Schema, e.Name}
		if e.Kind == "DATABASE" || e.Kind == "DATABASE PROPERTIES" {
			continue // copies have other names
		}
		objects[key] = append(objects[key], diffObject{e.DDL, e.Owner, digests[e.ID], unknown[e.ID]})
	}
	return objects
}

// diffGroup compares the entries of one name. Those that are the same in both cancel out; the rest go in pairs.
func diffGroup(key diffKey, a, b []diffObject) []Difference {
	restB := slices.Clone(b)
	var restA []diffObject
	for _, x := range a {
		if i := slices.Index(restB, x); i >= 0 {
			restB = slices.Delete(restB, i, i+1)
		} else {
			restA = append(restA, x)
		}
	}
	var diffs []Difference
	add := func(class, message string) {
		diffs = append(diffs, Difference{class, key.kind, key.schema, key.name, message})
	}
	for len(restA) > 0 && len(restB) > 0 {
		x, y := restA[0], restB[0]
		restA, restB = restA[1:], restB[1:]
		switch {
		case x.ddl == y.ddl:
		case key.kind == "STATISTICS DATA": // which are others after every ANALYZE
			add(DiffDefinition, "the planner's statistics differ")
		default:
			add(DiffDefinition, "the definitions differ")
		}
		if x.owner != y.owner {
			add(DiffOwner, fmt.Sprintf("the owner is %s in A, %s in B", x.owner, y.owner))
		}
		switch {
		case x.digest == y.digest:
		case x.digest.Rows != y.digest.Rows:
			add(DiffRows, fmt.Sprintf("A has %d rows, B has %d", x.digest.Rows, y.digest.Rows))
		case x.unknown != y.unknown:
			add(DiffIncomparable, fmt.Sprintf("both have %d rows, but their text can't be compared: it holds floats inside a composite type, "+
				"which servers before PostgreSQL 12 print with more digits than later ones", x.digest.Rows))
		default:
			add(DiffRows, fmt.Sprintf("both have %d rows, but not the same", x.digest.Rows))
		}
	}
	for range restA {
		add(DiffOnlyA, "only A has it")
	}
	for range restB {
		add(DiffOnlyB, "only B has it")
	}
	return diffs
}
