package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/wire"
)

func TestConninfo(t *testing.T) {
	for _, tc := range []struct {
		opts connOptions
		want string
	}{
		{connOptions{}, ""},
		{connOptions{dbname: "shop"}, "dbname='shop'"},
		{connOptions{dbname: `it's`, host: "/tmp", port: "5433"}, `dbname='it\'s' host='/tmp' port='5433'`},
		// What the connection string says comes later, and so wins, as in libpq.
		{connOptions{dbname: "host=a dbname=b", host: "c", user: "u"}, "host='c' user='u' host=a dbname=b"},
		{connOptions{dbname: "postgres://h/db"}, "postgres://h/db"},
		{connOptions{dbname: "postgres://h/db", host: "other", port: "1", user: "u"}, "postgres://h/db?port=1&user=u"},
		{connOptions{dbname: "postgresql:///db?host=/tmp", host: "other"}, "postgresql:///db?host=%2Ftmp"},
	} {
		got, err := tc.opts.conninfo()
		if err != nil || got != tc.want {
			t.Errorf("%+v: %q, %v, not %q", tc.opts, got, err, tc.want)
		}
	}
}

func TestParseTimeout(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"": 0, "0": 0, "500": 500 * time.Millisecond, "10s": 10 * time.Second, " 2 min ": 2 * time.Minute, "1.5h": 90 * time.Minute,
		"1d": 24 * time.Hour, "100us": 100 * time.Microsecond,
	} {
		if got, err := parseTimeout("lock-wait-timeout", in); err != nil || got != want {
			t.Errorf("%q: %v, %v, not %v", in, got, err, want)
		}
	}
	for _, in := range []string{"soon", "-1", "10 weeks", "99999999999999999999", "100d"} {
		if got, err := parseTimeout("lock-wait-timeout", in); err == nil {
			t.Errorf("%q: %v, no error", in, got)
		}
	}
}

func TestParseCompress(t *testing.T) {
	for in, want := range map[string]struct {
		codec archive.Codec
		level int
	}{
		"none": {archive.CodecNone, 0}, "0": {archive.CodecNone, 0}, "none:0": {archive.CodecNone, 0},
		"6": {archive.CodecGzip, 6}, "-1": {archive.CodecGzip, 0}, "gzip:level=9": {archive.CodecGzip, 9}, "gzip:-1": {archive.CodecGzip, 0},
		"zstd:3": {archive.CodecZstd, 3}, "zstd:level=3": {archive.CodecZstd, 3}, "zstd:long": {archive.CodecZstd, 0},
		"zstd:level=3,long": {archive.CodecZstd, 3}, "zstd:workers=2,level=4,long=off": {archive.CodecZstd, 4},
		"zstd:-5": {archive.CodecZstd, -5}, "zstd:22": {archive.CodecZstd, 22}, "zstd:0": {archive.CodecZstd, 0},
		"lz4": {archive.CodecLZ4, 0}, "lz4:12": {archive.CodecLZ4, 9}, "lz4:0": {archive.CodecLZ4, 0},
	} {
		if codec, level, err := parseCompress(in, fanout.FormatCustom); err != nil || codec != want.codec || level != want.level {
			t.Errorf("%q: %v %d %v", in, codec, level, err)
		}
	}
	for _, in := range []string{
		"", "10", "-2", "brotli", "zstd:x", "zstd:", "zstd:3,long", "zstd:23", "zstd:long=x", "zstd:workers=x", "zstd:level",
		"gzip:0", "gzip:10", "gzip:long", "lz4:13", "lz4:-1", "lz4:workers=2", "none:1", "xz:3",
	} {
		if codec, level, err := parseCompress(in, fanout.FormatCustom); err == nil {
			t.Errorf("%q: %v %d, no error", in, codec, level)
		}
	}
	for in, ok := range map[string]bool{"zstd:level=19,long": true, "zstd:-5": false, "zstd:22": false, "lz4:12": true} {
		if _, _, err := parseCompress(in, formatPgark); (err == nil) != ok {
			t.Errorf("%q, in pgark's own format: %v", in, err)
		}
	}
}

func TestDefaultName(t *testing.T) {
	at := time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600))
	for db, want := range map[string]string{
		"shop": "shop-20260102T030405Z.pgark", "a/b\nc": "a_b_c-20260102T030405Z.pgark", "-x": "_x-20260102T030405Z.pgark",
		"../x": "_._x-20260102T030405Z.pgark",
	} {
		if got := defaultName(db, at, ".pgark"); got != want {
			t.Errorf("%q: %q, not %q", db, got, want)
		}
	}
}

func TestTextDecoder(t *testing.T) {
	for _, tc := range []struct{ encoding, in, want string }{
		{"UTF8", "grün", "grün"},
		{"UTF8", "a\xffb", `a\xFFb`},
		{"LATIN1", "gr\xfcn", "grün"},
		{"WIN1251", "\xcf\xf0\xe8", "При"},
		{"EUC_JP", "\xc6\xfc\xcb\xdc", "日本"},
		{"SQL_ASCII", "grün", "grün"},
		{"SQL_ASCII", "gr\xfcn", `gr\xFCn`},
		{"MULE_INTERNAL", "\x81\xfc", `\x81\xFC`},
	} {
		if got := newTextDecoder(tc.encoding).String(tc.in); got != tc.want {
			t.Errorf("%s %q: %q, not %q", tc.encoding, tc.in, got, tc.want)
		}
	}
}

