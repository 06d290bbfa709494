package archive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
)

// A cluster archive is one file that holds an archive for each database of a server, and what all of them share: roles and
// tablespaces. Each of the archives is a nested volume, whole and by itself what an archive of that database would be; around
// them is the cluster volume, which lists them and whose root covers the list, and with it their roots.

// MaxDatabases is the largest number of databases in a cluster archive.
const MaxDatabases = 65535

// minVolume is the length of the shortest volume that can be: header, index and trailer.
const minVolume = frameHeaderLen + headerFixedLen + frameHeaderLen + trailerLen

// ClusterDatabase is what a cluster archive says of one of its databases.
type ClusterDatabase struct {
	Name     string // in the encoding of the cluster's catalog
	Encoding string // of the database: UTF8, LATIN1, SQL_ASCII
	Offset   int64  // of its archive in the file
	Bytes    int64  // that its archive takes
	ID       VolumeID
	Root     [32]byte // of its archive
	Rows     uint64
	RawBytes uint64 // of all rows
}

// ClusterError refuses to take a cluster archive for an archive of one database. It wraps [ErrCluster].
type ClusterError struct {
	Databases []ClusterDatabase // nil where the list can't be read
}

// Error names the databases.
func (e *ClusterError) Error() string {
	const most = 20
	names := make([]string, 0, most)
	for i := range e.Databases {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(e.Databases)-most))
			break
		}
		names = append(names, printable(e.Databases[i].Name))
	}
	if len(names) == 0 {
		return ErrCluster.Error()
	}
	return fmt.Sprintf("%v, not of one: %s", ErrCluster, strings.Join(names, ", "))
}

// Unwrap returns ErrCluster.
func (e *ClusterError) Unwrap() error { return ErrCluster }

func (v *volume) clusterError() error {
	list, err := v.readDatabases()
	if err != nil {
		list = nil // that it is a cluster archive is what has to be said first
	}
	return &ClusterError{Databases: list}
}

// Cluster is an open cluster archive. Its methods but Close may be called from several goroutines at once.
type Cluster struct {
	v    *volume
	list []ClusterDatabase
	file *os.File // nil where the caller has it

	catalog func() (*Catalog, error)
	moment  func() (*Moment, error)
}

// NewCluster opens the cluster archive of size bytes in r: it reads trailer, header and index of the cluster volume and the list of
// databases, and checks that they belong together and to the file's length. It reads nothing of the databases. Errors are those
// of [NewReader]; an archive of one database is [ErrNotCluster].
func NewCluster(r io.ReaderAt, size int64) (*Cluster, error) { return newCluster(r, size, "") }

func newCluster(r io.ReaderAt, size int64, name string) (*Cluster, error) {
	v, err := openVolume(r, size, name)
	if err != nil {
		return nil, err
	}
	return clusterOf(v)
}

func clusterOf(v *volume) (*Cluster, error) {
	if !v.header.Cluster {
		return nil, v.locate(ErrNotCluster)
	}
	var err error
	c := &Cluster{v: v, catalog: sync.OnceValues(v.readCatalog), moment: sync.OnceValues(v.readMoment)}
	if c.list, err = v.readDatabases(); err != nil {
		return nil, v.locate(err)
	}
	return c, nil
}

// OpenCluster opens the cluster archive in the file at path, which must be a regular one.
func OpenCluster(path string) (*Cluster, error) { return OpenClusterWith(path, OpenOptions{}) }

// OpenClusterWith is OpenCluster with options, of which only Through matters.
func OpenClusterWith(path string, o OpenOptions) (*Cluster, error) {
	file, size, err := openFile(path)
	if err != nil {
		return nil, err
	}
	r := io.ReaderAt(file)
	if o.Through != nil {
		r = o.Through(file)
	}
	c, err := newCluster(r, size, path)
	if err != nil {
		_ = file.Close() // it was only read
		return nil, err
	}
	c.file = file
	return c, nil
}

// IsCluster says whether the header of the file at path is that of a cluster archive. It reads nothing else: whether the archive is sound
// shows when it is opened.
func IsCluster(path string) bool {
	f, size, err := openFile(path)
	if err != nil {
		return false
	}
	defer f.Close()
	h, _, err := readHeaderFrame(f, size)
	return err == nil && h.Cluster
}

