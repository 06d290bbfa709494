package fanout

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/pgark/pgark/archive"
)

// Source is where a script's content comes from: an archive of whatever format.
type Source interface {
	Catalog() (*archive.Catalog, error)
	// Rows calls fn with the rows of a TABLE DATA entry as COPY text, in pieces that may end anywhere, in order.
	// A piece is valid until fn returns; an error of fn ends the call and is returned.
	Rows(ctx context.Context, entry int32, fn func(text []byte) error) error
	// LargeObjects calls fn with the contents of a BLOBS entry, piece by piece. Pieces of one large object
	// usually come one after the other and in order; an empty one has an empty piece.
	LargeObjects(ctx context.Context, entry int32, fn func(oid uint32, offset int64, data []byte) error) error
}

// ArchiveSource is a pgark archive as a source. It may be used by one goroutine at a time.
func ArchiveSource(a *archive.Reader) Source { return &archiveSource{a: a} }

type archiveSource struct {
	a      *archive.Reader
	copies map[int32]string // COPY statements by entry, made when first needed
}

func (s *archiveSource) Catalog() (*archive.Catalog, error) { return s.a.Catalog() }

func (s *archiveSource) Rows(ctx context.Context, entry int32, fn func(text []byte) error) error {
	streams := s.a.TableStreams(entry)
	if len(streams) == 0 {
		return s.missing()
	}
	d := s.a.NewDecoder()
	defer d.Close()
	statement, err := s.copyStatement(entry)
	if err != nil {
		return err
	}
	for i := range streams {
		if err := streamText(ctx, s.a, d, &streams[i], statement, fn); err != nil {
			return err
		}
	}
	return nil
}

// copyStatement is an entry's COPY statement, in whose order its columns are expected: partitions may have another one.
func (s *archiveSource) copyStatement(entry int32) (string, error) {
	if s.copies == nil {
		cat, err := s.a.Catalog()
		if err != nil {
			return "", err
		}
		s.copies = make(map[int32]string)
		for i := range cat.Entries {
			if e := &cat.Entries[i]; e.Kind == kindTableData {
				s.copies[e.ID] = e.Copy
			}
		}
	}
	return s.copies[entry], nil
}

// missing is the error of an entry without a stream. In a salvaged archive, which says that it lacks something, that is
// no error.
func (s *archiveSource) missing() error {
	m, err := s.a.Moment()
	if err != nil {
		return fmt.Errorf("read the moment: %w", err)
	}
	if len(m.Losses) > 0 {
		return nil
	}
	return errNoRows
}

func (s *archiveSource) LargeObjects(ctx context.Context, entry int32,
	fn func(oid uint32, offset int64, data []byte) error,
) error {
	d := blobDecoder{fn: fn}
	return s.Rows(ctx, entry, d.write)
}

// parseLargeObjectRow takes a row of a stream of large objects apart: its OID, an offset, and bytea in hex.
func parseLargeObjectRow(row []byte) (oid uint32, offset int64, hexed []byte, err error) {
	first, rest, ok1 := bytes.Cut(row, []byte{'\t'})
	second, third, ok2 := bytes.Cut(rest, []byte{'\t'})
	hexed, ok3 := bytes.CutPrefix(third, []byte(`\\x`))
	id, err1 := strconv.ParseUint(string(first), 10, 32)
	offset, err2 := strconv.ParseInt(string(second), 10, 64)
	if !ok1 || !ok2 || !ok3 || err1 != nil || err2 != nil || offset < 0 {
		return 0, 0, nil, fmt.Errorf("a row of large objects is malformed: %.60q", row)
	}
	return uint32(id), offset, hexed, nil
}

// ForeignSource is a dump of another program as the source of a script.
func ForeignSource(src archive.Source) Source { return &foreignSource{src} }

type foreignSource struct{ archive.Source }

func (s *foreignSource) Rows(ctx context.Context, entry int32, fn func(text []byte) error) error {
	streams := s.TableStreams(entry)
	if len(streams) == 0 {
		return noRows(s.Source, entry)
	}
	var total uint64
	err := sourceRows(ctx, s.Source, streams, func(text []byte) error {
		total += uint64(bytes.Count(text, []byte{'\n'}))
		return fn(text)
	})
	if err != nil {
		return err
	}
	return countRows(s.Source, entry, total)
}
