package pgdump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pgark/pgark/archive"
)

// OpenOptions say how a dump is opened.
type OpenOptions struct {
	// Through, if not nil, wraps the file of a custom or tar archive; for example to show progress.
	Through func(*os.File) io.ReaderAt
}

// Dump is a custom, directory or tar archive that some pg_dump wrote. It implements [archive.Source].
//
// All methods but Close may be called from several goroutines at once. Memory: the table of contents, and for each call that
// reads data its decoder: up to 8 MiB, or as much as the window of a zstd frame is large, 128 MiB at most.
type Dump struct {
	toc     *TOC
	store   store
	desc    archive.Description
	cat     *archive.Catalog
	streams []archive.Stream
	byEntry map[int32]int // number of its stream, by the ID of the entry
	entries map[int32]*Entry
	inserts *insertTables // nil if there are none
}

var (
	_ archive.Source     = (*Dump)(nil)
	_ archive.RowRefuser = (*Dump)(nil)
)

// store is where the data of entries is: one for each format. Its methods may be called from several goroutines at once.
type store interface {
	// data opens the data of a TABLE DATA entry, decompressed.
	data(e *Entry) (io.ReadCloser, error)
	// blobs calls fn for each large object of a BLOBS entry.
	blobs(ctx context.Context, e *Entry, fn func(oid uint32, r io.Reader) error) error
	// blobIDs are the numbers of the large objects of a BLOBS entry; beside an error those that could be read.
	blobIDs(e *Entry) ([]uint32, error)
	// stored is how many bytes an entry's data takes in the file, 0 where that is not known.
	stored(e *Entry) uint64
	// problems says what is wrong with its structure.
	problems(ctx context.Context, toc *TOC) ([]archive.Problem, error)
	size() (bytes uint64, files int)
	close() error
}

// IsArchive tells from the first bytes of a file whether it is a custom archive, or a tar file that may be a tar archive.
func IsArchive(head []byte) bool {
	return bytes.HasPrefix(head, []byte(magic)) || len(head) >= tarBlock && string(head[257:262]) == "ustar"
}

// Open opens a custom or tar archive, or the directory of a directory archive. Errors are or wrap ErrNotDump, ErrVersion,
// ErrTruncated or ErrDamaged, mostly in a [*FormatError] or [*DataError].
func Open(path string, o OpenOptions) (*Dump, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return openDirectory(path)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is no file, and is read at random", ErrNotDump, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	var r io.ReaderAt = f
	if o.Through != nil {
		r = o.Through(f)
	}
	d, err := openFile(r, info.Size(), f.Close)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return d, nil
}

// openFile opens a custom or tar archive of size bytes in r.
func openFile(r io.ReaderAt, size int64, closeFile func() error) (*Dump, error) {
	head := make([]byte, len(magic))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(head) == magic {
		toc, err := ReadTOC(io.NewSectionReader(r, 0, size))
		if err != nil {
			return nil, err
		}
		if toc.Header.Format != FormatCustom {
			return nil, fmt.Errorf("%w: it is the table of contents of a directory or tar archive: open that", ErrNotDump)
		}
		s := newCustomStore(r, size, toc, closeFile)
		if err := s.checkBegin(); err != nil {
			return nil, err
		}
		return newDump(toc, s, "custom")
	}
	s, err := newTarStore(r, size, closeFile)
	if err != nil {
		return nil, err
	}
	toc, err := s.readTOC()
	if err != nil {
		return nil, err
	}
	return newDump(toc, s, "tar")
}

