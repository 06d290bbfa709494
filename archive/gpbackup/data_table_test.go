package gpbackup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Tables that share bytes of a segment's file, and a set without a word on its segments that has no rows of any: both gave other rows
// than were there, without an error where numbers of rows are not recorded.
func TestSegmentFiles(t *testing.T) {
	dir := unpack(t, "single-none")
	files, _ := filepath.Glob(filepath.Join(dir, "gpseg0/backups/*/*/*_toc.yaml"))
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	second := strings.Index(string(good), "startbyte: 4") // the first table is at 0
	if second < 0 {
		t.Fatalf("%s", good)
	}
	bad := string(good[:second]) + "startbyte: 3" + string(good[second+len("startbyte: 4"):])
	if err := os.WriteFile(files[0], []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "those before end at") {
		t.Errorf("tables that overlap: %v", err)
	}

	m := &madeSet{version: "1.0.0", config: "dataonly: true\n", tables: []madeTable{{name: "a", columns: "(a)"}}}
	if _, err := Open(m.write(t), Options{}); !errors.Is(err, ErrIncomplete) {
		t.Errorf("no segment at all: %v", err)
	}
	m.tables[0].rows = []string{"1\n", "2\n"}
	s := m.open(t)
	if got, err := rowsOf(s, "a"); got != "1\n2\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if !strings.Contains(strings.Join(s.desc.Warnings, ";"), "by their files there were 2") {
		t.Errorf("warnings %q", s.desc.Warnings)
	}
}
