package pgdump

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// makeDir makes the directory for the files.
func (s *directorySink) makeDir() error {
	parent, base := filepath.Dir(s.name), filepath.Base(s.name)
	switch info, err := os.Lstat(s.name); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("the output directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("the output directory: %w", &fs.PathError{Op: "mkdir", Path: s.name, Err: fs.ErrExist})
	default:
		if s.within, parent = true, s.name; base == "." || base == "" {
			base = "dump"
		}
		if err := s.checkEmpty(0); err != nil {
			return err
		}
	}
	tmp, err := os.MkdirTemp(parent, "."+base+".partial-*") // of mode 0700
	if err != nil {
		return fmt.Errorf("the output directory: %w", err)
	}
	s.tmp = tmp
	return nil
}

// checkEmpty refuses a directory that others have put more than n files into.
func (s *directorySink) checkEmpty(n int) error {
	d, err := os.Open(s.name)
	if err != nil {
		return fmt.Errorf("the output directory: %w", err)
	}
	defer d.Close()
	names, err := d.Readdirnames(n + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("the output directory: %w", err)
	}
	if len(names) > n {
		return fmt.Errorf("the output directory: %w", &fs.PathError{Op: "use", Path: s.name, Err: errNotEmpty})
	}
	return nil
}

var errNotEmpty = errors.New("it is not empty")

// rename gives the directory its name. Nothing that somebody has put there meanwhile is replaced.
func (s *directorySink) rename() error {
	if _, err := os.Lstat(s.name); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, &fs.PathError{Op: "rename", Path: s.name, Err: fs.ErrExist})
	}
	if err := os.Rename(s.tmp, s.name); err != nil {
		return err
	}
	s.tmp = ""
	return syncDir(filepath.Dir(s.name))
}

// moveUp moves the files into the directory that was there, the table of contents last.
func (s *directorySink) moveUp() error {
	if err := s.checkEmpty(1); err != nil {
		return err
	}
	d, err := os.Open(s.tmp)
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	names = append(slices.DeleteFunc(names, func(name string) bool { return name == tocFile }), tocFile)
	for i, name := range names {
		if name == tocFile {
			err = syncDir(s.name)
		}
		if err == nil {
			err = os.Rename(filepath.Join(s.tmp, name), filepath.Join(s.name, name))
		}
		if err != nil {
			for _, moved := range names[:i] {
				_ = os.Remove(filepath.Join(s.name, moved))
			}
			return err
		}
	}
	if err := os.Remove(s.tmp); err != nil {
		return err
	}
	s.tmp = ""
	return syncDir(s.name)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync() // some file systems can't sync a directory
	return nil
}
