package verify

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/wire"
)

// Database compares every table of an archive with a live cluster: it reads the same columns in the same order and the same
// text form, over o.Jobs sessions that share one snapshot, and compares the digests. Large tables are read in parts
// where the server can do that. What the database has and the archive has not is no finding.
//
// How many nodes hold the rows does not matter, in the archive nor in the cluster. All are read through the coordinator;
// but of a cluster of equal nodes ([topology.LayoutEqual]) each node is read by itself, at a moment of its own, and a table's rows on all
// of them are compared together: such a comparison is only right while nobody writes. Floats are compared as values, whatever the
// number of digits that each server prints.
//
// Memory is bounded by o.Jobs read buffers for each server that is read, and by one small record for each table and server.
func Database(ctx context.Context, a Content, cluster *topology.Cluster, o Options) (*Report, error) {
	o = o.withDefaults()
	cat, err := a.Catalog()
	if err != nil {
		return nil, fmt.Errorf("the archive's catalog: %w", err)
	}
	targets, err := archivedTables(a, cat, o.Entries)
	if err != nil {
		return nil, err
	}
	c := newComparison(cluster, textSettings(a, cat), o)
	if err := c.run(ctx, targets); err != nil {
		return nil, err
	}
	return c.report(targets), nil
}

// textSettings are those that shape text output, with the values of the archive's moment.
func textSettings(a Content, cat *archive.Catalog) wire.Settings {
	s := wire.TextSettings(cat.Encoding)
	s.ApplicationName = "pgark verify"
	m, err := a.Moment()
	if err != nil {
		return s // the standard ones: the moment adds to them, and a damaged one is Archive's to report
	}
	for _, name := range []string{"client_encoding", "DateStyle", "IntervalStyle", "extra_float_digits", "TimeZone", "bytea_output"} {
		if v, ok := m.Settings[name]; ok {
			s.Set = append(s.Set, [2]string{name, v})
		}
	}
	return s
}

// comparison is one run of [Database].
type comparison struct {
	dialect  topology.Dialect
	sites    []*site
	settings wire.Settings
	options  Options
	rangeMin uint64 // smallest range of a table worth a query of its own, in bytes
}

func newComparison(cluster *topology.Cluster, s wire.Settings, o Options) *comparison {
	c := &comparison{dialect: cluster.Dialect, settings: s, options: o, rangeMin: rangeMin}
	c.sites = []*site{{comparison: c, cfg: cluster.Coordinator.Config, first: true}}
	if cluster.Layout == topology.LayoutEqual {
		for _, n := range cluster.Nodes {
			c.sites = append(c.sites, &site{comparison: c, cfg: n.Config, name: n.Name})
		}
	}
	if len(c.sites) > 1 {
		c.sites[0].name = cluster.Coordinator.Name
	}
	return c
}

// run reads every target on every server.
func (c *comparison) run(ctx context.Context, targets []*target) error {
	var bytes uint64
	for _, t := range targets {
		bytes += t.raw
	}
	c.options.Progress.Plan(len(targets), bytes)
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range c.sites {
		g.Go(func() error {
			err := s.run(ctx, targets)
			if err != nil && s.name != "" {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			return err
		})
	}
	return g.Wait()
}

// site is one server whose rows are compared.
type site struct {
	*comparison
	cfg      *wire.Config
	name     string // for messages, empty if it is the only one
	first    bool   // large objects are read here only
	snapshot string
}

// run reads every target that the server has.
func (s *site) run(ctx context.Context, targets []*target) error {
	leader, err := wire.Connect(ctx, s.cfg, s.settings)
	if err != nil {
		return err
	}
	defer func() { _ = leader.Close(context.WithoutCancel(ctx)) }()
	if _, err := leader.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return fmt.Errorf("begin the leader's transaction: %w", err)
	}
	jobs := s.options.Jobs
	if s.dialect.ExportSnapshot {
		if s.snapshot, err = leader.QueryString(ctx, "SELECT pg_catalog.pg_export_snapshot()"); err != nil {
			return fmt.Errorf("export the snapshot: %w", err)
		}
	} else {
		jobs = 1 // without a shared snapshot only one session can read one moment
	}
	split := s.dialect.TIDRangeScan && jobs > 1
	places, err := s.describe(ctx, leader, targets, split)
	if err != nil {
		return err
	}
	work := batches(planUnits(places, jobs, split, s.rangeMin))
	todo := make(chan []unit)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(todo)
		for _, b := range work {
			select {
			case todo <- b:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	for range min(jobs, max(len(work), 1)) {
		g.Go(func() error { return s.work(ctx, todo) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if _, err := leader.Exec(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return fmt.Errorf("the session that held the snapshot was lost, so one moment is no longer certain: %w", err)
	}
	return nil
}

// where names the server in findings.
func (s *site) where() string {
	if s.name == "" {
		return "the database"
	}
	return "the database of " + s.name
}

// report turns what was read into findings, in the order of the tables' names.
func (c *comparison) report(targets []*target) *Report {
	r := newReport()
	moved := movedAmong(targets)
	for _, t := range targets {
		if !t.blobs {
			r.Tables++
		}
		r.Rows += t.got.Rows
		r.Bytes += t.got.Bytes
		finding := Finding{Offset: -1, Block: -1, Table: tableName(t.schema, t.table)}
		finding.Class, finding.Message = t.verdict()
		if finding.Class != "" && !moved[t.copy] {
			r.add(finding)
		}
	}
	r.OK = len(r.Findings) == 0
	return r
}

// verdict names what is wrong with a table, "" if nothing is.
func (t *target) verdict() (class, message string) {
	switch {
	case t.class != "":
		return t.class, t.message
	case t.failed != nil:
		return ClassUnreadable, "can't be read: " + t.failed.Error()
	case t.got == t.want:
		return "", ""
	case t.got.Rows != t.want.Rows:
		return ClassDiffers, fmt.Sprintf("the archive has %d rows, the database has %d", t.want.Rows, t.got.Rows)
	case len(t.unknown) > 0:
		return ClassIncomparable, fmt.Sprintf("both have %d rows, but their text can't be compared: %s may hold floats, inside a composite type or where the archive "+
			"has no definition of the table, which servers before PostgreSQL 12 print with more digits than later ones", t.want.Rows, plural("column", t.unknown))
	default:
		return ClassDiffers, fmt.Sprintf("both have %d rows, but not the same: digest %s in the archive, %s in the database",
			t.want.Rows, t.want, t.got)
	}
}

// plural is "column a" or "columns a, b", quoted where needed.
func plural(noun string, names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = wire.Ident(n)
	}
	if len(names) > 1 {
		noun += "s"
	}
	return noun + " " + strings.Join(quoted, ", ")
}
