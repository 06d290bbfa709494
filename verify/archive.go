package verify

import (
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
	report := newReport()
	if errors.Is(err, archive.ErrNotArchive) {
		// It may have been one: then every trace of it is gone, and that is the worst damage there is.
		report.add(Finding{
			Class: ClassNotArchive, Volume: o.Volume, Offset: 0, Block: -1,
			Message: "this is no pgark archive, or nothing of it is left",
		})
		return report, nil
	}
	if err != nil {
		return nil, fmt.Errorf("check the archive: %w", err)
	}
	tables := res.Tables
	if a, err := archive.NewReader(r, size); err == nil {
		tables = countTables(a)
	}
	report.Tables, report.Rows, report.Blocks, report.Bytes = tables, res.Rows, res.Blocks, res.Bytes
	for _, f := range res.Findings {
		report.add(Finding{
			Class: f.Class, Volume: o.Volume, Offset: f.Offset, Table: tableName(f.Schema, f.Table), Block: f.Block,
			Message: f.Message,
		})
	}
	if res.More > 0 {
		report.add(Finding{
			Class: ClassMore, Volume: o.Volume, Offset: -1, Block: -1, Message: fmt.Sprintf("%d more findings are not listed", res.More),
		})
	}
	report.OK = len(report.Findings) == 0
	return report, nil
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

// countTables counts the tables that have streams; partitions without an entry of their own count as one with the others.
// Large objects have streams too, without a schema.
func countTables(a *archive.Reader) int {
	type key struct {
		entry         int32
		schema, table string
	}
	tables := make(map[key]bool)
	for _, s := range a.Streams() {
		switch {
		case s.Schema == "":
		case s.Entry != 0:
			tables[key{entry: s.Entry}] = true
		default:
			tables[key{schema: s.Schema, table: s.Table}] = true
		}
	}
	return len(tables)
}
