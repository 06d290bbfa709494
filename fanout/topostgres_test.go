package fanout

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

// greenplumCatalog is a catalog with an entry for each kind and definition.
func greenplumCatalog(entries ...archive.Entry) *archive.Catalog {
	cat := &archive.Catalog{Product: "Greenplum", Encoding: "UTF8"}
	for i, e := range entries {
		if e.ID == 0 {
			e.ID = int32(i + 1)
		}
		e.Schema = "s"
		cat.Entries = append(cat.Entries, e)
	}
	return cat
}

func TestToPostgresDefinitions(t *testing.T) {
	tests := []struct{ name, kind, in, want string }{
		{"distribution", kindTable, "CREATE TABLE s.t (\n    a integer\n)\n DISTRIBUTED BY (a);\n", "CREATE TABLE s.t (\n    a integer\n);\n"},
		{"with an operator class", kindTable, "CREATE TABLE s.t (a int) DISTRIBUTED BY (a cdbhash_int4_ops, b);\n", "CREATE TABLE s.t (a int);\n"},
		{"randomly", kindTable, "CREATE TABLE t (a int)\n DISTRIBUTED RANDOMLY;\n", "CREATE TABLE t (a int);\n"},
		{"replicated", kindTable, "CREATE TABLE t (a int)\n DISTRIBUTED REPLICATED;\n", "CREATE TABLE t (a int);\n"},
		{
			"only in strings and comments", kindTable,
			"CREATE TABLE \"DISTRIBUTED BY (x)\" (a text DEFAULT E'it\\'s DISTRIBUTED BY (a)' /* DISTRIBUTED RANDOMLY */, b text DEFAULT $x$) WITH (appendonly=true)$x$) -- DISTRIBUTED RANDOMLY\n DISTRIBUTED RANDOMLY;\n",
			"CREATE TABLE \"DISTRIBUTED BY (x)\" (a text DEFAULT E'it\\'s DISTRIBUTED BY (a)' /* DISTRIBUTED RANDOMLY */, b text DEFAULT $x$) WITH (appendonly=true)$x$);\n",
		},
		{
			"columns with names of clauses", kindTable,
			"CREATE TABLE t (encoding integer ENCODING (compresstype=none), distributed text, \"with\" int, partition int) WITH (appendonly='true', fillfactor='80', toast.autovacuum_enabled='false') DISTRIBUTED BY (distributed);",
			"CREATE TABLE t (encoding integer, distributed text, \"with\" int, partition int) WITH (fillfactor='80', toast.autovacuum_enabled='false');\n",
		},
		{
			"no white space around clauses", kindTable,
			"CREATE TABLE t (a int ENCODING (compresstype=none)NOT NULL, b int)WITH(appendonly=true)DISTRIBUTED BY(a);\n",
			"CREATE TABLE t (a int NOT NULL, b int);\n",
		},
		{
			"Greenplum 7's storage", kindTable,
			"CREATE TABLE t (a int, b int, COLUMN a ENCODING (compresstype=zlib), DEFAULT COLUMN ENCODING (compresstype=none)) USING ao_column WITH (compresslevel=1) DISTRIBUTED BY (a);\n",
			"CREATE TABLE t (a int, b int);\n",
		},
		{
			"Greenplum 7's partitions", kindTable, "CREATE TABLE t (a int, d date)\nPARTITION BY RANGE (d) WITH (compresstype=zlib, fillfactor=90) DISTRIBUTED BY (a);\n",
			"CREATE TABLE t (a int, d date)\nPARTITION BY RANGE (d);\n",
		},
		{"another access method", kindTable, "CREATE TABLE t (a int) USING heap DISTRIBUTED BY (a);\n", "CREATE TABLE t (a int) USING heap;\n"},
		{"OIDs", kindTable, "CREATE TABLE t (a int) WITH (oids=true, fillfactor=10) DISTRIBUTED BY (a);\n", "CREATE TABLE t (a int) WITH (fillfactor=10);\n"},
		{"OIDs of old", kindTable, "CREATE TABLE t (a int) WITHOUT OIDS DISTRIBUTED BY (a);\n", "CREATE TABLE t (a int);\n"},
		{
			"tablespace before the partitions", kindTable,
			"CREATE TABLE t (a int, d int) WITH (appendonly=true) TABLESPACE fast DISTRIBUTED BY (a) PARTITION BY RANGE(d) (DEFAULT PARTITION o WITH (tablename='t_o') TABLESPACE fast);\n",
			"CREATE TABLE t (a int, d int) PARTITION BY RANGE (d) TABLESPACE fast;\nCREATE TABLE t_o PARTITION OF t DEFAULT TABLESPACE fast;\n",
		},
		{"inherited", kindTable, "CREATE TABLE t (b int)\nINHERITS (s.parent)\n;\n", "CREATE TABLE t (b int)\nINHERITS (s.parent);\n"},
		{
			"partitions", kindTable,
			`CREATE UNLOGGED TABLE s."T" (a int, d date) WITH (fillfactor='50') DISTRIBUTED BY (a) PARTITION BY RANGE(d) SUBPARTITION BY LIST(a)
			(PARTITION p START ('2024-01-01'::date) END ('2024-02-01'::date) WITH (tablename='T_1_prt_p', appendonly='false') TABLESPACE fast
				(SUBPARTITION one VALUES(1, 2) WITH (tablename='it''s', fillfactor='50') COLUMN a ENCODING (compresstype=zlib), DEFAULT SUBPARTITION o WITH (tablename='t_o')),
			DEFAULT PARTITION x WITH (tablename='x') (SUBPARTITION one VALUES(1) WITH (tablename='x1')));
			ALTER TABLE s."T" SET SUBPARTITION TEMPLATE (SUBPARTITION one VALUES(1) WITH (tablename='T'));
			ALTER TABLE ONLY s."T" ALTER COLUMN a SET STATISTICS 10;`,
			`CREATE TABLE s."T" (a int, d date) PARTITION BY RANGE (d);
CREATE TABLE s."T_1_prt_p" PARTITION OF s."T" FOR VALUES FROM ('2024-01-01'::date) TO ('2024-02-01'::date) PARTITION BY LIST (a) TABLESPACE fast;
CREATE UNLOGGED TABLE s."it's" PARTITION OF s."T_1_prt_p" FOR VALUES IN (1, 2) WITH (fillfactor='50');
CREATE UNLOGGED TABLE s.t_o PARTITION OF s."T_1_prt_p" DEFAULT;
CREATE TABLE s.x PARTITION OF s."T" DEFAULT PARTITION BY LIST (a);
CREATE UNLOGGED TABLE s.x1 PARTITION OF s.x FOR VALUES IN (1);
ALTER TABLE s."T" ALTER COLUMN a SET STATISTICS 10;
`,
		},
		{
			"an exchanged partition", kindTable,
			`CREATE TABLE t (a int) PARTITION BY LIST (a) (PARTITION p VALUES(1) WITH (tablename='p'));
			ALTER TABLE t ALTER PARTITION FOR (RANK(1)) ALTER PARTITION x EXCHANGE PARTITION p WITH TABLE e WITHOUT VALIDATION; DROP TABLE e;`,
			"CREATE TABLE t (a int) PARTITION BY LIST (a);\nCREATE TABLE p PARTITION OF t FOR VALUES IN (1);\n",
		},
		{
			"a range with its end", kindTable, `CREATE TABLE t (d timestamp) PARTITION BY RANGE (d) (START ('a') END ('b') INCLUSIVE WITH (tablename='p'));`,
			"CREATE TABLE t (d timestamp);\n",
		},
		{
			"open ranges in the middle", kindTable, `CREATE TABLE t (d int) PARTITION BY RANGE (d) (START (1) WITH (tablename='p'), START (5) END (8) WITH (tablename='q'));`,
			"CREATE TABLE t (d int);\n",
		},
		{
			"what is not understood", kindTable, `CREATE TABLE t (d int) WITH (fillfactor=9) PARTITION BY RANGE (d) (START (1) END (2) SIDEWAYS WITH (tablename='p'));`,
			"CREATE TABLE t (d int) WITH (fillfactor=9);\n",
		},
		{
			"a function", "FUNCTION",
			"CREATE FUNCTION s.f(a text DEFAULT 'NO SQL'::text) RETURNS SETOF integer\n    LANGUAGE sql WINDOW READS SQL DATA EXECUTE ON ALL SEGMENTS\n    SET optimizer TO 'off'\n    SET work_mem TO '1MB'\n    AS $$ SELECT 1; -- NO SQL; EXECUTE ON ANY $$;\n",
			"CREATE FUNCTION s.f(a text DEFAULT 'NO SQL'::text) RETURNS SETOF integer\n    LANGUAGE sql WINDOW\n    SET work_mem TO '1MB'\n    AS $$ SELECT 1; -- NO SQL; EXECUTE ON ANY $$;\n",
		},
		{
			"a function with a body of SQL", "FUNCTION", "CREATE FUNCTION f() RETURNS int LANGUAGE sql NO SQL BEGIN ATOMIC SELECT 1 AS contains; SELECT no sql FROM x; END;\n",
			"CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1 AS contains; SELECT no sql FROM x; END;\n",
		},
		{
			"a materialized view", "MATERIALIZED VIEW",
			"CREATE MATERIALIZED VIEW m\nWITH (appendonly='true') AS\n SELECT t.distributed, 'DATA DISTRIBUTED BY (x)' AS x FROM t\n  WITH NO DATA\n DISTRIBUTED BY (x);\n",
			"CREATE MATERIALIZED VIEW m AS\n SELECT t.distributed, 'DATA DISTRIBUTED BY (x)' AS x FROM t\n  WITH NO DATA;\n",
		},
		{
			"an index", "INDEX", "CREATE INDEX i ON t USING bitmap (b) WITH (fillfactor='50', blocksize=3) WHERE (x = 'USING bitmap');\n",
			"CREATE INDEX i ON t USING btree (b) WITH (fillfactor='50') WHERE (x = 'USING bitmap');\n",
		},
		{
			"an aggregate", "AGGREGATE", "CREATE ORDERED AGGREGATE g(int) (\n    SFUNC = f,\n    STYPE = int,\n    PREFUNC = p\n);\n",
			"CREATE AGGREGATE g(int) (\n    SFUNC = f,\n    STYPE = int,\n    COMBINEFUNC = p\n);\n",
		},
		{
			"settings of a database", kindDatabaseProp, "ALTER DATABASE d SET optimizer TO 'off';\nALTER DATABASE d SET work_mem TO '1MB';\n",
			"ALTER DATABASE d SET work_mem TO '1MB';\n",
		},
		{"a view", "VIEW", "CREATE VIEW v AS SELECT gp_segment_id FROM t;\n", "CREATE VIEW v AS SELECT gp_segment_id FROM t;\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, notes := ToPostgres(greenplumCatalog(archive.Entry{Kind: tt.kind, Name: "x", DDL: tt.in, Section: archive.SectionPreData}))
			if diff := cmp.Diff(tt.want, out.Entries[0].DDL); diff != "" {
				t.Error(diff)
			}
			if tt.in != tt.want && len(notes) == 0 && tt.name != "OIDs of old" && tt.name != "inherited" {
				t.Error("nothing is noted")
			}
		})
	}
}

