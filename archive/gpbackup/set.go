package gpbackup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pgark/pgark/archive"
)

// Options say which set is meant, and where its files are.
type Options struct {
	Timestamp string   // YYYYMMDDHHMMSS of the set; "" if there is only one, or the path names it
	Dirs      []string // more directories with files of the set, as of its segments
	// Replicated and Distributed name tables, as schema.table, of which every segment has all rows, or a part of them: where the set does
	// not tell (see [ErrUndecided]). Names are quoted where SQL needs it.
	Replicated, Distributed []string
}

// Set is a backup set. It implements [archive.Source] and [archive.RowCounter].
//
// All methods but Close may be called from several goroutines at once. Of a set with one file for each segment that is
// compressed, tables are read best in the order of the catalog: what comes earlier in the file has to be decompressed again.
type Set struct {
	path   string
	files  *found
	config config
	toc    *toc
	desc   archive.Description
	cat    *archive.Catalog
	moment *archive.Moment

	streams []archive.Stream
	places  []dataPlace         // of each stream
	byEntry map[int32][2]int    // streams of a TABLE DATA entry: from, to
	rows    map[int32]uint64    // expected, by TABLE DATA entry
	segment map[string]segments // tables of contents of segments, by timestamp
	readers *cursors
	class   *csvClass

	said      map[string]spread // what Options say of tables
	uncounted int               // tables whose number of rows is not recorded
	doubtful  []string          // tables that may be refused: see copies
	problems  []archive.Problem // of metadata.sql
}

var (
	_ archive.Source     = (*Set)(nil)
	_ archive.RowCounter = (*Set)(nil)
)

// dataPlace is where a stream's CSV is.
type dataPlace struct {
	path       string
	from, to   int64 // in what is decompressed; to is -1 for a file of its own
	last       bool  // none behind it is read
	fileEnd    int64 // where the last table of the file ends
	columns    int   // -1 if they are not known
	compressed string
	copies     *copies // the places of the same table on all segments, where these may be copies; nil where they are not
}

