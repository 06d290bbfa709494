package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/pgark/pgark/archive"
)

func salvage(b []byte) ([]byte, *archive.SalvageReport, error) {
	var out bytes.Buffer
	rep, err := archive.Salvage(context.Background(), bytes.NewReader(b), int64(len(b)), &out, archive.SalvageOptions{Tool: "pgark 0.1.0"})
	return out.Bytes(), rep, err
}

// sound checks a salvaged archive and compares its rows with the report.
func sound(b []byte, rep *archive.SalvageReport) error {
	res, err := check(b)
	switch {
	case err != nil:
		return err
	case len(res.Findings) > 0:
		return fmt.Errorf("the salvaged archive is damaged: %+v", res.Findings)
	case uint64(res.Blocks) != rep.Blocks || res.Rows != rep.Rows || res.RawBytes != rep.RawBytes:
		return fmt.Errorf("the salvaged archive has %d blocks, the report says %d", res.Blocks, rep.Blocks)
	}
	return nil
}

func TestSalvageSound(t *testing.T) {
	for _, c := range codecs() {
		good, sum := writeArchive(t, testOptions(c), testParts())
		b, rep, err := salvage(good)
		if err != nil {
			t.Fatal(err)
		}
		if err := sound(b, rep); err != nil {
			t.Error(err)
		}
		if rep.Rows != sum.Rows || rep.Blocks != uint64(sum.Blocks) || len(rep.Losses) > 0 || len(rep.Notes) > 0 {
			t.Errorf("%s: %+v", c, rep)
		}
		checkContent(t, open(t, b), testParts())
	}
}

// wholeBlocks counts the blocks of which intact accepts all frames.
func wholeBlocks(frames []archive.FrameInfo, intact func(f archive.FrameInfo, end int64) bool) uint64 {
	type key struct {
		id  archive.StreamID
		seq uint32
	}
	whole := map[key]bool{}
	for _, f := range frames {
		if f.Type == archive.FrameBlock {
			k := key{f.Stream, f.Block}
			before, seen := whole[k]
			whole[k] = (before || !seen) && intact(f, f.Offset+48+int64(f.Stored))
		}
	}
	n := uint64(0)
	for _, ok := range whole {
		if ok {
			n++
		}
	}
	return n
}

func TestSalvageEveryTruncation(t *testing.T) {
	t.Parallel()
	good, _ := writeArchive(t, testOptions(archive.CodecNone), testParts())
	frames := framesOf(t, good)
	header := frames[1].Offset
	each(t, len(good), func(n int) error {
		b, rep, err := salvage(good[:n])
		if int64(n) < header {
			if !errors.Is(err, archive.ErrNotArchive) {
				return fmt.Errorf("nothing is left, and salvage says: %w", err)
			}
			return nil
		}
		if err != nil {
			return err
		}
		want := wholeBlocks(frames, func(_ archive.FrameInfo, end int64) bool { return end <= int64(n) })
		if rep.Blocks != want {
			return fmt.Errorf("%d blocks, want %d", rep.Blocks, want)
		}
		if rep.Blocks < 6 && len(rep.Losses) == 0 {
			return errors.New("losses are not reported")
		}
		return sound(b, rep)
	})
}

// The head may be missing too.
func TestSalvageEveryTail(t *testing.T) {
	t.Parallel()
	good, _ := writeArchive(t, testOptions(archive.CodecZstd), testParts())
	frames := framesOf(t, good)
	index := frames[len(frames)-1]
	last := index.Offset + 48 + int64(index.Stored)
	each(t, int(last), func(n int) error {
		b, rep, err := salvage(good[n:])
		if err != nil {
			return err
		}
		want := wholeBlocks(frames, func(f archive.FrameInfo, _ int64) bool { return f.Offset >= int64(n) })
		if rep.Blocks != want {
			return fmt.Errorf("%d blocks, want %d", rep.Blocks, want)
		}
		return sound(b, rep)
	})
}

