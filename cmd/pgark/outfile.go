package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// outFile is a file that appears under its name only when it is complete. Until then its bytes are in a partial file
// beside it, which Discard removes. Devices, pipes and standard output are written to as they are.
type outFile struct {
	name     string // as the user said it; "" for standard output
	partial  string // "" if written directly
	nameless bool   // it has no name at all until it is complete
	f        *os.File
	force    bool
	named    bool // it is complete and has its name
	written  int64
	synced   bool  // nothing was written since Sync
	started  int64 // how much of it the kernel has been asked to write to the disk
	forget   func()
}

// writeBackStep is how much gathers before it goes to the disk. Without it the whole archive waits for the Sync at the
// end: 0.4 s for 150 MB, during which nobody else works.
const writeBackStep = 8 << 20

// checkTarget refuses a name that can't be written to, before any work is done.
func (a *app) checkTarget(name string, force bool) error {
	if name == "-" {
		if isTerminal(a.stdout) {
			return usagef("an archive is not for a terminal: give -f FILE, or send standard output to a pipe")
		}
		return nil
	}
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("the output file: %w", err)
	case info.IsDir():
		return fmt.Errorf("%s is a directory", name)
	case !force && info.Mode().IsRegular(), !force && info.Mode()&fs.ModeSymlink != 0 && !isSpecial(name):
		return withHint(fmt.Errorf("%s exists: nothing was done", name), "give another -f FILE, or --force to replace it")
	}
	return nil
}

// isSpecial tells whether name leads to a device, a pipe or a socket.
func isSpecial(name string) bool {
	info, err := os.Stat(name)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// createOut opens name for writing. The caller ends it with Commit or Discard.
func (a *app) createOut(name string, force bool) (*outFile, error) {
	if err := a.checkTarget(name, force); err != nil {
		return nil, err
	}
	o := &outFile{name: name, force: force, forget: func() {}}
	if name == "-" {
		o.f = a.stdout
		return o, nil
	}
	var err error
	if isSpecial(name) {
		if o.f, err = os.OpenFile(name, os.O_WRONLY, 0); err != nil {
			return nil, fmt.Errorf("the output file: %w", err)
		}
		return o, nil
	}
	dir, base := filepath.Split(name)
	if dir == "" {
		dir = "."
	}
	// Only its owner may read a backup. A partial file that a killed program has left is not in the way: in containers all have one number.
	if o.f, err = os.CreateTemp(dir, "."+base+".partial-*"); err != nil {
		return nil, fmt.Errorf("the output file: %w", err)
	}
	o.partial = o.f.Name()
	o.forget = a.removeAtOnce(o.partial)
	return o, nil
}

// createScript is createOut for SQL as text, which a terminal may show.
func (a *app) createScript(name string, force bool) (*outFile, error) {
	if name != "-" || !isTerminal(a.stdout) {
		return a.createOut(name, force)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.line != nil {
		a.line.erase()
	}
	a.showing = true
	return &outFile{name: name, f: a.stdout, forget: func() {}}, nil
}

// Write implements io.Writer.
func (o *outFile) Write(p []byte) (int, error) {
	n, err := o.f.Write(p)
	o.written += int64(n)
	o.synced = false
	if err != nil {
		return n, &outputError{name: o.label(), written: o.written, err: err}
	}
	if (o.partial != "" || o.nameless) && o.written-o.started >= writeBackStep {
		writeBack(o.f, o.started, o.written-o.started)
		o.started = o.written
	}
	return n, nil
}

func (o *outFile) label() string {
	if o.name == "-" {
		return "standard output"
	}
	return o.name
}

// Sync makes durable what was written so far.
func (o *outFile) Sync() error {
	if o.synced {
		return nil
	}
	err := o.f.Sync()
	o.synced = err == nil
	return err
}

// Commit makes the file durable and gives it its name. On an error nothing is left behind.
func (o *outFile) Commit() error {
	err := o.commit()
	if err != nil {
		o.Discard()
		var out *outputError
		if !errors.As(err, &out) {
			err = &outputError{name: o.label(), written: o.written, err: err}
		}
	}
	o.forget()
	return err
}

func (o *outFile) commit() error {
	if o.partial == "" && !o.nameless {
		if o.name == "-" {
			return nil
		}
		return o.f.Close()
	}
	if err := o.Sync(); err != nil {
		return err
	}
	if o.nameless {
		if err := o.nameIt(); err != nil {
			return err
		}
		o.nameless, o.named = false, true
		return errors.Join(o.f.Close(), syncDir(filepath.Dir(o.name)))
	}
	if err := o.f.Close(); err != nil {
		return err
	}
	if err := o.rename(); err != nil {
		return err
	}
	o.partial, o.named = "", true
	return syncDir(filepath.Dir(o.name))
}

// rename never replaces a file unless told: a hard link fails if the name is taken, and is as atomic as a rename.
func (o *outFile) rename() error {
	if o.force {
		return os.Rename(o.partial, o.name)
	}
	err := os.Link(o.partial, o.name)
	switch {
	case err == nil:
		return os.Remove(o.partial)
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOSYS):
		// No hard links on this file system. A file that appears between the two calls would be lost; there is no better way here.
		if _, err := os.Lstat(o.name); err == nil {
			return fs.ErrExist
		}
		return os.Rename(o.partial, o.name)
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	// Some file systems can't sync a directory and say EINVAL.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// Discard closes and removes what was written so far. It does nothing after Commit.
func (o *outFile) Discard() {
	if o.nameless {
		o.nameless = false
		_ = o.f.Close()
		return
	}
	if o.partial == "" {
		return
	}
	_ = o.f.Close()
	_ = os.Remove(o.partial)
	o.partial = ""
	o.forget()
}

// TakeBack removes the file again that Commit has given its name.
func (o *outFile) TakeBack() error {
	if !o.named {
		return nil
	}
	o.named = false
	return errors.Join(os.Remove(o.name), syncDir(filepath.Dir(o.name)))
}

// outputError is a failure to write the result.
type outputError struct {
	name    string
	written int64
	err     error
}

func (e *outputError) Error() string {
	text := e.err.Error()
	switch {
	case errors.Is(e.err, syscall.ENOSPC):
		text = "no space left on the device"
	case errors.Is(e.err, syscall.EDQUOT):
		text = "disk quota exceeded"
	case errors.Is(e.err, syscall.EPIPE):
		text = "the reader has closed the pipe"
	case errors.Is(e.err, fs.ErrExist):
		text = "a file of that name has appeared meanwhile"
	}
	return fmt.Sprintf("write %s: %s after %s", e.name, text, humanBytes(uint64(max(e.written, 0))))
}

func (e *outputError) Unwrap() error { return e.err }

// isClosedPipe tells whether err came from a reader that went away, as head does.
func isClosedPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}
