package fanout

import "strings"

// literal treats a string. What is cast to a type like regclass is the name of an object; all else is data, and what of it
// looks like a name is reported.
func (w *renamer) literal(k int) {
	if w.silent {
		return
	}
	kind, many := w.regType(k)
	content, ok := w.decode(k)
	switch {
	case kind == "" && w.statisticsSchema(k):
		w.wholeName(k)
	case kind == "" && w.entry.Kind == kindStatistics: // values of rows, which stay as the rows do
	case kind == "":
		if ok && w.mentions(content) {
			w.left = append(w.left, shortened(w.text(k)))
		}
	case !ok || many:
		if mentionsAny(w.text(k), w.names.to) {
			w.doubt("the value " + shortened(w.text(k)) + " of type " + kind + " names objects, in a form that is not redirected")
		}
	case kind == "regnamespace":
		if parts := splitQualified(content); len(parts) == 1 {
			if to, ok := w.names.to[parts[0]]; ok {
				w.encode(k, w.names.quote(to))
			}
		}
	default:
		w.encode(k, w.objectText(k, content))
	}
}

// shortened is the begin of a text, for a message.
func shortened(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// regType is the type like regclass that a string is cast to, or that a function takes it for; "" if it is none. many tells an array.
func (w *renamer) regType(k int) (kind string, many bool) {
	i := k + 1
	if next := w.castTo(i, "text"); w.mark(k-1, "(") && next > i && w.mark(next, ")") {
		i = next + 1 // ('old.t'::text)::regclass
	}
	if w.mark(i, ":") && w.mark(i+1, ":") {
		i += 2
		if w.named(i) && w.ident(i) == "pg_catalog" && w.mark(i+1, ".") {
			i += 2
		}
		if !w.named(i) || !isRegType(w.ident(i)) {
			return "", false
		}
		return w.ident(i), w.mark(i+1, "[")
	}
	if w.mark(k-1, "(") && (w.mark(i, ",") || w.mark(i, ")")) && w.named(k-2) {
		switch w.ident(k - 2) {
		case "nextval", "currval", "setval", "pg_extension_config_dump":
			if !w.mark(k-3, ".") || w.named(k-4) && w.ident(k-4) == "pg_catalog" {
				return "regclass", false
			}
		}
	}
	return "", false
}

// castTo passes a cast to a type of the server that stands at token i; it gives i if there is none. pg_dump --quote-all-identifiers has the names
// of types in quotes, too.
func (w *renamer) castTo(i int, of string) int {
	if !w.mark(i, ":") || !w.mark(i+1, ":") || !w.named(i+2) || w.ident(i+2) != of {
		return i
	}
	return i + 3
}

func isRegType(name string) bool {
	switch name {
	case "regclass", "regtype", "regproc", "regprocedure", "regoper", "regoperator", "regconfig", "regdictionary", "regcollation", "regnamespace":
		return true
	}
	return false
}

// statisticsSchema tells whether a string is the schema in pg_restore_relation_stats('version', '180000'::integer, 'schemaname', 'old', ...).
// A table or a column may be called schemaname, too, and what follows its name is no schema.
func (w *renamer) statisticsSchema(k int) bool {
	if k < 4 || w.entry.Kind != kindStatistics || !w.mark(k-1, ",") || w.text(k-2) != "'schemaname'" {
		return false
	}
	return w.mark(k-3, "(") || w.mark(k-3, ",") && w.tokens[k-4].kind != tokenString
}

// objectText renames schemas in the name of an object, a type, or a function with its argument types.
func (w *renamer) objectText(k int, content string) string {
	x := &renamer{statement: statement{sql: content, tokens: lexSQL(content, true)}, names: w.names, entry: w.entry}
	for i := 0; i < len(x.tokens); {
		if x.tokens[i].kind == tokenString {
			w.doubt("the value " + shortened(w.text(k)) + " names objects, in a form that is not redirected")
			return content
		}
		if !x.isName(i) {
			i++
			continue
		}
		c := x.chain(i)
		if !x.mark(i-1, ".") {
			x.object(i, c)
		}
		i = c.next
	}
	w.doubts = append(w.doubts, x.doubts...)
	return x.edited()
}

// wholeName renames a schema that is all of a string.
func (w *renamer) wholeName(k int) {
	content, ok := w.decode(k)
	if !ok {
		return
	}
	if to, found := w.names.to[content]; found {
		w.encode(k, to)
	}
}

// mentions tells whether a text has, taken for SQL, the name of an object in a schema that is renamed.
func (w *renamer) mentions(content string) bool {
	if !mentionsAny(content, w.names.to) {
		return false
	}
	x := &renamer{statement: statement{sql: content, tokens: lexSQL(content, true)}, names: w.names}
	for i := range x.tokens {
		if _, ok := x.target(i); ok && !x.mark(i-1, ".") && x.mark(i+1, ".") && x.named(i+2) {
			return true
		}
	}
	return false
}

// decode gives what a string token stands for; false for forms that are never names.
func (w *renamer) decode(k int) (string, bool) {
	text := w.text(k)
	escapes := !w.names.std
	switch {
	case strings.HasPrefix(text, "'"):
	case strings.HasPrefix(text, "E'"), strings.HasPrefix(text, "e'"):
		text, escapes = text[1:], true
	case strings.HasPrefix(text, "$"):
		tag := dollarTag(text)
		inner, closed := strings.CutSuffix(text[len(tag):], tag)
		return inner, closed
	default:
		return "", false
	}
	if len(text) < 2 || !strings.HasSuffix(text, "'") {
		return "", false
	}
	text = text[1 : len(text)-1]
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\'':
			i++ // doubled
			b.WriteByte('\'')
		case text[i] == '\\' && escapes:
			i++
			if i >= len(text) || text[i] != '\\' && text[i] != '\'' {
				return "", false // of control characters, which are not what names are written with
			}
			b.WriteByte(text[i])
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String(), true
}

// encode puts another content into a string token, in the token's own form; a string in dollar quotes becomes one in plain ones.
func (w *renamer) encode(k int, content string) {
	text := w.text(k)
	if old, ok := w.decode(k); ok && old == content {
		return
	}
	prefix, escapes := "", !w.names.std
	if text[0] == 'E' || text[0] == 'e' {
		prefix, escapes = text[:1], true
	}
	w.replace(k, k, prefix+stringLiteral(content, !escapes))
}
