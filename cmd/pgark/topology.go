package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
)

// topologyOptions are the flags of `pgark topology`.
type topologyOptions struct {
	app  *app
	conn connOptions
	json bool
}

const topologyLong = `Show the cluster that a server belongs to: its nodes and their roles, whether each can be used from here, the routes that
rows can take, and why the others don't work. Every node is connected to once.

Nodes are found for Greenplum and Apache Cloudberry (the primary segments, never mirrors) and for postgres_fdw (each server
that holds partitions of a table). A database that an application has spread over servers by itself is given as a list:
--data-node or --data-nodes; what a node's settings leave open, of the database and the user, is that of -d.

If a node can't be used, all that is known is printed, with what to do about it, and the exit code is 4.`

const topologyExample = `  pgark topology -d shop
  pgark topology -h mdw --node seg0=nat.example:16001 --node seg1=nat.example:16002 sales
  pgark topology -d 'host=db1 dbname=shop' --data-node b=host=db2 --data-node c=host=db3
  pgark topology --json shop`

func newTopology(a *app) *cobra.Command {
	o := &topologyOptions{app: a}
	cmd := &cobra.Command{
		Use:         "topology [flags] [DBNAME]",
		Short:       "show the cluster as pgark sees it",
		Long:        topologyLong,
		Example:     topologyExample,
		Annotations: exitCodes(""),
		Args:        args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if cmd.Flags().Changed("dbname") {
					return usagef("the database is named twice: -d %s and %s", quoteArg(o.conn.dbname), quoteArg(args[0]))
				}
				o.conn.dbname = args[0]
			}
			if err := o.conn.validate(cmd.Flags()); err != nil {
				return err
			}
			return o.Run(cmd.Context())
		},
	}
	o.conn.addFlags(cmd.Flags(), "`database` to connect to")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

// Run prints the cluster, and fails if a node of it can't be used.
func (o *topologyOptions) Run(ctx context.Context) error {
	c, err := o.conn.discover(ctx, o.app)
	if err != nil {
		return err
	}
	if o.json {
		err = writeJSON(o.app.stdout, topologyJSON(c))
	} else {
		err = printTopology(&errWriter{w: o.app.stdout}, c)
	}
	if err := quietPipe(err); err != nil {
		return err
	}
	return unusable(c)
}

// unusable names the nodes that can't be used.
func unusable(c *fanout.Cluster) error {
	var names []string
	for i := range c.Nodes {
		if c.Nodes[i].Err != nil {
			names = append(names, c.Nodes[i].Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", topology.ErrNode, visible(strings.Join(names, ", ")))
}

func printTopology(out *errWriter, c *fanout.Cluster) error {
	fmt.Fprintf(out, "%s %s, database %s, %s\n\n", c.Dialect.Product, c.Dialect.Version, visible(databaseName(c)), layoutText(c))
	nodes := newColumns("node", "role", ">content", "host", ">port", "database", "state")
	for _, n := range clusterNodes(c) {
		content, state := "-", "reachable"
		if c.Layout == fanout.LayoutSegments {
			content = fmt.Sprint(n.Content)
		}
		switch {
		case !n.Reachable:
			state = n.Reason
		case n.Reason != "":
			state += ", " + n.Reason
		}
		nodes.add(visible(n.Name), n.Role, content, visible(n.Host), fmt.Sprint(n.Port), visible(n.Database), visible(state))
	}
	_ = nodes.write(out)
	fmt.Fprintln(out)
	routes := newColumns("route", "works", "promise", "because")
	for _, r := range c.Routes {
		works := "no"
		if r.Works {
			works = "yes"
		}
		routes.add(r.Name, works, dash(r.Promise), visible(r.Reason))
	}
	_ = routes.write(out)
	return out.err
}

// layoutText says in words where the rows are.
func layoutText(c *fanout.Cluster) string {
	n := uint64(len(c.Nodes))
	switch c.Layout {
	case fanout.LayoutSegments:
		return "rows on " + plural(n, "segment")
	case fanout.LayoutForeign:
		return "partitions on " + plural(n, "shard") + " (postgres_fdw)"
	case fanout.LayoutEqual:
		return "rows on the coordinator and on " + plural(n, "node")
	}
	return "rows on one server"
}

// clusterNode is a node as it is shown.
type clusterNode struct {
	ID        uint32 `json:"id"`
	Name      string `json:"name"`
	Role      string `json:"role"`
	Content   int    `json:"content"` // of Greenplum's segments, else -1
	Host      string `json:"host"`
	Port      uint16 `json:"port"`
	Database  string `json:"database"`
	Reachable bool   `json:"reachable"`
	Reason    string `json:"reason"` // why it is not, or what is remarkable
}

func clusterNodes(c *fanout.Cluster) []clusterNode {
	show := func(n *fanout.Node, role string) clusterNode {
		reason := n.Note
		if n.Err != nil {
			reason = nodeReason(n.Err)
		}
		return clusterNode{n.ID, n.Name, role, n.Content, n.Config.Host(), n.Config.Port(), n.Config.Database(), n.Err == nil, reason}
	}
	nodes := []clusterNode{show(&c.Coordinator, "coordinator")}
	for i := range c.Nodes {
		nodes = append(nodes, show(&c.Nodes[i], topology.Noun(c.Layout)))
	}
	return nodes
}

// nodeReason is a node's error on one line.
func nodeReason(err error) string {
	return strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), topology.ErrNode.Error()+": ")), " ")
}

func topologyJSON(c *fanout.Cluster) any {
	type route struct {
		Name    string `json:"name"`
		Works   bool   `json:"works"`
		Promise string `json:"promise"`
		Reason  string `json:"reason"`
	}
	routes := []route{}
	for _, r := range c.Routes {
		routes = append(routes, route{r.Name, r.Works, r.Promise, r.Reason})
	}
	return struct {
		Product       string        `json:"product"`
		ServerVersion string        `json:"server_version"`
		Database      string        `json:"dbname"`
		Layout        fanout.Layout `json:"layout"`
		Nodes         []clusterNode `json:"nodes"`
		Routes        []route       `json:"routes"`
	}{c.Dialect.Product, c.Dialect.Version, databaseName(c), c.Layout, clusterNodes(c), routes}
}
