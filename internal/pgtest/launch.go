package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	superuser     = "postgres"
	maintenanceDB = "postgres"
	loopback      = "127.0.0.1"
	startTries    = 8                // another process may take the port between our choice and the server's bind
	startTimeout  = 90 * time.Second // generous: machines that run tests are busy
)

// Options are what a server can be started with. The zero value is a plain server.
type Options struct {
	BinDir   string            // "" means FindBinDir
	Settings map[string]string // added to postgresql.conf, after our own
	HBA      []string          // lines of pg_hba.conf before the one that trusts everybody; "" would be kept as written
	Files    map[string][]byte // further files in the data directory, such as a TLS key; mode 0600
}

// Server is one running PostgreSQL server. Its methods may be called from several goroutines, but not while Stop,
// Kill, Shutdown or Restart runs.
type Server struct {
	opts Options
	dir  string // holds data/, log, exit (the server's exit code once it has ended) and the unix socket
	port int

	watchdog *exec.Cmd
	commands io.WriteCloser // the watchdog's stdin; closing it ends the server

	stopOnce sync.Once
	stopErr  error

	mu   sync.Mutex
	down bool             // taken down on purpose
	dbs  int              // number of databases created, for unique names
	idle []*pgconn.PgConn // sessions with maintenanceDB that nobody uses
}

// watchdogScript is the server's parent. It reads commands from stdin; when stdin ends, because Stop closed it or
// because the process that held it is gone, it ends the server and removes the directory.
const watchdogScript = `
bin=$1 dir=$2 job=
signal() {
	[ -e "$dir/exit" ] || kill -"$1" "$(head -n 1 "$dir/data/postmaster.pid")" 2>/dev/null
	[ -z "$job" ] || wait "$job"
}
while read -r command; do
	case $command in
	start)
		rm -f "$dir/exit"
		( "$bin/postgres" -D "$dir/data" >>"$dir/log" 2>&1 </dev/null; echo $? >"$dir/exit.new"; mv "$dir/exit.new" "$dir/exit" ) &
		job=$! ;;
	INT|QUIT) signal "$command" ;;
	esac
done
signal QUIT
cd / && rm -rf "$dir"
`

// Launch makes a new cluster and starts a server on it; it returns when the server accepts connections. The caller
// must call Stop.
func Launch(ctx context.Context, opts Options) (*Server, error) {
	if opts.BinDir == "" {
		dir, err := FindBinDir()
		if err != nil {
			return nil, err
		}
		opts.BinDir = dir
	}
	cred, err := credential()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "pgark-") // not os.TempDir: the path of a unix socket has 107 bytes at most
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, dir: dir}
	if err := s.create(ctx, cred); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.startWatchdog(cred); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.startAnyPort(ctx, cred); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// credential says as whom the server runs: nil for ourselves.
