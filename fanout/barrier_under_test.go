package fanout

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// A snapshot behind the barrier may take as long as a try may, however short the first try for the locks is.
func TestBarrierGivesSnapshotsTheirTime(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, "CREATE TABLE t ()")
	cfg, err := wire.ParseConfig(srv.Conninfo(db))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := wire.Connect(t.Context(), cfg, wire.TextSettings(""))
	if err != nil {
		t.Fatal(err)
	}
	defer closeSession(t.Context(), conn)
	if _, err := conn.Exec(t.Context(), beginMoment); err != nil {
		t.Fatal(err)
	}
	d := &dumper{o: DumpOptions{BarrierTimeout: time.Minute}, log: slog.New(slog.DiscardHandler), progress: silent{}}
	b, err := d.newBarrier(t.Context(), []*member{{node: &Node{Name: "coordinator", Config: cfg}, dialect: &Dialect{}, conn: conn, locks: true, names: []string{"public.t"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.close(t.Context())
	if err := b.during(t.Context(), func(ctx context.Context) error {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(0.2)") // 43 ms are what the locks may take
		return err
	}); err != nil {
		t.Error(err)
	}
	if timeout, err := conn.QueryString(t.Context(), "SHOW statement_timeout"); err != nil || timeout != "0" {
		t.Errorf("afterwards statement_timeout is %q, %v", timeout, err)
	}
}
