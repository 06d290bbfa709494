package fanout_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
)

// Whatever object is selected, with what it depends on it is restored into an empty database without one failed statement, and is
// what it was.
func TestEveryObjectWithDependencies(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	pgtest.AllKinds(t, srv, db)
	a := dumpToMemory(t, fanout.DumpOptions{Cluster: discover(t, srv.Conninfo(db))})
	cat, err := a.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	tested := 0
	for i := range cat.Entries {
		e := &cat.Entries[i]
		o := fanout.RestoreOptions{Jobs: 1, ExitOnError: true, WithDependencies: true, FKTables: i%2 == 0}
		switch e.Kind {
		case "TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "SEQUENCE":
			o.Select.Tables = []string{e.Schema + "." + e.Name}
		case "FUNCTION", "PROCEDURE", "AGGREGATE":
			o.Select.Functions = []string{e.Name}
			o.Select.Schemas = []string{e.Schema}
		default:
			continue
		}
		if i%3 != 0 && !strings.Contains(e.Name, "default") && !strings.Contains(e.Name, "by_range") {
			continue // all of them would take minutes
		}
		if e.Name == "all_types" {
			continue // among its values are names of other objects (regclass), which nothing records
		}
		if testing.Short() && tested > 20 {
			break
		}
		tested++
		copied := srv.CreateDB(t)
		o.Target = parseConfig(t, srv.Conninfo(copied))
		r, err := fanout.Restore(t.Context(), a, o)
		if err != nil || !r.OK() {
			t.Errorf("%s %s.%s: %v, %+v", e.Kind, e.Schema, e.Name, err, r)
			continue
		}
		if e.Kind == "TABLE" {
			want, got := definition(t, srv, db, e), definition(t, srv, copied, e)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s %s.%s: other definition: %s", e.Kind, e.Schema, e.Name, diff)
			}
		}
	}
	if tested < 20 {
		t.Errorf("only %d objects", tested)
	}
}

