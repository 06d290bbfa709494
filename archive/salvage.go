package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// SalvageOptions describe the archive that is written.
type SalvageOptions struct {
	Tool    string
	Created time.Time // taken if that of the damaged archive is lost
}

// SalvageReport says what was kept and what was lost.
type SalvageReport struct {
	Blocks, Rows, RawBytes uint64          // kept
	Tables                 []SalvagedTable // in the order of their first streams
	Losses                 []Loss          // also in the moment of the new archive
	Notes                  []string        // sentences on anything else that was lost or had to be guessed
	Summary                Summary
}

// SalvagedTable is what was kept and lost of one table.
type SalvagedTable struct {
	Schema, Table string
	Blocks, Rows  uint64 // kept
	LostBlocks    uint64 // known to be lost
	LostRows      uint64
	Complete      bool // nothing of it is missing
}

// Salvage reads what is left of an archive and writes a whole one to out that has every whole block of it, with the
// rows digested anew. Payloads are copied as they are. It fails with [ErrNotArchive] where not one frame is left.
//
// Of a lead volume it makes a lead volume of the same set, if the list of volumes is left. Of another volume of a set it makes an archive
// of its own, whose catalog only names the tables.
// A cluster archive is refused with a [ClusterError]: [SalvageCluster] takes it whole, and Salvage what [Cluster.Section] or [FindNested]
// give of one database.
// Memory: some frames, and what a [Reader] takes.
func Salvage(ctx context.Context, r io.ReaderAt, size int64, out io.Writer, o SalvageOptions) (*SalvageReport, error) {
	if isCluster(r, size) {
		return nil, &ClusterError{}
	}
	return salvageAs(ctx, r, size, out, o, nil)
}

// salvageAs is Salvage. name, if there is one, is given the name of the database that the old header has, and the catalog, and says
// which one the new header gets. Nothing is written before.
func salvageAs(
	ctx context.Context, r io.ReaderAt, size int64, out io.Writer, o SalvageOptions, name func(string, *Catalog) (string, error),
) (*SalvageReport, error) {
	s, err := takeSurvey(ctx, r, size, nil)
	if errors.Is(err, ErrNotArchive) {
		return nil, fmt.Errorf("%w: not one whole frame is left, so there is nothing to recover", ErrNotArchive)
	}
	if err != nil {
		return nil, err
	}
	v := &salvager{s: s, tables: map[[2]string]int{}}
	if err := v.documents(); err != nil {
		return nil, err
	}
	w := v.options(o)
	if name != nil {
		if w.Database, err = name(w.Database, v.catalog); err != nil {
			return nil, err
		}
		w.Member, v.volumes = Member{}, nil
	}
	if v.w, err = NewWriter(out, w); err != nil {
		return nil, err
	}
	defer v.w.Abort() // no more than a release once it is closed
	if err := v.write(ctx); err != nil {
		return nil, err
	}
	return &v.rep, nil
}

type salvager struct {
	s       *survey
	w       *Writer
	rep     SalvageReport
	tables  map[[2]string]int // in rep.Tables
	catalog *Catalog
	moment  *Moment
	member  Member      // of what is salvaged
	volumes *VolumeList // of a lead volume, if it is left
	lost    bool        // the catalog is: what stands in its place was made up
	entries map[entryKey]int32

	unpack unpacker
	frame  Frame
	buf    []byte
}

type entryKey struct{ kind, schema, name string }

func (v *salvager) note(format string, args ...any) {
	v.rep.Notes = append(v.rep.Notes, fmt.Sprintf(format, args...))
}

func (v *salvager) loss(l Loss) { v.rep.Losses = append(v.rep.Losses, l) }

// options takes over what the old header says.
func (v *salvager) options(o SalvageOptions) WriterOptions {
	w := WriterOptions{Codec: CodecZstd, Created: o.Created, Database: v.catalog.Database, Tool: o.Tool}
	switch h := v.s.header; {
	case h != nil:
		w.Database, w.Salvaged = h.Database, h.ID
		if h.Codec.checkLevel(h.Level) == nil {
			w.Codec, w.Level = h.Codec, h.Level
		}
		if !h.Created.IsZero() {
			w.Created = h.Created
		}
	case v.s.trailer != nil:
		w.Salvaged = v.s.trailer.id
	default:
		copy(w.Salvaged[:], v.s.tag[:])
	}
	if v.volumes != nil {
		w.Member = Member{Set: v.volumes.Set, Lead: v.member.Lead}
	}
	if v.s.header == nil {
		v.note("The header of the archive is lost; the new one has the time and the codec of now.")
	}
	return w
}

