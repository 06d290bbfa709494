package fanout

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/pgark/pgark/archive"
)

// fieldOrder says which fields of rows, whose columns are have, make rows whose columns are want; nil if they are the same, or if
// one of them is not known.
func fieldOrder(have, want []string) ([]int, error) {
	if len(want) == 0 || len(have) == 0 || slices.Equal(have, want) {
		return nil, nil
	}
	order := make([]int, len(want))
	for i, c := range want {
		order[i] = slices.Index(have, c)
		if order[i] < 0 || len(have) != len(want) {
			return nil, fmt.Errorf("its columns are %s, where %s are expected", quoteColumns(have), quoteColumns(want))
		}
	}
	return order, nil
}

// fieldSorter puts the fields of rows that come in pieces into another order. It holds one row that is not complete.
type fieldSorter struct {
	order []int
	fn    func(rows []byte) error

	line   []byte
	fields [][]byte
	out    []byte
}

func (f *fieldSorter) write(text []byte) error {
	f.out = f.out[:0]
	for len(text) > 0 {
		row, rest, whole := bytes.Cut(text, []byte{'\n'})
		if text = rest; !whole {
			f.line = append(f.line, row...)
			break
		}
		if len(f.line) > 0 {
			f.line = append(f.line, row...)
			row = f.line
		}
		if err := f.sort(row); err != nil {
			return err
		}
		f.line = f.line[:0]
	}
	if len(f.out) == 0 {
		return nil
	}
	return f.fn(f.out)
}

func (f *fieldSorter) sort(row []byte) error {
	f.fields = f.fields[:0]
	for field := range bytes.SplitSeq(row, []byte{'\t'}) {
		f.fields = append(f.fields, field)
	}
	if len(f.fields) != len(f.order) {
		return fmt.Errorf("a row has %d fields, not %d: %.60q", len(f.fields), len(f.order), row)
	}
	for i, k := range f.order {
		if i > 0 {
			f.out = append(f.out, '\t')
		}
		f.out = append(f.out, f.fields[k]...)
	}
	f.out = append(f.out, '\n')
	return nil
}

// sourceRows gives the rows of all streams of a table of another program's dump, with the columns of the first one, which are those of its COPY
// statement: a partition may have them in another order.
func sourceRows(ctx context.Context, src archive.Source, streams []archive.Stream, fn func(text []byte) error) error {
	for i := range streams {
		s := &streams[i]
		order, err := fieldOrder(s.Columns, streams[0].Columns)
		if err != nil {
			return fmt.Errorf("table %s: %w", qualifiedID(s.Schema, s.Table), err)
		}
		give := fn
		if order != nil {
			give = (&fieldSorter{order: order, fn: fn}).write
		}
		if err := src.StreamRows(ctx, s.ID, give); err != nil {
			return err
		}
	}
	return nil
}

// streamText gives the rows of a stream with the columns in the order of a COPY statement.
func streamText(ctx context.Context, a *archive.Reader, d *archive.Decoder, s *archive.Stream, statement string, fn func(text []byte) error) error {
	if !loadable(s.Form) {
		return fmt.Errorf("stream %d holds rows in form %d, not COPY text", s.ID, s.Form)
	}
	order, err := fieldOrder(s.Columns, copyColumns(statement))
	if err != nil {
		return fmt.Errorf("stream %d: %w", s.ID, err)
	}
	if order != nil {
		fn = (&fieldSorter{order: order, fn: fn}).write
	}
	for b := range a.Blocks(s.ID) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.Block(b, fn); err != nil {
			return err
		}
	}
	return nil
}