// A primary key that lacks the partition key survives: the partitions don't.
func TestToPostgresKeepsKeys(t *testing.T) {
	table := "CREATE TABLE s.t (a int, d int) DISTRIBUTED BY (a) PARTITION BY LIST (d) (PARTITION p VALUES(1) WITH (tablename='p'));"
	for _, tt := range []struct {
		kind, ddl   string
		partitioned bool
	}{
		{"CONSTRAINT", "ALTER TABLE ONLY s.t\n    ADD CONSTRAINT k PRIMARY KEY (a);\n", false},
		{"CONSTRAINT", "ALTER TABLE ONLY s.t\n    ADD CONSTRAINT k PRIMARY KEY (a, \"d\");\n", true},
		{"CONSTRAINT", "ALTER TABLE ONLY s.t\n    ADD CONSTRAINT k EXCLUDE USING gist (d WITH =);\n", false},
		{"INDEX", "CREATE UNIQUE INDEX k ON s.t USING btree (a, abs(d));\n", false},
		{"INDEX", "CREATE UNIQUE INDEX k ON s.t USING btree (d DESC);\n", true},
		{"INDEX", "CREATE INDEX k ON s.t USING btree (a);\n", true},
		{"CHECK CONSTRAINT", "ALTER TABLE ONLY s.t\n    ADD CONSTRAINT k CHECK ((a > 0)) NOT VALID;\n", true},
	} {
		out, _ := ToPostgres(greenplumCatalog(
			archive.Entry{Kind: kindTable, Name: "t", DDL: table},
			archive.Entry{Kind: kindTableData, Name: "t", Deps: []int32{1}, HadDumper: true, Nulls: archive.NullDDL},
			archive.Entry{Kind: tt.kind, Name: "k", DDL: tt.ddl, Deps: []int32{1}},
		))
		if got := strings.Contains(out.Entries[0].DDL, "PARTITION"); got != tt.partitioned {
			t.Errorf("%s: %s", tt.ddl, out.Entries[0].DDL)
		}
		if LoadsViaRoot(&out.Entries[1]) != tt.partitioned {
			t.Errorf("%s: rows are loaded by %q", tt.ddl, out.Entries[1].DDL)
		}
		if strings.Contains(out.Entries[2].DDL, "ONLY") != (!tt.partitioned && tt.kind != "INDEX") {
			t.Errorf("%s: %s", tt.ddl, out.Entries[2].DDL)
		}
	}
}

