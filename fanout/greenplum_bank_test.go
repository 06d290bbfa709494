package fanout_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// The bank on segments has accounts and ledgers, both as heap, append-optimized by row and by column. Money moves between
// accounts by UPDATE, whole accounts move between tables and segments by INSERT and DELETE, and into ledgers go pairs of rows
// whose sum is zero. A copy with another sum of balances, or of numbers, shows rows of two moments.
const (
	segmentTotal   = 3*30*100 + 90*100
	segmentNumbers = 90 * 91 / 2
)

// Accounts with a number move; those without stay, one for each id and table.
const segmentBank = `CREATE SCHEMA bank;
CREATE TABLE bank.ledger_heap (id bigint, balance bigint, number bigint) DISTRIBUTED BY (id);
CREATE TABLE bank.ledger_row (id bigint, balance bigint, number bigint) WITH (appendonly=true, compresstype=zlib) DISTRIBUTED BY (id);
CREATE TABLE bank.ledger_column (id bigint, balance bigint, number bigint) WITH (appendonly=true, orientation=column) DISTRIBUTED RANDOMLY;
CREATE TABLE bank.acc_heap (id bigint, balance bigint, number bigint) DISTRIBUTED BY (id);
CREATE TABLE bank.acc_row (id bigint, balance bigint, number bigint) WITH (appendonly=true) DISTRIBUTED BY (id);
CREATE TABLE bank.acc_column (id bigint, balance bigint, number bigint) WITH (appendonly=true, orientation=column, compresstype=zlib) DISTRIBUTED BY (id);
INSERT INTO bank.acc_heap SELECT g, 100, 0 FROM generate_series(0, 29) g;
INSERT INTO bank.acc_row SELECT * FROM bank.acc_heap;
INSERT INTO bank.acc_column SELECT * FROM bank.acc_heap;
INSERT INTO bank.acc_heap SELECT 100 + g, 100, g FROM generate_series(1, 90) g;`

// One order of the tables for all that lock EXCLUSIVE (UPDATE and DELETE, without the global deadlock detector): what the
// writers would do to each other is not the subject.
func segmentTables(kind string) []string {
	return []string{"bank." + kind + "_heap", "bank." + kind + "_row", "bank." + kind + "_column"}
}

// bankTransaction is the statements of one transaction. Pairs are inserted in any order of the tables.
func bankTransaction() []string {
	acc, ledger := segmentTables("acc"), segmentTables("ledger")
	sum, a, b := 1+rand.IntN(9), rand.IntN(30), rand.IntN(30)
	pair := func() []string {
		x, y, n := ledger[rand.IntN(3)], ledger[rand.IntN(3)], rand.Int64N(1<<40)
		return []string{
			fmt.Sprintf("INSERT INTO %s VALUES (%d, %d, %d)", x, rand.Int64(), sum, n),
			fmt.Sprintf("INSERT INTO %s VALUES (%d, %d, %d)", y, rand.Int64(), -sum, -n),
		}
	}
	from, to := rand.IntN(3), rand.IntN(3)
	transfer := []string{
		fmt.Sprintf("UPDATE %s SET balance = balance - %d WHERE id = %d AND number = 0", acc[min(from, to)], sum, a),
		fmt.Sprintf("UPDATE %s SET balance = balance + %d WHERE id = %d AND number = 0", acc[max(from, to)], sum, b),
	}
	switch rand.IntN(6) {
	case 0, 1:
		return append(pair(), pair()...)
	case 2:
		return append(pair(), transfer...)
	case 3:
		return transfer
	default: // to another table, and to another id and so perhaps to another segment
		to = (from + 1 + rand.IntN(2)) % 3
		which := fmt.Sprintf("number > 0 AND number %% 9 = %d", rand.IntN(9))
		return []string{
			"LOCK TABLE " + acc[min(from, to)] + " IN EXCLUSIVE MODE",
			"LOCK TABLE " + acc[max(from, to)] + " IN EXCLUSIVE MODE",
			fmt.Sprintf("INSERT INTO %s SELECT %d + number, balance, number FROM %s WHERE %s", acc[to], rand.IntN(1000), acc[from], which),
			fmt.Sprintf("DELETE FROM %s WHERE %s", acc[from], which),
		}
	}
}

// bankWriters are sessions that write all the time.
type bankWriters struct {
	commits atomic.Int64
	stop    context.CancelFunc
	done    sync.WaitGroup
	pause   sync.RWMutex // held for reading by a transaction

	mu       sync.Mutex
	waits    []time.Duration // of single statements
	slowest  time.Duration
	running  map[string]*statement // by session
	behind   time.Duration         // longest that a statement was seen behind a dump's lock
	seen     string                // what the slowest statement was seen to wait for
	failures []string
}

// statement is one under way.
type statement struct {
	begun time.Time
	first time.Time // when it was first seen behind a dump's lock
	seen  string    // what it waits for
}

