package main

import (
	"errors"

	"github.com/pgark/pgark/archive"
)

// severalIn tells whether an archive is one of several databases, and none of them was asked for.
func (o *setOptions) severalIn(path string) bool {
	return o.database == "" && archive.IsCluster(path)
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
