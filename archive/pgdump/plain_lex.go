package pgdump

import (
	"bytes"
	"strings"
)

// sqlTokenKind is what a piece of a script is, as far as it must be known to divide it.
type sqlTokenKind uint8

const (
	sqlEnd       sqlTokenKind = iota // of the script, or a failure
	sqlWord                          // keyword or unquoted name
	sqlQuoted                        // "quoted name"
	sqlString                        // '...', E'...', $tag$...$tag$ and the like
	sqlNumber                        // or a parameter
	sqlMark                          // one character of an operator or of punctuation
	sqlSemicolon                     // that ends a statement
	sqlComment                       // to the end of its line, without it
	sqlBlock                         // comment between /* and */
	sqlMeta                          // backslash of a command of psql
)

// sqlToken is a piece of a script that is not white space.
type sqlToken struct {
	kind      sqlTokenKind
	lineStart bool // nothing but white space stands before it in its line
	from, to  int64
}

const (
	// maxWord bounds a name and a keyword. Servers cut names after 63 bytes.
	maxWord = 64 << 10
	// maxComment bounds a comment of one line. The longest that pg_dump writes lists dependencies.
	maxComment = 16 << 20
)

// lexer divides SQL by the lexical rules of psql, which are those of the server. The first failure sticks: every later
// token is sqlEnd.
//
// The text of a token is in the window of the input until the next call, save for strings and block comments of an input
// that keeps nothing.
type lexer struct {
	in     *input
	std    bool         // standard_conforming_strings: a backslash in a plain string is only a backslash
	wide   wideEncoding // characters may have bytes in them that look like ASCII
	lfOnly bool         // a carriage return outside of quotes is an error

	started bool
	depth   int  // of parentheses
	body    int  // of BEGIN ATOMIC … END, with CASE … END in it
	begun   bool // the last token was BEGIN
	words   int  // of the statement so far
	head    [4]byte
}

// lexText divides a text in memory.
func lexText(text []byte, std bool, wide wideEncoding) *lexer {
	return &lexer{in: textInput(text), std: std, wide: wide}
}

func (l *lexer) failf(err error, offset int64, format string, args ...any) {
	l.in.fail(scriptErrorf(err, offset, format, args...))
}

// text is that of a token.
func (l *lexer) text(t sqlToken) []byte { return l.in.bytes(t.from, t.to) }

// peek gives a byte that lies ahead.
func (l *lexer) peek(n int) (byte, bool) {
	for l.in.pos+n >= len(l.in.buf) {
		if !l.in.more() {
			return 0, false
		}
	}
	return l.in.buf[l.in.pos+n], true
}

func (l *lexer) is(n int, want byte) bool {
	c, ok := l.peek(n)
	return ok && c == want
}

// next takes the next token.
func (l *lexer) next() sqlToken {
	l.in.tok = -1
	start := l.blank()
	t := sqlToken{lineStart: start, from: l.in.offset()}
	l.in.tok = t.from
	c, ok := l.peek(0)
	if ok {
		t.kind = l.take(c)
	}
	if l.in.err != nil {
		t.kind = sqlEnd
	}
	t.to = l.in.offset()
	l.begun = t.kind == sqlWord && t.to-t.from == int64(len("begin")) && bytes.EqualFold(l.text(t), []byte("begin"))
	return t
}

// blank passes white space, and reports whether a new line has begun.
func (l *lexer) blank() bool {
	start := !l.started
	l.started = true
	for {
		c, ok := l.peek(0)
		switch {
		case !ok:
			return start
		case c == '\n':
			start = true
		case c == '\r' && l.lfOnly:
			l.failf(ErrRefused, l.in.offset(), "a carriage return outside of quotes: lines that end in CR and LF are not read, "+
				"take the carriage returns off as dos2unix does")
			return start
		case c != ' ' && c != '\t' && c != '\r' && c != '\f' && c != '\v':
			return start
		}
		l.in.pos++
	}
}

