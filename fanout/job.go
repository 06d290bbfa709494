package fanout

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// JobVersion is the version of [Job] that this program writes and understands.
const JobVersion = 1

// Job is what a worker has to do: read one node's share of a moment and write it to a volume beside the node. It travels
// as JSON and holds no password.
type Job struct {
	Version  int
	Archive  Text   // name of the lead volume's file, for the member's header
	Database Text   // of the archive, for the member's header
	Tool     string // likewise
	Created  int64  // microseconds since 1970, likewise

	Set    string // id of the set, in hexadecimal digits
	Number uint32 // of the volume in it
	Node   uint32 // ID of the node whose rows these are
	Name   Text   // of the node, for messages

	Conninfo Texts  // how to reach the node from its own host; the first that works and is the right server is taken
	Identity string // what identityQuery answers there
	Dialect  Dialect
	Locks    bool   // the worker takes ACCESS SHARE locks on what it reads
	Snapshot string // to import
	LeadPID  uint32 // process that serves the lead's session which holds the snapshot there; when it ends, so does the worker
	Path     Text   // of the volume, on the worker's host
	Force    bool   // replace a file of that name

	Codec  archive.Codec
	Level  int
	Jobs   int // sessions that read rows
	Tables []JobTable
	OIDs   []uint32 `json:",omitempty"` // further tables, to be looked up on the node
	Blobs  []JobBlobs

	lead *wire.Conn // the session of LeadPID: the lead's, idle in its transaction
}

// JobTable is a table, or a part of one, to be read.
type JobTable struct {
	OID          uint32 // on the coordinator
	Schema, Name Text   // likewise
	Columns      Texts
	Floats       string

	From        Text // what to read
	FromColumns Texts
	Where       Text
	Split       bool
	Pages       uint64
	Bytes       uint64
}

// JobBlobs are the large objects of an entry.
type JobBlobs struct {
	Entry int32
	Name  Text
	OIDs  []uint32 // none means all
}

// identityQuery tells servers and databases apart: a worker that reached another server than its lead would write
// rows of another database, and would not know.
const identityQuery = `SELECT pg_catalog.pg_postmaster_start_time()::pg_catalog.text || ' ' || d.oid::pg_catalog.text
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`

// ErrJob is wrapped by errors about a job that this program can't do.
var ErrJob = errors.New("bad job")

// Check says whether this program understands the job.
func (j *Job) Check() error {
	switch {
	case j.Version != JobVersion:
		return fmt.Errorf("%w: it has version %d, this is pgark's version %d: the same pgark is needed on all hosts", ErrJob, j.Version, JobVersion)
	case len(j.Conninfo) == 0, j.Number == 0, j.Jobs <= 0, j.Snapshot == "", j.Identity == "":
		return fmt.Errorf("%w: something is missing in it", ErrJob)
	}
	return nil
}

// jobTables are the parts as a job has them.
func jobTables(parts []part) []JobTable {
	tables := make([]JobTable, len(parts))
	for i := range parts {
		p := &parts[i]
		tables[i] = JobTable{
			OID: p.table.OID, Schema: Text(p.table.Schema), Name: Text(p.table.Name), Columns: p.table.Columns, Floats: p.table.Floats,
			From: Text(p.from), FromColumns: p.columns, Where: Text(p.where), Split: p.split, Pages: p.pages, Bytes: p.bytes,
		}
	}
	return tables
}

// parts are the job's tables as the engine has them.
func (j *Job) parts() []part {
	parts := make([]part, len(j.Tables))
	tables := make(map[uint32]*table)
	for i := range j.Tables {
		t := &j.Tables[i]
		if tables[t.OID] == nil {
			tables[t.OID] = &table{
				relation: relation{OID: t.OID, Schema: string(t.Schema), Name: string(t.Name), Kind: 'r'}, Columns: t.Columns, Floats: t.Floats,
			}
		}
		parts[i] = part{
			table: tables[t.OID], node: j.Node, from: string(t.From), lock: string(t.From), columns: t.FromColumns, where: string(t.Where), split: t.Split,
			pages: t.Pages, bytes: t.Bytes,
		}
	}
	return parts
}

// lockNames are what the worker locks: every table once.
func (j *Job) lockNames() []string {
	var names []string
	seen := make(map[string]bool)
	for i := range j.Tables {
		if from := string(j.Tables[i].From); !seen[from] {
			seen[from] = true
			names = append(names, from)
		}
	}
	return names
}

// connect reaches the job's server, from the host where it runs.
func (j *Job) connect(ctx context.Context, d *dumper) (*Node, *wire.Conn, error) {
	var node *Node
	conn, err := reach(ctx, string(j.Name), j.Conninfo, j.Identity, func(cfg *wire.Config) (*wire.Conn, error) {
		node = &Node{ID: j.Node, Name: string(j.Name), Content: -1, Config: cfg, Dialect: j.Dialect}
		return d.session(ctx, node, workerLockTimeout)
	})
	return node, conn, err
}

// lookForLead returns an error unless the lead is still there, as a session with the node shows it.
func (j *Job) lookForLead(ctx context.Context, conn *wire.Conn) error {
	if j.LeadPID == 0 {
		return nil
	}
	there, err := sessionThere(ctx, conn, j.LeadPID)
	if err == nil && !there {
		err = ErrAbandoned
	}
	return err
}

// reach opens a session with a node from its own host, in the first of several ways that leads to the right server. The last
// configuration that open was called with is that of the session.
func reach(ctx context.Context, node string, infos []string, identity string, open func(*wire.Config) (*wire.Conn, error)) (*wire.Conn, error) {
	var reasons []error
	for _, info := range infos {
		cfg, err := wire.ParseConfig(info)
		if err != nil {
			reasons = append(reasons, err)
			continue
		}
		conn, err := open(cfg)
		if err == nil {
			var id string
			if id, err = conn.QueryString(ctx, identityQuery); err == nil && id == identity {
				return conn, nil
			}
			closeSession(ctx, conn)
			if err == nil {
				err = fmt.Errorf("%s is another server than node %s", conn.Addr(), node)
			}
		}
		reasons = append(reasons, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("reach node %s from its own host: %w", node, errors.Join(reasons...))
}
