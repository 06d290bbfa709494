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
func (c *comparison) work(ctx context.Context, todo <-chan unit) error {
	conn, err := wire.Connect(ctx, c.cfg, c.settings)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := c.join(ctx, conn); err != nil {
		return err
	}
	buf := make([]byte, readBuffer)
	for {
		select {
		case u, ok := <-todo:
			if !ok {
				return nil
			}
			if err := c.readUnit(ctx, conn, u, buf); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// join begins a transaction that shows the leader's snapshot. Its import is the first statement: any earlier one would
// have fixed another snapshot.
func (c *comparison) join(ctx context.Context, conn *wire.Conn) error {
	_, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	if err == nil && c.snapshot != "" {
		_, err = conn.Exec(ctx, "SET TRANSACTION SNAPSHOT "+wire.Literal(c.snapshot))
	}
	if err != nil {
		return fmt.Errorf("share the leader's snapshot: %w", err)
	}
	return nil
}

// readUnit adds the digest of a unit's rows to its target. What the server refuses is the target's failure;
// a lost session is the caller's.
func (c *comparison) readUnit(ctx context.Context, conn *wire.Conn, u unit, buf []byte) error {
	d, err := c.digest(ctx, conn, u.sql, buf)
	if err == nil {
		u.target.add(d)
		return nil
	}
	var refused *wire.ServerError
	if ctx.Err() != nil || wire.IsConnLost(err) || wire.IsCancelled(err) || wire.IsAdminShutdown(err) || !errors.As(err, &refused) {
		return fmt.Errorf("read table %s: %w", tableName(u.target.schema, u.target.table), err)
	}
	u.target.fail(err)
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		return err
	}
	return c.join(ctx, conn)
}

func (c *comparison) digest(ctx context.Context, conn *wire.Conn, sql string, buf []byte) (archive.Digest, error) {
	var d archive.Digest
	out, err := conn.CopyOut(ctx, sql)
	if err != nil {
		return d, err
	}
	var row archive.RowHasher
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
			err = d.AddRows(buf[:n])
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
		c.options.Progress.Advance(d.Rows-rows, uint64(n))
	}
	if d.Rows != out.Rows() {
		return d, fmt.Errorf("the server sent %d rows, and %d came", out.Rows(), d.Rows)
	}
	return d, nil
}
