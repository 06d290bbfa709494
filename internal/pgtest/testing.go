package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Option changes what a server is started with.
type Option func(*Options)

// WithSetting sets one parameter of postgresql.conf.
func WithSetting(name, value string) Option {
	return func(o *Options) {
		if o.Settings == nil {
			o.Settings = make(map[string]string)
		}
		o.Settings[name] = value
	}
}

// WithHBA puts lines before the ones in pg_hba.conf that trust everybody.
func WithHBA(lines ...string) Option {
	return func(o *Options) { o.HBA = append(o.HBA, lines...) }
}

// WithFile puts a file into the data directory, readable by the server only.
func WithFile(name string, content []byte) Option {
	return func(o *Options) {
		if o.Files == nil {
			o.Files = make(map[string][]byte)
		}
		o.Files[name] = content
	}
}

// WithBinDir takes the server programs from a directory.
func WithBinDir(dir string) Option { return func(o *Options) { o.BinDir = dir } }

// Start starts a server for one test and stops it when the test ends.
func Start(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	var o Options
	for _, opt := range opts {
		opt(&o)
	}
	s, err := Launch(context.Background(), o)
	if err != nil {
		missing(tb, err)
		tb.Fatalf("start PostgreSQL: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Errorf("stop PostgreSQL: %v", err)
		}
	})
	return s
}

// missing skips the test if err says that PostgreSQL is not installed and this is not CI, where it must be.
func missing(tb testing.TB, err error) {
	tb.Helper()
	if errors.Is(err, ErrMissing) && os.Getenv("CI") != "true" {
		tb.Skip(err)
	}
}

// launchShared keeps the one server of the process. Its watchdog stops it when the process ends.
//
//nolint:gochecknoglobals // one server per test binary needs one place per test binary
var launchShared = sync.OnceValues(func() (*Server, error) {
	return Launch(context.Background(), Options{})
})

// Shared gives the server that all tests of this binary share. Make databases on it, leave its settings alone, and
// never stop it.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	s, err := launchShared()
	if err != nil {
		missing(tb, err)
		tb.Fatalf("start PostgreSQL: %v", err)
	}
	return s
}

// Kill ends the server as a crash would: no session gets to say goodbye, the next start recovers.
func (s *Server) Kill(tb testing.TB) {
	tb.Helper()
	s.takeDown(tb, "QUIT")
}

// Shutdown ends the server as an administrator's fast shutdown does: every session gets a FATAL message.
func (s *Server) Shutdown(tb testing.TB) {
	tb.Helper()
	s.takeDown(tb, "INT")
}

func (s *Server) takeDown(tb testing.TB, signal string) {
	tb.Helper()
	s.setDown(true)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := s.end(ctx, signal); err != nil {
		tb.Fatalf("end PostgreSQL: %v", err)
	}
}

// Restart starts the server again, after a fast shutdown if it runs, on the same port.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	if !s.isDown() {
		s.Shutdown(tb)
	}
	if err := s.start(context.Background()); err != nil {
		tb.Fatalf("restart PostgreSQL: %v", err)
	}
	s.setDown(false)
}

// DBOption changes how CreateDB makes a database.
type DBOption func(*dbOptions)

type dbOptions struct {
	encoding string
	template string
}

// Encoding makes the database with an encoding other than UTF8, and the locale C.
func Encoding(name string) DBOption { return func(o *dbOptions) { o.encoding = name } }

// Template makes the database as a copy of another one, to which nobody may be connected.
func Template(name string) DBOption { return func(o *dbOptions) { o.template = name } }

// CreateDB makes a new database with a unique name and drops it when the test ends. It is empty unless Template is given.
func (s *Server) CreateDB(tb testing.TB, opts ...DBOption) string {
	tb.Helper()
	s.mu.Lock()
	s.dbs++
	name := fmt.Sprintf("test%d", s.dbs)
	s.mu.Unlock()
	s.createDB(tb, name, opts...)
	return name
}

// createDB makes a new database and drops it when the test ends.
func (s *Server) createDB(tb testing.TB, name string, opts ...DBOption) {
	tb.Helper()
	o := dbOptions{template: "template0"}
	for _, opt := range opts {
		opt(&o)
	}
	sql := "CREATE DATABASE " + name + " TEMPLATE " + quoteIdent(o.template)
	if o.encoding != "" {
		sql += " ENCODING '" + o.encoding + "' LC_COLLATE 'C' LC_CTYPE 'C'"
	}
	s.Exec(tb, maintenanceDB, sql)
	tb.Cleanup(func() { s.DropDB(tb, name) })
}

// DropDB drops a database if it is there, and ends the sessions in it.
func (s *Server) DropDB(tb testing.TB, name string) {
	tb.Helper()
	if s.isDown() {
		return // dropped with everything else
	}
	s.Exec(tb, maintenanceDB, "DROP DATABASE IF EXISTS "+quoteIdent(name)+" WITH (FORCE)")
}

func quoteIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// Exec runs SQL, one statement or several, as the superuser.
func (s *Server) Exec(tb testing.TB, db, sql string) {
	tb.Helper()
	s.run(tb, db, sql)
}

// QueryString runs a query as the superuser: all rows, columns separated by "|" and rows by line ends, NULL as "".
// This is what psql -At prints, so expected values can be tried out there.
func (s *Server) QueryString(tb testing.TB, db, sql string) string {
	tb.Helper()
	results := s.run(tb, db, sql)
	var lines []string
	for _, res := range results {
		for _, row := range res.Rows {
			cols := make([]string, len(row))
			for i, col := range row {
				cols[i] = string(col)
			}
			lines = append(lines, strings.Join(cols, "|"))
		}
	}
	return strings.Join(lines, "\n")
}

func (s *Server) run(tb testing.TB, db, sql string) []*pgconn.Result {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	conn, err := s.session(ctx, db)
	if err != nil {
		tb.Fatalf("connect to %s: %v", db, err)
	}
	defer s.done(ctx, db, conn)
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		const most = 500
		tb.Fatalf("%v\nSQL: %s", err, sql[:min(len(sql), most)])
	}
	return results
}

// session is one of pgtest's own; done takes it back.
func (s *Server) session(ctx context.Context, db string) (*pgconn.PgConn, error) {
	for db == maintenanceDB {
		s.mu.Lock()
		n := len(s.idle)
		if n == 0 {
			s.mu.Unlock()
			break
		}
		conn := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		if _, err := conn.Exec(ctx, "DISCARD ALL").ReadAll(); err == nil {
			return conn, nil
		}
		_ = conn.Close(ctx) // the server was taken down and started again
	}
	return pgconn.Connect(ctx, s.Conninfo(db)+" application_name=pgtest")
}

// done keeps a session with the database in which tests have nothing: databases are made and dropped, and sessions are looked at
// over it. On some machines a session takes more CPU than all that is asked in it.
func (s *Server) done(ctx context.Context, db string, conn *pgconn.PgConn) {
	if db != maintenanceDB || conn.IsClosed() || conn.TxStatus() != 'I' {
		_ = conn.Close(ctx)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, conn)
}

// Sessions lists the client sessions in a database other than pgtest's own, one line each, "" for none. The server
// removes a session a moment after its connection ends, so wait for it with WaitNoSessions.
func (s *Server) Sessions(tb testing.TB, db string) string {
	tb.Helper()
	return s.QueryString(tb, maintenanceDB, `SELECT pid, application_name, state, left(query, 100) FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND application_name <> 'pgtest' AND datname = '`+db+`' ORDER BY pid`)
}

// KillSessions ends the client sessions in a database, other than pgtest's own, for which a condition on pg_stat_activity holds.
// It waits until there is one: a session that works is between two statements every now and then.
func (s *Server) KillSessions(tb testing.TB, db, condition string) {
	tb.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if s.QueryString(tb, maintenanceDB, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND application_name <> 'pgtest' AND datname = '`+db+`' AND (`+condition+`)`) != "0" {
			return
		}
	}
	tb.Errorf("no session in %s for which %s; there are:\n%s", db, condition, s.Sessions(tb, db))
}

// WaitNoSessions fails the test if sessions in a database, other than pgtest's own, are still there after a while.
func (s *Server) WaitNoSessions(tb testing.TB, db string) {
	tb.Helper()
	var left string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if left = s.Sessions(tb, db); left == "" {
			return
		}
	}
	tb.Fatalf("sessions left in %s:\n%s", db, left)
}

// Psql runs psql as the superuser, stopping at the first error, and returns what it printed.
func (s *Server) Psql(tb testing.TB, db string, args ...string) string {
	tb.Helper()
	psql, err := FindClient(s.BinDir(), "psql")
	if err != nil {
		tb.Fatal(err)
	}
	args = append([]string{"-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", s.Conninfo(db)}, args...)
	cmd := exec.Command(psql, args...)
	cmd.Env = append(serverEnv(), "PGAPPNAME=pgtest")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := Output(tb, cmd)
	if err != nil {
		tb.Fatalf("psql: %v\n%s", err, stderr.String())
	}
	return string(out)
}

// AllKinds loads the schema that holds every kind of object (testdata/allkinds.sql) into a database.
func AllKinds(tb testing.TB, s *Server, db string) {
	tb.Helper()
	s.Psql(tb, db, "-f", filepath.Join(moduleRoot(tb), "testdata", "allkinds.sql"))
}

// moduleRoot finds the directory of go.mod from where this file was compiled.
func moduleRoot(tb testing.TB) string {
	tb.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		tb.Fatal("pgtest was built without file names")
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}
