package fanout

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
)

// statisticsCatalog has a table of a Greenplum, with its statistics as package gpbackup reads them.
func statisticsCatalog() *archive.Catalog {
	return &archive.Catalog{
		Product: "Greenplum", ServerVersion: "6.24.3 build dev", PgDumpVersion: "gpbackup 1.30.3", Encoding: "UTF8",
		Entries: []archive.Entry{
			{ID: 1, Kind: "STDSTRINGS", Name: "STDSTRINGS", DDL: "SET standard_conforming_strings = 'on';\n", Section: archive.SectionPreData},
			{ID: 2, Kind: "SEARCHPATH", Name: "SEARCHPATH", DDL: "SELECT pg_catalog.set_config('search_path', '', false);\n", Section: archive.SectionPreData},
			{ID: 3, Kind: kindTable, Schema: "a", Name: "t", Section: archive.SectionPreData, DDL: "CREATE TABLE a.t (\n\tb text\n) DISTRIBUTED RANDOMLY;\n"},
			{ID: 4, Kind: kindTable, Schema: "a", Name: "u", Section: archive.SectionPreData, DDL: "CREATE TABLE a.u (\n\tb text\n) DISTRIBUTED RANDOMLY;\n"},
			{ID: 5, Kind: kindTableData, Schema: "a", Name: "t", Section: archive.SectionData, HadDumper: true, Copy: "COPY a.t (\"b\") FROM stdin;\n", Deps: []int32{3}},
			{ID: 6, Kind: kindStatistics, Schema: "a", Name: "t", Section: archive.SectionPostData, Deps: []int32{3, 5}, Nulls: archive.NullTablespace, DDL: archive.CatalogStatisticsMark +
				"DELETE FROM pg_catalog.pg_statistic WHERE starelid = 'a.t'::pg_catalog.regclass;\n" +
				"INSERT INTO pg_catalog.pg_statistic SELECT pg_catalog.array_in('{\"a.t\"}', a.atttypid, -1) FROM pg_catalog.pg_attribute a WHERE a.attrelid = 'a.t'::pg_catalog.regclass AND a.attname = 'a';\n"},
		},
	}
}

// Statistics go the way of their table, whatever is selected, and under the new name of its schema. Values of rows stay.
func TestCatalogStatisticsFollowTheirTable(t *testing.T) {
	for _, tt := range []struct {
		o    PlanOptions
		want bool
	}{
		{PlanOptions{}, true},
		{PlanOptions{Select: Selection{Tables: []string{"t"}}}, true},
		{PlanOptions{Select: Selection{Tables: []string{"u"}}}, false},
		{PlanOptions{Select: Selection{Schemas: []string{"a"}}}, true},
		{PlanOptions{Select: Selection{ExcludeSchemas: []string{"a"}}}, false},
		{PlanOptions{WithDependencies: true, Select: Selection{Tables: []string{"a.t"}}}, true},
		{PlanOptions{NoStatistics: true}, false},
		{PlanOptions{SchemaOnly: true}, false},
		{PlanOptions{DataOnly: true}, false},
		{PlanOptions{Sections: []string{"data"}}, false},
	} {
		p, err := NewPlan(statisticsCatalog(), tt.o)
		check(t, err)
		at := slices.IndexFunc(p.Steps, func(s *Step) bool { return s.Entry.CatalogStatistics() })
		if at >= 0 != tt.want {
			t.Errorf("%+v: statistics at %d", tt.o, at)
		}
		if at >= 0 && (p.Steps[at].Pass != PassPostACL || at != len(p.Steps)-1) {
			t.Errorf("%+v: in pass %d at %d", tt.o, p.Steps[at].Pass, at)
		}
	}

	p, err := NewPlan(statisticsCatalog(), PlanOptions{Redirect: map[string]string{"a": "it's"}})
	check(t, err)
	got := strings.Join(p.Definition(&State{}, p.Steps[len(p.Steps)-1]), "\n")
	want := "SET allow_system_table_mods = on;\n" + archive.CatalogStatisticsMark +
		"DELETE FROM pg_catalog.pg_statistic WHERE starelid = '\"it''s\".t'::pg_catalog.regclass;\n" +
		"INSERT INTO pg_catalog.pg_statistic SELECT pg_catalog.array_in('{\"a.t\"}', a.atttypid, -1) FROM pg_catalog.pg_attribute a " +
		"WHERE a.attrelid = '\"it''s\".t'::pg_catalog.regclass AND a.attname = 'a';\n" + "\nRESET allow_system_table_mods;"
	if got != want || len(p.Warnings) > 0 {
		t.Errorf("%s\nwith warnings %q", got, p.Warnings)
	}
}

