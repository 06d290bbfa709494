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
		one, err := o.compareDatabase(ctx, c, d.Name, first, m)
		if errors.Is(err, archive.ErrDamaged) && len(report.Findings) > 0 {
			o.app.say("database %s was not compared: %v", c.name(d.Name), err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("database %s: %w", c.name(d.Name), err)
		}
		for i := range one.Findings {
			one.Findings[i].Database = d.Name
		}
		all.Tables += one.Tables
		all.Rows += one.Rows
		all.Bytes += one.Bytes
		all.Merge(one)
	}
	return all, nil
}

func (o *verifyOptions) compareDatabase(ctx context.Context, c *openedCluster, name string, first *topology.Cluster, m *meter) (*verify.Report, error) {
	a, err := c.Open(name)
	if err != nil {
		return nil, err
	}
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
