package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/gpbackup"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/verify"
	"github.com/pgark/pgark/wire"
)

// contents is what commands do something with: an archive of pgark (*archive.Reader), or a dump of another program
// (archive.Source).
type contents interface {
	Catalog() (*archive.Catalog, error)
	Moment() (*archive.Moment, error)
}

// sourceStreams are all streams of a dump of another program, in the order of its catalog.
func sourceStreams(src archive.Source, cat *archive.Catalog) []archive.Stream {
	var all []archive.Stream
	for i := range cat.Entries {
		all = append(all, src.TableStreams(cat.Entries[i].ID)...)
	}
	return all
}

// refusedTable says of a table of this name whose rows a dump holds, but does not give, why; nil if there is none.
func refusedTable(name string, src archive.Source, cat *archive.Catalog, text textDecoder) error {
	r, ok := src.(archive.RowRefuser)
	if !ok {
		return nil
	}
	for _, match := range nameMatchers(name) {
		for i := range cat.Entries {
			e := &cat.Entries[i]
			if err := r.Refused(e.ID); err != nil && match(text.String(e.Schema), text.String(e.Name)) {
				return fmt.Errorf("table %s: %w", visible(quotedName(text.String(e.Schema), text.String(e.Name))), err)
			}
		}
	}
	return nil
}

// describeSource prints the list or the plan of a dump of another program.
func (o *restoreOptions) describeSource(src archive.Source, err error) error {
	if err != nil {
		return err
	}
	defer src.Close()
	if err := o.aim(src); err != nil {
		return err
	}
	if o.list {
		return printTOC(o.app.stdout, src, o.planOptions())
	}
	return o.printPlan(src)
}

// scriptSource writes a dump of another program as SQL for psql.
func (o *restoreOptions) scriptSource(ctx context.Context, src archive.Source, err error) error {
	if err != nil {
		return err
	}
	defer src.Close()
	return o.script(ctx, src, fanout.ForeignSource(src))
}

// restoreSource loads a dump of another program into the database.
func (o *restoreOptions) restoreSource(ctx context.Context, src archive.Source, err error, begun time.Time) error {
	if err != nil {
		return err
	}
	defer src.Close()
	cluster, err := o.discover(ctx)
	if err != nil {
		return err
	}
	if err := o.chooseTranslation(src, cluster); err != nil {
		return err
	}
	if err := o.aim(src); err != nil {
		return err
	}
	for _, w := range src.Description().Warnings {
		o.app.say("warning: %s", visible(w))
	}
	if part, ok := src.(*scriptPart); ok && o.globals {
		plan, err := o.plan(src)
		if err != nil { // before anything is changed
			return refusal(src, err)
		}
		if err := o.makeGlobalsOf(ctx, part.script, plan, cluster); err != nil {
			return err
		}
		o.globals = false // its own catalog has none
	}
	cat, err := src.Catalog()
	if err != nil {
		return err
	}
	m := o.app.startMeter("restored")
	r, err := fanout.RestoreSource(ctx, src, o.engine(cluster, m, cat))
	m.end()
	if err != nil {
		return refusal(src, err)
	}
	var compared *verify.Report
	if o.verify {
		survey, err := verify.NewSurvey(src, r.Sent)
		if err != nil {
			return err
		}
		if compared, err = o.readBack(ctx, survey, cluster.Coordinator.Config.With(wire.Overrides{Database: r.Database}), r); err != nil {
			return fmt.Errorf("restored, but not verified: %w", err)
		}
	}
	return o.conclude(src, r, compared, begun)
}

// verifySource checks a dump of another program, as far as its format lets it be, and compares it with a database.
func (o *verifyOptions) verifySource(ctx context.Context, path string, src archive.Source) error {
	if o.volumes.start != startNone {
		return usagef("--start is for sets of volumes of pgark, and %s is a dump of %s", visible(path), src.Description().Program)
	}
	report, survey, err := o.checkSource(ctx, path, src)
	if err != nil {
		return err
	}
	var compared *verify.Report
	if o.conn.given {
		cluster, err := o.conn.discover(ctx, o.app)
		if err != nil {
			return err
		}
		m := o.app.startMeter("compared")
		compared, err = verify.Database(ctx, survey, cluster, verify.Options{Jobs: jobsOrDefault(o.jobs), Progress: m, Log: o.app.logger()})
		m.end()
		if err != nil {
			return err
		}
	}
	cat, err := src.Catalog()
	if err != nil {
		return err
	}
	text := newTextDecoder(cat.Encoding)
	decodeFindings(report, text)
	decodeFindings(compared, text)
	return o.concludeSource(path, src.Description(), report, compared)
}

