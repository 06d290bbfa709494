package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/archive"
)

// catOptions are the flags of `pgark cat`.
type catOptions struct {
	app     *app
	volumes remoteOptions
	sources sourceOptions
	csv     bool
	header  bool
	columns string
}

const catLong = `Write one table's rows to standard output as COPY text, in the encoding of the database. Only that table's blocks are
read, with --start ssh on the hosts of a set's volumes. TABLE is schema.table or table, read as psql reads names: what is not
in double quotes is lower case.`

func newCat(a *app) *cobra.Command {
	o := &catOptions{app: a}
	cmd := &cobra.Command{
		Use:         "cat [flags] ARCHIVE TABLE",
		Short:       "write one table's rows to standard output",
		Long:        catLong,
		Example:     "  pgark cat shop.pgark sales.orders | psql -d copy -c 'COPY sales.orders FROM stdin'\n  pgark cat --csv --header --columns id,name shop.pgark customers > customers.csv",
		Annotations: exitCodes(""),
		Args:        args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.volumes.validate(cmd.Flags()); err != nil {
				return err
			}
			if err := o.sources.validate(); err != nil {
				return err
			}
			return o.Run(cmd.Context(), args[0], args[1])
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.csv, "csv", false, "write CSV, as COPY ... CSV does: NULL is nothing, an empty text is \"\"")
	f.BoolVar(&o.header, "header", false, "begin with a line of column names")
	f.StringVar(&o.columns, "columns", "", "only these columns, in this order: `a,b,\"C d\"`")
	o.sources.addFlags(f, &o.volumes.setOptions)
	o.volumes.addFlags(f, startUsage("read", startNone, startSSH), startNone, startSSH)
	return cmd
}

// Run writes the rows.
func (o *catOptions) Run(ctx context.Context, path, name string) error {
	src, err := o.sources.open(ctx, path, nil)
	if err != nil {
		return err
	}
	if src != nil {
		defer src.Close()
		return o.catSource(ctx, path, src, name)
	}
	a, err := o.volumes.open(ctx, path, nil, 1, true, nil)
	if err != nil {
		return err
	}
	defer a.Close()
	cat, err := a.Catalog()
	if err != nil {
		return pathError(path, err)
	}
	text := newTextDecoder(cat.Encoding)
	tables := archivedTables(a.Streams(), cat)
	t, err := findTable(name, tables, text)
	if err != nil {
		return err
	}
	if t == nil {
		if err := a.SetMissing(); err != nil {
			return withHint(fmt.Errorf("no table %s is in the volumes that are there: %w", quoteArg(name), err), absentHint(path, o.volumes.dir))
		}
		return noSuchTable(name, cat, tables, text)
	}
	if n, ok := absentRows(a.Reader)[t.entry]; ok {
		return withHint(fmt.Errorf("%s of %s are in a volume that is not there: %w", plural(n, "row"),
			visible(quotedName(text.String(t.schema), text.String(t.table))), a.SetMissing()), absentHint(path, o.volumes.dir))
	}
	if err := a.fetch(ctx, map[int32]bool{t.entry: true}); err != nil {
		return err
	}
	w := bufio.NewWriterSize(o.app.stdout, 1<<20)
	return endRows(w, o.writeArchived(ctx, w, a.Reader, t, text))
}

// endRows ends the output of rows, whose end was err: what was read until then is written, and what is wrong with reading is not said of writing.
func endRows(w *bufio.Writer, err error) error {
	if wrong := w.Flush(); wrong != nil && (err == nil || errors.Is(err, wrong)) {
		return quietPipe(wrong)
	}
	return err
}

// writeArchived writes the rows of a table in an archive of pgark.
func (o *catOptions) writeArchived(ctx context.Context, w io.Writer, a *archive.Reader, t *archived, text textDecoder) error {
	dec := a.NewDecoder()
	defer dec.Close()
	return o.write(w, t, text, func(s *archive.Stream, emit func([]byte) error) error {
		for b := range a.Blocks(s.ID) {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if err := dec.Block(b, emit); err != nil {
				return err
			}
		}
		return nil
	})
}

