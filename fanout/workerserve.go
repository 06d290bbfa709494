package fanout

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// VolumeFile is a file that has no name until Commit. Discard leaves nothing of it if it has none, TakeBack removes it when
// it has one.
type VolumeFile interface {
	io.Writer
	Sync() error
	Commit() error
	Discard()
	TakeBack() error
}

// WorkerIO is what a worker has to do with the world.
type WorkerIO struct {
	In   io.Reader // the job, then the word to commit
	Out  io.Writer // answers
	Host string    // of this host, for the set's list of volumes
	Tool string    // "pgark 0.1.0"
	Task *Task     // what to do; nil has In say it. With it, In is not read
	Open func(path string, force bool) (VolumeFile, error)
	Log  *slog.Logger
}

// ErrAbandoned is returned by a worker whose lead has gone.
var ErrAbandoned = errors.New("the lead has gone: nothing is left of the volume")

// ReadJobFile gives a job from a file as a worker reads it, with the word to commit behind it.
func ReadJobFile(path string) (io.Reader, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the job: %w", err)
	}
	var job Job
	if err := json.Unmarshal(b, &job); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrJob, path, err)
	}
	return job.Reader()
}

// Reader gives the job as a worker reads it, with the word to commit behind it.
func (j *Job) Reader() (io.Reader, error) {
	b, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	return strings.NewReader(string(b) + "\n" + CommitLine + "\n"), nil
}

// workerTick is how often a worker says how it gets on.
const workerTick = time.Second

// ServeWorker does one job: see the comment on the lines above. Errors have been told to the lead when it returns.
func ServeWorker(ctx context.Context, x WorkerIO) error {
	if err := x.Greet(); err != nil {
		return fmt.Errorf("%w: %w", ErrAbandoned, err)
	}
	out := &lineWriter{w: x.Out}
	err := x.serve(ctx, out)
	if errors.Is(err, ErrAbandoned) {
		_ = out.write(WorkerLine{Gone: true}) // if anybody still listens
		return err
	}
	if err != nil {
		err = errors.Join(err, out.write(WorkerLine{Error: errorLine(err)}))
	}
	return err
}

// Greet is what a worker does that is only asked what it is.
func (x *WorkerIO) Greet() error {
	out := &lineWriter{w: x.Out}
	return out.write(WorkerLine{Hello: &WorkerHello{Tool: x.Tool, Job: JobVersion, Host: x.Host}})
}

func (x *WorkerIO) serve(ctx context.Context, out *lineWriter) error {
	if x.Task != nil {
		return x.serveTask(ctx, x.Task, nil, out)
	}
	in := bufio.NewReaderSize(x.In, 64<<10)
	line, err := readLine(in, maxJob)
	if err != nil {
		return fmt.Errorf("%w: read the job: %w", ErrAbandoned, err)
	}
	var task Task
	if err := json.Unmarshal(line, &task); err == nil && task.Do != "" {
		return x.serveTask(ctx, &task, in, out)
	}
	var job Job
	if err := json.Unmarshal(line, &job); err != nil {
		return fmt.Errorf("%w: %w", ErrJob, err)
	}
	out.from = job.Number
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	words := make(chan string, maxWords)
	// It ends with the input, which ends with this process.
	go func() {
		defer close(words)
		for n := range maxWords {
			word, err := readLine(in, maxWord)
			if err != nil {
				if n == 0 {
					cancel(ErrAbandoned)
				}
				return
			}
			words <- string(word)
		}
	}()
	f, err := x.Open(string(job.Path), job.Force)
	if err != nil {
		return err
	}
	defer f.Discard()
	result, conn, err := x.work(ctx, &job, f, out)
	if conn != nil {
		defer closeSession(ctx, conn)
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	if err := out.write(WorkerLine{Result: result}); err != nil {
		return fmt.Errorf("%w: %w", ErrAbandoned, err)
	}
	select {
	case word := <-words:
		return settle(ctx, &job, conn, f, word, words, out)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// settle gives the volume its name, and takes it back unless the lead says that it may stay.
func settle(ctx context.Context, job *Job, conn *wire.Conn, f VolumeFile, word string, words <-chan string, out *lineWriter) error {
	if word != CommitLine && word != nameLine {
		return ErrAbandoned
	}
	if err := f.Commit(); err != nil {
		return err
	}
	tell := out.write(WorkerLine{Done: true})
	if word == CommitLine {
		// A lead that has failed, or died, meanwhile has had its volumes removed before this one had its name.
		if tell == nil {
			tell = job.lookForLead(ctx, conn)
		}
		if tell != nil {
			return errors.Join(tell, f.TakeBack())
		}
		return nil
	}
	keep := false
	for word := range words {
		if keep = word == keepLine; !keep {
			break
		}
		tell = out.write(WorkerLine{Kept: true})
	}
	if keep {
		return tell
	}
	if err := f.TakeBack(); err != nil {
		return err
	}
	return ErrAbandoned
}

// work writes the volume and makes it durable. It also returns a session with the node, to be closed.
func (x *WorkerIO) work(ctx context.Context, job *Job, f VolumeFile, out *lineWriter) (result *WorkerResult, conn *wire.Conn, err error) {
	g, gctx := errgroup.WithContext(ctx)
	p := &workerProgress{}
	finished := make(chan struct{})
	g.Go(func() error { return p.tell(gctx, out, finished) })
	g.Go(func() error {
		defer close(finished)
		var v archive.Volume
		var err error
		if v, conn, err = work(gctx, f, job, x.Log, p); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		v.Host, v.Path = x.Host, string(job.Path)
		b, err := v.MarshalBinary()
		result = &WorkerResult{Volume: b, Rows: v.Rows, Bytes: v.Bytes}
		return err
	})
	err = g.Wait()
	return result, conn, err
}

// workerProgress counts what is done.
type workerProgress struct {
	silent
	rows, bytes atomic.Uint64
}

// name is what the worker's watching session is called: see [workerName].
func (p *workerProgress) name(set string) string {
	return fmt.Sprintf("%s%.8s %d %d", workerName, set, p.rows.Load(), p.bytes.Load())
}

func (p *workerProgress) Advance(rows, bytes uint64) {
	p.rows.Add(rows)
	p.bytes.Add(bytes)
}

func (p *workerProgress) tell(ctx context.Context, out *lineWriter, finished <-chan struct{}) error {
	t := time.NewTicker(workerTick)
	defer t.Stop()
	var before WorkerProgress
	for last := false; !last; {
		select {
		case <-finished:
			last = true
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.C:
		}
		now := WorkerProgress{Rows: p.rows.Load(), Bytes: p.bytes.Load()}
		err := out.write(WorkerLine{Progress: &WorkerProgress{Rows: now.Rows - before.Rows, Bytes: now.Bytes - before.Bytes}})
		if err != nil {
			return fmt.Errorf("%w: %w", ErrAbandoned, err)
		}
		before = now
	}
	return nil
}
