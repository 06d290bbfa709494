package pgdump

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

// convert gives the entries of a catalog in another version.
func convert(t *testing.T, cat *archive.Catalog, minor uint8) (*TOC, []string) {
	t.Helper()
	toc, notes, err := newTOC(cat, FormatCustom, &WriteOptions{Minor: minor})
	if err != nil {
		t.Fatal(err)
	}
	return toc, notes
}

// objectNumbers are the large objects that a table of contents creates.
func objectNumbers(toc *TOC) []string {
	var all []string
	for i := range toc.Entries {
		switch e := &toc.Entries[i]; e.Kind {
		case kindBlob:
			all = append(all, e.Name)
		case kindBlobGroup:
			all = append(all, strings.Fields(e.DDL)...)
		}
	}
	slices.Sort(all)
	return all
}

// Every sample in every version: no large object and no data is lost, IDs stay unique, dependencies lead where they did, and what is
// left out is named.
func TestVersionsOfSamples(t *testing.T) {
	files, err := filepath.Glob("testdata/*.dump")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		d, err := Open(file, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for minor := uint8(minorOldestWritten); minor <= minorNewestWritten; minor++ {
			t.Run(fmt.Sprintf("%s 1.%d", filepath.Base(file), minor), func(t *testing.T) {
				cat := d.toc.Catalog()
				toc, notes := convert(t, cat, minor)
				if diff := cmp.Diff(objectNumbers(d.toc), objectNumbers(toc)); diff != "" {
					t.Error(diff)
				}
				checkConversion(t, cat, toc, notes)
				if minor != d.toc.Header.Version.Minor {
					return
				}
				toc.Header = d.toc.Header
				for i := range toc.Entries {
					toc.Entries[i].DataState, toc.Entries[i].Offset = d.toc.Entries[i].DataState, d.toc.Entries[i].Offset
				}
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if got := toc.Append(nil); string(got) != string(b[:len(got)]) || len(notes) > 0 {
					t.Errorf("the same version is not the same bytes; notes %q", notes)
				}
			})
		}
	}
}

// checkConversion compares the entries of a version with the catalog that they are of.
func checkConversion(t *testing.T, cat *archive.Catalog, toc *TOC, notes []string) {
	t.Helper()
	before, after := make(map[int32]*archive.Entry), make(map[int32]*Entry)
	for i := range cat.Entries {
		before[cat.Entries[i].ID] = &cat.Entries[i]
	}
	data := make(map[int32]bool)
	for i := range toc.Entries {
		e := &toc.Entries[i]
		if after[e.ID] != nil {
			t.Errorf("entry %d comes twice", e.ID)
		}
		after[e.ID] = e
		if e.HadDumper {
			for _, id := range toc.Sources(e.ID) {
				data[id] = true
			}
		}
	}
	said := strings.Join(notes, "\n")
	for id, e := range before {
		switch {
		case e.HadDumper && !data[id]:
			t.Errorf("the data of entry %d, %s %s, is lost", id, e.Kind, e.Name)
		case after[id] == nil && !e.HadDumper && !strings.Contains(said, e.Name):
			t.Errorf("entry %d, %s %s, is left out, and not named in %q", id, e.Kind, e.Name, said)
		}
	}
	for _, e := range after {
		for _, dep := range e.Deps {
			if after[dep] == nil && before[dep] != nil {
				t.Errorf("%s %s depends on entry %d, which is gone", e.Kind, e.Name, dep)
			}
		}
	}
}

