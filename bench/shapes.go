package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// shapesSQL makes tables of other shapes than lineitem's, beside narrow: n rows of MD5 sums with times, n of floats, and 3/8 n of JSON.
func shapesSQL(n int) string {
	return fmt.Sprintf(`
CREATE TABLE sums AS SELECT i AS id, md5(i::text) AS sum, timestamptz '2020-01-01' + i * interval '37 s' AS at FROM generate_series(1, %[1]d) i;
CREATE TABLE measures AS SELECT i AS id, hashint4(i) %% 1000 AS sensor, sin(i) AS v1, cos(i) AS v2, timestamptz '2024-01-01' + i * interval '1 s' AS at
FROM generate_series(1, %[1]d) i;
CREATE TABLE docs AS SELECT i AS id, jsonb_build_object('id', i, 'name', 'customer ' || i %% 7919, 'tags', jsonb_build_array('a' || i %% 13, 'b' || i %% 17),
    'total', (hashint4(i) & 1048575) / 100.0, 'address', jsonb_build_object('street', md5((i %% 5000)::text), 'zip', 10000 + i %% 89999)) AS doc
FROM generate_series(1, %[2]d) i;
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;`, n, n/8*3)
}

// shapes compares the writing of custom format with zstd for tables of different shapes, one of a hundred rows, and all at once.
func (b *bench) shapes(ctx context.Context) error {
	if b.newer == "" {
		_, err := fmt.Fprintln(b.out, "section shapes: left out, for it compares with the zstd of a newer pg_dump (-newer)")
		return err
	}
	if err := b.needBig(ctx); err != nil {
		return err
	}
	for sql := range strings.SplitSeq(shapesSQL(b.rows), ";\n") { // VACUUM can't be one of several
		if _, err := b.psql(ctx, bigDB, sql); err != nil {
			return err
		}
	}
	from := b.srv.Conninfo(bigDB)
	const first, one, two = "newer pg_dump -Fc -Z zstd:1", "pgark -Fc -Z zstd:1 -j1", "pgark -Fc -Z zstd:1 -j2"
	for _, tables := range [][]string{{"lineitem"}, {"narrow"}, {"sums"}, {"measures"}, {"docs"}, {"small_1"}, {"lineitem", "narrow", "sums", "measures", "docs"}} {
		var which []string
		for _, t := range tables {
			which = append(which, "-t", t)
		}
		args := func(program ...string) []string {
			return append(append(program, "-Z", "zstd:1", "-d", from, "-f", "%OUT"), which...)
		}
		cases := []benchCase{
			{name: first, args: args(filepath.Join(b.newer, "pg_dump"), "-Fc"), out: true},
			{name: one, args: args(b.pgark, "dump", "-q", "-F", "custom", "-j", "1"), out: true},
			{name: two, args: args(b.pgark, "dump", "-q", "-F", "custom", "-j", "2"), out: true},
		}
		medians, err := b.measure(ctx, cases)
		if err != nil {
			return err
		}
		r := report{title: "pg_dump's custom format, " + strings.Join(tables, ", "), base: first}
		for i, c := range cases {
			r.add(c.name, medians[i])
		}
		r.wanted(one, first, "wall", 1)
		r.wanted(two, first, "wall", 0.77)
		r.bound(first)
		r.bound(two)
		if err := r.print(b.out); err != nil {
			return err
		}
	}
	return nil
}
