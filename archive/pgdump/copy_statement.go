package pgdump

import (
	"fmt"
	"strings"
)

// copyColumns reads the columns of a statement as pg_dump writes it: COPY s.t (a, "B c") FROM stdin; without columns there is no
// parenthesis, or, from old versions, all columns are meant.
func copyColumns(statement string) ([]string, error) {
	rest, ok := strings.CutPrefix(statement, "COPY ")
	if !ok {
		return nil, fmt.Errorf("%.60q is no COPY statement", statement)
	}
	var err error
	for {
		if _, rest, err = cutName(rest); err != nil {
			return nil, err
		}
		if !strings.HasPrefix(rest, ".") {
			break
		}
		rest = rest[1:]
	}
	rest = strings.TrimLeft(rest, " ")
	var columns []string
	if strings.HasPrefix(rest, "(") {
		rest = rest[1:]
		for {
			var name string
			if name, rest, err = cutName(strings.TrimLeft(rest, " ")); err != nil {
				return nil, err
			}
			columns = append(columns, name)
			rest = strings.TrimLeft(rest, " ")
			if strings.HasPrefix(rest, ")") {
				rest = rest[1:]
				break
			}
			if !strings.HasPrefix(rest, ",") {
				return nil, fmt.Errorf("%.60q has no comma where one is expected", statement)
			}
			rest = rest[1:]
		}
	}
	rest = strings.TrimSpace(rest)
	rest = strings.TrimPrefix(rest, "WITH OIDS ")
	if rest != "FROM stdin;" {
		return nil, fmt.Errorf("%.60q does not end with FROM stdin", statement)
	}
	return columns, nil
}

// cutName takes a name, in quotes or not, off the beginning.
func cutName(s string) (name, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, " .,()\"\n\t;")
		if end < 0 {
			end = len(s)
		}
		if end == 0 {
			return "", "", fmt.Errorf("a name is missing before %.20q", s)
		}
		return s[:end], s[end:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		if b.Len() == 0 {
			return "", "", fmt.Errorf("an empty name in %.20q", s)
		}
		return b.String(), s[i+1:], nil
	}
	return "", "", fmt.Errorf("a quoted name has no end: %.20q", s)
}
