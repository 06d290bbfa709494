package fanout_test

import (
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
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// everyGlobal makes something of every kind that a server has besides its databases. dir is for a tablespace.
func everyGlobal(t *testing.T, srv *pgtest.Server) {
	t.Helper()
	srv.Exec(t, "postgres", `CREATE ROLE app LOGIN PASSWORD 'secret' CONNECTION LIMIT 5 VALID UNTIL '2040-01-01';
CREATE ROLE "Odd ""Role; é"; COMMENT ON ROLE "Odd ""Role; é" IS E'it''s a
comment; with \\backslash
\\connect x';
CREATE ROLE grp NOINHERIT CREATEDB; CREATE ROLE adm SUPERUSER; CREATE ROLE web LOGIN;
GRANT grp TO app WITH ADMIN OPTION; GRANT pg_monitor TO app; GRANT app TO web;
SET ROLE app; GRANT grp TO "Odd ""Role; é"; RESET ROLE;
ALTER ROLE app SET work_mem = '8MB'; ALTER ROLE app SET search_path = a, "b c"; ALTER ROLE "Odd ""Role; é" SET my.var = 'x;y'`)
	if hasParameterRights(t, srv) {
		srv.Exec(t, "postgres", "GRANT SET ON PARAMETER work_mem TO app; GRANT ALTER SYSTEM ON PARAMETER log_statement TO grp WITH GRANT OPTION")
	}
	dir := filepath.Join(srv.Host(), "space; x")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // the server runs as somebody else
		t.Fatal(err)
	}
	chownLike(t, dir, srv.DataDir())
	srv.Exec(t, "postgres", "CREATE TABLESPACE \"Fast; space\" OWNER app LOCATION "+wire.Literal(dir)+" WITH (seq_page_cost = 2)")
	srv.Exec(t, "postgres", `COMMENT ON TABLESPACE "Fast; space" IS 'fast'; GRANT CREATE ON TABLESPACE "Fast; space" TO grp WITH GRANT OPTION;
SET ROLE grp; GRANT CREATE ON TABLESPACE "Fast; space" TO web`)
}

