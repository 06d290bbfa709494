package fanout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// testFaults breaks dumps, and puts things in their way.
func (g *greenplum) testFaults(t *testing.T) {
	db := g.database(t, "faults")
	conn := open(t, g.in(db))
	run(t, conn, `CREATE SCHEMA s; CREATE EXTENSION gp_parallel_retrieve_cursor;
CREATE TABLE s.large (id int, filler text) DISTRIBUTED BY (id);
CREATE TABLE s.small (id int, balance bigint, number bigint) DISTRIBUTED BY (id);
INSERT INTO s.large SELECT i, repeat('x', 1000) FROM generate_series(1, 400000) i`)
	t.Run("killed", func(t *testing.T) { g.testKilled(t, db) })
	run(t, conn, "TRUNCATE s.large")
	t.Run("held", func(t *testing.T) { g.testHeld(t, db) })
	t.Run("prepared", func(t *testing.T) { g.testPrepared(t, db) })
	t.Run("half committed", func(t *testing.T) { g.testHalfCommitted(t, db) })
	t.Run("rights", func(t *testing.T) { g.testRights(t, db) })
	t.Run("refused", func(t *testing.T) { g.testRefused(t, db) })
}

// testKilled ends single backends of a dump in its middle.
func (g *greenplum) testKilled(t *testing.T, db string) {
	c := g.cluster(t, g.in(db))
	victim := &c.Nodes[len(c.Nodes)-1]
	// The backends that a session has on segments do not show its application.
	of := " WHERE datname = current_database() AND pid <> pg_backend_pid() "
	for _, k := range []struct {
		name, route string
		at          *fanout.Node // whose backend is killed
		which       string       // condition on pg_stat_activity there
		says        []string
	}{
		{"a segment's reader", fanout.RouteSegments, victim, "AND query LIKE 'COPY%'", []string{victim.Name, `table "s"."large"`}},
		{
			"a segment's snapshot", fanout.RouteSegments, victim, "AND query NOT LIKE 'COPY%' AND application_name = 'pgark dump' AND sess_id = -1",
			[]string{"node " + victim.Name, "one moment is no longer certain"},
		},
		{"the leader", fanout.RouteSegments, &c.Coordinator, "AND query NOT LIKE 'COPY%' AND application_name = 'pgark dump'", []string{"coordinator"}},
		// The leader's locks on that segment are gone with it.
		{"the leader's backend on a segment", fanout.RouteSegments, victim, "AND sess_id = LEADER", []string{"coordinator", "one moment is no longer certain"}},
		// It is asked for one segment after the other.
		{"a reader's backend on a segment", fanout.RouteCoordinator, &c.Nodes[0], "AND query LIKE 'COPY%'", []string{`table "s"."large"`, c.Nodes[0].Name}},
		{"a retrieving session", fanout.RouteCursors, victim, "AND query LIKE 'RETRIEVE%'", []string{`table "s"."large"`, victim.Name}},
	} {
		t.Run(k.name, func(t *testing.T) {
			works(t, c, k.route)
			out := newGate(nil)
			coordinator, there := open(t, c.Coordinator.Config), open(t, k.at.Config)
			killed := make(chan int, 1)
			go func() {
				<-out.reached
				defer close(out.open)
				time.Sleep(2 * time.Second) // until the slots for rows are full, and the readers wait
				leader, err := coordinator.QueryString(context.Background(), "SELECT sess_id FROM pg_stat_activity"+of+
					"AND application_name = 'pgark dump' AND state LIKE 'idle in transaction%' ORDER BY backend_start LIMIT 1")
				if err != nil {
					t.Error(err)
				}
				rows, err := there.QueryStrings(context.Background(), "SELECT pg_terminate_backend(pid), query FROM pg_stat_activity"+of+
					strings.ReplaceAll(k.which, "LEADER", leader))
				if err != nil {
					t.Error(err)
				}
				t.Logf("killed %.80q", rows)
				killed <- len(rows)
				time.Sleep(300 * time.Millisecond)
			}()
			begun := time.Now()
			err := failedDump(t, c, out, fanout.DumpOptions{Route: k.route, Jobs: 1})
			if n := <-killed; n == 0 {
				t.Fatal("there was nobody to kill")
			}
			for _, s := range k.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("the error does not say %q", s)
				}
			}
			if _, err := archive.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len())); err == nil {
				t.Error("there is an archive")
			}
			g.waitNoDump(t, c)
			text := strings.Split(err.Error(), "\n")[0]
			g.report(t, time.Since(begun), "fails: %.160s", strings.ReplaceAll(text, "|", "/"))
		})
	}
}

