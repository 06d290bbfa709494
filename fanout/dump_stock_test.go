package fanout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// allKindsAndMore makes a database with every kind of object, large objects, and a table large enough to be read in ranges.
func allKindsAndMore(t *testing.T, srv *pgtest.Server) string {
	t.Helper()
	db := srv.CreateDB(t)
	pgtest.AllKinds(t, srv, db)
	srv.Exec(t, db, `SELECT lo_from_bytea(0, convert_to(repeat('0123456789', 100000), 'UTF8'));
SELECT lo_create(0);
SELECT lo_from_bytea(0, '\x00ff5c0a');
CREATE TABLE wide AS SELECT g AS id, repeat(md5(g::text), 30) AS v FROM generate_series(1, 20000) g;
INSERT INTO wide VALUES (0, repeat('a row of ten megabytes ', 450000));
CREATE TABLE "no columns" (); INSERT INTO "no columns" DEFAULT VALUES; INSERT INTO "no columns" DEFAULT VALUES;
CREATE TABLE "of no rows" (a int)`)
	return db
}

// A plain dump is what pg_dump writes, whatever the number of sessions.
func TestDumpPlain(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := allKindsAndMore(t, srv)
	want := stockScript(t, srv, db)
	cluster := discover(t, srv.Conninfo(db))
	for _, jobs := range []int{1, 3} {
		var out bytes.Buffer
		r, err := fanout.DumpStock(t.Context(), fanout.StockTarget{Out: &out}, fanout.DumpOptions{Cluster: cluster, Jobs: jobs},
			fanout.StockOptions{Format: fanout.FormatPlain, Script: fanout.ScriptOptions{RestrictKey: "k"}})
		if err != nil {
			t.Fatal(err)
		}
		sameLines(t, fmt.Sprint(jobs, " jobs"), splitScript(want), splitScript(out.String()))
		if r.Summary.Rows < 20001 || r.Summary.Bytes != uint64(out.Len()) || r.Tables == 0 {
			t.Errorf("summary %+v", r.Summary)
		}
	}
}

// stockScript is what pg_dump writes.
func stockScript(t *testing.T, srv *pgtest.Server, db string, flags ...string) string {
	t.Helper()
	program, err := pgtest.FindClient(srv.BinDir(), "pg_dump")
	if err != nil {
		t.Skip(err)
	}
	var stderr strings.Builder
	cmd := exec.Command(program, append(flags, "--restrict-key=k", "-d", srv.Conninfo(db))...)
	cmd.Stderr = &stderr
	out, err := pgtest.Output(t, cmd)
	if err != nil && strings.Contains(stderr.String(), "unrecognized option '--restrict-key") {
		t.Skipf("%s is older than --restrict-key", program)
	}
	if err != nil {
		t.Log(stderr.String())
		t.Fatal(err)
	}
	return string(out)
}

// splitScript divides a script into lines, with large objects in order, as no two programs need to agree on theirs.
func splitScript(script string) []string {
	return strings.Split(pgtest.SortLargeObjects(script), "\n")
}

// TestDumpPlainWhileDDLWaits has an ALTER TABLE queue behind the leader's lock before a session asks for its own: the
// leader reads that table at once, since all others wait for it to be written.
func TestDumpPlainWhileDDLWaits(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	manyTables(t, srv, db)
	g := newGate(nil)
	var altered sync.WaitGroup
	altered.Go(func() {
		<-g.reached
		for _, table := range []string{"t05", "t11"} {
			altered.Go(func() { srv.Exec(t, db, "ALTER TABLE "+table+" ADD COLUMN late int") })
		}
		for srv.QueryString(t, db, "SELECT count(*) FROM pg_locks WHERE NOT granted") != "2" {
			time.Sleep(5 * time.Millisecond)
		}
		close(g.open)
	})
	r, err := fanout.DumpStock(t.Context(), fanout.StockTarget{Out: g}, fanout.DumpOptions{Cluster: cluster(t, srv.Conninfo(db)), Jobs: 3},
		fanout.StockOptions{Format: fanout.FormatPlain})
	altered.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(g.Bytes(), []byte("\txxxx")); got != 174000 || r.Summary.Rows != 174000 {
		t.Errorf("%d rows in the script, %d counted, want 174000", got, r.Summary.Rows)
	}
}

