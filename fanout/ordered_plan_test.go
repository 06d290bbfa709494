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
