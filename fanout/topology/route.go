package topology

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/fanout"
)

// fail says that a route does not work because of err.
func fail(r *Route, err error) {
	r.Works, r.Promise, r.Err = false, "", err
	r.Reason = strings.TrimPrefix(oneLine(err), ErrNode.Error()+": ")
}

// nodeErrors are those of several nodes. Its text is that of the first.
type nodeErrors []error

func (e nodeErrors) Error() string {
	if len(e) == 1 {
		return e[0].Error()
	}
	return fmt.Sprintf("%v (and %d more)", e[0], len(e)-1)
}

func (e nodeErrors) Unwrap() []error { return e }

// join makes one error of those that are not nil; nil if all are.
func join(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return nil
	}
	return nodeErrors(errs)
}

// oneLine is an error's text without line ends. Several attempts that failed in the same way are told once.
func oneLine(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" && !slices.ContainsFunc(lines, func(l string) bool { return strings.HasSuffix(l, line) }) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
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
