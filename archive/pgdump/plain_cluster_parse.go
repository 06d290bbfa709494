package pgdump

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/pgark/pgark/archive"
)

// clusterParser reads a script of pg_dumpall. What stands between its parts is divided by a lexer of its own; each part is read by a
// scriptParser, which says where it ends.
type clusterParser struct {
	r    io.ReaderAt
	size int64
	c    *ClusterScript
	in   *input
	lx   *lexer

	block    commentBlock
	globals  strings.Builder
	title    string
	complete bool
	key      string // of \restrict
	database string // of \connect, for the part that follows
	connect  string // that line

	made map[string]*madeDatabase // before version 11
}

// readClusterScript reads the script in r, which it does not close.
func readClusterScript(ctx context.Context, r io.ReaderAt, size int64) (*ClusterScript, error) {
	head := make([]byte, min(headLines, size))
	if n, err := r.ReadAt(head, 0); n < len(head) {
		return nil, fmt.Errorf("read the beginning: %w", err)
	}
	h := readHead(head)
	switch {
	case !h.cluster:
		return nil, scriptErrorf(ErrNotDump, 0, "it is no script of pg_dumpall")
	case h.crlf:
		return nil, scriptErrorf(ErrRefused, 0, "its lines end in CR and LF: take the carriage returns off first, as dos2unix does")
	}
	p := &clusterParser{
		r: r, size: size, title: h.title, c: &ClusterScript{encoding: "UTF8", parts: make(map[string]*Script)}, made: make(map[string]*madeDatabase),
	}
	p.in = newInput(r, 0, size, ctx.Err)
	if bytes.HasPrefix(head, []byte(byteOrderMark)) {
		p.in.start, p.block.next = int64(len(byteOrderMark)), int64(len(byteOrderMark))
	}
	p.lx = &lexer{in: p.in, std: true, lfOnly: true}
	if err := p.run(ctx); err != nil {
		return nil, locate(r, err, "")
	}
	p.c.globals = p.globals.String()
	return p.c, nil
}

func (p *clusterParser) run(ctx context.Context) error {
	for p.in.err == nil {
		p.in.keep = -1
		t := p.lx.next()
		if p.in.err != nil {
			break
		}
		switch t.kind {
		case sqlEnd:
			return p.end()
		case sqlComment:
			if from, title := p.comment(t); title != "" {
				if err := p.part(ctx, from, title); err != nil {
					return err
				}
			}
			continue
		case sqlBlock, sqlSemicolon:
		case sqlMeta:
			p.meta(t)
		case sqlWord:
			p.statement(t)
		default:
			p.lx.failf(ErrRefused, t.from, "no statement begins like this")
		}
		p.block.reset()
	}
	return p.in.err
}

// end is what has to hold at the end of the file.
func (p *clusterParser) end() error {
	switch at := p.in.offset(); {
	case !p.complete:
		return scriptErrorf(ErrTruncated, at, `it does not end with "-- %s complete"`, p.title)
	case p.key != "":
		return scriptErrorf(ErrTruncated, at, `it ends without \unrestrict`)
	}
	for name := range p.made {
		if p.c.parts[name] == nil {
			return scriptErrorf(ErrRefused, p.in.offset(), "it makes database %s and has nothing of it", sanitized(name))
		}
	}
	return nil
}

// comment takes a line of comment, and tells where the title of a part has begun.
func (p *clusterParser) comment(t sqlToken) (from int64, title string) {
	line := p.lx.text(t)
	p.block.add(t, line)
	inner := p.block.framed()
	if inner == nil {
		return 0, ""
	}
	text, _ := strings.CutPrefix(string(bytes.Join(inner, []byte("\n"))), "-- ")
	switch {
	case text == p.title+" complete":
		p.complete = true
		p.block.reset()
	case !p.complete && isTitle(text) && strings.HasSuffix(text, " database dump"):
		from = p.block.next - int64(len("--\n-- ")+len(text)+len("\n--\n"))
		p.block.reset()
		return from, text
	default:
		p.block.start(t, line)
	}
	return 0, ""
}

