package fanout_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
)

// The bank over shards. Writers go through the coordinator; postgres_fdw commits a transaction on one shard after the other,
// so that between two commits half a transfer can be seen by whoever looks at the shards.
const (
	shardAccounts = 300
	shardDeposits = 100
	shardTotal    = (2*shardAccounts + shardDeposits) * 100
	tellerCount   = 3
)

// slowCommit makes each commit on a shard take a while, as it does where a disk is synced and a network is between: the
// commits of one transaction are then well apart.
const slowCommit = `CREATE FUNCTION bank.dawdle() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_sleep(0.01); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT OR UPDATE OR DELETE ON bank.%s DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION bank.dawdle();`

// bankOverShards makes the bank: accounts and deposits over three shards, and savings on the coordinator.
func bankOverShards(t *testing.T) (sh *pgtest.Shards, db string) {
	t.Helper()
	sh = pgtest.SharedShards(t)
	db = sh.CreateDB(t)
	sh.Table(t, db, pgtest.Table{
		Schema: "bank", Name: "account", Columns: "id int, balance bigint NOT NULL, note text", Key: "id",
		Remote: "ALTER TABLE bank.account ADD PRIMARY KEY (id);" + fmt.Sprintf(slowCommit, "account"),
	})
	sh.Table(t, db, pgtest.Table{Schema: "bank", Name: "deposit", Columns: "id bigint, balance bigint NOT NULL", Key: "id"})
	sh.Coordinator.Exec(t, db, fmt.Sprintf(`CREATE TABLE bank.savings (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE SEQUENCE bank.deposit_id START 1000;
INSERT INTO bank.account SELECT i, 100, 'account ' || i FROM generate_series(1, %[1]d) i;
INSERT INTO bank.savings SELECT i, 100 FROM generate_series(1, %[1]d) i;
INSERT INTO bank.deposit SELECT i, 100 FROM generate_series(1, %[2]d) i`, shardAccounts, shardDeposits))
	return sh, db
}

// shardTransfer is a random transfer. Rows are taken in one order, accounts by number, then deposits, then savings: two
// tellers that wait for each other on different shards would do so for ever, as no server sees such a deadlock.
func shardTransfer() []step {
	ids := []int{1 + rand.IntN(shardAccounts), 1 + rand.IntN(shardAccounts)}
	slices.Sort(ids)
	account := func(id, n int) string {
		return fmt.Sprintf("UPDATE bank.account SET balance = balance + %d WHERE id = %d", n, id)
	}
	body := []string{account(ids[0], -7), account(ids[1], 7)}
	switch rand.IntN(4) {
	case 0: // insert
		body[1] = "INSERT INTO bank.deposit VALUES (nextval('bank.deposit_id'), 7)"
	case 1: // delete: a deposit that is paid out to an account
		body = []string{fmt.Sprintf(`WITH gone AS (DELETE FROM bank.deposit WHERE id = (SELECT id FROM bank.deposit ORDER BY random() LIMIT 1) RETURNING balance)
UPDATE bank.account SET balance = balance + (SELECT coalesce(sum(balance), 0) FROM gone) WHERE id = %d`, ids[0])}
	case 2: // from a shard to the coordinator's own table
		body[1] = fmt.Sprintf("UPDATE bank.savings SET balance = balance + 7 WHERE id = %d", ids[1])
	}
	return steps(slices.Concat([]string{"BEGIN"}, body, []string{"COMMIT"})...)
}

func startTellers(t *testing.T, sh *pgtest.Shards, db string) *tellers {
	b := newTellers(t)
	for i := range tellerCount {
		b.work(fmt.Sprintf("teller %d", i), 5*time.Millisecond, shardTransfer, sh.Coordinator.Conninfo(db))
	}
	return b
}

