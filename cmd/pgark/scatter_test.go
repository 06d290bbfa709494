package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/verify"
)

// A set that can't be completed leaves nothing, also of volumes that have their names already, and says what it has cost.
func TestScatterUndo(t *testing.T) {
	for _, replaces := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "made", "too")
		o := &scatterOptions{app: &app{}, force: true}
		w := &scatterFiles{o: o}
		if err := w.makeDirs(dir); err != nil {
			t.Fatal(err)
		}
		if replaces {
			if err := os.WriteFile(filepath.Join(dir, "1"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"1", "2", "lead"} {
			out, err := o.app.createOut(filepath.Join(dir, name), true)
			if err != nil {
				t.Fatal(err)
			}
			w.outs = append(w.outs, out)
		}
		if err := os.Remove(w.outs[1].partial); err != nil {
			t.Fatal(err)
		}
		if err := w.commit(); err == nil || !w.outs[0].named {
			t.Fatal(err, w.outs[0])
		}
		state := w.undo()
		if !strings.HasPrefix(state, "nothing is left of the volumes") || strings.Contains(state, "had replaced are lost") != replaces {
			t.Error(state)
		}
		if _, err := os.Stat(filepath.Dir(dir)); !os.IsNotExist(err) {
			t.Error(err)
		}
	}
}

// Hosts, paths and nodes are UTF-8 whatever the encoding of the database is, and names of tables are in that.
func TestDecodeFindings(t *testing.T) {
	r := &verify.Report{Findings: []verify.Finding{
		{Class: archive.ClassMissing, Table: "t\xe4", Message: "volume 1 (node ä, /ä)"},
		{Class: verify.ClassMissingColumn, Table: "t", Message: "no column \xe4"},
	}}
	decodeFindings(r, newTextDecoder("LATIN1"))
	if f := r.Findings; f[0].Table != "tä" || f[0].Message != "volume 1 (node ä, /ä)" || f[1].Message != "no column ä" {
		t.Errorf("%+v", f)
	}
}
