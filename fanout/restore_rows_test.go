package fanout

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/internal/pgtest"
)

func TestRestoreRefusesTablesWithRows(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	srv.Exec(t, src, "CREATE TABLE a (i int); CREATE TABLE b (i int); INSERT INTO a VALUES (1); INSERT INTO b VALUES (2); SELECT lo_create(99)")
	b := makeArchive(t, srv, src, archiveRecipe{})

	dst := srv.CreateDB(t)
	srv.Exec(t, dst, "CREATE TABLE b (i int); INSERT INTO b VALUES (7); SELECT lo_create(99)")
	before := schemaOf(t, srv, dst)
	_, err := tryRestore(t, srv, dst, b, RestoreOptions{}, defaultRestoreLimits())
	var notEmpty *NotEmptyError
	if !errors.As(err, &notEmpty) || !slices.Equal(notEmpty.Tables, []string{"public.b", "large object 99"}) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"public.b", "--append", "-c", dst} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if schemaOf(t, srv, dst) != before || srv.QueryString(t, dst, "TABLE b") != "7" {
		t.Error("something was changed")
	}

	t.Run("append", func(t *testing.T) {
		res, err := tryRestore(t, srv, dst, b, RestoreOptions{Append: true}, defaultRestoreLimits())
		check(t, err)
		if got := srv.QueryString(t, dst, "SELECT string_agg(i::text, ',' ORDER BY i) FROM b"); got != "2,7" {
			t.Errorf("b holds %s", got)
		}
		if got := failedEntries(res); len(got) != 2 || !strings.HasPrefix(got[0], "BLOB") || got[1] != "TABLE public.b" {
			t.Errorf("failures %q", got)
		}
	})
	t.Run("clean", func(t *testing.T) {
		res := restored(t, srv, dst, b, RestoreOptions{Clean: true})
		if got := srv.QueryString(t, dst, "TABLE b"); got != "2" || res.Tables != 2 {
			t.Errorf("b holds %s", got)
		}
	})
}

// TestRestoreIntoExistingEmptyTables: -a loads them; without -a their creation fails and they are loaded nevertheless.
func TestRestoreIntoExistingEmptyTables(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	// The archive has "a" first; the foreign key asks for the other order.
	schema := "CREATE TABLE b (i int PRIMARY KEY); CREATE TABLE a (i int REFERENCES b);"
	srv.Exec(t, src, schema+"INSERT INTO b SELECT generate_series(1, 10); INSERT INTO a SELECT i FROM b")
	b := makeArchive(t, srv, src, archiveRecipe{})

	dst := srv.CreateDB(t)
	srv.Exec(t, dst, schema)
	restored(t, srv, dst, b, RestoreOptions{DataOnly: true, Jobs: 3})
	sameRows(t, srv, dst, b)

	dst = srv.CreateDB(t)
	srv.Exec(t, dst, "CREATE TABLE a (i int); CREATE TABLE b (i int)")
	res, err := tryRestore(t, srv, dst, b, RestoreOptions{Jobs: 2}, defaultRestoreLimits())
	check(t, err)
	if got := failedEntries(res); !slices.Equal(got, []string{"TABLE public.a", "TABLE public.b"}) || res.Tables != 2 {
		t.Errorf("%d tables, failures %q", res.Tables, got)
	}
	sameRows(t, srv, dst, b)

	dst = srv.CreateDB(t)
	res, err = tryRestore(t, srv, dst, b, RestoreOptions{DataOnly: true}, defaultRestoreLimits())
	check(t, err)
	if got := failedEntries(res); len(got) != 2 || res.Tables != 0 {
		t.Errorf("into no tables: %d tables, failures %q", res.Tables, got)
	}
}