// Close closes the file, if OpenCluster opened it. The readers of its databases are of no use then.
func (c *Cluster) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

// Header returns what the cluster volume says of itself.
func (c *Cluster) Header() Header { return c.v.header }

// Root is the digest of everything in the file.
func (c *Cluster) Root() [32]byte { return c.v.trailer.root }

// Size is the length of the file in bytes.
func (c *Cluster) Size() int64 { return c.v.size }

// Catalog reads the catalog of what the databases share, roles and tablespaces, the first time. The caller must not change it.
func (c *Cluster) Catalog() (*Catalog, error) { return c.catalog() }

// Moment reads the moment of what the databases share, the first time. Each database has a moment of its own. The caller must
// not change it.
func (c *Cluster) Moment() (*Moment, error) { return c.moment() }

// Databases returns the databases in the order of the file, which is the order in which they are to be restored. The caller must
// not change them.
func (c *Cluster) Databases() []ClusterDatabase { return c.list }

// Find returns what the archive says of a database; [ErrNoDatabase] names those that there are.
func (c *Cluster) Find(name string) (*ClusterDatabase, error) {
	for i := range c.list {
		if c.list[i].Name == name {
			return &c.list[i], nil
		}
	}
	names := make([]string, len(c.list))
	for i := range c.list {
		names[i] = printable(c.list[i].Name)
	}
	return nil, c.v.locate(fmt.Errorf("%w: %s; it has %s", ErrNoDatabase, printable(name), strings.Join(names, ", ")))
}

// Section is the archive of one database, as it lies in the file. Salvage takes it, even where Open does not.
func (c *Cluster) Section(name string) (*io.SectionReader, error) {
	d, err := c.Find(name)
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(c.v.r, d.Offset, d.Bytes), nil
}

// Open opens the archive of one database, and proves that it is the one that the cluster volume lists. Errors are those of
// [NewReader], and [ErrNoDatabase]. Their offsets count from the beginning of the database's archive, whose place in the file they name.
func (c *Cluster) Open(name string) (*Reader, error) {
	d, err := c.Find(name)
	if err != nil {
		return nil, err
	}
	v, err := openVolume(io.NewSectionReader(c.v.r, d.Offset, d.Bytes), d.Bytes, d.place(c.v.name))
	if err == nil {
		err = v.locate(d.prove(v))
	}
	if errors.Is(err, ErrNotArchive) {
		err = &DamageError{Volume: c.v.name, Offset: d.Offset, Message: "the archive of database " + printable(d.Name) + " does not begin here", Err: ErrDamaged}
	}
	if err != nil {
		return nil, err
	}
	return newReader(v, nil, false)
}

// place names a database's archive in messages.
func (d *ClusterDatabase) place(file string) string {
	s := "database " + printable(d.Name) + ", from byte " + strconv.FormatInt(d.Offset, 10) + " on"
	if file == "" {
		return s
	}
	return file + " (" + s + ")"
}

// prove says why what lies in the place of a database is not its archive.
func (d *ClusterDatabase) prove(v *volume) error {
	switch h := &v.header; {
	case h.Cluster || h.Member != (Member{}):
		return damagef(0, "what lies here is not an archive of one volume")
	case h.Database != d.Name:
		return damagef(0, "what lies here is an archive of database %s", printable(h.Database))
	case h.ID != d.ID || v.trailer.root != d.Root:
		return damagef(0, "what lies here is another archive of the database: its root digest is %x, the list says %x", v.trailer.root, d.Root)
	}
	return nil
}

// placed says whether the list of databases names the nested volumes as the index has them.
func placed(list []ClusterDatabase, nested []Span) error {
	if len(list) != len(nested) {
		return fmt.Errorf("it lists %d databases, and the index has %d nested volumes", len(list), len(nested))
	}
	for i := range list {
		if list[i].Offset != nested[i].Offset || list[i].Bytes != nested[i].Length {
			return fmt.Errorf("it has database %s in bytes %d to %d, and the index has that nested volume in bytes %d to %d", printable(list[i].Name),
				list[i].Offset, list[i].Offset+list[i].Bytes-1, nested[i].Offset, nested[i].Offset+nested[i].Length-1)
		}
	}
	return nil
}
