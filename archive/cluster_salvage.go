package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ClusterSalvage says what was kept and what was lost of a cluster archive.
type ClusterSalvage struct {
	Databases []SalvagedDatabase // in the order of the file
	Losses    []Loss             // also in the moment of the new archive, each of which names a database
	Notes     []string           // sentences on anything else that was lost or had to be guessed
	Summary   Summary
}

// SalvagedDatabase is what was kept and lost of one database.
type SalvagedDatabase struct {
	Name   string
	Report *SalvageReport // nil where nothing was wrong and it was copied as it is, or nothing is left of it
	Lost   bool           // nothing is left of it
}

// SalvageCluster reads what is left of a cluster archive and writes a whole one to out. Databases that are sound are copied as they are,
// the others as [Salvage] does it. It fails with [ErrNotCluster] where nothing shows that it is a cluster archive: then it is one for Salvage.
// Everything is read twice. Memory: as for Salvage.
func SalvageCluster(ctx context.Context, r io.ReaderAt, size int64, out io.Writer, o SalvageOptions) (*ClusterSalvage, error) {
	b, err := surveyCluster(ctx, r, size, false)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, ErrNotCluster
	}
	s := &clusterSalvager{r: r, o: o, names: map[string]bool{}, moment: &Moment{Promise: "none"}, catalog: &Catalog{}}
	if err := s.documents(ctx, size); err != nil {
		return nil, err
	}
	w := WriterOptions{Codec: CodecZstd, Created: o.Created, Tool: o.Tool, Salvaged: s.id}
	if s.header != nil {
		w.Codec, w.Level, w.Created = s.header.Codec, s.header.Level, s.header.Created
	}
	if s.w, err = NewClusterWriter(out, w); err != nil {
		return nil, err
	}
	defer s.w.Abort() // no more than a release once it is closed
	if b.list == nil {
		s.note("The list of databases is lost: what is left of them was looked for, and databases of which nothing is left can't be named.")
		s.loss("", Loss{Message: "the list of databases is lost: those of which nothing is left can't be named"})
	}
	for i, at := range b.nested {
		d := &ClusterDatabase{}
		if b.list != nil {
			d = &b.list[i]
		}
		if err := s.database(ctx, at, d); err != nil {
			return nil, err
		}
	}
	return s.finish()
}

type clusterSalvager struct {
	r       io.ReaderAt
	o       SalvageOptions
	w       *ClusterWriter
	rep     ClusterSalvage
	names   map[string]bool
	header  *Header
	id      VolumeID
	moment  *Moment
	catalog *Catalog
}

func (s *clusterSalvager) note(format string, args ...any) {
	s.rep.Notes = append(s.rep.Notes, fmt.Sprintf(format, args...))
}

func (s *clusterSalvager) loss(database string, l Loss) {
	if database != "" {
		l.Message = "database " + printable(database) + ": " + l.Message
	}
	s.rep.Losses = append(s.rep.Losses, l)
}

// documents recovers what the cluster volume itself has.
func (s *clusterSalvager) documents(ctx context.Context, size int64) error {
	v, err := takeSurvey(ctx, s.r, size, nil)
	if errors.Is(err, ErrNotArchive) {
		return nil // the databases have been found by other means
	}
	if err != nil {
		return err
	}
	s.header = v.header
	switch {
	case v.header != nil:
		s.id = v.header.ID
	case v.trailer != nil:
		s.id = v.trailer.id
	}
	if v.header == nil && (v.trailer == nil || v.trailer.volumeLen != uint64(size)) {
		s.note("The header of the archive is lost, and with it roles and tablespaces.")
		return nil // what it found are the frames of a database
	}
	if m, err := surveyDocument(v, FrameMoment, maxMoment, parseMoment); err == nil {
		s.moment = m
	} else if errors.Is(err, ErrVersion) {
		return err
	} else {
		s.note("The moment of roles and tablespaces is lost.")
	}
	if c, err := surveyDocument(v, FrameCatalog, maxCatalog, parseCatalog); err == nil {
		s.catalog = c
	} else if errors.Is(err, ErrVersion) {
		return err
	} else {
		s.note("Roles and tablespaces are lost: they must come from elsewhere.")
		s.loss("", Loss{Message: "roles and tablespaces are lost"})
	}
	return nil
}

