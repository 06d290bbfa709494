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