func TestDecodeRestore(t *testing.T) {
	r := &fanout.RestoreResult{
		Warnings:   []string{"table gr\xf6\xdfe is not complete"},
		Notes:      []fanout.Note{{Objects: []string{"TABLE gr\xf6\xdfe"}}},
		Mismatches: []fanout.Mismatch{{Table: "gr\xf6\xdfe", What: "l\xe4nge"}},
	}
	decodeRestore(r, newTextDecoder("LATIN1"))
	if r.Warnings[0] != "table größe is not complete" || r.Notes[0].Objects[0] != "TABLE größe" ||
		r.Mismatches[0].Table != "größe" || r.Mismatches[0].What != "länge" {
		t.Errorf("%+v", r)
	}
}

func TestFindTable(t *testing.T) {
	tables := []*archived{
		{schema: "public", table: "orders"},
		{schema: "sales", table: "orders"},
		{schema: "sales", table: "Lines"},
		{schema: "public", table: "a.b"},
		{schema: "a", table: "b"},
		{schema: "public", table: `q"q`},
	}
	text := newTextDecoder("UTF8")
	for name, want := range map[string]string{
		"sales.orders": "sales.orders", "SALES.Orders": "sales.orders", "Lines": "sales.Lines", `sales."Lines"`: "sales.Lines",
		"lines": "", `"a.b"`: "public.a.b", "b": "a.b", `"q""q"`: `public.q"q`, `q"q`: `public.q"q`, "nosuch": "", `"open`: "",
	} {
		got, err := findTable(name, tables, text)
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case got == nil && want != "", got != nil && got.schema+"."+got.table != want:
			t.Errorf("%s: %+v, not %s", name, got, want)
		}
	}
	for _, name := range []string{"orders", "a.b"} {
		if got, err := findTable(name, tables, text); err == nil || !strings.Contains(err.Error(), "ambiguous") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestPartitionLeaves(t *testing.T) {
	cat := &archive.Catalog{Entries: []archive.Entry{
		{ID: 1, Kind: "TABLE", Schema: "s", Name: "root"},
		{ID: 2, Kind: "TABLE", Schema: "s", Name: "mid"},
		{ID: 3, Kind: "TABLE", Schema: "s", Name: "leaf1"},
		{ID: 4, Kind: "TABLE", Schema: "s", Name: "leaf2"},
		{ID: 5, Kind: "TABLE ATTACH", Schema: "s", Name: "mid", Deps: []int32{1, 2}},
		{ID: 6, Kind: "TABLE ATTACH", Schema: "s", Name: "leaf1", Deps: []int32{2, 3}},
		{ID: 7, Kind: "TABLE ATTACH", Schema: "s", Name: "leaf2", Deps: []int32{4, 1, 99}},
		{ID: 8, Kind: "TABLE ATTACH", Schema: "s", Name: "root", Deps: []int32{1, 3}}, // a circle, which only damage makes
	}}
	var got []string
	for _, e := range partitionLeaves(cat, 1) {
		got = append(got, e.Name)
	}
	if diff := cmp.Diff([]string{"leaf2"}, got); diff != "" {
		// With the circle leaf1 has a partition itself.
		t.Error(diff)
	}
	cat.Entries = cat.Entries[:7]
	got = nil
	for _, e := range partitionLeaves(cat, 1) {
		got = append(got, e.Name)
	}
	if diff := cmp.Diff([]string{"leaf2", "leaf1"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestHuman(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 1 << 40: "1.1 TB", 1<<64 - 1: "18.4 EB",
	} {
		if got := humanBytes(n); got != want {
			t.Errorf("%d: %s, not %s", n, got, want)
		}
	}
	if got := humanCount(1234567) + humanCount(12) + humanCount(123456); got != "1,234,56712123,456" {
		t.Error(got)
	}
	if got := visible("a\nb\x1b[0m\u202eé"); got != `a\nb\x1b[0m\u202eé` {
		t.Error(got)
	}
}

// TestHintOnce: an error of the server has its hint in its text, and advice of ours comes after it.
func TestHintOnce(t *testing.T) {
	server := &wire.ServerError{Severity: "ERROR", Code: "53200", Message: "out of shared memory", Hint: "Do this."}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&stateError{err: server, state: "nothing was written"}, "pgark: ERROR: out of shared memory (SQLSTATE 53200)\nhint: Do this. (nothing was written)\n"},
		{withHint(server, "or that"), "pgark: ERROR: out of shared memory (SQLSTATE 53200)\nhint: Do this.\nhint: or that\n"},
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		code := (&app{stderr: f}).report(t.Context(), tt.err)
		if got, err := os.ReadFile(f.Name()); err != nil || code != exitFailed || string(got) != tt.want {
			t.Errorf("exit code %d, error %v, said\n%s", code, err, got)
		}
	}
}
