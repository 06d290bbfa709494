package gpbackup

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
)

// Statistics of a set are entries as those of pg_dump 18, behind all others.
func TestStatistics(t *testing.T) {
	dir := unpack(t, "stats-leaf")
	s := open(t, dir, Options{})
	if w := strings.Join(s.desc.Warnings, ";"); strings.Contains(w, "statistics") {
		t.Error(w)
	}
	var tables []string
	for i := range s.cat.Entries {
		e := &s.cat.Entries[i]
		if e.Kind != kindStatistics {
			if len(tables) > 0 {
				t.Errorf("%s behind statistics", e.Kind)
			}
			continue
		}
		tables = append(tables, e.Schema+"."+e.Name)
		if e.Section != archive.SectionPostData || e.Owner != "gpadmin" || !e.CatalogStatistics() || len(e.Deps) != 2 ||
			s.cat.Entries[e.Deps[0]-1].Kind != "TABLE" || s.cat.Entries[e.Deps[1]-1].Kind != "TABLE DATA" || s.cat.Entries[e.Deps[1]-1].Name != e.Name {
			t.Errorf("%+v", e)
		}
	}
	if want := []string{"sales.customers", "sales.orders", "sales.events", "sales.currency", `Weird "Schema.Tab,le "x"\ y`, "sales.empty_t", "sales.no_cols"}; !slices.Equal(tables, want) {
		t.Errorf("of %q", tables)
	}
	got := find(t, s, kindStatistics, "customers").DDL
	for _, want := range []string{
		"UPDATE pg_catalog.pg_class SET relpages = 25, reltuples = 5000.000000 WHERE oid = 'sales.customers'::pg_catalog.regclass;\n" +
			"DELETE FROM pg_catalog.pg_statistic WHERE starelid = 'sales.customers'::pg_catalog.regclass;\n" +
			"INSERT INTO pg_catalog.pg_statistic SELECT a.attrelid, a.attnum, false, 0.000000::real, 8, -1.000000::real, 2::smallint, 3::smallint, 0::smallint, 0::smallint, 0::smallint, " +
			"412::oid, 412::oid, 0::oid, 0::oid, 0::oid, NULL::real[], '{\"0.338036835\"}'::real[], NULL::real[], NULL::real[], NULL::real[], pg_catalog.array_in('{\"1\",\"50\",",
		`pg_catalog.array_in('{"bad","so, so","ok"}', a.atttypid, -1), NULL, NULL, NULL, NULL` + "\nFROM pg_catalog.pg_attribute a, pg_catalog.pg_type t\n" +
			"WHERE a.attrelid = 'sales.customers'::pg_catalog.regclass AND a.attname = 'mood' AND t.oid = a.atttypid AND t.typname = 'mood';\n",
		`'{"(\"Street \"\"1\"\"\",00001)",`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %s in\n%s", want, got)
		}
	}
	if got := find(t, s, kindStatistics, `Tab,le "x"\ y`).DDL; !strings.Contains(got, `oid = '"Weird ""Schema"."Tab,le ""x""\ y"'::pg_catalog.regclass`) {
		t.Error(got)
	}

	files, _ := filepath.Glob(filepath.Join(dir, "gpseg-1/backups/*/*/*_statistics.sql"))
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	if w := strings.Join(open(t, dir, Options{}).desc.Warnings, ";"); !strings.Contains(w, "_statistics.sql is missing; run ANALYZE") {
		t.Errorf("without the file: %q", w)
	}
}

// madeStats are a table's statistics as gpbackup writes them: of each column the number and what follows its kinds.
func madeStats(table string, columns ...[2]string) []madePiece {
	named := "'" + table + "'::regclass::oid"
	piece := func(text string) madePiece {
		schema, name, _ := strings.Cut(table, ".")
		return madePiece{"STATISTICS", schema, name, "", text + "\n"}
	}
	all := []madePiece{piece("UPDATE pg_class\nSET\n\trelpages = 3::int,\n\treltuples = 1000.000000::real\nWHERE oid = " + named + ";")}
	for _, c := range columns {
		all = append(
			all, piece("DELETE FROM pg_statistic WHERE starelid = "+named+" AND staattnum = "+c[0]+";"),
			piece("INSERT INTO pg_statistic VALUES (\n\t"+named+",\n\t"+c[0]+"::smallint,\n\tfalse::boolean,\n\t0.250000::real,\n\t4::integer,\n\t-1.000000::real,\n\t"+c[1]+");"),
		)
	}
	return all
}

