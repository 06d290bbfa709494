package archive

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Decoder reads blocks, reusing its memory: two frames, of at most MaxFrameRaw bytes each. One goroutine at a time.
type Decoder struct {
	x      *Reader
	unpack unpacker
	stored []byte
}

// NewDecoder makes a decoder; any number may be used side by side.
func (x *Reader) NewDecoder() *Decoder { return &Decoder{x: x} }

// Close releases the decoder's memory.
func (d *Decoder) Close() { *d = Decoder{x: d.x} }

// Block reads a block and yields its raw bytes, in one part or, for a row larger than a frame, in several, in order.
// A part has been checked in full before it is yielded, and is valid until yield returns. An error of yield ends the block
// and is returned as it is; damage is a [DamageError].
func (d *Decoder) Block(b Block, yield func(part []byte) error) error {
	frames := d.x.blockFrames(b.Stream, b.Seq)
	if frames == nil {
		return fmt.Errorf("stream %d has no block %d", b.Stream, b.Seq)
	}
	form := d.x.streams[b.Stream-1].Form
	for _, i := range frames {
		raw, err := d.frame(int(i))
		if err != nil {
			return err
		}
		if err := checkRows(form, d.x.frames.at(int(i)), raw); err != nil {
			return d.damage(int(i), err)
		}
		if err := yield(raw); err != nil {
			return err
		}
	}
	return nil
}

// checkRows compares the rows in raw with the number that the frame has. Of a part of a CSV row it can't tell.
func checkRows(form Form, r *frameRecord, raw []byte) error {
	whole := r.part == 0 && !r.more()
	n := int(r.rows)
	switch {
	case form == FormCSV && !whole:
	case (form == FormText || form == FormFloats) && !whole:
		n = bytes.Count(raw, []byte{'\n'})
	default:
		n = countRows(form, raw)
	}
	if n != int(r.rows) {
		return fmt.Errorf("it holds %d rows, not %d", n, r.rows)
	}
	if form != FormBinary && !r.more() && (len(raw) == 0 || raw[len(raw)-1] != '\n') {
		return errNoLF
	}
	return nil
}

// Frame reads any frame that [Reader.Frames] yielded and returns its raw bytes, valid until the next call.
func (d *Decoder) Frame(f FrameInfo) ([]byte, error) {
	i, ok := d.x.frameAt(f.Offset)
	if !ok {
		return nil, fmt.Errorf("no frame begins at byte %d", f.Offset)
	}
	return d.frame(i)
}

// frame reads frame i and checks it against the index.
func (d *Decoder) frame(i int) ([]byte, error) {
	r := d.x.frames.at(i)
	d.stored = grow(d.stored, frameHeaderLen+int(r.stored))
	if err := readAt(d.x.r, d.stored, d.x.offsets[i]); err != nil {
		return nil, d.damage(i, err)
	}
	h, err := parseFrameHeader(d.stored)
	want := r.header(d.x.header.ID.tag())
	want.payloadCRC = h.payloadCRC
	payload := d.stored[frameHeaderLen:]
	switch {
	case err != nil:
	case h != want:
		err = errors.New("the frame is another one than the index names")
	case checksum(payload) != h.payloadCRC:
		err = errPayloadCRC
	case sha256.Sum256(payload) != r.sha:
		err = errors.New("SHA-256 of the frame's bytes does not match the index")
	case r.flags&flagOptional != 0 && r.typ > FrameIndex:
		return payload, nil // of a later version: there is no telling what it holds
	}
	if err != nil {
		return nil, d.damage(i, err)
	}
	raw, err := d.unpack.unpack(&h, payload)
	return raw, d.damage(i, err)
}

// damage says which frame err is about.
func (d *Decoder) damage(i int, err error) error { return d.x.damage(i, err) }

func (x *Reader) damage(i int, err error) error {
	if err == nil {
		return nil
	}
	r := x.frames.at(i)
	e := &DamageError{
		Volume: x.name, Offset: x.offsets[i], Stream: r.stream, Block: r.block, HasBlock: r.typ == FrameBlock,
		Message: fmt.Sprintf("the %s is damaged: %v", r.typ, err), Err: ErrDamaged,
	}
	if r.stream != 0 {
		s := &x.streams[r.stream-1]
		e.Schema, e.Table = s.Schema, s.Table
	}
	var cut *DamageError
	switch {
	case errors.As(err, &cut): // the volume shrank while it was open
		e.Err, e.Message = cut.Err, cut.Message
	case errors.Is(err, ErrVersion):
		e.Err = err
	}
	return e
}

// readDocument puts moment or catalog together, each part from the copy that is sound.
func (x *Reader) readDocument(t FrameType, limit int) (string, error) {
	d := x.NewDecoder()
	copies := x.docs[t]
	total := 0
	for _, i := range copies[0] {
		total += int(x.frames.at(i).raw)
	}
	if total > limit {
		return "", damagef(x.offsets[copies[0][0]], "the %s has %d bytes, the limit is %d", t, total, limit)
	}
	var doc strings.Builder
	for n, i := range copies[0] {
		raw, err := d.frame(i)
		if err != nil && n < len(copies[1]) {
			var err2 error
			if raw, err2 = d.frame(copies[1][n]); err2 == nil {
				err = nil
			}
		}
		if err != nil {
			return "", err
		}
		doc.Write(raw)
	}
	return doc.String(), nil
}

func (x *Reader) readCatalog() (*Catalog, error) {
	doc, err := x.readDocument(FrameCatalog, maxCatalog)
	if err != nil {
		return nil, err
	}
	c, err := parseCatalog(doc)
	if err != nil {
		return nil, x.damage(x.docs[FrameCatalog][0][0], err)
	}
	return c, nil
}

func (x *Reader) readMoment() (*Moment, error) {
	doc, err := x.readDocument(FrameMoment, maxMoment)
	if err != nil {
		return nil, err
	}
	m, err := parseMoment(doc)
	if err != nil {
		return nil, x.damage(x.docs[FrameMoment][0][0], err)
	}
	return m, nil
}

// frameAt finds the frame that begins at offset.
func (x *Reader) frameAt(offset int64) (int, bool) {
	return slices.BinarySearch(x.offsets, offset)
}
