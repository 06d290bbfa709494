package fanout

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
)

// ProcessStarter starts workers as processes: here, or on other hosts through a program such as ssh.
type ProcessStarter struct {
	// Command gives the argument vector that runs "pgark worker" with further arguments on a host. Its standard input,
	// output and error must be the worker's.
	Command func(host string, arguments ...string) ([]string, error)
	Tool    string // "pgark 0.1.0": what a worker has to be
}

const (
	// workerGrace is how long a worker may take to end when it is told to.
	workerGrace = 5 * time.Second
	// workerHello is how long a host may take to say anything: to log in and to start a program.
	workerHello = 60 * time.Second
	// workerCommit is how long a worker may take to name a volume that is on disk.
	workerCommit = 60 * time.Second
)

// ErrWorker is wrapped by errors about workers that could not be started, or gave up.
var ErrWorker = errors.New("worker")

// Check implements [Starter].
func (s *ProcessStarter) Check(ctx context.Context, places []Place) error {
	places = hosts(places)
	errs := make([]error, len(places))
	var all sync.WaitGroup
	for i := range places {
		all.Go(func() {
			p, err := s.start(ctx, places[i], "--hello")
			if err == nil {
				err = p.until(ctx, func() error { return p.greet(s.Tool) })
				p.end()
			}
			errs[i] = err
		})
	}
	all.Wait()
	return joinErrors(errs)
}

// Close implements [Starter].
func (s *ProcessStarter) Close(context.Context) {}

// hosts leaves one place of each host.
func hosts(places []Place) []Place {
	seen := make(map[string]bool)
	return slices.DeleteFunc(slices.Clone(places), func(p Place) bool {
		twice := seen[p.Host]
		seen[p.Host] = true
		return twice
	})
}

// Start implements [Starter].
func (s *ProcessStarter) Start(ctx context.Context, jobs []Job, places []Place, report func(rows, bytes uint64)) (Workers, error) {
	w := &processes{all: make([]*process, len(jobs))}
	g, gctx := errgroup.WithContext(ctx)
	for i := range jobs {
		g.Go(func() (err error) {
			// Its life is not gctx's: that ends with this group.
			w.all[i], err = s.start(ctx, places[i])
			if err != nil {
				return err
			}
			return w.all[i].until(gctx, func() error { return w.all[i].write(&jobs[i], s.Tool, report) })
		})
	}
	if err := g.Wait(); err != nil {
		w.Close(ctx, false)
		return nil, err
	}
	return w, nil
}

// Run implements [Starter].
func (s *ProcessStarter) Run(ctx context.Context, tasks []Task, places []Place, together bool, take func(i int, line *WorkerLine) error) []error {
	errs := make([]error, len(tasks))
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	for i := range tasks {
		all.Go(func() {
			p, err := s.start(ctx, places[i])
			if err == nil {
				err = p.until(ctx, func() error {
					return p.do(&tasks[i], s.Tool, func(line *WorkerLine) error { return take(i, line) })
				})
				p.end()
			}
			if errs[i] = err; err != nil && together {
				stop(err)
			}
		})
	}
	all.Wait()
	return errs
}

// process is a worker.
type process struct {
	name   string // of the node
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	closer io.Closer // of out
	stderr headWriter
	volume archive.Volume
	host   string // as the cluster calls it, then as it calls itself
	named  bool   // the volume may have its name
	pieces pieces
	once   sync.Once
}

func (s *ProcessStarter) start(ctx context.Context, at Place, arguments ...string) (*process, error) {
	argv, err := s.Command(at.Host, arguments...)
	if err != nil {
		return nil, fmt.Errorf("%w of node %s: %w", ErrWorker, at.Node, err)
	}
	p := &process{name: at.Node}
	if at.Host != "" && at.Host[0] != '/' && at.Host[0] != '@' {
		p.host = at.Host
	}
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), argv[0], argv[1:]...)
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = workerGrace
	// A Ctrl-C at the terminal is for this process: it ends the workers.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("%w of node %s: %w", ErrWorker, at.Node, err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("%w of node %s: %w", ErrWorker, at.Node, err)
	}
	p.out, p.closer = bufio.NewReaderSize(out, 64<<10), out
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w of node %s: start it: %w", ErrWorker, at.Node, err)
	}
	return p, nil
}

