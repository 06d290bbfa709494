package fanout_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
)

// when does something once, as soon as rows are on their way.
type when struct {
	once sync.Once
	do   func()
}

func (*when) Plan(int, uint64)                 {}
func (w *when) Advance(uint64, uint64)         { w.once.Do(w.do) }
func (*when) TableDone(string, string, uint64) {}
func (*when) Note(string)                      {}

// heavyOver makes a table with many rows on the second shard: a dump of them takes long enough to be disturbed. That they
// belong elsewhere by their hash does not matter here.
func heavyOver(t *testing.T, sh *pgtest.Shards) (db string) {
	t.Helper()
	db = sh.CreateDB(t)
	sh.Table(t, db, pgtest.Table{Schema: "app", Name: "heavy", Columns: "id int, v text", Key: "id"})
	sh.Shards[1].Exec(t, db, "INSERT INTO app.heavy SELECT g, repeat('x', 50) FROM generate_series(1, 2000000) g")
	return db
}

// TestShardsNodeLost: a shard that goes down in the middle, and a session there that is ended, are named with the table
// that was being read.
func TestShardsNodeLost(t *testing.T) {
	sh := pgtest.StartShards(t, 2)
	db := heavyOver(t, sh)
	cluster := discover(t, sh.Coordinator.Conninfo(db))
	second := sh.Shards[1]
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"session ended", func() {
			second.Exec(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgark%' AND datname = '"+db+"'")
		}},
		{"server killed", func() { second.Kill(t) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := dumpFails(t, fanout.DumpOptions{Cluster: cluster, Route: fanout.RouteSegments, Jobs: 1, Codec: archive.CodecZstd, Progress: &when{do: c.do}},
				"shard2", "heavy")
			t.Log(err)
			if strings.Contains(err.Error(), "shard1") {
				t.Errorf("shard1 is fine, and named: %v", err)
			}
			for _, srv := range []*pgtest.Server{sh.Coordinator, sh.Shards[0]} {
				srv.WaitNoSessions(t, db)
			}
		})
	}
	t.Run("server is down", func(t *testing.T) {
		err := dumpFails(t, fanout.DumpOptions{Cluster: cluster, Route: fanout.RouteSegments}, "shard2")
		t.Log(err)
	})
}
