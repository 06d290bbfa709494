package wire

import "syscall"

// A server sends rows 8 KiB at a time, and a Go program that waits for the socket is woken for each: epoll, a goroutine
// switch, a read. While a COPY streams, it is cheaper to let some data gather in the socket's buffer first. Measured
// with 618 MB in 4 million rows from PostgreSQL 15 on two cores; wall and client CPU seconds, context switches:
//
//	                      unix socket               TCP on loopback
//	psql > /dev/null      4.1   1.1                 5.0   1.15
//	no pause              3.9   1.5   165,000       4.2   1.6   160,000
//	pause of 200 µs       3.8   0.7    25,000       3.7   0.75   30,000
//	time.Sleep of 200 µs  5.7   2.0   160,000       4.2   1.5   145,000
//
// time.Sleep is no help: the runtime waits for timers in whole milliseconds, or spins. nanosleep keeps its thread, as
// any system call does; the runtime gives the processor to other goroutines that are ready.
//
// How long it takes for enough to gather depends on the server, which has to share its cores: three segments on two cores
// send 8 KiB in 200 µs. So a pause grows while reads bring little, and shrinks when they bring much: 1.0 GB from three
// segments of a Greenplum by three programs at once took 10.2 instead of 11.7 s (medians of three).
//
// A pause must not be so long that the server finds the socket's buffer full, which holds 200 KiB of a unix socket's with all that belongs
// to them. Twice the sizes below cost a slow server time: a dump of 295 MB with -F custom -Z zstd:1 -j1 took 1.09 of pg_dump's time, as they are 1.01,
// without a pause 1.03 and a third more of the client's CPU (medians of twelve rounds). The last rows are late by one pause at most.
const (
	pauseLeast = 200_000   // nanoseconds
	pauseMost  = 2_000_000 // likewise
	pauseBelow = 32 << 10  // a pause follows a read that brought less than this,
	pauseLess  = 64 << 10  // and is shorter the next time after one that brought more than this
	pauseAfter = 1 << 20   // bytes of a COPY; smaller ones are not slowed down
)

// pace decides on the pauses of one session.
type pace struct {
	length int64 // of the next pause, in nanoseconds; 0 before the first
	due    bool
}

// wait lets data gather in the socket's buffer, if little of it was there.
func (p *pace) wait() {
	if !p.due {
		return
	}
	t := syscall.NsecToTimespec(p.length)
	// Ended early by a signal, it has done no harm.
	_ = syscall.Nanosleep(&t, nil)
}

// brought says how much a read has brought. One that was filled says nothing about how much is left.
func (p *pace) brought(n int, filled bool) {
	switch p.due = n < pauseBelow && !filled; {
	case p.due && p.length > 0:
		p.length = min(p.length*3/2, pauseMost)
	case n > pauseLess || p.length == 0:
		p.length = max(p.length*2/3, pauseLeast)
	}
}
