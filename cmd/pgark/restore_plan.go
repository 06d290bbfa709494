package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
)

// printPlan prints what a restore would do, in the order of a restore by one session.
func (o *restoreOptions) printPlan(a contents) error {
	plan, err := o.plan(a)
	if err != nil {
		return err
	}
	text := newTextDecoder(plan.Catalog.Encoding)
	if len(plan.Needs) > 0 {
		if err := plan.WriteTree(o.app.stdout, text.String); err != nil {
			return quietPipe(err)
		}
		fmt.Fprintln(o.app.stdout)
	}
	var held map[int32]*holding
	switch a := a.(type) {
	case *archive.Reader:
		held = holdings(a)
	case archive.Source:
		held = sourceHoldings(a, plan.Catalog, nil)
	}
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
				rows, raw, _ = h.texts()
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
	return o.script(ctx, a.Reader, fanout.ArchiveSource(a.Reader))
}

// script writes what source gives, which is of a.
func (o *restoreOptions) script(ctx context.Context, a contents, source fanout.Source) error {
	if err := o.aim(a); err != nil {
		return err
	}
	out, err := o.app.createScript(o.file, o.force)
	if err != nil {
		return err
	}
	defer out.Discard()
	options := o.scripts.engine(o.planOptions())
	options.SingleTransaction = o.single
	options.Warn = func(message string) { o.app.say("warning: %s", message) }
	err = fanout.WriteScriptFrom(ctx, source, out, options)
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return &stateError{err: refusal(a, err), state: scriptLeftover(out)}
	}
	if err := o.tellScriptRedirect(a); err != nil {
		return err
	}
	if err := o.tellTranslation(a); err != nil {
		return err
	}
	return out.Commit()
}

// printTOC prints pg_restore's -l listing of what the options select.
func printTOC(w io.Writer, a contents, o fanout.PlanOptions) error {
	cat, err := a.Catalog()
	if err != nil {
		return err
	}
	list := fanout.ListOptions{PlanOptions: o}
	switch a := a.(type) {
	case *archive.Reader:
		h := a.Header()
		list.Created, list.Compression, list.Format = h.Created, h.Codec.String(), "PGARK"
	case archive.Source:
		d := a.Description()
		list.Created, list.Compression, list.Format = d.Created, d.Codec, strings.ToUpper(d.Format)
	}
	return quietPipe(fanout.ListTOC(w, cat, list))
}

// quietPipe forgives a reader that has seen enough, as head does. What the command has found, or failed at, still decides its exit code.
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
