package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// RestoreOptions says what to restore and where. Flags mean what they mean in pg_restore.
type RestoreOptions struct {
	// Target is the database to restore into. With Create it is a database to connect to first (usually "postgres");
	// the one that is created has the name that the archive says.
	Target *wire.Config
	// Jobs is the number of sessions that load rows and build indexes at once. 0 is [DefaultJobs].
	Jobs int

	Create                bool // -C: create the database, and drop it first with Clean
	Clean                 bool // -c: drop what is to be restored first
	IfExists              bool // DROP ... IF EXISTS; only with Clean
	SingleTransaction     bool // -1: all or nothing, on one session; implies ExitOnError
	ExitOnError           bool // -e: the first error ends the restore
	SchemaOnly            bool
	DataOnly              bool
	Append                bool // load into tables even if they hold rows
	Sections              []string
	Select                Selection
	NoOwner               bool
	NoACL                 bool
	NoComments            bool
	NoStatistics          bool
	NoSchema, NoData      bool // see [PlanOptions]
	Without               Without
	NoDataForFailedTables bool // a table that could not be created gets no rows, even if one is there under its name
	DisableTriggers       bool // with DataOnly: no trigger fires, but for those that are enabled ALWAYS, and no foreign key is checked; only for superusers
	Globals               bool // make roles and tablespaces, where the archive has them, before all else
	WithDependencies      bool // with Select: also what the selected objects depend on, and what belongs to that
	FKTables              bool // with WithDependencies: also the tables that foreign keys refer to
	ToPostgres            bool // translate the definitions for a single plain PostgreSQL, see [ToPostgres]

	Redirect map[string]string // restore into other schemas, see [PlanOptions]

	// Route is the way of the rows: RouteCoordinator, RouteSegments (each node's rows straight back into that node), or
	// RouteAuto, which "" is too: segments where that is proven to be right, else the coordinator.
	Route string
	// Discover finds the cluster that a database belongs to. Without it the target is taken for a plain PostgreSQL, and
	// rows go through the coordinator. It may be called several times, and must not prompt.
	Discover func(context.Context, *wire.Config) (*Cluster, error)
	// Servers replaces options of foreign servers that are to be created: by name, the options host, port, dbname and
	// others of libpq that do not say who connects. All options that say where the server is are replaced together.
	Servers map[string]map[string]string

	// Remote is the archive where it is a set whose volumes lie on other hosts. Workers there load what goes straight to the
	// node beside them; all other rows are fetched and go through the coordinator. nil reads the archive itself.
	Remote *Remote

	Log      *slog.Logger // nil: silent
	Progress Progress     // nil: silent
}

// Restore restores an archive into a database.
//
// It returns a result in every case but wrong options ([ErrUsage], of which *[RedirectError] is one) and an archive that can't be read. Unless
// ExitOnError is set, a statement that the server refuses is recorded in the result's Failures and the restore goes on,
// as pg_restore does. Its error says that the restore stopped before its end and in which state things are:
// *[NotEmptyError] before anything was changed, *[ForeignNotEmptyError] before rows were loaded, [ErrRoute], [Failure] with ExitOnError, errors of package wire for lost
// connections, ctx's error when it was cancelled.
//
// No session and no goroutine outlives the call. Memory is bounded by Jobs × (a decoder, at most 2 ×
// archive.MaxFrameRaw and 8 MiB for archives that pgark writes, + [loadBuffers] × [loadChunk] bytes), plus the catalog
// and the index.
func Restore(ctx context.Context, a *archive.Reader, o RestoreOptions) (*RestoreResult, error) {
	return restore(ctx, a, o, defaultRestoreLimits())
}

// RestoreSource is [Restore] of a dump that another program wrote. Such a dump tells no digests: what was sent is compared with
// the server's row counts only, and [RestoreResult.Sent] has the digests of what was sent. Its streams are read from
// their beginning, each by one goroutine, which holds [sourceBuffers] × [loadChunk] bytes.
func RestoreSource(ctx context.Context, src archive.Source, o RestoreOptions) (*RestoreResult, error) {
	src, err := WithFloats(src)
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	return restore(ctx, src, o, defaultRestoreLimits())
}

