package main

import (
	"context"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgark/pgark/fanout"
)

// restoreOptions are the flags of `pgark restore`, with pg_restore's meaning.
type restoreOptions struct {
	app  *app
	conn connOptions

	file       string
	force      bool
	volumes    remoteOptions
	sources    sourceOptions
	scripts    scriptOptions
	listFile   string
	filterFile string
	list       bool
	jobs       int
	route      string
	servers    []string
	redirects  []string
	verify     bool

	toPostgres string // auto, yes, no
	translate  bool   // what auto comes to

	dryRun bool
	json   bool

	schemaOnly, dataOnly       bool
	sections                   []string
	noOwner, noACL, noComments bool
	statistics                 statisticsOptions
	without                    fanout.Without
	disableTriggers            bool
	noDataFailed               bool
	create, clean, ifExists    bool
	single, exitOnError        bool
	appendRows                 bool
	withDeps, fkTables         bool
	globals, globalsGiven      bool
	sel                        fanout.Selection

	globalsFailed []fanout.Failure // roles and tablespaces of an archive of several databases that were refused

	redirect map[string]map[string]string // what Validate makes of servers
	schemas  map[string]string            // and of redirects
	to       map[string]string            // the same in the encoding of the archive

	later laterFlags
}

const restoreLong = `Restore an archive into a database, or write it as an SQL script for psql. ARCHIVE is one of pgark, a dump of pg_dump in any
of its formats, or a set of gpbackup: its directory, or a file of it.

Rows are loaded over several sessions, even those of one table; indexes and constraints follow in parallel, in the order of
their dependencies. The digest of what was sent and the server's row counts are always compared with the archive's;
--verify reads every table back and compares that too. Tables that hold rows already are refused, unless --append or -c
says what to do with them.

An archive of several nodes goes into a database of any shape through its coordinator. Where that is proven to be right,
each node's rows go straight back into that node: the same product, version and number of segments and, table by table,
the same distribution (Greenplum, Cloudberry); the same partition bounds (postgres_fdw); the same list of nodes. What
went that way is checked afterwards. --route segments insists on it, --route coordinator avoids it.

An archive of Greenplum or Cloudberry goes into a plain PostgreSQL with its definitions translated, and what could not be
kept is reported; --to-postgres has scripts translated too, and makes ordinary tables of shards behind postgres_fdw.

Of a set whose volumes are on other hosts, workers there load each volume straight into the node beside it, where that is proven to be
right. The rows of other tables come here first, into temporary files (TMPDIR), and go through the coordinator. Workers are started over
ssh, or with --start db by a Greenplum or Cloudberry itself. With --volume-dir all volumes are read here.

--with-dependencies brings with a table its schema, types, functions, sequences, indexes, constraints, triggers, rights and rows, the
partitions or the partitioned table, and all that these depend on in turn, as the catalog records it. Foreign keys to tables that
are not restored are left out and named; --fk-tables brings these tables. What is not recorded is said: what the bodies of functions refer
to; and the roles that must be there are named. With --globals these are made, and no others. A table may be given as schema.table.

An archive of all databases (dump --all-databases) is restored whole: roles and tablespaces that are not there, then each database under its
own name, which must not be there unless -c has it dropped first; postgres and template1, which every server has, are filled. -d names a
database to connect to first. --database restores one of them, into -d or with -C under its own name.

--redirect-schema OLD=NEW restores what is in one schema into another, which is created if it is not there; A=B and B=A together swap two.
Names in definitions are found by taking these apart, and what can't be redirected with certainty is refused by name before anything is
changed: bodies of functions that name the schema, for one. -n, -t and the like, -L included, go by the names of the archive; -c drops
what is in NEW, never what is in OLD. Text that looks like a name, as in a default, is left as it is and reported.

An object that can't be restored is reported, and the restore goes on with the others (exit code 3), unless -e is given.
Names given to -n, -t, -I, -T and -P are exact, as in pg_restore, not patterns.`

const restoreExample = `  pgark restore -d copy shop.pgark             # into an empty database
  pgark restore -C -d postgres shop.pgark      # create the database that the archive names
  pgark restore -d copy -c --if-exists -j 8 shop.pgark
  pgark restore -d copy -n sales -t orders shop.pgark
  pgark restore -d copy -t sales.orders --with-dependencies shop.pgark
  pgark restore -d shop -n sales --redirect-schema sales=sales_before shop.pgark   # next to the live schema
  pgark list --toc shop.pgark > toc; vi toc; pgark restore -d copy -L toc shop.pgark
  pgark restore -d copy --server shard1=db7:5432/copy --server shard2=db8:5432/copy shop.pgark
  pgark restore -d postgres all.pgark          # all databases of dump --all-databases
  pgark restore -d copy --database shop all.pgark
  pgark restore -f - shop.pgark | psql copy`

