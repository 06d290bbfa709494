package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/verify"
)

// verifyOptions are the flags of `pgark verify`.
type verifyOptions struct {
	app     *app
	conn    connOptions
	volumes remoteOptions
	sources sourceOptions
	jobs    int
	quick   bool
	json    bool
}

const verifyLong = `Read all of an archive and prove it whole: frames, checksums, index, catalog, row counts, the digest of every table, and
the root digest that changes if any bit anywhere changes. --quick reads structure and index only.

With -d, also read every table of the archive from a live database, at one moment, and compare the digests. What the
database has and the archive has not is no difference. Floats are compared as values, whatever digits a server prints;
only where they are inside composite types, or in a dump without definitions, and one of the servers is older than
PostgreSQL 12, can't they be: class incomparable.

Of a set of volumes, given by its lead volume, all volumes are read; one that is missing or another one is a finding, with the
tables that have rows in it. Another volume of a set can be verified by itself. With --start each volume is checked on its own host,
all at the same time, and only what was found crosses the network; --start db has a Greenplum or Cloudberry run the checks, and needs
to know how to reach it (-h, -p, -U; -d also compares).

Of an archive of all databases all of it is read, or the one that --database names. -d compares each with the database of its
name on that server, or with --database the one.

Of dumps of pg_dump and sets of gpbackup all rows are read, and what their formats let be seen is checked: structure, the codec's own
checksums, whole rows with the right number of fields, numbers of rows where they are recorded. What a format can't prove is said.
-d compares them with a database, as it does archives of pgark.

--json prints {"ok", "tables", "rows", "blocks", "bytes", "findings": [{"class", "volume", "offset", "table", "block",
"message"}]}; offset and block are -1 where a finding concerns none.`

func newVerify(a *app) *cobra.Command {
	o := &verifyOptions{app: a}
	cmd := &cobra.Command{
		Use:         "verify [flags] ARCHIVE",
		Short:       "prove an archive whole, or compare it with a database",
		Long:        verifyLong,
		Example:     "  pgark verify shop.pgark\n  pgark verify --quick --json shop.pgark\n  pgark verify -d shop shop.pgark\n  pgark verify --start ssh lead.pgark",
		Annotations: exitCodes("found damage, or a difference"),
		Args:        args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.conn.validate(cmd.Flags()); err != nil {
				return err
			}
			if err := validateJobs(cmd.Flags(), o.jobs); err != nil {
				return err
			}
			if err := o.volumes.validate(cmd.Flags()); err != nil {
				return err
			}
			if err := o.sources.validate(); err != nil {
				return err
			}
			return o.Run(cmd.Context(), args[0])
		},
	}
	f := cmd.Flags()
	o.conn.addFlags(f, "also compare with this `database`")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "`N` blocks, or tables of the database, at once (default one per core, 8 at most)")
	f.BoolVar(&o.quick, "quick", false, "structure and index only, no rows")
	f.BoolVar(&o.json, "json", false, "print JSON")
	o.sources.addFlags(f, &o.volumes.setOptions)
	o.volumes.addFlags(f, startUsage("check", startNone, startSSH, startDB), startNone, startSSH, startDB)
	return cmd
}

// Run checks the archive, then compares.
func (o *verifyOptions) Run(ctx context.Context, path string) error {
	if o.volumes.database == "" && isClusterScript(path) {
		return o.verifyScript(ctx, path)
	}
	src, err := o.sources.open(ctx, path, nil)
	if isDamage(err) {
		return o.tooDamaged(path, err)
	}
	if err != nil {
		return err
	}
	if src != nil {
		defer src.Close()
		return o.verifySource(ctx, path, src)
	}
	several := o.volumes.severalIn(path)
	report, remote, err := o.check(ctx, path)
	if err != nil {
		return err
	}
	if remote != nil {
		defer remote.Close()
	}
	var compared *verify.Report
	switch {
	case o.conn.given && several:
		compared, err = o.compareEach(ctx, path, report)
	case o.conn.given:
		compared, err = o.compare(ctx, path, remote, report)
	}
	if err != nil {
		return err
	}
	if several || o.volumes.database != "" && archive.IsCluster(path) {
		texts := databaseTexts(path)
		decodeEach(report, texts)
		decodeEach(compared, texts)
	} else {
		text := archiveText(path, archive.OpenOptions{LeadOnly: true})
		decodeFindings(report, text)
		decodeFindings(compared, text)
	}
	if o.json {
		if compared != nil {
			report.Merge(compared)
		}
		if err := quietPipe(writeJSON(o.app.stdout, report)); err != nil {
			return err
		}
	} else if err := o.print(path, report, compared); err != nil {
		return err
	}
	n := len(report.Findings)
	if compared != nil && !o.json {
		n += len(compared.Findings)
	}
	if n > 0 {
		return withHint(&foundError{message: fmt.Sprintf("%s: %s", path, plural(uint64(n), "finding"))}, o.hint(path, report))
	}
	return nil
}

