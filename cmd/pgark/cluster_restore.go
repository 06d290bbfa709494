package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/verify"
	"github.com/pgark/pgark/wire"
)

// runCluster restores all databases of an archive or a script, or shows what would be done.
func (o *restoreOptions) runCluster(ctx context.Context, path string) error {
	if err := o.validateCluster(path); err != nil {
		return err
	}
	c, err := openSeveral(ctx, path)
	if err != nil {
		return err
	}
	defer c.Close()
	switch {
	case o.dryRun:
		return o.printPlans(c)
	case o.file != "":
		return o.scriptCluster(ctx, c)
	}
	return o.restoreCluster(ctx, c)
}

// validateCluster refuses what is for one database.
func (o *restoreOptions) validateCluster(path string) error {
	s := &o.sel
	what := ""
	switch {
	case o.picks() || len(s.ExcludeSchemas) > 0:
		what = "a choice of objects"
	case o.listFile != "" || o.list:
		what = "a list (-l, -L)"
	case len(o.redirects) > 0:
		what = "--redirect-schema"
	case o.single:
		what = "-1/--single-transaction"
	default:
		return nil
	}
	return withHint(usagef("%s is for one database, and %s has several", what, quoteArg(path)), "--database NAME takes one; `pgark inspect` names them")
}

// noGlobals tells whether roles and tablespaces are to be left out: --globals=false.
func (o *restoreOptions) noGlobals() bool { return o.globalsGiven && !o.globals }

func (o *restoreOptions) printPlans(c severalDatabases) error {
	shared, err := c.Catalog()
	if err != nil {
		return err
	}
	text := c.decoder()
	w := o.app.stdout
	if !o.noGlobals() && !o.dataOnly && !o.statistics.noSchema {
		fmt.Fprintln(w, "-- roles and tablespaces")
		table := newColumns("step", ">id", "kind", "name")
		for _, e := range fanout.GlobalEntries(shared) {
			table.add("define", fmt.Sprint(e.ID), e.Kind, visible(text.String(e.Name)))
		}
		if err := table.write(w); err != nil {
			return quietPipe(err)
		}
	}
	for _, d := range c.Databases() {
		a, err := c.open(d.Name)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "\n-- database %s\n", visible(text.String(d.Name)))
		if err := o.printPlan(a); err != nil {
			return err
		}
	}
	return nil
}

// scriptCluster writes the script of pg_dumpall.
func (o *restoreOptions) scriptCluster(ctx context.Context, c severalDatabases) error {
	options := fanout.ClusterScriptOptions{NoGlobals: o.noGlobals(), Script: o.scripts.engine(o.planOptions()), OpenSource: c.source()}
	options.Script.Create, options.Script.Globals = false, false // which follow from the archive
	if err := o.app.warn(c); err != nil {
		return err
	}
	options.Script.Warn = func(message string) { o.app.say("warning: %s", message) }
	out, err := o.app.createScript(o.file, o.force)
	if err != nil {
		return err
	}
	defer out.Discard()
	err = fanout.WriteClusterScript(ctx, out, c, options)
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = out.Commit()
	}
	if err != nil {
		return &stateError{err: err, state: scriptLeftover(out)}
	}
	return nil
}

// scriptLeftover says what state things are in after a failure.
func scriptLeftover(out *outFile) string {
	if out.name == "-" {
		return "the script on standard output is not complete"
	}
	return "no script was written"
}

// restoreCluster loads all databases.
func (o *restoreOptions) restoreCluster(ctx context.Context, c severalDatabases) error {
	begun := time.Now()
	cluster, err := o.discover(ctx)
	if err != nil {
		return err
	}
	if err := o.app.warn(c); err != nil {
		return err
	}
	if err := o.chooseTranslation(c, cluster); err != nil {
		return err
	}
	m := o.app.startMeter("restored")
	all := clusterOutcome{o: o, c: c, databases: []restoredDatabase{}}
	one := o.engine(cluster, m, &archive.Catalog{}) // each database has an encoding of its own
	one.Target, one.Create, one.Globals = nil, false, false
	r, err := fanout.RestoreCluster(ctx, c, fanout.ClusterRestoreOptions{
		Server: cluster.Coordinator.Config, NoGlobals: o.noGlobals(), Restore: one, OpenSource: c.source(),
		Started: func(name string, number, of int) {
			all.begun = time.Now()
			m.Note(fmt.Sprintf("database %s (%d of %d)", visible(c.decoder().String(name)), number, of))
		},
		Done: func(d *fanout.DatabaseRestore) { all.add(ctx, d, cluster) },
	})
	m.end()
	if r == nil {
		return err
	}
	o.tellGlobals(r.Globals, c.decoder())
	if o.json {
		wrong := quietPipe(writeJSON(o.app.stdout, all.json(r.Globals, err == nil, time.Since(begun))))
		if err == nil { // else that is what has to be said
			err = wrong
		}
	}
	if err != nil {
		return err
	}
	o.app.tell("restored %s in %s", plural(uint64(all.good()), "database"), humanDuration(time.Since(begun)))
	return all.verdict(r)
}

// tellGlobals tells what became of roles and tablespaces.
func (o *restoreOptions) tellGlobals(g *fanout.GlobalsResult, text textDecoder) {
	if g == nil {
		return
	}
	for _, w := range g.Warnings {
		o.app.say("warning: %s", visible(text.String(w)))
	}
	for i := range g.Later {
		o.app.say("warning: a setting was left out, since its database is not there: %s", visible(text.String(g.Later[i].Name)))
	}
	o.app.tell("roles and tablespaces: %d made, %d were there and stayed as they are", len(g.Made), len(g.Existed))
}

