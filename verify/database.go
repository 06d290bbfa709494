package verify

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/wire"
)

// Database compares every table of an archive with a live database: it reads the same columns in the same order and the same
// text form, over o.Jobs sessions that share one snapshot, and compares the digests. Large tables are read in parts
// where the server can do that. What the database has and the archive has not is no finding.
//
// Memory is bounded by o.Jobs read buffers, and by one small record for each table.
func Database(ctx context.Context, a *archive.Reader, cfg *wire.Config, o Options) (*Report, error) {
	o = o.withDefaults()
	cat, err := a.Catalog()
	if err != nil {
		return nil, fmt.Errorf("the archive's catalog: %w", err)
	}
	cluster, err := topology.Discover(ctx, cfg, topology.Options{})
	if err != nil {
		return nil, err
	}
	targets, err := archivedTables(a, cat, o.Entries)
	if err != nil {
		return nil, err
	}
	c := &comparison{cfg: cluster.Coordinator.Config, settings: textSettings(a, cat), options: o, rangeMin: rangeMin}
	if err := c.run(ctx, targets, cluster.Dialect); err != nil {
		return nil, err
	}
	return c.report(targets), nil
}

// textSettings are those that shape text output, with the values of the archive's moment.
func textSettings(a *archive.Reader, cat *archive.Catalog) wire.Settings {
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
	cfg      *wire.Config
	settings wire.Settings
	options  Options
	rangeMin uint64 // smallest range of a table worth a query of its own, in bytes
	snapshot string
}

// run reads every target that the database has.
func (c *comparison) run(ctx context.Context, targets []*target, dialect topology.Dialect) (err error) {
	leader, err := wire.Connect(ctx, c.cfg, c.settings)
	if err != nil {
		return err
	}
	defer func() { _ = leader.Close(context.WithoutCancel(ctx)) }()
	if _, err := leader.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return fmt.Errorf("begin the leader's transaction: %w", err)
	}
	jobs := c.options.Jobs
	if dialect.ExportSnapshot {
		if c.snapshot, err = leader.QueryString(ctx, "SELECT pg_catalog.pg_export_snapshot()"); err != nil {
			return fmt.Errorf("export the snapshot: %w", err)
		}
	} else {
		jobs = 1 // without a shared snapshot only one session can read one moment
	}
	if err := describe(ctx, leader, targets); err != nil {
		return err
	}
	units := planUnits(targets, jobs, dialect.TIDRangeScan, c.rangeMin)
	var bytes uint64
	for _, t := range targets {
		bytes += t.want.Bytes
	}
	c.options.Progress.Plan(len(targets), bytes)

	todo := make(chan unit)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(todo)
		for _, u := range units {
			select {
			case todo <- u:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	for range min(jobs, max(len(units), 1)) {
		g.Go(func() error { return c.work(ctx, todo) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if _, err := leader.Exec(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return fmt.Errorf("the session that held the snapshot was lost, so one moment is no longer certain: %w", err)
	}
	return nil
}

// report turns what was read into findings, in the order of the tables' names.
func (c *comparison) report(targets []*target) *Report {
	r := newReport()
	for _, t := range targets {
		if !t.blobs {
			r.Tables++
		}
		r.Rows += t.got.Rows
		r.Bytes += t.got.Bytes
		finding := Finding{Offset: -1, Block: -1, Table: tableName(t.schema, t.table)}
		finding.Class, finding.Message = t.verdict()
		if finding.Class != "" {
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
	default:
		return ClassDiffers, fmt.Sprintf("both have %d rows, but not the same: digest %s in the archive, %s in the database",
			t.want.Rows, t.want, t.got)
	}
}

// archivedTables lists what the archive holds rows of, ordered by name. The digests of a table's streams are joined.
func archivedTables(a *archive.Reader, cat *archive.Catalog, entries map[int32]bool) ([]*target, error) {
	kinds := make(map[int32]string, len(cat.Entries))
	for i := range cat.Entries {
		kinds[cat.Entries[i].ID] = cat.Entries[i].Kind
	}
	type key struct {
		entry         int32
		schema, table string
	}
	byKey := make(map[key]*target)
	var targets []*target
	for _, s := range a.Streams() {
		if entries != nil && !entries[s.Entry] {
			continue
		}
		k := key{s.Entry, s.Schema, s.Table}
		t := byKey[k]
		if t == nil {
			t = &target{entry: s.Entry, schema: s.Schema, table: s.Table, columns: s.Columns, blobs: kinds[s.Entry] == "BLOBS"}
			if t.blobs {
				var err error
				if t.oids, err = largeObjectOIDs(cat, s.Entry); err != nil {
					return nil, err
				}
				t.schema, t.table = "", "large objects"
			}
			byKey[k] = t
			targets = append(targets, t)
		}
		if s.Form != archive.FormText {
			t.class, t.message = ClassIncomparable, "the archive does not hold these rows as COPY text"
		}
		t.want.Merge(s.Digest)
		t.streams = append(t.streams, s.ID)
	}
	slices.SortFunc(targets, func(x, y *target) int {
		return slices.Compare([]string{x.schema, x.table}, []string{y.schema, y.table})
	})
	return targets, nil
}