// groups is a catalog of version 1.16 with large objects in two groups.
func groups(t *testing.T) *archive.Catalog {
	t.Helper()
	none := archive.NullCopy | archive.NullSchema | archive.NullTablespace | archive.NullTableAM
	rights := "REVOKE ALL ON LARGE OBJECT 16400 FROM \"LARGE OBJECT 5\";\nGRANT SELECT ON LARGE OBJECT 16400 TO \"odd \"\"LARGE OBJECT 7\"\n"
	return &archive.Catalog{Entries: []archive.Entry{
		{ID: 1, Kind: "TABLE", Name: "t", Schema: "s", Section: archive.SectionPreData, TableAM: "columns", RelKind: 'p'},
		{ID: 20, Kind: kindTableData, Name: "t", Schema: "s", Section: archive.SectionData, HadDumper: true, Deps: []int32{1}},
		{ID: 2, TableOID: 2613, OID: 16400, Kind: kindBlobGroup, Name: "16400..16402", Owner: "me", Section: archive.SectionData, DDL: "16400\n16401\n16402\n", Drop: "-- dummy", Nulls: none},
		{ID: 3, TableOID: 2613, OID: 16500, Kind: kindBlobGroup, Name: "16500", Owner: "you", Section: archive.SectionData, DDL: "16500\n", Drop: "-- dummy", Nulls: none},
		{ID: 4, Kind: kindComment, Name: "LARGE OBJECT 16500", Owner: "you", Section: archive.SectionNone, DDL: "COMMENT ON LARGE OBJECT 16500 IS 'LARGE OBJECT 1';\n", Deps: []int32{3}},
		{ID: 5, Kind: kindACL, Name: "LARGE OBJECTS 16400..16402", Owner: "me", Section: archive.SectionNone, DDL: rights, Deps: []int32{2}},
		{ID: 6, Kind: kindBlobs, Name: "16400..16402", Owner: "me", Section: archive.SectionData, HadDumper: true, Deps: []int32{2}},
		{ID: 7, Kind: kindStatistics, Schema: "s", Name: "t", Section: archive.SectionData, DDL: "SELECT 1;", Deps: []int32{1}},
		{ID: 8, Kind: kindBlobs, Name: "16500", Owner: "you", Section: archive.SectionData, HadDumper: true, Deps: []int32{3}},
		{ID: 9, Kind: "EVENT TRIGGER", Name: "e", Section: archive.SectionPostData, Deps: []int32{6, 8, 7, 1}},
	}}
}

// Statistics that only a Greenplum takes are in no version, and need none that others of that kind need.
func TestCatalogStatisticsAreLeftOut(t *testing.T) {
	cat := &archive.Catalog{Entries: []archive.Entry{
		{ID: 1, Kind: "TABLE", Name: "t", Schema: "s", Section: archive.SectionPreData, Nulls: archive.NullTableAM},
		{ID: 2, Kind: kindStatistics, Schema: "s", Name: "t", Section: archive.SectionPostData, DDL: archive.CatalogStatisticsMark + "SELECT 1;", Deps: []int32{1}},
	}}
	if got := MinorFor(cat, CompressionGzip); got != minorOldestWritten {
		t.Errorf("needs 1.%d", got)
	}
	for _, minor := range []uint8{13, 16} {
		toc, notes := convert(t, cat, minor)
		if len(toc.Entries) != 1 || len(notes) != 1 || !strings.Contains(notes[0], "run ANALYZE): s.t") {
			t.Errorf("1.%d: %d entries, notes %q", minor, len(toc.Entries), notes)
		}
	}
}

// Large objects that 1.16 has in groups become entries of their own, with their owner, rights and comments, and their data one block.
func TestDowngrade(t *testing.T) {
	cat := groups(t)
	toc, notes := convert(t, cat, 15)
	checkConversion(t, cat, toc, notes)
	if len(notes) != 2 || !strings.Contains(notes[0], "statistics") || !strings.Contains(notes[1], "partitioned table") {
		t.Errorf("notes %q", notes)
	}
	var got []string
	for _, e := range toc.Entries {
		got = append(got, fmt.Sprintf("%d %d %s %s %s %v %q", e.Section, e.ID, e.Kind, e.Name, e.Owner, e.Deps, e.DDL))
	}
	rights := func(oid string) string {
		return strconv.Quote(strings.ReplaceAll(cat.Entries[5].DDL, "16400", oid))
	}
	if diff := cmp.Diff([]string{
		`2 1 TABLE t  [] ""`,
		`2 2 BLOB 16400 me [] "SELECT pg_catalog.lo_create('16400');\n"`,
		`2 21 BLOB 16401 me [] "SELECT pg_catalog.lo_create('16401');\n"`,
		`2 22 BLOB 16402 me [] "SELECT pg_catalog.lo_create('16402');\n"`,
		`2 3 BLOB 16500 you [] "SELECT pg_catalog.lo_create('16500');\n"`,
		`1 4 COMMENT LARGE OBJECT 16500 you [3] "COMMENT ON LARGE OBJECT 16500 IS 'LARGE OBJECT 1';\n"`,
		`1 5 ACL LARGE OBJECT 16400 me [2] ` + rights("16400"),
		`1 23 ACL LARGE OBJECT 16401 me [21] ` + rights("16401"),
		`1 24 ACL LARGE OBJECT 16402 me [22] ` + rights("16402"),
		`3 20 TABLE DATA t  [1] ""`,
		`3 6 BLOBS BLOBS me [] ""`,
		`4 9 EVENT TRIGGER e  [6 1] ""`,
	}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int32{6, 8}, toc.Sources(6)); diff != "" {
		t.Error(diff)
	}
	again, _ := convert(t, toc.Catalog(), 16) // and up again, as they are
	if diff := cmp.Diff(objectNumbers(toc), objectNumbers(again)); diff != "" {
		t.Error(diff)
	}
}

