package fanout

import (
	"slices"
	"testing"
)

// A coordinator with little to read is done with that long before the nodes, and holds their moment all the same.
func TestWatchedMembers(t *testing.T) {
	few, many := part{bytes: littleBytes - 1}, make([]part, batchTables+1)
	for _, c := range []struct {
		name   string
		parts  []part
		little bool
	}{
		{"nothing", nil, true},
		{"few bytes", []part{few}, true},
		{"too many bytes", []part{few, {bytes: 1}}, false},
		{"as many tables as go into a batch", many[1:], true},
		{"more", many, false},
	} {
		if m := (&member{parts: c.parts}); m.little() != c.little {
			t.Errorf("%s: little %t", c.name, !c.little)
		}
	}
	reads, other := &member{reads: true}, &member{}
	for _, c := range []struct{ all, want []*member }{
		{[]*member{reads}, nil},
		{[]*member{other}, []*member{other}},
		{[]*member{reads, other}, []*member{reads, other}},
		{[]*member{reads, reads}, []*member{reads, reads}},
	} {
		if got := (&moment{members: c.all}).watched(); !slices.Equal(got, c.want) {
			t.Errorf("of %d members %d are watched, want %d", len(c.all), len(got), len(c.want))
		}
	}
}
