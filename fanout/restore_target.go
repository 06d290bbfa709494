package fanout

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgark/pgark/wire"
)

// discover finds out what kind of cluster a target is, if the caller knows how to.
func (r *restoreRun) discover(ctx context.Context, cfg *wire.Config) error {
	if r.opts.Discover == nil {
		return nil
	}
	cluster, err := r.opts.Discover(ctx, cfg)
	if err != nil {
		return fmt.Errorf("look at the target: %w", err)
	}
	r.cluster = cluster
	return nil
}

// onSegments reports whether the target's rows are on segments, to which its coordinator sends every statement.
func (r *restoreRun) onSegments() bool {
	return r.cluster != nil && r.cluster.Layout == LayoutSegments
}

// findRoots lists the target's partitioned tables that look like ordinary ones and hold nothing of their own. Their rows
// are those of their partitions, so they are read and emptied without ONLY.
func (r *restoreRun) findRoots(ctx context.Context, s *loadSession) error {
	if r.cluster == nil || !r.cluster.Dialect.LegacyParts {
		return nil
	}
	roots := make(map[tableName]bool)
	err := s.conn.Query(ctx, `SELECT n.nspname, c.relname FROM pg_catalog.pg_partition p
JOIN pg_catalog.pg_class c ON c.oid = p.parrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`,
		func(row wire.Row) error {
			roots[tableName{string(row.Get(0)), string(row.Get(1))}] = true
			return nil
		})
	if err != nil {
		return fmt.Errorf("list the partitioned tables of the target: %w", err)
	}
	own := make(map[tableName][]string)
	err = s.conn.Query(ctx, `WITH parts AS (SELECT p.parrelid AS root, c.oid, n.nspname, c.relname, c.relstorage FROM pg_catalog.pg_partition p
  JOIN pg_catalog.pg_partition_rule r ON r.paroid = p.oid JOIN pg_catalog.pg_class c ON c.oid = r.parchildrelid OR c.oid = p.parrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace)
SELECT DISTINCT n.nspname, c.relname, p.nspname, p.relname FROM parts p JOIN pg_catalog.pg_class c ON c.oid = p.root
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE p.relstorage <> 'x' AND p.root IN (SELECT root FROM parts WHERE relstorage = 'x')`,
		func(row wire.Row) error {
			root := tableName{string(row.Get(0)), string(row.Get(1))}
			own[root] = append(own[root], wire.QualifiedName(string(row.Get(2)), string(row.Get(3))))
			return nil
		})
	if err != nil {
		return fmt.Errorf("list the external partitions of the target: %w", err)
	}
	r.mu.Lock()
	r.roots, r.rootParts = roots, own
	r.mu.Unlock()
	return nil
}

// only is what stands in front of a table's name where the tables that inherit from it are not meant.
func (r *restoreRun) only(schema, table string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.roots[tableName{schema, table}] {
		return ""
	}
	return "ONLY "
}

// from is what columns of a table's rows are read from, without its external partitions: their rows are not the database's,
// and need not be within reach.
func (r *restoreRun) from(schema, table string, columns ...string) string {
	r.mu.Lock()
	parts := r.rootParts[tableName{schema, table}]
	r.mu.Unlock()
	if len(parts) == 0 {
		return r.only(schema, table) + wire.QualifiedName(schema, table)
	}
	list := quoteColumns(append([]string{"gp_segment_id"}, columns...))
	return "(SELECT " + list + " FROM ONLY " + strings.Join(parts, " UNION ALL SELECT "+list+" FROM ONLY ") + ") pgark_parts"
}
