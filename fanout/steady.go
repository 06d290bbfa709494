package fanout

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// pg_dump has much of its definitions from functions of the server (format_type, pg_get_viewdef), and rows have the labels of
// their enums from it: these show names as they are, not as the snapshot shows them. Who renames a schema, a type or a function
// waits for no lock on a table.

// steadyNames compares both in one session: what the catalogs have in the snapshot, and what such functions say. Of an object that is gone
// they say its OID, and nothing of a column. Only from version 14 can a column be asked for that may be gone.
const steadyNames = `SELECT kind, oid, old, new FROM (
  SELECT 'role' AS kind, r.oid, r.rolname::pg_catalog.text AS old, pg_catalog.pg_get_userbyid(r.oid)::pg_catalog.text AS new FROM pg_catalog.pg_roles r
  UNION ALL SELECT 'type', t.oid, n.name || pg_catalog.quote_ident(t.typname), pg_catalog.format_type(t.oid, NULL)
    FROM pg_catalog.pg_type t JOIN ` + steadySchemas + ` ON n.oid = t.typnamespace WHERE t.typelem = 0
  UNION ALL SELECT 'function', p.oid, n.name || pg_catalog.quote_ident(p.proname), p.oid::pg_catalog.regproc::pg_catalog.text
    FROM pg_catalog.pg_proc p JOIN ` + steadySchemas + ` ON n.oid = p.pronamespace
  UNION ALL SELECT 'relation', c.oid, n.name || pg_catalog.quote_ident(c.relname), c.oid::pg_catalog.regclass::pg_catalog.text
    FROM pg_catalog.pg_class c JOIN ` + steadySchemas + ` ON n.oid = c.relnamespace
  UNION ALL SELECT 'column', c.oid, n.name || pg_catalog.quote_ident(c.relname) || '.' || pg_catalog.quote_ident(a.attname),
      CASE WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 140000
        THEN (pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, c.oid, a.attnum)).identity END
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN ` + steadySchemas + ` ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'c', 'f', 'm') AND a.attnum > 0 AND NOT a.attisdropped
) x WHERE old <> new`

// steadySchemas are those of users, with their names as they stand before the name of an object.
const steadySchemas = `(SELECT oid, pg_catalog.quote_ident(nspname) || '.' AS name FROM pg_catalog.pg_namespace
      WHERE nspname !~ '^pg_' AND nspname <> 'information_schema') n`

// steadyLabels lists the labels of enums.
const steadyLabels = `SELECT oid, enumlabel FROM pg_catalog.pg_enum`

// steady refuses a catalog in which something may have another name than at the moment, and keeps the labels of enums for steadyEnd.
// What is gone is no matter, but for functions, which pg_dump asks for one by one.
func (a *attempt) steady(ctx context.Context, cat *archive.Catalog) error {
	conn := a.m.leader().conn
	if _, err := conn.Exec(ctx, "SET search_path = ''"); err != nil { // a pg_dump before version 11 leaves another, which shortens names
		return fmt.Errorf("compare names with those of the moment: %w", err)
	}
	changed, err := conn.QueryStrings(ctx, steadyNames)
	if err != nil {
		return fmt.Errorf("compare names with those of the moment: %w", err)
	}
	dumped := make(map[string]bool)
	for i := range cat.Entries {
		if e := &cat.Entries[i]; e.TableOID == pgProc {
			dumped[fmt.Sprint(e.OID)] = true
		}
	}
	for _, c := range changed {
		kind, oid, was, is := c[0], c[1], c[2], c[3]
		switch gone := is == oid || is == "-" || is == "???" || is == "unknown (OID="+oid+")"; {
		case !gone:
			return fmt.Errorf("%w: %s %s is called %s by now", errSlipped, kind, was, is)
		case kind == "function" && dumped[oid]:
			return fmt.Errorf("%w: function %s was dropped", errSlipped, was)
		}
	}
	a.labels, err = labels(ctx, conn)
	return err
}

