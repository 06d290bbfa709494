package wire

import "strings"

// Ident quotes an identifier. It is always quoted, so that no list of reserved words is needed.
func Ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// QualifiedName quotes schema.name; without a schema, the name alone.
func QualifiedName(schema, name string) string {
	if schema == "" {
		return Ident(name)
	}
	return Ident(schema) + "." + Ident(name)
}

// Literal quotes a string constant in the session's client_encoding, as text of rows and of other people's catalogs is: a backslash that is part of a
// character (see [EmbedsASCII]) stays as it is. Else it is [Literal].
func (c *Conn) Literal(s string) string {
	if !strings.Contains(s, `\`) || !EmbedsASCII(c.Encoding()) {
		return Literal(s)
	}
	alone := strings.HasPrefix(c.Encoding(), "S") // in SJIS and SHIFT_JIS_2004 some characters have one byte
	var b strings.Builder
	b.WriteString(" E'")
	for i := 0; i < len(s); i++ {
		switch at := s[i]; {
		case at == '\'', at == '\\':
			b.WriteByte(at)
		case at < 0x80, alone && at >= 0xa1 && at <= 0xdf:
		case i+1 < len(s) && s[i+1] == '\\':
			b.WriteByte(at)
			i++
		case i+1 < len(s) && s[i+1] >= 0x80:
			b.WriteByte(at)
			i++
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('\'')
	return b.String()
}

// Literal quotes a string constant. One with a backslash is written as E'...', which means the same whatever
// standard_conforming_strings says. A server can't take a NUL in a string; Exec and the like refuse it.
func Literal(s string) string {
	quoted := strings.ReplaceAll(s, "'", "''")
	if !strings.Contains(s, `\`) {
		return "'" + quoted + "'"
	}
	// The space keeps the E apart from a word before it.
	return " E'" + strings.ReplaceAll(quoted, `\`, `\\`) + "'"
}
