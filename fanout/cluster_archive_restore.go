package fanout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/wire"
)

// ClusterRestoreOptions says what to restore of an archive of several databases, and where.
type ClusterRestoreOptions struct {
	// Server is a database to connect to first, usually postgres: from it roles, tablespaces and databases are made.
	Server *wire.Config

	Databases []string // names of those that are wanted; nil for all
	NoGlobals bool     // leave roles and tablespaces out
	For       *Plan    // leave those out that this plan, if it has dependencies, does not need; nil: none
	Force     bool     // also alter roles and tablespaces that are there: see [GlobalsRestoreOptions]

	// Restore says how each database is restored. Target, Create, IfExists and Globals are set for each. With Clean a database is dropped
	// first, if it is there, and made anew; of postgres and template1, which every server has, only the objects are.
	Restore RestoreOptions

	OpenSource OpenSource // nil for an archive of pgark

	Started func(name string, number, of int) // called before each database; may be nil
	Done    func(d *DatabaseRestore)          // called after each; may be nil
}

// DatabaseRestore is what became of one database.
type DatabaseRestore struct {
	Name   string
	Result *RestoreResult // may be nil
	Err    error          // why the restore stopped before its end, as [Restore] has it
}

// OK reports whether the database is there, all of it.
func (d *DatabaseRestore) OK() bool { return d.Err == nil && d.Result.OK() }

// ClusterRestoreResult is what a restore of several databases did, or had done when it stopped.
type ClusterRestoreResult struct {
	Globals   *GlobalsResult // nil if they were left out
	Databases []DatabaseRestore
}

// OK reports whether all that was asked for is there.
func (r *ClusterRestoreResult) OK() bool {
	return (r.Globals == nil || r.Globals.OK()) && !slices.ContainsFunc(r.Databases, func(d DatabaseRestore) bool { return !d.OK() })
}

// RestoreCluster makes roles and tablespaces that are not there, then each database, one after the other. postgres and template1, which
// every server has, are filled, the others are made: one that is there already is an error unless Clean is set.
//
// A database that can't be restored is recorded in the result, and the others are, unless ExitOnError is set. The error of the call says
// that it stopped before its end: options ([ErrUsage], [archive.ErrNoDatabase]), roles and tablespaces that could not be looked at, ctx's
// error, or that of a database with ExitOnError. It returns a result in every case but wrong options.
func RestoreCluster(ctx context.Context, c Databases, o ClusterRestoreOptions) (*ClusterRestoreResult, error) {
	names, err := o.check(c)
	if err != nil {
		return nil, err
	}
	r := &clusterRestore{c: c, o: o, result: &ClusterRestoreResult{}}
	if err := r.globals(ctx); err != nil {
		return r.result, err
	}
	for i, name := range names {
		if o.Started != nil {
			o.Started(name, i+1, len(names))
		}
		d := r.database(ctx, name)
		r.result.Databases = append(r.result.Databases, d)
		if o.Done != nil {
			o.Done(&d)
		}
		if ctx.Err() != nil || o.Restore.ExitOnError && !d.OK() {
			return r.result, r.stoppedAt(&d, len(names))
		}
	}
	return r.result, r.later(ctx)
}

// stoppedAt is the error of a restore of so many databases that ends with one.
func (r *clusterRestore) stoppedAt(d *DatabaseRestore, of int) error {
	err := d.Err
	if err == nil {
		err = errors.New("not all of it could be restored")
	}
	whole := 0
	for i := range r.result.Databases {
		if r.result.Databases[i].OK() {
			whole++
		}
	}
	return fmt.Errorf("%d of %d databases are restored; database %s: %w", whole, of, visibleName(d.Name), err)
}

// check gives the names of the databases that are wanted, in the order of the archive.
func (o *ClusterRestoreOptions) check(c Databases) ([]string, error) {
	s := &o.Restore
	switch {
	case o.Server == nil:
		return nil, fmt.Errorf("%w: a restore needs a server", ErrUsage)
	case s.SingleTransaction:
		return nil, fmt.Errorf("%w: several databases can't be restored in one transaction (-1)", ErrUsage)
	case s.Target != nil || s.Create || s.Globals:
		return nil, fmt.Errorf("%w: where databases go, and whether they are created, follows from the archive", ErrUsage)
	case s.Remote != nil:
		return nil, fmt.Errorf("%w: an archive of several databases is no set of volumes", ErrUsage)
	}
	return chooseDatabases(c, o.Databases)
}

