package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// maxStreamInfo limits the bytes of a stream's description. 1600 columns with names of 63 bytes take 104,000.
const maxStreamInfo = 1 << 20

// appendStreamInfo writes s as a message:
//
//	1 entry, zigzag  2 OID  3 node  4 schema  5 table  6 column, repeated  7 form  8 range  9 floats
func appendStreamInfo(b []byte, s *StreamInfo) []byte {
	b = appendInt(b, 1, int64(s.Entry))
	b = appendUint(b, 2, uint64(s.OID))
	b = appendUint(b, 3, uint64(s.Node))
	b = appendString(b, 4, s.Schema)
	b = appendString(b, 5, s.Table)
	for _, c := range s.Columns {
		b = appendField(b, 6, c)
	}
	b = appendUint(b, 7, uint64(s.Form))
	b = appendString(b, 8, s.Range)
	return appendString(b, 9, s.Floats)
}

func parseStreamInfo(s string) (StreamInfo, error) {
	var i StreamInfo
	f := fields{s: s, repeat: []uint64{6}}
	for f.next() {
		switch f.num {
		case 1:
			i.Entry = f.int32()
		case 2:
			i.OID = uint32(f.uint(math.MaxUint32))
		case 3:
			i.Node = uint32(f.uint(math.MaxUint32))
		case 4:
			i.Schema = f.str()
		case 5:
			i.Table = f.str()
		case 6:
			i.Columns = append(i.Columns, f.body)
		case 7:
			i.Form = Form(f.uint(math.MaxUint8))
		case 8:
			i.Range = f.str()
		case 9:
			i.Floats = f.str()
		}
	}
	if f.err != nil {
		return i, fmt.Errorf("stream: %w", f.err)
	}
	if err := i.Form.check(); err != nil {
		return i, err
	}
	return i, i.checkFloats()
}

// checkFloats checks that each column has a known mark in a stream of FormFloats, and none in another.
func (s *StreamInfo) checkFloats() error {
	want := 0
	if s.Form == FormFloats {
		want = len(s.Columns)
	}
	if len(s.Floats) != want {
		return fmt.Errorf("it has marks for the floats of %d columns, not %d", len(s.Floats), want)
	}
	for _, c := range []byte(s.Floats) {
		switch c {
		case FloatsNone, FloatsReal, FloatsDouble, FloatsUnknown:
		default:
			return fmt.Errorf("the mark %q for the floats of a column is unknown", c)
		}
	}
	return nil
}

func (f Form) check() error {
	switch f {
	case FormText, FormCSV, FormBinary, FormFloats:
		return nil
	}
	return fmt.Errorf("%w: it holds a stream in the unknown row form %d", ErrVersion, f)
}

const streamEndLen = digestLen + 4

// streamEnd is the payload of a stream end frame: the digest of the stream (32 bytes) and its number of blocks (4 bytes).
type streamEnd struct {
	digest Digest
	blocks uint32
}

func (e streamEnd) append(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(e.digest.appendBinary(b), e.blocks)
}

func parseStreamEnd(b []byte) (streamEnd, error) {
	if len(b) != streamEndLen {
		return streamEnd{}, errors.New("stream end has the wrong length")
	}
	return streamEnd{digest: digestFromBinary(b), blocks: binary.LittleEndian.Uint32(b[digestLen:])}, nil
}
