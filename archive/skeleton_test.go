package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

// bones copies spans of a volume into zeros of its length, as whoever gets them from another host does.
func bones(volume []byte, spans []archive.Span) []byte {
	b := make([]byte, len(volume))
	for _, s := range spans {
		copy(b[s.Offset:s.Offset+s.Length], volume[s.Offset:])
	}
	return b
}

func skeletonOf(t *testing.T, volume []byte) []archive.Span {
	t.Helper()
	spans, err := archive.Skeleton(bytes.NewReader(volume), int64(len(volume)))
	if err != nil {
		t.Fatal(err)
	}
	return spans
}

// A skeleton opens, says everything but the rows, and with the spans of a stream gives that stream's rows and no other's.
func TestSkeleton(t *testing.T) {
	s := writeSet(t)
	whole, err := s.open(t, false)
	if err != nil {
		t.Fatal(err)
	}
	thin := &setBytes{lead: s.lead}
	for _, v := range s.volumes {
		thin.volumes = append(thin.volumes, bones(v, skeletonOf(t, v)))
	}
	x, err := thin.open(t, false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole.Streams(), x.Streams()); diff != "" {
		t.Errorf("streams: %s", diff)
	}
	if x.Root() != whole.Root() || x.Size() != whole.Size() {
		t.Error("another root or size")
	}
	for _, st := range x.Streams() {
		if st.Blocks == 0 {
			continue
		}
		if _, err := streamRows(x, st.ID); !errors.Is(err, archive.ErrDamaged) {
			t.Errorf("stream %d without its frames: %v", st.ID, err)
		}
		number, local := x.Origin(st.ID)
		volume := s.volumes[number-1]
		alone := &setBytes{lead: s.lead, volumes: slices.Clone(thin.volumes)}
		alone.volumes[number-1] = bones(volume, append(skeletonOf(t, volume), x.StreamSpans([]archive.StreamID{st.ID})...))
		y, err := alone.open(t, false)
		if err != nil {
			t.Fatal(err)
		}
		got, err := streamRows(y, st.ID)
		if err != nil {
			t.Errorf("stream %d: %v", st.ID, err)
		}
		if want, err := streamRows(whole, st.ID); err != nil || !bytes.Equal(got, want) {
			t.Errorf("stream %d: other rows, %v", st.ID, err)
		}
		for _, other := range y.Streams() {
			if of, _ := y.Origin(other.ID); of == number && other.ID != st.ID && other.Blocks > 0 {
				if _, err := streamRows(y, other.ID); err == nil {
					t.Errorf("the spans of stream %d have stream %d (%d in its volume), too", st.ID, other.ID, local)
				}
			}
		}
	}
	if got := x.StreamSpans(nil); got != nil {
		t.Errorf("spans of no stream: %v", got)
	}
	if got := x.StreamSpans([]archive.StreamID{9999}); len(got) != 0 {
		t.Errorf("spans of a stream that there isn't: %v", got)
	}
}

