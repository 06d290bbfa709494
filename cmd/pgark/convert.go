package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
)

// convertOptions are the flags of `pgark convert`.
type convertOptions struct {
	app      *app
	file     string
	force    bool
	compress string
	jobs     int
	json     bool

	rolePasswords bool
	asIs          bool
	noStatistics  bool

	stock   stockOptions
	plain   plainOptions
	volumes setOptions
	sources sourceOptions
}

const convertLong = `Write an archive or a dump in another format, without a database: from an archive of pgark (also a set of volumes), a dump of pg_dump
in any of its formats, or a set of gpbackup, to pgark's format or any of pg_dump's. Rows are recompressed on all cores. An archive of all
databases becomes the script of pg_dumpall (-F plain), and such a script an archive; --database takes one out of it.

To pgark's format all rows are read and digested: what comes out is verified and restored like any other archive. What the source's
format could not prove stays unproven up to then.

The versions of pg_dump's formats are converted, too; from custom to custom --as-is copies the data as it is compressed. What the older one can't hold is left out, and named; what would not be the same
without it is refused. Converting the same archive twice gives the same bytes in pg_dump's formats.`

const convertExample = `  pgark convert shop.pgark -f shop.dump -F custom                  # for any pg_restore
  pgark convert shop.pgark -f shop.dir -F directory -Z zstd:3 -j 8 # for pg_restore 16 and later
  pgark convert new.dump -f old.dump -F custom --archive-version 1.14
  pgark convert /backup/gpbackup --timestamp 20260102030405 -f shop.pgark
  pgark convert shop.pgark -f - -F plain | psql copy`

func newConvert(a *app) *cobra.Command {
	o := &convertOptions{app: a}
	cmd := &cobra.Command{
		Use:         "convert [flags] IN -f OUT -F FORMAT",
		Short:       "write an archive or a dump in another format",
		Long:        convertLong,
		Example:     convertExample,
		Annotations: exitCodes(""),
		Args:        args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			f := cmd.Flags()
			if o.file == "" {
				return usagef("-f OUT is missing: the file to write")
			}
			if o.json && o.file == "-" {
				return usagef("--json and -f - cannot be used together: both write to standard output")
			}
			if err := validateJobs(f, o.jobs); err != nil {
				return err
			}
			if err := o.stock.validate(f, o.compress); err != nil {
				return err
			}
			if err := o.plain.validate(o.stock.format); err != nil {
				return err
			}
			if err := o.sources.validate(); err != nil {
				return err
			}
			if o.asIs && (f.Changed("compress") || f.Changed("intra-table") || o.stock.format != fanout.FormatCustom) {
				return usagef("--as-is is for -F custom, and neither for -Z nor for --intra-table: data stays as it is compressed")
			}
			if o.rolePasswords && o.stock.stock() {
				return usagef("--role-passwords is for -F pgark: pg_dump's formats have no roles")
			}
			return o.Run(cmd.Context(), args[0])
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "file", "f", "", "write to `OUT`; - is standard output")
	f.BoolVar(&o.force, "force", false, "replace OUT if it exists")
	f.StringVarP(&o.compress, "compress", "Z", "zstd", "`CODEC[:LEVEL]`: none, zstd, lz4, xz, gzip, or what else pg_dump takes, such as zstd:level=3,long or a level alone, which means gzip, and 0 none; custom and directory take gzip by default")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "`N` pieces that are compressed at once (default one per core, 8 at most)")
	f.BoolVar(&o.json, "json", false, "print a summary as JSON")
	f.BoolVar(&o.rolePasswords, "role-passwords", false, "of a set of gpbackup or a script of pg_dumpall, to pgark's format: keep the hashes of the roles' passwords")
	f.BoolVar(&o.asIs, "as-is", false, "from custom to custom: keep the data as it is compressed, and copy it without reading what is in it")
	f.BoolVar(&o.noStatistics, "no-statistics", false, "leave out the planner's statistics")
	o.stock.addFlags(f, formatPgark)
	o.plain.addFlags(f)
	o.volumes.addFlags(f)
	o.sources.addFlags(f, &o.volumes)
	return cmd
}

