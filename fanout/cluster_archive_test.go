package fanout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

func discoverAny(ctx context.Context, cfg *wire.Config) (*fanout.Cluster, error) {
	return topology.Discover(ctx, cfg, topology.Options{})
}

// fillServer makes databases of several encodings and owners, one of which no one can connect to, with something in each.
func fillServer(t *testing.T, srv *pgtest.Server) {
	t.Helper()
	everyGlobal(t, srv)
	for _, sql := range []string{
		`CREATE DATABASE shop OWNER app TABLESPACE "Fast; space" CONNECTION LIMIT 7`,
		`COMMENT ON DATABASE shop IS 'a shop'; GRANT ALL ON DATABASE shop TO grp; ALTER DATABASE shop SET work_mem = '9MB';
		 ALTER ROLE app IN DATABASE shop SET statement_timeout = '5s'; REVOKE CONNECT ON DATABASE template1 FROM PUBLIC; ALTER DATABASE postgres SET work_mem = '10MB'`,
		`CREATE DATABASE "We ird""db' 1" ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`, `CREATE DATABASE "é=x"`,
		`CREATE DATABASE noconn`, `ALTER DATABASE noconn ALLOW_CONNECTIONS false`, `CREATE DATABASE tmpl IS_TEMPLATE true`,
	} {
		srv.Exec(t, "postgres", sql)
	}
	srv.Exec(t, "template1", "CREATE TABLE in_template1 AS SELECT 1 AS a")
	srv.Exec(t, "postgres", "CREATE TABLE in_postgres AS SELECT g AS a FROM generate_series(1, 10) g")
	pgtest.AllKinds(t, srv, "shop")
	srv.Exec(t, "shop", `CREATE TABLE owned (a int PRIMARY KEY, b text) TABLESPACE pg_default; ALTER TABLE owned OWNER TO app; INSERT INTO owned SELECT g, repeat('x', 100) FROM generate_series(1, 5000) g; GRANT SELECT ON owned TO grp`)
	srv.Exec(t, weirdDB, "CREATE TABLE weird AS SELECT 'é'::text AS a")
}

const weirdDB = `We ird"db' 1`

func dumpServer(t *testing.T, srv *pgtest.Server, change func(o *fanout.ClusterDumpOptions)) ([]byte, *fanout.ClusterDumpResult) {
	t.Helper()
	o := fanout.ClusterDumpOptions{
		Server: parseConfig(t, srv.Conninfo("postgres")), Discover: discoverAny, Dump: fanout.DumpOptions{Codec: archive.CodecZstd, Tool: "test"},
	}
	if path, err := pgtest.FindClient(srv.BinDir(), "pg_dump"); err == nil {
		o.Dump.PgDumpPath = path
	}
	if change != nil {
		change(&o)
	}
	var out bytes.Buffer
	res, err := fanout.DumpCluster(t.Context(), &out, o)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), res
}

