package archive_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

// content is what a golden archive holds, as the JSON file beside it has it.
type content struct {
	Database string
	Created  string
	Tool     string
	Moment   *archive.Moment
	Catalog  *archive.Catalog
	Streams  []contentStream
}

type contentStream struct {
	Entry   int32
	OID     uint32
	Schema  []byte // in the database's encoding, so JSON has it in base64
	Table   []byte
	Node    uint32 `json:",omitempty"`
	Columns []string
	Form    archive.Form
	Floats  string `json:",omitempty"`
	Range   string
	Digest  string
	Blocks  [][]byte
}

func contentOf(t *testing.T, r *archive.Reader) content {
	t.Helper()
	h := r.Header()
	c := content{Database: h.Database, Created: h.Created.Format("2006-01-02T15:04:05.000000Z"), Tool: h.Tool}
	var err error
	if c.Moment, err = r.Moment(); err != nil {
		t.Fatal(err)
	}
	if c.Catalog, err = r.Catalog(); err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Streams() {
		c.Streams = append(c.Streams, contentStream{
			Entry: s.Entry, OID: s.OID, Schema: []byte(s.Schema), Table: []byte(s.Table), Node: s.Node, Columns: s.Columns,
			Form: s.Form, Floats: s.Floats, Range: s.Range, Digest: s.Digest.String(), Blocks: readStream(t, r, s.ID),
		})
	}
	return c
}

// Every archive that a released version wrote stays readable. With PGARK_UPDATE_GOLDEN set the files of the
// current version are written anew, which is right only before it is released.
func TestGolden(t *testing.T) {
	if os.Getenv("PGARK_UPDATE_GOLDEN") != "" {
		updateGolden(t)
	}
	files, err := filepath.Glob("testdata/v*-*.pgark")
	if err != nil || len(files) < len(codecs()) {
		t.Fatal("golden archives are missing", err)
	}
	for _, name := range files {
		if strings.Contains(name, "-vol") {
			continue // the lead volume opens it
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			version, _, _ := strings.Cut(filepath.Base(name), "-")
			text, err := os.ReadFile(filepath.Join("testdata", version+".json"))
			if err != nil {
				t.Fatal(err)
			}
			f, err := archive.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			got, err := json.MarshalIndent(contentOf(t, f.Reader), "", " ")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(strings.TrimSpace(string(text)), string(got)); d != "" {
				t.Error(d)
			}
			if res, err := archive.CheckFiles(t.Context(), name, archive.CheckOptions{}, archive.OpenOptions{}); err != nil || len(res.Findings) > 0 {
				t.Error(res, err)
			}
		})
	}
}

// The bytes of codec none are pinned.
func TestPinned(t *testing.T) {
	for _, name := range goldenNames() {
		want, err := os.ReadFile("testdata/" + name + "-none.pgark")
		if err != nil {
			t.Fatal(err)
		}
		got := golden(t, name, archive.CodecNone)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the same calls write other bytes than before:\n%s", name, cmp.Diff(hex.Dump(want), hex.Dump(got)))
		}
	}
	for name, got := range goldenSet(t) {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the same calls write other bytes than before:\n%s", name, cmp.Diff(hex.Dump(want), hex.Dump(got)))
		}
	}
}

// goldenSet is a set by the names of its files.
func goldenSet(t *testing.T) map[string][]byte {
	t.Helper()
	s := writeSet(t)
	return map[string][]byte{
		"testdata/v1.0_set-lead.pgark": s.lead, "testdata/v1.0_set-vol1.pgark": s.volumes[0], "testdata/v1.0_set-vol2.pgark": s.volumes[1],
	}
}

