package pgdump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/pgark/pgark/archive"
)

// maxMembers bounds how many members a tar archive may have: the memory for their places.
const maxMembers = 1 << 24

// tarStore is the members of a tar archive, which is not compressed.
type tarStore struct {
	r       io.ReaderAt
	length  int64
	end     int64 // of the last member
	order   []string
	places  map[string]span
	closing func() error
}

func newTarStore(r io.ReaderAt, size int64, closing func() error) (*tarStore, error) {
	s := &tarStore{r: r, length: size, places: make(map[string]span), closing: closing}
	head := make([]byte, tarBlock)
	for at := int64(0); ; {
		if size-at < tarBlock {
			return nil, s.wrong(at, ErrTruncated, "the file ends where a member or the end is expected")
		}
		if _, err := r.ReadAt(head, at); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if len(bytes.Trim(head, "\x00")) == 0 {
			if len(s.order) == 0 {
				return nil, fmt.Errorf("%w: an empty tar file", ErrNotDump)
			}
			s.end = at
			return s, nil
		}
		name, length, err := parseTarHead(head)
		if err != nil {
			if at == 0 {
				return nil, fmt.Errorf("%w: %w", ErrNotDump, err)
			}
			return nil, s.wrong(at, ErrDamaged, err.Error())
		}
		if at == 0 && name != tocFile {
			return nil, fmt.Errorf("%w: a tar file that begins with %q, not with %s", ErrNotDump, name, tocFile)
		}
		from := at + tarBlock
		if length > size-from {
			return nil, s.wrong(at, ErrTruncated, fmt.Sprintf("member %s has %d bytes, the file only %d more", name, length, size-from))
		}
		if _, twice := s.places[name]; twice || len(s.order) == maxMembers {
			return nil, s.wrong(at, ErrDamaged, fmt.Sprintf("member %s comes twice, or there are too many", name))
		}
		s.places[name] = span{from, from + length}
		s.order = append(s.order, name)
		at = from + (length+tarBlock-1)/tarBlock*tarBlock
	}
}

func (s *tarStore) wrong(at int64, err error, detail string) error {
	return &FormatError{Offset: at, Field: "tar", Detail: detail, Err: err}
}

// parseTarHead reads the head of a member (POSIX.1-1988, ustar).
func parseTarHead(b []byte) (name string, length int64, err error) {
	if string(b[257:262]) != "ustar" {
		return "", 0, errors.New("not the head of a member")
	}
	sum := 0
	for i, c := range b {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int(c)
	}
	want, err := strconv.ParseInt(strings.Trim(string(b[148:156]), " \x00"), 8, 32)
	if err != nil || int64(sum) != want {
		return "", 0, errors.New("the checksum of a member's head is wrong")
	}
	if b[156] != '0' && b[156] != 0 {
		return "", 0, fmt.Errorf("a member of type %q, not a file", b[156])
	}
	name, _, _ = strings.Cut(string(b[:100]), "\x00")
	if err := checkMember(name); err != nil {
		return "", 0, err
	}
	if b[124]&0x80 != 0 { // base 256
		for _, c := range b[125:136] {
			if length > 1<<54 {
				return "", 0, errors.New("the length of a member is out of range")
			}
			length = length<<8 | int64(c)
		}
		return name, length, nil
	}
	length, err = strconv.ParseInt(strings.Trim(string(b[124:136]), " \x00"), 8, 64)
	if err != nil || length < 0 {
		return "", 0, errors.New("the length of a member is no number")
	}
	return name, length, nil
}

func (s *tarStore) readTOC() (*TOC, error) {
	r, _, err := s.member(tocFile)
	if err != nil {
		return nil, err
	}
	return readWholeTOC(r)
}

func (s *tarStore) member(name string) (io.ReadCloser, string, error) {
	p, ok := s.places[name]
	if !ok {
		return nil, name, fmt.Errorf("%w: %w", ErrTruncated, &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist})
	}
	return io.NopCloser(io.NewSectionReader(s.r, p.from, p.to-p.from)), name, nil
}

func (s *tarStore) data(e *Entry) (io.ReadCloser, error) { return memberData(s, e) }

func (s *tarStore) blobs(ctx context.Context, e *Entry, fn func(oid uint32, r io.Reader) error) error {
	list := *e
	list.File = s.file(e)
	return memberBlobs(ctx, s, &list, fn)
}

// file is the member that has an entry's data. Of large objects the table of contents names one that there is not: they are
// listed in another.
func (s *tarStore) file(e *Entry) string {
	if e.Kind != kindBlobs {
		return e.File
	}
	name := blobList(e, minorRelKind)
	if _, ok := s.places[name]; !ok {
		name = blobList(e, minorBlobs)
	}
	return name
}

func (s *tarStore) stored(e *Entry) uint64 {
	p := s.places[s.file(e)]
	return uint64(p.to - p.from) //nolint:gosec // not negative
}

func (s *tarStore) size() (bytes uint64, files int) { return uint64(max(s.length, 0)), 1 } //nolint:gosec // not negative

func (s *tarStore) problems(ctx context.Context, toc *TOC) ([]archive.Problem, error) {
	left := make(map[string]bool)
	for _, name := range s.order {
		left[name] = name != tocFile && name != scriptFile
	}
	var problems []archive.Problem
	for i := range toc.Entries {
		e := &toc.Entries[i]
		if !e.HadDumper {
			continue
		}
		file := s.file(e)
		if _, ok := s.places[file]; !ok {
			problems = append(problems, archive.Problem{File: file, Offset: -1, Message: fmt.Sprintf("there is no data of entry %d, %s %s", e.ID, e.Kind, e.Name)})
		}
		delete(left, file)
		if e.Kind == kindBlobs {
			for _, name := range blobMembers(s, file) {
				delete(left, name)
			}
		}
	}
	for _, name := range s.order {
		if left[name] {
			problems = append(problems, archive.Problem{File: name, Offset: s.places[name].from, Message: "nothing in the table of contents refers to this member"})
		}
	}
	more, err := s.behind(ctx)
	if err != nil {
		return nil, err
	}
	if more >= 0 {
		problems = append(problems, archive.Problem{Offset: more, Message: "bytes follow the end of the tar file, as where two were put together: they are not read"})
	}
	return problems, nil
}

// behind is where something follows the end of the archive, which programs for tape fill with zeros; -1 if nothing does.
func (s *tarStore) behind(ctx context.Context) (int64, error) {
	buf := make([]byte, dataChunk)
	for at := s.end; at < s.length; at += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return 0, context.Cause(ctx)
		}
		n, err := s.r.ReadAt(buf[:min(int64(len(buf)), s.length-at)], at)
		if i := bytes.IndexFunc(buf[:n], func(r rune) bool { return r != 0 }); i >= 0 {
			return at + int64(i), nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
	return -1, nil
}

func (s *tarStore) close() error { return s.closing() }