// madeSlots is one kind of statistics, with its values.
func madeSlots(kind, operator, values string) string {
	return kind + "::smallint,\n\t0::smallint,\n\t0::smallint,\n\t0::smallint,\n\t0::smallint,\n\t" +
		operator + "::oid,\n\t0::oid,\n\t0::oid,\n\t0::oid,\n\t0::oid,\n\t" +
		"NULL::real[],\n\tNULL::real[],\n\tNULL::real[],\n\tNULL::real[],\n\tNULL::real[],\n\t" +
		values + ",\n\tNULL,\n\tNULL,\n\tNULL,\n\tNULL"
}

// Columns are found by their names, since dropped ones leave gaps in the numbers; what means another thing elsewhere is left out.
func TestStatisticsOfColumns(t *testing.T) {
	m := &madeSet{version: "1.30.3", segments: 1, stats: slices.Concat(
		madeStats(
			"s.gaps",
			[2]string{"1", madeSlots("1", "96", `array_in('{"1"}', 'int4'::regtype::oid, -1)`)},
			[2]string{"3", madeSlots("1", "98", `array_in('{"a\tb","it''s \"x\" \\ é","\u00a0"}', 'text'::regtype::oid, -1)`)},
			[2]string{"4", madeSlots("6", "0", `array_in('{"5"}', 'int4range'::regtype::oid, -1)`)},
		),
		madeStats(
			"s.odd",
			[2]string{"1", madeSlots("1", "54321", `array_in('{"1"}', 'mine'::regtype::oid, -1)`)},
			[2]string{"2", madeSlots("103", "0", `array_in('{"1"}', 'mine'::regtype::oid, -1)`)},
			[2]string{"3", madeSlots("4", "98", `array_in('{"w"}', 'tsvector'::regtype::oid, -1)`)},
		),
		madeStats("s.dropped", [2]string{"1", madeSlots("0", "0", "NULL")}, [2]string{"7", madeSlots("0", "0", "NULL")}),
		madeStats("s.not_there"),
	)}
	for _, table := range []string{"gaps (\n\ta integer,\n\tb text,\n\tc int4range\n)", "odd (\n\ta mine,\n\tb mine,\n\tc tsvector\n)", "dropped (\n\ta integer\n)"} {
		name, _, _ := strings.Cut(table, " ")
		m.pre = append(m.pre, madePiece{"TABLE", "s", name, "", "CREATE TABLE s." + table + " DISTRIBUTED RANDOMLY;"})
	}
	s := m.open(t)
	for table, want := range map[string][]string{
		"gaps": {
			`'{"1"}', a.atttypid, -1)`, "a.attname = 'a'",
			"'{\"a\tb\",\"it''s \\\"x\\\" \\\\ é\",\"\u00a0\"}', a.atttypid, -1)", "a.attname = 'b' AND t.oid = a.atttypid AND t.typname = 'text'",
			`'{"5"}', 'pg_catalog.float8'::pg_catalog.regtype, -1)`, "a.attname = 'c' AND t.oid = a.atttypid AND t.typname = 'int4range'",
		},
		"odd":     {`'{"w"}', 'pg_catalog.text'::pg_catalog.regtype, -1)`, "a.attname = 'c'"},
		"dropped": {"relpages = 3"},
	} {
		got := find(t, s, kindStatistics, table).DDL
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: there is no %s in\n%s", table, w, got)
			}
		}
		if n, most := strings.Count(got, "INSERT"), len(want)/2; n != most {
			t.Errorf("%s: %d columns, not %d:\n%s", table, n, most, got)
		}
	}
	w := strings.Join(s.desc.Warnings, ";")
	if !strings.Contains(w, "run ANALYZE for s.odd.a, s.odd.b, s.dropped.1, s.dropped.7") || !strings.Contains(w, "run ANALYZE for s.not_there") {
		t.Error(w)
	}
}

