package fanout

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// WorkerLine is one answer of a worker. One field is set.
type WorkerLine struct {
	Hello    *WorkerHello    `json:"hello,omitempty"`
	Progress *WorkerProgress `json:"progress,omitempty"`
	Result   *WorkerResult   `json:"result,omitempty"`
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

// WorkerError is why a worker gave up.
type WorkerError struct {
	Message string `json:"message"`
	Slipped bool   `json:"slipped,omitempty"` // the dump has to be started over
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

// lineWriter writes lines of JSON, each at once.
type lineWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lineWriter) write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.w.Write(append(b, '\n'))
	return err
}

// volume is what a result says has been written.
func (r *WorkerResult) volume() (archive.Volume, error) {
	var v archive.Volume
	if err := v.UnmarshalBinary(r.Volume); err != nil {
		return v, fmt.Errorf("the worker's result: %w", err)
	}
	return v, nil
}
