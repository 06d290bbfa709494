package fanout

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
)

// Of dumps of all releases, no definition names an object in the old schema any more, and each schema's way there and back gives what
// was there. What is refused is refused for a reason.
func TestRedirectSamples(t *testing.T) {
	files, err := filepath.Glob("../archive/pgdump/testdata/*.dump")
	check(t, err)
	plain, err := filepath.Glob("../archive/pgdump/testdata/plain-*.sql")
	check(t, err)
	redirected := 0
	for _, file := range slices.Concat(files, plain, []string{"../testdata/greenplum/kinds.pgark"}) {
		cat := sampleCatalog(t, file)
		known := knownObjects(cat)
		for _, from := range schemasOf(cat) {
			p, err := NewPlan(cat, PlanOptions{Redirect: map[string]string{from: "new \"one"}})
			var refused *RedirectError
			if errors.As(err, &refused) {
				for _, o := range refused.Objects {
					if !strings.Contains(o.Why, "body") {
						t.Errorf("%s, schema %s: %+v", file, from, o)
					}
				}
				continue
			}
			check(t, err)
			redirected++
			for i := range cat.Entries {
				was, is := &cat.Entries[i], p.byID[cat.Entries[i].ID]
				for _, sql := range []string{is.DDL, is.Drop, is.Copy} {
					if name := stillNamed(sql, from, known); name != "" {
						t.Errorf("%s: %s names %s: %s", file, describeEntry(was), name, sql)
					}
				}
				n := schemaNames{to: map[string]string{"new \"one": from}, std: true, segmented: isSegmented(cat.Product)}
				if back := n.rename(is.DDL, is); p.schemaSQL[is.ID] == nil && back.sql != was.DDL {
					t.Errorf("%s: %s: there %s, and back %s", file, describeEntry(was), is.DDL, back.sql)
				}
			}
		}
	}
	if redirected < 20 {
		t.Errorf("only %d schemas", redirected)
	}
}

func sampleCatalog(t *testing.T, file string) *archive.Catalog {
	t.Helper()
	var src interface {
		Catalog() (*archive.Catalog, error)
	}
	var err error
	switch filepath.Ext(file) {
	case ".sql":
		src, err = pgdump.OpenPlain(file)
	case ".dump":
		src, err = pgdump.Open(file, pgdump.OpenOptions{})
	default:
		var b []byte
		b, err = os.ReadFile(file)
		src = openArchive(t, b)
	}
	check(t, err)
	cat, err := src.Catalog()
	check(t, err)
	if c, ok := src.(io.Closer); ok {
		check(t, c.Close())
	}
	return cat
}

func schemasOf(cat *archive.Catalog) []string {
	var all []string
	for i := range cat.Entries {
		if e := &cat.Entries[i]; e.Kind == kindSchema {
			all = append(all, e.Name)
		}
	}
	return all
}

// stillNamed finds the name of a known object with a schema, also inside strings that are no one's text.
func stillNamed(sql, schema string, known map[tableName]bool) string {
	if strings.HasPrefix(sql, "COMMENT ON") {
		return ""
	}
	tokens := lexSQL(sql, true)
	for i, t := range tokens {
		text := sql[t.from:t.to]
		if t.kind == tokenString && len(text) > 2 {
			if name := stillNamed(text[1:len(text)-1], schema, known); name != "" && strings.HasPrefix(sql[t.to:], "::reg") {
				return name
			}
			continue
		}
		if i+2 < len(tokens) && unquoteName(text) == schema && sql[tokens[i+1].from] == '.' && known[tableName{schema, unquoteName(sql[tokens[i+2].from:tokens[i+2].to])}] {
			return text + "." + sql[tokens[i+2].from:tokens[i+2].to]
		}
	}
	return ""
}

