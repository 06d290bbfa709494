package fanout

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// allKindsToRedirect makes the database with every kind of object, and takes out what can't be redirected from schema kinds, after proof
// that it is refused by name and nothing else is.
func allKindsToRedirect(t *testing.T, srv *pgtest.Server) (db string, b []byte) {
	t.Helper()
	db = srv.CreateDB(t)
	pgtest.AllKinds(t, srv, db)
	dst := srv.CreateDB(t)
	refused := func(want ...string) {
		t.Helper()
		o := RestoreOptions{Redirect: map[string]string{"kinds": "other"}}
		_, err := tryRestore(t, srv, dst, makeArchive(t, srv, db, archiveRecipe{}), o, defaultRestoreLimits())
		var re *RedirectError
		if !errors.As(err, &re) || !errors.Is(err, ErrUsage) {
			t.Fatalf("error %v", err)
		}
		var got []string
		for _, o := range re.Objects {
			got = append(got, o.Object)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("refused: %s", diff)
		}
		if n := srv.QueryString(t, dst, "SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_'"); n != "2" {
			t.Fatalf("something was changed: %s schemas", n)
		}
	}
	refused("FUNCTION kinds.note_change()", "FUNCTION kinds.to_colour(integer)")
	srv.Exec(t, db, "DROP FUNCTION kinds.note_change(), kinds.to_colour(integer) CASCADE")
	refused("TABLE DATA kinds.all_types")
	srv.Exec(t, db, "UPDATE kinds.all_types SET rc = NULL, rp = NULL, rt = NULL")
	return db, makeArchive(t, srv, db, archiveRecipe{})
}

// Whatever schema is redirected, the database is the same as if it had been restored as it was and the server had renamed the schema.
func TestRedirectIsRename(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	_, b := allKindsToRedirect(t, srv)
	whole := srv.CreateDB(t)
	restored(t, srv, whole, b, RestoreOptions{Jobs: 2})
	for from, to := range map[string]string{
		"kinds": "other kinds", "owned": "own\"ed", "ext": "extensions", "UPPER": "lower", "select": "from", "empty": "e\\m'pty",
		`with.dot, "quotes" and ünïcödé \ `: "plain", "public": "private",
	} {
		t.Run(from, func(t *testing.T) {
			renamed, redirected := srv.CreateDB(t, pgtest.Template(whole)), srv.CreateDB(t)
			srv.Exec(t, renamed, "ALTER SCHEMA "+wire.Ident(from)+" RENAME TO "+wire.Ident(to))
			res := restored(t, srv, redirected, b, RestoreOptions{Jobs: 2, Redirect: map[string]string{from: to}})
			for _, w := range res.Warnings {
				t.Log(w)
			}
			if from == "public" {
				samePublic(t, srv, renamed, redirected)
			}
			sameSchema(t, srv, renamed, redirected)
			sameRows(t, srv, redirected, makeArchive(t, srv, renamed, archiveRecipe{}))
		})
	}
}

// samePublic compares the rights on what was the public schema. pg_dump leaves out those that the server was born with, of the one that was
// renamed, so they are made a part of both dumps.
func samePublic(t *testing.T, srv *pgtest.Server, renamed, redirected string) {
	t.Helper()
	const rights = `SELECT nspowner::regrole, a.* FROM pg_namespace, aclexplode(nspacl) a WHERE nspname = 'private' ORDER BY 1, 2, 3, 4`
	if want, got := srv.QueryString(t, renamed, rights), srv.QueryString(t, redirected, rights); want != got {
		t.Errorf("rights on the schema: %s, want %s", got, want)
	}
	srv.Exec(t, renamed, "DELETE FROM pg_init_privs WHERE objoid = 'private'::regnamespace")
	srv.Exec(t, redirected, "DROP SCHEMA public") // which has none by now where it was renamed
}

// An extension is in a database once: where the old schema has it, nothing is restored that would look for it in the new one, and
// nothing drops it.
func TestRedirectExtension(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, "CREATE SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext; CREATE TABLE t (h ext.hstore)")
	b := makeArchive(t, srv, db, archiveRecipe{})
	srv.Exec(t, db, "DROP TABLE t")
	to := map[string]string{"ext": "other"}
	for _, o := range []RestoreOptions{{Redirect: to}, {Redirect: to, Clean: true}} {
		_, err := tryRestore(t, srv, db, b, o, defaultRestoreLimits())
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "hstore (in ext, not other)") {
			t.Errorf("error %v", err)
		}
	}
	if n := srv.QueryString(t, db, "SELECT count(*) FROM pg_extension WHERE extnamespace = 'ext'::regnamespace"); n != "1" {
		t.Error("the extension is gone")
	}
	clean := srv.CreateDB(t)
	restored(t, srv, clean, b, RestoreOptions{Redirect: to})
	restored(t, srv, clean, b, RestoreOptions{Redirect: map[string]string{"ext": "other", "public": "next"}})
	if n := srv.QueryString(t, clean, "SELECT count(*) FROM pg_class WHERE relname = 't'"); n != "2" {
		t.Errorf("%s tables", n)
	}
}

