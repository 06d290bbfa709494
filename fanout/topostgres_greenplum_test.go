package fanout

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// greenplumKinds is the catalog that the pg_dump of a real Greenplum 6.24.3 gave of testdata/greenplum/kinds.sql.
func greenplumKinds(tb testing.TB) *archive.Catalog {
	tb.Helper()
	return greenplumTOC(tb, "kinds.toc")
}

func greenplumTOC(tb testing.TB, name string) *archive.Catalog {
	tb.Helper()
	f, err := os.Open("../testdata/greenplum/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	toc, err := pgdump.ReadTOC(f)
	if err != nil {
		tb.Fatal(err)
	}
	return toc.Catalog()
}

// defineAll carries out a plan's definitions as a restore without rows would.
func defineAll(t *testing.T, srv *pgtest.Server, db string, cat *archive.Catalog) {
	t.Helper()
	plan, err := NewPlan(cat, PlanOptions{SchemaOnly: true})
	check(t, err)
	conn := connectTo(t, srv, db)
	for _, sql := range plan.Setup() {
		_, err := conn.Exec(t.Context(), sql)
		check(t, err)
	}
	var st State
	for _, step := range plan.Steps {
		for _, sql := range plan.Definition(&st, step) {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Errorf("%s: %v\n%s", describeEntry(step.Entry), err, sql)
			}
		}
	}
}

// Plain PostgreSQL takes every definition that the real pg_dump wrote, once it is translated.
func TestToPostgresOfRealCatalog(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, "postgres", `DO $$ BEGIN CREATE ROLE gpkinds_reader; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$`)
	cat := greenplumKinds(t)
	before := slices.Clone(cat.Entries)
	out, notes := ToPostgres(cat)
	for i := range before {
		if before[i].DDL != cat.Entries[i].DDL || before[i].Kind != cat.Entries[i].Kind {
			t.Fatalf("the given catalog was changed: %+v", cat.Entries[i])
		}
	}
	defineAll(t, srv, db, out)
	query := func(sql string) string { return srv.QueryString(t, db, sql) }
	for _, tt := range []struct{ what, sql, want string }{
		{
			"kinds of relation of partitioned tables", `SELECT string_agg(relname || ' ' || relkind::text, ', ' ORDER BY relname) FROM pg_class
			WHERE relnamespace = 'sales'::regnamespace AND relname LIKE 'part\_%' AND relname NOT LIKE '%\_1\_prt\_%' AND relkind IN ('r', 'p')`,
			"part_bounds p, part_list p, part_mixed p, part_multi r, part_nullable p, part_numeric r, part_range p, part_three_levels p, part_two_levels p",
		},
		{
			"leaves", `SELECT string_agg(r || ' ' || (SELECT count(*) FROM pg_partition_tree(r::regclass) WHERE isleaf), ', ') FROM
			unnest(ARRAY['sales.part_range', 'sales.part_list', 'sales.part_two_levels', 'sales.part_three_levels', 'sales.part_nullable']) r`,
			"sales.part_range 5, sales.part_list 3, sales.part_two_levels 9, sales.part_three_levels 8, sales.part_nullable 3",
		},
		{
			"a range", `SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'part_range_1_prt_3'`,
			"FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')",
		},
		{
			"a range that excludes its start", `SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'part_bounds_1_prt_b'`,
			"FOR VALUES FROM (11) TO (21)",
		},
		{
			"an odd value", `SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'part_list_1_prt_odd name'`,
			"FOR VALUES IN ('it''s, (x)')",
		},
		{"the default of a default", `SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'part_two_levels_1_prt_dflt_2_prt_o'`, "DEFAULT"},
		{"a primary key over partitions", `SELECT count(*) FROM pg_index WHERE indisprimary AND indisvalid AND indrelid::regclass::text LIKE 'sales.%part_list%'`, "4"},
		{"an index over partitions", `SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = indrelid WHERE indisvalid AND relname LIKE 'part_range%'`, "6"},
		{"bitmap indexes", `SELECT string_agg(amname::text, ' ') FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE relname LIKE '%_bitmap'`, "btree btree"},
		{
			"a default that speaks of distribution", `SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'sales.heap_hash'::regclass AND adnum = 2`,
			"'DISTRIBUTED BY (name) ENCODING (compresstype=zlib)'::text",
		},
		{
			"a default before a storage clause", `SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'sales.ao_col_mixed'::regclass AND adnum = 2`,
			"'ENCODING (x)'::text",
		},
		{"a comment that speaks of distribution", `SELECT obj_description('sales.heap_hash'::regclass)`, "a comment; DISTRIBUTED BY (id) -- and /* more"},
		{"fillfactor", `SELECT reloptions::text FROM pg_class WHERE relname = 'heap_random'`, "{fillfactor=70}"},
		{"unlogged", `SELECT relpersistence FROM pg_class WHERE relname = 'unlogged'`, "u"},
		{"inheritance", `SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = 'sales.child'::regclass`, "sales.parent"},
		{"no external table", `SELECT count(*) FROM pg_class WHERE relname LIKE 'ext_%' AND relnamespace = 'sales'::regnamespace`, "0"},
		{"the foreign table", `SELECT relkind FROM pg_class WHERE relname = 'foreign_table'`, "f"},
		{"an odd name", `SELECT count(*) FROM pg_attribute WHERE attrelid = '"Odd ""schema"."Odd ""table, DISTRIBUTED BY (x)"'::regclass AND attnum > 0`, "3"},
		{"a body", `SELECT prosrc LIKE '%EXECUTE ON ANY%' FROM pg_proc WHERE proname = 'count_all'`, "t"},
		{"owners of partitions", `SELECT count(DISTINCT relowner) FROM pg_class WHERE relname LIKE 'part_range%'`, "1"},
	} {
		if got := query(tt.sql); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.what, got, tt.want)
		}
	}
	all := strings.Join(noteTexts(notes), "\n")
	t.Log(all)
	for _, want := range []string{
		"external tables left out", "EXTERNAL TABLE sales.ext_file", "VIEW sales.ext_view", "DISTRIBUTED clauses left out", "storage clauses left out",
		"TABLE sales.part_multi", "TABLE sales.part_numeric", "WITH OIDS left out", "bitmap indexes made btree", "EXECUTE ON left out", "and 26 more",
		"subpartition templates left out",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no note says %q", want)
		}
	}
	if len(notes) > 14 {
		t.Errorf("%d notes", len(notes))
	}
}

