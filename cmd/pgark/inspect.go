package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/archive"
)

// inspectOptions are the flags of `pgark inspect`.
type inspectOptions struct {
	app     *app
	volumes setOptions
	sources sourceOptions
	json    bool
	blocks  bool
}

func newInspect(a *app) *cobra.Command {
	o := &inspectOptions{app: a}
	cmd := &cobra.Command{
		Use:   "inspect [flags] ARCHIVE",
		Short: "show the archive itself: its moment, server, codec, streams and blocks",
		Long: `Show the archive itself: the moment that it shows and what vouches for it, the server, the codec, its volumes, the
streams of each table and node, and how its blocks compress. Only the index is read, no rows.

Of a set of volumes it shows each volume, where it was written, and whether it is there. What is not there is counted as the lead
volume says, but its streams and blocks are not shown.

Of dumps of pg_dump and sets of gpbackup it shows what their formats tell, and says what they can't prove.`,
		Example:     "  pgark inspect shop.pgark\n  pgark inspect --json --blocks shop.pgark",
		Annotations: exitCodes(""),
		Args:        args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.sources.validate(); err != nil {
				return err
			}
			return o.Run(cmd.Context(), args[0])
		},
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&o.blocks, "blocks", false, "also every block")
	o.volumes.addFlags(cmd.Flags())
	o.sources.addFlags(cmd.Flags(), &o.volumes)
	return cmd
}

// Run prints what the archive is.
func (o *inspectOptions) Run(ctx context.Context, path string) error {
	if o.volumes.severalIn(path) {
		if isClusterScript(path) {
			return o.inspectScript(ctx, path)
		}
		return o.inspectCluster(path)
	}
	src, err := o.sources.open(ctx, path, nil)
	if err != nil {
		return err
	}
	if src != nil {
		defer src.Close()
		return o.inspectSource(path, src)
	}
	a, err := o.volumes.openPartial(path)
	if err != nil {
		return err
	}
	defer a.Close()
	in, err := newInspection(a, path, o.blocks)
	if err != nil {
		return pathError(path, err)
	}
	return o.show(in)
}

// show prints a description, for people or as JSON.
func (o *inspectOptions) show(in interface{ print(w io.Writer) }) error {
	if o.json {
		return quietPipe(writeJSON(o.app.stdout, in))
	}
	out := &errWriter{w: o.app.stdout}
	in.print(out)
	return quietPipe(out.err)
}

// inspection is the archive's description. Its JSON form is part of the command line's contract.
type inspection struct {
	FormatVersion string            `json:"format_version"`
	Created       time.Time         `json:"created"`
	Tool          string            `json:"tool"`
	DBName        string            `json:"dbname"`
	Encoding      string            `json:"encoding"`
	ServerVersion string            `json:"server_version"`
	Product       string            `json:"product"`
	PgDumpVersion string            `json:"pg_dump_version"`
	Moment        time.Time         `json:"moment"`
	Route         string            `json:"route"`
	Promise       string            `json:"promise"`
	RouteReason   string            `json:"route_reason"`
	Settings      map[string]string `json:"settings"`
	Nodes         []inspectNode     `json:"nodes"`
	Distributions []inspectPolicy   `json:"distributions"`
	Spread        []inspectSpread   `json:"spread"`
	Losses        []inspectLoss     `json:"losses"`
	Codec         string            `json:"codec"`
	Level         int               `json:"level"`
	Set           string            `json:"set,omitempty"` // id of the set, where the archive is one
	Volumes       []inspectVolume   `json:"volumes"`
	Objects       int               `json:"objects"`
	Tables        int               `json:"tables"`
	Rows          uint64            `json:"rows"`
	RawBytes      uint64            `json:"raw_bytes"`
	StoredBytes   uint64            `json:"stored_bytes"`
	RootDigest    string            `json:"root_digest"`
	BlockStats    inspectStats      `json:"block_stats"`
	Streams       []inspectStream   `json:"streams"`
	Blocks        []inspectBlock    `json:"blocks,omitempty"`
}

type inspectNode struct {
	ID          uint32  `json:"id"`
	Name        string  `json:"name"`
	Host        string  `json:"host"`
	Port        uint16  `json:"port"`
	Database    string  `json:"database"` // its name there
	Content     int32   `json:"content"`  // Greenplum's id of a segment, -1 for other nodes
	Snapshot    string  `json:"snapshot"`
	Rows        uint64  `json:"rows"`
	RawBytes    uint64  `json:"raw_bytes"`
	StoredBytes uint64  `json:"stored_bytes"`
	Skew        float64 `json:"skew"` // its share of the rows' bytes, divided by an even share; 0 for a coordinator that holds none
}

type inspectLoss struct {
	Schema  string `json:"schema"`
	Table   string `json:"table"`
	Blocks  uint64 `json:"blocks"`
	Rows    uint64 `json:"rows"`
	Message string `json:"message"`
}

// String names the table, if there is one, and says what is lost of it.
func (l inspectLoss) String() string {
	if l.Table == "" {
		return l.Message
	}
	return quotedName(l.Schema, l.Table) + ": " + l.Message
}

// inspectVolume is one volume: the archive's only one or its lead volume first.
type inspectVolume struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Bytes      int64  `json:"bytes"`
	RootDigest string `json:"root_digest"`
	Number     uint32 `json:"number"` // in its set, 0 the lead volume
	Node       uint32 `json:"node"`
	Host       string `json:"host"`
	Path       string `json:"path"` // on that host
	Rows       uint64 `json:"rows"`
	RawBytes   uint64 `json:"raw_bytes"`
	State      string `json:"state"` // ok, missing, swapped, foreign, stale, damaged
	Message    string `json:"message,omitempty"`
}

