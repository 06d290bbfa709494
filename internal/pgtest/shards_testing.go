package pgtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// StartShards starts a coordinator and n shards for one test and stops them when the test ends.
func StartShards(tb testing.TB, n int, opts ...Option) *Shards {
	tb.Helper()
	var o Options
	for _, opt := range opts {
		opt(&o)
	}
	s, err := LaunchShards(context.Background(), n, o)
	if err != nil {
		missing(tb, err)
		tb.Fatalf("start a coordinator and %d shards: %v", n, err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Errorf("stop the shards: %v", err)
		}
	})
	return s
}

const sharedShards = 3

// launchSharedShards keeps the one coordinator of the process and its shards. Their watchdogs stop them when the process ends.
//
//nolint:gochecknoglobals // one cluster per test binary needs one place per test binary
var launchSharedShards = sync.OnceValues(func() (*Shards, error) {
	return LaunchShards(context.Background(), sharedShards, Options{})
})

// SharedShards gives the coordinator and three shards that all tests of this binary share. Make databases on them, leave
// their settings alone, and never stop them.
func SharedShards(tb testing.TB) *Shards {
	tb.Helper()
	s, err := launchSharedShards()
	if err != nil {
		missing(tb, err)
		tb.Fatalf("start a coordinator and %d shards: %v", sharedShards, err)
	}
	return s
}

// CreateDB makes a new database, of one unique name, on the coordinator and on each shard, and joins them with
// postgres_fdw. They are dropped when the test ends.
func (s *Shards) CreateDB(tb testing.TB, opts ...DBOption) string {
	tb.Helper()
	name := s.CreateEqualDB(tb, opts...)
	s.Coordinator.Exec(tb, name, s.JoinSQL(name))
	return name
}

// CreateEqualDB is CreateDB without postgres_fdw: for databases of equal schema that know nothing of each other.
func (s *Shards) CreateEqualDB(tb testing.TB, opts ...DBOption) string {
	tb.Helper()
	s.mu.Lock()
	s.dbs++
	name := fmt.Sprintf("shards%d", s.dbs)
	s.mu.Unlock()
	for _, srv := range s.All() {
		srv.createDB(tb, name, opts...)
	}
	return name
}

// Table makes a partitioned table, with the rows of each partition on a shard.
func (s *Shards) Table(tb testing.TB, db string, t Table) {
	tb.Helper()
	for _, srv := range s.Shards {
		srv.Exec(tb, db, t.RemoteSQL())
	}
	s.Coordinator.Exec(tb, db, t.CoordinatorSQL(len(s.Shards)))
}

// Exec runs SQL on the coordinator and on each shard as the superuser.
func (s *Shards) Exec(tb testing.TB, db, sql string) {
	tb.Helper()
	for _, srv := range s.All() {
		srv.Exec(tb, db, sql)
	}
}
