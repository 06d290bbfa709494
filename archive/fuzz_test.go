package archive

import (
	"bytes"
	"context"
	"errors"
	"testing"
)

// fuzzArchive is a small archive of one codec, as a seed.
func fuzzArchive(f *testing.F, c Codec) []byte {
	f.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, WriterOptions{Codec: c, Database: "d", Tool: "t"})
	if err != nil {
		f.Fatal(err)
	}
	enc, err := NewEncoder(c, 0)
	if err != nil {
		f.Fatal(err)
	}
	id, err := w.OpenStream(StreamInfo{Schema: "s", Table: "t", Columns: []string{"a"}, Form: FormText})
	if err != nil {
		f.Fatal(err)
	}
	floats, err := w.OpenStream(StreamInfo{Node: 1, Table: "f", Columns: []string{"a", "b"}, Form: FormFloats, Floats: "8-"})
	if err != nil {
		f.Fatal(err)
	}
	var fr Frame
	var long Digest
	if err := enc.Encode(&fr, Raw{Stream: floats, Data: []byte("0.10000000000000001\t1\n"), Digest: &long, Floats: "8-"}); err != nil {
		f.Fatal(err)
	}
	for _, err := range []error{w.Append(&fr), w.CloseStream(floats, long)} {
		if err != nil {
			f.Fatal(err)
		}
	}
	var d Digest
	if err := enc.Encode(&fr, Raw{Stream: id, Data: bytes.Repeat([]byte("row\n"), 30), Digest: &d}); err != nil {
		f.Fatal(err)
	}
	for _, err := range []error{
		w.Append(&fr), w.CloseStream(id, d), w.SetCatalog(fuzzCatalog()), w.SetMoment(fuzzMoment()),
	} {
		if err != nil {
			f.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		f.Fatal(err)
	}
	return out.Bytes()
}

func fuzzCatalog() *Catalog {
	return &Catalog{Database: "d", Entries: []Entry{{ID: 1, Kind: "TABLE DATA", Schema: "s", Name: "t", Deps: []int32{-1, 7}, Nulls: NullDDL}}}
}

func fuzzMoment() *Moment {
	return &Moment{
		Route: "r", Nodes: []Node{{ID: 1, Port: 2, Content: -1, Database: "d"}}, Settings: map[string]string{"a": "", "b": "c"},
		Losses:        []Loss{{Table: "t", Blocks: 1}},
		Distributions: []Distribution{{OID: 9, Table: "t", Kind: DistributedHash, Columns: []string{"a", ""}, OpClasses: []string{"x.y"}, Segments: 2, Node: 1, Bound: "b"}},
	}
}

func FuzzFrame(f *testing.F) {
	for c := CodecNone; c <= CodecGzip; c++ {
		f.Add(fuzzArchive(f, c))
	}
	var u unpacker
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= crcOffset+4 { // so that more than the checksum is tested
			copyWithCRC(b)
			h, err := parseFrameHeader(b)
			if err != nil {
				return
			}
			var back [frameHeaderLen]byte
			h.put(back[:])
			if !bytes.Equal(back[:], b[:frameHeaderLen]) {
				t.Fatal("a header does not encode to what it was read from")
			}
			h.payloadCRC = checksum(b[frameHeaderLen:])
			if raw, err := u.unpack(&h, b[frameHeaderLen:]); err == nil && h.codec != CodecNone && len(raw) != int(h.raw) {
				t.Fatal("wrong length")
			}
		}
	})
}

// copyWithCRC makes the checksum of a header right.
func copyWithCRC(b []byte) {
	var h [4]byte
	c := checksum(b[:crcOffset])
	h = [4]byte{byte(c), byte(c >> 8), byte(c >> 16), byte(c >> 24)}
	copy(b[crcOffset:], h[:])
}

