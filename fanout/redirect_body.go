package fanout

import (
	"maps"
	"slices"
	"strings"
)

// routine is CREATE FUNCTION or PROCEDURE. The keyword is at token i. What a body in SQL's own syntax names is known to the
// server and written by it; a body that is a string is no one's but the author's.
func (w *renamer) routine(i, end int) {
	if w.named(i + 1) {
		c := w.chain(i + 1)
		w.aliases[w.ident(c.next-1)] = true // arguments may go by the function's name
	}
	depth := w.tokens[i].depth
	for k := i; k < end; k++ {
		switch {
		case w.tokens[k].depth > depth:
		case w.word(k, "AS") && k+1 < end && w.tokens[k+1].kind == tokenString:
			w.ddl(i, k)
			w.body(i, k+1, end)
			w.silent = true // the name of a symbol
			w.ddl(k+2, end)
			return
		case w.words(k, "BEGIN", "ATOMIC"):
			w.ddl(i, k)
			w.query(k+2, w.atomicEnd(k), inExpr)
			return
		case w.word(k, "RETURN"):
			w.ddl(i, k)
			w.expr(k+1, end)
			return
		}
	}
	w.ddl(i, end)
}

// atomicEnd is the place of END that belongs to BEGIN ATOMIC at token k.
func (w *renamer) atomicEnd(k int) int {
	cases, depth := 0, w.tokens[k].depth
	for k += 2; k < len(w.tokens); k++ {
		switch {
		case w.tokens[k].depth > depth:
		case w.word(k, "CASE"):
			cases++
		case w.word(k, "END"):
			if cases == 0 {
				return k
			}
			cases--
		}
	}
	return len(w.tokens)
}

// body looks whether a body that is a string at token k has the name of a schema in it.
func (w *renamer) body(i, k, end int) {
	language, trigger := "sql", false
	for j := i; j < end; j++ {
		if j+1 < end && w.word(j, "LANGUAGE") {
			if language = foldASCII(strings.Trim(w.text(j+1), "'")); w.tokens[j+1].kind == tokenQuoted {
				language = w.ident(j + 1)
			}
		}
		if j < k && w.word(j, "RETURNS") {
			trigger = w.named(j+1) && w.ident(j+1) == "trigger" // which is in pg_catalog
		}
	}
	if language == "c" || language == "internal" {
		return // a file and a symbol in it
	}
	text := bodyText(w.text(k))
	for _, name := range slices.Sorted(maps.Keys(w.names.to)) {
		if bodyMentions(text, name, language, trigger, w.names) {
			w.doubt("its body, which is text in language " + language + ", has the name " + quoteID(name) + " in it")
		}
	}
}

