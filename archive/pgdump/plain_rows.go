package pgdump

import (
	"bytes"
	"strings"
)

// copyData takes a COPY statement and the rows that follow it.
func (p *scriptParser) copyData(t sqlToken, text []byte) {
	r := newSQLReader(text, p.lx.std, p.lx.wide)
	r.skip("copy")
	target, ok := r.qualified()
	if !ok {
		p.lx.failf(ErrRefused, t.from, "%s: only COPY of a table is read", clip(text))
		return
	}
	columns, ok := r.columns()
	oids := r.t.from
	withOIDs := r.skip("with oids")
	from := r.t.from
	if !ok || !r.skip("from stdin") || r.t.kind != sqlEnd {
		p.lx.failf(ErrRefused, t.from, "%s: %s", clip(text), r.whyNoCopy())
		return
	}
	if !p.lx.is(0, '\n') {
		if p.in.offset() == p.in.end {
			p.lx.failf(ErrTruncated, p.in.offset(), "the rows of COPY %s are missing", target.text)
			return
		}
		p.lx.failf(ErrDamaged, p.in.offset(), "COPY ... FROM stdin; is not all of its line")
		return
	}
	copySQL := string(text) + ";\n"
	if withOIDs {
		copySQL = string(text[:oids]) + string(text[from:]) + ";\n"
		p.oids++
	}
	if d := p.cur; d == nil || d.toc == nil || d.first || d.ended || d.kind() != kindTableData || d.hasData() {
		p.anonymous(t.from)
	} else {
		p.commentsAsText() // what is there says that the rows go through a partition's root
	}
	d := p.cur
	d.copySQL, d.target, d.columns, d.withOIDs, d.ended = copySQL, target, columns, withOIDs, true
	p.in.pos++
	d.rows.from = p.in.offset()
	d.hasRows = true
	d.rows.to = p.skipRows(target)
	p.mark = p.in.offset()
}

// endOfRows ends the rows of a COPY, together with the line end before it.
const endOfRows = "\\.\n"

// skipRows passes rows and what ends them, and tells where they end.
func (p *scriptParser) skipRows(target qualified) int64 {
	from := p.in.offset()
	p.in.keep, p.in.tok = -1, -1
	p.lx.peek(len(endOfRows) - 1)
	p.lx.started = false // a line begins here
	if bytes.HasPrefix(p.in.buf[p.in.pos:], []byte(endOfRows)) {
		p.in.pos += len(endOfRows)
		return from
	}
	if !p.in.skipPast([]byte("\n" + endOfRows)) {
		p.lx.failf(ErrTruncated, p.in.end, `the rows of %s, which begin at byte %d, do not end with "\."`, target.text, from)
		return from
	}
	return p.in.offset() - int64(len(endOfRows))
}

// columns takes a list of columns, which may be absent.
func (r *sqlReader) columns() ([]string, bool) {
	if !r.skipMark('(') {
		return nil, true
	}
	var columns []string
	for {
		c, ok := r.ident()
		if !ok {
			return nil, false
		}
		columns = append(columns, c)
		if !r.skipMark(',') {
			return columns, r.skipMark(')')
		}
	}
}

// whyNoCopy says what is wrong with a COPY statement, which has been read up to that.
func (r *sqlReader) whyNoCopy() string {
	switch {
	case r.skip("from program"):
		return "a dump has no business running programs on a server"
	case r.at("to"):
		return "a dump does not write files or run programs on a server"
	case r.skip("from") && r.t.kind == sqlString:
		return "a dump has its rows in itself, not in a file of the server"
	default:
		return "only COPY ... FROM stdin without options, which pg_dump writes, is read"
	}
}

// insert passes an INSERT statement, which is not kept in memory: it may have a row of any size, and there may be any
// number. Those that follow one another and are for one table are one entry's.
func (p *scriptParser) insert(t sqlToken) {
	p.in.keep = t.from
	if d := p.cur; d != nil && d.inserts.to > 0 && p.sameInsert(d.target.text) {
		p.in.keep = -1
		if _, ok := p.toSemicolon(p.lx.next()); ok {
			d.inserts.to = p.in.offset()
			p.mark = p.in.offset()
		}
		return
	}
	target, ok := p.insertTarget()
	if !ok {
		if p.in.offset() == p.in.end {
			p.lx.failf(ErrTruncated, t.from, "a statement that begins here has no end")
		} else {
			p.lx.failf(ErrRefused, t.from, "an INSERT statement that pg_dump does not write")
		}
		return
	}
	p.in.keep = -1
	d := p.cur
	same := d != nil && d.inserts.to > 0 && d.target.key() == target.key()
	fresh := d != nil && d.toc != nil && !d.first && !d.ended && d.kind() == kindTableData && !d.hasData()
	switch {
	case same:
	case fresh:
		p.commentsAsText()
		d.inserts.from = t.from
	default:
		p.anonymous(t.from)
		d = p.cur
		d.inserts.from = t.from
	}
	d.target = target
	d.ended = true
	if _, ok := p.toSemicolon(p.lx.next()); ok {
		d.inserts.to = p.in.offset()
		p.mark = p.in.offset()
	}
}

// sameInsert passes INTO and the name of the table if they are, to the letter, those of the statement before.
func (p *scriptParser) sameInsert(name string) bool {
	const into = " INTO "
	n := len(into) + len(name)
	if c, ok := p.lx.peek(n); !ok || c != ' ' {
		return false
	}
	ahead := p.in.buf[p.in.pos : p.in.pos+n]
	if string(ahead[:len(into)]) != into || string(ahead[len(into):]) != name {
		return false
	}
	p.in.pos += n
	return true
}

// insertTarget reads INTO and the name of the table. The token after it is not taken.
func (p *scriptParser) insertTarget() (qualified, bool) {
	t := p.lx.next()
	if t.kind != sqlWord || !strings.EqualFold(string(p.lx.text(t)), "into") {
		return qualified{}, false
	}
	from := p.in.offset()
	for {
		t = p.lx.next()
		if t.kind != sqlWord && t.kind != sqlQuoted {
			return qualified{}, false
		}
		if !p.lx.is(0, '.') {
			break
		}
		p.in.pos++
	}
	q, ok := newSQLReader(p.in.bytes(from, p.in.offset()), p.lx.std, p.lx.wide).qualified()
	return q, ok
}
