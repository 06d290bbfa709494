package fanout

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgark/pgark/wire"
)

// ErrNoDatabaseEntry is returned when a database is to be created and the archive does not say how.
var ErrNoDatabaseEntry = errors.New("the archive has no entry for its database: leave out -C and name an existing one")

// createDatabase drops the database if asked to, creates it and makes it the target. Unlike pg_restore it does not go on
// if the database is there already: it would pour the archive into a database that nobody named. One that can't be given to its owner is a
// failure like any other.
func (r *restoreRun) createDatabase(ctx context.Context) error {
	step := r.databaseStep()
	if step == nil {
		return ErrNoDatabaseEntry
	}
	maintenance, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer maintenance.close(ctx)
	if r.opts.Clean {
		if err := r.dropAll(ctx, maintenance); err != nil {
			return err
		}
	}
	made := false
	for _, sql := range r.plan.Definition(&maintenance.state, step) {
		_, err := maintenance.conn.Exec(ctx, databaseFor(maintenance.conn.ServerVersionNum(), sql))
		switch {
		case err != nil && !made:
			return fmt.Errorf("create database %q: %w", step.Entry.Name, err)
		case err != nil:
			if err := r.fail(ctx, maintenance, step.Entry, maintenance.ownerless(step.Entry, sql, err)); err != nil {
				return err
			}
		case strings.HasPrefix(sql, "CREATE DATABASE"):
			made, r.change = true, true
			r.done(step.Entry.ID)
			r.target = r.target.With(wire.Overrides{Database: step.Entry.Name})
			r.result.Database = step.Entry.Name
		}
	}
	return nil
}

// databaseStep is the step that creates the database, nil if there is none.
func (r *restoreRun) databaseStep() (step *Step) {
	for _, s := range r.steps {
		if s.Entry.Kind == kindDatabase {
			step = s
		}
	}
	return step
}

// databaseName is the name of the database that is created, "" if there is none.
func (r *restoreRun) databaseName() string {
	if step := r.databaseStep(); step != nil {
		return step.Entry.Name
	}
	return ""
}

// databaseFor is a CREATE DATABASE for a server of some version. Before 15 there is no provider of locales but libc, nor a word for it, which
// pg_dump 15 and later write of the databases of older servers, too.
func databaseFor(version int, sql string) string {
	if version >= 150000 {
		return sql
	}
	s := lexStatements(sql, true)
	if len(s) != 1 || !s[0].is(0, "CREATE", "DATABASE") {
		return sql
	}
	at := s[0].find("LOCALE_PROVIDER", "=", "LIBC")
	if at < 0 {
		return sql
	}
	s[0].cut(at, at+2)
	return s[0].result()
}

// reconnect replaces the leader, so that settings of the database that were just restored hold for it.
func (r *restoreRun) reconnect(ctx context.Context, pool *sessionPool) error {
	pool.sessions[0].close(ctx)
	s, err := r.connect(ctx)
	if err != nil {
		return err
	}
	pool.sessions[0] = s
	return nil
}

// madeOf reports whether the entry of a kind that a catalog has once was carried out.
func (r *restoreRun) madeOf(kind string) bool {
	for i := range r.catalog.Entries {
		if e := &r.catalog.Entries[i]; e.Kind == kind && r.isMade(e.ID) {
			return true
		}
	}
	return false
}
