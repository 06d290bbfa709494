package pgdump

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What was read is written byte by byte.
func TestTOCRoundTrip(t *testing.T) {
	files, err := filepath.Glob("testdata/*.toc")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	dumps, _ := filepath.Glob("testdata/*.dump")
	for _, file := range append(files, dumps...) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		toc, err := ReadTOC(bytes.NewReader(b))
		if err != nil {
			t.Fatal(file, err)
		}
		if got := toc.Append(nil); !bytes.Equal(got, b[:tocLen(t, b)]) {
			t.Errorf("%s: the table of contents is not the same", file)
		}
	}
}
