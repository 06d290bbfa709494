package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
)

// CheckFiles checks the archive in the file at path as [Check] does; if it is the lead volume of a set, also all
// other volumes, one after the other: each must be there, be the one that the lead volume lists, and hold what that says.
// Files are found as open says; with its Database only the archive of that database in a cluster archive is checked.
func CheckFiles(ctx context.Context, path string, o CheckOptions, open OpenOptions) (*CheckResult, error) {
	c := newChecker(o)
	f := &finder{o: open, lead: path}
	defer f.close()
	r, size, err := f.file(path)
	if err != nil {
		return nil, err
	}
	if open.Database != "" {
		return c.oneDatabase(ctx, r, size, path, open.Database)
	}
	v, err := c.check(ctx, r, size, path)
	if err != nil {
		return nil, err
	}
	if v == nil {
		if h, _, err := readHeaderFrame(r, size); err == nil && h.Member.isLead() {
			c.unlisted(path)
		}
		return c.result(), nil
	}
	if v.header.Member.isLead() {
		f.set = v.header.Member.Set
		if err := c.set(ctx, v, f); err != nil {
			return nil, err
		}
	}
	return c.result(), nil
}

// oneDatabase checks a database of a cluster archive whose own header, index, trailer and list are sound.
func (c *checker) oneDatabase(ctx context.Context, r io.ReaderAt, size int64, path, name string) (*CheckResult, error) {
	k, err := newCluster(r, size, path)
	if err != nil {
		return nil, err
	}
	d, err := k.Find(name)
	if err != nil {
		return nil, err
	}
	if err := c.database(ctx, r, Span{d.Offset, d.Bytes}, d); err != nil {
		return nil, err
	}
	c.sort(0, path)
	return c.result(), nil
}

// unlisted reports that the other volumes were not looked at, since what the lead volume says of them is lost.
func (c *checker) unlisted(lead string) {
	c.add(Finding{
		Class: ClassStructure, Volume: lead, Offset: -1, Block: -1,
		Message: "this is the lead volume of a set, and its list of the others can't be used, so they were not checked: each can be, by itself",
	})
}

// set checks the other volumes. Documents that can't be read have been reported.
func (c *checker) set(ctx context.Context, lead *volume, f *finder) error {
	list, err := lead.readVolumes()
	if err != nil {
		c.unlisted(lead.name)
		return onlyDamage(err)
	}
	s := &setCheck{checker: c, x: lead.reader(), f: f, ids: map[int32]*Entry{}}
	s.x.list, s.x.bound = list, list.entries()
	c.bound = s.x.bound
	if cat, err := lead.readCatalog(); err == nil {
		for i := range cat.Entries {
			s.ids[cat.Entries[i].ID] = &cat.Entries[i]
		}
	} else if err := onlyDamage(err); err != nil {
		return err
	}
	for i := range list.Volumes {
		if err := s.volume(ctx, &list.Volumes[i]); err != nil {
			return err
		}
	}
	return nil
}

// onlyDamage passes on what is no damage.
func onlyDamage(err error) error {
	var d *DamageError
	if errors.As(err, &d) {
		return nil
	}
	return err
}

// setCheck checks the volumes of a set.
type setCheck struct {
	*checker
	x   *Reader // of the lead volume
	f   *finder
	ids map[int32]*Entry
}

func (s *setCheck) volume(ctx context.Context, m *Volume) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.members != nil {
		return s.elsewhere(m, s.members[m.Number])
	}
	open := len(s.f.files)
	defer func() {
		for _, file := range s.f.files[open:] {
			_ = file.Close() // it was only read
		}
		s.f.files = s.f.files[:open]
	}()
	v, err := s.f.find(m)
	var e *VolumeError
	switch {
	case err == nil:
		return s.member(ctx, m, v)
	case errors.As(err, &e):
		return s.absent(ctx, m, e)
	}
	return err
}

// member checks a volume that is what it should be.
func (s *setCheck) member(ctx context.Context, m *Volume, v *volume) error {
	from := len(s.res.Findings)
	if err := s.indexed(ctx, v); err != nil {
		return err
	}
	s.compare(m, v)
	s.sort(from, v.name)
	return nil
}

