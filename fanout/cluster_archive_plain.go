package fanout

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/pgark/pgark/wire"
)

// DumpClusterScript dumps all databases of a server, with its roles and tablespaces, as SQL for psql: what [WriteClusterScript] would
// write of a [DumpCluster], without an archive in between. script is about each database as in [ClusterScriptOptions]; its NoOwner, NoACL and
// NoComments are those of o.Dump. It does not close w. After an error w holds a part of a script that must be thrown away.
//
// The script has its roles and tablespaces first, so they are read before the first database; one that came meanwhile is told in a warning.
func DumpClusterScript(ctx context.Context, w io.Writer, o ClusterDumpOptions, script ScriptOptions) (*ClusterDumpResult, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	script.NoOwner, script.NoACL, script.NoComments = o.Dump.NoOwner, o.Dump.NoACL, o.Dump.NoComments
	if o.Dump.Statistics {
		script.NoData, script.NoSchema = o.Dump.SchemaOnly, o.Dump.DataOnly
	} else {
		script.SchemaOnly, script.DataOnly = o.Dump.SchemaOnly, o.Dump.DataOnly
	}
	script.Sections = o.Dump.Sections
	if err := script.validate(); err != nil {
		return nil, err
	}
	d := &clusterDumper{o: o, progress: orSilent(o.Dump.Progress), result: &ClusterDumpResult{}}
	first, err := d.look(ctx)
	if err != nil {
		return nil, err
	}
	d.result.Globals = len(GlobalEntries(first.globals))
	byName, names := make(map[string]int), make([]string, len(first.databases))
	for i, db := range first.databases {
		byName[db.name], names[i] = i, db.name
	}
	s := &clusterScript{w: bufio.NewWriterSize(w, 64<<10), o: ClusterScriptOptions{Script: script}, cat: first.globals}
	s.part = func(ctx context.Context, w io.Writer, name string, one ScriptOptions) error {
		db := first.databases[byName[name]]
		dump, err := d.begin(ctx, byName[name], len(names), db)
		if err != nil {
			return err
		}
		res, err := DumpStock(ctx, StockTarget{Out: w}, dump, StockOptions{Format: FormatPlain, Script: one})
		if err != nil {
			return err
		}
		d.done(db, res)
		d.result.Summary.Rows += res.Summary.Rows
		d.result.Summary.RawBytes += res.Summary.RawBytes
		return nil
	}
	if err := s.run(ctx, names); err != nil {
		return nil, err
	}
	return d.result, d.warnNew(ctx, first)
}

// warnNew says which roles and tablespaces came after a script had got those that there were.
func (d *clusterDumper) warnNew(ctx context.Context, first *serverLook) error {
	last, err := d.lookAgain(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		d.result.Warnings = append(d.result.Warnings, "whether roles and tablespaces have come during the dump is not known, since they could not be read again: "+err.Error())
		return nil
	}
	there := make(map[[2]string]bool)
	for i := range first.globals.Entries {
		there[[2]string{first.globals.Entries[i].Kind, first.globals.Entries[i].Name}] = true
	}
	for _, e := range GlobalEntries(last.globals) {
		if (e.Kind == kindRole || e.Kind == kindTablespace) && !there[[2]string{e.Kind, e.Name}] {
			d.result.Warnings = append(d.result.Warnings, fmt.Sprintf("%s was created during the dump: the script does not have it, and may refer to it", describeGlobal(&e)))
		}
	}
	return nil
}

// lookAgain reads roles and tablespaces once more.
func (d *clusterDumper) lookAgain(ctx context.Context) (look *serverLook, err error) {
	err = d.session(ctx, func(conn *wire.Conn) (err error) {
		look, err = d.lookAtGlobals(ctx, conn)
		return err
	})
	return look, err
}
