package pgdump

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/klauspost/compress/zstd"
)

const (
	gzipMagic = "\x1f\x8b\x08"
	zstdMagic = "\x28\xb5\x2f\xfd"
	lz4Magic  = "\x04\x22\x4d\x18"
)

// skippable frames may stand before those of zstd and lz4.
const (
	skippableMagic    = 0x184d2a50 // and 15 that follow
	skippableLen      = 8          // of the header
	maxSkippableFirst = 64         // how many may stand at the beginning
)

// packedBy tells by its first bytes which program has compressed a file as a whole; "" for none that is read here.
func packedBy(head []byte) string {
	for _, c := range []struct{ magic, name string }{{gzipMagic, "gzip"}, {zstdMagic, "zstd"}, {lz4Magic, "lz4"}} {
		if bytes.HasPrefix(head, []byte(c.magic)) {
			return c.name
		}
	}
	return ""
}

// codecOf tells which program has compressed a file as a whole; "" for none.
func codecOf(r io.ReaderAt) (string, error) {
	var at int64
	for range maxSkippableFirst {
		head := make([]byte, skippableLen)
		n, err := r.ReadAt(head, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if n < skippableLen || binary.LittleEndian.Uint32(head)&^15 != skippableMagic {
			return packedBy(head[:n]), nil
		}
		at += skippableLen + int64(binary.LittleEndian.Uint32(head[4:]))
	}
	return "", nil
}

// newUnpacker decompresses what one of these programs wrote, up to the end of r: members or frames, one after the other. Its
// memory is bounded whatever they say.
func newUnpacker(r io.Reader, codec string) (io.ReadCloser, error) {
	switch codec {
	case "gzip":
		return newDataReader(r, CompressionGzip, false)
	case "zstd":
		return newDataReader(r, CompressionZstd, false)
	default:
		return newDataReader(r, CompressionLZ4, false)
	}
}

// Peek gives the first KiB of a file, decompressed if it was compressed as a whole, and says by which program: gzip, zstd or lz4; ""
// where it is not compressed.
func Peek(path string) (head []byte, codec string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	if codec, err = codecOf(f); err != nil {
		return nil, "", err
	}
	var r io.Reader = f
	if codec != "" {
		z, err := newUnpacker(f, codec)
		if err != nil {
			return nil, codec, unpackError(path, codec, 0, err)
		}
		defer z.Close()
		r = z
	}
	head, err = readHeadOf(r)
	if err != nil {
		return nil, codec, unpackError(path, codec, 0, err)
	}
	return head, codec, nil
}

// readHeadOf reads what a dump is recognized by.
func readHeadOf(r io.Reader) ([]byte, error) {
	head := make([]byte, 2*headLines)
	n, err := io.ReadFull(r, head)
	// A stream that is cut off has an error of its own, which io.ErrUnexpectedEOF is a part of.
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) || errors.Is(err, ErrTruncated) {
		return nil, err
	}
	return head[:n], nil
}

// sourceFile is a file to be read at random: the one that was named or, if that is compressed, what is in it.
type sourceFile struct {
	*os.File
	size   int64
	codec  string // "" for none
	packed int64  // bytes of the file that was named
}

