package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/verify"
	"github.com/pgark/pgark/wire"
)

// restore loads the archive into the database.
func (o *restoreOptions) restore(ctx context.Context, path string) error {
	begun := time.Now()
	if src, err := o.sources.open(ctx, path, nil); src != nil || err != nil {
		return o.restoreSource(ctx, src, err, begun)
	}
	a, cluster, err := o.openBoth(ctx, path)
	if err != nil {
		return err
	}
	defer a.Close()
	if err := o.chooseTranslation(a.Reader, cluster); err != nil {
		return err
	}
	if err := o.aim(a.Reader); err != nil {
		return err
	}
	if o.globals && o.volumes.database != "" && archive.IsCluster(path) {
		plan, err := o.plan(a.Reader)
		if err != nil { // before anything is changed
			return refusal(a.Reader, err)
		}
		if err := o.makeGlobals(ctx, path, plan, cluster); err != nil {
			return err
		}
		o.globals = false // its own archive has none
	}
	target := cluster.Coordinator.Config
	m := o.app.startMeter("restored")
	cat, err := a.Catalog()
	if err != nil {
		return err
	}
	options := o.engine(cluster, m, cat)
	options.Remote = a.remote
	r, err := fanout.Restore(ctx, a.Reader, options)
	m.end()
	if err != nil {
		return refusal(a.Reader, err)
	}
	var compared *verify.Report
	if o.verify {
		if compared, err = o.readBack(ctx, a.Reader, target.With(wire.Overrides{Database: r.Database}), r); err != nil {
			return fmt.Errorf("restored, but not verified: %w", err)
		}
	}
	return o.conclude(a.Reader, r, compared, begun)
}

func (o *restoreOptions) engine(cluster *topology.Cluster, m *meter, cat *archive.Catalog) fanout.RestoreOptions {
	return fanout.RestoreOptions{
		Target: cluster.Coordinator.Config, Jobs: jobsOrDefault(o.jobs), Create: o.create, Clean: o.clean, IfExists: o.ifExists,
		SingleTransaction: o.single, ExitOnError: o.exitOnError, SchemaOnly: o.schemaOnly, DataOnly: o.dataOnly,
		Append: o.appendRows, Sections: o.sections, Select: o.sel,
		NoOwner: o.noOwner, NoACL: o.noACL, NoComments: o.noComments, NoStatistics: o.statistics.none, NoSchema: o.statistics.noSchema, NoData: o.statistics.noData,
		Without: o.without, DisableTriggers: o.disableTriggers, NoDataForFailedTables: o.noDataFailed, ToPostgres: o.translate, Log: o.app.loggerIn(cat), Progress: m,
		WithDependencies: o.withDeps, FKTables: o.fkTables, Globals: o.globals, Redirect: o.to,
		Route: o.route, Servers: o.redirect, Discover: o.rediscover(cluster),
	}
}

// conclude tells what was restored.
func (o *restoreOptions) conclude(a contents, r *fanout.RestoreResult, compared *verify.Report, begun time.Time) error {
	cat, err := a.Catalog()
	if err != nil {
		return err
	}
	decodeRestore(r, newTextDecoder(cat.Encoding))
	decodeFindings(compared, newTextDecoder(cat.Encoding))
	if err := o.summary(r, compared, time.Since(begun)); err != nil {
		return err
	}
	err = restoreVerdict(r, compared)
	if n := len(o.globalsFailed); err == nil && n > 0 {
		err = &foundError{message: plural(uint64(n), "object") + " of roles and tablespaces could not be restored: see above"}
	}
	return err
}

