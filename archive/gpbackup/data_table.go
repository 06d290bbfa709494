package gpbackup

import (
	"fmt"
	"os"
	"strings"

	"github.com/pgark/pgark/archive"
)

// tableData is the rows of one table or partition, and of which backup they are.
type tableData struct {
	*dataEntry
	timestamp string
	copied    bool // every segment has all of them
}

// tables lists whose rows the set has: what its restore plan says, each of the backup that it names. A set without a plan,
// as old ones are, has all rows itself.
func (s *Set) tables() ([]tableData, error) {
	own := s.config.Timestamp
	if s.config.MetadataOnly {
		if len(s.toc.Data) > 0 {
			return nil, fmt.Errorf("%w: the configuration of set %s says that it has no rows, its table of contents that it has some of %s",
				ErrDamaged, own, s.toc.Data[0].fqn())
		}
		return nil, nil
	}
	if len(s.config.RestorePlan) == 0 {
		if s.config.Incremental {
			return nil, fmt.Errorf("%w: incremental set %s has no restore plan", ErrDamaged, own)
		}
		all := make([]tableData, len(s.toc.Data))
		for i := range s.toc.Data {
			all[i] = tableData{dataEntry: &s.toc.Data[i], timestamp: own}
		}
		return all, nil
	}
	var all []tableData
	seen := make(map[string]bool)
	for _, step := range s.config.RestorePlan {
		if !isTimestamp(step.Timestamp) {
			return nil, fmt.Errorf("%w: set %s builds upon set %q", ErrDamaged, own, step.Timestamp)
		}
		contents := s.toc
		if step.Timestamp != own && len(step.Tables) > 0 {
			contents = &toc{}
			if err := s.yaml(fileKey{-1, step.Timestamp, 0, "toc"}, maxTOC, contents); err != nil {
				return nil, fmt.Errorf("set %s builds upon set %s: %w", own, step.Timestamp, err)
			}
		}
		byName := make(map[string]*dataEntry, len(contents.Data))
		for i := range contents.Data {
			byName[contents.Data[i].fqn()] = &contents.Data[i]
		}
		for _, fqn := range step.Tables {
			d := byName[fqn]
			switch {
			case d == nil:
				return nil, fmt.Errorf("%w: set %s has no rows of %s, which set %s says are there", ErrIncomplete, step.Timestamp, fqn, own)
			case seen[fqn]:
				return nil, fmt.Errorf("%w: the restore plan of set %s names %s twice", ErrDamaged, own, fqn)
			}
			seen[fqn] = true
			all = append(all, tableData{dataEntry: d, timestamp: step.Timestamp})
		}
	}
	for i := range s.toc.Data { // a plan that is cut off is still good YAML
		if d := &s.toc.Data[i]; !seen[d.fqn()] {
			return nil, fmt.Errorf("%w: its restore plan does not name %s, of which set %s has rows: the configuration is cut off, or was changed",
				ErrIncomplete, d.fqn(), own)
		}
	}
	return all, nil
}

// addData adds an entry for the rows of each table; those of partitions are their table's.
func (s *Set) addData(b *catalogBuilder) error {
	all, err := s.tables()
	if err != nil {
		return err
	}
	if s.config.Segments == 0 && len(all) > 0 {
		if s.config.Segments = s.seenSegments(); s.config.Segments == 0 {
			return fmt.Errorf("%w: there is no file with rows of any segment", ErrIncomplete)
		}
		s.desc.Warnings = append(s.desc.Warnings, fmt.Sprintf(
			"the configuration does not say how many segments there were: by their files there were %d", s.config.Segments))
	}
	of := make(map[relation][]tableData)
	named := make(map[string]bool)
	var order []relation
	roots := newRoots(all)
	for i := range all {
		table := roots.of(&all[i], b)
		if of[table] == nil {
			order = append(order, table)
			named[table.fqn()] = true
		}
		of[table] = append(of[table], all[i])
	}
	for name := range s.said {
		if !named[name] {
			return fmt.Errorf("%w: the set has no rows of a table %s", ErrNotSet, name)
		}
	}
	for _, table := range order {
		if err := s.addTable(b, table, of[table]); err != nil {
			return err
		}
	}
	s.markLast()
	s.warnOfDoubt()
	if s.uncounted > 0 {
		s.desc.Warnings = append(s.desc.Warnings, fmt.Sprintf(
			"the set does not record how many rows %d tables have: none can be seen to lack", s.uncounted))
	}
	return nil
}

// relation names a table, as the table of contents writes it.
type relation struct{ schema, name string }

func (r relation) fqn() string { return r.schema + "." + r.name }