// database copies or salvages what lies in one database's place. d is zero where the list is lost.
func (s *clusterSalvager) database(ctx context.Context, at Span, d *ClusterDatabase) error {
	section := io.NewSectionReader(s.r, at.Offset, at.Length)
	c := newChecker(CheckOptions{})
	c.nested = true
	v, err := c.check(ctx, section, at.Length, "")
	switch {
	case errors.Is(err, ErrNotArchive):
		return s.lost(d.Name, at)
	case err != nil:
		return err
	case v != nil && len(c.res.Findings) == 0 && (d.Name == "" || d.prove(v) == nil) && !s.names[v.header.Database]:
		return s.copy(section, v, d)
	}
	return s.salvage(ctx, section, at, d)
}

// lost says that nothing is left of a database.
func (s *clusterSalvager) lost(name string, at Span) error {
	s.rep.Databases = append(s.rep.Databases, SalvagedDatabase{Name: name, Lost: true})
	s.loss(name, Loss{Message: fmt.Sprintf("nothing is left of what was in bytes %d to %d of the file", at.Offset, at.Offset+at.Length-1)})
	return nil
}

// copy takes a sound archive over as it is.
func (s *clusterSalvager) copy(section *io.SectionReader, v *volume, d *ClusterDatabase) error {
	name, encoding := v.header.Database, d.Encoding
	if encoding == "" {
		cat, err := v.readCatalog()
		if err != nil {
			return err
		}
		encoding = cat.Encoding
	}
	out, err := s.w.Begin(name, encoding)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, section); err != nil {
		return err
	}
	sum := Summary{ID: v.header.ID, Root: v.trailer.root, Bytes: uint64(v.size), Streams: len(v.streams)}
	for i := range v.streams {
		t := &v.streams[i]
		sum.Rows += t.Digest.Rows
		sum.RawBytes += t.Raw
		sum.Blocks += t.Blocks
	}
	s.names[name] = true
	s.rep.Databases = append(s.rep.Databases, SalvagedDatabase{Name: name})
	return s.w.End(sum)
}

// salvage takes over what is left of a damaged archive. What it is named is known only when its header is written.
func (s *clusterSalvager) salvage(ctx context.Context, section *io.SectionReader, at Span, d *ClusterDatabase) error {
	n := &lateName{s: s, d: d}
	rep, err := salvageAs(ctx, section, at.Length, n, s.o, n.name)
	if errors.Is(err, ErrNotArchive) && n.w == nil {
		return s.lost(d.Name, at)
	}
	if err != nil {
		return err
	}
	name := n.database
	s.rep.Databases = append(s.rep.Databases, SalvagedDatabase{Name: name, Report: rep})
	for _, l := range rep.Losses {
		s.loss(name, l)
	}
	for _, note := range rep.Notes {
		s.note("Database %s: %s", printable(name), note)
	}
	return s.w.End(rep.Summary)
}

// lateName is where the archive of a database goes whose name and encoding come out only while it is salvaged.
type lateName struct {
	s        *clusterSalvager
	d        *ClusterDatabase // what the list has, or zero
	w        io.Writer
	database string
}

// name decides on the name of the database, which the new archive's header gets, and begins it.
func (n *lateName) name(fromHeader string, cat *Catalog) (string, error) {
	name := n.d.Name
	if name == "" {
		name = fromHeader
	}
	if name == "" || strings.ContainsRune(name, 0) || n.s.names[name] {
		name = "database" + strconv.Itoa(len(n.s.rep.Databases)+1)
		for n.s.names[name] {
			name += "_"
		}
		n.s.note("The name of a database is lost, or there are two of the same name: %s stands for it.", name)
	}
	n.s.names[name] = true
	n.database = name
	encoding := n.d.Encoding
	if encoding == "" {
		encoding = cat.Encoding
	}
	var err error
	n.w, err = n.s.w.Begin(name, encoding)
	return name, err
}

func (n *lateName) Write(p []byte) (int, error) { return n.w.Write(p) }

func (s *clusterSalvager) finish() (*ClusterSalvage, error) {
	m := *s.moment
	m.Losses = append(m.Losses[:len(m.Losses):len(m.Losses)], s.rep.Losses...)
	if err := s.w.SetCatalog(s.catalog); err != nil {
		return nil, err
	}
	if err := s.w.SetMoment(&m); err != nil {
		return nil, err
	}
	sum, err := s.w.Close()
	s.rep.Summary = sum
	return &s.rep, err
}

// isCluster says whether what r begins with is a cluster volume, or its index or its list of databases is there.
func isCluster(r io.ReaderAt, size int64) bool {
	if h, _, err := readHeaderFrame(r, size); err == nil {
		return h.Cluster
	}
	return openByIndex(r, size) != nil
}