// Run converts.
func (o *convertOptions) Run(ctx context.Context, path string) error {
	begun := time.Now()
	if o.volumes.severalIn(path) {
		return o.convertSeveral(ctx, path, begun)
	}
	src, err := o.sources.open(ctx, path, nil)
	if err != nil {
		return err
	}
	var a *archive.File
	if src == nil {
		if a, err = o.volumes.open(path); err != nil {
			return err
		}
		defer a.Close()
	} else {
		defer src.Close()
		for _, w := range src.Description().Warnings {
			o.app.say("warning: %s", visible(w))
		}
	}
	if o.asIs {
		if src == nil || src.Description().Format != fanout.FormatCustom {
			return usagef("--as-is is for a custom archive of pg_dump, and %s is none", quoteArg(path))
		}
		if o.stock.codec, o.stock.level, err = parseCompress(src.Description().Codec, o.stock.format); err != nil {
			return err
		}
	}
	m := o.app.startMeter("converted")
	var sum *fanout.StockSummary
	if o.stock.stock() {
		sum, err = o.toStock(ctx, a, src, m)
	} else {
		sum, err = o.toPgark(ctx, a, src, m)
	}
	m.end()
	if err != nil {
		return err
	}
	return o.summary(sum, time.Since(begun))
}

// toStock writes a format of pg_dump.
func (o *convertOptions) toStock(ctx context.Context, a *archive.File, src archive.Source, m *meter) (*fanout.StockSummary, error) {
	out, err := o.stock.create(o.app, o.file, o.force)
	if err != nil {
		return nil, err
	}
	defer out.discard()
	options := o.stock.engine(jobsOrDefault(o.jobs), fanout.PlanOptions{Create: o.plain.create, Clean: o.plain.clean, IfExists: o.plain.ifExists})
	options.AsIs, options.NoStatistics = o.asIs, o.noStatistics
	var sum *fanout.StockSummary
	if src != nil {
		options.Created = src.Description().Created
		sum, err = fanout.ConvertSource(ctx, src, out.StockTarget, options, m)
	} else {
		options.Created = a.Header().Created
		sum, err = fanout.ConvertArchive(ctx, a.Reader, out.StockTarget, options, m)
	}
	if err == nil {
		err = out.commit(ctx)
	}
	if err != nil {
		return nil, &stateError{err: err, state: out.leftover()}
	}
	return sum, nil
}

// convertSeveral converts all databases of an archive or a script.
func (o *convertOptions) convertSeveral(ctx context.Context, path string, begun time.Time) error {
	to := map[string]func(context.Context, severalDatabases) (*fanout.StockSummary, error){
		formatPgark: o.severalToPgark, fanout.FormatPlain: o.severalToScript,
	}[o.stock.format]
	switch {
	case to == nil:
		return withHint(usagef("format %s is for one database, and %s has several", o.stock.format, quoteArg(path)),
			"--database NAME takes one; -F pgark and -F plain take all of them")
	case o.plain.create:
		return usagef("-C/--create is for one database: all of %s are created", quoteArg(path))
	}
	c, err := openSeveral(ctx, path)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := o.app.warn(c); err != nil {
		return err
	}
	sum, err := to(ctx, c)
	if err != nil {
		return err
	}
	return o.summary(sum, time.Since(begun))
}

