package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// target is one table of the archive, and what the database has under its name.
type target struct {
	entry         int32
	schema, table string
	columns       []string
	blobs         bool     // large objects, not a table
	oids          []uint32 // of the large objects
	streams       []archive.StreamID
	want          archive.Digest

	oid       uint32 // 0 if the database has no such table
	kind      byte   // pg_class.relkind
	pages     uint64
	size      uint64
	condition string // WHERE clause of an extension's configuration table

	class, message string // a finding that is known without reading

	mu     sync.Mutex // guards what follows while the workers run
	got    archive.Digest
	failed error
}

// add joins the digest of one part of the table.
func (t *target) add(d archive.Digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.got.Merge(d)
}

// fail records why the table can't be read.
func (t *target) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = err
	}
}

// describeBatch is how many tables one query asks for.
const describeBatch = 500

// describe looks the targets up in the database, as the session's snapshot shows it.
func describe(ctx context.Context, conn *wire.Conn, targets []*target) error {
	conditions, err := extensionConditions(ctx, conn)
	if err != nil {
		return err
	}
	for len(targets) > 0 {
		n := min(describeBatch, len(targets))
		if err := describeSome(ctx, conn, targets[:n]); err != nil {
			return err
		}
		for _, t := range targets[:n] {
			t.condition = conditions[t.oid]
		}
		targets = targets[n:]
	}
	return nil
}

// extensionConditions returns the filters of the extensions' configuration tables: pg_dump writes only those rows.
func extensionConditions(ctx context.Context, conn *wire.Conn) (map[uint32]string, error) {
	conditions := make(map[uint32]string)
	err := conn.Query(ctx, `SELECT e.extconfig[i], COALESCE(e.extcondition[i], '')
FROM pg_catalog.pg_extension e, pg_catalog.generate_subscripts(e.extconfig, 1) i`, func(row wire.Row) error {
		oid, err := parseOID(row.Get(0))
		conditions[oid] = string(row.Get(1))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the extensions' configuration tables: %w", err)
	}
	return conditions, nil
}

func describeSome(ctx context.Context, conn *wire.Conn, targets []*target) error {
	var names strings.Builder
	for i, t := range targets {
		if t.blobs {
			continue
		}
		if names.Len() > 0 {
			names.WriteString(", ")
		}
		fmt.Fprintf(&names, "(%d, %s, %s)", i, wire.Literal(t.schema), wire.Literal(t.table))
	}
	if names.Len() == 0 {
		return nil
	}
	byOID := make(map[uint32]*target)
	err := conn.Query(ctx, `SELECT v.i, c.oid, c.relkind,
  CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::pg_catalog.int8 ELSE 0 END,
  CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_table_size(c.oid) ELSE 0 END
FROM (VALUES `+names.String()+`) v(i, s, t)
JOIN pg_catalog.pg_namespace n ON n.nspname = v.s::pg_catalog.name
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = v.t::pg_catalog.name
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')`, func(row wire.Row) error {
		i, err := strconv.Atoi(string(row.Get(0)))
		if err != nil {
			return err
		}
		t := targets[i]
		if t.oid, err = parseOID(row.Get(1)); err != nil {
			return err
		}
		t.kind = row.Get(2)[0]
		byOID[t.oid] = t
		return parseSizes(t, row)
	})
	if err != nil {
		return fmt.Errorf("look the tables up: %w", err)
	}
	for _, t := range targets {
		if t.oid == 0 && !t.blobs && t.class == "" {
			t.class, t.message = ClassMissingTable, "the database has no such table"
		}
	}
	return checkColumns(ctx, conn, byOID)
}

// parseSizes reads pages and bytes, which are NULL for a table that is being dropped.
func parseSizes(t *target, row wire.Row) error {
	for i, dst := range []*uint64{&t.pages, &t.size} {
		if row.IsNull(3 + i) {
			continue
		}
		v, err := strconv.ParseUint(string(row.Get(3+i)), 10, 64)
		if err != nil {
			return fmt.Errorf("size of a table: %w", err)
		}
		*dst = v
	}
	return nil
}

// checkColumns finds targets that lack a column that the archive has.
func checkColumns(ctx context.Context, conn *wire.Conn, byOID map[uint32]*target) error {
	if len(byOID) == 0 {
		return nil
	}
	oids := joinOIDs(slices.Collect(maps.Keys(byOID)))
	have := make(map[uint32]map[string]bool)
	err := conn.Query(ctx, `SELECT a.attrelid, a.attname FROM pg_catalog.pg_attribute a
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ANY ('{`+oids+`}'::pg_catalog.oid[])`, func(row wire.Row) error {
		oid, err := parseOID(row.Get(0))
		if have[oid] == nil {
			have[oid] = make(map[string]bool)
		}
		have[oid][string(row.Get(1))] = true
		return err
	})
	if err != nil {
		return fmt.Errorf("look the columns up: %w", err)
	}
	for oid, t := range byOID {
		var missing []string
		for _, c := range t.columns {
			if !have[oid][c] {
				missing = append(missing, wire.Ident(c))
			}
		}
		if len(missing) > 0 && t.class == "" {
			t.class, t.message = ClassMissingColumn, "the database's table has no column "+strings.Join(missing, ", ")
		}
	}
	return nil
}

func parseOID(b []byte) (uint32, error) {
	oid, err := strconv.ParseUint(string(b), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("an OID: %w", err)
	}
	return uint32(oid), nil
}

func joinOIDs(oids []uint32) string {
	var b strings.Builder
	for i, oid := range oids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(oid), 10))
	}
	return b.String()
}
