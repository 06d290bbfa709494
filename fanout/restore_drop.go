package fanout

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// dropAll drops what is to be restored, in the order that the plan says (-c). When a database is created, the database
// itself is what is dropped, by createDatabase.
//
// What the server refuses to drop because something else needs it is tried once more at the end: the constraint of a
// partition can't go before that of the partitioned table, which the order of the catalog does not know. And a type takes
// its functions with it, so that they can't be dropped themselves.
func (r *restoreRun) dropAll(ctx context.Context, s *loadSession) error {
	if !r.opts.Clean || r.opts.Create && r.madeOf(kindDatabase) {
		return nil
	}
	drops := r.plan.Drops(&s.state)
	if len(drops) == 0 {
		return nil
	}
	r.opts.Progress.Note("dropping what is to be restored")
	r.changed()
	items := make(map[*archive.Entry]entrySQL, len(drops))
	all := make([]entrySQL, len(drops))
	for i, d := range drops {
		all[i] = entrySQL{entry: d.Entry, statements: d.SQL}
		items[d.Entry] = all[i]
	}
	var again []entrySQL
	cascaded := false
	err := r.drop(ctx, s, all, func(e *archive.Entry, err error) error {
		switch {
		case err == nil:
			cascaded = cascaded || strings.HasSuffix(trimStatement(e.Drop), " CASCADE")
			return nil
		case cascaded && e.Kind == "FUNCTION" && isGone(err):
			return nil
		case isNeeded(err):
			again = append(again, items[e])
			return nil
		}
		return r.fail(ctx, s, e, fmt.Errorf("drop: %w", err))
	})
	if err != nil {
		return err
	}
	return r.drop(ctx, s, again, func(e *archive.Entry, err error) error {
		if err == nil || isGone(err) {
			return nil
		}
		return r.fail(ctx, s, e, fmt.Errorf("drop: %w", err))
	})
}

// drop carries out statements that may fail without an end of the transaction that is open, if there is one.
func (r *restoreRun) drop(ctx context.Context, s *loadSession, items []entrySQL, done func(*archive.Entry, error) error) error {
	if !r.opts.SingleTransaction {
		return r.execAll(ctx, s, items, done)
	}
	for _, item := range items {
		if _, err := s.conn.Exec(ctx, "SAVEPOINT pgark"); err != nil {
			return err
		}
		dropErr := s.exec(ctx, item)
		if dropErr == nil || !s.lost(dropErr) && ctx.Err() == nil {
			// Without RELEASE they would nest, and the server refuses some statements below a rollback.
			end := "RELEASE pgark"
			if dropErr != nil {
				end = "ROLLBACK TO pgark; RELEASE pgark"
			}
			if _, err := s.conn.Exec(ctx, end); err != nil {
				return err
			}
		}
		if err := done(item.entry, dropErr); err != nil {
			return err
		}
	}
	return nil
}

// isNeeded reports whether the server refused to drop something that something else needs.
func isNeeded(err error) bool {
	switch sqlState(err) {
	case "2BP01", // dependent objects still exist
		"42P16", // an inherited constraint
		"55006": // object in use
		return true
	}
	return false
}

// isGone reports whether the server refused to drop something that is not there.
func isGone(err error) bool {
	switch sqlState(err) {
	case "42P01", "42704", "42883", "3F000": // table, object, function, schema
		return true
	}
	return false
}

func sqlState(err error) string {
	var se *wire.ServerError
	if !errors.As(err, &se) {
		return ""
	}
	return se.Code
}
