package pgdump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/pgark/pgark/archive"
)

// NewTarWriter begins a tar-format archive of a catalog, which is never compressed, and writes its table of contents. If out is an
// [io.WriterAt], too, whose first byte is the archive's first, the lengths of the members are written into their heads when
// they are known; else each member goes through a temporary file without a name. out is neither synced nor closed.
func NewTarWriter(ctx context.Context, out io.Writer, cat *archive.Catalog, o WriteOptions) (*Writer, error) {
	o.Compression, o.Level = CompressionNone, 0
	return newWriter(ctx, cat, FormatTar, false, o, func(toc *TOC, o *WriteOptions) (sink, error) {
		nameData(toc, false)
		s := &tarSink{out: out, mtime: o.Created.Unix(), script: o.RestoreSQL, minor: o.Minor}
		if o.Created.IsZero() {
			s.mtime = 0
		}
		s.at, _ = out.(io.WriterAt)
		head := toc.Append(nil)
		if err := s.member(tocFile, uint64(len(head))); err != nil {
			return nil, err
		}
		if err := s.put(head); err != nil {
			return nil, err
		}
		if err := s.pad(uint64(len(head))); err != nil {
			return nil, err
		}
		if err := s.writeScript(toc); err != nil {
			s.abort()
			return nil, err
		}
		return s, nil
	})
}

const tarBlock = 512

// scriptFile is the member for people.
const scriptFile = "restore.sql"

// tarSink writes the members of a tar archive.
type tarSink struct {
	out    io.Writer
	at     io.WriterAt // nil for a pipe
	mtime  int64
	script func(io.Writer, *TOC) error
	minor  uint8
	pos    uint64

	name  string   // of the open member
	start uint64   // of its head
	size  uint64   // of its content so far
	spool *os.File // of a pipe: its content
	list  []byte   // blobs.toc of the entry that is open
}

func (s *tarSink) canSeek() bool { return true } // members may come in any order, also on a pipe

func (s *tarSink) put(b []byte) error {
	n, err := s.out.Write(b)
	s.pos += uint64(n) //nolint:gosec // not negative
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write archive at byte %d: %w", s.pos, err)
	}
	return nil
}

// tarHead is a member's head as POSIX.1-1988 has it (ustar). A length of 8 GiB or more is in base 256.
func tarHead(name string, size uint64, mtime int64) []byte {
	b := make([]byte, tarBlock)
	copy(b[0:100], name)
	copy(b[100:], "0000600 0004000 0002000 ")
	if size < 1<<33 {
		copy(b[124:], fmt.Sprintf("%011o ", size))
	} else {
		b[124] = 0x80
		for i := range 8 {
			b[135-i] = byte(size >> (8 * i)) //nolint:gosec // a byte of it
		}
	}
	copy(b[136:], fmt.Sprintf("%011o ", max(mtime, 0)))
	copy(b[148:], "        ")
	b[156] = '0'
	copy(b[257:], "ustar\x0000")
	copy(b[265:], "postgres")
	copy(b[297:], "postgres")
	copy(b[329:], "0000000 0000000 ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%07o ", sum))
	return b
}

func (s *tarSink) member(name string, size uint64) error { return s.put(tarHead(name, size, s.mtime)) }

func (s *tarSink) pad(size uint64) error {
	if rest := size % tarBlock; rest > 0 {
		return s.put(make([]byte, tarBlock-rest))
	}
	return nil
}

// create begins a member whose length is not known yet.
func (s *tarSink) create(name string) error {
	s.name, s.start, s.size = name, s.pos, 0
	if s.at != nil {
		return s.member(name, 0)
	}
	f, err := os.CreateTemp("", "pgark-tar-")
	if err != nil {
		return fmt.Errorf("a temporary file: %w", err)
	}
	s.spool = f
	return os.Remove(f.Name())
}

// finish completes the open member.
func (s *tarSink) finish() error {
	if s.at != nil {
		if _, err := s.at.WriteAt(tarHead(s.name, s.size, s.mtime), int64(s.start)); err != nil { //nolint:gosec // a place in a file
			return fmt.Errorf("write the length of a member: %w", err)
		}
		return s.pad(s.size)
	}
	f := s.spool
	s.spool = nil
	defer f.Close()
	if err := s.member(s.name, s.size); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("a temporary file: %w", err)
	}
	n, err := io.Copy(writerFunc(func(b []byte) (int, error) { return len(b), s.put(b) }), f)
	if err == nil && uint64(n) != s.size { //nolint:gosec // not negative
		err = errors.New("a temporary file has become shorter")
	}
	if err != nil {
		return err
	}
	return s.pad(s.size)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func (s *tarSink) write(b []byte) error {
	s.size += uint64(len(b))
	if s.at != nil {
		return s.put(b)
	}
	if _, err := s.spool.Write(b); err != nil {
		return fmt.Errorf("a temporary file: %w", err)
	}
	return nil
}

func (s *tarSink) begin(e *Entry) error {
	if e.Kind == kindBlobs {
		s.list = nil
		return nil
	}
	return s.create(e.File)
}

func (s *tarSink) end(e *Entry) error {
	if e.Kind != kindBlobs {
		return s.finish()
	}
	return s.small(blobList(e, s.minor), s.list)
}

// small writes a member that is in memory.
func (s *tarSink) small(name string, content []byte) error {
	if err := s.member(name, uint64(len(content))); err != nil {
		return err
	}
	if err := s.put(content); err != nil {
		return err
	}
	return s.pad(uint64(len(content)))
}

func (s *tarSink) beginBlob(e *Entry, oid uint32) error {
	name := blobFile(oid)
	if first, _, _ := strings.Cut(e.Name, ".."); s.minor >= minorRelKind && len(s.list) == 0 && first != strconv.FormatUint(uint64(oid), 10) {
		// pg_restore would begin with the one that the entry is named after, and lose all before it.
		return fmt.Errorf("%w: large object %d comes first, not %s: write another format, or an archive version before 1.%d", ErrVersion, oid, e.Name, minorRelKind)
	}
	s.list = fmt.Appendf(s.list, "%d %s\n", oid, name)
	return s.create(name)
}

func (s *tarSink) endBlob(*Entry, uint32) error { return s.finish() }

// writeScript writes the script for people before the data, not behind it as pg_dump does: pg_restore closes a pipe after the last data that it wants,
// which made an error of a dump into pg_restore where the script is larger than what a pipe holds.
func (s *tarSink) writeScript(toc *TOC) error {
	if s.script == nil {
		return nil
	}
	if err := s.create(scriptFile); err != nil {
		return err
	}
	err := s.script(writerFunc(func(b []byte) (int, error) { return len(b), s.write(b) }), toc)
	if err != nil {
		return fmt.Errorf("write %s in the archive: %w", scriptFile, err)
	}
	return s.finish()
}

func (s *tarSink) place() error { return nil }

// close writes the end.
func (s *tarSink) close(*TOC) (uint64, error) {
	return s.pos + 2*tarBlock, s.put(make([]byte, 2*tarBlock))
}

func (s *tarSink) abort() {
	if s.spool != nil {
		_ = s.spool.Close()
		s.spool = nil
	}
}
