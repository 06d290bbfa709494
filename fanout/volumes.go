package fanout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// Starter starts workers.
type Starter interface {
	// Start runs one worker for each job, where the job's node is, all at once, and returns when each has written its volume
	// and made it durable, without its name. After an error no worker is left, and no file.
	// report is told what workers have done since the last time; it may be called by several goroutines.
	Start(ctx context.Context, jobs []Job, nodes []*Node, report func(rows, bytes uint64)) (Workers, error)
}

// Workers have written their volumes and wait to give them their names.
type Workers interface {
	// Volumes are what they have written, with host and path, in the order of the jobs.
	Volumes() []archive.Volume
	// Commit gives the volumes their names and ends the workers. An error says which volumes have theirs.
	Commit(ctx context.Context) error
	// Close ends the workers. Without Commit nothing is left of what they wrote.
	Close(ctx context.Context)
}

// VolumeOptions has every node's rows written to a volume beside it, by a worker there, instead of to the archive, which
// becomes the lead volume of a set.
type VolumeOptions struct {
	Starter Starter
	Name    string                           // of the lead volume's file, for the members' headers
	Path    func(node *Node) (string, error) // of a node's volume, on its host
	Force   bool                             // replace volumes that exist
}

// prepareVolumes makes a set, and leaves the one route on which nodes write by themselves.
func (d *dumper) prepareVolumes(routes []Route) ([]Route, error) {
	d.set = archive.NewSetID()
	for _, r := range routes {
		if r.Name == RouteSegments {
			return []Route{r}, nil
		}
	}
	return nil, fmt.Errorf("%w: volumes beside the nodes need the route %s, and here there is only %s: %s",
		ErrRoute, RouteSegments, routes[0].Name, routes[0].Reason)
}

// lookForWorkers finds out, under the snapshots, what jobs have to know.
func (d *dumper) lookForWorkers(ctx context.Context, m *moment) error {
	for _, x := range m.members {
		var err error
		if x.identity, err = x.conn.QueryString(ctx, identityQuery); err != nil {
			return fmt.Errorf("node %s: ask which server it is: %w", x.node.Name, err)
		}
	}
	there, err := m.leader().conn.QueryString(ctx, "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_largeobject_metadata)")
	if err != nil {
		return fmt.Errorf("look for large objects: %w", err)
	}
	m.blobs = there == "t"
	return nil
}

// endWorkers ends what is left of them.
func (d *dumper) endWorkers(ctx context.Context) {
	if d.workers != nil {
		d.workers.Close(ctx)
		d.workers = nil
	}
}

// commitVolumes gives the members their names. It is the last thing before the lead volume gets its own.
func (d *dumper) commitVolumes(ctx context.Context) error {
	if d.workers == nil {
		return nil
	}
	for _, v := range d.workers.Volumes() {
		d.result.Volumes = append(d.result.Volumes, v)
		d.result.Summary.Rows += v.Rows
		d.result.Summary.RawBytes += v.RawBytes
		d.result.Summary.Bytes += v.Bytes
		d.result.Summary.Streams += int(v.Streams) //nolint:gosec // limited by the format
	}
	return d.workers.Commit(ctx)
}

// runVolumes is [attempt.run] for a set: the workers read while pg_dump gives the catalog.
func (a *attempt) runVolumes(ctx context.Context, aw *archive.Writer) error {
	a.endWorkers(ctx)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.getCatalog(gctx) })
	g.Go(func() error {
		if err := a.awaitIfUnsure(gctx); err != nil {
			return err
		}
		jobs, nodes, err := a.jobs()
		if err != nil || len(jobs) == 0 {
			return err
		}
		w, err := a.o.Volumes.Starter.Start(gctx, jobs, nodes, a.progress.Advance)
		if err != nil {
			return err
		}
		a.workers = w
		return checkVolumes(jobs, w.Volumes())
	})
	err := g.Wait()
	if errors.Is(err, ErrSlipped) {
		err = fmt.Errorf("%w: %w", errSlipped, err)
	}
	if err != nil {
		return err
	}
	if err := aw.SetMoment(a.describeMoment()); err != nil {
		return err
	}
	if err := aw.SetCatalog(a.catalog); err != nil {
		return err
	}
	var volumes []archive.Volume
	if a.workers != nil {
		volumes = a.workers.Volumes()
	}
	return aw.SetVolumes(volumes, a.bindings())
}

