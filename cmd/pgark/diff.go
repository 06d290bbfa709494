package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/verify"
)

// diffOptions are the flags of `pgark diff`.
type diffOptions struct {
	app     *app
	volumes setOptions
	json    bool
}

const diffLong = `Compare two archives by their catalogs and the digests of their tables. Rows are not read, so this is quick however large
the archives are; that the rows have their digests is what pgark verify proves. Names of databases, numbers of objects,
and how rows are spread over streams, nodes and partitions are no difference.

--json prints {"ok", "differences": [{"class", "kind", "schema", "name", "message"}]}; classes are only-a, only-b,
definition, owner, rows, and incomparable (floats in composite types, printed by servers before and after PostgreSQL 12).`

func newDiff(a *app) *cobra.Command {
	o := &diffOptions{app: a}
	cmd := &cobra.Command{
		Use:         "diff [flags] A B",
		Short:       "compare two archives",
		Long:        diffLong,
		Example:     "  pgark diff monday.pgark tuesday.pgark",
		Annotations: exitCodes("found a difference"),
		Args:        args(cobra.ExactArgs(2)),
		RunE:        func(_ *cobra.Command, args []string) error { return o.Run(args[0], args[1]) },
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	o.volumes.addFlags(cmd.Flags())
	return cmd
}

// Run compares the archives.
func (o *diffOptions) Run(pathA, pathB string) error {
	a, err := o.volumes.open(pathA)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := o.volumes.open(pathB)
	if err != nil {
		return err
	}
	defer b.Close()
	diffs, err := verify.Diff(a.Reader, b.Reader)
	if err != nil {
		return err
	}
	cat, err := a.Catalog()
	if err != nil {
		return err
	}
	text := newTextDecoder(cat.Encoding)
	for i := range diffs {
		d := &diffs[i]
		d.Schema, d.Name, d.Message = text.String(d.Schema), text.String(d.Name), text.String(d.Message)
	}
	if err := o.print(diffs); err != nil {
		return quietPipe(err)
	}
	if len(diffs) > 0 {
		return &foundError{message: plural(uint64(len(diffs)), "difference")}
	}
	o.app.tell("no difference")
	return nil
}

func (o *diffOptions) print(diffs []verify.Difference) error {
	if o.json {
		return writeJSON(o.app.stdout, struct {
			OK          bool                `json:"ok"`
			Differences []verify.Difference `json:"differences"`
		}{len(diffs) == 0, diffs})
	}
	out := &errWriter{w: o.app.stdout}
	for _, d := range diffs {
		name := d.Name
		if d.Schema != "" {
			name = d.Schema + "." + name
		}
		fmt.Fprintf(out, "%s %s: %s\n", d.Kind, visible(name), visible(d.Message))
	}
	return out.err
}
