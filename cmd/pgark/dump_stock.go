package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/pgark/pgark/fanout"
)

// plainOptions are what pg_dump has for a script.
type plainOptions struct{ create, clean, ifExists bool }

func (o *plainOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.create, "create", "C", false, "of -F plain: create the database")
	f.BoolVarP(&o.clean, "clean", "c", false, "of -F plain: drop what is to be created first")
	f.BoolVar(&o.ifExists, "if-exists", false, "with -c: don't mind if it is not there")
}

func (o *plainOptions) validate(format string) error {
	switch {
	case o.ifExists && !o.clean:
		return usagef("--if-exists needs -c/--clean")
	case (o.create || o.clean) && format != fanout.FormatPlain:
		return usagef("-C/--create and -c/--clean are for -F plain; give them to the restore of other formats")
	}
	return nil
}

// runStock writes a dump in a format of pg_dump.
func (o *dumpOptions) runStock(ctx context.Context, options fanout.DumpOptions, name string, begun time.Time) error {
	out, err := o.stock.create(o.app, name, o.force)
	if err != nil {
		return err
	}
	defer out.discard()
	m := o.app.startMeter("dumped")
	options.Progress = m
	result, err := fanout.DumpStock(ctx, out.StockTarget, options, o.stock.engine(0, fanout.PlanOptions{
		Create: o.plain.create, Clean: o.plain.clean, IfExists: o.plain.ifExists,
		NoOwner: o.noOwner, NoACL: o.noACL, NoComments: o.noComments,
	}))
	m.end()
	if err == nil {
		err = out.commit(ctx)
	}
	if err != nil {
		return &stateError{err: err, state: out.leftover()}
	}
	for _, n := range result.StockNotes {
		o.app.say("note: %s", visible(n))
	}
	if err := o.summary(result, strings.TrimSuffix(name, "/"), time.Since(begun)); err != nil {
		return err
	}
	o.tellRoute(options.Cluster, result)
	return nil
}
