package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// createNameless is createOut for a file of which nothing must be left if this process is killed. Where the file system
// has no files without names, it is a partial file like any other.
func (a *app) createNameless(name string, force bool) (*outFile, error) {
	fd, err := unix.Open(filepath.Dir(name), unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	switch {
	case err == nil:
		f := os.NewFile(uintptr(fd), name)
		return &outFile{name: name, force: force, f: f, nameless: true, forget: func() {}}, nil
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EISDIR), errors.Is(err, unix.EINVAL):
		return a.createOut(name, force)
	}
	return nil, fmt.Errorf("the output file: %w", &os.PathError{Op: "open", Path: filepath.Dir(name), Err: err})
}

// nameIt gives a file without a name its own.
func (o *outFile) nameIt() error {
	self := fmt.Sprintf("/proc/self/fd/%d", o.f.Fd())
	if !o.force {
		return unix.Linkat(unix.AT_FDCWD, self, unix.AT_FDCWD, o.name, unix.AT_SYMLINK_FOLLOW)
	}
	dir, base := filepath.Split(o.name)
	partial := filepath.Join(dir, fmt.Sprintf(".%s.partial-%d", base, rand.Uint64()))
	if err := unix.Linkat(unix.AT_FDCWD, self, unix.AT_FDCWD, partial, unix.AT_SYMLINK_FOLLOW); err != nil {
		return err
	}
	if err := os.Rename(partial, o.name); err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	return nil
}
