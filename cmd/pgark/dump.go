package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgark/pgark/fanout"
)

// dumpOptions are the flags of `pgark dump`, with pg_dump's meaning.
type dumpOptions struct {
	app  *app
	conn connOptions

	file       string
	force      bool
	stock      stockOptions
	plain      plainOptions
	jobs       int
	compress   string
	route      string
	barrier    string
	noBarrier  bool
	snapshot   string
	lockWait   string
	filterFile string
	pgDump     string
	json       bool

	filter     fanout.Filter
	schemaOnly bool
	dataOnly   bool
	sections   []string
	noOwner    bool
	noACL      bool
	noComments bool
	statistics statisticsOptions
	without    fanout.Without

	noTOASTCompression bool

	globals       bool
	rolePasswords bool

	volumes   workerOptions
	databases allOptions

	// What Validate makes of the flags.
	wait  time.Duration
	limit time.Duration // for the write barrier
}

const dumpLong = `Write an archive of a database: its catalog, as the server's own pg_dump gives it, and all rows, read over several
sessions that share one snapshot. Large tables are read in parts (PostgreSQL 14 and later).

Where the rows lie on several nodes (segments of Greenplum and Cloudberry, shards of postgres_fdw, nodes given with
--data-node), each node is read by sessions of its own: route segments. All show one moment, because their snapshots
are taken behind a write barrier: for some milliseconds, when running writers have finished, nobody writes. Route
cursors (Greenplum) and route coordinator need no barrier there; route auto takes the first of segments, cursors and
coordinator that works, and says why. --no-barrier does not stop writers: the archive then says that it promises
nothing, and a transaction may be half in it.

With --volumes the rows of each node go to a file on its own host, all at the same time, and FILE holds the rest.

-F custom, directory, tar and plain write pg_dump's own formats, for stock pg_restore and psql; the rows are read by the same
sessions at the same moment, ahead of the one place where such a format is written. They have no digests: only pgark's own
format can be proven whole. -j 1 --route coordinator reads as pg_dump does, over one session.

--globals also takes the roles and tablespaces of the server, as pg_dumpall has them; restore --globals makes those that are not there.
They are of no moment, and come without passwords unless --role-passwords asks for their hashes.

--all-databases puts all databases of the server, one after the other, and its roles and tablespaces into one archive, from which all or
one of them is restored. Each shows one moment, and they do not show the same. With -F plain it writes the script that pg_dumpall writes.

The archive appears under its name only when it is complete and on disk; after an error or Ctrl-C nothing is left.
What kill -9, or a power cut, leaves is .FILE.partial-NUMBER beside it: it is no archive, and in nobody's way.`

const dumpExample = `  pgark dump shop                              # shop-20260102T030405Z.pgark in this directory
  pgark dump -h db1 -U backup -j 8 -f /backup/shop.pgark shop
  pgark dump -t 'sales.*' -T sales.staging shop
  pgark dump --volumes '/backup/{archive}-{node}.pgark' -f shop.pgark shop
  pgark dump -F custom -Z zstd -f shop.dump shop        # for pg_restore 16 and later
  pgark dump --all-databases -f /backup/all.pgark
  pgark dump -f - shop | ssh vault 'cat > shop.pgark'`

