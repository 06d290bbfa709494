package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// writeBack asks the kernel to begin writing a range to the disk, and does not wait for it. What it can't do then, the
// final Sync does.
func writeBack(f *os.File, offset, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, n, unix.SYNC_FILE_RANGE_WRITE)
}
