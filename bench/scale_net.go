package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pgark/pgark/internal/pgtest"
)

const netnsDir = "/run/netns" // where ip netns keeps its namespaces

// lan is a network of hosts on this machine: each host is a network namespace, and a bridge in one more namespace is the
// switch. Nothing of it is to be seen outside of these namespaces.
type lan struct {
	prefix string // of the names of all namespaces, unique for this process
	hosts  int    // number of hosts so far, for addresses
	names  []string
}

// host is one machine on the lan.
type host struct {
	netns string
	addr  string
}

// lanSubnet is where the hosts are. It leads nowhere else.
const lanSubnet = "10.251.0.0/24"

// newLAN makes the switch. The caller must call remove, also after an error.
func newLAN(ctx context.Context) (*lan, error) {
	l := &lan{prefix: fmt.Sprintf("pgark-%d-", os.Getpid())}
	if err := l.namespace(ctx, "switch"); err != nil {
		return l, err
	}
	return l, errors.Join(l.ip(ctx, "-n", l.prefix+"switch", "link", "add", "br0", "type", "bridge"),
		l.ip(ctx, "-n", l.prefix+"switch", "link", "set", "br0", "up"))
}

func (l *lan) namespace(ctx context.Context, name string) error {
	l.names = append(l.names, l.prefix+name) // before it is there: an interrupted command may have made it
	if err := l.ip(ctx, "netns", "add", l.prefix+name); err != nil {
		return err
	}
	return l.ip(ctx, "-n", l.prefix+name, "link", "set", "lo", "up")
}

// add connects a new host with the switch. Its link carries mbit megabits a second in each direction, 0 for no limit.
func (l *lan) add(ctx context.Context, mbit int) (*host, error) {
	l.hosts++
	addr := fmt.Sprintf("10.251.0.%d", l.hosts)
	h := &host{netns: l.prefix + addr, addr: addr} // named by its address for rsh's sake
	port := fmt.Sprintf("port%d", l.hosts)
	if err := l.namespace(ctx, addr); err != nil {
		return nil, err
	}
	steps := [][]string{
		{"-n", h.netns, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", l.prefix + "switch"},
		{"-n", h.netns, "addr", "add", h.addr + "/24", "dev", "eth0"},
		{"-n", h.netns, "link", "set", "eth0", "up"},
		{"-n", l.prefix + "switch", "link", "set", port, "master", "br0", "up"},
	}
	for _, args := range steps {
		if err := l.ip(ctx, args...); err != nil {
			return nil, err
		}
	}
	if mbit == 0 {
		return h, nil
	}
	return h, errors.Join(limit(ctx, h.netns, "eth0", mbit), limit(ctx, l.prefix+"switch", port, mbit))
}

// rsh is what runs a command line on a host, with {host} for its address: pgark's ssh on this lan. What passes between a
// program and the one that it runs so goes by pipes, past the links.
func (l *lan) rsh() string { return "ip netns exec " + l.prefix + "{host}" }

// carried gives how many bytes the hosts have sent over their links so far.
func (l *lan) carried(ctx context.Context) (int64, error) {
	out, err := exec.CommandContext(ctx, "ip", "-n", l.prefix+"switch", "-s", "-j", "link", "show", "master", "br0").Output()
	if err != nil {
		return 0, fmt.Errorf("ask how much went over the links: %w", err)
	}
	var ports []struct {
		Stats64 struct{ RX struct{ Bytes int64 } }
	}
	if err := json.Unmarshal(out, &ports); err != nil {
		return 0, fmt.Errorf("ask how much went over the links: %w", err)
	}
	var total int64
	for _, p := range ports {
		total += p.Stats64.RX.Bytes
	}
	return total, nil
}

// limit limits what goes out of a device.
func limit(ctx context.Context, netns, device string, mbit int) error {
	return command(ctx, "tc", "-n", netns, "qdisc", "add", "dev", device, "root", "tbf", "rate", fmt.Sprintf("%dmbit", mbit),
		"burst", "256kb", "latency", "50ms")
}

func (l *lan) ip(ctx context.Context, args ...string) error { return command(ctx, "ip", args...) }

// remove removes all namespaces, and with them their links. Processes in them must have ended.
func (l *lan) remove(ctx context.Context) error {
	var errs []error
	for _, name := range l.names {
		if _, err := os.Stat(filepath.Join(netnsDir, name)); err == nil {
			errs = append(errs, l.ip(ctx, "netns", "del", name))
		}
	}
	return errors.Join(errs...)
}

func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// run gives the command line that runs a program on the host.
func (h *host) run(args ...string) []string {
	return append([]string{"ip", "netns", "exec", h.netns}, args...)
}

// launch starts a PostgreSQL server on the host.
func (h *host) launch(ctx context.Context, opts pgtest.Options) (*pgtest.Server, error) {
	type result struct {
		srv *pgtest.Server
		err error
	}
	done := make(chan result)
	go func() {
		// This thread enters the namespace, and so do the processes that it starts. It is never unlocked, so it ends with
		// the goroutine, and no other goroutine gets to run on it.
		runtime.LockOSThread()
		if err := h.enter(); err != nil {
			done <- result{nil, err}
			return
		}
		srv, err := pgtest.Launch(ctx, opts)
		done <- result{srv, err}
	}()
	r := <-done
	if r.err != nil {
		return nil, fmt.Errorf("start PostgreSQL in %s: %w", h.netns, r.err)
	}
	return r.srv, nil
}

// enter moves the calling thread into the host's namespace.
func (h *host) enter() error {
	f, err := os.Open(filepath.Join(netnsDir, h.netns))
	if err != nil {
		return err
	}
	defer f.Close()
	return os.NewSyscallError("setns", unix.Setns(int(f.Fd()), unix.CLONE_NEWNET))
}
