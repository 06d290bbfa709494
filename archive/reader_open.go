package archive

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

const salvageHint = "; pgark salvage may recover its blocks"

// open reads trailer, header and index.
func (v *volume) open() error {
	if err := v.readTrailer(); err != nil {
		return err
	}
	root := sha256.New()
	if err := v.readHeader(root); err != nil {
		return err
	}
	if v.header.ID != v.trailer.id {
		return damagef(0, "header and trailer are of different volumes%s", salvageHint)
	}
	idx, err := v.readIndex(root)
	if err != nil {
		return err
	}
	if [32]byte(root.Sum(nil)) != v.trailer.root {
		return damagef(int64(v.trailer.indexOffset), "header and index do not have the root digest that the trailer states%s", salvageHint)
	}
	v.frames = idx.frames
	if err := v.build(idx); err != nil {
		return damagef(int64(v.trailer.indexOffset), "the index contradicts itself: %v%s", err, salvageHint)
	}
	return nil
}

// readTrailer also tells what is no archive at all from what is a part of one.
func (v *volume) readTrailer() error {
	isArchive := v.looksLikeArchive()
	if v.size < trailerLen {
		if !isArchive {
			return ErrNotArchive
		}
		return &DamageError{Offset: v.size, Message: "the archive is cut off within its first bytes", Err: ErrTruncated}
	}
	b := make([]byte, trailerLen)
	at := v.size - trailerLen
	if err := readAt(v.r, b, at); err != nil {
		return err
	}
	t, err := parseTrailer(b, v.size)
	switch {
	case err == nil:
		v.trailer = t
		return nil
	case errors.Is(err, ErrVersion):
		return err
	case errors.Is(err, errNoTrailer) && !isArchive:
		return ErrNotArchive
	case errors.Is(err, errNoTrailer):
		return &DamageError{
			Offset: at, Message: "the archive does not end in a trailer: it was never finished, was cut off, or is followed by other bytes" + salvageHint,
			Err: ErrTruncated,
		}
	}
	return damagef(at, "the trailer is damaged: %v%s", err, salvageHint)
}

// looksLikeArchive says whether the volume begins as an archive does.
func (v *volume) looksLikeArchive() bool {
	b := make([]byte, min(v.size, 5))
	return len(b) > 0 && readAt(v.r, b, 0) == nil && string(b) == string("\xf5PGK\x01"[:len(b)])
}

// readAt fills b or fails; the end of the volume within b is ErrTruncated.
func readAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) || err == nil {
		return &DamageError{Offset: at + int64(n), Message: "the volume ends here, within a frame", Err: ErrTruncated}
	}
	return fmt.Errorf("read archive at byte %d: %w", at, err)
}

// readHeaderFrame reads the header frame at the start of a volume of size bytes, whole and parsed.
func readHeaderFrame(r io.ReaderAt, size int64) (Header, []byte, error) {
	var none Header
	b := make([]byte, frameHeaderLen)
	if err := readAt(r, b, 0); err != nil {
		return none, nil, err
	}
	fh, err := parseFrameHeader(b)
	if err != nil && !errors.Is(err, ErrVersion) {
		return none, nil, damagef(0, "the volume header is damaged: %v", err)
	}
	if fh.typ != FrameHeader || fh.codec != CodecNone || fh.stored > maxHeader || fh.size() > size {
		return none, nil, damagef(0, "the volume does not begin with a valid header")
	}
	b = append(b, make([]byte, fh.stored)...)
	if err := readAt(r, b[frameHeaderLen:], frameHeaderLen); err != nil {
		return none, nil, err
	}
	if checksum(b[frameHeaderLen:]) != fh.payloadCRC {
		return none, nil, damagef(0, "the volume header is damaged: %v", errPayloadCRC)
	}
	h, err := parseHeader(b[frameHeaderLen:])
	switch {
	case errors.Is(err, ErrVersion):
		return none, nil, err
	case err != nil:
		return none, nil, damagef(0, "the volume header is damaged: %v", err)
	case fh.tag != h.ID.tag() || fh != (frameHeader{
		typ: FrameHeader, tag: fh.tag, raw: fh.raw, stored: fh.stored, payloadCRC: fh.payloadCRC,
	}):
		return none, nil, damagef(0, "the volume header contradicts its frame")
	}
	return h, b, nil
}

func (v *volume) readHeader(root hash.Hash) error {
	h, frame, err := readHeaderFrame(v.r, v.size)
	if err != nil {
		return err
	}
	v.header = h
	_, _ = root.Write(frame)
	return nil
}

// readIndex reads the index frames, a part at a time, and adds their bytes to root.
func (v *volume) readIndex(root hash.Hash) (*index, error) {
	at := int64(v.trailer.indexOffset)
	end := at + int64(v.trailer.indexLen)
	in := bufio.NewReaderSize(io.NewSectionReader(v.r, at, end-at), int(min(end-at, 256<<10)))
	p := indexParser{tag: v.header.ID.tag()}
	var buf []byte
	for at < end {
		if end-at < frameHeaderLen {
			return nil, damagef(at, "the index is damaged: %v%s", errNoFrame, salvageHint)
		}
		buf = grow(buf, frameHeaderLen)
		if _, err := io.ReadFull(in, buf); err != nil {
			return nil, fmt.Errorf("read index at byte %d: %w", at, err)
		}
		_, _ = root.Write(buf)
		h, err := parseFrameHeader(buf)
		if err != nil || h.size() > end-at {
			return nil, damagef(at, "the index is damaged: %v%s", cmp.Or(err, errNoFrame), salvageHint)
		}
		buf = grow(buf, int(h.stored))
		if _, err := io.ReadFull(in, buf); err != nil {
			return nil, fmt.Errorf("read index at byte %d: %w", at, err)
		}
		_, _ = root.Write(buf)
		if err := p.add(&h, buf); err != nil {
			if errors.Is(err, ErrVersion) {
				return nil, err
			}
			return nil, damagef(at, "the index is damaged: %v%s", err, salvageHint)
		}
		at += h.size()
	}
	if !p.done {
		return nil, damagef(end, "the index is damaged: its last part is missing%s", salvageHint)
	}
	return &p.index, nil
}

// indexParser puts the index together from its frames.
type indexParser struct {
	index  index
	unpack unpacker
	tag    [8]byte
	next   uint32
	done   bool
}

func (p *indexParser) add(h *frameHeader, payload []byte) error {
	if p.done || h.typ != FrameIndex || h.tag != p.tag || h.part != p.next ||
		h.stream != 0 || h.block != 0 || h.rows != 0 || h.flags&^flagMore != 0 {
		return fmt.Errorf("a %s frame is in place of part %d of the index", h.typ, p.next)
	}
	raw, err := p.unpack.unpack(h, payload)
	if err != nil {
		return err
	}
	p.next++
	p.done = !h.more()
	return p.index.parsePart(string(raw))
}
