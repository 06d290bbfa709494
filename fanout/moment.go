package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/pgark/pgark/wire"
)

// errSlipped says that the tables changed while the moment was being taken: the locks and the snapshot do not
// show the same tables. Everything is released and the moment is taken anew, [momentAttempts] times at most.
var errSlipped = errors.New("the tables changed while the moment was being taken")

const (
	// momentAttempts bounds how often a dump starts over because DDL got in between.
	momentAttempts = 20
	// lockBatch is how many tables one LOCK TABLE names. A longer statement gains nothing measurable.
	lockBatch = 500
)

// moment is the one point in time that a dump shows, held by the leader's open transaction: ACCESS SHARE on every
// table in scope, and an exported snapshot that was taken after the last lock was granted. In the other order a
// TRUNCATE that commits in between would show as an empty table.
type moment struct {
	leader   *wire.Conn
	snapshot string
	time     time.Time
	tables   map[uint32]*table // ordinary tables in scope, by OID
}

// table is an ordinary table whose rows can be read.
type table struct {
	relation
	Columns []string // without dropped and generated ones, in the table's order
	Pages   uint64   // of the main fork
	Bytes   uint64   // of the main fork and the TOAST table: an estimate of the work
}

// takeMoment takes the locks, then the snapshot, then looks again. The leader's transaction stays open: whoever has
// the moment ends it with [moment.end].
func takeMoment(ctx context.Context, leader *wire.Conn, s *scope, lockClause string, log *slog.Logger) (*moment, error) {
	rels, err := s.list(ctx, leader)
	if err != nil {
		return nil, err
	}
	// LOCK TABLE takes no snapshot, so the first one of this transaction is the exported one.
	if _, err := leader.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return nil, fmt.Errorf("begin the leader's transaction: %w", err)
	}
	if err := lockTables(ctx, leader, rels, lockClause); err != nil {
		return nil, err
	}
	m := &moment{leader: leader}
	row, err := leader.QueryStrings(ctx, `SELECT pg_catalog.pg_export_snapshot(),
  (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::pg_catalog.int8`)
	if err != nil {
		return nil, fmt.Errorf("export the snapshot: %w", err)
	}
	m.snapshot = row[0][0]
	micros, err := strconv.ParseInt(row[0][1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("server's clock: %w", err)
	}
	m.time = time.UnixMicro(micros).UTC()

	seen, err := s.list(ctx, leader)
	if err != nil {
		return nil, err
	}
	locked, err := lockedRelations(ctx, leader)
	if err != nil {
		return nil, err
	}
	for _, r := range seen {
		if !locked[r.OID] {
			return nil, fmt.Errorf("%w: %s is there and was not locked", errSlipped, r.quoted())
		}
	}
	m.tables, err = describeTables(ctx, leader, seen)
	if err != nil {
		return nil, err
	}
	log.Debug("moment taken", "snapshot", m.snapshot, "tables", len(m.tables), "locked", len(rels))
	return m, nil
}

// end closes the leader's transaction. An error means that the locks or the snapshot were lost on the way, and with
// them the promise.
func (m *moment) end(ctx context.Context) error {
	if _, err := m.leader.Exec(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("the session that held the locks and the snapshot was lost, so one moment is no longer certain: %w", err)
	}
	return nil
}

// lockTables locks in batches. A table that was dropped or renamed since it was listed is errSlipped.
func lockTables(ctx context.Context, conn *wire.Conn, rels []relation, clause string) error {
	for len(rels) > 0 {
		n := min(lockBatch, len(rels))
		var b strings.Builder
		b.WriteString("LOCK TABLE ")
		for i, r := range rels[:n] {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString("ONLY " + r.quoted())
		}
		b.WriteString(" IN ACCESS SHARE MODE" + clause)
		_, err := conn.Exec(ctx, b.String())
		switch {
		case wire.IsUndefined(err):
			return fmt.Errorf("%w: %w", errSlipped, err)
		case err != nil:
			return fmt.Errorf("lock the tables (ACCESS SHARE): %w", err)
		}
		rels = rels[n:]
	}
	return nil
}

// lockedRelations asks the server what this session has locked: LOCK TABLE goes by name, and a name may have come to
// mean another table between listing and locking.
func lockedRelations(ctx context.Context, conn *wire.Conn) (map[uint32]bool, error) {
	locked := make(map[uint32]bool)
	err := conn.Query(ctx, `SELECT l.relation FROM pg_catalog.pg_locks l
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.mode = 'AccessShareLock'
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())`,
		func(row wire.Row) error {
			oid, err := strconv.ParseUint(string(row.Get(0)), 10, 32)
			locked[uint32(oid)] = true
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list the locks: %w", err)
	}
	return locked, nil
}

// describeTables fills in columns and sizes. It runs under the leader's locks, so it never waits.
func describeTables(ctx context.Context, conn *wire.Conn, rels []relation) (map[uint32]*table, error) {
	tables := make(map[uint32]*table, len(rels))
	oids := make([]uint32, 0, len(rels))
	for _, r := range rels {
		if r.Kind == 'r' {
			tables[r.OID] = &table{relation: r}
			oids = append(oids, r.OID)
		}
	}
	if len(oids) == 0 {
		return tables, nil
	}
	// The list travels as one array literal: the planner hashes it, and 10,000 OIDs are 60 kB.
	in := "ANY ('{" + joinOIDs(oids) + "}'::pg_catalog.oid[])"
	err := conn.Query(ctx, `SELECT c.oid,
  pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::pg_catalog.int8,
  pg_catalog.pg_relation_size(c.oid) + CASE WHEN c.reltoastrelid <> 0 THEN pg_catalog.pg_relation_size(c.reltoastrelid) ELSE 0 END
FROM pg_catalog.pg_class c WHERE c.oid = `+in, func(row wire.Row) error {
		var v [3]uint64
		for i := range v {
			var err error
			if v[i], err = strconv.ParseUint(string(row.Get(i)), 10, 64); err != nil {
				return fmt.Errorf("size of a table: %w", err)
			}
		}
		if t := tables[uint32(v[0])]; t != nil {
			t.Pages, t.Bytes = v[1], v[2]
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the sizes of the tables: %w", err)
	}
	err = conn.Query(ctx, `SELECT a.attrelid, a.attname FROM pg_catalog.pg_attribute a
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attrelid = `+in+`
ORDER BY a.attrelid, a.attnum`, func(row wire.Row) error {
		oid, err := strconv.ParseUint(string(row.Get(0)), 10, 32)
		if t := tables[uint32(oid)]; t != nil {
			t.Columns = append(t.Columns, string(row.Get(1)))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the columns of the tables: %w", err)
	}
	return tables, nil
}
