package fanout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// readByCursors reads units into an archive and gives its streams.
func readByCursors(ctx context.Context, conn *wire.Conn, cluster *Cluster, units ...*unit) ([]archive.Stream, error) {
	var out bytes.Buffer
	w, err := archive.NewWriter(&out, archive.WriterOptions{Codec: archive.CodecNone, Database: "test", Tool: "test"})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(w.SetMoment(&archive.Moment{Route: RouteCursors, Promise: PromiseSnapshot}), w.SetCatalog(&archive.Catalog{})); err != nil {
		return nil, err
	}
	p := newPipeline(w, 3)
	g, ctx := errgroup.WithContext(ctx)
	p.startEncoders(ctx, g, archive.CodecNone, 0)
	g.Go(func() error { return p.append(ctx, func(*unit) int32 { return 0 }, silent{}) })
	g.Go(func() error {
		r := newCursorReader(conn, p, cluster)
		defer r.close(ctx)
		for _, u := range units {
			if err := r.read(ctx, u); err != nil {
				return err
			}
		}
		close(p.encode)
		close(p.ordered)
		return nil
	})
	if err := g.Wait(); err != nil {
		w.Abort()
		return nil, err
	}
	for _, u := range units {
		if u.table.units != 0 {
			return nil, fmt.Errorf("%s: %d streams are still to come", u.name(), u.table.units)
		}
	}
	if _, err := w.Close(); err != nil {
		return nil, err
	}
	r, err := archive.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		return nil, err
	}
	return r.Streams(), nil
}

// copyDigest is the digest of what COPY gives.
func copyDigest(t *testing.T, conn *wire.Conn, sql string) archive.Digest {
	t.Helper()
	o, err := conn.CopyOut(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	buf := make([]byte, 4<<20)
	for {
		n, _, err := o.Fill(t.Context(), buf)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text.Write(buf[:n])
	}
	var d archive.Digest
	if err := d.AddRows(text.Bytes()); err != nil {
		t.Fatal(err)
	}
	return d
}

// aGreenplum is a database of its own on the Greenplum that PGARK_TEST_GREENPLUM names.
type aGreenplum struct {
	cfg     *wire.Config
	cluster *Cluster
}

func newGreenplum(t *testing.T, setup string) *aGreenplum {
	t.Helper()
	conninfo := os.Getenv("PGARK_TEST_GREENPLUM")
	if conninfo == "" {
		t.Skip("PGARK_TEST_GREENPLUM holds no connection string of a Greenplum's coordinator")
	}
	cfg, err := wire.ParseConfig(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	db := fmt.Sprintf("pgark_test_cursors_%d", time.Now().UnixNano())
	g := &aGreenplum{cfg: cfg}
	admin := g.session(t)
	g.exec(t, admin, "CREATE DATABASE "+db)
	t.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), "DROP DATABASE "+db); err != nil {
			t.Error(err)
		}
		closeSession(context.Background(), admin)
	})
	g.cfg = cfg.With(wire.Overrides{Database: db})
	conn := g.session(t)
	defer closeSession(t.Context(), conn)
	g.exec(t, conn, "CREATE EXTENSION gp_parallel_retrieve_cursor; SET search_path = public, pg_catalog")
	g.exec(t, conn, setup)
	g.cluster = &Cluster{
		Layout: LayoutSegments, Coordinator: Node{Name: "coordinator", Content: -1, Config: g.cfg},
		Dialect: Dialect{RetrieveOption: "-c gp_retrieve_conn=true", EndpointsQuery: endpointsOfSession},
	}
	rows, err := conn.QueryStrings(t.Context(), "SELECT content, address, port FROM gp_segment_configuration WHERE role = 'p' AND content >= 0 ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		port, err := strconv.ParseUint(row[2], 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		g.cluster.Nodes = append(g.cluster.Nodes, Node{
			ID: uint32(i + 1), Name: "seg" + row[0], Content: i, Config: g.cfg.With(wire.Overrides{Host: row[1], Port: uint16(port)}),
		})
	}
	return g
}

const endpointsOfSession = `SELECT gp_segment_id, auth_token, cursorname, hostname, port, endpointname
FROM pg_catalog.gp_get_endpoints() WHERE sessionid = pg_catalog.current_setting('gp_session_id')::pg_catalog.int4`

