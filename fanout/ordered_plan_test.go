package fanout

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestOrderedRanges(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		bytes, pages, jobs uint64
		want               []uint64
	}{
		{0, 0, 2, []uint64{0}},
		{15 * mib, 1920, 2, []uint64{1920}},
		{17 * mib, 2176, 2, []uint64{1088, 1360, 1632, 1904, 2176}},
		{63 * mib, 8000, 2, []uint64{2000, 4000, 4500, 5000, 5500, 6000, 6500, 7000, 7500, 8000}},
		{63 * mib, 8000, 8, []uint64{2000, 2500, 3000, 3500, 4000, 4500, 5000, 5500, 6000, 6500, 7000, 7500, 8000}},
		{1 << 40, 3, 2, []uint64{1, 2, 3}}, // few pages, much in TOAST
	} {
		if got := orderedRanges(c.bytes, c.pages, c.jobs); !slices.Equal(got, c.want) {
			t.Errorf("%d bytes in %d pages, %d sessions: %v, want %v", c.bytes, c.pages, c.jobs, got, c.want)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		pages := rapid.Uint64Range(1, 1<<20).Draw(rt, "pages")
		bytes := pages * rapid.Uint64Range(0, 1<<17).Draw(rt, "bytes of a page")
		jobs := rapid.Uint64Range(2, 64).Draw(rt, "jobs")
		ends, from := orderedRanges(bytes, pages, jobs), uint64(0)
		for _, to := range ends {
			if to <= from {
				rt.Fatalf("a range from %d to %d in %v", from, to, ends)
			}
			if (to-from)*(bytes/pages) > 2*orderedRange && to-from > 1 {
				rt.Fatalf("pages %d to %d hold %d bytes", from, to, (to-from)*(bytes/pages))
			}
			from = to
		}
		if from != pages {
			rt.Fatalf("the last of %d pages is not in %v", pages, ends)
		}
	})
}

// A session has a table for itself where there is enough behind it for the others.
func TestOrderedWhole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		jobs  int
		sizes []uint64 // in the order of writing
		want  []bool
	}{
		{2, []uint64{600}, []bool{false}},
		{2, []uint64{300, 200}, []bool{false, false}},
		{2, []uint64{100, 100}, []bool{true, false}},
		{2, []uint64{345, 612, 230, 207, 292}, []bool{true, true, true, true, false}},
		{4, []uint64{345, 612, 230, 207, 292}, []bool{true, false, false, false, false}},
		{2, []uint64{5 << 30, 100, 6 << 30, 3 << 30, 3 << 30}, []bool{false, true, false, true, false}},
		{1, []uint64{345, 612}, []bool{true, true}}, // no other session
	} {
		a := &attempt{dumper: &dumper{o: DumpOptions{Jobs: c.jobs}}, ordered: &orderedPipe{whole: true}, lanes: []*lane{{}}}
		tables := make([]orderedTable, len(c.sizes))
		for i, bytes := range c.sizes {
			tables[i].parts = []lanePart{{part: &part{table: &table{}, bytes: bytes}}}
		}
		var got []bool
		if err := a.order(tables, func(t *orderedTable) (bool, error) {
			got = append(got, t.parts[0].whole)
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%d sessions, tables of %v bytes: %v, want %v", c.jobs, c.sizes, got, c.want)
		}
	}
}