func (l *lexer) take(c byte) sqlTokenKind {
	switch {
	case c == '\'':
		return l.str(0, !l.std)
	case c == '"':
		l.in.pos++
		return l.quoted(sqlQuoted)
	case c == '$':
		return l.dollar()
	case isWordStart(c):
		return l.word()
	case isDigit(c):
		return l.number()
	case c == '-' && l.is(1, '-'):
		return l.comment()
	case c == '/' && l.is(1, '*'):
		return l.block()
	case c == '\\':
		l.in.pos++
		return sqlMeta
	}
	l.in.pos++
	switch c {
	case '(':
		l.depth++
	case ')':
		l.depth = max(l.depth-1, 0)
	case ';':
		if l.depth == 0 && l.body == 0 {
			l.words = 0
			return sqlSemicolon
		}
	}
	return sqlMark
}

// word takes a word, or the string or quoted name that it is a prefix of.
func (l *lexer) word() sqlTokenKind {
	n := 0
	for {
		c, ok := l.peek(n)
		if !ok || !isWordPart(c) {
			break
		}
		if n += l.width(n, c); n > maxWord {
			l.failf(ErrDamaged, l.in.offset(), "a word of more than %d bytes", maxWord)
			return sqlEnd
		}
	}
	if n == 1 {
		if kind, ok := l.prefixed(n, l.in.buf[l.in.pos]|0x20); ok {
			return kind
		}
	}
	w := l.in.buf[l.in.pos : l.in.pos+n]
	l.in.pos += n
	l.track(w)
	return sqlWord
}

// width is the number of bytes of a character that begins with c, n bytes ahead.
func (l *lexer) width(n int, c byte) int {
	if c < 0x80 || l.wide == narrow {
		return 1
	}
	second, _ := l.peek(n + 1)
	w := l.wide.width(c, second)
	l.peek(n + w - 1) // it may not reach beyond the window
	return max(1, min(w, len(l.in.buf)-l.in.pos-n))
}

// prefixed takes a string or a quoted name that has a letter before it.
func (l *lexer) prefixed(n int, letter byte) (sqlTokenKind, bool) {
	quote, _ := l.peek(n)
	switch {
	case letter == 'e' && quote == '\'':
		return l.str(1, true), true
	case (letter == 'b' || letter == 'x') && quote == '\'':
		return l.str(1, false), true
	case letter == 'n' && quote == '\'':
		return l.str(1, !l.std), true
	case letter == 'u' && quote == '&' && l.is(n+1, '\''):
		return l.str(2, false), true
	case letter == 'u' && quote == '&' && l.is(n+1, '"'):
		l.in.pos += n + 2
		return l.quoted(sqlQuoted), true
	}
	return sqlEnd, false
}

// track follows the bodies of functions in standard SQL, in which semicolons don't end the statement, as psql does:
// CREATE [OR REPLACE] {FUNCTION | PROCEDURE} ... BEGIN ATOMIC ... END.
func (l *lexer) track(w []byte) {
	if l.words == 0 {
		l.head = [4]byte{}
	}
	if l.words < len(l.head) {
		for _, word := range []string{"create", "function", "procedure", "or", "replace"} {
			if len(w) == len(word) && strings.EqualFold(string(w), word) {
				l.head[l.words] = word[0]
			}
		}
	}
	l.words++
	if l.depth > 0 || l.head[0] != 'c' || len(w) > 6 {
		return
	}
	if h := l.head; h[1] != 'f' && h[1] != 'p' && (h[1] != 'o' || h[2] != 'r' || h[3] != 'f' && h[3] != 'p') {
		return
	}
	switch strings.ToLower(string(w)) {
	case "atomic":
		if l.begun && l.body == 0 {
			l.body = 1
		}
	case "case":
		if l.body > 0 {
			l.body++
		}
	case "end":
		l.body = max(l.body-1, 0)
	}
}

// number takes a number without its exponent.
func (l *lexer) number() sqlTokenKind {
	for {
		c, ok := l.peek(0)
		if !ok || !isDigit(c) && c != '.' && c != '_' {
			return sqlNumber
		}
		l.in.pos++
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWordStart(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80 }

func isWordPart(c byte) bool { return isWordStart(c) || isDigit(c) || c == '$' }
