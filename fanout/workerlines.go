package fanout

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/pgark/pgark/archive"
)

// A worker is told its job as one line of JSON on its standard input, and answers with lines of JSON on its standard
// output: hello at once, progress now and then, result when the volume is written and durable, and done when it has its
// name. It gives it the name when it reads the line "commit", and ends. It gives up, and leaves nothing, when either side
// is closed before.
//
// The line "name" is a commit that can be taken back: when the input ends, or says "undo", the worker removes the volume
// again, and answers gone, unless the line "keep" came before the end, to which it answers kept. A lead that names its own volume
// when all have said so leaves a whole set or nothing, whenever it dies, but between these two steps.

// WorkerLine is one answer of a worker. One field is set, and From in answers to one of several tasks.
type WorkerLine struct {
	From     uint32          `json:"from,omitempty"` // Task.From
	Hello    *WorkerHello    `json:"hello,omitempty"`
	Progress *WorkerProgress `json:"progress,omitempty"`
	Result   *WorkerResult   `json:"result,omitempty"`
	Opened   *WorkerOpened   `json:"opened,omitempty"`
	Data     *WorkerData     `json:"data,omitempty"`
	Checked  []byte          `json:"checked,omitempty"` // archive.CheckResult by encoding/gob: its names and messages need not be UTF-8
	Loaded   *WorkerLoaded   `json:"loaded,omitempty"`
	Piece    []byte          `json:"piece,omitempty"` // of a line that is longer than maxPiece
	More     bool            `json:"more,omitempty"`  // there are more pieces of it
	Done     bool            `json:"done,omitempty"`
	Kept     bool            `json:"kept,omitempty"`
	Gone     bool            `json:"gone,omitempty"`
	Error    *WorkerError    `json:"error,omitempty"`
}

// WorkerHello says who answers.
type WorkerHello struct {
	Tool string `json:"tool"` // "pgark 0.1.0"
	Job  int    `json:"job"`  // JobVersion
	Host string `json:"host"`
}

// WorkerProgress is what has been done since the last such line.
type WorkerProgress struct {
	Rows  uint64 `json:"rows"`
	Bytes uint64 `json:"bytes"`
}

// WorkerResult is a volume that has been written.
type WorkerResult struct {
	Volume []byte `json:"volume"` // archive.Volume in binary
	Rows   uint64 `json:"rows"`   // for people
	Bytes  uint64 `json:"bytes"`  // length of the volume, for people
}

// WorkerOpened says that a volume is there. Data with its skeleton follows if it has one.
type WorkerOpened struct {
	Size int64  `json:"size"`
	Host string `json:"host"`
}

// WorkerData is some bytes of a volume.
type WorkerData struct {
	Offset int64  `json:"offset"`
	Bytes  []byte `json:"bytes"`
}

// WorkerLoaded says that a table was loaded, or could not be.
type WorkerLoaded struct {
	Stream archive.StreamID `json:"stream"` // the first of those that the table's rows are in
	Digest archive.Digest   `json:"digest"` // of the rows that were sent
	Rows   uint64           `json:"rows"`   // that the server took
	Error  Text             `json:"error,omitempty"`
}

// WorkerError is why a worker gave up.
type WorkerError struct {
	Message Text `json:"message"`
	Slipped bool `json:"slipped,omitempty"` // the dump has to be started over
	Missing bool `json:"missing,omitempty"` // the volume of a task is not there
}

// is tells whether who answers is a certain program.
func (h *WorkerHello) is(tool string) bool { return h.Tool == tool && h.Job == JobVersion }

// other says what is wrong with it if not.
func (h *WorkerHello) other(tool string) error {
	return fmt.Errorf("host %s has %s, and this is %s: install the same on all hosts", h.Host, h.Tool, tool)
}

// err is the worker's own error, nil if the line is none.
func (l *WorkerLine) err() error {
	switch e := l.Error; {
	case e == nil:
		return nil
	case e.Slipped:
		return fmt.Errorf("%w: %s", errSlipped, e.Message)
	case e.Missing:
		return &workerSaid{string(e.Message), fs.ErrNotExist}
	default:
		return &workerSaid{string(e.Message), nil}
	}
}

// What a worker is told after its job.
const (
	CommitLine = "commit" // give the volume its name
	nameLine   = "name"   // likewise, until further notice
	keepLine   = "keep"   // it may stay
	undoLine   = "undo"   // remove it
)

const (
	maxWord  = 16 // bytes of each of them
	maxWords = 3  // name, keep, undo
)

const (
	// maxJob bounds the line of a job: 100,000 tables with 100 columns each take 200 MB.
	maxJob = 1 << 30
	// maxWorkerLine bounds an answer. A result has 80 bytes for each table.
	maxWorkerLine = 256 << 20
)

// errLineTooLong is returned for a line over its limit.
var errLineTooLong = errors.New("a line is too long")

// readLine reads up to the next LF, which is not part of the line, and no more than limit bytes.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > limit {
			return nil, errLineTooLong
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// maxPiece is the longest line that a worker writes in one piece: Greenplum takes no lines over 1 MiB from a program.
const maxPiece = 512 << 10

// lineWriter writes lines of JSON, each at once.
type lineWriter struct {
	from uint32
	mu   sync.Mutex
	w    io.Writer
}

func (l *lineWriter) write(v WorkerLine) error {
	v.From = l.from
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(b) > maxPiece {
		const n = maxPiece / 2 // base64 makes it longer
		piece, err := json.Marshal(WorkerLine{From: l.from, Piece: b[:n], More: true})
		if err != nil {
			return err
		}
		if _, err := l.w.Write(append(piece, '\n')); err != nil {
			return err
		}
		if b = b[n:]; len(b) <= maxPiece {
			if b, err = json.Marshal(WorkerLine{From: l.from, Piece: b}); err != nil {
				return err
			}
			break
		}
	}
	_, err = l.w.Write(append(b, '\n'))
	return err
}

// pieces puts lines together again that came in pieces, of several workers.
type pieces struct{ open map[uint32][]byte }

// add takes a line and returns the answer that is complete with it, nil if none is.
func (p *pieces) add(b []byte) (*WorkerLine, error) {
	var line WorkerLine
	if err := json.Unmarshal(b, &line); err != nil {
		return nil, fmt.Errorf("it answers %.80q, which is no line of a worker", b)
	}
	if line.Piece == nil {
		return &line, nil
	}
	if p.open == nil {
		p.open = make(map[uint32][]byte)
	}
	whole := append(p.open[line.From], line.Piece...)
	if len(whole) > maxWorkerLine {
		return nil, errLineTooLong
	}
	p.open[line.From] = whole
	if line.More {
		return nil, nil //nolint:nilnil // it goes on
	}
	delete(p.open, line.From)
	from := line.From
	line = WorkerLine{}
	if err := json.Unmarshal(whole, &line); err != nil || line.Piece != nil {
		return nil, fmt.Errorf("it answers %.80q, which is no line of a worker", whole)
	}
	line.From = from
	return &line, nil
}

// volume is what a result says has been written.
func (r *WorkerResult) volume() (archive.Volume, error) {
	var v archive.Volume
	if err := v.UnmarshalBinary(r.Volume); err != nil {
		return v, fmt.Errorf("the worker's result: %w", err)
	}
	return v, nil
}
