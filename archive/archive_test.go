package archive_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgark/pgark/archive"
)

// part is what one stream of a test archive holds.
type part struct {
	info   archive.StreamInfo
	blocks [][]byte
	split  int // if not 0, each block is one row that is cut into parts of this many bytes
}

func testCatalog() *archive.Catalog {
	return &archive.Catalog{
		Database: "shop", Encoding: "UTF8", ServerVersion: "15.18", Product: "PostgreSQL", PgDumpVersion: "15.18", TOCVersion: "1.14",
		Entries: []archive.Entry{
			{ID: 1, TableOID: 1259, OID: 16384, Kind: "TABLE", Schema: "public", Name: "t", Owner: "o", Section: archive.SectionPreData, DDL: "CREATE TABLE public.t (a integer, b text);\n", Drop: "DROP TABLE public.t;\n", TableAM: "heap", RelKind: 'r'},
			{ID: 2, OID: 16384, Kind: "TABLE DATA", Schema: "public", Name: "t", Owner: "o", Section: archive.SectionData, Copy: "COPY public.t (a, b) FROM stdin;\n", HadDumper: true, Deps: []int32{1}, Nulls: archive.NullTablespace | archive.NullTableAM},
			{ID: 3, Kind: "BLOBS", Name: "BLOBS", Section: archive.SectionData, HadDumper: true},
		},
	}
}

func testMoment() *archive.Moment {
	return &archive.Moment{
		Time: time.Date(2024, 5, 6, 7, 8, 9, 123456000, time.UTC), Route: "coordinator", Promise: "snapshot",
		Nodes:    []archive.Node{{Name: "coordinator", Host: "db", Port: 5432, Snapshot: "00000003-0000001B-1"}},
		Settings: map[string]string{"DateStyle": "ISO", "search_path": "", "TimeZone": "UTC"},
	}
}

func testParts() []part {
	return []part{
		{
			info:   archive.StreamInfo{OID: 16384, Schema: "public", Table: "t", Columns: []string{"a", "b"}, Form: archive.FormText, Range: "ctid [0,2)"},
			blocks: [][]byte{[]byte("1\tone\n2\ttwo\n"), bytes.Repeat([]byte("3\tthree three three\n"), 20)},
		},
		{info: archive.StreamInfo{Entry: 2, OID: 16384, Schema: "public", Table: "t", Columns: []string{"a", "b"}, Form: archive.FormText, Range: "ctid [2,)"}},
		{info: archive.StreamInfo{Entry: 3, OID: 70000, Table: "70000", Form: archive.FormBinary}, blocks: [][]byte{[]byte("large\x00object")}},
		{info: archive.StreamInfo{OID: 5, Table: "csv", Form: archive.FormCSV}, blocks: [][]byte{[]byte("1,\"a\nb\"\n2,c\n")}},
		{info: archive.StreamInfo{OID: 6, Schema: "s\xe9", Table: "big \"row\"", Form: archive.FormText}, blocks: [][]byte{[]byte("a row in three parts\n"), []byte("another\n")}, split: 8},
	}
}

