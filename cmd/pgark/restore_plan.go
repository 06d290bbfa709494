package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
)

// printPlan prints what a restore would do, in the order of a restore by one session.
func (o *restoreOptions) printPlan(a *archive.File) error {
	plan, err := o.plan(a.Reader)
	if err != nil {
		return err
	}
	text := newTextDecoder(plan.Catalog.Encoding)
	held := holdings(a.Reader)
	table := newColumns("step", ">id", "kind", "schema", "name", ">rows", ">raw")
	if o.clean {
		for _, d := range plan.Drops(&fanout.State{}) {
			table.add("drop", fmt.Sprint(d.Entry.ID), d.Entry.Kind, visible(text.String(d.Entry.Schema)), visible(text.String(d.Entry.Name)), "", "")
		}
	}
	for _, s := range plan.Steps {
		e := s.Entry
		what, rows, raw := "define", "", ""
		if s.Data && (s.Rows() || s.Blobs()) {
			what = "load"
			if h := held[e.ID]; h != nil {
				rows, raw = humanCount(h.digest.Rows), humanBytes(h.raw)
			}
		}
		table.add(what, fmt.Sprint(e.ID), e.Kind, visible(text.String(e.Schema)), visible(text.String(e.Name)), rows, raw)
	}
	decodeNotes(plan.Notes, text)
	o.tellNotes(plan.Notes)
	for _, w := range plan.Warnings {
		o.app.say("warning: %s", w)
	}
	return quietPipe(table.write(o.app.stdout))
}

// writeScript writes the archive as SQL for psql.
func (o *restoreOptions) writeScript(ctx context.Context, a *openedSet) error {
	if err := a.fetch(ctx, nil); err != nil {
		return err
	}
	out, err := o.app.createOut(o.file, o.force)
	if err != nil {
		return err
	}
	defer out.Discard()
	err = fanout.WriteScript(ctx, a.Reader, out, fanout.ScriptOptions{PlanOptions: o.planOptions(), SingleTransaction: o.single})
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		state := "no script was written"
		if o.file == "-" {
			state = "the script on standard output is not complete"
		}
		return &stateError{err: err, state: state}
	}
	if err := o.tellTranslation(a.Reader); err != nil {
		return err
	}
	return out.Commit()
}

// printTOC prints pg_restore's -l listing of what the options select.
func printTOC(w io.Writer, a *archive.File, o fanout.PlanOptions) error {
	cat, err := a.Catalog()
	if err != nil {
		return err
	}
	h := a.Header()
	return quietPipe(fanout.ListTOC(w, cat, fanout.ListOptions{
		PlanOptions: o, Created: h.Created, Compression: h.Codec.String(), Format: "PGARK",
	}))
}

// quietPipe forgives a reader that has seen enough, as head does.
func quietPipe(err error) error {
	if isClosedPipe(err) {
		return nil
	}
	if err != nil {
		var out *outputError
		if !errors.As(err, &out) {
			return fmt.Errorf("write to standard output: %w", err)
		}
	}
	return err
}