// until runs a step; when ctx ends, so does the process, and with it the step.
func (p *process) until(ctx context.Context, step func() error) error {
	stop := context.AfterFunc(ctx, p.end)
	defer stop()
	err := step()
	if ctx.Err() != nil && err != nil {
		return context.Cause(ctx)
	}
	return err
}

// greet waits for the worker to say what it is.
func (p *process) greet(tool string) error {
	hello := time.AfterFunc(workerHello, p.end)
	line, err := p.next()
	if !hello.Stop() && err != nil {
		return p.failed(fmt.Errorf("the host did not answer within %v", workerHello))
	}
	switch {
	case err != nil:
		return p.failed(err)
	case line.Hello == nil:
		return p.failed(errors.New("it does not say hello as a worker does"))
	case !line.Hello.is(tool):
		return p.failed(line.Hello.other(tool))
	}
	p.host = line.Hello.Host
	return nil
}

// send tells the worker what to do.
func (p *process) send(job any) error {
	b, err := json.Marshal(job)
	if err != nil {
		return err
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		return p.failed(err)
	}
	return nil
}

// do gives a task and takes the answers.
func (p *process) do(t *Task, tool string, take func(*WorkerLine) error) error {
	if err := p.greet(tool); err != nil {
		return err
	}
	if err := p.send(t); err != nil {
		return err
	}
	for {
		line, err := p.next()
		switch {
		case err != nil:
			return p.failed(err)
		case line.Done:
			return nil
		}
		if err := take(line); err != nil {
			return err
		}
	}
}

// write gives the job and waits for the volume.
func (p *process) write(job *Job, tool string, report func(rows, bytes uint64)) error {
	if err := p.greet(tool); err != nil {
		return err
	}
	if err := p.send(job); err != nil {
		return err
	}
	for {
		line, err := p.next()
		switch {
		case err != nil:
			return p.failed(err)
		case line.Progress != nil:
			report(line.Progress.Rows, line.Progress.Bytes)
		case line.Result != nil:
			if p.volume, err = line.Result.volume(); err != nil {
				return p.failed(err)
			}
			return nil
		}
	}
}

// next reads an answer. The worker's own error is returned as one.
func (p *process) next() (*WorkerLine, error) {
	for {
		b, err := readLine(p.out, maxWorkerLine)
		if err != nil {
			return nil, err
		}
		line, err := p.pieces.add(b)
		if err != nil {
			return nil, err
		}
		if line != nil {
			return line, line.err()
		}
	}
}

// workerSaid is an error that a worker met. It has left nothing.
type workerSaid struct {
	message string
	class   error // nil, or what it is
}

func (e *workerSaid) Error() string { return e.message }

// Unwrap returns what kind of error it is.
func (e *workerSaid) Unwrap() error { return e.class }

// joinErrors is errors.Join, but what several say alike is said once.
func joinErrors(errs []error) error {
	said := make(map[string]bool)
	errs = slices.DeleteFunc(slices.Clone(errs), func(err error) bool {
		twice := err == nil || said[err.Error()]
		if !twice {
			said[err.Error()] = true
		}
		return twice
	})
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// failed ends the process and says what it had to say.
func (p *process) failed(err error) error {
	p.end()
	where := "node " + p.name
	if p.host != "" {
		where += ", host " + p.host
	}
	said := strings.TrimSpace(p.stderr.String())
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) {
		err = p.ended()
	}
	var told *workerSaid
	if errors.As(err, &told) || errors.Is(err, errSlipped) {
		p.named, said = false, "" // its standard error says the same
	}
	if said != "" {
		err = fmt.Errorf("%w: %s", err, said)
	}
	return fmt.Errorf("%w of %s: %w", ErrWorker, where, err)
}