func digestOf(t testing.TB, p part) archive.Digest {
	t.Helper()
	var d archive.Digest
	var h archive.RowHasher
	for _, b := range p.blocks {
		var err error
		switch p.info.Form {
		case archive.FormText:
			err = d.AddRows(b)
		case archive.FormFloats:
			err = d.AddRowsCanonical(p.info.Floats, b)
		case archive.FormCSV:
			err = d.AddCSV(b)
		case archive.FormBinary:
			_, err = h.Write(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if p.info.Form == archive.FormBinary {
		h.DoneBinary(&d)
	}
	return d
}

func rowsOf(t testing.TB, form archive.Form, b []byte) uint32 {
	t.Helper()
	if form == archive.FormBinary {
		return 0
	}
	return uint32(digestOf(t, part{info: archive.StreamInfo{Form: form}, blocks: [][]byte{b}}).Rows)
}

// writeArchive makes an archive; blocks of the streams alternate.
func writeArchive(t testing.TB, o archive.WriterOptions, parts []part) ([]byte, archive.Summary) {
	t.Helper()
	return writeArchiveAt(t, o, testMoment(), parts)
}

func writeArchiveAt(t testing.TB, o archive.WriterOptions, m *archive.Moment, parts []part) ([]byte, archive.Summary) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	w, err := archive.NewWriter(&out, o)
	check(err)
	check(w.SetMoment(m))
	check(w.SetCatalog(testCatalog()))
	enc, err := archive.NewEncoder(o.Codec, o.Level)
	check(err)
	defer enc.Close()
	ids := make([]archive.StreamID, len(parts))
	most := 0
	for i, p := range parts {
		ids[i], err = w.OpenStream(p.info)
		check(err)
		most = max(most, len(p.blocks))
	}
	var f archive.Frame
	for n := range most {
		for i, p := range parts {
			if n >= len(p.blocks) {
				continue
			}
			for part, raw := range rawParts(t, p, n) {
				raw.Stream = ids[i]
				raw.Part = uint32(part)
				check(enc.Encode(&f, raw))
				check(w.Append(&f))
			}
		}
	}
	for i, p := range parts {
		check(w.CloseStream(ids[i], digestOf(t, p)))
	}
	check(w.BindStream(1, 2))
	sum, err := w.Close()
	check(err)
	return out.Bytes(), sum
}

// rawParts cuts block n of p into its frames.
func rawParts(t testing.TB, p part, n int) []archive.Raw {
	t.Helper()
	b := p.blocks[n]
	if p.split == 0 || len(b) <= p.split {
		return []archive.Raw{{Block: uint32(n), Data: b, Rows: rowsOf(t, p.info.Form, b)}}
	}
	var out []archive.Raw
	for c := range slices.Chunk(b, p.split) {
		out = append(out, archive.Raw{Block: uint32(n), Data: c, More: true})
	}
	last := &out[len(out)-1]
	last.More, last.Rows = false, 1
	return out
}

func testOptions(c archive.Codec) archive.WriterOptions {
	return archive.WriterOptions{Codec: c, Created: time.Date(2024, 5, 6, 7, 8, 10, 0, time.UTC), Database: "shop", Tool: "pgark 0.1.0"}
}

func codecs() []archive.Codec {
	return []archive.Codec{archive.CodecNone, archive.CodecZstd, archive.CodecLZ4, archive.CodecXZ, archive.CodecGzip}
}

func open(t testing.TB, b []byte) *archive.Reader {
	t.Helper()
	r, err := archive.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readStream(t testing.TB, r *archive.Reader, id archive.StreamID) [][]byte {
	t.Helper()
	d := r.NewDecoder()
	defer d.Close()
	var out [][]byte
	for b := range r.Blocks(id) {
		var all []byte
		err := d.Block(b, func(p []byte) error {
			all = append(all, p...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if uint64(len(all)) != b.Raw {
			t.Fatalf("block of %d bytes, index says %d", len(all), b.Raw)
		}
		out = append(out, all)
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	for _, c := range codecs() {
		t.Run(c.String(), func(t *testing.T) {
			parts := testParts()
			b, sum := writeArchive(t, testOptions(c), parts)
			if sum.Bytes != uint64(len(b)) || sum.Blocks != 6 || sum.Streams != 5 || sum.Rows != 26 {
				t.Errorf("summary %+v of %d bytes", sum, len(b))
			}
			r := open(t, b)
			if r.Root() != sum.Root {
				t.Error("root differs")
			}
			checkContent(t, r, parts)
		})
	}
}

// checkContent compares an archive with what writeArchive was given.
func checkContent(t testing.TB, r *archive.Reader, parts []part) {
	t.Helper()
	cat, err := r.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Moment()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(testCatalog(), cat); d != "" {
		t.Error("catalog:", d)
	}
	if d := cmp.Diff(testMoment(), m); d != "" {
		t.Error("moment:", d)
	}
	if n := len(r.Streams()); n != len(parts) {
		t.Fatalf("%d streams, want %d", n, len(parts))
	}
	for i, p := range parts {
		s := r.Streams()[i]
		if i == 0 {
			p.info.Entry = 2 // bound late
		}
		if d := cmp.Diff(p.info, s.StreamInfo, cmpopts.EquateEmpty()); d != "" {
			t.Error("stream:", d)
		}
		if s.Digest != digestOf(t, p) {
			t.Errorf("stream %d: digest %s", s.ID, s.Digest)
		}
		if d := cmp.Diff(p.blocks, readStream(t, r, s.ID), cmpopts.EquateEmpty()); d != "" {
			t.Error("blocks:", d)
		}
	}
	if got := fmt.Sprint(len(r.TableStreams(2)), len(r.TableStreams(3)), len(r.TableStreams(9))); got != "2 1 0" {
		t.Error("streams by entry:", got)
	}
}
