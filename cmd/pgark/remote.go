package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
)

// remoteOptions say how the volumes of a set are reached on the hosts where they lie.
type remoteOptions struct {
	setOptions
	starterOptions
	volumes string // where they are on their hosts, if not where they were written

	template volumePath // what validate makes of volumes
}

// addFlags defines the flags. The first of the ways is the default.
func (o *remoteOptions) addFlags(f *pflag.FlagSet, usage string, ways ...string) {
	o.setOptions.addFlags(f)
	o.starterOptions.addFlags(f, usage, ways...)
	f.StringVar(&o.volumes, "volumes", "", "with --start: where the volumes are on their hosts, if they are not where they were written: `PATH` with {node}, {host}, {content}, {archive}")
}

func (o *remoteOptions) validate(f *pflag.FlagSet) error {
	used := o.start != startNone
	if err := o.starterOptions.validate(f, used, "--start"); err != nil {
		return err
	}
	if o.dir != "" && f.Changed("start") && o.start != startNone {
		return usagef("--volume-dir and --start cannot be used together: either the volumes are in one place here, or on their hosts")
	}
	if o.volumes == "" {
		return nil
	}
	if !used || o.dir != "" {
		return usagef("--volumes is for --start")
	}
	if !filepath.IsAbs(o.volumes) {
		return usagef("--volumes %s: must be an absolute path: it is for other hosts", quoteArg(o.volumes))
	}
	o.template = volumePath(o.volumes)
	return o.template.validate()
}

// engine gives the engine what it needs to reach the volumes of the set at path. cluster is for --start db.
func (o *remoteOptions) engine(path string, cluster *fanout.Cluster, jobs int, m *meter) (fanout.RemoteOptions, error) {
	starter, err := o.starter(cluster)
	if err != nil {
		return fanout.RemoteOptions{}, err
	}
	r := fanout.RemoteOptions{Starter: starter, Jobs: jobs, Path: func(v *archive.Volume) (string, error) {
		if !filepath.IsAbs(v.Path) {
			return "", fmt.Errorf("where volume %d is on its host is not known: its path %s is relative to the lead volume", v.Number, quoteArg(v.Path))
		}
		return v.Path, nil
	}}
	if m != nil {
		r.Report = m.Advance
	}
	if o.template != "" {
		nodes, err := archivedNodes(path)
		if err != nil {
			return r, err
		}
		r.Path = func(v *archive.Volume) (string, error) {
			return filepath.Clean(o.template.expand(nodes[v.Node], path)), nil
		}
	}
	if o.start == startDB {
		hosts := make(map[int]string)
		for i := range cluster.Nodes {
			hosts[cluster.Nodes[i].Content] = cluster.Nodes[i].Config.Host()
		}
		r.Place = func(p fanout.Place) fanout.Place {
			if host, ok := hosts[p.Content]; ok {
				p.Host = host
			}
			return p
		}
	}
	return r, nil
}

// archivedNodes are the nodes of an archive, by ID.
func archivedNodes(path string) (map[uint32]archive.Node, error) {
	a, err := archive.OpenWith(path, archive.OpenOptions{LeadOnly: true})
	if err != nil {
		return nil, pathError(path, err)
	}
	defer a.Close()
	m, err := a.Moment()
	if err != nil {
		return nil, pathError(path, err)
	}
	nodes := make(map[uint32]archive.Node, len(m.Nodes))
	for _, n := range m.Nodes {
		nodes[n.ID] = n
	}
	return nodes, nil
}

// openedSet is an archive that is here, or of which the volumes are elsewhere.
type openedSet struct {
	*archive.Reader
	remote *fanout.Remote // nil if it is here
	close  func() error
}

func (s *openedSet) Close() error { return s.close() }

// fetch makes the rows of some entries readable; nil means all.
func (s *openedSet) fetch(ctx context.Context, entries map[int32]bool) error {
	if s.remote == nil {
		return nil
	}
	return s.remote.FetchEntries(ctx, entries)
}

// open opens an archive where it is: here, or if the flags say so on the hosts of its volumes. cluster is for --start db.
func (o *remoteOptions) open(ctx context.Context, path string, cluster *fanout.Cluster, jobs int, partial bool, m *meter) (*openedSet, error) {
	if o.start != startSSH && o.start != startDB {
		local := o.all()
		local.Partial = partial
		if m != nil {
			local.Through = m.through
		}
		a, err := openFiles(path, local)
		if err == nil {
			return &openedSet{Reader: a.Reader, close: a.Close}, nil
		}
		switch far := o.elsewhere(path, err); {
		case far && o.start == startNone:
			return nil, withHint(err, "--start ssh reads the volumes on their hosts; "+absentHint(path, o.dir))
		case !far || o.start != startAuto:
			return nil, err
		}
	}
	r, err := o.engine(path, cluster, jobs, m)
	if err != nil {
		return nil, err
	}
	x, err := fanout.OpenRemote(ctx, path, r, partial)
	if err != nil {
		return nil, remoteError(ctx, path, err)
	}
	return &openedSet{Reader: x.Reader, remote: x, close: x.Close}, nil
}

// elsewhere tells whether what keeps a set from being opened is that volumes lie on other hosts.
func (o *remoteOptions) elsewhere(path string, err error) bool {
	var set *archive.SetError
	if o.dir != "" || !errors.As(err, &set) {
		return false
	}
	nodes, err := archivedNodes(path)
	if err != nil {
		return false
	}
	for _, e := range set.Errs {
		if e.Problem != archive.VolumeMissing || !filepath.IsAbs(e.Volume.Path) || isHere(nodes[e.Volume.Node].Host) {
			return false
		}
	}
	return true
}

// closeAfter closes something after an error, which stays as it is unless that fails too: an interruption must be seen as one.
func closeAfter(c io.Closer, err error) error {
	if also := c.Close(); also != nil {
		return errors.Join(err, also)
	}
	return err
}

// remoteError adds to an error about volumes on other hosts what can be done.
func remoteError(ctx context.Context, path string, err error) error {
	var set *archive.SetError
	switch {
	case ctx.Err() != nil:
		return err
	case errors.As(err, &set):
		return withHint(err, "--volumes says where they are on their hosts; `pgark verify --start` says which tables have rows in them; `pgark gather --partial --start ssh` makes an archive of what is there")
	}
	return pathError(path, err)
}

// startUsage is the help of --start where volumes are read.
func startUsage(what string, ways ...string) string {
	all := make([]string, len(ways))
	for i, w := range ways {
		switch w {
		case startDB:
			w = "db (by the database itself: Greenplum, Cloudberry)"
		case startAuto:
			w = "auto (ssh, if the volumes are on other hosts)"
		case startNone:
			w = "none (what is here is read)"
		}
		all[i] = w
	}
	return "`how` workers are started that " + what + " on the hosts of a set's volumes: " + strings.Join(all, ", ")
}
