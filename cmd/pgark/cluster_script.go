package main

import (
	"context"
	"strings"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/verify"
)

// severalDatabases is what has several databases: an archive of pgark, or a script of pg_dumpall.
type severalDatabases interface {
	contents // of what the databases share
	databases() fanout.Databases
	decoder() textDecoder // of the names of databases, and of what they share
	// source opens a database of a script; nil for an archive of pgark.
	source() func(name string) (archive.Source, error)
	// restored is what a database that was restored is compared with.
	restored(d *fanout.DatabaseRestore) (verify.Content, error)
}

func (c *openedCluster) databases() fanout.Databases                       { return c.Cluster }
func (c *openedCluster) decoder() textDecoder                              { return c.text }
func (c *openedCluster) source() func(name string) (archive.Source, error) { return nil }

func (c *openedCluster) restored(d *fanout.DatabaseRestore) (verify.Content, error) {
	return c.Open(d.Name)
}

// clusterScript is a script of pg_dumpall.
type clusterScript struct {
	*pgdump.ClusterScript
	shared *archive.Catalog
	text   textDecoder
}

func openClusterScript(ctx context.Context, path string) (*clusterScript, error) {
	s, err := pgdump.OpenClusterScript(ctx, path)
	if err != nil {
		return nil, pathError(path, err)
	}
	product, version := "PostgreSQL", ""
	for _, d := range s.Databases() {
		part, err := s.Part(d.Name)
		if err != nil {
			return nil, closeAfter(s, err)
		}
		cat, err := part.Catalog()
		if err != nil {
			return nil, closeAfter(s, err)
		}
		product, version = cat.Product, cat.ServerVersion
	}
	cat := fanout.ParseGlobals(s.Globals(), s.Encoding(), product, version)
	return &clusterScript{s, cat, newTextDecoder(cat.Encoding)}, nil
}

// Catalog implements [fanout.Databases].
func (c *clusterScript) Catalog() (*archive.Catalog, error) { return c.shared, nil }

// Moment implements contents: a script does not tell when it was made.
func (c *clusterScript) Moment() (*archive.Moment, error) {
	return &archive.Moment{Route: "coordinator", Nodes: []archive.Node{{Name: "coordinator", Content: -1}}}, nil
}

func (c *clusterScript) databases() fanout.Databases { return c }
func (c *clusterScript) decoder() textDecoder        { return c.text }

func (c *clusterScript) source() func(name string) (archive.Source, error) {
	return func(name string) (archive.Source, error) {
		part, err := c.Part(name)
		if err != nil {
			return nil, err
		}
		return fanout.WithFloats(part)
	}
}

func (c *clusterScript) restored(d *fanout.DatabaseRestore) (verify.Content, error) {
	src, err := c.source()(d.Name)
	if err != nil {
		return nil, err
	}
	return verify.NewSurvey(src, d.Result.Sent)
}

// scriptPart is one database of a script of pg_dumpall. Closing it closes the script.
type scriptPart struct {
	archive.Source
	script *clusterScript
}

// Close implements [archive.Source].
func (p *scriptPart) Close() error { return p.script.Close() }

// Refused implements [archive.RowRefuser].
func (p *scriptPart) Refused(entry int32) error {
	if r, ok := p.Source.(archive.RowRefuser); ok {
		return r.Refused(entry)
	}
	return nil
}

// openPart opens the database of a script of pg_dumpall that --database names.
func (o *sourceOptions) openPart(ctx context.Context, path string) (archive.Source, error) {
	c, err := openClusterScript(ctx, path)
	if err != nil {
		return nil, err
	}
	if o.set.database == "" {
		var names []string
		for _, d := range c.Databases() {
			names = append(names, visible(c.text.String(d.Name)))
		}
		return nil, withHint(closeAfter(c, usagef("%s is a script of pg_dumpall, of several databases and not of one: %s", quoteArg(path),
			strings.Join(names, ", "))), "--database NAME takes one; `pgark restore` restores all of them")
	}
	for _, d := range c.Databases() {
		if c.text.String(d.Name) != o.set.database {
			continue
		}
		src, err := c.source()(d.Name)
		if err != nil {
			return nil, closeAfter(c, err)
		}
		return &scriptPart{src, c}, nil
	}
	_, err = c.Find(o.set.database)
	return nil, closeAfter(c, pathError(path, err))
}

// isClusterScript tells whether a path leads to a script of pg_dumpall.
func isClusterScript(path string) bool {
	kind, err := kindOf(path)
	return err == nil && kind == kindDumpall
}

// runClusterScript restores all databases of a script of pg_dumpall, or shows what would be done.
func (o *restoreOptions) runClusterScript(ctx context.Context, path string) error {
	if err := o.validateCluster(path); err != nil {
		return err
	}
	if o.file != "" {
		return withHint(usagef("-f/--file is for one database, and %s is a script of pg_dumpall already", quoteArg(path)), "--database NAME takes one")
	}
	c, err := openClusterScript(ctx, path)
	if err != nil {
		return err
	}
	defer c.Close()
	if !o.dryRun {
		return o.restoreCluster(ctx, c)
	}
	return o.printPlans(c, func(name string) (contents, error) { return c.source()(name) })
}
