package archive_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgark/pgark/archive"
)

// canonicalRows has rows as servers before version 12 print them, and the same as later ones do.
func canonicalRows() [][3]string {
	return [][3]string{
		{"8", "0.10000000000000001", "0.1"},
		{"4", "0.100000001", "0.1"},
		{"8", "0.100000001", "0.100000001"},
		{"8", "123456789012345", "123456789012345"},
		{"8", "1000000000000000", "1e+15"},
		{"4", "123456", "123456"},
		{"4", "1234567", "1.234567e+06"},
		{"4", "16777216", "1.6777216e+07"},
		{"8", "9.9999999999999992e+22", "9.999999999999999e+22"},
		{"8", "0.0001", "0.0001"},
		{"8", "1.0000000000000001e-05", "1e-05"},
		{"4", "9.99999975e-05", "0.0001"},
		{"8", "4.9406564584124654e-324", "5e-324"},
		{"8", "1.7976931348623157e+308", "1.7976931348623157e+308"},
		{"4", "3.40282347e+38", "3.4028235e+38"},
		{"8", "-0", "-0"},
		{"8", "NaN", "NaN"},
		{"8", "-Infinity", "-Infinity"},
		{"8", `\N`, `\N`},
		{"8", "", ""},
		{"8", "1e+309", "1e+309"},
		{"4", "1e+39", "1e+39"},
		{"8", "1.50", "1.5"},
		{"8", "1.", "1."},
		{"8", "0x10", "0x10"},
		{"8", "1-2", "1-2"},
		{"8", "007", "7"},
		{"8", "0.00001", "1e-05"},
		{"8", "{0.10000000000000001,NULL,{NaN,-1.1000000000000001}}", "{0.1,NULL,{NaN,-1.1}}"},
		{"4", "[1000000:1000001]={1000000,0.100000001}", "[1000000:1000001]={1e+06,0.1}"},
		{"8", `{"[0.10000000000000001,2)","(,0.20000000000000001]",empty}`, `{"[0.1,2)","(,0.2]",empty}`},
		{"8", "<(0.10000000000000001,1e+20),3>", "<(0.1,1e+20),3>"},
		{"-8-4?", "0.10000000000000001\t0.10000000000000001\t0.100000001\t0.100000001\t0.10000000000000001", "0.10000000000000001\t0.1\t0.100000001\t0.1\t0.10000000000000001"},
		{"8", "0.10000000000000001\t0.10000000000000001", "0.1\t0.10000000000000001"},
		{"8", strings.Repeat("0", 63) + "1", "1"},
		{"8", strings.Repeat("0", 64) + "1", strings.Repeat("0", 64) + "1"},
	}
}

// A digest of FormFloats is that of the rows as a later server prints them, however a row is cut.
func TestCanonical(t *testing.T) {
	for _, c := range canonicalRows() {
		floats, old, now := c[0], c[1]+"\n", c[2]+"\n"
		var want archive.Digest
		if err := want.AddRows([]byte(now)); err != nil {
			t.Fatal(err)
		}
		var got archive.Digest
		if err := got.AddRowsCanonical(floats, []byte(old)); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s %q is not made %q", floats, old, now)
		}
		var again archive.Digest
		if err := again.AddRowsCanonical(floats, []byte(now)); err != nil {
			t.Fatal(err)
		}
		if again != want {
			t.Errorf("%s %q is not canonical", floats, now)
		}
		h := archive.NewRowHasher(floats)
		for cut := range len(old) {
			var parts archive.Digest
			_, _ = h.Write([]byte(old[:cut]))
			_, _ = h.Write([]byte(old[cut : len(old)-1]))
			h.Done(&parts)
			if parts != want {
				t.Errorf("%s %q cut at %d is not made %q", floats, old, cut, now)
			}
		}
		var bytewise archive.Digest
		for i := range len(old) - 1 {
			_, _ = h.Write([]byte{old[i]})
		}
		if h.Done(&bytewise); bytewise != want {
			t.Errorf("%s %q byte by byte is not made %q", floats, old, now)
		}
	}
	if new(archive.Digest).AddRowsCanonical("8", []byte("1")) == nil {
		t.Error("a row without LF was taken")
	}
}

// Any text has one canonical form, however it is cut, and making that canonical again changes nothing.
func TestCanonicalCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := rapid.StringMatching(`([-0-9.e+:{}\t\\N,a]{0,90}){0,3}`).Draw(t, "row")
		floats := rapid.StringMatching(`[-48?]{1,5}`).Draw(t, "floats")
		var whole, parts archive.Digest
		if err := whole.AddRowsCanonical(floats, []byte(row+"\n")); err != nil {
			t.Fatal(err)
		}
		h := archive.NewRowHasher(floats)
		for rest := row; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			_, _ = h.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		if h.Done(&parts); parts != whole {
			t.Fatal("cutting matters")
		}
	})
}

// Long text of random values reads back as what it was made of.
func TestCanonicalReadsBack(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		v := math.Float64frombits(r.Uint64())
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		long := strconv.FormatFloat(v, 'g', 17, 64)
		short := strconv.FormatFloat(v, 'g', -1, 64)
		var a, b archive.Digest
		_ = a.AddRowsCanonical("8", []byte(long+"\n"))
		_ = b.AddRowsCanonical("8", []byte(short+"\n"))
		if a != b {
			t.Fatal(long, short)
		}
	}
}

// A row of FormFloats that is larger than a frame has the same digest as in one piece.
func TestFloatsInArchive(t *testing.T) {
	row := []byte("1\t{" + strings.Repeat("0.10000000000000001,", 300000) + "1}\n")
	info := archive.StreamInfo{Schema: "public", Table: "t", Columns: []string{"a", "b"}, Form: archive.FormFloats, Floats: "-8"}
	for _, split := range []int{0, 1000, 4096} {
		b, _ := writeArchive(t, testOptions(archive.CodecZstd), []part{{info: info, blocks: [][]byte{row}, split: split}})
		r := open(t, b)
		s := r.Streams()[0]
		now := bytes.ReplaceAll(row, []byte("0.10000000000000001"), []byte("0.1"))
		var want archive.Digest
		if err := want.AddRows(now); err != nil {
			t.Fatal(err)
		}
		if s.Digest != want || s.Raw != uint64(len(row)) {
			t.Errorf("split %d: %s of %d bytes, want %s of %d", split, s.Digest, s.Raw, want, len(row))
		}
		if res, err := check(b); err != nil || len(res.Findings) > 0 || res.RawBytes != uint64(len(row)) {
			t.Error(res, err)
		}
		out, rep, err := salvage(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(rep.Losses) > 0 || rep.RawBytes != uint64(len(row)) || open(t, out).Streams()[0].Digest != want {
			t.Errorf("%+v", rep)
		}
	}
}

func BenchmarkDigestFloats(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, kind := range []string{"few", "most"} {
		var text []byte
		for i := 0; len(text) < archive.FrameTarget-300; i++ {
			text = append(text, strconv.Itoa(i)+"\tsome words of a comment, more than a few\t2024-05-06 07:08:09\t"...)
			n := 1
			if kind == "most" {
				n = 8
			}
			for range n {
				text = append(strconv.AppendFloat(text, r.NormFloat64()*1000, 'g', 18, 64), '\t')
			}
			text = append(text, "12.5\n"...)
		}
		floats := "---8" + strings.Repeat("8", 8)
		b.Run(kind, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				var d archive.Digest
				if err := d.AddRowsCanonical(floats, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
