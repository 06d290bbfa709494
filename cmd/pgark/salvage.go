package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/archive"
)

// salvageOptions are the flags of `pgark salvage`.
type salvageOptions struct {
	app  *app
	file string
	json bool
}

const salvageLong = `Write a valid archive of all that can still be read of a damaged one, and say table by table what is lost. The damaged
file is only read. Whole blocks are saved even where the index was never written. A volume of a set is saved by itself:
its new catalog only names the tables, since their definitions are in the lead volume. Of an archive of all databases those that
are sound are copied as they are.`

func newSalvage(a *app) *cobra.Command {
	o := &salvageOptions{app: a}
	cmd := &cobra.Command{
		Use:         "salvage [flags] DAMAGED -f OUT",
		Short:       "save what can still be read of a damaged archive",
		Long:        salvageLong,
		Example:     "  pgark salvage broken.pgark -f saved.pgark\n  pgark verify saved.pgark",
		Annotations: exitCodes("something is lost"),
		Args:        args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.file == "" {
				return usagef("-f OUT is missing: the file to save to")
			}
			if o.json && o.file == "-" {
				return usagef("--json and -f - cannot be used together: both write to standard output")
			}
			return o.Run(cmd.Context(), args[0])
		},
	}
	cmd.Flags().StringVarP(&o.file, "file", "f", "", "write to `OUT`, which must not exist; - is standard output")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

// Run saves what it can.
func (o *salvageOptions) Run(ctx context.Context, path string) error {
	if err := refuseSource(path, "salvage"); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	out, err := o.app.createOut(o.file, false)
	if err != nil {
		return err
	}
	defer out.Discard()
	m := o.app.startMeter("read")
	m.Plan(0, uint64(info.Size()))
	in, options := &countingFile{File: f, meter: m}, archive.SalvageOptions{Tool: toolName, Created: time.Now()}
	var report *archive.SalvageReport
	all, err := archive.SalvageCluster(ctx, in, info.Size(), out, options)
	if errors.Is(err, archive.ErrNotCluster) { // nothing was written
		report, err = archive.Salvage(ctx, in, info.Size(), out, options)
	}
	m.end()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return &stateError{err: fmt.Errorf("%s: %w", path, err), state: leftover(out, "archive")}
	}
	if err := out.Commit(); err != nil {
		return &stateError{err: err, state: leftover(out, "archive")}
	}
	if report == nil {
		return o.reportCluster(all)
	}
	decodeSalvage(report, archiveText(o.file, archive.OpenOptions{LeadOnly: true}))
	return o.report(report)
}

// decodeSalvage turns names, in the encoding of the archived database, into UTF-8.
func decodeSalvage(r *archive.SalvageReport, text textDecoder) {
	for i := range r.Tables {
		t := &r.Tables[i]
		t.Schema, t.Table = text.String(t.Schema), text.String(t.Table)
	}
	for i := range r.Losses {
		l := &r.Losses[i]
		l.Schema, l.Table, l.Message = text.String(l.Schema), text.String(l.Table), text.String(l.Message)
	}
	for i := range r.Notes {
		r.Notes[i] = text.String(r.Notes[i])
	}
}

// report says what was kept and lost.
func (o *salvageOptions) report(r *archive.SalvageReport) error {
	lost := somethingLost(r)
	var err error
	if o.json {
		err = writeJSON(o.app.stdout, salvageJSON(r, !lost))
	} else if o.file != "-" {
		err = o.print(r)
	}
	if err := quietPipe(err); err != nil {
		return err
	}
	if lost {
		return &foundError{message: fmt.Sprintf("saved to %s, but something is lost", o.file)}
	}
	o.app.tell("saved to %s, nothing is lost", o.file)
	return nil
}

// somethingLost tells whether anything is not as it was.
func somethingLost(r *archive.SalvageReport) bool {
	incomplete := func(t archive.SalvagedTable) bool { return !t.Complete }
	return len(r.Losses) > 0 || len(r.Notes) > 0 || slices.ContainsFunc(r.Tables, incomplete)
}

func (o *salvageOptions) print(r *archive.SalvageReport) error {
	out := &errWriter{w: o.app.stdout}
	err := printTables(out, r)
	for _, l := range r.Losses {
		fmt.Fprintf(out, "lost: %s\n", visible(inspectLoss{l.Schema, l.Table, l.Blocks, l.Rows, l.Message}.String()))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(out, "note: %s\n", visible(n))
	}
	fmt.Fprintf(out, "saved: %s, %s, %s of rows\n", plural(r.Blocks, "block"), plural(r.Rows, "row"), humanBytes(r.RawBytes))
	return errors.Join(err, out.err)
}

// printTables shows what was kept of each table.
func printTables(out *errWriter, r *archive.SalvageReport) error {
	table := newColumns("table", ">rows saved", ">blocks saved", ">blocks lost", "")
	for _, t := range r.Tables {
		state := "complete"
		if !t.Complete {
			state = "not complete"
		}
		table.add(visible(quotedName(t.Schema, t.Table)), humanCount(t.Rows), humanCount(t.Blocks), humanCount(t.LostBlocks), state)
	}
	return table.write(out)
}

// salvagedJSON is what was kept and lost of an archive of one database.
type salvagedJSON struct {
	OK       bool                `json:"ok"`
	Blocks   uint64              `json:"blocks"`
	Rows     uint64              `json:"rows"`
	RawBytes uint64              `json:"raw_bytes"`
	Tables   []salvagedTableJSON `json:"tables"`
	Losses   []inspectLoss       `json:"losses"`
	Notes    []string            `json:"notes"`
}

type salvagedTableJSON struct {
	Schema     string `json:"schema"`
	Table      string `json:"table"`
	Blocks     uint64 `json:"blocks"`
	Rows       uint64 `json:"rows"`
	LostBlocks uint64 `json:"lost_blocks"`
	LostRows   uint64 `json:"lost_rows"`
	Complete   bool   `json:"complete"`
}

func salvageJSON(r *archive.SalvageReport, ok bool) salvagedJSON {
	tables, losses := []salvagedTableJSON{}, []inspectLoss{}
	for _, t := range r.Tables {
		tables = append(tables, salvagedTableJSON{t.Schema, t.Table, t.Blocks, t.Rows, t.LostBlocks, t.LostRows, t.Complete})
	}
	for _, l := range r.Losses {
		losses = append(losses, inspectLoss{l.Schema, l.Table, l.Blocks, l.Rows, l.Message})
	}
	return salvagedJSON{ok, r.Blocks, r.Rows, r.RawBytes, tables, losses, append([]string{}, r.Notes...)}
}
