package fanout

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgark/pgark/archive"
)

// chooseRoute looks at the target and decides, before anything is changed, whether rows may go straight to nodes. Which
// tables' rows do is decided by placeLoads.
func (r *restoreRun) chooseRoute(ctx context.Context) error {
	if err := r.discover(ctx, r.target); err != nil {
		return err
	}
	r.layout = layoutOf(r.moment)
	if r.opts.Route == RouteCoordinator {
		r.setRoute(RouteCoordinator, "asked for")
		return nil
	}
	why := r.notDirect()
	switch {
	case why == "":
		r.setRoute(RouteSegments, "")
	case r.opts.Route == RouteSegments:
		return fmt.Errorf("%w: %s: %s", ErrRoute, RouteSegments, why)
	default:
		r.setRoute(RouteCoordinator, why)
	}
	return nil
}

func (r *restoreRun) setRoute(name, reason string) {
	r.result.Route, r.result.RouteReason = name, reason
}

// layoutOf is the layout of the cluster that an archive is of.
func layoutOf(m *archive.Moment) Layout {
	for i := range m.Distributions {
		switch m.Distributions[i].Kind {
		case archive.DistributedHash, archive.DistributedRandom, archive.DistributedReplicated:
			return LayoutSegments
		case archive.DistributedForeign:
			return LayoutForeign
		case archive.DistributedNode:
			return LayoutEqual
		}
	}
	return LayoutSingle
}

// notDirect says why no row can go straight to a node, "" if some may.
func (r *restoreRun) notDirect() string {
	switch {
	case r.layout == LayoutSingle:
		return "the archive does not hold the rows of several nodes"
	case r.opts.ToPostgres:
		return "the tables are translated for one server"
	case r.opts.SingleTransaction:
		return "one transaction (-1) is one session with the coordinator"
	case r.cluster == nil:
		return "nothing is known of the target's nodes"
	case r.tables() == 0 && r.layout != LayoutEqual:
		return "no rows are to be loaded"
	}
	switch r.layout {
	case LayoutSegments:
		return r.notSegments()
	case LayoutEqual:
		return r.notEqual()
	default:
		return r.notForeign()
	}
}

// notSegments says why the target's segments are not the archive's.
func (r *restoreRun) notSegments() string {
	d := &r.cluster.Dialect
	switch {
	case r.cluster.Layout != LayoutSegments:
		return fmt.Sprintf("the archive is of %s and its segments, the target is %s %s", r.catalog.Product, d.Product, d.Version)
	case r.catalog.Product != d.Product || !sameMajor(r.catalog.ServerVersion, d):
		return fmt.Sprintf("the archive is of %s %s, the target is %s %s: segments of other versions may place rows in another way",
			r.catalog.Product, r.catalog.ServerVersion, d.Product, d.Version)
	}
	if _, why := r.segmentNodes(); why != "" {
		return why
	}
	return r.unusable()
}

// notForeign says why nothing can be said for partitions on foreign servers. Which servers there are shows only after the
// definitions have been carried out, unless they are in place.
func (r *restoreRun) notForeign() string {
	switch {
	case r.cluster.Layout == LayoutSegments:
		return "the archive is of shards of PostgreSQL, the target is " + r.cluster.Dialect.Product
	case r.plan.DataOnly && r.cluster.Layout != LayoutForeign:
		return "the target has no partitions on foreign servers"
	}
	return ""
}

// notEqual says why the target's nodes are not the archive's.
func (r *restoreRun) notEqual() string {
	var was []string
	for _, n := range r.moment.Nodes {
		was = append(was, n.Name)
	}
	is := []string{r.cluster.Coordinator.Name}
	for i := range r.cluster.Nodes {
		is = append(is, r.cluster.Nodes[i].Name)
	}
	slices.Sort(was)
	slices.Sort(is)
	switch {
	case r.cluster.Layout != LayoutEqual:
		return "the archive is of the nodes " + strings.Join(was, ", ") + ", and none are listed for the target"
	case !slices.Equal(was, is):
		return fmt.Sprintf("the archive is of the nodes %s, the target's are %s", strings.Join(was, ", "), strings.Join(is, ", "))
	case r.opts.Create:
		return "-C creates a database on the coordinator alone: create it on every node and restore without -C"
	}
	return r.unusable()
}

// unusable says which node of the target can't be used.
func (r *restoreRun) unusable() string {
	for i := range r.cluster.Nodes {
		if err := r.cluster.Nodes[i].Err; err != nil {
			return err.Error()
		}
	}
	return ""
}

// sameMajor compares a version that an archive has recorded, which is the product's own or that of the PostgreSQL below
// it, with a server's.
func sameMajor(recorded string, d *Dialect) bool {
	base := d.VersionNum / 10000
	parts := 1
	if base < 10 {
		parts = 2
	}
	numbers := func(version string, n int) string {
		version, _, _ = strings.Cut(version, " ")
		some := strings.Split(version, ".")
		return strings.Join(some[:min(n, len(some))], ".")
	}
	below := strconv.Itoa(base)
	if parts == 2 {
		below += "." + strconv.Itoa(d.VersionNum/100%100)
	}
	return numbers(recorded, parts) == below || numbers(recorded, 1) == numbers(d.Version, 1)
}
