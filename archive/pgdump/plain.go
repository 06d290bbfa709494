package pgdump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// Script is a dump in plain format: SQL for psql, as pg_dump and pg_restore write it. It implements [archive.Source].
//
// It was read once, from beginning to end, to find the entries and where the rows of each stand; the rows are read again,
// from the file, when they are asked for. In memory are the definitions, as large as they are in the file.
//
// All methods but Close may be called from several goroutines at once.
type Script struct {
	r       io.ReaderAt
	closer  io.Closer
	desc    archive.Description
	cat     archive.Catalog
	moment  archive.Moment
	streams []archive.Stream
	entries map[int32]*scriptEntry // those with data
	byEntry map[int32]int          // number of its stream, by the ID of the entry
	std     bool
	wide    wideEncoding
	inserts *insertTables // nil if there are none
}

// OpenPlain opens a script that pg_dump or pg_restore wrote. It reads the whole of it: a file of many rows about as fast
// as the disk is.
//
// The entries are those of an archive of the same database as far as the text tells, in an order that is valid for a
// restore; see [Script] and the Unproven sentences of its Description for what it does not tell. A script without the
// comments of pg_dump is read, too, as long as it has what pg_dump writes, in its order.
//
// Errors wrap a [*ScriptError] that says where, or an error of the file; ErrNotDump, ErrTruncated, ErrDamaged and ErrRefused
// tell the classes. ErrRefused is for what psql may be able to restore, such as a script of pg_dumpall, or one that sets what
// changes the meaning of rows; ErrDamaged for what no dump has, such as commands of psql that run programs.
func OpenPlain(path string) (archive.Source, error) {
	s, err := OpenScript(context.Background(), path)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// OpenScript is [OpenPlain] with a context, which ends the reading. A script that was compressed as a whole, with gzip, zstd or lz4, is
// decompressed first, into a temporary file without a name.
func OpenScript(ctx context.Context, path string) (*Script, error) {
	f, err := openSourceFile(ctx, path)
	if err != nil {
		return nil, err
	}
	s, err := readScript(ctx, f, f.size)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	s.closer = f
	if f.codec != "" {
		s.unpacked(f)
	}
	return s, nil
}

// unpacked says of a script that it was compressed. How much of that its parts took is not known.
func (s *Script) unpacked(f *sourceFile) {
	s.desc.Codec, s.desc.Bytes = f.codec, uint64(f.packed) //nolint:gosec // a length
	for i := range s.streams {
		s.streams[i].Stored = 0
	}
	if f.codec == "gzip" { // others may have checksums
		s.desc.Unproven = slices.DeleteFunc(s.desc.Unproven, func(u string) bool { return u == noChecksums })
	}
}

// readScript reads the script in r, which it does not close.
func readScript(ctx context.Context, r io.ReaderAt, size int64) (*Script, error) {
	p := newScriptParser(ctx, r, size)
	if err := p.run(); err != nil {
		return nil, locate(r, err, p.currentEntry())
	}
	return p.script(ctx, r, size)
}

// script is what was read, size bytes of r.
func (p *scriptParser) script(ctx context.Context, r io.ReaderAt, size int64) (*Script, error) {
	if !p.encodingSet {
		p.encoding = "UTF8"
		p.warn("it does not say in which encoding it is: it is taken for UTF8")
	}
	entries, whole := p.arrange()
	if len(entries) > math.MaxInt32 {
		return nil, scriptErrorf(ErrDamaged, size, "%d entries", len(entries))
	}
	s := &Script{
		r: r, std: p.lx.std, wide: p.lx.wide, entries: make(map[int32]*scriptEntry), byEntry: make(map[int32]int),
	}
	_, version := cutProduct(p.server)
	s.cat = archive.Catalog{
		Database: p.database, Encoding: p.encoding, ServerVersion: version, Product: p.product(), PgDumpVersion: p.program,
		Entries: make([]archive.Entry, len(entries)),
	}
	for i, e := range entries {
		s.cat.Entries[i] = e.Entry
	}
	s.cat.Product = productOfTables(&s.cat, dialect{std: s.std, wide: s.wide})
	for i, e := range entries {
		if e.HadDumper && e.Kind == kindTableData && !e.hasRows {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			s.addInserts(e, &s.cat.Entries[i])
		}
		if e.HadDumper {
			s.addData(e)
		}
	}
	if s.inserts != nil {
		p.warnings = append(p.warnings, s.inserts.warnings()...)
	}
	if w := oidsWarning(p.oids); w != "" {
		p.warnings = append(p.warnings, w)
	}
	s.describe(p, size, whole)
	return s, nil
}

// addData notes where the data of an entry stands.
func (s *Script) addData(e *scriptEntry) {
	s.entries[e.ID] = e
	info := archive.StreamInfo{Entry: e.ID, Form: archive.FormText}
	st := archive.Stream{ID: archive.StreamID(len(s.streams) + 1)} //nolint:gosec // as many as entries
	switch {
	case e.hasRows:
		info.OID, info.Schema, info.Table, info.Columns = e.OID, e.Schema, e.Name, e.columns
		st.Stored = uint64(e.rows.to - e.rows.from) //nolint:gosec // the first is not smaller
		st.Raw = st.Stored
	case s.form(e.ID) != nil:
		info.OID, info.Schema, info.Table, info.Columns = e.OID, e.Schema, e.Name, s.form(e.ID).names()
		st.Stored = uint64(e.inserts.to - e.inserts.from) //nolint:gosec // the first is not smaller
	case e.blobs.to > 0:
		info.Table, info.Columns = e.Name, []string{"loid", "offset", "data"}
		st.Stored = uint64(e.blobs.to - e.blobs.from) //nolint:gosec // the first is not smaller
	default:
		return
	}
	st.StreamInfo = info
	s.byEntry[e.ID] = len(s.streams)
	s.streams = append(s.streams, st)
}

// describe says what the script is.
func (s *Script) describe(p *scriptParser, size int64, whole bool) {
	version, program := p.program, "pg_dump"
	if version != "" {
		program += " " + version
	}
	s.desc = archive.Description{
		Format: "plain", Program: program, Created: p.created, Database: p.database, Codec: "none", Bytes: uint64(size), Files: 1,
		Warnings: p.warnings,
		Unproven: []string{
			noChecksums,
			"the format does not record how many rows there are, nor a digest of them",
		},
	}
	if !whole {
		s.desc.Unproven = append(s.desc.Unproven,
			"a script does not record what depends on what: that is taken from its statements, and from their order")
	}
	if p.head.title == "" {
		s.desc.Unproven = append(s.desc.Unproven,
			"the script lacks the comments at its beginning and its end, so statements that are missing at its end are not noticed")
	}
	s.moment = archive.Moment{
		Time: p.created, Route: "coordinator", Promise: "snapshot",
		Reason:   "written by " + program,
		Nodes:    []archive.Node{{Name: "coordinator", Content: -1, Database: p.database}},
		Settings: map[string]string{"client_encoding": p.encoding, "standard_conforming_strings": onOff(s.std)},
	}
}

// noChecksums is what the format itself can't prove.
const noChecksums = "a script has no checksums: a changed value, or damage to a definition, need not be seen"

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// Description implements [archive.Source].
func (s *Script) Description() archive.Description {
	d := s.desc
	d.Unproven, d.Warnings = append([]string(nil), d.Unproven...), append([]string(nil), d.Warnings...)
	return d
}

// Catalog implements [archive.Source].
func (s *Script) Catalog() (*archive.Catalog, error) { return &s.cat, nil }

// Moment implements [archive.Source]. Only a script that was written with --verbose says when it was made.
func (s *Script) Moment() (*archive.Moment, error) { return &s.moment, nil }

// Close implements [archive.Source].
func (s *Script) Close() error {
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

// TableStreams implements [archive.Source].
func (s *Script) TableStreams(entry int32) []archive.Stream {
	if i, ok := s.byEntry[entry]; ok {
		return s.streams[i : i+1 : i+1]
	}
	return nil
}

// HasStatements tells whether the rows of a TABLE DATA entry are INSERT statements, of which there may be none.
func (s *Script) HasStatements(entry int32) bool {
	e := s.entries[entry]
	return e != nil && e.Kind == kindTableData && !e.hasRows
}

// entryName names an entry for errors.
func entryName(e *scriptEntry) string {
	name := sanitized(e.Name)
	if e.Schema != "" {
		name = sanitized(e.Schema) + "." + name
	}
	return strings.TrimSpace(e.Kind + " " + name)
}

var (
	_ archive.Source     = (*Script)(nil)
	_ archive.RowRefuser = (*Script)(nil)
)