// catSource writes the rows of a table in a dump of another program.
func (o *catOptions) catSource(ctx context.Context, path string, src archive.Source, name string) error {
	cat, err := src.Catalog()
	if err != nil {
		return pathError(path, err)
	}
	text := newTextDecoder(cat.Encoding)
	tables := archivedTables(sourceStreams(src, cat), cat)
	t, err := findTable(name, tables, text)
	if err != nil {
		return err
	}
	if t == nil {
		if err := refusedTable(name, src, cat, text); err != nil {
			return err
		}
		return noSuchTable(name, cat, tables, text)
	}
	w := bufio.NewWriterSize(o.app.stdout, 1<<20)
	err = o.write(w, t, text, func(s *archive.Stream, emit func([]byte) error) error { return src.StreamRows(ctx, s.ID, emit) })
	return endRows(w, err)
}

// write writes the table's streams, which read gives, in the order of their nodes and numbers.
func (o *catOptions) write(w io.Writer, t *archived, text textDecoder, read func(s *archive.Stream, emit func([]byte) error) error) error {
	slices.SortFunc(t.streams, func(x, y archive.Stream) int {
		return cmp.Or(cmp.Compare(x.Node, y.Node), cmp.Compare(x.ID, y.ID))
	})
	for i, s := range t.streams {
		if s.Form != archive.FormText && s.Form != archive.FormFloats {
			return fmt.Errorf("the rows of %s are not COPY text", quotedName(text.String(t.schema), text.String(t.table)))
		}
		if err := o.writeStream(w, s, t.streams[0].Columns, text, i == 0, read); err != nil {
			return err
		}
	}
	return nil
}

func (o *catOptions) writeStream(w io.Writer, s archive.Stream, order []string, text textDecoder, first bool,
	read func(s *archive.Stream, emit func([]byte) error) error,
) error {
	shape, err := o.shaper(w, s, order, text)
	if err != nil {
		return err
	}
	if o.header && first {
		if _, err := w.Write(headerLine(shape.names(s.Columns), o.csv)); err != nil {
			return err
		}
	}
	emit := func(part []byte) error { _, err := w.Write(part); return err }
	if o.csv || shape.pick != nil {
		emit = shape.write
	}
	return read(&s, emit)
}

// shaper picks the columns that were asked for, or puts those of a partition into the order of the others'.
func (o *catOptions) shaper(w io.Writer, s archive.Stream, order []string, text textDecoder) (*rowShaper, error) {
	shape := &rowShaper{w: w, fields: len(s.Columns), csv: o.csv}
	if o.columns == "" {
		if slices.Equal(s.Columns, order) {
			return shape, nil
		}
		for _, c := range order {
			i := slices.Index(s.Columns, c)
			if i < 0 {
				return nil, fmt.Errorf("partition %s has no column %s", quotedName(text.String(s.Schema), text.String(s.Table)), quotedIdent(text.String(c)))
			}
			shape.pick = append(shape.pick, i)
		}
		return shape, nil
	}
	for _, want := range splitColumns(o.columns) {
		i := findColumn(want, s.Columns, text)
		if i < 0 {
			var have []string
			for _, c := range s.Columns {
				have = append(have, quotedIdent(text.String(c)))
			}
			return nil, &usageError{
				message: fmt.Sprintf("the table has no column %s", quoteArg(want)),
				hint:    "it has " + strings.Join(have, ", "),
			}
		}
		shape.pick = append(shape.pick, i)
	}
	return shape, nil
}

// names returns the names of the columns that are written.
func (s *rowShaper) names(all []string) []string {
	if s.pick == nil {
		return all
	}
	names := make([]string, len(s.pick))
	for i, k := range s.pick {
		names[i] = all[k]
	}
	return names
}

// splitColumns splits at commas outside double quotes. The quotes stay.
func splitColumns(s string) []string {
	var out []string
	begin, quoted := 0, false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			out = append(out, strings.TrimSpace(s[begin:i]))
			begin = i + 1
		}
	}
	return append(out, strings.TrimSpace(s[begin:]))
}

// findColumn finds a column by its exact name first, then as psql reads names. It returns -1 if there is none.
func findColumn(want string, columns []string, text textDecoder) int {
	exact := func(name string) int {
		return slices.IndexFunc(columns, func(c string) bool { return text.String(c) == name })
	}
	if i := exact(want); i >= 0 {
		return i
	}
	// A dot in a column's name does not part it.
	parts, ok := splitName(want)
	if !ok {
		return -1
	}
	return exact(strings.Join(parts, "."))
}