// TestRestoreSparesRowsThatStayed: a table that -c could not drop keeps its rows, and gets none. The larger of its two parts
// is the first to be loaded, and is not the first in the archive.
func TestRestoreSparesRowsThatStayed(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	srv.Exec(t, src, "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'one')")
	b := makeArchive(t, srv, src, archiveRecipe{part: map[string]string{"t": "SELECT 'of a partition', i FROM generate_series(2, 100) i"}})

	dst := srv.CreateDB(t)
	if res := restored(t, srv, dst, b, RestoreOptions{}); res.Rows != 100 || res.Tables != 1 {
		t.Errorf("%d rows, %d tables", res.Rows, res.Tables)
	}
	srv.Exec(t, dst, "CREATE VIEW v AS SELECT a FROM t; DELETE FROM t WHERE a > 5")
	for _, jobs := range []int{1, 3} {
		res, err := tryRestore(t, srv, dst, b, RestoreOptions{Clean: true, Jobs: jobs}, defaultRestoreLimits())
		check(t, err)
		last := res.Failures[len(res.Failures)-1]
		if last.Entry.Kind != "TABLE DATA" || !errors.Is(last.Err, errNotEmpty) || res.Rows != 0 {
			t.Errorf("%d jobs: failures %q, %d rows", jobs, res.Failures, res.Rows)
		}
		if got := srv.QueryString(t, dst, "SELECT count(*) FROM t"); got != "5" {
			t.Errorf("%d jobs: t holds %s rows", jobs, got)
		}
	}
}

// TestRestoreWhateverTheDatabaseSets: settings of the target that change what text means as a value change no row.
func TestRestoreWhateverTheDatabaseSets(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	srv.Exec(t, src, `CREATE TABLE a (t text[], i interval, d date, x xml);
		INSERT INTO a VALUES ('{a,NULL,"NULL"}', '-1 year -2 mons +3 days', '2024-02-01', 'text <b/>')`)
	b := makeArchive(t, srv, src, archiveRecipe{})

	dst := srv.CreateDB(t)
	for _, set := range []string{"array_nulls = off", "IntervalStyle = 'sql_standard'", "DateStyle = 'SQL, DMY'", "xmloption = 'document'", "standard_conforming_strings = off"} {
		srv.Exec(t, dst, "ALTER DATABASE "+dst+" SET "+set)
	}
	restored(t, srv, dst, b, RestoreOptions{})
	sameRows(t, srv, dst, b)
	if got := srv.QueryString(t, dst, "SELECT t[2] IS NULL AND t[3] = 'NULL' FROM a"); got != "t" {
		t.Error("a NULL within an array was not read as one")
	}
}

func TestRestoreFailures(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	srv.Exec(t, src, `CREATE TABLE good AS SELECT generate_series(1, 100) AS i; CREATE INDEX good_i ON good (i);
CREATE TABLE bad AS SELECT generate_series(1, 100) AS i; CREATE INDEX bad_i ON bad (i);
CREATE TABLE odd AS SELECT generate_series(1, 100) AS i; CREATE VIEW v AS SELECT * FROM good`)
	b := makeArchive(t, srv, src, archiveRecipe{edit: func(e *archive.Entry) {
		switch {
		case e.Kind == "TABLE" && e.Name == "bad":
			e.DDL = "CREATE TABLE public.bad (i nosuchtype);\n"
		case e.Kind == "TABLE" && e.Name == "odd":
			e.DDL = "CREATE TABLE public.odd (i int CHECK (i < 50));\n"
		}
	}})
	want := []string{"INDEX public.bad_i", "TABLE DATA public.bad", "TABLE DATA public.odd", "TABLE public.bad"}
	for _, jobs := range []int{1, 4} {
		dst := srv.CreateDB(t)
		res, err := tryRestore(t, srv, dst, b, RestoreOptions{Jobs: jobs}, defaultRestoreLimits())
		check(t, err)
		if got := failedEntries(res); !slices.Equal(got, want) {
			t.Errorf("failures %q", got)
		}
		if got := srv.QueryString(t, dst, "SELECT count(*), (SELECT count(*) FROM odd) FROM v"); got != "100|0" || res.Tables != 1 {
			t.Errorf("rows %s, %d tables", got, res.Tables)
		}
	}

	t.Run("exit on error", func(t *testing.T) {
		dst := srv.CreateDB(t)
		res, err := tryRestore(t, srv, dst, b, RestoreOptions{ExitOnError: true}, defaultRestoreLimits())
		var f Failure
		if !errors.As(err, &f) || f.Entry.Name != "bad" || f.Entry.Kind != "TABLE" || len(res.Failures) != 1 {
			t.Fatalf("error %v", err)
		}
		if !strings.Contains(err.Error(), "nosuchtype") || !strings.Contains(err.Error(), "0 of 3 tables are loaded") {
			t.Errorf("message: %v", err)
		}
		if got := srv.QueryString(t, dst, "SELECT count(*) FROM pg_class WHERE relname = 'v'"); got != "0" {
			t.Error("it went on")
		}
	})
	t.Run("one transaction", func(t *testing.T) {
		dst := srv.CreateDB(t)
		_, err := tryRestore(t, srv, dst, b, RestoreOptions{SingleTransaction: true}, defaultRestoreLimits())
		if err == nil || !strings.Contains(err.Error(), "nothing in") {
			t.Fatalf("error %v", err)
		}
		if got := srv.QueryString(t, dst, "SELECT count(*) FROM pg_class WHERE relname IN ('good', 'odd')"); got != "0" {
			t.Error("something is there")
		}
	})
}

