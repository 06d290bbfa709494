package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

// forge writes volumes that Writer would not: its checksums and index are right, whatever its frames say.
type forge struct {
	b      []byte
	tag    [8]byte
	idx    []byte
	header []byte
}

func newForge(major, minor uint16) *forge {
	h := Header{Major: major, Minor: minor, Tool: "forge"}
	p := appendHeader(nil, &h)
	f := &forge{tag: h.ID.tag()}
	f.frame(frameHeader{typ: FrameHeader}, p)
	f.header = bytes.Clone(f.b)
	return f
}

// frame appends a frame; raw and stored lengths that are not 0 are believed.
func (f *forge) frame(h frameHeader, payload []byte) {
	h.tag = f.tag
	if h.raw == 0 {
		h.raw = uint32(len(payload))
	}
	if h.stored == 0 {
		h.stored = uint32(len(payload))
	}
	h.payloadCRC = checksum(payload)
	var b [frameHeaderLen]byte
	h.put(b[:])
	f.b = append(append(f.b, b[:]...), payload...)
	if h.typ != FrameIndex {
		r := recordOf(&h, sha256.Sum256(payload))
		f.idx = appendFrameRecord(f.idx, &r)
	}
}

func (f *forge) documents(dup uint32) {
	f.frame(frameHeader{typ: FrameMoment, block: dup}, nil)
	f.frame(frameHeader{typ: FrameCatalog, block: dup}, nil)
}

func (f *forge) stream(id StreamID, d Digest, codec Codec, raw uint32, payload []byte) {
	info := StreamInfo{Schema: "s", Table: "t", Form: FormText}
	f.frame(frameHeader{typ: FrameStream, stream: id}, appendStreamInfo(nil, &info))
	f.frame(frameHeader{typ: FrameBlock, stream: id, codec: codec, raw: raw, rows: uint32(d.Rows)}, payload)
	f.frame(frameHeader{typ: FrameStreamEnd, stream: id}, streamEnd{d, 1}.append(nil))
}

// finish appends index and trailer. streams are the stream records.
func (f *forge) finish(major uint16, streams ...streamRecord) []byte {
	for i := range streams {
		f.idx = appendStreamRecord(f.idx, &streams[i])
	}
	return f.finishIndex(major, frameHeader{typ: FrameIndex}, f.idx)
}

func (f *forge) finishIndex(major uint16, h frameHeader, payload []byte) []byte {
	t := trailer{indexOffset: uint64(len(f.b)), major: major}
	copy(t.id[:], f.header[frameHeaderLen+4:])
	f.frame(h, payload)
	t.indexLen = uint64(len(f.b)) - t.indexOffset
	t.volumeLen = uint64(len(f.b)) + trailerLen
	t.root = sha256.Sum256(append(bytes.Clone(f.header), f.b[t.indexOffset:]...))
	return t.append(f.b)
}

func openBytes(b []byte) (*Reader, error) { return NewReader(bytes.NewReader(b), int64(len(b))) }

