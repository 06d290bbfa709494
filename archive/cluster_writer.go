package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ClusterWriter writes a cluster archive, front to back. It is used so:
//
//	c, err := NewClusterWriter(out, WriterOptions{…})
//	for each database:
//		w, err := c.Begin(name, encoding)
//		// write a whole archive of one volume to w, with a Writer of its own
//		err = c.End(summary)
//	c.SetCatalog(roles and tablespaces); c.SetMoment(…)  // whenever no database is open
//	summary, err := c.Close()
//
// The first error stays: every later call returns it and writes nothing. What was written up to then can be salvaged. Memory: what a
// [Writer] takes of few frames, and the list. It may be used by one goroutine at a time.
type ClusterWriter struct {
	x *Writer
	c *cluster
}

// cluster is what the writer of a cluster volume knows more than others. A nil one is none.
type cluster struct {
	list   []ClusterDatabase
	nested []nestedRecord
	open   *nestedWriter
	doc    [][]byte // of the list
}

var errOpenDatabase = errors.New("the archive of a database is still open")

func (c *cluster) isOpen() bool { return c != nil && c.open != nil }

func (c *cluster) document() [][]byte {
	if c == nil {
		return nil
	}
	return c.doc
}

// records writes the index records of the nested volumes that stand before frame i.
func (c *cluster) records(b []byte, i int) []byte {
	for c != nil && len(c.nested) > 0 && c.nested[0].before == i {
		b = appendNestedRecord(b, c.nested[0].length)
		c.nested = c.nested[1:]
	}
	return b
}

// NewClusterWriter writes the header of a cluster volume to w. It neither closes nor syncs w, ever. o.Member must be zero; the codec
// is that of the catalog, each database has its own.
func NewClusterWriter(w io.Writer, o WriterOptions) (*ClusterWriter, error) {
	if o.Member != (Member{}) {
		return nil, errors.New("an archive of several databases is no set of volumes")
	}
	c := &cluster{}
	x, err := newWriter(w, o, c)
	if err != nil {
		return nil, err
	}
	return &ClusterWriter{x: x, c: c}, nil
}

// SetCatalog writes the catalog of what the databases share, once; Close writes it a second time. cat is not kept.
func (w *ClusterWriter) SetCatalog(cat *Catalog) error { return w.x.SetCatalog(cat) }

// SetMoment writes the moment of what the databases share, once; Close writes it a second time. m is not kept.
func (w *ClusterWriter) SetMoment(m *Moment) error { return w.x.SetMoment(m) }

// Begin begins the archive of a database. All that is written to what it returns, up to End, must be one whole archive of one volume
// whose header names the database. Names are in the encoding of the catalog, and each comes once.
func (w *ClusterWriter) Begin(name, encoding string) (io.Writer, error) {
	err := w.x.begin()
	defer w.x.mu.Unlock()
	same := func(d ClusterDatabase) bool { return d.Name == name }
	switch {
	case err != nil:
		return nil, err
	case w.c.open != nil:
		return nil, w.x.fail(errOpenDatabase)
	case name == "" || bytes.IndexByte([]byte(name), 0) >= 0:
		return nil, w.x.fail(fmt.Errorf("database %q: such a name can't be", name))
	case slices.ContainsFunc(w.c.list, same):
		return nil, w.x.fail(fmt.Errorf("the archive has database %s already", printable(name)))
	case len(w.c.list) == MaxDatabases:
		return nil, w.x.fail(fmt.Errorf("more than %d databases", MaxDatabases))
	}
	w.c.open = &nestedWriter{x: w.x, d: ClusterDatabase{Name: name, Encoding: encoding, Offset: int64(w.x.offset)}}
	return w.c.open, nil
}

// End ends the archive of a database. sum is what its own writer returned. It is compared with what was written: what is no
// whole archive of that database is refused.
func (w *ClusterWriter) End(sum Summary) error {
	err := w.x.begin()
	defer w.x.mu.Unlock()
	switch {
	case err != nil:
		return err
	case w.c.open == nil:
		return w.x.fail(errors.New("no archive of a database is open"))
	}
	n := w.c.open
	d := &n.d
	if err := n.check(&sum); err != nil {
		return w.x.fail(fmt.Errorf("archive of database %s: %w", printable(d.Name), err))
	}
	d.Bytes, d.ID, d.Root, d.Rows, d.RawBytes = n.n, sum.ID, sum.Root, sum.Rows, sum.RawBytes
	w.c.list = append(w.c.list, *d)
	w.c.nested = append(w.c.nested, nestedRecord{before: w.x.index.n, length: uint64(n.n)})
	w.c.open = nil
	s := &w.x.sum
	s.Streams += sum.Streams
	s.Blocks += sum.Blocks
	s.Rows += sum.Rows
	s.RawBytes += sum.RawBytes
	return nil
}

// Databases returns what was written so far.
func (w *ClusterWriter) Databases() []ClusterDatabase {
	w.x.mu.Lock()
	defer w.x.mu.Unlock()
	return slices.Clone(w.c.list)
}

// Close writes the list of databases, the second copies of the documents, the index and the trailer. It fails where a database is
// still open, or moment or catalog were never set. Its result has the sums of all databases. It does not close what lies below.
func (w *ClusterWriter) Close() (Summary, error) {
	if err := w.x.setDocument(FrameDatabases, appendDatabases(nil, w.Databases()), maxDatabases, &w.c.doc); err != nil {
		return Summary{}, err
	}
	return w.x.Close()
}

// Abort ends the writer. Nothing is written; what was written stays as it is.
func (w *ClusterWriter) Abort() { w.x.Abort() }

// nestedWriter passes the archive of a database through, and keeps what proves that it is one: its header and its end.
type nestedWriter struct {
	x    *Writer
	d    ClusterDatabase
	n    int64
	head []byte // its first bytes, at most a header's
	tail []byte // its last bytes, at most a trailer's
}

// Write is part of [io.Writer]. It fails once the database was ended.
func (n *nestedWriter) Write(p []byte) (int, error) {
	err := n.x.begin()
	defer n.x.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if n.x.cluster.open != n {
		return 0, errors.New("the archive of the database was ended already")
	}
	before := n.x.offset
	err = n.x.write(p)
	n.n += int64(n.x.offset - before)
	if room := frameHeaderLen + maxHeader - len(n.head); room > 0 {
		n.head = append(n.head, p[:min(room, len(p))]...)
	}
	n.tail = append(n.tail, p[max(0, len(p)-trailerLen):]...)
	n.tail = n.tail[max(0, len(n.tail)-trailerLen):]
	return int(n.x.offset - before), err
}

// check compares what was written with what its writer says of it.
func (n *nestedWriter) check(sum *Summary) error {
	h, _, err := readHeaderFrame(bytes.NewReader(n.head), int64(len(n.head)))
	if err != nil {
		return err
	}
	t, err := parseTrailer(n.tail, n.n)
	switch {
	case err != nil:
		return err
	case h.Cluster || h.Member != (Member{}):
		return errors.New("it is not an archive of one volume")
	case h.Database != n.d.Name:
		return fmt.Errorf("it is an archive of database %s", printable(h.Database))
	case h.ID != sum.ID || t.id != sum.ID || t.root != sum.Root || uint64(n.n) != sum.Bytes:
		return errors.New("what was written is not what its summary says")
	}
	return nil
}
