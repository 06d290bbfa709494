package fanout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pgark/pgark/archive"
)

// placeRemote decides which tables workers load, and fetches the rows of all others. Whatever goes through the coordinator,
// from several volumes, or to another host than the volume's, has to come here first.
func (r *restoreRun) placeRemote(ctx context.Context, leader *loadSession) error {
	if r.opts.Remote == nil {
		return nil
	}
	var fetched []string
	for _, step := range r.steps {
		e := r.loads[step.Entry.ID]
		if e == nil || e.blobs || e.err != nil {
			continue
		}
		if e.remote = r.loadsRemotely(e); e.remote || e.parts[0].node == 0 {
			continue
		}
		// Straight into nodes from here is a way that may not be there: the lead need not reach them.
		r.loads[step.Entry.ID] = r.planLoad(step)
		r.result.DirectTables--
		fetched = append(fetched, qualifiedID(step.Entry.Schema, step.Entry.Name))
	}
	if len(fetched) > 0 {
		r.warn(fmt.Sprintf("through the coordinator: %s: their volumes are on other hosts than their nodes, or their rows in several volumes", someTables(fetched)))
		r.setRoute(r.result.Route, fmt.Sprintf("proven, but only %d tables have their rows beside their nodes; the others go through the coordinator", r.result.DirectTables))
	}
	return r.fetch(ctx)
}

// loadsRemotely tells whether all parts of an entry can be loaded where their volumes lie.
func (r *restoreRun) loadsRemotely(e *entryLoad) bool {
	for _, l := range e.parts {
		volume, _, one := r.opts.Remote.streamsOf(l.streams)
		if !one || l.again {
			return false
		}
		at := r.opts.Remote.volumes[volume-1]
		node := r.targetNode(l)
		switch {
		case l.node == 0 && (r.plan.DataOnly || r.layout == LayoutSegments || at.Node != r.ownNode()):
			return false // in the order of foreign keys; or it isn't known to lie beside the coordinator
		case r.opts.Route != RouteSegments && at.place.Host != node.Config.Host():
			return false // its host need not reach the node
		}
	}
	return true
}

// ownNode is the archive's node whose rows the target has itself.
func (r *restoreRun) ownNode() uint32 {
	if r.ofNode != nil {
		return *r.ofNode
	}
	return 0
}

// targetNode is where a part's rows go.
func (r *restoreRun) targetNode(l *tableLoad) *Node {
	if l.node == 0 {
		return &Node{Name: "coordinator", Content: -1, Config: r.target}
	}
	return r.cluster.node(l.node)
}

// fetch fetches the rows of all tables that workers don't load.
func (r *restoreRun) fetch(ctx context.Context) error {
	if r.opts.Remote == nil {
		return nil
	}
	var ids []archive.StreamID
	tables := 0
	var bytes uint64
	for _, step := range r.steps {
		e := r.loads[step.Entry.ID]
		if e == nil || e.remote {
			continue
		}
		for _, l := range e.parts {
			for i := range l.streams {
				ids = append(ids, l.streams[i].ID)
				bytes += l.streams[i].Stored
			}
		}
		if e.want.Rows > 0 {
			tables++
		}
	}
	if tables > 0 {
		r.opts.Progress.Note(fmt.Sprintf("fetching rows from the hosts of their volumes, to go through the coordinator: %d tables, %d kB", tables, bytes>>10))
	}
	if err := r.opts.Remote.Fetch(ctx, ids); err != nil {
		return fmt.Errorf("fetch rows from the hosts of their volumes: %w", err)
	}
	return nil
}

// remoteTask is what one worker has to load: from one volume into one node.
type remoteTask struct {
	node  *Node
	loads map[archive.StreamID]*tableLoad // by their first stream
	task  Task
	place Place
}

