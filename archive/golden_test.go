package archive_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

// content is what a golden archive holds, as testdata/v1.0.json has it.
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
	Columns []string
	Form    archive.Form
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
			Entry: s.Entry, OID: s.OID, Schema: []byte(s.Schema), Table: []byte(s.Table), Columns: s.Columns, Form: s.Form,
			Range: s.Range, Digest: s.Digest.String(), Blocks: readStream(t, r, s.ID),
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
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if res, err := check(raw); err != nil || len(res.Findings) > 0 {
				t.Error(res, err)
			}
		})
	}
}

// The bytes of codec none are pinned.
func TestPinned(t *testing.T) {
	want, err := os.ReadFile("testdata/v1.0-none.pgark")
	if err != nil {
		t.Fatal(err)
	}
	got, _ := writeArchive(t, testOptions(archive.CodecNone), goldenParts())
	if !bytes.Equal(got, want) {
		t.Errorf("the same calls write other bytes than before:\n%s", cmp.Diff(hex.Dump(want), hex.Dump(got)))
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

func updateGolden(t *testing.T) {
	t.Helper()
	for _, c := range codecs() {
		b, _ := writeArchive(t, testOptions(c), goldenParts())
		if err := os.WriteFile("testdata/v1.0-"+c.String()+".pgark", b, 0o644); err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(contentOf(t, open(t, b)), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/v1.0.json", append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
