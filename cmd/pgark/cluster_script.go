package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/verify"
)

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

// Catalog implements [fanout.Databases]: roles and tablespaces.
func (c *clusterScript) Catalog() (*archive.Catalog, error) { return c.shared, nil }

// Moment implements [fanout.Databases]: a script does not tell when it was made.
func (c *clusterScript) Moment() (*archive.Moment, error) {
	return &archive.Moment{Route: "coordinator", Nodes: []archive.Node{{Name: "coordinator", Content: -1}}}, nil
}

func (c *clusterScript) decoder() textDecoder               { return c.text }
func (c *clusterScript) source() fanout.OpenSource          { return c.part }
func (c *clusterScript) open(name string) (contents, error) { return c.part(name) }

// part opens the script of one database.
func (c *clusterScript) part(name string) (archive.Source, error) {
	part, err := c.Part(name)
	if err != nil {
		return nil, err
	}
	return fanout.WithFloats(part)
}

// sayings is what the parts say of themselves: each sentence once, a warning with the database that it is of.
func (c *clusterScript) sayings() (said archive.Description, err error) {
	said.Format = fanout.FormatPlain
	for _, d := range c.Databases() {
		part, err := c.part(d.Name)
		if err != nil {
			return said, err
		}
		one := part.Description()
		for _, u := range one.Unproven {
			if !slices.Contains(said.Unproven, u) {
				said.Unproven = append(said.Unproven, u)
			}
		}
		for _, w := range one.Warnings {
			said.Warnings = append(said.Warnings, fmt.Sprintf("database %s: %s", visible(c.text.String(d.Name)), w))
		}
	}
	return said, nil
}

func (c *clusterScript) warnings() ([]string, error) {
	said, err := c.sayings()
	return said.Warnings, err
}

func (c *clusterScript) restored(d *fanout.DatabaseRestore) (verify.Content, error) {
	src, err := c.part(d.Name)
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
			strings.Join(names, ", "))), "--database NAME takes one")
	}
	for _, d := range c.Databases() {
		if c.text.String(d.Name) != o.set.database {
			continue
		}
		src, err := c.part(d.Name)
		if err != nil {
			return nil, closeAfter(c, err)
		}
		return &scriptPart{src, c}, nil
	}
	_, err = c.Find(o.set.database)
	return nil, closeAfter(c, pathError(path, err))
}
