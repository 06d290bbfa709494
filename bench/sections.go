package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// section is one comparison.
type section struct {
	name string
	run  func(context.Context) error
}

func (b *bench) sections() []section {
	return []section{
		{"dump", func(ctx context.Context) error { return b.dumpTable(ctx, "lineitem", true) }},
		{"narrow", func(ctx context.Context) error { return b.dumpTable(ctx, "narrow", false) }},
		{"restore", b.restore},
		{"read", b.readArchive},
		{"many", b.many},
		{"stock", b.stock},
		{"shapes", b.shapes},
	}
}

// dumpTable compares dumps of one table. The first case, psql's COPY TO STDOUT into /dev/null, is the limit of one session.
func (b *bench) dumpTable(ctx context.Context, table string, all bool) error {
	if err := b.needBig(ctx); err != nil {
		return err
	}
	psql, err := b.client("psql")
	if err != nil {
		return err
	}
	conninfo := b.srv.Conninfo(bigDB)
	copyOut := []string{psql, "-X", "-d", conninfo, "-c", "COPY " + table + " TO STDOUT"}
	cases := []benchCase{{name: "psql COPY", args: copyOut}}
	stock, err := b.pgDumps(conninfo, table, all)
	if err != nil {
		return err
	}
	cases = append(cases, stock...)
	cases = append(cases, b.pgarkDumps(conninfo, table, all)...)

	if _, err := runProgram(ctx, copyOut); err != nil { // what follows meets a warm cache
		return err
	}
	medians, err := b.measure(ctx, cases)
	if err != nil {
		return err
	}
	r := report{title: "Dump of " + table, base: cases[0].name, second: "pg_dump -Fc"}
	for i, c := range cases {
		r.add(c.name, medians[i])
	}
	r.wanted("pgark -j1", cases[0].name, "wall", 1.1)
	r.wanted("pgark -j2", cases[0].name, "wall", 0.85)
	r.wanted("pgark -j2", "pg_dump -Fc", "wall", 0.25)
	r.wanted("pgark -j2", "pg_dump -Fc", "bytes", 1)
	return r.print(b.out)
}

// pgDumps are the stock ways to dump a table.
func (b *bench) pgDumps(conninfo, table string, all bool) ([]benchCase, error) {
	pgDump, err := b.client("pg_dump")
	if err != nil {
		return nil, err
	}
	dump := func(name, program string, flags ...string) benchCase {
		args := append([]string{program, "-d", conninfo, "-t", table, "-f", "%OUT"}, flags...)
		return benchCase{name: name, args: args, out: true}
	}
	cases := []benchCase{dump("pg_dump -Fc", pgDump, "-Fc")}
	if all {
		cases = append(cases,
			dump("pg_dump -Fc -Z1", pgDump, "-Fc", "-Z1"),
			dump("pg_dump -Fc -Z0", pgDump, "-Fc", "-Z0"),
			dump("pg_dump -Fd -j2", pgDump, "-Fd", "-j2"),
			dump("pg_dump -Ft", pgDump, "-Ft"),
			dump("pg_dump -Fp", pgDump, "-Fp"))
	}
	if b.newer == "" {
		return cases, nil
	}
	newer := filepath.Join(b.newer, "pg_dump")
	if _, err := os.Stat(newer); err != nil {
		return nil, fmt.Errorf("-newer: %w", err)
	}
	cases = append(cases, dump("newer pg_dump -Fc -Z zstd:1", newer, "-Fc", "-Z", "zstd:1"))
	if all {
		cases = append(cases,
			dump("newer pg_dump -Fc -Z zstd:3", newer, "-Fc", "-Z", "zstd:3"),
			dump("newer pg_dump -Fc -Z lz4", newer, "-Fc", "-Z", "lz4"))
	}
	return cases, nil
}

// pgarkDumps are pgark's.
func (b *bench) pgarkDumps(conninfo, table string, all bool) []benchCase {
	dump := func(name string, flags ...string) benchCase {
		args := append([]string{b.pgark, "dump", "-q", "-d", conninfo, "-t", table, "-f", "%OUT"}, flags...)
		return benchCase{name: name, args: args, out: true}
	}
	cases := []benchCase{dump("pgark -j1", "-j1"), dump("pgark -j2", "-j2")}
	if all {
		for _, codec := range []string{"none", "zstd:3", "lz4", "gzip"} {
			cases = append(cases, dump("pgark -j2 -Z "+codec, "-j2", "-Z", codec))
		}
	}
	if all && b.slow {
		cases = append(cases, dump("pgark -j2 -Z xz", "-j2", "-Z", "xz"))
	}
	return cases
}

