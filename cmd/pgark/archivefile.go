package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// openArchive opens an archive for a command that needs a whole one.
func openArchive(path string) (*archive.File, error) {
	if err := refuseStock(path); err != nil {
		return nil, err
	}
	f, err := archive.Open(path)
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, archive.ErrDamaged), errors.Is(err, archive.ErrTruncated):
		return nil, withHint(pathError(path, err),
			"`pgark verify` says what is wrong with it, `pgark salvage` saves what can still be read")
	}
	return nil, pathError(path, err)
}

// pathError names the file, unless the error does so itself.
func pathError(path string, err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) || strings.HasPrefix(err.Error(), path) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// refuseStock recognizes dumps in pg_dump's own formats, and backup sets of gpbackup, which this version does not read.
func refuseStock(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if _, err := os.Stat(filepath.Join(path, "toc.dat")); err == nil {
			return notYet("reading pg_dump's directory format")
		}
		return fmt.Errorf("%s is a directory, not an archive", path)
	}
	if info.Mode()&(os.ModeNamedPipe|os.ModeSocket|os.ModeCharDevice) != 0 {
		return withHint(fmt.Errorf("%s is no file: an archive is read from its end, and at random", path), "save it to a file first")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return err
	}
	switch head = head[:n]; {
	case strings.HasPrefix(string(head), "PGDMP"):
		return notYet("reading pg_dump's custom format")
	case n == 512 && string(head[257:262]) == "ustar":
		return notYet("reading pg_dump's tar format")
	}
	return nil
}

// archiveText decodes the names in an archive. Where the archive can't be opened, it takes them for UTF-8.
func archiveText(path string) textDecoder {
	a, err := archive.Open(path)
	if err != nil {
		return textDecoder{}
	}
	defer a.Close()
	cat, err := a.Catalog()
	if err != nil {
		return textDecoder{}
	}
	return newTextDecoder(cat.Encoding)
}

// holding is what an archive holds of one entry's rows: its streams, and their totals.
type holding struct {
	streams []archive.Stream
	digest  archive.Digest
	raw     uint64
	stored  uint64
	blocks  int
}

// holdings sums the streams of each TABLE DATA and BLOBS entry.
func holdings(a *archive.Reader) map[int32]*holding {
	all := make(map[int32]*holding)
	for _, s := range a.Streams() {
		h := all[s.Entry]
		if h == nil {
			h = &holding{}
			all[s.Entry] = h
		}
		h.streams = append(h.streams, s)
		h.digest.Merge(s.Digest)
		h.raw += s.Raw
		h.stored += s.Stored
		h.blocks += s.Blocks
	}
	return all
}

// tableOfData maps each TABLE entry's ID to that of its TABLE DATA entry.
func tableOfData(cat *archive.Catalog) map[int32]int32 {
	kind := make(map[int32]string, len(cat.Entries))
	for i := range cat.Entries {
		kind[cat.Entries[i].ID] = cat.Entries[i].Kind
	}
	data := make(map[int32]int32)
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind != "TABLE DATA" {
			continue
		}
		for _, dep := range e.Deps {
			if isTableKind(kind[dep]) {
				data[dep] = e.ID
				break
			}
		}
	}
	return data
}

// isTableKind tells whether an entry of this kind makes something that holds rows.
func isTableKind(kind string) bool { return kind == "TABLE" || kind == "FOREIGN TABLE" }

// uniqueDeps returns the entry's dependencies that are in the catalog, each once, in ascending order. A stock TOC
// repeats some, and names some that it leaves out.
func uniqueDeps(e *archive.Entry, known map[int32]bool) []int32 {
	deps := make([]int32, 0, len(e.Deps))
	for _, d := range e.Deps {
		if known[d] {
			deps = append(deps, d)
		}
	}
	slices.Sort(deps)
	return slices.Compact(deps)
}
