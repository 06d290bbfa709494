package fanout

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgark/pgark/archive"
)

// RestoreResult is what a restore did, or had done when it stopped.
type RestoreResult struct {
	Database     string // into which
	Route        string // RouteCoordinator or RouteSegments
	RouteReason  string // why this one, for people
	DirectTables int    // by the route segments: tables whose rows went straight to their nodes; the others' went through the coordinator
	Objects      int    // definitions, settings and refreshes that were carried out
	Tables       int    // tables whose rows were loaded, all of them
	Rows         uint64 // rows that the server took
	RawBytes     uint64 // bytes of COPY text sent for them
	Failures     []Failure
	Mismatches   []Mismatch
	Warnings     []string
	// Sent has, of the restore of another program's dump, the digest of the rows of each TABLE DATA and BLOBS entry that was
	// loaded: its format records none.
	Sent  map[int32]archive.Digest
	Notes []Note // what a translation did not keep; the warnings have their text
}

// OK reports whether all that was asked for is there, and is what the archive says.
func (r *RestoreResult) OK() bool { return len(r.Failures) == 0 && len(r.Mismatches) == 0 }

// Failure is one entry that could not be restored. It is the error of a restore that stops at the first one.
type Failure struct {
	Entry archive.Entry
	Was   string // of an object that was redirected: its name in the archive, with the old schema
	Err   error
}

func (f Failure) Error() string { return f.object() + ": " + f.Err.Error() }

// object names the object, by both names if it was redirected.
func (f Failure) object() string {
	if f.Was != "" {
		return describeEntry(&f.Entry) + " (" + f.Was + " in the archive)"
	}
	return describeEntry(&f.Entry)
}

// Unwrap returns the reason.
func (f Failure) Unwrap() error { return f.Err }

// Made tells whether the object is there, though not as in the archive: without its owner, or in another tablespace.
func (f Failure) Made() bool { return isMadeOtherwise(f.Err) }

// Mismatch is a table that was loaded and whose rows are not those that the archive promises.
type Mismatch struct {
	Schema, Table string
	Want          archive.Digest // what the archive's index says
	Got           archive.Digest // of the rows that were sent
	Loaded        uint64         // rows that the server says it took
	What          string         // the difference, for people
}

// ErrMismatch is wrapped by the error of a single-transaction restore that was rolled back because the rows of a table
// were not those that the archive promises.
var ErrMismatch = errors.New("rows differ from what the archive promises")

// fail records that an entry could not be restored. It returns an error if the restore must stop: the first failure
// with ExitOnError, a session that is gone, a context that is done.
func (r *restoreRun) fail(ctx context.Context, s *loadSession, e *archive.Entry, err error) error {
	f := Failure{Entry: *e, Was: r.plan.wasName(e.ID), Err: err}
	if ctxErr := ctx.Err(); ctxErr != nil {
		if !errors.Is(err, ctxErr) {
			return fmt.Errorf("%s: %w (%w)", describeEntry(e), err, ctxErr)
		}
		return f
	}
	if s.lost(err) {
		return fmt.Errorf("%s: the session was lost: %w", describeEntry(e), err)
	}
	r.mu.Lock()
	r.result.Failures = append(r.result.Failures, f)
	r.mu.Unlock()
	message := "not restored"
	if f.Made() {
		message = "not as in the archive:"
	}
	r.opts.Log.Error(message, "object", f.object(), "error", err)
	if r.opts.ExitOnError {
		return f
	}
	return nil
}

func (r *restoreRun) warn(message string) {
	r.mu.Lock()
	r.result.Warnings = append(r.result.Warnings, message)
	r.mu.Unlock()
	r.opts.Log.Warn(message)
}

// stopped adds to an error that ended the restore in which state it left things, and what to do.
func (r *restoreRun) stopped(ctx context.Context, err error) error {
	var notEmpty *NotEmptyError
	if errors.As(err, &notEmpty) && !r.change {
		return err
	}
	what := "stopped"
	if ctx.Err() != nil {
		what = "interrupted"
	}
	database := fmt.Sprintf("database %q", r.result.Database)
	if r.unsure {
		return fmt.Errorf("restore %s while it was committed: %s holds all of it, or nothing was changed; look which before you restore again: %w",
			what, database, err)
	}
	if name := r.databaseName(); r.opts.Create && !r.madeOf(kindDatabase) && name != "" {
		// The database that the session is with is no part of this.
		if r.change {
			return fmt.Errorf("restore %s, database %q was to be dropped and is not created; look whether it is there, and restore again: %w", what, name, err)
		}
		return fmt.Errorf("restore %s, database %q was not created, nothing in it was changed: %w", what, name, err)
	}
	if !r.change {
		return fmt.Errorf("restore %s, nothing in %s was changed: %w", what, database, err)
	}
	loaded := fmt.Sprintf("%d of %d tables are loaded", r.result.Tables, r.tables())
	if r.sharesTables() {
		loaded += ", others may hold a part of their rows"
	}
	next := "restore again with -c, or drop it first"
	if r.plan.DataOnly {
		next = "empty the tables before you restore again"
	}
	return fmt.Errorf("restore %s; %s holds what was restored until then (%s); %s: %w", what, database, loaded, next, err)
}

// describeEntry names an entry for people: TABLE DATA public.orders.
func describeEntry(e *archive.Entry) string {
	name := e.Name
	if e.Schema != "" && e.Schema != "-" {
		name = e.Schema + "." + name
	}
	return strings.TrimSpace(e.Kind + " " + name)
}
