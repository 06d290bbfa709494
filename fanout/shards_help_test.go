package fanout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// longestWait is how long a statement of a writer may take while dumps run, whatever locks they want.
const longestWait = time.Second

// teller is a client of the bank: it runs transactions on one session until its context ends, and keeps in mind how long
// its slowest statement took.
type teller struct {
	name    string
	done    int // transactions committed
	longest time.Duration
	slowest string // the statement that took longest
	failed  []error
}

// tellers are clients that work at the same time.
type tellers struct {
	t    *testing.T
	ctx  context.Context
	stop context.CancelFunc
	wait sync.WaitGroup
	all  []*teller
}

func newTellers(t *testing.T) *tellers {
	ctx, stop := context.WithCancel(t.Context())
	b := &tellers{t: t, ctx: ctx, stop: stop}
	t.Cleanup(b.finish) // also where the test fails in between
	return b
}

// step is one statement of a transaction, on one of the teller's sessions.
type step struct {
	session int
	sql     string
}

// steps are statements on a teller's first session.
func steps(statements ...string) []step {
	all := make([]step, len(statements))
	for i, sql := range statements {
		all[i].sql = sql
	}
	return all
}

// work starts a teller with one session for each conninfo. next gives the steps of its next transaction, BEGIN and COMMIT
// included; after each one it waits a moment.
func (b *tellers) work(name string, pause time.Duration, next func() []step, conninfos ...string) {
	w := &teller{name: name}
	b.all = append(b.all, w)
	b.wait.Go(func() {
		var sessions []*wire.Conn
		for _, conninfo := range conninfos {
			conn, err := wire.Connect(b.ctx, parseConfig(b.t, conninfo), wire.Settings{ApplicationName: name})
			if err != nil {
				if b.ctx.Err() == nil {
					b.t.Error(err)
				}
				return
			}
			defer func() { _ = conn.Close(context.WithoutCancel(b.ctx)) }()
			sessions = append(sessions, conn)
		}
		for b.ctx.Err() == nil {
			// Not the context: a transaction that has begun is finished.
			if err := w.transaction(context.WithoutCancel(b.ctx), sessions, next(), pause); err != nil {
				w.failed = append(w.failed, err)
			}
		}
	})
}

// transaction runs one transaction; what it did is undone where a statement fails.
func (w *teller) transaction(ctx context.Context, sessions []*wire.Conn, steps []step, pause time.Duration) error {
	for _, s := range steps {
		begun := time.Now()
		_, err := sessions[s.session].Exec(ctx, s.sql)
		if took := time.Since(begun); took > w.longest {
			w.longest, w.slowest = took, s.sql
		}
		if err != nil {
			for _, conn := range sessions {
				if conn.InTransaction() != 'I' {
					_, _ = conn.Exec(ctx, "ROLLBACK")
				}
			}
			return err
		}
		time.Sleep(pause)
	}
	w.done++
	return nil
}

// finish ends all tellers, the transaction under way included.
func (b *tellers) finish() {
	b.stop()
	b.wait.Wait()
}

// check ends all tellers and fails the test if one of them was harmed: a statement that took too long, or one that failed
// for a reason other than two tellers at the same row.
func (b *tellers) check() {
	b.t.Helper()
	b.finish()
	for _, w := range b.all {
		b.t.Logf("%s: %d transactions, longest statement %v", w.name, w.done, w.longest.Round(time.Millisecond))
		if w.done == 0 {
			b.t.Errorf("%s committed nothing", w.name)
		}
		if w.longest > longestWait {
			b.t.Errorf("%s: a statement took %v: %s", w.name, w.longest, w.slowest)
		}
		for _, err := range w.failed {
			var se *wire.ServerError
			if !errors.As(err, &se) || se.Code != "40001" { // serialization_failure: postgres_fdw's sessions are repeatable read
				b.t.Errorf("%s: %v", w.name, err)
			}
		}
	}
}

// noDeadlocks fails the test if a server had to end a deadlock in a database.
func noDeadlocks(t *testing.T, sh *pgtest.Shards, db string) {
	t.Helper()
	for _, srv := range sh.All() {
		if n := srv.QueryString(t, "postgres", "SELECT deadlocks FROM pg_stat_database WHERE datname = '"+db+"'"); n != "0" {
			t.Errorf("%s: %s deadlocks; its log:\n%s", srv.TCPAddr(), n, srv.Log())
		}
	}
}

// noLocksLeft waits until no session of pgark is left on any server, and with them no lock.
func noLocksLeft(t *testing.T, sh *pgtest.Shards, db string) {
	t.Helper()
	const sql = `SELECT a.pid, a.application_name, a.state, a.query FROM pg_stat_activity a WHERE a.application_name LIKE 'pgark%' AND a.datname = `
	for _, srv := range sh.All() {
		var left string
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if left = srv.QueryString(t, "postgres", sql+wire.Literal(db)); left == "" {
				break
			}
		}
		if left != "" {
			t.Errorf("sessions left on %s:\n%s", srv.TCPAddr(), left)
		}
	}
}

func parseConfig(t *testing.T, conninfo string) *wire.Config {
	t.Helper()
	cfg, err := wire.ParseConfig(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// discover finds the cluster that a coordinator belongs to.
func discover(t *testing.T, conninfo string) *fanout.Cluster {
	t.Helper()
	c, err := topology.Discover(t.Context(), parseConfig(t, conninfo), topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// shardDump is an archive of a cluster.
type shardDump struct {
	result *fanout.DumpResult
	*archive.Reader
}

// dumpCluster dumps into memory.
func dumpCluster(t *testing.T, o fanout.DumpOptions) shardDump {
	t.Helper()
	var file pgtest.Memory
	res, err := fanout.Dump(t.Context(), &file, o)
	if err != nil {
		t.Fatalf("dump by route %q: %v", o.Route, err)
	}
	a, err := archive.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return shardDump{res, a}
}

// dumpFails dumps and expects an error; nothing that could be taken for an archive may be written.
func dumpFails(t *testing.T, o fanout.DumpOptions, parts ...string) error {
	t.Helper()
	var file pgtest.Memory
	_, err := fanout.Dump(t.Context(), &file, o)
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
	if _, rerr := archive.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len())); rerr == nil {
		t.Error("what was written reads as a whole archive")
	}
	return err
}

// sums adds up a column of numbers in all tables that have it, by node, and counts their rows.
func (d shardDump) sums(t *testing.T, column string) (total, rows int64, byNode map[uint32]int64) {
	t.Helper()
	byNode = make(map[uint32]int64)
	dec := d.NewDecoder()
	defer dec.Close()
	for _, s := range d.Streams() {
		field := slices.Index(s.Columns, column)
		if field < 0 {
			continue
		}
		var text bytes.Buffer
		for b := range d.Blocks(s.ID) {
			if err := dec.Block(b, func(part []byte) error { text.Write(part); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		for line := range strings.Lines(text.String()) {
			n, err := strconv.ParseInt(strings.Split(strings.TrimSuffix(line, "\n"), "\t")[field], 10, 64)
			if err != nil {
				t.Fatalf("%s.%s: %v", s.Schema, s.Table, err)
			}
			total += n
			rows++
			byNode[s.Node] += n
		}
	}
	return total, rows, byNode
}

// want fails the test unless the archive's numbers add up.
func (d shardDump) want(t *testing.T, what string, total int64) {
	t.Helper()
	if got, _, byNode := d.sums(t, "balance"); got != total {
		t.Fatalf("%s: the archive holds %d, want %d (by node: %s)", what, got, total, fmt.Sprint(byNode))
	}
}
