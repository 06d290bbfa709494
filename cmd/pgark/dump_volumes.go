package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
)

// workerOptions are the flags of a dump whose rows go to volumes beside the nodes.
type workerOptions struct {
	volumes string
	start   string
	rsh     string
	worker  string

	template volumePath // what validate makes of volumes
}

func (o *workerOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.volumes, "volumes", "", "write each node's rows to a volume on its host: `PATH` with {node}, {host}, {content}, {archive}; FILE becomes the lead volume")
	f.StringVar(&o.start, "start", "ssh", "`how` workers are started on the hosts: ssh (nodes on this host need none), or db: by the database itself (Greenplum, Cloudberry)")
	f.StringVar(&o.rsh, "rsh", "ssh -o BatchMode=yes", "`command` that runs a command line on a host, as rsync has it: {host} stands for the host, which otherwise follows; one that ends in -c runs it here")
	f.StringVar(&o.worker, "worker", "", "`path` of pgark on the hosts (default: this program's)")
}

func (o *workerOptions) validate(f *pflag.FlagSet, file string) error {
	if o.volumes == "" {
		for _, name := range []string{"start", "rsh", "worker"} {
			if f.Changed(name) {
				return usagef("--%s is for --volumes", name)
			}
		}
		return nil
	}
	switch {
	case o.start != "ssh" && o.start != "db":
		return usagef("--start %s: must be ssh or db", quoteArg(o.start))
	case o.start == "db" && f.Changed("rsh"):
		return usagef("--rsh is for --start ssh")
	case len(strings.Fields(o.rsh)) == 0:
		return usagef("--rsh needs a command")
	case file == "-":
		return usagef("--volumes and -f - cannot be used together: the lead volume is named in the others")
	}
	o.template = volumePath(o.volumes)
	if !filepath.IsAbs(o.volumes) {
		return usagef("--volumes %s: must be an absolute path: it is for other hosts", quoteArg(o.volumes))
	}
	return o.template.validate()
}

// engine gives the engine what it needs for a lead volume of that name; nil without --volumes.
func (o *workerOptions) engine(c *fanout.Cluster, lead string, force bool) (*fanout.VolumeOptions, error) {
	if o.template == "" {
		return nil, nil //nolint:nilnil // no volumes are no error
	}
	worker := o.worker
	if worker == "" {
		var err error
		if worker, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
	}
	var starter fanout.Starter = &fanout.ProcessStarter{
		Tool:    toolName,
		Command: func(n *fanout.Node) ([]string, error) { return o.command(n.Config.Host(), worker) },
	}
	if o.start == "db" {
		if c.Layout != fanout.LayoutSegments {
			return nil, usagef("--start db: a %s does not start programs on its nodes", c.Dialect.Product)
		}
		starter = &fanout.DatabaseStarter{Coordinator: c.Coordinator.Config, Worker: worker, Tool: toolName}
	}
	taken := make(map[string]string) // nodes by host and path
	return &fanout.VolumeOptions{
		Name: lead, Force: force,
		Path: func(n *fanout.Node) (string, error) {
			path := filepath.Clean(o.template.expand(archive.Node{
				Name: n.Name, Host: n.Config.Host(), Content: int32(n.Content), //nolint:gosec // a small number
			}, lead))
			key := n.Config.Host() + "\x00" + path
			if other, ok := taken[key]; ok && other != n.Name {
				return "", &usageError{
					message: fmt.Sprintf("--volumes %s gives the nodes %s and %s, on one host, the same path", quoteArg(o.volumes), quoteArg(other), quoteArg(n.Name)),
					hint:    "put {node} or {content} into it",
				}
			}
			taken[key] = n.Name
			return path, nil
		},
		Starter: starter,
	}, nil
}

// command is the argument vector that runs a worker on a host.
func (o *workerOptions) command(host, worker string) ([]string, error) {
	words := strings.Fields(o.rsh)
	line := "exec " + fanout.ShellWord(worker) + " worker"
	switch {
	case words[len(words)-1] == "-c":
		return append(words, line), nil
	case strings.Contains(o.rsh, "{host}"):
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], "{host}", host)
		}
		return append(words, "sh", "-c", line), nil
	case isHere(host):
		return []string{worker, "worker"}, nil
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

// createLead opens the archive's file. Of a lead volume nothing is left if this process is killed.
func (o *workerOptions) createLead(a *app, name string, force bool) (*outFile, error) {
	if o.template == "" {
		return a.createOut(name, force)
	}
	if err := a.checkTarget(name, force); err != nil {
		return nil, err
	}
	return a.createNameless(name, force)
}
