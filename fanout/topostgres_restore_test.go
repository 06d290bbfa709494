package fanout_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
)

// The rows of three shards come together in the partitions of one server.
func TestRestoreShardsToPostgres(t *testing.T) {
	t.Parallel()
	s, db := shardedDB(t)
	var file pgtest.Memory
	if _, err := fanout.Dump(t.Context(), &file, fanout.DumpOptions{Cluster: cluster(t, s.Coordinator.TCPConninfo(db)), Jobs: 2}); err != nil {
		t.Fatal(err)
	}
	one := s.Coordinator.CreateDB(t)
	result := into(t, s.Coordinator.TCPConninfo(one), file.Bytes(), fanout.RestoreOptions{ToPostgres: true, Jobs: 2})
	if result.Route != fanout.RouteCoordinator || result.Rows != 40000 || len(result.Notes) == 0 {
		t.Errorf("%+v", result)
	}
	for _, sql := range []string{
		`SELECT sum(id) || ' ' || count(note) || ' ' || sum(price::numeric) FROM app.orders`,
		`SELECT sum(id) || ' ' || sum("order") FROM app."line items"`,
	} {
		want, got := s.Coordinator.QueryString(t, db, sql), s.Coordinator.QueryString(t, one, sql)
		if got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
	if got := s.Coordinator.QueryString(t, one, `SELECT string_agg(DISTINCT relkind::text, ' ') FROM pg_class WHERE relispartition`); got != "r" {
		t.Errorf("partitions of kind %s", got)
	}
	var copied bytes.Buffer
	if _, err := fanout.Dump(t.Context(), &copied, fanout.DumpOptions{Cluster: cluster(t, s.Coordinator.TCPConninfo(one))}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tableDigests(t, file.Bytes()), tableDigests(t, copied.Bytes())); diff != "" {
		t.Errorf("the copy differs:\n%s", diff)
	}
}
