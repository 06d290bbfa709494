package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// maxInFlight bounds how many bytes of queries are sent before their results have been read. Both sides would wait for
// ever if the server could not take more queries because we don't read its results, and we don't because we send
// queries; what is in flight must fit into the socket's buffers. A single longer query is sent when nothing else runs:
// the server reads all of it before it answers.
const maxInFlight = 16 << 10

// Send queues queries, each a simple query of one or more statements. It does not wait for the server, so results can
// be taken one after the other with NextCopyOut, NextRowsOut and NextExec, in the order of the queries, without a round trip for
// each. An error in one doesn't stop those after it, unless they share a transaction; their results must be taken as
// well, or thrown away with Drain. Any number may be queued; only a few KiB are on their way to the server at a time.
func (c *Conn) Send(sql ...string) error {
	if c.err != nil {
		return c.err
	}
	if c.copyIn != nil {
		return fmt.Errorf("%w: COPY FROM STDIN", ErrBusy)
	}
	for _, q := range sql {
		if strings.IndexByte(q, 0) >= 0 {
			return errors.New("the statement holds a NUL byte, which no server takes")
		}
		if len(q) > maxDataLen {
			return errors.New("the statement is larger than 1 GiB, which no server takes")
		}
	}
	for _, q := range sql {
		before := len(c.out)
		c.out = append(c.out, 'Q')
		c.out = binary.BigEndian.AppendUint32(c.out, uint32(4+len(q)+1)) //nolint:gosec // checked above
		c.out = append(append(c.out, q...), 0)
		c.lengths = append(c.lengths, len(c.out)-before)
	}
	// A long query could block, and is left to the call that takes a result, which has a context.
	if n, bytes := c.sendable(); n > 0 && bytes <= maxInFlight {
		return c.flush()
	}
	return nil
}

// Pending is the number of queries whose results have not been taken completely.
func (c *Conn) Pending() int { return len(c.lengths) }

// sendable says how many queued queries may be sent now, and their bytes.
func (c *Conn) sendable() (n, bytes int) {
	for _, length := range c.lengths[c.sent:] {
		if total := c.inFlight + bytes; total > 0 && total+length > maxInFlight {
			break
		}
		n++
		bytes += length
	}
	return n, bytes
}

// flush sends as many queued queries as may be in flight. To save system calls it waits until half of that is free.
func (c *Conn) flush() error {
	if len(c.out) == 0 || c.inFlight > maxInFlight/2 {
		return nil
	}
	n, bytes := c.sendable()
	if n == 0 {
		return nil
	}
	if _, err := c.nc.Write(c.out[:bytes]); err != nil {
		return c.lose(c.lastWords(err))
	}
	c.sent += n
	c.inFlight += bytes
	if c.out = c.out[bytes:]; len(c.out) == 0 {
		c.out = nil
	}
	return nil
}

// completed takes the oldest query off the queue: its ReadyForQuery has come.
func (c *Conn) completed(status byte) error {
	if c.sent == 0 {
		return fmt.Errorf("%w: an answer without a question", ErrProtocol)
	}
	c.status = status
	c.inFlight -= c.lengths[0]
	c.sent--
	if c.lengths = c.lengths[1:]; len(c.lengths) == 0 {
		c.lengths = nil
	}
	return nil
}

// NextExec takes the result of the oldest queued query and throws its rows away.
func (c *Conn) NextExec(ctx context.Context) (Tag, error) {
	r := result{conn: c}
	if err := c.takeable(ctx); err != nil {
		return Tag{}, err
	}
	err := c.during(ctx, r.read)
	return r.tag, err
}

// takeable says whether the oldest queued query's result may be taken now.
func (c *Conn) takeable(ctx context.Context) error {
	switch {
	case c.err != nil:
		return c.err
	case c.stream != nil:
		return fmt.Errorf("%w: rows are on their way", ErrBusy)
	case len(c.lengths) == 0:
		return errors.New("no query is pending")
	case c.sent == 0:
		return ctx.Err() // nothing of it has gone out, and nothing will
	default:
		return nil
	}
}

// Drain throws away the results of all pending queries, the rest of an open CopyOut or RowsOut first. Errors of the queries
// themselves don't count; the one returned says that the session is of no more use. It waits for queries that run
// long; end ctx to have them cancelled.
func (c *Conn) Drain(ctx context.Context) error {
	if c.copyIn != nil {
		return fmt.Errorf("%w: COPY FROM STDIN", ErrBusy)
	}
	return c.during(ctx, c.drain)
}

// drain reads up to the last pending query's end. Queries that have not been sent never will be.
func (c *Conn) drain() error {
	c.lengths = c.lengths[:c.sent]
	c.out = nil
	if o := c.stream; o != nil {
		o.abandon()
	}
	for c.sent > 0 {
		r := result{conn: c, discard: true}
		if err := r.read(); err != nil && c.err != nil {
			return c.err
		}
	}
	return nil
}
