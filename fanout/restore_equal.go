package fanout

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// runEqual restores into a list of nodes that all have the same tables, each with rows of its own: the definitions go to
// every node, and each node's rows to that node. No node is changed before all have been looked at.
func (r *restoreRun) runEqual(ctx context.Context) error {
	members, err := r.members()
	if err != nil {
		return err
	}
	for _, m := range members {
		if err := m.run.lookAhead(ctx); err != nil {
			return fmt.Errorf("node %s: %w", m.node.Name, err)
		}
	}
	g, groupCtx := errgroup.WithContext(ctx)
	for _, m := range members {
		g.Go(func() error {
			if err := m.run.run(groupCtx); err != nil {
				return fmt.Errorf("node %s: %w", m.node.Name, err)
			}
			return nil
		})
	}
	err = g.Wait()
	for _, m := range members {
		r.merge(m)
	}
	r.setRoute(RouteSegments, fmt.Sprintf("each of %d nodes has the definitions, and the rows that it had", len(members)))
	return err
}

// equalMember is the restore of one node.
type equalMember struct {
	node *Node
	run  *restoreRun
}

// members makes a restore for the coordinator and for each node.
func (r *restoreRun) members() ([]equalMember, error) {
	was := make(map[string]uint32, len(r.moment.Nodes))
	for _, n := range r.moment.Nodes {
		was[n.Name] = n.ID
	}
	nodes := []*Node{&r.cluster.Coordinator}
	for i := range r.cluster.Nodes {
		nodes = append(nodes, &r.cluster.Nodes[i])
	}
	progress := &sharedProgress{Progress: r.opts.Progress, plans: make(map[int]progressPlan)}
	members := make([]equalMember, len(nodes))
	for i, n := range nodes {
		o := r.opts
		o.Target, o.Route, o.Discover = n.Config, RouteCoordinator, nil
		o.Log = r.opts.Log.With("node", n.Name)
		o.Progress = &memberProgress{sharedProgress: progress, member: i}
		of := was[n.Name]
		run, err := newRestoreRun(r.content, o, r.limits, &of)
		if err != nil {
			return nil, err
		}
		members[i] = equalMember{node: n, run: run}
	}
	return members, nil
}

// lookAhead makes sure that a node can be reached and its tables may be loaded.
func (r *restoreRun) lookAhead(ctx context.Context) error {
	s, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	if err := r.checkExtensions(ctx, s); err != nil {
		return err
	}
	return r.checkEmpty(ctx, s)
}

// merge adds what a member did to the result. Definitions and tables count once, rows all.
func (r *restoreRun) merge(m equalMember) {
	of := m.run.result
	if m.node.ID == 0 {
		r.result.Objects, r.result.Tables = of.Objects, of.Tables
	}
	r.result.Tables = min(r.result.Tables, of.Tables)
	r.result.Rows += of.Rows
	r.result.RawBytes += of.RawBytes
	for _, f := range of.Failures {
		f.Err = fmt.Errorf("node %s: %w", m.node.Name, f.Err)
		r.result.Failures = append(r.result.Failures, f)
	}
	for _, x := range of.Mismatches {
		x.What = "node " + m.node.Name + ": " + x.What
		r.result.Mismatches = append(r.result.Mismatches, x)
	}
	for _, w := range of.Warnings {
		if slices.Contains(r.result.Warnings, w) {
			continue // of the archive, not of the node
		}
		r.result.Warnings = append(r.result.Warnings, "node "+m.node.Name+": "+w)
	}
	r.change = r.change || m.run.change
}

// sharedProgress makes one plan of those of the members.
type sharedProgress struct {
	Progress

	mu    sync.Mutex
	plans map[int]progressPlan
}

type progressPlan struct {
	tables int
	bytes  uint64
}

// memberProgress is the progress of one member.
type memberProgress struct {
	*sharedProgress
	member int
}

// Plan adds up what the members have to do.
func (p *memberProgress) Plan(tables int, bytes uint64) {
	p.mu.Lock()
	p.plans[p.member] = progressPlan{tables, bytes}
	var all progressPlan
	for _, o := range p.plans {
		all.tables += o.tables
		all.bytes += o.bytes
	}
	p.mu.Unlock()
	p.Progress.Plan(all.tables, all.bytes)
}
