package fanout

import (
	"context"
	"fmt"
)

// openNodes opens one session with every node that rows go to directly, so that a node that can't be reached is known
// before the first row is sent.
func (p *sessionPool) openNodes(ctx context.Context, r *restoreRun) error {
	for _, step := range r.steps {
		e := r.loads[step.Entry.ID]
		if e == nil || e.remote {
			continue
		}
		for _, l := range e.parts {
			if l.node == 0 || len(p.nodes[l.node]) > 0 {
				continue
			}
			if err := p.openNode(ctx, r, l.node); err != nil {
				return err
			}
		}
	}
	return nil
}

// openNode opens one more session with a node.
func (p *sessionPool) openNode(ctx context.Context, r *restoreRun, id uint32) error {
	node := r.cluster.node(id)
	if node.Err != nil {
		return node.Err
	}
	s, err := r.connectTo(ctx, node.Config)
	if err != nil {
		return fmt.Errorf("node %s: %w", node.Name, err)
	}
	s.node = id
	if p.nodes == nil {
		p.nodes = make(map[uint32][]*loadSession)
	}
	p.nodes[id] = append(p.nodes[id], s)
	return nil
}

// growNodes connects to the nodes until each has as many sessions as can have something to do. A node that has no more
// connections to give makes the restore slower, not impossible.
func (p *sessionPool) growNodes(ctx context.Context, r *restoreRun, q *restoreQueue) error {
	for id := range q.open {
		if id == 0 {
			continue
		}
		for n := r.sessionsFor(q, id); len(p.nodes[id]) < n; {
			err := p.openNode(ctx, r, id)
			if err == nil {
				continue
			}
			if ctx.Err() != nil || len(p.nodes[id]) == 0 {
				return err
			}
			r.warn(fmt.Sprintf("only %d of %d sessions: %v", len(p.nodes[id]), n, err))
			break
		}
	}
	return nil
}

// closeNodes ends the sessions with nodes.
func (p *sessionPool) closeNodes(ctx context.Context) {
	for _, some := range p.nodes {
		for _, s := range some {
			s.close(ctx)
		}
	}
	p.nodes = nil
}