// openBoth opens the archive and finds the cluster that it goes into.
func (o *restoreOptions) openBoth(ctx context.Context, path string) (*openedSet, *topology.Cluster, error) {
	var cluster *topology.Cluster
	var err error
	if o.volumes.start == startDB { // which reads the volumes
		if cluster, err = o.discover(ctx); err != nil {
			return nil, nil, err
		}
	}
	a, err := o.volumes.open(ctx, path, cluster, jobsOrDefault(o.jobs), false, nil)
	if errors.Is(err, fanout.ErrWorker) || errors.Is(err, archive.ErrVolume) {
		err = &stateError{err: err, state: "nothing was restored"}
	}
	if err == nil && cluster == nil {
		if cluster, err = o.discover(ctx); err != nil {
			err = closeAfter(a, err)
		}
	}
	return a, cluster, err
}

// discover finds the cluster that is restored into.
func (o *restoreOptions) discover(ctx context.Context) (*topology.Cluster, error) {
	return o.leniently(func() (*topology.Cluster, error) { return o.conn.discover(ctx, o.app) })
}

// rediscover finds the cluster of a database while the restore goes on. Foreign servers come into being with it: until
// then no node that --node names is there.
func (o *restoreOptions) rediscover(known *topology.Cluster) func(context.Context, *wire.Config) (*topology.Cluster, error) {
	return func(ctx context.Context, cfg *wire.Config) (*topology.Cluster, error) {
		if found := known; found != nil && cfg == found.Coordinator.Config {
			known = nil // the next time it may be another one
			return found, nil
		}
		return o.leniently(func() (*topology.Cluster, error) {
			return topology.Discover(ctx, cfg, o.conn.nodes.options(o.app))
		})
	}
}

// leniently discovers once more without --node if what it names is not there and may come into being with the restore.
func (o *restoreOptions) leniently(discover func() (*topology.Cluster, error)) (*topology.Cluster, error) {
	cluster, err := discover()
	nodes := &o.conn.nodes
	if len(nodes.overrides) == 0 || !errors.Is(err, fanout.ErrUsage) {
		return cluster, err
	}
	named := nodes.overrides
	nodes.overrides = nil
	defer func() { nodes.overrides = named }()
	if cluster, again := discover(); again == nil && cluster.Layout == fanout.LayoutSingle {
		return cluster, nil
	}
	return nil, err
}

// readBack compares every table that was restored with the archive. A table that could not be loaded has been reported.
func (o *restoreOptions) readBack(ctx context.Context, a verify.Content, cfg *wire.Config, r *fanout.RestoreResult) (*verify.Report, error) {
	plan, err := o.plan(a)
	if err != nil {
		return nil, err
	}
	entries := make(map[int32]bool)
	onLogin := false
	for _, s := range plan.Steps {
		onLogin = onLogin || s.Entry.Kind == "EVENT TRIGGER" && strings.Contains(s.Entry.DDL, " ON login\n")
		if s.Data && (s.Rows() || s.Blobs()) {
			entries[s.Entry.ID] = true
		}
	}
	for i := range r.Failures {
		delete(entries, r.Failures[i].Entry.ID)
	}
	m := o.app.startMeter("verified")
	defer m.end()
	cluster, err := o.discoverQuietly(ctx, cfg, onLogin)
	if err != nil {
		return nil, err
	}
	if len(o.to) > 0 {
		a = redirectedContent{a, o.to}
	}
	return verify.Database(ctx, a, cluster, verify.Options{
		Jobs: jobsOrDefault(o.jobs), Entries: entries, Progress: m, Log: o.app.logger(),
	})
}

// discoverQuietly looks at what was restored without its event triggers on login, which by now would run for each session that reads it back:
// those that write down who comes change a table that is compared. Only a superuser may turn them off.
func (o *restoreOptions) discoverQuietly(ctx context.Context, cfg *wire.Config, onLogin bool) (*topology.Cluster, error) {
	if onLogin {
		quiet := cfg.With(wire.Overrides{Options: "-c event_triggers=off"})
		if cluster, err := topology.Discover(ctx, quiet, o.conn.nodes.options(o.app)); err == nil {
			return cluster, nil
		}
	}
	return topology.Discover(ctx, cfg, o.conn.nodes.options(o.app))
}

func jobsOrDefault(n int) int {
	if n > 0 {
		return n
	}
	return fanout.DefaultJobs()
}