// restore compares loads of lineitem into a new database.
func (b *bench) restore(ctx context.Context) error {
	if err := b.needBig(ctx); err != nil {
		return err
	}
	pgDump, err := b.client("pg_dump")
	if err != nil {
		return err
	}
	pgRestore, err := b.client("pg_restore")
	if err != nil {
		return err
	}
	custom, archive := filepath.Join(b.dir, "lineitem.dump"), filepath.Join(b.dir, "lineitem.pgark")
	from := b.srv.Conninfo(bigDB)
	if _, err := runProgram(ctx, []string{pgDump, "-d", from, "-t", "lineitem", "-Fc", "-Z1", "-f", custom}); err != nil {
		return err
	}
	if _, err := runProgram(ctx, []string{b.pgark, "dump", "-q", "-d", from, "-t", "lineitem", "-f", archive}); err != nil {
		return err
	}
	const target = "bench_restored"
	fresh := func(ctx context.Context) error {
		if err := b.createDB(ctx, target); err != nil {
			return err
		}
		_, err := b.psql(ctx, "postgres", "CHECKPOINT")
		return err
	}
	to := b.srv.Conninfo(target)
	cases := []benchCase{
		{name: "pg_restore -j2", args: []string{pgRestore, "-d", to, "-j2", custom}, before: fresh},
		{name: "pgark restore -j1", args: []string{b.pgark, "restore", "-q", "-d", to, "-j1", archive}, before: fresh},
		{name: "pgark restore -j2", args: []string{b.pgark, "restore", "-q", "-d", to, "-j2", archive}, before: fresh},
	}
	medians, err := b.measure(ctx, cases)
	if err != nil {
		return err
	}
	r := report{title: "Restore of lineitem", base: cases[0].name}
	for i, c := range cases {
		r.add(c.name, medians[i])
	}
	r.wanted("pgark restore -j2", "pg_restore -j2", "wall", 0.7)
	if err := r.print(b.out); err != nil {
		return err
	}
	return b.dropDB(ctx, target)
}

// readArchive measures how much of an archive it takes to list it and to read one of its tables.
func (b *bench) readArchive(ctx context.Context) error {
	if err := b.needBig(ctx); err != nil {
		return err
	}
	archive := filepath.Join(b.dir, "all.pgark")
	// Not compressed, to be as large as it can.
	if _, err := runProgram(ctx, []string{b.pgark, "dump", "-q", "-d", b.srv.Conninfo(bigDB), "-Z", "none", "-f", archive}); err != nil {
		return err
	}
	total, err := size(archive)
	if err != nil {
		return err
	}
	tables := []string{"small_7", "narrow"}
	cases := []benchCase{{name: "pgark list", args: []string{b.pgark, "list", archive}}}
	for _, table := range tables {
		cases = append(cases, benchCase{name: "pgark cat " + table, args: []string{b.pgark, "cat", archive, table}})
	}
	medians, err := b.measure(ctx, cases)
	if err != nil {
		return err
	}
	r := report{title: fmt.Sprintf("Reading an archive of %.0f MB", mb(total))}
	for i, c := range cases {
		r.add(c.name, medians[i])
	}
	stored, err := b.storedBytes(ctx, archive)
	if err != nil {
		return err
	}
	for i, table := range tables {
		r.note("cat %s: read %d bytes, which are %.3f × the table's stored %d", table, medians[i+1].read, float64(medians[i+1].read)/float64(stored[table]), stored[table])
	}
	r.note("list: %.0f ms (wanted: under 50 ms)", medians[0].wall.Seconds()*1000)
	return r.print(b.out)
}

// storedBytes asks an archive how many bytes each of its tables takes.
func (b *bench) storedBytes(ctx context.Context, archive string) (map[string]int64, error) {
	out, err := exec.CommandContext(ctx, b.pgark, "list", "--json", archive).Output()
	if err != nil {
		return nil, fmt.Errorf("pgark list --json: %w", err)
	}
	var objects []struct {
		Name   string `json:"name"`
		Stored *int64 `json:"stored_bytes"`
	}
	if err := json.Unmarshal(out, &objects); err != nil {
		return nil, fmt.Errorf("pgark list --json: %w", err)
	}
	stored := make(map[string]int64)
	for _, o := range objects {
		if o.Stored != nil && *o.Stored > 0 {
			stored[o.Name] = *o.Stored
		}
	}
	return stored, nil
}

// many compares dumps of a database with many small tables.
func (b *bench) many(ctx context.Context) error {
	if err := b.needMany(ctx); err != nil {
		return err
	}
	pgDump, err := b.client("pg_dump")
	if err != nil {
		return err
	}
	from := b.srv.Conninfo(manyDB)
	cases := []benchCase{
		{name: "pg_dump -Fc", args: []string{pgDump, "-d", from, "-Fc", "-f", "%OUT"}, out: true},
		{name: "pg_dump -Fd -j2", args: []string{pgDump, "-d", from, "-Fd", "-j2", "-f", "%OUT"}, out: true},
		{name: "pgark -j1", args: []string{b.pgark, "dump", "-q", "-d", from, "-j1", "-f", "%OUT"}, out: true},
		{name: "pgark -j2", args: []string{b.pgark, "dump", "-q", "-d", from, "-j2", "-f", "%OUT"}, out: true},
	}
	if _, err := runProgram(ctx, []string{pgDump, "-d", from, "-Fc"}); err != nil {
		return err
	}
	medians, err := b.measure(ctx, cases)
	if err != nil {
		return err
	}
	r := report{title: fmt.Sprintf("Dump of %d small tables", b.tables), base: cases[0].name, second: cases[1].name}
	for i, c := range cases {
		r.add(c.name, medians[i])
	}
	r.wanted("pgark -j2", "pg_dump -Fc", "wall", 1)
	return r.print(b.out)
}

// seconds and mb are the units of the report.
func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }
