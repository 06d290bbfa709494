package fanout

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/pgark/pgark/archive"
)

// planCatalog is a small catalog: two tables with rows, an index, a foreign key between them, what goes with them.
func planCatalog() *archive.Catalog {
	pre, data, post := archive.SectionPreData, archive.SectionData, archive.SectionPostData
	entry := func(id int32, kind, name string, section archive.Section, deps ...int32) archive.Entry {
		return archive.Entry{
			ID: id, Kind: kind, Schema: "s", Name: name, Owner: "o", Section: section, Deps: deps,
			DDL: "CREATE " + kind + " " + name + ";\n", Drop: "DROP " + kind + " " + name + ";\n",
			Nulls: archive.NullTablespace | archive.NullTableAM,
		}
	}
	rows := func(id int32, name string, table int32) archive.Entry {
		e := entry(id, "TABLE DATA", name, data, table)
		e.DDL, e.Drop, e.Copy, e.HadDumper = "", "", "COPY s."+name+" (x) FROM stdin;\n", true
		return e
	}
	return &archive.Catalog{Encoding: "UTF8", PgDumpVersion: "15.18", Entries: []archive.Entry{
		{ID: 1, Kind: "SEARCHPATH", DDL: "SELECT pg_catalog.set_config('search_path', '', false);\n", Section: pre},
		entry(2, "SCHEMA", "s", pre),
		entry(3, "TABLE", "a", pre, 2),
		entry(4, "TABLE", "b", pre, 2, 999),
		entry(5, "COMMENT", "TABLE a", archive.SectionNone, 3),
		rows(6, "a", 3),
		rows(7, "b", 4),
		entry(8, "INDEX", "i", post, 3, 3),
		entry(9, "INDEX", "j", post, 3),
		entry(10, "CONSTRAINT", "a_pkey", post, 3),
		entry(11, "FK CONSTRAINT", "fk", post, 4, 3, 10),
		entry(12, "MATERIALIZED VIEW DATA", "m", post, 3),
		entry(13, "ACL", "TABLE a", archive.SectionNone, 3),
		entry(14, "EVENT TRIGGER", "e", post),
		entry(15, "COMMENT", "EVENT TRIGGER e", archive.SectionNone, 14),
	}}
}

func mustPlan(tb testing.TB, o PlanOptions) *Plan {
	tb.Helper()
	p, err := NewPlan(planCatalog(), o)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func stepOf(tb testing.TB, p *Plan, id int32) *Step {
	tb.Helper()
	for _, s := range p.Steps {
		if s.Entry.ID == id {
			return s
		}
	}
	tb.Fatalf("entry %d is not in the plan", id)
	return nil
}

func ids(p *Plan) (all []int32) {
	for _, s := range p.Steps {
		all = append(all, s.Entry.ID)
	}
	return all
}

func TestPlanOrder(t *testing.T) {
	p := mustPlan(t, PlanOptions{})
	if diff := cmp.Diff([]int32{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 12, 14, 15}, ids(p)); diff != "" {
		t.Error(diff)
	}
	for id, pass := range map[int32]Pass{11: PassMain, 13: PassACL, 12: PassPostACL, 14: PassPostACL, 15: PassPostACL, 5: PassMain} {
		if got := stepOf(t, p, id).Pass; got != pass {
			t.Errorf("entry %d is in pass %d", id, got)
		}
	}
}

// What is made after the rows waits for them, and takes its locks on them.
func TestPlanDependencies(t *testing.T) {
	p := mustPlan(t, PlanOptions{})
	tests := []struct {
		id                int32
		deps, lock, share []int32
	}{
		{3, []int32{2}, nil, nil},
		{4, []int32{2}, nil, nil}, // 999 is not in the catalog
		{6, []int32{3}, nil, nil},
		{8, []int32{6}, nil, []int32{6}},
		{10, []int32{6}, []int32{6}, nil},
		{11, []int32{6, 7, 10}, []int32{6, 7}, nil},
	}
	for _, tt := range tests {
		s := stepOf(t, p, tt.id)
		want := []any{tt.deps, tt.lock, tt.share}
		sortIDs := cmpopts.SortSlices(func(a, b int32) bool { return a < b })
		if diff := cmp.Diff(want, []any{s.Deps, s.Lock, s.Share}, cmpopts.EquateEmpty(), sortIDs); diff != "" {
			t.Errorf("entry %d: %s", tt.id, diff)
		}
	}
	conflicts := func(a, b int32) bool { return stepOf(t, p, a).Conflicts(stepOf(t, p, b)) }
	if conflicts(8, 9) || !conflicts(8, 10) || !conflicts(10, 8) || !conflicts(10, 11) || conflicts(8, 7) {
		t.Error("conflicts: two indexes of one table may be built at once, a key beside neither")
	}
}

// Where what is named is not selected, what it depends on counts.
func TestPlanDependenciesThroughUnselected(t *testing.T) {
	p := mustPlan(t, PlanOptions{Select: Selection{List: []int32{2, 6, 11}}})
	if diff := cmp.Diff([]int32{2, 6}, stepOf(t, p, 11).Deps); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int32{2}, stepOf(t, p, 6).Deps); diff != "" {
		t.Error(diff)
	}
}