// TestDumpPlainFaults breaks a dump in the middle: it fails with a cause that can be told, and leaves no session behind.
func TestDumpPlainFaults(t *testing.T) {
	srv := pgtest.Start(t)
	db := srv.CreateDB(t)
	manyTables(t, srv, db)
	kill := func(which string) func(context.CancelFunc) {
		return func(context.CancelFunc) { srv.KillSessions(t, db, which) }
	}
	plain, custom := fanout.StockOptions{Format: fanout.FormatPlain}, fanout.StockOptions{Format: fanout.FormatCustom, Codec: archive.CodecZstd}
	for name, c := range map[string]struct {
		fault func(context.CancelFunc)
		err   error // of the writer
		want  func(error) bool
	}{
		"a reading session is killed": {fault: kill(isReading), want: isServerOrLost},
		"the leader is killed":        {fault: kill("NOT " + isReading), want: func(err error) bool { return err != nil }},
		"cancelled":                   {fault: func(c context.CancelFunc) { c() }, want: func(err error) bool { return errors.Is(err, context.Canceled) }},
		"disk full":                   {fault: func(context.CancelFunc) {}, err: syscall.ENOSPC, want: func(err error) bool { return errors.Is(err, syscall.ENOSPC) }},
	} {
		for _, o := range []struct {
			jobs int
			fanout.StockOptions
		}{{2, plain}, {2, custom}, {1, custom}} {
			if o.jobs == 1 && strings.Contains(name, "leader") {
				continue // it reads the rows
			}
			t.Run(fmt.Sprintf("%s, %s over %d", name, o.Format, o.jobs), func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				g := newGate(c.err)
				g.meanwhile(func() { c.fault(cancel) })
				spool := t.TempDir()
				_, err := fanout.DumpStock(ctx, fanout.StockTarget{Out: g, Spool: spool}, fanout.DumpOptions{Cluster: cluster(t, srv.Conninfo(db)), Jobs: o.jobs}, o.StockOptions)
				if err == nil || !c.want(err) {
					t.Errorf("error: %v", err)
				}
				if left, err := os.ReadDir(spool); err != nil || len(left) > 0 {
					t.Errorf("left behind: %v, %v", left, err)
				}
				srv.WaitNoSessions(t, db)
			})
		}
	}
}

// Sessions begin with what comes first by name while pg_dump is busy with the catalog. Where something else comes first they read again what they
// have read, so the dump is the same. pg_dump -a has tables in the order of their foreign keys.
func TestDumpReadsEarly(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	for i, table := range []string{"b", "c", "a"} {
		srv.Exec(t, db, fmt.Sprintf("CREATE TABLE %s AS SELECT g AS id, repeat(md5((g + %d)::text), 30) AS v FROM generate_series(1, 15000) g", table, i))
	}
	srv.Exec(t, db, "ALTER TABLE b ADD PRIMARY KEY (id); ALTER TABLE a ADD FOREIGN KEY (id) REFERENCES b")
	for _, dataOnly := range []bool{false, true} {
		var flags []string
		if dataOnly {
			flags = []string{"-a"}
		}
		want := stockScript(t, srv, db, flags...)
		var out, log bytes.Buffer
		_, err := fanout.DumpStock(t.Context(), fanout.StockTarget{Out: &out}, fanout.DumpOptions{
			Cluster: cluster(t, srv.Conninfo(db)), Jobs: 2, DataOnly: dataOnly,
			Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}, fanout.StockOptions{Format: fanout.FormatPlain, Script: fanout.ScriptOptions{RestrictKey: "k"}})
		if err != nil {
			t.Fatal(err)
		}
		sameLines(t, fmt.Sprint("data only: ", dataOnly), strings.Split(want, "\n"), strings.Split(out.String(), "\n"))
		early := strings.Contains(log.String(), "sessions read before the catalog")
		if again := strings.Contains(log.String(), "is not what comes first"); !early || again != dataOnly {
			t.Errorf("data only: %t, read early: %t, read again: %t", dataOnly, early, again)
		}
	}
}

