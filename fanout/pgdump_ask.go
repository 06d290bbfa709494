package fanout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

// identifyPgDump tells what a program is: by its file where that says it, or else by running it.
func identifyPgDump(ctx context.Context, path string) (PgDump, error) {
	if p, ok := pgDumpByFile(path); ok {
		return p, nil
	}
	return askPgDump(ctx, path)
}

// maxPgDumpFile bounds what is read of a program. PostgreSQL's have 0.5 MB.
const maxPgDumpFile = 64 << 20

// pgDumpByFile knows PostgreSQL's own by the text that it answers --version with. To read it takes 1 ms; to run it twice, as [askPgDump] does,
// took 60 ms on two cores, on which a whole dump by pg_dump takes 120.
func pgDumpByFile(path string) (PgDump, bool) {
	f, err := os.Open(path)
	if err != nil {
		return PgDump{}, false
	}
	defer f.Close() //nolint:errcheck // it was only read
	const magic, says, overlap = "\x7fELF", "\x00pg_dump (PostgreSQL) ", 256
	buf := make([]byte, overlap+64<<10)
	version := ""
	kept, total := 0, 0
	for {
		n, err := io.ReadFull(f, buf[kept:])
		text := buf[:kept+n]
		if total == 0 && !bytes.HasPrefix(text, []byte(magic)) || total > maxPgDumpFile || namesSegmented(text) {
			return PgDump{}, false
		}
		total += n
		if i := bytes.Index(text, []byte(says)); i >= 0 && version == "" {
			// One that is cut off here begins in the next piece, too.
			if line, _, whole := bytes.Cut(text[i+1:], []byte{0}); whole {
				version = string(line)
			}
		}
		if err != nil {
			break
		}
		kept = copy(buf, text[len(text)-overlap:])
	}
	p := PgDump{Path: path, Unasked: true}
	var ok bool
	if p.Version, p.Major, ok = parsePgDumpVersion(version); !ok {
		return PgDump{}, false
	}
	return p, true
}

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
	p.Segmented = namesSegmented([]byte(help)) || namesSegmented([]byte(out))
	if p.Segmented {
		p.Libraries = librariesOf(path)
	}
	return p, nil
}

// namesSegmented tells the help, or the program itself, of Greenplum's and Cloudberry's.
func namesSegmented(text []byte) bool {
	for _, name := range []string{"--gp-syntax", "Greenplum", "greenplum", "Cloudberry", "cloudberry"} {
		if bytes.Contains(text, []byte(name)) {
			return true
		}
	}
	return false
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
	cmd.WaitDelay = pgDumpVersionTimeout // a machine that stands still for a second, as when it is moved to another host, is no reason to give up
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrWaitDelay): // it ended well, and something that it started did not
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