// Partitioned tables with a past, from testdata/greenplum/partitions.sql.
func TestToPostgresOfRealPartitions(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	out, notes := ToPostgres(greenplumTOC(t, "partitions.toc"))
	defineAll(t, srv, db, out)
	for _, tt := range []struct{ sql, want string }{
		{
			`SELECT string_agg(relname, ', ' ORDER BY relname) FROM pg_class WHERE relkind = 'p' AND relnamespace = 'public'::regnamespace AND NOT relispartition`,
			"big, bools, chars, clus, dates, evolved, flt, neg, nums, openended, pkhash, subs, ts, txt, unl, withext",
		},
		{
			`SELECT string_agg(pg_get_expr(relpartbound, oid), ', ' ORDER BY relname) FROM pg_class WHERE relname LIKE 'openended\_%'`,
			"FOR VALUES FROM (20) TO (MAXVALUE), FOR VALUES FROM (MINVALUE) TO (10), FOR VALUES FROM (10) TO (20)",
		},
		{`SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'dates_1_prt_1'`, "FOR VALUES FROM ('2024-01-02') TO ('2024-02-01')"},
		{`SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'neg_1_prt_1'`, "FOR VALUES FROM ('-9') TO (0)"},
		{`SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'txt_1_prt_b'`, `FOR VALUES IN ('b', 'x\y''')`},
		{`SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'evolved_1_prt_May "24'`, "FOR VALUES FROM ('2024-05-01') TO ('2024-06-01')"},
		{
			`SELECT string_agg(relpersistence::text || array_to_string(reloptions, ''), ' ') FROM pg_class WHERE relname LIKE 'unl\_%'`,
			"ufillfactor=60 ufillfactor=60",
		},
		{`SELECT count(*) FROM pg_inherits WHERE inhparent = 'withext'::regclass`, "4"},
		{`SELECT count(*) FROM pg_constraint WHERE conname = 'evolved_check'`, "6"},
		{`SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname = 'bigi'`, "1"},
		{`SELECT attstattarget FROM pg_attribute WHERE attrelid = 'evolved'::regclass AND attname = 'r'`, "50"},
		{`SELECT proconfig IS NULL FROM pg_proc WHERE proname = 'f_opt'`, "t"},
	} {
		if got := srv.QueryString(t, db, tt.sql); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.sql, got, tt.want)
		}
	}
	all := strings.Join(noteTexts(notes), "\n")
	for _, want := range []string{"external partitions made ordinary, empty", "CLUSTER ON left out", "settings of the cluster's planner"} {
		if !strings.Contains(all, want) {
			t.Errorf("no note says %q", want)
		}
	}
}