func openCluster(t *testing.T, b []byte) *archive.Cluster {
	t.Helper()
	c, err := archive.NewCluster(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Check(t.Context(), archive.CheckOptions{})
	if err != nil || len(res.Findings) > 0 {
		t.Fatalf("%v, %+v", err, res)
	}
	return c
}

func databaseNames(c *archive.Cluster) []string {
	var names []string
	for _, d := range c.Databases() {
		names = append(names, d.Name)
	}
	return names
}

// moved is the archive with the tablespaces' directories on another server.
func moved(t *testing.T, b []byte, to *pgtest.Server) *archive.Cluster {
	t.Helper()
	c := openCluster(t, b)
	cat, err := c.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	moveTablespaces(t, cat, to) // the catalog is read once
	return c
}

// sameText compares two scripts of pg_dumpall, apart from keys and the directories of tablespaces.
func sameText(t *testing.T, want, got string) {
	t.Helper()
	want, got = globalLines(want), globalLines(got)
	if want == got {
		return
	}
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range w {
		if i >= len(g) || w[i] != g[i] {
			t.Fatalf("line %d:\n%s", i+1, cmp.Diff(w[max(0, i-3):min(len(w), i+8)], g[max(0, i-3):min(len(g), i+8)]))
		}
	}
	t.Fatalf("%d lines more", len(g)-len(w))
}

// inOrder sorts the rows of each table, and the settings of roles in a database, which pg_dump writes as it finds them.
func inOrder(text string) string {
	sorted := func(lines string) string { return strings.Join(slices.Sorted(strings.Lines(lines)), "") }
	settings := regexp.MustCompile(`(?m)(^ALTER ROLE .* IN DATABASE .*\n)+`) // not in rows, where it would take its time
	parts := strings.SplitAfter(text, " FROM stdin;\n")
	parts[0] = settings.ReplaceAllStringFunc(parts[0], sorted)
	for i := range parts[1:] {
		rows, rest, _ := strings.Cut(parts[i+1], "\\.\n")
		parts[i+1] = sorted(rows) + "\\.\n" + settings.ReplaceAllStringFunc(rest, sorted)
	}
	return strings.Join(parts, "")
}

// A whole server goes into one file, and comes back out of it: pg_dumpall finds no difference. The text that the archive gives is
// pg_dumpall's, with and without --clean, and psql loads it into an empty server.
func TestCluster(t *testing.T) {
	t.Parallel()
	from := pgtest.Start(t)
	fillServer(t, from)
	var started []string
	b, res := dumpServer(t, from, func(o *fanout.ClusterDumpOptions) {
		o.Dump.RolePasswords = true
		o.Started = func(name string, n, of int) { started = append(started, fmt.Sprintf("%s %d/%d", name, n, of)) }
	})
	if want := []string{"template1 1/6", weirdDB + " 2/6", "postgres 3/6", "shop 4/6", "tmpl 5/6", "é=x 6/6"}; !slices.Equal(started, want) || len(res.Databases) != 6 {
		t.Errorf("%q, want %q", started, want)
	}
	if w := strings.Join(res.Warnings, "\n"); w != "database noconn does not allow connections: it is not in the archive" {
		t.Error(w)
	}
	c := openCluster(t, b)
	m, err := c.Moment()
	if err != nil || !strings.Contains(m.Reason, "a moment of its own") || m.Promise != fanout.PromiseNone || m.Time.IsZero() {
		t.Errorf("%+v, %v", m, err)
	}
	if got, want := databaseNames(c), []string{"template1", weirdDB, "postgres", "shop", "tmpl", "é=x"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if d := c.Databases()[1]; d.Encoding != "LATIN1" || d.Rows != 1 {
		t.Errorf("%+v", d)
	}

	text := func(o fanout.ClusterScriptOptions) string {
		t.Helper()
		var out strings.Builder
		o.Script.RestrictKey = "pgarktest"
		if err := fanout.WriteClusterScript(t.Context(), &out, c, o); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	t.Run("text", func(t *testing.T) { sameText(t, pgDumpall(t, from), text(fanout.ClusterScriptOptions{})) })
	t.Run("text with clean", func(t *testing.T) {
		sameText(t, pgDumpall(t, from, "--clean", "--if-exists"), text(fanout.ClusterScriptOptions{Script: fanout.ScriptOptions{PlanOptions: fanout.PlanOptions{Clean: true, IfExists: true}}}))
	})
	t.Run("text from the server", func(t *testing.T) {
		for _, clean := range []bool{false, true} {
			var out strings.Builder
			o := fanout.ClusterDumpOptions{Server: parseConfig(t, from.Conninfo("postgres")), Discover: discoverAny, Dump: fanout.DumpOptions{RolePasswords: true}}
			script := fanout.ScriptOptions{RestrictKey: "pgarktest", PlanOptions: fanout.PlanOptions{Clean: clean, IfExists: clean}}
			res, err := fanout.DumpClusterScript(t.Context(), &out, o, script)
			if err != nil {
				t.Fatal(err)
			}
			var flags []string
			if clean {
				flags = []string{"--clean", "--if-exists"}
			}
			sameText(t, pgDumpall(t, from, flags...), out.String())
			if len(res.Databases) != 6 || res.Summary.Rows == 0 || res.Globals == 0 {
				t.Errorf("%+v", res)
			}
		}
	})
	t.Run("psql", func(t *testing.T) {
		to := pgtest.Start(t)
		c := moved(t, b, to)
		path := filepath.Join(t.TempDir(), "all.sql")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(fanout.WriteClusterScript(t.Context(), f, c, fanout.ClusterScriptOptions{}), f.Close()); err != nil {
			t.Fatal(err)
		}
		said := psqlScript(t, to, path)
		for line := range strings.Lines(said) {
			if strings.Contains(strings.ToUpper(line), "ERROR") && !strings.HasSuffix(line, "ERROR:  role \"postgres\" already exists\n") {
				t.Errorf("psql says %s", line)
			}
		}
		sameText(t, inOrder(pgDumpall(t, from)), inOrder(pgDumpall(t, to)))
	})
	t.Run("restore", func(t *testing.T) {
		to := pgtest.Start(t)
		c := moved(t, b, to)
		var done []string
		res, err := fanout.RestoreCluster(t.Context(), c, fanout.ClusterRestoreOptions{
			Server: parseConfig(t, to.Conninfo("postgres")), Done: func(d *fanout.DatabaseRestore) { done = append(done, fmt.Sprint(d.Name, d.OK())) },
		})
		if err != nil || !res.OK() {
			t.Fatalf("%v, %s", err, showClusterRestore(res))
		}
		sameText(t, inOrder(pgDumpall(t, from)), inOrder(pgDumpall(t, to)))
		if len(done) != 6 || done[3] != "shop true" && done[3] != "shoptrue" {
			t.Errorf("%q", done)
		}
		// Once more: what is there is not touched, and each database says so; with Clean all is made anew.
		res, err = fanout.RestoreCluster(t.Context(), c, fanout.ClusterRestoreOptions{Server: parseConfig(t, to.Conninfo("postgres"))})
		if err != nil || res.OK() || !res.Globals.OK() || len(res.Globals.Made) > 0 {
			t.Fatalf("%v, %s", err, showClusterRestore(res))
		}
		for _, d := range res.Databases {
			if d.OK() || d.Err == nil && len(d.Result.Failures) == 0 {
				t.Errorf("%s: %+v", d.Name, d)
			}
		}
		sameText(t, inOrder(pgDumpall(t, from)), inOrder(pgDumpall(t, to)))
		to.Exec(t, "shop", "DELETE FROM owned WHERE a < 100")
		to.Exec(t, "postgres", "DELETE FROM in_postgres")
		to.Exec(t, "postgres", "ALTER DATABASE tmpl IS_TEMPLATE false")
		res, err = fanout.RestoreCluster(t.Context(), c, fanout.ClusterRestoreOptions{
			Server: parseConfig(t, to.Conninfo("postgres")), Restore: fanout.RestoreOptions{Clean: true},
		})
		if err != nil || !res.OK() {
			t.Fatalf("%v, %s", err, showClusterRestore(res))
		}
		sameText(t, inOrder(pgDumpall(t, from)), inOrder(pgDumpall(t, to)))
	})
	t.Run("some", func(t *testing.T) {
		to := pgtest.Start(t)
		c := moved(t, b, to)
		_, err := fanout.RestoreCluster(t.Context(), c, fanout.ClusterRestoreOptions{Server: parseConfig(t, to.Conninfo("postgres")), Databases: []string{"shop", "nosuch"}})
		if !errors.Is(err, archive.ErrNoDatabase) {
			t.Error(err)
		}
		res, err := fanout.RestoreCluster(t.Context(), c, fanout.ClusterRestoreOptions{
			Server: parseConfig(t, to.Conninfo("postgres")), Databases: []string{weirdDB}, NoGlobals: true,
		})
		if err != nil || !res.OK() || res.Globals != nil || len(res.Databases) != 1 {
			t.Fatalf("%v, %s", err, showClusterRestore(res))
		}
		if got := to.QueryString(t, weirdDB, "SELECT a, pg_encoding_to_char(encoding) FROM weird, pg_database WHERE datname = current_database()"); got != "é|LATIN1" {
			t.Error(got)
		}
	})
}

func showClusterRestore(r *fanout.ClusterRestoreResult) string {
	var b strings.Builder
	if r.Globals != nil {
		fmt.Fprintf(&b, "globals: %v\n", r.Globals.Failures)
	}
	for _, d := range r.Databases {
		fmt.Fprintf(&b, "%s: %v", d.Name, d.Err)
		if d.Result != nil {
			for _, f := range d.Result.Failures {
				fmt.Fprintf(&b, "\n  %v", f)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// psqlScript runs a script as its users do, and gives what psql says to stderr.
func psqlScript(t *testing.T, srv *pgtest.Server, file string) string {
	t.Helper()
	psql, err := pgtest.FindClient(srv.BinDir(), "psql")
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(psql, "-X", "-q", "-f", file, "-d", srv.Conninfo("postgres"))
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PGCLIENTENCODING=UTF8")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("psql: %v\n%s", err, stderr.String())
	}
	return stderr.String()
}

// pg_dump writes a database's own name in that database's encoding, though its bytes are in another: no server could make it from that.
func TestClusterForeignName(t *testing.T) {
	t.Parallel()
	from, to := pgtest.Start(t), pgtest.Start(t)
	from.Exec(t, "postgres", "CREATE DATABASE \"é\" ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
	b, _ := dumpServer(t, from, nil)
	res, err := fanout.RestoreCluster(t.Context(), openCluster(t, b), fanout.ClusterRestoreOptions{Server: parseConfig(t, to.Conninfo("postgres"))})
	if err != nil || res.OK() {
		t.Fatalf("%v, %s", err, showClusterRestore(res))
	}
	for _, d := range res.Databases {
		if d.OK() != (d.Name != "é") || d.Name == "é" && !errors.Is(d.Err, fanout.ErrDatabaseName) {
			t.Errorf("%s: %v", d.Name, d.Err)
		}
	}
}

// An empty server gives what pg_dumpall gives of one.
func TestClusterEmpty(t *testing.T) {
	t.Parallel()
	from := pgtest.Start(t)
	b, _ := dumpServer(t, from, nil)
	var out strings.Builder
	if err := fanout.WriteClusterScript(t.Context(), &out, openCluster(t, b), fanout.ClusterScriptOptions{}); err != nil {
		t.Fatal(err)
	}
	sameText(t, pgDumpall(t, from), out.String())
}

// Patterns choose among the databases, and one that matches nothing is an error.
func TestClusterPatterns(t *testing.T) {
	t.Parallel()
	srv := pgtest.Start(t)
	for _, name := range []string{"app1", "app2", `"App.x"`, "other"} {
		srv.Exec(t, "postgres", "CREATE DATABASE "+name)
	}
	for _, c := range []struct{ in, out, want []string }{
		{[]string{"app?"}, nil, []string{"app1", "app2"}},
		{[]string{"app*", `"App.x"`}, []string{"*2"}, []string{"App.x", "app1"}},
		{nil, []string{"app*", "template1"}, []string{"App.x", "other", "postgres"}},
		{nil, []string{"nosuch"}, []string{"template1", "App.x", "app1", "app2", "other", "postgres"}},
	} {
		b, _ := dumpServer(t, srv, func(o *fanout.ClusterDumpOptions) { o.Databases, o.ExcludeDatabases = c.in, c.out })
		if got := databaseNames(openCluster(t, b)); !slices.Equal(got, c.want) {
			t.Errorf("%q without %q: %q, want %q", c.in, c.out, got, c.want)
		}
	}
	o := fanout.ClusterDumpOptions{Server: parseConfig(t, srv.Conninfo("postgres")), Discover: discoverAny, Databases: []string{"nosuch*"}}
	if _, err := fanout.DumpCluster(t.Context(), &bytes.Buffer{}, o); !errors.Is(err, fanout.ErrNothingMatches) {
		t.Error(err)
	}
}

// If one database can't be dumped, all fails, and the error names it.
func TestClusterDumpFails(t *testing.T) {
	t.Parallel()
	srv := pgtest.Start(t)
	srv.Exec(t, "postgres", "CREATE ROLE ann LOGIN")
	srv.Exec(t, "postgres", "CREATE DATABASE mine OWNER ann")
	srv.Exec(t, "postgres", "CREATE DATABASE secret")
	srv.Exec(t, "secret", "CREATE TABLE s AS SELECT 1 AS a")
	o := fanout.ClusterDumpOptions{
		Server: parseConfig(t, srv.Conninfo("mine")).With(wire.Overrides{User: "ann"}), Discover: discoverAny,
	}
	_, err := fanout.DumpCluster(t.Context(), &bytes.Buffer{}, o)
	if err == nil || !strings.HasPrefix(err.Error(), "database secret: ") {
		t.Error(err)
	}
	// A database that goes away meanwhile is one, too.
	o = fanout.ClusterDumpOptions{Server: parseConfig(t, srv.Conninfo("postgres")), Discover: discoverAny}
	o.Started = func(name string, _, _ int) {
		if name == "mine" {
			srv.Exec(t, "postgres", "DROP DATABASE secret")
		}
	}
	if _, err = fanout.DumpCluster(t.Context(), &bytes.Buffer{}, o); err == nil || !strings.HasPrefix(err.Error(), "database secret: ") {
		t.Error(err)
	}
	for name, o := range map[string]fanout.ClusterDumpOptions{
		"a filter":  {Server: o.Server, Discover: discoverAny, Dump: fanout.DumpOptions{Filter: fanout.Filter{Tables: []string{"t"}}}},
		"globals":   {Server: o.Server, Discover: discoverAny, Dump: fanout.DumpOptions{Globals: true}},
		"no server": {Discover: discoverAny},
	} {
		if _, err := fanout.DumpCluster(t.Context(), &bytes.Buffer{}, o); !errors.Is(err, fanout.ErrUsage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A role that comes while databases are dumped is in the archive, and so is one that goes.
func TestClusterRolesMeanwhile(t *testing.T) {
	t.Parallel()
	srv := pgtest.Start(t)
	srv.Exec(t, "postgres", "CREATE ROLE goes")
	srv.Exec(t, "postgres", "CREATE DATABASE a")
	b, res := dumpServer(t, srv, func(o *fanout.ClusterDumpOptions) {
		o.Started = func(name string, _, _ int) {
			if name == "postgres" {
				srv.Exec(t, "postgres", "DROP ROLE goes; CREATE ROLE comes")
			}
		}
	})
	cat, err := openCluster(t, b).Catalog()
	if err != nil {
		t.Fatal(err)
	}
	var roles []string
	for _, e := range cat.Entries {
		if e.Kind == "ROLE" {
			roles = append(roles, e.Name)
		}
	}
	if !slices.Equal(roles, []string{"goes", "comes", "postgres"}) || !strings.Contains(strings.Join(res.Warnings, ""), "role goes was dropped during the dump") {
		t.Errorf("%q, %q", roles, res.Warnings)
	}
}

// A database whose archive is damaged does not keep the others from being restored.
func TestClusterRestoreDamaged(t *testing.T) {
	t.Parallel()
	from, to := pgtest.Start(t), pgtest.Start(t)
	for _, name := range []string{"one", "two"} {
		from.Exec(t, "postgres", "CREATE DATABASE "+name)
		from.Exec(t, name, "CREATE TABLE t AS SELECT 1 AS a")
	}
	b, _ := dumpServer(t, from, nil)
	one, err := openCluster(t, b).Find("one")
	if err != nil {
		t.Fatal(err)
	}
	b[one.Offset+one.Bytes-100] ^= 1
	c, err := archive.NewCluster(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, stop := range []bool{false, true} {
		res, err := fanout.RestoreCluster(t.Context(), c, fanout.ClusterRestoreOptions{
			Server: parseConfig(t, to.Conninfo("postgres")), Databases: []string{"two", "one"}, Restore: fanout.RestoreOptions{ExitOnError: stop},
		})
		if stop {
			if err == nil || !strings.Contains(err.Error(), "database one: ") || len(res.Databases) != 1 {
				t.Errorf("%v, %+v", err, res)
			}
			continue
		}
		if err != nil || res.OK() || len(res.Databases) != 2 || !errors.Is(res.Databases[0].Err, archive.ErrDamaged) || !res.Databases[1].OK() {
			t.Errorf("%v, %s", err, showClusterRestore(res))
		}
	}
	if got := to.QueryString(t, "two", "SELECT a FROM t"); got != "1" {
		t.Error(got)
	}
	var out strings.Builder
	if err := fanout.WriteClusterScript(t.Context(), &out, c, fanout.ClusterScriptOptions{}); !errors.Is(err, archive.ErrDamaged) || !strings.Contains(err.Error(), "database one") {
		t.Error(err)
	}
}
