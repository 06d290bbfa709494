package archive

import "time"

// Moment records the one consistent point in time that a dump shows, and what vouches for it.
type Moment struct {
	Time     time.Time // server's clock when the snapshot was taken, UTC, microseconds
	Route    string    // "coordinator", "segments", "cursors"
	Promise  string    // "snapshot", "barrier", "none"
	Nodes    []Node
	Settings map[string]string // settings that shape text output: client_encoding, DateStyle, IntervalStyle, extra_float_digits, TimeZone, search_path ...
	// Partial names why this archive does not hold everything of its moment: empty for a normal dump;
	// salvage writes one line per loss.
	Losses []Loss
}

// Node is one server whose rows an archive holds.
type Node struct {
	ID       uint32 // as streams refer to it; 0 is the coordinator
	Name     string // for people: "coordinator", "seg0", "shard_a"
	Host     string
	Port     uint16
	Snapshot string // id of the exported snapshot; empty where there is none
}

// Loss is rows that a salvaged archive lacks.
type Loss struct {
	Schema, Table string // of the stream, empty if not even that is known
	Blocks        uint64 // whole blocks known to be missing; 0 where the number is not known
	Rows          uint64 // likewise
	Message       string
}
