package fanout

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgark/pgark/wire"
)

// A dump of a snapshot that somebody else has exported, such as that of a new replication slot, comes to its locks after the snapshot was
// taken. What was truncated or rewritten in between has no rows in the snapshot any more, and no server tells. So a second session
// says what the tables are now that they are locked; those that the snapshot shows must be the same.

// givenRoute refuses a snapshot that was given for anything but one server, read as its clients do.
func (o *DumpOptions) givenRoute() error {
	switch {
	case o.Snapshot == "":
		return nil
	case o.Cluster.Layout != LayoutSingle:
		return fmt.Errorf("%w: a snapshot is one server's: it can't be given for a cluster of several", ErrUsage)
	case o.Route != "" && o.Route != RouteAuto && o.Route != RouteCoordinator:
		return fmt.Errorf("%w: a snapshot that is given is read over route coordinator, not %s", ErrUsage, o.Route)
	}
	return nil
}

// importGiven has the leader's transaction, which must have taken no snapshot, show the one that was given.
func (d *dumper) importGiven(ctx context.Context, leader *wire.Conn) error {
	if d.o.Snapshot == "" {
		return nil
	}
	if _, err := leader.Exec(ctx, "SET TRANSACTION SNAPSHOT "+wire.Literal(d.o.Snapshot)); err != nil {
		return fmt.Errorf("show snapshot %s, which lasts as long as the transaction that exported it, and is of its database only: %w",
			sanitizeLine(d.o.Snapshot), err)
	}
	return nil
}

// tableStates is what a table consists of: its file, its name, and its columns.
const tableStates = `SELECT c.oid, pg_catalog.concat_ws(' ', c.relfilenode, c.relkind, pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname), (
  SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attnum, pg_catalog.quote_ident(a.attname), a.atttypid, a.atttypmod, a.attisdropped), ',' ORDER BY a.attnum)
  FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')`

// errChanged is for what has changed since a snapshot that was given was taken.
var errChanged = errors.New("the snapshot can't be dumped any more, take a new one")

// unchanged refuses a snapshot that was given if a table that it shows is another one by now. seen are its tables. All that are still there
// are locked by now, but for those that have another name.
func (d *dumper) unchanged(ctx context.Context, leader *wire.Conn, seen []relation) error {
	if d.o.Snapshot == "" {
		return nil
	}
	then, err := states(ctx, leader)
	if err != nil {
		return err
	}
	other, err := d.session(ctx, &d.o.Cluster.Coordinator, workerLockTimeout)
	if err != nil {
		return err
	}
	defer closeSession(ctx, other)
	now, err := states(ctx, other)
	if err != nil {
		return err
	}
	for _, r := range seen {
		oid := fmt.Sprint(r.OID)
		switch is, there := now[oid]; {
		case !r.lockable() || then[oid] == is:
		case !there:
			return fmt.Errorf("%w: %s was dropped since", errChanged, r.quoted())
		default:
			return fmt.Errorf("%w: %s was truncated, rewritten or altered since", errChanged, r.quoted())
		}
	}
	return nil
}

func states(ctx context.Context, conn *wire.Conn) (map[string]string, error) {
	return queryMap(ctx, conn, "compare the tables with those of the snapshot", tableStates)
}