// The statistics of PostgreSQL 18 name their schema in a string of its own.
func TestRedirectStatistics(t *testing.T) {
	d, err := pgdump.Open("../archive/pgdump/testdata/pg18-custom-gzip-statistics.dump", pgdump.OpenOptions{})
	check(t, err)
	cat, err := d.Catalog()
	check(t, err)
	found := 0
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind != kindStatistics || !strings.Contains(e.DDL, "'schemaname', '"+e.Schema+"'") {
			continue
		}
		n := schemaNames{to: map[string]string{e.Schema: "it's"}, std: true}
		if got := n.rename(e.DDL, e); strings.Contains(got.sql, "'schemaname', '"+e.Schema+"'") || !strings.Contains(got.sql, "'schemaname', 'it''s'") {
			t.Errorf("%s became %s", e.DDL, got.sql)
		}
		found++
	}
	if found == 0 {
		t.Error("no statistics")
	}
	check(t, d.Close())

	// Tables and columns are called as they like, and values stay as the rows do.
	n := schemaNames{to: map[string]string{"attname": "x", "inherited": "y", "s": "z"}, std: true}
	sql := "SELECT * FROM pg_catalog.pg_restore_attribute_stats(\n\t'version', '180000'::integer,\n\t'schemaname', 's',\n\t'relname', 'schemaname',\n\t" +
		"'attname', 'schemaname',\n\t'inherited', 'f'::boolean,\n\t'most_common_vals', '{s.t}'::text\n);\n"
	got := n.rename(sql, &archive.Entry{Kind: kindStatistics, Schema: "s", Name: "schemaname"})
	if want := strings.Replace(sql, "'s'", "'z'", 1); got.sql != want || len(got.left)+len(got.doubts) > 0 {
		t.Errorf("%s became %s with %q left and doubts %q", sql, got.sql, got.left, got.doubts)
	}
}

// In archives of old the schema is set for each entry, and names in it go without.
func TestRedirectBySearchPath(t *testing.T) {
	cat := &archive.Catalog{PgDumpVersion: "9.4.26", ServerVersion: "9.4.26", Entries: []archive.Entry{
		{ID: 1, Kind: "SCHEMA", Name: "a", Section: archive.SectionPreData, DDL: "CREATE SCHEMA a;\n", Drop: "DROP SCHEMA a;\n", Nulls: archive.NullSchema | archive.NullTablespace},
		{ID: 2, Kind: "TABLE", Schema: "a", Name: "t", Section: archive.SectionPreData, DDL: "CREATE TABLE t (\n    id integer DEFAULT nextval('q'::regclass)\n);\n", Drop: "DROP TABLE a.t;\n", Nulls: archive.NullTablespace},
		{ID: 3, Kind: "VIEW", Schema: "b", Name: "v", Section: archive.SectionPreData, DDL: "CREATE VIEW v AS\n SELECT a.id\n   FROM a.t a;\n", Nulls: archive.NullTablespace},
		{ID: 4, Kind: "TABLE DATA", Schema: "a", Name: "t", Section: archive.SectionData, Copy: "COPY t (id) FROM stdin;\n", HadDumper: true, Deps: []int32{2}, Nulls: archive.NullTablespace},
	}}
	p, err := NewPlan(cat, PlanOptions{Redirect: map[string]string{"a": "n"}})
	check(t, err)
	var b strings.Builder
	st := &State{}
	for _, s := range p.Steps {
		b.WriteString(strings.Join(p.Definition(st, s), " ") + " ")
		if s.Rows() {
			b.WriteString(p.CopyStatement(s))
		}
	}
	want := "CREATE SCHEMA IF NOT EXISTS n; SET search_path = n, pg_catalog; CREATE TABLE t ( id integer DEFAULT nextval('q'::regclass) ); " +
		"SET search_path = b, pg_catalog; CREATE VIEW v AS SELECT a.id FROM n.t a; COPY n.t (id) FROM stdin"
	if got := strings.Join(strings.Fields(b.String()), " "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
