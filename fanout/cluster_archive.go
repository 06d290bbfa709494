package fanout

import (
	"context"
	"fmt"
	"io"

	"github.com/pgark/pgark/archive"
)

// Databases is what has several databases: an [archive.Cluster], or a script of pg_dumpall.
type Databases interface {
	// Catalog has what the databases share: roles, tablespaces and what belongs to them.
	Catalog() (*archive.Catalog, error)
	// Moment is that of the catalog; each database has its own.
	Moment() (*archive.Moment, error)
	// Databases lists the databases in the order in which they are restored.
	Databases() []archive.ClusterDatabase
	// Find finds a database. The error wraps [archive.ErrNoDatabase].
	Find(name string) (*archive.ClusterDatabase, error)
}

// OpenSource opens one of several databases, where they are in the dump of another program. What it opens is not closed.
type OpenSource func(name string) (archive.Source, error)

// oneDatabase is one of several databases: an archive, or else the dump of another program.
type oneDatabase struct {
	archive *archive.Reader
	source  archive.Source
}

// openDatabase opens one of several databases. open is nil for an archive of pgark.
func openDatabase(c Databases, open OpenSource, name string) (d oneDatabase, err error) {
	if open != nil {
		d.source, err = open(name)
		return d, err
	}
	a, ok := c.(interface {
		Open(name string) (*archive.Reader, error)
	})
	if !ok {
		return d, fmt.Errorf("%w: how a database is opened is not said", ErrUsage)
	}
	d.archive, err = a.Open(name)
	return d, err
}

func (d oneDatabase) restore(ctx context.Context, o RestoreOptions) (*RestoreResult, error) {
	if d.source != nil {
		return RestoreSource(ctx, d.source, o)
	}
	return Restore(ctx, d.archive, o)
}

func (d oneDatabase) script(ctx context.Context, w io.Writer, o ScriptOptions) error {
	if d.source != nil {
		return WriteScriptFrom(ctx, ForeignSource(d.source), w, o)
	}
	return WriteScript(ctx, d.archive, w, o)
}

func (d oneDatabase) convert(ctx context.Context, w io.Writer, o ImportOptions) (archive.Summary, error) {
	if d.source != nil {
		return ImportSource(ctx, d.source, w, o)
	}
	return ImportArchive(ctx, d.archive, w, o)
}
