package fanout

import (
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
