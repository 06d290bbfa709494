package fanout

import (
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/internal/pgtest"
)

// foreignCatalog is the catalog that pg_dump gives of a cluster of shards with tables of all sorts.
func foreignCatalog(t *testing.T, withRows ...string) (*pgtest.Shards, *archive.Catalog) {
	t.Helper()
	c := pgtest.SharedShards(t)
	db := c.CreateDB(t)
	c.Table(t, db, pgtest.Table{Schema: "bank", Name: "account", Columns: "id int NOT NULL, balance bigint DEFAULT 0", Key: "id"})
	c.Coordinator.Exec(t, db, `
		CREATE FOREIGN TABLE bank.alone (a int OPTIONS (column_name 'OPTIONS (x)'), b text DEFAULT 'SERVER shard1' NOT NULL,
			CONSTRAINT a_check CHECK (a > 0)) SERVER shard1 OPTIONS (table_name 'far', fetch_size '10');
		COMMENT ON FOREIGN TABLE bank.alone IS 'FOREIGN TABLE'; GRANT SELECT ON bank.alone TO pg_monitor;
		COMMENT ON COLUMN bank.account_shard1.id IS 'leaf';
		ALTER FOREIGN TABLE bank.account_shard2 OPTIONS (ADD fetch_size '5');
		CREATE VIEW bank.rich AS SELECT id FROM bank.account WHERE balance > 100;
		CREATE TABLE bank.here (id int PRIMARY KEY)`)
	tool := serverPgDump(t, c.Coordinator)
	cat, err := tool.Catalog(t.Context(), CatalogOptions{Conninfo: c.Coordinator.Conninfo(db)})
	check(t, err)
	for i := range cat.Entries {
		e := &cat.Entries[i]
		for _, name := range withRows {
			if e.Kind == kindForeign && e.Name == name {
				cat.Entries = append(cat.Entries, archive.Entry{
					ID: int32(100000 + i), OID: e.OID, Kind: kindTableData, Schema: e.Schema, Name: e.Name, Section: archive.SectionData,
					HadDumper: true, Deps: []int32{e.ID}, Copy: "COPY bank." + name + " FROM stdin;\n",
				})
			}
		}
	}
	return c, cat
}

func kindsOf(cat *archive.Catalog) map[string]int {
	kinds := make(map[string]int)
	for i := range cat.Entries {
		kinds[cat.Entries[i].Kind]++
	}
	return kinds
}

// The partitions on shards become ordinary ones of one server, and nothing is left of the shards.
func TestToPostgresOfShards(t *testing.T) {
	c, cat := foreignCatalog(t, "alone")
	out, notes := ToPostgres(cat)
	kinds := kindsOf(out)
	if kinds["SERVER"]+kinds["USER MAPPING"]+kinds[kindForeign]+kinds["EXTENSION"] > 0 {
		t.Errorf("left over: %v", kinds)
	}
	for _, n := range notes {
		t.Log(n)
	}
	if len(notes) != 3 {
		t.Errorf("%d notes", len(notes))
	}
	srv := c.Coordinator
	db := srv.CreateDB(t)
	defineAll(t, srv, db, out)
	srv.Exec(t, db, `INSERT INTO bank.account SELECT i, i FROM generate_series(1, 300) i; INSERT INTO bank.alone (a) VALUES (1)`)
	for _, tt := range []struct{ sql, want string }{
		{`SELECT count(*) || ' ' || count(DISTINCT tableoid) FROM bank.account`, "300 3"},
		{`SELECT b FROM bank.alone`, "SERVER shard1"},
		{`SELECT count(*) FROM pg_constraint WHERE conname = 'a_check'`, "1"},
		{`SELECT obj_description('bank.alone'::regclass)`, "FOREIGN TABLE"},
		{`SELECT col_description('bank.account_shard1'::regclass, 1)`, "leaf"},
		{`SELECT count(*) FROM pg_foreign_server`, "0"},
		{`SELECT has_table_privilege('pg_monitor', 'bank.alone', 'SELECT')`, "t"},
		{`SELECT attnotnull FROM pg_attribute WHERE attrelid = 'bank.account_shard2'::regclass AND attname = 'id'`, "t"},
	} {
		if got := srv.QueryString(t, db, tt.sql); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.sql, got, tt.want)
		}
	}
	for i := range out.Entries {
		if e := &out.Entries[i]; strings.Contains(e.Drop, "FOREIGN") {
			t.Errorf("%s is dropped by %s", describeEntry(e), e.Drop)
		}
	}
}

// A foreign table whose rows are elsewhere stays one, with its server alone.
func TestToPostgresKeepsForeignTables(t *testing.T) {
	c, cat := foreignCatalog(t)
	out, _ := ToPostgres(cat)
	kinds := kindsOf(out)
	if kinds["SERVER"] != 1 || kinds["USER MAPPING"] != 1 || kinds[kindForeign] != 1 || kinds["EXTENSION"] != 1 {
		t.Errorf("%v", kinds)
	}
	defineAll(t, c.Coordinator, c.Coordinator.CreateDB(t), out)
}
