package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
)

// DatabaseCheck is what the check of one database of a cluster archive came to.
type DatabaseCheck struct {
	Name     string // empty where nothing tells it any more
	Offset   int64  // in the file
	Bytes    int64  // that it takes there
	Tables   int
	Rows     uint64 // in sound blocks
	RawBytes uint64
	Findings int // how many of all findings are about it
}

// Check checks everything in a cluster archive as [Check] does.
func (c *Cluster) Check(ctx context.Context, o CheckOptions) (*CheckResult, error) {
	k := newChecker(o)
	if err := k.cluster(ctx, c.v); err != nil {
		return nil, err
	}
	k.sort(0, c.v.name)
	return k.result(), nil
}

// cluster checks a cluster volume whose header, index and trailer are sound, and what is nested in it.
func (c *checker) cluster(ctx context.Context, v *volume) error {
	if err := c.indexed(ctx, v); err != nil {
		return err
	}
	list, err := v.readDatabases()
	if err := onlyDamage(err); err != nil {
		return err
	}
	for i, at := range v.nested {
		var d *ClusterDatabase // nil where the list can't be read, which has been reported
		if err == nil {
			d = &list[i]
		}
		if err := c.database(ctx, v.r, at, d); err != nil {
			return err
		}
	}
	return nil
}

// database checks what lies in the place of one database's archive. d is what is known of it, nil for nothing.
func (c *checker) database(ctx context.Context, r io.ReaderAt, at Span, d *ClusterDatabase) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sub := &checker{jobs: c.jobs, quick: c.quick, nested: true, tables: map[tableID]bool{}}
	section := io.NewSectionReader(r, at.Offset, at.Length)
	v, err := sub.check(ctx, section, at.Length, "")
	switch {
	case errors.Is(err, ErrNotArchive):
		sub.add(Finding{Class: ClassStructure, Block: -1, Message: "there is no archive of a database here any more"})
	case err != nil:
		return fmt.Errorf("the archive from byte %d on: %w", at.Offset, err)
	}
	name := ""
	switch h, _, err := readHeaderFrame(section, at.Length); {
	case d != nil:
		name = d.Name
	case err == nil:
		name = h.Database
	}
	if v != nil && d != nil {
		sub.compareDatabase(d, v)
	}
	c.mergeDatabase(sub, at, name)
	return nil
}

// compareDatabase compares a sound volume with what the cluster volume says of the one that belongs in its place.
func (c *checker) compareDatabase(d *ClusterDatabase, v *volume) {
	var wrong *DamageError
	if errors.As(d.prove(v), &wrong) {
		f := findingOf(wrong)
		f.Class = ClassVolume
		c.add(f)
		return
	}
	var rows, raw uint64
	for i := range v.streams {
		rows += v.streams[i].Digest.Rows
		raw += v.streams[i].Raw
	}
	if rows != d.Rows || raw != d.RawBytes {
		c.add(Finding{
			Class: ClassCatalog, Offset: int64(v.trailer.indexOffset), Block: -1,
			Message: fmt.Sprintf("it has %d rows of %d bytes, the list of databases says %d of %d", rows, raw, d.Rows, d.RawBytes),
		})
	}
}

// mergeDatabase adds what the check of one database came to, with offsets in the file.
func (c *checker) mergeDatabase(sub *checker, at Span, name string) {
	r := sub.result()
	c.nestedTables += r.Tables
	c.res.Streams += r.Streams
	c.res.Blocks += r.Blocks
	c.res.Rows += r.Rows
	c.res.RawBytes += r.RawBytes
	c.res.Bytes += r.Bytes
	c.res.More += r.More
	for _, f := range r.Findings {
		f.Database = name
		if f.Offset >= 0 {
			f.Offset += at.Offset
		}
		c.add(f)
	}
	c.res.Databases = append(c.res.Databases, DatabaseCheck{
		Name: name, Offset: at.Offset, Bytes: at.Length, Tables: r.Tables, Rows: r.Rows, RawBytes: r.RawBytes, Findings: len(r.Findings) + r.More,
	})
}

// brokenCluster checks the databases of a cluster archive whose own header, index or trailer is damaged, which was reported. It reports
// false for anything else.
func (c *checker) brokenCluster(ctx context.Context, r io.ReaderAt, size int64) (bool, error) {
	if c.nested {
		return false, nil
	}
	b, err := surveyCluster(ctx, r, size, c.quick)
	if b == nil || err != nil {
		return false, err
	}
	for i, at := range b.nested {
		var d *ClusterDatabase
		if b.list != nil {
			d = &b.list[i]
		}
		if err := c.database(ctx, r, at, d); err != nil {
			return true, err
		}
	}
	return true, nil
}

// brokenCluster is what is left of a cluster volume.
type brokenCluster struct {
	nested []Span
	list   []ClusterDatabase // one for each of them; nil if it is lost
}

// surveyCluster finds out whether what can't be opened is a cluster archive, and where its databases lie: by its index if that is
// left, else, unless quick, by a scan. nil says that it is none.
func surveyCluster(ctx context.Context, r io.ReaderAt, size int64, quick bool) (*brokenCluster, error) {
	h, _, headerErr := readHeaderFrame(r, size)
	if headerErr == nil && !h.Cluster {
		return nil, nil
	}
	b := &brokenCluster{}
	if v := openByIndex(r, size); v != nil {
		b.nested = v.nested
		if list, err := v.readDatabases(); err == nil {
			b.list = list
		}
		return b, nil
	}
	if quick {
		if headerErr != nil {
			return nil, nil
		}
		return b, nil
	}
	found, err := FindNested(ctx, r, size)
	if err != nil {
		return nil, err
	}
	for _, n := range found {
		b.nested = append(b.nested, Span{n.Offset, n.Bytes})
	}
	if headerErr != nil && (len(found) == 0 || found[0].Offset == 0) {
		return nil, nil // a volume of another kind that lost its header
	}
	return b, nil
}

// openByIndex opens what its trailer and its index tell by themselves of a cluster volume, whatever its header says and whether or not
// the root is right; nil if they are damaged, or of another kind of volume: that has no list of databases.
func openByIndex(r io.ReaderAt, size int64) *volume {
	v := &volume{r: r, size: size, header: Header{Cluster: true}}
	if size < trailerLen || v.readTrailer() != nil {
		return nil
	}
	v.header.ID = v.trailer.id
	idx, err := v.readIndex(discardHash{})
	if err != nil {
		return nil
	}
	v.frames = idx.frames
	if v.build(idx) != nil {
		return nil
	}
	return v
}

// discardHash takes what nobody wants to know the digest of.
type discardHash struct{}

func (discardHash) Write(p []byte) (int, error) { return len(p), nil }
func (discardHash) Sum(b []byte) []byte         { return b }
func (discardHash) Reset()                      {}
func (discardHash) Size() int                   { return 0 }
func (discardHash) BlockSize() int              { return math.MaxInt16 }
