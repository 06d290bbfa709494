package archive

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"
)

// WriterOptions describe a new archive. The zero value is good, if bare.
type WriterOptions struct {
	Codec    Codec
	Level    int       // 0 for the codec's default
	Created  time.Time // kept in microseconds; the zero time is left out
	Database string
	Tool     string   // name and version of the program
	Salvaged VolumeID // of the volume that this is salvaged from
	Member   Member   // which volume of which set this is; zero for an archive of one volume
}

// Summary is what a finished volume comes to.
type Summary struct {
	ID       VolumeID
	Root     [32]byte
	Bytes    uint64 // length of the volume
	Streams  int
	Blocks   int
	Rows     uint64
	RawBytes uint64 // of all rows
	Volume   Volume // of a member: what its lead volume has to be told, all but Node, Host and Path
}

// Writer writes one volume, front to back: an archive, or a volume of a set. Its methods may be called from several
// goroutines at once.
//
// A set is written so. Whoever leads makes an id with [NewSetID] and tells it, with a number from 1 for each, to those
// who write. Each of them makes a Writer with WriterOptions.Member, opens streams with OID and node but mostly without
// an entry, appends, closes them, and closes the Writer, without catalog and moment. It sends Summary.Volume, with Node,
// Host and Path, to the lead ([Volume.MarshalBinary]). When all have done so, the lead's Writer, of number 0,
// gets catalog, moment and, by [Writer.SetVolumes], the list of volumes and the entries of their tables; it has no
// streams. So the lead volume is complete last, and its root covers all roots.
//
// The first error stays: every later call returns it and writes nothing. What was written up to then can be
// salvaged. Memory: about 70 bytes for each frame, 500 for each stream, and the catalog until Close.
type Writer struct {
	mu      sync.Mutex
	w       io.Writer
	err     error // sticky
	closed  bool
	enc     *Encoder // for catalog, moment and index
	plain   *Encoder // for what is never compressed
	frame   Frame    // reused for all but blocks
	id      VolumeID
	offset  uint64
	root    hash.Hash // of the header frame and the index
	index   frameList
	streams []writerStream
	member  Member
	minor   uint16   // version of the format
	cluster *cluster // of a cluster volume
	catalog [][]byte // raw parts, until the second copy is written
	moment  [][]byte
	volumes [][]byte
	sum     Summary
}

// NewWriter writes the volume's header to w. It neither closes nor syncs w, ever.
func NewWriter(w io.Writer, o WriterOptions) (*Writer, error) { return newWriter(w, o, nil) }

func newWriter(w io.Writer, o WriterOptions, c *cluster) (*Writer, error) {
	if err := o.Member.check(); err != nil {
		return nil, err
	}
	enc, err := NewEncoder(o.Codec, o.Level)
	if err != nil {
		return nil, err
	}
	h := Header{
		Major: FormatMajor, Minor: FormatMinor, Created: o.Created, Database: o.Database, Tool: o.Tool,
		Codec: o.Codec, Level: o.Level, Salvaged: o.Salvaged, Member: o.Member,
	}
	if c != nil {
		h.Cluster, h.Minor = true, FormatMinorCluster
	}
	payload := appendHeader(nil, &h)
	if len(payload) > maxHeader {
		return nil, fmt.Errorf("the archive's header would take %d bytes, the limit is %d", len(payload), maxHeader)
	}
	x := &Writer{
		w: w, enc: enc, plain: &Encoder{}, id: h.ID, member: o.Member, minor: h.Minor, cluster: c, root: sha256.New(), sum: Summary{ID: h.ID},
	}
	if err := x.writeFrame(x.plain, frameHeader{typ: FrameHeader}, payload); err != nil {
		return nil, err
	}
	_, _ = x.root.Write(x.frame.buf)
	return x, nil
}

// fail makes err sticky. x.mu is held.
func (x *Writer) fail(err error) error {
	if x.err == nil {
		x.err = err
	}
	return x.err
}

// begin locks x for a call and returns the sticky error. The caller unlocks.
func (x *Writer) begin() error {
	x.mu.Lock()
	if x.err == nil && x.closed {
		return errors.New("the archive is closed already")
	}
	return x.err
}

// write sends bytes below and counts them. x.mu is held.
func (x *Writer) write(b []byte) error {
	n, err := x.w.Write(b)
	x.offset += uint64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return x.fail(fmt.Errorf("write archive at byte %d: %w", x.offset, err))
	}
	return nil
}

// writeFrame encodes data and writes it as a frame. x.mu is held.
func (x *Writer) writeFrame(e *Encoder, h frameHeader, data []byte) error {
	if err := e.encode(&x.frame, h, data); err != nil {
		return x.fail(err)
	}
	return x.put(&x.frame)
}

// put stamps, writes and records an encoded frame. x.mu is held.
func (x *Writer) put(f *Frame) error {
	f.hdr.tag = x.id.tag()
	f.hdr.put(f.buf)
	if err := x.write(f.buf); err != nil {
		return err
	}
	if f.hdr.typ != FrameIndex {
		x.index.add(recordOf(&f.hdr, f.sha))
	}
	return nil
}

// SetCatalog writes the catalog, once, as early as it is known; Close writes it a second time. c is not kept.
func (x *Writer) SetCatalog(c *Catalog) error {
	return x.setDocument(FrameCatalog, appendCatalog(nil, c), maxCatalog, &x.catalog)
}

