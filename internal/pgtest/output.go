package pgtest

import (
	"os"
	"os/exec"
	"testing"
)

// Output runs a command and returns what it wrote, also where it fails. That comes by way of a file: cmd.Output has a buffer grow with it, of which
// the race detector makes more work than the command has.
func Output(tb testing.TB, cmd *exec.Cmd) ([]byte, error) {
	tb.Helper()
	f, err := os.CreateTemp(tb.TempDir(), "output")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	cmd.Stdout = f
	failed := cmd.Run()
	out, err := os.ReadFile(f.Name())
	if err == nil {
		err = os.Remove(f.Name())
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out, failed
}