// What belongs to what is left out goes with it; tables and functions stay for the server to judge.
func TestToPostgresLeavesOut(t *testing.T) {
	out, notes := ToPostgres(greenplumCatalog(
		archive.Entry{Kind: "EXTENSION", Name: "gp_sparse_vector"},
		archive.Entry{Kind: "EXTENSION", Name: "hstore"},
		archive.Entry{Kind: kindComment, Name: "EXTENSION gp_sparse_vector", Deps: []int32{1}},
		archive.Entry{Kind: "PROTOCOL", Name: "s3"},
		archive.Entry{Kind: kindACL, Name: "PROTOCOL s3", Deps: []int32{4}},
		archive.Entry{Kind: kindTable, Name: "needs", DDL: "CREATE TABLE needs (v svec);", Deps: []int32{1}},
		archive.Entry{Kind: kindTableData, Name: "needs", Deps: []int32{6}},
		archive.Entry{Kind: kindACL, Name: "TABLE needs", Deps: []int32{6}},
		archive.Entry{Kind: "VIEW", Name: "reads", DDL: "CREATE VIEW reads AS SELECT 1;", Deps: []int32{9, 1}},
		archive.Entry{Kind: kindACL, Name: "TABLE reads", Deps: []int32{9}},
		archive.Entry{Kind: "TASK", Name: "nightly"},
		archive.Entry{Kind: "EXTERNAL TABLE", Name: "e", DDL: "CREATE EXTERNAL TABLE e (a int) LOCATION ('x') FORMAT 'text';"},
		archive.Entry{Kind: kindForeign, Name: "e7", DDL: "CREATE FOREIGN TABLE e7 (a int) SERVER gp_exttable_server OPTIONS (x 'y');"},
		archive.Entry{Kind: kindSchema, Name: "s"},
		archive.Entry{Kind: kindACL, Schema: "s", Name: "TABLE e", Deps: []int32{14, 12}},                                             // as a script has it
		archive.Entry{Kind: "CHECK CONSTRAINT", Name: "e c", DDL: "ALTER TABLE e ADD CONSTRAINT c CHECK (a > 1);", Deps: []int32{12}}, // as gpbackup
		archive.Entry{Kind: kindExchange, Name: "needs", DDL: "ALTER TABLE needs EXCHANGE PARTITION p WITH TABLE e WITHOUT VALIDATION;", Deps: []int32{6, 12}},
	))
	var left []string
	for i := range out.Entries {
		left = append(left, out.Entries[i].Kind+" "+out.Entries[i].Name)
	}
	if diff := cmp.Diff([]string{"EXTENSION hstore", "TABLE needs", "TABLE DATA needs", "ACL TABLE needs", "SCHEMA s"}, left); diff != "" {
		t.Error(diff)
	}
	for _, n := range notes {
		if !n.Lost {
			t.Errorf("%s is not told as a loss", n)
		}
	}
}