func restore(ctx context.Context, a content, o RestoreOptions, limits restoreLimits) (*RestoreResult, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	r, err := newRestoreRun(a, o, limits, nil)
	if err != nil {
		return nil, err
	}
	if err := r.plan.lookIntoRows(ctx, r.contentSource()); err != nil {
		return nil, err
	}
	for _, w := range r.result.Warnings {
		o.Log.Warn(w)
	}
	r.result.Warnings = append(r.result.Warnings, noteTexts(r.plan.Notes)...)
	if err := r.start(ctx); err != nil {
		return r.result, r.stopped(ctx, err)
	}
	return r.result, nil
}

// start chooses the route and restores.
func (r *restoreRun) start(ctx context.Context) error {
	if err := r.chooseRoute(ctx); err != nil {
		return err
	}
	if r.layout == LayoutEqual {
		switch {
		case r.result.Route == RouteSegments:
			return r.runEqual(ctx)
		case r.opts.Route != RouteCoordinator && r.cluster != nil && r.cluster.Layout == LayoutEqual:
			// Whoever lists nodes does not want all rows in one database, unless it is asked for.
			return fmt.Errorf("%w: %s: %s; with the route coordinator all rows would go into the one database", ErrRoute, RouteSegments, r.result.RouteReason)
		}
		r.warn(fmt.Sprintf("the rows of %d nodes come together in one database", len(r.moment.Nodes)))
	}
	return r.run(ctx)
}

func (o *RestoreOptions) check() error {
	if o.Target == nil {
		return fmt.Errorf("%w: a restore needs a target database", ErrUsage)
	}
	if o.Create && o.SingleTransaction {
		return fmt.Errorf("%w: a database can't be created (-C) inside a transaction (-1)", ErrUsage)
	}
	if o.DisableTriggers && o.Remote != nil {
		return fmt.Errorf("%w: triggers can't be disabled where workers load volumes on their hosts; bring the volumes together (pgark gather) and restore that", ErrUsage)
	}
	if o.Append && o.Clean {
		return fmt.Errorf("%w: either append to the tables or clean (-c) them", ErrUsage)
	}
	switch o.Route {
	case "", RouteAuto, RouteCoordinator:
	case RouteSegments:
		if o.SingleTransaction {
			return fmt.Errorf("%w: one transaction (-1) is one session: it can't go along with the route segments", ErrUsage)
		}
		if o.Discover == nil {
			return fmt.Errorf("%w: the route segments needs to know the target's nodes", ErrUsage)
		}
	default:
		return fmt.Errorf("%w: rows can't be restored by the route %q: there are auto, coordinator and segments", ErrUsage, o.Route)
	}
	if o.Jobs <= 0 {
		o.Jobs = DefaultJobs()
	}
	if o.SingleTransaction {
		o.Jobs, o.ExitOnError = 1, true
	}
	o.Log, o.Progress = orDiscard(o.Log), orSilent(o.Progress)
	return nil
}

func (o *RestoreOptions) planOptions() PlanOptions {
	return PlanOptions{
		Create: o.Create, Clean: o.Clean, IfExists: o.IfExists,
		SchemaOnly: o.SchemaOnly, DataOnly: o.DataOnly, Sections: o.Sections, Select: o.Select,
		NoOwner: o.NoOwner, NoACL: o.NoACL, NoComments: o.NoComments, NoStatistics: o.NoStatistics, NoSchema: o.NoSchema, NoData: o.NoData, Without: o.Without, DisableTriggers: o.DisableTriggers, ToPostgres: o.ToPostgres,
		WithDependencies: o.WithDependencies, FKTables: o.FKTables, Globals: o.Globals, Redirect: o.Redirect,
	}
}

