package fanout

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// schemaNames says which schemas are to be renamed, and what is known about the catalog that names them.
type schemaNames struct {
	to        map[string]string // new names by old ones
	std       bool              // standard_conforming_strings
	segmented bool              // the product has keywords of its own
	database  string
	known     map[tableName]bool // objects of the catalog, by their old names
}

// renamed is a text with its schemas renamed.
type renamed struct {
	sql    string
	doubts []string // why it can't be done with certainty
	left   []string // strings that look like names of objects in a renamed schema, and are data
}

// rename renames schemas in the statements of an entry. Where a name can be a schema's or something else's (an alias, a
// column), that is decided by the place where it stands; where that leaves a doubt, it says so.
//
// It rests on how servers and pg_dump write definitions: every name with its schema unless the schema is the entry's own (before
// 2018) or pg_catalog, columns of queries with the alias of their table.
func (n *schemaNames) rename(sql string, e *archive.Entry) renamed {
	w := &renamer{
		statement: statement{sql: sql, tokens: lexSQL(sql, n.std)}, names: n, entry: e,
		aliases: map[string]bool{e.Name: true}, // a table's own columns may go by its name
	}
	for i := range len(e.Name) { // of a policy, rule or trigger: before its own name
		if e.Name[i] == ' ' {
			w.aliases[e.Name[:i]] = true
		}
	}
	for _, t := range w.tokens {
		if t.depth > maxDepth {
			return renamed{sql: sql, doubts: []string{"its definition is nested too deeply to be read"}}
		}
	}
	w.pair()
	for i := 0; i < len(w.tokens); {
		end := w.statementEnd(i)
		if end > i {
			w.oneStatement(i, end)
		}
		i = end + 1
	}
	w.settle()
	return renamed{sql: w.edited(), doubts: w.doubts, left: w.left}
}

// maxDepth is how many brackets may be open: more than servers take, and few enough for the time and the stack that they need.
const maxDepth = 5000

// quote writes a schema's new name as the server would.
func (n *schemaNames) quote(name string) string {
	if n.segmented && isGreenplumKeyword(name) {
		return alwaysQuoteID(name)
	}
	return quoteID(name)
}

// isGreenplumKeyword tells the keywords that only Greenplum and Cloudberry have and that can't always stand as a name.
func isGreenplumKeyword(s string) bool {
	switch s {
	case "decode", "distributed", "exclude", "following", "log", "over", "partition", "percentile_cont", "percentile_disc", "preceding",
		"range", "rows", "scatter", "unbounded", "filter", "cube", "rollup", "grouping", "group_id", "within", "median":
		return true
	}
	return false
}

// renamer renames the schemas in one text.
type renamer struct {
	statement

	names   *schemaNames
	entry   *archive.Entry
	pairs   []int           // by token: of an opening bracket, the place of the one that closes it
	aliases map[string]bool // names that tables go by in the text
	columns []int           // tokens that must be aliases
	maybe   []int           // tokens that are schemas, unless an alias has the name and the catalog has no such object
	silent  bool            // strings are text for people, or of other servers
	doubts  []string
	left    []string
}

// pair finds the closing bracket of each opening one; what nothing closes ends with the text.
func (w *renamer) pair() {
	w.pairs = make([]int, len(w.tokens))
	var open []int
	for i := range w.tokens {
		switch {
		case w.mark(i, "(") || w.mark(i, "["):
			w.pairs[i] = len(w.tokens)
			open = append(open, i)
		case (w.mark(i, ")") || w.mark(i, "]")) && len(open) > 0:
			w.pairs[open[len(open)-1]] = i
			open = open[:len(open)-1]
		}
	}
}

// mark tells whether token i is a mark.
func (w *renamer) mark(i int, c string) bool {
	return i >= 0 && i < len(w.tokens) && w.tokens[i].kind == tokenMark && w.text(i) == c
}

// word tells whether token i is a keyword, and no part of a name after a dot.
func (w *renamer) word(i int, keyword string) bool {
	return i >= 0 && i < len(w.tokens) && w.tokens[i].kind == tokenWord && !w.mark(i-1, ".") && strings.EqualFold(w.text(i), keyword)
}

func (w *renamer) words(i int, keywords ...string) bool {
	for k, x := range keywords {
		if !w.word(i+k, x) {
			return false
		}
	}
	return true
}

