package fanout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/pgark/pgark/wire"
)

// workerLockTimeout is how long a worker waits for its ACCESS SHARE on a table. The leader has that lock already, so
// a worker waits only if somebody's ACCESS EXCLUSIVE request queues behind the leader's. It would wait for the leader
// and the worker for it: the leader reads that table itself.
const workerLockTimeout = "250ms"

// reader is one session that shares the moment and reads units.
type reader struct {
	conn     *wire.Conn
	p        rowPipe
	snapshot string
	node     string
	patience string // lock_timeout behind the tables' own locks, for a session that has workerLockTimeout for these; "" for others
}

// join makes the session show the moment. The import must be the transaction's first statement.
func (r *reader) join(ctx context.Context) error {
	_, err := r.conn.Exec(ctx, beginMoment)
	if err == nil {
		_, err = r.conn.Exec(ctx, "SET TRANSACTION SNAPSHOT "+wire.Literal(r.snapshot))
	}
	if err != nil {
		return fmt.Errorf("%s: share the leader's snapshot: %w", r.node, err)
	}
	return nil
}

// readOrPass reads a batch. A unit whose table somebody waits for goes to the session that holds its lock.
func (r *reader) readOrPass(ctx context.Context, batch []unit, pass func(unit) error) error {
	for len(batch) > 0 {
		done, err := r.read(ctx, batch)
		if err == nil {
			return nil
		}
		switch {
		case !wire.IsLockTimeout(err):
			return err
		case hasBegun(err):
			return fmt.Errorf("%w (somebody keeps a lock on its TOAST table or an index of that, as REINDEX does: dump again when that is done, or wait longer)", err)
		}
		// What was asked for behind the failed statement failed with it; the last one brings the transaction back.
		for r.conn.Pending() > 0 {
			if _, err := r.conn.NextExec(ctx); err != nil && !isServerError(err) {
				return err
			}
		}
		if done == 0 && len(batch) > 1 { // it may be any of them
			return r.readEach(ctx, batch, pass)
		}
		if err := pass(batch[done]); err != nil {
			return err
		}
		batch = batch[done+1:]
	}
	return nil
}

// readEach reads a batch unit by unit.
func (r *reader) readEach(ctx context.Context, batch []unit, pass func(unit) error) error {
	for i := range batch {
		if err := r.readOrPass(ctx, batch[i:i+1], pass); err != nil {
			return err
		}
	}
	return nil
}

// batchNames names the tables of a batch for a message.
func batchNames(batch []unit) string {
	names := make([]string, len(batch))
	for i := range batch {
		names[i] = batch[i].name()
	}
	return someTables(names)
}

// begunError is one of a unit whose rows had begun to come: it can't be read again by another session.
type begunError struct{ error }

func (e *begunError) Unwrap() error { return e.error }

func hasBegun(err error) bool {
	var begun *begunError
	return errors.As(err, &begun)
}

// lockAll locks what a batch reads, for as long as the batch takes, and gives the session patience for the locks that reading takes itself: those
// on TOAST tables and their indexes, which REINDEX TABLE has to itself while all read the table.
func (r *reader) lockAll(batch []unit) string {
	if r.patience == "" {
		return ""
	}
	names := make([]string, 0, len(batch))
	for i := range batch {
		if batch[i].lock == "" {
			return ""
		}
		names = append(names, batch[i].lock)
	}
	return "LOCK TABLE " + strings.Join(names, ", ") + " IN ACCESS SHARE MODE; SET LOCAL lock_timeout = '" + r.patience + "'"
}

func isServerError(err error) bool {
	var se *wire.ServerError
	return errors.As(err, &se)
}

// read asks for all units of the batch at once and takes the answers in turn. It returns how many are done.
//
// The batch runs in a subtransaction that is rolled back, which gives back the locks on its tables: kept to the end,
// the locks of several sessions on each of 10,000 tables would not fit into a server's lock table.
func (r *reader) read(ctx context.Context, batch []unit) (int, error) {
	sql := make([]string, 0, len(batch)+3)
	sql = append(sql, "SAVEPOINT batch")
	lock := r.lockAll(batch)
	if lock != "" {
		sql = append(sql, lock)
	}
	for i := range batch {
		sql = append(sql, batch[i].sql)
	}
	sql = append(sql, "ROLLBACK TO SAVEPOINT batch; RELEASE SAVEPOINT batch")
	if err := r.conn.Send(sql...); err != nil {
		return 0, fmt.Errorf("%s: %w", r.node, err)
	}
	if _, err := r.conn.NextExec(ctx); err != nil {
		return 0, fmt.Errorf("%s: %w", r.node, err)
	}
	if lock != "" {
		if _, err := r.conn.NextExec(ctx); err != nil {
			return 0, fmt.Errorf("lock %s, to be read from %s: %w", batchNames(batch), r.node, err)
		}
	}
	for i := range batch {
		if err := r.readOne(ctx, &batch[i]); err != nil {
			return i, fmt.Errorf("table %s, read from %s: %w", batch[i].name(), r.node, err)
		}
	}
	if _, err := r.conn.NextExec(ctx); err != nil {
		return len(batch), fmt.Errorf("%s: %w", r.node, err)
	}
	return len(batch), nil
}

// readOne moves the rows of the oldest COPY under way into the pipeline.
func (r *reader) readOne(ctx context.Context, u *unit) error {
	out, err := r.conn.NextCopyOut(ctx)
	if err != nil {
		return err
	}
	if err := r.copyRows(ctx, out, u); err != nil {
		return &begunError{err}
	}
	return nil
}

func (r *reader) copyRows(ctx context.Context, out *wire.CopyOut, u *unit) error {
	st, err := r.p.open(ctx, u)
	if err != nil {
		return err
	}
	for {
		s, err := r.p.take(ctx, st)
		if err != nil {
			return err
		}
		n, open, err := out.Fill(ctx, s.buf)
		if err != nil {
			r.p.giveBack(s)
			if errors.Is(err, io.EOF) {
				break
			}
			return err
		}
		if err := r.p.rows(ctx, st, s, n, open); err != nil {
			return err
		}
	}
	return r.p.close(ctx, st, out.Rows())
}

// leaderQueue collects what only the leader can read without waiting.
type leaderQueue struct {
	mu    sync.Mutex
	units []unit
}

func (q *leaderQueue) add(u unit) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.units = append(q.units, u)
}
