package verify

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// readBuffer is what each session holds of the rows that it reads.
const readBuffer = 1 << 20

// work reads units over a session of its own until there are no more.
func (s *site) work(ctx context.Context, todo <-chan []unit) error {
	conn, err := wire.Connect(ctx, s.cfg, s.settings)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := s.join(ctx, conn); err != nil {
		return err
	}
	buf := make([]byte, readBuffer)
	for {
		select {
		case batch, ok := <-todo:
			if !ok {
				return nil
			}
			for len(batch) > 0 {
				done, err := s.readBatch(ctx, conn, batch, buf)
				if err != nil {
					return err
				}
				batch = batch[done:]
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// join begins a transaction that shows the leader's snapshot. Its import is the first statement: any earlier one would
// have fixed another snapshot.
func (s *site) join(ctx context.Context, conn *wire.Conn) error {
	_, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	if err == nil && s.snapshot != "" {
		_, err = conn.Exec(ctx, "SET TRANSACTION SNAPSHOT "+wire.Literal(s.snapshot))
	}
	if err != nil {
		return fmt.Errorf("share the leader's snapshot: %w", err)
	}
	return nil
}

// readBatch asks for all units of the batch at once, adds the digests of their rows to their targets, and returns how many are
// done: all, or those up to one that the server refuses to read, which is that target's failure. A lost session is an error.
func (s *site) readBatch(ctx context.Context, conn *wire.Conn, batch []unit, buf []byte) (int, error) {
	sql := make([]string, len(batch))
	for i := range batch {
		sql[i] = batch[i].sql
	}
	if err := conn.Send(sql...); err != nil {
		return 0, err
	}
	for i := range batch {
		p := batch[i].place
		d, err := s.digest(ctx, conn, p, buf)
		if err == nil {
			p.add(d)
			continue
		}
		var refused *wire.ServerError
		if ctx.Err() != nil || wire.IsConnLost(err) || wire.IsCancelled(err) || wire.IsAdminShutdown(err) || !errors.As(err, &refused) {
			return i, fmt.Errorf("read table %s: %w", tableName(p.schema, p.table), err)
		}
		p.fail(err)
		// The rest of the batch was refused with it.
		if err := conn.Drain(ctx); err != nil {
			return i, err
		}
		if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
			return i, err
		}
		return i + 1, s.join(ctx, conn)
	}
	return len(batch), nil
}

// digest takes the rows of the oldest COPY under way.
func (s *site) digest(ctx context.Context, conn *wire.Conn, p *place, buf []byte) (archive.Digest, error) {
	var d archive.Digest
	out, err := conn.NextCopyOut(ctx)
	if err != nil {
		return d, err
	}
	row := archive.NewRowHasher(p.marks)
	inRow := false // the last part was not the end of its row
	for {
		n, open, err := out.Fill(ctx, buf)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return d, err
		}
		rows := d.Rows
		switch {
		case !open && !inRow:
			err = d.AddRowsCanonical(p.marks, buf[:n])
		case open:
			_, err = row.Write(buf[:n])
		default:
			_, err = row.Write(buf[:n-1]) // without the LF that ends the row
			row.Done(&d)
		}
		if err != nil {
			return d, err
		}
		inRow = open
		s.options.Progress.Advance(d.Rows-rows, uint64(n))
	}
	if d.Rows != out.Rows() {
		return d, fmt.Errorf("the server sent %d rows, and %d came", out.Rows(), d.Rows)
	}
	return d, nil
}