func credential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user postgres to run it as: %w", err)
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// create makes the cluster with initdb and writes its configuration.
func (s *Server) create(ctx context.Context, cred *syscall.Credential) error {
	if cred != nil {
		if err := os.Chown(s.dir, int(cred.Uid), int(cred.Gid)); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	cmd := exec.CommandContext(ctx, filepath.Join(s.opts.BinDir, "initdb"), "--no-sync", "--auth=trust",
		"--username="+superuser, "--encoding=UTF8", "--locale=C", "--pgdata="+data)
	cmd.Dir = s.dir
	cmd.Env = serverEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	hba := slices.Concat(s.opts.HBA, []string{"local all all trust", "host all all 127.0.0.1/32 trust", "local replication all trust", ""})
	files := map[string][]byte{"pg_hba.conf": []byte(strings.Join(hba, "\n"))}
	for name, content := range s.opts.Files {
		files[name] = content
	}
	for name, content := range files {
		if err := writeFile(filepath.Join(data, name), content, cred); err != nil {
			return err
		}
	}
	return nil
}

// writeConfig replaces postgresql.conf.
func (s *Server) writeConfig(cred *syscall.Credential) error {
	settings := [][2]string{
		{"listen_addresses", loopback},
		{"port", strconv.Itoa(s.port)},
		{"unix_socket_directories", s.dir},
		{"fsync", "off"},
		{"full_page_writes", "off"},
		{"synchronous_commit", "off"},
		{"max_connections", "150"},
		{"max_locks_per_transaction", "256"}, // × max_connections: room to lock some 38,000 tables at once
		{"max_wal_size", "4GB"},              // no checkpoints while tests load tables
		{"timezone", "UTC"},
		{"log_timezone", "UTC"},
		{"lc_messages", "C"},
	}
	names := make([]string, 0, len(s.opts.Settings))
	for name := range s.opts.Settings {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		settings = append(settings, [2]string{name, s.opts.Settings[name]})
	}
	var b strings.Builder
	for _, kv := range settings {
		fmt.Fprintf(&b, "%s = '%s'\n", kv[0], strings.ReplaceAll(kv[1], "'", "''"))
	}
	return writeFile(filepath.Join(s.dir, "data", "postgresql.conf"), []byte(b.String()), cred)
}

func writeFile(path string, content []byte, cred *syscall.Credential) error {
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	if cred == nil {
		return nil
	}
	return os.Chown(path, int(cred.Uid), int(cred.Gid))
}

// serverEnv is our environment without the PG* variables, which would change what initdb and the server do.
func serverEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "PG") })
}

// hasLibpq tells whether a directory of libraries belongs to a build that may have been moved since.
func hasLibpq(lib string) bool {
	_, err := os.Stat(filepath.Join(lib, "libpq.so.5"))
	return err == nil
}

func (s *Server) startWatchdog(cred *syscall.Credential) error {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "pgtest-watchdog", s.opts.BinDir, s.dir)
	cmd.Dir = s.dir
	cmd.Env = serverEnv()
	if lib := filepath.Join(filepath.Dir(s.opts.BinDir), "lib"); hasLibpq(lib) {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+lib) // postgres_fdw needs the libpq of its own release
	}
	// A session of its own: Ctrl-C at the terminal must end the tests first, and the server through them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Setsid: true}
	commands, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.watchdog, s.commands = cmd, commands
	return nil
}

func (s *Server) startAnyPort(ctx context.Context, cred *syscall.Credential) error {
	var err error
	for range startTries {
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.writeConfig(cred); err != nil {
			return err
		}
		if err = s.start(ctx); err == nil || ctx.Err() != nil || !strings.Contains(s.Log(), "could not bind") {
			return err
		}
	}
	return err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, err
	}
	defer l.Close() //nolint:errcheck // only the number was wanted
	return l.Addr().(*net.TCPAddr).Port, nil
}

// start runs the server and waits until it accepts connections.
func (s *Server) start(ctx context.Context) error {
	if err := os.Remove(s.exitFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := io.WriteString(s.commands, "start\n"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		conn, err := pgconn.Connect(ctx, s.Conninfo(maintenanceDB))
		if err == nil {
			return conn.Close(ctx)
		}
		if _, statErr := os.Stat(s.exitFile()); statErr == nil {
			return fmt.Errorf("the server ended at its start; its log says:\n%s", s.Log())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server does not accept connections: %w (%w); its log says:\n%s", ctx.Err(), err, s.Log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// end sends the postmaster a signal and waits until it is gone.
func (s *Server) end(ctx context.Context, signal string) error {
	if _, err := io.WriteString(s.commands, signal+"\n"); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(s.exitFile()); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server does not end: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *Server) exitFile() string { return filepath.Join(s.dir, "exit") }

// Stop ends the server at once and removes all that it left. It may be called more than once.
func (s *Server) Stop() error {
	s.stopOnce.Do(func() {
		s.setDown(true)
		for _, conn := range s.idle {
			_ = conn.Conn().Close()
		}
		s.stopErr = errors.Join(s.commands.Close(), s.watchdog.Wait())
	})
	return s.stopErr
}

func (s *Server) setDown(down bool) {
	s.mu.Lock()
	s.down = down
	s.mu.Unlock()
}

func (s *Server) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}