func FuzzIndex(f *testing.F) {
	fr := newForge(FormatMajor, FormatMinor)
	fr.documents(0)
	fr.stream(1, Digest{Rows: 1, Bytes: 4}, CodecNone, 0, []byte("row\n"))
	f.Add(string(appendStreamRecord(fr.idx, &streamRecord{id: 1, info: StreamInfo{Table: "t", Form: FormText}})))
	f.Fuzz(func(t *testing.T, s string) {
		var x index
		if x.parsePart(s) != nil {
			return
		}
		var b []byte
		for i := range x.frames.n {
			b = appendFrameRecord(b, x.frames.at(i))
		}
		for i := range x.streams {
			b = appendStreamRecord(b, &x.streams[i])
		}
		var y index
		if err := y.parsePart(string(b)); err != nil || y.frames.n != x.frames.n || len(y.streams) != len(x.streams) {
			t.Fatal("what was read can't be read again:", err)
		}
		// Whatever the index says, a reader that believes it must not panic.
		v := newForge(FormatMajor, FormatMinor)
		v.documents(0)
		readEverything(v.finishIndex(FormatMajor, frameHeader{typ: FrameIndex}, []byte(s)))
	})
}

// readEverything does all that can be done with an archive.
func readEverything(b []byte) {
	v, err := openVolume(bytes.NewReader(b), int64(len(b)), "")
	if err != nil {
		return
	}
	r := v.reader()
	if v.header.Member.isLead() {
		if err := r.openSet(nil, true); err != nil {
			return
		}
		if err := r.SetMissing(); err != nil {
			_ = err.Error()
		}
	}
	r.join()
	_, _ = r.Catalog()
	_, _ = r.Moment()
	d := r.NewDecoder()
	for f := range r.Frames() {
		_, _ = d.Frame(f)
	}
	for _, s := range r.Streams() {
		for b := range r.Blocks(s.ID) {
			_ = d.Block(b, func([]byte) error { return nil })
		}
	}
}

func FuzzCatalog(f *testing.F) {
	f.Add(string(appendCatalog(nil, fuzzCatalog())))
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseCatalog(s)
		if err != nil {
			return
		}
		b := appendCatalog(nil, c)
		if len(b) == len(s) && string(b) != s {
			t.Fatal("a catalog without unknown fields does not encode to what it was read from")
		}
		if _, err := parseCatalog(string(b)); err != nil {
			t.Fatal("what was read can't be read again:", err)
		}
	})
}

func FuzzMoment(f *testing.F) {
	f.Add(string(appendMoment(nil, fuzzMoment())))
	f.Fuzz(func(t *testing.T, s string) {
		m, err := parseMoment(s)
		if err != nil {
			return
		}
		b := appendMoment(nil, m)
		if len(b) == len(s) && string(b) != s {
			t.Fatal("a moment without unknown fields does not encode to what it was read from")
		}
		if _, err := parseMoment(string(b)); err != nil {
			t.Fatal("what was read can't be read again:", err)
		}
	})
}

// fuzzSet is a lead volume, a member, and the same lead volume with a path that is not printable.
func fuzzSet(f *testing.F) [][]byte {
	f.Helper()
	var out [][]byte
	write := func(m Member, fn func(w *Writer) error) Summary {
		var b bytes.Buffer
		w, err := NewWriter(&b, WriterOptions{Member: m})
		if err != nil {
			f.Fatal(err)
		}
		if err := fn(w); err != nil {
			f.Fatal(err)
		}
		sum, err := w.Close()
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, b.Bytes())
		return sum
	}
	set := SetID{1, 2, 3}
	sum := write(Member{Set: set, Number: 1, Lead: "lead"}, func(w *Writer) error {
		id, err := w.OpenStream(StreamInfo{OID: 9, Schema: "s", Table: "t", Columns: []string{"a"}, Form: FormText})
		if err != nil {
			return err
		}
		var fr Frame
		var d Digest
		e := &Encoder{}
		return errors.Join(e.Encode(&fr, Raw{Stream: id, Data: []byte("row\n"), Digest: &d}), w.Append(&fr), w.CloseStream(id, d))
	})
	for _, path := range []string{"/data/1.pgark", "../..\n/\x1b[2J"} {
		v := sum.Volume
		v.Host, v.Path = "h", path
		write(Member{Set: set}, func(w *Writer) error {
			return errors.Join(w.SetCatalog(fuzzCatalog()), w.SetMoment(fuzzMoment()), w.SetVolumes([]Volume{v}, []Binding{{OID: 9, Entry: 1}}))
		})
	}
	return out
}