func TestSalvageHole(t *testing.T) {
	good, _ := writeArchive(t, testOptions(archive.CodecNone), testParts())
	frames := framesOf(t, good)
	const size, step = 100, 5
	each(t, (len(good)-size)/step, func(n int) error {
		n *= step
		zeros := bytes.Clone(good)
		clear(zeros[n : n+size])
		b, rep, err := salvage(zeros)
		if err != nil {
			return err
		}
		want := wholeBlocks(frames, func(f archive.FrameInfo, end int64) bool { return end <= int64(n) || f.Offset >= int64(n+size) })
		if rep.Blocks != want {
			return fmt.Errorf("%d blocks, want %d", rep.Blocks, want)
		}
		if err := sound(b, rep); err != nil {
			return err
		}
		b, rep, err = salvage(slices.Concat(good[:n], good[n+size:])) // the bytes are gone altogether
		if err != nil {
			return err
		}
		if rep.Blocks != want {
			return fmt.Errorf("%d blocks, want %d", rep.Blocks, want)
		}
		return sound(b, rep)
	})
}

func TestSalvageNamesLosses(t *testing.T) {
	good, _ := writeArchive(t, testOptions(archive.CodecNone), testParts())
	frames := framesOf(t, good)
	i := slices.IndexFunc(frames, func(f archive.FrameInfo) bool { return f.Type == archive.FrameBlock && f.Stream == 1 && f.Block == 1 })
	good[frames[i].Offset+60] ^= 1
	b, rep, err := salvage(good)
	if err != nil {
		t.Fatal(err)
	}
	m, err := open(t, b).Moment()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Losses) != 1 || m.Losses[0].Table != "t" || m.Losses[0].Blocks != 1 || m.Losses[0].Rows != 20 {
		t.Errorf("%+v", m.Losses)
	}
	if rep.Tables[0].Complete || rep.Tables[0].LostRows != 20 || rep.Tables[0].Rows != 2 || !rep.Tables[1].Complete {
		t.Errorf("%+v", rep.Tables)
	}
}

// A catalog of which neither copy is left is replaced by one that names the tables.
func TestSalvageWithoutCatalog(t *testing.T) {
	good, _ := writeArchive(t, testOptions(archive.CodecNone), testParts())
	for _, f := range framesOf(t, good) {
		if f.Type == archive.FrameCatalog {
			good[f.Offset] ^= 1
		}
	}
	b, rep, err := salvage(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := sound(b, rep); err != nil {
		t.Fatal(err)
	}
	r := open(t, b)
	cat, err := r.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	if len(cat.Entries) != 2 || cat.Entries[0].Copy != "COPY \"public\".\"t\" (\"a\", \"b\") FROM stdin;\n" || len(r.TableStreams(cat.Entries[0].ID)) != 2 {
		t.Errorf("%+v", cat.Entries)
	}
}

// Frames of an archive that is stored in another one, as a row, are never taken for frames of the outer one.
func TestSalvageArchiveInside(t *testing.T) {
	o := testOptions(archive.CodecNone)
	o.Database = "inner"
	inner, _ := writeArchive(t, o, testParts())
	outer := []part{
		{info: archive.StreamInfo{Table: "lo", Form: archive.FormBinary}, blocks: [][]byte{inner}},
		{info: archive.StreamInfo{Table: "x", Form: archive.FormText}, blocks: [][]byte{[]byte("1\n"), []byte("2\n")}},
	}
	b, _ := writeArchive(t, testOptions(archive.CodecNone), outer)
	for _, f := range framesOf(t, b) {
		if f.Type == archive.FrameBlock && f.Stream == 1 {
			clear(b[f.Offset : f.Offset+48])
		}
	}
	for _, damaged := range [][]byte{b, b[:len(b)-20], b[300:]} {
		out, rep, err := salvage(damaged)
		if err != nil {
			t.Fatal(err)
		}
		if err := sound(out, rep); err != nil {
			t.Error(err)
		}
		for _, table := range rep.Tables {
			if table.Rows > 2 {
				t.Errorf("rows of the inner archive were taken: %+v", rep.Tables)
			}
		}
	}
}
