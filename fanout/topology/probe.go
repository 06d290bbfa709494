package topology

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
			err := tryNode(ctx, nodes[i].Config, settings(), func(ctx context.Context, conn *wire.Conn) error { return look(ctx, conn, i) })
			if err != nil && ctx.Err() == nil {
				nodes[i].Err = d.nodeError(nodes[i], quiet(err))
			}
			return nil
		})
	}
	_ = g.Wait() // what went wrong is in the nodes
}

// tryNode opens a session, and gives it all to look within the time limit.
func tryNode(ctx context.Context, cfg *wire.Config, s wire.Settings, look func(ctx context.Context, conn *wire.Conn) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, fmt.Errorf("no answer for %s", probeTimeout))
	defer cancel()
	conn, err := wire.Connect(ctx, cfg, s)
	if err == nil {
		err = look(ctx, conn)
		_ = conn.Close(context.WithoutCancel(ctx)) // it was only looked at
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return &wire.ConnectError{Addr: cfg.Addr(), Err: cause}
	}
	return err
}

// nodeError is what is wrong with a node, on one line: its name, the error, and what to do.
type nodeError struct {
	text string
	err  error
}

func (e *nodeError) Error() string   { return ErrNode.Error() + ": " + e.text }
func (e *nodeError) Unwrap() []error { return []error{ErrNode, e.err} }

func (d *discovery) nodeError(n Node, err error) error {
	text := d.noun() + " " + n.Name + ": " + oneLine(err)
	if advice := d.advice(n, err); advice != "" {
		text += "; " + advice
	}
	return &nodeError{text: text, err: err}
}

// quiet takes away the server's own advice on how to force a way into a segment, which does not work.
func quiet(err error) error {
	var server *wire.ServerError
	var connect *wire.ConnectError
	if !errors.As(err, &server) || !errors.As(err, &connect) || !notAllowed(server) {
		return err
	}
	terse := *server
	terse.Detail, terse.Hint = "", ""
	return &wire.ConnectError{Addr: connect.Addr, Err: &terse}
}

// notAllowed says that a segment refused a session because it did not ask for utility mode, or not rightly.
func notAllowed(e *wire.ServerError) bool {
	return strings.Contains(e.Message, "connections to primary segments are not allowed") ||
		strings.Contains(e.Message, "only utility mode connections are allowed")
}

// failed gives the errors of all nodes that can't be used; nil if there are none.
func (d *discovery) failed() error {
	errs := make([]error, len(d.cluster.Nodes))
	for i := range d.cluster.Nodes {
		errs[i] = d.cluster.Nodes[i].Err
	}
	return join(errs)
}
