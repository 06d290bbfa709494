package fanout

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// NotEmptyError says that a restore would have added rows to tables that hold some already. Nothing was changed.
type NotEmptyError struct {
	Database string
	Tables   []string // qualified, quoted where SQL needs it; large objects as "large object 16400"
	Clean    bool     // although what is restored is dropped first: their definitions are not restored
}

func (e *NotEmptyError) Error() string {
	if e.Clean {
		return fmt.Sprintf("not restored, nothing was changed: database %q already has rows in %s, which -c does not drop, because only their rows are to be restored; "+
			"use --append to add to them, TRUNCATE them first, or restore the tables with their definitions", e.Database, someTables(e.Tables))
	}
	return fmt.Sprintf("not restored, nothing was changed: database %q already has rows in %s; "+
		"use --append to add to them, -c to drop them first, or another database", e.Database, someTables(e.Tables))
}

// tablesNamed is how many tables a message names.
const tablesNamed = 10

// someTables names tables for a message, not all if they are many.
func someTables(names []string) string {
	if n := len(names) - tablesNamed; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:tablesNamed], ", "), n)
	}
	return strings.Join(names, ", ")
}

// checkBatch is how many tables one query asks about.
const checkBatch = 200

// checkBatchSegments is the same where every probe of a query starts a process on every segment.
const checkBatchSegments = 5

// checkEmpty refuses to load into tables that exist and hold rows, unless asked to.
func (r *restoreRun) checkEmpty(ctx context.Context, s *loadSession) error {
	if r.opts.Create || r.opts.Append || len(r.loads) == 0 {
		return nil
	}
	var tables []*archive.Entry
	blobs := false
	for _, step := range r.steps {
		switch {
		case step.Blobs():
			blobs = !r.opts.Clean
		case step.Rows() && r.opts.Clean && r.plan.drops(step.Entry.ID): // it is made anew
		case step.Rows():
			tables = append(tables, step.Entry)
		}
	}
	var full []string
	size := checkBatch
	if r.onSegments() {
		size = checkBatchSegments
	}
	for batch := range slices.Chunk(tables, size) {
		found, err := r.tablesWithRows(ctx, s.conn, batch)
		if err != nil {
			return fmt.Errorf("look for rows in the target: %w", err)
		}
		full = append(full, found...)
	}
	if blobs {
		found, err := r.blobsThere(ctx, s.conn)
		if err != nil {
			return fmt.Errorf("look for large objects in the target: %w", err)
		}
		full = append(full, found...)
	}
	if len(full) > 0 {
		return &NotEmptyError{Database: r.result.Database, Tables: full, Clean: r.opts.Clean}
	}
	return nil
}

// tablesWithRows returns those of the tables that exist and hold rows. A partitioned table holds what its partitions do;
// foreign tables are looked into by checkForeign, and what an extension put into its own tables is no one's data.
func (r *restoreRun) tablesWithRows(ctx context.Context, conn *wire.Conn, tables []*archive.Entry) ([]string, error) {
	names := make([]string, len(tables))
	for i, e := range tables {
		names[i] = fmt.Sprintf("(%s, %s)", conn.Literal(e.Schema), conn.Literal(e.Name))
	}
	existing, err := conn.QueryStrings(ctx, `SELECT n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN (VALUES `+strings.Join(names, ", ")+`) t(s, r) ON t.s = n.nspname::pg_catalog.text AND t.r = c.relname::pg_catalog.text
WHERE c.relkind IN ('r', 'p') AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')`)
	if err != nil || len(existing) == 0 {
		return nil, err
	}
	probes := make([]string, len(existing))
	for i, row := range existing {
		from := r.from(row[0], row[1])
		if row[2] == "p" {
			from = wire.QualifiedName(row[0], row[1])
		}
		probes[i] = fmt.Sprintf("SELECT %d WHERE EXISTS (SELECT 1 FROM %s)", i, from)
	}
	rows, err := conn.QueryStrings(ctx, strings.Join(probes, " UNION ALL ")+" ORDER BY 1")
	if err != nil {
		return nil, err
	}
	var full []string
	for _, row := range rows {
		i, err := strconv.Atoi(row[0])
		if err != nil || i < 0 || i >= len(existing) {
			return nil, fmt.Errorf("unexpected answer %q", row[0])
		}
		full = append(full, qualifiedID(existing[i][0], existing[i][1]))
	}
	return full, nil
}

// blobsThere returns those of the large objects to be created whose OIDs are taken.
func (r *restoreRun) blobsThere(ctx context.Context, conn *wire.Conn) ([]string, error) {
	var oids []uint32
	for _, step := range r.steps {
		some, err := blobOIDs(step.Entry)
		if err != nil {
			return nil, err
		}
		oids = append(oids, some...)
	}
	var taken []string
	for batch := range slices.Chunk(oids, 100*checkBatch) {
		rows, err := conn.QueryStrings(ctx, `SELECT oid FROM pg_catalog.pg_largeobject_metadata
WHERE oid = ANY ('{`+joinOIDs(batch)+`}'::pg_catalog.oid[]) ORDER BY 1`)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			taken = append(taken, "large object "+row[0])
		}
	}
	return taken, nil
}
