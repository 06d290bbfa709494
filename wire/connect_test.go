package wire

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgark/pgark/internal/pgtest"
)

// selfSigned makes a certificate for localhost and its key, as PEM.
func selfSigned(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// Over TLS with a password, everything works as without, cancel requests included.
func TestTLSAndSCRAM(t *testing.T) {
	cert, key := selfSigned(t)
	srv := pgtest.Start(t, pgtest.WithSetting("ssl", "on"), pgtest.WithFile("server.crt", cert), pgtest.WithFile("server.key", key),
		pgtest.WithHBA("hostnossl all locked all reject", "hostssl all locked all scram-sha-256"))
	srv.Exec(t, "postgres", "SET password_encryption TO 'scram-sha-256'; CREATE ROLE locked LOGIN PASSWORD 'pw'; CREATE TABLE t (a text); GRANT ALL ON t TO locked")
	root := filepath.Join(t.TempDir(), "root.crt")
	if err := os.WriteFile(root, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	conninfo := strings.Replace(srv.TCPConninfo("postgres"), "127.0.0.1", "localhost", 1) + " hostaddr=127.0.0.1 user=locked password=pw sslmode="
	c := connect(t, conninfo+"verify-full sslrootcert="+root)
	if got := mustQuery(t, c, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"); got != "t" {
		t.Errorf("ssl %s", got)
	}
	o, err := c.CopyOut(testContext(t), "COPY (SELECT repeat('x', 999) FROM generate_series(1, 5000)) TO STDOUT")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := readAll(t, testContext(t), o, make([]byte, 1<<20))
	if err != nil || len(rows) != 5_000_000 {
		t.Errorf("%d bytes, %v", len(rows), err)
	}
	ci, err := c.CopyIn(testContext(t), "COPY public.t FROM STDIN")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ci.Write(rows); err != nil {
		t.Error(err)
	}
	if n, err := ci.Close(testContext(t)); n != 5000 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	ctx, cancel := context.WithTimeout(testContext(t), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Exec(ctx, "SELECT pg_sleep(600)"); !IsCancelled(err) {
		t.Errorf("cancel: %v", err)
	}
	usable(t, c)

	refused, err := ParseConfig(conninfo + "disable")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Connect(testContext(t), refused, Settings{}); !IsConnect(err) || !IsPermission(err) {
		t.Errorf("without TLS: %v", err)
	}
}

func TestPoolerIsRefused(t *testing.T) {
	c := scripted(frame(msgRowDescription, "\x00\x02") + frame(msgDataRow, "\x00\x02\x00\x00\x00\x0242\x00\x00\x00\x06150018") +
		frame(msgCommandComplete, "SELECT 1\x00") + frame(msgReadyForQuery, "I"))
	c.pid = 41
	if err := c.setUp(testContext(t), Settings{}); !errors.Is(err, ErrPooler) || !strings.Contains(err.Error(), "connect directly") {
		t.Errorf("%v", err)
	}
}

// A pooler is named as such although it refuses what a session's request says of timeouts, as PgBouncer does.
func TestPoolerThatRefusesParameters(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan string, 2)
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			asked <- pool(nc)
		}
	}()
	cfg, err := ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=u dbname=d sslmode=disable", l.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Connect(testContext(t), cfg, TextSettings("UTF8")); !errors.Is(err, ErrPooler) {
		t.Errorf("connect: %v", err)
	}
	if first := <-asked; first != "0" {
		t.Errorf("statement_timeout was asked for as %q", first)
	}
}

// pool answers one request for a session as PgBouncer does, and the first query, and gives the statement_timeout that the request names.
func pool(nc net.Conn) string {
	defer nc.Close()
	b := pgproto3.NewBackend(nc, nc)
	m, err := b.ReceiveStartupMessage()
	if err != nil {
		return err.Error()
	}
	timeout, named := m.(*pgproto3.StartupMessage).Parameters["statement_timeout"]
	if named {
		b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: "unsupported startup parameter: statement_timeout"})
		_ = b.Flush()
		return timeout
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.BackendKeyData{ProcessID: 41, SecretKey: []byte("1234")})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	_ = b.Flush()
	for range 2 { // the first is what pgconn sends to know that all is read
		if m, err = b.Receive(); err != nil {
			return err.Error()
		}
		if _, ok := m.(*pgproto3.Sync); ok {
			b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			_ = b.Flush()
			continue
		}
		b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("pid")}, {Name: []byte("version")}}})
		b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("42"), []byte("150018")}})
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		_ = b.Flush()
	}
	return ""
}

func TestCancelKeysOfAnyLength(t *testing.T) {
	if got, want := cancelRequest(258, []byte("a longer key")), []byte("\x00\x00\x00\x18\x04\xd2\x16\x2e\x00\x00\x01\x02a longer key"); !bytes.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A call may be over at any moment while TLS is set up for a request to cancel it.
func TestCancelIsGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := scripted("")
	if c.cfg, err = ParseConfig("host=localhost user=u dbname=d"); err != nil {
		t.Fatal(err)
	}
	c.route, c.tls = &route{network: "tcp", address: l.Addr().String()}, &tls.Config{ServerName: "localhost", MinVersion: tls.VersionTLS12}
	for _, answer := range []string{"", "N", "S"} { // nothing, no TLS, and TLS that never comes
		for range 20 {
			ctx, cancel := context.WithCancel(testContext(t))
			sent := make(chan error, 1)
			go func() { sent <- c.sendCancel(ctx) }()
			nc, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(nc, make([]byte, 8)); err != nil {
				t.Error(err)
			}
			if _, err := io.WriteString(nc, answer); err != nil {
				t.Error(err)
			}
			cancel()
			if err := <-sent; err == nil {
				t.Errorf("%q: a request was sent", answer)
			}
			if err := nc.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