// TestRestoreLeavesNoPartOfATable: when one of several sessions that load a table fails, the table ends up empty.
func TestRestoreLeavesNoPartOfATable(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	srv.Exec(t, src, "CREATE TABLE t AS SELECT g AS i, repeat('x', 100) AS v FROM generate_series(1, 40000) g")
	b := makeArchive(t, srv, src, archiveRecipe{block: 64 << 10, edit: func(e *archive.Entry) {
		if e.Kind == "TABLE" {
			e.DDL = "CREATE TABLE public.t (i int CHECK (i <> 39999), v text);\n"
		}
	}})
	dst := srv.CreateDB(t)
	res, err := tryRestore(t, srv, dst, b, RestoreOptions{Jobs: 4}, smallLimits())
	check(t, err)
	if got := failedEntries(res); !slices.Equal(got, []string{"TABLE DATA public.t"}) {
		t.Errorf("failures %q", got)
	}
	if got := srv.QueryString(t, dst, "SELECT count(*) FROM t"); got != "0" {
		t.Errorf("%s rows are left", got)
	}
}

func TestRestoreComparesDigests(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	srv.Exec(t, src, "CREATE TABLE good AS SELECT generate_series(1, 10) AS i; CREATE TABLE bad AS SELECT generate_series(1, 10) AS i")
	b := makeArchive(t, srv, src, archiveRecipe{tamper: func(table string, d archive.Digest) archive.Digest {
		if table == "bad" {
			d.Lo ^= 1
		}
		return d
	}})
	dst := srv.CreateDB(t)
	res, err := tryRestore(t, srv, dst, b, RestoreOptions{}, defaultRestoreLimits())
	check(t, err)
	if len(res.Mismatches) != 1 || res.Mismatches[0].Table != "bad" || res.Tables != 1 {
		t.Fatalf("%+v", res)
	}
	dst = srv.CreateDB(t)
	_, err = tryRestore(t, srv, dst, b, RestoreOptions{SingleTransaction: true}, defaultRestoreLimits())
	if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "public.bad") {
		t.Errorf("error %v", err)
	}

	// A trigger in the target keeps rows out that were sent.
	dst = srv.CreateDB(t)
	srv.Exec(t, dst, `CREATE TABLE good (i int); CREATE TABLE bad (i int);
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.i = 3 THEN RETURN NULL; END IF; RETURN NEW; END';
CREATE TRIGGER f BEFORE INSERT ON good FOR EACH ROW EXECUTE FUNCTION f()`)
	res, err = tryRestore(t, srv, dst, b, RestoreOptions{DataOnly: true}, defaultRestoreLimits())
	check(t, err)
	i := slices.IndexFunc(res.Mismatches, func(m Mismatch) bool { return m.Table == "good" })
	if i < 0 || res.Mismatches[i].Loaded != 9 {
		t.Errorf("%+v", res.Mismatches)
	}
}

