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
	s := startPgDumpSearch(ctx, explicit, askPgDump)
	defer s.Stop()
	return s.Find(ctx, d, false)
}

// PgDumpSearch finds out what the likeliest program is while it is not known yet what server it is for; the others when that was not the right
// one. Stop ends it.
type PgDumpSearch struct {
	explicit string
	more     chan struct{}     // asks for the next answer
	answers  chan pgDumpAnswer // closed at the end
	err      error             // by then: why it was given up
	stop     context.CancelFunc
	done     chan struct{}

	// What was found up to now, for the server that it is for.
	dialect Dialect
	major   int
	found   []PgDump      // that are not of its version
	broken  error         // of the first that could not say what it is
	next    chan struct{} // more, once there was an answer
}

type pgDumpAnswer struct {
	tool PgDump
	err  error
}

// StartPgDumpSearch begins to look for a pg_dump as [FindPgDump] does, but does not run what it knows by its file: see [PgDumpSearch.Instead].
func StartPgDumpSearch(ctx context.Context, explicit string) *PgDumpSearch {
	return startPgDumpSearch(ctx, explicit, identifyPgDump)
}

func startPgDumpSearch(ctx context.Context, explicit string, identify func(context.Context, string) (PgDump, error)) *PgDumpSearch {
	ctx, stop := context.WithCancel(ctx)
	s := &PgDumpSearch{
		explicit: explicit, more: make(chan struct{}), answers: make(chan pgDumpAnswer), stop: stop, done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		defer close(s.answers)
		s.err = s.ask(ctx, identify)
	}()
	return s
}

// ask asks the first program at once.
func (s *PgDumpSearch) ask(ctx context.Context, identify func(context.Context, string) (PgDump, error)) error {
	paths := []string{s.explicit}
	if s.explicit == "" {
		paths = pgDumpCandidates(os.Getenv("PATH"))
	}
	for i, path := range paths {
		if i > 0 {
			select {
			case <-s.more:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		var a pgDumpAnswer
		if s.explicit != "" {
			path, a.err = lookPgDump(path)
		}
		if a.err == nil {
			a.tool, a.err = identify(ctx, path)
		}
		select {
		case s.answers <- a:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Stop ends the search, and waits for what it runs.
func (s *PgDumpSearch) Stop() {
	s.stop()
	<-s.done
}

// Find gives the pg_dump for a server, as [FindPgDump] does: of the server's major version at least, or else the next newer. One that is to
// give the planner's statistics is of version 18 at least, whatever the server's. It may be called once.
func (s *PgDumpSearch) Find(ctx context.Context, d Dialect, statistics bool) (PgDump, error) {
	major := dialectMajor(d)
	if statistics {
		major = max(major, majorStatistics)
	}
	if isSegmented(d.Product) && major > dialectMajor(d) {
		return PgDump{}, fmt.Errorf("%w: the planner's statistics come from the pg_dump of PostgreSQL %d and later, and that of %s %s is built on PostgreSQL %d",
			ErrPgDumpTooOld, major, d.Product, d.Version, dialectMajor(d))
	}
	s.dialect, s.major = d, major
	return s.look(ctx)
}

// Instead gives another one for the same server, where tool has failed with err before it did anything, or the same with the libraries that it needs. The
// error is err if tool can be run.
func (s *PgDumpSearch) Instead(ctx context.Context, tool PgDump, err error) (PgDump, error) {
	if !tool.Unasked {
		return PgDump{}, err
	}
	asked, broken := askPgDump(ctx, tool.Path)
	switch {
	case broken == nil && asked.Libraries != "":
		return asked, nil
	case broken == nil:
		return PgDump{}, err
	case s.explicit != "" || ctx.Err() != nil:
		return PgDump{}, broken
	}
	s.breaks(broken)
	s.found = slices.DeleteFunc(s.found, func(p PgDump) bool { return p.Path == tool.Path })
	return s.look(ctx)
}

// look goes on until there is one that fits.
func (s *PgDumpSearch) look(ctx context.Context) (PgDump, error) {
	for {
		select {
		case s.next <- struct{}{}:
			s.next = nil
		case a, ok := <-s.answers:
			switch {
			case !ok && s.err != nil:
				return PgDump{}, s.err
			case !ok && len(s.found) == 0:
				return PgDump{}, nonePgDump(s.dialect, s.major, s.broken)
			case !ok:
				return chooseNewer(s.found, s.dialect, s.major)
			}
			s.next = s.more
			switch {
			case s.explicit != "":
				if a.err == nil {
					a.err = checkExplicit(a.tool, s.dialect, s.major)
				}
				if a.err != nil {
					return PgDump{}, a.err
				}
				return a.tool, nil
			case a.err != nil: // a broken one is no reason not to use a good one
				s.breaks(a.err)
			case a.tool.fits(s.dialect) && a.tool.Major == s.major:
				return a.tool, nil
			default:
				s.found = append(s.found, a.tool)
			}
		case <-ctx.Done():
			return PgDump{}, ctx.Err()
		}
	}
}

func (s *PgDumpSearch) breaks(err error) {
	if s.broken == nil {
		s.broken = err
	}
}

// nonePgDump says why none was found: because there is none, because what there is can't be run, or because looking was not possible.
func nonePgDump(d Dialect, major int, broken error) error {
	if broken == nil {
		f, err := os.Open(os.DevNull)
		if err != nil { // with no file handle left, no directory can be read either
			return fmt.Errorf("look for a pg_dump: %w", err)
		}
		if err := f.Close(); err != nil {
			return err
		}
		_, err = chooseNewer(nil, d, major)
		return err
	}
	if !errors.Is(broken, ErrPgDumpMissing) {
		return broken
	}
	return fmt.Errorf("%w\nhint: %s", broken, installHint(d))
}

// chooseNewer takes the next newer one where there is none of the version itself, and says what is missing.
func chooseNewer(found []PgDump, d Dialect, major int) (PgDump, error) {
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
		if found[i].Major > major && (best == nil || found[i].Major < best.Major) {
			best = &found[i]
		}
	}
	if best == nil {
		return PgDump{}, tooOld(found, d, major)
	}
	return *best, nil
}

// lookPgDump finds a program that was named.
func lookPgDump(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return "", fmt.Errorf("%w: %w", ErrPgDumpMissing, err)
	}
	return path, nil
}

// checkExplicit says what a program that was named can't do for a server.
func checkExplicit(p PgDump, d Dialect, major int) error {
	switch {
	case !p.fits(d) && p.Segmented:
		return fmt.Errorf("%w: %s (%s) is Greenplum's or Cloudberry's, and the server is %s %s\nhint: %s",
			ErrPgDumpProduct, p.Path, p.Version, productName(d), d.Version, installHint(d))
	case !p.fits(d):
		return fmt.Errorf("%w: %s (%s) is PostgreSQL's, which does not know how %s %s distributes and stores its tables\nhint: %s",
			ErrPgDumpProduct, p.Path, p.Version, d.Product, d.Version, installHint(d))
	case p.Major < major:
		return tooOld([]PgDump{p}, d, major)
	}
	return nil
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

func tooOld(found []PgDump, d Dialect, major int) error {
	if major > dialectMajor(d) {
		return fmt.Errorf("%w: the planner's statistics come from the pg_dump of PostgreSQL %d and later; found %s\nhint: %s",
			ErrPgDumpTooOld, major, listPgDumps(found), installHint(Dialect{VersionNum: major * 10000}))
	}
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
