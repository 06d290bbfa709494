package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
)

const workerLong = `Work on one node's volume, on the host where it is: write it, load it into the node, check it, or send of it what another host
needs. "pgark dump --volumes", "restore" and "verify --start" start workers; there is no need to run one by hand.

The job comes as a line of JSON on standard input, or from FILE. Answers are lines of JSON on standard output: hello,
progress, result. A volume that is written gets its name when the line "commit" follows the job; with FILE at once. When
standard output or, without FILE, standard input is closed before that, the worker ends and nothing is left of the volume.

"pgark worker install" puts this program on hosts.`

func newWorker(a *app) *cobra.Command {
	var packed, task, discard string
	var hello bool
	cmd := &cobra.Command{
		Use:         "worker [FILE]",
		Short:       "work on one node's volume, for a command that runs elsewhere",
		Long:        workerLong,
		Annotations: exitCodes(""),
		Args:        args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case hello:
				return (&fanout.WorkerIO{Out: a.stdout, Tool: toolName, Host: hostName()}).Greet()
			case discard != "":
				return discardVolumes(discard, args)
			}
			return a.runWorker(cmd.Context(), packed, task, args)
		},
	}
	cmd.AddCommand(newWorkerInstall(a))
	cmd.Flags().StringVar(&packed, "job", "", "take the `job` of segment GP_SEGMENT_ID out of this, as the database's dispatcher runs it")
	cmd.Flags().StringVar(&discard, "discard", "", "remove the volumes of this `set`, whose paths are the argument, a JSON array")
	cmd.Flags().StringVar(&task, "task", "", "take the `task` of segment GP_SEGMENT_ID out of this, likewise")
	cmd.Flags().BoolVar(&hello, "hello", false, "only say what this is")
	for _, name := range []string{"job", "task", "discard", "hello"} {
		cmd.Flags().Lookup(name).Hidden = true // for pgark itself
	}
	return cmd
}

// stdoutPoll is how often a worker looks whether its standard output is still read.
const stdoutPoll = 200 * time.Millisecond

func (a *app) runWorker(ctx context.Context, packed, task string, args []string) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("the name of this host: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		watchReader(ctx, a.stdout, cancel)
	}()
	defer func() {
		cancel(nil)
		<-watching
	}()
	w := fanout.WorkerIO{
		In: a.stdin, Out: a.stdout, Host: host, Tool: toolName, Log: a.logger(),
		Open: func(path string, force bool) (fanout.VolumeFile, error) { return a.createVolume(path, force) },
	}
	switch {
	case packed != "":
		content, err := segmentID()
		if err != nil {
			return err
		}
		job, ok, err := fanout.UnpackJob(packed, content)
		if err != nil || !ok {
			return err
		}
		if w.In, err = job.Reader(); err != nil {
			return err
		}
	case task != "":
		content, err := segmentID()
		if err != nil {
			return err
		}
		var ok bool
		if w.Task, ok, err = fanout.UnpackTask(task, content); err != nil || !ok {
			return err
		}
		// A program that fails would take those of all other segments down with it. The lead was told.
		if err := fanout.ServeWorker(ctx, w); errors.Is(err, fanout.ErrAbandoned) {
			return err
		}
		return nil
	case len(args) == 1:
		if w.In, err = fanout.ReadJobFile(args[0]); err != nil {
			return err
		}
	}
	return fanout.ServeWorker(ctx, w)
}

// segmentID is the content id of the segment that has started this program.
func segmentID() (int, error) {
	content, err := strconv.Atoi(os.Getenv("GP_SEGMENT_ID"))
	if err != nil {
		return 0, usagef("--job and --task are for programs that a Greenplum starts: GP_SEGMENT_ID is missing")
	}
	return content, nil
}

// discardVolumes removes those of the files that are volumes of a set.
func discardVolumes(set string, args []string) error {
	var paths fanout.Texts
	if len(args) != 1 {
		return usagef("--discard needs the paths")
	}
	if err := json.Unmarshal([]byte(args[0]), &paths); err != nil {
		return usagef("--discard: %v", err)
	}
	for _, path := range paths {
		m, err := archive.MemberAt(path)
		if err != nil || m.Set.String() != set {
			continue // not here, or not ours to remove
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// watchReader ends the work when nobody reads the answers any more. Writing would tell, but perhaps only after an hour.
func watchReader(ctx context.Context, f *os.File, cancel context.CancelCauseFunc) {
	t := time.NewTicker(stdoutPoll)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		// POLLERR and POLLHUP are reported without being asked for.
		fds := []unix.PollFd{{Fd: int32(f.Fd())}} //nolint:gosec // a file descriptor
		if n, err := unix.Poll(fds, 0); err == nil && n > 0 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
			cancel(fanout.ErrAbandoned)
			return
		}
	}
}

// createVolume opens a volume that has no name until Commit, so that nothing is left of it however this process ends. Its
// directory is made if it is missing.
func (a *app) createVolume(name string, force bool) (*outFile, error) {
	if !filepath.IsAbs(name) {
		return nil, fmt.Errorf("the volume's path %q is not absolute", name)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, fmt.Errorf("the volume's directory: %w", err)
	}
	if err := a.checkTarget(name, force); err != nil {
		return nil, err
	}
	return a.createNameless(name, force)
}
