package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// print shows an inspection to people. The writer remembers its errors.
func (in *inspection) print(w io.Writer) {
	field := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-16s %s\n", name+":", visible(fmt.Sprintf(format, args...)))
	}
	field("database", "%s (%s)", in.DBName, in.Encoding)
	field("server", "%s %s", in.Product, in.ServerVersion)
	field("moment", "%s, route %s, promise %s", humanTime(in.Moment, time.RFC3339Nano), in.Route, in.Promise)
	if in.RouteReason != "" {
		field("route", "%s", in.RouteReason)
	}
	field("written", "%s by %s, catalog by pg_dump %s", humanTime(in.Created, time.RFC3339), in.Tool, in.PgDumpVersion)
	field("format", "%s, codec %s level %d", in.FormatVersion, in.Codec, in.Level)
	field("root digest", "%s", in.RootDigest)
	if in.Set != "" {
		field("set", "%s, of %s", in.Set, plural(uint64(len(in.Volumes)), "volume"))
	} else {
		field("volume", "%s, %s", in.Volumes[0].Name, humanBytes(uint64(max(in.Volumes[0].Bytes, 0))))
	}
	field("holds", "%s, %s, %s: %s of rows in %s", plural(uint64(in.Objects), "object"), plural(uint64(in.Tables), "table"),
		plural(in.Rows, "row"), humanBytes(in.RawBytes), humanBytes(in.StoredBytes))
	b := in.BlockStats
	field("blocks", "%d, raw %s to %s, median %s, ratio %.2f", b.Count, humanBytes(b.RawMin), humanBytes(b.RawMax),
		humanBytes(b.RawMedian), b.Ratio)
	for _, name := range slices.Sorted(maps.Keys(in.Settings)) {
		field("setting", "%s = %s", name, in.Settings[name])
	}
	for _, l := range in.Losses {
		field("lost", "%s", l)
	}
	in.printVolumes(w)
	in.printNodes(w)
	in.printSpread(w)
	in.printStreams(w)
	in.printBlocks(w)
}

func (in *inspection) printNodes(w io.Writer) {
	table := newColumns("node", "address", "database", "snapshot", ">rows", ">raw", ">stored", ">skew")
	for _, n := range in.Nodes {
		name := visible(n.Name)
		if n.Content >= 0 {
			name += fmt.Sprintf(" (content %d)", n.Content)
		}
		table.add(name, fmt.Sprintf("%s:%d", n.Host, n.Port), dash(visible(n.Database)), dash(n.Snapshot), humanCount(n.Rows), humanBytes(n.RawBytes),
			humanBytes(n.StoredBytes), skewText(n.Skew))
	}
	fmt.Fprintln(w)
	_ = table.write(w)
}

// skewText is a skew, or that there is none.
func skewText(skew float64) string {
	if skew == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", skew)
}

// printSpread shows for each table how its rows lie on the nodes.
func (in *inspection) printSpread(w io.Writer) {
	if len(in.Spread) == 0 {
		return
	}
	names := make(map[uint32]string)
	for _, n := range in.Nodes {
		names[n.ID] = n.Name
	}
	table := newColumns("schema", "table", "distribution", ">rows", ">skew", "rows per node")
	for _, t := range in.Spread {
		var nodes []string
		for _, n := range t.Nodes {
			nodes = append(nodes, visible(names[n.Node])+" "+humanCount(n.Rows))
		}
		const most = 16
		if len(nodes) > most {
			nodes = append(nodes[:most], fmt.Sprintf("and %d more nodes", len(t.Nodes)-most))
		}
		table.add(dash(visible(t.Schema)), visible(t.Table), dash(visible(t.Distribution)), humanCount(t.Rows), skewText(t.Skew), strings.Join(nodes, ", "))
	}
	fmt.Fprintln(w)
	_ = table.write(w)
}

func (in *inspection) printStreams(w io.Writer) {
	if len(in.Streams) == 0 {
		return
	}
	table := newColumns(">stream", "schema", "table", ">node", "range", ">rows", ">raw", ">stored", ">blocks")
	for _, s := range in.Streams {
		table.add(strconv.FormatUint(uint64(s.ID), 10), dash(visible(s.Schema)), visible(s.Table),
			strconv.FormatUint(uint64(s.Node), 10), dash(s.Range), humanCount(s.Rows), humanBytes(s.RawBytes),
			humanBytes(s.StoredBytes), strconv.Itoa(s.Blocks))
	}
	fmt.Fprintln(w)
	_ = table.write(w)
}

func (in *inspection) printBlocks(w io.Writer) {
	if len(in.Blocks) == 0 {
		return
	}
	table := newColumns(">volume", ">stream", ">block", ">offset", ">parts", ">rows", ">raw", ">stored", "codec")
	for _, b := range in.Blocks {
		table.add(strconv.FormatUint(uint64(b.Volume), 10), strconv.FormatUint(uint64(b.Stream), 10), strconv.FormatUint(uint64(b.Block), 10),
			strconv.FormatInt(b.Offset, 10), strconv.Itoa(b.Parts), humanCount(uint64(b.Rows)), humanBytes(b.RawBytes),
			humanBytes(b.StoredBytes), b.Codec)
	}
	fmt.Fprintln(w)
	_ = table.write(w)
}