// elsewhere takes what a check has found on a volume's own host.
func (s *setCheck) elsewhere(m *Volume, c *MemberCheck) error {
	if c == nil {
		c = &MemberCheck{Name: m.Path, Err: errors.New("nobody was asked to look at it")}
	}
	e := &VolumeError{Volume: m, Node: s.x.nodeName(m.Node), Name: c.Name, Err: c.Err}
	switch {
	case errors.Is(c.Err, fs.ErrNotExist):
		e.Problem, e.Message = VolumeMissing, "it is not there"
		return s.gone(m, e, c.Name)
	case c.Err != nil:
		e.Message = "it could not be looked at: " + c.Err.Error()
		s.add(Finding{Class: ClassUnchecked, Volume: c.Name, Offset: -1, Block: -1, Message: e.Error()})
		return nil
	case c.Skeleton == nil && len(c.Result.Findings) == 0:
		e.Problem, e.Message = VolumeForeign, "what is in its place is not a pgark archive"
		return s.gone(m, e, c.Name)
	case c.Skeleton == nil:
		s.take(c)
		s.lost(ClassVolume, m, c.Name)
		return nil
	}
	v, err := openMember(s.x.Header().Member.Set, m, c.Skeleton, c.Size, c.Name)
	var wrong *VolumeError
	switch {
	case errors.As(err, &wrong) && wrong.Problem != VolumeDamaged:
		wrong.Node = e.Node
		return s.gone(m, wrong, c.Name)
	case err != nil:
		s.take(c)
		s.lost(ClassVolume, m, c.Name)
		return nil
	}
	s.take(c)
	from := len(s.res.Findings)
	for i := range v.streams {
		s.table(&v.streams[i].StreamInfo)
	}
	s.compare(m, v)
	s.sort(from, v.name)
	return nil
}

// take adds the result of a check of one volume.
func (c *checker) take(m *MemberCheck) {
	r := m.Result
	c.res.Streams += r.Streams
	c.res.Blocks += r.Blocks
	c.res.Rows += r.Rows
	c.res.RawBytes += r.RawBytes
	c.res.Bytes += r.Bytes
	c.res.More += r.More
	for _, f := range r.Findings {
		f.Volume = m.Name
		c.add(f)
	}
}

// compare compares a volume with what the lead volume says of it.
func (s *setCheck) compare(m *Volume, v *volume) {
	add := func(t *Stream, format string, args ...any) {
		f := Finding{Class: ClassCatalog, Offset: int64(v.trailer.indexOffset), Block: -1, Message: fmt.Sprintf(format, args...)}
		if t != nil {
			f.Stream, f.Schema, f.Table = t.ID, t.Schema, t.Table
		}
		s.add(f)
	}
	tables := map[tableKey]*VolumeTable{}
	for i := range v.streams {
		t := &v.streams[i]
		addToTable(tables, &t.StreamInfo, &VolumeTable{Digest: t.Digest, Raw: t.Raw, Stored: t.Stored, Blocks: uint64(t.Blocks)})
		_, bound := s.x.bound[t.OID]
		switch {
		case t.Entry == 0 && t.OID != 0 && !bound:
			add(t, "the lead volume does not say which entry stream %d belongs to", t.ID)
		case t.Entry != 0 && len(s.ids) > 0 && s.ids[t.Entry] == nil:
			add(t, "stream %d belongs to entry %d, which the catalog does not have", t.ID, t.Entry)
		}
	}
	if !slices.Equal(sortTables(tables), m.Tables) || uint64(len(v.streams)) != m.Streams {
		add(nil, "the lead volume says that it holds other rows")
	}
}

// absent reports a volume that can't be opened: what is damaged in it, or what is lost with it.
func (s *setCheck) absent(ctx context.Context, m *Volume, e *VolumeError) error {
	e.Node = s.x.nodeName(m.Node)
	name := e.Name
	if name == "" {
		name = m.Path
	}
	if e.Problem == VolumeDamaged {
		r, size, err := s.f.file(name)
		if err != nil {
			return err
		}
		before := len(s.res.Findings) + s.res.More
		if _, err := s.check(ctx, r, size, name); err != nil && !errors.Is(err, ErrVersion) {
			return err
		}
		if len(s.res.Findings)+s.res.More > before {
			s.lost(ClassVolume, m, name)
			return nil
		}
	}
	return s.gone(m, e, name)
}

// gone reports a volume that is not what it should be, and what is lost with it.
func (s *setCheck) gone(m *Volume, e *VolumeError, name string) error {
	class := ClassVolume
	if e.Problem == VolumeMissing {
		class = ClassMissing
	}
	s.add(Finding{Class: class, Volume: name, Offset: -1, Block: -1, Message: e.Error()})
	s.lost(class, m, name)
	return nil
}

// lost names the tables that have rows in a volume which can't be opened.
func (s *setCheck) lost(class string, m *Volume, name string) {
	for i := range m.Tables {
		t := &m.Tables[i]
		if t.Digest.Rows == 0 && t.Raw == 0 {
			continue
		}
		f := Finding{Class: class, Volume: name, Offset: -1, Block: -1, Message: fmt.Sprintf("%d of its rows are in volume %d", t.Digest.Rows, m.Number)}
		if e := s.ids[s.x.TableEntry(t)]; e != nil {
			f.Schema, f.Table = e.Schema, e.Name
		} else {
			f.Message = fmt.Sprintf("%d rows of the table with OID %d are in volume %d", t.Digest.Rows, t.OID, m.Number)
		}
		s.add(f)
	}
}
