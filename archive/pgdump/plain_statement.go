package pgdump

import (
	"bytes"
	"strings"
)

// statement takes one statement that begins with t, and gives it to whom it concerns.
func (p *scriptParser) statement(t sqlToken) {
	p.block.reset()
	if t.kind != sqlWord {
		if t.to == p.in.end {
			p.lx.failf(ErrTruncated, t.from, "a statement that begins here has no end")
		}
		p.lx.failf(ErrRefused, t.from, "no statement begins like this")
		return
	}
	if bytes.EqualFold(p.lx.text(t), []byte("insert")) {
		p.insert(t)
		return
	}
	if p.in.keep < 0 {
		p.in.keep = t.from
	}
	end, ok := p.toSemicolon(t)
	if !ok {
		return
	}
	text := p.in.bytes(t.from, end.from)
	r := newSQLReader(text, p.lx.std, p.lx.wide)
	switch {
	case r.at("set"), r.at("reset"):
		p.set(t, text)
	case r.at("begin"), r.at("start"), r.at("commit"), r.at("end"):
		p.transaction(t, r)
	case r.at("rollback"), r.at("abort"), r.at("savepoint"), r.at("release"), r.at("prepare"):
		p.lx.failf(ErrRefused, t.from, "%s, which pg_dump does not write", strings.ToUpper(string(r.text())))
	case r.at("copy"):
		p.copyData(t, text)
	case p.isBlobCall(text):
		p.blobCall(t, text)
	case p.isSearchPath(text):
		p.setSearchPath(text)
	case p.ownerStatement(text), p.methodStatement(text), p.triggerSwitch(text):
		p.mark = p.in.offset()
	case p.dropStatement(text):
	default:
		p.definition(t, text)
	}
}

// toSemicolon goes to the end of the statement that begins with t.
func (p *scriptParser) toSemicolon(t sqlToken) (sqlToken, bool) {
	for next := t; ; next = p.lx.next() {
		switch next.kind {
		case sqlSemicolon:
			return next, true
		case sqlEnd:
			if p.in.err == nil {
				p.lx.failf(ErrTruncated, t.from, "a statement that begins here has no end")
			}
			return next, false
		case sqlMeta:
			p.lx.failf(ErrDamaged, next.from, "a command of psql within a statement")
			return next, false
		}
	}
}

// definition adds a statement to the definition of the current entry, or to one of its own where there is none.
func (p *scriptParser) definition(t sqlToken, text []byte) {
	if !p.belongs(text) {
		p.anonymous(t.from)
	}
	if !p.cur.first {
		p.cur.obj = identify(text, p.lx.std, p.lx.wide)
		if p.cur.toc == nil {
			p.cur.switched = isSwitch(text, p.lx)
		}
	} else if p.cur.switched && bytes.EqualFold(text, []byte("reset session authorization")) {
		p.cur.switched = false
	}
	p.addText(t)
	p.cur.first = true
}

// belongs tells whether a statement is part of the entry that is being read.
func (p *scriptParser) belongs(text []byte) bool {
	switch d := p.cur; {
	case d == nil, d.ended, d.toc != nil && !d.first && d.isData():
		return false
	case d.toc != nil:
		return true
	case d.switched: // the rights that someone else has granted
		o := identify(text, p.lx.std, p.lx.wide)
		return o.kind == kindACL || bytes.HasPrefix(bytes.ToLower(text), []byte("reset session"))
	default:
		return false
	}
}

// isSwitch tells whether a statement changes the user within a definition, as those do that grant rights: the user stands
// there as a name, not as a string.
func isSwitch(text []byte, lx *lexer) bool {
	r := newSQLReader(text, lx.std, lx.wide)
	return r.skip("set session authorization") && !r.at("default") && (r.t.kind == sqlWord || r.t.kind == sqlQuoted)
}

// anonymous begins an entry without a comment.
func (p *scriptParser) anonymous(from int64) {
	p.finish()
	p.started = true
	p.cur = &draft{from: from, env: p.env}
	p.mark = from
}

