package gpbackup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// spread says how the rows of a table lie on the segments.
type spread uint8

const (
	spreadUnknown spread = iota
	spreadParts          // each row on one segment
	spreadCopies         // each row on every segment
)

// spreadOf reads how CREATE TABLE distributes. Tables of Greenplum always say it.
func spreadOf(sql string) spread {
	how, ok := after(sql, "DISTRIBUTED ")
	switch {
	case !ok:
		return spreadUnknown
	case strings.HasPrefix(how, "REPLICATED"):
		return spreadCopies
	case hasPrefix(how, "BY", "RANDOMLY"):
		return spreadParts
	}
	return spreadUnknown
}

// spreadOf decides how the rows of a table lie. Its definition tells best. The table of contents does so since gpbackup
// 1.27, which however takes a table for replicated, too, that is distributed by a column whose name has REPLICATED in it.
// name is that of the table that d is, or is a partition of.
func (s *Set) spreadOf(d *tableData, name string, b *catalogBuilder) spread {
	for _, n := range []string{d.fqn(), name} {
		if how := b.spread[n]; how != spreadUnknown {
			return how
		}
	}
	switch {
	case d.Replicated != nil && !*d.Replicated:
		return spreadParts
	case d.Replicated != nil && d.root() == "" && !strings.Contains(d.Attributes, "REPLICATED"):
		return spreadCopies
	case d.Rows != nil && s.config.Segments > 0 && *d.Rows%int64(s.config.Segments) != 0:
		return spreadParts
	case d.Rows != nil && *d.Rows == 0:
		return spreadParts // as good
	}
	return s.said[name]
}

// copies are the places of a table on all segments of which nothing tells whether they are parts of it or copies. If they
// hold different rows, they are parts. If they hold the same, they still may be parts, of a table that has each row several
// times: the table is refused. That takes reading them, which is done when they are first asked for.
type copies struct {
	table  string
	rows   *int64 // of all, if that is known
	places []dataPlace
	turn   chan struct{} // held by who looks
	looked bool
	err    error
}

func newCopies(d *tableData) *copies {
	return &copies{table: d.fqn(), rows: d.Rows, turn: make(chan struct{}, 1)}
}

// doubt looks at sizes, and keeps the places that may be copies from the one at from on.
func (s *Set) doubt(all *copies, from int) {
	if all == nil {
		return
	}
	for i := from; i < len(s.places); i++ {
		if s.places[i].compressed == "" && s.streams[i].Stored != s.streams[from].Stored {
			for k := from; k < len(s.places); k++ {
				s.places[k].copies = nil
			}
			return
		}
	}
	all.places = slices.Clone(s.places[from:])
	s.doubtful = append(s.doubtful, all.table)
}

// warnOfDoubt names the tables that may be refused.
func (s *Set) warnOfDoubt() {
	const most = 10
	names := s.doubtful
	if len(names) == 0 {
		return
	}
	more := ""
	if len(names) > most {
		names, more = names[:most], fmt.Sprintf(", and %d more", len(names)-most)
	}
	s.desc.Warnings = append(s.desc.Warnings, fmt.Sprintf("the set does not tell of %d tables whether each segment has all of their rows or "+
		"a part of them; they are read only if the segments have different rows: %s%s", len(s.doubtful), strings.Join(names, ", "), more))
}

// settle decides whether the table can be read. It is an error of its own that it can't.
func (c *copies) settle(ctx context.Context, s *Set) error {
	switch {
	case c == nil:
		return nil
	case c.turn == nil:
		return c.err
	}
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-c.turn }()
	if c.looked {
		return c.err
	}
	same, err := c.same(ctx, s)
	switch {
	case err != nil && ctx.Err() != nil:
		return err // another may look again
	case err != nil:
		c.err = err
	case same:
		c.err = fmt.Errorf("table %s: %w: the set has neither a definition of it nor a word on it, and all segments have the same rows",
			c.table, ErrUndecided)
	}
	c.looked = true
	return c.err
}

// same tells whether all places have the same rows, in whatever order. It reads no further than it has to.
func (c *copies) same(ctx context.Context, s *Set) (bool, error) {
	var first archive.Digest
	for i := range c.places {
		d, err := s.digest(ctx, &c.places[i])
		switch {
		case err != nil:
			return false, err
		case i == 0:
			first = d
			if c.rows != nil && first.Rows*uint64(len(c.places)) != uint64(*c.rows) { //nolint:gosec // not negative
				return false, nil
			}
		case d != first:
			return false, nil
		}
	}
	return first.Rows > 0, nil // without rows it does not matter
}

// digest reads the rows of a place. Memory: one run of rows.
func (s *Set) digest(ctx context.Context, p *dataPlace) (archive.Digest, error) {
	run := make([]byte, 0, 2*csvBuffer)
	rows := archive.NewRunDigest("")
	cutter := &archive.RowCutter{Grab: func() ([]byte, error) { return run[:0], nil }, Emit: rows.Add}
	err := s.readPlace(ctx, p, cutter.Write)
	if err == nil {
		err = cutter.Close()
	}
	if errors.Is(err, archive.ErrOpenRow) {
		err = located(p, fmt.Errorf("%w: %w", ErrIncomplete, err))
	}
	return rows.Digest, err
}
