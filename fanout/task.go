package fanout

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/pgark/pgark/archive"
)

// The things that a worker does with a volume that lies on its host. What it writes is [Job]'s.
const (
	TaskOpen  = "open"  // send what the lead needs to open the volume: see archive.Skeleton
	TaskRead  = "read"  // send some streams as they are stored
	TaskCheck = "check" // read all of it and say what is wrong, then as open
	TaskLoad  = "load"  // load streams into a node
)

// Task is what a worker has to do with a volume. It travels as JSON and holds no password. Lines that answer it end with
// done or error.
type Task struct {
	Do      string
	Version int    // JobVersion
	From    uint32 // which task of several this is, from 1: in every answer
	Node    Text   // name of the node whose volume it is, for messages
	Path    Text   // of the volume
	Run     string // hexadecimal digits that tell the tasks of one command from those of others
	Jobs    int    // blocks at once, or sessions
	Quick   bool   // check: structure and index only

	Root    []byte     // of the volume that is meant; for read and load
	Streams []byte     // for read and load: packed numbers of streams; for load those that go where they say themselves
	Load    *LoadSpec  // for load
	Watch   *WatchSpec `json:",omitempty"` // gives up when that session ends
}

// LoadSpec says where a worker loads the rows of a volume.
type LoadSpec struct {
	Conninfo  Texts  // how to reach the node; the first that works and is the right server is taken
	Identity  string // what identityQuery answers there
	Encoding  string // of the archive's text
	Setup     Texts  // statements that prepare a session
	Tables    []LoadTable
	ShareFrom uint64 // see restoreLimits
	JoinFrom  uint64
}

// LoadTable is a table whose name on the node is another one than in the archive.
type LoadTable struct {
	Streams []byte // packed
	SQL     Text   // the COPY statement
}

// WatchSpec names a session of the lead's.
type WatchSpec struct {
	Conninfo Texts
	Identity string
	PID      uint32
}

// Check says whether this program understands the task.
func (t *Task) Check() error {
	switch {
	case t.Version != JobVersion:
		return fmt.Errorf("%w: it has version %d, this is pgark's version %d: the same pgark is needed on all hosts", ErrJob, t.Version, JobVersion)
	case t.Path == "", t.Do == TaskLoad && t.Load == nil:
		return fmt.Errorf("%w: something is missing in it", ErrJob)
	}
	switch t.Do {
	case TaskOpen, TaskRead, TaskCheck, TaskLoad:
		return nil
	}
	return fmt.Errorf("%w: pgark does not know how to %q", ErrJob, t.Do)
}

// packStreams writes the numbers of streams as runs: how many are left out, how many follow each other. A volume of 10,000
// tables of which all are meant takes two bytes.
func packStreams(ids []archive.StreamID) []byte {
	slices.Sort(ids)
	var b []byte
	next := archive.StreamID(0)
	for len(ids) > 0 {
		n := 1
		for n < len(ids) && ids[n] == ids[0]+archive.StreamID(n) { //nolint:gosec // an index
			n++
		}
		b = binary.AppendUvarint(b, uint64(ids[0]-next))
		b = binary.AppendUvarint(b, uint64(n)) //nolint:gosec // a length
		next = ids[n-1] + 1
		ids = ids[n:]
	}
	return b
}

// unpackStreams is the reverse. No number is above limit.
func unpackStreams(b []byte, limit int) ([]archive.StreamID, error) {
	var ids []archive.StreamID
	next := uint64(0)
	for len(b) > 0 {
		gap, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errStreams
		}
		run, m := binary.Uvarint(b[n:])
		if m <= 0 || gap > uint64(limit) || run > uint64(limit) || next+gap+run > uint64(limit)+1 { //nolint:gosec // a length
			return nil, errStreams
		}
		b = b[n+m:]
		for i := range run {
			ids = append(ids, archive.StreamID(next+gap+i)) //nolint:gosec // at most limit
		}
		next += gap + run
	}
	return ids, nil
}

var errStreams = fmt.Errorf("%w: its list of streams can't be read, or names some that the volume does not have", ErrJob)

// packTasks makes the command-line form of the tasks of segments, by content id.
func packTasks(tasks []Task, places []Place) (string, error) {
	byContent := make(map[int]*Task, len(tasks))
	for i := range tasks {
		byContent[places[i].Content] = &tasks[i]
	}
	return pack(byContent, len(tasks))
}

// UnpackTask takes the task of one segment out of what the database's dispatcher has handed to all of them. ok is false if
// there is none for this segment.
func UnpackTask(text string, content int) (task *Task, ok bool, err error) {
	var byContent map[int]*Task
	if err := unpack(text, &byContent); err != nil {
		return nil, false, err
	}
	task, ok = byContent[content]
	return task, ok && task != nil, nil
}

// maxPacked bounds the packed form: Linux takes 128 KiB as one argument of a program.
const maxPacked = 120 << 10

// pack makes JSON short enough for a command line, and of letters that mean nothing to a shell.
func pack(v any, workers int) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := z.Write(b); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(packed.Bytes())
	if len(text) > maxPacked {
		return "", fmt.Errorf("what %d workers have to do takes %d bytes on a command line, which holds %d: have the workers started by ssh",
			workers, len(text), maxPacked)
	}
	return text, nil
}

// unpack is the reverse.
func unpack(text string, v any) error {
	packed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrJob, err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrJob, err)
	}
	b, err := io.ReadAll(io.LimitReader(z, maxJob))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrJob, err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrJob, err)
	}
	return nil
}