// restoredDatabase is one of several databases in the JSON summary.
type restoredDatabase struct {
	Database string `json:"database"`
	OK       bool   `json:"ok"`
	Error    string `json:"error,omitempty"` // why its restore stopped before its end
	Result   any    `json:"result,omitempty"`

	err error
}

// clusterOutcome collects what became of each database.
type clusterOutcome struct {
	o         *restoreOptions
	c         severalDatabases
	begun     time.Time
	databases []restoredDatabase
}

// add tells what became of a database, and reads it back if that was asked for.
func (x *clusterOutcome) add(ctx context.Context, d *fanout.DatabaseRestore, cluster *topology.Cluster) {
	one := restoredDatabase{Database: x.c.decoder().String(d.Name), err: d.Err}
	defer func() {
		if one.err != nil {
			one.OK, one.Error = false, one.err.Error()
		}
		if one.err != nil && (d.Err == nil || ctx.Err() == nil && !x.o.exitOnError) { // else it is the error of the whole restore
			x.o.app.say("database %s: %v", visible(one.Database), one.err)
		}
		x.databases = append(x.databases, one)
	}()
	if d.Result == nil || d.Err != nil {
		return
	}
	a, err := x.c.restored(d)
	if err != nil {
		one.err = err
		return
	}
	cat, err := a.Catalog()
	if err != nil {
		one.err = err
		return
	}
	var compared *verify.Report
	if x.o.verify {
		compared, err = x.o.readBack(ctx, a, cluster.Coordinator.Config.With(wire.Overrides{Database: d.Result.Database}), d.Result)
		if err != nil {
			one.err = fmt.Errorf("restored, but not verified: %w", err)
		}
	}
	text := newTextDecoder(cat.Encoding)
	decodeRestore(d.Result, text)
	decodeFindings(compared, text)
	took := time.Since(x.begun)
	x.o.tellSummary(d.Result, compared, took)
	one.OK = d.Result.OK() && (compared == nil || compared.OK)
	one.Result = x.o.jsonSummary(d.Result, compared, took)
	if err := restoreVerdict(d.Result, compared); err != nil {
		x.o.app.say("database %s: %v", visible(one.Database), err)
	}
}

// good is how many databases are there, all of them.
func (x *clusterOutcome) good() (n int) {
	for _, d := range x.databases {
		if d.OK {
			n++
		}
	}
	return n
}

// verdict is the error that ends the command if anything is not as in the archive.
func (x *clusterOutcome) verdict(r *fanout.ClusterRestoreResult) error {
	bad, stopped := len(x.databases)-x.good(), []error{}
	for _, d := range x.databases {
		if d.err != nil {
			stopped = append(stopped, d.err)
		}
	}
	if len(stopped) > 0 && len(stopped) == len(x.databases) {
		return fmt.Errorf("no database was restored: %w", errors.Join(stopped...))
	}
	globals := 0
	if r.Globals != nil {
		globals = len(r.Globals.Failures)
	}
	switch {
	case bad > 0:
		return &foundError{message: fmt.Sprintf("%d of %s not as in the archive: see above", bad, plural(uint64(len(x.databases)), "database"))}
	case globals > 0:
		return &foundError{message: fmt.Sprintf("%s of roles and tablespaces could not be restored: see above", plural(uint64(globals), "object"))}
	}
	return nil
}

func (x *clusterOutcome) json(g *fanout.GlobalsResult, ended bool, took time.Duration) any {
	type globals struct {
		Made     []string `json:"made"`
		Existed  []string `json:"existed"`
		Failures []string `json:"failures"`
		Warnings []string `json:"warnings"`
	}
	var shared *globals
	ok := ended
	if g != nil {
		shared = &globals{append([]string{}, g.Made...), append([]string{}, g.Existed...), []string{}, append([]string{}, g.Warnings...)}
		for _, f := range g.Failures {
			shared.Failures = append(shared.Failures, x.c.decoder().String(f.Error()))
			ok = false
		}
	}
	for _, d := range x.databases {
		ok = ok && d.OK
	}
	return struct {
		OK        bool               `json:"ok"`
		Globals   *globals           `json:"globals"` // null: left out
		Databases []restoredDatabase `json:"databases"`
		Seconds   float64            `json:"seconds"`
	}{ok, shared, x.databases, took.Seconds()}
}

// makeGlobals makes the roles and tablespaces that an archive of several databases has, for the restore of one of them, plan.
func (o *restoreOptions) makeGlobals(ctx context.Context, path string, plan *fanout.Plan, cluster *topology.Cluster) error {
	c, err := openCluster(path)
	if err != nil {
		return err
	}
	defer c.Close()
	return o.makeGlobalsOf(ctx, c, plan, cluster)
}

func (o *restoreOptions) makeGlobalsOf(ctx context.Context, c severalDatabases, plan *fanout.Plan, cluster *topology.Cluster) error {
	r, err := fanout.RestoreCluster(ctx, c, fanout.ClusterRestoreOptions{
		Server: cluster.Coordinator.Config, Databases: []string{}, // none of them
		For: plan,
		Restore: fanout.RestoreOptions{
			ExitOnError: o.exitOnError, NoACL: o.noACL, NoComments: o.noComments, NoStatistics: o.statistics.none, Without: o.without, ToPostgres: o.translate, Log: o.app.logger(),
		},
	})
	if r != nil {
		o.tellGlobals(r.Globals, c.decoder())
	}
	if err == nil && r.Globals != nil && !r.Globals.OK() {
		decodeFailures(r.Globals.Failures, c.decoder())
		o.globalsFailed = r.Globals.Failures
	}
	return err
}
