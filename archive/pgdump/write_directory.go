package pgdump

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/pgark/pgark/archive"
)

const tocFile = "toc.dat"

// blobList is the name of the list of a BLOBS entry's large objects.
func blobList(e *Entry, minor uint8) string {
	if minor >= minorRelKind {
		return "blobs_" + strconv.Itoa(int(e.ID)) + ".toc"
	}
	return "blobs.toc"
}

// blobFile is the name of a large object's file, without what compression adds.
func blobFile(oid uint32) string { return "blob_" + strconv.FormatUint(uint64(oid), 10) + ".dat" }

// extension is what compression adds to the name of a file.
func (c Compression) extension() string {
	switch c {
	case CompressionGzip:
		return ".gz"
	case CompressionLZ4:
		return ".lz4"
	case CompressionZstd:
		return ".zst"
	}
	return ""
}

// nameData names the files of the entries that have data. In a tar archive that of large objects has a name that is not used.
func nameData(toc *TOC, directory bool) {
	for i := range toc.Entries {
		e := &toc.Entries[i]
		switch {
		case e.HadDumper && e.Kind == kindBlobs && directory:
			e.File = blobList(e, toc.Header.Version.Minor)
		case e.HadDumper:
			e.File = strconv.Itoa(int(e.ID)) + ".dat"
		}
	}
}

// NewDirectoryWriter begins a directory-format archive of a catalog. The directory dir must not exist, or be empty; it appears when the
// archive is complete and on disk. Until then it is a directory beside it whose name begins with a dot, which Abort, or a Close
// that fails, removes. Entries may come in any order.
func NewDirectoryWriter(ctx context.Context, dir string, cat *archive.Catalog, o WriteOptions) (*Writer, error) {
	return newWriter(ctx, cat, FormatTar, true, o, func(toc *TOC, o *WriteOptions) (sink, error) {
		nameData(toc, true)
		dir = filepath.Clean(dir)
		s := &directorySink{
			name: dir, tmp: filepath.Join(filepath.Dir(dir), fmt.Sprintf(".%s.partial-%d", filepath.Base(dir), os.Getpid())), codec: o.Compression,
		}
		enc, err := newPieceEncoder(FormatTar, true, o.Compression, o.Level)
		if err != nil {
			return nil, err
		}
		if s.empty, _, err = enc.encode(nil, nil); err != nil {
			return nil, err
		}
		if err := os.Mkdir(s.tmp, 0o700); err != nil {
			return nil, fmt.Errorf("the output directory: %w", err)
		}
		return s, nil
	})
}

// directorySink writes the files of a directory archive.
type directorySink struct {
	name, tmp string
	codec     Compression
	f         *os.File
	out       *bufio.Writer
	list      []byte // blobs.toc of the entry that is open
	empty     []byte // what nothing is compressed to
	fresh     bool   // nothing was written of the large object
	bytes     uint64
}

func (s *directorySink) canSeek() bool { return true }

func (s *directorySink) create(name string) error {
	f, err := os.OpenFile(filepath.Join(s.tmp, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	s.f = f
	if s.out == nil {
		s.out = bufio.NewWriterSize(nil, 256<<10)
	}
	s.out.Reset(f)
	return nil
}

// finish makes the open file durable.
func (s *directorySink) finish() error {
	f := s.f
	s.f = nil
	err := s.out.Flush()
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}

func (s *directorySink) begin(e *Entry) error {
	if e.Kind == kindBlobs {
		s.list = nil
		return nil
	}
	return s.create(e.File + s.codec.extension())
}

func (s *directorySink) end(e *Entry) error {
	if e.Kind != kindBlobs {
		return s.finish()
	}
	if err := s.create(e.File); err != nil { // which is never compressed
		return err
	}
	if err := s.write(s.list); err != nil {
		return err
	}
	return s.finish()
}

func (s *directorySink) beginBlob(_ *Entry, oid uint32) error {
	name := blobFile(oid)
	s.list = fmt.Appendf(s.list, "%d %s\n", oid, name)
	s.fresh = true
	return s.create(name + s.codec.extension())
}

func (s *directorySink) endBlob(*Entry, uint32) error {
	if s.fresh {
		if err := s.write(s.empty); err != nil {
			return err
		}
	}
	return s.finish()
}

func (s *directorySink) write(encoded []byte) error {
	s.fresh = false
	n, err := s.out.Write(encoded)
	s.bytes += uint64(n) //nolint:gosec // not negative
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}

// close writes the table of contents, and gives the directory its name.
func (s *directorySink) close(toc *TOC) (uint64, error) {
	if err := s.create(tocFile); err != nil {
		return 0, err
	}
	if err := s.write(toc.Append(nil)); err != nil {
		return 0, err
	}
	if err := s.finish(); err != nil {
		return 0, err
	}
	if err := syncDir(s.tmp); err != nil {
		return 0, err
	}
	if err := os.Remove(s.name); err != nil && !errors.Is(err, fs.ErrNotExist) { // an empty directory
		return 0, fmt.Errorf("the output directory: %w", err)
	}
	if err := os.Rename(s.tmp, s.name); err != nil {
		return 0, fmt.Errorf("the output directory: %w", err)
	}
	s.tmp = ""
	return s.bytes, syncDir(filepath.Dir(s.name))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync() // some file systems can't sync a directory
	return nil
}

func (s *directorySink) abort() {
	if s.f != nil {
		_ = s.f.Close()
	}
	if s.tmp != "" {
		_ = os.RemoveAll(s.tmp)
	}
}
