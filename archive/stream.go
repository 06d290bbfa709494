package archive

// StreamID numbers the streams of one archive from 1 in the order they were opened.
type StreamID uint32

// Form says how the rows of a stream are written.
type Form uint8

// The row forms.
const (
	FormText   Form = 1 // COPY text, rows end in LF
	FormCSV    Form = 2 // COPY CSV, of imported sets
	FormBinary Form = 3 // opaque bytes without rows: large objects
	// FormFloats is COPY text of a server that prints floats with more digits than they need (before PostgreSQL 12). The rows
	// are stored as they came; their digest is of the text with all floats in the shortest form that reads back, so it equals
	// the digest of the same rows from a later server.
	FormFloats Form = 4
)

// The marks of [StreamInfo.Floats].
const (
	FloatsNone    = '-' // no floats
	FloatsReal    = '4' // numbers are real
	FloatsDouble  = '8' // numbers are double precision
	FloatsUnknown = '?' // floats can't be told from other text (composite types), so a later server's text can't be compared
)

// StreamInfo describes a stream before its first block. It is written into the archive in front of
// the stream's blocks, so that salvage can name them without an index.
type StreamInfo struct {
	Entry   int32  // Entry.ID of its TABLE DATA or BLOBS entry, 0 where the catalog was not known yet
	OID     uint32 // of the table, or of the large object
	Node    uint32 // Node.ID
	Schema  string
	Table   string
	Columns []string // in the order of the rows' fields; empty for a table without columns
	Form    Form
	// Floats, with FormFloats, has a mark for each column, which says what numbers in it are, also inside arrays, ranges and
	// geometric types.
	Floats string
	Range  string // what part of the table on that node: "" for all, "ctid [0,4096)" otherwise; for people
}

// Stream is one stream of a finished archive, from its index.
type Stream struct {
	StreamInfo
	ID     StreamID
	Digest Digest // of all its rows
	Raw    uint64 // bytes of its rows; only of FormFloats another number than Digest.Bytes
	Stored uint64 // bytes that its blocks take in the volume, frame headers included
	Blocks int    // number of blocks
}
