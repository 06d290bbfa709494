package archive

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"sort"
	"sync"
)

// Reader reads a finished archive at random. Its methods may be called from several goroutines at once.
//
// Memory: about 80 bytes for each frame and 500 for each stream; the catalog from the first call of Catalog on.
type Reader struct {
	r       io.ReaderAt
	size    int64
	name    string // for messages
	header  Header
	trailer trailer
	frames  frameList
	offsets []int64 // of each frame
	streams []Stream
	entries map[int32][]Stream
	blocks  []uint32 // frames of blocks, by stream, block and part
	first   []int    // where each stream begins in blocks; one more than streams
	docs    map[FrameType][2][]int

	catalog func() (*Catalog, error)
	moment  func() (*Moment, error)
}

// NewReader opens the archive of size bytes in r: it reads the trailer, the header and the index, and checks that
// they belong together. The archive's root covers what it has read. Errors are or wrap [ErrNotArchive],
// [ErrVersion], [ErrTruncated] or [ErrDamaged], the last two mostly in a [DamageError].
func NewReader(r io.ReaderAt, size int64) (*Reader, error) { return newReader(r, size, "") }

func newReader(r io.ReaderAt, size int64, name string) (*Reader, error) {
	x := &Reader{r: r, size: size, name: name}
	if err := x.open(); err != nil {
		return nil, x.locate(err)
	}
	x.catalog = sync.OnceValues(x.readCatalog)
	x.moment = sync.OnceValues(x.readMoment)
	return x, nil
}

// File is an archive in a file.
type File struct {
	*Reader
	f *os.File
}

// Open opens the archive in the file at path, which must be a regular one.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := openFile(f, path)
	if err != nil {
		_ = f.Close() // it was only read
		return nil, err
	}
	return &File{Reader: r, f: f}, nil
}

func openFile(f *os.File, path string) (*Reader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: an archive is read at random, so it must be a regular file; save the stream to one first", path)
	}
	return newReader(f, info.Size(), path)
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// locate adds the name of the volume to err.
func (x *Reader) locate(err error) error {
	var d *DamageError
	switch {
	case err == nil || x.name == "":
	case errors.As(err, &d):
		d.Volume = x.name
	default:
		return fmt.Errorf("%s: %w", x.name, err)
	}
	return err
}

// Header returns what the volume says of itself.
func (x *Reader) Header() Header { return x.header }

// Root is the digest of everything in the archive.
func (x *Reader) Root() [32]byte { return x.trailer.root }

// Size is the length of the volume in bytes.
func (x *Reader) Size() int64 { return x.size }

// Catalog reads the catalog, the first time. The caller must not change it.
func (x *Reader) Catalog() (*Catalog, error) { return x.catalog() }

// Moment reads the moment, the first time. The caller must not change it.
func (x *Reader) Moment() (*Moment, error) { return x.moment() }

// Streams returns all streams in the order of their IDs, from 1. The caller must not change them.
func (x *Reader) Streams() []Stream { return x.streams }

// TableStreams returns the streams of one catalog entry, in the order of their IDs. The caller must not change them.
func (x *Reader) TableStreams(entry int32) []Stream { return x.entries[entry] }

// FrameInfo is one frame as the index has it.
type FrameInfo struct {
	Offset int64
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

// Frames yields every frame that the index names, in the order of the file: all but those of the index itself.
func (x *Reader) Frames() iter.Seq[FrameInfo] {
	return func(yield func(FrameInfo) bool) {
		for i := range x.frames.n {
			r := x.frames.at(i)
			f := FrameInfo{
				Offset: x.offsets[i], Type: r.typ, Codec: r.codec, More: r.more(), Stream: r.stream, Block: r.block,
				Part: r.part, Rows: r.rows, Raw: r.raw, Stored: r.stored, SHA256: r.sha,
			}
			if !yield(f) {
				return
			}
		}
	}
}

// Block is one block of a stream.
type Block struct {
	Stream StreamID
	Seq    uint32 // number in the stream
	Rows   uint32
	Raw    uint64
	Stored uint64 // with frame headers
	Offset int64  // of its first frame
	Codec  Codec  // of its first frame
	Parts  int
	Floats string // of its stream, see [StreamInfo]
}

// Blocks yields the blocks of a stream in order; none for a stream that there isn't.
func (x *Reader) Blocks(id StreamID) iter.Seq[Block] {
	return func(yield func(Block) bool) {
		all := x.streamFrames(id)
		for len(all) > 0 {
			n := x.parts(all)
			if !yield(x.block(all[:n])) {
				return
			}
			all = all[n:]
		}
	}
}

// streamFrames returns the block frames of a stream in order.
func (x *Reader) streamFrames(id StreamID) []uint32 {
	if id == 0 || int64(id) > int64(len(x.streams)) {
		return nil
	}
	return x.blocks[x.first[id-1]:x.first[id]]
}

// parts returns how many of all make up the first block.
func (x *Reader) parts(all []uint32) int {
	n := slices.IndexFunc(all, func(i uint32) bool { return !x.frames.at(int(i)).more() })
	return n + 1
}

func (x *Reader) block(parts []uint32) Block {
	first := x.frames.at(int(parts[0]))
	b := Block{
		Stream: first.stream, Seq: first.block, Offset: x.offsets[parts[0]], Codec: first.codec, Parts: len(parts),
		Floats: x.streams[first.stream-1].Floats,
	}
	for _, i := range parts {
		r := x.frames.at(int(i))
		b.Rows += r.rows
		b.Raw += uint64(r.raw)
		b.Stored += uint64(r.stored) + frameHeaderLen
	}
	return b
}

// blockFrames finds the frames of one block; nil if there is no such block.
func (x *Reader) blockFrames(id StreamID, seq uint32) []uint32 {
	all := x.streamFrames(id)
	i := sort.Search(len(all), func(i int) bool { return x.frames.at(int(all[i])).block >= seq })
	if i == len(all) || x.frames.at(int(all[i])).block != seq {
		return nil
	}
	return all[i : i+x.parts(all[i:])]
}
