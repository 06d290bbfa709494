package fanout

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sizedParts are parts of so many MB each; a negative one can't be split.
func sizedParts(mb ...int) (parts []part, total uint64) {
	for i, n := range mb {
		bytes := uint64(max(n, -n)) << 20 //nolint:gosec // positive
		parts = append(parts, part{
			table: &table{relation: relation{OID: uint32(i + 1), Schema: "s", Name: fmt.Sprint("t", i)}, Columns: []string{"a"}}, //nolint:gosec // few
			from:  fmt.Sprint("ONLY s.t", i), columns: []string{"a"}, split: n > 0, bytes: bytes, pages: bytes / 8192,
		})
		total += bytes
	}
	return parts, total
}

// What is split is enough to level the ends of the sessions, and not much more.
func TestPartsToSplit(t *testing.T) {
	for _, tt := range []struct {
		jobs int
		mb   []int
		want []int // that are split, by their place
	}{
		{1, []int{611}, nil},
		{2, nil, nil},
		{2, []int{611}, []int{0}},
		{2, []int{15}, nil}, // too small for two ranges
		{2, []int{-611}, nil},
		{2, []int{611, 345, 292, 230, 207}, []int{3, 4}},
		{2, []int{300, 300}, []int{0, 1}}, // one alone would do only if sizes were times
		{2, []int{300, 300, 300}, []int{0}},
		{8, []int{300, 300}, []int{0, 1}},
		{4, []int{1000, 20, 20, 20, 20}, []int{0}},
		{2, []int{-300, 300, 300}, []int{1}},
		{2, []int{-700, 300, 300}, []int{1, 2}},
	} {
		parts, total := sizedParts(tt.mb...)
		var got []int
		for i, split := range partsToSplit(parts, tt.jobs, total) {
			if split {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%d sessions, %v MB: split %v, not %v", tt.jobs, tt.mb, got, tt.want)
		}
	}
}

// Whatever the sizes: every page is read once, in order of size, and either the sessions can end together or all is split that can be.
func TestPlanTablesCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		jobs := rapid.IntRange(1, 9).Draw(t, "jobs")
		mb := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(-50, 50), rapid.IntRange(-3000, 3000)), 0, 60).Draw(t, "MB")
		parts, total := sizedParts(mb...)
		tallies := make(map[uint32]*tally)
		units := planTables(parts, jobs, tallies)
		var ranges uint64
		next := make(map[uint32]uint64) // page, where ranges come in their order
		for i, u := range units {
			if i > 0 && u.bytes > units[i-1].bytes {
				t.Fatalf("unit %d is larger than the one before", i)
			}
			if u.info.Range == "" {
				next[u.info.OID] = parts[u.info.OID-1].pages
				continue
			}
			ranges += u.bytes
			if jobs == 1 || mb[u.info.OID-1] < 0 {
				t.Fatalf("%s is split", u.name())
			}
			var from, to uint64
			if n, _ := fmt.Sscanf(u.info.Range, "ctid [%d,%d)", &from, &to); n < 2 {
				to = parts[u.info.OID-1].pages
			}
			if from != next[u.info.OID] || strings.Contains(u.sql, "<") == (to == parts[u.info.OID-1].pages) {
				t.Fatalf("%s: %s comes after page %d: %s", u.name(), u.info.Range, next[u.info.OID], u.sql)
			}
			next[u.info.OID] = to
		}
		for i := range parts {
			if next[parts[i].table.OID] != parts[i].pages {
				t.Fatalf("%s is read up to page %d of %d", parts[i].table.Name, next[parts[i].table.OID], parts[i].pages)
			}
			if left := tallies[parts[i].table.OID]; left.units != count(units, parts[i].table.OID) {
				t.Fatalf("%s: tally of %d", parts[i].table.Name, left.units)
			}
		}
		split := partsToSplit(parts, jobs, total)
		for i := range parts {
			if parts[i].split && parts[i].bytes >= 2*rangeMin && !split[i] && jobs > 1 && unlevel(parts, split, jobs) > ranges+uint64(len(units)) {
				t.Fatalf("%s is whole, and the ends are not level", parts[i].table.Name)
			}
		}
	})
}

func count(units []unit, oid uint32) (n int) {
	for i := range units {
		if units[i].info.OID == oid {
			n++
		}
	}
	return n
}