// hint says what can be done about volumes that are not here, "" if nothing.
func (o *verifyOptions) hint(path string, report *verify.Report) string {
	missing := func(f verify.Finding) bool { return f.Class == archive.ClassMissing }
	if o.volumes.start != startNone || !slices.ContainsFunc(report.Findings, missing) {
		return ""
	}
	_, err := archive.OpenWith(path, archive.OpenOptions{VolumeDir: o.volumes.dir})
	if !o.volumes.elsewhere(path, err) {
		return ""
	}
	return "the volumes are on other hosts: --start ssh, or --start db, checks them there"
}

// check checks the archive: here, or each volume on its host. Then it also returns the set as it can be seen from here.
func (o *verifyOptions) check(ctx context.Context, path string) (*verify.Report, *fanout.Remote, error) {
	m := o.app.startMeter("verified")
	defer m.end()
	if !o.quick {
		size, err := archiveSize(path)
		if err != nil {
			return nil, nil, err
		}
		m.Plan(0, size)
	}
	options := verify.Options{Volume: filepath.Base(path), Jobs: jobsOrDefault(o.jobs), Quick: o.quick, Log: o.app.logger()}
	var remote *fanout.Remote
	if o.volumes.start != startNone {
		var err error
		if remote, options.Members, err = o.checkRemote(ctx, path, m); err != nil {
			return nil, nil, err
		}
	}
	open := o.volumes.all()
	open.Database = o.volumes.rawName(path)
	open.Through = m.through
	report, err := verify.Files(ctx, path, open, options)
	if err != nil && remote != nil {
		err = closeAfter(remote, err)
	}
	return report, remote, err
}

// checkRemote has workers check the volumes. nil, without an error, if the archive is no set, or its list of volumes is damaged:
// then there is nothing to start workers for, and the check of the archive itself says why.
func (o *verifyOptions) checkRemote(ctx context.Context, path string, m *meter) (*fanout.Remote, map[uint32]*archive.MemberCheck, error) {
	a, err := archive.OpenWith(path, archive.OpenOptions{LeadOnly: true})
	switch {
	case errors.Is(err, archive.ErrDamaged), errors.Is(err, archive.ErrTruncated), errors.Is(err, archive.ErrNotArchive):
		return nil, map[uint32]*archive.MemberCheck{}, nil
	case err != nil:
		return nil, nil, pathError(path, err)
	}
	defer a.Close()
	if !a.IsSet() {
		return nil, nil, usagef("--start is for sets of volumes, and %s is one file", visible(path))
	}
	var cluster *fanout.Cluster
	if o.volumes.start == startDB {
		conn := o.conn
		if !conn.given {
			conn.dbname = a.Header().Database
		}
		if cluster, err = conn.discover(ctx, o.app); err != nil {
			return nil, nil, err
		}
	}
	r, err := o.volumes.engine(path, cluster, jobsOrDefault(o.jobs), m)
	if err != nil {
		return nil, nil, err
	}
	return fanout.CheckRemote(ctx, path, r, o.quick)
}

// archiveSize is the length of an archive, of a set of all volumes that it should have.
func archiveSize(path string) (uint64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	size := uint64(info.Size())
	if a, err := archive.OpenWith(path, archive.OpenOptions{LeadOnly: true}); err == nil {
		defer a.Close()
		for _, v := range a.Volumes() {
			size += v.Bytes
		}
	}
	return size, nil
}

