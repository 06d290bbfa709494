package fanout_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// TestGreenplum runs against the real Greenplum whose coordinator PGARK_TEST_GREENPLUM names, as a superuser. It makes
// databases and roles whose names begin with pgark_test, drops them in the end, and stops no server. At its end it prints
// a table of results.
//
//	PGARK_TEST_ROWS     rows of each large table, 1,000,000 by default (20,000 with -short)
//	PGARK_TEST_MOMENTS  moments of the bank for each route, 500 by default (25 with -short)
//	PGARK_TEST_TABLES   number of small tables in one database, 2,000 by default (200 with -short)
//
//	PGARK_TEST_GPBACKUP, PGARK_TEST_GPRESTORE  programs to compare with, if not those in PATH
//	PGARK_TEST_GPBACKUP_DIR                    where they may write, if not to the segments' data directories
//	PGARK_TEST_GREENPLUM_HBA                   if set, a segment's pg_hba.conf may be changed for a role of the test's
func TestGreenplum(t *testing.T) {
	conninfo := os.Getenv("PGARK_TEST_GREENPLUM")
	if conninfo == "" {
		t.Skip("PGARK_TEST_GREENPLUM holds no connection string of a Greenplum's coordinator")
	}
	cfg, err := wire.ParseConfig(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	g := &greenplum{
		cfg:     cfg,
		rows:    number(t, "PGARK_TEST_ROWS", 1_000_000, 20_000),
		moments: number(t, "PGARK_TEST_MOMENTS", 500, 25),
		tables:  number(t, "PGARK_TEST_TABLES", 2000, 200),
	}
	t.Cleanup(func() { g.printResults(t) })
	t.Run("kinds", g.testKinds)
	t.Run("bank", g.testBank)
	t.Run("faults", g.testFaults)
	t.Run("ddl", g.testDDL)
	t.Run("external", g.testExternal)
	t.Run("stock", g.testStock)
	t.Run("sets", g.testSets)
	t.Run("all", g.testAll)
	t.Run("redirect", g.testRedirect)
	t.Run("gpbackup", g.testGpbackup)
	t.Run("many", g.testManyTables)
}

func number(t *testing.T, env string, normal, short int) int {
	t.Helper()
	if s := os.Getenv(env); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("%s: %v", env, err)
		}
		return n
	}
	if testing.Short() {
		return short
	}
	return normal
}

// greenplum is the server under test.
type greenplum struct {
	cfg                   *wire.Config
	rows, moments, tables int

	mu      sync.Mutex
	results []result
}

// result is one line of the table of results.
type result struct {
	test string
	took time.Duration
	what string
}

// report adds a line to the table of results.
func (g *greenplum) report(t *testing.T, took time.Duration, format string, args ...any) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	r := result{strings.TrimPrefix(t.Name(), "TestGreenplum/"), took, fmt.Sprintf(format, args...)}
	g.results = append(g.results, r)
	t.Logf("%v  %s", r.took.Round(time.Millisecond), r.what)
}

func (g *greenplum) printResults(t *testing.T) {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| test\t| time\t| result\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|")
	for _, r := range g.results {
		took := "-"
		if r.took > 0 {
			took = fmt.Sprintf("%.2f s", r.took.Seconds())
		}
		fmt.Fprintf(w, "| %s\t| %s\t| %s\t|\n", r.test, took, r.what)
	}
	_ = w.Flush() // into memory
	t.Log("\n" + text.String())
}

// in is the configuration for a database.
func (g *greenplum) in(db string) *wire.Config { return g.cfg.With(wire.Overrides{Database: db}) }

// database makes an empty database and drops it when the test ends. The name gets the prefix of all tests'.
func (g *greenplum) database(t *testing.T, name string) string {
	t.Helper()
	name = "pgark_test_" + name
	g.drop(t, name)
	g.exec(t, "postgres", "CREATE DATABASE "+wire.Ident(name))
	t.Cleanup(func() { g.drop(t, name) })
	return name
}

