package fanout_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgark/pgark/fanout"
)

// testManyTables dumps many small tables: what is slow for each of them shows.
func (g *greenplum) testManyTables(t *testing.T) {
	db := g.database(t, "many")
	conn := open(t, g.in(db))
	begun := time.Now()
	run(t, conn, "CREATE SCHEMA m; CREATE EXTENSION gp_parallel_retrieve_cursor")
	storage := []string{"", " WITH (appendonly=true)", " WITH (appendonly=true, orientation=column)", ""}
	for from := 0; from < g.tables; from += 100 {
		var sql strings.Builder
		sql.WriteString("BEGIN;")
		for i := from; i < min(from+100, g.tables); i++ {
			fmt.Fprintf(&sql, "CREATE TABLE m.t%05d (id int, v text)%s DISTRIBUTED BY (id);", i, storage[i%4])
			if i%10 == 0 {
				fmt.Fprintf(&sql, "INSERT INTO m.t%05d SELECT g, 'v' || g FROM generate_series(1, 10) g;", i)
			}
		}
		run(t, conn, sql.String()+"COMMIT")
	}
	g.report(t, time.Since(begun), "made %d tables", g.tables)
	c := g.cluster(t, g.in(db))
	for _, route := range allRoutes() {
		t.Run(route, func(t *testing.T) {
			works(t, c, route)
			log := &phases{begun: time.Now()}
			_, res := g.dumpBy(t, c, route, fanout.DumpOptions{Log: slog.New(log)})
			took := time.Since(log.begun)
			if want := uint64((g.tables + 9) / 10 * 10); res.Tables != g.tables || res.Summary.Rows != want {
				t.Errorf("%d tables and %d rows, want %d and %d", res.Tables, res.Summary.Rows, g.tables, want)
			}
			g.report(t, took, "%d tables, %.1f ms each; %s", res.Tables, took.Seconds()*1000/float64(res.Tables), log)
		})
	}
}

// phases is a log that remembers when the moment was taken.
type phases struct {
	begun time.Time

	mu   sync.Mutex
	text []string
}

func (*phases) Enabled(context.Context, slog.Level) bool { return true }

func (p *phases) Handle(_ context.Context, r slog.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range []string{"barrier", "moment"} {
		if strings.HasPrefix(r.Message, m) {
			p.text = append(p.text, fmt.Sprintf("%s after %.2f s", r.Message, r.Time.Sub(p.begun).Seconds()))
		}
	}
	return nil
}

func (p *phases) WithAttrs([]slog.Attr) slog.Handler { return p }
func (p *phases) WithGroup(string) slog.Handler      { return p }
func (p *phases) String() string                     { return strings.Join(p.text, ", ") }
