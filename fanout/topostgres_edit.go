package fanout

import (
	"cmp"
	"slices"
	"strings"
)

// statement is one statement of a text, taken apart, and what is to become of it.
type statement struct {
	sql    string // the whole text that it stands in
	tokens []token
	edits  []edit
}

// edit puts text in the place of some bytes.
type edit struct {
	from, to int
	text     string
}

// lexStatements divides a text at the semicolons outside of parentheses. Empty statements are left out.
func lexStatements(sql string, std bool) []*statement {
	var all []*statement
	from := 0
	tokens := lexSQL(sql, std)
	for i, t := range tokens {
		end := t.kind == tokenMark && t.depth == 0 && sql[t.from] == ';'
		last := i == len(tokens)-1
		switch {
		case end && i > from:
			all = append(all, &statement{sql: sql, tokens: tokens[from:i]})
		case last && !end:
			all = append(all, &statement{sql: sql, tokens: tokens[from:]})
		}
		if end {
			from = i + 1
		}
	}
	return all
}

// text is a token as it is written.
func (s *statement) text(i int) string { return s.sql[s.tokens[i].from:s.tokens[i].to] }

// is tells whether the tokens from i on are these: keywords by their upper-case names, or marks.
func (s *statement) is(i int, words ...string) bool {
	if i < 0 || i+len(words) > len(s.tokens) {
		return false
	}
	for k, w := range words {
		switch s.tokens[i+k].kind {
		case tokenWord, tokenMark:
			if !strings.EqualFold(s.text(i+k), w) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// isAny tells whether token i is one of some keywords.
func (s *statement) isAny(i int, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return s.is(i, w) })
}

// isName tells whether token i can be a name.
func (s *statement) isName(i int) bool {
	return i < len(s.tokens) && (s.tokens[i].kind == tokenWord || s.tokens[i].kind == tokenQuoted)
}

// find is the first place outside of parentheses where these tokens stand, -1 if they do nowhere.
func (s *statement) find(words ...string) int {
	for i := range s.tokens {
		if s.tokens[i].depth == 0 && s.is(i, words...) {
			return i
		}
	}
	return -1
}

// name is the name that token i writes.
func (s *statement) name(i int) string { return unquoteName(s.text(i)) }

func unquoteName(text string) string {
	if inner, ok := strings.CutPrefix(text, `"`); ok {
		return strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `""`, `"`)
	}
	return strings.ToLower(text)
}

// qualified passes a name of one or more parts: the place after it, and the bytes that it takes.
func (s *statement) qualified(i int) (next int, text string) {
	from := i
	if !s.isName(i) {
		return i, ""
	}
	for i++; s.is(i, ".") && s.isName(i+1); {
		i += 2
	}
	return i, s.sql[s.tokens[from].from:s.tokens[i-1].to]
}

// closing is the place of the parenthesis that closes the one at i; the last token's if none does.
func (s *statement) closing(i int) int {
	for k := i + 1; k < len(s.tokens); k++ {
		if s.tokens[k].depth == s.tokens[i].depth {
			return k
		}
	}
	return len(s.tokens) - 1
}

// inner is the text between the parenthesis at i and the one that closes it.
func (s *statement) inner(i int) string {
	from := s.tokens[i].to
	return strings.TrimSpace(s.sql[from:max(from, s.tokens[s.closing(i)].from)])
}

// list divides what is in parentheses at its commas: places of the first token and after the last one, for each element.
func (s *statement) list(i int) [][2]int {
	end, depth := s.closing(i), s.tokens[i].depth+1
	var all [][2]int
	from := i + 1
	for k := from; k <= end; k++ {
		if k == end || s.tokens[k].depth == depth && s.is(k, ",") {
			if k > from {
				all = append(all, [2]int{from, k})
			}
			from = k + 1
		}
	}
	return all
}

// cut takes tokens first to last out, and the white space before them.
func (s *statement) cut(first, last int) {
	from, text := s.tokens[first].from, ""
	if first > 0 {
		from = s.tokens[first-1].to
		if s.touches(last, last+1) && s.grows(first-1) && s.grows(last+1) {
			text = " "
		}
	}
	s.edits = append(s.edits, edit{from, s.tokens[last].to, text})
}

// replace puts text, such as a name or a string, in the place of tokens first to last, with a space where it would run into a
// neighbour: between ("a"s.t) the type can become a quoted name, too, and two of these without a space are one.
func (s *statement) replace(first, last int, text string) {
	if s.touches(first-1, first) && s.grows(first-1) {
		text = " " + text
	}
	if s.touches(last, last+1) && s.grows(last+1) {
		text += " "
	}
	s.edits = append(s.edits, edit{s.tokens[first].from, s.tokens[last].to, text})
}

// touches tells whether nothing stands between tokens a and b, which follow each other.
func (s *statement) touches(a, b int) bool {
	return a >= 0 && b < len(s.tokens) && s.tokens[a].to == s.tokens[b].from
}

// grows tells whether token i and a name or string that touches it may be read as one token. Of the marks, & may make a U&"..." of
// them, and $ can be a part of words.
func (s *statement) grows(i int) bool {
	return s.tokens[i].kind != tokenMark || s.text(i) == "&" || s.text(i) == "$"
}

// result is the statement with its edits, without a semicolon.
func (s *statement) result() string {
	slices.SortFunc(s.edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	var b strings.Builder
	at, end := s.tokens[0].from, s.tokens[len(s.tokens)-1].to
	for _, e := range s.edits {
		if e.from < at {
			continue // inside of what is gone already
		}
		b.WriteString(s.sql[at:e.from])
		b.WriteString(e.text)
		at = e.to
	}
	b.WriteString(s.sql[at:end])
	return strings.TrimRight(b.String(), " \n")
}

// joinStatements writes statements as an entry's definition.
func joinStatements(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return strings.Join(all, ";\n") + ";\n"
}
