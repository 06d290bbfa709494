package fanout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// The kinds of entry that are of a server, or of a whole Greenplum, and not of the database. They stand before all others, and
// are restored only if that is asked for.
const (
	kindRole       = "ROLE"            // CREATE ROLE with what ALTER ROLE says of it
	kindMembership = "ROLE MEMBERSHIP" // GRANT role TO role
	kindRoleSet    = "ROLE SETTING"    // ALTER ROLE ... SET
	kindTablespace = "TABLESPACE"
	kindGlobal     = "GLOBAL" // any other statement: comments, rights on tablespaces, resource groups
)

func isGlobal(kind string) bool {
	switch kind {
	case kindRole, kindMembership, kindRoleSet, kindTablespace, kindGlobal:
		return true
	}
	return false
}

// maxGlobals bounds what pg_dumpall may write.
const maxGlobals = 256 << 20

// ErrPgDumpall is wrapped by errors about pg_dumpall, which gives roles and tablespaces.
var ErrPgDumpall = errors.New("pg_dumpall")

// addGlobals puts the server's roles and tablespaces before the catalog's entries. They come from the pg_dumpall beside the
// pg_dump, over a session of its own: roles have no moment, and what the server refuses must not end the leader's transaction.
func (a *attempt) addGlobals(ctx context.Context, cat *archive.Catalog) error {
	if !a.o.Globals {
		return nil
	}
	conn, err := a.session(ctx, &a.o.Cluster.Coordinator, "0")
	if err != nil {
		return err
	}
	defer closeSession(ctx, conn)
	relay, err := wire.NewRelay(conn, func(string) wire.Verdict { return wire.Verdict{Forward: true} })
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return relay.Serve(gctx) })
	var sql string
	g.Go(func() (err error) {
		sql, err = a.tool.globals(gctx, relay.Conninfo(), a.o.RolePasswords)
		return errors.Join(err, relay.Close())
	})
	if err := g.Wait(); err != nil {
		return err
	}
	globals := parseGlobals(sql, nextID(cat))
	cat.Entries = append(globals, cat.Entries...)
	return nil
}

func nextID(cat *archive.Catalog) int32 {
	var last int32
	for i := range cat.Entries {
		last = max(last, cat.Entries[i].ID)
	}
	return last + 1
}

// globals runs the pg_dumpall of the same release. Without passwords it asks for no more than everybody may see.
func (p PgDump) globals(ctx context.Context, conninfo string, passwords bool) (string, error) {
	program := filepath.Join(filepath.Dir(p.Path), "pg_dumpall")
	args := []string{"--globals-only", "--no-password", "--dbname=" + conninfo}
	if !passwords {
		args = append(args, "--no-role-passwords")
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = p.env(os.Environ())
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = pgDumpGrace
	var stderr headWriter
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", fmt.Errorf("cannot make a pipe for pg_dumpall: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("%w: cannot start %s, which has to be beside pg_dump: %w", ErrPgDumpall, program, err)
	}
	out, readErr := io.ReadAll(io.LimitReader(stdout, maxGlobals+1))
	if len(out) > maxGlobals {
		readErr = fmt.Errorf("it writes more than %d MiB", maxGlobals>>20)
		_ = cmd.Cancel()
	}
	waitErr := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("pg_dumpall was ended: %w", context.Cause(ctx))
	case readErr != nil:
		return "", fmt.Errorf("%w: %w", ErrPgDumpall, readErr)
	case waitErr != nil:
		return "", fmt.Errorf("%w: %s: %w", ErrPgDumpall, strings.TrimSpace(strings.Join(messageLines(stderr.String()), "; ")), waitErr)
	}
	return string(out), nil
}

// restrictLines are psql's \restrict and \unrestrict, which pg_dumpall writes around its statements.
func restrictLines(sql string) string {
	return regexp.MustCompile(`(?m)^\\(un)?restrict [A-Za-z0-9]+$`).ReplaceAllString(sql, "")
}

// parseGlobals makes entries of what pg_dumpall wrote, numbered from first on.
func parseGlobals(sql string, first int32) []archive.Entry {
	g := globalsParser{next: first, byName: make(map[string]int)}
	for _, s := range lexStatements(restrictLines(sql), true) {
		if len(s.tokens) > 0 {
			g.add(s)
		}
	}
	return g.entries
}

// whole is the statement as it is written, without the semicolon.
func (s *statement) whole() string { return s.sql[s.tokens[0].from:s.tokens[len(s.tokens)-1].to] }

