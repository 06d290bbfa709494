package fanout_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// twoOverShards makes two tables over three shards, for whoever takes them in one order or the other.
func twoOverShards(t *testing.T, rows int) (sh *pgtest.Shards, db string) {
	t.Helper()
	sh = pgtest.SharedShards(t)
	db = sh.CreateDB(t)
	for _, name := range []string{"t1", "t2"} {
		sh.Table(t, db, pgtest.Table{
			Schema: "app", Name: name, Columns: "id int, n bigint", Key: "id",
			Remote: "ALTER TABLE app." + name + " ADD PRIMARY KEY (id)",
		})
		sh.Coordinator.Exec(t, db, fmt.Sprintf("INSERT INTO app.%s SELECT i, 0 FROM generate_series(1, %d) i", name, rows))
	}
	return sh, db
}

// TestShardsBarrierHurtsNobody: writers that take tables in the opposite order, through the coordinator and on the shards
// themselves, see no deadlock, no cancelled statement and no long wait while dumps take one barrier after the other.
func TestShardsBarrierHurtsNobody(t *testing.T) {
	const each = 30 // rows of each writer: no two of them want the same row
	sh, db := twoOverShards(t, 10*each)
	b := newTellers(t)
	writer := 0
	start := func(name, conninfo string, statements func(lo, hi int) []string) {
		lo, hi := writer*each, (writer+1)*each
		writer++
		b.work(name, 3*time.Millisecond, func() []step { return steps(statements(lo+1, hi)...) }, conninfo)
	}
	through := func(first, second string) func(lo, hi int) []string {
		const update = "UPDATE app.%s SET n = n + 1 WHERE id BETWEEN %d AND %d"
		return func(lo, hi int) []string {
			return []string{"BEGIN", fmt.Sprintf(update, first, lo, hi), fmt.Sprintf(update, second, lo, hi), "COMMIT"}
		}
	}
	direct := func(first, second string) func(lo, hi int) []string {
		return func(lo, hi int) []string {
			lock := "LOCK TABLE app.%s IN ROW EXCLUSIVE MODE"
			return []string{"BEGIN", fmt.Sprintf(lock, first), fmt.Sprintf(lock, second), through(first, second)(lo, hi)[1], "COMMIT"}
		}
	}
	start("coordinator 1-2", sh.Coordinator.Conninfo(db), through("t1", "t2"))
	start("coordinator 2-1", sh.Coordinator.Conninfo(db), through("t2", "t1"))
	for i, srv := range sh.Shards {
		start(pgtest.ShardName(i)+" 1-2", srv.Conninfo(db), direct("t1", "t2"))
		start(pgtest.ShardName(i)+" 2-1", srv.Conninfo(db), direct("t2", "t1"))
	}
	long := 30 * time.Second
	if testing.Short() {
		long = 5 * time.Second
	}
	cluster := discover(t, sh.Coordinator.Conninfo(db))
	dumps := 0
	for begun := time.Now(); time.Since(begun) < long || dumps < 2; dumps++ {
		dumpCluster(t, fanout.DumpOptions{Cluster: cluster, Route: fanout.RouteSegments, Jobs: 1, BarrierTimeout: time.Minute})
	}
	t.Logf("%d dumps", dumps)
	b.check()
	noDeadlocks(t, sh, db)
	noLocksLeft(t, sh, db)
}

