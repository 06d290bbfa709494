package pgdump

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pgark/pgark/archive"
)

// rowsChunk is how many bytes of rows are given at once.
const rowsChunk = 256 << 10

// StreamRows implements [archive.Source]. A piece is up to 256 KiB.
func (s *Script) StreamRows(ctx context.Context, id archive.StreamID, fn func(text []byte) error) error {
	if id < 1 || int(id) > len(s.streams) {
		return fmt.Errorf("there is no stream %d", id)
	}
	if e := s.entries[s.streams[id-1].Entry]; e.Kind == kindBlobs {
		return fmt.Errorf("entry %d has large objects, not rows", e.ID)
	}
	e := s.entries[s.streams[id-1].Entry]
	if !e.hasRows {
		return s.insertRows(ctx, id, e, fn)
	}
	if e.oids {
		fn = (&oidCutter{fn: fn}).write
	}
	rows := e.rows
	var marks markFinder
	buf := make([]byte, min(rowsChunk, max(rows.to-rows.from, int64(len(endOfRows)))))
	for at := rows.from; at < rows.to; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b := buf[:min(int64(len(buf)), rows.to-at)]
		if err := s.readFull(b, at, id); err != nil {
			return err
		}
		if s.wide == narrow && marks.find(b) {
			return s.streamError(id, scriptErrorf(ErrDamaged, at, `\. stands among the rows, in the %d bytes from here on`, len(b)))
		}
		if err := fn(b); err != nil {
			return err
		}
		at += int64(len(b))
	}
	end := buf[:len(endOfRows)]
	if err := s.readFull(end, rows.to, id); err != nil {
		return err
	}
	if string(end) != endOfRows {
		return s.streamError(id, scriptErrorf(ErrDamaged, rows.to, "the file has changed since it was opened: the rows do not end here any more"))
	}
	return nil
}

// readFull reads bytes that were there when the script was opened.
func (s *Script) readFull(b []byte, at int64, id archive.StreamID) error {
	n, err := s.r.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == nil, errors.Is(err, io.EOF):
		return s.streamError(id, scriptErrorf(ErrTruncated, at+int64(n), "the file has become shorter since it was opened"))
	default:
		return s.streamError(id, fmt.Errorf("read at byte %d: %w", at, err))
	}
}

func (s *Script) streamError(id archive.StreamID, err error) error {
	e := s.entries[s.streams[id-1].Entry]
	var se *ScriptError
	if errors.As(err, &se) {
		se.Entry = entryName(e)
		return err
	}
	return fmt.Errorf("%s: %w", entryName(e), err)
}

// DataStatements calls fn with the INSERT statements of a TABLE DATA entry, one after the other, each whole and with its
// semicolon. There are none where the rows are COPY text. A statement is valid until fn returns, and held in memory, which
// takes up to twice its size; the server takes none of 1 GiB or more. An error of fn ends the call and is returned as it
// is. The statements are for a session with the settings of the entries ENCODING, STDSTRINGS and SEARCHPATH, and, without
// the last of these, with the schema of the entry as search path.
func (s *Script) DataStatements(ctx context.Context, entry int32, fn func(sql []byte) error) error {
	e := s.entries[entry]
	if e == nil || e.inserts.to == 0 {
		return nil
	}
	return s.statements(ctx, e, e.inserts, func(sql []byte, _ sqlToken) error { return fn(sql) })
}

// LargeObjects implements [archive.Source]. A piece is what one statement writes, 16 KiB in a script of pg_dump.
func (s *Script) LargeObjects(ctx context.Context, entry int32, fn func(oid uint32, offset int64, data []byte) error) error {
	e := s.entries[entry]
	if e == nil || e.blobs.to == 0 {
		return nil
	}
	var oid uint32
	var at int64
	empty := false
	return s.statements(ctx, e, e.blobs, func(sql []byte, t sqlToken) error {
		text := sql[:len(sql)-1]
		if blobCallName(newSQLReader(text, s.std, s.wide)) == "" {
			return nil // BEGIN or COMMIT
		}
		c, err := parseBlobCall(text, s.std, s.wide)
		if err != nil {
			return scriptErrorf(ErrDamaged, t.from, "%v", err)
		}
		switch c.name {
		case "lo_open":
			oid, at, empty = c.oid, 0, true
		case "lo_lseek64":
			at = c.seek
		case "lowrite":
			empty = false
			at += int64(len(c.data))
			return fn(oid, at-int64(len(c.data)), c.data)
		case "lo_close":
			if empty {
				return fn(oid, 0, nil)
			}
		}
		return nil
	})
}

// statements calls fn with the statements of a stretch of the script, which was found to be whole when it was opened.
func (s *Script) statements(ctx context.Context, e *scriptEntry, where span, fn func(sql []byte, t sqlToken) error) error {
	in := newInput(s.r, where.from, where.to, ctx.Err)
	lx := &lexer{in: in, std: s.std, wide: s.wide, lfOnly: true}
	for {
		in.keep = -1
		t := lx.next()
		for t.kind == sqlComment || t.kind == sqlBlock {
			t = lx.next()
		}
		if t.kind == sqlEnd {
			break
		}
		in.keep = t.from
		end := t
		if t.kind != sqlWord {
			end.kind = sqlEnd
		}
		for end.kind != sqlSemicolon && end.kind != sqlEnd {
			end = lx.next()
		}
		if end.kind == sqlEnd {
			lx.failf(ErrDamaged, t.from, "the file has changed since it was opened: there is no whole statement here")
			break
		}
		if err := fn(in.bytes(t.from, end.to), t); err != nil {
			return locate(s.r, err, entryName(e))
		}
	}
	if in.err != nil {
		return locate(s.r, in.err, entryName(e))
	}
	return nil
}
