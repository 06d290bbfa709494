package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/verify"
	"github.com/pgark/pgark/wire"
)

// compareEach compares each database of an archive with the one of its name on the server. One that the server does not have is a finding.
func (o *verifyOptions) compareEach(ctx context.Context, path string, report *verify.Report) (*verify.Report, error) {
	c, err := openCluster(path)
	if err != nil {
		if len(report.Findings) > 0 {
			o.app.say("not compared with the databases: %v", err)
			return nil, nil
		}
		return nil, err
	}
	defer c.Close()
	first, err := o.conn.discover(ctx, o.app)
	if err != nil {
		return nil, err
	}
	m := o.app.startMeter("compared")
	defer m.end()
	all := &verify.Report{OK: true, Findings: []verify.Finding{}}
	for _, d := range c.Databases() {
		a, err := c.Open(d.Name)
		if err != nil {
			return nil, err
		}
		one, err := o.compareDatabase(ctx, a, d.Name, first, m)
		if errors.Is(err, archive.ErrDamaged) && len(report.Findings) > 0 {
			o.app.say("database %s was not compared: %v", c.name(d.Name), err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("database %s: %w", c.name(d.Name), err)
		}
		join(all, one, d.Name)
	}
	return all, nil
}

// join adds the report on one of several databases.
func join(all, one *verify.Report, database string) {
	for i := range one.Findings {
		one.Findings[i].Database = database
	}
	all.Tables += one.Tables
	all.Rows += one.Rows
	all.Blocks += one.Blocks
	all.Bytes += one.Bytes
	all.Merge(one)
}

// verifyScript checks all databases of a script of pg_dumpall, and compares each with the one of its name on the server.
func (o *verifyOptions) verifyScript(ctx context.Context, path string) error {
	if o.volumes.start != startNone {
		return usagef("--start is for sets of volumes of pgark, and %s is a script of pg_dumpall", quoteArg(path))
	}
	c, err := openClusterScript(ctx, path)
	if isDamage(err) {
		return o.tooDamaged(path, err)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	said, err := c.sayings()
	if err != nil {
		return pathError(path, err)
	}
	report := &verify.Report{OK: true, Findings: []verify.Finding{}}
	var compared *verify.Report
	var first *topology.Cluster
	if o.conn.given {
		if first, err = o.conn.discover(ctx, o.app); err != nil {
			return err
		}
		compared = &verify.Report{OK: true, Findings: []verify.Finding{}}
	}
	texts := map[string]textDecoder{"": c.text}
	for _, d := range c.Databases() {
		texts[d.Name] = newTextDecoder(d.Encoding)
		if err := o.verifyPart(ctx, path, c, d.Name, first, report, compared); err != nil {
			return fmt.Errorf("database %s: %w", visible(c.text.String(d.Name)), err)
		}
	}
	decodeEach(report, texts)
	decodeEach(compared, texts)
	return o.concludeSource(path, said, report, compared)
}

// verifyPart adds what is found in one database of a script; first is nil where nothing is compared.
func (o *verifyOptions) verifyPart(ctx context.Context, path string, c *clusterScript, name string, first *topology.Cluster, report, compared *verify.Report) error {
	src, err := c.part(name)
	if err != nil {
		return err
	}
	one, survey, err := o.checkSource(ctx, path, src)
	if err != nil {
		return err
	}
	join(report, one, name)
	if first == nil {
		return nil
	}
	m := o.app.startMeter("compared")
	defer m.end()
	if one, err = o.compareDatabase(ctx, survey, name, first, m); err != nil {
		return err
	}
	join(compared, one, name)
	return nil
}

func (o *verifyOptions) compareDatabase(ctx context.Context, a verify.Content, name string, first *topology.Cluster, m *meter) (*verify.Report, error) {
	cluster, err := topology.Discover(ctx, first.Coordinator.Config.With(wire.Overrides{Database: name}), o.conn.nodes.options(o.app))
	if isNoDatabase(err) {
		return &verify.Report{Findings: []verify.Finding{{
			Class: verify.ClassMissingDatabase, Offset: -1, Block: -1, Message: "the server has no such database",
		}}}, nil
	}
	if err != nil {
		return nil, err
	}
	return verify.Database(ctx, a, cluster, verify.Options{Jobs: jobsOrDefault(o.jobs), Progress: m, Log: o.app.logger()})
}

// isNoDatabase tells whether a server said that a database does not exist.
func isNoDatabase(err error) bool {
	const invalidCatalogName = "3D000"
	var server *wire.ServerError
	return errors.As(err, &server) && server.Code == invalidCatalogName
}

// decodeEach turns what findings on several databases say, each in the encoding of its database, into UTF-8.
func decodeEach(r *verify.Report, texts map[string]textDecoder) {
	if r == nil {
		return
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		decodeFinding(f, texts[f.Database])
		f.Database = texts[""].String(f.Database)
	}
}
