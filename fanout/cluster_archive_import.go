package fanout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pgark/pgark/archive"
)

// ClusterImportOptions say how an archive of several databases is made of another one, or of a script of pg_dumpall.
type ClusterImportOptions struct {
	Import     ImportOptions // of each database, and of what they share
	OpenSource OpenSource    // nil for an archive of pgark

	Started func(name string, number, of int) // called before each database; may be nil
}

// ImportCluster writes an archive of several databases: each as by [ImportSource] or [ImportArchive], and roles and tablespaces as they are.
// Nothing stays out: an archive that could not be restored whole is not made. It does not close w; after an error w holds a part of an
// archive that must be thrown away.
func ImportCluster(ctx context.Context, c Databases, w io.Writer, o ClusterImportOptions) (archive.Summary, error) {
	var none archive.Summary
	cat, err := c.Catalog()
	if err != nil {
		return none, fmt.Errorf("read roles and tablespaces: %w", err)
	}
	moment, err := c.Moment()
	if err != nil {
		return none, fmt.Errorf("read the moment: %w", err)
	}
	one := o.Import
	if one.Created.IsZero() {
		one.Created = time.Now()
	}
	if !one.RolePasswords && o.OpenSource != nil { // those of an archive were asked for when it was made
		cat = withoutRolePasswords(cat)
	}
	cw, err := archive.NewClusterWriter(w, archive.WriterOptions{Codec: one.Codec, Level: one.Level, Created: one.Created, Tool: one.Tool})
	if err != nil {
		return none, err
	}
	defer cw.Abort() // no more than a release once it is closed
	list := c.Databases()
	for i, d := range list {
		if o.Started != nil {
			o.Started(d.Name, i+1, len(list))
		}
		if err := importDatabase(ctx, c, cw, d, o.OpenSource, one); err != nil {
			return none, fmt.Errorf("database %s: %w", visibleName(d.Name), err)
		}
	}
	if err := errors.Join(cw.SetCatalog(cat), cw.SetMoment(moment)); err != nil {
		return none, err
	}
	return cw.Close()
}

func importDatabase(ctx context.Context, c Databases, cw *archive.ClusterWriter, d archive.ClusterDatabase, open OpenSource, o ImportOptions) error {
	db, err := openDatabase(c, open, d.Name)
	if err != nil {
		return err
	}
	out, err := cw.Begin(d.Name, d.Encoding)
	if err != nil {
		return err
	}
	sum, err := db.convert(ctx, out, o)
	if err != nil {
		return err
	}
	return cw.End(sum)
}
