package archive

import (
	"errors"
	"fmt"
	"strings"
)

// The classes of errors that reading an archive can end in; test with [errors.Is].
var (
	// ErrDamaged: bytes are not what was written.
	ErrDamaged = errors.New("archive is damaged")
	// ErrTruncated: the volume is shorter than it was written, or longer.
	ErrTruncated = errors.New("archive is not whole")
	// ErrNotArchive: this never was a pgark archive.
	ErrNotArchive = errors.New("not a pgark archive")
	// ErrVersion: the archive is sound and needs a newer pgark.
	ErrVersion = errors.New("archive needs a newer pgark")
	// ErrMember: this is one volume of a set, and its lead volume is what to open.
	ErrMember = errors.New("one volume of a set")
	// ErrVolume: a volume of a set is missing, or what is in its place is another one.
	ErrVolume = errors.New("a volume of the set is missing")
	// ErrCluster: this holds an archive for each of several databases, and one of them is what to open.
	ErrCluster = errors.New("an archive of several databases")
	// ErrNotCluster: this is an archive of one database.
	ErrNotCluster = errors.New("not an archive of several databases")
	// ErrNoDatabase: the archive has no database of that name.
	ErrNoDatabase = errors.New("no such database in the archive")
)

// DamageError says what is damaged and where. It unwraps to Err, which is or wraps one of the sentinels.
type DamageError struct {
	Volume        string // path of the file, empty where the reader was not given one
	Offset        int64  // in the volume, of the frame or structure that is damaged
	Stream        StreamID
	Schema, Table string // of the stream
	Block         uint32 // number in the stream; valid only if HasBlock
	HasBlock      bool
	Message       string
	Err           error
}

// Error names the file, the place and the table.
func (e *DamageError) Error() string {
	var b strings.Builder
	if e.Volume != "" {
		b.WriteString(e.Volume + ": ")
	}
	fmt.Fprintf(&b, "at byte %d", e.Offset)
	if e.HasBlock {
		fmt.Fprintf(&b, ", block %d", e.Block)
	}
	if e.Table != "" {
		fmt.Fprintf(&b, " of %s", tableName(e.Schema, e.Table))
	} else if e.Stream != 0 {
		fmt.Fprintf(&b, " of stream %d", e.Stream)
	}
	b.WriteString(": " + e.Message)
	return b.String()
}

// Unwrap returns the class of the damage.
func (e *DamageError) Unwrap() error { return e.Err }

// damagef makes an error of class ErrDamaged at offset.
func damagef(offset int64, format string, args ...any) *DamageError {
	return &DamageError{Offset: offset, Message: fmt.Sprintf(format, args...), Err: ErrDamaged}
}

// tableName is for messages only: nothing is quoted.
func tableName(schema, table string) string {
	if schema == "" {
		return table
	}
	return schema + "." + table
}

// versionError refuses what a newer major version wrote, naming both.
func versionError(major, minor uint16) error {
	return fmt.Errorf("%w: it has format version %d.%d, this pgark reads up to %d.x", ErrVersion, major, minor, FormatMajor)
}
