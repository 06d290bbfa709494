package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

const demoLong = `Start a throw-away PostgreSQL server, load sample data, and run dump, list, verify, salvage, restore and compare on it,
saying at each step what it does and what that proves. It takes less than two minutes, needs PostgreSQL's server programs,
and leaves nothing behind.`

func newDemo(a *app) *cobra.Command {
	return &cobra.Command{
		Use:         "demo",
		Short:       "show the main job on a throw-away server",
		Long:        demoLong,
		Annotations: exitCodes(""),
		Args:        args(cobra.NoArgs),
		RunE:        func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), a) },
	}
}

// demo is one demonstration under way.
type demo struct {
	app    *app
	server *pgtest.Server
	dir    string
	step   int
	moved  atomic.Int64 // transfers that the writer has committed
}

// runDemo starts the server, shows everything, and cleans up whatever happens.
func runDemo(ctx context.Context, a *app) (err error) {
	d := &demo{app: a}
	begun := time.Now()
	d.say("pgark demo: a throw-away PostgreSQL server, sample data, and the whole way of a backup.")
	d.next("Start a server")
	d.server, err = pgtest.Launch(ctx, pgtest.Options{})
	if err != nil {
		return withHint(fmt.Errorf("start a throw-away PostgreSQL server: %w", err),
			"the demo needs PostgreSQL's server programs (Debian, Ubuntu: apt install postgresql)")
	}
	defer func() { err = errors.Join(err, d.server.Stop()) }()
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
	d.say("\nDone in %s. The server and all files are gone.", humanDuration(time.Since(begun)))
	return nil
}

// moveIn makes directory and server the ones that commands use by default, so that they read as a user would type them.
// The demo is all that this process does, so what it changes of the process concerns nobody else.
func (d *demo) moveIn() error {
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "PG") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	d.say("$ export PGHOST=%s PGPORT=%d PGUSER=postgres", d.server.Host(), d.server.Port())
	return errors.Join(os.Chdir(d.dir), os.Setenv("PGHOST", d.server.Host()), os.Setenv("PGPORT", strconv.Itoa(d.server.Port())),
		os.Setenv("PGUSER", "postgres"))
}

