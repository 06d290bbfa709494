package archive

import (
	"encoding/binary"
	"errors"
)

const (
	trailerMagic = "\xf5PGKend\n"
	trailerLen   = 88
	trailerCRC   = 76 // offset of its checksum
)

// trailer is at the end of every volume. In every version of the format it has 88 bytes, of which the last 16
// are as here:
//
//	 0  16  volume id
//	16   8  offset of the first index frame
//	24   8  bytes that the index frames take
//	32   8  length of the volume with this trailer
//	40  32  root: SHA-256 of the header frame and the index frames
//	72   2  major version
//	74   2  minor version
//	76   4  CRC-32C of bytes 0 to 75
//	80   8  magic F5 50 47 4B 65 6E 64 0A
type trailer struct {
	id           VolumeID
	indexOffset  uint64
	indexLen     uint64
	volumeLen    uint64
	root         [32]byte
	major, minor uint16
}

func (t *trailer) append(b []byte) []byte {
	start := len(b)
	le := binary.LittleEndian
	b = append(b, t.id[:]...)
	b = le.AppendUint64(b, t.indexOffset)
	b = le.AppendUint64(b, t.indexLen)
	b = le.AppendUint64(b, t.volumeLen)
	b = append(b, t.root[:]...)
	b = le.AppendUint16(b, t.major)
	b = le.AppendUint16(b, t.minor)
	b = le.AppendUint32(b, checksum(b[start:]))
	return append(b, trailerMagic...)
}

var (
	errNoTrailer  = errors.New("the volume does not end in a trailer")
	errTrailerCRC = errors.New("checksum of the trailer does not match")
)

// parseTrailer reads the trailer from the last trailerLen bytes of a volume of size bytes.
func parseTrailer(b []byte, size int64) (trailer, error) {
	t, err := decodeTrailer(b)
	if err != nil {
		return t, err
	}
	end := uint64(size) - trailerLen
	if t.volumeLen != uint64(size) || t.indexOffset > end || t.indexLen != end-t.indexOffset {
		return t, errors.New("the trailer belongs to a volume of another length")
	}
	return t, nil
}

// decodeTrailer reads a trailer whose volume may have lost bytes.
func decodeTrailer(b []byte) (trailer, error) {
	var t trailer
	if len(b) != trailerLen || string(b[trailerCRC+4:]) != trailerMagic {
		return t, errNoTrailer
	}
	le := binary.LittleEndian
	t.major, t.minor = le.Uint16(b[72:]), le.Uint16(b[74:])
	if le.Uint32(b[trailerCRC:]) != checksum(b[:trailerCRC]) {
		return t, errTrailerCRC
	}
	if t.major > FormatMajor { // the other fields may mean anything
		return t, versionError(t.major, t.minor)
	}
	t.id = VolumeID(b[:16])
	t.indexOffset, t.indexLen, t.volumeLen = le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint64(b[32:])
	t.root = [32]byte(b[40:72])
	return t, nil
}
