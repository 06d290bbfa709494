package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/wire"
)

// nodeOptions are the switches that say what a server's catalog can't: other addresses, and nodes that it doesn't know.
type nodeOptions struct {
	addresses []string
	dataNodes []string
	file      string

	// What validate makes of them.
	overrides map[string]topology.Address
	list      []topology.DataNode
}

func (o *nodeOptions) addFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.addresses, "node", nil, "reach a node of the cluster elsewhere than its catalog says: `NAME=HOST:PORT`; may be repeated")
	f.StringArrayVar(&o.dataNodes, "data-node", nil, "a database with the same tables and rows of its own: `NAME=CONNINFO`; may be repeated")
	f.StringVar(&o.file, "data-nodes", "", "read data nodes from `FILE`, a line each: NAME CONNINFO")
}

// validate reads what was given, the file included.
func (o *nodeOptions) validate() error {
	o.overrides, o.list = make(map[string]topology.Address), nil
	for _, text := range o.addresses {
		name, address, err := parseNode(text)
		if err != nil {
			return err
		}
		if _, twice := o.overrides[name]; twice {
			return usagef("--node %s is given twice", name)
		}
		o.overrides[name] = address
	}
	for _, text := range o.dataNodes {
		name, conninfo, ok := strings.Cut(text, "=")
		if !ok || !isNodeName(name) || strings.TrimSpace(conninfo) == "" {
			// The text is not repeated: it may hold a password.
			return usagef("--data-node: must be NAME=CONNINFO, such as 'a=host=db1 dbname=shop'")
		}
		secret, err := holdsPassword(conninfo)
		if err != nil {
			return usagef("--data-node %s: %v", name, err)
		}
		if secret {
			return &usageError{
				message: "--data-node " + name + ": a password on the command line can be seen by everybody on this host",
				hint:    "put it into ~/.pgpass, or the whole line into a file for --data-nodes that only you may read",
			}
		}
		o.list = append(o.list, topology.DataNode{Name: name, Conninfo: conninfo})
	}
	if o.file == "" {
		return nil
	}
	return o.readFile()
}

// readFile adds the nodes of the file.
func (o *nodeOptions) readFile() error {
	f, err := os.Open(o.file)
	if err != nil {
		return &usageError{message: "--data-nodes: " + err.Error()}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return &usageError{message: "--data-nodes: " + err.Error()}
	}
	lines := bufio.NewScanner(f)
	n := 0
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		end := strings.IndexFunc(line, unicode.IsSpace)
		if end < 0 || !isNodeName(line[:end]) {
			return usagef("--data-nodes %s, line %d: must be NAME CONNINFO", o.file, number)
		}
		name, conninfo := line[:end], strings.TrimSpace(line[end:])
		secret, err := holdsPassword(conninfo)
		if err != nil {
			return usagef("--data-nodes %s, line %d: %v", o.file, number, err)
		}
		if secret && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			return &usageError{
				message: fmt.Sprintf("--data-nodes %s holds passwords, and others may read it (mode %#o)", o.file, info.Mode().Perm()),
				hint:    "chmod 600 " + o.file,
			}
		}
		o.list = append(o.list, topology.DataNode{Name: name, Conninfo: conninfo})
		n++
	}
	if err := lines.Err(); err != nil {
		return &usageError{message: "--data-nodes " + o.file + ": " + err.Error()}
	}
	if n == 0 {
		return usagef("--data-nodes %s: no node in it", o.file)
	}
	return nil
}

// options is what discovery is given.
func (o *nodeOptions) options(a *app) topology.Options {
	return topology.Options{Overrides: o.overrides, DataNodes: o.list, Log: a.logger()}
}

// parseNode reads NAME=HOST:PORT. Either part of the address may be left out; an IPv6 address stands in brackets.
func parseNode(text string) (string, topology.Address, error) {
	wrong := func() (string, topology.Address, error) {
		return "", topology.Address{}, usagef("--node %s: must be NAME=HOST:PORT, such as seg1=10.0.0.7:6001", quoteArg(text))
	}
	name, address, ok := strings.Cut(text, "=")
	if !ok || !isNodeName(name) || address == "" {
		return wrong()
	}
	host, port := strings.TrimSuffix(strings.TrimPrefix(address, "["), "]"), ""
	if !strings.HasSuffix(address, "]") && strings.Contains(address, ":") {
		var err error
		if host, port, err = net.SplitHostPort(address); err != nil {
			return wrong()
		}
	}
	a := topology.Address{Host: host}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return wrong()
		}
		a.Port = uint16(n)
	}
	return name, a, nil
}

// isNodeName says that a name can stand in a list of nodes.
func isNodeName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unprintable(r) }) < 0
}

// holdsPassword says that a connection string has a password in it. Its error never shows one.
func holdsPassword(conninfo string) (bool, error) {
	cfg, err := wire.ParseConfig(conninfo)
	if err != nil {
		return false, err
	}
	return cfg.HoldsPassword(), nil
}
