package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What a killed program has left is in nobody's way, not even where all have the same number, as in containers.
func TestPartialFileOfAnotherRun(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x")
	a := &app{}
	var left []string
	for range 2 {
		out, err := a.createOut(name, false)
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, out.partial)
		if info, err := out.f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
			t.Error(info, err)
		}
		if len(left) == 2 {
			if err := out.Commit(); err != nil {
				t.Fatal(err)
			}
		} else if err := out.f.Close(); err != nil { // as a kill does
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(left[0]); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
}
