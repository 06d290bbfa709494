package pgdump

import (
	"errors"
	"fmt"
)

// What can be wrong with an archive. Errors of this package wrap one of these.
var (
	// ErrNotDump says that the bytes are not an archive of pg_dump at all.
	ErrNotDump = errors.New("not a pg_dump archive")
	// ErrVersion says that the archive's version is older or newer than what this package reads.
	ErrVersion = errors.New("unsupported pg_dump archive version")
	// ErrTruncated says that the archive ends before its table of contents does.
	ErrTruncated = errors.New("pg_dump archive is truncated")
	// ErrDamaged says that a field holds what no pg_dump writes.
	ErrDamaged = errors.New("pg_dump archive is damaged")
)

// FormatError says where in an archive reading failed. It wraps a sentinel of this package or the
// error of the reader below.
type FormatError struct {
	Offset int64  // bytes from the start of the archive
	Entry  int    // which entry of the table of contents, from 1; 0 for the header
	Field  string // what was being read
	Detail string // what is wrong with it; may be empty
	Err    error
}

func (e *FormatError) Error() string {
	where := "in the header"
	if e.Entry > 0 {
		where = fmt.Sprintf("in entry %d of the table of contents", e.Entry)
	}
	msg := fmt.Sprintf("%v: %s, %s, at offset %d", e.Err, where, e.Field, e.Offset)
	if e.Detail != "" {
		msg += ": " + e.Detail
	}
	return msg
}

func (e *FormatError) Unwrap() error { return e.Err }
