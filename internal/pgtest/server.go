package pgtest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// BinDir is the directory of the server's programs.
func (s *Server) BinDir() string { return s.opts.BinDir }

// Host is the directory of the unix socket, which libpq and pgconn take as a host.
func (s *Server) Host() string { return s.dir }

// Port is the port of the unix socket and of TCP on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// TCPAddr is where the server listens on TCP, as "127.0.0.1:port".
func (s *Server) TCPAddr() string { return net.JoinHostPort(loopback, strconv.Itoa(s.port)) }

// Conninfo connects to a database over the unix socket.
func (s *Server) Conninfo(dbname string) string { return conninfo(s.dir, s.port, dbname) }

// TCPConninfo connects to a database over TCP without TLS.
func (s *Server) TCPConninfo(dbname string) string {
	return conninfo(loopback, s.port, dbname) + " sslmode=disable"
}

func conninfo(host string, port int, dbname string) string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=%s", host, port, superuser, quoteConninfo(dbname))
}

// DataDir is the server's data directory.
func (s *Server) DataDir() string { return filepath.Join(s.dir, "data") }

// Log is the end of what the server has written to its log, for messages of failed tests.
func (s *Server) Log() string {
	const most = 16 << 10
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-most):])
}

// quoteConninfo quotes a value of a key=value connection string.
func quoteConninfo(v string) string {
	q := make([]byte, 0, len(v)+2)
	q = append(q, '\'')
	for i := range len(v) {
		if v[i] == '\'' || v[i] == '\\' {
			q = append(q, '\\')
		}
		q = append(q, v[i])
	}
	return string(append(q, '\''))
}