func TestNewerMajor(t *testing.T) {
	f := newForge(FormatMajor+1, 7)
	f.documents(0)
	b := f.finish(FormatMajor + 1)
	for name, err := range map[string]error{
		"open": func() error { _, err := openBytes(b); return err }(),
		"check": func() error {
			_, err := Check(context.Background(), bytes.NewReader(b), int64(len(b)), CheckOptions{})
			return err
		}(),
		"salvage": func() error {
			_, err := Salvage(context.Background(), bytes.NewReader(b), int64(len(b)), io.Discard, SalvageOptions{})
			return err
		}(),
	} {
		if !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "1.x") || !strings.Contains(err.Error(), "version 2.") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Frames of a later minor version that are marked optional are skipped, others refused.
func TestUnknownFrames(t *testing.T) {
	for flags, want := range map[uint8]error{flagOptional: nil, 0: ErrVersion} {
		f := newForge(FormatMajor, FormatMinor+1)
		f.documents(0)
		f.frame(frameHeader{typ: 77, flags: flags}, []byte("of the future"))
		f.documents(1)
		f.idx = appendField(f.idx, 99, "an unknown record")
		b := f.finish(FormatMajor)
		_, err := openBytes(b)
		if !errors.Is(err, want) {
			t.Errorf("flags %d: %v", flags, err)
		}
		res, err := Check(context.Background(), bytes.NewReader(b), int64(len(b)), CheckOptions{})
		if !errors.Is(err, want) || err == nil && len(res.Findings) > 0 {
			t.Errorf("flags %d: %v %v", flags, res, err)
		}
		if want == nil {
			rep, err := Salvage(context.Background(), bytes.NewReader(b), int64(len(b)), io.Discard, SalvageOptions{})
			if err != nil || len(rep.Losses) > 0 {
				t.Errorf("%+v %v", rep, err)
			}
		}
	}
}

// A number in a set needs a set, and is limited.
func TestMemberHeader(t *testing.T) {
	h := Header{Major: FormatMajor}
	plain := appendHeader(nil, &h)
	set := appendField(bytes.Clone(plain), 7, bytes.Repeat([]byte{1}, 16))
	for name, p := range map[string][]byte{
		"no set":      appendUint(bytes.Clone(plain), 8, 3),
		"only a lead": appendString(bytes.Clone(plain), 9, "lead"),
		"number":      appendUint(bytes.Clone(set), 8, MaxVolumes+1),
		"zero":        appendField(bytes.Clone(set), 8, "\x00"),
		"short set":   appendField(bytes.Clone(plain), 7, "short"),
		"no set id":   appendField(bytes.Clone(plain), 7, make([]byte, 16)),
	} {
		id := volumeID(p)
		copy(p[4:], id[:])
		if h, err := parseHeader(p); err == nil && (name != "no set id" || h.Member != (Member{})) {
			t.Errorf("%s: %+v", name, h)
		}
	}
	id := volumeID(set)
	copy(set[4:], id[:])
	if h, err := parseHeader(set); err != nil || !h.Member.isLead() {
		t.Error(h, err)
	}
}

// allocated returns the bytes that fn allocates.
func allocated(fn func()) uint64 {
	var a, b runtime.MemStats
	runtime.ReadMemStats(&a)
	fn()
	runtime.ReadMemStats(&b)
	return b.TotalAlloc - a.TotalAlloc
}

// Lengths that an archive states never decide an allocation beyond the limits.
func TestHugeLengths(t *testing.T) {
	huge := appendField(nil, recordFrame, "")
	huge = binary.AppendUvarint(huge[:1], 1<<40)
	for name, make := range map[string]func() []byte{
		"raw length": func() []byte {
			f := newForge(FormatMajor, FormatMinor)
			f.frame(frameHeader{typ: FrameBlock, stream: 1, codec: CodecZstd, raw: 1 << 31}, []byte("x"))
			return f.finish(FormatMajor)
		},
		"stored length": func() []byte {
			f := newForge(FormatMajor, FormatMinor)
			f.frame(frameHeader{typ: FrameBlock, stream: 1, codec: CodecZstd, raw: 1 << 31, stored: 1 << 30}, []byte("x"))
			return f.finish(FormatMajor)
		},
		"record length": func() []byte {
			return newForge(FormatMajor, FormatMinor).finishIndex(FormatMajor, frameHeader{typ: FrameIndex}, huge)
		},
		"index of nothing": func() []byte {
			return newForge(FormatMajor, FormatMinor).finishIndex(FormatMajor,
				frameHeader{typ: FrameIndex, codec: CodecGzip, raw: MaxFrameRaw}, []byte("not gzip"))
		},
	} {
		b := make()
		var err error
		n := allocated(func() {
			_, err = openBytes(b)
			_, _ = Check(context.Background(), bytes.NewReader(b), int64(len(b)), CheckOptions{})
			_, _ = Salvage(context.Background(), bytes.NewReader(b), int64(len(b)), io.Discard, SalvageOptions{})
		})
		if err == nil || n > 8*MaxFrameRaw {
			t.Errorf("%s: %d bytes allocated, %v", name, n, err)
		}
	}
}

// A block that decompresses to more or less than it says is damaged, with every codec.
func TestWrongRawLength(t *testing.T) {
	data := bytes.Repeat([]byte("row\n"), 1000)
	for _, c := range []Codec{CodecZstd, CodecLZ4, CodecXZ, CodecGzip} {
		comp, err := newCompressor(c, 0)
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]byte, comp.bound(len(data)))
		n, err := comp.compress(dst, data)
		if err != nil {
			t.Fatal(err)
		}
		for raw, ok := range map[int]bool{len(data): true, len(data) - 4: false, len(data) + 4: false} {
			f := newForge(FormatMajor, FormatMinor)
			f.documents(0)
			d := Digest{Rows: uint64(raw / 4), Bytes: uint64(raw)}
			f.stream(1, d, c, uint32(raw), dst[:n])
			f.documents(1)
			r, err := openBytes(f.finish(FormatMajor, streamRecord{id: 1, info: StreamInfo{Table: "t", Form: FormText}, digest: d}))
			if err != nil {
				t.Fatal(err)
			}
			for b := range r.Blocks(1) {
				err := r.NewDecoder().Block(b, func([]byte) error { return nil })
				if ok != (err == nil) || err != nil && !errors.Is(err, ErrDamaged) {
					t.Errorf("%s, %d bytes: %v", c, raw, err)
				}
			}
		}
	}
}

// A zstd frame is refused where it is not exactly one frame with a bounded window.
func TestZstdFrame(t *testing.T) {
	comp, err := newZstdCompressor(3)
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("zstd "), 100000)
	dst := make([]byte, comp.bound(len(data)))
	n, err := comp.compress(dst, data)
	if err != nil {
		t.Fatal(err)
	}
	one := dst[:n]
	if err := checkZstdFrame(one, len(data)); err != nil {
		t.Error(err)
	}
	for name, b := range map[string][]byte{
		"two frames":   append(bytes.Clone(one), one...),
		"garbage":      append(bytes.Clone(one), 0),
		"huge window":  {0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xA8, 0x01, 0x00, 0x00},
		"dictionary":   {0x28, 0xB5, 0x2F, 0xFD, 0x21, 0x01, 0x01, 0x01, 0x00, 0x00},
		"skippable":    {0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0},
		"old format":   {0x27, 0xB5, 0x2F, 0xFD, 0, 0, 0, 0, 0},
		"other length": one[:n:n],
	} {
		raw := len(data)
		if name == "other length" {
			raw--
		}
		if checkZstdFrame(b, raw) == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for i := range one {
		if checkZstdFrame(one[:i], len(data)) == nil {
			t.Errorf("cut at %d was taken", i)
		}
	}
}
