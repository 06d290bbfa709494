package main

import (
	"context"
	"encoding/json"
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

const workerLong = `Write one node's rows to a volume beside it. "pgark dump --volumes" starts a worker on each host; there is no need to run
one by hand.

The job comes as a line of JSON on standard input, or from FILE. Answers are lines of JSON on standard output: hello,
progress, result. The volume gets its name when the line "commit" follows the job; with FILE at once. When standard output
or, without FILE, standard input is closed before that, the worker ends and nothing is left of the volume.`

func newWorker(a *app) *cobra.Command {
	var packed, discard string
	cmd := &cobra.Command{
		Use:         "worker [FILE]",
		Short:       "write one node's volume, for a dump that runs elsewhere",
		Long:        workerLong,
		Annotations: exitCodes(""),
		Args:        args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if discard != "" {
				return discardVolumes(discard, args)
			}
			return a.runWorker(cmd.Context(), packed, args)
		},
	}
	cmd.Flags().StringVar(&packed, "job", "", "take the `job` of segment GP_SEGMENT_ID out of this, as the database's dispatcher runs it")
	cmd.Flags().StringVar(&discard, "discard", "", "remove the volumes of this `set`, whose paths are the argument, a JSON array")
	for _, name := range []string{"job", "discard"} {
		cmd.Flags().Lookup(name).Hidden = true // for pgark itself
	}
	return cmd
}

// stdoutPoll is how often a worker looks whether its standard output is still read.
const stdoutPoll = 200 * time.Millisecond

func (a *app) runWorker(ctx context.Context, packed string, args []string) error {
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
		content, err := strconv.Atoi(os.Getenv("GP_SEGMENT_ID"))
		if err != nil {
			return usagef("--job is for programs that a Greenplum starts: GP_SEGMENT_ID is missing")
		}
		job, ok, err := fanout.UnpackJob(packed, content)
		if err != nil || !ok {
			return err
		}
		if w.In, err = job.Reader(); err != nil {
			return err
		}
	case len(args) == 1:
		if w.In, err = fanout.ReadJobFile(args[0]); err != nil {
			return err
		}
	}
	return fanout.ServeWorker(ctx, w)
}

// discardVolumes removes those of the files that are volumes of a set.
func discardVolumes(set string, args []string) error {
	var paths []string
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
