package verify

import (
	"log/slog"

	"github.com/pgark/pgark/archive"
)

// The classes of findings that this package makes. The others of [Archive] are package archive's.
const (
	ClassNotArchive = "not-archive" // the file has no trace of an archive
	ClassDamaged    = "damaged"     // a dump of another program: its structure, or rows that can't be read or can't be right
	ClassMore       = "more"        // there are more findings than are listed

	ClassMissingDatabase = "missing-database" // the server has no database of that name
	ClassMissingTable    = "missing-table"    // the database has no such table
	ClassMissingColumn   = "missing-column"   // the table lacks a column that the archive has
	ClassDiffers         = "differs"          // other rows
	ClassUnreadable      = "unreadable"       // the server refused to give the rows, or a dump of another program holds them in a form that is not read
	ClassIncomparable    = "incomparable"     // the archive holds the rows in a form that can't be compared with what the server prints
)

// Report is the outcome of a check. Its JSON form is part of the command line's contract.
type Report struct {
	OK       bool      `json:"ok"`     // nothing was found
	Tables   int       `json:"tables"` // looked at
	Rows     uint64    `json:"rows"`   // read
	Blocks   int       `json:"blocks"` // read from the archive
	Bytes    uint64    `json:"bytes"`  // of the archive that were read; of rows for a database
	Findings []Finding `json:"findings"`
}

// Finding is one thing that is wrong.
type Finding struct {
	Class string `json:"class"`
	// Database is what database of an archive of several it concerns; empty for what they share, and in any other archive.
	Database string `json:"database,omitempty"`

	Volume  string `json:"volume"` // file name of the archive, path of another volume of its set, empty for a finding in a database
	Offset  int64  `json:"offset"` // in the volume, -1 where it concerns no place
	Table   string `json:"table"`  // schema.table, quoted where needed, empty where it concerns no table
	Block   int64  `json:"block"`  // of the table's stream, -1 where it concerns no block
	Message string `json:"message"`
}

// newReport returns an empty report, whose findings are an empty JSON array and not null.
func newReport() *Report { return &Report{Findings: []Finding{}} }

func (r *Report) add(f Finding) { r.Findings = append(r.Findings, f) }

// Merge joins the findings of another check of the same archive, for example [Database] after [Archive]. The counts stay
// those of r.
func (r *Report) Merge(o *Report) {
	r.Findings = append(r.Findings, o.Findings...)
	r.OK = len(r.Findings) == 0
}

// Progress is told how a comparison gets on. Several goroutines call it at once; it must return at once.
type Progress interface {
	// Plan says how much there is to read: tables, and their bytes as COPY text.
	Plan(tables int, bytes uint64)
	// Advance says that rows and bytes have been read since the last call.
	Advance(rows, bytes uint64)
}

type silent struct{}

func (silent) Plan(int, uint64)       {}
func (silent) Advance(uint64, uint64) {}

// Options are what a check may be told. The zero value is the default.
type Options struct {
	Volume string // the archive's name in findings
	Jobs   int    // sessions, or goroutines that decompress; 0 means 1
	Quick  bool   // [Archive]: structure and index only, no blocks

	Members map[uint32]*archive.MemberCheck // [Files]: what checks of a set's volumes came to where they lie; nil looks for them here

	// Entries limits [Database] to tables whose TABLE DATA entries are listed. nil means all.
	Entries map[int32]bool

	Progress Progress
	Log      *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Jobs = max(o.Jobs, 1)
	if o.Progress == nil {
		o.Progress = silent{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}