func newDump(a *app) *cobra.Command {
	o := &dumpOptions{app: a}
	cmd := &cobra.Command{
		Use:         "dump [flags] [DBNAME]",
		Short:       "write an archive of a database",
		Long:        dumpLong,
		Example:     dumpExample,
		Annotations: exitCodes(""),
		Args:        args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Validate(cmd.Flags(), args); err != nil {
				return err
			}
			return o.Run(cmd.Context())
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

// AddFlags defines the flags.
func (o *dumpOptions) AddFlags(f *pflag.FlagSet) {
	o.conn.addFlags(f, "`database` to dump: a name, a key=value string or a URI")
	o.conn.addRole(f)
	f.StringVarP(&o.file, "file", "f", "", "write to `FILE`, - is standard output (default DBNAME-YYYYMMDDTHHMMSSZ.pgark)")
	f.BoolVar(&o.force, "force", false, "replace FILE if it exists")
	o.stock.addFlags(f, formatPgark)
	o.plain.addFlags(f)
	f.IntVarP(&o.jobs, "jobs", "j", 0, "`N` sessions that read rows on each node (default one per core, 8 at most, shared by the nodes)")
	f.StringVarP(&o.compress, "compress", "Z", "zstd", "`CODEC[:LEVEL]`: none, zstd, lz4, xz, gzip, or what else pg_dump takes, such as zstd:level=3,long or a level alone, which means gzip, and 0 none; custom and directory take gzip by default")
	f.StringVar(&o.route, "route", "auto", "`way` of the rows: auto, segments, cursors, coordinator")
	f.StringVar(&o.barrier, "barrier-timeout", "10s", "give the write barrier up after this `time`: milliseconds, or with a unit (10s, 2min)")
	f.BoolVar(&o.noBarrier, "no-barrier", false, "don't wait for writers on route segments: the archive then promises no one moment")
	f.StringVar(&o.snapshot, "snapshot", "", "dump the snapshot `NAME`, which an open transaction or a new replication slot has exported; a table that has changed since is an error")
	f.StringVar(&o.lockWait, "lock-wait-timeout", "", "fail if a table can't be locked for this `time`: milliseconds, or with a unit (10s, 2min)")
	addSelectFlags(f, &o.schemaOnly, &o.dataOnly, &o.sections, &o.noOwner, &o.noACL, &o.noComments)
	o.statistics.addFlags(f, "also the planner's statistics, which only a pg_dump of version 18 or later gives, for any server; they go into PostgreSQL 18 and later")
	f.StringArrayVarP(&o.filter.Schemas, "schema", "n", nil, "only schemas that match `PATTERN`")
	f.StringArrayVarP(&o.filter.ExcludeSchemas, "exclude-schema", "N", nil, "no schemas that match `PATTERN`")
	f.StringArrayVarP(&o.filter.Tables, "table", "t", nil, "only tables, views, sequences that match `PATTERN`")
	f.StringArrayVarP(&o.filter.ExcludeTables, "exclude-table", "T", nil, "no tables that match `PATTERN`")
	f.StringArrayVarP(&o.filter.Extensions, "extension", "e", nil, "only extensions that match `PATTERN`")
	f.StringArrayVar(&o.filter.ExcludeTableData, "exclude-table-data", nil, "no rows of tables that match `PATTERN`")
	f.StringArrayVar(&o.filter.TablesAndChildren, "table-and-children", nil, "as -t `PATTERN`, and what inherits from it: partitions, too (pg_dump 16)")
	f.StringArrayVar(&o.filter.ExcludeTablesAndChildren, "exclude-table-and-children", nil, "as -T `PATTERN`, and what inherits from it (pg_dump 16)")
	f.StringArrayVar(&o.filter.ExcludeTableDataAndChildren, "exclude-table-data-and-children", nil, "as --exclude-table-data `PATTERN`, and what inherits from it (pg_dump 16)")
	f.StringArrayVar(&o.filter.ExcludeExtensions, "exclude-extension", nil, "no extensions that match `PATTERN` (pg_dump 17)")
	f.BoolVarP(&o.filter.LargeObjects, "large-objects", "b", false, "large objects too, where -n or -t selects")
	f.BoolVarP(&o.filter.NoLargeObjects, "no-large-objects", "B", false, "no large objects")
	f.BoolVar(&o.filter.LargeObjects, "blobs", false, "the same as --large-objects")
	f.BoolVar(&o.filter.NoLargeObjects, "no-blobs", false, "the same as --no-large-objects")
	f.BoolVar(&o.filter.NoUnloggedData, "no-unlogged-table-data", false, "no rows of unlogged tables")
	f.BoolVar(&o.noTOASTCompression, "no-toast-compression", false, "leave out the compression methods of columns")
	addWithoutFlags(f, &o.without)
	f.Bool("no-role-passwords", false, "the default")
	for _, name := range []string{"blobs", "no-blobs", "no-role-passwords"} {
		f.Lookup(name).Hidden = true
	}
	f.StringArrayVar(&o.filter.ForeignServers, "include-foreign-data", nil, "also rows of foreign tables on servers that match `PATTERN`; they are of no certain moment")
	f.BoolVar(&o.filter.Strict, "strict-names", false, "fail if a pattern of -n, -t or -e matches nothing")
	f.StringVar(&o.filterFile, "filter", "", "read include and exclude lines from `FILE`, as pg_dump 17 does; - is standard input")
	f.StringVar(&o.pgDump, "pg-dump", "", "`PATH` of the pg_dump to take the catalog from (default: the server's version, as installed)")
	o.volumes.addFlags(f)
	f.BoolVar(&o.json, "json", false, "print a summary as JSON")
	f.BoolVar(&o.globals, "globals", false, "also the server's roles and tablespaces, from pg_dumpall; without passwords")
	f.BoolVar(&o.rolePasswords, "role-passwords", false, "with --globals or --all-databases: also the hashes of the roles' passwords; only a superuser may read them")
	o.databases.addFlags(f)
	dumpRefused().add(f)
}

// Validate checks the flags before anything is done.
func (o *dumpOptions) Validate(f *pflag.FlagSet, args []string) error {
	if err := dumpRefused().validate(f); err != nil {
		return err
	}
	if len(args) == 1 {
		if f.Changed("dbname") {
			return usagef("the database is named twice: -d %s and %s", quoteArg(o.conn.dbname), quoteArg(args[0]))
		}
		o.conn.dbname, o.conn.given = args[0], true
	}
	if err := o.conn.validate(f); err != nil {
		return err
	}
	if err := validateSelect(o.schemaOnly, o.dataOnly, o.sections); err != nil {
		return err
	}
	if err := o.statistics.validate(o.schemaOnly, o.dataOnly); err != nil {
		return err
	}
	o.schemaOnly, o.dataOnly = o.schemaOnly || o.statistics.noData, o.dataOnly || o.statistics.noSchema
	if o.schemaOnly && o.dataOnly && !o.statistics.with {
		return usagef("--no-schema and --no-data without --statistics leave nothing")
	}
	if o.filter.LargeObjects && o.filter.NoLargeObjects {
		return usagef("-b/--large-objects and -B/--no-large-objects cannot be used together")
	}
	if o.schemaOnly && len(o.filter.ForeignServers) > 0 {
		return usagef("-s/--schema-only and --include-foreign-data cannot be used together")
	}
	if err := validateJobs(f, o.jobs); err != nil {
		return err
	}
	if err := validateRoute(o.route); err != nil {
		return err
	}
	if err := o.stock.validate(f, o.compress); err != nil {
		return err
	}
	if err := o.plain.validate(o.stock.format); err != nil {
		return err
	}
	if o.plain.clean && o.dataOnly {
		return usagef("-c/--clean and -a/--data-only cannot be used together")
	}
	if o.conn.role != "" && o.volumes.volumes != "" {
		return usagef("--role and --volumes cannot be used together: workers connect as the user")
	}
	if o.stock.stock() && o.volumes.volumes != "" {
		return usagef("--volumes is for pgark's own format, not for -F %s", o.stock.format)
	}
	if o.stock.stock() && o.route == fanout.RouteCursors {
		return usagef("--route cursors can't be read in the order that -F %s needs: take segments or coordinator", o.stock.format)
	}
	if o.json && o.file == "-" {
		return usagef("--json and -f - cannot be used together: both write to standard output")
	}
	var err error
	if o.wait, err = parseTimeout("lock-wait-timeout", o.lockWait); err != nil {
		return err
	}
	if o.limit, err = parseTimeout("barrier-timeout", o.barrier); err != nil {
		return err
	}
	if o.limit <= 0 {
		return usagef("--barrier-timeout %s: it takes a time above 0; --no-barrier does without the barrier", o.barrier)
	}
	if err := o.volumes.validate(f, o.file); err != nil {
		return err
	}
	if err := o.validateAll(args); err != nil {
		return err
	}
	if o.globals && o.stock.stock() && !o.databases.all {
		return usagef("--globals is for pgark's own format: pg_dump's have no roles and tablespaces; see pg_dumpall --globals-only")
	}
	if f.Changed("snapshot") && o.snapshot == "" {
		return usagef("--snapshot needs the name of a snapshot, such as pg_export_snapshot() gives")
	}
	if o.noBarrier && (o.route == fanout.RouteCoordinator || o.route == fanout.RouteCursors) {
		return usagef("--no-barrier is for route segments")
	}
	return nil
}

// Run writes the archive.
func (o *dumpOptions) Run(ctx context.Context) (err error) {
	if o.filterFile != "" {
		if err := o.readFilter(); err != nil {
			return err
		}
	}
	if o.file != "" {
		if err := o.checkTarget(); err != nil {
			return err
		}
	}
	if jobsOrDefault(o.jobs) != 1 { // one session has the pauses of its own reading, and does better without
		yieldToServer()
	}
	if o.databases.all {
		return o.runAll(ctx)
	}
	begun := time.Now()
	search := fanout.StartPgDumpSearch(ctx, o.pgDump)
	defer search.Stop()
	cluster, session, err := o.conn.discoverKeeping(ctx, o.app)
	if err != nil {
		return o.beforeOutput(ctx, err)
	}
	if session != nil {
		defer func() { _ = session.Close(context.WithoutCancel(ctx)) }() // it is, where a dump went on with it
	}
	name := o.file
	if name == "" {
		name = defaultName(databaseName(cluster), begun, o.stock.extension())
	}
	options := o.engine(cluster)
	options.Session, options.PgDump = session, search
	if o.stock.stock() {
		return o.runStock(ctx, options, name, begun)
	}
	volumes, err := o.volumes.engine(cluster, name, o.force)
	if err != nil {
		return err
	}
	out, err := o.volumes.createLead(o.app, name, o.force)
	if err != nil {
		return err
	}
	defer out.Discard()
	if volumes != nil {
		volumes.Lead = out
	}
	m := o.app.startMeter("dumped")
	options.Volumes, options.Progress = volumes, m
	result, err := fanout.Dump(ctx, out, options)
	m.end()
	if err == nil && volumes == nil {
		err = context.Cause(ctx) // a signal that came after the last row: still nothing may appear
	}
	if err != nil {
		return &stateError{err: err, state: leftover(out, "archive") + leftVolumes(err)}
	}
	if volumes == nil { // else Dump has done it
		err = out.Commit()
	}
	if err != nil {
		return &stateError{err: err, state: leftover(out, "archive") + leftVolumes(err)}
	}
	if err := o.summary(result, name, time.Since(begun)); err != nil {
		return err
	}
	o.tellRoute(cluster, result)
	return nil
}

// beforeOutput says of an interrupt what it says later on, too: that there is nothing. Of other errors that is clear.
func (o *dumpOptions) beforeOutput(ctx context.Context, err error) error {
	if !interrupted(ctx) {
		return err
	}
	what := "archive"
	if o.stock.stock() {
		what = "dump"
	}
	return &stateError{err: err, state: "no " + what + " was written"}
}

// tellRoute tells the route where there is a choice.
func (o *dumpOptions) tellRoute(cluster *fanout.Cluster, r *fanout.DumpResult) {
	if cluster.Layout != fanout.LayoutSingle {
		o.app.tell("route %s: %s", r.Route, r.RouteReason)
	}
}

// checkTarget refuses an output that can't be written to, before any work is done.
func (o *dumpOptions) checkTarget() error {
	switch {
	case o.stock.format == fanout.FormatDirectory && o.file == "-":
		return usagef("-F directory needs -f DIR: it is no file")
	case o.stock.format == fanout.FormatDirectory:
		return checkDir(o.file)
	case o.stock.text() && o.file == "-":
		return nil // a terminal may see a script
	}
	return o.app.checkTarget(o.file, o.force)
}

// engine is all but the progress, which the caller shows.
func (o *dumpOptions) engine(cluster *fanout.Cluster) fanout.DumpOptions {
	return fanout.DumpOptions{
		Cluster: cluster, Jobs: o.jobs, Codec: o.stock.codec, Level: o.stock.level, Filter: o.filter,
		SchemaOnly: o.schemaOnly, DataOnly: o.dataOnly, Statistics: o.statistics.with, Sections: o.sections,
		NoOwner: o.noOwner, NoACL: o.noACL, NoComments: o.noComments, Without: o.without, NoTOASTCompression: o.noTOASTCompression,
		Route: o.route, NoBarrier: o.noBarrier, BarrierTimeout: o.limit, Snapshot: o.snapshot,
		Globals: o.globals, RolePasswords: o.rolePasswords,
		LockWait: o.wait, PgDumpPath: o.pgDump, Tool: toolName, Log: o.app.logger(),
	}
}

// leftover says what state things are in after a failure to write what.
func leftover(out *outFile, what string) string {
	switch {
	case out.name == "-":
		return "what went to standard output is no " + what + ": throw it away"
	case out.named:
		return out.name + " is complete, but may not survive a power cut"
	case isSpecial(out.name):
		return "what went to " + out.name + " is no " + what
	}
	return "no " + what + " was written"
}

// leftVolumes names what workers may have left of a set.
func leftVolumes(err error) string {
	var left *fanout.LeftError
	if !errors.As(err, &left) {
		return ""
	}
	return "; a worker that can't be asked any more may have left " + strings.Join(left.Volumes, ", ") + ", of no use without its lead volume"
}

func (o *dumpOptions) readFilter() error {
	return o.app.readOptionFile("--filter", o.filterFile, func(r io.Reader) error { return fanout.ParseFilterFile(r, &o.filter) })
}

// summary tells what was written.
func (o *dumpOptions) summary(r *fanout.DumpResult, name string, took time.Duration) error {
	label := name
	if name == "-" {
		label = "standard output"
	}
	if n := len(r.Volumes); n > 0 {
		label += " and " + plural(uint64(n), "volume")
	}
	s := r.Summary
	o.app.tell("wrote %s: %s, %s, %s of rows in %s, %s, promise %s, in %s", label,
		plural(uint64(r.Tables), "table"), plural(s.Rows, "row"), humanBytes(s.RawBytes), humanBytes(s.Bytes),
		"route "+r.Route, r.Promise, humanDuration(took))
	if !o.json {
		return nil
	}
	root := ""
	if !o.stock.stock() {
		root = fmt.Sprintf("%x", s.Root)
	}
	return quietPipe(writeJSON(o.app.stdout, struct {
		File     string  `json:"file"`
		Tables   int     `json:"tables"`
		Rows     uint64  `json:"rows"`
		RawBytes uint64  `json:"raw_bytes"`
		Bytes    uint64  `json:"bytes"`
		Route    string  `json:"route"`
		Reason   string  `json:"route_reason"`
		Promise  string  `json:"promise"`
		Moment   string  `json:"moment"`
		Root     string  `json:"root_digest"`
		Seconds  float64 `json:"seconds"`
	}{
		name, r.Tables, s.Rows, s.RawBytes, s.Bytes, r.Route, r.RouteReason, r.Promise,
		r.Moment.UTC().Format(time.RFC3339Nano), root, took.Seconds(),
	}))
}

// databaseName is the database that a cluster's settings lead to: by default the user's name.
func databaseName(c *fanout.Cluster) string {
	cfg := c.Coordinator.Config
	if cfg.Database() != "" {
		return cfg.Database()
	}
	return cfg.User()
}

// defaultName is DBNAME-YYYYMMDDTHHMMSSZ and an extension, in the current directory whatever the database is called.
func defaultName(dbname string, t time.Time, extension string) string {
	safe := strings.Map(func(r rune) rune {
		if r == '/' || r == 0 || unprintable(r) {
			return '_'
		}
		return r
	}, dbname)
	if strings.HasPrefix(safe, "-") || strings.HasPrefix(safe, ".") {
		safe = "_" + safe[1:]
	}
	return safe + "-" + t.UTC().Format("20060102T150405Z") + extension
}
