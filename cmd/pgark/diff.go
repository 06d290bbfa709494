package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/archive"
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
	diffs, err := o.compare(pathA, pathB)
	if err != nil {
		return err
	}
	if err := quietPipe(o.print(diffs)); err != nil {
		return err
	}
	if len(diffs) > 0 {
		return &foundError{message: plural(uint64(len(diffs)), "difference")}
	}
	o.app.tell("no difference")
	return nil
}

func (o *diffOptions) compare(pathA, pathB string) ([]difference, error) {
	severalA, severalB := o.volumes.severalIn(pathA), o.volumes.severalIn(pathB)
	if severalA && severalB {
		return diffClusters(pathA, pathB)
	}
	if severalA != severalB {
		one := pathA
		if severalB {
			one = pathB
		}
		return nil, withHint(usagef("%s is of several databases, and the other archive is of one", quoteArg(one)), "--database NAME takes one of them")
	}
	a, err := o.volumes.open(pathA)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	b, err := o.volumes.open(pathB)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return diffReaders(a.Reader, b.Reader, nil)
}

// difference is one object that is not the same, in which database.
type difference struct {
	Database *string `json:"database,omitempty"` // of archives of several; empty for what the databases share
	verify.Difference
}

// diffReaders compares two archives of one database. Names become UTF-8.
func diffReaders(a, b *archive.Reader, database *string) ([]difference, error) {
	diffs, err := verify.Diff(a, b)
	if err != nil {
		return nil, err
	}
	cat, err := a.Catalog()
	if err != nil {
		return nil, err
	}
	return decodeDifferences(diffs, newTextDecoder(cat.Encoding), database), nil
}

func decodeDifferences(diffs []verify.Difference, text textDecoder, database *string) []difference {
	all := make([]difference, len(diffs))
	for i, d := range diffs {
		d.Schema, d.Name, d.Message = text.String(d.Schema), text.String(d.Name), text.String(d.Message)
		all[i] = difference{database, d}
	}
	return all
}

// diffClusters compares what the databases share, and each database with the one of its name.
func diffClusters(pathA, pathB string) ([]difference, error) {
	a, err := openCluster(pathA)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	b, err := openCluster(pathB)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	shared := ""
	diffs := decodeDifferences(verify.DiffCatalogs(a.shared, b.shared), a.text, &shared)
	only := func(x *openedCluster, raw, class, message string) {
		diffs = append(diffs, difference{&shared, verify.Difference{Class: class, Kind: "DATABASE", Name: x.text.String(raw), Message: message}})
	}
	for _, d := range a.Databases() {
		inB, err := b.Find(d.Name)
		if err != nil {
			only(a, d.Name, verify.DiffOnlyA, "only in the first archive")
			continue
		}
		x, err := a.Open(d.Name)
		if err != nil {
			return nil, err
		}
		y, err := b.Open(inB.Name)
		if err != nil {
			return nil, err
		}
		name := a.text.String(d.Name)
		more, err := diffReaders(x, y, &name)
		if err != nil {
			return nil, fmt.Errorf("database %s: %w", a.name(d.Name), err)
		}
		diffs = append(diffs, more...)
	}
	for _, d := range b.Databases() {
		if _, err := a.Find(d.Name); err != nil {
			only(b, d.Name, verify.DiffOnlyB, "only in the second archive")
		}
	}
	return diffs, nil
}

func (o *diffOptions) print(diffs []difference) error {
	if o.json {
		return writeJSON(o.app.stdout, struct {
			OK          bool         `json:"ok"`
			Differences []difference `json:"differences"`
		}{len(diffs) == 0, diffs})
	}
	out := &errWriter{w: o.app.stdout}
	for _, d := range diffs {
		name := d.Name
		if d.Schema != "" {
			name = d.Schema + "." + name
		}
		if d.Database != nil && *d.Database != "" {
			fmt.Fprintf(out, "database %s: ", visible(*d.Database))
		}
		fmt.Fprintf(out, "%s %s: %s\n", d.Kind, visible(name), visible(d.Message))
	}
	return out.err
}