func (g *greenplum) startWriters(t *testing.T, db string, n int) *bankWriters {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &bankWriters{stop: cancel, running: make(map[string]*statement)}
	for range n {
		conn := open(t, g.in(db))
		session := query(t, conn, "SELECT sess_id FROM pg_stat_activity WHERE pid = pg_backend_pid()")[0][0]
		w.done.Go(func() { w.write(ctx, conn, session) })
	}
	janitor, watcher := open(t, g.in(db)), open(t, g.in(db))
	w.done.Go(func() { w.clean(ctx, janitor) })
	w.done.Go(func() { w.watch(ctx, watcher) })
	return w
}

// write runs transactions, statement by statement, until ctx is done.
func (w *bankWriters) write(ctx context.Context, conn *wire.Conn, session string) {
	for ctx.Err() == nil {
		sql := append([]string{"BEGIN"}, bankTransaction()...)
		ok := true
		w.pause.RLock()
		for _, s := range append(sql, "COMMIT") {
			if ok = w.run(conn, session, s); !ok {
				_, _ = conn.Exec(context.Background(), "ROLLBACK")
				break
			}
		}
		w.pause.RUnlock()
		if ok {
			w.commits.Add(1)
		} else if conn.Err() != nil {
			return
		}
		time.Sleep(rand.N(6 * time.Millisecond))
	}
}

// clean vacuums in turn: of append-optimized tables that removes whole segment files.
func (w *bankWriters) clean(ctx context.Context, conn *wire.Conn) {
	for i := 0; ctx.Err() == nil; i++ {
		table := append(segmentTables("acc"), segmentTables("ledger")...)
		if _, err := conn.Exec(context.Background(), "VACUUM "+table[i%len(table)]); err != nil {
			w.fail("VACUUM", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(700 * time.Millisecond):
		}
	}
}

func (w *bankWriters) run(conn *wire.Conn, session, sql string) bool {
	st := &statement{begun: time.Now()}
	w.mu.Lock()
	w.running[session] = st
	w.mu.Unlock()
	_, err := conn.Exec(context.Background(), sql)
	took := time.Since(st.begun)
	w.mu.Lock()
	delete(w.running, session)
	w.waits = append(w.waits, took)
	if took > w.slowest {
		w.slowest, w.seen = took, st.seen
	}
	w.mu.Unlock()
	if err != nil {
		w.fail(sql, err)
	}
	return err == nil
}

// waitsQuery shows who waits for a lock on a table, and which locks others have, or wait for, on the same one.
const waitsQuery = `SELECT w.mppsessionid, w.mode || ' on ' || c.relname || ' at ' || w.gp_segment_id, COALESCE(a.application_name, ''),
  h.mode || CASE WHEN h.granted THEN '' ELSE ' (waits too)' END || ' of ' || COALESCE(NULLIF(a.application_name, ''), '?') || ': ' || COALESCE(substr(a.query, 1, 40), '?')
FROM pg_locks w JOIN pg_locks h ON h.locktype = 'relation' AND h.relation = w.relation AND h.database = w.database
  AND h.gp_segment_id = w.gp_segment_id AND h.mppsessionid <> w.mppsessionid
LEFT JOIN pg_stat_activity a ON a.sess_id = h.mppsessionid JOIN pg_class c ON c.oid = w.relation
WHERE w.locktype = 'relation' AND NOT w.granted AND h.mode <> 'AccessShareLock'`

// watch finds out what slow statements wait for.
func (w *bankWriters) watch(ctx context.Context, conn *wire.Conn) {
	for ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
		w.mu.Lock()
		slow := false
		for _, st := range w.running {
			slow = slow || time.Since(st.begun) > 200*time.Millisecond
		}
		w.mu.Unlock()
		if !slow {
			continue
		}
		rows, err := conn.QueryStrings(context.Background(), waitsQuery)
		if err != nil {
			w.fail("watch", err)
			return
		}
		w.mu.Lock()
		for _, r := range rows {
			st := w.running[r[0]]
			if st == nil || time.Since(st.begun) < 200*time.Millisecond {
				continue
			}
			st.seen = r[1] + " behind " + r[3]
			if r[2] != "pgark dump" {
				continue
			}
			if st.first.IsZero() {
				st.first = st.begun
			}
			w.behind = max(w.behind, time.Since(st.first))
		}
		w.mu.Unlock()
	}
}

func (w *bankWriters) fail(sql string, err error) {
	// The server's own quarrel: a VACUUM and a DELETE met in an append-optimized table.
	if strings.Contains(err.Error(), "tuple concurrently updated") {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, fmt.Sprintf("%.60s: %v", sql, err))
}

// reset forgets the waits, and tells what they were.
func (w *bankWriters) reset() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := fmt.Sprintf("worst %v", w.slowest.Round(time.Millisecond))
	if w.seen != "" {
		text += " (" + w.seen + ")"
	}
	text += fmt.Sprintf(", 99%% within %v, longest behind a dump's lock %v", percentile(w.waits, 0.99), w.behind.Round(time.Millisecond))
	w.waits, w.slowest, w.seen, w.behind = nil, 0, "", 0
	return text
}

