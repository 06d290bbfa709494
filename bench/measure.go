package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pgark/pgark/internal/pgtest"
)

// bench is one run of all sections.
type bench struct {
	options
	srv    *pgtest.Server
	dir    string
	out    io.Writer
	hasBig bool
}

// sample is what one run of one program cost. CPU is the client's, its children included; RSS that of its largest process.
type sample struct {
	wall  time.Duration
	cpu   time.Duration
	rss   int64         // bytes
	all   time.Duration // CPU of everything on the machine meanwhile, so of the server, too, where the kernel tells
	read  int64         // bytes given to read(2) and its kin, where the kernel tells
	bytes int64         // written: the size of the output
}

// one case of a section.
type benchCase struct {
	name   string
	args   []string                    // program and arguments; %OUT stands for the output
	before func(context.Context) error // untimed, before each run
	out    bool                        // writes %OUT, whose size is reported and which is removed afterwards
}

// measure runs the cases in turn, every other round in reverse order, and gives each case's median.
func (b *bench) measure(ctx context.Context, cases []benchCase) ([]sample, error) {
	all := make([][]sample, len(cases))
	for round := range b.runs {
		order := make([]int, len(cases))
		for i := range order {
			order[i] = i
		}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, i := range order {
			fmt.Fprintf(os.Stderr, "bench: round %d of %d: %s\n", round+1, b.runs, cases[i].name)
			s, err := b.once(ctx, cases[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", cases[i].name, err)
			}
			all[i] = append(all[i], s)
		}
	}
	medians := make([]sample, len(cases))
	for i, samples := range all {
		medians[i] = median(samples)
	}
	return medians, nil
}

// once runs one case.
func (b *bench) once(ctx context.Context, c benchCase) (s sample, err error) {
	if c.before != nil {
		if err := c.before(ctx); err != nil {
			return sample{}, err
		}
	}
	out := filepath.Join(b.dir, "out")
	args := slices.Clone(c.args)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "%OUT", out)
	}
	if s, err = runProgram(ctx, args); err != nil {
		return sample{}, err
	}
	if c.out {
		if s.bytes, err = size(out); err != nil {
			return sample{}, err
		}
		if err := os.RemoveAll(out); err != nil {
			return sample{}, err
		}
	}
	return s, nil
}

// runProgram runs a program with its output going nowhere.
func runProgram(ctx context.Context, args []string) (sample, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	before, start := machineCPU(), time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, err
	}
	waitEnded(cmd.Process.Pid)
	wall, all := time.Since(start), machineCPU()-before
	read := bytesRead(cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		return sample{}, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	s := sample{wall: wall, all: all, read: read, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.rss = usage.Maxrss << 10 // the kernel counts KiB
	}
	return s, nil
}

// waitEnded waits until a child has ended, and leaves it to be waited for: until then the kernel keeps its counters.
func waitEnded(pid int) {
	const idIsPID = 1 // P_PID
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, idIsPID, uintptr(pid), 0, syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}

// bytesRead gives what an ended child has read; 0 where the kernel does not tell.
func bytesRead(pid int) int64 {
	counters, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "io"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(counters)) {
		if value, ok := strings.CutPrefix(line, "rchar: "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}

// machineCPU is the CPU time that the machine has spent so far on anything but idling, in steps of 10 ms; 0 where the kernel does not tell.
func machineCPU() time.Duration {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(stat), "\n")
	var ticks time.Duration
	for i, value := range strings.Fields(first) { // cpu user nice system idle iowait irq softirq
		switch i {
		case 1, 2, 3, 6, 7:
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return 0
			}
			ticks += time.Duration(n)
		}
	}
	return ticks * 10 * time.Millisecond
}

// median takes the median of each quantity.
func median(samples []sample) sample {
	return sample{
		wall:  medianOf(samples, func(s sample) time.Duration { return s.wall }),
		cpu:   medianOf(samples, func(s sample) time.Duration { return s.cpu }),
		all:   medianOf(samples, func(s sample) time.Duration { return s.all }),
		rss:   medianOf(samples, func(s sample) int64 { return s.rss }),
		read:  medianOf(samples, func(s sample) int64 { return s.read }),
		bytes: medianOf(samples, func(s sample) int64 { return s.bytes }),
	}
}

func medianOf[T time.Duration | int64](samples []sample, value func(sample) T) T {
	values := make([]T, len(samples))
	for i, s := range samples {
		values[i] = value(s)
	}
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}

// size gives the size of a file, or of all files below a directory.
func size(path string) (int64, error) {
	var total int64
	err := filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		total += info.Size()
		return nil
	})
	return total, err
}

// psql runs SQL, each statement for itself, and gives its output.
func (b *bench) psql(ctx context.Context, db, sql string) (string, error) {
	psql, err := b.client("psql")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, psql, "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", b.srv.Conninfo(db))
	cmd.Stdin = strings.NewReader(sql)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("psql: %w\n%s", err, bytes.TrimSpace(exit.Stderr))
	}
	return strings.TrimSpace(string(out)), err
}

// client finds one of PostgreSQL's client programs.
func (b *bench) client(name string) (string, error) { return pgtest.FindClient(b.srv.BinDir(), name) }