// A list of large objects that makes no sense is refused, not passed over.
func TestDowngradeDamaged(t *testing.T) {
	for _, ddl := range []string{"16400\nx\n", "16400\n\n16401\n", "0\n", "16400\n16400\n", "4294967296\n", "-1\n", "16400; DROP TABLE x\n", "16500\n16500"} {
		cat := groups(t)
		cat.Entries[2].DDL = ddl
		_, _, err := newTOC(cat, FormatCustom, &WriteOptions{Minor: 15})
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "entry 2") {
			t.Errorf("%q: %v", ddl, err)
		}
	}
	cat := groups(t)
	cat.Entries[9].ID = math.MaxInt32
	if _, _, err := newTOC(cat, FormatCustom, &WriteOptions{Minor: 15}); !errors.Is(err, ErrDamaged) {
		t.Errorf("no numbers are left: %v", err)
	}
	for _, o := range []WriteOptions{{Minor: 12}, {Minor: 17}, {Minor: 14, Compression: CompressionZstd}, {Minor: 13, Compression: CompressionLZ4}} {
		if _, _, err := newTOC(groups(t), FormatCustom, &o); !errors.Is(err, ErrVersion) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// The version is the oldest that loses nothing.
func TestMinorFor(t *testing.T) {
	heap := archive.Entry{Kind: "TABLE", TableAM: "heap"}
	for _, tt := range []struct {
		want    uint8
		c       Compression
		entries []archive.Entry
	}{
		{13, CompressionGzip, []archive.Entry{{Kind: "TABLE"}, {Kind: kindBlob}}},
		{13, CompressionNone, []archive.Entry{{Kind: kindBlobGroup}}},
		{14, CompressionGzip, []archive.Entry{heap}},
		{15, CompressionZstd, []archive.Entry{heap}},
		{15, CompressionLZ4, nil},
		{16, CompressionGzip, []archive.Entry{{Kind: "TABLE", RelKind: 'p', TableAM: "heap"}}},
		{14, CompressionGzip, []archive.Entry{{Kind: "TABLE", RelKind: 'p'}, {Kind: "TABLE", RelKind: 'r', TableAM: "heap"}}},
		{16, CompressionNone, []archive.Entry{{Kind: kindStatistics}}},
	} {
		cat := &archive.Catalog{Entries: tt.entries}
		if got := MinorFor(cat, tt.c); got != tt.want {
			t.Errorf("%s %+v: 1.%d, want 1.%d", tt.c, tt.entries, got, tt.want)
		}
		if _, notes := convert(t, cat, tt.want); len(notes) > 0 {
			t.Errorf("%q", notes)
		}
	}
}

// Rights are given to another large object, whatever roles are called.
func FuzzRightsOf(f *testing.F) {
	f.Add("GRANT SELECT ON LARGE OBJECT 5 TO \"LARGE OBJECT 6\";\n", uint32(7))
	f.Fuzz(func(t *testing.T, sql string, oid uint32) {
		got := rightsOf(sql, oid)
		if again := rightsOf(got, oid); again != got {
			t.Errorf("%q, then %q", got, again)
		}
		if back := strings.Count(got, "LARGE OBJECT "); back < strings.Count(sql, "LARGE OBJECT ") && !strings.Contains(sql, "\"") {
			t.Errorf("%q of %q", got, sql)
		}
	})
}
