package fanout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// ClusterDumpOptions says what to dump of a server, and how.
type ClusterDumpOptions struct {
	// Server is a database to connect to first, usually postgres: it tells the databases, roles and tablespaces. The databases are reached
	// with the same settings.
	Server *wire.Config
	// Discover finds the cluster that a database belongs to.
	Discover func(context.Context, *wire.Config) (*Cluster, error)

	Databases        []string // psql patterns of names; all databases if there are none
	ExcludeDatabases []string // likewise: these are left out

	// Dump says how each database is dumped. Cluster, Filter, Volumes and Globals must be zero; RolePasswords is about the server's roles.
	Dump DumpOptions

	Started func(name string, number, of int) // called before each database; may be nil
	Done    func(d *DatabaseDump)             // called after each; may be nil
}

// DatabaseDump is what became of one database.
type DatabaseDump struct {
	Name   string
	Result *DumpResult
}

// ClusterDumpResult says what was written.
type ClusterDumpResult struct {
	Summary   archive.Summary // of the file, with the sums of all databases
	Databases []DatabaseDump  // in the order of the file
	Globals   int             // entries of roles, tablespaces and what belongs to them
	PgDump    string          // path and version of the pg_dump
	Warnings  []string        // sentences on what is not in the archive
}

// momentOfEach is the reason in the moment of what the databases share.
const momentOfEach = "each database has a moment of its own, which its archive tells; this one is that of roles and tablespaces"

// DumpCluster writes an archive of all databases of a server, with its roles and tablespaces, to w, which gets the same bytes front to back
// and is neither synced nor closed. After an error w holds a part of an archive that must be thrown away. The databases are those that
// pg_dumpall dumps, one after the other, each with [Dump]: so each shows one moment, and they do not show the same. If one fails, all fails,
// and the error names it.
//
// Roles and tablespaces are read before the first database and again after the last, so that none is missing that came meanwhile. One that
// went meanwhile is kept, since a database that was dumped before may need it.
func DumpCluster(ctx context.Context, w io.Writer, o ClusterDumpOptions) (*ClusterDumpResult, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	d := &clusterDumper{o: o, progress: orSilent(o.Dump.Progress), result: &ClusterDumpResult{}}
	first, err := d.look(ctx)
	if err != nil {
		return nil, err
	}
	d.w, err = archive.NewClusterWriter(w, archive.WriterOptions{Codec: o.Dump.Codec, Level: o.Dump.Level, Created: time.Now(), Tool: o.Dump.Tool})
	if err != nil {
		return nil, err
	}
	defer d.w.Abort() // no more than a release once it is closed
	for i, db := range first.databases {
		if err := d.database(ctx, i, len(first.databases), db); err != nil {
			return nil, fmt.Errorf("database %s: %w", visibleName(db.name), err)
		}
	}
	if err := d.finish(ctx, first); err != nil {
		return nil, err
	}
	d.result.Summary, err = d.w.Close()
	if err != nil {
		return nil, err
	}
	return d.result, nil
}

func (o *ClusterDumpOptions) check() error {
	d := &o.Dump
	switch {
	case o.Server == nil || o.Discover == nil:
		return fmt.Errorf("%w: a dump of all databases needs a server", ErrUsage)
	case !d.Filter.Empty() || len(d.Filter.ForeignServers) > 0:
		return fmt.Errorf("%w: with all databases there is no choice of schemas and tables", ErrUsage)
	case d.Volumes != nil:
		return fmt.Errorf("%w: all databases go into one file, not into volumes", ErrUsage)
	case d.Globals || d.Cluster != nil:
		return fmt.Errorf("%w: roles and tablespaces are part of a dump of all databases, once", ErrUsage)
	}
	return nil
}

// clusterDumper is one dump of a server.
type clusterDumper struct {
	o        ClusterDumpOptions
	progress Progress
	w        *archive.ClusterWriter
	dialect  Dialect
	tool     PgDump
	result   *ClusterDumpResult
}

// serverLook is what a server said when it was asked.
type serverLook struct {
	time      time.Time
	databases []serverDatabase
	globals   *archive.Catalog
}

// look asks the server for what there is, before anything is written.
func (d *clusterDumper) look(ctx context.Context) (*serverLook, error) {
	cluster, err := d.o.Discover(ctx, d.o.Server)
	if err != nil {
		return nil, err
	}
	d.dialect = cluster.Dialect
	search := startPgDumpSearch(ctx, d.o.Dump.PgDumpPath, askPgDump) // whose pg_dumpall gives the roles
	defer search.Stop()
	if d.tool, err = search.Find(ctx, d.dialect, d.o.Dump.Statistics); err != nil {
		return nil, err
	}
	d.result.PgDump = d.tool.Path + " " + d.tool.Version
	var look *serverLook
	err = d.session(ctx, func(conn *wire.Conn) error {
		var warnings, old []string
		databases, warnings, err := listDatabases(ctx, conn, d.o.Databases, d.o.ExcludeDatabases)
		if err != nil {
			return err
		}
		if old, err = warnOldDatabases(ctx, conn, &d.tool); err != nil {
			return err
		}
		d.result.Warnings = append(warnings, old...)
		look, err = d.lookAtGlobals(ctx, conn)
		if err == nil {
			look.databases = databases
		}
		return err
	})
	return look, err
}

