package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
)

// listOptions are the flags of `pgark list`.
type listOptions struct {
	app     *app
	volumes setOptions
	toc     bool
	json    bool
}

const listLong = `List the objects in an archive. Rows, raw and stored bytes are those that the archive holds of a table. Of a set of volumes
the lead volume is enough; with --volume-dir all of them must be there.

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
			return o.Run(cmd.Context(), args[0])
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.toc, "toc", false, "print pg_restore's -l format")
	f.BoolVar(&o.json, "json", false, "print JSON")
	o.volumes.addFlags(f)
	return cmd
}

// Run prints the list.
func (o *listOptions) Run(_ context.Context, path string) error {
	open := archive.OpenOptions{LeadOnly: true}
	if o.volumes.dir != "" {
		open = archive.OpenOptions{VolumeDir: o.volumes.dir}
	}
	a, err := openFiles(path, open)
	if err != nil {
		return err
	}
	defer a.Close()
	if o.toc {
		return printTOC(o.app.stdout, a, fanout.PlanOptions{})
	}
	cat, err := a.Catalog()
	if err != nil {
		return pathError(path, err)
	}
	if o.json {
		return quietPipe(writeJSON(o.app.stdout, listObjects(a.Reader, cat)))
	}
	return quietPipe(listForPeople(a.Reader, cat).write(o.app.stdout))
}

// listObject is one object in the JSON list.
type listObject struct {
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
	Rows        uint64 `json:"rows"`
	RawBytes    uint64 `json:"raw_bytes"`
	StoredBytes uint64 `json:"stored_bytes"`
	Digest      string `json:"digest"`
}

func newListRows(h *holding) *listRows {
	if h == nil {
		h = &holding{}
	}
	return &listRows{h.digest.Rows, h.raw, h.stored, h.digest.String()}
}

func listObjects(a *archive.Reader, cat *archive.Catalog) []listObject {
	text := newTextDecoder(cat.Encoding)
	held, dataOf := holdings(a), tableOfData(cat)
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

// listForPeople shows a table and its rows in one line.
func listForPeople(a *archive.Reader, cat *archive.Catalog) *columns {
	text := newTextDecoder(cat.Encoding)
	held, dataOf := holdings(a), tableOfData(cat)
	shown := make(map[int32]bool) // TABLE DATA entries whose TABLE has a line
	for _, data := range dataOf {
		shown[data] = true
	}
	out := newColumns("schema", "name", "kind", "owner", ">rows", ">raw", ">stored")
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
			rows, raw, stored = humanCount(h.digest.Rows), humanBytes(h.raw), humanBytes(h.stored)
		}
		out.add(dash(visible(text.String(e.Schema))), visible(text.String(e.Name)), e.Kind, dash(visible(text.String(e.Owner))),
			rows, raw, stored)
	}
	return out
}

// dash stands for nothing in a column that words are looked for in.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
