package pgdump

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgark/pgark/internal/pgtest"
)

// stockVersions are the major versions of pg_restore that read an archive version, of those that tests have. 0 is that of the
// server on this machine, 13 or later.
func stockVersions(minor uint8) []int {
	majors := pgtest.StockMajors(int(minor))
	if minor >= minorCodec {
		return majors
	}
	return append([]int{0}, majors...)
}

func stockClient(t *testing.T, major int, program string) string {
	t.Helper()
	if major > 0 {
		return pgtest.StockClient(t, major, program)
	}
	path, err := pgtest.FindClient("", program)
	if err != nil {
		t.Skip(err)
	}
	return path
}

// stockScript is what pg_restore makes of an archive. pipe has it read from one.
func stockScript(t *testing.T, major int, path string, pipe bool) ([]byte, error) {
	t.Helper()
	args := []string{"-f", "-"}
	if !pipe {
		args = append(args, path)
	}
	cmd := exec.Command(stockClient(t, major, "pg_restore"), args...)
	if pipe {
		cat := exec.Command("cat", path)
		out, err := cat.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = out
		if err := cat.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cat.Wait() }()
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	script, failed := pgtest.Output(t, cmd)
	switch {
	case failed != nil:
		return script, fmt.Errorf("%w: %.1000s", failed, stderr.String())
	case stderr.Len() > 0:
		return script, fmt.Errorf("%.1000s", stderr.String())
	}
	return script, nil
}

// inScript compares the rows and large objects in a script with what was written.
func (d *database) inScript(script []byte) error {
	rest := script
	for _, e := range d.cat.Entries { // which is the script's order
		if e.Kind != kindTableData {
			continue
		}
		at := bytes.Index(rest, []byte(e.Copy))
		if at < 0 {
			return fmt.Errorf("no rows of %s", e.Name)
		}
		rest = rest[at+len(e.Copy):]
		want := d.rows[e.ID]
		if !bytes.HasPrefix(rest, want) || !bytes.HasPrefix(rest[len(want):], []byte("\\.\n")) {
			return fmt.Errorf("other rows of %s", e.Name)
		}
		rest = rest[len(want):]
	}
	got := make(map[uint32][]byte)
	open := uint32(0)
	for line := range bytes.Lines(script) {
		if oid, ok := bytes.CutPrefix(line, []byte("SELECT pg_catalog.lo_open('")); ok {
			oid, _, _ = bytes.Cut(oid, []byte("'"))
			n, err := strconv.ParseUint(string(oid), 10, 32)
			if err != nil {
				return err
			}
			open = uint32(n)
			got[open] = nil
		}
		if data, ok := bytes.CutPrefix(line, []byte(`SELECT pg_catalog.lowrite(0, '\x`)); ok {
			data, _, _ = bytes.Cut(data, []byte("'"))
			data, err := hex.AppendDecode(got[open], data)
			if err != nil {
				return err
			}
			got[open] = data
		}
	}
	for _, b := range d.blobs {
		if have, ok := got[b.oid]; !ok || !bytes.Equal(have, b.data) {
			return fmt.Errorf("large object %d: %d bytes, or others, not %d", b.oid, len(have), len(b.data))
		}
	}
	if len(got) != len(d.blobs) {
		return fmt.Errorf("%d large objects, not %d", len(got), len(d.blobs))
	}
	return nil
}

// Every version of pg_restore reads each format, version and compression that it should, from a file and from a pipe.
func TestStockReads(t *testing.T) {
	t.Parallel()
	d := smallDatabase()
	for k, v := range variants() {
		t.Run(v.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dump")
			d.write(t, v, path, 2, func() int { return 70000 })
			versions := stockVersions(v.minor)
			for i, major := range versions {
				for _, pipe := range []bool{false, true} {
					if pipe && (v.format == "directory" || i != k/3%len(versions)) { // of each variant by one of them
						continue
					}
					script, err := stockScript(t, major, path, pipe)
					if err == nil {
						err = d.inScript(script)
					}
					if err != nil {
						t.Errorf("pg_restore %d, from a pipe %v: %v", major, pipe, err)
					}
				}
			}
		})
	}
}

// largeDatabase has rows of 20 MB, a table of many pieces, and thousands of small ones.
func largeDatabase() *database {
	d := newDatabase(blob{16500, lines(5, 3<<20)}, blob{16501, nil}, blob{16502, []byte{0}})
	long := bytes.Repeat([]byte("long row "), 20<<20/9)
	d.add("long", slices.Concat(long, []byte("\n1\n"), long, []byte("\n")))
	d.add("many", lines(6, 52<<20))
	for i := range 2000 {
		d.add(fmt.Sprintf("small%d", i), []byte(strings.Repeat(fmt.Sprintf("%d\n", i), i%3)))
	}
	return d
}

// Tables of many pieces, rows much larger than one, and thousands of small tables.
func TestStockReadsLarge(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("half a gigabyte goes through pg_restore")
	}
	d := largeDatabase()
	for k, v := range []variant{
		{"custom", 13, CompressionGzip},
		{"pipe", 16, CompressionZstd},
		{"custom", 15, CompressionLZ4},
		{"directory", 14, CompressionGzip},
		{"directory", 16, CompressionZstd},
		{"tarpipe", 14, CompressionNone},
	} {
		t.Run(v.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dump")
			d.write(t, v, path, 2, func() int { return MaxPiece })
			versions := stockVersions(v.minor)
			major := versions[k%len(versions)]
			script, err := stockScript(t, major, path, v.format != "directory")
			if err == nil {
				err = d.inScript(script)
			}
			if err != nil {
				t.Errorf("pg_restore %d: %v", major, err)
			}
		})
	}
}

// A changed bit in compressed rows is noticed by pg_restore, or changes nothing.
func TestStockNoticesDamage(t *testing.T) {
	t.Parallel()
	d := newDatabase()
	d.add("t", lines(7, 200000))
	for _, v := range []variant{
		{"custom", 13, CompressionGzip},
		{"custom", 15, CompressionZstd},
		{"custom", 15, CompressionLZ4},
		{"directory", 13, CompressionGzip},
		{"directory", 15, CompressionZstd},
		{"directory", 15, CompressionLZ4},
	} {
		path := filepath.Join(t.TempDir(), "dump")
		d.write(t, v, path, 2, func() int { return 60000 })
		file := path
		if v.format == "directory" {
			file = filepath.Join(path, "5.dat"+v.codec.extension())
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		from := 0
		if v.format == "custom" {
			from = tocLen(t, b) + 6 // type and number of the block
		}
		if file != path && v.codec == CompressionGzip {
			from = 2 // a file that does not begin with gzip's sign is taken for one that is not compressed, by zlib
		}
		var places []int
		for i := range 24 {
			places = append(places, from+(len(b)-from)*i/24)
		}
		for _, sign := range []string{"\x28\xb5\x2f\xfd", "\x04\x22\x4d\x18", "\x1f\x8b\x08"} { // what a frame begins with
			for at := from + 1; ; at++ {
				next := bytes.Index(b[at:], []byte(sign))
				if next < 0 {
					break
				}
				at += next
				places = append(places, at, at+1)
			}
		}
		versions := stockVersions(v.minor)
		for i, at := range places {
			bad := bytes.Clone(b)
			bad[at] ^= 1 << (i % 8)
			if err := os.WriteFile(file, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			major := versions[i%len(versions)]
			script, err := stockScript(t, major, path, false)
			if err == nil && d.inScript(script) != nil {
				t.Errorf("%s: pg_restore %d does not notice a changed bit at %d of %d", v, major, at-from, len(b)-from)
			}
		}
	}
}
