package fanout

import (
	"context"
	"errors"

	"github.com/pgark/pgark/wire"
)

// cursorReader reads units by the route cursors: one session on the coordinator declares a parallel retrieve cursor for
// a unit, and one session on each node that has an endpoint of it retrieves the rows of that node, all at once. Each
// endpoint's rows become a stream of their own, with the node's ID.
//
// It is for one goroutine at a time; several readers work side by side, each with a coordinator session of its own.
type cursorReader struct {
	conn    *wire.Conn
	p       *pipeline
	cluster *Cluster
}

// newCursorReader makes a reader. conn is a session on the coordinator that shows the moment: its transaction is open
// and has the snapshot. It stays the caller's; sessions on the nodes are opened when they are needed, and close ends them.
func newCursorReader(conn *wire.Conn, p *pipeline, cluster *Cluster) *cursorReader {
	return &cursorReader{conn: conn, p: p, cluster: cluster}
}

// cursorUnit makes the unit of a whole part for read: its sql is the SELECT that a cursor is declared for, and it has a
// tally of its own.
func cursorUnit(p *part) unit {
	u := partUnit(p, 0, p.pages, true, true, p.bytes)
	u.sql = p.selectSQL(p.where)
	u.table = &tally{units: 1}
	return u
}

// read moves all rows of a unit that cursorUnit made into the pipeline. The unit must be the only one of its table: read
// sets the tally to the number of streams. When it returns nil the server has confirmed that every node sent all of its
// rows without an error. After an error the coordinator's transaction has usually failed, and with it the moment.
func (r *cursorReader) read(ctx context.Context, u *unit) error {
	return errors.ErrUnsupported
}

// close ends the sessions on the nodes.
func (r *cursorReader) close(ctx context.Context) {
}
