package fanout_test

import (
	"testing"
	"time"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
)

// TestBarrierMovesAutovacuum: an autovacuum that would go on for a long time makes way for the barrier.
func TestBarrierMovesAutovacuum(t *testing.T) {
	t.Parallel()
	s := pgtest.StartShards(t, 1, pgtest.WithSetting("autovacuum", "on"), pgtest.WithSetting("autovacuum_naptime", "2s"))
	db := s.CreateDB(t)
	s.Table(t, db, pgtest.Table{Schema: "app", Name: "heavy", Columns: "id int, v text", Key: "id"})
	shard := s.Shards[0]
	shard.Exec(t, db, `INSERT INTO app.heavy SELECT i, repeat('x', 100) FROM generate_series(1, 50000) i;
DELETE FROM app.heavy WHERE id % 2 = 0;
ALTER TABLE app.heavy SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1,
  autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0)`)
	begun := time.Now()
	for shard.QueryString(t, db, `SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'autovacuum: VACUUM%app.heavy%'`) == "0" {
		if time.Since(begun) > time.Minute {
			t.Fatal("no autovacuum has begun")
		}
		time.Sleep(50 * time.Millisecond)
	}
	var file pgtest.Memory
	result, err := fanout.Dump(t.Context(), &file, fanout.DumpOptions{
		Cluster: cluster(t, s.Coordinator.TCPConninfo(db)), Route: fanout.RouteSegments, BarrierTimeout: 30 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if result.Promise != fanout.PromiseBarrier || result.Summary.Rows != 25000 {
		t.Errorf("promise %s, %d rows", result.Promise, result.Summary.Rows)
	}
}
