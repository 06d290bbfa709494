package wire

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/pgark/pgark/internal/pgtest"
)

// TestTCPSettings: libpq's settings about silent connections reach the socket.
func TestTCPSettings(t *testing.T) {
	srv := pgtest.Shared(t)
	for more, want := range map[string][5]int{
		"":             {1, 30, 10, 3, 0},
		"keepalives=0": {0, 0, 0, 0, 0},
		"keepalives_idle=7 keepalives_interval=2 keepalives_count=5 tcp_user_timeout=9000": {1, 7, 2, 5, 9000},
		"keepalives=1 keepalives_idle=0 tcp_user_timeout=0":                                {1, 30, 10, 3, 0},
	} {
		c := connect(t, srv.TCPConninfo("postgres")+" "+more)
		raw, err := c.socket.Conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var got [5]int
		if err := raw.Control(func(fd uintptr) {
			for i, o := range [][2]int{
				{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE},
				{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE},
				{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL},
				{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT},
				{syscall.IPPROTO_TCP, optUserTimeout},
			} {
				if got[i], err = syscall.GetsockoptInt(int(fd), o[0], o[1]); err != nil {
					t.Error(err)
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		if got[0] == 0 {
			got = [5]int{4: got[4]} // the others are of no effect
		}
		if got != want {
			t.Errorf("%q: %v, want %v", more, got, want)
		}
	}
	if _, err := ParseConfig("host=x keepalives_idle=soon"); err == nil || !strings.Contains(err.Error(), "keepalives_idle") {
		t.Errorf("error %v", err)
	}
}

// TestCopyInTimesOut: a server that tcp_user_timeout has given up did not close the connection, and its log tells nothing.
func TestCopyInTimesOut(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, "CREATE TABLE t (a text)")
	proxy := pgtest.NewProxy(t, srv.TCPAddr())
	c := connect(t, proxy.Conninfo(db)+" tcp_user_timeout=1000")
	ci, err := c.CopyIn(testContext(t), "COPY public.t FROM STDIN")
	if err != nil {
		t.Fatal(err)
	}
	proxy.Stall()
	block := []byte(strings.Repeat("x\n", 4<<20))
	for err == nil {
		_, err = ci.Write(block)
	}
	if !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("Write: %v", err)
	}
	lost(t, c, err)
}
