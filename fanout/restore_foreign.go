package fanout

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgark/pgark/wire"
)

// kindForeign is the kind of entry of a foreign table.
const kindForeign = "FOREIGN TABLE"

// loadsForeign tells whether a TABLE DATA entry is of a foreign table: another server keeps its rows, and they stay there
// when the foreign table is dropped.
func (p *Plan) loadsForeign(dataID int32) bool {
	e := p.byID[p.tables[dataID]]
	return e != nil && e.Kind == kindForeign
}

// ForeignNotEmptyError says that a restore would have added rows to tables of other servers that hold some already: the
// foreign servers of the archive lead to where they led when it was made, which may be a database in use. No row was
// loaded.
type ForeignNotEmptyError struct {
	Tables []string // foreign tables, qualified, each with its server
}

func (e *ForeignNotEmptyError) Error() string {
	return fmt.Sprintf("no rows were loaded: the tables on other servers that these foreign tables stand for already hold rows: %s; "+
		"use --server NAME=CONNINFO to have a foreign server lead elsewhere, or --append to add to the rows that are there",
		someTables(e.Tables))
}

// checkForeignTables refuses to load into tables on other servers that hold rows, unless asked to. Foreign tables that do
// not exist yet are looked at when they are loaded.
func (r *restoreRun) checkForeignTables(ctx context.Context, s *loadSession) error {
	var full []string
	for _, step := range r.steps {
		e := r.loads[step.Entry.ID]
		if e == nil || !e.foreign || e.failed() != nil {
			continue
		}
		server, err := r.serverOf(ctx, s, e)
		if err != nil {
			return err
		}
		if server == "" {
			continue
		}
		holds, err := r.foreignHolds(ctx, s, e)
		if err != nil {
			if s.lost(err) || ctx.Err() != nil || r.opts.ExitOnError {
				return err
			}
			e.fail(err)
			continue
		}
		e.looked.Do(func() {})
		if holds {
			full = append(full, r.foreignName(e, server))
		}
	}
	if len(full) > 0 {
		return &ForeignNotEmptyError{Tables: full}
	}
	return nil
}

func (r *restoreRun) foreignName(e *entryLoad, server string) string {
	return qualifiedID(e.step.Entry.Schema, e.step.Entry.Name) + " on " + server
}

// checkForeign is the same for one table, before its first row.
func (r *restoreRun) checkForeign(ctx context.Context, s *loadSession, e *entryLoad) error {
	holds, err := r.foreignHolds(ctx, s, e)
	if err != nil || !holds {
		return err
	}
	server, err := r.serverOf(ctx, s, e)
	if err != nil {
		return err
	}
	return &ForeignNotEmptyError{Tables: []string{r.foreignName(e, server)}}
}

// foreignHolds looks for a row, through the coordinator. With Append it only makes sure that the table is there.
func (r *restoreRun) foreignHolds(ctx context.Context, s *loadSession, e *entryLoad) (bool, error) {
	entry := e.step.Entry
	rows, err := s.conn.QueryStrings(ctx, "SELECT 1 FROM ONLY "+wire.QualifiedName(entry.Schema, entry.Name)+" LIMIT 1")
	if err != nil {
		return false, r.explainForeign(ctx, s, e, err)
	}
	return len(rows) > 0 && !r.opts.Append, nil
}

// serverOf names the foreign server of a table of the target, with where it leads; "" if it is no foreign table.
func (r *restoreRun) serverOf(ctx context.Context, s *loadSession, e *entryLoad) (string, error) {
	name := wire.QualifiedName(e.step.Entry.Schema, e.step.Entry.Name)
	places := "'" + strings.Join(placeOptions(), "', '") + "'"
	rows, err := s.conn.QueryStrings(ctx, `SELECT s.srvname, COALESCE(pg_catalog.array_to_string(ARRAY(
  SELECT o.option_name || '=' || o.option_value FROM pg_catalog.pg_options_to_table(s.srvoptions) o
  WHERE o.option_name IN (`+places+`)), ' '), '')
FROM pg_catalog.pg_foreign_table t JOIN pg_catalog.pg_foreign_server s ON s.oid = t.ftserver
WHERE t.ftrelid = pg_catalog.to_regclass(`+s.conn.Literal(name)+`)`)
	if err != nil || len(rows) == 0 {
		if err != nil {
			err = fmt.Errorf("look for the server of foreign table %s: %w", name, err)
		}
		return "", err
	}
	if rows[0][1] == "" {
		return rows[0][0], nil
	}
	return rows[0][0] + " (" + rows[0][1] + ")", nil
}

// explainForeign adds to an error of a foreign table what its server must have.
func (r *restoreRun) explainForeign(ctx context.Context, s *loadSession, e *entryLoad, err error) error {
	var server *wire.ServerError
	if s.lost(err) || ctx.Err() != nil || s.conn.InTransaction() != 'I' || !errors.As(err, &server) || !wire.IsUndefined(err) {
		return err
	}
	name := tableName{e.step.Entry.Schema, e.step.Entry.Name}
	leaves, lookErr := foreignLeaves(ctx, s.conn, []tableName{name}, Dialect{GeneratedColumns: true, ShortFloats: true})
	leaf := leaves[name]
	if lookErr != nil || leaf == nil {
		return err // what went wrong first is worth more than that
	}
	columns := make([]string, len(leaf.Columns))
	for i := range columns {
		columns[i] = wire.Ident(leaf.Remote.Columns[i]) + " " + leaf.Types[i]
	}
	return fmt.Errorf("%w: the archive has the rows, not the definition, of what foreign server %s keeps; create it there, "+
		"with the constraints and indexes it should have, then load the rows (-a): CREATE TABLE %s (%s)",
		err, leaf.server, leaf.Remote.quoted(), strings.Join(columns, ", "))
}
