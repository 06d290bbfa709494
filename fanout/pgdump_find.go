package fanout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pgDumpVersionTimeout bounds the run of one pg_dump --version.
const pgDumpVersionTimeout = 10 * time.Second

// FindPgDump finds the pg_dump to use for a server: the one of the server's major version, or else the next
// newer, since pg_dump reads older servers but not newer ones.
//
// With explicit, a path or a name in PATH, only that one counts. Otherwise it looks through PATH and where
// the packages of the usual systems put theirs. The errors say what was found and what to install:
// [ErrPgDumpMissing], [ErrPgDumpTooOld].
func FindPgDump(ctx context.Context, explicit string, serverMajor int) (PgDump, error) {
	if explicit != "" {
		return explicitPgDump(ctx, explicit, serverMajor)
	}
	var found []PgDump
	for _, path := range pgDumpCandidates(os.Getenv("PATH")) {
		p, err := askPgDump(ctx, path)
		if ctx.Err() != nil {
			return PgDump{}, ctx.Err()
		}
		if err != nil {
			continue // a broken one is no reason not to use a good one
		}
		if p.Major == serverMajor {
			return p, nil
		}
		found = append(found, p)
	}
	if len(found) == 0 {
		return PgDump{}, fmt.Errorf("%w: none in PATH, nor where packages put it; the catalog comes from pg_dump\nhint: %s",
			ErrPgDumpMissing, installHint(serverMajor))
	}
	var best *PgDump
	for i := range found {
		if found[i].Major > serverMajor && (best == nil || found[i].Major < best.Major) {
			best = &found[i]
		}
	}
	if best == nil {
		return PgDump{}, tooOld(found, serverMajor)
	}
	return *best, nil
}

func explicitPgDump(ctx context.Context, name string, serverMajor int) (PgDump, error) {
	path, err := exec.LookPath(name)
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return PgDump{}, fmt.Errorf("%w: %w", ErrPgDumpMissing, err)
	}
	p, err := askPgDump(ctx, path)
	if err != nil {
		return PgDump{}, err
	}
	if p.Major < serverMajor {
		return PgDump{}, tooOld([]PgDump{p}, serverMajor)
	}
	return p, nil
}

func tooOld(found []PgDump, serverMajor int) error {
	names := make([]string, len(found))
	for i, p := range found {
		names[i] = fmt.Sprintf("%s (%s)", p.Path, p.Version)
	}
	return fmt.Errorf("%w: the server is PostgreSQL %d, and pg_dump can't read servers newer than itself; found %s\nhint: %s",
		ErrPgDumpTooOld, serverMajor, strings.Join(names, ", "), installHint(serverMajor))
}

func installHint(major int) string {
	return fmt.Sprintf("install it with \"apt-get install postgresql-client-%[1]d\" (Debian, Ubuntu) or "+
		"\"dnf install postgresql%[1]d\" (Red Hat), or name one with --pg-dump", major)
}

// pgDumpCandidates lists the programs to ask, each once, the likeliest first.
func pgDumpCandidates(path string) []string {
	var all, wrappers []string
	seen := map[string]bool{}
	add := func(p string) {
		real, err := filepath.EvalSymlinks(p)
		if err != nil || seen[real] {
			return
		}
		seen[real] = true
		// Debian's wrapper picks a version by the arguments of each call, so it comes last.
		if filepath.Base(real) == "pg_wrapper" {
			wrappers = append(wrappers, p)
			return
		}
		all = append(all, p)
	}
	for _, dir := range filepath.SplitList(path) {
		if filepath.IsAbs(dir) {
			add(filepath.Join(dir, "pg_dump"))
		}
	}
	if home := os.Getenv("GPHOME"); home != "" {
		add(filepath.Join(home, "bin", "pg_dump"))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin/pg_dump", // Debian, Ubuntu
		"/usr/pgsql-*/bin/pg_dump",          // Red Hat, from postgresql.org
		"/usr/lib/postgresql*/bin/pg_dump",  // SUSE
		"/usr/libexec/postgresql*/pg_dump",  // Alpine
		"/usr/local/pgsql*/bin/pg_dump",     // built from source
		"/opt/*/bin/pg_dump",                // Greenplum's and others' installers
		"/opt/*/*/bin/pg_dump",              // /opt/postgresql/15
		"/usr/local/*-db*/bin/pg_dump",      // greenplum-db-6.24.3, cloudberry-db
		"/usr/local/opt/*/bin/pg_dump",      // Homebrew
		"/opt/homebrew/opt/*/bin/pg_dump",   // Homebrew on ARM
		"/Library/PostgreSQL/*/bin/pg_dump", // EDB's installer
		"/Applications/Postgres.app/Contents/Versions/*/bin/pg_dump",
	} {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		slices.Reverse(matches) // newer versions first
		for _, m := range matches {
			add(m)
		}
	}
	return append(all, wrappers...)
}

// askPgDump runs a program with --version.
func askPgDump(ctx context.Context, path string) (PgDump, error) {
	ctx, cancel := context.WithTimeout(ctx, pgDumpVersionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env = pgDumpEnv(os.Environ())
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return PgDump{}, fmt.Errorf("%w: %s --version: %w", ErrPgDumpMissing, path, err)
	}
	version, major, ok := parsePgDumpVersion(string(out))
	if !ok {
		return PgDump{}, fmt.Errorf("%w: %s says it is %.80q, which is no pg_dump", ErrPgDumpMissing, path, strings.TrimSpace(string(out)))
	}
	return PgDump{Path: path, Version: version, Major: major}, nil
}

// parsePgDumpVersion takes "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" apart.
func parsePgDumpVersion(line string) (version string, major int, ok bool) {
	line, _, _ = strings.Cut(strings.TrimSpace(line), "\n")
	rest, isDump := strings.CutPrefix(line, "pg_dump (")
	_, version, closed := strings.Cut(rest, ") ")
	if !isDump || !closed {
		return "", 0, false
	}
	digits := version
	if i := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = version[:i]
	}
	major, err := strconv.Atoi(digits)
	if err != nil || major <= 0 {
		return "", 0, false
	}
	return version, major, true
}