// The specification shows the first bytes of a golden archive.
func TestSpecDump(t *testing.T) {
	spec, err := os.ReadFile("SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("testdata/v1.0-none.pgark")
	if err != nil {
		t.Fatal(err)
	}
	if want := hex.Dump(b[:192]); !strings.Contains(string(spec), want) {
		t.Errorf("SPEC.md does not show\n%s", want)
	}
}

// goldenParts has a block that every codec makes shorter.
func goldenParts() []part {
	return append(testParts(), part{
		info:   archive.StreamInfo{OID: 7, Schema: "public", Table: "long", Columns: []string{"a"}, Form: archive.FormText},
		blocks: [][]byte{bytes.Repeat([]byte("the same row again and again\n"), 100)},
	})
}

// segmentsMoment is that of a cluster of three segments.
func segmentsMoment() *archive.Moment {
	m := testMoment()
	m.Route, m.Promise = "segments", "barrier"
	m.Nodes[0].Content = -1
	for i := range int32(3) {
		m.Nodes = append(m.Nodes, archive.Node{
			ID: uint32(i + 1), Name: fmt.Sprint("seg", i), Host: "sdw", Port: uint16(6000 + i), Snapshot: fmt.Sprint("0000000", i, "-1"), Content: i,
		})
	}
	m.Nodes = append(m.Nodes, archive.Node{ID: 4, Name: "shard_a", Host: "a", Port: 5432, Content: -1, Database: "shop_a"})
	m.Distributions = []archive.Distribution{
		{OID: 16384, Schema: "public", Table: "t", Kind: archive.DistributedHash, Columns: []string{"a", "b"}, OpClasses: []string{"pg_catalog.int4_ops", "pg_catalog.text_ops"}, Segments: 3},
		{OID: 16390, Schema: "public", Table: "r", Kind: archive.DistributedReplicated, Segments: 3},
		{OID: 16395, Schema: "public", Table: "f", Kind: archive.DistributedForeign, Node: 4, Bound: "FOR VALUES WITH (modulus 3, remainder 0)"},
	}
	return m
}

// segmentsParts has rows of a server that prints floats with all digits, in blocks of whole rows and in parts of a row.
func segmentsParts() []part {
	info := archive.StreamInfo{
		Entry: 2, OID: 16384, Schema: "public", Table: "t", Form: archive.FormFloats, Floats: "-48?",
		Columns: []string{"a", "b", "c", "d"},
	}
	var parts []part
	for node, rows := range []string{
		"1\t0.100000001\t{0.10000000000000001,NULL,-Infinity}\t(0.10000000000000001)\n2\t16777216\t\\N\t\\N\n",
		"",
		"3\t-0\t[0:1]={9.9999999999999992e+22,1000000000000000}\tx\n",
	} {
		info.Node = uint32(node + 1)
		p := part{info: info}
		if rows != "" {
			p.blocks = [][]byte{[]byte(rows)}
		}
		if node == 2 {
			p.split = 7
		}
		parts = append(parts, p)
	}
	return append(parts, part{
		info:   archive.StreamInfo{OID: 16395, Node: 4, Schema: "public", Table: "f", Columns: []string{"a"}, Form: archive.FormText},
		blocks: [][]byte{[]byte("0.10000000000000001\n")},
	})
}

// golden writes the archive of one name as the current version does.
func golden(t *testing.T, name string, c archive.Codec) []byte {
	t.Helper()
	var b []byte
	if name == "v1.0" {
		b, _ = writeArchive(t, testOptions(c), goldenParts())
	} else {
		b, _ = writeArchiveAt(t, testOptions(c), segmentsMoment(), segmentsParts())
	}
	return b
}

// goldenNames are those of the golden archives of the current version.
func goldenNames() []string { return []string{"v1.0", "v1.0_segments"} }

func updateGolden(t *testing.T) {
	t.Helper()
	updateGoldenSet(t)
	for _, name := range goldenNames() {
		for _, c := range codecs() {
			if name != "v1.0" && c != archive.CodecNone {
				continue
			}
			b := golden(t, name, c)
			if err := os.WriteFile("testdata/"+name+"-"+c.String()+".pgark", b, 0o644); err != nil {
				t.Fatal(err)
			}
			text, err := json.MarshalIndent(contentOf(t, open(t, b)), "", " ")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile("testdata/"+name+".json", append(text, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func updateGoldenSet(t *testing.T) {
	t.Helper()
	for name, b := range goldenSet(t) {
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	x, err := writeSet(t).open(t, false)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(contentOf(t, x), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("testdata/v1.0_set.json", append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