func (g *greenplum) drop(t *testing.T, name string) {
	t.Helper()
	conn := open(t, g.in("postgres"))
	for range 50 {
		_, err := conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+wire.Ident(name))
		if err == nil {
			return
		}
		// Sessions that a test has closed are still on their way out.
		if !strings.Contains(err.Error(), "being accessed") {
			t.Errorf("drop database %s: %v", name, err)
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Errorf("database %s is still in use", name)
}

// open connects. The session ends with the test.
func open(t *testing.T, cfg *wire.Config) *wire.Conn {
	t.Helper()
	ctx := context.Background() // also for what is done in a test's cleanup
	conn, err := wire.Connect(ctx, cfg, wire.Settings{ApplicationName: "pgark test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(ctx) })
	return conn
}

func (g *greenplum) exec(t *testing.T, db, sql string) {
	t.Helper()
	run(t, open(t, g.in(db)), sql)
}

func run(t *testing.T, conn *wire.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%v\n%.300s", err, sql)
	}
}

func query(t *testing.T, conn *wire.Conn, sql string) [][]string {
	t.Helper()
	rows, err := conn.QueryStrings(context.Background(), sql)
	if err != nil {
		t.Fatalf("%v\n%.300s", err, sql)
	}
	return rows
}

// cluster discovers what a database belongs to.
func (g *greenplum) cluster(t *testing.T, cfg *wire.Config) *fanout.Cluster {
	t.Helper()
	c, err := topology.Discover(t.Context(), cfg, topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Layout != fanout.LayoutSegments || len(c.Nodes) == 0 {
		t.Fatalf("%s %s is no cluster of segments", c.Dialect.Product, c.Dialect.Version)
	}
	return c
}

// works skips the test where the cluster does not have a route.
func works(t *testing.T, c *fanout.Cluster, name string) {
	t.Helper()
	for _, r := range c.Routes {
		if r.Name == name && !r.Works {
			t.Skipf("route %s does not work on this cluster: %s %v", name, r.Reason, r.Err)
		}
	}
}

// dumpBy dumps by one route, which must be the one that is taken.
func (g *greenplum) dumpBy(t *testing.T, c *fanout.Cluster, route string, o fanout.DumpOptions) ([]byte, *fanout.DumpResult) {
	t.Helper()
	var file pgtest.Memory
	o.Cluster, o.Route = c, route
	if o.Codec == 0 {
		o.Codec = archive.CodecZstd
	}
	res, err := fanout.Dump(t.Context(), &file, o)
	if err != nil {
		t.Fatalf("dump by route %s: %v", route, err)
	}
	if route != "" && route != fanout.RouteAuto && res.Route != route {
		t.Fatalf("the dump took route %s, not %s", res.Route, route)
	}
	return file.Bytes(), res
}

// failedDump expects the dump to fail.
func failedDump(t *testing.T, c *fanout.Cluster, w io.Writer, o fanout.DumpOptions) error {
	t.Helper()
	o.Cluster = c
	begun := time.Now()
	_, err := fanout.Dump(t.Context(), w, o)
	if err == nil {
		t.Fatal("the dump succeeded")
	}
	t.Logf("after %v: %v", time.Since(begun).Round(time.Millisecond), err)
	return err
}

// notes keeps what a dump says to people.
type notes struct {
	mu   sync.Mutex
	text []string
}

func (*notes) Plan(int, uint64)                 {}
func (*notes) Advance(uint64, uint64)           {}
func (*notes) TableDone(string, string, uint64) {}

func (n *notes) Note(message string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text = append(n.text, message)
}

func (n *notes) count(part string) (times int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range n.text {
		if strings.Contains(m, part) {
			times++
		}
	}
	return times
}

// percentile of durations, which it sorts.
func percentile(all []time.Duration, p float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(p*float64(len(all))))].Round(100 * time.Microsecond)
}
