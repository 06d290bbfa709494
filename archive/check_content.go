package archive

import (
	"errors"
	"fmt"
	"reflect"
)

// blockHasher makes the digest of one block of rows. One of a stream is made by newBlockHasher.
type blockHasher struct {
	form   Form
	floats string
	row    RowHasher // of a block of several parts
	digest Digest
	ended  bool
}

func newBlockHasher(s *StreamInfo) blockHasher {
	return blockHasher{form: s.Form, floats: s.Floats, row: NewRowHasher(s.Floats)}
}

// add takes the next raw bytes; several says that the block has more than one part, which makes it one row.
func (h *blockHasher) add(part []byte, several bool) error {
	switch {
	case several:
		if h.ended { // the LF before was none of the row's end
			_, _ = h.row.Write([]byte{'\n'})
		}
		h.ended = len(part) > 0 && part[len(part)-1] == '\n'
		if h.ended {
			part = part[:len(part)-1]
		}
		_, err := h.row.Write(part)
		return err
	case h.form == FormCSV:
		return h.digest.AddCSV(part)
	}
	return h.digest.AddRowsCanonical(h.floats, part)
}

func (h *blockHasher) finish(several bool) error {
	if !several {
		return nil
	}
	if !h.ended {
		return errNoLF
	}
	h.row.Done(&h.digest)
	return nil
}

// frameHeader compares the header of frame i with the index.
func (k *indexedCheck) frameHeader(i int) error {
	var b [frameHeaderLen]byte
	if err := readAt(k.v.r, b[:], k.v.offsets[i]); err != nil {
		return err
	}
	k.count(frameHeaderLen)
	h, err := parseFrameHeader(b[:])
	want := k.v.frames.at(i).header(k.v.header.ID.tag())
	want.payloadCRC = h.payloadCRC
	if err == nil && h != want {
		err = errors.New("the frame is another one than the index names")
	}
	return k.v.damage(i, err)
}

// content compares what a frame without rows says with what the index says.
func (k *indexedCheck) content(r *frameRecord, raw []byte) error {
	switch r.typ {
	case FrameStream:
		info, err := parseStreamInfo(string(raw))
		want := k.v.streams[r.stream-1].StreamInfo
		info.Entry = want.Entry // bound later, in the index alone
		if err == nil && !reflect.DeepEqual(info, want) {
			err = errors.New("it describes another stream than the index")
		}
		return err
	case FrameStreamEnd:
		end, err := parseStreamEnd(raw)
		s := &k.v.streams[r.stream-1]
		if err == nil && (end.digest != s.Digest || int64(end.blocks) != int64(s.Blocks)) {
			err = errors.New("it has another digest than the index")
		}
		return err
	}
	return nil
}

// compareDigests compares what the blocks of each stream add up to with its digest.
func (k *indexedCheck) compareDigests() {
	for i := range k.v.streams {
		s := &k.v.streams[i]
		if !k.damaged[i] && k.digests[i] != s.Digest {
			k.add(Finding{
				Class: ClassDigest, Offset: int64(k.v.trailer.indexOffset), Stream: s.ID, Schema: s.Schema, Table: s.Table, Block: -1,
				Message: fmt.Sprintf("the rows of stream %d have the digest %s, the index says %s", s.ID, k.digests[i], s.Digest),
			})
		}
	}
}

// documents reads what documents there are, compares their copies, and looks up the entries of all streams.
func (k *indexedCheck) documents() error {
	v := k.v
	if v.header.Member.isMember() {
		return nil
	}
	if _, err := v.readMoment(); err != nil {
		if err := k.document(FrameMoment, err); err != nil {
			return err
		}
	}
	var list *VolumeList
	if v.header.Member.isLead() {
		var err error
		if list, err = v.readVolumes(); err != nil {
			if err := k.document(FrameVolumes, err); err != nil {
				return err
			}
		}
	}
	if v.header.Cluster {
		if _, err := v.readDatabases(); err != nil {
			if err := k.document(FrameDatabases, err); err != nil {
				return err
			}
		}
	}
	cat, err := v.readCatalog()
	if err != nil {
		return k.document(FrameCatalog, err)
	}
	for _, t := range v.documents() {
		a, b := v.docs[t][0], v.docs[t][1]
		same := len(a) == len(b)
		for i := 0; same && i < len(a); i++ {
			same = v.frames.at(a[i]).sha == v.frames.at(b[i]).sha
		}
		if !same {
			k.add(Finding{Class: ClassCatalog, Offset: v.offsets[b[0]], Block: -1, Message: fmt.Sprintf("the two copies of the %s differ", t)})
		}
	}
	ids := make(map[int32]bool, len(cat.Entries))
	for i := range cat.Entries {
		ids[cat.Entries[i].ID] = true
	}
	k.entries(ids)
	if list != nil {
		k.bindings(list, ids)
	}
	return nil
}

// entries reports streams whose entries the catalog doesn't have.
func (k *indexedCheck) entries(ids map[int32]bool) {
	v := k.v
	for i := range v.streams {
		if s := &v.streams[i]; s.Entry != 0 && !ids[s.Entry] {
			k.add(Finding{
				Class: ClassCatalog, Offset: int64(v.trailer.indexOffset), Stream: s.ID, Schema: s.Schema, Table: s.Table, Block: -1,
				Message: fmt.Sprintf("stream %d belongs to entry %d, which the catalog does not have", s.ID, s.Entry),
			})
		}
	}
}

// bindings reports tables of a set whose entries the catalog doesn't have.
func (k *indexedCheck) bindings(l *VolumeList, ids map[int32]bool) {
	at := k.v.offsets[k.v.docs[FrameVolumes][0][0]]
	for _, b := range l.Bindings {
		if b.Entry != 0 && !ids[b.Entry] {
			k.add(Finding{Class: ClassCatalog, Offset: at, Block: -1, Message: fmt.Sprintf("table %d is bound to entry %d, which the catalog does not have", b.OID, b.Entry)})
		}
	}
}

// document reports that a document can't be read from either copy.
func (k *indexedCheck) document(t FrameType, err error) error {
	var e *DamageError
	if !errors.As(err, &e) {
		return err
	}
	k.add(Finding{Class: ClassCatalog, Offset: e.Offset, Block: -1, Message: fmt.Sprintf("the %s can't be read from either copy: %v", t, e.Message)})
	return nil
}