// TestRestoreDamagedArchive: a table with a damaged block is named and not loaded, everything else is restored.
func TestRestoreDamagedArchive(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	srv.Exec(t, src, `CREATE TABLE good AS SELECT generate_series(1, 10) AS i;
CREATE TABLE bad AS SELECT g, md5(g::text) FROM generate_series(1, 30000) g`)
	b := makeArchive(t, srv, src, archiveRecipe{block: 256 << 10})
	a := openArchive(t, b)
	for _, s := range a.Streams() {
		for blk := range a.Blocks(s.ID) {
			if s.Table == "bad" && blk.Seq == 2 {
				b[blk.Offset+int64(blk.Stored)/2] ^= 4
			}
		}
	}
	dst := srv.CreateDB(t)
	res, err := tryRestore(t, srv, dst, b, RestoreOptions{Jobs: 2}, defaultRestoreLimits())
	check(t, err)
	if got := failedEntries(res); !slices.Equal(got, []string{"TABLE DATA public.bad"}) {
		t.Fatalf("failures %q", got)
	}
	if !errors.Is(res.Failures[0], archive.ErrDamaged) {
		t.Errorf("error %v", res.Failures[0])
	}
	if got := srv.QueryString(t, dst, "SELECT count(*), (SELECT count(*) FROM bad) FROM good"); got != "10|0" {
		t.Errorf("rows %s", got)
	}
}

func TestRestoreSalvaged(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	srv.Exec(t, src, "CREATE TABLE a AS SELECT 1 AS i; CREATE TABLE lost AS SELECT 2 AS i")
	omit := func(table string) bool { return table == "lost" }
	b := makeArchive(t, srv, src, archiveRecipe{omit: omit, losses: []archive.Loss{
		{Schema: "public", Table: "lost", Message: "all its blocks are gone"},
	}})
	dst := srv.CreateDB(t)
	res := restored(t, srv, dst, b, RestoreOptions{})
	if len(res.Warnings) != 1 || !strings.Contains(res.Warnings[0], "public.lost") {
		t.Errorf("warnings %q", res.Warnings)
	}
	// Without a loss that explains it, rows that are not there are a failure.
	b = makeArchive(t, srv, src, archiveRecipe{omit: omit})
	res, err := tryRestore(t, srv, srv.CreateDB(t), b, RestoreOptions{}, defaultRestoreLimits())
	check(t, err)
	if got := failedEntries(res); !slices.Equal(got, []string{"TABLE DATA public.lost"}) {
		t.Errorf("failures %q", got)
	}
}

// With only their rows selected -c drops no tables: rows came a second time.
func TestRestoreCleanOfRowsOnly(t *testing.T) {
	srv := pgtest.Shared(t)
	src := srv.CreateDB(t)
	srv.Exec(t, src, "CREATE TABLE t AS SELECT 1 AS i; CREATE TABLE u AS SELECT 2 AS i")
	b := makeArchive(t, srv, src, archiveRecipe{})
	dst := srv.CreateDB(t)
	restored(t, srv, dst, b, RestoreOptions{})
	for name, o := range map[string]RestoreOptions{
		"data":               {Clean: true, Sections: []string{"data"}},
		"data and post-data": {Clean: true, IfExists: true, SingleTransaction: true, Sections: []string{"data", "post-data"}},
		"without -c":         {Sections: []string{"data"}},
	} {
		_, err := tryRestore(t, srv, dst, b, o, defaultRestoreLimits())
		var full *NotEmptyError
		if !errors.As(err, &full) || len(full.Tables) != 2 || strings.Contains(err.Error(), "which -c does not drop") != o.Clean {
			t.Errorf("%s: %v", name, err)
		}
		if n := srv.QueryString(t, dst, "SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM u)"); n != "2" {
			t.Fatalf("%s: %s rows", name, n)
		}
	}
	srv.Exec(t, dst, "TRUNCATE t, u")
	restored(t, srv, dst, b, RestoreOptions{Clean: true, Sections: []string{"data"}})
	restored(t, srv, dst, b, RestoreOptions{Clean: true, Sections: []string{"pre-data", "data"}})
	if n := srv.QueryString(t, dst, "SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM u)"); n != "2" {
		t.Errorf("%s rows", n)
	}
}
