package pgdump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// packers compress as the programs do, as one member, frame or stream.
func packers() map[string]func(t testing.TB, b []byte) []byte {
	pack := func(t testing.TB, open func(w io.Writer) (io.WriteCloser, error), b []byte) []byte {
		t.Helper()
		var out bytes.Buffer
		w, err := open(&out)
		if err == nil {
			_, err = w.Write(b)
		}
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	return map[string]func(t testing.TB, b []byte) []byte{
		"gzip": func(t testing.TB, b []byte) []byte {
			return pack(t, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }, b)
		},
		"zstd": func(t testing.TB, b []byte) []byte {
			return pack(t, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }, b)
		},
		"lz4": func(t testing.TB, b []byte) []byte {
			return pack(t, func(w io.Writer) (io.WriteCloser, error) { return lz4.NewWriter(w), nil }, b)
		},
	}
}

func writeTemp(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// unpackedBytes decompresses a file as OpenScript does.
func unpackedBytes(path string) ([]byte, error) {
	f, err := openSourceFile(context.Background(), path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.NewSectionReader(f, 0, f.size))
}

const skippable = "\x5a\x2a\x4d\x18\x03\x00\x00\x00abc"

// A compressed script is read like the script itself, also in several members, and no temporary file is to be seen meanwhile.
func TestUnpackScript(t *testing.T) {
	want := sample(t, "plain-pg15.sql")
	plain, err := OpenScript(t.Context(), writeTemp(t, want))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for name, pack := range packers() {
		half := len(want) / 2
		files := map[string][]byte{
			"one":  pack(t, want),
			"two":  append(pack(t, want[:half]), pack(t, want[half:])...),
			"many": append(append(pack(t, want[:9]), pack(t, nil)...), pack(t, want[9:])...),
		}
		switch name {
		case "zstd", "lz4":
			files["skippable"] = []byte(skippable + skippable + string(pack(t, want[:half])) + skippable + string(pack(t, want[half:])) + skippable)
		}
		for form, b := range files {
			t.Run(name+" "+form, func(t *testing.T) {
				dir := t.TempDir()
				t.Setenv("TMPDIR", dir)
				path := writeTemp(t, b)
				s, err := OpenScript(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
					t.Error("temporary files:", left, err)
				}
				if d := s.Description(); d.Codec != name || d.Bytes != uint64(len(b)) || len(s.cat.Entries) != len(plain.cat.Entries) {
					t.Errorf("%+v, %d entries in place of %d", d, len(s.cat.Entries), len(plain.cat.Entries))
				}
				if got, err := unpackedBytes(path); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes in place of %d: %v", len(got), len(want), err)
				}
				if head, codec, err := Peek(path); err != nil || codec != name || !IsPlain(head) {
					t.Errorf("%q %v", codec, err)
				}
			})
		}
	}
}

// What the programs themselves write is read, whatever their options.
func TestUnpackPrograms(t *testing.T) {
	want := sample(t, "plain-pg18.sql")
	for _, args := range []string{
		"gzip -9", "zstd -q -19", "zstd -q --no-check", "zstd -q -3 --long=27", "lz4 -q -9 -BD", "lz4 -q --content-size -B4",
	} {
		t.Run(args, func(t *testing.T) {
			f := strings.Fields(args)
			if _, err := exec.LookPath(f[0]); err != nil {
				t.Skip(err)
			}
			cmd := exec.Command(f[0], append(f[1:], "-c")...)
			cmd.Stdin = bytes.NewReader(want)
			b, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := unpackedBytes(writeTemp(t, append(b, b...))); err != nil || !bytes.Equal(got, append(want, want...)) {
				t.Errorf("%d bytes in place of %d: %v", len(got), 2*len(want), err)
			}
		})
	}
}

// A compressed file that was cut off anywhere, or changed, is never read as a whole one, and the error says where.
func TestUnpackDamage(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for name, pack := range packers() {
		text := []byte(tinyScript[:200])
		good := pack(t, text)
		for n := 6; n < len(good); n += 3 {
			if _, err := unpackedBytes(writeTemp(t, good[:n])); !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrDamaged) ||
				!strings.Contains(fmt.Sprint(err), name) || !strings.Contains(fmt.Sprint(err), "at byte") {
				t.Errorf("%s, %d of %d bytes: %v", name, n, len(good), err)
			}
		}
		bad := bytes.Clone(good)
		bad[len(bad)/2] ^= 0x10
		if got, err := unpackedBytes(writeTemp(t, bad)); err == nil && (name == "gzip" || !bytes.Equal(got, text)) {
			t.Errorf("%s: a change is not noticed", name)
		}
		if _, err := unpackedBytes(writeTemp(t, append(bytes.Clone(good), "garbage"...))); err == nil {
			t.Errorf("%s: what follows the end is not noticed", name)
		}
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Error("temporary files:", left, err)
	}
}

