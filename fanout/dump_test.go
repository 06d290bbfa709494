package fanout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

func cluster(t *testing.T, conninfo string) *fanout.Cluster {
	t.Helper()
	cfg, err := wire.ParseConfig(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	c, err := topology.Discover(t.Context(), cfg, topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func reader(t *testing.T, file []byte) *archive.Reader {
	t.Helper()
	a, err := archive.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// tableRows maps each table of an archive that has rows in it to their number.
func tableRows(t *testing.T, file []byte) map[string]uint64 {
	t.Helper()
	rows := make(map[string]uint64)
	for _, s := range reader(t, file).Streams() {
		rows[s.Schema+"."+s.Table] += s.Digest.Rows
	}
	return rows
}

// TestDumpSplitsLargeTable reads one table over several sessions by ctid ranges, without losing or doubling a row.
func TestDumpSplitsLargeTable(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `CREATE TABLE big AS SELECT g AS id, repeat(md5(g::text), 12) AS filler FROM generate_series(1, 200000) g;
DELETE FROM big WHERE id % 7 = 0; INSERT INTO big SELECT -g, 'x' FROM generate_series(1, 1000) g`)
	var file pgtest.Memory
	dumpTo(t, srv.Conninfo(db), &file, fanout.DumpOptions{Jobs: 3, Codec: archive.CodecZstd})
	a := reader(t, file.Bytes())
	if n := len(a.Streams()); n < 2 && cluster(t, srv.Conninfo(db)).Dialect.TIDRangeScan {
		t.Errorf("%d stream, want several", n)
	}
	var ranged, whole archive.Digest
	for _, s := range a.Streams() {
		ranged.Merge(s.Digest)
	}
	file = pgtest.Memory{}
	dumpTo(t, srv.Conninfo(db), &file, fanout.DumpOptions{Jobs: 1})
	for _, s := range reader(t, file.Bytes()).Streams() {
		whole.Merge(s.Digest)
	}
	if ranged != whole {
		t.Errorf("over several sessions %v, over one %v", ranged, whole)
	}
}

// TestDumpFilters compares which tables have rows in the archive for each filter.
func TestDumpFilters(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `CREATE SCHEMA s1; CREATE SCHEMA "S 2";
CREATE TABLE public.a AS SELECT 1 AS x; CREATE TABLE s1.a AS SELECT 1 AS x; CREATE TABLE s1.b AS SELECT 1 AS x;
CREATE TABLE "S 2"."A.b" AS SELECT 1 AS x`)
	for name, c := range map[string]struct {
		o    fanout.DumpOptions
		want []string
	}{
		"everything":     {fanout.DumpOptions{}, []string{"S 2.A.b", "public.a", "s1.a", "s1.b"}},
		"-n":             {fanout.DumpOptions{Filter: fanout.Filter{Schemas: []string{"s*"}}}, []string{"s1.a", "s1.b"}},
		"-N":             {fanout.DumpOptions{Filter: fanout.Filter{ExcludeSchemas: []string{"s1"}}}, []string{"S 2.A.b", "public.a"}},
		"-t visible":     {fanout.DumpOptions{Filter: fanout.Filter{Tables: []string{"a"}}}, []string{"public.a"}},
		"-t everywhere":  {fanout.DumpOptions{Filter: fanout.Filter{Tables: []string{"*.a"}}}, []string{"public.a", "s1.a"}},
		"-t quoted":      {fanout.DumpOptions{Filter: fanout.Filter{Tables: []string{`"S 2"."A.b"`}}}, []string{"S 2.A.b"}},
		"-T":             {fanout.DumpOptions{Filter: fanout.Filter{ExcludeTables: []string{"s1.*"}}}, []string{"S 2.A.b", "public.a"}},
		"no data of one": {fanout.DumpOptions{Filter: fanout.Filter{ExcludeTableData: []string{"s1.b"}}}, []string{"S 2.A.b", "public.a", "s1.a"}},
		"-s":             {fanout.DumpOptions{SchemaOnly: true}, nil},
		"-a":             {fanout.DumpOptions{DataOnly: true}, []string{"S 2.A.b", "public.a", "s1.a", "s1.b"}},
		"pre-data":       {fanout.DumpOptions{Sections: []string{"pre-data"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var file pgtest.Memory
			dumpTo(t, srv.Conninfo(db), &file, c.o)
			var got []string
			for _, s := range reader(t, file.Bytes()).Streams() {
				got = append(got, s.Schema+"."+s.Table)
			}
			slices.Sort(got)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	c := cluster(t, srv.Conninfo(db))
	_, err := fanout.Dump(t.Context(), io.Discard, fanout.DumpOptions{Cluster: c, Filter: fanout.Filter{Tables: []string{"nowhere"}}})
	if !errors.Is(err, fanout.ErrNothingMatches) {
		t.Errorf("-t nowhere: %v, want ErrNothingMatches", err)
	}
}

// gate is a writer that stops at its second write, when the catalog is known and rows are on their way, until opened.
type gate struct {
	pgtest.Memory
	writes  int
	reached chan struct{}
	open    chan struct{}
	err     error // returned once open
}

func newGate(err error) *gate {
	return &gate{reached: make(chan struct{}), open: make(chan struct{}), err: err}
}

// meanwhile calls fn while the gate is closed, and then opens it.
func (g *gate) meanwhile(fn func()) {
	go func() {
		<-g.reached
		fn()
		close(g.open)
	}()
}

func (g *gate) Write(p []byte) (int, error) {
	g.writes++
	if g.writes == 2 {
		close(g.reached)
		<-g.open
	}
	if g.writes >= 2 && g.err != nil {
		return 0, g.err
	}
	return g.Memory.Write(p)
}

// manyTables makes enough rows to keep the sessions at work while the gate is closed.
func manyTables(t *testing.T, srv *pgtest.Server, db string) {
	t.Helper()
	var sql strings.Builder
	for i := range 12 {
		fmt.Fprintf(&sql, "CREATE TABLE t%02d AS SELECT g AS id, repeat('x', 900) AS filler FROM generate_series(1, %d) g;\n", i, 20000-i*1000)
	}
	srv.Exec(t, db, sql.String())
}

// TestDumpWhileDDLWaits has an ALTER TABLE queue behind the leader's lock before a worker asks for its own: the leader
// reads that table, and nobody waits for the other.
func TestDumpWhileDDLWaits(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	manyTables(t, srv, db)
	g := newGate(nil)
	var altered sync.WaitGroup
	altered.Go(func() {
		<-g.reached
		altered.Go(func() { srv.Exec(t, db, "ALTER TABLE t11 ADD COLUMN late int") })
		for srv.QueryString(t, db, "SELECT count(*) FROM pg_locks WHERE NOT granted") == "0" {
			time.Sleep(5 * time.Millisecond)
		}
		close(g.open)
	})
	_, err := fanout.Dump(t.Context(), g, fanout.DumpOptions{Cluster: cluster(t, srv.Conninfo(db)), Jobs: 2})
	altered.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got := tableRows(t, g.Bytes())["public.t11"]; got != 9000 {
		t.Errorf("t11 has %d rows in the archive, want 9000", got)
	}
	if srv.QueryString(t, db, "SELECT count(*) FROM information_schema.columns WHERE table_name = 't11'") != "3" {
		t.Error("the ALTER TABLE did not get its turn")
	}
}

// isReading tells the sessions that read tables. They are ahead of the writer as far as they can be; one that waits for it has
// sent all of a table, perhaps.
const isReading = "(query LIKE 'COPY%' OR query LIKE 'ROLLBACK TO SAVEPOINT batch%')"

// TestDumpFaults breaks a dump in the middle: it fails with a cause that can be told, and leaves no session behind.
func TestDumpFaults(t *testing.T) {
	srv := pgtest.Start(t)
	db := srv.CreateDB(t)
	manyTables(t, srv, db)
	kill := func(which string) func(context.CancelFunc) {
		return func(context.CancelFunc) { srv.KillSessions(t, db, which) }
	}
	errDisk := fmt.Errorf("write out.pgark: %w", syscall.ENOSPC)
	for name, c := range map[string]struct {
		fault func(context.CancelFunc)
		err   error // of the writer
		want  func(error) bool
	}{
		"a reading session is killed": {fault: kill(isReading), want: isServerOrLost},
		"the leader is killed":        {fault: kill("NOT " + isReading), want: isServerOrLost},
		"cancelled":                   {fault: func(c context.CancelFunc) { c() }, want: func(err error) bool { return errors.Is(err, context.Canceled) }},
		"disk full":                   {fault: func(context.CancelFunc) {}, err: errDisk, want: func(err error) bool { return errors.Is(err, syscall.ENOSPC) }},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			g := newGate(c.err)
			g.meanwhile(func() { c.fault(cancel) })
			_, err := fanout.Dump(ctx, g, fanout.DumpOptions{Cluster: cluster(t, srv.Conninfo(db)), Jobs: 2})
			if err == nil || !c.want(err) {
				t.Errorf("error: %v", err)
			}
			srv.WaitNoSessions(t, db)
		})
	}
}

func isServerOrLost(err error) bool {
	var se *wire.ServerError
	return errors.As(err, &se) || wire.IsConnLost(err)
}

// TestDumpServerStops stops the server in the middle of a dump.
func TestDumpServerStops(t *testing.T) {
	srv := pgtest.Start(t)
	db := srv.CreateDB(t)
	manyTables(t, srv, db)
	g := newGate(nil)
	g.meanwhile(func() { srv.Kill(t) })
	_, err := fanout.Dump(t.Context(), g, fanout.DumpOptions{Cluster: cluster(t, srv.Conninfo(db)), Jobs: 2})
	if err == nil || !isServerOrLost(err) {
		t.Errorf("error: %v", err)
	}
}

// TestDumpStalledConnectionCanBeInterrupted dumps through a proxy that stops to pass bytes on.
func TestDumpStalledConnectionCanBeInterrupted(t *testing.T) {
	srv := pgtest.Start(t)
	db := srv.CreateDB(t)
	manyTables(t, srv, db)
	proxy := pgtest.NewProxy(t, srv.TCPAddr())
	host, port, _ := strings.Cut(proxy.Addr(), ":")
	conninfo := fmt.Sprintf("host=%s port=%s user=postgres dbname=%s sslmode=disable", host, port, db)
	for name, fault := range map[string]func(){"stall": proxy.Stall, "cut": proxy.Cut} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			g := newGate(nil)
			go func() {
				<-g.reached
				fault()
				close(g.open)
				if name == "stall" {
					cancel()
				}
			}()
			_, err := fanout.Dump(ctx, g, fanout.DumpOptions{Cluster: cluster(t, conninfo), Jobs: 2})
			if err == nil {
				t.Error("no error")
			}
			proxy.Resume()
			srv.WaitNoSessions(t, db)
		})
	}
}

// TestDumpRefusals are dumps that can't be had, each with a cause that a command can tell apart.
func TestDumpRefusals(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	role := "dumper_" + db
	srv.Exec(t, db, "CREATE TABLE open AS SELECT 1 AS x; CREATE TABLE secret AS SELECT 1 AS x; CREATE ROLE "+role+" LOGIN; GRANT SELECT ON open TO "+role)
	t.Cleanup(func() { srv.Exec(t, db, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	try := func(conninfo string, o fanout.DumpOptions) error {
		o.Cluster = cluster(t, conninfo)
		_, err := fanout.Dump(t.Context(), io.Discard, o)
		return err
	}
	if err := try(srv.Conninfo(db)+" user="+role, fanout.DumpOptions{}); !wire.IsPermission(err) || !strings.Contains(err.Error(), "secret") {
		t.Errorf("no right on a table: %v", err)
	}
	held, release := hold(t, srv, db, "LOCK TABLE open IN ACCESS EXCLUSIVE MODE")
	<-held
	err := try(srv.Conninfo(db), fanout.DumpOptions{LockWait: 50 * time.Millisecond})
	release()
	if !wire.IsLockTimeout(err) {
		t.Errorf("a lock is held: %v", err)
	}
	script := func(text string) string {
		path := filepath.Join(t.TempDir(), "pg_dump")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil { //nolint:gosec // it has to be run
			t.Fatal(err)
		}
		return path
	}
	if err := try(srv.Conninfo(db), fanout.DumpOptions{PgDumpPath: "/nowhere/pg_dump"}); !errors.Is(err, fanout.ErrPgDumpMissing) {
		t.Errorf("pg_dump is missing: %v", err)
	}
	if err := try(srv.Conninfo(db), fanout.DumpOptions{PgDumpPath: script("echo 'pg_dump (PostgreSQL) 9.6.24'")}); !errors.Is(err, fanout.ErrPgDumpTooOld) {
		t.Errorf("pg_dump is too old: %v", err)
	}
	failing := script(`case "$1" in --version) echo "pg_dump (PostgreSQL) 18.1";; *) echo "pg_dump: error: no luck" >&2; exit 1;; esac`)
	if err := try(srv.Conninfo(db), fanout.DumpOptions{PgDumpPath: failing}); err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("pg_dump fails: %v", err)
	}
	srv.WaitNoSessions(t, db)
}

// hold opens a transaction that does sql and keeps it open until release.
func hold(t *testing.T, srv *pgtest.Server, db, sql string) (held <-chan struct{}, release func()) {
	t.Helper()
	cfg, err := wire.ParseConfig(srv.Conninfo(db))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := wire.Connect(t.Context(), cfg, wire.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "BEGIN; "+sql); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	close(ready)
	return ready, func() { _ = conn.Close(context.WithoutCancel(t.Context())) }
}

// TestDumpIgnoresRoleSettings dumps as a role whose settings would stop or falsify a dump.
func TestDumpIgnoresRoleSettings(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	role := "odd_" + db
	srv.Exec(t, db, `CREATE TABLE t AS SELECT timestamptz '2020-01-01 12:00+00' AS ts, interval '1 day 2 hours' AS i, 0.1::float8 AS f, '\x00ff'::bytea AS b;
CREATE ROLE `+role+` LOGIN SUPERUSER`)
	t.Cleanup(func() { srv.Exec(t, db, "DROP ROLE "+role) })
	var plain, odd bytes.Buffer
	dumpTo(t, srv.Conninfo(db), &plain, fanout.DumpOptions{})
	for _, s := range []string{
		"statement_timeout = '1ms'", "lock_timeout = '1ms'", "DateStyle = 'SQL, DMY'", "TimeZone = 'Asia/Kolkata'", "IntervalStyle = 'iso_8601'",
		"extra_float_digits = -10", "bytea_output = 'escape'", "search_path = 'nowhere'", "client_encoding = 'LATIN1'", "row_security = on",
		"default_transaction_read_only = on", "default_transaction_isolation = 'serializable'", "idle_in_transaction_session_timeout = '1ms'",
	} {
		srv.Exec(t, db, "ALTER ROLE "+role+" SET "+s)
	}
	dumpTo(t, strings.Replace(srv.Conninfo(db), "user=postgres", "user="+role, 1), &odd, fanout.DumpOptions{})
	if a, b := reader(t, plain.Bytes()).Streams()[0].Digest, reader(t, odd.Bytes()).Streams()[0].Digest; a != b {
		t.Errorf("as superuser %v, as a role with odd settings %v", a, b)
	}
}

// TestDumpExtensionConfiguration keeps the rows that an extension's filter lets through, and no others.
func TestDumpExtensionConfiguration(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `CREATE EXTENSION hstore; CREATE TABLE conf (id int, mine bool); INSERT INTO conf VALUES (1, true), (2, false), (3, true);
ALTER EXTENSION hstore ADD TABLE conf;
UPDATE pg_extension SET extconfig = ARRAY['conf'::regclass::oid], extcondition = ARRAY['WHERE mine'] WHERE extname = 'hstore'`)
	var file pgtest.Memory
	dumpTo(t, srv.Conninfo(db), &file, fanout.DumpOptions{})
	if got := tableRows(t, file.Bytes())["public.conf"]; got != 2 {
		t.Errorf("%d rows of the configuration table, want 2", got)
	}
}

// TestDumpOnlyLargeObjects: where no table has rows, large objects are the first thing that pg_dump wants to read, and from version 17 on
// it does so with other messages than queries.
func TestDumpOnlyLargeObjects(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `CREATE TABLE t (id int); SELECT lo_from_bytea(3001, 'one'), lo_from_bytea(3002, 'two')`)
	programs := []string{""} // the server's
	for _, major := range []int{17, 18} {
		programs = append(programs, pgtest.StockClient(t, major, "pg_dump"))
	}
	for _, program := range programs {
		var file pgtest.Memory
		dumpTo(t, srv.Conninfo(db), &file, fanout.DumpOptions{PgDumpPath: program, Filter: fanout.Filter{ExcludeTableData: []string{"t"}}})
		rows := uint64(0)
		for _, s := range reader(t, file.Bytes()).Streams() {
			rows += s.Digest.Rows
		}
		if rows != 2 {
			t.Errorf("pg_dump %q: %d chunks of large objects, want 2", program, rows)
		}
	}
}
