package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
)

// newForgeCluster forges a cluster volume.
func newForgeCluster() *forge {
	h := Header{Major: FormatMajor, Minor: FormatMinorCluster, Cluster: true}
	p := appendHeader(nil, &h)
	f := &forge{tag: h.ID.tag()}
	f.frame(frameHeader{typ: FrameHeader}, p)
	f.header = bytes.Clone(f.b)
	return f
}

// nested appends a nested volume, of which the index says that it has length bytes.
func (f *forge) nested(b []byte, length uint64) {
	f.b = append(f.b, b...)
	f.idx = appendNestedRecord(f.idx, length)
}

// finishCluster appends documents, index and trailer.
func (f *forge) finishCluster(list []byte) []byte {
	for dup := range uint32(2) {
		f.documents(dup)
		f.frame(frameHeader{typ: FrameDatabases, block: dup}, list)
	}
	return f.finish(FormatMajor)
}

// forgeNested is an archive of a database.
func forgeNested(tb testing.TB, database string, write func(w *Writer) error) ([]byte, Summary) {
	tb.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, WriterOptions{Database: database})
	if err != nil {
		tb.Fatal(err)
	}
	if write != nil {
		err = write(w)
	}
	if err = errors.Join(err, w.SetCatalog(fuzzCatalog()), w.SetMoment(fuzzMoment())); err != nil {
		tb.Fatal(err)
	}
	sum, err := w.Close()
	if err != nil {
		tb.Fatal(err)
	}
	return out.Bytes(), sum
}

