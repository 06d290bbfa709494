package topology

import (
	"context"
	"fmt"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/wire"
)

// equal makes nodes of the explicit list. One that is the coordinator's own database is left out: its rows are read once,
// as the coordinator's.
func (d *discovery) equal(ctx context.Context) error {
	c := d.cluster
	c.Layout = fanout.LayoutEqual
	if err := d.listNodes(); err != nil {
		return err
	}
	if err := override(c, d.options.Overrides); err != nil {
		return err
	}
	self, err := lookPlain(ctx, d.conn)
	if err != nil {
		return fmt.Errorf("ask %s what it is: %w", d.conn.Addr(), err)
	}
	if err := d.leaveOut(self, d.lookAtNodes(ctx)); err != nil {
		return err
	}
	coordinator := Route{Name: fanout.RouteCoordinator, Reason: "the coordinator has only its own rows"}
	segments := Route{
		Name: fanout.RouteSegments, Works: true, Promise: fanout.PromiseBarrier,
		Reason: "direct sessions with every node, behind a write barrier",
	}
	if err := self.check(); err != nil {
		err = fmt.Errorf("coordinator: %w", err)
		fail(&coordinator, err)
		fail(&segments, err)
	} else if err := d.failed(); err != nil {
		fail(&segments, err)
	}
	c.Routes = []Route{coordinator, segments, noCursors()}
	return nil
}

// listNodes reads the list.
func (d *discovery) listNodes() error {
	c := d.cluster
	names := map[string]bool{c.Coordinator.Name: true}
	for i, n := range d.options.DataNodes {
		switch {
		case n.Name == "":
			return fmt.Errorf("%w: data node %d has no name", fanout.ErrUsage, i+1)
		case names[n.Name]:
			return fmt.Errorf("%w: two nodes are called %q", fanout.ErrUsage, n.Name)
		}
		names[n.Name] = true
		cfg, err := nodeConfig(n.Conninfo, c.Coordinator.Config)
		if err != nil {
			return fmt.Errorf("%w: data node %s: %w", fanout.ErrUsage, n.Name, err)
		}
		c.Nodes = append(c.Nodes, Node{ID: uint32(i) + 1, Name: n.Name, Content: -1, Config: cfg}) //nolint:gosec // a count of nodes
	}
	return nil
}

// nodeConfig reads a connection string that leaves the database and the user to the coordinator's.
func nodeConfig(text string, coordinator *wire.Config) (*wire.Config, error) {
	cfg, err := wire.ParseConfig(text)
	if err != nil {
		return nil, err
	}
	return cfg.Default(coordinator.Database(), coordinator.User()), nil
}

// leaveOut drops nodes that are the coordinator's own database, and refuses those that are one database by two names, whose
// rows would be there twice. IDs stay those of the list.
func (d *discovery) leaveOut(self plainNode, seen []plainNode) error {
	c := d.cluster
	first := make(map[identity]string)
	var kept []Node
	for i, n := range c.Nodes {
		id := seen[i].identity
		switch {
		case n.Err != nil:
		case id == self.identity:
			d.options.Log.Info(fmt.Sprintf("node %s is the database that -d names: its rows count once, as the coordinator's", n.Name))
			continue
		case first[id] != "":
			return fmt.Errorf("%w: nodes %s and %s are the same database (%s): its rows would be counted twice",
				fanout.ErrUsage, first[id], n.Name, n.Config.Addr())
		default:
			first[id] = n.Name
		}
		kept = append(kept, n)
	}
	c.Nodes = kept
	return nil
}