func FuzzVolumes(f *testing.F) {
	v := Volume{Number: 1, Bytes: 9, Node: 3, Host: "h", Path: "p", Streams: 1, Rows: 1, RawBytes: 2}
	v.Tables = []VolumeTable{{OID: 1, Digest: Digest{Rows: 1, Bytes: 2}, Raw: 2, Stored: 3, Blocks: 1}, {OID: 1, Entry: 2}}
	f.Add(string(appendVolumes(nil, &VolumeList{Set: SetID{1}, Volumes: []Volume{v}, Bindings: []Binding{{OID: 4, Entry: 5}}})))
	f.Add(string(appendVolumes(nil, &VolumeList{Set: SetID{1}})))
	f.Fuzz(func(t *testing.T, s string) {
		l, err := parseVolumes(s)
		if err != nil {
			return
		}
		b := appendVolumes(nil, l)
		if len(b) == len(s) && string(b) != s {
			t.Fatal("a list without unknown fields does not encode to what it was read from")
		}
		if _, err := parseVolumes(string(b)); err != nil {
			t.Fatal("what was read can't be read again:", err)
		}
		for i := range l.Volumes {
			_ = l.Volumes[i].label("")
		}
	})
}

func FuzzReader(f *testing.F) {
	for c := CodecNone; c <= CodecGzip; c++ {
		f.Add(fuzzArchive(f, c))
	}
	for _, b := range fuzzSet(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		readEverything(b)
		res, err := Check(context.Background(), bytes.NewReader(b), int64(len(b)), CheckOptions{Jobs: 2})
		_, oerr := openBytes(b)
		alone := !errors.Is(oerr, ErrMember) && !errors.Is(oerr, ErrVolume) && !errors.Is(oerr, ErrCluster)
		if oerr != nil && alone && err == nil && len(res.Findings) == 0 {
			t.Fatal("a check finds nothing in what can't be opened:", oerr)
		}
	})
}

func FuzzSalvage(f *testing.F) {
	for c := CodecNone; c <= CodecGzip; c++ {
		b := fuzzArchive(f, c)
		f.Add(b)
		f.Add(b[:len(b)-100])
		f.Add(b[100:])
	}
	for _, b := range fuzzSet(f) {
		f.Add(b)
		f.Add(b[:len(b)-100])
		f.Add(b[100:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var out bytes.Buffer
		rep, err := Salvage(context.Background(), bytes.NewReader(b), int64(len(b)), &out, SalvageOptions{})
		if err != nil {
			return
		}
		res, err := Check(context.Background(), bytes.NewReader(out.Bytes()), int64(out.Len()), CheckOptions{})
		if err != nil || len(res.Findings) > 0 || uint64(res.Blocks) != rep.Blocks {
			t.Fatalf("a salvaged archive is not sound: %v %+v", err, res)
		}
	})
}

// Any row has one canonical text however it is cut, and that is canonical itself.
func FuzzCanonical(f *testing.F) {
	f.Add("8", "0.10000000000000001", uint16(3))
	f.Add("-4?", "1\t[0:1]={9.99999975e-05,-0,1e+39}\t0.1", uint16(12))
	f.Fuzz(func(t *testing.T, floats, row string, cut uint16) {
		c := canonical{floats: floats}
		whole := string(c.end(c.add(nil, []byte(row))))
		at := min(int(cut), len(row))
		parts := c.add(nil, []byte(row[:at]))
		parts = c.add(parts, []byte(row[at:]))
		if parts = c.end(parts); string(parts) != whole {
			t.Fatalf("%q cut at %d: %q, not %q", row, at, parts, whole)
		}
		if again := string(c.end(c.add(nil, []byte(whole)))); again != whole {
			t.Fatalf("%q is made %q, and that %q", row, whole, again)
		}
	})
}
