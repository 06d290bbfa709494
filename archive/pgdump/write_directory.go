package pgdump

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sync/errgroup"

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

// NewDirectoryWriter begins a directory-format archive of a catalog. The directory dir must not exist, or be empty. Where it does not
// exist it appears when the archive is complete and on disk: until then it is one beside it whose name begins with a dot. Where it
// does, the files are in such a directory within it, since another disk may be mounted there, and toc.dat, without which there
// is no archive, comes last. Abort, or a Close that fails, removes what was made. Entries may come in any order.
func NewDirectoryWriter(ctx context.Context, dir string, cat *archive.Catalog, o WriteOptions) (*Writer, error) {
	return newWriter(ctx, cat, FormatTar, true, o, func(toc *TOC, o *WriteOptions) (sink, error) {
		nameData(toc, true)
		s := &directorySink{name: filepath.Clean(dir), codec: o.Compression, frame: gzipFrame{member: true}}
		enc, err := newPieceEncoder(FormatTar, true, o.Compression, o.Level, MaxPiece)
		if err != nil {
			return nil, err
		}
		if s.empty, _, err = enc.encode(nil, nil); err != nil { // of lz4 and zstd a frame
			return nil, err
		}
		s.syncing.SetLimit(syncsAtOnce)
		if err := s.makeDir(); err != nil {
			return nil, err
		}
		if o.Partial != nil {
			o.Partial(s.tmp)
		}
		return s, nil
	})
}

// directorySink writes the files of a directory archive.
type directorySink struct {
	name   string
	tmp    string // where the files are until the archive is complete; "" from then on
	within bool   // tmp is in the directory name, which was there
	codec  Compression
	f      *os.File
	out    *bufio.Writer
	list   []byte // blobs.toc of the entry that is open
	empty  []byte // what nothing is compressed to, where that is something
	fresh  bool   // nothing was written of the stream
	frame  gzipFrame
	bytes  uint64

	syncing errgroup.Group // makes files durable meanwhile: each waits for the disk
}

// syncsAtOnce is for how many files the disk is waited for at the same time. More of them are open only while one is written.
const syncsAtOnce = 8

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

// finish ends the open file, and has it made durable.
func (s *directorySink) finish() error {
	f := s.f
	s.f = nil
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("write archive: %w", errors.Join(err, f.Close()))
	}
	s.syncing.Go(func() error {
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("write archive: %w", err)
		}
		return nil
	})
	return nil
}

// createStream creates the file of rows or a large object.
func (s *directorySink) createStream(name string) error {
	s.fresh = true
	s.frame.reset()
	return s.create(name + s.codec.extension())
}

// endStream ends the stream in the open file.
func (s *directorySink) endStream() error {
	var err error
	switch {
	case s.codec == CompressionGzip:
		err = s.put(s.frame.end(nil))
	case s.fresh:
		err = s.put(s.empty)
	}
	if err != nil {
		return err
	}
	return s.finish()
}

func (s *directorySink) begin(e *Entry) error {
	if e.Kind == kindBlobs {
		s.list = nil
		return nil
	}
	return s.createStream(e.File)
}

func (s *directorySink) end(e *Entry) error {
	if e.Kind != kindBlobs {
		return s.endStream()
	}
	if err := s.create(e.File); err != nil { // which is never compressed
		return err
	}
	if err := s.put(s.list); err != nil {
		return err
	}
	return s.finish()
}

func (s *directorySink) beginBlob(_ *Entry, oid uint32) error {
	name := blobFile(oid)
	s.list = fmt.Appendf(s.list, "%d %s\n", oid, name)
	return s.createStream(name)
}

func (s *directorySink) endBlob(*Entry, uint32) error { return s.endStream() }

func (s *directorySink) addSum(p pieceSum) { s.frame.add(p) }

func (s *directorySink) write(encoded []byte) error {
	if s.codec == CompressionGzip && s.fresh {
		if err := s.put(s.frame.head(nil)); err != nil {
			return err
		}
	}
	s.fresh = false
	return s.put(encoded)
}

func (s *directorySink) put(b []byte) error {
	n, err := s.out.Write(b)
	s.bytes += uint64(n) //nolint:gosec // not negative
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}

// close writes the table of contents, and has all files be on disk.
func (s *directorySink) close(toc *TOC) (uint64, error) {
	if err := s.create(tocFile); err != nil {
		return 0, err
	}
	if err := s.put(toc.Append(nil)); err != nil {
		return 0, err
	}
	if err := s.finish(); err != nil {
		return 0, err
	}
	if err := s.syncing.Wait(); err != nil {
		return 0, err
	}
	if err := syncDir(s.tmp); err != nil {
		return 0, fmt.Errorf("the output directory: %w", err)
	}
	return s.bytes, nil
}

// place gives the files their place.
func (s *directorySink) place() error {
	place := s.rename
	if s.within {
		place = s.moveUp
	}
	if err := place(); err != nil {
		return fmt.Errorf("the output directory: %w", err)
	}
	return nil
}

func (s *directorySink) abort() {
	if s.f != nil {
		_ = s.f.Close()
	}
	_ = s.syncing.Wait()
	if s.tmp != "" {
		_ = os.RemoveAll(s.tmp)
	}
}
