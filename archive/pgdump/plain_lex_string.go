package pgdump

import "bytes"

// maxContinue is how far after the end of a string one is looked for that continues it.
const maxContinue = 64 << 10

// str takes a string whose quote stands n bytes ahead.
func (l *lexer) str(n int, escapes bool) sqlTokenKind {
	for {
		from := l.in.offset()
		l.in.tok = -1
		l.in.pos += n + 1
		if !l.pastQuote('\'', escapes) {
			l.failf(ErrTruncated, from, "a string that begins here has no end")
			return sqlEnd
		}
		// A string goes on after a new line. That matters where it has other escapes than a plain string.
		if escapes == !l.std {
			return sqlString
		}
		if n = l.continued(); n < 0 {
			return sqlString
		}
	}
}

// pastQuote passes the rest of a string or of a quoted name, in which the quote may be doubled.
func (l *lexer) pastQuote(quote byte, escapes bool) bool {
	for {
		if !l.toQuote(quote, escapes) {
			return false
		}
		l.in.pos++
		if !l.is(0, quote) {
			return true
		}
		l.in.pos++
	}
}

// toQuote goes to the next quote.
func (l *lexer) toQuote(quote byte, escapes bool) bool {
	if !escapes && l.wide == narrow {
		for {
			if i := bytes.IndexByte(l.in.buf[l.in.pos:], quote); i >= 0 {
				l.in.pos += i
				return true
			}
			l.in.pos = len(l.in.buf)
			if !l.in.more() {
				return false
			}
		}
	}
	for {
		c, ok := l.peek(0)
		switch {
		case !ok:
			return false
		case c == quote:
			return true
		case c == '\\' && escapes:
			if c, ok = l.peek(1); !ok {
				return false
			}
			l.in.pos += 1 + l.width(1, c)
		default:
			l.in.pos += l.width(0, c)
		}
	}
}

// continued tells how far ahead the quote of a string stands that continues the one before: after white space with a new
// line in it, and comments after that. It is -1 if there is none.
func (l *lexer) continued() int {
	line := false
	for n := 0; n < maxContinue; n++ {
		c, ok := l.peek(n)
		switch {
		case !ok:
			return -1
		case c == '\n', c == '\r':
			line = true
		case c == ' ', c == '\t', c == '\f', c == '\v':
		case c == '\'' && line:
			return n
		case c == '-' && line && l.is(n+1, '-'):
			for n < maxContinue && ok && c != '\n' && c != '\r' {
				n++
				c, ok = l.peek(n)
			}
		default:
			return -1
		}
	}
	l.failf(ErrDamaged, l.in.offset(), "more than %d bytes of white space after a string", maxContinue)
	return -1
}

// quoted takes the rest of a quoted name.
func (l *lexer) quoted(kind sqlTokenKind) sqlTokenKind {
	from := l.in.offset()
	if !l.pastQuote('"', false) {
		l.failf(ErrTruncated, from, "a quoted name that begins here has no end")
		return sqlEnd
	}
	if l.in.offset()-from > maxWord {
		l.failf(ErrDamaged, from, "a name of more than %d bytes", maxWord)
		return sqlEnd
	}
	return kind
}

// dollar takes a string between dollar quotes, a parameter, or a dollar sign.
func (l *lexer) dollar() sqlTokenKind {
	n := 1
	for {
		c, ok := l.peek(n)
		switch {
		case ok && n == 1 && isDigit(c):
			l.in.pos++
			return l.number()
		case ok && c == '$':
			return l.dollarQuoted(bytes.Clone(l.in.buf[l.in.pos : l.in.pos+n+1]))
		case !ok, !isWordPart(c):
			l.in.pos++
			return sqlMark
		}
		if n += l.width(n, c); n > maxWord {
			l.failf(ErrDamaged, l.in.offset(), "a dollar quote of more than %d bytes", maxWord)
			return sqlEnd
		}
	}
}

func (l *lexer) dollarQuoted(tag []byte) sqlTokenKind {
	from := l.in.offset()
	l.in.tok = -1
	l.in.pos += len(tag)
	if !l.in.skipPast(tag) {
		l.failf(ErrTruncated, from, "a string that begins here, with %s, has no end", tag)
		return sqlEnd
	}
	return sqlString
}

// wideEncoding is an encoding of which characters may have bytes in them that look like ASCII. Servers don't have
// databases in them, and clients, pg_dump among them, may ask for them.
type wideEncoding uint8

const (
	narrow wideEncoding = iota // every byte below 0x80 is a character
	wideTwo
	wideSJIS
	wideGB18030
)

// wideOf tells what an encoding is by PostgreSQL's name for it.
func wideOf(name string) wideEncoding {
	switch name {
	case "BIG5", "GBK", "UHC", "JOHAB":
		return wideTwo
	case "SJIS", "SHIFT_JIS_2004":
		return wideSJIS
	case "GB18030":
		return wideGB18030
	default:
		return narrow
	}
}

// width is the number of bytes of a character by its first two, the first of which is not ASCII.
func (w wideEncoding) width(first, second byte) int {
	switch {
	case w == wideSJIS && first >= 0xa1 && first <= 0xdf:
		return 1
	case w == wideGB18030 && isDigit(second):
		return 4
	default:
		return 2
	}
}
