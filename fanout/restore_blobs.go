package fanout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/pgark/pgark/archive"
)

// errChunk is returned for a row of a stream of large objects that is not one chunk.
var errChunk = errors.New("not a chunk of a large object")

// loadBlobs writes the chunks that l gives it into large objects that earlier steps have made, in one transaction.
// Chunks don't overlap and know their place, so several sessions may write at once.
func (r *restoreRun) loadBlobs(ctx context.Context, s *loadSession, l *tableLoad) (archive.Digest, uint64, error) {
	omit, err := r.blobsToOmit(ctx, s, l.entry)
	if err != nil {
		return archive.Digest{}, 0, err
	}
	if !r.opts.SingleTransaction {
		if _, err := s.conn.Exec(ctx, "BEGIN"); err != nil {
			return archive.Digest{}, 0, err
		}
	}
	w := blobWriter{omit: omit}
	digest, err := s.feedRows(ctx, l, r.opts.Progress, func(rows []byte) error { return w.write(ctx, s, rows) })
	if err == nil {
		err = w.flush(ctx, s)
	}
	if err != nil {
		return archive.Digest{}, 0, err
	}
	if !r.opts.SingleTransaction {
		if _, err := s.conn.Exec(ctx, "COMMIT"); err != nil {
			return archive.Digest{}, 0, err
		}
	}
	if w.omitted > 0 {
		l.omit(w.omitted)
		r.warn(fmt.Sprintf("%d chunks of large objects that could not be created were not written", w.omitted))
	}
	return digest, w.rows, nil
}

func (l *tableLoad) omit(n int) {
	l.mu.Lock()
	l.omitted += n
	l.mu.Unlock()
}

// blobsToOmit returns the OIDs of large objects that get no bytes: those that could not be created, unless one is there that is empty. As a
// table, it may have been made before something else of its definition failed: that its owner is not there, for one. What holds bytes
// is someone else's, and stays as it is. The first session looks, before any chunk is written: later ones would find its chunks.
func (r *restoreRun) blobsToOmit(ctx context.Context, s *loadSession, e *entryLoad) (map[uint32]bool, error) {
	e.looked.Do(func() {
		failed, err := r.blobsFailed()
		if err == nil {
			err = s.keepEmptyBlobs(ctx, failed)
		}
		if err != nil {
			e.fail(err)
		}
		e.omit = failed
	})
	return e.omit, e.failed()
}

// keepEmptyBlobs takes those out of a set of large objects that are there, belong to this session's role, and are empty.
func (s *loadSession) keepEmptyBlobs(ctx context.Context, oids map[uint32]bool) error {
	if len(oids) == 0 {
		return nil
	}
	var list bytes.Buffer
	for oid := range oids {
		if list.Len() > 0 {
			list.WriteByte(',')
		}
		list.WriteString(strconv.FormatUint(uint64(oid), 10))
	}
	rows, err := s.conn.QueryStrings(ctx, "SELECT oid FROM pg_catalog.pg_largeobject_metadata "+
		"WHERE oid = ANY ('{"+list.String()+"}'::pg_catalog.oid[]) AND CASE WHEN pg_catalog.pg_has_role(lomowner, 'USAGE') "+
		"THEN pg_catalog.length(pg_catalog.lo_get(oid, 0, 1)) = 0 ELSE false END")
	if err != nil {
		return fmt.Errorf("look which large objects are empty: %w", err)
	}
	for _, row := range rows {
		oid, err := strconv.ParseUint(row[0], 10, 32)
		if err != nil {
			return fmt.Errorf("look which large objects are empty: %w", err)
		}
		delete(oids, uint32(oid))
	}
	return nil
}

// blobsFailed returns the OIDs of large objects of whose definition something failed.
func (r *restoreRun) blobsFailed() (map[uint32]bool, error) {
	omit := make(map[uint32]bool)
	for _, step := range r.steps {
		if !r.hasFailed(step.Entry.ID) {
			continue
		}
		oids, err := blobOIDs(step.Entry)
		if err != nil {
			return nil, err
		}
		for _, oid := range oids {
			omit[oid] = true
		}
	}
	return omit, nil
}

// blobOIDs returns the OIDs of the large objects that an entry creates; none for entries of other kinds.
func blobOIDs(e *archive.Entry) ([]uint32, error) {
	var list [][]byte
	switch e.Kind {
	case kindBlob: // one large object, named by its OID
		list = [][]byte{[]byte(e.Name)}
	case kindBlobMetadata: // a group with the same owner and rights, one OID a line
		list = bytes.Fields([]byte(e.DDL))
	}
	oids := make([]uint32, 0, len(list))
	for _, text := range list {
		oid, err := strconv.ParseUint(string(text), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%s: OID of a large object: %w", describeEntry(e), err)
		}
		oids = append(oids, uint32(oid))
	}
	return oids, nil
}

// blobWriter gathers chunks into statements of about [loadChunk] bytes.
type blobWriter struct {
	omit    map[uint32]bool
	sql     bytes.Buffer
	rows    uint64
	omitted int
}

// write takes whole rows of COPY text.
func (w *blobWriter) write(ctx context.Context, s *loadSession, rows []byte) error {
	for row := range bytes.Lines(rows) {
		if err := w.add(bytes.TrimSuffix(row, []byte("\n"))); err != nil {
			return err
		}
		if w.sql.Len() >= loadChunk {
			if err := w.flush(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// add turns one row into a call of lo_put. In COPY text the backslash of a bytea in hex stands doubled.
func (w *blobWriter) add(row []byte) error {
	fields := bytes.Split(row, []byte("\t"))
	if len(fields) != 3 {
		return fmt.Errorf("%w: it has %d fields", errChunk, len(fields))
	}
	oid, err := strconv.ParseUint(string(fields[0]), 10, 32)
	if err != nil {
		return fmt.Errorf("%w: OID: %w", errChunk, err)
	}
	offset, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil || offset < 0 {
		return fmt.Errorf("%w: offset %q", errChunk, fields[1])
	}
	hex, ok := bytes.CutPrefix(fields[2], []byte(`\\x`))
	if !ok || !isHex(hex) {
		return fmt.Errorf("%w: large object %d, offset %d: its bytes are not in hex", errChunk, oid, offset)
	}
	if w.omit[uint32(oid)] {
		w.omitted++
		return nil
	}
	w.rows++
	fmt.Fprintf(&w.sql, `SELECT pg_catalog.lo_put(%d, %d, E'\\x`, oid, offset)
	w.sql.Write(hex)
	w.sql.WriteString("');")
	return nil
}

func isHex(s []byte) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

func (w *blobWriter) flush(ctx context.Context, s *loadSession) error {
	if w.sql.Len() == 0 {
		return nil
	}
	_, err := s.conn.Exec(ctx, w.sql.String())
	w.sql.Reset()
	return err
}
