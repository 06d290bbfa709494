package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode"
)

// newForgeMember forges a volume of a set.
func newForgeMember(m Member) *forge {
	h := Header{Major: FormatMajor, Member: m}
	p := appendHeader(nil, &h)
	f := &forge{tag: h.ID.tag()}
	f.frame(frameHeader{typ: FrameHeader}, p)
	f.header = bytes.Clone(f.b)
	return f
}

// forgeLead makes a lead volume with any list.
func forgeLead(list []byte) []byte {
	f := newForgeMember(Member{Set: SetID{1}})
	for dup := range uint32(2) {
		f.documents(dup)
		f.frame(frameHeader{typ: FrameVolumes, block: dup}, list)
	}
	return f.finish(FormatMajor)
}

// Volumes that have what their kind does not have, or lack what it has, contradict themselves.
func TestKindsOfVolumes(t *testing.T) {
	set := SetID{1}
	list := appendVolumes(nil, &VolumeList{Set: set})
	info := streamRecord{id: 1, info: StreamInfo{Schema: "s", Table: "t", Form: FormText}, digest: Digest{Rows: 1, Bytes: 4}}
	for name, make := range map[string]func() []byte{
		"an archive with a list of volumes": func() []byte {
			f := newForge(FormatMajor, FormatMinor)
			for dup := range uint32(2) {
				f.documents(dup)
				f.frame(frameHeader{typ: FrameVolumes, block: dup}, list)
			}
			return f.finish(FormatMajor)
		},
		"a member with a moment": func() []byte {
			f := newForgeMember(Member{Set: set, Number: 1})
			f.documents(0)
			f.documents(1)
			return f.finish(FormatMajor)
		},
		"a lead volume without a list": func() []byte {
			f := newForgeMember(Member{Set: set})
			f.documents(0)
			f.documents(1)
			return f.finish(FormatMajor)
		},
		"a lead volume with rows": func() []byte {
			f := newForgeMember(Member{Set: set})
			for dup := range uint32(2) {
				f.documents(dup)
				f.frame(frameHeader{typ: FrameVolumes, block: dup}, list)
			}
			f.stream(1, info.digest, CodecNone, 0, []byte("row\n"))
			return f.finish(FormatMajor, info)
		},
		"a list of another set": func() []byte { return forgeLead(appendVolumes(nil, &VolumeList{Set: SetID{2}})) },
	} {
		b := make()
		if _, err := NewSetReader(bytes.NewReader(b), int64(len(b)), nil, true); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		var out bytes.Buffer
		if _, err := Salvage(context.Background(), bytes.NewReader(b), int64(len(b)), &out, SalvageOptions{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a list of volumes states never decides an allocation, and what it must not say is refused.
func TestHostileLists(t *testing.T) {
	v := Volume{Number: 1, Bytes: 1, Path: "p"}
	volume := func(n int, b []byte) []byte {
		return appendField(appendField(nil, 1, bytes.Repeat([]byte{1}, 16)), 2, append(b, bytes.Repeat([]byte{0xff}, n)...))
	}
	many := appendField(nil, 1, bytes.Repeat([]byte{1}, 16))
	for range 100000 {
		many = appendField(many, 2, appendVolume(nil, &v))
	}
	tables := v
	tables.Tables = []VolumeTable{{OID: 2}, {OID: 1}}
	nul := v
	nul.Path = "a\x00b"
	sums := v
	sums.Rows = 1 << 63
	for name, list := range map[string][]byte{
		"100,000 times volume 1": many,
		"garbage":                volume(100, nil),
		"tables out of order":    volume(0, appendVolume(nil, &tables)),
		"path with NUL":          volume(0, appendVolume(nil, &nul)),
		"rows of no table":       volume(0, appendVolume(nil, &sums)),
		"no volume id":           volume(0, appendUint(nil, 1, 1)),
		"number":                 volume(0, appendUint(nil, 1, MaxVolumes+1)),
		"huge length":            append(volume(0, nil), 2, 0xff, 0xff, 0xff, 0xff, 0x7f),
		"nothing":                nil,
	} {
		b := forgeLead(list)
		var err error
		n := allocated(func() {
			_, err = NewSetReader(bytes.NewReader(b), int64(len(b)), nil, true)
		})
		if !errors.Is(err, ErrDamaged) || n > 8*uint64(len(b))+1<<20 {
			t.Errorf("%s: %d bytes allocated for %d, %v", name, n, len(b), err)
		}
		res, err := Check(context.Background(), bytes.NewReader(b), int64(len(b)), CheckOptions{})
		if err != nil || len(res.Findings) == 0 {
			t.Errorf("%s: %+v %v", name, res, err)
		}
	}
	whole := appendVolumes(nil, &VolumeList{Set: SetID{1}, Volumes: []Volume{v}, Bindings: []Binding{{OID: 1, Entry: 1}}})
	for n := range whole {
		_, _ = parseVolumes(string(whole[:n])) // must not panic
	}
	one := appendVolume(nil, &v)
	for n := range one {
		if n < len(one)-3 && new(Volume).UnmarshalBinary(one[:n]) == nil { // but for the path
			t.Error(n)
		}
	}
}

// A header has one encoding: a volume of no set says nothing of one.
func TestHostileMembers(t *testing.T) {
	set := bytes.Repeat([]byte{1}, 16)
	for name, message := range map[string][]byte{
		"a set of zeros":        appendField(nil, 7, make([]byte, 16)),
		"a short set":           appendField(nil, 7, set[:15]),
		"a number without set":  appendUint(nil, 8, 1),
		"a lead without set":    appendString(nil, 9, "lead"),
		"a number out of range": appendUint(appendField(nil, 7, set), 8, MaxVolumes+1),
		"number 0":              append(appendField(nil, 7, set), 8, 1, 0),
	} {
		p := append(make([]byte, headerFixedLen), message...)
		p[0] = FormatMajor
		id := volumeID(p)
		copy(p[4:], id[:])
		if h, err := parseHeader(p); err == nil {
			t.Errorf("%s: %+v", name, h.Member)
		}
	}
}

// Whatever path a lead volume has, it is only read, does not hang, and does not reach the terminal as it is.
func TestHostilePaths(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "in"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", ".", "..", "/", "../../../../etc/passwd", fifo, dir, "/dev/zero", "a\nb\x1b[2J", "\xff\xfe", "lead/x\ny", strings.Repeat("x", 5000)} {
		v := Volume{Number: 1, Bytes: 1, Host: "h\n\x1b]0;x", Path: path}
		lead := filepath.Join(dir, "lead")
		b := forgeLead(appendVolumes(nil, &VolumeList{Set: SetID{1}, Volumes: []Volume{v}}))
		if err := os.WriteFile(lead, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, o := range []OpenOptions{{}, {VolumeDir: filepath.Join(dir, "in")}} {
			_, err := OpenWith(lead, o)
			if !errors.Is(err, ErrVolume) || strings.IndexFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
				t.Errorf("%q: %q", path, err)
			}
		}
		res, err := CheckFiles(t.Context(), lead, CheckOptions{}, OpenOptions{})
		if err != nil || len(res.Findings) != 1 {
			t.Errorf("%q: %+v %v", path, res, err)
		}
	}
}

// A copy that can't be read or written ends with that error, and all of its goroutines.
func TestGatherEnds(t *testing.T) {
	var member bytes.Buffer
	w, err := NewWriter(&member, WriterOptions{Codec: CodecNone})
	if err != nil {
		t.Fatal(err)
	}
	id, err := w.OpenStream(StreamInfo{OID: 1, Schema: "s", Table: "t", Form: FormText})
	if err != nil {
		t.Fatal(err)
	}
	var d Digest
	var fr Frame
	for b := range uint32(50) {
		if err := errors.Join((&Encoder{}).Encode(&fr, Raw{Stream: id, Block: b, Data: []byte("row\n"), Digest: &d}), w.Append(&fr)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.CloseStream(id, d), w.SetMoment(fuzzMoment()), w.SetCatalog(fuzzCatalog())); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b := member.Bytes()
	x, err := openBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	errFull := errors.New("no space left")
	for n := 0; n < 6000; n += 37 {
		if _, err := Gather(t.Context(), x, &fullWriter{left: n, err: errFull}, GatherOptions{Jobs: 3}); err != nil && !errors.Is(err, errFull) {
			t.Fatal(n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Gather(ctx, x, io.Discard, GatherOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	b[len(b)/3] ^= 1
	if _, err := Gather(t.Context(), x, io.Discard, GatherOptions{Jobs: 2}); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

// fullWriter fails after some bytes.
type fullWriter struct {
	left int
	err  error
}

func (w *fullWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return 0, w.err
	}
	w.left -= len(p)
	return len(p), nil
}