// chooseDatabases gives the names of some databases, or all, in the order of the archive.
func chooseDatabases(c Databases, wanted []string) ([]string, error) {
	for _, name := range wanted {
		if _, err := c.Find(name); err != nil {
			return nil, err
		}
	}
	var names []string
	for _, d := range c.Databases() {
		if wanted == nil || slices.Contains(wanted, d.Name) {
			names = append(names, d.Name)
		}
	}
	return names, nil
}

// ErrDatabaseName is the error of a database that has a name that its own archive can't tell.
var ErrDatabaseName = errors.New("its name is not in its own encoding")

// nameable says whether a database can be made under its name. pg_dump writes the name in the encoding of that database, whatever encoding
// its bytes are in: where these differ, another name would come out.
func (r *clusterRestore) nameable(name string) error {
	d, err := r.c.Find(name)
	if err != nil {
		return err
	}
	cat, err := r.c.Catalog()
	if err != nil {
		return fmt.Errorf("read roles and tablespaces: %w", err)
	}
	if d.Encoding == cat.Encoding || d.Encoding == "SQL_ASCII" || cat.Encoding == "" || cat.Encoding == "SQL_ASCII" ||
		!strings.ContainsFunc(name, func(c rune) bool { return c >= 0x80 }) {
		return nil
	}
	return fmt.Errorf("%w (%s), so it can't be created by it; create it, and restore it by itself into that", ErrDatabaseName, d.Encoding)
}

// clusterRestore is one restore under way.
type clusterRestore struct {
	c      Databases
	o      ClusterRestoreOptions
	result *ClusterRestoreResult
}

// creates tells whether databases are made, and roles before them.
func (o *ClusterRestoreOptions) creates() bool {
	return !o.Restore.DataOnly && !o.Restore.NoSchema && (len(o.Restore.Sections) == 0 || slices.Contains(o.Restore.Sections, "pre-data"))
}

func (r *clusterRestore) globalsOptions() GlobalsRestoreOptions {
	return GlobalsRestoreOptions{
		For: r.o.For, Force: r.o.Force, ToPostgres: r.o.Restore.ToPostgres, Without: r.o.Restore.Without, NoACL: r.o.Restore.NoACL, NoComments: r.o.Restore.NoComments, Log: r.o.Restore.Log,
	}
}

func (r *clusterRestore) globals(ctx context.Context) error {
	if r.o.NoGlobals || !r.o.creates() {
		return nil
	}
	cat, err := r.c.Catalog()
	if err != nil {
		return fmt.Errorf("read roles and tablespaces: %w", err)
	}
	err = r.session(ctx, func(conn *wire.Conn) (err error) {
		r.result.Globals, err = RestoreGlobals(ctx, conn, cat, r.globalsOptions())
		return err
	})
	if err != nil {
		return fmt.Errorf("make roles and tablespaces: %w", err)
	}
	if r.o.Restore.ExitOnError && !r.result.Globals.OK() {
		return r.result.Globals.Failures[0]
	}
	return nil
}

// later makes the settings that waited for databases.
func (r *clusterRestore) later(ctx context.Context) error {
	g := r.result.Globals
	if g == nil || len(g.Later) == 0 {
		return nil
	}
	cat, err := r.c.Catalog()
	if err != nil {
		return fmt.Errorf("read roles and tablespaces: %w", err)
	}
	return r.session(ctx, func(conn *wire.Conn) error {
		more, err := RestoreLaterGlobals(ctx, conn, cat, g.Later, r.globalsOptions())
		if err != nil {
			return err
		}
		g.Later = more.Later
		g.Failures = append(g.Failures, more.Failures...)
		g.Warnings = append(g.Warnings, more.Warnings...)
		return nil
	})
}

func (r *clusterRestore) session(ctx context.Context, fn func(conn *wire.Conn) error) error {
	settings := wire.TextSettings("")
	settings.ApplicationName = "pgark restore"
	conn, err := wire.Connect(ctx, r.o.Server, settings)
	if err != nil {
		return fmt.Errorf("connect to the target: %w", err)
	}
	defer closeSession(ctx, conn)
	return fn(conn)
}

// database restores one database.
func (r *clusterRestore) database(ctx context.Context, name string) DatabaseRestore {
	d := DatabaseRestore{Name: name}
	db, err := openDatabase(r.c, r.o.OpenSource, name)
	if err != nil {
		d.Err = err
		return d
	}
	o := r.o.Restore
	o.Target = r.o.Server
	if isMaintenance(name) || !r.o.creates() {
		o.Target = r.o.Server.With(wire.Overrides{Database: name})
	} else if o.Create, d.Err = true, r.nameable(name); d.Err != nil {
		return d
	}
	o.IfExists = o.Clean
	d.Result, d.Err = db.restore(ctx, o)
	return d
}