// A list in any order gives a plan without cycles, each step's dependencies before it.
func TestPlanHasNoCycles(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cat := planCatalog()
		for i := range cat.Entries {
			cat.Entries[i].Deps = rapid.SliceOfN(rapid.Int32Range(-1, 17), 0, 4).Draw(rt, "deps")
		}
		list := rapid.SliceOf(rapid.Int32Range(1, 15)).Draw(rt, "list")
		if rapid.Bool().Draw(rt, "no list") {
			list = nil
		}
		p, err := NewPlan(cat, PlanOptions{Select: Selection{List: list}})
		if err != nil {
			rt.Fatal(err)
		}
		done := map[int32]bool{}
		for _, s := range p.Steps {
			for _, d := range s.Deps {
				if !done[d] {
					rt.Fatalf("entry %d comes before %d, on which it depends", s.Entry.ID, d)
				}
			}
			if done[s.Entry.ID] {
				rt.Fatalf("entry %d comes twice", s.Entry.ID)
			}
			done[s.Entry.ID] = true
		}
	})
}

func TestPlanRefuses(t *testing.T) {
	for name, o := range map[string]PlanOptions{
		"nothing left":    {SchemaOnly: true, DataOnly: true},
		"clean data":      {Clean: true, DataOnly: true},
		"only if exists":  {IfExists: true},
		"unknown section": {Sections: []string{"middle"}},
		"unknown entry":   {Select: Selection{List: []int32{77}}},
	} {
		if _, err := NewPlan(planCatalog(), o); !errors.Is(err, ErrUsage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlanImpliesDataOnly(t *testing.T) {
	if p := mustPlan(t, PlanOptions{Sections: []string{"data"}}); !p.DataOnly || len(p.Steps) != 2 {
		t.Errorf("data only %v, entries %v", p.DataOnly, ids(p))
	}
	if p := mustPlan(t, PlanOptions{}); p.DataOnly {
		t.Error("a full restore is data only")
	}
}

// An object picked by name brings its comment and its rights along.
func TestPlanSelectionFollows(t *testing.T) {
	p := mustPlan(t, PlanOptions{Select: Selection{Tables: []string{"a"}}})
	if diff := cmp.Diff([]int32{3, 5, 6, 13}, ids(p)); diff != "" {
		t.Error(diff)
	}
}

func TestDefinition(t *testing.T) {
	cat := planCatalog()
	table := &cat.Entries[2]
	table.Nulls &^= archive.NullTablespace | archive.NullTableAM
	table.Tablespace, table.TableAM = "Fast", "heap"
	p, err := NewPlan(cat, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var st State
	want := []string{
		"SET default_tablespace = '';", `SET default_tablespace = "Fast";`, "SET default_table_access_method = heap;",
		"CREATE TABLE a;\n", "ALTER TABLE s.a OWNER TO o;",
	}
	if diff := cmp.Diff(want, p.Definition(&st, stepOf(t, p, 3))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(slices.Delete(want, 2, 3), p.Definition(&st, stepOf(t, p, 3))); diff != "" {
		t.Errorf("other settings are repeated, or that of the tablespace is not: %s", diff)
	}
	if got := p.Definition(&st, stepOf(t, p, 6)); got != nil {
		t.Errorf("rows have a definition: %q", got)
	}
	if got := p.CopyStatement(stepOf(t, p, 6)); got != "COPY s.a (x) FROM stdin" {
		t.Errorf("COPY: %q", got)
	}
	if p.Table(6) != &cat.Entries[2] || p.Table(3) != nil {
		t.Error("table of the rows")
	}
}

// Archives from before 1.13 don't qualify names: the schema is selected instead.
func TestDefinitionWithoutSearchPath(t *testing.T) {
	cat := planCatalog()
	cat.Entries[0].Kind = "STDSTRINGS"
	cat.Entries[5].Copy = "COPY a (x) FROM stdin;\n"
	p, err := NewPlan(cat, PlanOptions{Clean: true})
	if err != nil {
		t.Fatal(err)
	}
	var st State
	if got := p.Definition(&st, stepOf(t, p, 3)); got[0] != "SET search_path = s, pg_catalog;" {
		t.Errorf("first %q", got[0])
	}
	if got := p.CopyStatement(stepOf(t, p, 6)); got != "COPY s.a (x) FROM stdin" {
		t.Errorf("COPY: %q", got)
	}
	if slices.ContainsFunc(p.Setup(), func(s string) bool { return strings.Contains(s, "search_path") }) {
		t.Error("the setup has a search_path")
	}
	if drops := p.Drops(&st); len(drops) == 0 || st.schema.known {
		t.Errorf("%d drops; the schema may be gone after them", len(drops))
	}
}

func TestDropIfExists(t *testing.T) {
	for _, tt := range []struct{ kind, drop, want string }{
		{"TABLE", "DROP TABLE s.t;\n", "DROP TABLE IF EXISTS s.t;\n"},
		{"FK CONSTRAINT", "ALTER TABLE ONLY s.t DROP CONSTRAINT c;\n", "ALTER TABLE IF EXISTS ONLY s.t DROP CONSTRAINT IF EXISTS c;\n"},
		{"DEFAULT", "ALTER TABLE s.t ALTER COLUMN c DROP DEFAULT;\n", "ALTER TABLE IF EXISTS s.t ALTER COLUMN c DROP DEFAULT;\n"},
		{"RULE", "CREATE OR REPLACE VIEW s.v AS SELECT 1;\n", "CREATE OR REPLACE VIEW s.v AS SELECT 1;\n"},
		{"DATABASE PROPERTIES", "ALTER DATABASE d RESET ALL;\n", "ALTER DATABASE d RESET ALL;\n"},
		{"NEW KIND", "DROP OTHER x;\n", "DROP OTHER x;\n"},
	} {
		if got := dropIfExists(&archive.Entry{Kind: tt.kind, Drop: tt.drop}); got != tt.want {
			t.Errorf("%s: %q", tt.kind, got)
		}
	}
}

// From archive version 1.16 on, one entry stands for many large objects.
func TestBlobMetadata(t *testing.T) {
	cat := &archive.Catalog{PgDumpVersion: "17.5", Entries: []archive.Entry{
		{ID: 1, Kind: "BLOB METADATA", Name: "5..7", Owner: "o", Section: archive.SectionData, DDL: "5\n7\n1); DROP\n", Drop: "x"},
		{
			ID: 2, Kind: "ACL", Name: "LARGE OBJECTS 5..7", Section: archive.SectionData, Deps: []int32{1},
			DDL: "GRANT SELECT ON LARGE OBJECT 5 TO \"a;LARGE OBJECT 5\";\nREVOKE ALL ON LARGE OBJECT 5 FROM b;\n",
		},
	}}
	p, err := NewPlan(cat, PlanOptions{Clean: true, IfExists: true})
	if err != nil {
		t.Fatal(err)
	}
	var st State
	got := slices.Concat(p.Definition(&st, p.Steps[0]), p.Definition(&st, p.Steps[1]), p.Drops(&st)[0].SQL)
	want := []string{
		"SET default_tablespace = '';",
		"SELECT pg_catalog.lo_create('5');\nSELECT pg_catalog.lo_create('7');",
		"ALTER LARGE OBJECT 5 OWNER TO o;\nALTER LARGE OBJECT 7 OWNER TO o;",
		"GRANT SELECT ON LARGE OBJECT 5 TO \"a;LARGE OBJECT 5\";\nGRANT SELECT ON LARGE OBJECT 7 TO \"a;LARGE OBJECT 5\";",
		"REVOKE ALL ON LARGE OBJECT 5 FROM b;\nREVOKE ALL ON LARGE OBJECT 7 FROM b;",
		unlinkIfExists + "5';\n" + unlinkIfExists + "7';\n\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoadsViaRoot(t *testing.T) {
	for _, tt := range []struct {
		ddl, copy string
		want      bool
	}{
		{"", "COPY s.t (x) FROM stdin;\n", false},
		{"", `COPY "s"."t" (x) FROM stdin;` + "\n", false},
		{"", "COPY s.root (x) FROM stdin;\n", true},
		{"-- load via partition root s.root", "COPY s.root (x) FROM stdin;\n", true},
		{"", "", false},
	} {
		e := &archive.Entry{Kind: "TABLE DATA", Schema: "s", Name: "t", DDL: tt.ddl, Copy: tt.copy}
		if got := LoadsViaRoot(e); got != tt.want {
			t.Errorf("%q %q: %v", tt.ddl, tt.copy, got)
		}
	}
}
