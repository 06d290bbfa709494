package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
)

// listSeveral lists the objects of all databases, those that they share first.
func (o *listOptions) listSeveral(ctx context.Context, path string) error {
	if o.toc {
		return withHint(usagef("--toc is of one database, and %s has several", quoteArg(path)), "--database NAME takes one; pgark list names them")
	}
	c, err := openSeveral(ctx, path)
	if err != nil {
		return err
	}
	defer c.Close()
	common, err := c.Catalog()
	if err != nil {
		return pathError(path, err)
	}
	out := listColumns("database")
	listForPeople(out, common, nil, "-")
	shared := ""
	objects, findings := databaseObjects(&shared, listObjects(common, nil)), 0
	for _, d := range c.Databases() {
		a, err := c.open(d.Name)
		if err != nil {
			return err
		}
		cat, err := a.Catalog()
		if err != nil {
			return pathError(path, err)
		}
		var held map[int32]*holding
		switch a := a.(type) {
		case *archive.Reader:
			held = holdings(a)
		case archive.Source:
			var found int
			if held, found, err = o.sourceHoldings(ctx, path, a, cat); err != nil {
				return err
			}
			findings += found
		}
		name := c.decoder().String(d.Name)
		if o.json {
			objects = append(objects, databaseObjects(&name, listObjects(cat, held))...)
		} else {
			listForPeople(out, cat, held, visible(name))
		}
	}
	if o.json {
		err = writeJSON(o.app.stdout, objects)
	} else {
		err = out.write(o.app.stdout)
	}
	return o.conclude(path, findings, err)
}

func databaseObjects(name *string, objects []listObject) []listObject {
	for i := range objects {
		objects[i].Database = name
	}
	return objects
}

// clusterInspection is the description of an archive of several databases. Its JSON form is part of the command line's contract.
type clusterInspection struct {
	FormatVersion string            `json:"format_version"`
	Created       time.Time         `json:"created"`
	Tool          string            `json:"tool"`
	Encoding      string            `json:"encoding"` // of the names of databases and roles
	ServerVersion string            `json:"server_version"`
	Product       string            `json:"product"`
	PgDumpVersion string            `json:"pg_dump_version"`
	Moment        time.Time         `json:"moment"` // of roles and tablespaces; each database has its own
	Promise       string            `json:"promise"`
	Losses        []inspectLoss     `json:"losses"`
	Name          string            `json:"name"`
	Bytes         int64             `json:"bytes"`
	RootDigest    string            `json:"root_digest"` // of all of the file
	Objects       int               `json:"objects"`     // roles, tablespaces and what belongs to them
	Rows          uint64            `json:"rows"`
	RawBytes      uint64            `json:"raw_bytes"`
	Databases     []inspectDatabase `json:"databases"`
}

// inspectDatabase is one of the databases. What [inspection] says of it is of its own archive, which lies at an offset in the file.
type inspectDatabase struct {
	Offset int64 `json:"offset"`
	Bytes  int64 `json:"bytes"`
	*inspection
}

// inspectCluster prints what an archive of several databases is.
func (o *inspectOptions) inspectCluster(path string) error {
	c, err := openCluster(path)
	if err != nil {
		return err
	}
	defer c.Close()
	in, err := newClusterInspection(c, path, o.blocks)
	if err != nil {
		return pathError(path, err)
	}
	return o.show(in)
}

func newClusterInspection(c *openedCluster, path string, blocks bool) (*clusterInspection, error) {
	moment, err := c.Moment()
	if err != nil {
		return nil, err
	}
	h := c.Header()
	in := &clusterInspection{
		FormatVersion: fmt.Sprintf("%d.%d", h.Major, h.Minor), Created: h.Created.UTC(), Tool: h.Tool, Encoding: c.shared.Encoding,
		ServerVersion: c.shared.ServerVersion, Product: c.shared.Product, PgDumpVersion: c.shared.PgDumpVersion,
		Moment: moment.Time.UTC(), Promise: moment.Promise, Losses: []inspectLoss{},
		Name: filepath.Base(path), Bytes: c.Size(), RootDigest: fmt.Sprintf("%x", c.Root()), Objects: len(c.shared.Entries),
		Databases: []inspectDatabase{},
	}
	for _, l := range moment.Losses {
		in.Losses = append(in.Losses, inspectLoss{c.text.String(l.Schema), c.text.String(l.Table), l.Blocks, l.Rows, c.text.String(l.Message)})
	}
	for _, d := range c.Databases() {
		a, err := c.Open(d.Name)
		if err != nil {
			return nil, err
		}
		one, err := newInspection(&archive.File{Reader: a}, path, blocks)
		if err != nil {
			return nil, fmt.Errorf("database %s: %w", c.name(d.Name), err)
		}
		one.DBName = c.text.String(d.Name)
		in.Rows += d.Rows
		in.RawBytes += d.RawBytes
		in.Databases = append(in.Databases, inspectDatabase{d.Offset, d.Bytes, one})
	}
	return in, nil
}

