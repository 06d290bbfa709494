package pgdump

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/pgark/pgark/archive"
)

// The types of data blocks in a custom archive.
const (
	blockData  = 1
	blockBlobs = 3
)

// NewCustomWriter begins a custom-format archive of a catalog, and writes its table of contents. If out is an [io.WriterAt],
// too, whose first byte is the archive's first, the places of the data are written into it at the end; else it is a pipe. out is
// neither synced nor closed.
func NewCustomWriter(ctx context.Context, out io.Writer, cat *archive.Catalog, o WriteOptions) (*Writer, error) {
	return newWriter(ctx, cat, FormatCustom, false, o, func(toc *TOC, o *WriteOptions) (sink, error) {
		s := &customSink{out: out, codec: o.Compression, places: make(map[int32]uint64)}
		s.at, _ = out.(io.WriterAt)
		for i := range toc.Entries {
			e := &toc.Entries[i]
			e.DataState = OffsetNoData
			if e.HadDumper {
				e.DataState = OffsetNotSet
			}
		}
		head := toc.Append(nil)
		s.head = len(head)
		return s, s.put(head)
	})
}

// customSink writes the blocks of a custom archive.
type customSink struct {
	out   io.Writer
	at    io.WriterAt // nil for a pipe
	codec Compression
	head  int // bytes of header and table of contents
	pos   uint64
	buf   []byte

	places map[int32]uint64 // of the data of entries; the table of contents is the caller's to read meanwhile

	frame gzipFrame // of the stream, if the codec is gzip
	raw   bool      // what comes has its frame
}

func (s *customSink) setRaw(raw bool) { s.raw = raw }

func (s *customSink) canSeek() bool { return s.at != nil }

func (s *customSink) put(b []byte) error {
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

func appendInt(b []byte, v int32) []byte {
	t := tocBuffer{b: b, intSize: 4}
	t.int(v)
	return t.b
}

func (s *customSink) begin(e *Entry) error {
	s.places[e.ID] = s.pos
	block := byte(blockData)
	if e.Kind == kindBlobs {
		block = blockBlobs
	} else {
		s.frame.reset()
	}
	return s.put(appendInt([]byte{block}, e.ID))
}

func (s *customSink) addSum(p pieceSum) { s.frame.add(p) }

func (s *customSink) write(encoded []byte) error {
	s.buf = s.buf[:0]
	if s.codec == CompressionGzip && !s.raw {
		s.buf = s.frame.head(s.buf)
	}
	return s.chunk(encoded)
}

// chunk writes what is in buf and more as one chunk.
func (s *customSink) chunk(more []byte) error {
	var head [5]byte
	binary.LittleEndian.PutUint32(head[1:], uint32(len(s.buf)+len(more))) //nolint:gosec // some MiB
	if err := s.put(append(head[:], s.buf...)); err != nil || len(more) == 0 {
		return err
	}
	return s.put(more)
}

// endStream ends the stream of a table or a large object.
func (s *customSink) endStream() error {
	if s.codec == CompressionGzip && !s.raw {
		s.buf = s.frame.end(s.buf[:0])
		if err := s.chunk(nil); err != nil {
			return err
		}
	}
	return s.put(appendInt(nil, 0))
}

func (s *customSink) end(e *Entry) error {
	if e.Kind == kindBlobs {
		return s.put(appendInt(nil, 0))
	}
	return s.endStream()
}

func (s *customSink) beginBlob(_ *Entry, oid uint32) error {
	s.frame.reset()
	return s.put(appendInt(nil, int32(oid))) //nolint:gosec // from 2^31 on it is written as a negative number, as pg_dump does
}

func (s *customSink) endBlob(*Entry, uint32) error { return s.endStream() }

func (s *customSink) place() error { return nil }

// close writes the places of the data into the table of contents.
func (s *customSink) close(toc *TOC) (uint64, error) {
	if s.at == nil {
		return s.pos, nil
	}
	for i := range toc.Entries {
		if e := &toc.Entries[i]; e.HadDumper {
			e.DataState, e.Offset = OffsetSet, s.places[e.ID]
		}
	}
	head := toc.Append(nil)
	if len(head) != s.head {
		return 0, fmt.Errorf("internal error: the table of contents has %d bytes, not %d", len(head), s.head)
	}
	if _, err := s.at.WriteAt(head, 0); err != nil {
		return 0, fmt.Errorf("write the places of the data: %w", err)
	}
	return s.pos, nil
}

func (s *customSink) abort() {}
