package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// Archive reads an archive and reports everything that is wrong with it; with o.Quick only its structure and index.
// Memory is bounded by o.Jobs blocks, and by the index. The error is not nil only if r could not be read or ctx ended:
// damage is in the report.
func Archive(ctx context.Context, r io.ReaderAt, size int64, o Options) (*Report, error) {
	o = o.withDefaults()
	res, err := archive.Check(ctx, r, size, archive.CheckOptions{Jobs: o.Jobs, Quick: o.Quick})
	if errors.Is(err, archive.ErrNotArchive) {
		return notArchive(o), nil
	}
	if err != nil {
		return nil, fmt.Errorf("check the archive: %w", err)
	}
	return o.report(res), nil
}

// Files is Archive for the file at path, and if it is the lead volume of a set, for all of its volumes, which are found as open
// says. Findings name the volume that they are in: the archive's own file, or another by its path.
func Files(ctx context.Context, path string, open archive.OpenOptions, o Options) (*Report, error) {
	o = o.withDefaults()
	res, err := archive.CheckFiles(ctx, path, archive.CheckOptions{Jobs: o.Jobs, Quick: o.Quick, Members: o.Members}, open)
	if errors.Is(err, archive.ErrNotArchive) {
		return notArchive(o), nil
	}
	if err != nil {
		return nil, fmt.Errorf("check the archive: %w", err)
	}
	for i := range res.Findings {
		if f := &res.Findings[i]; f.Volume == path {
			f.Volume = ""
		}
	}
	return o.report(res), nil
}

// notArchive reports what may have been an archive: then every trace of it is gone, and that is the worst damage there is.
func notArchive(o Options) *Report {
	report := newReport()
	report.add(Finding{
		Class: ClassNotArchive, Volume: o.Volume, Offset: 0, Block: -1,
		Message: "this is no pgark archive, or nothing of it is left",
	})
	return report
}

// report makes a report of a check.
func (o Options) report(res *archive.CheckResult) *Report {
	report := newReport()
	report.Tables, report.Rows, report.Blocks, report.Bytes = res.Tables, res.Rows, res.Blocks, res.Bytes
	for _, f := range res.Findings {
		report.add(Finding{
			Class: f.Class, Database: f.Database, Volume: cmp.Or(f.Volume, o.Volume), Offset: f.Offset, Table: tableName(f.Schema, f.Table), Block: f.Block,
			Message: f.Message,
		})
	}
	if res.More > 0 {
		report.add(Finding{
			Class: ClassMore, Volume: o.Volume, Offset: -1, Block: -1, Message: fmt.Sprintf("%d more findings are not listed", res.More),
		})
	}
	report.OK = len(report.Findings) == 0
	return report
}

// tableName is how findings name a table.
func tableName(schema, table string) string {
	switch {
	case table == "":
		return ""
	case schema == "":
		return table
	}
	return wire.QualifiedName(schema, table)
}
