package pgdump

import (
	"fmt"
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
	dataOnly bool
	verbose  bool // with pg_restore --verbose: numbers and dependencies are there
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
		if !c.verbose {
			e.ID, e.TableOID, e.OID, e.Deps = 0, 0, 0, nil
		}
		want = append(want, normal(e))
	}
	return want
}

// givenTOC is the table of contents of an archive with the COPY statements of rows that are read as COPY text, and are INSERT
// statements.
func givenTOC(d *Dump) *TOC {
	toc := *d.TOC()
	toc.Entries = slices.Clone(toc.Entries)
	for i := range toc.Entries {
		toc.Entries[i].Entry = d.cat.Entries[i]
	}
	return &toc
}

// normal is an entry without what only an archive tells, and nobody needs: whether a text that is not there is empty.
func normal(e archive.Entry) archive.Entry {
	if e.Drop == "" {
		e.Nulls |= archive.NullDrop
	}
	if e.Kind == "ENCODING" || e.Kind == "STDSTRINGS" || e.Kind == "SEARCHPATH" {
		e.Nulls |= archive.NullOwner
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
	want := lastPass(c.wantEntries(toc))
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
	loose := looseRights(toc)
	gotKeys, wantKeys := keys(looseLast(got, loose)), keys(looseLast(want, loose))
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

// lastPass puts what is restored at the very end there, where it stands in a script.
func lastPass(all []archive.Entry) []archive.Entry {
	slices.SortStableFunc(all, func(a, b archive.Entry) int { return passOf(a) - passOf(b) })
	return all
}

func passOf(e archive.Entry) int {
	if e.Kind == "EVENT TRIGGER" || e.Kind == "MATERIALIZED VIEW DATA" || strings.HasPrefix(e.Name, "EVENT TRIGGER ") ||
		e.Kind == "STATISTICS DATA" && e.Section == archive.SectionPostData {
		return 2
	}
	if e.Kind == "DEFAULT ACL" {
		return 1
	}
	return 0
}

// looseLast puts rights on what the archive does not make at the end: where they stand only an archive tells.
func looseLast(all []archive.Entry, loose map[string]bool) []archive.Entry {
	var out, last []archive.Entry
	for _, e := range all {
		if e.Kind == "ACL" && loose[e.Schema+"."+e.Name] {
			last = append(last, e)
		} else {
			out = append(out, e)
		}
	}
	return append(out, last...)
}

// looseRights names the rights on what the archive does not make.
func looseRights(toc *TOC) map[string]bool {
	there := map[int32]bool{}
	for _, e := range toc.Entries {
		there[e.ID] = true
	}
	loose := map[string]bool{}
	for _, e := range toc.Entries {
		if e.Kind == "ACL" && !slices.ContainsFunc(e.Deps, func(id int32) bool { return there[id] }) {
			loose[e.Schema+"."+e.Name] = true
		}
	}
	return loose
}

// compareDeps reports what an entry of the archive needs that the script's entry does not wait for, directly or not. What
// stands before the rows is restored in order, so only the rest counts.
func compareDeps(t *testing.T, s *Script, toc *TOC) {
	t.Helper()
	cat, err := s.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	archived := make([]archive.Entry, len(toc.Entries))
	for i := range toc.Entries {
		archived[i] = toc.Entries[i].Entry
	}
	needed, waited := newClosure(archived), newClosure(cat.Entries)
	checked := 0
	for _, e := range cat.Entries {
		key := entryKey(e)
		if e.Section != archive.SectionPostData && e.Section != archive.SectionData || needed.ids[key] == 0 {
			continue
		}
		got := waited.of(key)
		for want := range needed.of(key) {
			section := needed.entries[needed.ids[want]].Section
			if section != archive.SectionData && section != archive.SectionPostData || waited.ids[want] == 0 || passOf(e) > 0 {
				continue
			}
			checked++
			if !got[want] {
				t.Errorf("%s does not wait for %s", key, want)
			}
		}
	}
	if checked == 0 {
		t.Error("nothing depends on anything")
	}
}

func entryKey(e archive.Entry) string { return fmt.Sprintf("%s %s.%s", e.Kind, e.Schema, e.Name) }

// closure is what depends on what, over any number of steps.
type closure struct {
	ids     map[string]int32
	entries map[int32]archive.Entry
	rows    map[int32][]int32 // TABLE DATA of a TABLE
}

func newClosure(all []archive.Entry) *closure {
	c := &closure{ids: map[string]int32{}, entries: map[int32]archive.Entry{}, rows: map[int32][]int32{}}
	for _, e := range all {
		c.ids[entryKey(e)], c.entries[e.ID] = e.ID, e
		if e.Kind == kindTableData && len(e.Deps) > 0 {
			c.rows[e.Deps[0]] = append(c.rows[e.Deps[0]], e.ID)
		}
	}
	return c
}

// of names all that an entry depends on. What comes after the rows depends on the rows of the tables that it depends on.
func (c *closure) of(key string) map[string]bool {
	got := map[string]bool{}
	todo := []int32{c.ids[key]}
	for len(todo) > 0 {
		e := c.entries[todo[0]]
		todo = todo[1:]
		for _, id := range e.Deps {
			next := []int32{id}
			if e.Section == archive.SectionPostData {
				next = append(next, c.rows[id]...)
			}
			for _, id := range next {
				if o, ok := c.entries[id]; ok && !got[entryKey(o)] {
					got[entryKey(o)] = true
					todo = append(todo, id)
				}
			}
		}
	}
	return got
}

// compareFamilies reports differences in which tables are partitions of which, or inherit from which.
func compareFamilies(t *testing.T, s *Script, toc *TOC) {
	t.Helper()
	cat, err := s.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	families := func(c *archive.Catalog) []string {
		names, tables := map[int32]string{}, map[int32]bool{}
		for _, e := range c.Entries {
			names[e.ID] = entryKey(e)
			tables[e.ID] = e.Kind == kindTable || e.Kind == "FOREIGN TABLE"
		}
		var all []string
		for child, parent := range c.PartitionParents() {
			all = append(all, names[child]+" is a partition of "+names[parent])
		}
		for _, e := range c.Entries {
			for _, id := range e.Deps {
				if tables[e.ID] && tables[id] {
					all = append(all, names[e.ID]+" is below "+names[id])
				}
			}
		}
		slices.Sort(all)
		// An archive has partitions depend on their parents, too, which TABLE ATTACH tells in a script.
		return slices.DeleteFunc(slices.Compact(all), func(s string) bool {
			child, parent, ok := strings.Cut(s, " is below ")
			return ok && slices.Contains(all, child+" is a partition of "+parent)
		})
	}
	if d := cmp.Diff(families(toc.Catalog()), families(cat)); d != "" {
		t.Errorf("families of tables (-archive +script):\n%s", d)
	}
}
