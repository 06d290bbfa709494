package pgdump

import (
	"fmt"
	"io"
	"path/filepath"
	"testing"
)

// How fast rows in memory become an archive.
func BenchmarkWrite(b *testing.B) {
	const pieces = 16
	d := newDatabase()
	d.add("t", nil)
	text := lines(9, MaxPiece-200)
	for _, v := range []variant{
		{"custom", 15, CompressionZstd},
		{"custom", 13, CompressionGzip},
		{"custom", 15, CompressionLZ4},
		{"custom", 13, CompressionNone},
		{"directory", 15, CompressionZstd},
		{"directory", 13, CompressionGzip},
	} {
		for _, jobs := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s %s/jobs=%d", v.format, v.codec, jobs), func(b *testing.B) {
				b.SetBytes(int64(pieces * len(text)))
				for range b.N {
					o := WriteOptions{Minor: v.minor, Compression: v.codec, Jobs: jobs}
					w, err := NewCustomWriter(b.Context(), io.Discard, d.cat, o)
					if v.format == "directory" {
						w, err = NewDirectoryWriter(b.Context(), filepath.Join(b.TempDir(), "dump"), d.cat, o)
					}
					if err != nil {
						b.Fatal(err)
					}
					err = w.Begin(5)
					for range pieces {
						if err == nil {
							err = w.Add(given(text), nil)
						}
					}
					if err == nil {
						err = w.End()
					}
					if err == nil {
						_, err = w.Close()
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
