package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/pierrec/lz4/v4"
)

// compressor makes one independent payload at a time, reusing its state. One goroutine at a time.
type compressor interface {
	// bound is the length of dst that compress wants for n bytes.
	bound(n int) int
	// compress writes src to dst and returns how many bytes it took, or errNoGain where they didn't fit.
	compress(dst, src []byte) (int, error)
}

// decompressor is the reverse. It writes at most len(dst) bytes and returns an error where src holds more;
// its memory is bounded whatever src says. One goroutine at a time.
type decompressor interface {
	decompress(dst, src []byte) (int, error)
}

// errNoGain is returned by a compressor whose output would be longer than allowed.
var errNoGain = errors.New("does not compress")

func newCompressor(c Codec, level int) (compressor, error) {
	if err := c.checkLevel(level); err != nil {
		return nil, err
	}
	if level == 0 {
		_, _, level = c.levels()
	}
	switch c {
	case CodecZstd:
		return newZstdCompressor(level)
	case CodecLZ4:
		return newLZ4Compressor(level)
	case CodecXZ:
		return xzCompressor{}, nil
	case CodecGzip:
		return newGzipCompressor(level)
	case CodecNone:
	}
	return nil, nil
}

func newDecompressor(c Codec) (decompressor, error) {
	switch c {
	case CodecZstd:
		return newZstdDecompressor()
	case CodecLZ4:
		return &lz4Decompressor{r: lz4.NewReader(nil)}, nil
	case CodecXZ:
		return xzDecompressor{}, nil
	case CodecGzip:
		return &gzipDecompressor{}, nil
	case CodecNone:
	}
	return nil, fmt.Errorf("%w: unknown %s", ErrVersion, c)
}

// sliceWriter fills a slice and fails when it is full, which ends a compression that gains nothing early.
type sliceWriter struct {
	b []byte
	n int
}

func (w *sliceWriter) Write(p []byte) (int, error) {
	n := copy(w.b[w.n:], p)
	w.n += n
	if n < len(p) {
		return n, errNoGain
	}
	return n, nil
}

// readExactly reads from r until its end, which must come after len(dst) bytes or earlier.
func readExactly(r io.Reader, dst []byte) (int, error) {
	n, err := io.ReadFull(r, dst)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return n, nil
	case err != nil:
		return n, err
	}
	var one [1]byte
	for {
		k, err := r.Read(one[:])
		switch {
		case k > 0:
			return n, errors.New("holds more bytes than declared")
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

type lz4Compressor struct {
	w   *lz4.Writer
	out sliceWriter
}

func newLZ4Compressor(level int) (compressor, error) {
	c := &lz4Compressor{w: lz4.NewWriter(nil)}
	opts := []lz4.Option{lz4.BlockSizeOption(lz4.Block4Mb), lz4.ChecksumOption(false), lz4.ConcurrencyOption(1)}
	if level > 1 {
		levels := []lz4.CompressionLevel{
			lz4.Level2, lz4.Level3, lz4.Level4, lz4.Level5, lz4.Level6, lz4.Level7, lz4.Level8, lz4.Level9,
		}
		opts = append(opts, lz4.CompressionLevelOption(levels[level-2]))
	}
	return c, c.w.Apply(opts...)
}

func (c *lz4Compressor) bound(n int) int { return n }

func (c *lz4Compressor) compress(dst, src []byte) (int, error) {
	c.out = sliceWriter{b: dst}
	c.w.Reset(&c.out)
	return finish(c.w, &c.out, src)
}

type gzipCompressor struct {
	w   *gzip.Writer
	out sliceWriter
}

func newGzipCompressor(level int) (compressor, error) {
	w, err := gzip.NewWriterLevel(io.Discard, level)
	return &gzipCompressor{w: w}, err
}

func (c *gzipCompressor) bound(n int) int { return n }

func (c *gzipCompressor) compress(dst, src []byte) (int, error) {
	c.out = sliceWriter{b: dst}
	c.w.Reset(&c.out)
	return finish(c.w, &c.out, src)
}

func finish(w io.WriteCloser, out *sliceWriter, src []byte) (int, error) {
	_, err := w.Write(src)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, errNoGain) {
		err = errNoGain
	}
	return out.n, err
}

type lz4Decompressor struct {
	r  *lz4.Reader
	in bytes.Reader
}

func (d *lz4Decompressor) decompress(dst, src []byte) (int, error) {
	d.in.Reset(src)
	d.r.Reset(&d.in)
	n, err := readExactly(d.r, dst)
	if err == nil && d.in.Len() > 0 {
		err = fmt.Errorf("%d bytes follow the lz4 frame", d.in.Len())
	}
	return n, err
}

type gzipDecompressor struct {
	r  gzip.Reader
	in bytes.Reader
}

func (d *gzipDecompressor) decompress(dst, src []byte) (int, error) {
	d.in.Reset(src)
	if err := d.r.Reset(&d.in); err != nil {
		return 0, err
	}
	d.r.Multistream(false)
	n, err := readExactly(&d.r, dst)
	if err == nil && d.in.Len() > 0 {
		err = fmt.Errorf("%d bytes follow the gzip member", d.in.Len())
	}
	return n, err
}