// definition is that of a table, without foreign keys, publications and what else is not its own.
func definition(t *testing.T, srv *pgtest.Server, db string, e *archive.Entry) []string {
	t.Helper()
	program, err := pgtest.FindClient(srv.BinDir(), "pg_dump")
	if err != nil {
		t.Skip(err)
	}
	quote := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	out, err := exec.Command(program, "-s", "-t", quote(e.Schema)+"."+quote(e.Name), "-d", srv.Conninfo(db)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var lines []string
	script := pgtest.WithoutKeys(string(out))
	for _, block := range strings.Split(script, "\n--\n-- ") {
		if !strings.Contains(block, "Type: FK CONSTRAINT") && !strings.Contains(block, "Type: PUBLICATION") {
			lines = append(lines, block)
		}
	}
	slices.Sort(lines)
	return lines
}

// The tree says why each object is there.
func TestDependencyTree(t *testing.T) {
	cat := &archive.Catalog{TOCVersion: "1.14", Entries: []archive.Entry{
		{ID: 1, Kind: "SCHEMA", Name: "sales", Section: archive.SectionPreData, DDL: "CREATE SCHEMA sales;\n", Owner: "boss"},
		{ID: 2, Kind: "TYPE", Schema: "sales", Name: "state", Section: archive.SectionPreData, DDL: "CREATE TYPE sales.state AS ENUM ();\n", Owner: "boss"},
		{ID: 3, Kind: "TABLE", Schema: "sales", Name: "customers", Section: archive.SectionPreData, DDL: "CREATE TABLE sales.customers ();\n", Owner: "boss"},
		{ID: 4, Kind: "TABLE", Schema: "sales", Name: "orders", Section: archive.SectionPreData, DDL: "CREATE TABLE sales.orders ();\n", Owner: "boss", Deps: []int32{2}},
		{ID: 5, Kind: "TABLE DATA", Schema: "sales", Name: "orders", Section: archive.SectionData, HadDumper: true, Deps: []int32{4}},
		{ID: 6, Kind: "CONSTRAINT", Schema: "sales", Name: "customers customers_pkey", Section: archive.SectionPostData, DDL: "ALTER TABLE x;\n", Deps: []int32{3}},
		{ID: 7, Kind: "FK CONSTRAINT", Schema: "sales", Name: "orders orders_fkey", Section: archive.SectionPostData, DDL: "ALTER TABLE x;\n", Deps: []int32{4, 6, 3}},
		{ID: 8, Kind: "ACL", Schema: "sales", Name: "TABLE orders", Section: archive.SectionNone, DDL: "GRANT SELECT ON TABLE sales.orders TO reader, \"Odd One\";\n", Deps: []int32{4}},
		{ID: 9, Kind: "TABLE", Schema: "sales", Name: "other", Section: archive.SectionPreData, DDL: "CREATE TABLE sales.other ();\n"},
		{ID: 10, Kind: "EXTERNAL TABLE", Schema: "sales", Name: "late", Section: archive.SectionPreData, DDL: "CREATE EXTERNAL TABLE x;\n"},
		{ID: 11, Kind: "EXCHANGE PARTITION", Schema: "sales", Name: "orders", Section: archive.SectionPreData, DDL: "ALTER TABLE x;\n", Deps: []int32{4, 10}},
	}}
	plan, err := fanout.NewPlan(cat, fanout.PlanOptions{WithDependencies: true, Select: fanout.Selection{Tables: []string{"sales.orders"}}})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := plan.WriteTree(&b, func(s string) string { return s }); err != nil {
		t.Fatal(err)
	}
	want := `TABLE sales.orders (selected)
  SCHEMA sales (schema)
  TYPE sales.state (depends)
  TABLE DATA sales.orders (part of)
  ACL sales.TABLE orders (part of)
  EXCHANGE PARTITION sales.orders (part of)
    EXTERNAL TABLE sales.late (depends)
roles that must be there: Odd One, boss, reader
`
	// What was selected by its name includes the rows.
	want = strings.Replace(want, "  TABLE DATA sales.orders (part of)\n", "", 1)
	want = strings.Replace(want, "roles", "TABLE DATA sales.orders (selected)\nroles", 1)
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	if w := strings.Join(plan.Warnings, "\n"); !strings.Contains(w, "foreign keys are left out") || !strings.Contains(w, "orders orders_fkey") {
		t.Errorf("warnings %q", w)
	}
	plan, err = fanout.NewPlan(cat, fanout.PlanOptions{WithDependencies: true, FKTables: true, Select: fanout.Selection{Tables: []string{"sales.orders"}}})
	if err != nil || len(plan.Steps) != 10 {
		t.Errorf("%d steps with the tables of foreign keys, %v", len(plan.Steps), err)
	}
	for _, o := range []fanout.PlanOptions{{WithDependencies: true}, {FKTables: true}, {WithDependencies: true, Select: fanout.Selection{List: []int32{1}}}} {
		if _, err := fanout.NewPlan(cat, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// External tables could not be selected by name, and a view on one came without it where a dump does not record what depends on what.
func TestExternalTableWithDependencies(t *testing.T) {
	pre := archive.SectionPreData
	cat := &archive.Catalog{Product: "Greenplum", PgDumpVersion: "gpbackup 1.30.3", Entries: []archive.Entry{
		{ID: 1, Kind: "SCHEMA", Name: "s", Section: pre, DDL: "CREATE SCHEMA s;\n"},
		{ID: 2, Kind: "FUNCTION", Schema: "s", Name: "r()", Section: pre, DDL: "CREATE FUNCTION s.r() RETURNS integer AS 'x' LANGUAGE c;\n"},
		{ID: 3, Kind: "FUNCTION", Schema: "s", Name: "w()", Section: pre, DDL: "CREATE FUNCTION s.w() RETURNS integer AS 'x' LANGUAGE c;\n"},
		{ID: 4, Kind: "PROTOCOL", Name: "p", Section: pre, DDL: "SET search_path = s, public;\n\nCREATE TRUSTED PROTOCOL p ( readfunc = 'r', writefunc = 'w');\n"},
		{ID: 5, Kind: "EXTERNAL TABLE", Schema: "s", Name: "e", Section: pre, DDL: "CREATE EXTERNAL TABLE s.e (a integer) LOCATION ('p://x') FORMAT 'TEXT';\n"},
		{ID: 6, Kind: "VIEW", Schema: "s", Name: "v", Section: pre, DDL: "CREATE VIEW s.v AS SELECT e.a FROM s.e;\n"},
		{ID: 7, Kind: "EXTERNAL TABLE", Schema: "s", Name: "other", Section: pre, DDL: "CREATE EXTERNAL TABLE s.other (a integer) LOCATION ('http://x') FORMAT 'TEXT';\n"},
	}}
	for _, c := range []struct {
		table string
		want  []int32
	}{{"s.v", []int32{1, 2, 3, 4, 5, 6}}, {"e", []int32{1, 2, 3, 4, 5}}, {"other", []int32{1, 7}}} {
		plan, err := fanout.NewPlan(cat, fanout.PlanOptions{WithDependencies: true, Select: fanout.Selection{Tables: []string{c.table}}})
		if err != nil {
			t.Fatal(err)
		}
		var got []int32
		for _, step := range plan.Steps {
			got = append(got, step.Entry.ID)
		}
		slices.Sort(got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.table, diff)
		}
	}
}

// Operators came without their commutators and negators, of which the server then made shells. Those of other types stay out.
func TestOperatorPairsWithDependencies(t *testing.T) {
	pre := archive.SectionPreData
	operator := func(id int32, schema, name, rest string) archive.Entry {
		sql := "CREATE OPERATOR " + schema + "." + name + " (\n    FUNCTION = x,\n    " + rest + "\n);\n"
		return archive.Entry{ID: id, Kind: "OPERATOR", Schema: schema, Name: name, Section: pre, DDL: sql, TableOID: 2617}
	}
	for _, c := range []struct {
		how       string
		operators []archive.Entry
		want      []int32
	}{
		{"both, as they name each other", []archive.Entry{
			operator(3, "s", "<", "LEFTARG = s.t,\n    RIGHTARG = s.t,\n    COMMUTATOR = OPERATOR(s.>),\n    NEGATOR = OPERATOR(s.>=)"),
			operator(4, "s", ">", "LEFTARG = s.t,\n    RIGHTARG = s.t,\n    COMMUTATOR = OPERATOR(s.<),\n    NEGATOR = OPERATOR(s.<=)"),
			operator(5, "s", ">=", "LEFTARG = s.t,\n    RIGHTARG = s.t,\n    MERGES,\n    NEGATOR = OPERATOR(s.<)"),
			operator(6, "s", "<=", "LEFTARG = s.t,\n    RIGHTARG = s.t,\n    NEGATOR = OPERATOR(s.>)"),
			operator(7, "s", "=", "LEFTARG = s.t,\n    RIGHTARG = s.t,\n    NEGATOR = OPERATOR(s.<)"),
			operator(8, "s", ">", "LEFTARG = s.other,\n    RIGHTARG = s.other"),
			operator(9, "o", ">", "LEFTARG = s.t,\n    RIGHTARG = s.t"),
		}, []int32{1, 2, 3, 4, 5, 6}},
		{"of other operands", []archive.Entry{
			operator(3, "s", "=", "LEFTARG = s.t,\n    RIGHTARG = character varying,\n    COMMUTATOR = OPERATOR(s.=)"),
			operator(4, "s", "=", "LEFTARG = character varying,\n    RIGHTARG = s.t,\n    COMMUTATOR = OPERATOR(s.=)"),
			operator(5, "s", "=", "LEFTARG = s.t,\n    RIGHTARG = s.t,\n    COMMUTATOR = OPERATOR(s.=)"),
			operator(6, "s", "=", "LEFTARG = s.t,\n    RIGHTARG = integer"),
			operator(7, "s", "=", "LEFTARG = character,\n    RIGHTARG = s.t"),
		}, []int32{1, 2, 3, 4}},
		{"in another schema, and with names in quotes", []archive.Entry{
			operator(3, "s", "!!", "RIGHTARG = \"S\".\"T\"[],\n    NEGATOR = OPERATOR(\"O.x\".||/)"),
			operator(4, "O.x", "||/", "RIGHTARG = \"S\".\"T\"[]"),
			operator(5, "o.x", "||/", "RIGHTARG = \"S\".\"T\"[]"),
		}, []int32{1, 2, 3, 4}},
		{"before 2018, with a search_path for each entry", []archive.Entry{
			operator(3, "s", "<", "LEFTARG = t,\n    RIGHTARG = t,\n    COMMUTATOR = >,\n    NEGATOR = OPERATOR(o.>=)"),
			operator(4, "s", ">", "LEFTARG = t,\n    RIGHTARG = t,\n    COMMUTATOR = <"),
			operator(5, "o", ">=", "LEFTARG = s.t,\n    RIGHTARG = s.t,\n    NEGATOR = OPERATOR(s.<)"),
			operator(6, "o", ">", "LEFTARG = s.t,\n    RIGHTARG = s.t"),
		}, []int32{1, 2, 3, 4, 5}},
		{"cut off", []archive.Entry{
			operator(3, "s", "<", "LEFTARG = s., RIGHTARG = , COMMUTATOR =, NEGATOR = OPERATOR("), operator(4, "s", ">", "NEGATOR = OPERATOR(s."),
		}, []int32{1, 2, 3}},
	} {
		cat := &archive.Catalog{TOCVersion: "1.14", Entries: append([]archive.Entry{
			{ID: 1, Kind: "SCHEMA", Name: "s", Section: pre, DDL: "CREATE SCHEMA s;\n", TableOID: 2615},
			{ID: 2, Kind: "VIEW", Schema: "s", Name: "v", Section: pre, DDL: "CREATE VIEW s.v AS SELECT;\n", TableOID: 1259, Deps: []int32{3}},
		}, c.operators...)}
		plan, err := fanout.NewPlan(cat, fanout.PlanOptions{WithDependencies: true, Select: fanout.Selection{Tables: []string{"s.v"}}})
		if err != nil {
			t.Fatal(err)
		}
		var got []int32
		for _, n := range plan.Needs {
			got = append(got, n.Entry)
		}
		slices.Sort(got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.how, diff)
		}
	}
}

// Default operator classes of built-in types did not come along. Those of types that are left out, and others that are no default, stay out.
func TestDefaultClassesWithDependencies(t *testing.T) {
	pre := archive.SectionPreData
	class := func(id int32, name, rest string) archive.Entry {
		sql := "CREATE OPERATOR CLASS s." + name + "\n    " + rest + " USING btree AS\n    OPERATOR 1 s.<;\n"
		return archive.Entry{ID: id, Kind: "OPERATOR CLASS", Schema: "s", Name: name, Section: pre, DDL: sql, TableOID: 2616}
	}
	cat := &archive.Catalog{TOCVersion: "1.14", Entries: []archive.Entry{
		{ID: 1, Kind: "SCHEMA", Name: "s", Section: pre, DDL: "CREATE SCHEMA s;\n", TableOID: 2615},
		{ID: 2, Kind: "SCHEMA", Name: "a", Section: pre, DDL: "CREATE SCHEMA a;\n", TableOID: 2615},
		{ID: 3, Kind: "TYPE", Schema: "s", Name: "word", Section: pre, DDL: "CREATE TYPE word AS ENUM ();\n", TableOID: 1247},
		class(4, "built_in", "DEFAULT FOR TYPE point"),
		class(5, "of_words", "DEFAULT FOR TYPE character varying"),
		class(6, "with_schema", `DEFAULT FOR TYPE "pg_catalog"."point"`),
		class(7, "own", "DEFAULT FOR TYPE word"), // as before 2018, with a search_path for each entry
		class(8, "far", "DEFAULT FOR TYPE s.word"),
		class(9, "no_default", "FOR TYPE point"),
		{ID: 10, Kind: "TABLE", Schema: "a", Name: "t", Section: pre, DDL: "CREATE TABLE a.t ();\n", TableOID: 1259},
		{ID: 11, Kind: "VIEW", Schema: "a", Name: "v", Section: pre, DDL: "CREATE VIEW a.v AS SELECT;\n", TableOID: 1259},
		{ID: 12, Kind: "TABLE", Schema: "a", Name: "w", Section: pre, DDL: "CREATE TABLE a.w ();\n", TableOID: 1259, Deps: []int32{3}},
		{ID: 13, Kind: "SEQUENCE", Schema: "a", Name: "q", Section: pre, DDL: "CREATE SEQUENCE a.q;\n", TableOID: 1259},
	}}
	for _, c := range []struct {
		table string
		want  []int32
	}{{"a.t", []int32{1, 2, 4, 5, 6, 10}}, {"a.v", []int32{1, 2, 4, 5, 6, 11}}, {"a.w", []int32{1, 2, 3, 4, 5, 6, 7, 8, 12}}, {"a.q", []int32{2, 13}}} {
		plan, err := fanout.NewPlan(cat, fanout.PlanOptions{WithDependencies: true, Select: fanout.Selection{Tables: []string{c.table}}})
		if err != nil {
			t.Fatal(err)
		}
		var got []int32
		for _, n := range plan.Needs {
			got = append(got, n.Entry)
			if n.Entry >= 4 && n.Entry <= 6 && n.How != "default operator class of a built-in type" {
				t.Errorf("%s: %+v", c.table, n)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.table, diff)
		}
	}
}
