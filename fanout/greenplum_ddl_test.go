package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

const ddlSchema = `CREATE SCHEMA d;
CREATE TABLE d.heap (id int, balance bigint, number bigint) DISTRIBUTED BY (id);
CREATE TABLE d.ao (id int, balance bigint, number bigint) WITH (appendonly=true, compresstype=zlib) DISTRIBUTED BY (id);
CREATE TABLE d.aoc (id int, balance bigint, number bigint) WITH (appendonly=true, orientation=column) DISTRIBUTED BY (id);
CREATE TABLE d.swapped (id int, balance bigint, number bigint) DISTRIBUTED BY (id);
CREATE TABLE d.part (id int, balance bigint, number bigint) DISTRIBUTED BY (id)
	PARTITION BY RANGE (id) (START (0) END (100) EVERY (25));
CREATE TABLE d.still (id int, balance bigint, number bigint) DISTRIBUTED BY (id);
INSERT INTO d.heap SELECT g, 100, 0 FROM generate_series(0, 49) g;
INSERT INTO d.ao SELECT * FROM d.heap; INSERT INTO d.aoc SELECT * FROM d.heap; INSERT INTO d.swapped SELECT * FROM d.heap;
INSERT INTO d.part SELECT * FROM d.heap; INSERT INTO d.still SELECT * FROM d.heap;`

// ddlTotal is what all balances sum up to, whatever the DDL of the moment has done: each transaction keeps it.
const ddlTotal = 6 * 50 * 100

// Two lists, for two sessions that do not touch each other's tables.
func ddlTransactions() [2][]string {
	const refill = `; INSERT INTO %[1]s SELECT g, 100, 0 FROM generate_series(0, 49) g; COMMIT`
	return [2][]string{
		{
			fmt.Sprintf("BEGIN; TRUNCATE %[1]s"+refill, "d.heap"),
			"ALTER TABLE d.heap ADD COLUMN extra int DEFAULT 1",
			fmt.Sprintf("BEGIN; TRUNCATE %[1]s"+refill, "d.ao"),
			"ALTER TABLE d.heap DROP COLUMN extra",
			"CREATE TABLE d.fresh AS SELECT g AS id, 0::bigint AS balance, 0::bigint AS number FROM generate_series(1, 20) g DISTRIBUTED BY (id)",
			"ALTER TABLE d.ao ADD COLUMN extra int DEFAULT 1",
			"DROP TABLE d.fresh",
			"ALTER TABLE d.ao DROP COLUMN extra",
		},
		{
			"ALTER TABLE d.part ADD PARTITION late START (100) END (125)",
			fmt.Sprintf("BEGIN; TRUNCATE %[1]s"+refill, "d.aoc"),
			"BEGIN; ALTER TABLE d.swapped RENAME TO tmp; CREATE TABLE d.swapped AS SELECT * FROM d.tmp DISTRIBUTED BY (id); DROP TABLE d.tmp; COMMIT",
			"ALTER TABLE d.part DROP PARTITION late",
			fmt.Sprintf("BEGIN; TRUNCATE %[1]s"+refill, "d.part"),
			"BEGIN; DROP TABLE d.aoc; CREATE TABLE d.aoc (id int, balance bigint, number bigint) WITH (appendonly=true, orientation=column) DISTRIBUTED RANDOMLY" +
				fmt.Sprintf(refill, "d.aoc"),
		},
	}
}

// testDDL dumps while tables are made, dropped, truncated and altered: no dump may hang, fail, or show half of it.
func (g *greenplum) testDDL(t *testing.T) {
	db := g.database(t, "ddl")
	run(t, open(t, g.in(db)), ddlSchema+"CREATE EXTENSION gp_parallel_retrieve_cursor")
	c := g.cluster(t, g.in(db))
	ctx, stop := context.WithCancel(context.Background())
	var sessions sync.WaitGroup
	var done, failed, worst atomic.Int64
	for _, list := range ddlTransactions() {
		conn := open(t, g.in(db))
		sessions.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				begun := time.Now()
				if err := ddl(conn, list[i%len(list)]); err != nil {
					failed.Add(1)
					t.Errorf("%.60s: %v", list[i%len(list)], err)
					return
				}
				done.Add(1)
				worst.Store(max(worst.Load(), int64(time.Since(begun))))
				time.Sleep(150 * time.Millisecond)
			}
		})
	}
	defer sessions.Wait()
	defer stop()
	dumps := max(5, g.moments/16)
	for _, route := range allRoutes() {
		t.Run(route, func(t *testing.T) {
			works(t, c, route)
			worst.Store(0)
			before := done.Load()
			var over, tooMuch, wrong int
			var times []time.Duration
			begun := time.Now()
			for i := range dumps {
				said, at := &notes{}, time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				var file pgtest.Memory
				_, err := fanout.Dump(ctx, &file, fanout.DumpOptions{
					Cluster: c, Route: route, Jobs: 1, Codec: archive.CodecNone, BarrierTimeout: time.Minute, Progress: said,
				})
				cancel()
				over += said.count("starting over")
				times = append(times, time.Since(at))
				if errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("dump %d hangs: %v", i, err)
				}
				if err != nil {
					tooMuch++
					t.Errorf("dump %d: %v", i, err)
					continue
				}
				if sum, _ := bankSums(t, reader(t, file.Bytes())); sum != ddlTotal {
					wrong++
					t.Errorf("dump %d: the balances sum up to %d, want %d", i, sum, ddlTotal)
				}
			}
			g.report(t, time.Since(begun), "%d dumps, %d failed, %d wrong, started over %d times; median %v, worst %v; %d DDL transactions meanwhile, worst wait %v",
				dumps, tooMuch, wrong, over, percentile(times, 0.5), percentile(times, 1), done.Load()-before,
				time.Duration(worst.Load()).Round(time.Millisecond))
		})
	}
}

func ddl(conn *wire.Conn, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	_, err := conn.Exec(ctx, sql)
	if err != nil && conn.Err() == nil && conn.InTransaction() != 'I' {
		_, _ = conn.Exec(context.Background(), "ROLLBACK")
	}
	return err
}
