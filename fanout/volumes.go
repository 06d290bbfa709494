package fanout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// Place is where a worker runs: beside a node.
type Place struct {
	Node    string // name of the node
	Host    string // as the cluster calls it; empty or a directory is this host
	Content int    // Greenplum's content id of a segment, -1 for others
}

// place is where a node is.
func (n *Node) place() Place { return Place{Node: n.Name, Host: n.Config.Host(), Content: n.Content} }

// places are where the nodes are that have rows in any case: of a cluster with foreign partitions the coordinator may have none.
func (c *Cluster) places() []Place {
	var places []Place
	if c.Layout == LayoutEqual {
		places = append(places, c.Coordinator.place())
	}
	for i := range c.Nodes {
		places = append(places, c.Nodes[i].place())
	}
	return places
}

// Starter starts workers.
type Starter interface {
	// Check makes sure that the same pgark is on all hosts, and names each on which it is not.
	Check(ctx context.Context, places []Place) error
	// Close gives up what Check may have left for what comes after it.
	Close(ctx context.Context)
	// Run has each task done by a worker, all at once, and returns how each ended, in their order. Together says that one that
	// fails ends the others. take gets the answers to task i, one after the other; several goroutines may call it for different
	// tasks. An error of take ends that task.
	Run(ctx context.Context, tasks []Task, places []Place, together bool, take func(i int, line *WorkerLine) error) []error
	// Start runs one worker for each job, where the job's node is, all at once, and returns when each has written its volume
	// and made it durable, without its name. After an error no worker is left, and no file.
	// report is told what workers have done since the last time; it may be called by several goroutines.
	Start(ctx context.Context, jobs []Job, places []Place, report func(rows, bytes uint64)) (Workers, error)
}

// Workers have written their volumes and wait to give them their names.
type Workers interface {
	// Volumes are what they have written, with host and path, in the order of the jobs.
	Volumes() []archive.Volume
	// Commit gives the volumes their names. Until Keep they are removed again when this process dies. When ctx ends, a worker that hangs is not waited for.
	Commit(ctx context.Context) error
	// Keep tells the workers that the lead volume is about to get its name. ctx is as with Commit.
	Keep(ctx context.Context) error
	// Close ends the workers. Unless the set is whole, they leave nothing of what they wrote but for the volumes that are
	// returned, by host and path: it isn't known whether these are still there.
	Close(ctx context.Context, whole bool) (left []string)
}

// VolumeOptions has every node's rows written to a volume beside it, by a worker there, instead of to the archive, which
// becomes the lead volume of a set.
type VolumeOptions struct {
	Starter Starter
	Name    string                           // of the lead volume's file, for the members' headers
	Lead    VolumeFile                       // the lead volume's file, which Dump commits when the other volumes have their names
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
	var err error
	m.blobs, err = hasBlobs(ctx, m.leader().conn)
	return err
}

// LeftError is a failure after which volumes may be left, since their workers could not be asked any more. Without their lead
// volume they are of no use.
type LeftError struct {
	Err     error
	Volumes []string // by host and path
}

func (e *LeftError) Error() string { return e.Err.Error() }

// Unwrap returns why the dump failed.
func (e *LeftError) Unwrap() error { return e.Err }

// endWorkers ends what is left of them, after a failure, and returns the error with what is to be said about that.
func (d *dumper) endWorkers(ctx context.Context, err error) error {
	if d.workers == nil {
		return err
	}
	left := d.workers.Close(ctx, false)
	d.workers = nil
	if len(left) > 0 && err != nil {
		err = &LeftError{Err: err, Volumes: left}
	}
	return err
}

// commitVolumes gives all volumes their names, the lead volume last. After an error none has one.
func (d *dumper) commitVolumes(ctx context.Context) (err error) {
	defer func() { err = d.endWorkers(ctx, err) }()
	lead := d.o.Volumes.Lead
	if err := lead.Sync(); err != nil {
		return err
	}
	if d.workers == nil {
		return lead.Commit()
	}
	for _, v := range d.workers.Volumes() {
		d.result.Volumes = append(d.result.Volumes, v)
		d.result.Summary.Rows += v.Rows
		d.result.Summary.RawBytes += v.RawBytes
		d.result.Summary.Bytes += v.Bytes
		d.result.Summary.Streams += int(v.Streams) //nolint:gosec // limited by the format
	}
	if err := d.workers.Commit(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := d.workers.Keep(ctx); err != nil {
		return err
	}
	if err := lead.Commit(); err != nil {
		return errors.Join(err, lead.TakeBack())
	}
	d.workers.Close(ctx, true)
	d.workers = nil
	return nil
}

// runVolumes is [attempt.run] for a set: the workers read while pg_dump gives the catalog.
func (a *attempt) runVolumes(ctx context.Context, aw *archive.Writer) error {
	_ = a.endWorkers(ctx, nil) // of an attempt before; no volume has a name yet
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.getCatalog(gctx) })
	g.Go(func() error {
		if err := a.awaitIfUnsure(gctx); err != nil {
			return err
		}
		jobs, places, err := a.jobs()
		if err != nil || len(jobs) == 0 {
			return err
		}
		w, err := a.o.Volumes.Starter.Start(gctx, jobs, places, a.progress.Advance)
		if err != nil {
			return err
		}
		a.workers = w
		return checkVolumes(jobs, w.Volumes())
	})
	err := g.Wait()
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
func (a *attempt) jobs() ([]Job, []Place, error) {
	var jobs []Job
	var places []Place
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
			Version: JobVersion, Archive: Text(a.o.Volumes.Name), Database: Text(c.Coordinator.Config.Database()), Tool: a.o.Tool,
			Created: a.created.UnixMicro(), Set: a.set.String(), Number: uint32(len(jobs) + 1), //nolint:gosec // nodes are few
			Node: x.node.ID, Name: Text(x.node.Name), Path: Text(path), Force: a.o.Volumes.Force,
			Conninfo: conninfos(x.node.Config), Identity: x.identity, Dialect: *x.dialect, Locks: x.locks, Snapshot: x.snapshot,
			LeadPID: x.conn.PID(), lead: x.conn,
			Codec: a.o.Codec, Level: a.o.Level, Jobs: a.o.Jobs, Tables: jobTables(parts), Blobs: blobs,
		})
		places = append(places, x.node.place())
	}
	return jobs, places, nil
}

// conninfos are the ways to reach a server from its own host.
func conninfos(cfg *wire.Config) []string {
	infos := []string{cfg.Conninfo()}
	if host := cfg.Host(); host != "" && host[0] != '/' && host[0] != '@' && host != "127.0.0.1" {
		infos = append([]string{cfg.With(wire.Overrides{Host: "127.0.0.1"}).Conninfo()}, infos...)
	}
	return infos
}

// checkVolumes compares what the workers say with what they were told. No two volumes may be the same file, under whatever
// names the cluster knows their host: with Force one would replace the other.
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
	lead, err := filepath.Abs(string(jobs[0].Archive))
	if err != nil {
		return err
	}
	here, err := os.Hostname()
	if err != nil {
		return err
	}
	taken := map[[2]string]string{{here, lead}: "the lead volume"}
	for i, v := range volumes {
		place := [2]string{v.Host, v.Path}
		if taken[place] != "" {
			return fmt.Errorf("%s and node %s have the same volume, %s on host %s: each needs a path of its own", taken[place], jobs[i].Name, v.Path, v.Host)
		}
		taken[place] = "node " + string(jobs[i].Name)
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
