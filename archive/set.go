package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// VolumeStatus is a volume of a set as a reader found it.
type VolumeStatus struct {
	*Volume        // what the lead volume says of it
	Name    string // of what was opened: the path of its file here; empty where it could not be
	Err     error  // why it is not open, a [VolumeError]; nil where it is
}

// The ways in which a volume of a set can be absent.
const (
	VolumeMissing = "missing" // there is nothing in its place, or it can't be opened
	VolumeSwapped = "swapped" // in its place is another volume of the same set
	VolumeForeign = "foreign" // in its place is something that doesn't belong to the set
	VolumeStale   = "stale"   // in its place is that volume as it was written another time
	VolumeDamaged = "damaged" // it is there and can't be opened, because it is damaged or cut off
)

// VolumeError says which volume of a set is not open, and why. It wraps [ErrVolume], and the cause where there is one.
type VolumeError struct {
	Volume  *Volume
	Node    string // name of its node, empty where it is not known
	Name    string // of what was found in its place, or looked for
	Problem string // one of the constants
	Message string
	Err     error
}

// Error names the volume, its node, host and path, and says what is wrong.
func (e *VolumeError) Error() string {
	s := e.Volume.label(e.Node) + ": " + e.Message
	if e.Name != "" && e.Name != e.Volume.Path && e.Name != e.Volume.Host+":"+e.Volume.Path && !strings.Contains(e.Message, e.Name) {
		s += " (" + printable(e.Name) + ")"
	}
	return oneLine(s) // the message may have the path too
}

// Unwrap returns ErrVolume and the cause.
func (e *VolumeError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrVolume}
	}
	return []error{ErrVolume, e.Err}
}

// SetError says which volumes of a set are not open. It wraps all of their errors.
type SetError struct {
	Lead    string // name of the lead volume
	Volumes int    // that the set has, without the lead volume
	Errs    []*VolumeError
}

// Error says what is wrong with the first few.
func (e *SetError) Error() string {
	s := ""
	if e.Lead != "" {
		s = e.Lead + ": "
	}
	if len(e.Errs) == 1 {
		return s + e.Errs[0].Error()
	}
	s += fmt.Sprintf("%d of %d volumes of the set can't be used", len(e.Errs), e.Volumes)
	const most = 5
	for i, v := range e.Errs {
		if i == most {
			return s + fmt.Sprintf("; and %d more", len(e.Errs)-most)
		}
		s += "; " + v.Error()
	}
	return s
}

// Unwrap returns the errors of the volumes.
func (e *SetError) Unwrap() []error {
	var errs []error
	for _, v := range e.Errs {
		errs = append(errs, v)
	}
	return errs
}

// VolumeSource opens what is in the place of a volume. An error means that there is nothing.
type VolumeSource func(v *Volume) (r io.ReaderAt, size int64, name string, err error)

// NewSetReader opens a set by its lead volume, and the others as source yields them. With partial, volumes that
// are absent are left out: see [Reader.Volumes]; otherwise they are a [SetError]. Of an archive of one volume it is NewReader.
func NewSetReader(lead io.ReaderAt, size int64, source VolumeSource, partial bool) (*Reader, error) {
	v, err := openVolume(lead, size, "")
	if err != nil {
		return nil, err
	}
	return newReader(v, func(m *Volume) (*volume, error) {
		r, size, name, err := source(m)
		if err != nil {
			return nil, &VolumeError{Volume: m, Name: name, Problem: VolumeMissing, Message: err.Error(), Err: err}
		}
		return openMember(v.header.Member.Set, m, r, size, name)
	}, partial)
}

// openMember opens what is said to be volume m of a set, and proves that it is. The error is a VolumeError.
func openMember(set SetID, m *Volume, r io.ReaderAt, size int64, name string) (*volume, error) {
	fail := func(problem string, err error, format string, args ...any) error {
		return &VolumeError{Volume: m, Name: name, Problem: problem, Message: fmt.Sprintf(format, args...), Err: err}
	}
	v, err := openVolume(r, size, name)
	switch {
	case errors.Is(err, ErrNotArchive):
		return nil, fail(VolumeForeign, err, "what is in its place is not a pgark archive")
	case errors.Is(err, ErrDamaged), errors.Is(err, ErrTruncated):
		if h, _, herr := readHeaderFrame(r, size); herr == nil && h.Member.Set != set {
			return nil, fail(VolumeForeign, err, "what is in its place belongs to another set, and is damaged")
		}
		return nil, fail(VolumeDamaged, err, "%v", err)
	case err != nil:
		return nil, fail(VolumeDamaged, err, "%v", err)
	}
	switch h := &v.header.Member; {
	case h.Set == (SetID{}):
		return nil, fail(VolumeForeign, nil, "what is in its place is an archive of its own")
	case h.Set != set:
		return nil, fail(VolumeForeign, nil, "what is in its place is volume %d of another set", h.Number)
	case h.isLead():
		return nil, fail(VolumeSwapped, nil, "what is in its place is a lead volume of the set")
	case h.Number != m.Number:
		return nil, fail(VolumeSwapped, nil, "what is in its place is volume %d of the same set", h.Number)
	case v.trailer.root != m.Root || v.header.ID != m.ID || uint64(v.size) != m.Bytes:
		return nil, fail(VolumeStale, nil, "it was written another time: its root digest is %x, the lead volume says %x", v.trailer.root, m.Root)
	}
	return v, nil
}

// openSet opens the volumes that the lead volume lists.
func (x *Reader) openSet(find func(*Volume) (*volume, error), partial bool) error {
	var err error
	if x.list, err = x.lead.readVolumes(); err != nil {
		return x.lead.locate(err)
	}
	x.bound = x.list.entries()
	streams := 0
	for i := range x.list.Volumes {
		m := &x.list.Volumes[i]
		st := VolumeStatus{Volume: m}
		v, err := (*volume)(nil), error(&VolumeError{Volume: m, Problem: VolumeMissing, Message: "nobody said where to find it"})
		if find != nil {
			v, err = find(m)
		}
		var e *VolumeError
		switch {
		case err == nil:
			st.Name = v.name
			x.volumes = append(x.volumes, v)
			streams += len(v.streams)
		case errors.As(err, &e):
			e.Node = x.nodeName(m.Node)
			st.Err = e
		default:
			return err
		}
		x.status = append(x.status, st)
	}
	if streams > math.MaxInt32 {
		return fmt.Errorf("the set has %d streams, the limit is %d", streams, math.MaxInt32)
	}
	if partial {
		return nil
	}
	return x.SetMissing()
}

// nodeName is the name that the moment has for a node; empty where it can't be read.
func (x *Reader) nodeName(id uint32) string {
	m, err := x.Moment()
	if err != nil {
		return ""
	}
	for _, n := range m.Nodes {
		if n.ID == id {
			return n.Name
		}
	}
	return ""
}

// IsSet says whether the archive is a set of volumes.
func (x *Reader) IsSet() bool { return x.list != nil }

// Volumes returns the volumes of a set in the order of their numbers, all but the lead volume; nil of an archive of one volume.
// The caller must not change them.
func (x *Reader) Volumes() []VolumeStatus { return x.status }

// TableEntry returns the entry that what a volume holds of a table belongs to, 0 where nobody knows it.
func (x *Reader) TableEntry(t *VolumeTable) int32 { return cmp.Or(t.Entry, x.bound[t.OID]) }

// SetMissing returns a [SetError] that names the volumes of a set that are not open, nil if all are.
func (x *Reader) SetMissing() error {
	failed := &SetError{Lead: x.lead.name, Volumes: len(x.status)}
	for _, s := range x.status {
		var e *VolumeError
		if errors.As(s.Err, &e) {
			failed.Errs = append(failed.Errs, e)
		}
	}
	if len(failed.Errs) == 0 {
		return nil
	}
	return failed
}