// openSession opens a session that ends with the test.
func openSession(t *testing.T, conninfo, application string) *wire.Conn {
	t.Helper()
	conn, err := wire.Connect(t.Context(), parseConfig(t, conninfo), wire.Settings{ApplicationName: application})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// TestShardsBarrierNotGranted: a writer that holds its lock for minutes.
func TestShardsBarrierNotGranted(t *testing.T) {
	sh, db := twoOverShards(t, 30)
	writer := openSession(t, sh.Shards[1].Conninfo(db), "month end")
	if _, err := writer.Exec(t.Context(), "BEGIN; LOCK TABLE app.t2 IN ROW EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	cluster := discover(t, sh.Coordinator.Conninfo(db))
	begun := time.Now()
	err := dumpFails(t, fanout.DumpOptions{Cluster: cluster, Route: fanout.RouteSegments, BarrierTimeout: 2 * time.Second},
		"shard2", "t2", fmt.Sprint(writer.PID()), "month end", "postgres")
	t.Log(err)
	if took := time.Since(begun); took < 1500*time.Millisecond || took > 10*time.Second {
		t.Errorf("gave up after %v, not 2 s", took)
	}
	noLocksLeft(t, sh, db)
	if _, err := writer.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Errorf("the writer: %v", err)
	}
	dumpCluster(t, fanout.DumpOptions{Cluster: cluster, Route: fanout.RouteSegments, BarrierTimeout: 2 * time.Second})
}

// TestShardsPreparedTransaction: a transaction in doubt holds its locks without a session.
func TestShardsPreparedTransaction(t *testing.T) {
	sh, db := twoOverShards(t, 30)
	sh.Shards[2].Exec(t, db, "BEGIN; UPDATE app.t1 SET n = n + 1; PREPARE TRANSACTION 'transfer-4711'")
	t.Cleanup(func() { sh.Shards[2].Exec(t, db, "ROLLBACK PREPARED 'transfer-4711'") })
	cluster := discover(t, sh.Coordinator.Conninfo(db))
	err := dumpFails(t, fanout.DumpOptions{Cluster: cluster, Route: fanout.RouteSegments, BarrierTimeout: 2 * time.Second},
		"shard3", "t1", "transfer-4711", "COMMIT PREPARED", "ROLLBACK PREPARED")
	t.Log(err)
	noLocksLeft(t, sh, db)
}

// TestShardsBarrierRights: SHARE needs more than the right to read.
func TestShardsBarrierRights(t *testing.T) {
	sh, db := twoOverShards(t, 30)
	role := "reader_" + db
	sh.Exec(t, db, fmt.Sprintf("CREATE ROLE %[1]s LOGIN; GRANT USAGE ON SCHEMA app TO %[1]s; GRANT SELECT ON ALL TABLES IN SCHEMA app TO %[1]s", role))
	t.Cleanup(func() { sh.Exec(t, db, fmt.Sprintf("DROP OWNED BY %[1]s CASCADE; DROP ROLE %[1]s", role)) })
	for i := range sh.Shards {
		sh.Coordinator.Exec(t, db, fmt.Sprintf(`GRANT USAGE ON FOREIGN SERVER %[2]s TO %[1]s;
CREATE USER MAPPING FOR %[1]s SERVER %[2]s OPTIONS (user '%[1]s', password_required 'false')`, role, pgtest.ShardName(i)))
	}
	conninfo := strings.Replace(sh.Coordinator.Conninfo(db), "user=postgres", "user="+role, 1)
	cluster := discover(t, conninfo)
	err := dumpFails(t, fanout.DumpOptions{Cluster: cluster, Route: fanout.RouteSegments}, "node ", "table t1", "UPDATE")
	t.Log(err)
	noLocksLeft(t, sh, db)
	for _, srv := range []*pgtest.Server{sh.Coordinator, sh.Shards[0], sh.Shards[1]} {
		srv.Exec(t, db, "GRANT UPDATE ON ALL TABLES IN SCHEMA app TO "+role)
	}
	err = dumpFails(t, fanout.DumpOptions{Cluster: cluster, Route: fanout.RouteSegments}, "node shard3", "table t1", "UPDATE")
	t.Log(err)
	noLocksLeft(t, sh, db)
	sh.Shards[2].Exec(t, db, "GRANT TRUNCATE ON ALL TABLES IN SCHEMA app TO "+role)
	dumpCluster(t, fanout.DumpOptions{Cluster: cluster, Route: fanout.RouteSegments})
}
