package fanout

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// openSpool makes a file without a name that its owner alone may read. Not every file system has such files: NFS has none. One that is made with a
// name and removed would stay there while it is open, in the directory that is to hold the dump, perhaps.
func openSpool(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "make a file without a name in", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
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