// restoreRun is one restore under way.
type restoreRun struct {
	content content
	opts    RestoreOptions
	catalog *archive.Catalog
	moment  *archive.Moment
	layout  Layout  // of the archive's cluster
	ofNode  *uint32 // only streams of this node, by the archive's Node.ID; nil for all
	plan    *Plan
	steps   []*Step      // the plan's, with what only parallel sessions have to wait for added
	target  *wire.Config // of the database that is restored into
	cluster *Cluster     // that the target belongs to, nil if nobody knows
	limits  restoreLimits
	loads   map[int32]*entryLoad // by ID of the TABLE DATA or BLOBS entry
	lazy    bool                 // sessions commit asynchronously; flush makes it all durable at the end

	mu     sync.Mutex // guards what follows
	result *RestoreResult
	made   map[int32]bool     // by entry ID: definitions that were carried out (true) or failed (false)
	change bool               // something was changed on the server
	unsure bool               // the session was lost while its transaction was committed: all of it was changed, or nothing
	roots  map[tableName]bool // see findRoots
	// rootParts are the tables that hold the rows of a root some of whose partitions are external; see from.
	rootParts map[tableName][]string
}

// newRestoreRun plans a restore: of one node's streams only if ofNode is not nil. Its warnings are in the result, and were
// not logged: a restore into several nodes has a run for each.
func newRestoreRun(a content, o RestoreOptions, limits restoreLimits, ofNode *uint32) (*restoreRun, error) {
	catalog, err := a.Catalog()
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	moment, err := a.Moment()
	if err != nil {
		return nil, fmt.Errorf("read the moment: %w", err)
	}
	if catalog, err = redirectServers(catalog, o.Servers); err != nil {
		return nil, err
	}
	plan, err := NewPlan(catalog, o.planOptions())
	if err != nil {
		return nil, err
	}
	if len(o.Redirect) > 0 {
		catalog, moment = plan.Catalog, redirectMoment(moment, o.Redirect)
	}
	r := &restoreRun{
		content: a, opts: o, catalog: catalog, moment: moment, ofNode: ofNode, plan: plan, target: o.Target, limits: limits,
		result: &RestoreResult{Database: o.Target.Database(), Warnings: slices.Concat(plan.Warnings, losses(moment)), Notes: plan.Notes},
		made:   make(map[int32]bool),
	}
	r.steps = parallelSteps(plan)
	r.planLoads()
	return r, nil
}

// run carries out the restore: database, checks, drops, definitions in their order, rows and indexes over several
// sessions, rights, and what must come after them.
func (r *restoreRun) run(ctx context.Context) error {
	defer r.stopLoads()
	if err := r.restoreGlobals(ctx); err != nil {
		return err
	}
	if r.opts.Create {
		if err := r.createDatabase(ctx); err != nil {
			return err
		}
		if err := r.discover(ctx, r.target); err != nil { // its nodes have the new database, too
			return err
		}
	}
	pool, err := r.openPool(ctx)
	if err != nil {
		return err
	}
	defer pool.close(ctx)
	leader := pool.sessions[0]
	if err := r.leaveStatistics(ctx, leader); err != nil {
		return err
	}
	if err := r.lookBefore(ctx, leader); err != nil {
		return err
	}
	if r.opts.SingleTransaction {
		return r.runInOneTransaction(ctx, leader)
	}
	if err := r.dropAll(ctx, leader); err != nil {
		return err
	}
	early, late := splitMainPass(r.steps)
	if err := r.runSerial(ctx, pool, early); err != nil {
		return err
	}
	if err := r.lookBetween(ctx, pool); err != nil {
		return err
	}
	if err := r.loadRemote(ctx, pool.sessions[0]); err != nil {
		return err
	}
	if err := r.runPool(ctx, pool, late); err != nil {
		return err
	}
	if err := r.checkPlacement(ctx, pool); err != nil {
		return err
	}
	if err := r.runSerial(ctx, pool, stepsOfPass(r.steps, PassACL)); err != nil {
		return err
	}
	if err := r.runPool(ctx, pool, stepsOfPass(r.steps, PassPostACL)); err != nil {
		return err
	}
	return r.flush(ctx, pool.sessions[0])
}

