package fanout

import "strings"

// tokenKind is what a piece of SQL is, as far as a translation must know it.
type tokenKind uint8

const (
	tokenWord   tokenKind = iota + 1 // keyword or unquoted name
	tokenQuoted                      // "quoted name", U&"..."
	tokenString                      // '...', E'...', $tag$...$tag$ and the like
	tokenNumber
	tokenMark // one character of an operator or of punctuation
)

// token is a piece of SQL that is neither white space nor comment.
type token struct {
	kind     tokenKind
	from, to int // bytes of the text
	depth    int // of parentheses and brackets around it; they themselves count as outside
}

// lexSQL divides SQL by the lexical rules of PostgreSQL. std tells whether a backslash in a plain string is only a backslash.
// What has no end (a string, a comment) goes to the end of the text.
func lexSQL(sql string, std bool) []token {
	l := lexer{sql: sql, std: std, tokens: make([]token, 0, len(sql)/6)}
	for l.skipBlank(); l.at < len(sql); l.skipBlank() {
		l.next()
	}
	return l.tokens
}

type lexer struct {
	sql    string
	std    bool
	at     int
	depth  int
	tokens []token
}

// skipBlank passes white space and comments; those between /* and */ nest.
func (l *lexer) skipBlank() {
	for l.at < len(l.sql) {
		rest := l.sql[l.at:]
		switch {
		case strings.IndexByte(" \t\n\r\f\v", rest[0]) >= 0:
			l.at++
		case strings.HasPrefix(rest, "--"):
			l.at += untilAfter(rest, "\n", 0)
		case strings.HasPrefix(rest, "/*"):
			l.at += commentLength(rest)
		default:
			return
		}
	}
}

func commentLength(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(s[i:], "*/"):
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// untilAfter is the number of bytes up to the end of mark, which is looked for from start on.
func untilAfter(s, mark string, start int) int {
	if i := strings.Index(s[start:], mark); i >= 0 {
		return start + i + len(mark)
	}
	return len(s)
}

// next takes one token.
func (l *lexer) next() {
	rest := l.sql[l.at:]
	c := rest[0]
	switch {
	case c == '\'':
		l.take(tokenString, stringLength(rest, 0, !l.std))
	case c == '"':
		l.take(tokenQuoted, quotedLength(rest, 0))
	case c == '$' && dollarTag(rest) != "":
		tag := dollarTag(rest)
		l.take(tokenString, untilAfter(rest, tag, len(tag)))
	case isWordStart(c):
		l.takeWord(rest)
	case isDigit(c), c == '.' && len(rest) > 1 && isDigit(rest[1]), c == '$' && len(rest) > 1 && isDigit(rest[1]):
		n := 1
		for n < len(rest) && (isWordPart(rest[n]) || rest[n] == '.') {
			n++
		}
		l.take(tokenNumber, n)
	default:
		l.takeMark(c)
	}
}

// takeWord takes a word, or the string or quoted name that it is a prefix of.
func (l *lexer) takeWord(rest string) {
	n := 1
	for n < len(rest) && isWordPart(rest[n]) {
		n++
	}
	after := rest[n:]
	switch prefix := strings.ToLower(rest[:n]); {
	case n == 1 && strings.Contains("ebxn", prefix) && strings.HasPrefix(after, "'"):
		l.take(tokenString, stringLength(rest, 1, prefix == "e" || !l.std && prefix == "n"))
	case prefix == "u" && strings.HasPrefix(after, "&'"):
		l.take(tokenString, stringLength(rest, 2, false))
	case prefix == "u" && strings.HasPrefix(after, `&"`):
		l.take(tokenQuoted, quotedLength(rest, 2))
	default:
		l.take(tokenWord, n)
	}
}

func (l *lexer) takeMark(c byte) {
	switch c {
	case '(', '[':
		l.take(tokenMark, 1)
		l.depth++
	case ')', ']':
		l.depth = max(l.depth-1, 0)
		l.take(tokenMark, 1)
	default:
		l.take(tokenMark, 1)
	}
}

func (l *lexer) take(kind tokenKind, n int) {
	l.tokens = append(l.tokens, token{kind: kind, from: l.at, to: l.at + n, depth: l.depth})
	l.at += n
}

// stringLength is the length of a string whose quote is at start.
func stringLength(s string, start int, escapes bool) int {
	for i := start + 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && escapes:
			i++
		case s[i] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
		case s[i] == '\'':
			return i + 1
		}
	}
	return len(s)
}

func quotedLength(s string, start int) int {
	for i := start + 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			i++
			continue
		}
		return i + 1
	}
	return len(s)
}

// dollarTag is the $tag$ that begins s, "" if none does.
func dollarTag(s string) string {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '$':
			return s[:i+1]
		case i == 1 && !isWordStart(s[i]), !isWordPart(s[i]):
			return ""
		}
	}
	return ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWordStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

func isWordPart(c byte) bool { return isWordStart(c) || isDigit(c) || c == '$' }
