package fanout

import (
	"bufio"
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// dataPiece is how much of a volume one answer has.
const dataPiece = 256 << 10

// serveTask does a task with a volume. With in, it gives up when that ends.
func (x *WorkerIO) serveTask(ctx context.Context, t *Task, in *bufio.Reader, out *lineWriter) error {
	out.from = t.From
	if err := t.Check(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if in != nil {
		// It ends with the input, which ends with this process.
		go func() {
			_, _ = io.Copy(io.Discard, in)
			cancel(ErrAbandoned)
		}()
	}
	s := &taskServer{task: t, out: out, host: x.Host, io: x, progress: &workerProgress{}}
	err := s.run(ctx, cancel)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	return out.write(WorkerLine{Done: true})
}

// taskServer does one task.
type taskServer struct {
	task     *Task
	out      *lineWriter
	host     string
	io       *WorkerIO
	progress *workerProgress
}

// run does the task, says how it gets on, and watches the lead's session if there is one.
func (s *taskServer) run(ctx context.Context, cancel context.CancelCauseFunc) error {
	var watched sync.WaitGroup
	watching, enough := context.WithCancel(ctx)
	defer func() {
		enough()
		watched.Wait()
	}()
	if w := s.task.Watch; w != nil {
		watched.Go(func() {
			name := func() string { return s.progress.name(s.task.Run) }
			err := watchOver(watching, string(s.task.Node), w.PID, leadPoll, ErrAbandoned, name, func() (*wire.Conn, error) {
				return reach(watching, string(s.task.Node), w.Conninfo, w.Identity, func(cfg *wire.Config) (*wire.Conn, error) {
					return plainSession(watching, cfg, "pgark worker")
				})
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	g, gctx := errgroup.WithContext(ctx)
	finished := make(chan struct{})
	g.Go(func() error { return s.progress.tell(gctx, s.out, finished) })
	g.Go(func() error {
		defer close(finished)
		return s.do(gctx)
	})
	return g.Wait()
}

func (s *taskServer) do(ctx context.Context) error {
	switch s.task.Do {
	case TaskCheck:
		if err := s.check(ctx); err != nil {
			return err
		}
		return s.sendSkeleton(ctx)
	case TaskOpen:
		return s.sendSkeleton(ctx)
	case TaskRead:
		return s.read(ctx)
	default:
		return s.load(ctx)
	}
}

func (s *taskServer) path() string { return string(s.task.Path) }

// check reads the volume and says what is wrong with it.
func (s *taskServer) check(ctx context.Context) error {
	res, err := archive.CheckFiles(ctx, s.path(), archive.CheckOptions{Jobs: s.task.Jobs, Quick: s.task.Quick}, archive.OpenOptions{
		Through: func(f *os.File) io.ReaderAt { return &countedFile{f, s.progress} },
	})
	switch {
	case errors.Is(err, archive.ErrNotArchive):
		res = &archive.CheckResult{}
	case err != nil:
		return err
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(res); err != nil {
		return err
	}
	return s.out.write(WorkerLine{Checked: b.Bytes()})
}

// countedFile counts what is read of a file.
type countedFile struct {
	*os.File
	progress *workerProgress
}

// ReadAt implements io.ReaderAt.
func (f *countedFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(p, at)
	f.progress.Advance(0, uint64(max(n, 0))) //nolint:gosec // not negative
	return n, err
}

// sendSkeleton sends what is needed to open the volume, if it can be opened at all.
func (s *taskServer) sendSkeleton(ctx context.Context) error {
	info, err := os.Stat(s.path()) // before it is opened: that of a pipe would wait
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", s.task.Path)
	}
	f, err := os.Open(s.path())
	if err != nil {
		return err
	}
	defer f.Close()
	if err := s.out.write(WorkerLine{Opened: &WorkerOpened{Size: info.Size(), Host: s.host}}); err != nil {
		return err
	}
	spans, err := archive.Skeleton(f, info.Size())
	switch {
	case errors.Is(err, archive.ErrDamaged), errors.Is(err, archive.ErrTruncated), errors.Is(err, archive.ErrNotArchive):
		return nil // that there is no skeleton says so
	case err != nil:
		return err
	}
	return s.send(ctx, f, spans)
}

// send sends spans of a file.
func (s *taskServer) send(ctx context.Context, r io.ReaderAt, spans []archive.Span) error {
	buf := make([]byte, dataPiece)
	for _, span := range spans {
		for span.Length > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			b := buf[:min(span.Length, dataPiece)]
			if _, err := r.ReadAt(b, span.Offset); err != nil {
				return fmt.Errorf("%s at offset %d: %w", s.task.Path, span.Offset, err)
			}
			if err := s.out.write(WorkerLine{Data: &WorkerData{Offset: span.Offset, Bytes: b}}); err != nil {
				return err
			}
			s.progress.Advance(0, uint64(len(b)))
			span.Offset += int64(len(b))
			span.Length -= int64(len(b))
		}
	}
	return nil
}

// open opens the volume and makes sure that it is the one that is meant.
func (s *taskServer) open() (*archive.File, []archive.StreamID, error) {
	a, err := archive.OpenMember(s.path())
	if err != nil {
		return nil, nil, err
	}
	root := a.Root()
	if !bytes.Equal(root[:], s.task.Root) {
		return nil, nil, errors.Join(fmt.Errorf("%s has become another volume: its root digest is %x, not %x", s.task.Path, root, s.task.Root), a.Close())
	}
	ids, err := unpackStreams(s.task.Streams, len(a.Streams()))
	if err != nil {
		return nil, nil, errors.Join(err, a.Close())
	}
	return a, ids, nil
}

// read sends the frames of the streams that are asked for. They are proven by who gets them.
func (s *taskServer) read(ctx context.Context) error {
	a, ids, err := s.open()
	if err != nil {
		return err
	}
	defer a.Close()
	f, err := os.Open(s.path())
	if err != nil {
		return err
	}
	defer f.Close()
	return s.send(ctx, f, a.StreamSpans(ids))
}

// errorLine is how an error is told to the lead.
func errorLine(err error) *WorkerError {
	return &WorkerError{Message: Text(err.Error()), Slipped: errors.Is(err, errSlipped), Missing: errors.Is(err, fs.ErrNotExist)}
}
