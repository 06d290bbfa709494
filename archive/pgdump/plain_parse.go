package pgdump

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/pgark/pgark/archive"
)

// scriptParser reads a script once, from its first byte to its last. In memory it has the definitions that it has found,
// and a window of the file that holds no more than one statement, or a MiB.
type scriptParser struct {
	r    io.ReaderAt
	in   *input
	lx   *lexer
	head scriptHead
	part bool // of a script of pg_dumpall: it ends where the dump says that it is complete

	block    commentBlock
	env      scriptEnv
	cur      *draft // the entry that is being read, nil between entries
	mark     int64  // where what belongs to the definition of cur goes on
	comments []sqlToken
	lines    []int // line ends after each of comments
	oids     int   // tables whose rows have them
	started  bool  // there was an entry
	complete bool  // the last comment was seen

	entries []*scriptEntry
	section archive.Section // the furthest that the script has come to
	drops   []dropText
	key     string // of \restrict, "" if none is in force
	blob    blobState

	encoding, searchPath string
	encodingSet, stdSet  bool
	server, program      string // versions
	created              time.Time
	database             string
	warnings             []string
	warned               map[string]bool
}

func newScriptParser(ctx context.Context, r io.ReaderAt, size int64) *scriptParser {
	p := &scriptParser{r: r, in: newInput(r, 0, size, ctx.Err), warned: make(map[string]bool), section: archive.SectionPreData}
	p.lx = &lexer{in: p.in, std: true, lfOnly: true}
	return p
}

// run reads it all.
func (p *scriptParser) run() error {
	if !p.part {
		p.readHead()
	}
	for p.in.err == nil {
		if p.part && p.complete && p.key == "" {
			p.end()
			return p.in.err
		}
		p.in.keep = -1
		if p.cur != nil && !p.cur.ended {
			p.in.keep = p.mark
		}
		t := p.lx.next()
		if p.in.err != nil {
			break
		}
		if p.complete && t.kind != sqlEnd && t.kind != sqlMeta && t.kind != sqlComment {
			p.lx.failf(ErrRefused, t.from, "more statements follow the end of the dump: two dumps in one file are not read")
			break
		}
		switch t.kind {
		case sqlEnd:
			p.end()
			return p.in.err
		case sqlComment:
			p.comment(t)
		case sqlBlock:
		case sqlMeta:
			p.meta(t)
		case sqlSemicolon:
			p.emptyStatement(t)
		default:
			p.statement(t)
		}
	}
	return p.in.err
}

// readHead looks at the first lines, which say what the file is.
func (p *scriptParser) readHead() {
	head := make([]byte, min(headLines, p.in.end))
	if n, err := p.r.ReadAt(head, 0); n < len(head) {
		p.in.fail(fmt.Errorf("read the beginning: %w", err))
		return
	}
	if what := foreignFormat(head); what != "" {
		p.lx.failf(ErrNotDump, 0, "the file %s", what)
		return
	}
	p.head = readHead(head)
	switch {
	case p.head.cluster:
		p.lx.failf(ErrRefused, 0, "it is a script of pg_dumpall, of several databases and not of one")
	case p.head.crlf:
		p.lx.failf(ErrRefused, 0, "its lines end in CR and LF: take the carriage returns off first, as dos2unix does")
	}
	if strings.HasPrefix(string(head), byteOrderMark) {
		p.in.start = int64(len(byteOrderMark))
		p.block.next = p.in.start
	}
}

// end is what has to hold at the end of the file.
func (p *scriptParser) end() {
	at := p.in.offset()
	p.finish()
	switch {
	case p.in.err != nil:
	case p.head.title != "" && !p.complete:
		p.lx.failf(ErrTruncated, at, `it does not end with "-- %s complete"`, p.head.title)
	case p.key != "":
		p.lx.failf(ErrTruncated, at, `it ends without \unrestrict`)
	case len(p.entries) == 0 && p.head.title == "":
		p.lx.failf(ErrNotDump, at, "there is no statement in it")
	}
}

// comment takes a comment of one line: of an entry, of the whole dump, or of no meaning.
func (p *scriptParser) comment(t sqlToken) {
	line := p.lx.text(t)
	p.block.add(t, line)
	if !p.started && p.cur == nil && len(line) < maxWord && len(line) > len("-- D") && (line[3] == 'D' || line[3] == 'S') {
		p.headComment(string(line))
	}
	if p.cur != nil && !p.cur.first && !p.cur.ended {
		if len(p.comments) == maxComments {
			p.comments, p.lines = slices.Delete(p.comments, 0, 1), slices.Delete(p.lines, 0, 1)
		}
		p.comments, p.lines = append(p.comments, t), append(p.lines, p.newlines(3))
	}
	inner := p.block.framed()
	if inner == nil {
		return
	}
	toc := parseTOCComment(inner)
	switch {
	case toc != nil && !p.complete:
		p.finish()
		p.started = true
		p.cur = &draft{toc: toc, from: p.block.from, env: p.env}
		p.mark = p.in.offset() + int64(p.newlines(2))
		p.block.reset()
	case p.head.title != "" && len(inner) == 1 && string(inner[0]) == "-- "+p.head.title+" complete":
		p.finish()
		p.complete = true
		p.block.reset()
	default:
		p.block.start(t, line)
	}
}

