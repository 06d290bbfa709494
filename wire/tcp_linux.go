package wire

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// optUserTimeout is TCP_USER_TIMEOUT, which package syscall lacks.
const optUserTimeout = 18

func setUserTimeout(network string, c syscall.RawConn, timeout time.Duration) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var err error
	if controlErr := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, optUserTimeout, int(timeout.Milliseconds())) //nolint:gosec // a descriptor
	}); controlErr != nil {
		return controlErr
	}
	if err != nil {
		return fmt.Errorf("tcp_user_timeout: %w", err)
	}
	return nil
}
