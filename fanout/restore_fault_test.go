package fanout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/internal/pgtest"
)

// tripwire is a Progress that does something once, when the restore has loaded some rows.
type tripwire struct {
	silent
	once sync.Once
	do   func()
}

func (w *tripwire) Advance(uint64, uint64) { w.once.Do(w.do) }

// heavyArchive holds tables that take several blocks each.
func heavyArchive(t *testing.T, srv *pgtest.Server) []byte {
	t.Helper()
	src := srv.CreateDB(t)
	srv.Exec(t, src, `CREATE TABLE one AS SELECT g AS i, repeat('x', 200) AS v FROM generate_series(1, 40000) g;
CREATE TABLE two AS TABLE one; CREATE INDEX ON one (i); CREATE INDEX ON two (v)`)
	return makeArchive(t, srv, src, archiveRecipe{block: 64 << 10})
}

// interrupted restores with something going wrong once rows are on their way, and checks that nothing is left.
func interrupted(t *testing.T, srv *pgtest.Server, b []byte, o RestoreOptions, wrong func(db string, cancel func())) error {
	t.Helper()
	dst := srv.CreateDB(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if o.Target == nil {
		o.Target = config(t, srv, dst)
	} else {
		o.Target = o.Target.With(wireDatabase(dst))
	}
	o.Jobs, o.Progress = 3, &tripwire{do: func() { wrong(dst, cancel) }}
	var res *RestoreResult
	var err error
	leavesNothing(t, func() { res, err = restore(ctx, openArchive(t, b), o, smallLimits()) })
	srv.WaitNoSessions(t, dst)
	if err == nil {
		t.Fatalf("no error; %+v", res)
	}
	if res == nil || res.Tables == 2 {
		t.Fatalf("result %+v", res)
	}
	return err
}

func TestRestoreCancelled(t *testing.T) {
	srv := pgtest.Shared(t)
	b := heavyArchive(t, srv)
	for _, o := range []RestoreOptions{{}, {SingleTransaction: true}} {
		err := interrupted(t, srv, b, o, func(_ string, cancel func()) { cancel() })
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "restore interrupted") {
			t.Errorf("error %v", err)
		}
	}
}