// All spans of all streams are all there is to gather.
func TestStreamSpansAreComplete(t *testing.T) {
	s := writeSet(t)
	x, err := s.open(t, false)
	if err != nil {
		t.Fatal(err)
	}
	copied := &setBytes{lead: s.lead}
	for i, v := range s.volumes {
		var ids []archive.StreamID
		for _, st := range x.Streams() {
			if n, _ := x.Origin(st.ID); n == uint32(i+1) {
				ids = append(ids, st.ID)
			}
		}
		copied.volumes = append(copied.volumes, bones(v, append(skeletonOf(t, v), x.StreamSpans(ids)...)))
		if !bytes.Equal(copied.volumes[i], v) {
			t.Errorf("volume %d has bytes that no span has", i+1)
		}
	}
	y, err := copied.open(t, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Gather(t.Context(), y, &bytes.Buffer{}, archive.GatherOptions{Tool: "test"}); err != nil {
		t.Error(err)
	}
}

// Of what is cut off or no archive there is no skeleton, and no panic.
func TestSkeletonOfEveryTruncation(t *testing.T) {
	volume := writeSet(t).volumes[0]
	for n := range volume {
		_, err := archive.Skeleton(bytes.NewReader(volume[:n]), int64(n))
		if !errors.Is(err, archive.ErrTruncated) && !errors.Is(err, archive.ErrDamaged) && !errors.Is(err, archive.ErrNotArchive) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

func streamRows(x *archive.Reader, id archive.StreamID) ([]byte, error) {
	d := x.NewDecoder()
	defer d.Close()
	var rows []byte
	for b := range x.Blocks(id) {
		err := d.Block(b, func(part []byte) error {
			rows = append(rows, part...)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// What checks have found where volumes lie makes the same result as a check of all of them here.
func TestCheckFilesElsewhere(t *testing.T) {
	s := writeSet(t)
	there := t.TempDir()
	s.save(t, there)
	here := t.TempDir()
	lead := (&setBytes{lead: s.lead}).save(t, here)
	member := func(volume []byte) *archive.MemberCheck {
		res, err := archive.Check(context.Background(), bytes.NewReader(volume), int64(len(volume)), archive.CheckOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c := &archive.MemberCheck{Name: "sdw:/v", Result: res, Size: int64(len(volume))}
		if spans, err := archive.Skeleton(bytes.NewReader(volume), int64(len(volume))); err == nil {
			c.Skeleton = bytes.NewReader(bones(volume, spans))
		}
		return c
	}
	check := func(members map[uint32]*archive.MemberCheck) *archive.CheckResult {
		t.Helper()
		res, err := archive.CheckFiles(t.Context(), lead, archive.CheckOptions{Members: members}, archive.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	local, err := archive.CheckFiles(t.Context(), lead, archive.CheckOptions{}, archive.OpenOptions{VolumeDir: there})
	if err != nil {
		t.Fatal(err)
	}
	sound := map[uint32]*archive.MemberCheck{1: member(s.volumes[0]), 2: member(s.volumes[1])}
	if diff := cmp.Diff(local, check(sound)); diff != "" {
		t.Errorf("another result than of a check here: %s", diff)
	}
	damaged := slices.Clone(s.volumes[1])
	damaged[len(damaged)/2] ^= 1
	stale := writeSetOf(t, "another, and no other")
	for name, tc := range map[string]struct {
		second *archive.MemberCheck
		class  string
		lost   bool // the tables of the volume are named
	}{
		"not asked":   {nil, archive.ClassUnchecked, false},
		"no answer":   {&archive.MemberCheck{Name: "sdw:/v", Err: errors.New("no route to host")}, archive.ClassUnchecked, false},
		"not there":   {&archive.MemberCheck{Name: "sdw:/v", Err: fs.ErrNotExist}, archive.ClassMissing, true},
		"swapped":     {sound[1], archive.ClassVolume, true},
		"foreign":     {member(stale), archive.ClassVolume, true},
		"no archive":  {&archive.MemberCheck{Name: "sdw:/v", Result: &archive.CheckResult{}}, archive.ClassVolume, true},
		"cut off":     {member(s.volumes[1][:len(s.volumes[1])-9]), archive.ClassVolume, true},
		"damaged row": {member(damaged), archive.ClassFrame, false},
	} {
		res := check(map[uint32]*archive.MemberCheck{1: sound[1], 2: tc.second})
		if !slices.ContainsFunc(res.Findings, func(f archive.Finding) bool { return f.Class == tc.class }) {
			t.Errorf("%s: no finding of class %s: %+v", name, tc.class, res.Findings)
		}
		named := slices.ContainsFunc(res.Findings, func(f archive.Finding) bool { return f.Class != archive.ClassFrame && f.Table != "" })
		if named != tc.lost {
			t.Errorf("%s: tables named: %v, want %v: %+v", name, named, tc.lost, res.Findings)
		}
		for _, f := range res.Findings {
			if f.Volume == filepath.Base(lead) {
				t.Errorf("%s: a finding in the lead volume, which is sound: %+v", name, f)
			}
		}
	}
}

// writeSetOf writes a volume of some other set.
func writeSetOf(t *testing.T, set string) []byte {
	t.Helper()
	o := testOptions(archive.CodecNone)
	copy(o.Member.Set[:], set)
	o.Member.Number = 2
	var out bytes.Buffer
	w, err := archive.NewWriter(&out, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