// named tells whether token i is a name or keyword, within the text.
func (w *renamer) named(i int) bool { return i >= 0 && w.isName(i) }

// ident is the name that a token writes. Letters beyond ASCII are not folded: names with such are always written in quotes.
func (w *renamer) ident(i int) string {
	text := w.text(i)
	if w.tokens[i].kind == tokenQuoted {
		return unquoteName(text)
	}
	return foldASCII(text)
}

func foldASCII(s string) string {
	b := []byte(s) // byte by byte: it need not be UTF-8
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// chain is a name of one or more parts.
type chain struct {
	parts int
	next  int  // the token after it
	star  bool // ends with .*
	oper  bool // ends with a dot before an operator, which is not part of it
}

// chain reads the name that begins at token i.
func (w *renamer) chain(i int) chain {
	c := chain{parts: 1, next: i + 1}
	for w.mark(c.next, ".") {
		switch {
		case w.isName(c.next + 1):
			c.parts++
			c.next += 2
			continue
		case w.mark(c.next+1, "*"):
			c.star = true
			c.next += 2
		case c.next+1 < len(w.tokens) && w.tokens[c.next+1].kind == tokenMark:
			c.oper = true
			c.next++
		}
		break
	}
	return c
}

// target tells whether a token names a schema that is to be renamed, and how.
func (w *renamer) target(i int) (string, bool) {
	if !w.named(i) {
		return "", false
	}
	to, ok := w.names.to[w.ident(i)]
	return to, ok
}

// schema renames the schema that a token names.
func (w *renamer) schema(i int) {
	if to, ok := w.target(i); ok {
		w.replace(i, i, w.names.quote(to))
	}
}

// object renames the schema of a qualified name that is an object's: schema.name, and database.schema.name is refused.
func (w *renamer) object(i int, c chain) {
	switch {
	case c.parts+boolInt(c.oper || c.star) >= 3:
		if _, ok := w.target(i + 2); ok && w.ident(i) == w.names.database {
			w.doubt("a name of three parts, with the database, that names schema " + quoteID(w.ident(i+2)))
		}
		w.schema(i)
	case c.parts == 2 || c.oper || c.star:
		w.schema(i)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// column notes a name that must be an alias, if it could be a schema's.
func (w *renamer) column(i int) {
	if _, ok := w.target(i); ok {
		w.columns = append(w.columns, i)
	}
}

// perhaps notes a name that is a schema's by its place, which an alias of the same name would put into doubt.
func (w *renamer) perhaps(i int) {
	if _, ok := w.target(i); ok {
		w.maybe = append(w.maybe, i)
	}
}

func (w *renamer) doubt(why string) {
	if !slices.Contains(w.doubts, why) {
		w.doubts = append(w.doubts, why)
	}
}

// settle decides what had to wait until all aliases of the text were known.
func (w *renamer) settle() {
	for _, i := range w.columns {
		if !w.aliases[w.ident(i)] {
			w.doubt("it can't be told whether " + w.place(i) + " names the schema or a column")
		}
	}
	for _, i := range w.maybe {
		name := w.ident(i)
		if w.aliases[name] && (i+2 >= len(w.tokens) || !w.names.known[tableName{name, w.ident(i + 2)}]) {
			w.doubt("it can't be told whether " + w.place(i) + " names the schema or an alias")
			continue
		}
		w.schema(i)
	}
	for i := range w.tokens {
		if t := w.tokens[i]; t.kind == tokenQuoted && w.sql[t.from] != '"' {
			w.doubt("a name in the form U&\"...\", which is not compared")
			break
		}
	}
}

// place shows a name for a message.
func (w *renamer) place(i int) string {
	c := w.chain(i)
	return w.sql[w.tokens[i].from:w.tokens[min(c.next, len(w.tokens))-1].to]
}

// edited is the whole text with its edits.
func (w *renamer) edited() string {
	if len(w.edits) == 0 {
		return w.sql
	}
	slices.SortFunc(w.edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	var b strings.Builder
	at := 0
	for _, e := range w.edits {
		if e.from < at {
			continue
		}
		b.WriteString(w.sql[at:e.from])
		b.WriteString(e.text)
		at = e.to
	}
	b.WriteString(w.sql[at:])
	return b.String()
}