// transaction takes BEGIN and COMMIT, which say how psql is to run the script and nothing of what it makes.
func (p *scriptParser) transaction(t sqlToken, r *sqlReader) {
	for r.t.kind != sqlEnd {
		if r.t.kind != sqlWord {
			p.lx.failf(ErrRefused, t.from, "a statement that begins a transaction in a way that pg_dump does not write")
			return
		}
		if r.at("prepared") {
			p.lx.failf(ErrRefused, t.from, "COMMIT PREPARED, which pg_dump does not write")
			return
		}
		r.next()
	}
	p.mark = p.in.offset()
}

// ownerStatement takes ALTER ... OWNER TO of the current entry's object. Whoever restores makes that statement anew.
func (p *scriptParser) ownerStatement(text []byte) bool {
	d := p.cur
	if d == nil || d.ended && !d.hasOwner || !ownable(d.kind()) {
		return false
	}
	r := newSQLReader(text, p.lx.std, p.lx.wide)
	if !r.skip("alter") || !r.ownerVerb(d.kind()) {
		return false
	}
	from := r.t.from
	if !p.isOwn(d, r) {
		return false
	}
	for r.t.kind != sqlEnd && !r.at("owner") {
		if r.t.kind != sqlWord && !ownedBySignature(d.kind()) {
			return false
		}
		r.next()
	}
	named := string(trimmed(text[from:r.t.from]))
	if !r.skip("owner to") || r.at("current_user") || r.at("session_user") || r.at("current_role") {
		return false
	}
	role, ok := r.ident()
	if !ok || r.t.kind != sqlEnd || d.hasOwner && role != d.owner {
		return false
	}
	d.owner, d.hasOwner, d.ended = role, true, true
	d.ownedAs = d.kind() + " " + named
	if !d.first {
		p.commentsAsText()
	}
	return true
}

// isOwn takes the name of an object, and tells whether it is that of the entry.
func (p *scriptParser) isOwn(d *draft, r *sqlReader) bool {
	var q qualified
	var ok bool
	switch d.kind() {
	case "OPERATOR":
		q, ok = r.operator()
	case kindBlob, kindBlobGroup:
		oid, ok := r.oid()
		return ok && d.first && strings.Contains(d.body.String(), "lo_create('"+oid+"')")
	default:
		q, ok = r.qualified()
	}
	if !ok || d.hasOwner {
		return false
	}
	if !d.first && d.toc != nil {
		return q.schema == "" && sanitized(q.name) == d.toc.names[0].name
	}
	return q.key() == d.obj.name.key()
}

// ownerVerb takes the kind of object in ALTER ... OWNER TO. ALTER TABLE serves all relations.
func (r *sqlReader) ownerVerb(kind string) bool {
	switch kind {
	case "VIEW", "SEQUENCE", kindMatView, "FOREIGN TABLE", "EXTERNAL TABLE":
		return r.skip("table") || r.skip(strings.ToLower(kind))
	case kindBlob, kindBlobGroup:
		return r.skip("large object")
	case "PROCEDURAL LANGUAGE":
		return r.skip("language") || r.skip("procedural language")
	}
	return r.skip(strings.ToLower(kind))
}

// methodStatement takes ALTER TABLE ... SET ACCESS METHOD, which stands after the definition of a partitioned table.
func (p *scriptParser) methodStatement(text []byte) bool {
	d := p.cur
	if d == nil || !d.first || d.kind() != kindTable || d.method != "" {
		return false
	}
	r := newSQLReader(text, p.lx.std, p.lx.wide)
	if !r.skip("alter table") {
		return false
	}
	q, ok := r.qualified()
	if !ok || q.key() != d.obj.name.key() || !d.obj.partitioned || !r.skip("set access method") {
		return false
	}
	method, ok := r.ident()
	if !ok || r.t.kind != sqlEnd {
		return false
	}
	d.method, d.ended = method, true
	return true
}

// triggerSwitch takes what --disable-triggers writes around the rows of a table.
func (p *scriptParser) triggerSwitch(text []byte) bool {
	r := newSQLReader(text, p.lx.std, p.lx.wide)
	if !r.skip("alter table") {
		return false
	}
	r.skip("only")
	if _, ok := r.qualified(); !ok || !r.skip("disable trigger all") && !r.skip("enable trigger all") || r.t.kind != sqlEnd {
		return false
	}
	p.warn("it was written with --disable-triggers: whether triggers fire is decided when it is restored")
	return true
}
