package fanout_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/internal/pgtest"
)

// A bank whose application shards it itself: four servers with the same tables, each with accounts of its own.
const (
	equalNodes = 4
	equalTotal = equalNodes * 100 * 100
)

func bankOverEqual(t *testing.T) (sh *pgtest.Shards, db string) {
	t.Helper()
	sh = pgtest.SharedShards(t)
	db = sh.CreateEqualDB(t)
	for i, srv := range sh.All() {
		srv.Exec(t, db, fmt.Sprintf(`CREATE SCHEMA bank;
CREATE TABLE bank.account (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE bank.deposit (id int, balance bigint NOT NULL);
INSERT INTO bank.account SELECT %d * 1000 + i, 100 FROM generate_series(1, 100) i`, i))
	}
	return sh, db
}

// discoverEqual makes a cluster of the coordinator and a list of nodes.
func discoverEqual(t *testing.T, sh *pgtest.Shards, db string) *fanout.Cluster {
	t.Helper()
	var o topology.Options
	for i, srv := range sh.Shards {
		o.DataNodes = append(o.DataNodes, topology.DataNode{Name: pgtest.ShardName(i), Conninfo: srv.Conninfo(db)})
	}
	c, err := topology.Discover(t.Context(), parseConfig(t, sh.Coordinator.Conninfo(db)), o)
	if err != nil {
		t.Fatal(err)
	}
	if c.Layout != fanout.LayoutEqual || len(c.Nodes) != equalNodes-1 {
		t.Fatalf("layout %s with %d nodes", c.Layout, len(c.Nodes))
	}
	return c
}

// equalTransfer moves money from one server to another as an application does: in one transaction on each, which are
// committed one after the other, or in two phases.
func equalTransfer(twoPhase bool, from, to int, gid string) []step {
	body := []step{
		{0, "BEGIN"},
		{1, "BEGIN"},
		{0, fmt.Sprintf("UPDATE bank.account SET balance = balance - 7 WHERE id = %d", from*1000+1+rand.IntN(100))},
		{1, fmt.Sprintf("INSERT INTO bank.deposit VALUES (%d, 7)", to*1000+1+rand.IntN(100))},
	}
	if !twoPhase {
		return append(body, step{0, "COMMIT"}, step{1, "COMMIT"})
	}
	return append(body, step{0, "PREPARE TRANSACTION '" + gid + "'"}, step{1, "PREPARE TRANSACTION '" + gid + "'"},
		step{0, "COMMIT PREPARED '" + gid + "'"}, step{1, "COMMIT PREPARED '" + gid + "'"})
}

// startEqualTellers starts tellers that wait a while after each statement, so also between two commits.
func startEqualTellers(t *testing.T, sh *pgtest.Shards, db string) *tellers {
	b := newTellers(t)
	all := sh.All()
	for i := range all {
		j := (i + 1) % len(all)
		count := 0
		b.work(fmt.Sprintf("teller %d to %d", i, j), 3*time.Millisecond, func() []step {
			count++
			return equalTransfer(i%2 == 0, i, j, fmt.Sprintf("%s_%d_%d", db, i, count))
		}, all[i].Conninfo(db), all[j].Conninfo(db))
	}
	return b
}

// TestEqualNodesBankStaysConsistent is the bank over databases that know nothing of each other.
func TestEqualNodesBankStaysConsistent(t *testing.T) {
	sh, db := bankOverEqual(t)
	b := startEqualTellers(t, sh, db)
	cluster := discoverEqual(t, sh, db)
	dumps := 100
	if testing.Short() {
		dumps = 10
	}
	for i := range dumps {
		d := dumpCluster(t, fanout.DumpOptions{Cluster: cluster, Route: fanout.RouteSegments, Jobs: 2, Codec: archive.CodecZstd})
		if d.result.Promise != fanout.PromiseBarrier {
			t.Fatalf("promise %s", d.result.Promise)
		}
		d.want(t, fmt.Sprintf("dump %d", i), equalTotal)
		if _, _, byNode := d.sums(t, "balance"); len(byNode) != equalNodes {
			t.Fatalf("rows of %d nodes, want %d", len(byNode), equalNodes)
		}
	}
	b.check()
	noDeadlocks(t, sh, db)
	noLocksLeft(t, sh, db)
}

// TestEqualNodesBankNeedsTheBarrier: the same without a barrier shows half a transfer sooner or later.
func TestEqualNodesBankNeedsTheBarrier(t *testing.T) {
	sh, db := bankOverEqual(t)
	b := startEqualTellers(t, sh, db)
	cluster := discoverEqual(t, sh, db)
	const most = 300
	for i := range most {
		d := dumpCluster(t, fanout.DumpOptions{Cluster: cluster, Route: fanout.RouteSegments, NoBarrier: true, Jobs: 2})
		if got, _, _ := d.sums(t, "balance"); got != equalTotal {
			t.Logf("dump %d holds %d, not %d", i, got, equalTotal)
			b.check()
			return
		}
	}
	t.Errorf("%d dumps without a barrier were all consistent: this test can't tell what a barrier is for", most)
}
