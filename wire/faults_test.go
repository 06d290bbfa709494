package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pgark/pgark/internal/pgtest"
)

const endless = "COPY (SELECT generate_series(1, 1000000000), repeat('x', 200)) TO STDOUT"

// copySome starts an endless COPY and reads a little of it.
func copySome(t *testing.T, ctx context.Context, c *Conn) *CopyOut {
	t.Helper()
	o, err := c.CopyOut(ctx, endless)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.Fill(ctx, make([]byte, 3<<20)); err != nil {
		t.Fatal(err)
	}
	return o
}

// fillUntilError reads on until the COPY fails.
func fillUntilError(ctx context.Context, o *CopyOut) error {
	buf := make([]byte, 1<<20)
	for {
		if _, _, err := o.Fill(ctx, buf); err != nil {
			return err
		}
	}
}

// lost checks the error of a session that broke, and that the session says so from then on.
func lost(t *testing.T, c *Conn, err error) {
	t.Helper()
	if !IsConnLost(err) || errors.Is(err, io.EOF) || IsConnect(err) {
		t.Errorf("not the error of a lost connection: %v", err)
	}
	if _, err := c.Exec(testContext(t), "SELECT 1"); !IsConnLost(err) {
		t.Errorf("the next call: %v", err)
	}
	if c.Err() == nil {
		t.Error("Err is nil")
	}
}

// terminate ends a server process and waits until it has gone.
func terminate(t *testing.T, srv *pgtest.Server, pid uint32) {
	t.Helper()
	srv.QueryString(t, "postgres", fmt.Sprintf("SELECT pg_terminate_backend(%d)", pid))
	for srv.QueryString(t, "postgres", fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE pid = %d", pid)) != "0" {
		time.Sleep(5 * time.Millisecond)
	}
}

func TestBackendTerminatedWithinCopy(t *testing.T) {
	srv, db, c := newDB(t)
	o := copySome(t, testContext(t), c)
	srv.QueryString(t, "postgres", fmt.Sprintf("SELECT pg_terminate_backend(%d)", c.PID()))
	// A server that is blocked in sending rows closes the connection without a message, so there may be none.
	err := fillUntilError(testContext(t), o)
	lost(t, c, err)

	c = connect(t, srv.Conninfo(db)) // idle
	terminate(t, srv, c.PID())
	_, err = c.Exec(testContext(t), "SELECT 1")
	if !IsAdminShutdown(err) {
		t.Errorf("idle: %v", err)
	}
	lost(t, c, err)

	srv.Exec(t, db, "CREATE TABLE t (a text)")
	c = connect(t, srv.Conninfo(db))
	ci, err := c.CopyIn(testContext(t), "COPY public.t FROM STDIN")
	if err != nil {
		t.Fatal(err)
	}
	terminate(t, srv, c.PID())
	for err == nil {
		_, err = ci.Write([]byte(strings.Repeat("x\n", 1<<20)))
	}
	if !IsAdminShutdown(err) {
		t.Errorf("COPY FROM STDIN: %v", err)
	}
	if _, err := ci.Close(testContext(t)); err == nil {
		t.Error("COPY FROM STDIN ended well")
	}
	lost(t, c, err)
}

func TestServerStops(t *testing.T) {
	srv := pgtest.Start(t)
	for _, stop := range []func(testing.TB){srv.Shutdown, srv.Kill} {
		c := connect(t, srv.Conninfo("postgres"))
		idle := connect(t, srv.TCPConninfo("postgres"))
		o := copySome(t, testContext(t), c)
		stop(t)
		lost(t, c, fillUntilError(testContext(t), o))
		_, err := idle.Exec(testContext(t), "SELECT 1")
		lost(t, idle, err)
		if _, err := Connect(testContext(t), c.Config(), Settings{}); !IsConnect(err) {
			t.Errorf("connect to a stopped server: %v", err)
		}
		srv.Restart(t)
	}
}