func newRestore(a *app) *cobra.Command {
	o := &restoreOptions{app: a}
	cmd := &cobra.Command{
		Use:         "restore [flags] ARCHIVE",
		Short:       "restore an archive into a database, or as an SQL script",
		Long:        restoreLong,
		Example:     restoreExample,
		Annotations: exitCodes("some objects could not be restored, or a table's rows are not those of the archive"),
		Args:        args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Validate(cmd.Flags()); err != nil {
				return err
			}
			return o.Run(cmd.Context(), args[0])
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

// AddFlags defines the flags.
func (o *restoreOptions) AddFlags(f *pflag.FlagSet) {
	o.conn.addFlags(f, "`database` to restore into; with -C, one to connect to first")
	o.conn.addRole(f)
	f.StringVarP(&o.file, "file", "f", "", "write an SQL script to `FILE` instead, - is standard output")
	f.BoolVar(&o.force, "force", false, "replace FILE if it exists")
	f.BoolVarP(&o.create, "create", "C", false, "create the database that the archive names")
	f.BoolVarP(&o.clean, "clean", "c", false, "drop what is to be restored first")
	f.BoolVar(&o.ifExists, "if-exists", false, "with -c: don't mind if it is not there")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "`N` sessions that load rows, with each node on route segments, and build indexes (default one per core, 8 at most)")
	f.BoolVarP(&o.single, "single-transaction", "1", false, "all of it in one transaction, on one session, or nothing")
	f.BoolVarP(&o.exitOnError, "exit-on-error", "e", false, "stop at the first error")
	addSelectFlags(f, &o.schemaOnly, &o.dataOnly, &o.sections, &o.noOwner, &o.noACL, &o.noComments)
	o.statistics.addFlags(f, "restore the planner's statistics, as is the default where the archive has them")
	addWithoutFlags(f, &o.without)
	f.BoolVar(&o.noDataFailed, "no-data-for-failed-tables", false, "no rows into a table that could not be created, even if it is there and empty, or with --append")
	f.BoolVar(&o.disableTriggers, "disable-triggers", false, "with -a: no trigger fires and no foreign key is checked while rows are loaded; for superusers")
	f.StringArrayVarP(&o.sel.Schemas, "schema", "n", nil, "only objects in this `schema`")
	f.StringArrayVarP(&o.sel.ExcludeSchemas, "exclude-schema", "N", nil, "no objects in this `schema`")
	f.StringArrayVarP(&o.sel.Tables, "table", "t", nil, "only this `table`, view or sequence")
	f.StringArrayVarP(&o.sel.Indexes, "index", "I", nil, "only this `index`")
	f.StringArrayVarP(&o.sel.Triggers, "trigger", "T", nil, "only this `trigger`")
	f.StringArrayVarP(&o.sel.Functions, "function", "P", nil, "only this `function`: 'name(argtype, argtype)'")
	o.volumes.addFlags(f, startUsage("load", startAuto, startSSH, startDB), startAuto, startSSH, startDB)
	o.sources.addFlags(f, &o.volumes.setOptions)
	o.scripts.addFlags(f)
	f.BoolVar(&o.sel.Strict, "strict-names", false, "fail, before anything is changed, if a name given to -n, -t, -I, -T or -P is not in the archive; as ever with --with-dependencies")
	f.StringVarP(&o.listFile, "use-list", "L", "", "only what `FILE` lists, in its order (from pgark list --toc); - is standard input")
	f.StringVar(&o.filterFile, "filter", "", "read include and exclude lines, for -n, -N, -t, -I, -T and -P, from `FILE`, as pg_restore 17 does; - is standard input")
	f.BoolVarP(&o.list, "list", "l", false, "print the archive's table of contents, as pgark list --toc does, and restore nothing")
	f.BoolVar(&o.appendRows, "append", false, "load into tables that hold rows already")
	f.StringVar(&o.toPostgres, "to-postgres", "auto",
		"`when` to translate definitions of Greenplum or of shards for one plain PostgreSQL: yes, no, auto (Greenplum's for one)")
	f.Lookup("to-postgres").NoOptDefVal = "yes"
	f.BoolVar(&o.verify, "verify", false, "afterwards, read every table back and compare its digest")
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would be done, in order, and do nothing")
	f.StringVar(&o.route, "route", "auto", "`way` of the rows: auto, segments, coordinator")
	f.StringArrayVar(&o.servers, "server", nil, "create a foreign server with another address: `NAME=HOST:PORT/DBNAME`, or NAME= and key=value pairs; may be repeated")
	f.BoolVar(&o.json, "json", false, "print a summary as JSON")
	f.BoolVar(&o.withDeps, "with-dependencies", false, "also restore what the selected objects (-t, -n, -I, -T, -P) depend on, and what belongs to them; --dry-run shows why each is there")
	f.BoolVar(&o.fkTables, "fk-tables", false, "with --with-dependencies: also the tables that foreign keys refer to")
	f.BoolVar(&o.globals, "globals", false, "first make the roles and tablespaces that are in the archive (dump --globals, --all-databases) and not there; those that are there stay as they are; of all databases it is the default, and --globals=false leaves them out")
	o.later.add(f, "resume")
	f.StringP("format", "F", "", "told by the archive itself")
	f.Lookup("format").Hidden = true
	restoreRefused().add(f)
	f.StringArrayVar(&o.redirects, "redirect-schema", nil, "restore what is in schema OLD of the archive into schema NEW: `OLD=NEW`; may be repeated")
}

// Validate checks the flags before anything is done.
func (o *restoreOptions) Validate(f *pflag.FlagSet) error {
	if err := o.later.validate(f); err != nil {
		return err
	}
	if err := restoreRefused().validate(f); err != nil {
		return err
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
	if err := validateJobs(f, o.jobs); err != nil {
		return err
	}
	if err := o.validateRoute(); err != nil {
		return err
	}
	if o.filterFile != "" {
		if err := o.readFilter(); err != nil {
			return err
		}
	}
	if err := o.volumes.validate(f); err != nil {
		return err
	}
	if err := o.sources.validate(); err != nil {
		return err
	}
	if err := o.scripts.validate(); err != nil {
		return err
	}
	var err error
	if o.redirect, err = parseServers(o.servers); err != nil {
		return err
	}
	if o.schemas, err = parseRedirect(o.redirects); err != nil {
		return err
	}
	if !slices.Contains([]string{"auto", "yes", "no"}, o.toPostgres) {
		return usagef("--to-postgres is auto, yes or no, not %q", o.toPostgres)
	}
	o.globalsGiven = f.Changed("globals")
	if err := o.validatePairs(); err != nil || o.list || o.dryRun {
		return err
	}
	switch {
	case o.file == "" && !o.conn.given:
		return usagef("one of -d/--dbname and -f/--file must be given")
	case o.file != "" && o.conn.given:
		return usagef("-d/--dbname and -f/--file cannot be used together")
	case o.file == "-" && o.json:
		return usagef("--json and -f - cannot be used together: both write to standard output")
	}
	return nil
}

// validatePairs refuses what does not go together.
func (o *restoreOptions) validatePairs() error {
	segments := o.route == fanout.RouteSegments
	for _, pair := range []struct {
		wrong bool
		text  string
	}{
		{o.clean && o.dataOnly, "-c/--clean and -a/--data-only cannot be used together"},
		{o.clean && o.statistics.noSchema, "-c/--clean cannot be used where no definitions are restored (--no-schema, --statistics-only)"},
		{o.clean && o.appendRows, "-c/--clean and --append cannot be used together"},
		{o.ifExists && !o.clean, "--if-exists needs -c/--clean"},
		{o.create && o.single, "-C/--create and -1/--single-transaction cannot be used together"},
		{o.single && o.jobs > 1, "-1/--single-transaction and several jobs (-j) cannot be used together"},
		{o.verify && o.file != "", "--verify needs a database, and -f writes a script"},
		{o.verify && (o.schemaOnly || o.statistics.noData), "--verify compares rows, and -s/--schema-only, --no-data and --statistics-only restore none"},
		{o.verify && o.appendRows, "--verify and --append cannot be used together: the tables hold other rows too"},
		{o.fkTables && !o.withDeps, "--fk-tables needs --with-dependencies"},
		{o.withDeps && o.listFile != "", "--with-dependencies and -L/--use-list cannot be used together: a list says itself what is restored"},
		{o.listFile == "-" && o.filterFile == "-", "-L - and --filter - cannot be used together: standard input is read once"},
		{o.withDeps && !o.picks(), "--with-dependencies needs something that is selected: -t, -n, -I, -T or -P"},
		{segments && o.single, "-1/--single-transaction and --route segments cannot be used together: it is one session with the coordinator"},
		{segments && o.file != "", "--route segments needs a database, and -f writes a script"},
		{o.volumes.start == startDB && o.file != "", "--start db needs a database, and -f writes a script"},
		{o.file == "" && (o.scripts.key != "" || o.scripts.noRestrict), "--restrict-key and --no-restrict are for a script (-f)"},
		{len(o.servers) > 0 && o.file != "", "--server needs a database, and -f writes a script"},
		{len(o.servers) > 0 && (o.dataOnly || o.statistics.noSchema), "--server is for servers that are created, and -a/--data-only creates none"},
	} {
		if pair.wrong {
			return usagef("%s", pair.text)
		}
	}
	return nil
}

// picks tells whether some objects are selected by name.
func (o *restoreOptions) picks() bool {
	s := &o.sel
	return len(s.Tables)+len(s.Schemas)+len(s.Indexes)+len(s.Triggers)+len(s.Functions) > 0
}

func (o *restoreOptions) validateRoute() error {
	switch o.route {
	case fanout.RouteAuto, fanout.RouteCoordinator, fanout.RouteSegments:
		return nil
	}
	return usagef("--route %s: must be auto, segments or coordinator", quoteArg(o.route))
}

func (o *restoreOptions) planOptions() fanout.PlanOptions {
	return fanout.PlanOptions{
		Create: o.create, Clean: o.clean, IfExists: o.ifExists, SchemaOnly: o.schemaOnly, DataOnly: o.dataOnly,
		Sections: o.sections, Select: o.sel, NoOwner: o.noOwner, NoACL: o.noACL, NoComments: o.noComments, NoStatistics: o.statistics.none, NoSchema: o.statistics.noSchema, NoData: o.statistics.noData,
		Without: o.without, DisableTriggers: o.disableTriggers, ToPostgres: o.translate,
		WithDependencies: o.withDeps, FKTables: o.fkTables, Globals: o.globals, Redirect: o.to,
	}
}

// plan is what the options select of an archive.
func (o *restoreOptions) plan(a contents) (*fanout.Plan, error) {
	cat, err := a.Catalog()
	if err != nil {
		return nil, err
	}
	plan, err := fanout.NewPlan(cat, o.planOptions())
	return plan, refusal(a, err)
}

// Run restores the archive.
func (o *restoreOptions) Run(ctx context.Context, path string) error {
	if o.listFile != "" {
		if err := o.readList(); err != nil {
			return err
		}
	}
	o.translate = o.toPostgres == "yes"
	if o.volumes.severalIn(path) {
		return o.runCluster(ctx, path)
	}
	switch {
	case o.list || o.dryRun:
		if src, err := o.sources.open(ctx, path, nil); src != nil || err != nil {
			return o.describeSource(src, err)
		}
		a, err := openFiles(path, o.volumes.lead()) // which says all that is asked
		if err != nil {
			return err
		}
		defer a.Close()
		if err := o.aim(a.Reader); err != nil {
			return err
		}
		if o.list {
			return printTOC(o.app.stdout, a.Reader, o.planOptions())
		}
		return o.printPlan(a.Reader)
	case o.file != "":
		if src, err := o.sources.open(ctx, path, nil); src != nil || err != nil {
			return o.scriptSource(ctx, src, err)
		}
		a, err := o.volumes.open(ctx, path, nil, jobsOrDefault(o.jobs), false, nil)
		if err != nil {
			return err
		}
		defer a.Close()
		return o.writeScript(ctx, a)
	}
	return o.restore(ctx, path)
}

func (o *restoreOptions) readList() error {
	return o.app.readOptionFile("-L", o.listFile, func(r io.Reader) (err error) {
		o.sel.List, err = fanout.ParseList(r)
		return err
	})
}

func (o *restoreOptions) readFilter() error {
	return o.app.readOptionFile("--filter", o.filterFile, func(r io.Reader) error { return fanout.ParseSelectionFile(r, &o.sel) })
}