// A catalog of ten thousand tables takes no time worth mentioning, and a few lines.
func TestToPostgresOfManyTables(t *testing.T) {
	var parts strings.Builder
	for i := range 50 {
		fmt.Fprintf(&parts, "%s START (%d) END (%d) WITH (tablename='t_1_prt_%d', appendonly='true') COLUMN a ENCODING (compresstype=zlib)", strings.Repeat(",", min(i, 1)), i, i+1, i)
	}
	entries := make([]archive.Entry, 0, 20000)
	for i := range 10000 {
		ddl := fmt.Sprintf("CREATE TABLE s.t%d (\n    a integer ENCODING (compresstype=zlib),\n    b text DEFAULT 'x'::text\n)\nWITH (appendonly='true')\n DISTRIBUTED BY (a)", i)
		if i%20 == 0 {
			ddl += " PARTITION BY RANGE(a) (" + parts.String() + ")"
		}
		entries = append(entries, archive.Entry{ID: int32(2*i + 1), Kind: kindTable, Name: fmt.Sprintf("t%d", i), DDL: ddl + ";\n"},
			archive.Entry{ID: int32(2*i + 2), Kind: kindTableData, Name: fmt.Sprintf("t%d", i), Deps: []int32{int32(2*i + 1)}})
	}
	begun := time.Now()
	out, notes := ToPostgres(greenplumCatalog(entries...))
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if len(out.Entries) != 20000 || len(notes) != 2 || !strings.Contains(notes[0].String(), "and 9997 more") {
		t.Errorf("%d entries, %v", len(out.Entries), notes)
	}
}

