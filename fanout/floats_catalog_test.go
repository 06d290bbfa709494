package fanout

import (
	"testing"

	"github.com/pgark/pgark/archive"
)

// The types of columns are found in definitions as Greenplum 6 and older servers write them.
func TestCatalogFloats(t *testing.T) {
	cat := &archive.Catalog{ServerVersion: "9.4.26", Product: "Greenplum", Entries: []archive.Entry{
		{ID: 1, Kind: "TYPE", Schema: "s", Name: "pair", DDL: "CREATE TYPE s.pair AS (\n\ta integer,\n\tb double precision\n);\n"},
		{ID: 2, Kind: "TYPE", Schema: "s", Name: "mood", DDL: "CREATE TYPE s.mood AS ENUM (\n    'sad',\n    'ok'\n);\n"},
		{ID: 3, Kind: "DOMAIN", Schema: "s", Name: "share", DDL: "CREATE DOMAIN s.share AS double precision\n\tCONSTRAINT c CHECK ((VALUE > (0)::double precision));\n"},
		{ID: 4, Kind: "TYPE", Schema: "s", Name: "span", DDL: "CREATE TYPE s.span AS RANGE (\n    subtype = real\n);\n"},
		{ID: 5, Kind: "TABLE", Schema: "s", Name: "parent", DDL: "CREATE TABLE s.parent (\n    up real\n) DISTRIBUTED BY (up);\n"},
		{
			ID: 6, Kind: "TABLE", Schema: "s", Name: "t", Deps: []int32{5, 1},
			DDL: `CREATE TABLE s.t (
    id integer DEFAULT nextval('s.q'::regclass) NOT NULL,
    r real,
    d double precision DEFAULT 0.5 ENCODING (compresstype=zlib),
    "Arr" double precision[],
    n numeric(10,2),
    p s.pair,
    m s.mood,
    h s.share,
    g point,
    x other.thing,
    w s.span,
    v character varying(20),
    CONSTRAINT t_check CHECK ((id > 0))
)
INHERITS (s.parent) DISTRIBUTED BY (id);
`,
		},
	}}
	c := newCatalogTypes(cat)
	columns := []string{"id", "r", "d", "Arr", "n", "p", "m", "h", "g", "x", "w", "v", "up", "gone"}
	got := c.marks(&archive.Entry{Kind: kindTableData, Schema: "s", Name: "t"}, columns)
	if want := "-488-?-88?4-4?"; got != want {
		t.Errorf("marks %q, want %q", got, want)
	}
	if got := c.marks(&archive.Entry{Schema: "s", Name: "lost"}, columns[:2]); got != "??" {
		t.Errorf("marks of a table without definition %q", got)
	}
	for _, tt := range []struct {
		product, version string
		long             bool
	}{
		{"PostgreSQL", "15.18 (Debian)", false},
		{"PostgreSQL", "9.6.24", true},
		{"PostgreSQL", "11.5", true},
		{"Greenplum", "6.24.3 build commit:1", true},
		{"Greenplum", "9.4.26", true},
		{"Greenplum", "7.1.0", false},
		{"Apache Cloudberry", "1.5.0", false},
		{"Greenplum", "12.12", false},
		{"Greenplum", "", true}, // a script of its pg_dump
	} {
		if got := printsLongFloats(&archive.Catalog{Product: tt.product, ServerVersion: tt.version}); got != tt.long {
			t.Errorf("%s %s: %v", tt.product, tt.version, got)
		}
	}
}
