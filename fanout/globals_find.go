package fanout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrPgDumpall is wrapped by errors about pg_dumpall, which gives roles and tablespaces.
var ErrPgDumpall = errors.New("pg_dumpall")

const (
	// maxGlobals bounds what pg_dumpall may write.
	maxGlobals = 256 << 20
	// majorNoRolePasswords is the first release of pg_dumpall that can leave out passwords. They are taken out of what older ones give.
	majorNoRolePasswords = 10
)

// dumpallTool is the pg_dumpall that belongs to a pg_dump: that of the same release, which lies beside it.
type dumpallTool struct {
	dump PgDump
	path string
}

// dumpall finds the pg_dumpall that belongs to a pg_dump.
func (p PgDump) dumpall(ctx context.Context) (*dumpallTool, error) {
	dirs := []string{filepath.Dir(p.Path)}
	if real, err := filepath.EvalSymlinks(p.Path); err == nil && filepath.Dir(real) != dirs[0] {
		dirs = append(dirs, filepath.Dir(real))
	}
	var other error
	for _, dir := range dirs {
		t := &dumpallTool{dump: p, path: filepath.Join(dir, "pg_dumpall")}
		if _, err := os.Stat(t.path); err != nil {
			continue
		}
		version, err := t.version(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			other = err
		case version != p.Version:
			other = fmt.Errorf("%s is of version %s", t.path, version)
		default:
			return t, nil
		}
	}
	if other == nil {
		other = errors.New("there is none")
	}
	return nil, fmt.Errorf("%w: roles and tablespaces come from the one that belongs to %s (%s), in %s: %w\nhint: %s",
		ErrPgDumpall, p.Path, p.Version, strings.Join(dirs, " or "), other, p.dumpallHint())
}

func (p *PgDump) dumpallHint() string {
	if p.Segmented {
		return "run pgark on a host that has all programs of the server's release, or name its bin/pg_dump with --pg-dump"
	}
	return fmt.Sprintf("install all client programs of one release: \"apt-get install postgresql-client-%[1]d\" (Debian, Ubuntu) or "+
		"\"dnf install postgresql%[1]d\" (Red Hat), or name a pg_dump that has them beside it with --pg-dump", p.Major)
}

// version is what the program says it is.
func (t *dumpallTool) version(ctx context.Context) (string, error) {
	p := t.dump
	p.Path = t.path
	out, err := p.ask(ctx, "--version")
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	rest, ok := strings.CutPrefix(line, "pg_dumpall (")
	_, version, closed := strings.Cut(rest, ") ")
	if !ok || !closed {
		return "", fmt.Errorf("%s says it is %.80q, which is no pg_dumpall", t.path, line)
	}
	return version, nil
}

func (t *dumpallTool) args(conninfo string, o *GlobalsOptions) []string {
	args := []string{"--globals-only", "--no-password", "--dbname=" + conninfo}
	if !o.RolePasswords && t.dump.Major >= majorNoRolePasswords {
		args = append(args, "--no-role-passwords")
	}
	if t.dump.Segmented {
		args = append(args, "--resource-queues", "--resource-groups")
	}
	return args
}

// run gives what the program writes. It has ended when run returns.
func (t *dumpallTool) run(ctx context.Context, conninfo string, o *GlobalsOptions) (string, error) {
	cmd := exec.CommandContext(ctx, t.path, t.args(conninfo, o)...)
	cmd.Env = t.dump.env(os.Environ())
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = pgDumpGrace
	var stderr headWriter
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", fmt.Errorf("cannot make a pipe for pg_dumpall: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("%w: cannot start %s: %w", ErrPgDumpall, t.path, err)
	}
	out, readErr := io.ReadAll(io.LimitReader(stdout, maxGlobals+1))
	if len(out) > maxGlobals {
		readErr = fmt.Errorf("it writes more than %d MiB", maxGlobals>>20)
		_ = cmd.Cancel() // what it has to say does not matter any more
	}
	waitErr := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("pg_dumpall was ended: %w", context.Cause(ctx))
	case readErr != nil:
		return "", fmt.Errorf("%w: %w", ErrPgDumpall, readErr)
	case waitErr != nil && !errors.Is(waitErr, exec.ErrWaitDelay): // with that one it ended well, and what it wrote tells its end
		return "", t.failed(waitErr, stderr.String(), o)
	}
	if !strings.Contains(string(out[max(0, len(out)-200):]), "database cluster dump complete") {
		return "", fmt.Errorf("%w %s (%s): what it wrote has no end", ErrPgDumpall, t.dump.Version, t.path)
	}
	logWarnings(o.Log, stderr.String())
	return string(out), nil
}

// failed says why it gave nothing, in its own words.
func (t *dumpallTool) failed(waitErr error, stderr string, o *GlobalsOptions) error {
	reason := waitErr
	if known := classify(stderr); known != nil {
		reason = known
	}
	hint := ""
	switch {
	case !errors.Is(reason, ErrCatalogPermission):
	case o.RolePasswords:
		hint = "\nhint: only a superuser may read the hashes of passwords; leave out --role-passwords"
	case t.dump.Major < majorNoRolePasswords:
		hint = "\nhint: the pg_dumpall of this release must be run as a superuser"
	}
	return fmt.Errorf("%w %s (%s) gave no roles and tablespaces: %w\n  %s%s", ErrPgDumpall, t.dump.Version, t.path, reason,
		strings.Join(messageLines(stderr), "\n  "), hint)
}
