package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/archive"
)

// gatherOptions are the flags of `pgark gather`.
type gatherOptions struct {
	app     *app
	volumes remoteOptions
	file    string
	force   bool
	partial bool
	jobs    int
}

const gatherLong = `Make one archive in one file of a set of volumes. Nothing is decompressed: blocks are checked and copied as they are, so
rows and digests are the same. LEAD is the lead volume; the others must all be there.

--partial makes an archive of what is there. What is lacking is said, is written into the archive, and pgark restore restores
the rest.

With --start ssh the volumes are read where they lie, on their hosts. Until OUT is complete, what came from there is in temporary
files (TMPDIR).`

func newGather(a *app) *cobra.Command {
	o := &gatherOptions{app: a}
	cmd := &cobra.Command{
		Use:         "gather [flags] LEAD -f OUT",
		Short:       "make one file of a set of volumes",
		Long:        gatherLong,
		Example:     "  pgark gather shop.pgark -f whole.pgark\n  pgark gather --volume-dir /mnt/volumes shop.pgark -f - | ssh vault 'cat > shop.pgark'",
		Annotations: exitCodes("volumes were absent, with --partial"),
		Args:        args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.file == "" {
				return usagef("-f OUT is missing: the file to write")
			}
			if err := validateJobs(cmd.Flags(), o.jobs); err != nil {
				return err
			}
			if err := o.volumes.validate(cmd.Flags()); err != nil {
				return err
			}
			return o.Run(cmd.Context(), args[0])
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "file", "f", "", "write to `OUT`; - is standard output")
	f.BoolVar(&o.force, "force", false, "replace OUT if it exists")
	f.BoolVar(&o.partial, "partial", false, "leave out volumes that are absent")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "`N` blocks at once (default one per core, 8 at most)")
	o.volumes.addFlags(f, startUsage("read", startNone, startSSH), startNone, startSSH)
	return cmd
}

// Run gathers the volumes.
func (o *gatherOptions) Run(ctx context.Context, lead string) error {
	if err := o.app.checkTarget(o.file, o.force); err != nil {
		return err
	}
	m := o.app.startMeter("gathered")
	a, err := o.open(ctx, lead, m)
	if err != nil {
		m.end()
		return err
	}
	defer a.Close()
	report, err := o.write(ctx, a, m)
	if err != nil {
		return err
	}
	sum := report.Summary
	name := o.file
	if name == "-" {
		name = "standard output"
	}
	o.app.tell("%s: %s, %s, %s of rows in %s, root %x", name, plural(sum.Rows, "row"), plural(uint64(sum.Streams), "stream"),
		humanBytes(sum.RawBytes), humanBytes(sum.Bytes), sum.Root)
	if err := a.SetMissing(); err != nil {
		for _, v := range a.Volumes() {
			if v.Err != nil {
				o.app.say("left out: %v", v.Err)
			}
		}
		for _, name := range absentTables(a.Reader) {
			o.app.say("not complete: table %s", name)
		}
		return &foundError{message: fmt.Sprintf("%s lacks the rows of volumes that were absent", name)}
	}
	return nil
}

// open opens the set, and fetches what is elsewhere.
func (o *gatherOptions) open(ctx context.Context, lead string, m *meter) (*openedSet, error) {
	a, err := o.volumes.open(ctx, lead, nil, jobsOrDefault(o.jobs), o.partial, m)
	if err != nil {
		return nil, err
	}
	m.Plan(0, uint64(a.Size()))
	if err := a.fetch(ctx, nil); err != nil {
		return nil, closeAfter(a, err)
	}
	return a, nil
}

func (o *gatherOptions) write(ctx context.Context, a *openedSet, m *meter) (*archive.GatherReport, error) {
	defer m.end()
	out, err := o.app.createOut(o.file, o.force)
	if err != nil {
		return nil, err
	}
	defer out.Discard()
	report, err := archive.Gather(ctx, a.Reader, out, archive.GatherOptions{Tool: toolName, Jobs: jobsOrDefault(o.jobs)})
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = out.Commit()
	}
	if err != nil {
		return nil, &stateError{err: err, state: leftover(out, "archive")}
	}
	return report, nil
}

// openCounted opens an archive or a set, and counts what is read of it.
func openCounted(volumes setOptions, path string, partial bool, m *meter) (*archive.File, error) {
	open := volumes.all()
	open.Partial, open.Through = partial, m.through
	return openFiles(path, open)
}
