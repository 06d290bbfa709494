package fanout

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPatternsTranslateAsPsqlDoes(t *testing.T) {
	for _, c := range []struct{ in, schema, name string }{
		{"foo", "", "^(foo)$"},
		{"FOO", "", "^(foo)$"},
		{`"FOO"`, "", "^(FOO)$"},
		{"a.b", "^(a)$", "^(b)$"},
		{"a*.b?", "^(a.*)$", "^(b.)$"},
		{`"a.b"."c*"`, `^(a\.b)$`, `^(c\*)$`},
		{`"say ""hi"""`, "", `^(say "hi")$`},
		{"t$1", "", `^(t\$1)$`},
		{"t[0-9]", "", "^(t[0-9])$"},
		{"t[]", "", `^(t\[\])$`},
		{"(a|b)", "", "^((a|b))$"},
		{"db.a.b", "^(a)$", "^(b)$"}, // pg_dump refuses another database than its own
	} {
		p, err := parsePattern(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
		} else if p.schema != c.schema || p.name != c.name {
			t.Errorf("%s: schema %q name %q, want %q %q", c.in, p.schema, p.name, c.schema, c.name)
		}
	}
	for _, bad := range []string{"a.b.c.d", `"open`} {
		if _, err := parsePattern(bad); !errors.Is(err, ErrPattern) {
			t.Errorf("%s: %v, want ErrPattern", bad, err)
		}
	}
}

func TestParseFilterFile(t *testing.T) {
	var f Filter
	err := ParseFilterFile(strings.NewReader(`# what we keep
include table a.b   # the main one
  include table "with
newline"
exclude schema tmp*
exclude table_data log . big
include extension hstore
include foreign_data shard*
exclude table_and_children part
`), &f)
	if err != nil {
		t.Fatal(err)
	}
	want := Filter{
		Tables: []string{"a.b", "\"with\nnewline\""}, ExcludeSchemas: []string{"tmp*"}, ExcludeTableData: []string{"log.big"},
		Extensions: []string{"hstore"}, ForeignServers: []string{"shard*"}, ExcludeTablesAndChildren: []string{"part"},
	}
	if d := cmp.Diff(want, f); d != "" {
		t.Error(d)
	}
	for in, line := range map[string]string{
		"include table":             "line 1",
		"\nkeep table x":            "line 2",
		"exclude foreign_data x":    "not supported",
		"include table \"a":         "not closed",
		"include table_data t":      "not supported",
		"exclude schema a\nexclude": "line 2",
	} {
		if err := ParseFilterFile(strings.NewReader(in), &Filter{}); !errors.Is(err, ErrFilterFile) || !strings.Contains(err.Error(), line) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestParseSelectionFile(t *testing.T) {
	var sel Selection
	err := ParseSelectionFile(strings.NewReader(`include schema sales # all of it
exclude schema "a ""b"" c"
include table sales.orders
include table "with
newline"
include table a.b
include index orders_pkey
include trigger orders audit
include function f(integer,text)
include function  g ( character   varying ,b )
`), &sel)
	if err != nil {
		t.Fatal(err)
	}
	want := Selection{
		Schemas: []string{"sales"}, ExcludeSchemas: []string{`a "b" c`}, Tables: []string{"sales.orders", "with\nnewline", "a.b"},
		Indexes: []string{"orders_pkey"}, Triggers: []string{"orders audit"}, Functions: []string{"f(integer, text)", "g(character varying, b)"},
	}
	if d := cmp.Diff(want, sel); d != "" {
		t.Error(d)
	}
	for _, in := range []string{"exclude table t", "include table_data t", "include extension e", "include foreign_data f", "include database d", "exclude function f()"} {
		if err := ParseSelectionFile(strings.NewReader(in), &Selection{}); !errors.Is(err, ErrFilterFile) || !strings.Contains(err.Error(), "not supported") {
			t.Errorf("%q: %v", in, err)
		}
	}
}