// roots finds the tables that partitions are of. The table of contents tells their names and no schemas: a partition may be in
// another one than its table.
type roots struct {
	whole   map[relation]bool          // tables whose rows are not divided by partition
	schemas map[string]map[string]bool // of partitions, by the name of their table
}

func newRoots(all []tableData) *roots {
	x := &roots{whole: make(map[relation]bool), schemas: make(map[string]map[string]bool)}
	for i := range all {
		d := &all[i]
		if d.root() == "" {
			x.whole[relation{d.Schema, d.Name}] = true
			continue
		}
		root := quoted(d.root())
		if x.schemas[root] == nil {
			x.schemas[root] = make(map[string]bool)
		}
		x.schemas[root][d.Schema] = true
	}
	return x
}

// of is the table into which rows are restored. Where nothing tells which one a partition is of, that is the partition itself, as
// with gprestore: another table of the same name must not get its rows.
func (x *roots) of(d *tableData, b *catalogBuilder) relation {
	own := relation{d.Schema, d.Name}
	if d.root() == "" {
		return own
	}
	if root, ok := b.moved[d.fqn()]; ok {
		return root
	}
	if root, ok := b.rootOf(d.fqn()); ok { // from Greenplum 7 on, with its schema
		if b.relations[root.fqn()] == 0 {
			return own
		}
		return root
	}
	root := relation{d.Schema, quoted(d.root())}
	if x.whole[root] || b.relations[root.fqn()] == 0 && len(x.schemas[root.name]) > 1 {
		return own
	}
	return root
}

// rootOf is the table that a partition with a definition of its own is of.
func (b *catalogBuilder) rootOf(partition string) (relation, bool) {
	name := b.parents[partition] // on whatever level
	n := nameLength(name)
	if n == 0 || n+1 >= len(name) || name[n] != '.' {
		return relation{}, false
	}
	return relation{name[:n], name[n+1:]}, true
}

