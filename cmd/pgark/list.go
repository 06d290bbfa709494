package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/verify"
)

// listOptions are the flags of `pgark list`.
type listOptions struct {
	app     *app
	volumes setOptions
	sources sourceOptions
	count   bool
	jobs    int
	toc     bool
	json    bool
}

const listLong = `List the objects in an archive. Rows, raw and stored bytes are those that the archive holds of a table. Of a set of volumes
the lead volume is enough; with --volume-dir all of them must be there.

Dumps of pg_dump and sets of gpbackup are listed, too. Their formats do not tell rows, raw bytes and digests, which are null in
JSON then; --count reads all rows to find out.

--toc prints pg_restore's -l format; edit it and give it to pgark restore -L.
--json prints an array of objects: id, kind, schema, name, owner, section, depends_on (ids), and for tables and what
holds their rows (kinds TABLE and TABLE DATA) rows, raw_bytes, stored_bytes and digest.`

func newList(a *app) *cobra.Command {
	o := &listOptions{app: a}
	cmd := &cobra.Command{
		Use:         "list [flags] ARCHIVE",
		Short:       "list the objects in an archive",
		Long:        listLong,
		Example:     "  pgark list shop.pgark\n  pgark list --toc shop.pgark > toc\n  pgark list --json shop.pgark | jq '.[] | select(.rows > 1000000)'",
		Annotations: exitCodes(""),
		Args:        args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.toc && o.json {
				return usagef("--toc and --json cannot be used together")
			}
			if o.toc && o.count {
				return usagef("--toc and --count cannot be used together")
			}
			if err := o.sources.validate(); err != nil {
				return err
			}
			if err := validateJobs(cmd.Flags(), o.jobs); err != nil {
				return err
			}
			return o.Run(cmd.Context(), args[0])
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.toc, "toc", false, "print pg_restore's -l format")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.BoolVar(&o.count, "count", false, "of a dump of another program: read all rows, to tell how many they are, and their digests")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "with --count: read `N` tables at once (default one per core, 8 at most)")
	o.volumes.addFlags(f)
	o.sources.addFlags(f, &o.volumes)
	return cmd
}

// Run prints the list.
func (o *listOptions) Run(ctx context.Context, path string) error {
	if o.volumes.severalIn(path) {
		return o.listSeveral(ctx, path)
	}
	src, err := o.sources.open(ctx, path, nil)
	if err != nil {
		return err
	}
	if src != nil {
		defer src.Close()
		return o.listSource(ctx, path, src)
	}
	open := o.volumes.lead()
	if o.volumes.dir != "" {
		open = o.volumes.all()
	}
	a, err := openFiles(path, open)
	if err != nil {
		return err
	}
	defer a.Close()
	if o.toc {
		return printTOC(o.app.stdout, a.Reader, fanout.PlanOptions{})
	}
	cat, err := a.Catalog()
	if err != nil {
		return pathError(path, err)
	}
	if o.json {
		return quietPipe(writeJSON(o.app.stdout, listObjects(cat, holdings(a.Reader))))
	}
	out := listColumns()
	listForPeople(out, cat, holdings(a.Reader))
	return quietPipe(out.write(o.app.stdout))
}

// listSource prints the list of a dump of another program.
func (o *listOptions) listSource(ctx context.Context, path string, src archive.Source) error {
	if o.toc {
		return printTOC(o.app.stdout, src, fanout.PlanOptions{})
	}
	cat, err := src.Catalog()
	if err != nil {
		return pathError(path, err)
	}
	held, findings, err := o.sourceHoldings(ctx, path, src, cat)
	if err != nil {
		return err
	}
	if o.json {
		err = writeJSON(o.app.stdout, listObjects(cat, held))
	} else {
		out := listColumns()
		listForPeople(out, cat, held)
		err = out.write(o.app.stdout)
	}
	return o.conclude(path, findings, err)
}

// sourceHoldings says what a dump of another program holds, and how much was wrong if all of it was read.
func (o *listOptions) sourceHoldings(ctx context.Context, path string, src archive.Source, cat *archive.Catalog) (held map[int32]*holding, findings int, err error) {
	if !o.count {
		return sourceHoldings(src, cat, nil), 0, nil
	}
	m := o.app.startMeter("read")
	defer m.end()
	report, counted, err := verify.Source(ctx, src, verify.Options{Volume: filepath.Base(path), Jobs: jobsOrDefault(o.jobs), Progress: m})
	if err != nil {
		return nil, 0, pathError(path, err)
	}
	return sourceHoldings(src, cat, counted), len(report.Findings), nil
}