// waitNoDump waits until no session of a dump is left anywhere.
func (g *greenplum) waitNoDump(t *testing.T, c *fanout.Cluster) {
	t.Helper()
	for _, n := range append([]fanout.Node{c.Coordinator}, c.Nodes...) {
		conn := open(t, n.Config)
		var left [][]string
		for range 50 {
			left = query(t, conn, `SELECT pid, query FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'pgark dump'`)
			if len(left) == 0 {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if len(left) > 0 {
			t.Errorf("node %s still has sessions of the dump: %q", n.Name, left)
		}
	}
}

// testHeld has somebody hold a lock that is in the barrier's way: on the whole cluster, and on one segment alone.
func (g *greenplum) testHeld(t *testing.T, db string) {
	c := g.cluster(t, g.in(db))
	for _, h := range []struct {
		name string
		at   *wire.Config
		says []string
	}{
		{"a writer", g.in(db), []string{"session", "pgark test", "user " + g.cfg.User(), "LOCK TABLE s.small"}},
		{"on one segment alone", c.Nodes[0].Config, []string{"on segment " + fmt.Sprint(c.Nodes[0].Content)}},
	} {
		t.Run(h.name, func(t *testing.T) {
			holder := open(t, h.at)
			run(t, holder, "BEGIN; LOCK TABLE s.small IN ROW EXCLUSIVE MODE")
			o := fanout.DumpOptions{Route: fanout.RouteSegments, BarrierTimeout: 3 * time.Second}
			var file pgtest.Memory
			begun := time.Now()
			err := failedDump(t, c, &file, o)
			took := time.Since(begun)
			if !errors.Is(err, fanout.ErrBarrier) {
				t.Error("it does not wrap ErrBarrier")
			}
			for _, s := range append(h.says, `"s"."small"`, "RowExclusiveLock") {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("the error does not say %q", s)
				}
			}
			if file.Len() > 1000 {
				t.Errorf("%d bytes were written", file.Len())
			}
			o.Route = fanout.RouteAuto
			_, res := g.dumpBy(t, c, fanout.RouteAuto, o)
			if res.Route == fanout.RouteSegments || !strings.Contains(res.RouteReason, "not segments") || !strings.Contains(res.RouteReason, "RowExclusiveLock") {
				t.Errorf("auto took %s: %s", res.Route, res.RouteReason)
			}
			g.report(t, took, "route segments gives up; auto takes %s, promise %s", res.Route, res.Promise)
			run(t, holder, "ROLLBACK")
			if _, res := g.dumpBy(t, c, fanout.RouteAuto, o); res.Route != fanout.RouteSegments {
				t.Errorf("with nobody in the way auto took %s: %s", res.Route, res.RouteReason)
			}
		})
	}
}

// testPrepared has a transaction stuck in the first phase of its commit: prepared on some segments, and not on one, whose
// backend is stopped. It needs to run on the segments' host.
func (g *greenplum) testPrepared(t *testing.T, db string) {
	c := g.cluster(t, g.in(db))
	writer := open(t, g.in(db))
	run(t, writer, "BEGIN; INSERT INTO s.small SELECT i, 0, 0 FROM generate_series(1, 20) i")
	session := query(t, writer, "SELECT sess_id FROM pg_stat_activity WHERE pid = pg_backend_pid()")[0][0]
	last := open(t, c.Nodes[len(c.Nodes)-1].Config)
	var pid int
	if _, err := fmt.Sscan(query(t, last, "SELECT pid FROM pg_stat_activity WHERE sess_id = "+session)[0][0], &pid); err != nil {
		t.Fatal(err)
	}
	// Only if this is a process of the server's here, and not of some other host's.
	title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(title), db) || !strings.Contains(string(title), "con"+session) {
		t.Skipf("process %d of the segment's backend is not on this host", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Skipf("the segment's backend can't be stopped: %v", err)
	}
	done := make(chan error, 1)
	go func() { _, err := writer.Exec(context.Background(), "COMMIT"); done <- err }()
	time.Sleep(500 * time.Millisecond)
	first := open(t, c.Nodes[0].Config)
	if n := query(t, first, "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()")[0][0]; n != "1" {
		t.Errorf("%s prepared transactions on %s, want 1", n, c.Nodes[0].Name)
	}
	o := fanout.DumpOptions{Route: fanout.RouteSegments, BarrierTimeout: 2 * time.Second}
	dumpErr := failedDump(t, c, &bytes.Buffer{}, o)
	_, res := g.dumpBy(t, c, fanout.RouteAuto, fanout.DumpOptions{BarrierTimeout: time.Second})
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !errors.Is(dumpErr, fanout.ErrBarrier) || !strings.Contains(dumpErr.Error(), "s.small") && !strings.Contains(dumpErr.Error(), `"s"."small"`) {
		t.Error("the error does not say that there is no barrier, or not who is in the way")
	}
	if res.Route == fanout.RouteSegments {
		t.Error("auto took segments")
	}
	g.report(t, 0, "a transaction prepared on some segments: segments fails, auto takes %s", res.Route)
}

// testHalfCommitted has writers whose commits are done on some segments for a while, and not on others: the server is told
// to fail the second phase on one segment, once, and then tries again over new sessions. The barrier must wait for that.
func (g *greenplum) testHalfCommitted(t *testing.T, db string) {
	conn := open(t, g.in(db))
	const fault = `SET debug_dtm_action_segment = 1; SET debug_dtm_action_target = 'protocol';
SET debug_dtm_action_protocol = 'commit_prepared'; SET debug_dtm_action = 'fail_begin_command';`
	if _, err := conn.Exec(t.Context(), fault); err != nil {
		t.Skipf("this server can't be told to fail a commit: %v", err)
	}
	run(t, conn, "TRUNCATE s.small")
	c := g.cluster(t, g.in(db))
	ctx, stop := context.WithCancel(context.Background())
	ended, commits := make(chan error, 1), 0
	go func() {
		for ctx.Err() == nil {
			_, err := conn.Exec(context.Background(), fault)
			if err == nil {
				_, err = conn.Exec(context.Background(), "INSERT INTO s.small SELECT i, CASE WHEN i = 1 THEN 190 ELSE -10 END, 0 FROM generate_series(1, 20) i")
			}
			if err != nil {
				ended <- err
				return
			}
			commits++
		}
		ended <- nil
	}()
	dumps := max(10, min(40, g.moments/10))
	wrong := make(map[bool]int)
	for _, without := range []bool{false, true} {
		for range dumps {
			file, _ := g.dumpBy(t, c, fanout.RouteSegments, fanout.DumpOptions{Jobs: 1, NoBarrier: without, BarrierTimeout: time.Minute})
			if sum, _ := bankSums(t, reader(t, file)); sum != 0 {
				wrong[without]++
			}
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("a writer: %v", err)
	}
	if wrong[false] > 0 {
		t.Errorf("%d of %d moments show half a commit", wrong[false], dumps)
	}
	if wrong[true] == 0 {
		t.Error("without a barrier no moment was wrong either: this proves nothing")
	}
	g.report(t, 0, "%d commits whose second phase failed once: of %d moments each with barrier %d wrong, without %d", commits, dumps, wrong[false], wrong[true])
}

// role makes a role that may log in and read, and drops it when the test ends.
func (g *greenplum) role(t *testing.T, db, name string) *wire.Config {
	t.Helper()
	conn := open(t, g.in(db))
	drop := func() {
		_, _ = conn.Exec(context.Background(), "DROP OWNED BY "+name) // if it is there
		if _, err := conn.Exec(context.Background(), "DROP ROLE IF EXISTS "+name); err != nil {
			t.Error(err)
		}
	}
	drop()
	run(t, conn, "CREATE ROLE "+name+" LOGIN; GRANT USAGE ON SCHEMA s TO "+name+"; GRANT SELECT ON ALL TABLES IN SCHEMA s TO "+name)
	t.Cleanup(drop)
	cfg, err := wire.ParseConfig(fmt.Sprintf("host=%s port=%d dbname=%s user=%s", g.cfg.Host(), g.cfg.Port(), db, name))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// testRights dumps as a user who may read, and may not lock writers out.
func (g *greenplum) testRights(t *testing.T, db string) {
	c := g.cluster(t, g.role(t, db, "pgark_test_reader"))
	err := failedDump(t, c, &bytes.Buffer{}, fanout.DumpOptions{Route: fanout.RouteSegments})
	if !errors.Is(err, fanout.ErrBarrier) || !strings.Contains(err.Error(), "SHARE MODE") || !strings.Contains(err.Error(), "grant UPDATE") {
		t.Error("the error does not say what is missing")
	}
	_, res := g.dumpBy(t, c, fanout.RouteAuto, fanout.DumpOptions{})
	if res.Route == fanout.RouteSegments || !strings.Contains(res.RouteReason, "not segments") {
		t.Errorf("auto took %s: %s", res.Route, res.RouteReason)
	}
	g.report(t, 0, "without UPDATE: segments fails, auto takes %s, promise %s", res.Route, res.Promise)
	g.exec(t, db, "GRANT UPDATE ON ALL TABLES IN SCHEMA s TO pgark_test_reader")
	if _, res = g.dumpBy(t, c, fanout.RouteAuto, fanout.DumpOptions{}); res.Route != fanout.RouteSegments {
		t.Errorf("with UPDATE auto took %s: %s", res.Route, res.RouteReason)
	}
}

// testRefused has one segment refuse the user: before the cluster is discovered, and after. It changes that segment's
// pg_hba.conf for a role of its own, so it must be asked for, and runs where the file can be written.
func (g *greenplum) testRefused(t *testing.T, db string) {
	if os.Getenv("PGARK_TEST_GREENPLUM_HBA") == "" {
		t.Skip("PGARK_TEST_GREENPLUM_HBA is not set: no pg_hba.conf is changed")
	}
	const name = "pgark_test_refused"
	cfg := g.role(t, db, name)
	run(t, open(t, g.in(db)), "GRANT UPDATE ON ALL TABLES IN SCHEMA s TO "+name)
	before := g.cluster(t, cfg)
	node := g.cluster(t, g.in(db)).Nodes[1]
	segment := open(t, node.Config)
	restoreHBA := refuse(t, segment, name)
	defer restoreHBA()

	_, res := g.dumpBy(t, before, fanout.RouteAuto, fanout.DumpOptions{})
	// Sessions that retrieve from endpoints show a token, and pg_hba.conf is not asked.
	if res.Route == fanout.RouteSegments || !strings.Contains(res.RouteReason, node.Name) {
		t.Errorf("refused after discovery, auto took %s: %s", res.Route, res.RouteReason)
	}
	if err := failedDump(t, before, &bytes.Buffer{}, fanout.DumpOptions{Route: fanout.RouteSegments}); !strings.Contains(err.Error(), "node "+node.Name) {
		t.Error("the error does not name the node")
	}
	c := g.cluster(t, cfg)
	err := failedDump(t, c, &bytes.Buffer{}, fanout.DumpOptions{Route: fanout.RouteSegments})
	if !errors.Is(err, fanout.ErrRoute) || !strings.Contains(err.Error(), node.Name) || !strings.Contains(err.Error(), "pg_hba") {
		t.Error("the error does not name the node and pg_hba.conf")
	}
	if _, res = g.dumpBy(t, c, fanout.RouteAuto, fanout.DumpOptions{}); res.Route == fanout.RouteSegments || !strings.Contains(res.RouteReason, node.Name) {
		t.Errorf("auto took %s: %s", res.Route, res.RouteReason)
	}
	g.report(t, 0, "pg_hba.conf of %s refuses the user: segments fails, auto takes %s", node.Name, res.Route)
	restoreHBA()
	if c = g.cluster(t, cfg); c.Nodes[1].Err != nil {
		t.Errorf("pg_hba.conf is as it was, and still: %v", c.Nodes[1].Err)
	}
}

// refuse puts a line on top of a segment's pg_hba.conf, and gives back what takes it away.
func refuse(t *testing.T, segment *wire.Conn, role string) (restore func()) {
	t.Helper()
	path := query(t, segment, "SHOW hba_file")[0][0]
	info, err := os.Stat(path)
	if err != nil {
		t.Skip(err)
	}
	was, err := os.ReadFile(path)
	if err != nil {
		t.Skip(err)
	}
	write := func(text string) {
		// In place: owner and mode stay.
		f, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_TRUNC, info.Mode())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		run(t, segment, "SELECT pg_reload_conf()")
		time.Sleep(time.Second)
	}
	line := "host all " + role + " all reject\n"
	write(line + string(was))
	done := false
	return func() {
		if !done {
			done = true
			now, err := os.ReadFile(path) // others may have changed it meanwhile
			if err != nil {
				t.Fatal(err)
			}
			write(strings.Replace(string(now), line, "", 1))
		}
	}
}
