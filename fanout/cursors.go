package fanout

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/wire"
)

// cursorReader reads units by the route cursors: one session on the coordinator declares a parallel retrieve cursor for
// a unit, and one session on each node that has an endpoint of it retrieves the rows of that node, all at once. Each
// endpoint's rows become a stream of their own, with the node's ID.
//
// It is for one goroutine at a time; several readers work side by side, each with a coordinator session of its own.
//
// What Greenplum 6.24.3 does, as tried on one:
//
//   - A table that is spread over the segments has one endpoint on each, a replicated one on one of them; LIMIT, ORDER BY
//     and system tables have one on the coordinator. The cursor sees the snapshot that its session has imported.
//   - All endpoints of one session on the coordinator take one retrieve session for each node, one cursor after the other: a
//     retrieve session belongs to the coordinator's session. It takes no statement but RETRIEVE, so no SET either;
//     and it is there that rows become text, by its settings, not the coordinator's.
//   - RETRIEVE gathers its rows on the segment before it sends the first one, in memory up to work_mem, then on disk. So
//     rows are asked for in portions. It ends with a tag without a row count.
//   - An error on a segment ends the rows there as if there were no more: the retrieve session sees no error. Only the
//     coordinator's gp_wait_parallel_retrieve_cursor tells. A retrieve session that ends early makes the cursor fail.
//   - Closing a cursor takes 200 ms, in whatever way and however few rows there were.
//   - Each open cursor has processes of its own on the segments, and connections of the coordinator to them: with 250
//     open ones, the coordinator's session ran out of file descriptors and hung. So a session has one at a time.
type cursorReader struct {
	conn     *wire.Conn
	p        *pipeline
	cluster  *Cluster
	sessions map[uint32]*wire.Conn // that retrieve, by Node.ID
	declared int                   // cursors so far
}

const (
	// cursorMin is the size of the smallest table that is worth a cursor: a coordinator copies it while a cursor is closed.
	cursorMin = 8 << 20
	// cursorWait is how long the coordinator may take to hear, in seconds, from segments whose rows have all been retrieved.
	cursorWait = 60
)

// errCursor is wrapped by errors about endpoints that are not as expected.
var errCursor = errors.New("parallel retrieve cursor")

// newCursorReader makes a reader. conn is a session on the coordinator that shows the moment: its transaction is open
// and has the snapshot. It stays the caller's; sessions on the nodes are opened when they are needed, and close ends them.
func newCursorReader(conn *wire.Conn, p *pipeline, cluster *Cluster) *cursorReader {
	return &cursorReader{conn: conn, p: p, cluster: cluster, sessions: make(map[uint32]*wire.Conn)}
}

// cursorUnit makes the unit of a whole part, with a tally of its own. That of a large one is for a cursor, and its sql is
// the SELECT that the cursor is declared for; a smaller one is to be copied through the coordinator, under the same snapshot.
func cursorUnit(p *part) unit {
	u := partUnit(p, 0, p.pages, true, true, p.bytes)
	if p.bytes >= cursorMin {
		u.sql = p.selectSQL(p.where)
	}
	u.table = &tally{units: 1}
	return u
}

// forCursor says whether a unit is for a cursor, not for a COPY.
func (u *unit) forCursor() bool { return strings.HasPrefix(u.sql, "SELECT ") }

// read moves all rows of a unit for a cursor into the pipeline. The unit must be the only one of its table: read
// sets the tally to the number of streams. When it returns nil the server has confirmed that every node sent all of its
// rows without an error. After a lock timeout (see [wire.IsLockTimeout]) nothing has been read, and the coordinator's
// transaction goes on; after any other error it has usually failed, and with it the moment.
func (r *cursorReader) read(ctx context.Context, u *unit) error {
	r.declared++
	name := "pgark_" + strconv.Itoa(r.declared)
	if err := r.declare(ctx, name, u.sql); err != nil {
		return err
	}
	if err := r.retrieveAll(ctx, name, u); err != nil {
		return &begunError{err}
	}
	if err := r.rollback(ctx); err != nil {
		return fmt.Errorf("%w: close it: %w", errCursor, err)
	}
	return nil
}

// declare opens a cursor in a subtransaction. Its rollback closes the cursor, and gives back the lock on the table.
func (r *cursorReader) declare(ctx context.Context, name, query string) error {
	if _, err := r.conn.Exec(ctx, "SAVEPOINT cursor"); err != nil {
		return fmt.Errorf("%w: %w", errCursor, err)
	}
	_, err := r.conn.Exec(ctx, "DECLARE "+wire.Ident(name)+" PARALLEL RETRIEVE CURSOR FOR "+query)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%w: declare it on the coordinator: %w", errCursor, err)
	if wire.IsLockTimeout(err) {
		return errors.Join(err, r.rollback(ctx))
	}
	return err
}

func (r *cursorReader) rollback(ctx context.Context) error {
	_, err := r.conn.Exec(ctx, "ROLLBACK TO SAVEPOINT cursor; RELEASE SAVEPOINT cursor")
	return err
}

// retrieveAll retrieves from all endpoints of a cursor and has the coordinator confirm that this was all.
func (r *cursorReader) retrieveAll(ctx context.Context, name string, u *unit) error {
	endpoints, err := r.endpoints(ctx, name)
	if err != nil { // an endpoint whose process has failed already lets nobody in
		return r.explain(ctx, name, err)
	}
	// Before the first stream is opened: from then on the tally is the appender's.
	u.table.units += len(endpoints) - 1
	var once sync.Once
	g, gctx := errgroup.WithContext(ctx)
	for i := range endpoints {
		g.Go(func() error {
			err := endpoints[i].retrieve(gctx, r.p, u)
			if err != nil {
				err = fmt.Errorf("retrieve from %s: %w", endpoints[i].node.Name, err)
				// Before the others are cancelled, which is an error, too.
				once.Do(func() { err = r.explain(gctx, name, err) })
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if done, err := r.finished(ctx, name, cursorWait); err != nil {
		return err
	} else if !done {
		return fmt.Errorf("%w: the coordinator does not confirm within %d s that all rows have been retrieved", errCursor, cursorWait)
	}
	for i := range endpoints {
		if err := r.p.close(ctx, endpoints[i].stream, endpoints[i].rows); err != nil {
			return err
		}
	}
	return nil
}

// explain adds to an error about a cursor's endpoints what the coordinator says about it: it may know why. A context that has
// ended is the reason itself.
func (r *cursorReader) explain(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if _, reason := r.finished(ctx, name, 1); reason != nil {
		return fmt.Errorf("%w (%w)", reason, err)
	}
	return err
}

// finished asks the coordinator whether all rows have been retrieved, and waits some seconds for that. Its error is that
// of a node.
func (r *cursorReader) finished(ctx context.Context, name string, seconds int) (bool, error) {
	answer, err := r.conn.QueryString(ctx, fmt.Sprintf("SELECT finished FROM pg_catalog.gp_wait_parallel_retrieve_cursor(%s, %d)",
		wire.Literal(name), seconds))
	if err != nil {
		return false, fmt.Errorf("%w: the coordinator says: %w", errCursor, err)
	}
	return answer == "t", nil
}

// close ends the sessions on the nodes.
func (r *cursorReader) close(ctx context.Context) {
	var g errgroup.Group
	for _, conn := range r.sessions {
		g.Go(func() error {
			closeSession(ctx, conn)
			return nil
		})
	}
	_ = g.Wait() // nothing there fails
	clear(r.sessions)
}
