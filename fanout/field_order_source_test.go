package fanout

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
)

// partsSource has rows of two partitions, and a large object with a hole.
type partsSource struct {
	archive.Source
	streams []archive.Stream
}

func (s *partsSource) TableStreams(int32) []archive.Stream { return s.streams }

func (s *partsSource) StreamRows(_ context.Context, id archive.StreamID, fn func([]byte) error) error {
	return fn([]byte(map[archive.StreamID]string{1: "1\t2\t3\n", 2: "30\t20\t10\n"}[id]))
}

func (s *partsSource) LargeObjects(_ context.Context, _ int32, fn func(uint32, int64, []byte) error) error {
	if err := fn(7, 0, []byte("a")); err != nil {
		return err
	}
	return fn(7, 3, []byte("b"))
}

func newPartsSource(second ...string) *partsSource {
	s := &partsSource{}
	for i, columns := range [][]string{{"a", "b", "c"}, second} {
		s.streams = append(s.streams, archive.Stream{ID: archive.StreamID(i + 1), StreamInfo: archive.StreamInfo{Table: fmt.Sprintf("p%d", i+1), Columns: columns}}) //nolint:gosec // two
	}
	return s
}

// Rows of a partition of another program's dump that has its columns in another order are written in that of the table's COPY statement.
func TestSourceRowsInOrder(t *testing.T) {
	for _, c := range []struct {
		second []string
		want   string
	}{
		{[]string{"c", "b", "a"}, "1\t2\t3\n10\t20\t30\n"},
		{[]string{"a", "b", "c"}, "1\t2\t3\n30\t20\t10\n"},
		{nil, "1\t2\t3\n30\t20\t10\n"}, // not known
		{[]string{"c", "b", "x"}, ""},
	} {
		got := ""
		err := ForeignSource(newPartsSource(c.second...)).Rows(t.Context(), 1, func(text []byte) error { got += string(text); return nil })
		if c.want == "" {
			if err == nil || !strings.Contains(err.Error(), "p2") {
				t.Errorf("%v: %v", c.second, err)
			}
			continue
		}
		if got != c.want || err != nil {
			t.Errorf("%v: %q, %v", c.second, got, err)
		}
	}
}

// A script may go to a place of a large object; the bytes before it are zeros in a format that has no places.
func TestHoleOfSource(t *testing.T) {
	got := ""
	feed := &sourceFeed{source: newPartsSource()}
	err := feed.largeObjects(t.Context(), &archive.Entry{}, func(_ uint32, _ int64, data []byte) error { got += string(data); return nil })
	if got != "a\x00\x00b" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	o := blobOrder{fn: func(uint32, int64, []byte) error { t.Fatal("written"); return nil }}
	if err := o.piece(7, 1<<62, []byte("b")); err == nil {
		t.Error("a hole of 4 EiB")
	}
}