// documents reads moment, catalog and list of volumes, or makes do without.
func (v *salvager) documents() error {
	if v.s.header != nil {
		v.member = v.s.header.Member
	}
	if v.member.isMember() {
		lead := ""
		if v.member.Lead != "" {
			lead = ", " + printable(v.member.Lead)
		}
		v.lost, v.moment = true, &Moment{Promise: "none"}
		v.catalog = v.makeCatalog()
		v.note("This is volume %d of a set: moment and catalog are in the lead volume%s. The new catalog only names the tables whose rows were found.",
			v.member.Number, lead)
	} else if err := v.readDocuments(); err != nil {
		return err
	}
	v.entries = make(map[entryKey]int32)
	for i := range v.catalog.Entries {
		e := &v.catalog.Entries[i]
		k := entryKey{e.Kind, e.Schema, e.Name}
		if _, twice := v.entries[k]; twice {
			v.entries[k] = 0
		} else {
			v.entries[k] = e.ID
		}
	}
	return nil
}

// readDocuments reads the documents of a volume that is to have them.
func (v *salvager) readDocuments() error {
	var err error
	if v.moment, err = surveyDocument(v.s, FrameMoment, maxMoment, parseMoment); err != nil {
		if errors.Is(err, ErrVersion) {
			return err
		}
		v.moment = &Moment{Promise: "none"}
		v.note("The moment is lost: nothing says any more which point in time the rows show.")
	}
	if v.volumes, err = surveyDocument(v.s, FrameVolumes, maxVolumes, parseVolumes); err != nil && v.member.isLead() {
		v.note("This is the lead volume of a set, and its list of volumes is lost. Their rows can be saved from each of them.")
		v.loss(Loss{Message: "all rows of the set are in other volumes"})
	}
	if v.s.header != nil && !v.member.isLead() || len(v.s.streams) > 0 {
		v.volumes = nil // a lead volume has no rows
	}
	if v.catalog, err = surveyDocument(v.s, FrameCatalog, maxCatalog, parseCatalog); err != nil {
		if errors.Is(err, ErrVersion) {
			return err
		}
		v.lost = true
		v.catalog = v.makeCatalog()
		v.note("The catalog is lost: the new one only names the tables whose rows were found. Their definitions must come from elsewhere.")
	}
	return nil
}

// surveyDocument reads and parses a document.
func surveyDocument[T any](s *survey, t FrameType, limit int, parse func(string) (*T, error)) (*T, error) {
	doc, err := s.document(t, limit)
	if err != nil {
		return nil, err
	}
	x, err := parse(doc)
	if err != nil {
		return nil, err
	}
	return x, nil
}

func (v *salvager) write(ctx context.Context) error {
	if err := v.w.SetCatalog(v.catalog); err != nil {
		return err
	}
	bound := map[int32]bool{}
	for _, id := range v.s.ids() {
		entry, err := v.stream(ctx, id)
		if err != nil {
			return err
		}
		bound[entry] = true
	}
	v.unknown(bound)
	m := *v.moment
	m.Losses = append(m.Losses[:len(m.Losses):len(m.Losses)], v.rep.Losses...)
	if err := v.w.SetMoment(&m); err != nil {
		return err
	}
	if v.volumes != nil {
		known := make(map[int32]bool, len(v.catalog.Entries))
		for i := range v.catalog.Entries {
			known[v.catalog.Entries[i].ID] = true
		}
		bindings := slices.Clone(v.volumes.Bindings)
		for i := range bindings {
			if !known[bindings[i].Entry] {
				bindings[i].Entry = 0
			}
		}
		if err := v.w.setVolumes(v.volumes.Volumes, bindings); err != nil {
			return err
		}
	}
	sum, err := v.w.Close()
	v.rep.Summary = sum
	return err
}

// unknown reports what may be missing without a trace.
func (v *salvager) unknown(bound map[int32]bool) {
	if v.s.index != nil || v.s.unbroken() || v.volumes != nil {
		return
	}
	v.loss(Loss{Message: "the index is lost: streams of which no frame is left can't be named"})
	if v.lost {
		return
	}
	for i := range v.catalog.Entries {
		e := &v.catalog.Entries[i]
		if (e.Kind == "TABLE DATA" || e.Kind == "BLOBS") && !bound[e.ID] {
			v.loss(Loss{Schema: e.Schema, Table: e.Name, Message: "none of its rows were found"})
			v.table(e.Schema, e.Name).Complete = false
		}
	}
}

// unbroken says whether all frames up to the second copy of the moment, or to the index, are there, behind which come no rows.
func (s *survey) unbroken() bool {
	at := int64(0)
	for i := range s.frames.n {
		r := s.frames.at(i)
		switch {
		case s.offsets[i] != at || s.bad[i] != nil || i == 0 && r.typ != FrameHeader:
			return false
		case r.typ == FrameMoment && r.block == 1, r.typ == FrameIndex:
			return true
		}
		at += frameHeaderLen + int64(r.stored)
	}
	return false
}

// table returns the line of the report for a table, valid until the next call.
func (v *salvager) table(schema, table string) *SalvagedTable {
	k := [2]string{schema, table}
	i, ok := v.tables[k]
	if !ok {
		i = len(v.rep.Tables)
		v.tables[k] = i
		v.rep.Tables = append(v.rep.Tables, SalvagedTable{Schema: schema, Table: table, Complete: true})
	}
	return &v.rep.Tables[i]
}
