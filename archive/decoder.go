package archive

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
)

// Decoder reads blocks, reusing its memory: two frames, of at most MaxFrameRaw bytes each. One goroutine at a time.
type Decoder struct {
	x *Reader
	frameDecoder
}

// frameDecoder reads the frames of any volume.
type frameDecoder struct {
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
	v, id := d.x.streamVolume(b.Stream)
	return d.block(v, id, b.Seq, yield)
}

// block is Block for the stream that has number id in v.
func (d *frameDecoder) block(v *volume, id StreamID, seq uint32, yield func(part []byte) error) error {
	frames := v.blockFrames(id, seq)
	if frames == nil {
		return fmt.Errorf("stream %d has no block %d", id+v.base, seq)
	}
	form := v.streams[id-1].Form
	for _, i := range frames {
		raw, err := d.frame(v, int(i))
		if err != nil {
			return err
		}
		if err := checkRows(form, v.frames.at(int(i)), raw); err != nil {
			return v.damage(int(i), err)
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
	v := d.x.volumeNumber(f.Volume)
	if v == nil {
		return nil, fmt.Errorf("volume %d is not open", f.Volume)
	}
	i, ok := v.frameAt(f.Offset)
	if !ok {
		return nil, fmt.Errorf("no frame begins at byte %d", f.Offset)
	}
	return d.frame(v, i)
}

// frame reads frame i and checks it against the index.
func (d *frameDecoder) frame(v *volume, i int) ([]byte, error) {
	h, err := v.load(i, &d.stored)
	if err != nil {
		return nil, err
	}
	payload := d.stored[frameHeaderLen:]
	if h.flags&flagOptional != 0 && h.typ > FrameVolumes {
		return payload, nil // of a later version: there is no telling what it holds
	}
	raw, err := d.unpack.unpack(&h, payload)
	return raw, v.damage(i, err)
}

// load reads frame i as it is stored into buf, header and payload, and checks it against the index.
func (v *volume) load(i int, buf *[]byte) (frameHeader, error) {
	r := v.frames.at(i)
	*buf = grow(*buf, frameHeaderLen+int(r.stored))
	if err := readAt(v.r, *buf, v.offsets[i]); err != nil {
		return frameHeader{}, v.damage(i, err)
	}
	h, err := parseFrameHeader(*buf)
	want := r.header(v.header.ID.tag())
	want.payloadCRC = h.payloadCRC
	payload := (*buf)[frameHeaderLen:]
	switch {
	case err != nil:
	case h != want:
		err = errors.New("the frame is another one than the index names")
	case checksum(payload) != h.payloadCRC:
		err = errPayloadCRC
	case sha256.Sum256(payload) != r.sha:
		err = errors.New("SHA-256 of the frame's bytes does not match the index")
	}
	return h, v.damage(i, err)
}

// readDocument puts a document together, each part from the copy that is sound.
func (v *volume) readDocument(t FrameType, limit int) (string, error) {
	if v.header.Member.isMember() {
		return "", v.locate(v.memberError())
	}
	var d frameDecoder
	copies := v.docs[t]
	total := 0
	for _, i := range copies[0] {
		total += int(v.frames.at(i).raw)
	}
	if total > limit {
		return "", damagef(v.offsets[copies[0][0]], "the %s has %d bytes, the limit is %d", t, total, limit)
	}
	var doc strings.Builder
	for n, i := range copies[0] {
		raw, err := d.frame(v, i)
		if err != nil && n < len(copies[1]) {
			var err2 error
			if raw, err2 = d.frame(v, copies[1][n]); err2 == nil {
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

// parseDocument reads a document and parses it.
func parseDocument[T any](v *volume, t FrameType, limit int, parse func(string) (T, error)) (T, error) {
	var none T
	doc, err := v.readDocument(t, limit)
	if err != nil {
		return none, err
	}
	x, err := parse(doc)
	if err != nil {
		return none, v.damage(v.docs[t][0][0], err)
	}
	return x, nil
}

func (v *volume) readCatalog() (*Catalog, error) {
	return parseDocument(v, FrameCatalog, maxCatalog, parseCatalog)
}

func (v *volume) readMoment() (*Moment, error) {
	return parseDocument(v, FrameMoment, maxMoment, parseMoment)
}

func (v *volume) readDatabases() ([]ClusterDatabase, error) {
	list, err := parseDocument(v, FrameDatabases, maxDatabases, parseDatabases)
	if err == nil {
		err = v.damage(v.docs[FrameDatabases][0][0], placed(list, v.nested))
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (v *volume) readVolumes() (*VolumeList, error) {
	l, err := parseDocument(v, FrameVolumes, maxVolumes, parseVolumes)
	if err == nil && l.Set != v.header.Member.Set {
		err = v.damage(v.docs[FrameVolumes][0][0], errors.New("it is of another set than the volume"))
	}
	return l, err
}
