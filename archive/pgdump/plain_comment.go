package pgdump

import (
	"strconv"
	"strings"
	"time"
)

// tocComment is the comment that pg_dump writes before each entry.
type tocComment struct {
	names []tocNames // the ways to read it, the likeliest first; never empty

	// With --verbose only:
	verbose       bool
	id            int32
	tableOID, oid uint32
	deps          []int32
}

// tocNames is what such a comment says of its entry. It is for people: line breaks in names are spaces in it, and a name
// may have in it what looks like the next field.
type tocNames struct {
	name, kind, schema, owner string
	noSchema, noOwner         bool // a hyphen
	tablespace                string
}

// commentBlock gathers the lines of comments that stand one right after the other.
type commentBlock struct {
	lines [][]byte // its elements are used again
	from  int64    // where the first begins
	next  int64    // where a line would begin that belongs to it
}

// maxBlockLines is more lines than any comment that means something has.
const maxBlockLines = 6

// add takes one line without its end.
func (b *commentBlock) add(t sqlToken, line []byte) {
	if !t.lineStart || t.from != b.next || len(b.lines) == maxBlockLines || len(b.lines) == 0 {
		b.start(t, line)
		return
	}
	b.keep(t, line)
}

// start begins a block with a line.
func (b *commentBlock) start(t sqlToken, line []byte) {
	b.reset()
	b.from = t.from
	b.keep(t, line)
}

func (b *commentBlock) keep(t sqlToken, line []byte) {
	n := len(b.lines)
	if n < cap(b.lines) {
		b.lines = b.lines[:n+1]
	} else {
		b.lines = append(b.lines, nil)
	}
	b.lines[n] = append(b.lines[n][:0], line...)
	b.next = t.to + 1
}

// reset forgets the lines.
func (b *commentBlock) reset() { b.lines = b.lines[:0] }

// framed gives the lines between two bare "--", nil if the last line is not the second of them.
func (b *commentBlock) framed() [][]byte {
	last := len(b.lines) - 1
	if last < 2 || string(b.lines[last]) != "--" {
		return nil
	}
	for i := last - 1; i >= 0; i-- {
		if string(b.lines[i]) == "--" {
			return b.lines[i+1 : last]
		}
	}
	return nil
}

// parseTOCComment reads the lines of an entry's comment; nil if they are some other comment.
func parseTOCComment(lines [][]byte) *tocComment {
	c := &tocComment{}
	for _, l := range lines {
		line := string(l)
		switch {
		case strings.HasPrefix(line, "-- TOC entry "):
			if !c.parseIDs(line) {
				return nil
			}
		case strings.HasPrefix(line, "-- Dependencies: "):
			if !c.parseDeps(line) {
				return nil
			}
		case strings.HasPrefix(line, "-- Data Pos: "), strings.HasPrefix(line, "-- File: "):
			// pg_restore --verbose says where in the archive the data was.
		case len(c.names) > 0:
			return nil
		default:
			if c.names = parseTOCNames(line); len(c.names) == 0 {
				return nil
			}
		}
	}
	if len(c.names) == 0 {
		return nil
	}
	return c
}

// parseIDs reads "-- TOC entry 215 (class 1259 OID 16385)".
func (c *tocComment) parseIDs(line string) bool {
	f := strings.Fields(line)
	if len(f) != 8 || f[4] != "(class" || f[6] != "OID" {
		return false
	}
	id, err1 := strconv.ParseInt(f[3], 10, 32)
	class, err2 := strconv.ParseUint(f[5], 10, 32)
	oid, err3 := strconv.ParseUint(strings.TrimSuffix(f[7], ")"), 10, 32)
	if err1 != nil || err2 != nil || err3 != nil || id <= 0 {
		return false
	}
	c.verbose, c.id, c.tableOID, c.oid = true, int32(id), uint32(class), uint32(oid)
	return true
}

func (c *tocComment) parseDeps(line string) bool {
	for f := range strings.FieldsSeq(strings.TrimPrefix(line, "-- Dependencies: ")) {
		id, err := strconv.ParseInt(f, 10, 32)
		if err != nil {
			return false
		}
		c.deps = append(c.deps, int32(id))
	}
	return true
}

// maxReadings bounds in how many ways a comment is read.
const maxReadings = 16

// parseTOCNames reads "-- Name: n; Type: TABLE; Schema: s; Owner: o; Tablespace: t" in all ways it can be read. With names
// that have such words in them, the last Type is the likeliest.
func parseTOCNames(line string) []tocNames {
	rest := strings.TrimPrefix(line, "-- ")
	for _, prefix := range []string{"Data for ", "Statistics for "} {
		rest = strings.TrimPrefix(rest, prefix)
	}
	rest, ok := strings.CutPrefix(rest, "Name: ")
	if !ok {
		return nil
	}
	var all []tocNames
	const typeMark, schemaMark, ownerMark = "; Type: ", "; Schema: ", "; Owner: "
	for end := len(rest); end >= 0 && len(all) < maxReadings; {
		at := strings.LastIndex(rest[:end], typeMark)
		if at < 0 {
			break
		}
		end = at
		kind, after, ok := strings.Cut(rest[at+len(typeMark):], schemaMark)
		if !ok || !isKind(kind) {
			continue
		}
		for i := 0; len(all) < maxReadings; {
			j := strings.Index(after[i:], ownerMark)
			if j < 0 {
				break
			}
			i += j
			all = append(all, tocNamesOf(rest[:at], kind, after[:i], after[i+len(ownerMark):]))
			i += len(ownerMark)
		}
	}
	return all
}

func tocNamesOf(name, kind, schema, owner string) tocNames {
	n := tocNames{name: name, kind: kind, schema: schema}
	n.owner, n.tablespace, _ = strings.Cut(owner, "; Tablespace: ")
	if n.schema == "-" {
		n.schema, n.noSchema = "", true
	}
	if n.owner == "-" {
		n.owner, n.noOwner = "", true
	}
	return n
}

// isKind tells whether s may be a kind of entry: upper-case words.
func isKind(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ <>") == ""
}

// sanitized is a name as it stands in a comment.
func sanitized(name string) string {
	return strings.NewReplacer("\n", " ", "\r", " ").Replace(name)
}

// parseStarted reads the time in "-- Started on 2024-05-06 07:08:09 UTC". The zone is an abbreviation, which says
// something only if it is UTC or this machine's own.
func parseStarted(line string) time.Time {
	text, ok := strings.CutPrefix(line, "-- Started on ")
	if !ok {
		return time.Time{}
	}
	t, err := time.ParseInLocation("2006-01-02 15:04:05 MST", text, time.Local)
	if err != nil {
		return time.Time{}
	}
	if zone, offset := t.Zone(); offset == 0 && zone != "UTC" && zone != "GMT" && t.Location() != time.Local {
		return time.Time{}
	}
	return t.UTC()
}
