package pgdump

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
)

// rawSink is a sink that takes data which was encoded before.
type rawSink interface {
	// setRaw says of the data that begins whether it was encoded, or a writer adds what frames it.
	setRaw(raw bool)
}

// maxChunk bounds what is written as one chunk if it was one before: a larger one is divided, which no reader minds.
const maxChunk = 2 * MaxPiece

// CanCopy tells whether data of d may be added as it is, compressed: both are custom archives with the same compression.
func (w *Writer) CanCopy(d *Dump) bool {
	_, from := d.store.(*customStore)
	_, to := w.sink.(*customSink)
	return from && to && d.toc.Header.Compression == w.options.Compression
}

// Copy writes the data of a TABLE DATA or BLOBS entry as it lies in d, chunk by chunk, without decompressing it: what is damaged
// there is damaged here. It takes the place of Begin to End, and may be mixed with them. [Writer.CanCopy] must have allowed it. The data
// of INSERT statements can be copied only where the catalog that is written says that they are, as [TOC.Catalog] of the other archive's table of
// contents does; the one of [Dump.Catalog] has COPY statements, for rows that are read and added. Likewise with rows that have OIDs. Memory: up to twice [MaxPiece] for each piece
// under way.
func (w *Writer) Copy(ctx context.Context, d *Dump, entry int32) error {
	store, ok := d.store.(*customStore)
	i, known := w.targets[entry]
	if !ok || !known || !w.CanCopy(d) {
		return w.fail(fmt.Errorf("%w: entry %d can't be copied", errOrder, entry))
	}
	kind, block := w.toc.Entries[i].Kind, byte(blockData)
	if kind == kindBlobs {
		block = blockBlobs
	}
	if err := w.begin(entry, kind, true); err != nil {
		return err
	}
	for _, id := range w.toc.Sources(entry) {
		e := d.entries[id]
		if e == nil || e.Kind != kind {
			return w.fail(fmt.Errorf("%w: entry %d of the other archive is not %s", errOrder, id, kind))
		}
		if (strings.TrimSpace(e.Copy) == "") != (strings.TrimSpace(w.toc.Entries[i].Copy) == "") {
			return w.fail(fmt.Errorf("%w: rows that are INSERT statements can't be copied as COPY text: entry %d, %s", errOrder, id, e.Name))
		}
		if hasOIDs(e.Copy) != hasOIDs(w.toc.Entries[i].Copy) {
			return w.fail(fmt.Errorf("%w: rows with OIDs can't be copied as rows without: entry %d, %s", errOrder, id, e.Name))
		}
		x, err := store.open(e, block)
		if err == nil {
			if kind == kindBlobs {
				err = w.copyBlobs(ctx, x, e)
			} else {
				err = w.copyChunks(ctx, &chunkReader{x: x, e: e})
			}
		}
		if err != nil {
			return w.fail(err)
		}
	}
	return w.End()
}

func (w *Writer) copyBlobs(ctx context.Context, x *scanner, e *Entry) error {
	for {
		oid := x.int("OID of a large object")
		if x.err != nil {
			return dataError(e, "", x.off, x.err, "")
		}
		if oid == 0 {
			return nil
		}
		if err := w.BeginBlob(uint32(oid)); err != nil { //nolint:gosec // from 2^31 on it is written as a negative number
			return err
		}
		if err := w.copyChunks(ctx, &chunkReader{x: x, e: e}); err != nil {
			return err
		}
		if err := w.EndBlob(); err != nil {
			return err
		}
	}
}

// copyChunks copies the chunks of one stream.
func (w *Writer) copyChunks(ctx context.Context, c *chunkReader) error {
	var buf bytes.Buffer // grows with what is there, not with what is said to be
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		c.advance()
		if c.err != nil || c.ended {
			return c.err
		}
		n := int64(min(c.left, maxChunk))
		buf.Reset()
		if _, err := io.CopyN(&buf, c, n); err != nil {
			return dataError(c.e, "", c.x.off, err, "")
		}
		if err := w.addRaw(buf.Bytes()); err != nil {
			return err
		}
	}
}

// addRaw adds a copy of a chunk that was encoded before.
func (w *Writer) addRaw(chunk []byte) error {
	p, err := w.next(true)
	if err != nil {
		return err
	}
	p.raw, p.out = true, append(p.out[:0], chunk...)
	w.pending = p
	return nil
}