// Before Greenplum 6 there are four kinds for a column, from 7 on each has a collation.
func TestStatisticsOfOtherVersions(t *testing.T) {
	six := madeStats("s.t", [2]string{"1", madeSlots("1", "96", `array_in('{"1"}', 'int4'::regtype::oid, -1)`)})[2].text
	five := strings.Replace(six, "false::boolean,\n\t", "", 1)
	for _, part := range []string{"0::smallint,\n\t", "0::oid,\n\t", "NULL::real[],\n\t", ",\n\tNULL);"} {
		five = strings.Replace(five, part, map[bool]string{true: ");"}[strings.HasSuffix(part, ";")], 1)
	}
	seven := strings.Replace(six, "0::oid,\n\tNULL::real", "0::oid,\n\t100::oid,\n\t0::oid,\n\t0::oid,\n\t0::oid,\n\t0::oid,\n\tNULL::real", 1)
	for sql, want := range map[string]int{five: 21, six: 26, seven: 31} {
		x := &tableStats{}
		if !x.readStats(sql, "s.t") || len(x.columns[0].row()) != want {
			t.Errorf("%s gives %+v", sql, x.columns)
		}
	}
}

// Nothing but the known statements gets through, whatever a set says.
func TestStatisticsRefuseOtherSQL(t *testing.T) {
	good := madeStats("s.t", [2]string{"1", madeSlots("1", "96", `array_in('{"1","NULL"}', 'int4'::regtype::oid, -1)`)})
	sql := good[0].text + good[1].text + good[2].text
	if x := (&tableStats{}); !x.readStats(sql, "s.t") || len(x.columns) != 1 {
		t.Fatalf("%+v", x)
	}
	for _, r := range [][2]string{
		{"WHERE oid = 's.t'::regclass::oid;", ";"},
		{"relpages = 3::int", "relpages = 3::int, relowner = 10"},
		{"relpages = 3", "relpages = -"},
		{"1000.000000", "1000."},
		{"'s.t'::regclass::oid;", "'s.u'::regclass::oid;"},
		{"'s.t'::regclass::oid,", "1259,"},
		{"staattnum = 1;", "staattnum = 1; DROP TABLE s.t;"},
		{"staattnum = 1;", "staattnum = 1 OR true;"},
		{"pg_statistic VALUES", "pg_authid VALUES"},
		{"false::boolean", "(SELECT f())::boolean"},
		{"array_in('{", "array_in(f('{"},
		{`"1",`, `"1"',`},
		{`"1",`, `1,`},
		{`"1",`, `"\q",`},
		{`"1",`, "`1`,"},
		{"'int4'", "'int4''x'"},
		{"NULL::real[]", "'{\"x\"}'::real[]"},
		{",\n\tNULL);", ");"},
		{",\n\tNULL);", ",\n\tNULL,\n\tNULL);"},
		{",\n\tNULL);", ",\n\tNULL)"},
		{"96::oid", "'96'::oid"},
		{"UPDATE pg_class", "/* */ UPDATE pg_class"},
	} {
		bad := strings.Replace(sql, r[0], r[1], 1)
		if bad == sql {
			t.Errorf("there is no %q", r[0])
		}
		if (&tableStats{}).readStats(bad, "s.t") {
			t.Errorf("taken: %s", bad)
		}
	}
	for i := range strings.TrimSpace(sql) {
		rest := strings.TrimSpace(sql[:i])
		if rest != "" && !strings.HasSuffix(rest, ";") && (&tableStats{}).readStats(rest, "s.t") {
			t.Fatalf("taken: %s", rest)
		}
	}
}

func FuzzStatistics(f *testing.F) {
	seed := madeStats("s.t", [2]string{"1", madeSlots("1", "96", `array_in('{"1","it''s"}', 'int4'::regtype::oid, -1)`)})
	f.Add(seed[0].text+seed[1].text+seed[2].text, "s.t")
	f.Fuzz(func(t *testing.T, sql, table string) {
		x := &tableStats{}
		if !x.readStats(sql, table) {
			return
		}
		for _, st := range splitSQL(x.sql(table, nil)) {
			if !hasPrefix(st, "UPDATE pg_catalog.pg_class SET relpages = ", "DELETE FROM pg_catalog.pg_statistic WHERE ", "INSERT INTO pg_catalog.pg_statistic SELECT a.attrelid, ") {
				t.Errorf("%q gives %q", sql, st)
			}
		}
	})
}
