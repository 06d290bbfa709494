package archive_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/pgark/pgark/archive"
)

func TestParseCodec(t *testing.T) {
	for s, want := range map[string]struct {
		c     archive.Codec
		level int
	}{
		"none": {archive.CodecNone, 0}, "zstd": {archive.CodecZstd, 0}, "zstd:19": {archive.CodecZstd, 19},
		"lz4:9": {archive.CodecLZ4, 9}, "xz": {archive.CodecXZ, 0}, "gzip:1": {archive.CodecGzip, 1},
	} {
		c, level, err := archive.ParseCodec(s)
		if err != nil || c != want.c || level != want.level {
			t.Errorf("%s: %v %d %v", s, c, level, err)
		}
	}
	for _, s := range []string{"", "zip", "zstd:", "zstd:20", "zstd:-1", "none:1", "xz:6", "gzip:10", "lz4:x"} {
		if _, _, err := archive.ParseCodec(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
	if n := len(archive.CodecBackends()); n != 4 {
		t.Error(n, "back ends")
	}
}

// Every codec, at every level, gives back what it took; what does not compress is stored.
func TestEveryLevel(t *testing.T) {
	noise := make([]byte, 20_000)
	r := rand.NewChaCha8([32]byte{})
	_, _ = r.Read(noise)
	text := []byte(strings.Repeat("some text that repeats itself\n", 500))
	for _, spec := range []string{"none", "zstd", "zstd:9", "zstd:19", "lz4", "lz4:2", "lz4:9", "xz", "gzip:1", "gzip", "gzip:9"} {
		c, level, err := archive.ParseCodec(spec)
		if err != nil {
			t.Fatal(err)
		}
		o := testOptions(c)
		o.Level = level
		parts := []part{{info: archive.StreamInfo{Table: "b", Form: archive.FormBinary}, blocks: [][]byte{noise, text, {0}}}}
		b, _ := writeArchive(t, o, parts)
		rd := open(t, b)
		if d := cmp.Diff(parts[0].blocks, readStream(t, rd, 1)); d != "" {
			t.Errorf("%s: %s", spec, d)
		}
		for blk := range rd.Blocks(1) {
			want := archive.CodecNone
			if blk.Seq == 1 {
				want = c
			}
			if blk.Codec != want {
				t.Errorf("%s: block %d has codec %s", spec, blk.Seq, blk.Codec)
			}
		}
	}
}

// Any rows in any blocks come back, and any catalog.
func TestRoundTripAny(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := rapid.SampledFrom(codecs()).Draw(rt, "codec")
		row := rapid.StringMatching(`[ -~\t]{0,80}`)
		block := rapid.Custom(func(rt *rapid.T) []byte {
			return []byte(strings.Join(rapid.SliceOfN(row, 1, 20).Draw(rt, "rows"), "\n") + "\n")
		})
		var parts []part
		for range rapid.IntRange(1, 4).Draw(rt, "streams") {
			parts = append(parts, part{
				info: archive.StreamInfo{
					OID: rapid.Uint32().Draw(rt, "oid"), Node: rapid.Uint32().Draw(rt, "node"), Schema: rapid.String().Draw(rt, "schema"),
					Table: rapid.String().Draw(rt, "table"), Columns: rapid.SliceOf(rapid.String()).Draw(rt, "columns"), Form: archive.FormText,
				},
				blocks: rapid.SliceOfN(block, 0, 4).Draw(rt, "blocks"),
			})
		}
		b, _ := writeArchive(t, testOptions(c), parts)
		res, err := check(b)
		if err != nil || len(res.Findings) > 0 {
			rt.Fatal(res, err)
		}
		checkStreams(t, open(t, b), parts)
	})
}

func checkStreams(t *testing.T, r *archive.Reader, parts []part) {
	t.Helper()
	for i, p := range parts {
		if d := cmp.Diff(p.blocks, readStream(t, r, archive.StreamID(i+1)), cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
		got := r.Streams()[i].StreamInfo
		got.Entry = 0
		if d := cmp.Diff(p.info, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	text := benchRows()
	for _, spec := range []string{"none", "zstd", "zstd:3", "lz4", "gzip:1", "gzip"} {
		b.Run(spec, func(b *testing.B) {
			c, level, err := archive.ParseCodec(spec)
			if err != nil {
				b.Fatal(err)
			}
			e, err := archive.NewEncoder(c, level)
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			var f archive.Frame
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				var d archive.Digest
				if err := e.Encode(&f, archive.Raw{Stream: 1, Data: text, Digest: &d}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(text))/float64(f.StoredBytes()), "ratio")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	parts := []part{{info: archive.StreamInfo{Table: "b", Form: archive.FormText}, blocks: [][]byte{benchRows()}}}
	for _, c := range []archive.Codec{archive.CodecNone, archive.CodecZstd, archive.CodecLZ4, archive.CodecGzip} {
		b.Run(c.String(), func(b *testing.B) {
			raw, _ := writeArchive(b, testOptions(c), parts)
			r, err := archive.NewReader(bytes.NewReader(raw), int64(len(raw)))
			if err != nil {
				b.Fatal(err)
			}
			d := r.NewDecoder()
			defer d.Close()
			b.SetBytes(int64(len(parts[0].blocks[0])))
			b.ReportAllocs()
			for b.Loop() {
				for blk := range r.Blocks(1) {
					if err := d.Block(blk, func([]byte) error { return nil }); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
