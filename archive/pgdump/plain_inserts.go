package pgdump

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/pgark/pgark/archive"
)

// addInserts finds out how the rows of an entry are written that are INSERT statements, of which there may be none.
func (s *Script) addInserts(e *scriptEntry, listed *archive.Entry) {
	if s.inserts == nil {
		s.inserts = newInsertTables(&s.cat, dialect{std: s.std, wide: s.wide})
	}
	s.inserts.add(listed, func() (io.ReadCloser, error) {
		if e.inserts.to == 0 {
			return io.NopCloser(strings.NewReader(endOfInserts)), nil
		}
		return io.NopCloser(s.section(e.inserts)), nil
	})
}

func (s *Script) section(x span) *io.SectionReader {
	return io.NewSectionReader(s.r, x.from, x.to-x.from)
}

// form is that of the statements of an entry; nil if its rows are not written so, or can't be read.
func (s *Script) form(entry int32) *insertForm {
	if s.inserts == nil {
		return nil
	}
	return s.inserts.forms[entry]
}

// Refused implements [archive.RowRefuser].
func (s *Script) Refused(entry int32) error {
	if s.inserts == nil {
		return nil
	}
	return s.inserts.refused[entry]
}

// insertRows gives the rows of INSERT statements as COPY text.
func (s *Script) insertRows(ctx context.Context, id archive.StreamID, e *scriptEntry, fn func(text []byte) error) error {
	if e.inserts.to == 0 {
		return nil
	}
	x := newInsertReader(s.section(e.inserts), s.form(e.ID), s.inserts.dialect, ended(ctx), fn)
	err := x.all(false)
	var wrong *insertError
	switch {
	case errors.As(err, &wrong):
		err = scriptErrorf(wrong.err, e.inserts.from+wrong.offset, "%s", wrong.detail)
		return locate(s.r, err, entryName(e))
	case err != nil:
		return err
	case x.offset() != e.inserts.to-e.inserts.from:
		return s.streamError(id, scriptErrorf(ErrTruncated, e.inserts.from+x.offset(), "the file has become shorter since it was opened"))
	}
	return nil
}
