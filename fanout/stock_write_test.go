package fanout_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/fanout"
)

// A custom archive of pg_dump that is copied as it is comes out byte by byte; the level of gzip in its header became the default's.
func TestConvertAsIs(t *testing.T) {
	const level = 11 // where the header has it: a sign, and four bytes
	for _, x := range []struct {
		file  string
		level []byte
		codec archive.Codec
	}{
		{"pg15-custom-gzip.dump", nil, archive.CodecGzip},
		{"pg15-custom-gzip.dump", []byte{0, 9, 0, 0, 0}, archive.CodecGzip},
		{"pg15-custom-none.dump", nil, archive.CodecNone},
		{"pg17-custom-zstd.dump", nil, archive.CodecZstd},
		{"pg18-custom-gzip-statistics.dump", nil, archive.CodecGzip},
	} {
		want, err := os.ReadFile(filepath.Join("../archive/pgdump/testdata", x.file))
		if err != nil {
			t.Fatal(err)
		}
		copy(want[level:], x.level)
		dir := t.TempDir()
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
		if err := os.WriteFile(from, want, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := pgdump.Open(from, pgdump.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		out, err := os.Create(to)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		desc := d.Description()
		_, err = fanout.ConvertSource(t.Context(), d, fanout.StockTarget{Out: out}, fanout.StockOptions{
			Format: fanout.FormatCustom, Version: desc.Version, Codec: x.codec, Created: desc.Created, AsIs: true,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s with level %v: %d bytes became %d others, %v", x.file, x.level, len(want), len(got), err)
		}
	}
}
