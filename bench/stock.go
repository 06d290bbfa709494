package main

import (
	"context"
	"path/filepath"
)

// stock compares the writing of pg_dump's own format: straight from the database with the pg_dump that has zstd, and from an
// archive with the codec alone.
func (b *bench) stock(ctx context.Context) error {
	if err := b.needBig(ctx); err != nil {
		return err
	}
	pgDump, err := b.client("pg_dump")
	if err != nil {
		return err
	}
	from := b.srv.Conninfo(bigDB)
	archive := filepath.Join(b.dir, "stock.pgark")
	if _, err := runProgram(ctx, []string{b.pgark, "dump", "-q", "-d", from, "-t", "lineitem", "-f", archive}); err != nil {
		return err
	}
	custom := filepath.Join(b.dir, "stock.dump")
	if _, err := runProgram(ctx, []string{b.pgark, "convert", "-q", archive, "-F", "custom", "-f", custom}); err != nil {
		return err
	}
	dump := func(name string, flags ...string) benchCase {
		return benchCase{name: name, args: append([]string{b.pgark, "dump", "-q", "-d", from, "-t", "lineitem", "-F", "custom", "-f", "%OUT"}, flags...), out: true}
	}
	convert := func(name, in string, flags ...string) benchCase {
		return benchCase{name: name, args: append([]string{b.pgark, "convert", "-q", in, "-f", "%OUT"}, flags...), out: true}
	}
	base := benchCase{name: "pg_dump -Fc", args: []string{pgDump, "-d", from, "-t", "lineitem", "-Fc", "-f", "%OUT"}, out: true}
	cases := []benchCase{base}
	zstd := ""
	if b.newer != "" {
		zstd = "newer pg_dump -Fc -Z zstd:1"
		cases = append(cases, benchCase{
			name: zstd, args: []string{filepath.Join(b.newer, "pg_dump"), "-d", from, "-t", "lineitem", "-Fc", "-Z", "zstd:1", "-f", "%OUT"}, out: true,
		})
	}
	cases = append(cases,
		dump("pgark -Fc -Z zstd:1 -j1", "-Z", "zstd:1", "-j", "1"),
		dump("pgark -Fc -Z zstd:1 -j2", "-Z", "zstd:1", "-j", "2"),
		dump("pgark -Fc (gzip) -j2", "-j", "2"),
		convert("convert pgark to custom zstd:1", archive, "-F", "custom", "-Z", "zstd:1"),
		convert("convert pgark to custom gzip", archive, "-F", "custom"),
		convert("convert custom gzip to pgark", custom, "-F", "pgark"),
	)
	medians, err := b.measure(ctx, cases)
	if err != nil {
		return err
	}
	r := report{title: "pg_dump's custom format, lineitem", base: base.name, second: zstd}
	for i, c := range cases {
		r.add(c.name, medians[i])
	}
	if zstd != "" {
		r.wanted("pgark -Fc -Z zstd:1 -j1", zstd, "wall", 1)
		r.wanted("pgark -Fc -Z zstd:1 -j2", zstd, "wall", 0.77)
	}
	return r.print(b.out)
}
