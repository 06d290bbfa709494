package fanout

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// aliases is a schema whose name is also that of tables, columns, aliases, windows, cursors of queries and arguments. It is written with S for
// the schema's name and A for the same name wherever it is something else.
const aliases = `
CREATE SCHEMA S; SET search_path = S, public;
CREATE TYPE S.pair AS (x int, A int);
CREATE TYPE S.mood AS ENUM ('ok', 'bad');
CREATE DOMAIN S.small AS int CHECK (VALUE < 1000);
CREATE TABLE S.A (id int PRIMARY KEY, A int, c S.pair, m S.mood DEFAULT 'ok'::S.mood, n S.small[], note text DEFAULT 'S.A is text', CHECK ((c).x > 0));
CREATE TABLE S.t (id serial PRIMARY KEY, A int REFERENCES S.A, c S.pair, v text, doc xml, ref regclass);
CREATE FUNCTION S.f(A int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE FUNCTION S.A(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 - 1';
CREATE FUNCTION S.rows(int) RETURNS SETOF record LANGUAGE sql AS 'SELECT 1, 2';
CREATE FUNCTION S.whole(S.A) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION S.plus(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE OPERATOR S.* (FUNCTION = S.plus, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR S.@+@ (FUNCTION = S.plus, LEFTARG = int, RIGHTARG = int, COMMUTATOR = OPERATOR(S.@+@));
CREATE COLLATION S.A FROM "C";
ALTER TABLE S.A ADD CHECK (S.whole(A.*));
CREATE VIEW S.v1 AS SELECT A.id, A.A, (A.c).x, (A.c).A AS y, A.c FROM S.t A WHERE A.A > 1;
CREATE VIEW S.v2 AS SELECT A.A FROM S.A;
CREATE VIEW S.v3 AS WITH A AS (SELECT id, A FROM S.A WHERE S.f(A) > 1), b AS (SELECT A.id FROM A) SELECT A.A, b.id FROM A, b, S.A x WHERE x.id = A.id;
CREATE VIEW S.v4 AS SELECT A.id, l.q FROM S.t A, LATERAL (SELECT A.A + 1 AS q FROM S.A z WHERE z.A = A.A) l, LATERAL S.f(A.id) ff;
CREATE VIEW S.v5 AS SELECT A.id, count(*) OVER A FROM S.t A JOIN S.A b USING (id) WINDOW A AS (PARTITION BY A.A ORDER BY A.id);
CREATE VIEW S.v6 AS SELECT EXTRACT(year FROM A.at) AS y, A.at IS DISTINCT FROM A.at AS d, substring(A.w FROM 1 FOR 2) AS s, trim(both FROM A.w) AS tr
  FROM (SELECT now() AS at, 'x'::text AS w) A;
CREATE VIEW S.v7 AS SELECT A.id OPERATOR(S.*) A.A AS p, A.id OPERATOR(S.@+@) 3 AS q, A.v COLLATE S.A AS col, A.* FROM S.t A;
CREATE VIEW S.v8 AS SELECT A.a, A.b FROM S.rows(1) A(a int, b S.small) UNION ALL (SELECT A.id, A.A FROM S.t A EXCEPT SELECT 1, S.A(2));
CREATE VIEW S.v9 AS SELECT A.* FROM ROWS FROM (S.f(1), S.rows(2) AS (a S.small, b int)) WITH ORDINALITY A;
CREATE VIEW S.v10 AS SELECT A.id FROM (S.t A LEFT JOIN (S.A b JOIN S.t c ON c.id = b.id) ON A.id = b.A) WHERE A.A IN (SELECT A.A FROM S.A) ORDER BY A.id;
CREATE VIEW S.v11 AS SELECT CASE A.m WHEN 'ok'::S.mood THEN 'S.t'::regclass ELSE 'S.A'::regclass END AS r, ARRAY[A.id, S.f(A.A)] AS arr, ROW(A.*)::S.A AS w,
  A.n[A.id] AS e FROM S.A;
CREATE VIEW S.v12 AS SELECT x.* FROM S.t A, XMLTABLE('/r' PASSING A.doc COLUMNS A int PATH 'a', p S.small PATH 'b' DEFAULT A.A, o FOR ORDINALITY) x;
CREATE VIEW S.v13 AS SELECT b.id, (SELECT max(A.A) FROM S.t A WHERE A.id = b.id) AS m FROM S.A b TABLESAMPLE system (50) GROUP BY b.id HAVING count(*) > 0;
CREATE VIEW S.v14 AS VALUES (1, S.f(2)), (3, S.A(4));
CREATE VIEW S.v15 AS WITH RECURSIVE A(n, p) AS (SELECT 1, 0 UNION ALL SELECT A.n + 1, A.n FROM A WHERE A.n < 5) SEARCH DEPTH FIRST BY n SET o CYCLE n SET c USING path
  SELECT A.n FROM A ORDER BY A.o;
CREATE MATERIALIZED VIEW S.m1 AS SELECT A.id, A.A FROM S.A WITH NO DATA;
CREATE INDEX ON S.m1 (S.f(A)) WHERE S.f(A) > 0;
CREATE UNIQUE INDEX ON S.m1 (id);
CREATE TABLE public.A (i int, at S.pair DEFAULT ROW(1, 2)::S.pair, q regclass DEFAULT 'S.t'::regclass);
CREATE VIEW public.out AS SELECT A.i, b.A, S.f(A.i) FROM public.A, S.A b WHERE A.i = b.id;
CREATE TABLE S.log (what text, A int, c S.pair);
CREATE RULE r1 AS ON INSERT TO S.t WHERE NEW.A > 1 DO ALSO (INSERT INTO S.log (what, A, c.x) VALUES ('in ' || NEW.v, NEW.A, (NEW.c).x); UPDATE S.log SET A = NEW.A, c.x = 3 FROM S.A A WHERE log.A = A.id);
CREATE RULE r2 AS ON DELETE TO S.t DO ALSO DELETE FROM S.log USING S.A A, S.A zz WHERE log.A = OLD.A AND A.id = log.A;
CREATE RULE r3 AS ON UPDATE TO S.A WHERE OLD.A <> NEW.A DO INSTEAD INSERT INTO S.log AS A (A) SELECT A.A FROM S.t A WHERE A.id = OLD.id;
CREATE FUNCTION S.trig() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER tr AFTER UPDATE OF A ON S.A FOR EACH ROW WHEN (OLD.A IS DISTINCT FROM NEW.A AND S.f(NEW.A) > 0 AND NOT S.whole(OLD.*)) EXECUTE FUNCTION S.trig('S.t');
ALTER TABLE S.A ENABLE ROW LEVEL SECURITY;
CREATE POLICY A ON S.A USING (EXISTS (SELECT 1 FROM S.t z WHERE z.A = A.id AND z.id = S.f(A.A))) WITH CHECK (A = (SELECT max(A.A) FROM S.t A));
CREATE FUNCTION S.atomic(A int) RETURNS int LANGUAGE sql BEGIN ATOMIC
  INSERT INTO S.log AS A (what, A) SELECT CASE WHEN A.A > 1 THEN 'a' ELSE 'b' END, atomic.A FROM S.t A ON CONFLICT DO NOTHING RETURNING A.A;
  UPDATE S.t SET A = S.f(1), c.A = 2 FROM S.A x WHERE x.id = t.A;
  DELETE FROM S.log A USING S.t b WHERE A.A = b.A;
  WITH A AS (DELETE FROM S.log RETURNING A) INSERT INTO S.log (A) SELECT A.A FROM A;
  SELECT A.A FROM S.t A, (SELECT 1) q WHERE A.id = atomic.A;
END;
CREATE FUNCTION S.returning(A S.pair DEFAULT ROW(1, 2)::S.pair, OUT b int) LANGUAGE sql RETURN (A).x + S.f(2);
CREATE FUNCTION S.A(A bigint) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT A.A + b.id FROM S.t b; END;
CREATE FUNCTION S.settings() RETURNS int LANGUAGE sql SET search_path = S, public AS 'SELECT 1';
CREATE STATISTICS S.st ON (S.f(A)), id FROM S.A;
CREATE PUBLICATION pub FOR TABLE S.A WHERE (A > 3), TABLES IN SCHEMA public WITH (publish = 'insert');
CREATE PUBLICATION pub2 FOR TABLES IN SCHEMA S, public WITH (publish = 'insert');
ALTER DEFAULT PRIVILEGES IN SCHEMA S GRANT SELECT ON TABLES TO PUBLIC;
GRANT USAGE ON SCHEMA S TO PUBLIC; GRANT SELECT (A) ON S.A TO PUBLIC;
COMMENT ON COLUMN S.A.A IS 'S.A'; COMMENT ON SCHEMA S IS 'S.t';
CREATE TABLE S.parts (A int, at date) PARTITION BY LIST (S.f(A));
CREATE TABLE S.part1 PARTITION OF S.parts FOR VALUES IN (1, 2);
CREATE TABLE S.own (id int GENERATED ALWAYS AS IDENTITY, twice int GENERATED ALWAYS AS (S.plus(1, 2)) STORED) WITH (toast_tuple_target = 200, toast.autovacuum_enabled = false);
INSERT INTO S.A VALUES (1, 2, ROW(1, 2)); INSERT INTO S.t (A, ref) VALUES (1, NULL);
`