// bodyText is what a string holds, more or less: enough to find names in it.
func bodyText(text string) string {
	if tag := dollarTag(text); tag != "" && len(text) >= 2*len(tag) {
		return text[len(tag) : len(text)-len(tag)]
	}
	escapes := !strings.HasPrefix(text, "'")
	text = strings.ReplaceAll(text, "''", "'")
	if escapes {
		text = strings.NewReplacer(`\\`, `\`, `\'`, `'`).Replace(text)
	}
	text = strings.TrimLeft(text, "EeNn")
	return strings.TrimSuffix(strings.TrimPrefix(text, "'"), "'")
}

// bodyMentions tells whether a body has the name of a schema in it, anywhere but in comments. In other languages than SQL and
// PL/pgSQL, whose comments are not known, everything counts.
func bodyMentions(text, name, language string, trigger bool, names *schemaNames) bool {
	if !holdsWord(text, name) && !strings.Contains(foldASCII(text), `u&"`) { // which may be any name
		return false
	}
	if language != "sql" && language != "plpgsql" {
		return holdsWord(text, name)
	}
	x := &renamer{statement: statement{sql: text, tokens: lexSQL(text, true)}, names: names}
	for i, t := range x.tokens {
		switch {
		case t.kind == tokenString:
			if holdsName(x.text(i), name) {
				return true
			}
		case t.kind == tokenWord && isReserved(name): // else it would stand in quotes
		case x.isName(i) && x.ident(i) == name:
			if !trigger || language != "plpgsql" || !x.isTriggerRow(i) {
				return true
			}
		case t.kind == tokenQuoted && x.text(i)[0] != '"':
			return true // U&"..."
		}
	}
	return false
}

// isTriggerRow tells whether a name in the body of a trigger function is the row OLD or NEW and can't be a schema of that name.
func (w *renamer) isTriggerRow(i int) bool {
	if name := w.ident(i); name != "old" && name != "new" || w.tokens[i].kind != tokenWord {
		return false
	}
	c := w.chain(i)
	switch {
	case strings.Contains(foldASCII(w.sql), "search_path"):
		return false
	case c.parts > 2 || c.oper || w.mark(c.next, "(") || w.mark(c.next, "%"):
		return false
	case c.parts == 2 && w.names.known[tableName{w.ident(i), w.ident(i + 2)}]:
		return false
	case w.isAny(i-1, "FROM", "JOIN", "INTO", "UPDATE", "TABLE", "ONLY", "TO", "SCHEMA", "COLLATE", "EXISTS", "TYPE", "USING", "ON", "CALL", "PERFORM", "TRUNCATE"):
		return false
	case w.mark(i-1, ":") && w.mark(i-2, ":"):
		return false
	case c.parts == 1 && !c.star:
		return w.isAny(i-1, "RETURN", "BY", "DISTINCT") || w.mark(i-1, "=") || w.mark(i-1, "(") || w.mark(i+1, ":") && w.mark(i+2, "=") || w.mark(i+1, "=")
	}
	return !w.endsOperand(i-1) || w.isAny(i-1, "IF", "ELSIF", "BEGIN", "LOOP", "RETURN", "WHILE", "EXECUTE", "ELSE", "THEN")
}

// holdsName tells whether a string may have the name of a schema in it. One that is a reserved word must be all of it, or be in quotes.
func holdsName(literal, name string) bool {
	if isReserved(name) {
		return strings.Contains(literal, `"`+name+`"`) || foldASCII(bodyText(literal)) == name
	}
	return holdsWord(literal, name)
}

// isReserved tells the words that name a schema only in quotes, on every server.
func isReserved(s string) bool {
	switch s {
	case "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "both", "case", "cast", "check", "collate", "column",
		"constraint", "create", "default", "deferrable", "desc", "distinct", "do", "else", "end", "except", "false", "fetch", "for", "foreign",
		"from", "grant", "group", "having", "in", "initially", "intersect", "into", "leading", "limit", "not", "null", "offset", "on", "only",
		"or", "order", "placing", "primary", "references", "returning", "select", "session_user", "some", "symmetric", "table", "then", "to",
		"trailing", "true", "union", "unique", "user", "using", "variadic", "when", "where", "window", "with",
		"cross", "full", "ilike", "inner", "is", "isnull", "join", "left", "like", "natural", "notnull", "outer", "overlaps", "right",
		"similar", "verbose":
		return true
	}
	return false
}

// mentionsAny tells whether a text has one of some names in it, in whatever case and form.
func mentionsAny(text string, names map[string]string) bool {
	for name := range names {
		if holdsWord(text, name) {
			return true
		}
	}
	return false
}

// endsInDollarTag tells whether a text ends in $tag$, behind which a string begins; a dollar sign is else a part of words.
func endsInDollarTag(s string) bool {
	s, ok := strings.CutSuffix(s, "$")
	if !ok {
		return false
	}
	i := strings.LastIndexByte(s, '$')
	return i >= 0 && dollarTag(s[i:]+"$") != ""
}

// holdsWord tells whether a text has a name in it that does not go on on either side, in whatever case, and as it is written in quotes
// or in strings.
func holdsWord(text, name string) bool {
	folded := foldASCII(text)
	forms := []string{name}
	for _, r := range [][2]string{{`"`, `""`}, {`\`, `\\`}, {`'`, `''`}} {
		for _, form := range forms {
			if other := strings.ReplaceAll(form, r[0], r[1]); other != form {
				forms = append(forms, other)
			}
		}
	}
	for _, form := range forms {
		form = foldASCII(form)
		for at := 0; ; {
			i := strings.Index(folded[at:], form)
			if i < 0 {
				break
			}
			from, to := at+i, at+i+len(form)
			if (from == 0 || !isWordPart(folded[from-1]) || !isWordPart(form[0]) || endsInDollarTag(folded[:from])) &&
				(to == len(folded) || !isWordPart(folded[to]) || !isWordPart(form[len(form)-1]) || dollarTag(folded[to:]) != "") {
				return true
			}
			at = from + 1
		}
	}
	return false
}