// TestShardsBankStaysConsistent dumps by every route that promises one moment, while money moves between shards.
func TestShardsBankStaysConsistent(t *testing.T) {
	sh, db := bankOverShards(t)
	b := startTellers(t, sh, db)
	cluster := discover(t, sh.Coordinator.Conninfo(db))
	var routes []fanout.Route
	for _, route := range cluster.Routes {
		if route.Works && route.Promise != fanout.PromiseNone {
			routes = append(routes, route)
		}
	}
	if len(routes) != 2 {
		t.Fatalf("routes %+v, want coordinator and segments", cluster.Routes)
	}
	dumps := 100
	if testing.Short() {
		dumps = 10
	}
	for i := range dumps {
		route := routes[i%len(routes)]
		d := dumpCluster(t, fanout.DumpOptions{Cluster: cluster, Route: route.Name, Jobs: 2, Codec: archive.CodecZstd, BarrierTimeout: time.Minute})
		if d.result.Route != route.Name || d.result.Promise != route.Promise {
			t.Fatalf("route %s, promise %s; want %s, %s", d.result.Route, d.result.Promise, route.Name, route.Promise)
		}
		d.want(t, fmt.Sprintf("dump %d, route %s", i, route.Name), shardTotal)
	}
	b.check()
	noDeadlocks(t, sh, db)
	noLocksLeft(t, sh, db)
}

// TestShardsBankNeedsTheBarrier: the same without a barrier shows half a transfer sooner or later.
func TestShardsBankNeedsTheBarrier(t *testing.T) {
	sh, db := bankOverShards(t)
	b := startTellers(t, sh, db)
	cluster := discover(t, sh.Coordinator.Conninfo(db))
	const most = 300
	for i := range most {
		d := dumpCluster(t, fanout.DumpOptions{Cluster: cluster, Route: fanout.RouteSegments, NoBarrier: true, Jobs: 2})
		if m, err := d.Moment(); err != nil || m.Promise != fanout.PromiseNone || d.result.Promise != fanout.PromiseNone {
			t.Fatalf("promise %s, in the archive %+v (%v); want none", d.result.Promise, m, err)
		}
		if got, _, _ := d.sums(t, "balance"); got != shardTotal {
			t.Logf("dump %d holds %d, not %d", i, got, shardTotal)
			b.check()
			return
		}
	}
	t.Errorf("%d dumps without a barrier were all consistent: this test can't tell what a barrier is for", most)
}

// TestShardsArchive: what an archive of shards says about them.
func TestShardsArchive(t *testing.T) {
	sh, db := bankOverShards(t)
	cluster := discover(t, sh.Coordinator.Conninfo(db))
	d := dumpCluster(t, fanout.DumpOptions{Cluster: cluster, Route: fanout.RouteSegments, Jobs: 2})
	d.want(t, "dump", shardTotal)
	m, err := d.Moment()
	if err != nil {
		t.Fatal(err)
	}
	if m.Route != fanout.RouteSegments || m.Promise != fanout.PromiseBarrier || len(m.Nodes) != 1+len(sh.Shards) {
		t.Errorf("moment %+v", m)
	}
	_, _, byNode := d.sums(t, "balance")
	for i, srv := range sh.Shards {
		n := slices.IndexFunc(m.Nodes, func(n archive.Node) bool { return n.Name == pgtest.ShardName(i) })
		if n < 0 {
			t.Errorf("no node %s: %+v", pgtest.ShardName(i), m.Nodes)
			continue
		}
		got := fmt.Sprint(byNode[m.Nodes[n].ID])
		want := srv.QueryString(t, db, "SELECT (SELECT sum(balance) FROM bank.account) + (SELECT sum(balance) FROM bank.deposit)")
		if got != want || int(m.Nodes[n].Port) != srv.Port() {
			t.Errorf("%s: %s in the archive, %s on the shard; node %+v", pgtest.ShardName(i), got, want, m.Nodes[n])
		}
	}
	leaves := 0
	for _, dist := range m.Distributions {
		if dist.Kind == archive.DistributedForeign {
			leaves++
			if dist.Node == 0 || dist.Bound == "" {
				t.Errorf("distribution %+v", dist)
			}
		}
	}
	if want := 2 * len(sh.Shards); leaves != want {
		t.Errorf("%d foreign partitions are recorded, want %d: %+v", leaves, want, m.Distributions)
	}
}