func openDirectory(path string) (*Dump, error) {
	s, err := newDirectoryStore(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	toc, err := s.readTOC()
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.toc = toc
	return newDump(toc, s, "directory")
}

func newDump(toc *TOC, s store, format string) (*Dump, error) {
	d := &Dump{toc: toc, store: s, cat: toc.Catalog(), byEntry: make(map[int32]int), entries: make(map[int32]*Entry)}
	d.desc = archive.Description{
		Format: format, Version: toc.Header.Version.String(), Program: "pg_dump " + toc.Header.DumpVersion,
		Created: toc.Header.Created.In(time.Local), Database: toc.Header.Database, Codec: toc.Header.Compression.String(),
	}
	d.desc.Bytes, d.desc.Files = s.size()
	oids := 0
	if err := toc.checkEntries(); err != nil {
		return nil, err
	}
	for i := range toc.Entries {
		e := &toc.Entries[i]
		d.entries[e.ID] = e
		switch {
		case !e.HadDumper:
		case e.Kind == kindBlobs:
			d.addStream(e, archive.StreamInfo{Table: e.Name, Columns: []string{"loid", "offset", "data"}})
		case e.Kind == kindTableData && strings.TrimSpace(e.Copy) == "":
			d.addInserts(i)
		case e.Kind == kindTableData:
			columns, err := copyColumns(e.Copy)
			if err != nil {
				return nil, fmt.Errorf("%w: entry %d, rows of %s: %w", ErrDamaged, e.ID, e.Name, err)
			}
			if hasOIDs(e.Copy) {
				d.cat.Entries[i].Copy = withoutOIDs(e.Copy)
				oids++
			}
			d.addStream(e, archive.StreamInfo{OID: e.OID, Schema: e.Schema, Table: e.Name, Columns: columns})
		}
	}
	if w := oidsWarning(oids); w != "" {
		d.desc.Warnings = append(d.desc.Warnings, w)
	}
	d.addOldBlobs()
	d.describe()
	return d, nil
}

// addInserts adds the rows of an entry that are INSERT statements. The entry has a COPY statement in the catalog, as its rows have it
// from here on; in the table of contents, which says what the archive holds, it has none.
func (d *Dump) addInserts(i int) {
	e, listed := &d.toc.Entries[i], &d.cat.Entries[i]
	if d.inserts == nil {
		d.inserts = newInsertTables(d.cat, d.toc.dialect())
	}
	d.inserts.add(listed, func() (io.ReadCloser, error) { return d.store.data(e) })
	if f := d.inserts.forms[e.ID]; f != nil {
		d.addStream(e, archive.StreamInfo{OID: e.OID, Schema: e.Schema, Table: e.Name, Columns: f.names()})
	}
}

// dialect is how strings are written, in definitions and in INSERT statements.
func (t *TOC) dialect() dialect {
	d := dialect{std: true, wide: wideOf(t.encoding())}
	for i := range t.Entries {
		if e := &t.Entries[i]; e.Kind == "STDSTRINGS" {
			d.std = !strings.Contains(e.DDL, "'off'")
		}
	}
	return d
}

// Refused implements [archive.RowRefuser].
func (d *Dump) Refused(entry int32) error {
	if d.inserts == nil {
		return nil
	}
	return d.inserts.refused[entry]
}

func (d *Dump) addStream(e *Entry, info archive.StreamInfo) {
	info.Entry, info.Form = e.ID, archive.FormText
	d.byEntry[e.ID] = len(d.streams)
	d.streams = append(d.streams, archive.Stream{
		StreamInfo: info, ID: archive.StreamID(len(d.streams) + 1), Stored: d.store.stored(e), //nolint:gosec // as many as entries
	})
}

// describe says what can't be proven of the dump, and what is odd about it.
func (d *Dump) describe() {
	d.desc.Unproven = []string{
		"the table of contents has no checksum: damage to a definition need not be seen",
		"the format does not record how many rows there are, nor a digest of them",
	}
	switch d.toc.Header.Compression {
	case CompressionNone:
		d.desc.Unproven = append(d.desc.Unproven, "the rows have no checksum: a changed value can't be seen")
	case CompressionLZ4, CompressionZstd:
		d.desc.Unproven = append(d.desc.Unproven, "pg_dump itself writes its "+d.desc.Codec+" frames without checksums (pgark writes them with): without, a changed value need not be seen")
	case CompressionGzip:
	}
	if d.inserts != nil {
		d.desc.Warnings = append(d.desc.Warnings, d.inserts.warnings()...)
	}
}

// Description implements [archive.Source].
func (d *Dump) Description() archive.Description { return d.desc }

// TOC is the header and the table of contents. The caller must not change it.
func (d *Dump) TOC() *TOC { return d.toc }

// Catalog implements [archive.Source].
func (d *Dump) Catalog() (*archive.Catalog, error) { return d.cat, nil }

// Moment implements [archive.Source].
func (d *Dump) Moment() (*archive.Moment, error) {
	m := &archive.Moment{
		Time: d.desc.Created.UTC(), Route: "coordinator", Promise: "snapshot", Reason: "written by " + d.desc.Program,
		Nodes: []archive.Node{{Name: "coordinator", Content: -1}}, Settings: make(map[string]string),
	}
	if d.cat.Encoding != "" {
		m.Settings["client_encoding"] = d.cat.Encoding
	}
	return m, nil
}

// TableStreams implements [archive.Source].
func (d *Dump) TableStreams(entry int32) []archive.Stream {
	i, ok := d.byEntry[entry]
	if !ok {
		return nil
	}
	return d.streams[i : i+1]
}

// Structure looks at the places of the data, without reading it.
func (d *Dump) Structure(ctx context.Context) ([]archive.Problem, error) {
	return d.store.problems(ctx, d.toc)
}

// Close implements [archive.Source].
func (d *Dump) Close() error { return d.store.close() }
