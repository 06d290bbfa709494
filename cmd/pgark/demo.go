package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

const demoLong = `Start throw-away PostgreSQL servers, a coordinator and three shards, load sample data, and run dump, list, verify, salvage,
restore and compare on them, saying at each step what it does and what that proves. It takes less than two minutes, needs
PostgreSQL's server programs, and leaves nothing behind.`

const demoShards = 3

func newDemo(a *app) *cobra.Command {
	return &cobra.Command{
		Use:         "demo",
		Short:       "show the main job on throw-away servers",
		Long:        demoLong,
		Annotations: exitCodes(""),
		Args:        args(cobra.NoArgs),
		RunE:        func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), a) },
	}
}

// demo is one demonstration under way.
type demo struct {
	app    *app
	shards *pgtest.Shards
	dir    string
	step   int
	moved  atomic.Int64 // transfers that the writer has committed
}

// runDemo starts the servers, shows everything, and cleans up whatever happens.
func runDemo(ctx context.Context, a *app) (err error) {
	d := &demo{app: a}
	begun := time.Now()
	d.say("pgark demo: throw-away PostgreSQL servers, sample data, and the whole way of a backup.")
	d.next("Start four servers: a coordinator and three shards, joined by postgres_fdw")
	d.shards, err = pgtest.LaunchShards(ctx, demoShards, pgtest.Options{})
	if err != nil {
		return withHint(fmt.Errorf("start throw-away PostgreSQL servers: %w", err),
			"the demo needs PostgreSQL's server programs (Debian, Ubuntu: apt install postgresql)")
	}
	defer func() { err = errors.Join(err, d.shards.Stop()) }()
	if d.dir, err = os.MkdirTemp("", "pgark-demo-"); err != nil {
		return err
	}
	forget := a.removeAtOnce(d.dir)
	defer func() {
		err = errors.Join(err, os.RemoveAll(d.dir))
		forget()
	}()
	if err := d.moveIn(); err != nil {
		return err
	}
	if err := d.show(ctx); err != nil {
		return fmt.Errorf("the demo did not go as it should: %w", err)
	}
	d.say("\nDone in %s. The servers and all files are gone.", humanDuration(time.Since(begun)))
	return nil
}

// moveIn makes directory and coordinator the ones that commands use by default, so that they read as a user would type them.
// The demo is all that this process does, so what it changes of the process concerns nobody else.
func (d *demo) moveIn() error {
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "PG") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	srv := d.shards.Coordinator
	d.say("$ export PGHOST=%s PGPORT=%d PGUSER=postgres", srv.Host(), srv.Port())
	return errors.Join(os.Chdir(d.dir), os.Setenv("PGHOST", srv.Host()), os.Setenv("PGPORT", strconv.Itoa(srv.Port())),
		os.Setenv("PGUSER", "postgres"))
}

// show is the play, act by act.
func (d *demo) show(ctx context.Context) error {
	for _, act := range []func(context.Context) error{d.load, d.dump, d.look, d.damage, d.salvage, d.single, d.rebuild} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	d.say(`
What this proved:
  - The archive shows one moment of four servers: %s transfers were committed by a writer meanwhile, each over several
    of them, and in both restored copies the money adds up to the cent.
  - Rows travel straight from and to the shards, past the coordinator.
  - Every byte of it counts: one flipped bit was found, and the table and block that it hit were named.
  - What is left of a broken file is not lost: whole blocks were saved, and the loss was told table by table.
  - The copies are the same, be it on one server or on four: every table was read back and its digest is the archive's.`, humanCount(uint64(d.moved.Load())))
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.app.stdout, format+"\n", args...) }

func (d *demo) next(title string) {
	d.step++
	d.say("\n== %d. %s", d.step, title)
}

// pgark runs one of pgark's own commands as a user would, and expects its exit code.
func (d *demo) pgark(ctx context.Context, want int, args ...string) error {
	shown := make([]string, len(args))
	for i, arg := range args {
		if strings.ContainsAny(arg, " '\"$*") {
			arg = "'" + arg + "'"
		}
		shown[i] = arg
	}
	d.say("$ pgark %s", strings.Join(shown, " "))
	sub := &app{stdin: d.app.stdin, stdout: d.app.stdout, stderr: d.app.stdout}
	root := newRoot(sub)
	root.SetArgs(append(args, "--progress=none"))
	root.SetOut(d.app.stdout)
	root.SetErr(d.app.stdout)
	if got := sub.report(ctx, root.ExecuteContext(ctx)); got != want {
		if interrupted(ctx) {
			return context.Cause(ctx)
		}
		return fmt.Errorf("pgark %s: exit code %d, not %d", args[0], got, want)
	}
	if want != exitDone {
		d.say("(exit code %d)", want)
	}
	return nil
}

// execSQL runs SQL on a session of its own.
func execSQL(ctx context.Context, srv *pgtest.Server, db string, statements ...string) error {
	conn, err := demoSession(ctx, srv, db)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func demoSession(ctx context.Context, srv *pgtest.Server, db string) (*wire.Conn, error) {
	cfg, err := wire.ParseConfig(srv.Conninfo(db))
	if err != nil {
		return nil, err
	}
	return wire.Connect(ctx, cfg, wire.Settings{ApplicationName: "pgark demo"})
}

// total asks for all the money in a database.
func (d *demo) total(ctx context.Context, db string) (string, error) {
	conn, err := demoSession(ctx, d.shards.Coordinator, db)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return conn.QueryString(ctx, demoTotal)
}
