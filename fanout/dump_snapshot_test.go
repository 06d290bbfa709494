package fanout_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// exported begins a transaction that shows the database as it is, and gives the name of its snapshot.
func exported(t *testing.T, conninfo string) string {
	t.Helper()
	conn := openSession(t, conninfo, "exporter")
	if _, err := conn.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ"); err != nil {
		t.Fatal(err)
	}
	name, err := conn.QueryString(t.Context(), "SELECT pg_catalog.pg_export_snapshot()")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

const snapshotSQL = `CREATE TABLE t AS SELECT g AS i, md5(g::text) AS v FROM generate_series(1, 100000) g;
CREATE TABLE pair AS SELECT 1 AS x, 2 AS y; CREATE TABLE p (i int) PARTITION BY RANGE (i); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (9);
INSERT INTO p VALUES (1), (2)`

// A snapshot from before shows what was there then, whatever was written since.
func TestDumpGivenSnapshot(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, snapshotSQL)
	name := exported(t, srv.Conninfo(db))
	srv.Exec(t, db, "DELETE FROM t WHERE i % 2 = 0; UPDATE pair SET x = 3; INSERT INTO p VALUES (3); CREATE TABLE later AS SELECT 1")
	var now, then bytes.Buffer
	for range 2 { // the snapshot is still there for another dump
		then.Reset()
		if r := dumpTo(t, srv.Conninfo(db), &then, fanout.DumpOptions{Snapshot: name, Jobs: 3}); r.Promise != fanout.PromiseSnapshot {
			t.Errorf("promise %s", r.Promise)
		}
	}
	if d := cmp.Diff(map[string]uint64{"public.t": 100000, "public.pair": 1, "public.p1": 2}, tableRows(t, then.Bytes())); d != "" {
		t.Error(d)
	}
	dumpTo(t, srv.Conninfo(db), &now, fanout.DumpOptions{})
	if d := cmp.Diff(map[string]uint64{"public.t": 50000, "public.pair": 1, "public.p1": 3, "public.later": 1}, tableRows(t, now.Bytes())); d != "" {
		t.Error(d)
	}
}

// What the server would read as something else by now is an error, and nothing that is not in the dump is.
func TestDumpGivenSnapshotChanged(t *testing.T) {
	srv := pgtest.Shared(t)
	for name, c := range map[string]struct{ sql, want string }{
		"truncated":       {"TRUNCATE t", `"public"."t" was truncated, rewritten or altered since`},
		"filled again":    {"BEGIN; TRUNCATE p1; INSERT INTO p VALUES (1), (2); COMMIT", `"public"."p1" was truncated, rewritten or altered since`},
		"rewritten":       {"ALTER TABLE t ALTER i TYPE bigint", `"public"."t" was truncated, rewritten or altered since`},
		"columns swapped": {"ALTER TABLE pair RENAME x TO z; ALTER TABLE pair RENAME y TO x; ALTER TABLE pair RENAME z TO y", `"public"."pair" was truncated, rewritten or altered since`},
		"column dropped":  {"ALTER TABLE pair DROP x", `"public"."pair" was truncated, rewritten or altered since`},
		"dropped":         {"DROP TABLE pair", `"public"."pair" was dropped since`},
		"another one":     {"DROP TABLE pair; CREATE TABLE pair AS SELECT 1 AS x, 2 AS y", `"public"."pair" was dropped since`},
		"renamed":         {"ALTER TABLE pair RENAME TO pairs", `"public"."pair" was truncated, rewritten or altered since`},
		"schema renamed":  {"ALTER SCHEMA public RENAME TO private", `was truncated, rewritten or altered since`},
	} {
		t.Run(name, func(t *testing.T) {
			db := srv.CreateDB(t)
			srv.Exec(t, db, snapshotSQL)
			snapshot := exported(t, srv.Conninfo(db))
			srv.Exec(t, db, c.sql)
			_, err := fanout.Dump(t.Context(), &bytes.Buffer{}, fanout.DumpOptions{Cluster: cluster(t, srv.Conninfo(db)), Snapshot: snapshot})
			if err == nil || !strings.Contains(err.Error(), "take a new one: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

// A table that is none of the snapshot's, and is dropped before it can be locked, is no reason to give up.
func TestDumpGivenSnapshotElsewhereDropped(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, snapshotSQL)
	name := exported(t, srv.Conninfo(db))
	srv.Exec(t, db, "CREATE TABLE later AS SELECT 1 AS i")
	dropping := openSession(t, srv.Conninfo(db), "dropping")
	if _, err := dropping.Exec(t.Context(), "BEGIN; DROP TABLE later"); err != nil {
		t.Fatal(err)
	}
	go func() {
		for range 500 {
			time.Sleep(20 * time.Millisecond)
			n, err := dropping.QueryString(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted")
			if err != nil || n != "0" {
				break
			}
		}
		_, _ = dropping.Exec(t.Context(), "COMMIT")
	}()
	var file pgtest.Memory
	dumpTo(t, srv.Conninfo(db), &file, fanout.DumpOptions{Snapshot: name})
	if rows := tableRows(t, file.Bytes()); rows["public.t"] != 100000 || len(rows) != 3 {
		t.Errorf("rows %v", rows)
	}
}

func TestDumpGivenSnapshotRefused(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	c := cluster(t, srv.Conninfo(db))
	var se *wire.ServerError
	if _, err := fanout.Dump(t.Context(), &bytes.Buffer{}, fanout.DumpOptions{Cluster: c, Snapshot: "00000003-0000001B-1'"}); !errors.As(err, &se) {
		t.Errorf("error %v", err)
	}
	several := *c
	several.Layout = fanout.LayoutForeign
	for _, o := range []fanout.DumpOptions{{Cluster: c, Route: fanout.RouteSegments}, {Cluster: &several}} {
		o.Snapshot = "00000003-0000001B-1"
		if _, err := fanout.Dump(t.Context(), &bytes.Buffer{}, o); !errors.Is(err, fanout.ErrUsage) {
			t.Errorf("error %v", err)
		}
	}
}
