// Command bench compares pgark with psql, pg_dump and pg_restore on tables that it builds on a throw-away server. It prints
// medians and ratios and asserts nothing: what is fast on one machine says little about another, ratios within one run do.
//
// The cases of a section run in turn, and every other round in reverse order, so that what drifts on the machine meets
// all of them. Sections are in sections.go, the tables they need in data.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/pgark/pgark/internal/pgtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	pgark  string // path of the program under test
	newer  string // directory of a newer pg_dump, "" for none
	dir    string // where dumps are written
	rows   int    // of lineitem
	tables int    // in the section with many tables
	runs   int    // rounds
	only   string // names of sections, separated by commas; "" for all
	slow   bool   // with the cases that take minutes
}

func (o *options) parse(args []string) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&o.pgark, "pgark", "bin/pgark", "the pgark `program` to measure")
	fs.StringVar(&o.newer, "newer", os.Getenv("PGARK_BENCH_NEWER"), "`directory` of a newer pg_dump, for its codecs")
	fs.StringVar(&o.dir, "dir", "", "`directory` for the dumps (default: a temporary one)")
	fs.IntVar(&o.rows, "rows", 4_000_000, "rows of the large table; 4,000,000 are 590 MB of COPY text")
	fs.IntVar(&o.tables, "tables", 10_000, "number of small tables")
	fs.IntVar(&o.runs, "runs", 3, "rounds; the median is printed")
	fs.StringVar(&o.only, "only", "", "run these `sections` only: dump,narrow,restore,read,many,stock,shapes")
	fs.BoolVar(&o.slow, "slow", false, "with xz, which takes minutes")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if o.rows < 1 || o.tables < 1 || o.runs < 1 {
		return errors.New("-rows, -tables and -runs must be at least 1")
	}
	path, err := filepath.Abs(o.pgark)
	if err != nil {
		return err
	}
	o.pgark = path
	return nil
}

// wants says whether a section was asked for.
func (o *options) wants(section string) bool {
	return o.only == "" || slices.Contains(strings.Split(o.only, ","), section)
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) > 0 && args[0] == "scale" {
		return runScale(ctx, args[1:])
	}
	var o options
	if err := o.parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "pgark-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	srv, err := pgtest.Launch(ctx, pgtest.Options{Settings: serverSettings()})
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, srv.Stop()) }()

	b := &bench{options: o, srv: srv, dir: dir, out: os.Stdout}
	for _, s := range b.sections() {
		if !o.wants(s.name) {
			continue
		}
		if err := s.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
