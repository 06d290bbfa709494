package pgdump

import (
	"bytes"
	"testing"

	"github.com/pgark/pgark/archive"
)

// The pg_dump of Greenplum names PostgreSQL's version only: its archives were restored into PostgreSQL without translation.
func TestProduct(t *testing.T) {
	table := func(ddl string) []archive.Entry { return []archive.Entry{{Kind: kindTable, Name: "t", DDL: ddl}} }
	for _, tt := range []struct {
		name, version string
		entries       []archive.Entry
		want          string
	}{
		{"by key", "9.4.26", table("CREATE TABLE t (\n    a integer\n)\nWITH (appendonly=true) DISTRIBUTED BY (a);\n"), "Greenplum"},
		{"randomly", "12.12", table("CREATE TABLE t (\n)\n DISTRIBUTED RANDOMLY;\n"), "Greenplum"},
		{"replicated", "12.12", table("CREATE TABLE t (\n)\n DISTRIBUTED REPLICATED;\n"), "Greenplum"},
		{"an external table", "9.4.26", []archive.Entry{{Kind: "EXTERNAL TABLE", DDL: "CREATE EXTERNAL TABLE t (a integer);\n"}}, "Greenplum"},
		{"in a string", "15.18", table("CREATE TABLE t (\n    a text DEFAULT ') DISTRIBUTED BY (a)'\n)\nWITH (x='DISTRIBUTED BY (a)');\n"), "PostgreSQL"},
		{"in a name", "15.18", table("CREATE TABLE \"t DISTRIBUTED BY (a)\" (\n    \"DISTRIBUTED \" integer\n);\n"), "PostgreSQL"},
		{"a column", "15.18", table("CREATE TABLE t (\n    DISTRIBUTED by\n);\n"), "PostgreSQL"},
		{"no table", "15.18", nil, "PostgreSQL"},
	} {
		toc := &TOC{Header: Header{ServerVersion: tt.version}}
		for _, e := range tt.entries {
			toc.Entries = append(toc.Entries, Entry{Entry: e})
		}
		if got := toc.Catalog(); got.Product != tt.want || got.ServerVersion != tt.version {
			t.Errorf("%s: %s %q, want %s", tt.name, got.Product, got.ServerVersion, tt.want)
		}
	}
	toc, err := ReadTOC(bytes.NewReader(sample(t, "greenplum6-schema.toc")))
	if err != nil {
		t.Fatal(err)
	}
	if c := toc.Catalog(); c.Product != "Greenplum" {
		t.Errorf("a real one: %s", c.Product)
	}
}

// A catalog says the same of its server when it has been through an archive.
func TestProductIsKept(t *testing.T) {
	for _, product := range []string{"PostgreSQL", "Greenplum", "Apache Cloudberry"} {
		want := &archive.Catalog{Product: product, ServerVersion: "6.24.3", Encoding: "UTF8"}
		toc, _, err := newTOC(want, FormatCustom, &WriteOptions{Minor: 13})
		if err != nil {
			t.Fatal(err)
		}
		if got := toc.Catalog(); got.Product != product || got.ServerVersion != want.ServerVersion {
			t.Errorf("%s: %s %s", product, got.Product, got.ServerVersion)
		}
	}
}

// pg_restore before 12, so Greenplum's, ended at the first entry that has no owner: "cannot duplicate null pointer".
func TestOldVersionsHaveNoNulls(t *testing.T) {
	const nulls = archive.NullOwner | archive.NullDDL | archive.NullDrop
	cat := &archive.Catalog{Entries: []archive.Entry{{ID: 1, Kind: kindComment, Name: "SCHEMA public", Nulls: nulls | archive.NullSchema}}}
	for minor, want := range map[uint8]archive.NullSet{13: archive.NullSchema, 14: nulls | archive.NullSchema} {
		toc, _, err := newTOC(cat, FormatCustom, &WriteOptions{Minor: minor})
		if err != nil {
			t.Fatal(err)
		}
		if got := toc.Entries[0].Nulls &^ archive.NullTableAM; got != want {
			t.Errorf("1.%d: %#x, want %#x", minor, got, want)
		}
	}
}