// Statistics of pg_dump 18 are selected as pg_restore 18 does, and by name also where no definitions are wanted, when pg_restore leaves them out.
func TestStatisticsAreSelected(t *testing.T) {
	d := openStockDump(t, "../archive/pgdump/testdata/pg18-custom-gzip-statistics.dump")
	whole, err := d.Catalog()
	check(t, err)
	alone := *whole // as pg_dump --statistics-only has it
	alone.Entries = slices.DeleteFunc(slices.Clone(whole.Entries), func(e archive.Entry) bool {
		return e.Kind != kindStatistics && e.Kind != "ENCODING" && e.Kind != "STDSTRINGS" && e.Kind != "SEARCHPATH"
	})
	only := PlanOptions{NoSchema: true, NoData: true}
	onlyTables, onlySchema, onlyOther := only, only, only
	onlyTables.Select.Tables = []string{"t1", "mv"}
	onlySchema.Select.Schemas = []string{"app"}
	onlyOther.Select.ExcludeSchemas = []string{"app"}
	const all = `We ird"T, child, empty, part, part_1, t1, We ird"T_x_idx, mv, t1_pkey`
	for _, tt := range []struct {
		cat  *archive.Catalog
		o    PlanOptions
		want string
		rows bool
		ddl  bool
	}{
		{whole, PlanOptions{}, all, true, true},
		{whole, PlanOptions{NoData: true}, all, false, true},
		{whole, PlanOptions{NoSchema: true}, all, true, false},
		{whole, only, all, false, false},
		{whole, onlyTables, "t1, mv, t1_pkey", false, false},
		{whole, onlySchema, all, false, false},
		{whole, onlyOther, "", false, false},
		{&alone, only, all, false, false},
		{&alone, onlyTables, "t1, mv", false, false},
		{&alone, onlySchema, all, false, false},
		{&alone, onlyOther, "", false, false},
		{whole, PlanOptions{NoSchema: true, NoStatistics: true}, "", true, false},
		{whole, PlanOptions{SchemaOnly: true}, "", false, true},
		{whole, PlanOptions{DataOnly: true}, "", true, false},
		{whole, PlanOptions{Sections: []string{"data"}}, "We ird\"T, child, empty, part, part_1, t1", true, false},
		{whole, PlanOptions{Select: Selection{Tables: []string{"t1"}}}, "t1", true, true},
		{whole, PlanOptions{WithDependencies: true, Select: Selection{Tables: []string{"t1"}}}, "t1, t1_pkey", true, true},
	} {
		p, err := NewPlan(tt.cat, tt.o)
		check(t, err)
		var got []string
		rows, ddl := false, false
		for _, s := range p.Steps {
			if isStatistics(s.Entry) {
				got = append(got, s.Entry.Name)
				continue
			}
			rows, ddl = rows || s.Data, ddl || s.Schema
		}
		slices.Sort(got)
		want := strings.Split(tt.want, ", ")
		slices.Sort(want)
		if strings.Join(got, ", ") != strings.Join(want, ", ") || rows != tt.rows || ddl != tt.ddl || p.DataOnly == ddl {
			t.Errorf("%+v: statistics of %q, rows %t, definitions %t", tt.o, got, rows, ddl)
		}
	}

	// A table that is truncated to be loaded would lose statistics that it has got before. pg_dump has them depend on the table only.
	p, err := NewPlan(whole, PlanOptions{})
	check(t, err)
	of := make(map[string]int32)
	for _, s := range p.Steps {
		if s.Entry.Kind == kindTableData {
			of[s.Entry.Name] = s.Entry.ID
		}
		if id := of[s.Entry.Name]; id != 0 && isStatistics(s.Entry) && !slices.Contains(s.Deps, id) {
			t.Errorf("the statistics of %s do not wait for its rows: %v", s.Entry.Name, s.Deps)
		}
	}
	for _, o := range []PlanOptions{{NoSchema: true, NoData: true, NoStatistics: true}, {NoSchema: true, Clean: true}} {
		if _, err := NewPlan(whole, o); !errors.Is(err, ErrUsage) {
			t.Errorf("%+v: error %v", o, err)
		}
	}
}
