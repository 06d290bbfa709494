package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgark/pgark/internal/pgtest"
)

// serveRelay serves one client on a session that is in a transaction, and gives the session back when it has gone.
func serveRelay(t *testing.T, db string, decide func(string) Verdict, client func(conninfo string)) (*Conn, error) {
	t.Helper()
	conn := connect(t, pgtest.Shared(t).Conninfo(db))
	if _, err := conn.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1"); err != nil {
		t.Fatal(err)
	}
	r, err := NewRelay(conn.Config(), decide)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- r.ServeSession(t.Context(), conn) }()
	client(r.Conninfo())
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(r.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's directory is still there: %v", err)
	}
	return conn, <-served
}

func psqlPath(t *testing.T) string {
	t.Helper()
	path, err := pgtest.FindClient(pgtest.Shared(t).BinDir(), "psql")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func forwardAll(string) Verdict { return Verdict{Forward: true} }

// TestRelayShowsTheSessionsSnapshot has psql read through a session whose snapshot is older than a row, and sees
// neither that row nor a session of psql's own.
func TestRelayShowsTheSessionsSnapshot(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, "CREATE TABLE t AS SELECT g FROM generate_series(1, 100000) g")
	conn, err := serveRelay(t, db, forwardAll, func(conninfo string) {
		srv.Exec(t, db, "INSERT INTO t VALUES (0)")
		out, err := exec.Command(psqlPath(t), "-XAtq", "-d", conninfo,
			"-c", "SELECT count(*) FROM public.t", "-c", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'psql'",
			"-c", "SELECT g FROM public.t ORDER BY g").CombinedOutput()
		if err != nil {
			t.Errorf("psql: %v", err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if len(lines) != 100002 || lines[0] != "100000" || lines[1] != "0" || lines[2] != "1" {
			t.Errorf("%d lines: %.100s", len(lines), out)
		}
	})
	if err != nil {
		t.Error(err)
	}
	if conn.InTransaction() != 'T' {
		t.Errorf("the session is in state %c", conn.InTransaction())
	}
}

// TestRelayVerdicts answers and refuses queries without the server.
func TestRelayVerdicts(t *testing.T) {
	db := pgtest.Shared(t).CreateDB(t)
	decide := func(sql string) Verdict {
		switch {
		case strings.HasPrefix(sql, "LOCK"):
			return Verdict{Tag: "LOCK TABLE"}
		case strings.HasPrefix(sql, "COPY"):
			return Verdict{Refuse: "not through here"}
		default:
			return Verdict{Forward: true}
		}
	}
	_, err := serveRelay(t, db, decide, func(conninfo string) {
		out, _ := exec.Command(psqlPath(t), "-XAt", "-d", conninfo,
			"-c", "LOCK nowhere", "-c", "COPY nowhere TO STDOUT", "-c", "SELECT 7").CombinedOutput()
		if want := "LOCK TABLE\nERROR:  not through here\n7\n"; string(out) != want {
			t.Errorf("psql says %q, want %q", out, want)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// TestRelayFarDown: a directory for temporary files whose name is too long for a socket was an "invalid argument".
func TestRelayFarDown(t *testing.T) {
	far := filepath.Join(t.TempDir(), strings.Repeat("x", 120))
	if err := os.Mkdir(far, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", far)
	r, err := NewRelay(nil, forwardAll)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// TestRelayWithoutClient is closed before anybody came.
func TestRelayWithoutClient(t *testing.T) {
	conn, err := serveRelay(t, pgtest.Shared(t).CreateDB(t), forwardAll, func(string) {})
	if err != nil {
		t.Error(err)
	}
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Error(err)
	}
}

// TestRelayIsCancelled ends the context while the client's query runs: the server is asked to stop, and nothing hangs.
func TestRelayIsCancelled(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	conn := connect(t, srv.Conninfo(db))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := NewRelay(conn.Config(), func(string) Verdict { cancel(); return Verdict{Forward: true} })
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(psqlPath(t), "-Xq", "-d", r.Conninfo(), "-c", "SELECT pg_sleep(600)")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := r.ServeSession(ctx, conn); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("psql ended as if all were well")
	}
}

// TestRelayRefusesMalformedClients sends what no libpq sends: an error, no allocation by a length that is only claimed.
func TestRelayRefusesMalformedClients(t *testing.T) {
	db := pgtest.Shared(t).CreateDB(t)
	startup := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 9}, protocol3)
	for name, bytes := range map[string][]byte{
		"startup packet of 2 GB":      {0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0},
		"startup packet of 4 bytes":   {0, 0, 0, 4, 0, 3, 0, 0},
		"unknown protocol":            {0, 0, 0, 8, 0, 9, 0, 0},
		"query of 2 GB":               append(append(startup, 0), 'Q', 0x7f, 0xff, 0xff, 0xff),
		"message with length 0":       append(append(startup, 0), 'Q', 0, 0, 0, 0),
		"extended query":              append(append(startup, 0), 'P', 0, 0, 0, 4),
		"copy data without a COPY":    append(append(startup, 0), 'd', 0, 0, 0, 4),
		"password that is not wanted": append(append(startup, 0), 'p', 0, 0, 0, 4),
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := serveRelay(t, db, forwardAll, func(conninfo string) {
				dir := strings.TrimSuffix(strings.Split(strings.SplitN(conninfo, "host='", 2)[1], "'")[0], "'")
				nc, err := net.Dial("unix", filepath.Join(dir, ".s.PGSQL.5432"))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := nc.Write(bytes); err != nil {
					t.Error(err)
				}
				// The relay hangs up: everything that it still says ends.
				buf := make([]byte, 4096)
				for {
					if _, err := nc.Read(buf); err != nil {
						break
					}
				}
				nc.Close() //nolint:gosec // the test is over
			})
			if !errors.Is(err, ErrProtocol) {
				t.Errorf("error: %v, want ErrProtocol", err)
			}
			if _, err := conn.Exec(t.Context(), "SELECT 1"); err != nil {
				t.Errorf("the session is of no more use: %v", err)
			}
		})
	}
}