// Sessions read a table each, and what can't be written yet goes to a file without a name. The last table is in ranges, so that both end together.
func TestDumpWholeTables(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	// A session holds 24 MiB of b in memory while another reads a.
	for table, rows := range map[string]int{"a": 3200, "b": 2900, "c": 900} {
		srv.Exec(t, db, fmt.Sprintf("CREATE TABLE %[1]s (id int, v text); ALTER TABLE %[1]s ALTER v SET STORAGE EXTERNAL; "+
			"INSERT INTO %[1]s SELECT g, repeat(md5(g::text), 300) FROM generate_series(1, %[2]d) g", table, rows))
	}
	for _, c := range []struct {
		format, codec string
		spool         bool
	}{
		{fanout.FormatCustom, "zstd", true},
		{fanout.FormatDirectory, "lz4", true},
		{fanout.FormatCustom, "zstd", false},
		{fanout.FormatCustom, "gzip", true}, // its sessions don't encode
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			codec, _, err := archive.ParseCodec(c.codec)
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			spool, path := t.TempDir(), filepath.Join(t.TempDir(), "dump")
			writeStockFile(t, path, c.format, func(target fanout.StockTarget) error {
				if c.spool {
					target.Spool = spool
				}
				r, err := fanout.DumpStock(t.Context(), target, fanout.DumpOptions{
					Cluster: cluster(t, srv.Conninfo(db)), Jobs: 2, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
				}, fanout.StockOptions{Format: c.format, Codec: codec})
				if err == nil && r.Summary.Rows != 7000 {
					t.Errorf("%d rows", r.Summary.Rows)
				}
				return err
			})
			if got, want := sumOf(t, path, "id"), (3200*3201+2900*2901+900*901)/2; got != want {
				t.Errorf("the sum of all numbers is %d, want %d", got, want)
			}
			// Whether it comes to that depends on which session is ahead.
			if used := strings.Contains(log.String(), "files without names"); used && (!c.spool || c.codec == "gzip") {
				t.Error("rows were put into a file")
			} else {
				t.Logf("rows were put into a file: %t", used)
			}
			if left, err := os.ReadDir(spool); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// A directory had its name before it was seen, at the end of a dump, that the session was lost that held the moment: the dump had failed, and
// what it had left looked like a whole one.
func TestDumpDirectoryMomentLost(t *testing.T) {
	srv := pgtest.Start(t)
	db := srv.CreateDB(t)
	manyTables(t, srv, db)
	for _, there := range []bool{false, true} {
		parent := t.TempDir()
		dir := parent + "/dump"
		if there {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		partial := func(string) {
			time.Sleep(200 * time.Millisecond) // all sessions have taken the snapshot over
			srv.Exec(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+db+"' ORDER BY backend_start LIMIT 1")
		}
		_, err := fanout.DumpStock(t.Context(), fanout.StockTarget{Dir: dir, Partial: partial}, fanout.DumpOptions{Cluster: cluster(t, srv.Conninfo(db)), Jobs: 2},
			fanout.StockOptions{Format: fanout.FormatDirectory, Codec: archive.CodecZstd})
		if err == nil || !strings.Contains(err.Error(), "the session that held the snapshot was lost") {
			t.Errorf("error: %v", err)
		}
		where := parent
		if there {
			where = dir
		}
		if left, err := os.ReadDir(where); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		srv.WaitNoSessions(t, db)
	}
}

// TestDumpStockSessions: one session reads everything where one was asked for, the one that the dump was given, and it is closed at the end.
func TestDumpStockSessions(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	manyTables(t, srv, db)
	cfg, err := wire.ParseConfig(srv.Conninfo(db))
	if err != nil {
		t.Fatal(err)
	}
	for jobs, want := range map[int]string{1: "1", 2: "3"} {
		var session *wire.Conn
		c, err := topology.Discover(t.Context(), cfg, topology.Options{Session: func(x *wire.Conn) { session = x }})
		if err != nil || session == nil {
			t.Fatalf("no session: %v", err)
		}
		g := newGate(nil)
		sessions := make(chan string, 1)
		g.meanwhile(func() {
			sessions <- srv.QueryString(t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = '"+db+"' AND backend_type = 'client backend'") // and not autovacuum
		})
		r, err := fanout.DumpStock(t.Context(), fanout.StockTarget{Out: g}, fanout.DumpOptions{Cluster: c, Jobs: jobs, Session: session},
			fanout.StockOptions{Format: fanout.FormatCustom, Codec: archive.CodecZstd})
		if err != nil {
			t.Fatal(err)
		}
		if got := <-sessions; got != want || r.Summary.Rows != 174000 {
			t.Errorf("%d jobs: %s sessions, want %s; %d rows", jobs, got, want, r.Summary.Rows)
		}
		srv.WaitNoSessions(t, db)
	}
}

// TestDumpUnwatched: a dump goes on where the server has no session to spare from which to watch, or where none is needed.
func TestDumpUnwatched(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	manyTables(t, srv, db)
	for jobs, sessions := range map[int]int{1: 1, 2: 3} {
		role := fmt.Sprintf("%s_%d", db, jobs)
		srv.Exec(t, db, fmt.Sprintf("CREATE ROLE %[1]q LOGIN CONNECTION LIMIT %[2]d; GRANT SELECT ON ALL TABLES IN SCHEMA public TO %[1]q", role, sessions))
		t.Cleanup(func() { srv.Exec(t, db, fmt.Sprintf("DROP OWNED BY %[1]q; DROP ROLE %[1]q", role)) })
		c := cluster(t, srv.Conninfo(db)+" user="+role)
		srv.WaitNoSessions(t, db) // it counts until its process has ended
		t.Run(fmt.Sprintf("%d jobs", jobs), func(t *testing.T) {
			t.Parallel()
			g := newGate(nil)
			g.meanwhile(func() { time.Sleep(22 * time.Second) }) // more than a watcher waits
			r, err := fanout.DumpStock(t.Context(), fanout.StockTarget{Out: g}, fanout.DumpOptions{Cluster: c, Jobs: jobs},
				fanout.StockOptions{Format: fanout.FormatCustom, Codec: archive.CodecZstd})
			if err != nil || r.Summary.Rows != 174000 {
				t.Errorf("%+v, error %v", r, err)
			}
		})
	}
}

// TestDumpStockShards: rows of several nodes come together in one dump of one moment, while money moves between shards.
func TestDumpStockShards(t *testing.T) {
	sh, db := bankOverShards(t)
	b := startTellers(t, sh, db)
	cluster := discover(t, sh.Coordinator.Conninfo(db))
	for i := range 6 {
		route := []string{fanout.RouteSegments, fanout.RouteCoordinator}[i%2]
		path := filepath.Join(t.TempDir(), "dump")
		writeStockFile(t, path, fanout.FormatCustom, func(target fanout.StockTarget) error {
			r, err := fanout.DumpStock(t.Context(), target, fanout.DumpOptions{Cluster: cluster, Route: route, Jobs: 2, BarrierTimeout: time.Minute},
				fanout.StockOptions{Format: fanout.FormatCustom, Codec: archive.CodecGzip})
			if err == nil && r.Route != route {
				t.Errorf("route %s, want %s", r.Route, route)
			}
			return err
		})
		if got := sumOf(t, path, "balance"); got != shardTotal {
			t.Errorf("dump %d, route %s: %d in all accounts, want %d", i, route, got, shardTotal)
		}
	}
	b.check()
	noDeadlocks(t, sh, db)
	noLocksLeft(t, sh, db)
}

// sumOf sums a column over all tables of a dump that have it.
func sumOf(t *testing.T, path, column string) (sum int) {
	t.Helper()
	d, err := pgdump.Open(path, pgdump.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cat, err := d.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	for i := range cat.Entries {
		for _, s := range d.TableStreams(cat.Entries[i].ID) {
			at := slices.Index(s.Columns, column)
			if at < 0 {
				continue
			}
			var text strings.Builder
			if err := d.StreamRows(t.Context(), s.ID, func(b []byte) error { text.Write(b); return nil }); err != nil {
				t.Fatal(err)
			}
			for row := range strings.Lines(text.String()) {
				n, err := strconv.Atoi(strings.TrimSpace(strings.Split(row, "\t")[at]))
				if err != nil {
					t.Fatal(err)
				}
				sum += n
			}
		}
	}
	return sum
}
