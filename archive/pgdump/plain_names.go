package pgdump

import (
	"bytes"
	"strings"
)

// qualified is the name of an object as a statement has it.
type qualified struct {
	schema, name string // without quotes; schema is "" where there is none
	text         string // as it stands in the statement
}

func (q qualified) key() [2]string { return [2]string{q.schema, q.name} }

// sqlReader reads a statement token by token. What is read stays in memory, so texts are valid as long as it.
type sqlReader struct {
	lx  *lexer
	sql []byte
	t   sqlToken // the one that is next
}

func newSQLReader(sql []byte, std bool, wide wideEncoding) *sqlReader {
	r := &sqlReader{lx: lexText(sql, std, wide), sql: sql}
	r.next()
	return r
}

// next goes to the next token that is no comment.
func (r *sqlReader) next() {
	for {
		if r.t = r.lx.next(); r.t.kind != sqlComment && r.t.kind != sqlBlock {
			return
		}
	}
}

func (r *sqlReader) text() []byte { return r.sql[r.t.from:r.t.to] }

// at tells whether the next token is a keyword, which is given in lower case.
func (r *sqlReader) at(word string) bool {
	return r.t.kind == sqlWord && len(word) == int(r.t.to-r.t.from) && bytes.EqualFold(r.text(), []byte(word))
}

// skip takes keywords that follow one another if they are all there.
func (r *sqlReader) skip(words string) bool {
	back, state, pos := r.t, *r.lx, r.lx.in.pos
	for w := range strings.FieldsSeq(words) {
		if !r.at(w) {
			r.t, *r.lx, r.lx.in.pos = back, state, pos
			return false
		}
		r.next()
	}
	return true
}

// skipAny takes any number of any of some keywords.
func (r *sqlReader) skipAny(words ...string) {
	for again := true; again; {
		again = false
		for _, w := range words {
			again = again || r.skip(w)
		}
	}
}

func (r *sqlReader) atMark(c byte) bool { return r.t.kind == sqlMark && r.sql[r.t.from] == c }

func (r *sqlReader) skipMark(c byte) bool {
	if r.atMark(c) {
		r.next()
		return true
	}
	return false
}

// ident takes a name, quoted or not.
func (r *sqlReader) ident() (string, bool) {
	var name string
	switch text := r.text(); {
	case r.t.kind == sqlWord:
		name = foldName(string(text))
	case r.t.kind == sqlQuoted && text[0] == '"':
		name = strings.ReplaceAll(string(text[1:len(text)-1]), `""`, `"`)
	default:
		return "", false
	}
	r.next()
	return name, true
}

// foldName is an unquoted name as the server understands it. Only ASCII is folded: pg_dump quotes all other letters.
func foldName(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// path takes a name with any number of qualifiers.
func (r *sqlReader) path() (parts []string, text string) {
	from, end := r.t.from, r.t.from
	for {
		name, ok := r.ident()
		if !ok {
			break
		}
		parts = append(parts, name)
		end = r.t.from
		if !r.skipMark('.') {
			break
		}
	}
	return parts, string(bytes.TrimRight(r.sql[from:end], " \t\n"))
}

// qualified takes the name of an object.
func (r *sqlReader) qualified() (qualified, bool) {
	parts, text := r.path()
	switch len(parts) {
	case 1:
		return qualified{name: parts[0], text: text}, true
	case 2:
		return qualified{schema: parts[0], name: parts[1], text: text}, true
	default:
		return qualified{}, false
	}
}

// operator takes the name of an operator: marks, perhaps behind a schema.
func (r *sqlReader) operator() (qualified, bool) {
	var q qualified
	from := r.t.from
	if schema, ok := r.ident(); ok {
		q.schema = schema
		if !r.skipMark('.') {
			return q, false
		}
	}
	start := r.t.from
	for r.t.kind == sqlMark && strings.IndexByte("+-*/<>=~!@#%^&|`?", r.sql[r.t.from]) >= 0 {
		q.name += string(r.sql[r.t.from])
		end := r.t.to
		r.next()
		q.text = string(r.sql[from:end])
		if r.t.from != end {
			break
		}
	}
	return q, r.lx.in.offset() > start && q.name != ""
}

// group takes what stands between parentheses, and gives it with them.
func (r *sqlReader) group() (string, bool) {
	if !r.atMark('(') {
		return "", false
	}
	from := r.t.from
	depth := 0
	for r.t.kind != sqlEnd {
		switch {
		case r.atMark('('):
			depth++
		case r.atMark(')'):
			depth--
		}
		end := r.t.to
		r.next()
		if depth == 0 {
			return string(r.sql[from:end]), true
		}
	}
	return "", false
}

// find goes to the next keyword of some that stands outside of parentheses, and tells which it is; "" at the end.
func (r *sqlReader) find(words ...string) string {
	for ; r.t.kind != sqlEnd && r.t.kind != sqlSemicolon; r.next() {
		if r.lx.depth > 0 || r.t.kind != sqlWord {
			continue
		}
		for _, w := range words {
			if r.at(w) {
				return w
			}
		}
	}
	return ""
}

// literal takes a string constant without the help of the server: in quotes, with or without escapes.
func (r *sqlReader) literal() ([]byte, bool) {
	if r.t.kind != sqlString {
		return nil, false
	}
	text := r.text()
	escapes := !r.lx.std
	if text[0]|0x20 == 'e' {
		text, escapes = text[1:], true
	}
	if text[0] != '\'' {
		return nil, false
	}
	s, ok := unquoteLiteral(text[1:len(text)-1], escapes)
	r.next()
	return s, ok
}

// unquoteLiteral takes doubled quotes, and escapes if it has any, out of a string. It knows those that pg_dump writes, and
// octal ones.
func unquoteLiteral(s []byte, escapes bool) ([]byte, bool) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			if i+1 == len(s) || s[i+1] != '\'' {
				return nil, false // strings that continue one another
			}
			i++
			out = append(out, c)
		case c == '\\' && escapes:
			var n int
			if c, n = unescape(s[i+1:]); n == 0 {
				return nil, false
			}
			out = append(out, c)
			i += n
		default:
			out = append(out, c)
		}
	}
	return out, true
}

// unescape reads what follows a backslash, n bytes; 0 if it is not known.
func unescape(s []byte) (c byte, n int) {
	if len(s) == 0 {
		return 0, 0
	}
	switch c = s[0]; c {
	case '\\', '\'':
		return c, 1
	case 'n':
		return '\n', 1
	case 't':
		return '\t', 1
	case 'r':
		return '\r', 1
	case 'b':
		return '\b', 1
	case 'f':
		return '\f', 1
	}
	v := 0
	for n < len(s) && n < 3 && s[n] >= '0' && s[n] <= '7' {
		v = v<<3 | int(s[n]-'0')
		n++
	}
	return byte(v), n
}