// Open opens a set: path is any directory above its files, or one of them. Errors are or wrap ErrNotSet, ErrChoice, ErrIncomplete
// or ErrDamaged. An incremental set needs the sets that it builds upon; they are looked for in the same places.
func Open(path string, o Options) (*Set, error) {
	dir, timestamp, err := place(path)
	if err != nil {
		return nil, err
	}
	if o.Timestamp != "" {
		timestamp = o.Timestamp
	}
	files, err := search(append([]string{dir}, o.Dirs...))
	if err != nil {
		return nil, err
	}
	switch {
	case len(files.stamps) == 0:
		return nil, fmt.Errorf("%w: %s has no gpbackup_..._config.yaml", ErrNotSet, dir)
	case timestamp == "" && len(files.stamps) > 1:
		return nil, fmt.Errorf("%w in %s: %s", ErrChoice, dir, strings.Join(files.stamps, ", "))
	case timestamp == "":
		timestamp = files.stamps[0]
	case !slices.Contains(files.stamps, timestamp):
		return nil, fmt.Errorf("%w: none of %s in %s, but %s", ErrNotSet, timestamp, dir, strings.Join(files.stamps, ", "))
	}
	s := &Set{
		path: dir, files: files, byEntry: make(map[int32][2]int), rows: make(map[int32]uint64),
		segment: make(map[string]segments), readers: newCursors(), class: newCSVClass(), said: make(map[string]spread),
	}
	for _, name := range o.Distributed {
		s.said[name] = spreadParts
	}
	for _, name := range o.Replicated {
		s.said[name] = spreadCopies
	}
	if err := s.read(timestamp); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// read reads everything but the rows.
func (s *Set) read(timestamp string) error {
	if err := s.yaml(fileKey{-1, timestamp, 0, "config"}, maxConfig, &s.config); err != nil {
		return err
	}
	c := &s.config
	switch {
	case c.Timestamp != "" && c.Timestamp != timestamp:
		return fmt.Errorf("%w: the configuration of %s says that it is of %s", ErrDamaged, timestamp, c.Timestamp)
	case c.Plugin != "":
		return fmt.Errorf("%w: the files of set %s are in the storage of plugin %s: fetch them first, with the plugin", ErrNotSet, timestamp, c.Plugin)
	case c.Status == "Failed":
		return fmt.Errorf("%w: gpbackup itself says that set %s failed", ErrIncomplete, timestamp)
	case c.Timestamp == "" && c.Segments > 0: // versions that write the first write the second, too, and below it
		return fmt.Errorf("%w: the configuration of %s is cut off: it does not have the set's timestamp", ErrIncomplete, timestamp)
	case c.Segments < 0 || c.Segments > maxSegments:
		return fmt.Errorf("%w: set %s says that it has %d segments", ErrDamaged, timestamp, c.Segments)
	}
	dated := c.Timestamp != ""
	c.Timestamp = timestamp
	if err := s.readTOC(); err != nil {
		return err
	}
	s.describe(dated)
	if err := s.makeCatalog(); err != nil {
		return err
	}
	s.makeMoment()
	return nil
}

// readTOC reads the table of contents of the set.
func (s *Set) readTOC() error {
	path, err := s.files.find(fileKey{-1, s.config.Timestamp, 0, "toc"})
	if err != nil {
		return err
	}
	text, err := readLimited(path, maxTOC)
	if err != nil {
		return err
	}
	s.toc = &toc{cut: !bytes.Contains(text, []byte("\ndataentries:"))}
	return parseYAML(path, text, s.toc)
}

func (s *Set) yaml(k fileKey, limit int64, into any) error {
	path, err := s.files.find(k)
	if err != nil {
		return err
	}
	return readYAML(path, limit, into)
}

// created is the set's timestamp, in the zone of this machine: that of the server is not recorded.
func (s *Set) created() time.Time {
	t, err := time.ParseInLocation("20060102150405", s.config.Timestamp, time.Local)
	if err != nil {
		return time.Time{}
	}
	return t
}

// describe says what the set is, and what is odd about it.
func (s *Set) describe(dated bool) {
	c := &s.config
	d := &s.desc
	d.Format, d.Version, d.Program, d.Created, d.Database = "gpbackup", c.BackupVersion, "gpbackup "+c.BackupVersion, s.created(), c.Database
	d.Codec = c.CompressionType
	if !c.Compressed {
		d.Codec = "none"
	} else if d.Codec == "" {
		d.Codec = "gzip"
	}
	for k, path := range s.files.files {
		if k.timestamp != c.Timestamp {
			continue
		}
		if info, err := os.Lstat(path); err == nil {
			d.Bytes, d.Files = d.Bytes+uint64(max(info.Size(), 0)), d.Files+1 //nolint:gosec // not negative
		}
	}
	d.Unproven = []string{
		"definitions and their table of contents have no checksum",
		"the set records the number of each table's rows, but no digest of them",
		"what depends on what is not recorded: definitions are restored in the order of the set",
	}
	if d.Codec == "none" {
		d.Unproven = append(d.Unproven, "the rows have no checksum: a changed value can't be seen")
	}
	warn := func(condition bool, text string) {
		if condition {
			d.Warnings = append(d.Warnings, text)
		}
	}
	warn(c.Status != "" && c.Status != "Success", "gpbackup says of the set: "+c.Status)
	warn(c.Deleted != "", "gpbackup says that the set was deleted: "+c.Deleted)
	warn(!dated, "the configuration does not have the set's timestamp: if it is cut off, the set may be an incremental one, whose other rows are in older sets")
	warn(c.DataOnly, "the set has rows only, no definitions")
	warn(c.MetadataOnly, "the set has definitions only, no rows")
	warn(len(c.IncludeSchemas)+len(c.ExcludeSchemas)+len(c.IncludeRelations)+len(c.ExcludeRelations) > 0, "the set was filtered when it was made: it does not have all of the database")
}

// maxSegments is how many a cluster can have: their numbers are of type smallint.
const maxSegments = 1 << 15

// makeMoment says what gpbackup promises.
func (s *Set) makeMoment() {
	s.moment = &archive.Moment{
		Time: s.created().UTC(), Route: "segments", Promise: "snapshot",
		Reason:   "gpbackup reads each table on all segments at once, its definitions and rows in transactions that began together; the time is that of its timestamp, in this machine's zone",
		Nodes:    []archive.Node{{Name: "coordinator", Content: -1}},
		Settings: map[string]string{"client_encoding": s.cat.Encoding},
	}
	for i := range s.config.Segments {
		s.moment.Nodes = append(s.moment.Nodes, archive.Node{ID: uint32(i + 1), Name: fmt.Sprintf("seg%d", i), Content: int32(i)}) //nolint:gosec // few
	}
}

// Description implements [archive.Source].
func (s *Set) Description() archive.Description { return s.desc }

// Catalog implements [archive.Source].
func (s *Set) Catalog() (*archive.Catalog, error) { return s.cat, nil }

// Moment implements [archive.Source].
func (s *Set) Moment() (*archive.Moment, error) { return s.moment, nil }

// TableStreams implements [archive.Source]: one for each segment and table, or partition.
func (s *Set) TableStreams(entry int32) []archive.Stream {
	span, ok := s.byEntry[entry]
	if !ok {
		return nil
	}
	return s.streams[span[0]:span[1]:span[1]]
}

// ExpectedRows implements [archive.RowCounter]: what gpbackup counted.
func (s *Set) ExpectedRows(entry int32) (uint64, bool) {
	n, ok := s.rows[entry]
	return n, ok
}

// LargeObjects implements [archive.Source]. gpbackup backs none up.
func (s *Set) LargeObjects(context.Context, int32, func(uint32, int64, []byte) error) error {
	return errors.New("sets of gpbackup have no large objects")
}

// Structure looks for files that no table refers to, and definitions that the table of contents does not know. That none is missing was seen when the set was opened.
func (s *Set) Structure(context.Context) ([]archive.Problem, error) {
	known := make(map[uint32]bool, len(s.toc.Data))
	for i := range s.toc.Data {
		known[s.toc.Data[i].OID] = true
	}
	problems := slices.Clone(s.problems)
	for k, path := range s.files.files {
		if k.timestamp == s.config.Timestamp && k.kind == "data" && k.oid != 0 && !known[k.oid] {
			problems = append(problems, archive.Problem{File: filepath.Base(path), Offset: -1, Message: "no table of the set refers to this file"})
		}
	}
	slices.SortStableFunc(problems, func(a, b archive.Problem) int { return strings.Compare(a.File, b.File) })
	return problems, nil
}

// Close implements [archive.Source].
func (s *Set) Close() error { return s.readers.close() }
