package pgtest

import (
	"os"
	"testing"
)

func TestShards(t *testing.T) {
	s := StartShards(t, 2, WithSetting("work_mem", "5MB"))
	db := s.CreateDB(t)
	s.Table(t, db, Table{
		Schema: "Bank", Name: "account", Columns: "id int, balance bigint", Key: "id",
		Remote: `ALTER TABLE "Bank".account ADD PRIMARY KEY (id)`,
	})
	s.Coordinator.Exec(t, db, `INSERT INTO "Bank".account SELECT i, 100 FROM generate_series(1, 1000) i`)
	const count = `SELECT count(*) > 300, sum(balance) FROM "Bank".account`
	if got, want := s.Coordinator.QueryString(t, db, count), "t|100000"; got != want {
		t.Errorf("all rows: %s, want %s", got, want)
	}
	for i, srv := range s.Shards {
		remote := srv.QueryString(t, db, `SELECT count(*) > 300, sum(balance) FROM "Bank".account`)
		local := s.Coordinator.QueryString(t, db, `SELECT count(*) > 300, sum(balance) FROM "Bank".account_`+ShardName(i))
		if remote != local || remote[0] != 't' {
			t.Errorf("%s: %s there, %s through the coordinator", ShardName(i), remote, local)
		}
		if got := srv.QueryString(t, db, "SHOW work_mem"); got != "5MB" {
			t.Errorf("work_mem = %s on %s", got, ShardName(i))
		}
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, srv := range s.All() {
		if _, err := os.Stat(srv.Host()); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", srv.Host(), err)
		}
	}
}