func TestRestoreBackendKilled(t *testing.T) {
	srv := pgtest.Shared(t)
	err := interrupted(t, srv, heavyArchive(t, srv), RestoreOptions{}, func(db string, _ func()) {
		srv.Exec(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+db+"'")
	})
	for _, want := range []string{"TABLE DATA public.", "session was lost", "of 2 tables are loaded"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestRestoreConnectionCut(t *testing.T) {
	srv := pgtest.Shared(t)
	b := heavyArchive(t, srv)
	proxy := pgtest.NewProxy(t, srv.TCPAddr())
	target := parse(t, proxy.Conninfo("postgres"))
	err := interrupted(t, srv, b, RestoreOptions{Target: target}, func(string, func()) { proxy.Cut() })
	if !strings.Contains(err.Error(), "session was lost") {
		t.Errorf("error %v", err)
	}
}

// TestRestoreCutWhileCommitting: a session that is lost before the answer to its COMMIT comes has changed all or nothing, and it can't be said which.
func TestRestoreCutWhileCommitting(t *testing.T) {
	srv := pgtest.Shared(t)
	src, dst := srv.CreateDB(t), srv.CreateDB(t)
	srv.Exec(t, src, "CREATE TABLE t AS SELECT 1 AS i")
	b := makeArchive(t, srv, src, archiveRecipe{})
	srv.Exec(t, dst, `CREATE TABLE t (i int); CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()`)
	proxy := pgtest.NewProxy(t, srv.TCPAddr())
	ended := make(chan error)
	go func() {
		_, err := Restore(t.Context(), openArchive(t, b), RestoreOptions{
			Target: parse(t, proxy.Conninfo(dst)), DataOnly: true, SingleTransaction: true,
		})
		ended <- err
	}()
	committing := "SELECT count(*) FROM pg_stat_activity WHERE datname = '" + dst + "' AND query = 'COMMIT' AND state = 'active'"
	for srv.QueryString(t, dst, committing) == "0" {
		select {
		case err := <-ended:
			t.Fatalf("it did not come to that: %v", err)
		default:
		}
	}
	proxy.Cut()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "holds all of it, or nothing was changed") {
		t.Errorf("error %v", err)
	}
}

// TestRestoreCancelledWhileWaiting: a statement that waits for a lock is cancelled at once, not after the lock is gone.
func TestRestoreCancelledWhileWaiting(t *testing.T) {
	srv := pgtest.Shared(t)
	src, dst := srv.CreateDB(t), srv.CreateDB(t)
	srv.Exec(t, src, "CREATE TABLE t AS SELECT 1 AS i")
	b := makeArchive(t, srv, src, archiveRecipe{})
	srv.Exec(t, dst, "CREATE TABLE t (i int)")
	holder := connectTo(t, srv, dst)
	_, err := holder.Exec(t.Context(), "BEGIN; LOCK public.t IN SHARE MODE")
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan struct{})
	go func() { // ends with the restore's COPY waiting for the lock
		defer close(waiting)
		for ctx.Err() == nil {
			if srv.QueryString(t, dst, "SELECT count(*) FROM pg_locks WHERE NOT granted") != "0" {
				cancel()
			}
		}
	}()
	_, err = Restore(ctx, openArchive(t, b), RestoreOptions{Target: config(t, srv, dst), DataOnly: true})
	cancel()
	<-waiting
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestRestoreSkipsOthersLargeObjects: a large object that exists keeps its bytes if the restore may not replace it.
func TestRestoreSkipsOthersLargeObjects(t *testing.T) {
	srv := pgtest.Shared(t)
	src, dst := srv.CreateDB(t), srv.CreateDB(t)
	srv.Exec(t, src, `SELECT lo_from_bytea(1001, 'new'), lo_from_bytea(1002, 'new')`)
	b := makeArchive(t, srv, src, archiveRecipe{})
	if catalog, err := openArchive(t, b).Catalog(); err != nil || catalog.TOCVersion >= "1.16" {
		t.Skipf("this pg_dump makes one entry of both large objects, so that both fail (%v)", err)
	}
	srv.Exec(t, dst, `SELECT lo_from_bytea(1001, 'theirs')`)
	res, err := tryRestore(t, srv, dst, b, RestoreOptions{Append: true}, defaultRestoreLimits())
	check(t, err)
	if got := srv.QueryString(t, dst, `SELECT encode(lo_get(1001), 'escape'), encode(lo_get(1002), 'escape')`); got != "theirs|new" {
		t.Errorf("large objects hold %s", got)
	}
	if len(res.Failures) != 1 || len(res.Mismatches) != 0 || len(res.Warnings) != 1 {
		t.Errorf("%+v", res)
	}
}

// TestRestoreBlobsWithoutOwner: a large object whose owner is not there has been made, and gets its bytes as a table gets its rows.
func TestRestoreBlobsWithoutOwner(t *testing.T) {
	srv := pgtest.Shared(t)
	src, dst := srv.CreateDB(t), srv.CreateDB(t)
	srv.Exec(t, src, `CREATE ROLE blob_owner`)
	srv.Exec(t, src, `SELECT lo_from_bytea(2001, 'one'), lo_from_bytea(2002, 'two'), lo_create(2003)`)
	srv.Exec(t, src, `ALTER LARGE OBJECT 2001 OWNER TO blob_owner`)
	srv.Exec(t, src, `ALTER LARGE OBJECT 2003 OWNER TO blob_owner`)
	b := makeArchive(t, srv, src, archiveRecipe{})
	srv.Exec(t, src, `REASSIGN OWNED BY blob_owner TO CURRENT_USER`)
	srv.Exec(t, src, `DROP ROLE blob_owner`)
	res, err := tryRestore(t, srv, dst, b, RestoreOptions{}, defaultRestoreLimits())
	check(t, err)
	want := "2001:one,2002:two,2003:"
	if got := srv.QueryString(t, dst,
		`SELECT string_agg(oid || ':' || encode(lo_get(oid), 'escape'), ',' ORDER BY oid) FROM pg_largeobject_metadata`); got != want {
		t.Errorf("large objects hold %s, want %s", got, want)
	}
	if len(res.Failures) == 0 || len(res.Mismatches) != 0 || len(res.Warnings) != 0 {
		t.Errorf("%+v", res)
	}
}

// TestRestoreGoesOnAfterWorkerKilled: a parallel worker that is ended fails its statement with the error of a session that ends, which lives on.
func TestRestoreGoesOnAfterWorkerKilled(t *testing.T) {
	srv := pgtest.Shared(t)
	src, dst := srv.CreateDB(t), srv.CreateDB(t)
	srv.Exec(t, src, `CREATE FUNCTION f(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
	IF current_database() <> '`+src+`' THEN RAISE EXCEPTION 'terminating connection due to administrator command' USING ERRCODE = '57P01'; END IF;
	RETURN i; END $$; CREATE TABLE t AS SELECT 1 AS i; CREATE INDEX t_bad ON t (public.f(i)); CREATE INDEX t_good ON t (i)`)
	res, err := tryRestore(t, srv, dst, makeArchive(t, srv, src, archiveRecipe{}), RestoreOptions{}, defaultRestoreLimits())
	check(t, err)
	if len(res.Failures) != 1 || res.Failures[0].Entry.Name != "t_bad" {
		t.Errorf("failures %v", res.Failures)
	}
	if got := srv.QueryString(t, dst, `SELECT string_agg(relname, ',') FROM pg_class WHERE relname IN ('t_bad', 't_good')`); got != "t_good" {
		t.Errorf("indexes %s", got)
	}
}

// TestRestoreWithoutOwner: an object whose owner is not there has been made, gets its rows, and the failure says who owns it.
func TestRestoreWithoutOwner(t *testing.T) {
	srv := pgtest.Shared(t)
	src, dst := srv.CreateDB(t), srv.CreateDB(t)
	srv.Exec(t, src, `CREATE ROLE table_owner; CREATE TABLE t AS SELECT 1 AS i; ALTER TABLE t OWNER TO table_owner`)
	b := makeArchive(t, srv, src, archiveRecipe{})
	srv.Exec(t, src, `REASSIGN OWNED BY table_owner TO CURRENT_USER; DROP ROLE table_owner`)
	res, err := tryRestore(t, srv, dst, b, RestoreOptions{NoDataForFailedTables: true}, defaultRestoreLimits())
	check(t, err)
	want := fmt.Sprintf(`TABLE public.t: made, and owned by "%s", since it could not be given to "table_owner"`, srv.QueryString(t, dst, "SELECT current_user"))
	if len(res.Failures) != 1 || !strings.HasPrefix(res.Failures[0].Error(), want) {
		t.Errorf("failures %v, want %s", res.Failures, want)
	}
	if got := srv.QueryString(t, dst, "SELECT count(*) FROM t"); got != "1" || res.Rows != 1 {
		t.Errorf("%s rows, %d counted", got, res.Rows)
	}
	res, err = tryRestore(t, srv, srv.CreateDB(t), b, RestoreOptions{SingleTransaction: true}, defaultRestoreLimits())
	if err == nil || strings.Contains(err.Error(), "made, and owned by") {
		t.Errorf("single transaction: %v, %+v", err, res)
	}
}

// TestBlobWriterRefuses: a row that is not a chunk never reaches the server.
func TestBlobWriterRefuses(t *testing.T) {
	for _, row := range []string{
		"", "1", "1\t0", "1\t0\t\\\\x00\t", "x\t0\t\\\\x00", "1\t-1\t\\\\x00", "1\t0\t\\\\x0'", "1\t0\t00", "99999999999\t0\t\\\\x00",
	} {
		var w blobWriter
		if err := w.add([]byte(row)); !errors.Is(err, errChunk) {
			t.Errorf("%q: %v", row, err)
		}
	}
}

// TestFeederCountsLargeRows: a row of many parts counts as one, with the digest that it has in one piece.
func TestFeederCountsLargeRows(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	srv.Exec(t, src, "CREATE TABLE wide AS SELECT repeat(g::text, 100000) AS v FROM generate_series(1, 5) g")
	a := openArchive(t, makeArchive(t, srv, src, archiveRecipe{block: 32 << 10}))
	s := a.Streams()[0]
	l := &tableLoad{entry: &entryLoad{}}
	l.setStreams(a, []archive.Stream{s}, false)
	defer l.end()
	f := feeder{load: l, decoder: a.NewDecoder(), progress: silent{}}
	defer f.decoder.Close()
	n := 0
	check(t, f.decodeAll(t.Context(), func(p []byte) error { n += len(p); return nil }))
	if f.digest != s.Digest || uint64(n) != s.Digest.Bytes || s.Digest.Rows != 5 {
		t.Errorf("digest %v of %d bytes, want %v", f.digest, n, s.Digest)
	}
}
