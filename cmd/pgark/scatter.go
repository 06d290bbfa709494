package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/archive"
)

// scatterOptions are the flags of `pgark scatter`.
type scatterOptions struct {
	app     *app
	volumes setOptions
	file    string
	paths   string
	force   bool
	jobs    int
}

const scatterLong = `Make a set of volumes of an archive: one volume for each node that it has rows of, and a lead volume with everything else.
Nothing is decompressed. The lead volume is what list, inspect, verify, cat, diff, restore and gather take.

` + volumePathHelp + `
Directories that are missing are made. Relative paths are kept relative to the lead volume.`

func newScatter(a *app) *cobra.Command {
	o := &scatterOptions{app: a}
	cmd := &cobra.Command{
		Use:         "scatter [flags] ARCHIVE --volumes 'DIR/{node}' -f LEAD",
		Short:       "make a set of volumes of an archive, one for each node",
		Long:        scatterLong,
		Example:     "  pgark scatter shop.pgark --volumes '/mnt/volumes/{archive}-{node}.pgark' -f lead.pgark",
		Annotations: exitCodes(""),
		Args:        args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.file == "" || o.file == "-" {
				return usagef("-f LEAD is missing: the file of the lead volume")
			}
			if err := volumePath(o.paths).validate(); err != nil {
				return err
			}
			if err := validateJobs(cmd.Flags(), o.jobs); err != nil {
				return err
			}
			return o.Run(cmd.Context(), args[0])
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "file", "f", "", "the lead volume's `LEAD` file")
	f.StringVar(&o.paths, "volumes", "", "`paths` of the other volumes, with {node}, {host}, {content}, {archive}")
	f.BoolVar(&o.force, "force", false, "replace files that exist")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "`N` blocks at once (default one per core, 8 at most)")
	o.volumes.addFlags(f)
	return cmd
}

// Run scatters the archive.
func (o *scatterOptions) Run(ctx context.Context, path string) error {
	m := o.app.startMeter("scattered")
	a, err := openCounted(o.volumes, path, false, m)
	if err != nil {
		m.end()
		return err
	}
	defer a.Close()
	w := &scatterFiles{o: o}
	if err := w.plan(a, path); err != nil {
		m.end()
		return err
	}
	report, err := w.write(ctx, a, m)
	m.end()
	if err != nil {
		return &stateError{err: err, state: w.undo()}
	}
	o.app.tell("%s: the lead volume of a set, root %x", o.file, report.Summary.Root)
	for i, v := range report.Volumes {
		o.app.tell("%s: volume %d, %s, %s", w.outs[i].label(), v.Number, plural(v.Rows, "row"), humanBytes(v.Bytes))
	}
	return nil
}

// scatterFiles are the files of a set that is being written.
type scatterFiles struct {
	o     *scatterOptions
	paths map[uint32]string // by node
	outs  []*outFile        // in the order of the volumes, the lead volume at the end
	dirs  []string          // that were made, each before those within

	replaced bool // a volume has taken the name of a file that was there before
}

func (w *scatterFiles) write(ctx context.Context, a *archive.File, m *meter) (*archive.ScatterReport, error) {
	lead, err := w.o.app.createOut(w.o.file, w.o.force)
	if err != nil {
		return nil, err
	}
	defer lead.Discard()
	m.Plan(0, uint64(a.Size()))
	report, err := archive.Scatter(ctx, a.Reader, lead, archive.ScatterOptions{
		Tool: toolName, Lead: filepath.Base(w.o.file), Jobs: jobsOrDefault(w.o.jobs), Create: w.create,
	})
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	w.outs = append(w.outs, lead)
	return report, w.commit()
}

// commit gives all files their names, the lead volume last: what it lists is there when it appears.
func (w *scatterFiles) commit() error {
	for _, out := range w.outs {
		_, missing := os.Lstat(out.name)
		err := out.Commit()
		w.replaced = w.replaced || out.named && missing == nil
		if err != nil {
			return err
		}
	}
	return nil
}

// plan finds the path of each node's volume, and refuses those that can't be written to before anything is done.
func (w *scatterFiles) plan(a *archive.File, source string) error {
	m, err := a.Moment()
	if err != nil {
		return err
	}
	nodes := archive.StreamNodes(a.Reader, m)
	paths, err := volumePath(w.o.paths).expandAll(nodes, w.o.file)
	if err != nil {
		return err
	}
	w.paths = make(map[uint32]string)
	for i, n := range nodes {
		w.paths[n.ID] = paths[i]
	}
	sources := []string{source}
	for _, v := range a.Volumes() {
		sources = append(sources, v.Name)
	}
	for _, path := range append(paths, w.o.file) {
		if err := w.o.app.checkTarget(path, w.o.force); err != nil {
			return err
		}
		if slices.ContainsFunc(sources, func(s string) bool { return sameFile(s, path) }) {
			return fmt.Errorf("%s is read, so it can't be replaced: nothing was done", path)
		}
	}
	return nil
}

// sameFile tells whether both names lead to one file.
func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// create opens the file of one volume.
func (w *scatterFiles) create(v *archive.Volume, node archive.Node) (io.Writer, error) {
	path := w.paths[node.ID]
	if err := w.makeDirs(filepath.Dir(path)); err != nil {
		return nil, err
	}
	var err error
	v.Host = hostName()
	if v.Path, err = recordedPath(path, w.o.file); err != nil {
		return nil, err
	}
	out, err := w.o.app.createOut(path, w.o.force)
	if err != nil {
		return nil, err
	}
	w.outs = append(w.outs, out)
	return out, nil
}

// makeDirs makes dir and what is missing above it. Only its owner may read a backup.
func (w *scatterFiles) makeDirs(dir string) error {
	if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
		return nil
	}
	if err := w.makeDirs(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	w.dirs = append(w.dirs, dir)
	return nil
}

// undo removes what was written, also what has its name already: a part of a set is worth nothing. It says what is left.
func (w *scatterFiles) undo() string {
	var left []string
	for _, out := range w.outs {
		if err := out.TakeBack(); err != nil {
			left = append(left, err.Error())
		}
		out.Discard()
	}
	for i := len(w.dirs) - 1; i >= 0; i-- {
		_ = os.Remove(w.dirs[i]) // it stays if somebody has put something into it
	}
	state := "nothing is left of the volumes"
	if len(left) > 0 {
		state = "volumes of no use are left: " + strings.Join(left, "; ")
	}
	if w.replaced {
		state += ", and files that they had replaced are lost"
	}
	return state
}
