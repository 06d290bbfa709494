package fanout_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
)

// largeValues makes tables of n values of 1 MiB each, which are kept apart and not compressed.
func largeValues(t *testing.T, srv *pgtest.Server, db string, n int, tables ...string) {
	t.Helper()
	for _, table := range tables {
		srv.Exec(t, db, fmt.Sprintf("CREATE TABLE %[1]s (v text); ALTER TABLE %[1]s ALTER v SET STORAGE EXTERNAL; "+
			"INSERT INTO %[1]s SELECT repeat('x', 1048576) FROM generate_series(1, %[2]d) g", table, n))
	}
}

// TestDumpBesideReindex: REINDEX TABLE keeps the index of a TOAST table to itself, which reading needs for each large value. A session whose patience is
// for the table's own lock only stood still for ever, or the dump failed at its end.
func TestDumpBesideReindex(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	const values = 60
	largeValues(t, srv, db, values, "a1", "a2")
	for name, o := range map[string]struct {
		format string
		wait   time.Duration
	}{"archive": {"", 0}, "plain": {fanout.FormatPlain, 0}, "archive, too long": {"", 400 * time.Millisecond}, "plain, too long": {fanout.FormatPlain, 400 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			g := newGate(nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var reindexed sync.WaitGroup
			reindexed.Go(func() {
				<-g.reached
				held, release := hold(t, srv, db, "REINDEX TABLE a1; REINDEX TABLE a2")
				<-held
				close(g.open)
				if o.wait > 0 {
					<-ctx.Done()
				}
				time.Sleep(time.Second)
				release()
			})
			options := fanout.DumpOptions{Cluster: cluster(t, srv.Conninfo(db)), Jobs: 2, LockWait: o.wait}
			var r *fanout.DumpResult
			var err error
			if o.format == "" {
				r, err = fanout.Dump(ctx, g, options)
			} else {
				r, err = fanout.DumpStock(ctx, fanout.StockTarget{Out: g}, options, fanout.StockOptions{Format: o.format})
			}
			ended := ctx.Err()
			cancel()
			reindexed.Wait()
			switch {
			case o.wait > 0:
				if err == nil || ended != nil || !strings.Contains(err.Error(), "REINDEX") {
					t.Errorf("%v, %v", err, ended)
				}
			case err != nil || r.Summary.Rows != 2*values:
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// TestDumpInOrderWhileDDLWaits: the session that holds the locks reads what others can't lock when it is its turn. A later table that it had begun
// with filled what memory there is, and kept it from the one that was to be written next: the dump stood still.
func TestDumpInOrderWhileDDLWaits(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	largeValues(t, srv, db, 40, "a1", "a2", "c")
	srv.Exec(t, db, "CREATE TABLE b1 AS SELECT 1 AS x; CREATE TABLE b2 AS SELECT 1 AS x")
	for _, o := range []fanout.StockOptions{{Format: fanout.FormatPlain}, {Format: fanout.FormatCustom, Codec: archive.CodecNone}} {
		g := newGate(nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var altered sync.WaitGroup
		altered.Go(func() {
			<-g.reached
			for _, table := range []string{"b1", "b2", "c"} {
				altered.Go(func() { srv.Exec(t, db, "BEGIN; LOCK TABLE "+table+"; COMMIT") })
			}
			for srv.QueryString(t, db, "SELECT count(*) FROM pg_locks l WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") != "3" {
				time.Sleep(5 * time.Millisecond)
			}
			close(g.open)
		})
		r, err := fanout.DumpStock(ctx, fanout.StockTarget{Out: g}, fanout.DumpOptions{Cluster: cluster(t, srv.Conninfo(db)), Jobs: 2}, o)
		altered.Wait()
		cancel()
		if err != nil || r.Summary.Rows != 122 {
			t.Errorf("%s: %+v, %v", o.Format, r, err)
		}
	}
}