// openSourceFile opens a file of a dump. One that is compressed is decompressed first, into a file in the directory for
// temporary files (TMPDIR) that has no name any more. Only what begins like a dump is.
func openSourceFile(ctx context.Context, path string) (*sourceFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is not a regular file, and a script is read more than once", ErrRefused, path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s := &sourceFile{File: f, size: info.Size(), packed: info.Size()}
	if s.codec, err = codecOf(f); err == nil && s.codec != "" {
		err = s.unpack(ctx, path)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// unpack decompresses the file, and takes its place by what was in it.
func (s *sourceFile) unpack(ctx context.Context, path string) error {
	in := &countedFile{f: s.File}
	z, err := newUnpacker(in, s.codec)
	if err != nil {
		return unpackError(path, s.codec, in.n, err)
	}
	defer z.Close()
	head, err := readHeadOf(z)
	if err != nil {
		return unpackError(path, s.codec, in.n, err)
	}
	if err := worthUnpacking(head, s.codec); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	dir := os.TempDir()
	out, err := os.CreateTemp(dir, "pgark-unpacked-*")
	if err != nil {
		return spaceError(path, dir, err)
	}
	if err := os.Remove(out.Name()); err != nil {
		return errors.Join(err, out.Close())
	}
	size, err := spool(ctx, out, head, z)
	if err != nil {
		var failed *os.PathError
		if errors.As(err, &failed) && failed.Path == out.Name() {
			err = spaceError(path, dir, err)
		} else if ctx.Err() == nil {
			err = unpackError(path, s.codec, in.n, err)
		}
		return errors.Join(err, out.Close())
	}
	packed := s.File
	s.File, s.size = out, size
	return packed.Close()
}

// spool writes all that is decompressed to a file.
func spool(ctx context.Context, out *os.File, head []byte, z io.Reader) (size int64, err error) {
	buf := make([]byte, rowsChunk)
	for n := copy(buf, head); ; {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if _, err := out.Write(buf[:n]); err != nil {
			return 0, err
		}
		size += int64(n)
		n, err = z.Read(buf)
		if err != nil && (n == 0 || !errors.Is(err, io.EOF)) {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return size, err
		}
	}
}

// countedFile counts what was read of a file.
type countedFile struct {
	f *os.File
	n int64
}

func (c *countedFile) Read(p []byte) (int, error) {
	n, err := c.f.Read(p)
	c.n += int64(n)
	return n, err
}

// worthUnpacking refuses what does not begin like a dump, before much of it is decompressed.
func worthUnpacking(head []byte, codec string) error {
	switch inner := packedBy(head); {
	case IsPlain(head), beginsLikeSQL(head):
		return nil
	case bytes.HasPrefix(head, []byte(magic)):
		return nil
	case IsArchive(head):
		if bytes.HasPrefix(head, []byte(tocFile+"\x00")) {
			return nil
		}
		return fmt.Errorf("%w: it is a tar file, compressed with %s, that does not begin with %s as those of pg_dump do: unpack it first, "+
			"with tar -xf, and name the directory", ErrNotDump, codec, tocFile)
	case inner != "":
		return fmt.Errorf("%w: it is compressed twice, with %s and %s: decompress it first, with %[3]s -d", ErrNotDump, inner, codec)
	}
	return fmt.Errorf("%w: what is compressed in it with %s does not begin like a dump", ErrNotDump, codec)
}

// beginsLikeSQL tells whether a text begins with what scripts without the comments of pg_dump begin with.
func beginsLikeSQL(head []byte) bool {
	head = bytes.TrimPrefix(head, []byte(byteOrderMark))
	if bytes.IndexByte(head, 0) >= 0 {
		return false
	}
	lx := lexText(head, true, narrow)
	t := lx.next()
	for t.kind == sqlComment || t.kind == sqlBlock {
		t = lx.next()
	}
	switch {
	case t.kind == sqlMeta:
		return slices.ContainsFunc([]string{`\restrict `, `\connect `, `\encoding `}, func(command string) bool {
			return bytes.HasPrefix(head[t.from:], []byte(command))
		})
	case t.kind != sqlWord:
		return false
	}
	return slices.Contains([]string{
		"alter", "begin", "comment", "copy", "create", "drop", "grant", "insert", "reset", "revoke", "select", "set", "start",
	}, strings.ToLower(string(lx.text(t))))
}

// unpackError says where in a compressed file its damage was seen: that is at or before the place up to which it was read.
func unpackError(path, codec string, read int64, err error) error {
	if codec == "" {
		return err
	}
	class := endOr(err)
	for _, known := range []error{ErrTruncated, ErrDamaged} {
		if errors.Is(err, known) {
			class = known
		}
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return fmt.Errorf("%s: %w: decompressing it takes more than %d MiB of memory: decompress it first, with zstd -d --long=31", path,
			ErrRefused, maxZstdWindow>>20)
	}
	if known := (*os.PathError)(nil); errors.As(err, &known) {
		return err
	}
	return fmt.Errorf("%s: %w", path, scriptErrorf(class, read, "decompressing with %s fails here or before: %s", codec,
		strings.TrimPrefix(err.Error(), class.Error()+": ")))
}

// spaceError says that there was no room to decompress into.
func spaceError(path, dir string, err error) error {
	hint := ""
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		hint = "\nhint: it needs room for all of it, decompressed; TMPDIR names another directory"
	}
	return fmt.Errorf("%s: it is decompressed into a temporary file in %s: %w%s", path, dir, err, hint)
}

// OpenPacked opens a custom or tar archive that was compressed as a whole, which it decompresses first. See [OpenScript].
func OpenPacked(ctx context.Context, path string) (*Dump, error) {
	f, err := openSourceFile(ctx, path)
	if err != nil {
		return nil, err
	}
	d, err := openFile(f, f.size, f.Close)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	d.desc.Bytes = uint64(f.packed) //nolint:gosec // a length
	return d, nil
}
