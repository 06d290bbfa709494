package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Tag tells how a statement completed.
type Tag struct {
	Text string // as the server says it: "INSERT 0 5"; "" for an empty statement
	Rows int64  // the number at its end, 0 if there is none

	counted bool // there is one
}

func parseTag(text string) Tag {
	t := Tag{Text: text}
	if n, err := strconv.ParseInt(text[strings.LastIndexByte(text, ' ')+1:], 10, 64); err == nil {
		t.Rows, t.counted = n, true
	}
	return t
}

// Row is one row of a result, as text in the client encoding. It is valid only in the function that it is given to.
type Row struct{ cols [][]byte }

// Len is the number of columns.
func (r Row) Len() int { return len(r.cols) }

// Get gives column i, from 0; nil if it is NULL.
func (r Row) Get(i int) []byte { return r.cols[i] }

// IsNull tells NULL from the empty string.
func (r Row) IsNull(i int) bool { return r.cols[i] == nil }

// Exec runs one statement, or several as one implicit transaction, and throws away rows. The tag is the last one's.
func (c *Conn) Exec(ctx context.Context, sql string) (Tag, error) {
	r := result{conn: c}
	err := c.roundTrip(ctx, sql, &r)
	return r.tag, err
}

// Query runs sql and calls fn with each row. When fn fails, it isn't called again, the remaining rows are read and
// thrown away, and its error is returned.
func (c *Conn) Query(ctx context.Context, sql string, fn func(row Row) error) error {
	r := result{conn: c, fn: fn}
	return c.roundTrip(ctx, sql, &r)
}

