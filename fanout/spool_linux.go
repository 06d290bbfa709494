package fanout

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// openSpool makes a file without a name that its owner alone may read.
func openSpool(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), dir), nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EINVAL) {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	f, err := os.CreateTemp(dir, ".pgark-ahead-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// freeSpace is how many bytes the file's disk has for this user; 0 where that is not known.
func freeSpace(f *os.File) int64 {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &s); err != nil {
		return 0
	}
	block := max(1, int64(s.Bsize))                                  //nolint:unconvert // it is 32 bits wide on some machines
	return int64(min(s.Bavail, uint64(math.MaxInt64/block))) * block //nolint:gosec // it fits
}

// giveBack gives the disk back what a file has at some place. Where the file system can't, it does so when the file is closed.
func giveBack(f *os.File, at, n int64) {
	_ = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, n)
}
