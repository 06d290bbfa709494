package pgdump

import (
	"os"
	"path/filepath"
	"testing"
)

// A directory archive appears when it is complete. It replaces nothing that was there or has come meanwhile, and leaves nothing if it fails.
func TestWriteDirectoryPlace(t *testing.T) {
	d := smallDatabase()
	tests := map[string]struct {
		before func(t *testing.T, dir string)
		during func(t *testing.T, dir string)
		begins bool
		ends   bool
	}{
		"nothing there":  {begins: true, ends: true},
		"empty":          {before: mkdir, begins: true, ends: true},
		"not empty":      {before: func(t *testing.T, dir string) { mkdir(t, dir); touch(t, filepath.Join(dir, "x")) }},
		"a file":         {before: touch},
		"a link":         {before: func(t *testing.T, dir string) { mkdir(t, dir+"2"); symlink(t, dir+"2", dir) }},
		"a broken link":  {before: func(t *testing.T, dir string) { symlink(t, dir+"2", dir) }},
		"no parent":      {before: func(t *testing.T, dir string) { remove(t, filepath.Dir(dir)) }},
		"others' file":   {begins: true, during: touch},
		"others' dir":    {begins: true, during: func(t *testing.T, dir string) { mkdir(t, dir); touch(t, filepath.Join(dir, "x")) }},
		"others' in it":  {before: mkdir, begins: true, during: func(t *testing.T, dir string) { touch(t, filepath.Join(dir, "x")) }},
		"others' in it2": {before: mkdir, begins: true, during: func(t *testing.T, dir string) { touch(t, filepath.Join(dir, "toc.dat")) }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			parent := filepath.Join(t.TempDir(), "parent")
			mkdir(t, parent)
			dir := filepath.Join(parent, "dump")
			if tt.before != nil {
				tt.before(t, dir)
			}
			mode := os.FileMode(0)
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				mode = 0o750
				if err := os.Chmod(dir, mode); err != nil {
					t.Fatal(err)
				}
			}
			w, err := NewDirectoryWriter(t.Context(), dir, d.cat, WriteOptions{})
			if (err == nil) != tt.begins {
				t.Fatal(err)
			}
			if err != nil {
				if left := tree(t, filepath.Dir(parent)); len(left) > 1 {
					t.Errorf("left %q", left)
				}
				return
			}
			if err := d.fill(w, w.TOC().Entries, func() int { return 1000 }); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(dir, tocFile)); err == nil {
				t.Error("there is a table of contents before the end")
			}
			want := 0
			if tt.during != nil {
				tt.during(t, dir)
				want = 1
			}
			_, err = w.Close()
			if (err == nil) != tt.ends {
				t.Errorf("%v", err)
			}
			if !tt.ends {
				if left := tree(t, parent); len(left) != want {
					t.Errorf("left %d files, not %d", len(left), want)
				}
				return
			}
			src, err := Open(dir, OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			d.check(t, src)
			if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
				t.Errorf("%v, %v", entries, err)
			}
			if mode == 0 {
				mode = 0o700
			}
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != mode {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if info, err := os.Stat(filepath.Join(dir, tocFile)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}
