package topology

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/wire"
)

const (
	probesAtOnce = 16               // large clusters have hundreds of segments, and each session is a process there
	probeTimeout = 15 * time.Second // for one node, from the connect to the last answer
)

// probe tries all nodes, several at once: look gets a session with each and says what is wrong with it. What is wrong
// goes to the node's Err.
func (d *discovery) probe(ctx context.Context, look func(ctx context.Context, conn *wire.Conn, i int) error) {
	nodes := d.cluster.Nodes
	var g errgroup.Group
	g.SetLimit(probesAtOnce)
	for i := range nodes {
		if nodes[i].Err != nil {
			continue
		}
		g.Go(func() error {
			err := tryNode(ctx, nodes[i].Config, func(ctx context.Context, conn *wire.Conn) error { return look(ctx, conn, i) })
			if err != nil && ctx.Err() == nil {
				nodes[i].Err = d.nodeError(nodes[i], err)
			}
			return nil
		})
	}
	_ = g.Wait() // what went wrong is in the nodes
}

// tryNode opens a session, and gives it all to look within the time limit.
func tryNode(ctx context.Context, cfg *wire.Config, look func(ctx context.Context, conn *wire.Conn) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, fmt.Errorf("no answer for %s", probeTimeout))
	defer cancel()
	conn, err := wire.Connect(ctx, cfg, settings())
	if err == nil {
		err = look(ctx, conn)
		_ = conn.Close(context.WithoutCancel(ctx)) // it was only looked at
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return &wire.ConnectError{Addr: cfg.Addr(), Err: cause}
	}
	return err
}

// nodeError is what is wrong with a node, with its name and what to do.
func (d *discovery) nodeError(n Node, err error) error {
	if advice := d.advice(n, err); advice != "" {
		return fmt.Errorf("%w: %s %s: %w: %s", ErrNode, d.noun(), n.Name, err, advice)
	}
	return fmt.Errorf("%w: %s %s: %w", ErrNode, d.noun(), n.Name, err)
}

// failed gives the errors of all nodes that can't be used, as one; nil if there are none.
func (d *discovery) failed() error {
	var all []error
	for i := range d.cluster.Nodes {
		if err := d.cluster.Nodes[i].Err; err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}
