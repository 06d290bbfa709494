package fanout

import (
	"testing"

	"github.com/pgark/pgark/archive"
)

// Tablespaces that stand in definitions, as gpbackup and Greenplum's partitions have them, stayed.
func TestWithoutTablespaces(t *testing.T) {
	for _, c := range []struct{ kind, ddl, want string }{
		{kindTable, "CREATE TABLE s.t (\n\ttablespace integer\n) TABLESPACE fast DISTRIBUTED BY (tablespace);\n", "CREATE TABLE s.t (\n\ttablespace integer\n) DISTRIBUTED BY (tablespace);\n"},
		{
			kindTable,
			"CREATE TABLE s.tablespace (a int) PARTITION BY RANGE(a) \n (\n PARTITION p START (0) WITH (tablename='p')  TABLESPACE \"F f\", DEFAULT PARTITION o TABLESPACE x);\n" +
				"ALTER TABLE s.tablespace SET SUBPARTITION TEMPLATE (SUBPARTITION u VALUES('TABLESPACE x') TABLESPACE x);\nALTER TABLE ONLY s.t ALTER COLUMN tablespace SET STATISTICS 1;\n",
			"CREATE TABLE s.tablespace (a int) PARTITION BY RANGE(a) \n (\n PARTITION p START (0) WITH (tablename='p'), DEFAULT PARTITION o);\n" +
				"ALTER TABLE s.tablespace SET SUBPARTITION TEMPLATE (SUBPARTITION u VALUES('TABLESPACE x'));\nALTER TABLE ONLY s.t ALTER COLUMN tablespace SET STATISTICS 1;\n",
		},
		{"INDEX", "CREATE INDEX i ON s.t USING btree (tablespace) WHERE tablespace IS NULL;\nALTER INDEX s.i SET TABLESPACE fast;\n", "CREATE INDEX i ON s.t USING btree (tablespace) WHERE tablespace IS NULL;\n"},
		{"MATERIALIZED VIEW", "CREATE MATERIALIZED VIEW s.m TABLESPACE fast AS  SELECT t.a AS tablespace FROM s.tablespace t;\n", "CREATE MATERIALIZED VIEW s.m AS  SELECT t.a AS tablespace FROM s.tablespace t;\n"},
		{"FUNCTION", "CREATE FUNCTION f() RETURNS void AS 'CREATE TABLE t (a int) TABLESPACE x';\n", "CREATE FUNCTION f() RETURNS void AS 'CREATE TABLE t (a int) TABLESPACE x';\n"},
	} {
		if got := withoutTablespaces(&archive.Entry{Kind: c.kind, DDL: c.ddl}, true); got != c.want {
			t.Errorf("%s", got)
		}
	}
}