func (in *clusterInspection) print(w io.Writer) {
	field := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-16s %s\n", name+":", visible(fmt.Sprintf(format, args...)))
	}
	field("databases", "%d, each of a moment of its own", len(in.Databases))
	field("server", "%s %s", in.Product, in.ServerVersion)
	field("written", "%s by %s, catalog by pg_dump %s", humanTime(in.Created, time.RFC3339), in.Tool, in.PgDumpVersion)
	field("format", "%s", in.FormatVersion)
	field("root digest", "%s", in.RootDigest)
	field("volume", "%s, %s", in.Name, humanBytes(uint64(max(in.Bytes, 0))))
	field("holds", "%s, %s of rows; %s objects of roles and tablespaces, of %s", plural(in.Rows, "row"), humanBytes(in.RawBytes),
		humanCount(uint64(in.Objects)), humanTime(in.Moment, time.RFC3339Nano))
	for _, l := range in.Losses {
		field("lost", "%s", l)
	}
	table := newColumns("database", "encoding", "moment", "route", "promise", ">objects", ">tables", ">rows", ">raw", ">size", ">offset")
	for _, d := range in.Databases {
		table.add(visible(d.DBName), d.Encoding, humanTime(d.Moment, time.RFC3339Nano), d.Route, d.Promise, humanCount(uint64(d.Objects)),
			humanCount(uint64(d.Tables)), humanCount(d.Rows), humanBytes(d.RawBytes), humanBytes(uint64(max(d.Bytes, 0))),
			fmt.Sprint(d.Offset))
	}
	fmt.Fprintln(w)
	_ = table.write(w)
}

// scriptInspection is the description of a script of pg_dumpall. Its JSON form is part of the command line's contract.
type scriptInspection struct {
	Format        string           `json:"format"`
	Encoding      string           `json:"encoding"` // of the names of databases and roles
	ServerVersion string           `json:"server_version"`
	Product       string           `json:"product"`
	Name          string           `json:"name"`
	Bytes         int64            `json:"bytes"`
	Objects       int              `json:"objects"` // roles, tablespaces and what belongs to them
	Databases     []scriptDatabase `json:"databases"`
	Unproven      []string         `json:"unproven"`
	Warnings      []string         `json:"warnings"`
}

// scriptDatabase is one of the databases of a script.
type scriptDatabase struct {
	Offset int64 `json:"offset"`
	Bytes  int64 `json:"bytes"`
	*sourceInspection
}

// inspectScript prints what a script of pg_dumpall is.
func (o *inspectOptions) inspectScript(ctx context.Context, path string) error {
	if o.blocks {
		return usagef("--blocks is for archives of pgark: a script of pg_dumpall has none")
	}
	c, err := openClusterScript(ctx, path)
	if err != nil {
		return err
	}
	defer c.Close()
	in, err := newScriptInspection(c, path)
	if err != nil {
		return pathError(path, err)
	}
	return o.show(in)
}

func newScriptInspection(c *clusterScript, path string) (*scriptInspection, error) {
	in := &scriptInspection{
		Format: fanout.FormatPlain, Encoding: c.shared.Encoding, ServerVersion: c.shared.ServerVersion, Product: c.shared.Product,
		Name: filepath.Base(path), Bytes: c.Size(), Objects: len(c.shared.Entries), Databases: []scriptDatabase{},
	}
	for _, d := range c.Databases() {
		src, err := c.part(d.Name)
		if err != nil {
			return nil, err
		}
		one, err := newSourceInspection(path, src)
		if err != nil {
			return nil, fmt.Errorf("database %s: %w", visible(c.text.String(d.Name)), err)
		}
		one.DBName = c.text.String(d.Name)
		in.Databases = append(in.Databases, scriptDatabase{d.Offset, d.Bytes, one})
	}
	said, err := c.sayings()
	in.Unproven, in.Warnings = append([]string{}, said.Unproven...), append([]string{}, said.Warnings...)
	return in, err
}

func (in *scriptInspection) print(w io.Writer) {
	field := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-16s %s\n", name+":", visible(fmt.Sprintf(format, args...)))
	}
	field("databases", "%d", len(in.Databases))
	field("server", "%s %s", in.Product, in.ServerVersion)
	field("format", "script of pg_dumpall")
	field("file", "%s, %s", in.Name, humanBytes(uint64(max(in.Bytes, 0))))
	field("holds", "%s objects of roles and tablespaces", humanCount(uint64(in.Objects)))
	for _, u := range in.Unproven {
		field("not proven", "%s", u)
	}
	for _, x := range in.Warnings {
		field("warning", "%s", x)
	}
	table := newColumns("database", "encoding", "server", "tool", ">objects", ">tables", ">size", ">offset")
	for _, d := range in.Databases {
		table.add(visible(d.DBName), d.Encoding, d.ServerVersion, visible(d.Tool), humanCount(uint64(d.Objects)), humanCount(uint64(d.Tables)),
			humanBytes(uint64(max(d.Bytes, 0))), fmt.Sprint(d.Offset))
	}
	fmt.Fprintln(w)
	_ = table.write(w)
}