// end stops the writers and gives the errors that they saw.
func (w *bankWriters) end() []string {
	w.stop()
	w.done.Wait()
	return w.failures
}

// testBank dumps while money moves. What a moment shows is added up from the archive's own rows.
func (g *greenplum) testBank(t *testing.T) {
	db := g.database(t, "bank")
	conn := open(t, g.in(db))
	run(t, conn, segmentBank+"CREATE EXTENSION IF NOT EXISTS gp_parallel_retrieve_cursor;")
	c := g.cluster(t, g.in(db))
	w := g.startWriters(t, db, 4)
	ended := sync.OnceValue(w.end)
	defer ended()

	time.Sleep(max(time.Second, time.Duration(g.moments)*30*time.Millisecond))
	g.report(t, 0, "%d commits without a dump; statements: %s", w.commits.Load(), w.reset())
	for _, b := range []struct {
		name    string
		o       fanout.DumpOptions
		moments int
	}{
		{"segments", fanout.DumpOptions{Route: fanout.RouteSegments}, g.moments},
		{"cursors", fanout.DumpOptions{Route: fanout.RouteCursors}, g.moments},
		{"coordinator", fanout.DumpOptions{Route: fanout.RouteCoordinator}, g.moments},
		{"no barrier", fanout.DumpOptions{Route: fanout.RouteSegments, NoBarrier: true}, max(g.moments/5, 40)},
	} {
		t.Run(b.name, func(t *testing.T) {
			works(t, c, b.o.Route)
			g.bankMoments(t, c, w, b.o, b.moments)
			w.emptyLedgers(t, conn)
		})
	}
	for i, f := range ended() {
		if i < 20 {
			t.Errorf("a writer failed: %s", f)
		}
	}
}

// emptyLedgers keeps the tables of all routes' moments about equal in size. Nobody writes meanwhile.
func (w *bankWriters) emptyLedgers(t *testing.T, conn *wire.Conn) {
	t.Helper()
	w.pause.Lock()
	defer w.pause.Unlock()
	run(t, conn, "TRUNCATE "+strings.Join(segmentTables("ledger"), ", "))
}

func (g *greenplum) bankMoments(t *testing.T, c *fanout.Cluster, w *bankWriters, o fanout.DumpOptions, moments int) {
	w.reset()
	var wrong, idle, retried int
	var commits int64
	times := make([]time.Duration, 0, moments)
	begun := time.Now()
	for i := range moments {
		said := &notes{}
		o.Jobs, o.Codec, o.Progress, o.BarrierTimeout = 1, archive.CodecNone, said, time.Minute
		before, at := w.commits.Load(), time.Now()
		var file pgtest.Memory
		o.Cluster = c
		if _, err := fanout.Dump(t.Context(), &file, o); err != nil {
			t.Fatalf("moment %d: %v", i, err)
		}
		times = append(times, time.Since(at))
		during := w.commits.Load() - before
		if commits += during; during == 0 {
			idle++
		}
		retried += said.count("starting over")
		sum, numbers := bankSums(t, reader(t, file.Bytes()))
		if sum != segmentTotal || numbers != segmentNumbers {
			if wrong++; !o.NoBarrier {
				t.Errorf("moment %d: the balances sum up to %d, want %d; the numbers to %d, want %d", i, sum, segmentTotal, numbers, segmentNumbers)
			}
		}
	}
	took := time.Since(begun)
	w.mu.Lock()
	behind := w.behind
	w.mu.Unlock()
	g.report(t, took, "%d moments, %d wrong, %d with commits meanwhile (%d in all), %d started over; dump median %v, worst %v; "+
		"writers' statements: %s", moments, wrong, moments-idle, commits, retried,
		percentile(times, 0.5), percentile(times, 1), w.reset())
	if behind > time.Second {
		t.Errorf("a writer waited %v for a lock of a dump", behind)
	}
	if o.NoBarrier && wrong == 0 {
		t.Errorf("no moment of %d was wrong without a barrier: the test proves nothing", moments)
	}
	if idle > moments/10 {
		t.Errorf("%d moments without a commit prove nothing", idle)
	}
}

// bankSums adds up the balances and the numbers of all rows in an archive.
func bankSums(t *testing.T, a *archive.Reader) (sum, numbers int64) {
	t.Helper()
	dec := a.NewDecoder()
	defer dec.Close()
	for _, s := range a.Streams() {
		var rows bytes.Buffer
		for b := range a.Blocks(s.ID) {
			if err := dec.Block(b, func(p []byte) error { rows.Write(p); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		for line := range strings.Lines(rows.String()) {
			fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			for i, into := range []*int64{&sum, &numbers} {
				n, err := strconv.ParseInt(fields[i+1], 10, 64)
				if err != nil {
					t.Fatalf("%s.%s: %v", s.Schema, s.Table, err)
				}
				*into += n
			}
		}
	}
	return sum, numbers
}