// Zero bytes that a tape leaves behind gzip's last member are no damage, what follows them is.
func TestUnpackGzipZeros(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	member := packers()["gzip"](t, []byte(tinyScript))
	padded := append(append(bytes.Clone(member), member...), make([]byte, 3*512)...)
	if got, err := unpackedBytes(writeTemp(t, padded)); err != nil || string(got) != tinyScript+tinyScript {
		t.Errorf("%d bytes in place of %d: %v", len(got), 2*len(tinyScript), err)
	}
	if _, err := unpackedBytes(writeTemp(t, append(padded, member...))); !errors.Is(err, ErrDamaged) {
		t.Errorf("a member behind zeros: %v", err)
	}
}

// What does not begin like a dump is refused before it is decompressed.
func TestUnpackRefuses(t *testing.T) {
	pack := packers()["zstd"]
	tests := []struct {
		name string
		b    []byte
		says string
	}{
		{"zeros", make([]byte, 1<<20), "does not begin like a dump"},
		{"letters", bytes.Repeat([]byte("A"), 1<<20), "does not begin like a dump"},
		{"nothing", nil, "does not begin like a dump"},
		{"twice", packers()["gzip"](t, []byte(tinyScript)), "compressed twice"},
		{"tar", append([]byte("dir/toc.dat"), append(make([]byte, 246), "ustar\x0000"...)...), "tar -xf"},
	}
	for _, tt := range tests {
		tt.b = append(tt.b, make([]byte, max(0, 512-len(tt.b)))...)
		if tt.name == "nothing" {
			tt.b = nil
		}
		if _, err := OpenScript(t.Context(), writeTemp(t, pack(t, tt.b))); !errors.Is(err, ErrNotDump) || !strings.Contains(fmt.Sprint(err), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if !beginsLikeSQL([]byte("\xef\xbb\xbf-- a\n/* b */ SET x = 1;")) || beginsLikeSQL([]byte("SET x = '\x00';")) || beginsLikeSQL([]byte(`\! id`)) {
		t.Error("what begins like SQL")
	}
}

// A context that ends, and a directory without room, end it with an error that says so.
func TestUnpackStops(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	path := writeTemp(t, packers()["gzip"](t, []byte(tinyScript)))
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if _, err := OpenScript(ctx, path); !errors.Is(err, stop) {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Error("temporary files:", left, err)
	}
	t.Setenv("TMPDIR", filepath.Join(dir, "none"))
	if _, err := OpenScript(t.Context(), path); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "temporary file in "+dir) {
		t.Error(err)
	}
	if err := spaceError("x.gz", dir, syscall.ENOSPC); !strings.Contains(err.Error(), "TMPDIR names another") {
		t.Error(err)
	}
}

// Frames that ask for much memory are refused with what to do.
func TestUnpackMemory(t *testing.T) {
	if _, err := exec.LookPath("zstd"); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command("zstd", "-q", "--long=31", "-c")
	cmd.Stdin = strings.NewReader(tinyScript)
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unpackedBytes(writeTemp(t, b)); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "zstd -d") {
		t.Error(err)
	}
}

// A custom and a tar archive that were compressed as a whole are read, too.
func TestUnpackArchives(t *testing.T) {
	for _, name := range []string{"pg15-custom-none.dump", "pg15-tar.tar"} {
		want, err := Open(filepath.Join("testdata", name), OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		d, err := OpenPacked(t.Context(), writeTemp(t, packers()["lz4"](t, sample(t, name))))
		if err != nil {
			t.Fatal(name, err)
		}
		defer d.Close()
		if len(d.streams) == 0 || len(d.streams) != len(want.streams) || len(d.cat.Entries) != len(want.cat.Entries) {
			t.Error(name, len(d.streams), len(d.cat.Entries))
		}
	}
}

// FuzzUnpack decompresses any bytes: never a panic, and never more than some MiB.
func FuzzUnpack(f *testing.F) {
	for _, pack := range packers() {
		f.Add(pack(f, []byte("SET x = 1;\n")))
	}
	f.Add([]byte(skippable + zstdMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		codec, err := codecOf(bytes.NewReader(b))
		if err != nil || codec == "" {
			return
		}
		z, err := newUnpacker(bytes.NewReader(b), codec)
		if err != nil {
			return
		}
		defer z.Close()
		_, _ = io.CopyN(io.Discard, z, 8<<20) // any outcome but a panic
	})
}