// checkSource reads a dump of another program, or one of several databases in it.
func (o *verifyOptions) checkSource(ctx context.Context, path string, src archive.Source) (*verify.Report, *verify.Survey, error) {
	m := o.app.startMeter("verified")
	defer m.end()
	report, survey, err := verify.Source(ctx, src, verify.Options{
		Volume: filepath.Base(path), Jobs: jobsOrDefault(o.jobs), Quick: o.quick && !o.conn.given, Progress: m, Log: o.app.logger(),
	})
	if err != nil {
		return nil, nil, pathError(path, err)
	}
	return report, survey, nil
}

// concludeSource shows the outcome, and turns it into an exit code.
func (o *verifyOptions) concludeSource(path string, d archive.Description, report, compared *verify.Report) error {
	if err := quietPipe(o.printSource(path, d, report, compared)); err != nil {
		return err
	}
	n := len(report.Findings)
	if compared != nil && !o.json {
		n += len(compared.Findings)
	}
	if n > 0 {
		return &foundError{message: fmt.Sprintf("%s: %s", path, plural(uint64(n), "finding"))}
	}
	return nil
}

// isDamage tells whether a dump of another program can't be opened because of what it holds.
func isDamage(err error) bool {
	for _, damage := range []error{pgdump.ErrTruncated, pgdump.ErrDamaged, gpbackup.ErrIncomplete, gpbackup.ErrDamaged} {
		if errors.Is(err, damage) {
			return true
		}
	}
	return false
}

// tooDamaged reports a dump that is too damaged to be opened.
func (o *verifyOptions) tooDamaged(path string, err error) error {
	finding := verify.Finding{Class: verify.ClassDamaged, Volume: filepath.Base(path), Offset: -1, Block: -1, Message: err.Error()}
	var where *pgdump.FormatError
	var script *pgdump.ScriptError
	switch {
	case errors.As(err, &where):
		finding.Offset = where.Offset
	case errors.As(err, &script):
		finding.Offset = script.Offset
	}
	var wrong error
	if o.json {
		wrong = writeJSON(o.app.stdout, &verify.Report{Findings: []verify.Finding{finding}})
	} else {
		_, wrong = fmt.Fprintf(o.app.stdout, "%s\n", findingLine(finding))
	}
	if err := quietPipe(wrong); err != nil {
		return err
	}
	return &foundError{message: path + ": 1 finding"}
}

// printSource shows the outcome, and says what could not be proven.
func (o *verifyOptions) printSource(path string, d archive.Description, report, compared *verify.Report) error {
	if o.json {
		if compared != nil {
			report.Merge(compared)
		}
		return writeJSON(o.app.stdout, struct {
			*verify.Report
			Format   string   `json:"format"`
			Unproven []string `json:"unproven"`
			Warnings []string `json:"warnings"`
		}{report, d.Format, append([]string{}, d.Unproven...), append([]string{}, d.Warnings...)})
	}
	out := &errWriter{w: o.app.stdout}
	for _, r := range []*verify.Report{report, compared} {
		if r == nil {
			continue
		}
		for _, f := range r.Findings {
			fmt.Fprintf(out, "%s\n", findingLine(f))
		}
	}
	if !o.app.quiet {
		for _, w := range d.Warnings {
			o.app.say("warning: %s", visible(w))
		}
		if report.OK {
			what := "read to the end, nothing wrong was found"
			if o.quick && !o.conn.given {
				what = "its structure is right, rows not read"
			}
			fmt.Fprintf(out, "%s: %s: %s, %s, %s of rows\n", path, what, plural(uint64(report.Tables), "table"), plural(report.Rows, "row"), humanBytes(report.Bytes))
		}
		for _, u := range d.Unproven {
			fmt.Fprintf(out, "%s: not proven: %s\n", path, visible(u))
		}
		if compared != nil && compared.OK {
			fmt.Fprintf(out, "%s: the same as the database: %s, %s\n", path, plural(uint64(compared.Tables), "table"), plural(compared.Rows, "row"))
		}
	}
	return out.err
}

// sourceInspection is the description of a dump of another program. Its JSON has the fields of that of an archive, as far as the
// format tells them.
type sourceInspection struct {
	Format        string            `json:"format"`
	FormatVersion string            `json:"format_version"`
	Created       time.Time         `json:"created"`
	Tool          string            `json:"tool"`
	DBName        string            `json:"dbname"`
	Encoding      string            `json:"encoding"`
	ServerVersion string            `json:"server_version"`
	Product       string            `json:"product"`
	PgDumpVersion string            `json:"pg_dump_version"`
	Moment        time.Time         `json:"moment"`
	Route         string            `json:"route"`
	Promise       string            `json:"promise"`
	RouteReason   string            `json:"route_reason"`
	Settings      map[string]string `json:"settings"`
	Codec         string            `json:"codec"`
	Volumes       []sourceVolume    `json:"volumes"`
	Nodes         []inspectNode     `json:"nodes"`
	Objects       int               `json:"objects"`
	Tables        int               `json:"tables"`
	Rows          *uint64           `json:"rows"` // null, as what follows: these formats do not tell
	RawBytes      *uint64           `json:"raw_bytes"`
	StoredBytes   uint64            `json:"stored_bytes"`
	RootDigest    *string           `json:"root_digest"`
	Streams       []sourceStream    `json:"streams"`
	Unproven      []string          `json:"unproven"`
	Warnings      []string          `json:"warnings"`
}

