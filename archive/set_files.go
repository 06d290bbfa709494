package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// OpenOptions say how to open an archive in files.
type OpenOptions struct {
	// VolumeDir is the directory of the volumes of a set. There they are looked for by their file names, and then
	// by what the headers of all files there say. Without it they are looked for at the paths that the lead volume
	// has, and then in the lead volume's own directory.
	VolumeDir string
	// Partial opens a set even where volumes of it are absent. They are left out, and [Reader.Volumes] says why.
	Partial bool
	// LeadOnly opens no other volume of a set: it implies Partial.
	LeadOnly bool
	// Database opens the archive of that database in a cluster archive. Any other archive must be one of that database, or it is
	// [ErrNoDatabase]. "" opens an archive that is no cluster archive; one that is fails with a [ClusterError].
	Database string
	// Through, if not nil, wraps each file; for example to show progress. All reads of rows go through what it returns.
	Through func(*os.File) io.ReaderAt
}

// File is an archive in a file, or in several.
type File struct {
	*Reader
	files []*os.File
}

// Open opens the archive in the file at path, which must be a regular one. Of a set, path is the lead volume; the others
// are found as [OpenOptions] says, and all must be there.
func Open(path string) (*File, error) { return OpenWith(path, OpenOptions{}) }

// OpenWith is Open with options.
func OpenWith(path string, o OpenOptions) (*File, error) {
	f := &finder{o: o, lead: path}
	x, err := f.open(path)
	if err != nil {
		f.close()
		return nil, err
	}
	return &File{Reader: x, files: f.files}, nil
}

// OpenMember opens one volume of a set by itself, to read its streams where it lies. They have the numbers that they have in the
// volume, and mostly no entries; Catalog and Moment fail with [ErrMember]. It refuses other volumes.
func OpenMember(path string) (*File, error) {
	f := &finder{lead: path}
	v, err := f.volume(path)
	if err == nil && !v.header.Member.isMember() {
		err = fmt.Errorf("%s: it is not a member of a set of volumes", path)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	x := v.reader()
	x.join()
	return &File{Reader: x, files: f.files}, nil
}

// Close closes the files.
func (f *File) Close() error {
	var errs []error
	for _, file := range f.files {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}

// finder finds the volumes of a set in files.
type finder struct {
	o     OpenOptions
	lead  string
	files []*os.File
	set   SetID
	known map[uint32][]string // paths of the set's volumes in the directory, by number; nil before it was read
}

func (f *finder) open(path string) (*Reader, error) {
	v, err := f.volume(path)
	if err != nil {
		return nil, err
	}
	if f.o.Database != "" {
		if v.header.Cluster {
			return f.database(v)
		}
		if v.header.Database != f.o.Database {
			return nil, v.locate(fmt.Errorf("%w: %s; it is of database %s", ErrNoDatabase, printable(f.o.Database), printable(v.header.Database)))
		}
	}
	f.set = v.header.Member.Set
	find := f.find
	if f.o.LeadOnly {
		find = nil
	}
	return newReader(v, find, f.o.Partial || f.o.LeadOnly)
}

// database opens one database of a cluster archive.
func (f *finder) database(v *volume) (*Reader, error) {
	c, err := clusterOf(v)
	if err != nil {
		return nil, err
	}
	return c.Open(f.o.Database)
}

func (f *finder) close() {
	for _, file := range f.files {
		_ = file.Close() // it was only read
	}
}

// file opens a file, which stays open.
func (f *finder) file(path string) (io.ReaderAt, int64, error) {
	file, size, err := openFile(path)
	if err != nil {
		return nil, 0, err
	}
	f.files = append(f.files, file)
	if f.o.Through != nil {
		return f.o.Through(file), size, nil
	}
	return file, size, nil
}

func (f *finder) volume(path string) (*volume, error) {
	r, size, err := f.file(path)
	if err != nil {
		return nil, err
	}
	return openVolume(r, size, path)
}

// find opens volume m of the set. The error is a VolumeError.
func (f *finder) find(m *Volume) (*volume, error) {
	var first error
	for _, path := range f.candidates(m) {
		v, err := f.member(m, path)
		if err == nil {
			return v, nil
		}
		if first == nil && !errors.Is(err, fs.ErrNotExist) {
			first = err
		}
	}
	for _, path := range f.directory()[m.Number] {
		v, err := f.member(m, path)
		if err == nil {
			return v, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		return nil, &VolumeError{Volume: m, Problem: VolumeMissing, Message: "it is not there, nor in the directory " + printable(f.dir()), Err: fs.ErrNotExist}
	}
	return nil, first
}

// dir is where to look for volumes that are not at their paths.
func (f *finder) dir() string {
	if f.o.VolumeDir != "" {
		return f.o.VolumeDir
	}
	return filepath.Dir(f.lead)
}

// candidates are the paths at which m may be, the best first.
func (f *finder) candidates(m *Volume) []string {
	var list []string
	if f.o.VolumeDir == "" && m.Path != "" {
		path := m.Path
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(f.lead), path)
		}
		list = append(list, path)
	}
	if base := filepath.Base(m.Path); filepath.IsLocal(base) && base != "." {
		if path := filepath.Join(f.dir(), base); len(list) == 0 || list[0] != path {
			list = append(list, path)
		}
	}
	return list
}

// member opens path as volume m, and closes it again if it isn't.
func (f *finder) member(m *Volume, path string) (*volume, error) {
	n := len(f.files)
	r, size, err := f.file(path)
	if err != nil {
		return nil, &VolumeError{Volume: m, Name: path, Problem: VolumeMissing, Message: err.Error(), Err: err}
	}
	v, err := openMember(f.set, m, r, size, path)
	if err != nil {
		_ = f.files[n].Close() // it was only read
		f.files = f.files[:n]
	}
	return v, err
}

// directory returns the volumes of the set that lie in the directory, whatever their names are.
func (f *finder) directory() map[uint32][]string {
	if f.known != nil {
		return f.known
	}
	f.known = map[uint32][]string{}
	entries, err := os.ReadDir(f.dir())
	if err != nil {
		return f.known // what is not found is reported, volume by volume
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		path := filepath.Join(f.dir(), e.Name())
		if m := volumeAt(path); m.Set == f.set && m.isMember() {
			f.known[m.Number] = append(f.known[m.Number], path)
		}
	}
	return f.known
}

// volumeAt says what volume of what set the file at path is, as far as its header can be read.
func volumeAt(path string) Member {
	m, err := MemberAt(path)
	if err != nil {
		return Member{}
	}
	return m
}

// MemberAt reads only the header of the volume in the file at path, and says what set it belongs to: the zero Member for an
// archive of one volume.
func MemberAt(path string) (Member, error) {
	f, size, err := openFile(path)
	if err != nil {
		return Member{}, err
	}
	defer f.Close()
	h, _, err := readHeaderFrame(f, size)
	return h.Member, err
}
