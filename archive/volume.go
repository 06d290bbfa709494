package archive

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// A set is an archive of several volumes: the lead volume, which has catalog, moment and a list of the others, and
// those others, which have the rows and were written by processes that knew neither catalog nor each other.

// MaxVolumes is the largest number of a volume in a set.
const MaxVolumes = 65535

// SetID is what all volumes of a set have in common.
type SetID [16]byte

// NewSetID makes the id of a new set, at random.
func NewSetID() SetID {
	var id SetID
	_, _ = rand.Read(id[:]) // it never fails
	return id
}

// String returns the id in hexadecimal digits.
func (id SetID) String() string { return hex.EncodeToString(id[:]) }

// Member says which volume of which set this is. The zero value is an archive of one volume.
type Member struct {
	Set    SetID
	Number uint32 // 0 is the lead volume; the others are numbered from 1, at most MaxVolumes
	Lead   string // name of the lead volume's file, for messages; may be empty
}

// isMember says that this is a volume of a set that is not its lead.
func (m *Member) isMember() bool { return m.Number != 0 }

// isLead says that this is the lead volume of a set.
func (m *Member) isLead() bool { return m.Set != (SetID{}) && m.Number == 0 }

// Volume is what the lead volume of a set says of another one. [Writer.Close] of that one returns it, all but Host
// and Path; MarshalBinary and UnmarshalBinary carry it from one process to the other.
type Volume struct {
	Number   uint32 // from 1
	ID       VolumeID
	Root     [32]byte
	Bytes    uint64 // length of the volume
	Node     uint32 // Node.ID of the node whose rows it holds
	Host     string // where it was written; for people, and to start a program there
	Path     string // of the file on that host; relative paths are relative to the lead volume's directory
	Streams  uint64
	Rows     uint64
	RawBytes uint64
	Tables   []VolumeTable // ascending by OID and entry, each once; also those without rows
}

// VolumeTable is what a volume holds of one table: the sum of its streams. It lets the lead volume say what is in the
// set, and what is lost with a volume, without that volume.
type VolumeTable struct {
	OID    uint32 // as in StreamInfo
	Entry  int32  // of its streams, 0 where the volume doesn't know
	Digest Digest
	Raw    uint64 // only of FormFloats another number than Digest.Bytes
	Stored uint64 // with frame headers
	Blocks uint64
}

// Binding says which entry of the catalog the streams of a table belong to that don't know it themselves.
type Binding struct {
	OID   uint32 // of the table, not 0
	Entry int32  // of its TABLE DATA, or of the one of its partition root; 0 says that it has none
}

// VolumeList is what the lead volume says of its set.
type VolumeList struct {
	Set      SetID
	Volumes  []Volume  // in the order of their numbers, which have no gaps
	Bindings []Binding // ascending by OID, each once
}

// entries returns the bindings as a map.
func (l *VolumeList) entries() map[uint32]int32 {
	m := make(map[uint32]int32, len(l.Bindings))
	for _, b := range l.Bindings {
		m[b.OID] = b.Entry
	}
	return m
}

// label names the volume for people: its number, node, host and path. node is the node's name, empty where that is not known.
func (v *Volume) label(node string) string {
	if node == "" {
		node = strconv.FormatUint(uint64(v.Node), 10)
	}
	s := fmt.Sprintf("volume %d (node %s", v.Number, printable(node))
	if v.Host != "" {
		s += ", host " + printable(v.Host)
	}
	return s + ", " + printable(v.Path) + ")"
}

// oneLine writes what would disturb a message as Go does in a string.
func oneLine(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRune(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}

// printable is s as it may stand in a message: quoted if it has characters that would disturb it.
func printable(s string) string {
	if q := strconv.Quote(s); q[1:len(q)-1] != s || strings.TrimSpace(s) != s || s == "" {
		return q
	}
	return s
}
