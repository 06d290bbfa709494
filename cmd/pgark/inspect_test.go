package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

// An archive of several nodes shows what each of them held, and how evenly.
func TestInspectNodes(t *testing.T) {
	a, err := (&setOptions{}).open("../../archive/testdata/v1.0_segments-none.pgark")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	in, err := newInspection(a, "x.pgark", false)
	if err != nil {
		t.Fatal(err)
	}
	if in.Tables != 2 || len(in.Distributions) != 3 || in.Distributions[0].OpClasses[1] != "pg_catalog.text_ops" {
		t.Errorf("%+v", in)
	}
	for i, want := range []inspectNode{
		{ID: 0, Name: "coordinator", Host: "db", Port: 5432, Database: "shop", Content: -1, Snapshot: "00000003-0000001B-1"},
		{ID: 1, Name: "seg0", Host: "sdw", Port: 6000, Database: "shop", Content: 0, Snapshot: "00000000-1", Rows: 2, RawBytes: 90, StoredBytes: 138},
		{ID: 2, Name: "seg1", Host: "sdw", Port: 6001, Database: "shop", Content: 1, Snapshot: "00000001-1"},
	} {
		got := in.Nodes[i]
		got.Skew = 0
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	if n := in.Nodes[4]; n.Database != "shop_a" || n.Content != -1 {
		t.Errorf("%+v", n)
	}
	spread := in.Spread[1]
	if spread.Table != "t" || spread.Distribution != "hash (a, b)" || spread.Rows != 3 || len(spread.Nodes) != 3 || spread.Skew < 1.8 || spread.Skew > 1.9 {
		t.Errorf("%+v", spread)
	}
	if f := in.Spread[0]; f.Table != "f" || f.Distribution != "foreign" || f.Skew != 0 {
		t.Errorf("%+v", f)
	}
	var out bytes.Buffer
	in.print(&out)
	for _, line := range []string{"seg0 (content 0)", "shard_a", "hash (a, b)", "seg0 2, seg1 0, seg2 1"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is missing in\n%s", line, out.String())
		}
	}
}

// Rows of a table whose partitions have no entries of their own are found by both names, with their columns in one order.
func TestCatPartitions(t *testing.T) {
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, archive.WriterOptions{})
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(err)
	cat := &archive.Catalog{Entries: []archive.Entry{{ID: 1, Kind: "TABLE DATA", Schema: "s", Name: "root"}}}
	check(w.SetCatalog(cat))
	check(w.SetMoment(&archive.Moment{}))
	enc, err := archive.NewEncoder(archive.CodecNone, 0)
	check(err)
	for i, rows := range []string{"1\t0.10000000000000001\n", "0.20000000000000001\t2\n"} {
		info := archive.StreamInfo{Entry: 1, Schema: "s", Table: "leaf_" + string(rune('1'+i)), Form: archive.FormFloats, Floats: "-8", Columns: []string{"i", "v"}}
		if i == 1 {
			info.Floats, info.Columns = "8-", []string{"v", "i"}
		}
		id, err := w.OpenStream(info)
		check(err)
		var f archive.Frame
		var d archive.Digest
		check(enc.Encode(&f, archive.Raw{Stream: id, Data: []byte(rows), Digest: &d, Floats: info.Floats}))
		check(w.Append(&f))
		check(w.CloseStream(id, d))
	}
	_, err = w.Close()
	check(err)
	a, err := archive.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	check(err)
	for name, want := range map[string]string{
		"s.root": "1\t0.10000000000000001\n2\t0.20000000000000001\n", "leaf_2": "0.20000000000000001\t2\n",
	} {
		table, err := findTable(name, archivedTables(a.Streams(), cat), textDecoder{})
		if err != nil || table == nil {
			t.Fatal(table, err)
		}
		var out bytes.Buffer
		o := catOptions{}
		if err := o.writeArchived(t.Context(), &out, a, table, textDecoder{}); err != nil || out.String() != want {
			t.Errorf("%s: %q, %v", name, out.String(), err)
		}
	}
}