// An archive of a real Greenplum, whose rows came straight from three segments, goes into one PostgreSQL, however its tables
// are loaded.
func TestRestoreGreenplumArchive(t *testing.T) {
	srv := pgtest.Shared(t)
	srv.Exec(t, "postgres", `DO $$ BEGIN CREATE ROLE gpkinds_reader; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$`)
	file, err := os.ReadFile("../testdata/greenplum/kinds.pgark")
	check(t, err)
	for name, o := range map[string]RestoreOptions{
		"frozen": {Jobs: 1}, "shared": {Jobs: 3}, "one transaction": {SingleTransaction: true}, "one table": {Select: Selection{Tables: []string{"part_range"}}},
	} {
		t.Run(name, func(t *testing.T) {
			db := srv.CreateDB(t)
			all := len(o.Select.Tables) == 0
			if !all {
				srv.Exec(t, db, `CREATE SCHEMA sales`)
			}
			o.ToPostgres = true
			o.Target, err = wire.ParseConfig(srv.Conninfo(db))
			check(t, err)
			res, err := restore(t.Context(), openArchive(t, file), o, restoreLimits{freezeFrom: 1, shareFrom: 1, joinFrom: 1})
			check(t, err)
			for _, f := range res.Failures {
				t.Error(f)
			}
			for _, m := range res.Mismatches {
				t.Errorf("%s.%s: %s", m.Schema, m.Table, m.What)
			}
			if all {
				got := srv.QueryString(t, db, `SELECT concat_ws(' ', (SELECT count(*) FROM sales.part_two_levels), (SELECT count(*) FROM sales.heap_replicated),
					(SELECT sum(n) FROM sales.by_region), (SELECT last_value FROM sales.seq))`)
				if got != "300 3 40 43" {
					t.Errorf("counts %s", got)
				}
			}
			if got := srv.QueryString(t, db, `SELECT count(*) FROM sales.part_range_1_prt_3 WHERE d >= '2024-02-01' AND d < '2024-03-01'`); got != "29" {
				t.Errorf("%s rows of February", got)
			}
			if len(res.Notes) == 0 || len(res.Warnings) != len(res.Notes) {
				t.Errorf("%d notes, %d warnings", len(res.Notes), len(res.Warnings))
			}
		})
	}
}

// What is PostgreSQL's already is not changed.
func TestToPostgresOfPostgres(t *testing.T) {
	d := dumpAllKinds(t, pgtest.Shared(t))
	cat, err := d.Catalog()
	check(t, err)
	out, notes := ToPostgres(cat)
	for i := range cat.Entries {
		if e := cat.Entries[i]; e.Kind != "FOREIGN TABLE" && out.Entries[i].DDL != e.DDL {
			t.Errorf("%s: %s\nwas\n%s", describeEntry(&e), out.Entries[i].DDL, e.DDL)
		}
	}
	if len(notes) != 0 {
		t.Errorf("%v", notes)
	}
}
