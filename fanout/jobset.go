package fanout

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/pgark/pgark/wire"
)

// jobSet is the jobs of all segments of a Greenplum in a form that is short enough for a command line: tables are
// named by OID, which is the same on all segments, and each worker looks them up in its own segment's catalog.
type jobSet struct {
	Common   Job // what all jobs share; Tables are those that an OID is not enough for
	OIDs     []byte
	Segments map[int]segmentJob // by content id
}

// segmentJob is what is different from segment to segment.
type segmentJob struct {
	Number, Node uint32
	Name, Path   Text
	Snapshot, ID string
	LeadPID      uint32
	Conninfo     Texts
	OIDs         []byte     `json:",omitempty"` // tables that only this segment reads: replicated ones
	Tables       []JobTable `json:",omitempty"`
}

// packJobs makes the command-line form of the jobs of segments.
func packJobs(jobs []Job, places []Place) (string, error) {
	set := jobSet{Common: jobs[0], Segments: make(map[int]segmentJob, len(jobs))}
	everywhere := make(map[uint32]int)
	for i := range jobs {
		for k := range jobs[i].Tables {
			if jobs[i].Tables[k].plain() {
				everywhere[jobs[i].Tables[k].OID]++
			}
		}
	}
	var shared []uint32
	for oid, n := range everywhere {
		if n == len(jobs) {
			shared = append(shared, oid)
		}
	}
	set.OIDs = packOIDs(shared)
	for i := range jobs {
		j := &jobs[i]
		s := segmentJob{
			Number: j.Number, Node: j.Node, Name: j.Name, Path: j.Path, Snapshot: j.Snapshot, ID: j.Identity, LeadPID: j.LeadPID, Conninfo: j.Conninfo,
		}
		var own []uint32
		for k := range j.Tables {
			switch t := &j.Tables[k]; {
			case !t.plain():
				s.Tables = append(s.Tables, *t)
			case everywhere[t.OID] < len(jobs):
				own = append(own, t.OID)
			}
		}
		s.OIDs = packOIDs(own)
		set.Segments[places[i].Content] = s
	}
	c := &set.Common
	c.Tables, c.Blobs, c.Conninfo, c.Path, c.Name, c.Identity, c.Snapshot = nil, nil, nil, "", "", "", ""
	return pack(&set, len(jobs))
}

// plain tells whether the table's OID says all there is to say.
func (t *JobTable) plain() bool {
	return t.Where == "" && string(t.From) == "ONLY "+wire.QualifiedName(string(t.Schema), string(t.Name)) && slices.Equal(t.Columns, t.FromColumns)
}

// packOIDs writes the OIDs in order, as differences.
func packOIDs(oids []uint32) []byte {
	slices.Sort(oids)
	var b []byte
	last := uint32(0)
	for _, oid := range oids {
		b = binary.AppendUvarint(b, uint64(oid-last))
		last = oid
	}
	return b
}

func unpackOIDs(b []byte) ([]uint32, error) {
	var oids []uint32
	last := uint64(0)
	for len(b) > 0 {
		d, n := binary.Uvarint(b)
		if n <= 0 || last+d > 1<<32-1 {
			return nil, fmt.Errorf("%w: its list of tables can't be read", ErrJob)
		}
		last += d
		oids = append(oids, uint32(last))
		b = b[n:]
	}
	return oids, nil
}

// UnpackJob takes the job of one segment out of what the database's dispatcher has handed to all of them. ok is false if there
// is none for this segment.
func UnpackJob(text string, content int) (job *Job, ok bool, err error) {
	var set jobSet
	if err := unpack(text, &set); err != nil {
		return nil, false, err
	}
	s, ok := set.Segments[content]
	if !ok {
		return nil, false, nil
	}
	job = &set.Common
	job.Number, job.Node, job.Name, job.Path, job.Snapshot, job.Identity, job.Conninfo = s.Number, s.Node, s.Name, s.Path, s.Snapshot, s.ID, s.Conninfo
	job.Tables, job.LeadPID = s.Tables, s.LeadPID
	for _, packed := range [][]byte{set.OIDs, s.OIDs} {
		oids, err := unpackOIDs(packed)
		if err != nil {
			return nil, false, err
		}
		job.OIDs = append(job.OIDs, oids...)
	}
	return job, true, nil
}

// lookUp describes the tables that the job names by OID only. The session shows the moment.
func (j *Job) lookUp(ctx context.Context, m *member) error {
	if len(j.OIDs) == 0 {
		return nil
	}
	var rels []relation
	err := m.conn.Query(ctx, `SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = `+anyOID(j.OIDs)+` ORDER BY c.oid`, func(row wire.Row) error {
		oid, err := strconv.ParseUint(string(row.Get(0)), 10, 32)
		rels = append(rels, relation{OID: uint32(oid), Schema: string(row.Get(1)), Name: string(row.Get(2)), Kind: 'r'})
		return err
	})
	if err != nil {
		return fmt.Errorf("look the tables up: %w", err)
	}
	if len(rels) != len(j.OIDs) {
		return fmt.Errorf("%w: node %s has %d of the %d tables", errSlipped, j.Name, len(rels), len(j.OIDs))
	}
	tables, err := describeTables(ctx, m.conn, rels, m.dialect)
	if err != nil {
		return err
	}
	return m.ownParts(ctx, m.conn, sortedTables(tables))
}
