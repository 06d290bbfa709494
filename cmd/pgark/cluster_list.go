package main

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/pgark/pgark/archive"
)

// listCluster lists the objects of all databases, those that they share first.
func (o *listOptions) listCluster(path string) error {
	if o.toc {
		return withHint(usagef("--toc is of one database, and %s has several", quoteArg(path)), "--database NAME takes one; pgark list names them")
	}
	c, err := openCluster(path)
	if err != nil {
		return err
	}
	defer c.Close()
	out := listColumns("database")
	listForPeople(out, c.shared, nil, "-")
	shared := ""
	objects := databaseObjects(&shared, listObjects(c.shared, nil))
	for _, d := range c.Databases() {
		a, err := c.Open(d.Name)
		if err != nil {
			return err
		}
		cat, err := a.Catalog()
		if err != nil {
			return pathError(path, err)
		}
		held, name := holdings(a), c.text.String(d.Name)
		if o.json {
			objects = append(objects, databaseObjects(&name, listObjects(cat, held))...)
		} else {
			listForPeople(out, cat, held, c.name(d.Name))
		}
	}
	if o.json {
		return quietPipe(writeJSON(o.app.stdout, objects))
	}
	return quietPipe(out.write(o.app.stdout))
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
	if o.json {
		return quietPipe(writeJSON(o.app.stdout, in))
	}
	out := &errWriter{w: o.app.stdout}
	in.print(out)
	return quietPipe(out.err)
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
	field("written", "%s by %s, catalog by pg_dump %s", in.Created.Format(time.RFC3339), in.Tool, in.PgDumpVersion)
	field("format", "%s", in.FormatVersion)
	field("root digest", "%s", in.RootDigest)
	field("volume", "%s, %s", in.Name, humanBytes(uint64(max(in.Bytes, 0))))
	field("holds", "%s, %s of rows; %s objects of roles and tablespaces, of %s", plural(in.Rows, "row"), humanBytes(in.RawBytes),
		humanCount(uint64(in.Objects)), in.Moment.Format(time.RFC3339Nano))
	for _, l := range in.Losses {
		field("lost", "%s", l)
	}
	table := newColumns("database", "encoding", "moment", "route", "promise", ">objects", ">tables", ">rows", ">raw", ">size", ">offset")
	for _, d := range in.Databases {
		table.add(visible(d.DBName), d.Encoding, d.Moment.Format(time.RFC3339Nano), d.Route, d.Promise, humanCount(uint64(d.Objects)),
			humanCount(uint64(d.Tables)), humanCount(d.Rows), humanBytes(d.RawBytes), humanBytes(uint64(max(d.Bytes, 0))),
			fmt.Sprint(d.Offset))
	}
	fmt.Fprintln(w)
	_ = table.write(w)
}
