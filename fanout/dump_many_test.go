package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
)

// onMessage is a log that does something at one message, and keeps them all.
type onMessage struct {
	message string
	do      func()

	mu   sync.Mutex
	text strings.Builder
}

func (l *onMessage) Enabled(context.Context, slog.Level) bool { return true }
func (l *onMessage) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *onMessage) WithGroup(string) slog.Handler            { return l }
func (l *onMessage) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	fmt.Fprintln(&l.text, r.Message)
	l.mu.Unlock()
	if r.Message == l.message {
		l.do()
	}
	return nil
}

func (l *onMessage) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestDumpManyTables: from 500 tables on pg_dump and the look at the tables' sizes and columns have sessions of their own.
func TestDumpManyTables(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	const tables, sum = 600, 600 * (1 + 2 + 3)
	srv.Exec(t, db, fmt.Sprintf(`DO $$ BEGIN FOR i IN 1..%d LOOP
  EXECUTE format('CREATE TABLE m%%s AS SELECT g AS id, ''v'' || g AS v FROM generate_series(1, 3) g', i); END LOOP; END $$;
CREATE ROLE %[2]s_one LOGIN CONNECTION LIMIT 1; GRANT SELECT ON ALL TABLES IN SCHEMA public TO %[2]s_one`, tables, db))
	t.Cleanup(func() { srv.Exec(t, db, fmt.Sprintf("DROP OWNED BY %[1]s_one; DROP ROLE %[1]s_one", db)) })
	conninfo := srv.Conninfo(db)
	custom := func(t *testing.T, conninfo string, jobs int, log slog.Handler) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "dump")
		c := cluster(t, conninfo)
		srv.WaitNoSessions(t, db) // a role's limit counts one until its process has ended
		writeStockFile(t, path, fanout.FormatCustom, func(target fanout.StockTarget) error {
			r, err := fanout.DumpStock(t.Context(), target, fanout.DumpOptions{
				Cluster: c, Jobs: jobs, Log: slog.New(log),
			}, fanout.StockOptions{Format: fanout.FormatCustom, Codec: archive.CodecZstd})
			if err == nil && (r.Tables != tables || r.Summary.Rows != 3*tables) {
				t.Errorf("%d tables, %d rows", r.Tables, r.Summary.Rows)
			}
			return err
		})
		if got := sumOf(t, path, "id"); got != sum {
			t.Errorf("the sum of all numbers is %d, want %d", got, sum)
		}
	}
	pgark := func(t *testing.T, jobs int, log slog.Handler) {
		t.Helper()
		var file pgtest.Memory
		_, err := fanout.Dump(t.Context(), &file, fanout.DumpOptions{Cluster: cluster(t, conninfo), Jobs: jobs, Log: slog.New(log)})
		if err != nil {
			t.Fatal(err)
		}
		rows := tableRows(t, file.Bytes())
		for i := range tables {
			if n := rows[fmt.Sprintf("public.m%d", i+1)]; n != 3 {
				t.Fatalf("m%d has %d rows", i+1, n)
			}
		}
	}
	for jobs := 1; jobs <= 2; jobs++ {
		t.Run(fmt.Sprintf("sessions=%d", jobs), func(t *testing.T) {
			log := &onMessage{}
			pgark(t, jobs, log)
			custom(t, conninfo, jobs, log)
			if strings.Contains(log.said(), "the leader describes") {
				t.Error(log.said())
			}
		})
	}
	t.Run("DDL waits", func(t *testing.T) {
		var altered sync.WaitGroup
		defer altered.Wait()
		wait := func() {
			altered.Go(func() { srv.Exec(t, db, "ALTER TABLE m300 ALTER v SET DEFAULT 'late'") })
			waits := "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = '" + db + "' AND NOT l.granted"
			for deadline := time.Now().Add(10 * time.Second); srv.QueryString(t, "postgres", waits) == "0" && time.Now().Before(deadline); {
				time.Sleep(5 * time.Millisecond)
			}
		}
		for _, dump := range []func(slog.Handler){
			func(log slog.Handler) { pgark(t, 2, log) },
			func(log slog.Handler) { custom(t, conninfo, 1, log) },
		} {
			log := &onMessage{message: "moment taken", do: wait}
			dump(log)
			altered.Wait()
			if !strings.Contains(log.said(), "the leader describes the tables after pg_dump") {
				t.Error(log.said())
			}
		}
	})
	t.Run("no session to spare", func(t *testing.T) {
		log := &onMessage{}
		custom(t, strings.Replace(conninfo, "user=postgres", "user="+db+"_one", 1), 1, log)
		if !strings.Contains(log.said(), "the leader describes the tables\n") {
			t.Error(log.said())
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var file pgtest.Memory
		_, err := fanout.Dump(ctx, &file, fanout.DumpOptions{
			Cluster: cluster(t, conninfo), Jobs: 2, Log: slog.New(&onMessage{message: "moment taken", do: cancel}),
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		srv.WaitNoSessions(t, db)
	})
}
