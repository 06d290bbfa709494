package fanout

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// checkPlacement makes sure of what placeLoads has proven: every row that was loaded into a node directly is where the
// server would have put it. A table of which that is not so is among the result's Mismatches.
func (r *restoreRun) checkPlacement(ctx context.Context, pool *sessionPool) error {
	pool.closeNodes(ctx)
	var direct []*entryLoad
	for _, step := range r.steps {
		if e := r.loads[step.Entry.ID]; e != nil && e.parts[0].node != 0 && e.failed() == nil {
			direct = append(direct, e)
		}
	}
	if len(direct) == 0 {
		return nil
	}
	r.opts.Progress.Note("checking that every row is where its key says")
	todo := make(chan *entryLoad, len(direct))
	for _, e := range direct {
		todo <- e
	}
	close(todo)
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range pool.sessions {
		g.Go(func() error {
			for e := range todo {
				if err := r.checkPlaced(ctx, s, e); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// checkPlaced looks at one table. Its error ends the restore.
func (r *restoreRun) checkPlaced(ctx context.Context, s *loadSession, e *entryLoad) error {
	var misplaced string
	var err error
	if e.foreign {
		misplaced, err = misplacedForeign(ctx, s.conn, e)
	} else {
		misplaced, err = r.misplacedSegments(ctx, s, e)
	}
	entry := e.step.Entry
	what := ""
	switch {
	case err != nil && (ctx.Err() != nil || s.lost(err)):
		return fmt.Errorf("table %s: check where its rows are: %w", qualifiedID(entry.Schema, entry.Name), err)
	case err != nil:
		s.rollback(ctx)
		what = "loaded, but whether every row is where its key says could not be checked: " + err.Error()
	case misplaced != "0" && misplaced != "":
		what = misplaced + " rows are not where their key says: queries by key will miss them; empty the table and load it with --route coordinator"
	default:
		return nil
	}
	rows, _ := e.loaded()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Mismatches = append(r.result.Mismatches, Mismatch{
		Schema: entry.Schema, Table: entry.Name, Want: e.want, Got: e.want, Loaded: rows, What: what,
	})
	r.opts.Log.Error("rows are not where they belong", "table", describeEntry(entry), "difference", what)
	return nil
}

// misplacedSegments has the server distribute the keys anew, into a temporary table, and counts those that moved.
func (r *restoreRun) misplacedSegments(ctx context.Context, s *loadSession, e *entryLoad) (string, error) {
	entry := e.step.Entry
	name := tableName{entry.Schema, entry.Name}
	tables, err := segmentTables(ctx, s.conn, []tableName{name})
	if err != nil {
		return "", err
	}
	p := tables[name]
	if p == nil || p.Kind != archive.DistributedHash {
		return "", nil // no key says where they belong
	}
	columns, key := make([]string, len(p.Columns)), make([]string, len(p.Columns))
	for i, c := range p.Columns {
		schema, class, _ := strings.Cut(p.OpClasses[i], ".")
		// A column as it is would not be moved: the planner takes for granted that it is where it belongs.
		columns[i] = fmt.Sprintf("CASE WHEN gp_segment_id >= 0 THEN %s END AS k%d", wire.Ident(c), i)
		key[i] = fmt.Sprintf("k%d %s", i, wire.QualifiedName(schema, class))
	}
	from := r.from(entry.Schema, entry.Name, p.Columns...)
	sql := "CREATE TEMPORARY TABLE pgark_placement WITH (appendonly=true) AS SELECT gp_segment_id AS was, " +
		strings.Join(columns, ", ") + " FROM " + from + " DISTRIBUTED BY (" + strings.Join(key, ", ") + ")"
	if err := redistributes(ctx, s.conn, sql); err != nil {
		return "", err
	}
	if _, err := s.conn.Exec(ctx, "BEGIN; SET LOCAL gp_autostats_mode = none; "+sql); err != nil {
		return "", err
	}
	moved, err := s.conn.QueryString(ctx, "SELECT pg_catalog.count(*) FROM pg_temp.pgark_placement WHERE was <> gp_segment_id")
	if err != nil {
		return "", err
	}
	_, err = s.conn.Exec(ctx, "ROLLBACK")
	return moved, err
}

// errNoMotion says that a statement would leave each row on its segment, so that it proves nothing.
var errNoMotion = errors.New("the server would not distribute the keys anew")

// redistributes makes sure that a statement distributes rows by their keys.
func redistributes(ctx context.Context, conn *wire.Conn, sql string) error {
	moves := false
	err := conn.Query(ctx, "EXPLAIN "+sql, func(row wire.Row) error {
		moves = moves || strings.Contains(string(row.Get(0)), "Redistribute Motion")
		return nil
	})
	if err == nil && !moves {
		err = errNoMotion
	}
	return err
}

// misplacedForeign counts the rows of a foreign partition that do not belong into it.
func misplacedForeign(ctx context.Context, conn *wire.Conn, e *entryLoad) (string, error) {
	name := wire.QualifiedName(e.step.Entry.Schema, e.step.Entry.Name)
	constraint, err := conn.QueryString(ctx, "SELECT pg_catalog.pg_get_partition_constraintdef("+conn.Literal(name)+"::pg_catalog.regclass)")
	if err != nil || constraint == "" {
		return "", err
	}
	// The planner must not take for granted what is to be found out.
	if _, err := conn.Exec(ctx, "SET constraint_exclusion = off"); err != nil {
		return "", err
	}
	return conn.QueryString(ctx, "SELECT pg_catalog.count(*) FROM ONLY "+name+" WHERE ("+constraint+") IS FALSE")
}
