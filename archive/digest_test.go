package archive_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgark/pgark/archive"
)

// The vectors of SPEC.md, section 10.
func TestDigestVectors(t *testing.T) {
	for _, v := range [][2]string{
		{"", "0:0:00000000000000000000000000000000"},
		{"\n", "1:1:99aa06d3014798d86001c324468d497f"},
		{"1\tone\n", "1:6:bf89842f22de3cec1fb2d57aa9a8b56c"},
		{"1\tone\n2\ttwo\n", "2:12:4d34c324988f61b69d08dd158196f563"},
		{"2\ttwo\n1\tone\n", "2:12:4d34c324988f61b69d08dd158196f563"},
		{"\\N\n\\N\n", "2:6:f8b340798a6243a30c4a2d075be45d66"},
	} {
		var d archive.Digest
		if err := d.AddRows([]byte(v[0])); err != nil {
			t.Fatal(err)
		}
		if d.String() != v[1] {
			t.Errorf("%q: %s, want %s", v[0], d, v[1])
		}
	}
}

// However rows are ordered, spread and cut, their digest is the same.
func TestDigestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOf(rapid.StringMatching(`[a-z\t"]{0,300}`)).Draw(t, "rows")
		var want archive.Digest
		for _, r := range rows {
			want.Add([]byte(r))
		}
		shuffled := slices.Clone(rows)
		rand.New(rand.NewPCG(1, uint64(len(rows)))).Shuffle(len(rows), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		n := rapid.IntRange(0, len(rows)).Draw(t, "cut")
		var a, b archive.Digest
		var text []byte
		for _, r := range shuffled[:n] {
			text = append(append(text, r...), '\n')
		}
		if err := a.AddRows(text); err != nil {
			t.Fatal(err)
		}
		var h archive.RowHasher
		for _, r := range shuffled[n:] {
			half := len(r) / 2
			_, _ = h.Write([]byte(r[:half]))
			_, _ = h.Write([]byte(r[half:]))
			h.Done(&b)
		}
		a.Merge(b)
		if a != want {
			t.Fatalf("%s, want %s", a, want)
		}
		if back, err := archive.ParseDigest(a.String()); err != nil || back != a {
			t.Fatal(back, err)
		}
	})
}

// The vector of SPEC.md, section 10.1.
func TestCanonicalVector(t *testing.T) {
	var d archive.Digest
	if err := d.AddRowsCanonical("-8", []byte("1\t0.10000000000000001\n")); err != nil || d.String() != "1:6:46daa7021fcc2bee68bc564f08042c64" {
		t.Error(d, err)
	}
}

func TestDigestRefuses(t *testing.T) {
	var d archive.Digest
	if d.AddRows([]byte("a\nb")) == nil || d != (archive.Digest{}) {
		t.Error("a row without LF was taken")
	}
	if d.AddCSV([]byte("\"a\n")) == nil {
		t.Error("a CSV row without an end was taken")
	}
	for _, s := range []string{"", "1:2", "1:2:3", "+1:2:00000000000000000000000000000000", "1:2:0000000000000000000000000000000G", "1:2:00000000000000000000000000000000:"} {
		if _, err := archive.ParseDigest(s); err == nil {
			t.Errorf("%q is no digest", s)
		}
	}
}

func TestDigestCSV(t *testing.T) {
	var d archive.Digest
	if err := d.AddCSV([]byte("1,\"a\nb\"\n2,\"x\"\"\n\"\"\"\n3,\n")); err != nil || d.Rows != 3 || d.Bytes != 22 {
		t.Error(d, err)
	}
}

func BenchmarkDigest(b *testing.B) {
	text := benchRows()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var d archive.Digest
		if err := d.AddRows(text); err != nil {
			b.Fatal(err)
		}
	}
}

// benchRows is a block like those of TPC-H's lineitem.
func benchRows() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"carefully", "final", "deposits", "sleep", "furiously", "regular", "packages", "haggle", "quickly", "bold"}
	var b bytes.Buffer
	for i := 1; b.Len() < archive.FrameTarget-200; i++ {
		writeInts(&b, i, r.IntN(200000), r.IntN(10000), i%7, r.IntN(50))
		b.WriteString("17954.55\t0.04\t0.02\tN\tO\t1996-03-13\t1996-02-12\t1996-03-22\tDELIVER IN PERSON\tTRUCK\t")
		for range 4 {
			b.WriteString(words[r.IntN(len(words))] + " ")
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func writeInts(b *bytes.Buffer, v ...int) {
	for _, x := range v {
		b.WriteString(strconv.Itoa(x))
		b.WriteByte('\t')
	}
}