// compare reads the database. An archive that is too damaged to be opened has been reported, and can't be compared.
func (o *verifyOptions) compare(ctx context.Context, path string, remote *fanout.Remote, report *verify.Report) (*verify.Report, error) {
	a, err := o.wholeArchive(path, remote)
	if err != nil {
		if len(report.Findings) > 0 {
			o.app.say("not compared with the database: %v", err)
			return nil, nil
		}
		return nil, pathError(path, err)
	}
	defer a.Close()
	cluster, err := o.conn.discover(ctx, o.app)
	if err != nil {
		return nil, err
	}
	m := o.app.startMeter("compared")
	defer m.end()
	compared, err := verify.Database(ctx, a.Reader, cluster, verify.Options{
		Jobs: jobsOrDefault(o.jobs), Progress: m, Log: o.app.logger(),
	})
	if err != nil && errors.Is(err, archive.ErrDamaged) && len(report.Findings) > 0 {
		o.app.say("not compared with the database: %v", err)
		return nil, nil
	}
	return compared, err
}

// wholeArchive opens the archive for a comparison, for which nothing may be absent.
func (o *verifyOptions) wholeArchive(path string, remote *fanout.Remote) (*openedSet, error) {
	if remote != nil {
		return &openedSet{Reader: remote.Reader, close: func() error { return nil }}, remote.SetMissing()
	}
	a, err := openNamed(path, o.volumes.all())
	if err != nil {
		return nil, err
	}
	return &openedSet{Reader: a.Reader, close: a.Close}, nil
}

// print shows the outcome to people; with --quiet only what is wrong.
func (o *verifyOptions) print(path string, report, compared *verify.Report) error {
	out := &errWriter{w: o.app.stdout}
	for _, f := range report.Findings {
		fmt.Fprintf(out, "%s\n", findingLine(f))
	}
	if compared != nil {
		for _, f := range compared.Findings {
			fmt.Fprintf(out, "%s\n", findingLine(f))
		}
	}
	if report.OK && !o.app.quiet {
		what := "read and whole"
		if o.quick {
			what = "structure and index are whole, rows not read"
		}
		if m, err := archive.MemberAt(path); err == nil && m.Number > 0 {
			what = fmt.Sprintf("volume %d of a set, %s", m.Number, what)
		}
		fmt.Fprintf(out, "%s: %s: %s, %s, %s, %s\n", path, what, plural(uint64(report.Tables), "table"),
			plural(report.Rows, "row"), plural(uint64(report.Blocks), "block"), humanBytes(report.Bytes))
	}
	if compared != nil && compared.OK && !o.app.quiet {
		fmt.Fprintf(out, "%s: the same as the database: %s, %s\n", path, plural(uint64(compared.Tables), "table"),
			plural(compared.Rows, "row"))
	}
	return quietPipe(out.err)
}

// decodeFindings turns what findings say, in the encoding of the archived database, into UTF-8. What those on whole volumes
// say is UTF-8 already: hosts, paths and nodes.
func decodeFindings(r *verify.Report, text textDecoder) {
	if r == nil {
		return
	}
	for i := range r.Findings {
		decodeFinding(&r.Findings[i], text)
	}
}

func decodeFinding(f *verify.Finding, text textDecoder) {
	f.Table = text.String(f.Table)
	if f.Class != archive.ClassMissing && f.Class != archive.ClassVolume && f.Class != archive.ClassUnchecked {
		f.Message = text.String(f.Message)
	}
}

// findingLine says what, where and in which table.
func findingLine(f verify.Finding) string {
	where := ""
	if f.Volume != "" {
		where += visible(f.Volume)
	}
	if f.Offset >= 0 {
		where += fmt.Sprintf(" at offset %d", f.Offset)
	}
	if f.Database != "" {
		if where != "" {
			where += ", "
		}
		where += "database " + visible(f.Database)
	}
	if f.Table != "" {
		if where != "" {
			where += ", "
		}
		where += "table " + visible(f.Table)
	}
	if f.Block >= 0 {
		where += fmt.Sprintf(" block %d", f.Block)
	}
	if where != "" {
		where += ": "
	}
	return where + f.Class + ": " + visible(f.Message)
}