type globalsParser struct {
	next    int32
	entries []archive.Entry
	byName  map[string]int // places of ROLE and TABLESPACE entries, by kind and name
}

func (g *globalsParser) add(s *statement) {
	text := s.whole() + ";\n"
	switch {
	case s.is(0, "SET"):
	case s.is(0, "CREATE", "ROLE") && s.isName(2):
		g.put(kindRole, s.name(2), text)
	case s.is(0, "CREATE", "TABLESPACE") && s.isName(2):
		g.put(kindTablespace, s.name(2), text, g.roles(s)...)
	case s.is(0, "ALTER", "ROLE") && s.isName(2) && s.is(3, "WITH"):
		if i, ok := g.byName[kindRole+" "+s.name(2)]; ok {
			g.entries[i].DDL += text
			return
		}
		g.put(kindGlobal, s.name(2), text)
	case s.is(0, "ALTER", "ROLE") && s.isName(2):
		g.put(kindRoleSet, s.name(2), text, g.roles(s)...)
	case s.is(0, "GRANT") && s.find("ON") < 0 && s.isName(1):
		name := s.name(1)
		if at := s.find("TO"); at > 0 && s.isName(at+1) {
			name += " TO " + s.name(at+1)
		}
		g.put(kindMembership, name, text, g.roles(s)...)
	default:
		g.put(kindGlobal, strings.ToUpper(s.text(0)), text, g.roles(s)...)
	}
}

// roles are the roles and tablespaces that a statement names.
func (g *globalsParser) roles(s *statement) []int32 {
	var deps []int32
	for i := range s.tokens {
		if !s.isName(i) {
			continue
		}
		for _, kind := range []string{kindRole, kindTablespace} {
			if at, ok := g.byName[kind+" "+s.name(i)]; ok && !slices.Contains(deps, g.entries[at].ID) {
				deps = append(deps, g.entries[at].ID)
			}
		}
	}
	return deps
}

func (g *globalsParser) put(kind, name, text string, deps ...int32) {
	if kind == kindRole || kind == kindTablespace {
		g.byName[kind+" "+name] = len(g.entries)
	}
	g.entries = append(g.entries, archive.Entry{
		ID: g.next, Kind: kind, Name: name, Section: archive.SectionNone, DDL: text, Deps: deps,
		Nulls: archive.NullSchema | archive.NullOwner | archive.NullDrop | archive.NullCopy | archive.NullTablespace | archive.NullTableAM,
	})
	g.next++
}

// restoreGlobals makes roles and tablespaces that are not there, before all else. Those that are there stay as they are, with what the
// archive says of them alone.
func (r *restoreRun) restoreGlobals(ctx context.Context) error {
	var steps []*Step
	r.steps = slices.DeleteFunc(r.steps, func(s *Step) bool {
		if isGlobal(s.Entry.Kind) {
			steps = append(steps, s)
		}
		return isGlobal(s.Entry.Kind)
	})
	if len(steps) == 0 {
		return nil
	}
	s, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	there := make(map[string]bool)
	for kind, sql := range map[string]string{
		kindRole: "SELECT rolname FROM pg_catalog.pg_roles", kindTablespace: "SELECT spcname FROM pg_catalog.pg_tablespace",
	} {
		rows, err := s.conn.QueryStrings(ctx, sql)
		if err != nil {
			return fmt.Errorf("look for roles and tablespaces: %w", err)
		}
		for _, row := range rows {
			there[kind+" "+row[0]] = true
		}
	}
	made := make(map[int32]bool)
	var stayed []string
	for _, step := range steps {
		e := step.Entry
		if there[e.Kind+" "+e.Name] {
			stayed = append(stayed, e.Name)
			continue
		}
		if e.Kind != kindRole && e.Kind != kindTablespace && !slices.ContainsFunc(e.Deps, func(id int32) bool { return made[id] }) {
			continue // about what was there
		}
		var err error
		for _, x := range lexStatements(e.DDL, true) {
			if _, err = s.conn.Exec(ctx, x.whole()); err != nil {
				break
			}
		}
		if err != nil {
			if err := r.fail(ctx, s, e, err); err != nil {
				return err
			}
			continue
		}
		made[e.ID], r.change = true, true
		r.done(e.ID)
	}
	if len(stayed) > 0 {
		r.warn("roles and tablespaces that were there stay as they are: " + someTables(stayed))
	}
	return nil
}