// loadRemote has workers load what they can, all at once, and records how that went, table by table.
func (r *restoreRun) loadRemote(ctx context.Context, leader *loadSession) error {
	tasks, err := r.remoteTasks(ctx, leader)
	if err != nil || len(tasks) == 0 {
		return err
	}
	r.changed()
	r.announce(true)
	all, places := make([]Task, len(tasks)), make([]Place, len(tasks))
	for i, t := range tasks {
		conn, err := plainSession(ctx, t.node.Config, "pgark restore")
		if err != nil {
			return fmt.Errorf("node %s: %w", t.node.Name, err)
		}
		t.task.Load.Identity, err = conn.QueryString(ctx, identityQuery)
		closeSession(ctx, conn)
		if err != nil {
			return fmt.Errorf("node %s: ask which server it is: %w", t.node.Name, err)
		}
		t.task.From = uint32(i + 1) //nolint:gosec // an index
		all[i], places[i] = t.task, t.place
	}
	r.opts.Progress.Note(fmt.Sprintf("volumes are loaded where they lie, by %d workers", len(tasks)))
	var mu sync.Mutex
	errs := r.opts.Remote.o.Starter.Run(ctx, all, places, true, func(i int, line *WorkerLine) error {
		if p := line.Progress; p != nil {
			r.opts.Progress.Advance(p.Rows, p.Bytes)
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		return r.takeLoaded(ctx, leader, tasks[i], line)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := joinErrors(errs); err != nil {
		return err
	}
	for _, t := range tasks {
		if len(t.loads) > 0 {
			return fmt.Errorf("%w of node %s: it did not say how %d tables went", ErrWorker, t.node.Name, len(t.loads))
		}
	}
	return nil
}

// takeLoaded records how the load of a table went. Its error ends the restore.
func (r *restoreRun) takeLoaded(ctx context.Context, leader *loadSession, t *remoteTask, line *WorkerLine) error {
	if line.Loaded == nil {
		return errAnswer
	}
	l := t.loads[line.Loaded.Stream]
	if l == nil {
		return errAnswer
	}
	delete(t.loads, line.Loaded.Stream)
	var err error
	if line.Loaded.Error != "" {
		err = l.located(errors.New(string(line.Loaded.Error)))
	}
	l.mu.Lock()
	l.remaining = 0
	l.mu.Unlock()
	l.add(line.Loaded.Digest, line.Loaded.Rows, nil)
	if err != nil {
		l.entry.fail(err)
	}
	return r.settle(ctx, leader, l)
}

// remoteTasks groups what workers load by volume and node.
func (r *restoreRun) remoteTasks(ctx context.Context, leader *loadSession) ([]*remoteTask, error) {
	type key struct{ volume, node uint32 }
	found := make(map[key]*remoteTask)
	plain := make(map[key][]archive.StreamID)
	var tasks []*remoteTask
	for _, step := range r.steps {
		e := r.loads[step.Entry.ID]
		if e == nil || !e.remote {
			continue
		}
		for _, l := range e.parts {
			if l.node == 0 {
				if err := r.mayLoad(ctx, leader, e, r.plan.Table(step.Entry.ID)); err != nil && leader.lost(err) {
					return nil, err
				}
			}
			if e.failed() != nil || l.want.Rows == 0 { // nothing to load: what is wrong with it is settled as if it had been
				if err := r.settle(ctx, leader, l); err != nil {
					return nil, err
				}
				continue
			}
			volume, ids, _ := r.opts.Remote.streamsOf(l.streams)
			k := key{volume, l.node}
			t := found[k]
			if t == nil {
				t = r.remoteTask(volume, r.targetNode(l))
				found[k] = t
				tasks = append(tasks, t)
			}
			if slices.ContainsFunc(l.streams, func(s archive.Stream) bool {
				return l.sql != copyInto(s.Schema, s.Table, s.Columns)
			}) || len(r.opts.Redirect) > 0 { // the workers know the archive's names
				t.task.Load.Tables = append(t.task.Load.Tables, LoadTable{Streams: packStreams(ids), SQL: Text(l.sql)})
			} else {
				plain[k] = append(plain[k], ids...)
			}
			t.loads[ids[0]] = l
		}
	}
	for k, t := range found {
		t.task.Streams = packStreams(plain[k])
	}
	return tasks, nil
}

func (r *restoreRun) remoteTask(volume uint32, node *Node) *remoteTask {
	v := r.opts.Remote.volumes[volume-1]
	tasks, places := r.opts.Remote.tasks(TaskLoad, []*remoteVolume{v})
	t := &remoteTask{node: node, loads: make(map[archive.StreamID]*tableLoad), task: tasks[0], place: places[0]}
	t.task.Jobs = r.opts.Jobs
	t.task.Load = &LoadSpec{
		Conninfo: conninfos(node.Config), Encoding: r.catalog.Encoding, Setup: r.plan.Setup(),
		ShareFrom: r.limits.shareFrom, JoinFrom: r.limits.joinFrom,
	}
	return t
}
