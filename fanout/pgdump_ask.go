package fanout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pgDumpVersionTimeout bounds the run of one pg_dump --version.
const pgDumpVersionTimeout = 10 * time.Second

// askPgDump runs a program with --version, and with --help for what the version does not tell: Greenplum's says that it
// is PostgreSQL's.
func askPgDump(ctx context.Context, path string) (PgDump, error) {
	p := PgDump{Path: path}
	out, help, err := p.askBoth(ctx)
	if err != nil {
		// Greenplum's finds no libpq unless it is told where.
		p.Libraries = librariesOf(path)
		if p.Libraries == "" {
			return PgDump{}, err
		}
		if out, help, err = p.askBoth(ctx); err != nil {
			return PgDump{}, err
		}
	}
	var ok bool
	if p.Version, p.Major, ok = parsePgDumpVersion(out); !ok {
		return PgDump{}, fmt.Errorf("%w: %s says it is %.80q, which is no pg_dump", ErrPgDumpMissing, path, strings.TrimSpace(out))
	}
	p.Segmented = strings.Contains(help, "--gp-syntax") || namesSegmented(help) || namesSegmented(out)
	if p.Segmented {
		p.Libraries = librariesOf(path)
	}
	return p, nil
}

func namesSegmented(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "greenplum") || strings.Contains(text, "cloudberry")
}

// askBoth runs the program for its version and its help at the same time. A program that can't say what it does will say why when it is run.
func (p *PgDump) askBoth(ctx context.Context) (version, help string, err error) {
	helps := make(chan string, 1)
	go func() {
		text, _ := p.ask(ctx, "--help")
		helps <- text
	}()
	version, err = p.ask(ctx, "--version")
	return version, <-helps, err
}

// ask runs the program with one argument.
func (p *PgDump) ask(ctx context.Context, arg string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, pgDumpVersionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.Path, arg)
	cmd.Env = p.env(os.Environ())
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE): // for which it can do nothing
		return "", fmt.Errorf("cannot run %s: %w", p.Path, err)
	case err != nil:
		return "", fmt.Errorf("%w: %s %s: %w", ErrPgDumpMissing, p.Path, arg, err)
	}
	return string(out), nil
}

// librariesOf is the lib beside the bin that a program lies in, "" if there is none with a libpq.
func librariesOf(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	lib := filepath.Join(filepath.Dir(filepath.Dir(real)), "lib")
	found, err := filepath.Glob(filepath.Join(lib, "libpq.*"))
	if filepath.Base(filepath.Dir(real)) != "bin" || err != nil || len(found) == 0 {
		return ""
	}
	return lib
}

// env is the environment that the program runs in.
func (p *PgDump) env(base []string) []string {
	env := pgDumpEnv(base)
	if p.Libraries == "" {
		return env
	}
	const name = "LD_LIBRARY_PATH="
	for i, v := range env {
		if old, ok := strings.CutPrefix(v, name); ok && old != "" {
			env[i] = name + p.Libraries + string(filepath.ListSeparator) + old
			return env
		}
	}
	return append(env, name+p.Libraries)
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
