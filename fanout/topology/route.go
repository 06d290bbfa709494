package topology

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pgark/pgark/fanout"
)

// fail says that a route does not work because of err.
func fail(r *Route, err error) {
	r.Works, r.Promise, r.Err = false, "", err
	r.Reason = oneLine(err)
}

// oneLine is an error as a reason: what is wrong with the first node, and how many more there are.
func oneLine(err error) string {
	more := ""
	var all interface{ Unwrap() []error }
	if errors.As(err, &all) && len(all.Unwrap()) > 0 && err.Error() == errors.Join(all.Unwrap()...).Error() {
		errs := all.Unwrap()
		err = errs[0]
		if len(errs) > 1 {
			more = fmt.Sprintf(" (and %d more)", len(errs)-1)
		}
	}
	text := strings.TrimPrefix(err.Error(), ErrNode.Error()+": ")
	return strings.Join(strings.Fields(text), " ") + more
}

// notes joins what is remarkable about nodes.
func notes(c *Cluster) string {
	var all []string
	for i := range c.Nodes {
		if n := &c.Nodes[i]; n.Note != "" {
			all = append(all, n.Name+": "+n.Note)
		}
	}
	return strings.Join(all, "; ")
}

// noCursors is the route that PostgreSQL does not have.
func noCursors() Route {
	return Route{Name: fanout.RouteCursors, Reason: "plain PostgreSQL has no parallel retrieve cursors"}
}