// severalToScript writes the script of pg_dumpall.
func (o *convertOptions) severalToScript(ctx context.Context, c severalDatabases) (*fanout.StockSummary, error) {
	out, err := o.stock.create(o.app, o.file, o.force)
	if err != nil {
		return nil, err
	}
	defer out.discard()
	script := o.stock.script.engine(fanout.PlanOptions{Clean: o.plain.clean, IfExists: o.plain.ifExists, NoStatistics: o.noStatistics})
	script.Warn = func(message string) { o.app.say("warning: %s", message) }
	err = fanout.WriteClusterScript(ctx, out.Out, c, fanout.ClusterScriptOptions{Script: script, OpenSource: c.source()})
	if err == nil {
		err = out.commit(ctx)
	}
	if err != nil {
		return nil, &stateError{err: err, state: scriptLeftover(out.file)}
	}
	sum := &fanout.StockSummary{Bytes: uint64(max(out.file.written, 0))}
	for _, d := range c.Databases() {
		sum.RawBytes += d.RawBytes
	}
	return sum, nil
}

// severalToPgark writes an archive of pgark.
func (o *convertOptions) severalToPgark(ctx context.Context, c severalDatabases) (*fanout.StockSummary, error) {
	m := o.app.startMeter("converted")
	defer m.end()
	return o.writePgark(ctx, m, func(w io.Writer, options fanout.ImportOptions) (archive.Summary, error) {
		return fanout.ImportCluster(ctx, c, w, fanout.ClusterImportOptions{
			Import: options, OpenSource: c.source(),
			Started: func(name string, number, of int) {
				m.Note(fmt.Sprintf("database %s (%d of %d)", visible(c.decoder().String(name)), number, of))
			},
		})
	})
}

// toPgark writes an archive of pgark.
func (o *convertOptions) toPgark(ctx context.Context, a *archive.File, src archive.Source, m *meter) (*fanout.StockSummary, error) {
	return o.writePgark(ctx, m, func(w io.Writer, options fanout.ImportOptions) (archive.Summary, error) {
		if src != nil {
			return fanout.ImportSource(ctx, src, w, options)
		}
		return fanout.ImportArchive(ctx, a.Reader, w, options)
	})
}

// writePgark has a file, which appears under its name once it is whole, written.
func (o *convertOptions) writePgark(ctx context.Context, m *meter, write func(io.Writer, fanout.ImportOptions) (archive.Summary, error)) (*fanout.StockSummary, error) {
	out, err := o.app.createOut(o.file, o.force)
	if err != nil {
		return nil, err
	}
	defer out.Discard()
	sum, err := write(out, fanout.ImportOptions{
		Codec: o.stock.codec, Level: o.stock.level, Jobs: jobsOrDefault(o.jobs), Tool: toolName, Progress: m, RolePasswords: o.rolePasswords, NoStatistics: o.noStatistics,
	})
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = out.Commit()
	}
	if err != nil {
		return nil, &stateError{err: err, state: leftover(out, "archive")}
	}
	return &fanout.StockSummary{Rows: sum.Rows, RawBytes: sum.RawBytes, Bytes: sum.Bytes}, nil
}

// summary tells what was written.
func (o *convertOptions) summary(sum *fanout.StockSummary, took time.Duration) error {
	for _, n := range sum.Notes {
		o.app.say("note: %s", visible(n))
	}
	label := o.file
	if label == "-" {
		label = "standard output"
	}
	format := o.stock.format
	if sum.Version != "" {
		format += " " + sum.Version
	}
	if o.asIs {
		o.app.tell("wrote %s: format %s, %s, its data copied as it was, in %s", label, format, humanBytes(sum.Bytes), humanDuration(took))
	} else {
		o.app.tell("wrote %s: format %s, %s of rows in %s, in %s", label, format, humanBytes(sum.RawBytes), humanBytes(sum.Bytes), humanDuration(took))
	}
	if !o.json {
		return nil
	}
	return quietPipe(writeJSON(o.app.stdout, struct {
		File     string   `json:"file"`
		Format   string   `json:"format"`
		Version  string   `json:"format_version"`
		RawBytes uint64   `json:"raw_bytes"`
		Bytes    uint64   `json:"bytes"`
		Notes    []string `json:"notes"`
		Seconds  float64  `json:"seconds"`
	}{o.file, o.stock.format, sum.Version, sum.RawBytes, sum.Bytes, append([]string{}, sum.Notes...), took.Seconds()}))
}
