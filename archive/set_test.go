package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

// setBytes is a set in memory.
type setBytes struct {
	lead    []byte
	volumes [][]byte // from number 1
}

func (s *setBytes) source(v *archive.Volume) (io.ReaderAt, int64, string, error) {
	b := s.volumes[v.Number-1]
	if b == nil {
		return nil, 0, "", fs.ErrNotExist
	}
	return bytes.NewReader(b), int64(len(b)), v.Path, nil
}

func (s *setBytes) open(t testing.TB, partial bool) (*archive.Reader, error) {
	t.Helper()
	return archive.NewSetReader(bytes.NewReader(s.lead), int64(len(s.lead)), s.source, partial)
}

// save writes the set into dir: the members at dir/rel, as the lead volume says.
func (s *setBytes) save(t testing.TB, dir string) (lead string) {
	t.Helper()
	for i, b := range s.volumes {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("vol%d.pgark", i+1)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lead = filepath.Join(dir, "lead.pgark")
	if err := os.WriteFile(lead, s.lead, 0o600); err != nil {
		t.Fatal(err)
	}
	return lead
}

// scatterBytes makes a set of an archive, with relative paths.
func scatterBytes(t testing.TB, x *archive.Reader) (*setBytes, *archive.ScatterReport) {
	t.Helper()
	var lead bytes.Buffer
	var outs []*bytes.Buffer
	rep, err := archive.Scatter(context.Background(), x, &lead, archive.ScatterOptions{
		Tool: "test", Lead: "lead.pgark", Jobs: 3,
		Create: func(v *archive.Volume, n archive.Node) (io.Writer, error) {
			outs = append(outs, &bytes.Buffer{})
			v.Host, v.Path = n.Host, fmt.Sprintf("vol%d.pgark", v.Number)
			return outs[len(outs)-1], nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &setBytes{lead: lead.Bytes()}
	for _, b := range outs {
		s.volumes = append(s.volumes, b.Bytes())
	}
	return s, rep
}

// workerOptions are those of volume n of the golden set.
func workerOptions(n uint32) archive.WriterOptions {
	o := testOptions(archive.CodecNone)
	o.Member = archive.Member{Set: archive.SetID([]byte("the set's own id")), Number: n, Lead: "shop.pgark"}
	return o
}

// writeSet writes a set as processes on several hosts do: the members know neither catalog nor entries.
func writeSet(t testing.TB) *setBytes {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s := &setBytes{}
	var volumes []archive.Volume
	enc, err := archive.NewEncoder(archive.CodecNone, 0)
	check(err)
	for n := range uint32(2) {
		var out bytes.Buffer
		w, err := archive.NewWriter(&out, workerOptions(n+1))
		check(err)
		for _, p := range setParts(n + 1) {
			id, err := w.OpenStream(p.info)
			check(err)
			var f archive.Frame
			for k := range p.blocks {
				for part, raw := range rawParts(t, p, k) {
					raw.Stream, raw.Part = id, uint32(part)
					check(enc.Encode(&f, raw))
					check(w.Append(&f))
				}
			}
			check(w.CloseStream(id, digestOf(t, p)))
		}
		sum, err := w.Close()
		check(err)
		v := sum.Volume
		v.Node, v.Host, v.Path = n+1, "sdw", fmt.Sprintf("v1.0_set-vol%d.pgark", n+1)
		wire, err := v.MarshalBinary()
		check(err)
		var back archive.Volume
		check(back.UnmarshalBinary(wire))
		if d := cmp.Diff(v, back); d != "" {
			t.Error(d)
		}
		volumes = append(volumes, back)
		s.volumes = append(s.volumes, out.Bytes())
	}
	var out bytes.Buffer
	w, err := archive.NewWriter(&out, workerOptions(0))
	check(err)
	check(w.SetMoment(segmentsMoment()))
	check(w.SetCatalog(testCatalog()))
	slices.Reverse(volumes)
	check(w.SetVolumes(volumes, []archive.Binding{{OID: 16400, Entry: 2}, {OID: 16384, Entry: 2}}))
	_, err = w.Close()
	check(err)
	s.lead = out.Bytes()
	return s
}

// setParts are the streams of one volume: of a table, of a partition that another entry stands for, and large objects,
// whose entry only the coordinator's volume knows.
func setParts(volume uint32) []part {
	info := archive.StreamInfo{OID: 16384, Node: volume, Schema: "public", Table: "t", Columns: []string{"a", "b"}, Form: archive.FormText}
	leaf := info
	leaf.OID, leaf.Table = 16400, "t_1"
	parts := []part{
		{info: info, blocks: [][]byte{fmt.Appendf(nil, "%d\tone\n%[1]d\ttwo\n", volume), []byte("9\tlong long\n")}},
		{info: leaf, blocks: [][]byte{fmt.Appendf(nil, "%d\tin a leaf, in parts\n", volume)}, split: 9},
		{info: leaf},
	}
	if volume == 1 {
		parts = append(parts, part{
			info:   archive.StreamInfo{Entry: 3, Table: "BLOBS", Columns: []string{"loid", "offset", "data"}, Form: archive.FormText},
			blocks: [][]byte{[]byte("70000\t0\t\\\\x00\n")},
		})
	}
	return parts
}

func gatherBytes(t testing.TB, x *archive.Reader) ([]byte, *archive.GatherReport) {
	t.Helper()
	var out bytes.Buffer
	rep, err := archive.Gather(context.Background(), x, &out, archive.GatherOptions{Tool: "test", Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), rep
}

// digestsOf sums the streams of each table and node; rows are read and compared with their digests on the way.
func digestsOf(t testing.TB, x *archive.Reader) map[string]archive.Digest {
	t.Helper()
	all := map[string]archive.Digest{}
	for _, s := range x.Streams() {
		k := fmt.Sprintf("%d %s.%s of %d, entry %d %s", s.OID, s.Schema, s.Table, s.Node, s.Entry, s.Range)
		d := all[k]
		d.Merge(s.Digest)
		all[k] = d
	}
	return all
}

func TestSetRoundTrip(t *testing.T) {
	for name, parts := range map[string][]part{"nodes": segmentsParts(), "one node": goldenParts(), "no rows": nil} {
		t.Run(name, func(t *testing.T) {
			for _, c := range codecs() {
				if parts == nil {
					parts = []part{{info: archive.StreamInfo{Entry: 2, Schema: "public", Table: "t", Form: archive.FormText}}}
				}
				b, _ := writeArchiveAt(t, testOptions(c), segmentsMoment(), parts)
				x := open(t, b)
				s, rep := scatterBytes(t, x)
				set, err := s.open(t, false)
				if err != nil {
					t.Fatal(err)
				}
				if set.Root() != rep.Summary.Root || len(set.Volumes()) != len(s.volumes) || !set.IsSet() {
					t.Error("other root or volumes")
				}
				if d := cmp.Diff(digestsOf(t, x), digestsOf(t, set)); d != "" {
					t.Error(d)
				}
				for _, st := range set.Streams() {
					if got := readStream(t, set, st.ID); len(got) != st.Blocks {
						t.Error(len(got), st)
					}
				}
				one, grep := gatherBytes(t, set)
				back := open(t, one)
				if d := cmp.Diff(digestsOf(t, x), digestsOf(t, back)); d != "" {
					t.Error(d)
				}
				if len(grep.Losses) > 0 || back.Header().Codec != c {
					t.Error(grep.Losses, back.Header())
				}
				if res, err := check(one); err != nil || len(res.Findings) > 0 {
					t.Error(res, err)
				}
				if d := cmp.Diff(contentStreams(t, x), contentStreams(t, back)); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

// contentStreams is what the streams hold, by what they are.
func contentStreams(t *testing.T, x *archive.Reader) map[string][][]byte {
	t.Helper()
	all := map[string][][]byte{}
	for _, s := range x.Streams() {
		s.ID, s.Stored = 0, 0
		all[fmt.Sprintf("%+v", s)] = readStream(t, x, archive.StreamID(slices.IndexFunc(x.Streams(), func(o archive.Stream) bool {
			return o.Schema == s.Schema && o.Table == s.Table && o.Node == s.Node && o.Range == s.Range && o.OID == s.OID
		})+1))
	}
	return all
}

// Streams of workers get their entries from the lead volume's list.
func TestSetBindings(t *testing.T) {
	x, err := writeSet(t).open(t, false)
	if err != nil {
		t.Fatal(err)
	}
	got := map[int32][]string{}
	for id := range int32(4) {
		for _, s := range x.TableStreams(id) {
			got[id] = append(got[id], fmt.Sprint(s.ID, " ", s.Table, " ", s.Node))
		}
	}
	want := map[int32][]string{
		2: {"1 t 1", "2 t_1 1", "3 t_1 1", "5 t 2", "6 t_1 2", "7 t_1 2"}, 3: {"4 BLOBS 0"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	b, _ := gatherBytes(t, x)
	if d := cmp.Diff(digestsOf(t, x), digestsOf(t, open(t, b))); d != "" {
		t.Error(d)
	}
	frames := map[uint32]int{}
	d := x.NewDecoder()
	for f := range x.Frames() {
		frames[f.Volume]++
		if _, err := d.Frame(f); err != nil {
			t.Error(err)
		}
	}
	if len(frames) != 3 {
		t.Error(frames)
	}
}

// A volume of a set says what it is, wherever an archive is wanted.
func TestLoneMember(t *testing.T) {
	s := writeSet(t)
	_, err := archive.NewReader(bytes.NewReader(s.volumes[1]), int64(len(s.volumes[1])))
	if !errors.Is(err, archive.ErrMember) || !strings.Contains(err.Error(), "volume 2") || !strings.Contains(err.Error(), "shop.pgark") {
		t.Error(err)
	}
	if _, err := archive.NewReader(bytes.NewReader(s.lead), int64(len(s.lead))); !errors.Is(err, archive.ErrVolume) {
		t.Error(err)
	}
	dir := t.TempDir()
	s.save(t, dir)
	f, err := archive.OpenMember(filepath.Join(dir, "vol2.pgark"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if n := f.Header().Member.Number; n != 2 || len(f.Streams()) != 3 || len(readStream(t, f.Reader, 2)) != 1 {
		t.Error(n, f.Streams())
	}
	if _, err := f.Catalog(); !errors.Is(err, archive.ErrMember) {
		t.Error(err)
	}
	if _, err := archive.OpenMember(filepath.Join(dir, "lead.pgark")); err == nil {
		t.Error("a lead volume was taken for a member")
	}
	res, err := check(s.volumes[1])
	if err != nil || len(res.Findings) > 0 || res.Streams != 3 {
		t.Error(res, err)
	}
}

// wrongVolumes are all the ways in which the second volume of a set may be wrong: what lies in its place, and how it is named.
func wrongVolumes(t testing.TB) map[string]struct {
	b       []byte
	problem string
} {
	t.Helper()
	s := writeSet(t)
	other, _ := scatterBytes(t, open(t, golden2(t)))
	stale := rewriteMember(t, s.volumes[1])
	cut := s.volumes[1][:len(s.volumes[1])-100]
	tail := bytes.Clone(s.volumes[1])
	tail[len(tail)-20] ^= 1
	index := bytes.Clone(s.volumes[1])
	index[len(index)-200] ^= 4
	alone, _ := writeArchive(t, testOptions(archive.CodecNone), testParts())
	type wrong = struct {
		b       []byte
		problem string
	}
	return map[string]wrong{
		"missing":        {nil, archive.VolumeMissing},
		"swapped":        {s.volumes[0], archive.VolumeSwapped},
		"lead":           {s.lead, archive.VolumeSwapped},
		"other set":      {other.volumes[1], archive.VolumeForeign},
		"other lead":     {other.lead, archive.VolumeForeign},
		"an archive":     {alone, archive.VolumeForeign},
		"no archive":     {[]byte(strings.Repeat("hello ", 100)), archive.VolumeForeign},
		"stale":          {stale, archive.VolumeStale},
		"truncated":      {cut, archive.VolumeDamaged},
		"trailer":        {tail, archive.VolumeDamaged},
		"index":          {index, archive.VolumeDamaged},
		"empty":          {[]byte{}, archive.VolumeForeign},
		"other, cut off": {other.volumes[1][:len(other.volumes[1])-50], archive.VolumeForeign},
	}
}

func golden2(t testing.TB) []byte {
	t.Helper()
	b, _ := writeArchiveAt(t, testOptions(archive.CodecNone), segmentsMoment(), segmentsParts())
	return b
}

// rewriteMember writes volume 2 of the set again, with other rows.
func rewriteMember(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := archive.NewWriter(&out, workerOptions(2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(b[:40], out.Bytes()) {
		t.Fatal("not another one")
	}
	return out.Bytes()
}

// Every kind of wrong volume is refused and named, and what else there is can be opened.
func TestWrongVolumes(t *testing.T) {
	for name, w := range wrongVolumes(t) {
		t.Run(name, func(t *testing.T) {
			s := writeSet(t)
			s.volumes[1] = w.b
			_, err := s.open(t, false)
			var e *archive.VolumeError
			if !errors.Is(err, archive.ErrVolume) || !errors.As(err, &e) || e.Problem != w.problem {
				t.Fatal(e, err)
			}
			for _, part := range []string{"volume 2", "seg1", "sdw", "v1.0_set-vol2.pgark"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q lacks %q", err, part)
				}
			}
			x, err := s.open(t, true)
			if err != nil {
				t.Fatal(err)
			}
			if len(x.Streams()) != 4 || x.Volumes()[0].Err != nil || x.Volumes()[1].Err == nil || x.SetMissing() == nil {
				t.Error(x.Volumes(), x.Streams())
			}
			b, rep := gatherBytes(t, x)
			m, err := open(t, b).Moment()
			if err != nil || len(rep.Losses) != 2 || len(m.Losses) != 2 || m.Losses[0].Rows != 3 || m.Losses[0].Table != "t" {
				t.Error(rep.Losses, m.Losses, err)
			}
			checkWrong(t, s, w.problem)
		})
	}
}

// checkWrong has the set checked in files.
func checkWrong(t *testing.T, s *setBytes, problem string) {
	t.Helper()
	dir := t.TempDir()
	lead := s.save(t, dir)
	names := []string{"vol1.pgark", "vol2.pgark"}
	for i, name := range names {
		to := filepath.Join(dir, "v1.0_set-"+name)
		if err := os.Rename(filepath.Join(dir, name), to); err != nil {
			t.Fatal(err)
		}
		if s.volumes[i] == nil {
			if err := os.Remove(to); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := archive.Open(lead); !errors.Is(err, archive.ErrVolume) {
		t.Error(err)
	}
	res, err := archive.CheckFiles(t.Context(), lead, archive.CheckOptions{}, archive.OpenOptions{})
	if err != nil || len(res.Findings) == 0 {
		t.Fatal(res, err)
	}
	classes, tables := map[string]bool{}, map[string]bool{}
	for _, f := range res.Findings {
		classes[f.Class] = true
		tables[f.Table] = true
		if !strings.HasSuffix(f.Volume, "v1.0_set-vol2.pgark") {
			t.Errorf("%+v", f)
		}
	}
	want := archive.ClassVolume
	switch problem {
	case archive.VolumeMissing:
		want = archive.ClassMissing
	case archive.VolumeDamaged:
		want = ""
	}
	if want != "" && !classes[want] || !tables["t"] {
		t.Errorf("%+v", res.Findings)
	}
}

// In files, volumes are found by path, by name in a directory, and by what their headers say.
func TestFindVolumes(t *testing.T) {
	s, _ := scatterBytes(t, open(t, golden2(t)))
	dir, moved := t.TempDir(), t.TempDir()
	lead := s.save(t, dir)
	all := len(s.volumes)
	expect := func(o archive.OpenOptions, want int) *archive.File {
		t.Helper()
		o.Partial = true
		f, err := archive.OpenWith(lead, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		n := 0
		for _, v := range f.Volumes() {
			if v.Err == nil {
				n++
			}
		}
		if n != want {
			t.Errorf("%d volumes in place of %d: %v", n, want, f.SetMissing())
		}
		return f
	}
	expect(archive.OpenOptions{}, all)
	expect(archive.OpenOptions{VolumeDir: moved}, 0)
	expect(archive.OpenOptions{LeadOnly: true}, 0)
	for i := range all { // under other names, and each in the place of the next
		from := filepath.Join(dir, fmt.Sprintf("vol%d.pgark", i+1))
		if err := os.Rename(from, filepath.Join(moved, fmt.Sprintf("vol%d.pgark", (i+1)%all+1))); err != nil {
			t.Fatal(err)
		}
	}
	expect(archive.OpenOptions{}, 0)
	f := expect(archive.OpenOptions{VolumeDir: moved}, all)
	if !strings.HasPrefix(f.Volumes()[0].Name, moved) {
		t.Error(f.Volumes()[0].Name)
	}
	if err := os.Rename(filepath.Join(moved, "vol2.pgark"), filepath.Join(dir, "renamed.pgark")); err != nil {
		t.Fatal(err)
	}
	expect(archive.OpenOptions{VolumeDir: moved}, all-1)
	expect(archive.OpenOptions{}, 1) // beside the lead volume
}

// Whatever bit of any volume is flipped, the check says so and names the volume.
func TestSetFlips(t *testing.T) {
	s := writeSet(t)
	dir := t.TempDir()
	volumes := map[string][]byte{"lead.pgark": s.lead, "v1.0_set-vol1.pgark": s.volumes[0], "v1.0_set-vol2.pgark": s.volumes[1]}
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range volumes {
		write(name, b)
	}
	lead := filepath.Join(dir, "lead.pgark")
	run := func() (*archive.CheckResult, error) {
		return archive.CheckFiles(t.Context(), lead, archive.CheckOptions{}, archive.OpenOptions{})
	}
	if res, err := run(); err != nil || len(res.Findings) > 0 || res.Rows != 9 || res.Tables != 1 { // the leaves belong to the root
		t.Fatal(res, err)
	}
	for _, name := range slices.Sorted(maps.Keys(volumes)) {
		for i := 0; i < len(volumes[name]); i += 7 {
			b := bytes.Clone(volumes[name])
			b[i] ^= 1 << (i % 8)
			write(name, b)
			res, err := run()
			if errors.Is(err, archive.ErrNotArchive) || errors.Is(err, archive.ErrVersion) {
				continue
			}
			if err != nil || !slices.ContainsFunc(res.Findings, func(f archive.Finding) bool { return filepath.Base(f.Volume) == name }) {
				t.Fatalf("byte %d of %s: %+v %v", i, name, res, err)
			}
		}
		write(name, volumes[name])
	}
}

// A lead volume that can't be opened doesn't pass for all that there is to check.
func TestUnlistedVolumes(t *testing.T) {
	s := writeSet(t)
	for cut, want := range map[int]bool{len(s.lead): false, len(s.lead) - 1: true, len(s.lead) / 2: true} {
		dir := t.TempDir()
		lead := (&setBytes{lead: s.lead[:cut]}).save(t, dir)
		res, err := archive.CheckFiles(t.Context(), lead, archive.CheckOptions{}, archive.OpenOptions{})
		said := slices.ContainsFunc(res.Findings, func(f archive.Finding) bool {
			return f.Volume == lead && strings.Contains(f.Message, "they were not checked")
		})
		if err != nil || said != want {
			t.Errorf("the first %d bytes: %+v %v", cut, res, err)
		}
	}
}

// What a killed worker leaves can be salvaged by itself, and a damaged lead volume leads again.
func TestSalvageSet(t *testing.T) {
	s := writeSet(t)
	v := s.volumes[0]
	for _, cut := range []int{len(v), len(v) - 90, len(v) * 2 / 3, len(v) / 2} {
		var out bytes.Buffer
		rep, err := archive.Salvage(t.Context(), bytes.NewReader(v[:cut]), int64(cut), &out, archive.SalvageOptions{Tool: "test"})
		if err != nil {
			t.Fatal(err)
		}
		x := open(t, out.Bytes())
		if len(rep.Notes) == 0 || !strings.Contains(rep.Notes[0], "volume 1 of a set") || !strings.Contains(rep.Notes[0], "shop.pgark") {
			t.Error(rep.Notes)
		}
		cat, err := x.Catalog()
		if err != nil || len(cat.Entries) == 0 || x.Streams()[0].Entry == 0 || x.Streams()[0].Digest.Rows == 0 {
			t.Error(cat, x.Streams(), err)
		}
	}
	for at := 300; at < len(s.lead); at += len(s.lead) / 20 {
		b := bytes.Clone(s.lead)
		b[at] ^= 1
		var out bytes.Buffer
		rep, err := archive.Salvage(t.Context(), bytes.NewReader(b), int64(len(b)), &out, archive.SalvageOptions{Tool: "test"})
		if err != nil {
			t.Fatal(err)
		}
		again := &setBytes{lead: out.Bytes(), volumes: s.volumes}
		x, err := again.open(t, false)
		if err != nil || len(x.Streams()) != 7 || len(rep.Losses)+len(rep.Notes) > 0 {
			t.Errorf("byte %d: %v %+v", at, err, rep)
		}
	}
}

// What a writer of a set must not do is refused.
func TestSetWriterRefuses(t *testing.T) {
	for name, o := range map[string]archive.WriterOptions{
		"number without set": {Member: archive.Member{Number: 1}},
		"lead without set":   {Member: archive.Member{Lead: "x"}},
		"number":             {Member: archive.Member{Set: archive.NewSetID(), Number: archive.MaxVolumes + 1}},
	} {
		if _, err := archive.NewWriter(io.Discard, o); err == nil {
			t.Error(name)
		}
	}
	writer := func(n uint32) *archive.Writer {
		w, err := archive.NewWriter(io.Discard, workerOptions(n))
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	v := archive.Volume{Number: 1, Bytes: 1}
	for name, err := range map[string]error{
		"catalog of a member": writer(1).SetCatalog(testCatalog()),
		"moment of a member":  writer(1).SetMoment(testMoment()),
		"volumes of a member": writer(1).SetVolumes(nil, nil),
		"rows of a lead":      func() error { _, err := writer(0).OpenStream(testParts()[0].info); return err }(),
		"lead without its list": func() error {
			w := writer(0)
			_ = w.SetMoment(testMoment())
			_ = w.SetCatalog(testCatalog())
			_, err := w.Close()
			return err
		}(),
		"gap":              writer(0).SetVolumes([]archive.Volume{v, {Number: 3, Bytes: 1}}, nil),
		"twice":            writer(0).SetVolumes([]archive.Volume{v, v}, nil),
		"bound twice":      writer(0).SetVolumes([]archive.Volume{v}, []archive.Binding{{OID: 1, Entry: 1}, {OID: 1, Entry: 2}}),
		"bound to nothing": writer(0).SetVolumes([]archive.Volume{{Number: 1, Bytes: 1, Tables: []archive.VolumeTable{{OID: 7}}}}, []archive.Binding{{OID: 1}}),
		"NUL":              writer(0).SetVolumes([]archive.Volume{{Number: 1, Bytes: 1, Path: "a\x00b"}}, nil),
		"no length":        writer(0).SetVolumes([]archive.Volume{{Number: 1}}, nil),
		"other sums":       writer(0).SetVolumes([]archive.Volume{{Number: 1, Bytes: 1, Rows: 3}}, nil),
	} {
		if err == nil {
			t.Error(name)
		}
	}
}
