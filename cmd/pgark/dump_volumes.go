package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
)

// workerOptions are the flags of a dump whose rows go to volumes beside the nodes.
type workerOptions struct {
	starterOptions
	volumes string

	template volumePath // what validate makes of volumes
}

func (o *workerOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.volumes, "volumes", "", "write each node's rows to a volume on its host: `PATH` with {node}, {host}, {content}, {archive}; FILE becomes the lead volume")
	o.starterOptions.addFlags(f, "`how` workers are started on the hosts: ssh (nodes on this host need none), or db: by the database itself (Greenplum, Cloudberry)",
		startSSH, startDB)
}

func (o *workerOptions) validate(f *pflag.FlagSet, file string) error {
	if err := o.starterOptions.validate(f, o.volumes != "", "--volumes"); err != nil || o.volumes == "" {
		return err
	}
	if file == "-" {
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
	starter, err := o.starter(c)
	if err != nil {
		return nil, err
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