// A comment on the public schema, and rights to it, stand in front of all that pg_dump makes: the schema that takes its place is
// there before them.
func TestRedirectCommentOnPublic(t *testing.T) {
	srv := pgtest.Shared(t)
	db, dst := srv.CreateDB(t), srv.CreateDB(t)
	srv.Exec(t, db, "CREATE TABLE t (i int); COMMENT ON SCHEMA public IS 'ours'; GRANT CREATE ON SCHEMA public TO pg_monitor")
	b := makeArchive(t, srv, db, archiveRecipe{})
	for _, o := range []RestoreOptions{{}, {Clean: true, ExitOnError: true}, {SchemaOnly: true, Clean: true, SingleTransaction: true}} {
		o.Redirect = map[string]string{"public": "next"}
		restored(t, srv, dst, b, o)
		const q = "SELECT obj_description(oid), has_schema_privilege('pg_monitor', oid, 'CREATE') FROM pg_namespace WHERE nspname = 'next'"
		if got := srv.QueryString(t, dst, q); got != "ours|t" {
			t.Errorf("%+v: %s", o, got)
		}
	}
}

// Rows of views, multiranges and what is made of them hold types like regclass, too. Only rows that have the name in them are refused.
func TestRedirectRowsOfViews(t *testing.T) {
	srv := pgtest.Shared(t)
	db, dst := srv.CreateDB(t), srv.CreateDB(t)
	srv.Exec(t, db, `CREATE SCHEMA old; CREATE SCHEMA other; CREATE TABLE old.t (i int);
		CREATE MATERIALIZED VIEW old.mv AS SELECT 'old.t'::regclass AS r; CREATE TABLE other.h1 (x old.mv); INSERT INTO other.h1 SELECT mv FROM old.mv;
		CREATE VIEW other.v AS SELECT 'old'::regnamespace AS n, 1 AS i; CREATE TABLE other.h2 (x other.v[]); INSERT INTO other.h2 SELECT ARRAY[v] FROM other.v v;
		CREATE VIEW old.above AS SELECT r, 'x'::text AS y FROM old.mv; CREATE DOMAIN old.d AS old.above; CREATE TABLE other.h3 (x old.d); INSERT INTO other.h3 VALUES ('(old.t,x)');
		CREATE TYPE other.rr AS RANGE (SUBTYPE = regclass, MULTIRANGE_TYPE_NAME = other.mrr);
		CREATE TABLE other.h4 (x other.mrr); INSERT INTO other.h4 VALUES ('{[old.t,old.t]}');
		CREATE TABLE other.pure (x old.mv, y other.mrr, z text); INSERT INTO other.pure VALUES (ROW('pg_class'), '{}', 'old');
		CREATE VIEW other.seen AS SELECT 'pg_class'::regclass AS r; CREATE TABLE other.called (i int, seen text); INSERT INTO other.called VALUES (1, 'old.t');
		CREATE VIEW old.none AS SELECT 'old.t'::text AS r; CREATE TABLE other.plain (x old.none); INSERT INTO other.plain VALUES (ROW('old.t'))`)
	b := makeArchive(t, srv, db, archiveRecipe{})
	o := RestoreOptions{Redirect: map[string]string{"old": "new"}}
	_, err := tryRestore(t, srv, dst, b, o, defaultRestoreLimits())
	var re *RedirectError
	if !errors.As(err, &re) {
		t.Fatalf("error %v", err)
	}
	var got []string
	for _, o := range re.Objects {
		got = append(got, o.Object)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"TABLE DATA other.h1", "TABLE DATA other.h2", "TABLE DATA other.h3", "TABLE DATA other.h4"}, got); diff != "" {
		t.Fatalf("refused: %s", diff)
	}
	srv.Exec(t, db, "TRUNCATE other.h1, other.h2, other.h3, other.h4")
	restored(t, srv, dst, makeArchive(t, srv, db, archiveRecipe{}), o)
}
