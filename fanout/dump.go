package fanout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/wire"
)

// DumpOptions says what to dump and how. The zero value of every field but Cluster is a good default.
type DumpOptions struct {
	Cluster *Cluster
	Jobs    int // sessions that read rows on each node; 0 is [DefaultJobs] divided by the number of nodes, but one at least

	Route          string        // "auto", "coordinator", "segments", "cursors"; "" is auto
	NoBarrier      bool          // take the nodes' snapshots without a write barrier: promises nothing
	BarrierTimeout time.Duration // how long to try to get the barrier; 0 is [DefaultBarrierTimeout]

	// Snapshot is one that an open transaction has exported, to be dumped in place of a new one: of one server, which is not Greenplum. A table that
	// was truncated, rewritten or altered since it was taken is an error. "" takes a new one.
	Snapshot string

	Codec archive.Codec // 0 is CodecNone
	Level int           // 0 is the codec's default

	Filter     Filter
	SchemaOnly bool
	DataOnly   bool
	Sections   []string // "pre-data", "data", "post-data"; none means all
	// Statistics are the planner's, which a pg_dump of version 18 or later gives, for whatever server. With them, SchemaOnly leaves out no more
	// than rows, and DataOnly no more than definitions; both leave nothing else.
	Statistics bool
	NoOwner    bool
	NoACL      bool
	NoComments bool
	Without    Without

	NoTOASTCompression bool // columns get the target's default compression method

	Globals       bool // also the server's roles and tablespaces, as they are when the catalog is read
	RolePasswords bool // with Globals: also the hashes of passwords, for which a superuser must ask

	Volumes *VolumeOptions // rows go to volumes beside the nodes; nil for an archive of one file

	LockWait   time.Duration // how long to wait for the locks, 0 for as long as it takes
	PgDumpPath string        // of the pg_dump to use; "" looks for one
	PgDump     *PgDumpSearch // one that is under way, in place of PgDumpPath; may be nil

	// Session is one with the coordinator that the dump may go on with, and closes; nil opens one. A new one costs the server a process,
	// which has to read the catalog anew: 30 ms and more.
	Session *wire.Conn

	Tool string // recorded in the archive: "pgark 0.1.0"

	Log      *slog.Logger // nil is silent
	Progress Progress     // nil is silent
}

// DumpResult says what a dump wrote.
type DumpResult struct {
	Summary     archive.Summary
	Tables      int
	Entries     int
	Route       string
	RouteReason string
	Promise     string
	Snapshot    string
	Moment      time.Time
	StockNotes  []string         // what a format of pg_dump can't keep
	Volumes     []archive.Volume // of a set, the lead volume not among them
	PgDump      string           // path and version of the pg_dump that gave the catalog
}

// DefaultJobs is the number of sessions used where none is asked for: one per core of this machine, 8 at most.
func DefaultJobs() int { return min(runtime.NumCPU(), 8) }

// wantsData tells whether rows belong to the dump.
func (o *DumpOptions) wantsData() bool {
	return !o.SchemaOnly && (len(o.Sections) == 0 || slices.Contains(o.Sections, "data"))
}

