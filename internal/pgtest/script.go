package pgtest

import (
	"slices"
	"strings"
)

// WithoutKeys is a script of pg_dump without its lines \restrict and \unrestrict, which have a random key in them.
// It and what follows look for plain text: for 100 MB, and under the race detector, regular expressions take half a minute.
func WithoutKeys(script string) string {
	script = "\n" + script
	for _, command := range []string{"\n\\restrict ", "\n\\unrestrict "} {
		var b strings.Builder
		for i := strings.Index(script, command); i >= 0; i = strings.Index(script, command) {
			b.WriteString(script[:i])
			if end := strings.IndexByte(script[i+1:], '\n'); end < 0 {
				script = ""
			} else {
				script = script[i+1+end:] // with the line feed before the next line
			}
		}
		b.WriteString(script)
		script = b.String()
	}
	return strings.TrimPrefix(script, "\n")
}

// SortLargeObjects puts the large objects of a script in order, which no two programs need to agree on.
func SortLargeObjects(script string) string {
	const begin, end = "SELECT pg_catalog.lo_open(", "lo_close(0);\n\n"
	parts := strings.Split(script, begin)
	all := make([]string, len(parts)-1)
	for i := range all {
		object, rest, found := strings.Cut(parts[i+1], end)
		if !found {
			return script
		}
		all[i], parts[i+1] = begin+object+end, rest
	}
	slices.Sort(all)
	var b strings.Builder
	b.WriteString(parts[0])
	for i := range all {
		b.WriteString(all[i] + parts[i+1])
	}
	return b.String()
}
