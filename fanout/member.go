package fanout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgark/pgark/wire"
)

// member is one server's share in a moment: a session whose transaction holds the snapshot, and the locks if the server
// keeps its own. The first member is the coordinator's, whose session is the leader's.
type member struct {
	node     *Node
	dialect  *Dialect
	conn     *wire.Conn
	locks    bool          // has locks of its own; on a segment of Greenplum the leader's are enough
	rels     []relation    // what was listed to be locked; not of the servers of foreign partitions
	names    []string      // with locks: what it locks, as LOCK TABLE takes it, with ONLY where that is meant
	locking  time.Duration // with locks: how long the ACCESS SHARE on all of them took
	snapshot string
	identity string    // what identityQuery says; known only if the rows go to volumes
	time     time.Time // of the snapshot, by the server's clock; with locks only
	parts    []part    // what is read over sessions with this server
	reads    bool      // and over this one alone
}

const beginMoment = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

// dialectOf is what a node can do: shards may be of other versions than their coordinator.
func (d *dumper) dialectOf(node *Node) *Dialect {
	if node.Dialect.Product != "" {
		return &node.Dialect
	}
	return &d.o.Cluster.Dialect
}

// accessShare locks what the member's server has of the tables in scope.
func (m *member) accessShare(ctx context.Context, clause string) error {
	begun := time.Now()
	defer func() { m.locking = time.Since(begun) }()
	names := m.names
	for len(names) > 0 {
		n := min(lockBatch, len(names))
		_, err := m.conn.Exec(ctx, "LOCK TABLE "+strings.Join(names[:n], ", ")+" IN ACCESS SHARE MODE"+clause)
		switch {
		case wire.IsUndefined(err):
			return fmt.Errorf("%w: %w", errSlipped, err)
		case err != nil:
			return fmt.Errorf("lock the tables (ACCESS SHARE): %w", err)
		}
		names = names[n:]
	}
	return nil
}

// locked asks the server what the session has locked: LOCK TABLE goes by name, and a name may have come to mean another
// table between listing and locking. Locks on catalogs that all databases share are of database 0.
func (m *member) locked(ctx context.Context) (map[uint32]bool, error) {
	own := ""
	if m.dialect.UtilityOption != "" {
		own = " AND l.gp_segment_id = -1" // not what another session has locked on a segment's host under the same process number
	}
	locked := make(map[uint32]bool)
	err := m.conn.Query(ctx, `SELECT l.relation FROM pg_catalog.pg_locks l
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.mode = 'AccessShareLock'`+own+`
  AND l.database IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))`,
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

// end closes the member's transaction. An error means that its locks or its snapshot were lost on the way, or that rows may be of others than
// the locked tables.
func (m *member) end(ctx context.Context) error {
	if err := m.steadyNamed(ctx); err != nil {
		return err
	}
	if _, err := m.conn.Exec(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("node %s: the session that held the snapshot was lost, so one moment is no longer certain: %w", m.node.Name, err)
	}
	return nil
}

// hasBlobs tells whether there are large objects.
func hasBlobs(ctx context.Context, conn *wire.Conn) (bool, error) {
	there, err := conn.QueryString(ctx, "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_largeobject_metadata)")
	if err != nil {
		return false, fmt.Errorf("look for large objects: %w", err)
	}
	return there == "t", nil
}

// little tells whether there is so little to read that a session of its own would cost more than the reading.
func (m *member) little() bool {
	var bytes uint64
	for i := range m.parts {
		bytes += m.parts[i].bytes
	}
	return bytes < littleBytes && len(m.parts) <= batchTables
}

// remoteTable is what a server has under the name of a table.
type remoteTable struct {
	oid      uint32
	kind     byte // relkind
	children bool
	columns  map[string]string // types by name; with size only after describeNamed
	size     size
}

// describeNamed looks tables up by name, as the session's snapshot shows them. In a transaction of isolation level
// repeatable read the first look takes the snapshot.
func describeNamed(ctx context.Context, conn *wire.Conn, names []tableName) (map[tableName]*remoteTable, error) {
	found, err := findNamed(ctx, conn, names)
	if err != nil {
		return nil, err
	}
	byOID := make(map[uint32]*remoteTable, len(found))
	for _, t := range found {
		byOID[t.oid] = t
	}
	return found, describeFound(ctx, conn, byOID)
}

// findNamed finds out which of the tables there are.
func findNamed(ctx context.Context, conn *wire.Conn, names []tableName) (map[tableName]*remoteTable, error) {
	found := make(map[tableName]*remoteTable, len(names))
	for batch := range slices.Chunk(names, lockBatch) {
		values := make([]string, len(batch))
		for i, n := range batch {
			values[i] = "(" + conn.Literal(n.schema) + ", " + conn.Literal(n.table) + ")"
		}
		err := conn.Query(ctx, `SELECT n.nspname, c.relname, c.oid, c.relkind,
  EXISTS (SELECT 1 FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid)
FROM (VALUES `+strings.Join(values, ", ")+`) v(s, t)
JOIN pg_catalog.pg_namespace n ON n.nspname = v.s::pg_catalog.name
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = v.t::pg_catalog.name`, func(row wire.Row) error {
			oid, err := strconv.ParseUint(string(row.Get(2)), 10, 32)
			found[tableName{string(row.Get(0)), string(row.Get(1))}] = &remoteTable{
				oid: uint32(oid), kind: row.Get(3)[0], children: string(row.Get(4)) == "t",
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("look the tables up: %w", err)
		}
	}
	return found, nil
}

func describeFound(ctx context.Context, conn *wire.Conn, byOID map[uint32]*remoteTable) error {
	oids := make([]uint32, 0, len(byOID))
	for oid, t := range byOID {
		t.columns = make(map[string]string)
		oids = append(oids, oid)
	}
	if len(oids) == 0 {
		return nil
	}
	err := conn.Query(ctx, `SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_attribute a WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = `+anyOID(oids), func(row wire.Row) error {
		oid, err := strconv.ParseUint(string(row.Get(0)), 10, 32)
		if t := byOID[uint32(oid)]; t != nil {
			t.columns[string(row.Get(1))] = string(row.Get(2))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read the columns of the tables: %w", err)
	}
	sizes, err := tableSizes(ctx, conn, sizeQuery, oids)
	for oid, s := range sizes {
		byOID[oid].size = s
	}
	return err
}

// errLayout says that the nodes do not have what the coordinator says they have.
var errLayout = errors.New("the nodes do not have the tables that they should have")

// fits checks that a node's table has the columns that are read from it, under the same types.
func (r *remoteTable) fits(t *table, columns []string, where string) error {
	if r.kind != 'r' && r.kind != 'p' {
		return fmt.Errorf("%w: %s is no table but of kind %q, which can't be locked against writers", errLayout, where, r.kind)
	}
	for i, c := range columns {
		switch typ, ok := r.columns[c]; {
		case !ok:
			return fmt.Errorf("%w: %s lacks the column %s", errLayout, where, wire.Ident(c))
		case typ != t.Types[i]:
			return fmt.Errorf("%w: column %s of %s is of type %s, but the coordinator has it as %s",
				errLayout, wire.Ident(c), where, typ, t.Types[i])
		}
	}
	return nil
}