// show is the play, act by act.
func (d *demo) show(ctx context.Context) error {
	for _, act := range []func(context.Context) error{d.load, d.dump, d.look, d.damage, d.salvage, d.restore} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	d.say(`
What this proved:
  - The archive shows one moment: %s transfers were committed by a writer meanwhile, and in the restored
    copy the money adds up to the cent.
  - Every byte of it counts: one flipped bit was found, and the table and block that it hit were named.
  - What is left of a broken file is not lost: whole blocks were saved, and the loss was told table by table.
  - The copy is the same: every table was read back and its digest is the archive's.`, humanCount(uint64(d.moved.Load())))
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

// exec runs SQL on a session of its own.
func (d *demo) exec(ctx context.Context, db string, statements ...string) error {
	conn, err := d.connect(ctx, db)
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

func (d *demo) connect(ctx context.Context, db string) (*wire.Conn, error) {
	cfg, err := wire.ParseConfig(d.server.Conninfo(db))
	if err != nil {
		return nil, err
	}
	return wire.Connect(ctx, cfg, wire.Settings{ApplicationName: "pgark demo"})
}

// total asks for all the money in a database.
func (d *demo) total(ctx context.Context, db string) (string, error) {
	conn, err := d.connect(ctx, db)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return conn.QueryString(ctx, "SELECT shop.total()")
}

func (d *demo) load(ctx context.Context) error {
	d.next("Load a shop: about 400,000 rows; types, partitions, views, functions, triggers, policies, a large object")
	if err := d.exec(ctx, "postgres", "CREATE DATABASE shop", "CREATE DATABASE copy"); err != nil {
		return err
	}
	if err := d.exec(ctx, "shop", demoSchema, demoRows); err != nil {
		return err
	}
	total, err := d.total(ctx, "shop")
	if err != nil {
		return err
	}
	d.say("The money in shop.account and shop.savings together: %s cents.", total)
	return nil
}

// dump runs while a writer moves money from one table to the other.
func (d *demo) dump(ctx context.Context) error {
	d.next("Dump it, over 4 sessions, while a writer moves money between two tables all the time")
	wctx, stop := context.WithCancel(ctx)
	wrote := make(chan error, 1)
	go func() { wrote <- d.write(wctx) }()
	err := d.pgark(ctx, exitDone, "dump", "-d", "shop", "-j", "4", "-f", "shop.pgark")
	stop()
	if werr := <-wrote; werr != nil {
		err = errors.Join(err, fmt.Errorf("the writer: %w", werr))
	}
	if err != nil {
		return err
	}
	d.say("Meanwhile the writer committed %s transfers.", humanCount(uint64(d.moved.Load())))
	return nil
}

// write moves money until ctx ends.
func (d *demo) write(ctx context.Context) error {
	conn, err := d.connect(ctx, "shop")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for ctx.Err() == nil {
		// Not ctx: a transfer that has begun is finished, so that the count is true.
		if _, err := conn.Exec(context.WithoutCancel(ctx), fmt.Sprintf(demoMove, 1+rand.IntN(1000), 1+rand.IntN(1000))); err != nil {
			return err
		}
		d.moved.Add(1)
	}
	return nil
}

func (d *demo) look(ctx context.Context) error {
	d.next("Look into it, without a database")
	if err := d.pgark(ctx, exitDone, "list", "shop.pgark"); err != nil {
		return err
	}
	d.say("")
	if err := d.pgark(ctx, exitDone, "cat", "--csv", "--header", "shop.pgark", `shop."Strange ""names"", and values"`); err != nil {
		return err
	}
	d.next("Verify it: read every byte, check every digest")
	return d.pgark(ctx, exitDone, "verify", "shop.pgark")
}

// damage flips one bit in the middle of a copy.
func (d *demo) damage(ctx context.Context) error {
	d.next("Flip one single bit in the middle of a copy, and verify that")
	b, err := os.ReadFile("shop.pgark")
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile("flipped.pgark", b, 0o600); err != nil {
		return err
	}
	return d.pgark(ctx, exitFound, "verify", "flipped.pgark")
}

// salvage cuts the last third off a copy, index included.
func (d *demo) salvage(ctx context.Context) error {
	d.next("Cut the last third off a copy, as a full disk would, and save what is left")
	b, err := os.ReadFile("shop.pgark")
	if err != nil {
		return err
	}
	if err := os.WriteFile("cut.pgark", b[:len(b)*2/3], 0o600); err != nil {
		return err
	}
	if err := d.pgark(ctx, exitFound, "salvage", "cut.pgark", "-f", "saved.pgark"); err != nil {
		return err
	}
	d.say("What was saved is a valid archive:")
	return d.pgark(ctx, exitDone, "verify", "saved.pgark")
}

func (d *demo) restore(ctx context.Context) error {
	d.next("Restore the whole archive into a new database, and read every table back")
	if err := d.pgark(ctx, exitDone, "restore", "-d", "copy", "--verify", "shop.pgark"); err != nil {
		return err
	}
	want, err := d.total(ctx, "shop")
	if err != nil {
		return err
	}
	got, err := d.total(ctx, "copy")
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("the copy has %s cents, not %s", got, want)
	}
	d.say("The money in the copy: %s cents, as in the original.", got)
	d.next("Change one cent in one row of the copy, and compare it with the archive")
	if err := d.exec(ctx, "copy", "UPDATE shop.savings SET cents = cents + 1 WHERE id = 500"); err != nil {
		return err
	}
	return d.pgark(ctx, exitFound, "verify", "-d", "copy", "shop.pgark")
}
