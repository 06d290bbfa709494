package fanout

import (
	"context"
	"errors"

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
	if l.entry.failed() != nil {
		return nil
	}
	var digest archive.Digest
	var rows uint64
	var err error
	if l.entry.blobs {
		digest, rows, err = r.loadBlobs(ctx, s, l)
	} else {
		digest, rows, err = r.loadTable(ctx, s, l)
	}
	err = l.located(err)
	if err != nil && !r.opts.SingleTransaction {
		s.rollback(ctx)
	}
	l.add(digest, rows, err)
	if err != nil && (ctx.Err() != nil || s.lost(err)) {
		return r.fail(ctx, s, l.entry.step.Entry, err)
	}
	return nil
}

// loadTable copies blocks into a table, in a transaction of its own.
func (r *restoreRun) loadTable(ctx context.Context, s *loadSession, l *tableLoad) (archive.Digest, uint64, error) {
	progress := r.opts.Progress
	if l.again {
		progress = silent{}
	}
	table := r.plan.Table(l.entry.step.Entry.ID)
	created := table != nil && r.isMade(table.ID)
	if created && l.want == (archive.Digest{}) && !l.unknown {
		return archive.Digest{}, 0, nil // made empty by this restore, and to be empty: no round trip for it
	}
	if l.node != 0 {
		return s.copyIn(ctx, l.sql, l, progress)
	}
	if err := r.mayLoad(ctx, s, l.entry, table); err != nil {
		return archive.Digest{}, 0, err
	}
	if !r.mayFreeze(l, table, created) {
		return s.copyIn(ctx, l.sql, l, progress)
	}
	sql := l.sql + " WITH (FREEZE)"
	if r.opts.SingleTransaction { // created in this very transaction
		return s.copyIn(ctx, sql, l, progress)
	}
	name := wire.QualifiedName(table.Schema, table.Name)
	if _, err := s.conn.Exec(ctx, "BEGIN; TRUNCATE TABLE ONLY "+name); err != nil {
		return archive.Digest{}, 0, err
	}
	digest, rows, err := s.copyIn(ctx, sql, l, progress)
	if err != nil {
		return digest, rows, err
	}
	_, err = s.conn.Exec(ctx, "COMMIT")
	return digest, rows, err
}

// mayFreeze reports whether COPY FREEZE is legal and worth it: an ordinary table that this restore made, loaded by one
// session, so that truncating it takes no one's rows and no one can see them early. On segments it gains nothing that
// would be worth relying on each of them to hide rows of a transaction that the others have not committed yet.
func (r *restoreRun) mayFreeze(l *tableLoad, table *archive.Entry, created bool) bool {
	return created && !l.shared && len(l.entry.parts) == 1 && table.RelKind != relkindPartitioned && !r.onSegments() &&
		!LoadsViaRoot(l.entry.step.Entry) && l.raw >= r.limits.freezeFrom
}

// mayLoad looks whether rows may be loaded into what is there under an entry's name. The first session looks, before any
// row is loaded: later ones would find its rows.
func (r *restoreRun) mayLoad(ctx context.Context, s *loadSession, e *entryLoad, table *archive.Entry) error {
	e.looked.Do(func() {
		var err error
		switch {
		case table != nil && r.hasFailed(table.ID) && r.opts.NoDataForFailedTables:
			err = errNotMade
		case e.foreign:
			err = r.checkForeign(ctx, s, e)
		case table != nil && r.hasFailed(table.ID) && !r.opts.Append:
			err = r.mayLoadAnyway(ctx, s, table)
		}
		if err != nil {
			e.fail(err)
		}
	})
	return e.failed()
}

// mayLoadAnyway decides about a table that this restore failed to create: one that was there before, and is empty, is
// loaded.
func (r *restoreRun) mayLoadAnyway(ctx context.Context, s *loadSession, table *archive.Entry) error {
	name := wire.QualifiedName(table.Schema, table.Name)
	exists, err := s.conn.QueryString(ctx, "SELECT pg_catalog.to_regclass("+s.conn.Literal(name)+") IS NOT NULL")
	if err != nil {
		return err
	}
	if exists != "t" {
		return errNotMade
	}
	rows, err := s.conn.QueryStrings(ctx, "SELECT 1 FROM "+r.from(table.Schema, table.Name)+" LIMIT 1")
	if err == nil && len(rows) > 0 {
		err = errNotEmpty
	}
	return err
}
