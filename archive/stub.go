package archive

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

var errStub = errors.New("not there yet")

type Codec uint8

const (
	CodecNone Codec = 0
	CodecZstd Codec = 1
	CodecLZ4  Codec = 2
	CodecXZ   Codec = 3
	CodecGzip Codec = 4
)

func ParseCodec(s string) (Codec, int, error) { return 0, 0, errStub }
func (c Codec) String() string                { return "" }
func CodecBackends() []string                 { return nil }

func (d *Digest) Add(row []byte)           {}
func (d *Digest) AddRows(raw []byte) error { return errStub }
func (d *Digest) Merge(o Digest)           {}
func (d Digest) String() string            { return "" }
func ParseDigest(string) (Digest, error)   { return Digest{}, errStub }

type RowHasher struct{}

func (h *RowHasher) Write(p []byte) (int, error) { return 0, errStub }

// Done adds the row to d and resets. The row's ending LF must not have been written.
func (h *RowHasher) Done(d *Digest) {}

// DoneBinary is for FormBinary: the whole stream is one value; Rows += 0, Bytes += length, sum += hash.
func (h *RowHasher) DoneBinary(d *Digest) {}

const (
	FrameTarget = 4 << 20
	MaxFrameRaw = 16 << 20
)

type WriterOptions struct {
	Codec    Codec
	Level    int
	Created  time.Time
	Database string
	Tool     string
}

type Writer struct{}

type Summary struct {
	Root           [32]byte
	Bytes          uint64
	Streams        int
	Blocks         int
	Rows, RawBytes uint64
}

func NewWriter(w io.Writer, o WriterOptions) (*Writer, error)  { return nil, errStub }
func (w *Writer) OpenStream(info StreamInfo) (StreamID, error) { return 0, errStub }
func (w *Writer) Append(f *Frame) error                        { return errStub }
func (w *Writer) CloseStream(id StreamID, total Digest) error  { return errStub }
func (w *Writer) SetCatalog(c *Catalog) error                  { return errStub }
func (w *Writer) SetMoment(m *Moment) error                    { return errStub }
func (w *Writer) BindStream(id StreamID, entry int32) error    { return errStub }
func (w *Writer) Close() (Summary, error)                      { return Summary{}, errStub }
func (w *Writer) Abort()                                       {}

type Raw struct {
	Stream StreamID
	Block  uint32
	Part   uint32
	More   bool
	Data   []byte
	Rows   uint32
	Digest *Digest
}
type Frame struct{}

func (f *Frame) Rows() uint32 { return 0 }

type Encoder struct{}

func NewEncoder(c Codec, level int) (*Encoder, error) { return nil, errStub }
func (e *Encoder) Encode(f *Frame, b Raw) error       { return errStub }
func (e *Encoder) Close()                             {}

type Header struct {
	Major, Minor uint16
	VolumeID     [16]byte
	Created      time.Time
	Database     string
	Tool         string
	Codec        Codec
	Level        int
}

type FrameType uint8

// FrameInfo is one frame as the index has it.
type FrameInfo struct {
	Offset int64
	Type   FrameType
	Codec  Codec
	More   bool
	Stream StreamID
	Block  uint32
	Part   uint32
	Rows   uint32
	Raw    uint32
	Stored uint32 // payload bytes
	SHA256 [32]byte
}

// Block is one block of a stream.
type Block struct {
	Stream StreamID
	Seq    uint32
	Rows   uint32
	Raw    uint64
	Stored uint64 // frame headers included
	Offset int64  // of its first frame
	Codec  Codec
	Parts  int
}

type Reader struct{}

type File struct {
	*Reader
}

func (f *File) Close() error { return nil }

func NewReader(r io.ReaderAt, size int64) (*Reader, error) { return nil, errStub }
func Open(path string) (*File, error)                      { return nil, errStub }
func (r *Reader) Header() Header                           { return Header{} }
func (r *Reader) Moment() (*Moment, error)                 { return nil, errStub }
func (r *Reader) Catalog() (*Catalog, error)               { return nil, errStub }
func (r *Reader) Streams() []Stream                        { return nil }
func (r *Reader) TableStreams(entry int32) []Stream        { return nil }
func (r *Reader) Blocks(id StreamID) iter.Seq[Block]       { return nil }
func (r *Reader) Frames() iter.Seq[FrameInfo]              { return nil }
func (r *Reader) Root() [32]byte                           { return [32]byte{} }
func (r *Reader) Size() int64                              { return 0 }
func (r *Reader) NewDecoder() *Decoder                     { return nil }

type Decoder struct{}

func (d *Decoder) Block(b Block, yield func(part []byte) error) error { return errStub }
func (d *Decoder) Close()                                             {}

var (
	ErrDamaged    = errors.New("damaged")
	ErrTruncated  = errors.New("truncated")
	ErrNotArchive = errors.New("not a pgark archive")
	ErrVersion    = errors.New("made by a newer version")
)

type DamageError struct {
	Volume        string
	Offset        int64
	Stream        StreamID
	Schema, Table string
	Block         uint32
	HasBlock      bool
	Message       string
	Err           error
}

func (e *DamageError) Error() string { return e.Message }
func (e *DamageError) Unwrap() error { return e.Err }

type CheckOptions struct {
	Jobs  int
	Quick bool
}

// Finding is one thing that is wrong with an archive.
type Finding struct {
	Class         string // damage, truncated, index, digest, ...
	Offset        int64
	Stream        StreamID
	Schema, Table string
	Block         int64 // -1 where it concerns no block
	Message       string
}
type CheckResult struct {
	Tables   int
	Streams  int
	Blocks   int
	Rows     uint64
	RawBytes uint64
	Bytes    uint64 // of the volume that were read
	Findings []Finding
}

func Check(ctx context.Context, r io.ReaderAt, size int64, o CheckOptions) (*CheckResult, error) {
	return nil, errStub
}

type SalvageOptions struct {
	Tool    string
	Created time.Time
}
type SalvageReport struct {
	Blocks, Rows, RawBytes uint64 // kept
	Tables                 []SalvagedTable
	Losses                 []Loss
	Notes                  []string // a catalog that is missing, and such
	Summary                Summary
}

// SalvagedTable is what was kept and lost of one table.
type SalvagedTable struct {
	Schema, Table string
	Blocks, Rows  uint64 // kept
	LostBlocks    uint64 // known to be lost
	LostRows      uint64
	Complete      bool // nothing is missing
}

func Salvage(ctx context.Context, r io.ReaderAt, size int64, out io.Writer, o SalvageOptions) (*SalvageReport, error) {
	return nil, errStub
}