// conclude ends the command, err being that of printing the list.
func (o *listOptions) conclude(path string, findings int, err error) error {
	if err := quietPipe(err); err != nil {
		return err
	}
	if findings > 0 {
		return withHint(&foundError{message: fmt.Sprintf("%s: %s", path, plural(uint64(findings), "finding"))}, "`pgark verify` says what is wrong")
	}
	return nil
}

// listObject is one object in the JSON list.
type listObject struct {
	Database  *string `json:"database,omitempty"` // in an archive of all databases; empty for what they share
	ID        int32   `json:"id"`
	Kind      string  `json:"kind"`
	Schema    string  `json:"schema"`
	Name      string  `json:"name"`
	Owner     string  `json:"owner"`
	Section   string  `json:"section"`
	DependsOn []int32 `json:"depends_on"`
	*listRows
}

// listRows is what the archive holds of a table.
type listRows struct {
	Rows        *uint64 `json:"rows"` // null, as the others, where a format of another program does not tell
	RawBytes    *uint64 `json:"raw_bytes"`
	StoredBytes *uint64 `json:"stored_bytes"`
	Digest      *string `json:"digest"`
}

func newListRows(h *holding) *listRows {
	if h == nil {
		h = &holding{}
	}
	r := &listRows{}
	if h.raw > 0 || !h.unknown {
		r.RawBytes = &h.raw
	}
	if h.stored > 0 || !h.unknown {
		r.StoredBytes = &h.stored
	}
	if !h.unknown {
		digest := h.digest.String()
		r.Rows, r.Digest = &h.digest.Rows, &digest
	}
	return r
}

func listObjects(cat *archive.Catalog, held map[int32]*holding) []listObject {
	text := newTextDecoder(cat.Encoding)
	dataOf := tableOfData(cat)
	known := make(map[int32]bool, len(cat.Entries))
	for i := range cat.Entries {
		known[cat.Entries[i].ID] = true
	}
	objects := make([]listObject, 0, len(cat.Entries))
	for i := range cat.Entries {
		e := &cat.Entries[i]
		ob := listObject{
			ID: e.ID, Kind: e.Kind, Schema: text.String(e.Schema), Name: text.String(e.Name), Owner: text.String(e.Owner),
			Section: sectionName(e.Section), DependsOn: uniqueDeps(e, known),
		}
		switch {
		case e.Kind == "TABLE", dataOf[e.ID] != 0: // a foreign table has rows only if they were asked for
			ob.listRows = newListRows(held[dataOf[e.ID]])
		case e.Kind == "TABLE DATA" || e.Kind == "BLOBS":
			ob.listRows = newListRows(held[e.ID])
		}
		objects = append(objects, ob)
	}
	return objects
}

func sectionName(s archive.Section) string {
	switch s {
	case archive.SectionPreData:
		return "pre-data"
	case archive.SectionData:
		return "data"
	case archive.SectionPostData:
		return "post-data"
	}
	return "none"
}

// listColumns are the columns of the list for people.
func listColumns(first ...string) *columns {
	return newColumns(append(first, "schema", "name", "kind", "owner", ">rows", ">raw", ">stored")...)
}

// listForPeople shows a table and its rows in one line. first are cells that each line begins with.
func listForPeople(out *columns, cat *archive.Catalog, held map[int32]*holding, first ...string) {
	text := newTextDecoder(cat.Encoding)
	dataOf := tableOfData(cat)
	shown := make(map[int32]bool) // TABLE DATA entries whose TABLE has a line
	for _, data := range dataOf {
		shown[data] = true
	}
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind == "TABLE DATA" && shown[e.ID] {
			continue
		}
		id := e.ID
		if isTableKind(e.Kind) {
			id = dataOf[e.ID]
		}
		rows, raw, stored := "", "", ""
		if h := held[id]; h != nil && id != 0 {
			rows, raw, stored = h.texts()
		}
		out.add(append(first[:len(first):len(first)], dash(visible(text.String(e.Schema))), visible(text.String(e.Name)), e.Kind,
			dash(visible(text.String(e.Owner))), rows, raw, stored)...)
	}
}

// texts are rows, raw and stored bytes for people: "?" where that is not known.
func (h *holding) texts() (rows, raw, stored string) {
	rows, raw, stored = humanCount(h.digest.Rows), humanBytes(h.raw), humanBytes(h.stored)
	if h.unknown {
		rows = "?"
		if h.raw == 0 {
			raw = "?"
		}
		if h.stored == 0 {
			stored = "?"
		}
	}
	return rows, raw, stored
}

// dash stands for nothing in a column that words are looked for in.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
