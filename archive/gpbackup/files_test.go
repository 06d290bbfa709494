package gpbackup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func link(t *testing.T, to, from string) string {
	t.Helper()
	if err := os.Symlink(to, from); err != nil {
		t.Fatal(err)
	}
	return from
}

// A directory that is a link was none with a set in it.
func TestLinkToSet(t *testing.T) {
	dir := unpack(t, "multi-none")
	want := truth(t, "expected.tsv")
	to := link(t, dir, filepath.Join(t.TempDir(), "link"))
	deep, _ := filepath.Glob(filepath.Join(dir, "gpseg-1/backups/*/*"))
	config, _ := filepath.Glob(filepath.Join(deep[0], "*_config.yaml"))
	for _, path := range []string{
		to, to + "/", filepath.Join(to, "gpseg-1"), link(t, deep[0], filepath.Join(t.TempDir(), "deep")),
		link(t, config[0], filepath.Join(t.TempDir(), "config")), link(t, to, filepath.Join(t.TempDir(), "again")),
	} {
		if !IsSet(path) {
			t.Errorf("%s is not seen to be a set", path)
		}
		compare(t, open(t, path, Options{}), want)
	}
}

// The same place was two, where it was spelled in two ways, and its files were there twice.
func TestSamePlace(t *testing.T) {
	dir, twin := unpack(t, "multi-none"), unpack(t, "multi-none")
	want := truth(t, "expected.tsv")
	t.Chdir(filepath.Dir(dir))
	to := link(t, dir, filepath.Join(t.TempDir(), "link"))
	compare(t, open(t, dir, Options{Dirs: []string{filepath.Base(dir), ".", to, dir + "/../" + filepath.Base(dir) + "/gpseg0"}}), want)
	compare(t, open(t, filepath.Base(dir), Options{Dirs: []string{to + "/gpseg1"}}), want)
	// A copy is another file, though.
	if _, err := Open(dir, Options{Dirs: []string{twin}}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "twice") {
		t.Errorf("files that are there twice: %v", err)
	}
}

// Links within a set are not followed, which is said where a file is missing; named, they are.
func TestLinksWithin(t *testing.T) {
	dir := unpack(t, "multi-none")
	other := filepath.Join(t.TempDir(), "elsewhere")
	seg := filepath.Join(dir, "gpseg1")
	if err := os.Rename(seg, other); err != nil {
		t.Fatal(err)
	}
	link(t, other, seg)
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), seg) {
		t.Errorf("a link is followed, or not named: %v", err)
	}
	compare(t, open(t, dir, Options{Dirs: []string{seg}}), truth(t, "expected.tsv"))
}