// ErrReadOnly is returned for a target that takes no changes, in which every single object would fail.
var ErrReadOnly = errors.New("the target takes no changes")

// checkWritable asks whether the target takes changes.
func (s *loadSession) checkWritable(ctx context.Context) error {
	rows, err := s.conn.QueryStrings(ctx, "SELECT pg_catalog.current_setting('transaction_read_only'), pg_catalog.pg_is_in_recovery()")
	switch {
	case err != nil:
		return fmt.Errorf("look whether the target takes changes: %w", err)
	case len(rows) != 1 || rows[0][0] != "on":
		return nil
	case rows[0][1] == "t":
		return fmt.Errorf("%w: the server is a standby; restore into its primary", ErrReadOnly)
	default:
		return fmt.Errorf("%w: default_transaction_read_only is on, for the database, the role or the server; "+
			"to restore all the same, set PGOPTIONS='-c default_transaction_read_only=off'", ErrReadOnly)
	}
}

// lookBefore makes sure, before anything is changed, that the tables that are there may be loaded.
func (r *restoreRun) lookBefore(ctx context.Context, leader *loadSession) error {
	if err := leader.checkWritable(ctx); err != nil {
		return err
	}
	if err := r.checkExtensions(ctx, leader); err != nil {
		return err
	}
	if err := r.findRoots(ctx, leader); err != nil {
		return err
	}
	if err := r.checkEmpty(ctx, leader); err != nil {
		return err
	}
	if !r.plan.DataOnly {
		return nil // foreign tables that are there are about to be dropped, or in the way
	}
	return r.checkForeignTables(ctx, leader)
}

// lookBetween looks at what the definitions have made, before the first row is loaded, and decides where rows go.
func (r *restoreRun) lookBetween(ctx context.Context, pool *sessionPool) error {
	leader := pool.sessions[0]
	if err := r.findRoots(ctx, leader); err != nil {
		return err
	}
	if !r.plan.DataOnly {
		if err := r.checkForeignTables(ctx, leader); err != nil {
			return err
		}
	}
	if err := r.placeLoads(ctx, pool); err != nil {
		return err
	}
	if err := r.placeRemote(ctx, leader); err != nil {
		return err
	}
	return pool.openNodes(ctx, r)
}

// splitMainPass divides the steps of the main pass as pg_restore does: definitions that stand before any rows are
// carried out one after the other, the rest as soon as what it depends on is done.
func splitMainPass(steps []*Step) (early, late []*Step) {
	for _, s := range steps {
		switch {
		case s.Pass != PassMain:
		case s.Entry.Section == archive.SectionPreData,
			s.Entry.Section == archive.SectionNone && len(late) == 0:
			early = append(early, s)
		default:
			late = append(late, s)
		}
	}
	return early, late
}

func stepsOfPass(steps []*Step, pass Pass) []*Step {
	var of []*Step
	for _, s := range steps {
		if s.Pass == pass {
			of = append(of, s)
		}
	}
	return of
}

// runInOneTransaction restores everything in plan order on one session and commits only if all of it went well.
func (r *restoreRun) runInOneTransaction(ctx context.Context, s *loadSession) error {
	err := func() error {
		if _, err := s.conn.Exec(ctx, "BEGIN"); err != nil {
			return err
		}
		if err := r.dropAll(ctx, s); err != nil {
			return err
		}
		if err := r.fetch(ctx); err != nil {
			return err
		}
		if err := r.runInOrder(ctx, s, r.steps); err != nil {
			return err
		}
		if len(r.result.Mismatches) > 0 {
			m := r.result.Mismatches[0]
			return fmt.Errorf("table %s: %s: %w", qualifiedID(m.Schema, m.Table), m.What, ErrMismatch)
		}
		_, err := s.conn.Exec(ctx, "COMMIT")
		r.unsure = err != nil && s.conn.Err() != nil // no answer came
		return err
	}()
	if err != nil {
		s.rollback(ctx)
		r.result.Objects, r.result.Tables, r.result.Rows, r.result.RawBytes = 0, 0, 0, 0
		r.change = false
	}
	return err
}
