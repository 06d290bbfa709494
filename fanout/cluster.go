package fanout

import (
	"errors"
	"fmt"

	"github.com/pgark/pgark/wire"
)

// Dialect is what a server's product and version can do, found out once when the cluster is discovered.
// No code below looks at version numbers.
type Dialect struct {
	Product    string // "PostgreSQL", "Greenplum", "Apache Cloudberry"
	Version    string // as the server says it: "15.18 (Debian 15.18-0+deb12u1)"
	VersionNum int    // server_version_num, for records and for the choice of a pg_dump only

	TIDRangeScan        bool   // reads a ctid range without a scan of the whole table (14)
	ExportSnapshot      bool   // several sessions can share one snapshot (9.2)
	LockOnlyCoordinator string // clause for LOCK TABLE that keeps the lock off the segments, "" if none
}

// Node is one server of a cluster.
type Node struct {
	ID      uint32 // 0 is the coordinator
	Name    string // "coordinator", "seg0", "shard_a"
	Content int    // Greenplum's content id, -1 for the coordinator
	Config  *wire.Config
}

// Cluster is everything that one dump covers: one coordinator and the nodes that hold its data.
type Cluster struct {
	Dialect     Dialect
	Coordinator Node
	Nodes       []Node  // data nodes other than the coordinator; none for plain PostgreSQL
	Routes      []Route // every route, with the reason where one does not work
}

// Route is a way for rows to travel, and whether it works on a cluster.
type Route struct {
	Name    string // "coordinator", "segments", "cursors"
	Works   bool
	Promise string // "snapshot", "barrier"
	Reason  string // why it works or not, for people
}

// ErrRoute is wrapped by errors about a route that does not work on a cluster.
var ErrRoute = errors.New("this route does not work here")

// route returns a working route by its name.
func (c *Cluster) route(name string) (Route, error) {
	for _, r := range c.Routes {
		if r.Name == name {
			if !r.Works {
				return r, fmt.Errorf("%w: %s: %s", ErrRoute, name, r.Reason)
			}
			return r, nil
		}
	}
	return Route{}, fmt.Errorf("%w: %s: not known", ErrRoute, name)
}
