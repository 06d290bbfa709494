package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// ScatterOptions say how to make a set of an archive.
type ScatterOptions struct {
	Tool string // name and version of the program
	Lead string // name of the lead volume's file, for messages
	Jobs int    // goroutines that read and check frames; 0 for one
	// Create opens what a volume is written to, and sets v.Host and v.Path. v has its number, and node is the one whose rows it
	// gets. What it returns is neither synced nor closed.
	Create func(v *Volume, node Node) (io.Writer, error)
}

// ScatterReport is what was scattered.
type ScatterReport struct {
	Summary Summary // of the lead volume
	Set     SetID
	Volumes []Volume
}

// Scatter writes a set that has everything of x: one volume for each node that has streams, and a lead volume to lead.
// As in [Gather], nothing is decompressed, and everything is checked. The lead volume is written last; the caller must not let it have its
// name before all others are on their disks.
func Scatter(ctx context.Context, x *Reader, lead io.Writer, o ScatterOptions) (*ScatterReport, error) {
	m, cat, err := x.documents()
	if err != nil {
		return nil, err
	}
	s := &scatter{x: x, o: o, rep: ScatterReport{Set: NewSetID()}, writers: map[uint32]*Writer{}}
	defer s.release()
	if err := s.create(m); err != nil {
		return nil, err
	}
	if err := x.copyStreams(ctx, o.Jobs, func(t *Stream) (*Writer, error) { return s.writers[t.Node], nil }); err != nil {
		return nil, err
	}
	if err := s.closeMembers(); err != nil {
		return nil, err
	}
	s.rep.Summary, err = s.writeLead(lead, m, cat)
	return &s.rep, err
}

type scatter struct {
	x       *Reader
	o       ScatterOptions
	rep     ScatterReport
	writers map[uint32]*Writer // by node
}

// StreamNodes returns the nodes that x has streams of, as m describes them, in the order of their IDs.
func StreamNodes(x *Reader, m *Moment) []Node {
	nodes := map[uint32]Node{}
	for i := range x.streams {
		id := x.streams[i].Node
		nodes[id] = Node{ID: id, Name: fmt.Sprintf("node%d", id), Content: -1}
	}
	for _, n := range m.Nodes {
		if _, ok := nodes[n.ID]; ok {
			nodes[n.ID] = n
		}
	}
	return slices.SortedFunc(maps.Values(nodes), func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
}

// create begins a volume for each node that has streams.
func (s *scatter) create(m *Moment) error {
	nodes := StreamNodes(s.x, m)
	if len(nodes) > MaxVolumes {
		return fmt.Errorf("the archive has rows of %d nodes, a set has at most %d volumes", len(nodes), MaxVolumes)
	}
	for _, n := range nodes {
		v := Volume{Number: uint32(len(s.rep.Volumes) + 1), Node: n.ID}
		out, err := s.o.Create(&v, n)
		if err != nil {
			return err
		}
		o := s.x.writerOptions(s.o.Tool)
		o.Member = Member{Set: s.rep.Set, Number: v.Number, Lead: s.o.Lead}
		if s.writers[n.ID], err = NewWriter(out, o); err != nil {
			return err
		}
		s.rep.Volumes = append(s.rep.Volumes, v)
	}
	return nil
}

// closeMembers ends all volumes but the lead.
func (s *scatter) closeMembers() error {
	for i := range s.rep.Volumes {
		v := &s.rep.Volumes[i]
		sum, err := s.writers[v.Node].Close()
		if err != nil {
			return err
		}
		done := sum.Volume
		done.Node, done.Host, done.Path = v.Node, v.Host, v.Path
		*v = done
	}
	return nil
}

func (s *scatter) writeLead(out io.Writer, m *Moment, cat *Catalog) (Summary, error) {
	o := s.x.writerOptions(s.o.Tool)
	o.Member = Member{Set: s.rep.Set, Lead: s.o.Lead}
	w, err := NewWriter(out, o)
	if err != nil {
		return Summary{}, err
	}
	defer w.Abort() // no more than a release once it is closed
	if err := errors.Join(w.SetMoment(m), w.SetCatalog(cat), w.SetVolumes(s.rep.Volumes, s.unbound())); err != nil {
		return Summary{}, err
	}
	return w.Close()
}

// unbound says of tables without an entry that they have none.
func (s *scatter) unbound() []Binding {
	none := map[uint32]bool{}
	var list []Binding
	for i := range s.x.streams {
		if t := &s.x.streams[i]; t.Entry == 0 && t.OID != 0 && !none[t.OID] {
			none[t.OID] = true
			list = append(list, Binding{OID: t.OID})
		}
	}
	return list
}

func (s *scatter) release() {
	for _, w := range s.writers {
		w.Abort()
	}
}
