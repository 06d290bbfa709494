package wire

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/pgark/pgark/internal/pgtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testContext ends a test that hangs.
func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// connect opens a session that is closed when the test ends.
func connect(t testing.TB, conninfo string) *Conn {
	t.Helper()
	cfg, err := ParseConfig(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Connect(testContext(t), cfg, TextSettings(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(testContext(t)); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// newDB makes a database on the shared server and opens a session in it.
func newDB(t testing.TB) (*pgtest.Server, string, *Conn) {
	t.Helper()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	return srv, db, connect(t, srv.Conninfo(db))
}

func mustExec(t *testing.T, c *Conn, sql string) Tag {
	t.Helper()
	tag, err := c.Exec(testContext(t), sql)
	if err != nil {
		t.Fatalf("%s: %v", shorten(sql), err)
	}
	return tag
}

func mustQuery(t *testing.T, c *Conn, sql string) string {
	t.Helper()
	v, err := c.QueryString(testContext(t), sql)
	if err != nil {
		t.Fatalf("%s: %v", shorten(sql), err)
	}
	return v
}

// usable fails the test if the session can't answer a simple question.
func usable(t *testing.T, c *Conn) {
	t.Helper()
	if got := mustQuery(t, c, "SELECT 'still here'"); got != "still here" {
		t.Errorf("the session answers %q", got)
	}
}

// rowReader is a CopyOut or a RowsOut.
type rowReader interface {
	Fill(ctx context.Context, buf []byte) (n int, open bool, err error)
	Bytes() uint64
}

// readAll reads rows to their end with one buffer, and checks what Fill promises about rows in parts.
func readAll(t *testing.T, ctx context.Context, o rowReader, buf []byte) ([]byte, error) {
	t.Helper()
	var all []byte
	wasOpen := false
	for {
		n, open, err := o.Fill(ctx, buf)
		if errors.Is(err, io.EOF) {
			if n != 0 || open || wasOpen {
				t.Errorf("at the end: n %d, open %v, before %v", n, open, wasOpen)
			}
			if uint64(len(all)) != o.Bytes() {
				t.Errorf("%d bytes came, Bytes is %d", len(all), o.Bytes())
			}
			return all, nil
		}
		if err != nil {
			return all, err
		}
		if n == 0 || open && n != len(buf) || !open && buf[n-1] != '\n' {
			t.Errorf("Fill gave %d bytes of %d, open %v, ending in %q", n, len(buf), open, buf[max(0, n-1):n])
		}
		all = append(all, buf[:n]...)
		wasOpen = open
	}
}
