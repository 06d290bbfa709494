package archive

import "time"

// Moment records the one consistent point in time that a dump shows, and what vouches for it.
type Moment struct {
	Time     time.Time // server's clock when the snapshot was taken, UTC, microseconds
	Route    string    // "coordinator", "segments", "cursors"
	Promise  string    // "snapshot", "barrier", "none"
	Reason   string    // why this route was taken, for people
	Nodes    []Node
	Settings map[string]string // settings that shape text output: client_encoding, DateStyle, IntervalStyle, extra_float_digits, TimeZone, search_path ...
	// Losses says what this archive lacks of its moment: empty for a dump; salvage writes one for each loss, and gather one
	// for each table that has rows in a volume which was absent.
	Losses []Loss
	// Distributions says how the rows of each table were spread over the nodes; empty for one node.
	Distributions []Distribution
}

// Node is one server whose rows an archive holds.
type Node struct {
	ID       uint32 // as streams refer to it; 0 is the coordinator
	Name     string // for people: "coordinator", "seg0", "shard_a"
	Host     string
	Port     uint16
	Snapshot string // id of the exported snapshot; empty where there is none
	Content  int32  // Greenplum's content id of a segment; -1 for the coordinator and for nodes that are no segments
	Database string // name of the database there, where it is not the archive's
}

// How the rows of a table are spread.
const (
	DistributedHash       = "hash"       // by a hash of Columns (Greenplum)
	DistributedRandom     = "random"     // anyhow (Greenplum)
	DistributedReplicated = "replicated" // every node has all rows; the archive has them once (Greenplum)
	DistributedForeign    = "foreign"    // the table is a partition that lies on Node as a whole (postgres_fdw)
	DistributedNode       = "node"       // as the application decided
)

// Distribution says how the rows of one table are spread over the nodes.
type Distribution struct {
	OID       uint32
	Schema    string
	Table     string
	Kind      string   // one of the Distributed constants
	Columns   []string // of the hash key, in its order
	OpClasses []string // one for each column, with schema: "pg_catalog.int4_ops"
	Segments  uint32   // number of nodes that it is spread over
	Node      uint32   // of a foreign partition: Node.ID
	Bound     string   // of a foreign partition: "FOR VALUES WITH (modulus 3, remainder 0)"
}

// Loss is rows that an archive lacks which was salvaged, or gathered from a part of a set.
type Loss struct {
	Schema, Table string // of the stream, empty if not even that is known
	Blocks        uint64 // whole blocks known to be missing; 0 where the number is not known
	Rows          uint64 // likewise
	Message       string
}