// maxComments is how many comments before the first statement of an entry are remembered: more than belong to a
// definition, or to the comment of the next entry.
const maxComments = 2 * maxBlockLines

// newlines counts the line ends ahead, up to a limit.
func (p *scriptParser) newlines(most int) int {
	n := 0
	for n < most && p.lx.is(n, '\n') {
		n++
	}
	return n
}

// headComment reads what the comments before the first statement say.
func (p *scriptParser) headComment(line string) {
	if v, ok := strings.CutPrefix(line, "-- Dumped from database version "); ok && p.server == "" {
		p.server = v
	}
	if v, ok := strings.CutPrefix(line, "-- Dumped by pg_dump version "); ok && p.program == "" {
		p.program = v
	}
	if p.created.IsZero() {
		p.created = parseStarted(line)
	}
}

// emptyStatement takes a semicolon that ends nothing. It belongs to a definition that has begun.
func (p *scriptParser) emptyStatement(t sqlToken) {
	if p.cur != nil && p.cur.toc != nil && p.cur.first && !p.cur.ended {
		p.addText(t)
	}
}

// addText adds what ends with t to the definition of the current entry.
func (p *scriptParser) addText(t sqlToken) {
	from := p.mark
	if p.cur.toc == nil && !p.cur.first {
		from = t.from
	}
	p.addSpan(span{from, p.in.offset()})
}

func (p *scriptParser) addSpan(s span) {
	if p.cur.body.Len()+int(s.to-s.from) >= maxString {
		p.lx.failf(ErrDamaged, s.from, "a definition of more than %d bytes", maxString)
		return
	}
	if p.cur.body.Len() == 0 {
		p.cur.body.Grow(int(s.to-s.from) + 1) // mostly it is all, with a line end
	}
	p.cur.body.Write(p.in.bytes(s.from, s.to))
	p.mark = s.to
	if p.cur.lines = 1; p.cur.toc != nil {
		p.cur.lines = max(p.newlines(3)-2, 0) // two are pg_restore's
	}
}

// finish ends the current entry.
func (p *scriptParser) finish() {
	d := p.cur
	if d == nil || p.in.err != nil {
		return
	}
	p.closeBlob()
	if !d.first && !d.ended {
		p.commentsAsText()
	}
	p.cur = nil
	p.comments, p.lines = p.comments[:0], p.lines[:0]
	if d.toc == nil && d.obj.kind == "VIEW" && p.section > archive.SectionPreData {
		d.isRule = true // what a view that others depend on is made into at the end
	}
	e := d.entry(p.product() != "PostgreSQL")
	for _, e := range expandBlobs(e) {
		p.place(e)
		p.entries = append(p.entries, e)
	}
}

// commentsAsText makes the definition of an entry without statements from its comments: pg_dump writes why there are none.
func (p *scriptParser) commentsAsText() {
	for i := len(p.comments) - 1; i >= 0; i-- {
		t := p.comments[i]
		if t.from >= p.block.from && len(p.block.lines) > 0 || t.from < p.mark || strings.HasPrefix(string(p.lx.text(t)), "-- Completed on ") {
			continue
		}
		p.cur.body.Write(p.in.bytes(p.mark, t.to))
		p.cur.lines = max(p.lines[i]-2, 0)
		return
	}
}

// place gives the entry its section. pg_dump writes what comes before the rows, the rows, and what comes after
// them, and a restore relies on that.
func (p *scriptParser) place(e *scriptEntry) {
	e.Section = sectionOf(e.Kind)
	switch {
	case e.Section == archive.SectionNone:
		return
	case e.Kind == "STATISTICS DATA":
		e.Section = max(p.section, archive.SectionData)
	case e.Section == 0 && e.Kind == kindStatement && p.section == archive.SectionData:
		e.Section = archive.SectionPostData
	case e.Section == 0:
		e.Section = p.section
	case e.Section < p.section && e.Kind == kindBlob && p.section == archive.SectionData:
		e.Section = archive.SectionData // from version 17 on large objects are made among the rows
	case e.Section < p.section && postponable(e.Kind):
		e.Section = archive.SectionPostData
	case e.Section < p.section:
		p.lx.failf(ErrRefused, e.at, "%s %s stands after %s: the statements are not in the order of pg_dump, which a restore relies on",
			e.Kind, sanitized(e.Name), map[archive.Section]string{
				archive.SectionData: "rows", archive.SectionPostData: "what comes after all rows",
			}[p.section])
		return
	}
	p.section = max(p.section, e.Section)
}

func (p *scriptParser) product() string { return productOfTitle(p.head.title, p.server) }

// warn notes something odd, once.
func (p *scriptParser) warn(text string) {
	if !p.warned[text] {
		p.warned[text] = true
		p.warnings = append(p.warnings, text)
	}
}

// currentEntry names the entry that is being read, for errors.
func (p *scriptParser) currentEntry() string {
	switch {
	case p.cur == nil:
		return ""
	case p.cur.toc != nil:
		n := p.cur.toc.names[0]
		return n.kind + " " + n.name
	default:
		return p.cur.kind() + " " + sanitized(p.cur.obj.name.name+p.cur.target.name)
	}
}
