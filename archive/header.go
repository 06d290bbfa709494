package archive

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"
)

// VolumeID tells volumes apart. It is made of the header's other fields, so it is the same for the same fields.
type VolumeID [16]byte

// String returns the id in hexadecimal digits.
func (id VolumeID) String() string { return hex.EncodeToString(id[:]) }

func (id VolumeID) tag() [8]byte { return [8]byte(id[:8]) }

// Header is what a volume says of itself in its first frame.
type Header struct {
	Major, Minor uint16
	ID           VolumeID
	Created      time.Time // UTC, microseconds
	Database     string
	Tool         string   // name and version of the program that wrote it
	Codec        Codec    // that was asked for; each frame has its own
	Level        int      // 0 for the codec's default
	Salvaged     VolumeID // the damaged volume that this was salvaged from, else zero
	Member       Member   // what set it is a volume of; zero for an archive of one volume
	Cluster      bool     // it is a cluster volume, which holds an archive for each database: see [OpenCluster]
}

const (
	maxHeader      = 64 << 10
	headerFixedLen = 20
)

// appendHeader writes the payload of the header frame. It begins as in every version of the format:
//
//	 0   2  major version
//	 2   2  minor version
//	 4  16  volume id: the first 16 bytes of the SHA-256 of all of the payload but these
//	20      message: 1 created  2 database  3 tool  4 codec  5 level  6 salvaged volume's id
//	        7 id of the set  8 number of the volume  9 name of the lead volume  10 cluster volume
//
// It sets h.ID.
func appendHeader(b []byte, h *Header) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint16(b, h.Major)
	b = binary.LittleEndian.AppendUint16(b, h.Minor)
	b = append(b, make([]byte, len(h.ID))...)
	b = appendTime(b, 1, h.Created)
	b = appendString(b, 2, h.Database)
	b = appendString(b, 3, h.Tool)
	b = appendUint(b, 4, uint64(h.Codec))
	b = appendUint(b, 5, uint64(h.Level))
	if h.Salvaged != (VolumeID{}) {
		b = appendField(b, 6, h.Salvaged[:])
	}
	if h.Member.Set != (SetID{}) {
		b = appendField(b, 7, h.Member.Set[:])
		b = appendUint(b, 8, uint64(h.Member.Number))
		b = appendString(b, 9, h.Member.Lead)
	}
	b = appendBool(b, 10, h.Cluster)
	h.ID = volumeID(b[start:])
	copy(b[start+4:], h.ID[:])
	return b
}

func volumeID(payload []byte) VolumeID {
	s := sha256.New()
	_, _ = s.Write(payload[:4])
	_, _ = s.Write(payload[headerFixedLen:])
	return VolumeID(s.Sum(nil)[:16])
}

func parseHeader(b []byte) (Header, error) {
	var h Header
	if len(b) < headerFixedLen || len(b) > maxHeader {
		return h, errors.New("volume header has an invalid length")
	}
	h.Major, h.Minor = binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
	if h.Major > FormatMajor {
		return h, versionError(h.Major, h.Minor)
	}
	h.ID = VolumeID(b[4:headerFixedLen])
	f := fields{s: string(b[headerFixedLen:])}
	for f.next() {
		switch f.num {
		case 1:
			h.Created = f.time()
		case 2:
			h.Database = f.str()
		case 3:
			h.Tool = f.str()
		case 4:
			h.Codec = Codec(f.uint(math.MaxUint8))
		case 5:
			h.Level = int(f.uint(math.MaxUint8))
		case 6:
			h.Salvaged = VolumeID(f.raw(len(h.Salvaged)))
		case 7:
			if h.Member.Set = SetID(f.raw(len(h.Member.Set))); h.Member.Set == (SetID{}) {
				f.fail("the id of the set is zero")
			}
		case 8:
			h.Member.Number = uint32(f.uint(MaxVolumes))
		case 9:
			h.Member.Lead = f.str()
		case 10:
			h.Cluster = f.bool()
		}
	}
	if f.err != nil {
		return h, fmt.Errorf("volume header: %w", f.err)
	}
	if err := h.Member.check(); err != nil {
		return h, fmt.Errorf("volume header: %w", err)
	}
	if h.Cluster && h.Member != (Member{}) {
		return h, errors.New("volume header says that it is a cluster volume and one of a set")
	}
	if h.ID != volumeID(b) {
		return h, errors.New("volume header does not have the volume id that its fields make")
	}
	return h, nil
}
