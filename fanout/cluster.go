package fanout

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/pgark/pgark/wire"
)

// Dialect is what a server's product and version can do, found out once when the cluster is discovered.
// No code below looks at version numbers.
type Dialect struct {
	Product    string // "PostgreSQL", "Greenplum", "Apache Cloudberry"
	Version    string // as the server says it: "15.18 (Debian 15.18-0+deb12u1)", "6.24.3"
	VersionNum int    // server_version_num, for records and for the choice of a pg_dump only

	TIDRangeScan        bool   // reads a ctid range without a scan of the whole table (14)
	ExportSnapshot      bool   // several sessions can share one snapshot (9.2)
	LockOnlyCoordinator string // clause for LOCK TABLE that keeps the lock off the segments, "" if none
	ShortFloats         bool   // prints floats in the shortest form that reads back (12)
	GeneratedColumns    bool   // pg_attribute has attgenerated (12)
	DeclarativeParts    bool   // partitioned tables have relkind 'p' (10; Greenplum 7)
	IdleTimeout         bool   // has idle_in_transaction_session_timeout (9.6)
	BlockingPIDs        bool   // has pg_blocking_pids (9.6)

	// Of Greenplum and its kin; zero elsewhere.
	UtilityOption  string // startup option for a session with one segment: "-c gp_session_role=utility"
	RetrieveOption string // startup option for a session that fetches from endpoints: "-c gp_retrieve_conn=true"
	// EndpointsQuery asks for the endpoints of this session's cursors; "" without such cursors. Its columns: segment's
	// content, token, cursor, host, port, endpoint.
	EndpointsQuery string
	LegacyParts    bool // partitioned tables are pg_partition's, and their leaves have no entry of their own (Greenplum 6)
	ExternalTables bool // external tables have relstorage 'x' and relkind 'r' (Greenplum 6)
}

// Layout says where the rows of a cluster's tables are.
type Layout string

// The layouts.
const (
	LayoutSingle   Layout = "single"   // all on the coordinator: plain PostgreSQL
	LayoutSegments Layout = "segments" // of every table some on every segment, none on the coordinator: Greenplum, Cloudberry
	LayoutForeign  Layout = "foreign"  // partitions that are foreign tables of postgres_fdw on their servers, the rest on the coordinator
	LayoutEqual    Layout = "equal"    // the same tables on the coordinator and on every node, each with rows of its own
)

// Node is one server of a cluster.
type Node struct {
	ID      uint32       // 0 is the coordinator
	Name    string       // "coordinator", "seg0", "shard_a"
	Content int          // Greenplum's content id, -1 for the coordinator; -1 for nodes that are no segments
	Config  *wire.Config // reaches it for SQL; of a segment with the utility option
	Dialect Dialect      // of a server that may be of another version than the coordinator; zero where it is the cluster's
	Note    string       // what is remarkable about it, for people: "acts for its failed partner"
	Err     error        // why it could not be used when the cluster was discovered, nil if it could
}

// Cluster is everything that one dump covers: one coordinator and the nodes that hold its data.
type Cluster struct {
	Dialect     Dialect
	Layout      Layout
	Coordinator Node
	Nodes       []Node  // data nodes other than the coordinator, by ID; none for plain PostgreSQL. No mirrors
	Routes      []Route // every route, with the reason where one does not work
}

// Route is a way for rows to travel, and whether it works on a cluster.
type Route struct {
	Name    string // "coordinator", "segments", "cursors"
	Works   bool
	Promise string // "snapshot", "barrier"
	Reason  string // why it works or not, for people
	Err     error  // with !Works: what went wrong when it was tried, nil if it can't work by its nature
}

// The names of the routes.
const (
	RouteAuto        = "auto"
	RouteCoordinator = "coordinator"
	RouteSegments    = "segments"
	RouteCursors     = "cursors"
)

// The promises of a moment.
const (
	PromiseSnapshot = "snapshot"
	PromiseBarrier  = "barrier"
	PromiseNone     = "none"
)

// ErrRoute is wrapped by errors about a route that does not work on a cluster.
var ErrRoute = errors.New("this route does not work here")

// route returns a working route by its name.
func (c *Cluster) route(name string) (Route, error) {
	for _, r := range c.Routes {
		if r.Name == name {
			if !r.Works {
				if r.Err != nil {
					return r, fmt.Errorf("%w: %s: %w", ErrRoute, name, r.Err)
				}
				return r, fmt.Errorf("%w: %s: %s", ErrRoute, name, r.Reason)
			}
			return r, nil
		}
	}
	return Route{}, fmt.Errorf("%w: %s: not known", ErrRoute, name)
}

// withoutRows is the cluster for a dump of definitions, which are all on the coordinator: no other node is asked.
func (c *Cluster) withoutRows() *Cluster {
	return &Cluster{
		Dialect: c.Dialect, Layout: LayoutSingle, Coordinator: c.Coordinator,
		Routes: []Route{{
			Name: RouteCoordinator, Works: true, Promise: PromiseSnapshot,
			Reason: "only definitions are wanted, and the coordinator has them all",
		}},
	}
}

// candidates are the routes to try for a name, in order of preference. "" and auto give all that work, and say why
// others don't that should.
func (c *Cluster) candidates(name string) (routes []Route, why []string, err error) {
	if name != "" && name != RouteAuto {
		r, err := c.route(name)
		return []Route{r}, nil, err
	}
	for _, n := range []string{RouteSegments, RouteCursors, RouteCoordinator} {
		r, err := c.route(n)
		if err == nil {
			routes = append(routes, r)
		} else if r.Err != nil || n == RouteCoordinator {
			why = append(why, "not "+n+": "+cmp.Or(r.Err, err).Error())
		}
	}
	if len(routes) == 0 {
		return nil, nil, fmt.Errorf("%w: none does: %s", ErrRoute, strings.Join(why, "; "))
	}
	return routes, why, nil
}

// node returns the node with an ID; the coordinator for one that is not there.
func (c *Cluster) node(id uint32) *Node {
	for i := range c.Nodes {
		if c.Nodes[i].ID == id {
			return &c.Nodes[i]
		}
	}
	return &c.Coordinator
}