// QueryStrings runs sql and gives all its rows. NULL is "".
func (c *Conn) QueryStrings(ctx context.Context, sql string) ([][]string, error) {
	var rows [][]string
	err := c.Query(ctx, sql, func(row Row) error {
		cols := make([]string, row.Len())
		for i := range cols {
			cols[i] = string(row.Get(i))
		}
		rows = append(rows, cols)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// QueryString runs a query that gives one row with one column; anything else is an error. NULL is "".
func (c *Conn) QueryString(ctx context.Context, sql string) (string, error) {
	rows, err := c.QueryStrings(ctx, sql)
	if err != nil {
		return "", err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return "", fmt.Errorf("one value expected, %d rows came: %s", len(rows), shorten(sql))
	}
	return rows[0][0], nil
}

// shorten makes a statement fit into a message.
func shorten(sql string) string {
	const most = 200
	if len(sql) <= most {
		return sql
	}
	return strings.ToValidUTF8(sql[:most], "") + " ..."
}

func (c *Conn) roundTrip(ctx context.Context, sql string, r *result) error {
	if c.err != nil {
		return c.err
	}
	if len(c.lengths) > 0 || c.copyIn != nil {
		return fmt.Errorf("%w: %s", ErrBusy, shorten(sql))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.during(ctx, func() error {
		if err := c.Send(sql); err != nil {
			return err
		}
		return r.read()
	})
}

// result reads what one query brings, up to its ReadyForQuery.
type result struct {
	conn    *Conn
	fn      func(Row) error // called with rows, may be nil
	discard bool            // COPY data is no surprise
	tag     Tag

	cols  [][]byte
	width int   // columns of the current rows
	err   error // the first one
}

func (r *result) read() error {
	c := r.conn
	if err := c.flush(); err != nil {
		return err
	}
	for {
		typ, body, err := c.message(r.fn != nil && r.err == nil)
		if err != nil {
			return err
		}
		if typ == msgReadyForQuery {
			return r.finish(body)
		}
		if err := r.take(typ, body); err != nil {
			return c.lose(err)
		}
	}
}

// finish ends the query and sends more of the queue.
func (r *result) finish(body []byte) error {
	if err := r.conn.ready(body); err != nil {
		return err
	}
	if err := r.conn.flush(); err != nil {
		return err
	}
	return r.err
}

// take handles one message; its error is a violation of the protocol. Errors of the query go to r.err.
func (r *result) take(typ byte, body []byte) error {
	switch typ {
	case msgCommandComplete:
		text, rest, ok := cutString(body)
		if !ok || len(rest) > 0 {
			return fmt.Errorf("%w: malformed command tag", ErrProtocol)
		}
		r.tag = parseTag(text)
	case msgEmptyQuery:
		r.tag = Tag{}
	case msgError:
		e, err := parseServerError(body)
		if err != nil {
			return err
		}
		r.fail(e)
		if e.Fatal() {
			return e
		}
	case msgRowDescription:
		if len(body) < 2 {
			return fmt.Errorf("%w: malformed row description", ErrProtocol)
		}
		r.width = int(binary.BigEndian.Uint16(body))
	case msgDataRow:
		return r.row(body)
	case msgCopyIn:
		r.fail(errors.New("the statement is a COPY FROM STDIN"))
		_, err := r.conn.nc.Write(copyFail("no data here"))
		return err
	case msgCopyOut:
		if !r.discard {
			r.fail(errors.New("the statement is a COPY TO STDOUT"))
		}
	case msgCopyData, msgCopyDone: // of a COPY that nobody wants
	default:
		return fmt.Errorf("%w: message of type %q in the result of a query", ErrProtocol, typ)
	}
	return nil
}

func (r *result) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// row decodes a DataRow and calls fn.
func (r *result) row(body []byte) error {
	if r.fn == nil || r.err != nil {
		return nil
	}
	if len(body) < 2 || int(binary.BigEndian.Uint16(body)) != r.width {
		return fmt.Errorf("%w: row with another number of columns than announced", ErrProtocol)
	}
	body = body[2:]
	r.cols = r.cols[:0]
	for range r.width {
		if len(body) < 4 {
			return fmt.Errorf("%w: row ends in a column's length", ErrProtocol)
		}
		n := int32(binary.BigEndian.Uint32(body)) //nolint:gosec // -1 is NULL
		body = body[4:]
		if n == -1 {
			r.cols = append(r.cols, nil)
			continue
		}
		if n < 0 || int(n) > len(body) {
			return fmt.Errorf("%w: column of length %d with %d bytes left", ErrProtocol, n, len(body))
		}
		r.cols = append(r.cols, body[:n:n])
		body = body[n:]
	}
	if len(body) > 0 {
		return fmt.Errorf("%w: %d bytes after the last column", ErrProtocol, len(body))
	}
	if err := r.fn(Row{r.cols}); err != nil {
		r.fail(err)
	}
	return nil
}

// message reads the next message that belongs to a query, and handles those that may come at any time. Of rows it tells
// the type only: always of a COPY's, of a query's unless they are wanted. Its error means that the session is lost.
func (c *Conn) message(wanted bool) (typ byte, body []byte, err error) {
	for {
		typ, size, err := c.in.head()
		switch {
		case err != nil:
			return 0, nil, c.lose(err)
		case asynchronous(typ):
			if err := c.aside(); err != nil {
				return 0, nil, err
			}
		case typ == msgCopyData, typ == msgDataRow && !wanted:
			c.in.pass(size)
			return typ, nil, nil
		default:
			if typ, body, err = c.in.next(); err != nil {
				return 0, nil, c.lose(err)
			}
			return typ, body, nil
		}
	}
}

// aside reads one asynchronous message. Its error means that the session is lost.
func (c *Conn) aside() error {
	typ, body, err := c.in.next()
	if err == nil {
		err = c.handle(typ, body)
	}
	if err != nil {
		return c.lose(err)
	}
	return nil
}

// asynchronous says that a message may come at any time.
func asynchronous(typ byte) bool {
	return typ == msgNotice || typ == msgParameterStatus || typ == msgNotification
}

// handle takes an asynchronous message.
func (c *Conn) handle(typ byte, body []byte) error {
	switch typ {
	case msgNotice:
		notice, err := parseServerError(body)
		if err != nil {
			return err
		}
		if c.OnNotice != nil {
			c.OnNotice(notice)
		}
	case msgParameterStatus:
		name, rest, ok := cutString(body)
		value, rest, ok2 := cutString(rest)
		if !ok || !ok2 || len(rest) > 0 {
			return fmt.Errorf("%w: malformed parameter status", ErrProtocol)
		}
		c.params[name] = value
	}
	return nil
}

// ready handles a ReadyForQuery. Its error means that the session is lost.
func (c *Conn) ready(body []byte) error {
	if len(body) != 1 || strings.IndexByte("ITE", body[0]) < 0 {
		return c.lose(fmt.Errorf("%w: malformed ReadyForQuery", ErrProtocol))
	}
	if err := c.completed(body[0]); err != nil {
		return c.lose(err)
	}
	return nil
}
