package pgdump

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/pgark/pgark/archive"
)

// maxBlobName bounds a line in a list of large objects.
const maxBlobName = 4 << 10

// checkMember refuses a name of a member that is not simply a name: it comes from the archive.
func checkMember(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00\n") {
		return fmt.Errorf("%w: %q is no name of a file in the archive", ErrDamaged, name)
	}
	return nil
}

// members is how a directory or tar archive opens what an entry names.
type members interface {
	// member opens a member by its name, decompressed; found is the name that it really has.
	member(name string) (r io.ReadCloser, found string, err error)
}

// memberData opens the data of an entry.
func memberData(m members, e *Entry) (io.ReadCloser, error) {
	r, found, err := m.member(e.File)
	if err != nil {
		return nil, dataError(e, found, -1, err, "")
	}
	return r, nil
}

// memberBlobs calls fn for each large object that an entry's list names: lines of an OID and the name of a member.
func memberBlobs(ctx context.Context, m members, e *Entry, fn func(oid uint32, r io.Reader) error) error {
	list, _, err := m.member(e.File)
	if err != nil {
		return dataError(e, e.File, -1, err, "")
	}
	defer list.Close()
	lines := bufio.NewReaderSize(list, maxBlobName)
	seen := make(map[uint32]bool)
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return dataError(e, e.File, -1, err, "")
		}
		oid, name, err := parseBlobLine(string(line))
		if err == nil && seen[oid] {
			err = fmt.Errorf("%w: large object %d is listed twice", ErrDamaged, oid)
		}
		if err != nil {
			return dataError(e, e.File, -1, err, "")
		}
		seen[oid] = true
		if err := memberBlob(m, e, oid, name, fn); err != nil {
			return err
		}
	}
}

func memberBlob(m members, e *Entry, oid uint32, name string, fn func(oid uint32, r io.Reader) error) error {
	r, found, err := m.member(name)
	if err != nil {
		return dataError(e, found, -1, err, "")
	}
	defer r.Close()
	return fn(oid, r)
}

// parseBlobLine reads a line of a list of large objects.
func parseBlobLine(line string) (oid uint32, name string, err error) {
	number, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	v, numErr := strconv.ParseUint(number, 10, 32)
	if !ok || numErr != nil || v == 0 {
		return 0, "", fmt.Errorf("%w: a line in the list of large objects: %.60q", ErrDamaged, line)
	}
	return uint32(v), name, checkMember(name)
}

// directoryStore is the files of a directory archive. They are opened within it: no link leads out.
type directoryStore struct {
	root *os.Root
	toc  *TOC
}

func newDirectoryStore(path string) (*directoryStore, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &directoryStore{root: root}, nil
}

func (s *directoryStore) readTOC() (*TOC, error) {
	f, err := s.file(tocFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the directory has no %s", ErrNotDump, tocFile)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readWholeTOC(f)
}

// readWholeTOC reads a toc.dat, behind whose table nothing may come.
func readWholeTOC(r io.Reader) (*TOC, error) {
	x := newScanner(r)
	toc, err := readTOC(x)
	if err != nil {
		return nil, err
	}
	if toc.Header.Format == FormatCustom {
		return nil, fmt.Errorf("%w: %s is of a custom archive", ErrDamaged, tocFile)
	}
	if _, err := x.r.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: bytes follow the table of contents", ErrDamaged)
	}
	return toc, nil
}

// file opens a regular file of the directory.
func (s *directoryStore) file(name string) (*os.File, error) {
	if err := checkMember(name); err != nil {
		return nil, err
	}
	info, err := s.root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a pipe would be waited for
		return nil, fmt.Errorf("%w: %s is no regular file", ErrDamaged, name)
	}
	return s.root.Open(name)
}

// find finds a member under its name, or with what a compression adds to it.
func (s *directoryStore) find(name string) (*os.File, string, Compression, error) {
	var first error
	for _, c := range []Compression{CompressionNone, CompressionGzip, CompressionLZ4, CompressionZstd} {
		f, err := s.file(name + c.extension())
		if err == nil {
			return f, name + c.extension(), c, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, name + c.extension(), c, err
		}
		if first == nil {
			first = err
		}
	}
	return nil, name, CompressionNone, fmt.Errorf("%w: %w", ErrTruncated, first)
}

func (s *directoryStore) member(name string) (io.ReadCloser, string, error) {
	f, found, c, err := s.find(name)
	if err != nil {
		return nil, found, err
	}
	r, err := newDataReader(f, c, false)
	if err != nil {
		return nil, found, errors.Join(err, f.Close())
	}
	return &memberReader{ReadCloser: r, f: f}, found, nil
}

// memberReader closes the file, too.
type memberReader struct {
	io.ReadCloser
	f *os.File
}

func (m *memberReader) Close() error {
	err := m.ReadCloser.Close()
	if m.f != nil {
		err = errors.Join(err, m.f.Close())
		m.f = nil
	}
	return err
}

func (s *directoryStore) data(e *Entry) (io.ReadCloser, error) { return memberData(s, e) }

func (s *directoryStore) blobs(ctx context.Context, e *Entry, fn func(oid uint32, r io.Reader) error) error {
	return memberBlobs(ctx, s, e, fn)
}

func (s *directoryStore) stored(e *Entry) uint64 {
	f, _, _, err := s.find(e.File)
	if err != nil {
		return 0
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	return uint64(max(info.Size(), 0)) //nolint:gosec // not negative
}

// names are those of all files.
func (s *directoryStore) names() ([]fs.DirEntry, error) { return fs.ReadDir(s.root.FS(), ".") }

func (s *directoryStore) size() (bytes uint64, files int) {
	all, err := s.names()
	if err != nil {
		return 0, 0
	}
	for _, f := range all {
		if info, err := f.Info(); err == nil && info.Mode().IsRegular() {
			bytes, files = bytes+uint64(max(info.Size(), 0)), files+1 //nolint:gosec // not negative
		}
	}
	return bytes, files
}

func (s *directoryStore) problems(_ context.Context, toc *TOC) ([]archive.Problem, error) {
	all, err := s.names()
	if err != nil {
		return nil, err
	}
	left := make(map[string]bool)
	for _, f := range all {
		left[f.Name()] = true
	}
	delete(left, tocFile)
	var problems []archive.Problem
	for i := range toc.Entries {
		e := &toc.Entries[i]
		if !e.HadDumper {
			continue
		}
		f, found, _, err := s.find(e.File)
		if err != nil {
			problems = append(problems, archive.Problem{File: e.File, Offset: -1, Message: fmt.Sprintf("data of entry %d, %s %s: %v", e.ID, e.Kind, e.Name, err)})
			continue
		}
		_ = f.Close()
		delete(left, found)
		if e.Kind == kindBlobs {
			for _, name := range blobMembers(s, e.File) {
				if f, found, _, err := s.find(name); err == nil {
					_ = f.Close()
					delete(left, found)
				}
			}
		}
	}
	for _, f := range all {
		name := f.Name()
		if left[name] {
			problems = append(problems, archive.Problem{File: name, Offset: -1, Message: "nothing in the table of contents refers to this file"})
		}
	}
	return problems, nil
}

func (s *directoryStore) close() error { return s.root.Close() }
