package pgdump

import "bytes"

// comment takes a comment up to the end of its line.
func (l *lexer) comment() sqlTokenKind {
	from := l.in.offset()
	for {
		rest := l.in.buf[l.in.pos:]
		i := bytes.IndexByte(rest, '\n')
		line := rest
		if i >= 0 {
			line = rest[:i]
		}
		if cr := bytes.IndexByte(line, '\r'); cr >= 0 && l.lfOnly {
			l.in.pos += cr
			l.blank() // says what is wrong with it
			return sqlEnd
		}
		l.in.pos += len(line)
		if l.in.offset()-from > maxComment {
			l.failf(ErrDamaged, from, "a comment of more than %d bytes in one line", maxComment)
			return sqlEnd
		}
		if i >= 0 || !l.in.more() {
			return sqlComment
		}
	}
}

// block takes a comment between /* and */; they nest.
func (l *lexer) block() sqlTokenKind {
	from := l.in.offset()
	l.in.tok = -1
	l.in.pos += 2
	for depth := 1; depth > 0; {
		c, ok := l.peek(0)
		switch {
		case !ok:
			l.failf(ErrTruncated, from, "a comment that begins here has no end")
			return sqlEnd
		case c == '*' && l.is(1, '/'):
			depth--
			l.in.pos++
		case c == '/' && l.is(1, '*'):
			depth++
			l.in.pos++
		}
		l.in.pos++
	}
	return sqlBlock
}
