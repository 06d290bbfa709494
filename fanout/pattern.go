package fanout

import (
	"fmt"
	"strings"
)

// pattern is a psql name pattern, taken apart and turned into regular expressions as psql and pg_dump do it
// (processSQLNamePattern in PostgreSQL's string_utils.c; "Patterns" in psql's manual).
type pattern struct {
	source string
	schema string // anchored regular expression, "" if the pattern names no schema
	name   string // anchored regular expression
}

// parsePattern reads a pattern with at most two dots outside quotes: [[database.]schema.]name. pg_dump refuses every database
// but its own; who has to know what pg_dump will list can do without that part.
func parsePattern(s string) (pattern, error) {
	parts, err := patternParts(s)
	if err != nil {
		return pattern{}, err
	}
	p := pattern{source: s, name: anchored(parts[len(parts)-1])}
	switch len(parts) {
	case 1:
	case 2, 3:
		p.schema = anchored(parts[len(parts)-2])
	default:
		return pattern{}, fmt.Errorf("%w: %s: too many dotted names (at most database.schema.table)", ErrPattern, s)
	}
	return p, nil
}

// parseSchemaPattern reads a pattern for a schema: [database.]schema.
func parseSchemaPattern(s string) (pattern, error) {
	parts, err := patternParts(s)
	if err != nil {
		return pattern{}, err
	}
	if len(parts) > 2 {
		return pattern{}, fmt.Errorf("%w: %s: too many dotted names (at most database.schema)", ErrPattern, s)
	}
	return pattern{source: s, name: anchored(parts[len(parts)-1])}, nil
}

// parseNamePattern reads a pattern for a name that no other can stand before: of an extension, or of a foreign server.
func parseNamePattern(s string) (pattern, error) {
	parts, err := patternParts(s)
	if err != nil {
		return pattern{}, err
	}
	if len(parts) != 1 {
		return pattern{}, fmt.Errorf("%w: %s: a dot is not allowed here (quote it: \"a.b\")", ErrPattern, s)
	}
	return pattern{source: s, name: anchored(parts[0])}, nil
}

func anchored(re string) string { return "^(" + re + ")$" }

// patternParts splits at dots outside quotes and translates each part: letters outside quotes fold to lower case,
// * and ? become .* and ., inside quotes everything stands for itself.
func patternParts(s string) ([]string, error) {
	var parts []string
	var b strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			if quoted && i+1 < len(s) && s[i+1] == '"' {
				b.WriteByte('"')
				i++
				continue
			}
			quoted = !quoted
		case quoted && strings.IndexByte(`|*+?()[]{}.^$\`, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case quoted:
			b.WriteByte(c)
		case c >= 'A' && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		case c == '*':
			b.WriteString(".*")
		case c == '?':
			b.WriteByte('.')
		case c == '.':
			parts = append(parts, b.String())
			b.Reset()
		case c == '$':
			b.WriteString(`\$`) // names may hold $, and an anchor is never wanted
		case c == '[' && i+1 < len(s) && s[i+1] == ']':
			b.WriteString(`\[\]`) // psql takes [] literally, for array types
			i++
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return nil, fmt.Errorf("%w: %s: a double quote is not closed", ErrPattern, s)
	}
	return append(parts, b.String()), nil
}
