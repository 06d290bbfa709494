package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/wire"
)

// allOptions are the flags of a dump of all databases.
type allOptions struct {
	all     bool
	exclude []string
}

func (o *allOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.all, "all-databases", false, "all databases of the server, with its roles and tablespaces, into one archive; -d names one to connect to first (default postgres)")
	f.StringArrayVar(&o.exclude, "exclude-database", nil, "with --all-databases: no databases that match `PATTERN`; may be repeated")
}

// validateAll refuses what does not go together with all databases.
func (o *dumpOptions) validateAll(args []string) error {
	x := &o.filter
	chosen := len(x.Schemas)+len(x.ExcludeSchemas)+len(x.Tables)+len(x.ExcludeTables)+len(x.Extensions)+len(x.ExcludeTableData)+
		len(x.ForeignServers) > 0 || o.filterFile != ""
	inOne := o.stock.format == formatPgark || o.stock.format == fanout.FormatPlain
	for _, pair := range []struct {
		wrong bool
		text  string
	}{
		{!o.databases.all && len(o.databases.exclude) > 0, "--exclude-database needs --all-databases"},
		{o.databases.all && len(args) > 0, "--all-databases and the name of a database cannot be used together; -d names one to connect to first"},
		{o.databases.all && chosen, "--all-databases takes all of each database: no choice of schemas, tables and extensions"},
		{o.databases.all && o.volumes.volumes != "", "--all-databases and --volumes cannot be used together: all databases go into one file"},
		{o.databases.all && !inOne, "--all-databases is for -F pgark and -F plain: pg_dump's other formats hold one database"},
		{o.databases.all && o.snapshot != "", "--all-databases and --snapshot cannot be used together: a snapshot is of one database"},
		{o.databases.all && o.plain.create, "-C/--create is for one database: with --all-databases all are created"},
		{o.rolePasswords && !o.globals && !o.databases.all, "--role-passwords needs --globals or --all-databases"},
	} {
		if pair.wrong {
			return usagef("%s", pair.text)
		}
	}
	return nil
}

// runAll dumps all databases.
func (o *dumpOptions) runAll(ctx context.Context) error {
	begun := time.Now()
	if o.conn.dbname == "" {
		o.conn.dbname = "postgres"
	}
	first, err := o.conn.discover(ctx, o.app)
	if err != nil {
		return o.beforeOutput(ctx, err)
	}
	name := o.file
	if name == "" {
		name = defaultName("all-databases", begun, o.stock.extension())
	}
	out, err := o.stock.create(o.app, name, o.force)
	if err != nil {
		return err
	}
	defer out.discard()
	m := o.app.startMeter("dumped")
	options := o.allEngine(first, m)
	var result *fanout.ClusterDumpResult
	if o.stock.stock() {
		result, err = fanout.DumpClusterScript(ctx, out.Out, options, o.stock.script.engine(fanout.PlanOptions{Clean: o.plain.clean, IfExists: o.plain.ifExists}))
	} else {
		result, err = fanout.DumpCluster(ctx, out.file, options)
	}
	m.end()
	if err == nil {
		err = out.commit(ctx)
	}
	if err != nil {
		return &stateError{err: err, state: out.leftover()}
	}
	if o.stock.stock() {
		result.Summary.Bytes = uint64(max(out.file.written, 0))
	}
	return o.summaryAll(result, name, time.Since(begun))
}

func (o *dumpOptions) allEngine(first *topology.Cluster, m *meter) fanout.ClusterDumpOptions {
	dump := o.engine(nil)
	dump.Progress = m
	dump.Globals = false // they come once
	return fanout.ClusterDumpOptions{
		Server: first.Coordinator.Config, ExcludeDatabases: o.databases.exclude, Dump: dump,
		Discover: func(ctx context.Context, cfg *wire.Config) (*fanout.Cluster, error) {
			return topology.Discover(ctx, cfg, o.conn.nodes.options(o.app))
		},
		Done: func(d *fanout.DatabaseDump) {
			s := &d.Result.Summary
			o.app.tell("database %s: %s, %s, %s of rows, route %s, promise %s", visible(d.Name), plural(uint64(d.Result.Tables), "table"),
				plural(s.Rows, "row"), humanBytes(s.RawBytes), d.Result.Route, d.Result.Promise)
		},
	}
}

// dumpedDatabase is one of several databases in the JSON summary.
type dumpedDatabase struct {
	Database string `json:"database"`
	Tables   int    `json:"tables"`
	Rows     uint64 `json:"rows"`
	RawBytes uint64 `json:"raw_bytes"`
	Bytes    uint64 `json:"bytes"`
	Route    string `json:"route"`
	Reason   string `json:"route_reason"`
	Promise  string `json:"promise"`
	Moment   string `json:"moment"`
	Root     string `json:"root_digest"`
}

// summaryAll tells what was written of all databases.
func (o *dumpOptions) summaryAll(r *fanout.ClusterDumpResult, name string, took time.Duration) error {
	for _, w := range r.Warnings {
		o.app.say("warning: %s", visible(w))
	}
	label := name
	if name == "-" {
		label = "standard output"
	}
	s := r.Summary
	o.app.tell("wrote %s: %s, %s, %s of rows in %s, with %s of roles and tablespaces, in %s", label, plural(uint64(len(r.Databases)), "database"),
		plural(s.Rows, "row"), humanBytes(s.RawBytes), humanBytes(s.Bytes), plural(uint64(r.Globals), "object"), humanDuration(took))
	if !o.json {
		return nil
	}
	root := func(b [32]byte) string {
		if o.stock.stock() {
			return ""
		}
		return fmt.Sprintf("%x", b)
	}
	databases := []dumpedDatabase{}
	for i := range r.Databases {
		d := r.Databases[i].Result
		databases = append(databases, dumpedDatabase{
			r.Databases[i].Name, d.Tables, d.Summary.Rows, d.Summary.RawBytes, d.Summary.Bytes, d.Route, d.RouteReason, d.Promise,
			d.Moment.UTC().Format(time.RFC3339Nano), root(d.Summary.Root),
		})
	}
	return quietPipe(writeJSON(o.app.stdout, struct {
		File      string           `json:"file"`
		Databases []dumpedDatabase `json:"databases"`
		Globals   int              `json:"globals"`
		Rows      uint64           `json:"rows"`
		RawBytes  uint64           `json:"raw_bytes"`
		Bytes     uint64           `json:"bytes"`
		Root      string           `json:"root_digest"`
		Warnings  []string         `json:"warnings"`
		Seconds   float64          `json:"seconds"`
	}{name, databases, r.Globals, s.Rows, s.RawBytes, s.Bytes, root(s.Root), append([]string{}, r.Warnings...), took.Seconds()}))
}
