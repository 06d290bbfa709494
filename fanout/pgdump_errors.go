package fanout

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pgark/pgark/archive/pgdump"
)

// Why there is no catalog. Errors of [FindPgDump] and [PgDump.Catalog] wrap one of these where the reason is known.
var (
	// ErrPgDumpMissing: no pg_dump was found, or what was named is none.
	ErrPgDumpMissing = errors.New("no usable pg_dump found")
	// ErrPgDumpTooOld: it is older than the server, or than a switch that is asked for.
	ErrPgDumpTooOld = errors.New("pg_dump is too old")
	// ErrPgDumpProduct: it is PostgreSQL's and the server is not, or the other way round.
	ErrPgDumpProduct = errors.New("pg_dump of another product")
	// ErrCatalogPermission: the role may not read something that the dump covers.
	ErrCatalogPermission = errors.New("not permitted")
)

// PgDumpError is a pg_dump that did not give a catalog.
type PgDumpError struct {
	Path     string
	Version  string
	ExitCode int      // -1 if a signal ended it
	Lines    []string // its first messages, without the name of the program
	Err      error    // one of the sentinels above, or what was wrong with its output; may be nil
}

// shownLines is how many of pg_dump's messages an error repeats.
const shownLines = 6

func (e *PgDumpError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "pg_dump %s (%s) gave no catalog", e.Version, e.Path)
	switch {
	case e.ExitCode > 0:
		fmt.Fprintf(&b, ", exit code %d", e.ExitCode)
	case e.ExitCode < 0:
		b.WriteString(", it was killed")
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	for _, line := range e.Lines[:min(len(e.Lines), shownLines)] {
		b.WriteString("\n  " + line)
	}
	if n := len(e.Lines) - shownLines; n > 0 {
		fmt.Fprintf(&b, "\n  (and %d lines more)", n)
	}
	if hint := pgDumpHint(e.Err); hint != "" {
		b.WriteString("\nhint: " + hint)
	}
	return b.String()
}

func (e *PgDumpError) Unwrap() error { return e.Err }

// catalogError says why the table of contents could not be read: pg_dump's own reason where it gave one,
// else what was wrong with its output.
func (p PgDump) catalogError(readErr, waitErr error, stderr string) error {
	e := &PgDumpError{Path: p.Path, Version: p.Version, ExitCode: exitCode(waitErr), Lines: messageLines(stderr)}
	if !errors.Is(readErr, pgdump.ErrTruncated) {
		e.Err = readErr // it was ended for this, and what it says of that is no reason
		return e
	}
	if e.Err = classify(stderr); e.Err == nil && (e.ExitCode == 0 || len(e.Lines) == 0) {
		e.Err = readErr
	}
	return e
}

// classify finds the reason in pg_dump's messages. Its own are English, as LC_ALL asks; the server's come in
// the server's language, and are then left to speak for themselves.
func classify(stderr string) error {
	has := func(parts ...string) bool {
		for _, part := range parts {
			if !strings.Contains(stderr, part) {
				return false
			}
		}
		return true
	}
	switch {
	case has("server version mismatch"):
		return ErrPgDumpTooOld
	case has("no matching"):
		return ErrNothingMatches
	case has("cross-database references are not implemented"), has("too many dotted names"):
		return ErrPattern
	case has("permission denied"), has("query would be affected by row-level security policy"):
		return ErrCatalogPermission
	default:
		return nil
	}
}

func pgDumpHint(err error) string {
	switch {
	case errors.Is(err, ErrPgDumpTooOld):
		return "install the client programs of the server's version, or name its pg_dump with --pg-dump"
	case errors.Is(err, ErrCatalogPermission):
		return "dump as the owner or as a superuser, grant pg_read_all_data, or leave the object out with -T or -N"
	default:
		return ""
	}
}
