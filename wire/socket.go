package wire

import "net"

// socket is the connection of a session: what its [net.Conn] is, or what lies below that with TLS.
type socket struct {
	net.Conn
	unwatched bool
}

// unwatch takes the socket away from the runtime's poller, where that can be done. No call may be at work on it.
func (s *socket) unwatch() {
	if !s.unwatched {
		s.unwatched = true
		s.Conn = unwatched(s.Conn)
	}
}
