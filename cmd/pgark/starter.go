package main

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/pgark/pgark/fanout"
)

// How workers are started.
const (
	startAuto = "auto" // as ssh, if they are needed
	startNone = "none" // not at all: what is here is read
	startSSH  = "ssh"
	startDB   = "db"
)

// starterOptions are the flags that say how workers are started on the hosts of nodes.
type starterOptions struct {
	start  string
	rsh    string
	worker string

	ways []string // that start may be
}

// addFlags defines them. The first of the ways is the default.
func (o *starterOptions) addFlags(f *pflag.FlagSet, usage string, ways ...string) {
	o.ways = ways
	f.StringVar(&o.start, "start", ways[0], usage)
	o.addRsh(f)
	f.StringVar(&o.worker, "worker", "", "`path` of pgark on the hosts (default: this program's)")
}

func (o *starterOptions) addRsh(f *pflag.FlagSet) {
	f.StringVar(&o.rsh, "rsh", "ssh -o BatchMode=yes", "`command` that runs a command line on a host, as rsync has it: {host} stands for the host, which otherwise follows; one that ends in -c runs it here")
}

// validate checks them. used says whether any worker will be started.
func (o *starterOptions) validate(f *pflag.FlagSet, used bool, without string) error {
	if !used {
		for _, name := range []string{"start", "rsh", "worker"} {
			if f.Changed(name) {
				return usagef("--%s is for %s", name, without)
			}
		}
		return nil
	}
	switch {
	case !slices.Contains(o.ways, o.start):
		return usagef("--start %s: must be %s", quoteArg(o.start), strings.Join(o.ways, " or "))
	case o.start == startDB && f.Changed("rsh"):
		return usagef("--rsh is for --start ssh")
	}
	return o.validateRsh()
}

func (o *starterOptions) validateRsh() error {
	if len(strings.Fields(o.rsh)) == 0 {
		return usagef("--rsh needs a command")
	}
	return nil
}

// program is where pgark is on the hosts.
func (o *starterOptions) program() (string, error) {
	if o.worker != "" {
		return o.worker, nil
	}
	worker, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return worker, nil
}

// starter is what starts the workers. cluster is for --start db; it may be nil for ssh.
func (o *starterOptions) starter(cluster *fanout.Cluster) (fanout.Starter, error) {
	worker, err := o.program()
	if err != nil {
		return nil, err
	}
	if o.start != startDB {
		return &fanout.ProcessStarter{
			Tool: toolName,
			Command: func(host string, arguments ...string) ([]string, error) {
				return o.command(host, append([]string{worker, "worker"}, arguments...))
			},
		}, nil
	}
	if cluster.Layout != fanout.LayoutSegments {
		return nil, usagef("--start db: a %s does not start programs on its nodes", cluster.Dialect.Product)
	}
	return &fanout.DatabaseStarter{Coordinator: cluster.Coordinator.Config, Nodes: cluster.Nodes, Worker: worker, Tool: toolName}, nil
}

// command is the argument vector that runs a program on a host.
func (o *starterOptions) command(host string, argv []string) ([]string, error) {
	line := "exec"
	for _, word := range argv {
		line += " " + fanout.ShellWord(word)
	}
	if isHere(host) && !o.goesThrough() {
		return argv, nil
	}
	return o.shell(host, line)
}

// goesThrough tells whether --rsh has its say about this host, too.
func (o *starterOptions) goesThrough() bool {
	words := strings.Fields(o.rsh)
	return words[len(words)-1] == "-c" || strings.Contains(o.rsh, "{host}")
}

// shell is the argument vector that runs a command line on a host.
func (o *starterOptions) shell(host, line string) ([]string, error) {
	words := strings.Fields(o.rsh)
	switch {
	case words[len(words)-1] == "-c":
		return append(words, line), nil
	case strings.Contains(o.rsh, "{host}"):
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], "{host}", host)
		}
		return append(words, "sh", "-c", line), nil
	case strings.HasPrefix(host, "-"):
		return nil, fmt.Errorf("the host's name %q would be taken for an option", host)
	}
	return append(words, host, line), nil
}

// isHere tells whether a host is this one: a socket's directory, a loopback address or name, or this host's name.
func isHere(host string) bool {
	if host == "" || host[0] == '/' || host[0] == '@' || host == "localhost" {
		return true
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	name, err := os.Hostname()
	return err == nil && name == host
}
