package fanout

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgark/pgark/internal/pgtest"
)

// TestRestoreCreatesDatabase covers -C, with and without -c.
func TestRestoreCreatesDatabase(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	srv.Exec(t, src, "CREATE TABLE t AS SELECT 1 AS i; COMMENT ON DATABASE "+src+" IS 'mine'; ALTER DATABASE "+src+" SET work_mem = '7MB'")
	b := makeArchive(t, srv, src, archiveRecipe{})

	_, err := tryRestore(t, srv, src, b, RestoreOptions{Target: config(t, srv, "postgres"), Create: true}, defaultRestoreLimits())
	if err == nil || !strings.Contains(err.Error(), "already exists") || !strings.Contains(err.Error(), "database \""+src+"\" was not created, nothing in it") ||
		strings.Contains(err.Error(), `"postgres"`) {
		t.Fatalf("error %v", err)
	}
	// The server does not drop a template: it is there, and the session's own database is not what the message is about.
	srv.Exec(t, "postgres", "ALTER DATABASE "+src+" IS_TEMPLATE true")
	_, err = tryRestore(t, srv, src, b, RestoreOptions{Target: config(t, srv, "postgres"), Create: true, Clean: true, ExitOnError: true}, defaultRestoreLimits())
	if err == nil || !strings.Contains(err.Error(), "database \""+src+"\" was to be dropped and is not created") || strings.Contains(err.Error(), `"postgres"`) {
		t.Errorf("error %v", err)
	}
	srv.Exec(t, "postgres", "ALTER DATABASE "+src+" IS_TEMPLATE false")
	schema := schemaOf(t, srv, src)
	for _, o := range []RestoreOptions{{Clean: true}, {Clean: true, IfExists: true}, {}} {
		if !o.Clean || o.IfExists {
			srv.DropDB(t, src)
		}
		o.Create, o.Target = true, config(t, srv, "postgres")
		res := restored(t, srv, src, b, o)
		if res.Database != src {
			t.Errorf("into %s", res.Database)
		}
		if got := schemaOf(t, srv, src); got != schema {
			t.Errorf("clean %t: schema\n%s", o.Clean, got)
		}
		if got := srv.QueryString(t, src, "SELECT i, current_setting('work_mem'), shobj_description(d.oid, 'pg_database') FROM t, pg_database d WHERE datname = current_database()"); got != "1|7MB|mine" {
			t.Errorf("clean %t: %s", o.Clean, got)
		}
	}
	srv.WaitNoSessions(t, "postgres")
}

// TestRestoreReadOnly: a database that is read-only by a setting of its own is restored with -C, which brings the setting, too. One that is
// there is left alone, with one message.
func TestRestoreReadOnly(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	srv.Exec(t, src, "CREATE TABLE t AS SELECT 1 AS i; CREATE INDEX ON t (i); ALTER DATABASE "+src+" SET default_transaction_read_only = on")
	b := makeArchive(t, srv, src, archiveRecipe{})
	for _, o := range []RestoreOptions{{}, {Clean: true}} {
		res, err := tryRestore(t, srv, src, b, o, defaultRestoreLimits())
		if !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "nothing in") || len(res.Failures) != 0 {
			t.Errorf("clean %t: %v", o.Clean, err)
		}
	}
	srv.DropDB(t, src)
	restored(t, srv, src, b, RestoreOptions{Create: true, Target: config(t, srv, "postgres"), Jobs: 2})
	if got := srv.QueryString(t, src, "SELECT i, current_setting('default_transaction_read_only') FROM t"); got != "1|on" {
		t.Errorf("restored %s", got)
	}
}

