package fanout

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

var (
	errNoRows   = errors.New("the archive has no rows for this table")
	errNotMade  = errors.New("not loaded, because the table could not be created")
	errNotEmpty = errors.New("not loaded, because the table could not be created and the one that exists holds rows")
)

// load has one session take part in a load until no block is left. The outcome is in l; the error says that the session
// can't go on.
func (r *restoreRun) load(ctx context.Context, s *loadSession, l *tableLoad) error {
	if l.failed() != nil {
		return nil
	}
	var digest archive.Digest
	var rows uint64
	var err error
	if l.blobs {
		digest, rows, err = r.loadBlobs(ctx, s, l)
	} else {
		digest, rows, err = r.loadTable(ctx, s, l)
	}
	if err != nil && !r.opts.SingleTransaction {
		s.rollback(ctx)
	}
	l.add(digest, rows, err)
	if err != nil && (ctx.Err() != nil || s.lost(err)) {
		return r.fail(ctx, s, l.step.Entry, err)
	}
	return nil
}

// loadTable copies blocks into a table, in a transaction of its own.
func (r *restoreRun) loadTable(ctx context.Context, s *loadSession, l *tableLoad) (archive.Digest, uint64, error) {
	table := r.plan.Table(l.step.Entry.ID)
	created := table != nil && r.isMade(table.ID)
	if table != nil && r.hasFailed(table.ID) && !r.opts.Append {
		if err := r.mayLoadAnyway(ctx, s, l, table); err != nil {
			return archive.Digest{}, 0, err
		}
	}
	if created && l.want == (archive.Digest{}) {
		return archive.Digest{}, 0, nil // made empty by this restore, and to be empty: no round trip for it
	}
	sql := r.plan.CopyStatement(l.step)
	if !r.mayFreeze(l, table, created) {
		return s.copyIn(ctx, sql, l, r.opts.Progress)
	}
	sql += " WITH (FREEZE)"
	if r.opts.SingleTransaction { // created in this very transaction
		return s.copyIn(ctx, sql, l, r.opts.Progress)
	}
	name := wire.QualifiedName(table.Schema, table.Name)
	if _, err := s.conn.Exec(ctx, "BEGIN; TRUNCATE TABLE ONLY "+name); err != nil {
		return archive.Digest{}, 0, err
	}
	digest, rows, err := s.copyIn(ctx, sql, l, r.opts.Progress)
	if err != nil {
		return digest, rows, err
	}
	_, err = s.conn.Exec(ctx, "COMMIT")
	return digest, rows, err
}

// mayFreeze reports whether COPY FREEZE is legal and worth it: an ordinary table that this restore made, loaded by one
// session, so that truncating it takes no one's rows and no one can see them early.
func (r *restoreRun) mayFreeze(l *tableLoad, table *archive.Entry, created bool) bool {
	return created && !l.shared && table.RelKind != relkindPartitioned &&
		!LoadsViaRoot(l.step.Entry) && l.want.Bytes >= r.limits.freezeFrom
}

// mayLoadAnyway decides about a table that this restore failed to create: one that was there before, and is empty, is
// loaded. A session that joins a shared load finds the rows of the others, so only the first one looks.
func (r *restoreRun) mayLoadAnyway(ctx context.Context, s *loadSession, l *tableLoad, table *archive.Entry) error {
	if l.left() < l.want.Bytes {
		return nil
	}
	name := wire.QualifiedName(table.Schema, table.Name)
	exists, err := s.conn.QueryString(ctx, "SELECT pg_catalog.to_regclass("+wire.Literal(name)+") IS NOT NULL")
	if err == nil && exists != "t" {
		err = errNotMade
	}
	if err != nil {
		l.skip()
		return err
	}
	rows, err := s.conn.QueryStrings(ctx, "SELECT 1 FROM ONLY "+name+" LIMIT 1")
	if err == nil && len(rows) > 0 {
		err = errNotEmpty
	}
	if err != nil {
		l.skip()
	}
	return err
}

// settle ends a load that no session is at work on any more: it records a failure, or compares what was loaded with
// what the archive promises.
func (r *restoreRun) settle(ctx context.Context, s *loadSession, l *tableLoad) error {
	l.mu.Lock()
	l.stop()
	err := l.err
	l.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil && !s.lost(err) {
			err = r.tidy(ctx, s, l, err)
		}
		return r.fail(ctx, s, l.step.Entry, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Rows += l.rows
	r.result.RawBytes += l.got.Bytes
	if what := l.difference(); what != "" {
		r.result.Mismatches = append(r.result.Mismatches, Mismatch{
			Schema: l.schema, Table: l.table, Want: l.want, Got: l.got, Loaded: l.rows, What: what,
		})
		r.opts.Log.Error("rows differ from the archive", "table", describeEntry(l.step.Entry), "difference", what)
		return nil
	}
	if !l.blobs {
		r.result.Tables++
		r.opts.Progress.TableDone(l.schema, l.table, l.rows)
	}
	return nil
}

// difference says in words how what was loaded differs from what the archive promises, "" if it does not.
func (l *tableLoad) difference() string {
	switch {
	case l.got.Rows != l.want.Rows:
		return fmt.Sprintf("%d rows were sent, the archive promises %d", l.got.Rows, l.want.Rows)
	case l.got != l.want:
		return fmt.Sprintf("the digest of the rows sent is %s, the archive promises %s", l.got, l.want)
	case l.rows != l.want.Rows && l.omitted == 0:
		return fmt.Sprintf("the server took %d rows of the %d that were sent", l.rows, l.want.Rows)
	}
	return ""
}

// tidy empties a table of this restore that could only be loaded in part, so that a table holds all its rows or none,
// and returns the error with the state that the table is in.
func (r *restoreRun) tidy(ctx context.Context, s *loadSession, l *tableLoad, err error) error {
	if l.rows == 0 || l.skipped || l.blobs || r.opts.SingleTransaction {
		return err
	}
	table := r.plan.Table(l.step.Entry.ID)
	if table != nil && r.isMade(table.ID) && !LoadsViaRoot(l.step.Entry) {
		name := wire.QualifiedName(table.Schema, table.Name)
		if _, truncErr := s.conn.Exec(ctx, "TRUNCATE TABLE ONLY "+name); truncErr == nil {
			return fmt.Errorf("%w (the table was left empty)", err)
		}
	}
	return fmt.Errorf("%w (%d of its %d rows were loaded before and stay)", err, l.rows, l.want.Rows)
}
