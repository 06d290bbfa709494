package fanout

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// Route auto goes on to another route only where the failure came before anything was read, and only to one that can help.
func TestNextRoutes(t *testing.T) {
	segments := Route{Name: RouteSegments, Promise: PromiseBarrier}
	cursors := Route{Name: RouteCursors, Promise: PromiseSnapshot}
	coordinator := Route{Name: RouteCoordinator, Promise: PromiseSnapshot}
	behind := Route{Name: RouteCoordinator, Promise: PromiseBarrier} // of postgres_fdw
	broken := fmt.Errorf("node seg1: %w", &routeError{errors.New("connection refused")})
	for _, c := range []struct {
		routes []Route
		err    error
		want   []string
	}{
		{[]Route{segments, cursors, coordinator}, fmt.Errorf("%w within 10s", ErrBarrier), []string{RouteCursors, RouteCoordinator}},
		{[]Route{segments, behind}, fmt.Errorf("%w within 10s", ErrBarrier), nil},
		{[]Route{segments, cursors, coordinator}, broken, []string{RouteCursors, RouteCoordinator}},
		{[]Route{cursors, coordinator}, broken, []string{RouteCoordinator}},
		{[]Route{coordinator}, broken, nil},
		{[]Route{segments, cursors}, errors.New("table a, read from seg1: the connection was lost"), nil},
		{[]Route{segments, cursors}, errSlipped, nil},
		{[]Route{segments, cursors}, nil, nil},
	} {
		var names []string
		for _, r := range nextRoutes(c.routes, c.err) {
			names = append(names, r.Name)
		}
		if !slices.Equal(names, c.want) {
			t.Errorf("%v after %v: %v, want %v", c.routes, c.err, names, c.want)
		}
	}
}
