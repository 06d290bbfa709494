package wire

import (
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"
)

// tcpSettings are those of libpq about a connection whose other side falls silent.
type tcpSettings struct {
	keepAlive   net.KeepAliveConfig
	userTimeout time.Duration // how long what was sent may stay without an acknowledgement; 0 is the system's default
}

// tcpKeywords are the settings that [tcpSettings] come from.
func tcpKeywords() []string {
	return []string{"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"}
}

// parseTCP takes the settings from what value gives for a keyword, "" where it is not given. As in libpq, 0 and less are the
// default; that of keepalives is not the system's, whose two hours are too long for a dump that waits for a host that is gone.
func parseTCP(value func(keyword string) string) (tcpSettings, error) {
	var numbers [5]int
	for i, keyword := range tcpKeywords() {
		text := value(keyword)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return tcpSettings{}, fmt.Errorf("%s: %q is no integer", keyword, text)
		}
		numbers[i] = int(n)
	}
	t := tcpSettings{
		keepAlive:   net.KeepAliveConfig{Enable: value("keepalives") == "" || numbers[0] != 0, Idle: keepAlive, Interval: keepAlive / 3, Count: 3},
		userTimeout: time.Duration(max(0, numbers[4])) * time.Millisecond,
	}
	if numbers[1] > 0 {
		t.keepAlive.Idle = time.Duration(numbers[1]) * time.Second
	}
	if numbers[2] > 0 {
		t.keepAlive.Interval = time.Duration(numbers[2]) * time.Second
	}
	if numbers[3] > 0 {
		t.keepAlive.Count = numbers[3]
	}
	return t, nil
}

// dialer gives connections with the settings. Without keep-alive Go's own default must be turned off, too.
func (t tcpSettings) dialer(timeout time.Duration) net.Dialer {
	d := net.Dialer{Timeout: timeout, KeepAliveConfig: t.keepAlive}
	if !t.keepAlive.Enable {
		d.KeepAlive = -1
	}
	if t.userTimeout > 0 {
		d.Control = func(network, _ string, c syscall.RawConn) error { return setUserTimeout(network, c, t.userTimeout) }
	}
	return d
}