// meta takes a command of psql between the parts.
func (p *clusterParser) meta(t sqlToken) {
	p.in.tok = t.from
	for {
		if c, ok := p.lx.peek(0); !ok || c == '\n' || p.in.offset()-t.from > maxWord {
			break
		}
		p.in.pos++
	}
	line := string(p.in.bytes(t.from, p.in.offset()))
	p.in.tok = -1
	if p.in.err != nil {
		return
	}
	command, arg, _ := strings.Cut(strings.TrimRight(line, " "), " ")
	switch {
	case !t.lineStart:
		p.lx.failf(ErrDamaged, t.from, "a command of psql within a line")
	case command == `\unrestrict` && p.key != "" && arg == p.key:
		p.key = ""
	case p.key != "":
		p.lx.failf(ErrDamaged, t.from, "%s where psql takes no command but \\unrestrict with the key of \\restrict", clip([]byte(command)))
	case p.complete:
		p.lx.failf(ErrDamaged, t.from, "%s after the end of the dump", clip([]byte(command)))
	case command == `\restrict` && isKey(arg):
		p.key = arg
	case command == `\encoding` && arg == "SQL_ASCII":
	case command == `\connect`:
		name := connectedTo(arg)
		if name == "" {
			p.lx.failf(ErrRefused, t.from, "%s: no database is named in a way that pg_dumpall writes", clip([]byte(line)))
			return
		}
		p.database, p.connect = name, line
	default:
		p.lx.failf(ErrDamaged, t.from, "%s: a dump does not give psql such commands", clip([]byte(line)))
	}
}

// statement takes a statement that is of no part.
func (p *clusterParser) statement(t sqlToken) {
	p.in.keep = t.from
	end := t
	for end.kind != sqlSemicolon {
		if end = p.lx.next(); end.kind == sqlEnd {
			if p.in.err == nil {
				p.lx.failf(ErrTruncated, t.from, "a statement that begins here has no end")
			}
			return
		}
		if end.kind == sqlMeta {
			p.lx.failf(ErrDamaged, end.from, "a command of psql within a statement")
			return
		}
	}
	text := string(p.in.bytes(t.from, end.to))
	r := newSQLReader([]byte(text[:len(text)-1]), p.lx.std, p.lx.wide)
	switch {
	case p.complete:
		p.lx.failf(ErrRefused, t.from, "more statements follow the end of the dump")
		return
	case r.at("copy"), r.at("insert"):
		p.lx.failf(ErrRefused, t.from, "rows stand outside of the dump of a database")
		return
	case r.skip("drop database"), r.skip("drop role"), r.skip("drop user"), r.skip("drop tablespace"),
		r.skip("drop resource queue"), r.skip("drop resource group"):
		return // a restore decides about that
	case r.at("drop"):
		p.lx.failf(ErrRefused, t.from, "%s, which pg_dumpall does not write", clip([]byte(text)))
		return
	case r.at("set"):
		p.set(t, text)
	default:
		if name, creates := p.aboutDatabase(text); name != "" {
			p.make(t, name, text, creates)
			return
		}
	}
	if p.globals.Len()+len(text) >= maxGlobalsText {
		p.lx.failf(ErrDamaged, t.from, "more than %d bytes of statements on roles and tablespaces", maxGlobalsText)
		return
	}
	p.globals.WriteString(text)
	p.globals.WriteByte('\n')
}