// notFound is a shell's exit status for a program that is not there.
const notFound = 127

// ended says how the process ended of itself.
func (p *process) ended() error {
	if p.cmd.ProcessState.ExitCode() == notFound {
		return fmt.Errorf("pgark was not found there (%s)", p.cmd.ProcessState)
	}
	return fmt.Errorf("it ended without a result (%s)", p.cmd.ProcessState)
}

// end closes both sides, waits, and kills the process if it does not end by itself.
func (p *process) end() {
	p.once.Do(func() {
		_ = p.in.Close()     // it gives up when its input ends,
		_ = p.closer.Close() // or its output
		kill := time.AfterFunc(workerGrace, func() { _ = p.cmd.Process.Kill() })
		defer kill.Stop()
		_ = p.cmd.Wait() // how it ended matters to nobody any more
	})
}

// processes are workers that have written their volumes.
type processes struct{ all []*process }

// Volumes implements [Workers].
func (w *processes) Volumes() []archive.Volume {
	volumes := make([]archive.Volume, len(w.all))
	for i, p := range w.all {
		volumes[i] = p.volume
	}
	return volumes
}

// Commit implements [Workers].
func (w *processes) Commit(ctx context.Context) error {
	return w.each(func(p *process) error {
		p.named = true
		return p.finish(ctx, func() error { return p.say(nameLine, func(a *WorkerLine) bool { return a.Done }) })
	})
}

// Keep implements [Workers].
func (w *processes) Keep(ctx context.Context) error {
	// A word that was sent but not read would leave the set without this volume.
	return w.each(func(p *process) error {
		return p.finish(ctx, func() error { return p.say(keepLine, func(a *WorkerLine) bool { return a.Kept }) })
	})
}

// finish runs a short step whose answer tells what state the volume is in. When ctx ends it still has workerGrace for that, so that only a worker that
// hangs is ended in the middle of it.
func (p *process) finish(ctx context.Context, step func() error) error {
	slow := time.AfterFunc(workerCommit, p.end)
	defer slow.Stop()
	answered := make(chan struct{})
	defer close(answered)
	defer context.AfterFunc(ctx, func() {
		select {
		case <-answered:
		case <-time.After(workerGrace):
			p.end()
		}
	})()
	err := step()
	if ctx.Err() != nil && err != nil {
		return context.Cause(ctx)
	}
	return err
}

// Close implements [Workers].
func (w *processes) Close(_ context.Context, whole bool) []string {
	left := make([]string, len(w.all))
	_ = w.each(func(p *process) error {
		if !whole && p.named && !p.takeBack() {
			left[slices.Index(w.all, p)] = p.host + ":" + p.volume.Path
		}
		p.end()
		return nil
	})
	return slices.DeleteFunc(left, func(s string) bool { return s == "" })
}

// takeBack has the worker remove the volume, and tells whether it has.
func (p *process) takeBack() bool {
	slow := time.AfterFunc(workerGrace, func() { _ = p.cmd.Process.Kill() })
	defer slow.Stop()
	return p.say(undoLine, func(a *WorkerLine) bool { return a.Gone }) == nil
}

// say sends a word, and waits for the answer.
func (p *process) say(word string, answers func(*WorkerLine) bool) error {
	if _, err := io.WriteString(p.in, word+"\n"); err != nil {
		return p.failed(err)
	}
	line, err := p.next()
	switch {
	case err != nil:
		return p.failed(err)
	case line.Gone && word != undoLine:
		return p.failed(&workerSaid{"it lost its connection with the lead", nil})
	case !answers(line):
		return p.failed(fmt.Errorf("it does not confirm %q", word))
	}
	return nil
}

// each does the same with all workers at once.
func (w *processes) each(step func(*process) error) error {
	errs := make([]error, len(w.all))
	var all sync.WaitGroup
	for i, p := range w.all {
		if p != nil {
			all.Go(func() { errs[i] = step(p) })
		}
	}
	all.Wait()
	return errors.Join(errs...)
}