// Dump writes an archive of a database to w, which gets the same bytes front to back and is neither synced nor closed.
// After an error w holds a part of an archive that must be thrown away. It opens Jobs sessions that read rows and one
// more, the leader's, that holds the moment and gives the catalog; all are closed when it returns.
//
// Errors wrap those of package wire, [ErrPgDumpMissing] and [ErrPgDumpTooOld] of the search for pg_dump, ctx's error,
// and what w returned.
func Dump(ctx context.Context, w io.Writer, o DumpOptions) (*DumpResult, error) {
	if o.Session != nil {
		defer closeSession(ctx, o.Session)
	}
	d, routes, passed, err := newDumper(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer d.close()
	options := archive.WriterOptions{
		Codec: o.Codec, Level: o.Level, Created: d.created, Database: o.Cluster.Coordinator.Config.Database(), Tool: o.Tool,
	}
	if o.Volumes != nil {
		if routes, err = d.prepareVolumes(routes); err != nil {
			return nil, err
		}
		defer o.Volumes.Starter.Close(ctx)
		// Before anybody has to wait for a lock of this dump.
		if err := o.Volumes.Starter.Check(ctx, o.Cluster.places()); err != nil {
			return nil, err
		}
		options.Member.Set = d.set
	}
	aw, err := archive.NewWriter(w, options)
	if err != nil {
		return nil, err
	}
	if err := d.dump(ctx, aw, routes, passed); err != nil {
		aw.Abort()
		return nil, d.endWorkers(ctx, err)
	}
	d.result.Summary, err = aw.Close()
	if err == nil && o.Volumes != nil {
		err = d.commitVolumes(ctx)
	}
	if err != nil {
		return nil, d.endWorkers(ctx, err)
	}
	return d.result, nil
}

// newDumper prepares a dump, and says which routes there are to try.
func newDumper(ctx context.Context, o *DumpOptions) (d *dumper, routes []Route, passed []string, err error) {
	o.setDefaults()
	if err := o.givenRoute(); err != nil {
		return nil, nil, nil, err
	}
	if !o.wantsData() {
		o.Cluster, o.Route = o.Cluster.withoutRows(), RouteCoordinator
	}
	d = &dumper{
		o: *o, log: orDiscard(o.Log), progress: orSilent(o.Progress), result: &DumpResult{}, created: time.Now(), unsure: make(map[uint32]bool),
		scope: scope{filter: o.Filter, dialect: o.Cluster.Dialect, foreign: o.Cluster.Layout == LayoutForeign},
	}
	if routes, passed, err = o.Cluster.candidates(o.Route); err != nil {
		return nil, nil, nil, err
	}
	if err := d.findPgDump(ctx); err != nil {
		d.close()
		return nil, nil, nil, err
	}
	return d, routes, passed, nil
}

// findPgDump starts the search if that is not under way. Whoever has the dumper ends it, with close.
func (d *dumper) findPgDump(ctx context.Context) (err error) {
	if d.search = d.o.PgDump; d.search == nil {
		d.search = StartPgDumpSearch(ctx, d.o.PgDumpPath)
	}
	d.tool, err = d.search.Find(ctx, d.o.Cluster.Dialect, d.o.Statistics)
	return err
}

// close ends what is not of an attempt.
func (d *dumper) close() {
	if d.search != nil && d.search != d.o.PgDump {
		d.search.Stop()
	}
}

func (o *DumpOptions) setDefaults() {
	if o.Jobs <= 0 {
		o.Jobs = max(1, DefaultJobs()/max(1, len(o.Cluster.Nodes)))
	}
	if o.BarrierTimeout <= 0 {
		o.BarrierTimeout = DefaultBarrierTimeout
	}
}

// dump makes attempts until one succeeds: on the same route while the tables change, on the next one when a route
// turns out not to work. An attempt that fails so has written nothing. passed says which routes do not, and why.
func (d *dumper) dump(ctx context.Context, aw *archive.Writer, routes []Route, passed []string) error {
	for attempt := 1; ; attempt++ {
		// The reason of the one that works ends the list of those that don't.
		d.result.RouteReason = strings.Join(append(slices.Clone(passed), routes[0].Reason), "; ")
		err := d.attempt(ctx, aw, routes[0])
		next := nextRoutes(routes, err)
		switch {
		case err == nil:
			return nil
		case ctx.Err() == nil && len(next) > 0:
			passed = append(passed, fmt.Sprintf("not %s: %v", routes[0].Name, err))
			routes = next
			d.progress.Note(fmt.Sprintf("%s: taking route %s", passed[len(passed)-1], routes[0].Name))
		case !errors.Is(err, errSlipped):
			return err
		case d.o.Snapshot != "" && !wire.IsUndefined(err): // a table that was dropped before it was locked may be none of the snapshot's
			return fmt.Errorf("%w: %w", errChanged, err)
		case attempt >= momentAttempts:
			return fmt.Errorf("definitions changed during each of %d attempts; dump again when they rest: %w", attempt, err)
		default:
			d.progress.Note(fmt.Sprintf("starting over (%d of %d): %v", attempt, momentAttempts-1, err))
			if err := sleep(ctx, time.Duration(attempt)*(20*time.Millisecond+rand.N(50*time.Millisecond))); err != nil {
				return err
			}
		}
	}
}

// nextRoutes are those that are left to try after the first of them has failed: none if it had begun to read. A barrier
// that could not be had would not be had for another route either.
func nextRoutes(routes []Route, err error) []Route {
	var broken *routeError
	switch {
	case errors.Is(err, ErrBarrier):
		return slices.DeleteFunc(slices.Clone(routes[1:]), func(r Route) bool { return r.Promise == PromiseBarrier })
	case errors.As(err, &broken):
		return routes[1:]
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// dumper is one dump. What one attempt at it needs is in [attempt].
type dumper struct {
	o         DumpOptions
	log       *slog.Logger
	progress  Progress
	search    *PgDumpSearch
	tool      PgDump
	scope     scope
	result    *DumpResult
	created   time.Time
	set       archive.SetID                   // of a dump to several volumes
	workers   Workers                         // that have written them, or nil
	failed    string                          // what pg_dump said that has failed, so that an attempt was made again
	undefined string                          // what was said of a table that was not there under its name, likewise
	unsure    map[uint32]bool                 // tables that pg_dump, against expectation, has no rows of
	stock     stockWrite                      // writes a dump in a format of pg_dump; nil for an archive of pgark
	spoolDir  string                          // likewise: where sessions may put what they read ahead; "" for nowhere
	encoder   func() (*pgdump.Encoder, error) // likewise: for rows that are encoded where they are read, see [orderedPipe]
}

// session opens a session on a node with the settings that fix the text of rows, in the encoding of the
// database.
func (d *dumper) session(ctx context.Context, node *Node, lockTimeout string) (*wire.Conn, error) {
	return wire.Connect(ctx, node.Config, d.settings(lockTimeout))
}

// leaderSession is the one that takes the moment: the session that the dump was given, for its first attempt.
func (d *dumper) leaderSession(ctx context.Context) (*wire.Conn, error) {
	if conn := d.o.Session; conn != nil {
		d.o.Session = nil
		if err := conn.Apply(ctx, d.settings(d.leaderLockTimeout())); err == nil {
			return conn, nil
		}
		closeSession(ctx, conn)
	}
	return d.session(ctx, &d.o.Cluster.Coordinator, d.leaderLockTimeout())
}

func (d *dumper) settings(lockTimeout string) wire.Settings {
	settings := wire.TextSettings("")
	settings.ApplicationName = "pgark dump"
	for i, s := range settings.Optional {
		if s[0] == "lock_timeout" {
			settings.Optional[i][1] = lockTimeout
		}
	}
	settings.Optional = append(settings.Optional,
		// A ctid range must be read as one, and a COPY must not spread over cores that belong to others.
		[2]string{"enable_tidscan", "on"},
		[2]string{"max_parallel_workers_per_gather", "0"},
	)
	return settings
}

// leaderLockTimeout is lock_timeout for the session that takes the moment.
func (d *dumper) leaderLockTimeout() string { return fmt.Sprintf("%dms", d.o.LockWait.Milliseconds()) }