// steadyError is an error of pg_dump, which fails where a view, a sequence or whatever else no lock holds was dropped since the moment: at
// another one it does not. refused is what the server said to it. An error that comes a second time has another reason.
func (a *attempt) steadyError(err, refused error) error {
	var failed *PgDumpError
	if !errors.As(err, &failed) || failed.Err != nil || failed.ExitCode <= 0 {
		return err
	}
	said := strings.Join(failed.Lines, "\n")
	empty := strings.Contains(said, "appears to be empty (length zero)") || strings.Contains(said, "returned no data")
	if !wire.IsDropped(refused) && !empty || said == a.failed {
		return err
	}
	a.failed = said
	return fmt.Errorf("%w: something was dropped meanwhile: %w", errSlipped, err)
}

// steadyTables are the locked tables that have other names by now than at the moment. A lock keeps a table from being renamed, but not its
// schema, and rows are read by name: where another schema has taken the name, they would be another table's.
const steadyTables = `SELECT x.old, x.new FROM (
  SELECT n.name || pg_catalog.quote_ident(c.relname) AS old, c.oid::pg_catalog.regclass::pg_catalog.text AS new
  FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN ` + steadySchemas + ` ON n.oid = c.relnamespace
  WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND c.relkind IN ('r', 'p', 'f', 'm')
) x WHERE x.old <> x.new LIMIT 1`

// steadyNamed refuses rows that may be another table's. It is for the end of the member's transaction, which still has its locks.
func (m *member) steadyNamed(ctx context.Context) error {
	_, err := m.conn.Exec(ctx, "SET search_path = ''")
	var changed [][]string
	if err == nil {
		changed, err = m.conn.QueryStrings(ctx, steadyTables)
	}
	switch {
	case err != nil: // of Greenplum's coordinator also where a segment's part of the session was lost
		return fmt.Errorf("node %s: the session that held the snapshot was lost, so one moment is no longer certain: %w", m.node.Name, err)
	case len(changed) > 0:
		return fmt.Errorf("node %s: a schema was renamed while rows were read: table %s is called %s by now, and rows may be of another one of its old name; dump again",
			m.node.Name, changed[0][0], changed[0][1])
	}
	return nil
}

// undefinedEarly is an error of reading: that of a table which is gone under its name before anything was written is a reason to take the moment
// again, since its schema was renamed. One that comes a second time has another reason.
func (a *attempt) undefinedEarly(err error) error {
	if !wire.IsUndefined(err) || err.Error() == a.undefined || !a.turn.CompareAndSwap(turnOpen, turnFailed) {
		return err
	}
	a.undefined = err.Error()
	return fmt.Errorf("%w: %w", errSlipped, err)
}

// pgProc is the OID of pg_proc.
const pgProc = 1255

// steadyEnd refuses rows that may have other labels of enums than their types. The moment has ended, so its leader sees the present.
func (a *attempt) steadyEnd(ctx context.Context) error {
	if len(a.labels) == 0 {
		return nil
	}
	now, err := labels(ctx, a.m.leader().conn)
	if err != nil {
		return err
	}
	for oid, was := range a.labels {
		if is, ok := now[oid]; ok && is != was {
			return fmt.Errorf("a label of an enum was renamed while rows were read, so they may have either; dump again (%s, then %s)", was, is)
		}
	}
	return nil
}

func labels(ctx context.Context, conn *wire.Conn) (map[string]string, error) {
	return queryMap(ctx, conn, "read the labels of enums", steadyLabels)
}

// queryMap maps the first column of a query's rows to the second one. Errors begin with what it is for.
func queryMap(ctx context.Context, conn *wire.Conn, what, sql string) (map[string]string, error) {
	rows, err := conn.QueryStrings(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	of := make(map[string]string, len(rows))
	for _, r := range rows {
		of[r[0]] = r[1]
	}
	return of, nil
}