// quoted is a name as SQL writes it that may be without its quotes: gpbackup writes the names of partitioned tables of Greenplum 7 so. A
// keyword needs none behind a schema.
func quoted(name string) string {
	plain := name != ""
	for i := range len(name) {
		c := name[i]
		plain = plain && (c == '_' || c >= 'a' && c <= 'z' || i > 0 && (c >= '0' && c <= '9' || c == '$'))
	}
	if plain || len(name) > 1 && quotedLength(name, '"', false) == len(name) && name[0] == '"' {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// seenSegments counts them by their files, where an old configuration does not tell.
func (s *Set) seenSegments() int {
	n := 0
	for k := range s.files.files {
		if k.timestamp == s.config.Timestamp && k.content >= n {
			n = k.content + 1
		}
	}
	return n
}

// addTable adds the entry and the streams of one table.
func (s *Set) addTable(b *catalogBuilder, of relation, parts []tableData) error {
	columns, known := []string(nil), false
	name := of.fqn()
	if parts[0].Attributes != "" {
		if columns, known = nameList(parts[0].Attributes); !known {
			return fmt.Errorf("%w: the columns of %s: %.60q", ErrDamaged, name, parts[0].Attributes)
		}
	} else if c := b.columns[name]; c != nil {
		columns, known = c, true
	} else if parts[0].Root != nil && *parts[0].Root == "" { // a table without columns: of a partition they are not told
		columns, known = []string{}, true
	}
	e := archive.Entry{
		Kind: "TABLE DATA", Schema: unquote(of.schema), Name: unquote(of.name), OID: parts[0].OID, Section: archive.SectionData, HadDumper: true,
		Copy: copyStatement(name, columns),
	}
	if id := b.relations[name]; id != 0 {
		e.Deps = []int32{id}
		e.Owner = b.entry(id).Owner
	}
	id := b.add(e)
	b.data[name] = id
	from := len(s.streams)
	for i := range parts {
		how := s.spreadOf(&parts[i], name, b)
		own, told := columns, known
		if text := parts[i].Attributes; text != "" { // a partition may have them in another order
			if own, told = nameList(text); !told {
				return fmt.Errorf("%w: the columns of %s: %.60q", ErrDamaged, parts[i].fqn(), text)
			}
		}
		if err := s.addStreams(id, &parts[i], how, own, told); err != nil {
			return err
		}
	}
	s.byEntry[id] = [2]int{from, len(s.streams)}
	return s.expect(id, parts)
}

// copyStatement is pg_dump's.
func copyStatement(table string, columns []string) string {
	list := ""
	if len(columns) > 0 {
		quoted := make([]string, len(columns))
		for i, c := range columns {
			quoted[i] = `"` + strings.ReplaceAll(c, `"`, `""`) + `"`
		}
		list = "(" + strings.Join(quoted, ", ") + ")"
	}
	return "COPY " + table + " " + list + " FROM stdin;\n"
}

// expect notes how many rows a table has, where that is recorded of all its partitions.
func (s *Set) expect(entry int32, parts []tableData) error {
	total := uint64(0)
	for i := range parts {
		d := &parts[i]
		switch {
		case d.Rows == nil:
			s.uncounted++
			return nil
		case *d.Rows < 0:
			return fmt.Errorf("%w: set %s says that %s has %d rows", ErrDamaged, d.timestamp, d.fqn(), *d.Rows)
		case d.copied:
			total += uint64(*d.Rows) / uint64(s.config.Segments) //nolint:gosec // positive
		default:
			total += uint64(*d.Rows) //nolint:gosec // not negative
		}
	}
	s.rows[entry] = total
	return nil
}

// addStreams adds a stream for each segment. Where every segment has all rows, one is taken.
func (s *Set) addStreams(entry int32, d *tableData, how spread, columns []string, known bool) error {
	contents := s.config.Segments
	var all *copies
	switch {
	case contents < 2:
	case how == spreadCopies:
		if d.Rows != nil && *d.Rows%int64(contents) != 0 {
			all = &copies{err: fmt.Errorf("%w: every segment has all rows of %s, and yet %d segments have %d together: its copies differ",
				ErrDamaged, d.fqn(), contents, *d.Rows)}
		}
		d.copied, contents = true, 1
	case how == spreadUnknown:
		all = newCopies(d)
	}
	from := len(s.places)
	for content := range contents {
		p, err := s.place(content, d)
		if err != nil {
			return fmt.Errorf("table %s on segment %d: %w", d.fqn(), content, err)
		}
		p.columns, p.copies = -1, all
		if known {
			p.columns = len(columns)
		}
		x := archive.Stream{
			StreamInfo: archive.StreamInfo{
				Entry: entry, OID: d.OID, Node: uint32(content + 1), Schema: unquote(d.Schema), Table: unquote(d.Name), Columns: columns, Form: archive.FormText, //nolint:gosec // few
			},
			ID: archive.StreamID(len(s.streams) + 1), //nolint:gosec // tables times segments
		}
		switch {
		case p.to >= 0 && p.compressed == "":
			x.Stored = uint64(p.to - p.from) //nolint:gosec // not negative
		case p.to < 0:
			if info, err := os.Stat(p.path); err == nil {
				x.Stored = uint64(max(info.Size(), 0)) //nolint:gosec // not negative
			}
		}
		s.streams = append(s.streams, x)
		s.places = append(s.places, p)
	}
	if how == spreadUnknown {
		s.doubt(all, from)
	}
	return nil
}

// place finds the rows of a table on a segment: in a file of their own, or within the segment's single file.
func (s *Set) place(content int, d *tableData) (dataPlace, error) {
	own := fileKey{content, d.timestamp, d.OID, "data"}
	if _, ok := s.files.files[own]; ok {
		path, err := s.files.find(own)
		return dataPlace{path: path, to: -1, compressed: extensionOf(path)}, err
	}
	all := fileKey{content, d.timestamp, 0, "data"}
	if _, ok := s.files.files[all]; !ok {
		return dataPlace{}, s.files.missing(own)
	}
	path, err := s.files.find(all)
	if err != nil {
		return dataPlace{}, err
	}
	contents := s.segment[d.timestamp]
	if contents == nil {
		contents = make(segments)
		s.segment[d.timestamp] = contents
	}
	t := contents[content]
	if t == nil {
		t = &segmentTOC{}
		if err := s.yaml(fileKey{content, d.timestamp, 0, "toc"}, maxTOC, t); err != nil {
			return dataPlace{}, err
		}
		if err := t.check(); err != nil {
			return dataPlace{}, fmt.Errorf("file %s: %w", fileKey{content, d.timestamp, 0, "toc"}, err)
		}
		contents[content] = t
	}
	span, ok := t.Data[d.OID]
	if !ok {
		return dataPlace{}, fmt.Errorf("%w: the segment's table of contents does not say where its rows are", ErrIncomplete)
	}
	return dataPlace{path: path, from: span.Start, to: span.End, fileEnd: t.end, compressed: extensionOf(path)}, nil
}

// markLast marks, in each of the segments' single files, the last table that is read: behind it the file is read on to its end. That need not be
// the last one of the file: of replicated tables one segment is read, and of a set that others build upon only what they did not replace.
func (s *Set) markLast() {
	last := make(map[string]*dataPlace)
	for i := range s.places {
		p := &s.places[i]
		if l := last[p.path]; p.to >= 0 && (l == nil || p.to >= l.to) {
			last[p.path] = p
		}
	}
	for _, p := range last {
		p.last = true
	}
}