// A schema whose name is also that of everything else: what is the schema is redirected, and nothing else is.
func TestRedirectAliases(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	for _, name := range []string{"sales", "old", "new", "Odd. \"x", "toast", "excluded"} {
		t.Run(name, func(t *testing.T) {
			id := quoteID(name)
			sql := strings.ReplaceAll(aliases, "'S.A is text'", "'text'")
			if name == "old" || name == "new" { // which tables in a rule can't be called
				sql = strings.NewReplacer("FROM S.A A WHERE log.A = A.id", "FROM S.A q WHERE log.A = q.id", "USING S.A A, S.A zz WHERE log.A = OLD.A AND A.id",
					"USING S.A q, S.A zz WHERE log.A = OLD.A AND q.id", "S.log AS A (A) SELECT A.A FROM S.t A WHERE A.id", "S.log AS l (A) SELECT q.A FROM S.t q WHERE q.id").Replace(sql)
			}
			sql = strings.NewReplacer("'S.", "'"+strings.ReplaceAll(id, "'", "''")+".", "S.", id+".", "SCHEMA S", "SCHEMA "+id,
				"path = S", "path = "+id, " CYCLE", " CYCLE").Replace(sql)
			sql = replaceWord(sql, "A", id)
			src, renamed, redirected := srv.CreateDB(t), srv.CreateDB(t), srv.CreateDB(t)
			file := filepath.Join(t.TempDir(), "aliases.sql")
			check(t, os.WriteFile(file, []byte(sql), 0o600))
			srv.Psql(t, src, "-f", file)
			b := makeArchive(t, srv, src, archiveRecipe{})
			restored(t, srv, renamed, b, RestoreOptions{})
			srv.Exec(t, renamed, "ALTER SCHEMA "+wire.Ident(name)+` RENAME TO "else where"`)
			// The server leaves settings as they are.
			srv.Exec(t, renamed, `ALTER FUNCTION "else where".settings() SET search_path = "else where", public`)
			restored(t, srv, redirected, b, RestoreOptions{Redirect: map[string]string{name: "else where"}})
			sameSchema(t, srv, renamed, redirected)
			sameRows(t, srv, redirected, makeArchive(t, srv, renamed, archiveRecipe{}))
		})
	}
}

// replaceWord puts text in the place of a word of one letter.
func replaceWord(sql, word, text string) string {
	var b strings.Builder
	for i := 0; i < len(sql); i++ {
		if sql[i:i+1] == word && !isWordPart(sql[i-1]) && !isWordPart(sql[i+1]) {
			b.WriteString(text)
			continue
		}
		b.WriteByte(sql[i])
	}
	return b.String()
}
