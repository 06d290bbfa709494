package topology

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/wire"
)

// Options say what a server's catalog can't. The zero value discovers everything by itself.
type Options struct {
	// Overrides replace the addresses of discovered nodes, by node name: for clusters behind NAT, whose catalog holds
	// addresses that don't lead there from here. A name that no node has is an error.
	Overrides map[string]Address
	// DataNodes list the databases of a cluster that an application shards itself; see [fanout.LayoutEqual]. With them
	// the catalog is not asked for nodes.
	DataNodes []DataNode
	// Session, if not nil, gets the session with the coordinator, open and idle, where discovery has succeeded: the caller closes it.
	Session func(*wire.Conn)
	// Log gets what is worth knowing and is no error; nil is silent.
	Log *slog.Logger
}

// Address replaces where a node is. Empty parts change nothing.
type Address struct {
	Host string
	Port uint16
}

// DataNode is a database of an explicit list. A setting that Conninfo leaves open, of the database and the user, is that
// of the coordinator; everything else is as in libpq.
type DataNode struct {
	Name     string
	Conninfo string
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// override changes the addresses of nodes. It must come before the nodes are probed.
func override(c *Cluster, addresses map[string]Address) error {
	left := maps.Clone(addresses)
	for i := range c.Nodes {
		n := &c.Nodes[i]
		if a, ok := addresses[n.Name]; ok {
			n.Config = n.Config.With(wire.Overrides{Host: a.Host, Port: a.Port})
			delete(left, n.Name)
		}
	}
	if len(left) == 0 {
		return nil
	}
	unknown := slices.Sorted(maps.Keys(left))[0]
	if unknown == c.Coordinator.Name {
		return fmt.Errorf("%w: the address of the %s is the one that was connected to (-h and -p): it can't be overridden", fanout.ErrUsage, unknown)
	}
	if len(c.Nodes) == 0 {
		return fmt.Errorf("%w: there is no node %q: %s has no nodes besides the coordinator", fanout.ErrUsage, unknown, c.Coordinator.Config.Addr())
	}
	names := make([]string, len(c.Nodes))
	for i := range c.Nodes {
		names[i] = c.Nodes[i].Name
	}
	return fmt.Errorf("%w: there is no node %q: the nodes are %s", fanout.ErrUsage, unknown, strings.Join(names, ", "))
}
