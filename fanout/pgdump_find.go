package fanout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// FindPgDump finds the pg_dump to use for a server: the one of the server's major version, or else the next
// newer, since pg_dump reads older servers but not newer ones.
//
// Greenplum and Cloudberry have a pg_dump of their own, and no other writes how their tables are distributed and stored:
// for them only theirs will do, and only of the server's own release. Theirs is never taken for PostgreSQL.
//
// With explicit, a path or a name in PATH, only that one counts. Otherwise it looks through PATH and where
// the packages of the usual systems put theirs. The errors say what was found and what to install:
// [ErrPgDumpMissing], [ErrPgDumpTooOld], [ErrPgDumpProduct].
func FindPgDump(ctx context.Context, explicit string, d Dialect) (PgDump, error) {
	if explicit != "" {
		return explicitPgDump(ctx, explicit, d)
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
		if p.fits(d) && p.Major == dialectMajor(d) {
			return p, nil
		}
		found = append(found, p)
	}
	return chooseNewer(found, d)
}

// chooseNewer takes the next newer one where there is none of the server's own version, and says what is missing.
func chooseNewer(found []PgDump, d Dialect) (PgDump, error) {
	if isSegmented(d.Product) {
		others := ""
		if len(found) > 0 {
			others = ", and only those of other products and releases were found: " + listPgDumps(found)
		}
		return PgDump{}, fmt.Errorf("%w: the catalog of %s %s comes from its own pg_dump, built on PostgreSQL %d%s\nhint: %s",
			ErrPgDumpMissing, d.Product, d.Version, dialectMajor(d), others, installHint(d))
	}
	found = slices.DeleteFunc(found, func(p PgDump) bool { return !p.fits(d) })
	if len(found) == 0 {
		return PgDump{}, fmt.Errorf("%w: none in PATH, nor where packages put it; the catalog comes from pg_dump\nhint: %s",
			ErrPgDumpMissing, installHint(d))
	}
	var best *PgDump
	for i := range found {
		if found[i].Major > dialectMajor(d) && (best == nil || found[i].Major < best.Major) {
			best = &found[i]
		}
	}
	if best == nil {
		return PgDump{}, tooOld(found, d)
	}
	return *best, nil
}

func explicitPgDump(ctx context.Context, name string, d Dialect) (PgDump, error) {
	path, err := exec.LookPath(name)
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return PgDump{}, fmt.Errorf("%w: %w", ErrPgDumpMissing, err)
	}
	p, err := askPgDump(ctx, path)
	switch {
	case err != nil:
		return PgDump{}, err
	case !p.fits(d) && p.Segmented:
		return PgDump{}, fmt.Errorf("%w: %s (%s) is Greenplum's or Cloudberry's, and the server is %s %s\nhint: %s",
			ErrPgDumpProduct, p.Path, p.Version, productName(d), d.Version, installHint(d))
	case !p.fits(d):
		return PgDump{}, fmt.Errorf("%w: %s (%s) is PostgreSQL's, which does not know how %s %s distributes and stores its tables\nhint: %s",
			ErrPgDumpProduct, p.Path, p.Version, d.Product, d.Version, installHint(d))
	case p.Major < dialectMajor(d):
		return PgDump{}, tooOld([]PgDump{p}, d)
	}
	return p, nil
}

// fits tells whether the program is of the server's product.
func (p *PgDump) fits(d Dialect) bool { return p.Segmented == isSegmented(d.Product) }

// isSegmented tells the products whose tables lie on segments, which have a pg_dump and DDL of their own.
func isSegmented(product string) bool { return product != "" && product != productPostgreSQL }

const productPostgreSQL = "PostgreSQL"

// dialectMajor is the major version of PostgreSQL that the server is, or is built on; 9 for all of 9.x.
func dialectMajor(d Dialect) int { return d.VersionNum / 10000 }

func productName(d Dialect) string {
	if d.Product == "" {
		return productPostgreSQL
	}
	return d.Product
}

func tooOld(found []PgDump, d Dialect) error {
	if isSegmented(d.Product) {
		return fmt.Errorf("%w: the server is %s %s, which needs the pg_dump of its own release, built on PostgreSQL %d; found %s\nhint: %s",
			ErrPgDumpTooOld, d.Product, d.Version, dialectMajor(d), listPgDumps(found), installHint(d))
	}
	return fmt.Errorf("%w: the server is PostgreSQL %d, and pg_dump can't read servers newer than itself; found %s\nhint: %s",
		ErrPgDumpTooOld, dialectMajor(d), listPgDumps(found), installHint(d))
}

func listPgDumps(found []PgDump) string {
	names := make([]string, len(found))
	for i, p := range found {
		names[i] = fmt.Sprintf("%s (%s)", p.Path, p.Version)
	}
	return strings.Join(names, ", ")
}

func installHint(d Dialect) string {
	if isSegmented(d.Product) {
		return fmt.Sprintf("run pgark on a host that has the programs of %[1]s %[2]s and source its greenplum_path.sh "+
			"(or set GPHOME), install the client package of %[1]s %[2]s, or name its bin/pg_dump with --pg-dump", d.Product, d.Version)
	}
	return fmt.Sprintf("install it with \"apt-get install postgresql-client-%[1]d\" (Debian, Ubuntu) or "+
		"\"dnf install postgresql%[1]d\" (Red Hat), or name one with --pg-dump", dialectMajor(d))
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
	if home := os.Getenv("GPHOME"); home != "" { // of Greenplum and Cloudberry
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
		"/usr/local/cloudberry*/bin/pg_dump",
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
