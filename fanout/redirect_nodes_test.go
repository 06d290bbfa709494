package fanout_test

import (
	"strings"
	"testing"

	"github.com/pgark/pgark/fanout"
)

// Rows that go straight to their nodes are of redirected tables as well: the proof of where they belong goes by the new names, and what
// shards call their tables stays.
func TestRedirectShards(t *testing.T) {
	t.Parallel()
	s, db := shardedDB(t)
	file := dumped(t, cluster(t, s.Coordinator.TCPConninfo(db)), fanout.DumpOptions{Jobs: 2})
	want := s.Coordinator.QueryString(t, db, shardSums)
	for _, route := range []string{fanout.RouteSegments, fanout.RouteCoordinator} {
		to := s.CreateEqualDB(t)
		shardTables(t, s, to)
		result := into(t, s.Coordinator.TCPConninfo(to), file, fanout.RestoreOptions{
			Jobs: 2, Route: route, Servers: elsewhere(s, to), Redirect: map[string]string{"app": "new app"},
		})
		if route == fanout.RouteSegments && result.DirectTables != 6 || result.Tables != 8 || result.Rows != 40000 {
			t.Errorf("route %s: %s (%s), %d tables and %d rows, %d directly", route, result.Route, result.RouteReason, result.Tables, result.Rows, result.DirectTables)
		}
		if got := s.Coordinator.QueryString(t, to, strings.ReplaceAll(shardSums, "app.", `"new app".`)); got != want {
			t.Errorf("route %s: %s, want %s", route, got, want)
		}
	}
}
