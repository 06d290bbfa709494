package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"sort"
	"sync"
)

// Reader reads a finished archive at random, of one volume or of a set. Its methods may be called from several
// goroutines at once.
//
// Memory: about 80 bytes for each frame and 500 for each stream; the catalog from the first call of Catalog on.
type Reader struct {
	lead    *volume   // has the documents
	volumes []*volume // that are open, by number; the lead is the first
	streams []Stream  // of all volumes
	entries map[int32][]Stream
	list    *VolumeList      // nil for one volume
	bound   map[uint32]int32 // entries by OID
	status  []VolumeStatus

	catalog func() (*Catalog, error)
	moment  func() (*Moment, error)
}

// NewReader opens the archive of size bytes in r: it reads the trailer, the header and the index, and checks that
// they belong together. The archive's root covers what it has read. Errors are or wrap [ErrNotArchive],
// [ErrVersion], [ErrTruncated] or [ErrDamaged], the last two mostly in a [DamageError]; a volume of a set is refused
// with [ErrMember], a lead volume with [ErrVolume]: see [NewSetReader]; and a cluster volume with a [ClusterError], which has
// the list of its databases: see [NewCluster].
func NewReader(r io.ReaderAt, size int64) (*Reader, error) {
	v, err := openVolume(r, size, "")
	if err != nil {
		return nil, err
	}
	return newReader(v, nil, false)
}

// newReader makes a reader of a volume, and of the others of its set where it leads one. What find returns for a volume
// is checked already.
func newReader(lead *volume, find func(*Volume) (*volume, error), partial bool) (*Reader, error) {
	if lead.header.Member.isMember() {
		return nil, lead.locate(lead.memberError())
	}
	if lead.header.Cluster {
		return nil, lead.locate(lead.clusterError())
	}
	x := lead.reader()
	if lead.header.Member.isLead() {
		if err := x.openSet(find, partial); err != nil {
			return nil, err
		}
	}
	x.join()
	return x, nil
}

// reader is one of v alone, whatever kind of volume it is. join comes next.
func (v *volume) reader() *Reader {
	x := &Reader{lead: v, volumes: []*volume{v}}
	x.catalog = sync.OnceValues(x.lead.readCatalog)
	x.moment = sync.OnceValues(x.lead.readMoment)
	return x
}

// memberError refuses to take v for an archive.
func (v *volume) memberError() error {
	lead := "of its set"
	if name := v.header.Member.Lead; name != "" {
		lead = printable(name)
	}
	return fmt.Errorf("%w: this is volume %d, which has rows and no catalog; open the lead volume %s", ErrMember, v.number(), lead)
}

// join numbers the streams of all volumes, and gives them their entries.
func (x *Reader) join() {
	if len(x.volumes) == 1 {
		x.streams = x.lead.streams
	} else {
		for _, v := range x.volumes {
			v.base = StreamID(len(x.streams))
			for _, s := range v.streams {
				s.ID += v.base
				if s.Entry == 0 {
					s.Entry = x.bound[s.OID]
				}
				x.streams = append(x.streams, s)
			}
		}
	}
	x.entries = make(map[int32][]Stream)
	for _, s := range x.streams {
		x.entries[s.Entry] = append(x.entries[s.Entry], s)
	}
}

// openFile opens a regular file.
func openFile(path string) (*os.File, int64, error) {
	info, err := os.Stat(path) // before it is opened: that of a pipe would wait
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s: an archive is read at random, so it must be a regular file; save the stream to one first", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	if info, err = f.Stat(); err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// Header returns what the volume says of itself, of a set the lead volume.
func (x *Reader) Header() Header { return x.lead.header }

// Root is the digest of everything in the archive: of a set that of the lead volume, which covers those of the others.
func (x *Reader) Root() [32]byte { return x.lead.trailer.root }

// Size is the length of the volume in bytes, of a set that of all volumes that are open.
func (x *Reader) Size() int64 {
	n := int64(0)
	for _, v := range x.volumes {
		n += v.size
	}
	return n
}

// Catalog reads the catalog, the first time. The caller must not change it.
func (x *Reader) Catalog() (*Catalog, error) { return x.catalog() }

// Moment reads the moment, the first time. The caller must not change it.
func (x *Reader) Moment() (*Moment, error) { return x.moment() }

// Streams returns all streams in the order of their IDs, from 1. The caller must not change them. The IDs of a set are
// the reader's own, in the order of the volumes; in each volume they begin with 1.
func (x *Reader) Streams() []Stream { return x.streams }

// TableStreams returns the streams of one catalog entry, in the order of their IDs. The caller must not change them.
func (x *Reader) TableStreams(entry int32) []Stream { return x.entries[entry] }

// FrameInfo is one frame as the index has it.
type FrameInfo struct {
	Volume uint32 // number of the volume in its set
	Offset int64  // in the volume
	Type   FrameType
	Codec  Codec
	More   bool // the block goes on in the next part
	Stream StreamID
	Block  uint32
	Part   uint32
	Rows   uint32
	Raw    uint32
	Stored uint32   // bytes of the payload; the frame takes 48 more
	SHA256 [32]byte // of the payload
}

// Frames yields every frame that the indexes name, in the order of the volumes and in them of the file: all but those of
// the indexes themselves.
func (x *Reader) Frames() iter.Seq[FrameInfo] {
	return func(yield func(FrameInfo) bool) {
		for _, v := range x.volumes {
			for f := range v.allFrames() {
				if !yield(f) {
					return
				}
			}
		}
	}
}

// Block is one block of a stream.
type Block struct {
	Volume uint32 // number of the volume in its set
	Stream StreamID
	Seq    uint32 // number in the stream
	Rows   uint32
	Raw    uint64
	Stored uint64 // with frame headers
	Offset int64  // of its first frame, in the volume
	Codec  Codec  // of its first frame
	Parts  int
	Floats string // of its stream, see [StreamInfo]
}

// Blocks yields the blocks of a stream in order; none for a stream that there isn't.
func (x *Reader) Blocks(id StreamID) iter.Seq[Block] {
	v, local := x.streamVolume(id)
	return v.streamBlocks(local)
}

// streamVolume returns the volume that has a stream, and the stream's number there; of one that there isn't, 0.
func (x *Reader) streamVolume(id StreamID) (*volume, StreamID) {
	if id == 0 || int64(id) > int64(len(x.streams)) {
		return x.lead, 0
	}
	i := sort.Search(len(x.volumes), func(i int) bool { return x.volumes[i].base >= id })
	v := x.volumes[i-1]
	return v, id - v.base
}

// volumeNumber returns an open volume, nil if there is none of that number.
func (x *Reader) volumeNumber(n uint32) *volume {
	i, ok := slices.BinarySearchFunc(x.volumes, n, func(v *volume, n uint32) int { return cmp.Compare(v.number(), n) })
	if !ok {
		return nil
	}
	return x.volumes[i]
}
