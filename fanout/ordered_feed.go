package fanout

import (
	"context"
	"fmt"

	"github.com/pgark/pgark/archive"
)

// liveFeed gives the rows of a dump under way.
type liveFeed struct {
	a     *attempt
	order *writeOrder
	next  int // unit to be written
}

// units are those of an entry, which must be the next.
func (l *liveFeed) units(e *archive.Entry) ([]*orderedUnit, error) {
	units := l.order.byEntry[e.ID]
	if len(units) > 0 && units[0].seq != l.next {
		return nil, fmt.Errorf("internal error: %s is written out of order", units[0].name())
	}
	l.next += len(units)
	return units, nil
}

func (l *liveFeed) size(e *archive.Entry) uint64 {
	var bytes uint64
	for _, u := range l.order.byEntry[e.ID] {
		bytes += u.bytes
	}
	return bytes
}

func (l *liveFeed) rows(ctx context.Context, e *archive.Entry, to pieceSink, cut func(uint64) error) error {
	var total uint64
	units, err := l.units(e)
	if err != nil {
		return err
	}
	for _, u := range units {
		rows, err := u.each(ctx, func(s *slot) error {
			if s.early != nil {
				err := to.AddEncoded(s.early)
				s.home <- s
				return err
			}
			data := s.buf[:s.n]
			return to.Add(func([]byte) ([]byte, error) { return data, nil }, func() { s.home <- s })
		})
		if err != nil {
			return err
		}
		total += rows
		if space := l.a.ordered.space; space != nil {
			space.left.Add(-int64(u.bytes)) //nolint:gosec // a part of what it began with
		}
		if err := cut(u.bytes); err != nil {
			return err
		}
	}
	l.a.progress.TableDone(e.Schema, e.Name, total)
	l.a.result.Summary.Rows += total
	return nil
}

func (l *liveFeed) largeObjects(ctx context.Context, e *archive.Entry, fn func(oid uint32, offset int64, data []byte) error) error {
	order := blobOrder{fn: fn}
	d := blobDecoder{fn: order.piece}
	units, err := l.units(e)
	if err != nil {
		return err
	}
	for _, u := range units {
		_, err := u.each(ctx, func(s *slot) error {
			defer func() { s.home <- s }()
			return d.write(s.buf[:s.n])
		})
		if err != nil {
			return err
		}
	}
	return nil
}
