package archive

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// Source is a dump that another program wrote: a stock dump of pg_dump, or a backup set of gpbackup. It gives what a
// [Reader] gives of an archive of pgark, as far as that format has it. What such a dump does not record (digests, numbers of
// rows, the sizes of the rows) is known only when they have been read.
//
// All methods but Close may be called from several goroutines at once.
type Source interface {
	// Description says what the dump is. It costs nothing.
	Description() Description
	// Catalog returns the entries, with IDs, dependencies and an order that are those of pg_dump, or made up where the
	// format has none. The caller must not change it.
	Catalog() (*Catalog, error)
	// Moment says what the dump tells of the moment that it shows, with the promise that its program gives. The caller must
	// not change it.
	Moment() (*Moment, error)
	// TableStreams returns the streams of a TABLE DATA or BLOBS entry, in the order in which StreamRows should read them; none
	// where the dump holds no rows for it. They are numbered from 1 in the whole source, their Digest is unknown (zero), Raw is 0
	// where the format does not tell, Stored is the number of bytes that they take in the file, 0 where that is not
	// known without reading it. The caller must not change them.
	TableStreams(entry int32) []Stream
	// StreamRows calls fn with the rows of one stream as COPY text, in order, without the line \. that ends them, in pieces
	// that may end anywhere. The last row ends in LF. A piece is valid until fn returns. An error of fn ends the
	// call and is returned as it is; damage is an error that says where it is.
	StreamRows(ctx context.Context, id StreamID, fn func(text []byte) error) error
	// LargeObjects calls fn with the contents of a BLOBS entry, object by object and front to back; an empty object has one
	// empty piece. A piece is valid until fn returns.
	LargeObjects(ctx context.Context, entry int32, fn func(oid uint32, offset int64, data []byte) error) error
	// Close closes the files.
	Close() error
}

// RowRefuser is a Source that may hold rows which it can't give.
type RowRefuser interface {
	// Refused says why there is no stream of a TABLE DATA entry whose rows the dump does hold, and what to do; nil where there is one.
	Refused(entry int32) error
}

// RowCounter is a Source whose format records how many rows each table has.
type RowCounter interface {
	// ExpectedRows returns the number of rows of all streams of a TABLE DATA entry, false where it is not recorded.
	ExpectedRows(entry int32) (uint64, bool)
}

// Description says what a dump of another program is.
type Description struct {
	Format   string    // "custom", "directory", "tar", "plain", "gpbackup"
	Version  string    // of the format, "1.14"; of gpbackup the program's; "" where there is none
	Program  string    // that wrote it, with its version: "pg_dump 15.18", "gpbackup 1.30.3"
	Created  time.Time // as far as it says; zero where it does not
	Database string
	Codec    string   // "none", "gzip", "lz4", "zstd"
	Bytes    uint64   // of all its files
	Files    int      // how many they are
	Unproven []string // sentences on what reading all of it can't prove, since the format does not record it
	Warnings []string // sentences on what is odd about it: parts that were left out when it was made, tolerated damage
}

// Problem is something wrong with the structure of a [Source]: what can be seen without reading the rows.
type Problem struct {
	File    string // which, where a dump is several files; relative to the dump
	Offset  int64  // in the file, -1 where it concerns no place
	Message string
}

// LargeObjectChunk is how many bytes of a large object stand in one row of a stream of large objects at most. Twice as many
// characters stand in the row.
const LargeObjectChunk = 256 << 10

// LargeObjectRows gives the large objects of a BLOBS entry as the rows of a stream of large objects: OID, offset, and
// the bytes in hex. A piece that fn gets is one row, valid until fn returns.
func LargeObjectRows(ctx context.Context, src Source, entry int32, fn func(row []byte) error) error {
	c := largeObjectCutter{fn: fn, buf: make([]byte, 0, LargeObjectChunk)}
	if err := src.LargeObjects(ctx, entry, c.piece); err != nil {
		return err
	}
	return c.flush(true)
}

// largeObjectCutter cuts large objects into chunks of one size, so that equal contents make equal rows.
type largeObjectCutter struct {
	fn   func(row []byte) error
	open bool
	oid  uint32
	at   int64 // of buf in the object
	buf  []byte
	row  []byte
}

func (c *largeObjectCutter) piece(oid uint32, offset int64, data []byte) error {
	if !c.open || oid != c.oid {
		if err := c.flush(true); err != nil {
			return err
		}
		c.open, c.oid, c.at = true, oid, 0
	}
	if want := c.at + int64(len(c.buf)); offset != want {
		return fmt.Errorf("large object %d: a piece at %d comes where %d is expected", oid, offset, want)
	}
	for len(data) > 0 {
		n := min(len(data), LargeObjectChunk-len(c.buf))
		c.buf = append(c.buf, data[:n]...)
		data = data[n:]
		if len(c.buf) == LargeObjectChunk {
			if err := c.flush(false); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush gives the chunk as a row; at an object's end also an empty one, if it is the only one.
func (c *largeObjectCutter) flush(end bool) error {
	if !c.open || end && len(c.buf) == 0 && c.at > 0 {
		return nil
	}
	c.row = strconv.AppendUint(c.row[:0], uint64(c.oid), 10)
	c.row = append(c.row, '\t')
	c.row = strconv.AppendInt(c.row, c.at, 10)
	c.row = append(c.row, "\t\\\\x"...)
	c.row = hex.AppendEncode(c.row, c.buf)
	c.row = append(c.row, '\n')
	c.at += int64(len(c.buf))
	c.buf = c.buf[:0]
	return c.fn(c.row)
}