// SetMoment writes the moment, once, as early as it is known; Close writes it a second time. m is not kept.
func (x *Writer) SetMoment(m *Moment) error {
	return x.setDocument(FrameMoment, appendMoment(nil, m), maxMoment, &x.moment)
}

func (x *Writer) setDocument(t FrameType, doc []byte, limit int, keep *[][]byte) error {
	err := x.begin()
	defer x.mu.Unlock()
	switch {
	case err != nil:
		return err
	case x.cluster.isOpen():
		return x.fail(errOpenDatabase)
	case x.member.isMember():
		return x.fail(fmt.Errorf("volume %d of a set has no %s: the lead volume has it", x.member.Number, t))
	case *keep != nil:
		return x.fail(fmt.Errorf("the archive has a %s already", t))
	case len(doc) > limit:
		return x.fail(fmt.Errorf("the %s takes %d bytes, the limit is %d", t, len(doc), limit))
	}
	*keep = cut(doc)
	return x.writeDocument(t, 0, *keep)
}

// cut divides a document into parts of at most FrameTarget bytes, at least one.
func cut(doc []byte) [][]byte {
	parts := [][]byte{}
	for len(doc) > FrameTarget {
		parts = append(parts, doc[:FrameTarget])
		doc = doc[FrameTarget:]
	}
	return append(parts, doc)
}

func (x *Writer) writeDocument(t FrameType, dup uint32, parts [][]byte) error {
	for i, p := range parts {
		h := frameHeader{typ: t, block: dup, part: uint32(i)}
		if i < len(parts)-1 {
			h.flags = flagMore
		}
		if err := x.writeFrame(x.enc, h, p); err != nil {
			return err
		}
	}
	return nil
}

// Close writes the second copies of the documents, the index and the trailer. It fails where a stream is
// still open, or moment, catalog or, of a lead volume, the list of volumes were never set. Members have none of these.
// It does not close what lies below.
func (x *Writer) Close() (Summary, error) {
	err := x.begin()
	defer x.mu.Unlock()
	if err != nil {
		return Summary{}, err
	}
	if err := x.complete(); err != nil {
		return Summary{}, x.fail(err)
	}
	for _, d := range []struct {
		typ   FrameType
		parts [][]byte
	}{{FrameMoment, x.moment}, {FrameCatalog, x.catalog}, {FrameVolumes, x.volumes}, {FrameDatabases, x.cluster.document()}} {
		if d.parts == nil {
			continue
		}
		if err := x.writeDocument(d.typ, 1, d.parts); err != nil {
			return Summary{}, err
		}
	}
	if err := x.writeIndex(); err != nil {
		return Summary{}, err
	}
	x.sum.Bytes = x.offset
	if x.member.isMember() {
		x.sum.Volume = x.describe()
	}
	x.release()
	return x.sum, nil
}

// complete says why the archive can't be finished.
func (x *Writer) complete() error {
	for i := range x.streams {
		if s := &x.streams[i]; !s.closed {
			return fmt.Errorf("stream %d of %s is still open", i+1, tableName(s.info.Schema, s.info.Table))
		}
	}
	switch {
	case x.member.isMember():
	case x.cluster.isOpen():
		return errOpenDatabase
	case x.moment == nil || x.catalog == nil:
		return errors.New("the archive has no moment or no catalog yet")
	case x.member.isLead() && x.volumes == nil:
		return errors.New("the lead volume has no list of volumes yet")
	}
	return nil
}

// writeIndex writes the index frames and the trailer, which complete the volume.
func (x *Writer) writeIndex() error {
	t := trailer{id: x.id, indexOffset: x.offset, major: FormatMajor, minor: x.minor}
	part := uint32(0)
	buf := make([]byte, 0, 64<<10)
	flush := func(flags uint8) error {
		err := x.writeFrame(x.enc, frameHeader{typ: FrameIndex, flags: flags, part: part}, buf)
		_, _ = x.root.Write(x.frame.buf)
		part++
		buf = buf[:0]
		return err
	}
	var rec []byte
	for i := range x.index.n + len(x.streams) {
		if i < x.index.n {
			rec = appendFrameRecord(x.cluster.records(rec[:0], i), x.index.at(i))
		} else {
			rec = appendStreamRecord(rec[:0], x.streams[i-x.index.n].record(i-x.index.n))
		}
		if len(buf)+len(rec) > FrameTarget {
			if err := flush(flagMore); err != nil {
				return err
			}
		}
		buf = append(buf, rec...)
	}
	if err := flush(0); err != nil {
		return err
	}
	t.indexLen = x.offset - t.indexOffset
	t.volumeLen = x.offset + trailerLen
	copy(t.root[:], x.root.Sum(nil))
	x.sum.Root = t.root
	return x.write(t.append(nil))
}

// Abort releases the writer's memory and ends it. Nothing is written; what was written stays as it is.
func (x *Writer) Abort() {
	x.mu.Lock()
	defer x.mu.Unlock()
	_ = x.fail(errors.New("writing the archive was given up"))
	x.release()
}

func (x *Writer) release() {
	x.closed = true
	x.enc.Close()
	x.index, x.streams, x.catalog, x.moment, x.volumes, x.frame = frameList{}, nil, nil, nil, nil, Frame{}
}