// What pg_dump 15 and later write of a database goes into an older server, too, if that has the locale.
func TestDatabaseFor(t *testing.T) {
	libc := `CREATE DATABASE "LOCALE_PROVIDER = libc" WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'C';` + "\n\n\n"
	older := `CREATE DATABASE "LOCALE_PROVIDER = libc" WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'C'`
	icu := strings.Replace(libc, "= libc LOCALE", "= icu LOCALE", 1)
	for _, tt := range []struct {
		version   int
		sql, want string
	}{
		{140023, libc, older},
		{150000, libc, libc},
		{140023, icu, icu}, // it has no such thing, and says so
		{140023, older, older},
	} {
		if got := databaseFor(tt.version, tt.sql); got != tt.want {
			t.Errorf("%d: %s", tt.version, got)
		}
	}
}

// TestRestoreCleans drops what is there first; what isn't there is a failure without --if-exists.
func TestRestoreCleans(t *testing.T) {
	srv := pgtest.Shared(t)
	src, b := shopDB(t, srv)
	dst := srv.CreateDB(t)
	restored(t, srv, dst, b, RestoreOptions{Clean: true, IfExists: true, Jobs: 2})
	srv.Exec(t, dst, "INSERT INTO shop.empty VALUES (1); DROP TABLE shop.lines CASCADE; ALTER TABLE shop.none ADD COLUMN extra int")
	restored(t, srv, dst, b, RestoreOptions{Clean: true, IfExists: true, Jobs: 2})
	sameSchema(t, srv, src, dst)
	sameRows(t, srv, dst, b)
	restored(t, srv, dst, b, RestoreOptions{Clean: true, SingleTransaction: true})
	sameRows(t, srv, dst, b)

	res, err := tryRestore(t, srv, srv.CreateDB(t), b, RestoreOptions{Clean: true}, defaultRestoreLimits())
	check(t, err)
	if len(res.Failures) == 0 || res.Tables != 9 {
		t.Errorf("%d failures, %d tables", len(res.Failures), res.Tables)
	}
}

func TestRestoreSections(t *testing.T) {
	srv := pgtest.Shared(t)
	src, b := shopDB(t, srv)
	dst := srv.CreateDB(t)
	for _, section := range []string{"pre-data", "data", "post-data"} {
		restored(t, srv, dst, b, RestoreOptions{Sections: []string{section}, Jobs: 3})
	}
	sameSchema(t, srv, src, dst)
	sameRows(t, srv, dst, b)

	dst = srv.CreateDB(t)
	if res := restored(t, srv, dst, b, RestoreOptions{SchemaOnly: true, Jobs: 3}); res.Tables != 0 || res.Rows != 0 {
		t.Errorf("%d tables, %d rows", res.Tables, res.Rows)
	}
	if got := srv.QueryString(t, dst, "SELECT count(*) FROM shop.customers"); got != "0" {
		t.Errorf("%s rows", got)
	}
}

func TestRestoreSelection(t *testing.T) {
	srv := pgtest.Shared(t)
	src, b := shopDB(t, srv)
	dst := srv.CreateDB(t)
	srv.Exec(t, dst, "CREATE SCHEMA shop")
	restored(t, srv, dst, b, RestoreOptions{Select: Selection{Schemas: []string{"shop"}, Tables: []string{"customers"}}})
	want := srv.QueryString(t, src, "SELECT count(*), sum(hashtext(name)) FROM shop.customers")
	if got := srv.QueryString(t, dst, "SELECT count(*), sum(hashtext(name)) FROM shop.customers"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := srv.QueryString(t, dst, "SELECT count(*) FROM pg_tables WHERE schemaname = 'shop'"); got != "1" {
		t.Errorf("%s tables", got)
	}
}

func TestRestoreOptionsThatDoNotGoTogether(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	a := openArchive(t, makeArchive(t, srv, src, archiveRecipe{}))
	for _, o := range []RestoreOptions{
		{},
		{Target: config(t, srv, src), Create: true, SingleTransaction: true},
		{Target: config(t, srv, src), Append: true, Clean: true},
	} {
		if res, err := Restore(t.Context(), a, o); !errors.Is(err, ErrUsage) || res != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