// awaitIfUnsure waits for the catalog unless it is known without it what is to be read.
func (a *attempt) awaitIfUnsure(ctx context.Context) error {
	sure := !a.m.blobs
	for _, t := range a.m.tables {
		sure = sure && a.sure(t)
	}
	if sure {
		return nil
	}
	select {
	case <-a.ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// jobs makes a job for each member that something is read from.
func (a *attempt) jobs() ([]Job, []*Node, error) {
	var jobs []Job
	var nodes []*Node
	c := a.o.Cluster
	for i, x := range a.m.members {
		var parts []part
		for _, p := range x.parts {
			if a.sure(p.table) || a.entry(p.table) != 0 {
				parts = append(parts, p)
			}
		}
		var blobs []JobBlobs
		if i == 0 && a.m.blobs {
			var err error
			if blobs, err = largeObjectEntries(a.catalog); err != nil {
				return nil, nil, err
			}
		}
		if len(parts)+len(blobs) == 0 {
			continue
		}
		path, err := a.o.Volumes.Path(x.node)
		if err != nil {
			return nil, nil, err
		}
		jobs = append(jobs, Job{
			Version: JobVersion, Archive: a.o.Volumes.Name, Database: c.Coordinator.Config.Database(), Tool: a.o.Tool,
			Created: a.created.UnixMicro(), Set: a.set.String(), Number: uint32(len(jobs) + 1), //nolint:gosec // nodes are few
			Node: x.node.ID, Name: x.node.Name, Path: path, Force: a.o.Volumes.Force,
			Conninfo: x.conninfos(), Identity: x.identity, Dialect: *x.dialect, Locks: x.locks, Snapshot: x.snapshot,
			Codec: a.o.Codec, Level: a.o.Level, Jobs: a.o.Jobs, Tables: jobTables(parts), Blobs: blobs,
		})
		nodes = append(nodes, x.node)
	}
	return jobs, nodes, nil
}

// conninfos are the ways to reach the member's server from its own host.
func (m *member) conninfos() []string {
	cfg := m.node.Config
	infos := []string{cfg.Conninfo()}
	if host := cfg.Host(); host != "" && host[0] != '/' && host[0] != '@' && host != "127.0.0.1" {
		infos = append([]string{cfg.With(wire.Overrides{Host: "127.0.0.1"}).Conninfo()}, infos...)
	}
	return infos
}

// checkVolumes compares what the workers say with what they were told.
func checkVolumes(jobs []Job, volumes []archive.Volume) error {
	if len(volumes) != len(jobs) {
		return fmt.Errorf("%d workers were started and %d answered", len(jobs), len(volumes))
	}
	for i := range jobs {
		v := &volumes[i]
		if v.Number != jobs[i].Number || v.Node != jobs[i].Node || v.Path == "" {
			return fmt.Errorf("node %s: the worker was to write volume %d, and says that it has written volume %d of node %d, %q",
				jobs[i].Name, jobs[i].Number, v.Number, v.Node, v.Path)
		}
	}
	return nil
}

// bindings say which entry each table's rows belong to.
func (a *attempt) bindings() []archive.Binding {
	var all []archive.Binding
	for oid, t := range a.m.tables {
		if id := a.entry(t); id != 0 {
			all = append(all, archive.Binding{OID: oid, Entry: id})
		}
	}
	slices.SortFunc(all, func(x, y archive.Binding) int { return cmp.Compare(x.OID, y.OID) })
	return all
}