// session gives a session in a transaction that sees one moment, and ends both.
func (d *clusterDumper) session(ctx context.Context, fn func(conn *wire.Conn) error) error {
	settings := wire.TextSettings("")
	settings.ApplicationName = "pgark dump"
	conn, err := wire.Connect(ctx, d.o.Server, settings)
	if err != nil {
		return err
	}
	defer closeSession(ctx, conn)
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return err
	}
	if err := fn(conn); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "COMMIT")
	return err
}

func (d *clusterDumper) lookAtGlobals(ctx context.Context, conn *wire.Conn) (*serverLook, error) {
	at, err := conn.QueryString(ctx, "SELECT pg_catalog.to_char(pg_catalog.now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")
	if err != nil {
		return nil, err
	}
	look := &serverLook{}
	if look.time, err = time.Parse("2006-01-02 15:04:05.000000", at); err != nil {
		return nil, fmt.Errorf("the server's time: %w", err)
	}
	look.globals, err = d.tool.Globals(ctx, conn, GlobalsOptions{RolePasswords: d.o.Dump.RolePasswords, Log: d.o.Dump.Log})
	if err != nil {
		return nil, err
	}
	look.globals.Product = d.dialect.Product
	if d.dialect.UtilityOption != "" {
		look.globals.ServerVersion = d.dialect.Version // the session says which PostgreSQL it is based on
	}
	return look, nil
}

// database dumps one database.
func (d *clusterDumper) database(ctx context.Context, i, of int, db serverDatabase) error {
	o, err := d.begin(ctx, i, of, db)
	if err != nil {
		return err
	}
	out, err := d.w.Begin(db.name, db.encoding)
	if err != nil {
		return err
	}
	res, err := Dump(ctx, out, o)
	if err != nil {
		return err
	}
	if err := d.w.End(res.Summary); err != nil {
		return err
	}
	d.done(db, res)
	return nil
}

// begin says how a database is dumped.
func (d *clusterDumper) begin(ctx context.Context, i, of int, db serverDatabase) (DumpOptions, error) {
	if d.o.Started != nil {
		d.o.Started(db.name, i+1, of)
	}
	d.progress.Note(fmt.Sprintf("database %s (%d of %d)", visibleName(db.name), i+1, of))
	cluster, err := d.o.Discover(ctx, d.o.Server.With(wire.Overrides{Database: db.name}))
	o := d.o.Dump
	o.Cluster, o.RolePasswords = cluster, false
	return o, err
}

func (d *clusterDumper) done(db serverDatabase, res *DumpResult) {
	done := DatabaseDump{Name: db.name, Result: res}
	d.result.Databases = append(d.result.Databases, done)
	if d.o.Done != nil {
		d.o.Done(&done)
	}
}

// finish reads roles and tablespaces once more, and writes what the databases share. A server that does not answer any more after all has
// been dumped has told enough.
func (d *clusterDumper) finish(ctx context.Context, first *serverLook) error {
	last, err := d.lookAgain(ctx)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		last = first
		d.result.Warnings = append(d.result.Warnings, "roles and tablespaces are those from before the first database, since they could not be read again: "+err.Error())
	default:
		d.result.Warnings = append(d.result.Warnings, keepVanished(last.globals, first.globals)...)
	}
	d.result.Globals = len(GlobalEntries(last.globals))
	return errors.Join(d.w.SetCatalog(last.globals), d.w.SetMoment(&archive.Moment{
		Time: last.time, Route: RouteCoordinator, Promise: PromiseNone, Reason: momentOfEach,
		Nodes: []archive.Node{{Name: "coordinator", Host: d.o.Server.Host(), Port: d.o.Server.Port(), Content: -1}},
	}))
}

// keepVanished adds roles and tablespaces to a later catalog that only an earlier one has, and says which.
func keepVanished(cat, earlier *archive.Catalog) []string {
	there := make(map[[2]string]bool)
	for i := range cat.Entries {
		there[[2]string{cat.Entries[i].Kind, cat.Entries[i].Name}] = true
	}
	var warnings []string
	next := nextID(cat)
	var gone []archive.Entry
	for i := range earlier.Entries {
		e := earlier.Entries[i]
		if e.Kind != kindRole && e.Kind != kindTablespace || there[[2]string{e.Kind, e.Name}] {
			continue
		}
		e.ID, e.Deps = next, nil
		next++
		gone = append(gone, e)
		warnings = append(warnings, describeGlobal(&e)+" was dropped during the dump: the archive has it, since a database in it may need it")
	}
	roles := slices.DeleteFunc(slices.Clone(gone), func(e archive.Entry) bool { return e.Kind != kindRole })
	spaces := slices.DeleteFunc(gone, func(e archive.Entry) bool { return e.Kind != kindTablespace })
	cat.Entries = slices.Concat(roles, cat.Entries, spaces)
	return warnings
}