func (g *aGreenplum) session(t *testing.T) *wire.Conn {
	t.Helper()
	conn, err := wire.Connect(t.Context(), g.cfg, wire.TextSettings(""))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func (g *aGreenplum) exec(t *testing.T, conn *wire.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
}

// begin opens a session that is in a transaction of its own.
func (g *aGreenplum) begin(t *testing.T) *wire.Conn {
	t.Helper()
	conn := g.session(t)
	t.Cleanup(func() { closeSession(context.Background(), conn) })
	g.exec(t, conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	return conn
}

// cursorOn makes a unit for a query, as of a large table.
func cursorOn(name, query string) *unit {
	return &unit{
		info: archive.StreamInfo{Schema: "public", Table: name, Form: archive.FormText},
		sql:  query, bytes: cursorMin, table: &tally{units: 1},
	}
}

const cursorTables = `
CREATE TABLE thing (); CREATE TYPE mood AS ENUM ('sad', 'it''s');
CREATE TABLE source AS SELECT i AS id, (CASE WHEN i % 7 = 0 THEN NULL ELSE 'row ' || i || E'\t\\\n\r\b\f\v\x01 é' END)::text AS v, (i / 3.0)::float8 AS f, (i / 7.0)::float4 AS r,
  '2020-03-28 12:00:00+00'::timestamptz + i * interval '1 hour' AS at, i::numeric / 13 AS n, decode(md5(i::text), 'hex') AS b,
  CASE WHEN i % 2 = 0 THEN 'sad'::mood ELSE 'it''s' END AS m, 'thing'::regclass AS c, ARRAY[i, NULL, -i] AS a, interval '1 day' * i AS iv
FROM generate_series(1, 10000) i DISTRIBUTED BY (id);
CREATE TABLE random AS SELECT * FROM source DISTRIBUTED RANDOMLY;
CREATE TABLE replicated AS SELECT * FROM source DISTRIBUTED REPLICATED;
CREATE TABLE ao_row WITH (appendonly = true, compresstype = zlib) AS SELECT * FROM source DISTRIBUTED BY (id);
CREATE TABLE ao_zlib WITH (appendonly = true, orientation = column, compresstype = zlib) AS SELECT * FROM source DISTRIBUTED BY (id);
CREATE TABLE ao_rle WITH (appendonly = true, orientation = column, compresstype = rle_type) AS SELECT * FROM source DISTRIBUTED RANDOMLY;
DELETE FROM ao_row WHERE id % 10 = 0; UPDATE ao_zlib SET v = 'new' WHERE id % 10 = 0;
CREATE TABLE parts (LIKE source) DISTRIBUTED BY (id) PARTITION BY RANGE (id) (START (1) END (10001) EVERY (2500));
INSERT INTO parts SELECT * FROM source;
CREATE TABLE parent (a int, b text) DISTRIBUTED BY (a);
CREATE TABLE child (c int) INHERITS (parent) DISTRIBUTED BY (a);
INSERT INTO parent SELECT i, 'p' FROM generate_series(1, 1000) i; INSERT INTO child SELECT i, 'c', i FROM generate_series(1, 500) i;
CREATE TABLE empty (LIKE source) DISTRIBUTED BY (id);
CREATE TABLE no_columns () DISTRIBUTED RANDOMLY;
CREATE TABLE skewed AS SELECT 1 AS k, i FROM generate_series(1, 1000) i DISTRIBUTED BY (k);
CREATE TABLE wide AS SELECT i, repeat(i || E'\tx', 1000000) AS v FROM generate_series(1, 12) i DISTRIBUTED BY (i);
CREATE TABLE mixed AS SELECT i, repeat('x', CASE WHEN i % 100 = 0 THEN 3000000 ELSE i % 50 END) AS v FROM generate_series(1, 2000) i DISTRIBUTED BY (i);`

// Every kind of table: the rows that COPY through the coordinator gives, each on the node that has it.
func TestGreenplumCursorsReadWhatCopyReads(t *testing.T) {
	g := newGreenplum(t, cursorTables)
	conn := g.begin(t)
	tables := []string{
		"FROM ONLY public.source", "FROM ONLY public.random", "FROM ONLY public.ao_row", "FROM ONLY public.ao_zlib",
		"FROM ONLY public.ao_rle", "FROM ONLY public.parent", "FROM public.parent", "FROM ONLY public.child", "FROM public.parts",
		"FROM ONLY public.parts", "FROM ONLY public.parts_1_prt_2", "FROM ONLY public.empty", "FROM ONLY public.skewed",
		"FROM ONLY public.wide", "FROM ONLY public.mixed", "FROM ONLY public.source WHERE id % 3 = 0",
	}
	for _, from := range tables {
		streams, err := readByCursors(t.Context(), conn, g.cluster, cursorOn(from, "SELECT * "+from))
		if err != nil {
			t.Fatalf("%s: %v", from, err)
		}
		checkStreams(t, conn, from, streams)
	}
	for from, nodes := range map[string][]uint32{
		"FROM ONLY public.replicated": {1, 2, 3}, "FROM ONLY public.source ORDER BY id": {0}, "FROM pg_catalog.pg_am": {0},
	} {
		streams, err := readByCursors(t.Context(), conn, g.cluster, cursorOn(from, "SELECT * "+from))
		if err != nil {
			t.Fatalf("%s: %v", from, err)
		}
		if len(streams) != 1 || !slices.Contains(nodes, streams[0].Node) || streams[0].Digest != copyDigest(t, conn, "COPY (SELECT * "+from+") TO STDOUT") {
			t.Errorf("%s: %v", from, streams)
		}
	}
	// Columns by name, none at all, and many cursors over the same sessions.
	units := []*unit{cursorOn("a", "SELECT v, id FROM ONLY public.source"), cursorOn("b", "SELECT FROM ONLY public.no_columns"), cursorOn("c", "SELECT FROM ONLY public.source")}
	for i := range 10 {
		units = append(units, cursorOn("again", fmt.Sprintf("SELECT * FROM ONLY public.source WHERE id > %d", i)))
	}
	streams, err := readByCursors(t.Context(), conn, g.cluster, units...)
	if err != nil {
		t.Fatal(err)
	}
	if len(streams) != len(units)*len(g.cluster.Nodes) {
		t.Errorf("%d streams of %d units", len(streams), len(units))
	}
	for i, u := range units {
		var d archive.Digest
		for _, s := range streams[i*len(g.cluster.Nodes):][:len(g.cluster.Nodes)] {
			d.Merge(s.Digest)
		}
		if want := copyDigest(t, conn, "COPY ("+u.sql+") TO STDOUT"); d != want {
			t.Errorf("%s: %v, want %v", u.sql, d, want)
		}
	}
}

// checkStreams compares streams with COPY: all rows together, and the number on each node.
func checkStreams(t *testing.T, conn *wire.Conn, from string, streams []archive.Stream) {
	t.Helper()
	var d archive.Digest
	counts := make(map[uint32]uint64)
	for _, s := range streams {
		d.Merge(s.Digest)
		counts[s.Node] += s.Digest.Rows
	}
	if want := copyDigest(t, conn, "COPY (SELECT * "+from+") TO STDOUT"); d != want {
		t.Errorf("%s: %v, want %v", from, d, want)
	}
	rows, err := conn.QueryStrings(t.Context(), "SELECT gp_segment_id + 1, count(*) "+from+" GROUP BY 1")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		node, _ := strconv.Atoi(row[0])
		if row[1] != fmt.Sprint(counts[uint32(node)]) {
			t.Errorf("%s: node %d has %s rows, %d came from there", from, node, row[1], counts[uint32(node)])
		}
	}
	for _, s := range streams {
		if s.Node == 0 {
			t.Errorf("%s: a stream of the coordinator", from)
		}
	}
}

// The cursor sees the imported snapshot, whatever is committed meanwhile.
func TestGreenplumCursorsSeeTheImportedSnapshot(t *testing.T) {
	g := newGreenplum(t, "CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) i DISTRIBUTED BY (i)")
	leader := g.begin(t)
	snapshot, err := leader.QueryString(t.Context(), "SELECT pg_catalog.pg_export_snapshot()")
	if err != nil {
		t.Fatal(err)
	}
	other := g.session(t)
	defer closeSession(t.Context(), other)
	g.exec(t, other, "DELETE FROM public.t WHERE i <= 500; INSERT INTO public.t SELECT generate_series(2000, 2100)")
	conn := g.session(t)
	defer closeSession(t.Context(), conn)
	g.exec(t, conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	g.exec(t, conn, "SET TRANSACTION SNAPSHOT "+wire.Literal(snapshot))
	streams, err := readByCursors(t.Context(), conn, g.cluster, cursorOn("t", "SELECT i FROM ONLY public.t"))
	if err != nil {
		t.Fatal(err)
	}
	var d archive.Digest
	for _, s := range streams {
		d.Merge(s.Digest)
	}
	if want := copyDigest(t, leader, "COPY public.t TO STDOUT"); d != want || d.Rows != 1000 {
		t.Errorf("%v, want %v", d, want)
	}
}

// An error on one segment is the table's error, although the rows seem to end there in good order.
func TestGreenplumCursorsErrors(t *testing.T) {
	g := newGreenplum(t, "CREATE TABLE t AS SELECT i, repeat('x', 200) AS v FROM generate_series(1, 200000) i DISTRIBUTED BY (i)")
	for name, query := range map[string]string{
		"at the start": "SELECT 1 / (i - 2) FROM ONLY public.t",
		"at the end":   "SELECT 1 / (i - 199999), v FROM ONLY public.t",
	} {
		conn := g.begin(t)
		_, err := readByCursors(t.Context(), conn, g.cluster, cursorOn("t", query))
		if err == nil || !strings.Contains(err.Error(), "division by zero") || !strings.Contains(err.Error(), "seg") {
			t.Errorf("%s: %v", name, err)
		}
	}
	conn := g.begin(t)
	if _, err := readByCursors(t.Context(), conn, g.cluster, cursorOn("t", "SELECT i FROM ONLY public.nowhere")); !wire.IsUndefined(err) {
		t.Errorf("no table: %v", err)
	}

	// A lock that is not granted in time leaves the transaction as it was.
	other := g.session(t)
	defer closeSession(t.Context(), other)
	g.exec(t, other, "BEGIN; LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE")
	conn = g.begin(t)
	g.exec(t, conn, "SET lock_timeout = '100ms'")
	u := cursorOn("t", "SELECT i FROM ONLY public.t")
	if _, err := readByCursors(t.Context(), conn, g.cluster, u); !wire.IsLockTimeout(err) || u.table.units != 1 {
		t.Errorf("locked: %v, tally %d", err, u.table.units)
	}
	if conn.InTransaction() != 'T' || conn.Pending() != 0 {
		t.Errorf("locked: transaction %q, %d pending", conn.InTransaction(), conn.Pending())
	}
	g.exec(t, other, "ROLLBACK")

	// Cancelled on the way.
	conn = g.begin(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := readByCursors(ctx, conn, g.cluster, cursorOn("t", "SELECT i, pg_sleep(0.001) FROM ONLY public.t"))
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 8*time.Second {
		t.Errorf("cancelled: %v after %v", err, time.Since(begun))
	}
}

// A process that dies on a segment, of either side, is an error, never fewer rows: at the latest when the rows of the other
// segments are through, here after some 10 s.
func TestGreenplumCursorsLoseAProcess(t *testing.T) {
	g := newGreenplum(t, "CREATE TABLE t AS SELECT i FROM generate_series(1, 30000) i DISTRIBUTED BY (i)")
	utility, err := wire.Connect(t.Context(), g.cluster.Nodes[0].Config.With(wire.Overrides{Options: "-c gp_session_role=utility"}), wire.TextSettings(""))
	if err != nil {
		t.Fatal(err)
	}
	defer closeSession(t.Context(), utility)
	for _, side := range []string{"senderpid", "receiverpid"} {
		conn := g.begin(t)
		session, err := conn.QueryString(t.Context(), "SHOW gp_session_id")
		if err != nil {
			t.Fatal(err)
		}
		var killed time.Time
		var eg errgroup.Group
		eg.Go(func() error {
			kill := "SELECT pg_terminate_backend(" + side + ") FROM gp_get_segment_endpoints() WHERE state = 'RETRIEVING' AND sessionid = " + session
			for {
				rows, err := utility.QueryStrings(t.Context(), kill)
				if len(rows) > 0 || err != nil {
					killed = time.Now()
					return err
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
		_, err = readByCursors(t.Context(), conn, g.cluster, cursorOn("t", "SELECT i, pg_sleep(0.001) FROM ONLY public.t"))
		if killErr := eg.Wait(); killErr != nil {
			t.Fatal(killErr)
		}
		if err == nil || !strings.Contains(err.Error(), "seg") || time.Since(killed) > 30*time.Second {
			t.Errorf("%s: after %v: %v", side, time.Since(killed), err)
		}
	}
}
