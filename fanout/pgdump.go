package fanout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
)

// PgDump is a pg_dump program: what the catalog of a dump comes from.
type PgDump struct {
	Path    string
	Version string // as it says: "15.18 (Debian 15.18-0+deb12u1)"
	Major   int    // 15; 9 for all of 9.x

	Segmented bool   // it is Greenplum's or Cloudberry's; Version is that of the PostgreSQL that it is built on
	Libraries string // directory that it needs in its library path, "" for none
	Unasked   bool   // it is known by its file, and was not run: perhaps it can't be
}

// CatalogOptions says which catalog is wanted, and how pg_dump reaches the server.
type CatalogOptions struct {
	Conninfo string // libpq's, of a [wire.Relay]. It must hold no password: everyone on the machine can read it
	Encoding string // the database's, so that no setting of the role can change it; empty to let pg_dump choose

	Filter                     Filter
	SchemaOnly, DataOnly       bool
	Statistics                 bool     // see [DumpOptions]
	Sections                   []string // "pre-data", "data", "post-data"; all if empty
	NoOwner, NoACL, NoComments bool
	NoTOASTCompression         bool
	Without                    Without
	ForeignServers             []string // whose foreign tables' rows are wanted, too

	Log *slog.Logger // gets pg_dump's warnings; may be nil
}

// pgDumpGrace is how long pg_dump may take to end when it is told to.
const pgDumpGrace = 5 * time.Second

// Catalog runs pg_dump and gives the catalog that it sees.
//
// It runs a full dump, since pg_dump leaves sequence values, materialized views' refreshes, large objects and
// COPY statements out of one without data; pg_dump writes the whole table of contents before the first row,
// and is ended then.
//
// An error is a [*PgDumpError] that wraps one of the sentinels beside it where the reason is known. The program has
// ended, and nothing that it started is left, when Catalog returns.
func (p PgDump) Catalog(ctx context.Context, o CatalogOptions) (*archive.Catalog, error) {
	args, err := p.catalogArgs(o)
	if err != nil {
		return nil, err
	}
	runCtx, end := context.WithCancel(ctx)
	defer end()
	cmd := exec.CommandContext(runCtx, p.Path, args...)
	cmd.Env = p.env(os.Environ())
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = pgDumpGrace
	var stderr headWriter
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot make a pipe for pg_dump: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", p.Path, err)
	}
	toc, readErr := pgdump.ReadTOC(stdout)
	// A stream that ends too early has a reason, which pg_dump is about to tell. Otherwise nobody reads on.
	if !errors.Is(readErr, pgdump.ErrTruncated) {
		end()
	}
	// Wait closes the pipe, so that a pg_dump in the middle of a row ends too, and joins what copies stderr.
	waitErr := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("pg_dump was ended: %w", ctx.Err())
	case readErr != nil:
		return nil, p.catalogError(readErr, waitErr, stderr.String())
	}
	logWarnings(o.Log, stderr.String())
	cat := toc.Catalog()
	if o.NoOwner {
		// pg_dump ignores --no-owner when it writes an archive.
		for i := range cat.Entries {
			cat.Entries[i].Owner = ""
		}
	}
	if o.NoComments {
		cat.Entries = slices.DeleteFunc(cat.Entries, func(e archive.Entry) bool { return e.Kind == kindComment })
	}
	o.Without.strip(cat)
	return cat, nil
}

// pgDumpEnv is the environment of pg_dump: English messages, which can be recognised, and none of libpq's settings,
// which are for the server that pgark has connected to and not for the relay.
func pgDumpEnv(base []string) []string {
	env := make([]string, 0, len(base)+1)
	for _, v := range base {
		name, _, _ := strings.Cut(v, "=")
		switch {
		case strings.HasPrefix(name, "PG"), name == "LC_ALL", name == "LC_MESSAGES", name == "LANGUAGE", name == "LANG":
		default:
			env = append(env, v)
		}
	}
	return append(env, "LC_ALL=C")
}

// headLimit is how much of pg_dump's messages is kept.
const headLimit = 16 << 10

// headWriter keeps the first bytes written to it and forgets the rest.
type headWriter struct{ buf bytes.Buffer }

func (w *headWriter) Write(p []byte) (int, error) {
	if room := headLimit - w.buf.Len(); room > 0 {
		w.buf.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

func (w *headWriter) String() string { return w.buf.String() }

// logWarnings hands on what a pg_dump that did its work had to say: circular foreign keys, for example.
// What it says about being ended is ours, not the user's.
func logWarnings(log *slog.Logger, text string) {
	if log == nil {
		return
	}
	for _, line := range messageLines(text) {
		if w, ok := strings.CutPrefix(line, "warning: "); ok {
			log.Warn("pg_dump: " + w)
		}
	}
}

// messageLines splits pg_dump's messages and takes the name of the program off each line.
func messageLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, rest, ok := strings.Cut(line, ": "); ok && strings.Contains(name, "pg_dump") && !strings.Contains(name, " ") {
			line = rest
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// exitCode is the program's exit code, -1 if a signal ended it or it never ran.
func exitCode(waitErr error) int {
	var ee *exec.ExitError
	if errors.As(waitErr, &ee) {
		return ee.ExitCode()
	}
	if waitErr != nil {
		return -1
	}
	return 0
}