// Whatever a list of databases says of places, a database is read nowhere but where the index has it, and what does not fit is refused.
func TestHostileDatabases(t *testing.T) {
	one, sum := forgeNested(t, "a", nil)
	two, sum2 := forgeNested(t, "b", nil)
	head := int64(len(newForgeCluster().b))
	n := int64(len(one))
	good := []ClusterDatabase{
		{Name: "a", Offset: head, Bytes: n, ID: sum.ID, Root: sum.Root}, {Name: "b", Offset: head + n, Bytes: int64(len(two)), ID: sum2.ID, Root: sum2.Root},
	}
	file := func(list []byte, lengths ...uint64) []byte {
		f := newForgeCluster()
		f.nested(one, lengths[0])
		f.nested(two, lengths[1])
		return f.finishCluster(list)
	}
	change := func(fn func(l []ClusterDatabase)) []byte {
		l := append([]ClusterDatabase{}, good...)
		fn(l)
		return appendDatabases(nil, l)
	}
	right := []uint64{uint64(n), uint64(len(two))}
	if b := file(appendDatabases(nil, good), right...); readClusterBytes(b) != nil {
		t.Fatal(readClusterBytes(b))
	}
	lists := map[string][]byte{
		"one that overlaps with another":  change(func(l []ClusterDatabase) { l[1].Offset-- }),
		"the other's bytes":               change(func(l []ClusterDatabase) { l[1].Offset, l[1].Bytes = l[0].Offset, l[0].Bytes }),
		"the cluster volume's header too": change(func(l []ClusterDatabase) { l[0].Offset, l[0].Bytes = 0, l[0].Bytes+head }),
		"the whole file":                  change(func(l []ClusterDatabase) { l[1].Bytes = 1 << 20 }),
		"outside":                         change(func(l []ClusterDatabase) { l[1].Offset = 1 << 40 }),
		"an end beyond all numbers":       change(func(l []ClusterDatabase) { l[1].Offset, l[1].Bytes = math.MaxInt64-300, math.MaxInt64 }),
		"shorter":                         change(func(l []ClusterDatabase) { l[1].Bytes-- }),
		"in another order":                change(func(l []ClusterDatabase) { l[0], l[1] = l[1], l[0] }),
		"twice the same name":             change(func(l []ClusterDatabase) { l[1].Name = "a" }),
		"no name":                         change(func(l []ClusterDatabase) { l[1].Name = "" }),
		"a name with a NUL":               change(func(l []ClusterDatabase) { l[1].Name = "a\x00" }),
		"one database too few":            appendDatabases(nil, good[:1]),
		"one database too many":           appendDatabases(nil, append(good[:2:2], ClusterDatabase{Name: "c", Offset: 1 << 30, Bytes: 1000})),
		"none":                            nil,
		"nothing of use":                  []byte("\x01\x7fhello"),
		"a length of 2^64 - 1":            append([]byte{1}, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"...),
		"very many":                       bytes.Repeat(appendField(nil, 1, appendDatabase(nil, &ClusterDatabase{Name: "a", Offset: 1, Bytes: 1000})), 40000),
	}
	for name, list := range lists {
		refuse(t, "a list with "+name, file(list, right...))
	}
	for name, lengths := range map[string][]uint64{
		"longer than the file": {1 << 40, right[1]}, "together longer than numbers": {math.MaxInt64, math.MaxInt64},
		"of nothing": {0, right[0] + right[1]}, "beyond all numbers": {math.MaxUint64, right[1]}, "that leave a gap": {right[0] - 1, right[1]},
	} {
		refuse(t, "nested volumes "+name, file(appendDatabases(nil, good), lengths...))
	}
	// What the index and the list agree on is still not believed of the volume itself.
	for name, list := range map[string][]byte{
		"another id":   change(func(l []ClusterDatabase) { l[1].ID[0]++ }),
		"another root": change(func(l []ClusterDatabase) { l[1].Root[0]++ }),
		"another name": change(func(l []ClusterDatabase) { l[1].Name = "c" }),
		"other rows":   change(func(l []ClusterDatabase) { l[1].Rows++ }),
		"other bytes":  change(func(l []ClusterDatabase) { l[1].RawBytes++ }),
	} {
		b := file(list, right...)
		res, err := Check(context.Background(), bytes.NewReader(b), int64(len(b)), CheckOptions{})
		if err != nil || len(res.Findings) != 1 || res.Findings[0].Database == "" {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
		if err := readClusterBytes(b); !strings.HasPrefix(name, "other ") && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// refuse checks that a file is refused as damaged by all that reads it, and that this takes little memory.
func refuse(t *testing.T, name string, b []byte) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := NewCluster(bytes.NewReader(b), int64(len(b)))
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("%s: %v", name, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
		t.Errorf("%s: %d bytes of memory", name, used)
	}
	res, err := Check(context.Background(), bytes.NewReader(b), int64(len(b)), CheckOptions{})
	if err != nil || len(res.Findings) == 0 {
		t.Errorf("%s: the check finds nothing: %v", name, err)
	}
}

// readClusterBytes opens a cluster archive and each of its databases.
func readClusterBytes(b []byte) error {
	c, err := NewCluster(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	_, _ = c.Catalog()
	_, _ = c.Moment()
	for _, d := range c.Databases() {
		r, err := c.Open(d.Name)
		if err != nil {
			return err
		}
		_, _ = r.Catalog()
	}
	return nil
}

// An index that claims very many nested volumes takes no more memory than it has bytes for, some times over.
func TestManyNestedClaimed(t *testing.T) {
	f := newForgeCluster()
	for range MaxDatabases + 1 {
		f.idx = appendNestedRecord(f.idx, 1<<20)
	}
	refuse(t, "more nested volumes than there may be", f.finishCluster(nil))
	refuse(t, "two billion databases", func() []byte {
		f := newForgeCluster()
		f.nested(nil, 2_000_000_000*minVolume)
		return f.finishCluster(appendField(nil, 1, appendDatabase(nil, &ClusterDatabase{Name: "a", Offset: 1, Bytes: 2_000_000_000 * minVolume})))
	}())
}

// Volumes that have what their kind does not have, or lack what it has, contradict themselves.
func TestKindsOfClusterVolumes(t *testing.T) {
	one, _ := forgeNested(t, "a", nil)
	info := streamRecord{id: 1, info: StreamInfo{Schema: "s", Table: "t", Form: FormText}, digest: Digest{Rows: 1, Bytes: 4}}
	for name, b := range map[string][]byte{
		"an archive with a nested volume": func() []byte {
			f := newForge(FormatMajor, FormatMinor)
			f.nested(one, uint64(len(one)))
			f.documents(0)
			f.documents(1)
			return f.finish(FormatMajor)
		}(),
		"an archive with a list of databases": newForge(FormatMajor, FormatMinor).finishCluster(nil),
		"a cluster volume without a list": func() []byte {
			f := newForgeCluster()
			f.documents(0)
			f.documents(1)
			return f.finish(FormatMajor)
		}(),
		"a cluster volume with rows": func() []byte {
			f := newForgeCluster()
			for dup := range uint32(2) {
				f.documents(dup)
				f.frame(frameHeader{typ: FrameDatabases, block: dup}, nil)
			}
			f.stream(1, info.digest, CodecNone, 0, []byte("row\n"))
			return f.finish(FormatMajor, info)
		}(),
		"a cluster volume of a set": func() []byte {
			h := Header{Major: FormatMajor, Minor: FormatMinorCluster, Cluster: true, Member: Member{Set: SetID{1}}}
			f := &forge{}
			p := appendHeader(nil, &h)
			f.tag = h.ID.tag()
			f.frame(frameHeader{typ: FrameHeader}, p)
			f.header = bytes.Clone(f.b)
			return f.finishCluster(nil)
		}(),
	} {
		if _, err := openVolume(bytes.NewReader(b), int64(len(b)), ""); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A cluster volume nested in another is no archive of a database.
func TestNestedCluster(t *testing.T) {
	inner := newForgeCluster().finishCluster(nil)
	f := newForgeCluster()
	at := int64(len(f.b))
	f.nested(inner, uint64(len(inner)))
	v, err := openVolume(bytes.NewReader(inner), int64(len(inner)), "")
	if err != nil {
		t.Fatal(err)
	}
	b := f.finishCluster(appendDatabases(nil, []ClusterDatabase{{Name: "a", Offset: at, Bytes: int64(len(inner)), ID: v.header.ID, Root: v.trailer.root}}))
	if err := readClusterBytes(b); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if res, err := Check(context.Background(), bytes.NewReader(b), int64(len(b)), CheckOptions{}); err != nil || len(res.Findings) != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}

// A reader of version 1.0 knows neither the frame type nor the record: what it does with such a frame is what this one does with the next.
func TestUnknownFrameType(t *testing.T) {
	f := newForgeCluster()
	for dup := range uint32(2) {
		f.documents(dup)
		f.frame(frameHeader{typ: FrameDatabases + 1, block: dup}, nil)
	}
	b := f.finish(FormatMajor)
	if _, err := openVolume(bytes.NewReader(b), int64(len(b)), ""); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "unknown type 10") {
		t.Error(err)
	}
}

// fuzzCluster is a cluster archive as a seed.
func fuzzCluster(f *testing.F) []byte {
	f.Helper()
	one, sum := forgeNested(f, "a", nil)
	two, sum2 := forgeNested(f, "b\n", func(w *Writer) error {
		id, err := w.OpenStream(StreamInfo{OID: 9, Schema: "s", Table: "t", Columns: []string{"a"}, Form: FormText})
		if err != nil {
			return err
		}
		var fr Frame
		var d Digest
		e := &Encoder{}
		return errors.Join(e.Encode(&fr, Raw{Stream: id, Data: []byte("row\n"), Digest: &d}), w.Append(&fr), w.CloseStream(id, d))
	})
	var out bytes.Buffer
	w, err := NewClusterWriter(&out, WriterOptions{Tool: "t"})
	if err != nil {
		f.Fatal(err)
	}
	for _, x := range []struct {
		name string
		b    []byte
		sum  Summary
	}{{"a", one, sum}, {"b\n", two, sum2}} {
		dst, err := w.Begin(x.name, "UTF8")
		if err != nil {
			f.Fatal(err)
		}
		if _, err := dst.Write(x.b); err != nil {
			f.Fatal(err)
		}
		if err := w.End(x.sum); err != nil {
			f.Fatal(err)
		}
	}
	if err := errors.Join(w.SetCatalog(fuzzCatalog()), w.SetMoment(fuzzMoment())); err != nil {
		f.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		f.Fatal(err)
	}
	return out.Bytes()
}

func FuzzDatabases(f *testing.F) {
	d := ClusterDatabase{Name: "a", Encoding: "UTF8", Offset: 94, Bytes: 1000, ID: VolumeID{1}, Root: [32]byte{2}, Rows: 3, RawBytes: 4}
	e := d
	e.Name, e.Offset = "b", 1094
	f.Add(string(appendDatabases(nil, []ClusterDatabase{d, e})))
	f.Fuzz(func(t *testing.T, s string) {
		l, err := parseDatabases(s)
		if err != nil {
			return
		}
		b := appendDatabases(nil, l)
		if len(b) == len(s) && string(b) != s {
			t.Fatal("a list without unknown fields does not encode to what it was read from")
		}
		if _, err := parseDatabases(string(b)); err != nil {
			t.Fatal("what was read can't be read again:", err)
		}
		// Whatever the list says, what opens has it agree with the index.
		c := newForgeCluster()
		c.nested(make([]byte, 1000), 1000)
		file := c.finishCluster([]byte(s))
		_ = readClusterBytes(file)
	})
}

func FuzzCluster(f *testing.F) {
	seed := fuzzCluster(f)
	for _, b := range [][]byte{seed, seed[:len(seed)-100], seed[:len(seed)/2], seed[100:], append(bytes.Clone(seed), seed...)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ctx := context.Background()
		opened := readClusterBytes(b)
		res, err := Check(ctx, bytes.NewReader(b), int64(len(b)), CheckOptions{Jobs: 2})
		if opened != nil && !errors.Is(opened, ErrNotCluster) && err == nil && len(res.Findings) == 0 {
			t.Fatal("a check finds nothing in what can't be opened:", opened)
		}
		found, err := FindNested(ctx, bytes.NewReader(b), int64(len(b)))
		end := int64(0)
		for _, n := range found {
			if n.Offset < end || n.Bytes <= 0 || n.Offset+n.Bytes > int64(len(b)) {
				t.Fatalf("overlapping or out of bounds: %+v", found)
			}
			end = n.Offset + n.Bytes
		}
		if err != nil {
			return
		}
		var out bytes.Buffer
		if _, err := SalvageCluster(ctx, bytes.NewReader(b), int64(len(b)), &out, SalvageOptions{}); err != nil {
			return
		}
		res, err = Check(ctx, bytes.NewReader(out.Bytes()), int64(out.Len()), CheckOptions{})
		if err != nil || len(res.Findings) > 0 {
			t.Fatalf("a salvaged archive is not sound: %v %+v", err, res)
		}
		if _, err := Salvage(ctx, bytes.NewReader(b), int64(len(b)), io.Discard, SalvageOptions{}); err == nil && opened == nil {
			t.Fatal("a cluster archive was salvaged as one of one database")
		}
	})
}
