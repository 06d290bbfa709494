package pgdump

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

// comparison is what may differ between the catalog of a script and that of an archive of the same database.
type comparison struct {
	noOwner  bool // the script was written with --no-owner
	noRights bool // with --no-privileges
	database bool // with --create: only then does a script say anything of the database
	inserts  bool // with --inserts: there are no COPY statements
	dataOnly bool
	verbose  bool // with --verbose: numbers and dependencies are there
}

// wantEntries are the entries of an archive as they should be in the catalog of a script.
func (c *comparison) wantEntries(toc *TOC) []archive.Entry {
	var want []archive.Entry
	for i := range toc.Entries {
		e := toc.Entries[i].Entry
		isDB := e.Kind == "DATABASE" || e.Kind == "DATABASE PROPERTIES" || strings.HasPrefix(e.Name, "DATABASE ")
		special := e.Kind == "ENCODING" || e.Kind == "STDSTRINGS" || e.Kind == "SEARCHPATH"
		if isDB && !c.database || c.noRights && (e.Kind == "ACL" || e.Kind == "DEFAULT ACL") ||
			c.dataOnly && !special && e.Section != archive.SectionData {
			continue
		}
		if c.noOwner {
			e.Owner = ""
			e.Nulls |= archive.NullOwner
		}
		if c.inserts {
			e.Copy = ""
			e.Nulls |= archive.NullCopy
		}
		if !c.verbose {
			e.ID, e.TableOID, e.OID, e.Deps = 0, 0, 0, nil
		}
		want = append(want, normal(e))
	}
	return want
}

// normal is an entry without what only an archive tells, and nobody needs: whether a text that is not there is empty.
func normal(e archive.Entry) archive.Entry {
	if e.Drop == "" {
		e.Nulls |= archive.NullDrop
	}
	if e.Kind == "TABLE DATA" && e.DDL == "" {
		e.Nulls |= archive.NullDDL
	}
	return e
}

// compare reports how the catalog of a script differs from that of an archive.
func (c *comparison) compare(t *testing.T, s *Script, toc *TOC) {
	t.Helper()
	cat, err := s.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	want := c.wantEntries(toc)
	got := make([]archive.Entry, 0, len(cat.Entries))
	for _, e := range cat.Entries {
		e = normal(e)
		if !c.verbose {
			e.ID, e.TableOID, e.OID, e.Deps = 0, 0, 0, nil
		}
		if e.Kind == "ENCODING" || e.Kind == "STDSTRINGS" || e.Kind == "SEARCHPATH" {
			e.ID = 0
		}
		got = append(got, e)
	}
	for i := range want {
		if e := &want[i]; e.Kind == "ENCODING" || e.Kind == "STDSTRINGS" || e.Kind == "SEARCHPATH" {
			e.ID = 0
		}
	}
	keys := func(all []archive.Entry) []string {
		var names []string
		for _, e := range all {
			names = append(names, fmt.Sprintf("%s %s.%s", e.Kind, e.Schema, e.Name))
		}
		return names
	}
	gotKeys, wantKeys := keys(looseLast(got)), keys(looseLast(want))
	if d := cmp.Diff(wantKeys, gotKeys); d != "" {
		t.Errorf("entries (-archive +script):\n%s", d)
	}
	gotKeys, wantKeys = keys(got), keys(want)
	for i, e := range want {
		if j := slices.Index(gotKeys, wantKeys[i]); j >= 0 {
			if d := cmp.Diff(e, got[j]); d != "" {
				t.Errorf("%s (-archive +script):\n%s", wantKeys[i], d)
			}
			gotKeys[j] = ""
		}
	}
}

// looseLast puts rights on what the archive does not make at the end: where they stand only an archive tells.
func looseLast(all []archive.Entry) []archive.Entry {
	var out, loose []archive.Entry
	for _, e := range all {
		last := archive.Entry{}
		if len(out) > 0 {
			last = out[len(out)-1]
		}
		_, tag, _ := strings.Cut(e.Name, " ")
		if e.Kind == "ACL" && last.Kind != "ACL" && last.Kind != "COMMENT" && last.Name != tag && last.Kind != "SEQUENCE OWNED BY" ||
			e.Name == "SCHEMA public" && e.Kind == "ACL" || e.Schema == "pg_catalog" || e.Schema == "ext" {
			loose = append(loose, e)
		} else {
			out = append(out, e)
		}
	}
	return append(out, loose...)
}

func openTestScript(t testing.TB, b []byte) *Script {
	t.Helper()
	s, err := readScript(context.Background(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTmp(t *testing.T) {
	f, err := os.Open(os.Getenv("TMP_TOC"))
	if err != nil {
		t.Skip(err)
	}
	toc, err := ReadTOC(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(os.Getenv("TMP_SQL"))
	if err != nil {
		t.Fatal(err)
	}
	s := openTestScript(t, b)
	o := os.Getenv("TMP_OPT")
	c := &comparison{
		noOwner: strings.Contains(o, "O"), noRights: strings.Contains(o, "x"), database: strings.Contains(o, "C"),
		inserts: strings.Contains(o, "i"), dataOnly: strings.Contains(o, "a"), verbose: strings.Contains(o, "v"),
	}
	c.compare(t, s, toc)
	fmt.Printf("%+v\n", s.Description())
}