type sourceVolume struct {
	Name  string `json:"name"`
	Bytes uint64 `json:"bytes"`
	Files int    `json:"files"`
}

type sourceStream struct {
	ID          uint32 `json:"id"`
	Schema      string `json:"schema"`
	Table       string `json:"table"`
	Node        uint32 `json:"node"`
	StoredBytes uint64 `json:"stored_bytes"` // 0 where it is not known
}

// inspectSource prints what a dump of another program is.
func (o *inspectOptions) inspectSource(path string, src archive.Source) error {
	if o.blocks {
		return usagef("--blocks is for archives of pgark: a dump of %s has none", src.Description().Program)
	}
	in, err := newSourceInspection(path, src)
	if err != nil {
		return pathError(path, err)
	}
	return o.show(in)
}

func newSourceInspection(path string, src archive.Source) (*sourceInspection, error) {
	cat, err := src.Catalog()
	if err != nil {
		return nil, err
	}
	moment, err := src.Moment()
	if err != nil {
		return nil, err
	}
	d := src.Description()
	text := newTextDecoder(cat.Encoding)
	in := &sourceInspection{
		Format: d.Format, FormatVersion: d.Version, Created: d.Created, Tool: d.Program, DBName: text.String(cat.Database),
		Encoding: cat.Encoding, ServerVersion: cat.ServerVersion, Product: cat.Product, PgDumpVersion: cat.PgDumpVersion,
		Moment: moment.Time, Route: moment.Route, Promise: moment.Promise, RouteReason: moment.Reason, Settings: moment.Settings,
		Codec: d.Codec, Volumes: []sourceVolume{{filepath.Base(path), d.Bytes, d.Files}}, Nodes: []inspectNode{}, Objects: len(cat.Entries),
		Streams: []sourceStream{}, Unproven: append([]string{}, d.Unproven...), Warnings: append([]string{}, d.Warnings...),
	}
	for _, n := range moment.Nodes {
		in.Nodes = append(in.Nodes, newInspectNode(n, in.DBName))
	}
	tables := make(map[int32]bool)
	for _, s := range sourceStreams(src, cat) {
		if s.Schema != "" { // large objects have none
			tables[s.Entry] = true
		}
		in.StoredBytes += s.Stored
		in.Streams = append(in.Streams, sourceStream{uint32(s.ID), text.String(s.Schema), text.String(s.Table), s.Node, s.Stored})
	}
	in.Tables = len(tables)
	return in, nil
}

// print shows an inspection to people. The writer remembers its errors.
func (in *sourceInspection) print(w io.Writer) {
	field := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-16s %s\n", name+":", visible(fmt.Sprintf(format, args...)))
	}
	field("database", "%s (%s)", in.DBName, in.Encoding)
	field("server", "%s %s", in.Product, in.ServerVersion)
	field("moment", "%s, route %s, promise %s", humanTime(in.Moment, time.RFC3339Nano), dash(in.Route), dash(in.Promise))
	if in.RouteReason != "" {
		field("route", "%s", in.RouteReason)
	}
	field("written", "%s by %s", humanTime(in.Created, time.RFC3339), in.Tool)
	field("format", "%s %s, codec %s", in.Format, in.FormatVersion, in.Codec)
	field("files", "%s, %s", plural(uint64(max(in.Volumes[0].Files, 0)), "file"), humanBytes(in.Volumes[0].Bytes))
	field("holds", "%s, %s", plural(uint64(in.Objects), "object"), plural(uint64(in.Tables), "table"))
	for _, u := range in.Unproven {
		field("not proven", "%s", u)
	}
	for _, x := range in.Warnings {
		field("warning", "%s", x)
	}
	if len(in.Streams) == 0 {
		return
	}
	table := newColumns(">stream", "schema", "table", ">node", ">stored")
	for _, s := range in.Streams {
		stored := humanBytes(s.StoredBytes)
		if s.StoredBytes == 0 {
			stored = "?"
		}
		table.add(fmt.Sprint(s.ID), dash(visible(s.Schema)), visible(s.Table), fmt.Sprint(s.Node), stored)
	}
	fmt.Fprintln(w)
	_ = table.write(w)
}
