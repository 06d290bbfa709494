package pgdump

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// maxZstdWindow bounds the memory that a zstd frame may ask for. pg_dump's highest level asks for 8 MiB, its option long for 128 MiB.
const maxZstdWindow = 128 << 20

// compressedBuffer is how much of a compressed stream is read at once.
const compressedBuffer = 128 << 10

// newDataReader decompresses a stream that ends where r does: anything behind its end is damage, and so is an end before it. zlib says
// that gzip is in zlib's framing, as in a custom archive. Closing it does not close r. Its memory is bounded whatever the stream
// says.
func newDataReader(r io.Reader, c Compression, zlibFraming bool) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, compressedBuffer)
	switch {
	case c == CompressionNone:
		return io.NopCloser(r), nil
	case c == CompressionGzip && zlibFraming:
		z, err := zlib.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("%w: gzip: %w", endOr(err), err)
		}
		return &frameReader{in: b, r: z, close: z.Close}, nil
	case c == CompressionGzip:
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("%w: gzip: %w", endOr(err), err)
		}
		z.Multistream(false)
		return &frameReader{in: b, r: &gzipMembers{in: b, z: z}, close: z.Close}, nil
	case c == CompressionLZ4:
		z := lz4.NewReader(b)
		return &frameReader{in: b, r: z, next: func() { z.Reset(b) }}, nil
	case c == CompressionZstd:
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, err
		}
		return &frameReader{in: b, r: z, close: func() error { z.Close(); return nil }}, nil // which reads frame after frame
	}
	return nil, fmt.Errorf("%w: %s", ErrVersion, c)
}

// gzipMembers reads member after member. Zero bytes behind the last one are no damage, nor to gzip: tapes and disks that are
// written in whole blocks leave them.
type gzipMembers struct {
	in *bufio.Reader
	z  *gzip.Reader
}

func (g *gzipMembers) Read(p []byte) (int, error) {
	for {
		n, err := g.z.Read(p)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		zeros := false
		for {
			c, err := g.in.ReadByte()
			if err != nil { // the end, or what the file has to say
				return n, err
			}
			if c == 0 {
				zeros = true
				continue
			}
			if err := g.in.UnreadByte(); err != nil {
				return n, err
			}
			break
		}
		if zeros {
			return n, fmt.Errorf("%w: bytes follow the end of the compressed data", ErrDamaged)
		}
		if err := g.z.Reset(g.in); err != nil {
			return n, err
		}
		if g.z.Multistream(false); n > 0 {
			return n, nil
		}
	}
}

// endOr tells a stream that is cut off from a damaged one.
func endOr(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	return ErrDamaged
}

// frameReader reads a compressed stream up to the end of what it is read from.
type frameReader struct {
	in    *bufio.Reader
	r     io.Reader
	next  func() // begins another frame; nil where the decoder does that itself, or there may be only one
	close func() error
	began bool // something was read of this frame
}

func (f *frameReader) Read(p []byte) (int, error) {
	for {
		if f.next != nil && !f.began {
			if _, err := f.in.Peek(1); err != nil { // the end, or what the file has to say
				return 0, err
			}
			f.began = true
		}
		n, err := f.r.Read(p)
		switch {
		case err == nil:
			return n, nil
		case !errors.Is(err, io.EOF):
			var known *DataError
			if errors.As(err, &known) || errors.Is(err, ErrTruncated) || errors.Is(err, ErrDamaged) {
				return n, err
			}
			return n, fmt.Errorf("%w: %w", endOr(err), err)
		case f.next != nil:
			f.began = false
			f.next()
			if n > 0 {
				return n, nil
			}
			continue
		}
		if _, more := f.in.Peek(1); !errors.Is(more, io.EOF) {
			if more == nil {
				more = fmt.Errorf("%w: bytes follow the end of the compressed data", ErrDamaged)
			}
			return n, more
		}
		return n, io.EOF
	}
}

func (f *frameReader) Close() error {
	if f.close == nil {
		return nil
	}
	c := f.close
	f.close = nil
	return c()
}