func TestLexSQL(t *testing.T) {
	const sql = `a "b ""c" 'd''e' E'f\'g' u&'h' $$i$j$$ $k_1$ $$ $k_1$ l$m /* n /* o */ ' */ -- p '
1.5 $1 (q [r]) ::x B'01' 'open`
	var got []string
	for _, tok := range lexSQL(sql, true) {
		got = append(got, fmt.Sprintf("%d%d %s", tok.kind, tok.depth, sql[tok.from:tok.to]))
	}
	want := []string{
		"10 a", `20 "b ""c"`, "30 'd''e'", `30 E'f\'g'`, "30 u&'h'", "30 $$i$j$$", "30 $k_1$ $$ $k_1$", "10 l$m",
		"40 1.5", "40 $1", "50 (", "11 q", "51 [", "12 r", "51 ]", "50 )", "50 :", "50 :", "10 x", "30 B'01'", "30 'open",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := len(lexSQL(`'a\' b'`, false)); n != 1 {
		t.Errorf("%d tokens with backslash escapes in plain strings", n)
	}
}

// Whatever a definition holds, it comes out as something, and what the translation leaves alone comes out as it was.
func FuzzToPostgres(f *testing.F) {
	for _, e := range greenplumKinds(f).Entries {
		f.Add(e.Kind, e.DDL)
	}
	f.Fuzz(func(t *testing.T, kind, ddl string) {
		cat := greenplumCatalog(archive.Entry{Kind: kind, Name: "x", DDL: ddl})
		out, notes := ToPostgres(cat)
		if len(out.Entries) == 0 && len(notes) == 0 {
			t.Error("left out without a word")
		}
		tokens := lexSQL(ddl, true)
		if !slices.IsSortedFunc(tokens, func(a, b token) int { return a.to - b.to }) {
			t.Error("tokens overlap")
		}
	})
}
