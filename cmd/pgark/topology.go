package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/fanout"
)

// topologyOptions are the flags of `pgark topology`.
type topologyOptions struct {
	app  *app
	conn connOptions
	json bool
}

func newTopology(a *app) *cobra.Command {
	o := &topologyOptions{app: a}
	cmd := &cobra.Command{
		Use:   "topology [flags] [DBNAME]",
		Short: "show the cluster as pgark sees it",
		Long: `Show the cluster that a server belongs to: its nodes and their roles, the routes that rows can take, and why the others
don't work.`,
		Example:     "  pgark topology -d shop\n  pgark topology --json shop",
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

// Run prints the cluster.
func (o *topologyOptions) Run(ctx context.Context) error {
	c, err := o.conn.discover(ctx, o.app)
	if err != nil {
		return err
	}
	if o.json {
		return quietPipe(writeJSON(o.app.stdout, topologyJSON(c)))
	}
	out := &errWriter{w: o.app.stdout}
	fmt.Fprintf(out, "%s %s, database %s\n\n", c.Dialect.Product, c.Dialect.Version, visible(databaseName(c)))
	nodes := newColumns("node", "role", "host", ">port")
	for _, n := range clusterNodes(c) {
		nodes.add(n.Name, n.Role, n.Host, fmt.Sprint(n.Port))
	}
	_ = nodes.write(out)
	fmt.Fprintln(out)
	routes := newColumns("route", "works", "promise", "because")
	for _, r := range c.Routes {
		works := "no"
		if r.Works {
			works = "yes"
		}
		routes.add(r.Name, works, dash(r.Promise), r.Reason)
	}
	_ = routes.write(out)
	return quietPipe(out.err)
}

// clusterNode is a node as it is shown.
type clusterNode struct {
	ID   uint32 `json:"id"`
	Name string `json:"name"`
	Role string `json:"role"`
	Host string `json:"host"`
	Port uint16 `json:"port"`
}

func clusterNodes(c *fanout.Cluster) []clusterNode {
	show := func(n fanout.Node, role string) clusterNode {
		return clusterNode{n.ID, n.Name, role, n.Config.Host(), n.Config.Port()}
	}
	nodes := []clusterNode{show(c.Coordinator, "coordinator")}
	for _, n := range c.Nodes {
		nodes = append(nodes, show(n, "data"))
	}
	return nodes
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
		Nodes         []clusterNode `json:"nodes"`
		Routes        []route       `json:"routes"`
	}{c.Dialect.Product, c.Dialect.Version, databaseName(c), clusterNodes(c), routes}
}