// set takes a setting that changes how what follows is divided.
func (p *clusterParser) set(t sqlToken, text string) {
	r := newSQLReader([]byte(text[:len(text)-1]), p.lx.std, p.lx.wide)
	r.skip("set")
	name, _ := r.ident()
	if !r.skipMark('=') {
		r.skip("to")
	}
	switch value := r.value(); name {
	case "standard_conforming_strings":
		p.lx.std = isOn(value)
	case "client_encoding":
		if value == "" || strings.Trim(strings.ToUpper(value), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" ||
			(p.globals.Len() > maxWord || len(p.c.list) > 0) && value != p.c.encoding {
			p.lx.failf(ErrRefused, t.from, "%s in a way that pg_dumpall does not write", clip([]byte(text)))
			return
		}
		p.c.encoding = value
		p.lx.wide = wideOf(strings.ToUpper(value))
	}
}

// madeDatabase are the statements that make a database, or set what belongs to it, where they stand before all parts.
type madeDatabase struct {
	text    strings.Builder
	creates bool
}

func (p *clusterParser) make(t sqlToken, name, text string, creates bool) {
	m := p.made[name]
	if m == nil {
		m = new(madeDatabase)
		p.made[name] = m
	}
	m.creates = m.creates || creates
	if m.text.WriteString(text); m.text.Len() > maxMadeText {
		p.lx.failf(ErrDamaged, t.from, "more than %d bytes of statements on database %s", maxMadeText, sanitized(name))
	}
}

// aboutDatabase gives the name of the database that a statement creates, alters, or grants rights on; "" for all others.
func (p *clusterParser) aboutDatabase(text string) (name string, creates bool) {
	r := newSQLReader([]byte(text[:len(text)-1]), p.lx.std, p.lx.wide)
	switch {
	case r.skip("create database"):
		name, _ = r.ident()
		return name, true
	case r.skip("alter database"), r.skip("comment on database"):
		name, _ = r.ident()
	case r.skip("grant"), r.skip("revoke"):
		for r.t.kind != sqlEnd && !r.at("on") {
			r.next()
		}
		if r.skip("on database") {
			name, _ = r.ident()
		}
	}
	return name, false
}

// part reads the script of a database, whose title begins at from.
func (p *clusterParser) part(ctx context.Context, from int64, title string) error {
	if p.key != "" {
		return scriptErrorf(ErrDamaged, from, `the dump of a database begins before \unrestrict`)
	}
	r, begin := p.r, from
	database := p.database
	if m := p.made[database]; m != nil {
		// These statements are read as if they stood in the part: what is before it in the file has their length at least.
		text := m.text.String() + "\n"
		if m.creates {
			text += p.connect + "\n"
		}
		if begin = from - int64(len(text)); begin < 0 {
			return scriptErrorf(ErrDamaged, from, "statements on database %s are longer than what stands before its dump", sanitized(database))
		}
		r = &prefixed{p.r, []byte(text), begin}
	}
	q := newScriptParser(ctx, r, p.size)
	q.in = newInput(r, begin, p.size, ctx.Err)
	q.lx = &lexer{in: q.in, std: p.lx.std, lfOnly: true}
	q.block.next, q.part, q.head.title = begin, true, title
	if begin < from {
		q.lx.wide = p.lx.wide
	}
	if err := q.run(); err != nil {
		return locate(p.r, err, q.currentEntry())
	}
	if database == "" {
		database = q.database
	} else if q.database != "" && q.database != database {
		return scriptErrorf(ErrRefused, from, `it is of database %s, and stands behind \connect %s`, sanitized(q.database), sanitized(database))
	}
	p.database, p.connect = "", ""
	switch {
	case database == "":
		return scriptErrorf(ErrRefused, from, "of which database this part is is not said")
	case p.c.parts[database] != nil:
		return scriptErrorf(ErrRefused, from, "it has database %s twice", sanitized(database))
	case len(p.c.list) == archive.MaxDatabases:
		return scriptErrorf(ErrRefused, from, "more than %d databases", archive.MaxDatabases)
	}
	for _, e := range q.entries {
		switch {
		case e.at >= from:
		case e.Kind == kindACL:
			e.Name = "DATABASE " + database
		case e.Kind == "DATABASE PROPERTIES":
			e.Name = database
		}
	}
	q.database = database
	end := q.in.offset()
	s, err := q.script(ctx, r, end-from)
	if err != nil {
		return locate(p.r, err, "")
	}
	p.c.parts[database] = s
	p.c.list = append(p.c.list, archive.ClusterDatabase{Name: database, Encoding: s.cat.Encoding, Offset: from, Bytes: end - from})
	p.in = newInput(p.r, end, p.size, ctx.Err)
	p.lx = &lexer{in: p.in, std: p.lx.std, wide: p.lx.wide, lfOnly: true}
	p.block.reset()
	p.block.next = end
	return nil
}

// prefixed is a file in which other bytes stand before a place.
type prefixed struct {
	io.ReaderAt
	text []byte
	at   int64 // where they begin
}

// ReadAt implements [io.ReaderAt].
func (p *prefixed) ReadAt(b []byte, at int64) (int, error) {
	n, err := p.ReaderAt.ReadAt(b, at)
	if from := max(at, p.at); from < p.at+int64(len(p.text)) && from < at+int64(n) {
		copy(b[from-at:n], p.text[from-p.at:])
	}
	return n, err
}
