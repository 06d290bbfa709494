package main

import (
	"context"
	"errors"
	"io"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/verify"
)

// severalIn tells whether an archive or a script is one of several databases, and none of them was asked for.
func (o *setOptions) severalIn(path string) bool {
	return o.database == "" && (archive.IsCluster(path) || isClusterScript(path))
}

// isClusterScript tells whether a path leads to a script of pg_dumpall.
func isClusterScript(path string) bool {
	kind, err := kindOf(path)
	return err == nil && kind == kindDumpall
}

// severalDatabases is what has several databases: an archive of pgark, or a script of pg_dumpall.
type severalDatabases interface {
	fanout.Databases
	io.Closer
	// decoder is that of the names of databases, and of what they share.
	decoder() textDecoder
	// source opens a database of a script; nil for an archive of pgark.
	source() fanout.OpenSource
	// open opens a database.
	open(name string) (contents, error)
	// warnings are sentences on what is odd about a script.
	warnings() ([]string, error)
	// restored is what a database that was restored is compared with.
	restored(d *fanout.DatabaseRestore) (verify.Content, error)
}

// warn tells the warnings of what has several databases.
func (a *app) warn(c severalDatabases) error {
	warnings, err := c.warnings()
	for _, w := range warnings {
		a.say("warning: %s", visible(w))
	}
	return err
}

// openSeveral opens what has several databases.
func openSeveral(ctx context.Context, path string) (severalDatabases, error) {
	if isClusterScript(path) {
		c, err := openClusterScript(ctx, path)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	c, err := openCluster(path)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// openCluster opens an archive of several databases.
func openCluster(path string) (*openedCluster, error) {
	return openClusterWith(path, archive.OpenOptions{})
}

func openClusterWith(path string, o archive.OpenOptions) (*openedCluster, error) {
	c, err := archive.OpenClusterWith(path, o)
	if errors.Is(err, archive.ErrDamaged) || errors.Is(err, archive.ErrTruncated) {
		return nil, withHint(pathError(path, err), "`pgark verify` says what is wrong with it, `pgark salvage` saves what can still be read")
	}
	if err != nil {
		return nil, pathError(path, err)
	}
	cat, err := c.Catalog()
	if err != nil {
		return nil, closeAfter(c, pathError(path, err))
	}
	return &openedCluster{Cluster: c, shared: cat, text: newTextDecoder(cat.Encoding)}, nil
}

// openedCluster is an archive of several databases.
type openedCluster struct {
	*archive.Cluster
	shared *archive.Catalog // what the databases share
	text   textDecoder      // of the names of databases, and of what they share
}

func (c *openedCluster) decoder() textDecoder               { return c.text }
func (c *openedCluster) source() fanout.OpenSource          { return nil }
func (c *openedCluster) open(name string) (contents, error) { return c.Open(name) }

// warnings implements [severalDatabases]: each archive tells its own when it is restored.
func (c *openedCluster) warnings() ([]string, error) { return nil, nil }

func (c *openedCluster) restored(d *fanout.DatabaseRestore) (verify.Content, error) {
	return c.Open(d.Name)
}

// name is the name of a database for people.
func (c *openedCluster) name(raw string) string { return visible(c.text.String(raw)) }

// rawDatabase is the name that an archive has of a database which was named in UTF-8; "" if it has none.
func rawDatabase(path, name string) string {
	c, err := openCluster(path)
	if err != nil {
		return ""
	}
	defer c.Close()
	for _, d := range c.Databases() {
		if c.text.String(d.Name) == name {
			return d.Name
		}
	}
	return ""
}

// rawName is the name that an archive has of the database that was asked for.
func (o *setOptions) rawName(path string) string {
	if o.database == "" || isASCII(o.database) {
		return o.database
	}
	if raw := rawDatabase(path, o.database); raw != "" {
		return raw
	}
	return o.database
}

// databaseTexts decode the names in each database of an archive, and in "" those of what they share. Where the archive can't be opened,
// names are taken for UTF-8.
func databaseTexts(path string) map[string]textDecoder {
	texts := make(map[string]textDecoder)
	c, err := openCluster(path)
	if err != nil {
		return texts
	}
	defer c.Close()
	texts[""] = c.text
	for _, d := range c.Databases() {
		texts[d.Name] = newTextDecoder(d.Encoding)
	}
	return texts
}