// chownLike gives a directory to whom the server runs as.
func chownLike(t *testing.T, dir, like string) {
	t.Helper()
	if out, err := exec.Command("chown", "--reference="+like, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func superConn(t *testing.T, srv *pgtest.Server, db string) *wire.Conn {
	t.Helper()
	conn, err := wire.Connect(t.Context(), parseConfig(t, srv.Conninfo(db)), wire.TextSettings(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func pgDumpOf(t *testing.T, srv *pgtest.Server) fanout.PgDump {
	t.Helper()
	path, err := pgtest.FindClient(srv.BinDir(), "pg_dump")
	if err != nil {
		t.Skip(err)
	}
	tool, err := fanout.FindPgDump(t.Context(), path, discover(t, srv.Conninfo("postgres")).Dialect)
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

// pgDumpall runs the stock program.
func pgDumpall(t *testing.T, srv *pgtest.Server, args ...string) string {
	t.Helper()
	program, err := pgtest.FindClient(srv.BinDir(), "pg_dumpall")
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(program, append(args, "-d", srv.Conninfo("postgres"))...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := pgtest.Output(t, cmd)
	if err != nil {
		t.Fatalf("pg_dumpall: %v\n%s", err, stderr.String())
	}
	return string(out)
}

// globalLines are the statements of pg_dumpall's text, without keys and the directories of tablespaces.
func globalLines(text string) string {
	parts := strings.Split(pgtest.WithoutKeys(text), "LOCATION '")
	for i := range parts[1:] {
		_, parts[i+1], _ = strings.Cut(parts[i+1], "'") // no directory of the tests has a quote in its name
	}
	return strings.Join(parts, "LOCATION")
}

// moveTablespaces has the tablespaces of an archive lie on another server.
func moveTablespaces(t *testing.T, cat *archive.Catalog, to *pgtest.Server) {
	t.Helper()
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind != "TABLESPACE" {
			continue
		}
		dir := filepath.Join(to.Host(), fmt.Sprintf("space%d", i))
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		chownLike(t, dir, to.DataDir())
		e.DDL = regexp.MustCompile(`LOCATION '([^']|'')*'`).ReplaceAllString(e.DDL, "LOCATION '"+dir+"'")
	}
}

func globalsOf(t *testing.T, srv *pgtest.Server, o fanout.GlobalsOptions) *archive.Catalog {
	t.Helper()
	conn := superConn(t, srv, "postgres")
	if _, err := conn.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		t.Fatal(err)
	}
	tool := pgDumpOf(t, srv)
	cat, err := tool.Globals(t.Context(), conn, o)
	if err != nil {
		t.Fatal(err)
	}
	if conn.InTransaction() != 'T' {
		t.Error("the session is not in its transaction any more")
	}
	return cat
}

// hasParameterRights tells whether a server knows GRANT ... ON PARAMETER: since 15.
func hasParameterRights(t *testing.T, srv *pgtest.Server) bool {
	t.Helper()
	return srv.QueryString(t, "postgres", "SELECT to_regclass('pg_catalog.pg_parameter_acl') IS NOT NULL") == "t"
}

// All that a server shares arrives on another: pg_dumpall finds no difference between the two.
func TestGlobalsRoundTrip(t *testing.T) {
	t.Parallel()
	from, to := pgtest.Start(t), pgtest.Start(t)
	everyGlobal(t, from)
	cat := globalsOf(t, from, fanout.GlobalsOptions{RolePasswords: true})
	moveTablespaces(t, cat, to)
	res, err := fanout.RestoreGlobals(t.Context(), superConn(t, to, "postgres"), cat, fanout.GlobalsRestoreOptions{})
	if err != nil || !res.OK() {
		t.Fatalf("%v %+v", err, res)
	}
	if d := cmp.Diff(globalLines(pgDumpall(t, from, "-g")), globalLines(pgDumpall(t, to, "-g"))); d != "" {
		t.Error(d)
	}
	want := []string{`role Odd "Role; é`, "role adm", "role app", "role grp", "role web", "tablespace Fast; space"}
	slices.Sort(res.Made)
	if !slices.Equal(res.Made, want) || !slices.Equal(res.Existed, []string{"role postgres"}) {
		t.Errorf("made %q, existed %q", res.Made, res.Existed)
	}
	if w := strings.Join(res.Warnings, "\n"); !strings.Contains(w, "without a password: web") || strings.Contains(w, "app") {
		t.Error(w)
	}
	// Once more changes nothing.
	before := pgDumpall(t, to, "-g")
	res, err = fanout.RestoreGlobals(t.Context(), superConn(t, to, "postgres"), cat, fanout.GlobalsRestoreOptions{})
	if err != nil || !res.OK() || len(res.Made) > 0 || len(res.Existed) != 7 {
		t.Fatalf("%v %+v", err, res)
	}
	if globalLines(before) != globalLines(pgDumpall(t, to, "-g")) {
		t.Error("what was there has been changed")
	}
}

// Passwords stay out unless they are asked for; who is no superuser gets the rest.
func TestGlobalsPasswords(t *testing.T) {
	t.Parallel()
	srv := pgtest.Start(t)
	everyGlobal(t, srv)
	cat := globalsOf(t, srv, fanout.GlobalsOptions{})
	for _, e := range cat.Entries {
		if strings.Contains(e.DDL, "PASSWORD") || strings.Contains(e.DDL, "SCRAM") {
			t.Errorf("%q", e.DDL)
		}
	}
	tool := pgDumpOf(t, srv)
	web := func() *wire.Conn {
		conn, err := wire.Connect(t.Context(), parseConfig(t, srv.Conninfo("postgres")).With(wire.Overrides{User: "web"}), wire.TextSettings(""))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	plain, err := tool.Globals(t.Context(), web(), fanout.GlobalsOptions{})
	if err != nil || len(plain.Entries) != len(cat.Entries) {
		t.Errorf("%v, %d entries of %d", err, len(plain.Entries), len(cat.Entries))
	}
	_, err = tool.Globals(t.Context(), web(), fanout.GlobalsOptions{RolePasswords: true})
	if !errors.Is(err, fanout.ErrPgDumpall) || !errors.Is(err, fanout.ErrCatalogPermission) || !strings.Contains(err.Error(), "hint: only a superuser") {
		t.Error(err)
	}
}

// What ALTER ROLE ALL has set is in no pg_dumpall. It is restored by force only, since it concerns everybody.
func TestGlobalsOfAllRoles(t *testing.T) {
	t.Parallel()
	from, to := pgtest.Start(t), pgtest.Start(t)
	from.Exec(t, "postgres", `ALTER ROLE ALL SET statement_timeout = '61min'; ALTER ROLE ALL SET search_path = "$user", public, "a,b"; ALTER ROLE ALL SET "DateStyle" = 'ISO, DMY'`)
	cat := globalsOf(t, from, fanout.GlobalsOptions{})
	const sql = "SELECT setconfig FROM pg_db_role_setting WHERE setrole = 0 AND setdatabase = 0"
	res, err := fanout.RestoreGlobals(t.Context(), superConn(t, to, "postgres"), cat, fanout.GlobalsRestoreOptions{})
	if err != nil || !res.OK() || to.QueryString(t, "postgres", sql) != "" || !strings.Contains(strings.Join(res.Warnings, ""), "settings of ALL") {
		t.Errorf("%v, %+v", err, res)
	}
	res, err = fanout.RestoreGlobals(t.Context(), superConn(t, to, "postgres"), cat, fanout.GlobalsRestoreOptions{Force: true})
	if err != nil || !res.OK() {
		t.Errorf("%v, %+v", err, res)
	}
	if got, want := to.QueryString(t, "postgres", sql), from.QueryString(t, "postgres", sql); got != want || want == "" {
		t.Errorf("%s, want %s", got, want)
	}
}

// Roles that are there stay as they are, and get no rights, unless it is forced; a new member of theirs is one.
func TestGlobalsExisting(t *testing.T) {
	t.Parallel()
	from, to := pgtest.Start(t), pgtest.Start(t)
	if !hasParameterRights(t, from) {
		t.Skip("a server without rights on parameters")
	}
	from.Exec(t, "postgres", `CREATE ROLE a LOGIN; CREATE ROLE b; CREATE ROLE c; CREATE ROLE boss SUPERUSER; GRANT b TO a; GRANT b TO c; GRANT boss TO a;
ALTER ROLE a SET work_mem = '7MB'; COMMENT ON ROLE b IS 'from'; GRANT SET ON PARAMETER work_mem TO a, b; GRANT SET ON PARAMETER log_statement TO c;
GRANT SET ON PARAMETER "my.Custom" TO PUBLIC; GRANT SET ON PARAMETER log_duration TO PUBLIC`)
	to.Exec(t, "postgres", "CREATE ROLE a; CREATE ROLE b; CREATE ROLE boss; COMMENT ON ROLE b IS 'to'; GRANT SET ON PARAMETER log_duration TO a")
	cat := globalsOf(t, from, fanout.GlobalsOptions{})
	state := func() string {
		return to.QueryString(t, "postgres", `SELECT rolname, rolcanlogin, rolsuper, rolconfig, shobj_description(oid, 'pg_authid') FROM pg_roles WHERE length(rolname) <= 4 ORDER BY 1`) +
			" " + to.QueryString(t, "postgres", `SELECT string_agg(r.rolname || '>' || m.rolname, ' ' ORDER BY r.rolname, m.rolname) FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member WHERE r.rolname !~ '^pg_'`) +
			" " + to.QueryString(t, "postgres", `SELECT string_agg(parname || CASE WHEN paracl::text LIKE '%{=%' OR paracl::text LIKE '%,=%' THEN '!' ELSE '' END, ' ' ORDER BY parname) FROM pg_parameter_acl`)
	}
	res, err := fanout.RestoreGlobals(t.Context(), superConn(t, to, "postgres"), cat, fanout.GlobalsRestoreOptions{})
	if err != nil || !res.OK() {
		t.Fatalf("%v, %+v", err, res)
	}
	if got, want := state(), "a|f|f||\nb|f|f||to\nboss|f|f||\nc|f|f|| b>c log_duration log_statement my.custom!"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	w := strings.Join(res.Warnings, "\n")
	for _, part := range []string{"stay as they are: role a, role b, role boss, role postgres", "membership b TO a, membership boss TO a, PARAMETER ACL log_duration, PARAMETER ACL work_mem"} {
		if !strings.Contains(w, part) {
			t.Errorf("%s: not in %s", part, w)
		}
	}
	res, err = fanout.RestoreGlobals(t.Context(), superConn(t, to, "postgres"), cat, fanout.GlobalsRestoreOptions{Force: true})
	if err != nil || !res.OK() {
		t.Fatalf("%v, %+v", err, res)
	}
	if got, want := state(), "a|t|f|{work_mem=7MB}|\nb|f|f||from\nboss|f|t||\nc|f|f|| b>a b>c boss>a log_duration! log_statement my.custom! work_mem"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What the server refuses is named, and the rest is there; a role is whole or not at all.
func TestGlobalsRefused(t *testing.T) {
	t.Parallel()
	from, to := pgtest.Start(t), pgtest.Start(t)
	everyGlobal(t, from)
	cat := globalsOf(t, from, fanout.GlobalsOptions{}) // the tablespace's directory is in use
	for i := range cat.Entries {
		if e := &cat.Entries[i]; e.Kind == "ROLE" && e.Name == "grp" {
			e.DDL += "ALTER ROLE grp VALID UNTIL 'nonsense';\n"
		}
	}
	res, err := fanout.RestoreGlobals(t.Context(), superConn(t, to, "postgres"), cat, fanout.GlobalsRestoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, f := range res.Failures {
		failed = append(failed, f.Entry.Kind+" "+f.Entry.Name)
	}
	for _, want := range []string{"ROLE grp", "TABLESPACE Fast; space"} {
		if !slices.Contains(failed, want) {
			t.Errorf("%s is not in %q", want, failed)
		}
	}
	if got := to.QueryString(t, "postgres", "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname !~ '^pg_'"); got != `Odd "Role; é adm app postgres web` {
		t.Error(got)
	}
	if slices.Contains(res.Made, "role grp") || !slices.Contains(res.Made, "role app") {
		t.Errorf("%q", res.Made)
	}
}

// Settings of a role in a database that is not there yet wait for it.
func TestGlobalsLater(t *testing.T) {
	t.Parallel()
	to := pgtest.Start(t)
	cat := &archive.Catalog{Encoding: "UTF8", Entries: []archive.Entry{
		{ID: 1, Kind: "ROLE", Name: "ann", DDL: "CREATE ROLE ann;\n", Section: archive.SectionNone},
		{ID: 2, Kind: "ROLE SETTING", Name: "ann IN DATABASE shop", DDL: "ALTER ROLE ann IN DATABASE shop SET work_mem TO '9MB';\n", Section: archive.SectionNone, Deps: []int32{1}},
	}}
	conn := superConn(t, to, "postgres")
	res, err := fanout.RestoreGlobals(t.Context(), conn, cat, fanout.GlobalsRestoreOptions{})
	if err != nil || !res.OK() || len(res.Later) != 1 {
		t.Fatalf("%v, %+v", err, res)
	}
	to.Exec(t, "postgres", "CREATE DATABASE shop")
	res, err = fanout.RestoreLaterGlobals(t.Context(), conn, cat, res.Later, fanout.GlobalsRestoreOptions{})
	if err != nil || !res.OK() || len(res.Later) != 0 {
		t.Fatalf("%v, %+v", err, res)
	}
	if got := to.QueryString(t, "postgres", "SELECT setconfig FROM pg_db_role_setting"); got != "{work_mem=9MB}" {
		t.Error(got)
	}
}

// A session that ends in the middle leaves no role, whole or half.
func TestGlobalsLost(t *testing.T) {
	t.Parallel()
	to := pgtest.Start(t)
	cat := &archive.Catalog{Encoding: "UTF8", Entries: []archive.Entry{
		{ID: 1, Kind: "ROLE", Name: "ann", DDL: "CREATE ROLE ann;\n"}, {ID: 2, Kind: "ROLE", Name: "bob", DDL: "CREATE ROLE bob;\nSELECT pg_terminate_backend(pg_backend_pid());\n"},
	}}
	res, err := fanout.RestoreGlobals(t.Context(), superConn(t, to, "postgres"), cat, fanout.GlobalsRestoreOptions{})
	if err == nil || len(res.Made) > 0 {
		t.Errorf("%v, %+v", err, res)
	}
	if got := to.QueryString(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname IN ('ann', 'bob')"); got != "0" {
		t.Error(got)
	}
}

// The grantor may get the right to grant only by a later statement; one that has none at all does not keep the member out.
func TestGlobalsGrantors(t *testing.T) {
	t.Parallel()
	to := pgtest.Start(t)
	role := func(id int32, name string) archive.Entry {
		return archive.Entry{ID: id, Kind: "ROLE", Name: name, DDL: "CREATE ROLE " + name + ";\n"}
	}
	member := func(id int32, sql string, deps ...int32) archive.Entry {
		return archive.Entry{ID: id, Kind: "ROLE MEMBERSHIP", Name: fmt.Sprint(id), DDL: sql + ";\n", Deps: deps}
	}
	cat := &archive.Catalog{Encoding: "UTF8", Entries: []archive.Entry{
		role(1, "g"), role(2, "a"), role(3, "b"), role(4, "c"),
		member(5, "GRANT g TO b GRANTED BY nobody_there", 1, 3), member(6, "GRANT g TO a WITH ADMIN OPTION GRANTED BY postgres", 1, 2), member(7, "GRANT g TO g GRANTED BY a", 1),
	}}
	res, err := fanout.RestoreGlobals(t.Context(), superConn(t, to, "postgres"), cat, fanout.GlobalsRestoreOptions{})
	if err != nil || len(res.Failures) != 1 || res.Failures[0].Entry.ID != 7 {
		t.Errorf("%v, %+v", err, res)
	}
	if w := strings.Join(res.Warnings, ""); !strings.Contains(w, "membership 5 is not granted by nobody_there") {
		t.Error(w)
	}
	got := to.QueryString(t, "postgres", "SELECT string_agg(m.rolname || a.admin_option, ' ' ORDER BY m.rolname) FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member WHERE r.rolname = 'g'")
	if got != "atrue bfalse" {
		t.Error(got)
	}
}