// Wherever the stream is cut, what came before is never taken for the whole.
func TestConnectionCut(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	proxy := pgtest.NewProxy(t, srv.TCPAddr())
	for _, after := range []int64{0, 1, 4, 5, 100, 50_000, 106_000, 106_929} {
		c := connect(t, proxy.Conninfo(db))
		proxy.CutAfter(after)
		o, err := c.CopyOut(testContext(t), "COPY (SELECT repeat('x', 100) FROM generate_series(1, 1009)) TO STDOUT")
		if err == nil {
			_, err = readAll(t, testContext(t), o, make([]byte, 64<<10))
		}
		lost(t, c, err)
		proxy.Cut()
	}
	srv.WaitNoSessions(t, db)
}

// A network that swallows everything must not hold up a call whose context has ended.
func TestConnectionStalled(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, "CREATE TABLE t (a text)")
	t.Run("CopyOut", func(t *testing.T) {
		t.Parallel()
		proxy := pgtest.NewProxy(t, srv.TCPAddr())
		ctx, cancel := context.WithCancel(testContext(t))
		c := connect(t, proxy.Conninfo(db))
		o := copySome(t, ctx, c)
		proxy.Stall()
		time.AfterFunc(100*time.Millisecond, cancel)
		err := fillUntilError(ctx, o)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		lost(t, c, err)
	})
	t.Run("CopyIn", func(t *testing.T) {
		t.Parallel()
		proxy := pgtest.NewProxy(t, srv.TCPAddr())
		ctx, cancel := context.WithCancel(testContext(t))
		c := connect(t, proxy.Conninfo(db))
		ci, err := c.CopyIn(ctx, "COPY public.t FROM STDIN")
		if err != nil {
			t.Fatal(err)
		}
		proxy.Stall()
		time.AfterFunc(100*time.Millisecond, cancel)
		block := []byte(strings.Repeat("x\n", 4<<20))
		for err == nil {
			_, err = ci.Write(block)
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Write: %v", err)
		}
		if _, err = ci.Close(testContext(t)); err == nil {
			t.Error("Close: no error")
		}
		if _, err := c.Exec(testContext(t), "SELECT 1"); !IsConnLost(err) {
			t.Errorf("the next call: %v", err)
		}
	})
	t.Run("Exec", func(t *testing.T) {
		t.Parallel()
		proxy := pgtest.NewProxy(t, srv.TCPAddr())
		c := connect(t, proxy.Conninfo(db))
		proxy.Stall()
		ctx, cancel := context.WithTimeout(testContext(t), 100*time.Millisecond)
		defer cancel()
		_, err := c.Exec(ctx, "SELECT 1")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		lost(t, c, err)
	})
	t.Run("Connect", func(t *testing.T) {
		t.Parallel()
		proxy := pgtest.NewProxy(t, srv.TCPAddr())
		proxy.Stall()
		ctx, cancel := context.WithTimeout(testContext(t), 100*time.Millisecond)
		defer cancel()
		cfg, err := ParseConfig(proxy.Conninfo(db))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Connect(ctx, cfg, Settings{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

// A connection that is closed by halves takes no rows any more, and does not refuse them either.
func TestCopyInHungUp(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, "CREATE TABLE t (a text)")
	proxy := pgtest.NewProxy(t, srv.TCPAddr())
	c := connect(t, proxy.Conninfo(db))
	ctx, cancel := context.WithTimeout(testContext(t), 20*time.Second)
	defer cancel()
	ci, err := c.CopyIn(ctx, "COPY public.t FROM STDIN")
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, proxy.HangUp)
	block := []byte(strings.Repeat("x\n", 4<<20))
	for err == nil {
		_, err = ci.Write(block)
	}
	if ctx.Err() != nil || !strings.Contains(err.Error(), "closed it without a word") {
		t.Errorf("Write: %v", err)
	}
	lost(t, c, err)
	if _, err = ci.Close(testContext(t)); err == nil {
		t.Error("Close: no error")
	}
}

// A stall that ends is no error.
func TestStallResumed(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	proxy := pgtest.NewProxy(t, srv.TCPAddr())
	c := connect(t, proxy.Conninfo(db))
	o, err := c.CopyOut(testContext(t), "COPY (SELECT repeat('x', 999) FROM generate_series(1, 10000)) TO STDOUT")
	if err != nil {
		t.Fatal(err)
	}
	proxy.Stall()
	time.AfterFunc(200*time.Millisecond, proxy.Resume)
	if got, err := readAll(t, testContext(t), o, make([]byte, 1<<20)); err != nil || len(got) != 10_000_000 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestCancel(t *testing.T) {
	srv, db, c := newDB(t)
	srv.Exec(t, db, "CREATE TABLE t (a int)")
	for _, conninfo := range []string{srv.Conninfo(db), srv.TCPConninfo(db)} {
		c := connect(t, conninfo)

		ctx, cancel := context.WithCancel(testContext(t))
		o := copySome(t, ctx, c)
		cancel()
		if err := fillUntilError(ctx, o); !errors.Is(err, context.Canceled) || IsConnLost(err) {
			t.Errorf("COPY: %v", err)
		}
		usable(t, c)

		ctx, cancel = context.WithTimeout(testContext(t), 100*time.Millisecond)
		_, err := c.Exec(ctx, "SELECT pg_sleep(600)")
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !IsCancelled(err) {
			t.Errorf("Exec: %v", err)
		}
		usable(t, c)

		// Each queued statement has to be cancelled on its own.
		ctx, cancel = context.WithTimeout(testContext(t), 100*time.Millisecond)
		if err := c.Send("SELECT pg_sleep(600)", "SELECT pg_sleep(600)", "SELECT pg_sleep(600)"); err != nil {
			t.Fatal(err)
		}
		if err := c.Drain(ctx); err != nil {
			t.Errorf("Drain: %v", err)
		}
		cancel()
		usable(t, c)
	}

	holder := connect(t, srv.Conninfo(db))
	mustExec(t, holder, "BEGIN; LOCK TABLE public.t")
	mustExec(t, c, "BEGIN")
	ctx, cancel := context.WithTimeout(testContext(t), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Exec(ctx, "LOCK TABLE public.t IN ACCESS SHARE MODE"); !errors.Is(err, context.DeadlineExceeded) || !IsCancelled(err) {
		t.Errorf("waiting for a lock: %v", err)
	}
	if c.InTransaction() != 'E' {
		t.Errorf("state %q", c.InTransaction())
	}
	mustExec(t, c, "ROLLBACK; SET lock_timeout TO '50ms'; BEGIN")
	if _, err := c.Exec(testContext(t), "LOCK TABLE public.t IN ACCESS SHARE MODE"); !IsLockTimeout(err) {
		t.Errorf("lock timeout: %v", err)
	}
}

// A session that is closed in the middle of a statement doesn't leave the server working for nobody.
func TestCloseWhileBusy(t *testing.T) {
	srv, db, c := newDB(t)
	if err := c.Send("SELECT pg_sleep(600)"); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(testContext(t)); err != nil {
		t.Error(err)
	}
	if _, err := c.Exec(testContext(t), "SELECT 1"); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := c.Close(testContext(t)); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	srv.WaitNoSessions(t, db)
}

// TestShutdownOfAnotherProcess: the end of a parallel worker or of a segment's process is an ERROR of the statement, and the session lives on.
func TestShutdownOfAnotherProcess(t *testing.T) {
	_, db, c := newDB(t)
	_, err := c.Exec(testContext(t), `DO $$ BEGIN RAISE EXCEPTION 'terminating connection due to administrator command' USING ERRCODE = '57P01'; END $$`)
	if code(err) != "57P01" || IsAdminShutdown(err) || IsConnLost(err) || c.Err() != nil {
		t.Errorf("database %s: %v, session %v", db, err, c.Err())
	}
	if _, err := c.Exec(testContext(t), "SELECT 1"); err != nil {
		t.Error(err)
	}
}