type inspectStats struct {
	Count     int     `json:"count"`
	RawMin    uint64  `json:"raw_min"`
	RawMedian uint64  `json:"raw_median"`
	RawMax    uint64  `json:"raw_max"`
	Ratio     float64 `json:"ratio"` // raw to stored bytes
}

type inspectStream struct {
	ID          uint32 `json:"id"`
	Schema      string `json:"schema"`
	Table       string `json:"table"`
	Node        uint32 `json:"node"`
	Range       string `json:"range"`
	Rows        uint64 `json:"rows"`
	RawBytes    uint64 `json:"raw_bytes"`
	StoredBytes uint64 `json:"stored_bytes"`
	Blocks      int    `json:"blocks"`
	Digest      string `json:"digest"`
}

type inspectBlock struct {
	Volume      uint32 `json:"volume"`
	Stream      uint32 `json:"stream"`
	Block       uint32 `json:"block"`
	Offset      int64  `json:"offset"`
	Parts       int    `json:"parts"`
	Rows        uint32 `json:"rows"`
	RawBytes    uint64 `json:"raw_bytes"`
	StoredBytes uint64 `json:"stored_bytes"`
	Codec       string `json:"codec"`
}

func newInspection(a *archive.File, path string, blocks bool) (*inspection, error) {
	cat, err := a.Catalog()
	if err != nil {
		return nil, err
	}
	moment, err := a.Moment()
	if err != nil {
		return nil, err
	}
	text := newTextDecoder(cat.Encoding)
	h, root := a.Header(), fmt.Sprintf("%x", a.Root())
	in := &inspection{
		FormatVersion: fmt.Sprintf("%d.%d", h.Major, h.Minor), Created: h.Created.UTC(), Tool: h.Tool,
		DBName: text.String(cat.Database), Encoding: cat.Encoding, ServerVersion: cat.ServerVersion, Product: cat.Product,
		PgDumpVersion: cat.PgDumpVersion, Moment: moment.Time.UTC(), Route: moment.Route, Promise: moment.Promise, RouteReason: moment.Reason,
		Settings: moment.Settings, Nodes: []inspectNode{}, Distributions: []inspectPolicy{}, Spread: []inspectSpread{}, Losses: []inspectLoss{}, Streams: []inspectStream{},
		Codec: h.Codec.String(), Level: h.Level, Objects: len(cat.Entries), RootDigest: root,
	}
	in.addVolumes(a, path)
	for _, n := range moment.Nodes {
		in.Nodes = append(in.Nodes, newInspectNode(n, in.DBName))
	}
	for _, l := range moment.Losses {
		in.Losses = append(in.Losses, inspectLoss{text.String(l.Schema), text.String(l.Table), l.Blocks, l.Rows, l.Message})
	}
	in.addStreams(a.Reader, text)
	in.addPolicies(moment, text)
	in.addSpread(a.Reader, cat, moment, text)
	in.addBlocks(a.Reader, blocks)
	return in, nil
}

func (in *inspection) addStreams(a *archive.Reader, text textDecoder) {
	type key struct {
		entry         int32
		schema, table string
	}
	tables := make(map[key]bool) // partitions without an entry of their own count as one
	for _, s := range a.Streams() {
		switch {
		case s.Schema == "": // large objects
		case s.Entry != 0:
			tables[key{entry: s.Entry}] = true
		default:
			tables[key{schema: s.Schema, table: s.Table}] = true
		}
		in.Rows += s.Digest.Rows
		in.RawBytes += s.Raw
		in.StoredBytes += s.Stored
		in.Streams = append(in.Streams, inspectStream{
			uint32(s.ID), text.String(s.Schema), text.String(s.Table), s.Node, s.Range, s.Digest.Rows, s.Raw, s.Stored,
			s.Blocks, s.Digest.String(),
		})
	}
	for _, v := range a.Volumes() {
		if v.Err == nil {
			continue
		}
		for i := range v.Tables {
			t := &v.Tables[i]
			in.Rows += t.Digest.Rows
			in.RawBytes += t.Raw
			in.StoredBytes += t.Stored
			if entry := a.TableEntry(t); entry != 0 && t.OID != 0 { // large objects have no OID of their own
				tables[key{entry: entry}] = true
			}
			in.countNode(v.Node, t.Digest.Rows, t.Raw, t.Stored)
		}
	}
	in.Tables = len(tables)
}

func (in *inspection) addBlocks(a *archive.Reader, list bool) {
	var sizes []uint64
	var raw, stored uint64
	for _, s := range a.Streams() {
		for b := range a.Blocks(s.ID) {
			sizes = append(sizes, b.Raw)
			raw, stored = raw+b.Raw, stored+b.Stored
			if list {
				in.Blocks = append(in.Blocks, inspectBlock{
					b.Volume, uint32(b.Stream), b.Seq, b.Offset, b.Parts, b.Rows, b.Raw, b.Stored, b.Codec.String(),
				})
			}
		}
	}
	in.BlockStats.Count = len(sizes)
	if len(sizes) == 0 {
		return
	}
	slices.Sort(sizes)
	in.BlockStats.RawMin, in.BlockStats.RawMedian, in.BlockStats.RawMax = sizes[0], sizes[len(sizes)/2], sizes[len(sizes)-1]
	if stored > 0 {
		in.BlockStats.Ratio = float64(raw) / float64(stored)
	}
}
