package fanout

import "strings"

// queryMode is where in a query a token stands.
type queryMode uint8

const (
	inExpr   queryMode = iota // in an expression
	inItem                    // where a table, a function or a query in brackets is expected
	inAfter                   // after that: its alias
	inTarget                  // where the table is expected that a statement changes
	inInsert                  // after that
	inSet                     // where a column that is set is expected
	inWith                    // between the queries of WITH
)

// querier is one query under way, with what is in brackets left to others.
type querier struct {
	*renamer
	mode  queryMode
	verb  string // INSERT, UPDATE, DELETE or MERGE
	from  bool   // a comma is followed by another table
	set   bool   // a comma is followed by another column that is set
	using bool   // the tables of USING have been met
	begin int    // of the statement
}

// query renames schemas in a query, or in several with semicolons between them.
func (w *renamer) query(i, end int, mode queryMode) {
	q := &querier{renamer: w, mode: mode, from: mode == inItem, begin: i}
	end = min(end, len(w.tokens))
	for k := i; k < end; {
		k = q.token(k, end)
	}
}

// token treats one token and gives the place of the next.
func (q *querier) token(k, end int) int {
	switch {
	case q.tokens[k].kind == tokenString:
		q.literal(k)
	case q.mark(k, "["):
		q.expr(k+1, min(q.pairs[k], end))
		return q.pairs[k] + 1
	case q.mark(k, "("):
		q.bracket(k, end)
		return q.pairs[k] + 1
	case q.mark(k, ","):
		if q.from {
			q.mode = inItem
		} else if q.set {
			q.mode = inSet
		}
	case q.mark(k, "="):
		if q.mode == inSet {
			q.mode = inExpr
		}
	case q.mark(k, ";"):
		*q = querier{renamer: q.renamer, begin: k + 1}
	case q.isName(k):
		if q.tokens[k].kind == tokenWord && !q.mark(k-1, ".") && !q.mark(k+1, ".") {
			if next := q.keyword(k); next > k {
				return next
			}
		}
		return q.byPlace(k, end)
	}
	return k + 1
}

// bracket treats what is in brackets.
func (q *querier) bracket(k, end int) {
	inner := min(q.pairs[k], end)
	switch {
	case q.mode == inSet: // columns
		return
	case q.startsQuery(k+1, inner) || q.mode == inWith && (q.word(k-1, "AS") || q.word(k-1, "MATERIALIZED")):
		q.query(k+1, inner, inExpr)
		if q.mode == inItem {
			q.mode = inAfter
		}
	case q.mode == inItem: // tables joined
		q.query(k+1, inner, inItem)
		q.mode = inAfter
	case q.mode == inAfter: // an alias's columns, with types
		q.ddl(k+1, inner)
	case q.mode == inInsert, q.mode == inWith: // columns
	default:
		q.expr(k+1, inner)
	}
}

// byPlace treats a name by the place where it stands.
func (q *querier) byPlace(k, end int) int {
	c := q.chain(k)
	switch q.mode {
	case inItem:
		q.aliases[q.ident(c.next-1-2*boolInt(c.star || c.oper))] = true
		q.mode = inAfter
		if q.mark(c.next, "(") { // a function
			q.object(k, c)
			inner := min(q.pairs[c.next], end)
			if q.startsQuery(c.next+1, inner) {
				q.query(c.next+1, inner, inExpr)
			} else {
				q.expr(c.next+1, inner)
			}
			return q.pairs[c.next] + 1
		}
		q.table(k, c)
	case inTarget:
		q.aliases[q.ident(c.next-1-2*boolInt(c.star || c.oper))] = true
		q.mode = inInsert
		q.table(k, c)
	case inAfter, inInsert:
		if c.parts > 1 || c.star || c.oper {
			q.perhapsDoubt(k)
			break
		}
		q.aliases[q.ident(k)] = true
	case inWith:
		if c.parts == 1 && (q.mark(c.next, "(") || q.word(c.next, "AS")) {
			q.aliases[q.ident(k)] = true
		}
	case inSet: // a column, or a part of one
	default:
		return q.exprName(k, false)
	}
	return c.next
}

// table renames the schema of a table; what is no more than its name has none.
func (q *querier) table(k int, c chain) {
	if c.parts == 2 {
		q.perhaps(k)
		return
	}
	q.object(k, c)
}

// perhapsDoubt notes a name with a dot where there should be none.
func (q *querier) perhapsDoubt(k int) {
	if _, ok := q.target(k); ok {
		q.doubt("it can't be told what " + q.place(k) + " names")
	}
}

// keyword treats a word that says what comes next. It gives the place of the next token, or k if the word is a name.
func (q *querier) keyword(k int) int {
	word := strings.ToUpper(q.text(k))
	switch q.mode {
	case inItem:
		return q.itemWord(k, word)
	case inTarget:
		if word == "ONLY" {
			return k + 1
		}
		return k
	case inWith:
		return q.withWord(k, word)
	case inSet:
		return k
	}
	if k == q.begin {
		switch word {
		case "INSERT", "UPDATE", "DELETE", "MERGE":
			q.verb = word
			if word == "UPDATE" {
				q.mode = inTarget
			}
			return k + 1
		}
	}
	return q.clauseWord(k, word)
}

// itemWord is a word where a table is expected.
func (q *querier) itemWord(k int, word string) int {
	switch {
	case word == "LATERAL", word == "ONLY":
		return k + 1
	case word == "ROWS" && q.word(k+1, "FROM") && q.mark(k+2, "("): // functions, each with AS (columns)
		q.query(k+3, q.pairs[k+2], inItem)
		q.mode = inAfter
		return q.pairs[k+2] + 1
	}
	return k
}

// withWord is a word between the queries of WITH.
func (q *querier) withWord(k int, word string) int {
	switch word {
	case "SELECT", "VALUES":
		q.mode = inExpr
	case "INSERT", "UPDATE", "DELETE", "MERGE":
		if q.mark(k+1, "(") || q.word(k+1, "AS") {
			return k // a query of that name
		}
		q.mode, q.verb = inExpr, word
		if word == "UPDATE" {
			q.mode = inTarget
		}
	case "AS", "NOT", "MATERIALIZED", "RECURSIVE":
	default:
		return k
	}
	return k + 1
}

// clauseWord is a word in an expression or after a table.
func (q *querier) clauseWord(k int, word string) int {
	switch word {
	case "SELECT", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "FETCH", "WINDOW", "UNION", "INTERSECT", "EXCEPT", "VALUES", "FOR":
		q.mode, q.from, q.set = inExpr, false, false
	case "RETURNING":
		q.mode, q.from, q.set = inExpr, false, false
		q.returning(k)
	case "WHEN":
		if q.verb == "MERGE" {
			q.mode, q.from, q.set = inExpr, false, false
		}
	case "ON":
		q.mode = inExpr
		q.aliases["excluded"] = q.aliases["excluded"] || q.word(k+1, "CONFLICT")
	case "FROM":
		if !q.word(k-1, "DISTINCT") || !q.word(k-2, "IS") && !q.word(k-2, "NOT") {
			q.mode, q.from, q.set = inItem, true, false
			if q.verb == "DELETE" && q.word(k-1, "DELETE") {
				q.mode, q.from = inTarget, false
			}
		}
	case "JOIN":
		q.mode, q.from = inItem, true
	case "INTO":
		q.mode = inTarget
	case "USING":
		return q.usingWord(k)
	case "SET":
		if q.verb == "UPDATE" && q.mode == inInsert || q.word(k-1, "UPDATE") {
			q.mode, q.from, q.set = inSet, false, true
		}
	case "TABLESAMPLE":
		if q.named(k + 1) {
			q.object(k+1, q.chain(k+1))
			next := q.chain(k + 1).next
			if q.mark(next, "(") {
				q.expr(next+1, q.pairs[next])
				next = q.pairs[next] + 1
			}
			return next
		}
	case "WITH":
		if q.mode != inAfter && q.opensWith(k) { // else WITH ORDINALITY, WITH NO DATA, WITH CHECK OPTION
			q.mode = inWith
		}
	case "AS", "LEFT", "RIGHT", "FULL", "INNER", "OUTER", "CROSS", "NATURAL", "ORDINALITY", "DEFAULT", "OVERRIDING":
		if q.mode == inExpr {
			return k
		}
	default:
		return k
	}
	return k + 1
}

// opensWith tells whether WITH at token k begins queries with names.
func (q *querier) opensWith(k int) bool {
	k++
	if q.word(k, "RECURSIVE") {
		k++
	}
	return q.named(k) && (q.word(k+1, "AS") || q.mark(k+1, "(") && q.pairs[k+1] < len(q.tokens) && q.word(q.pairs[k+1]+1, "AS"))
}

// usingWord is USING: before more tables of DELETE and MERGE, else before the columns of a join.
func (q *querier) usingWord(k int) int {
	switch {
	case q.mode == inInsert && (q.verb == "DELETE" || q.verb == "MERGE") && !q.using:
		q.mode, q.from, q.using = inItem, true, true
	case q.mode == inAfter && q.mark(k+1, "("):
		return q.pairs[k+1] + 1 // an alias may follow
	}
	return k + 1
}

// returning notes the tables that hold the rows before and after the change, by these names or others.
func (q *querier) returning(k int) {
	q.aliases["old"], q.aliases["new"] = true, true
	if q.word(k+1, "WITH") && q.mark(k+2, "(") {
		for i := k + 3; i < q.pairs[k+2] && i < len(q.tokens); i++ {
			if q.named(i) {
				q.aliases[q.ident(i)] = true
			}
		}
	}
}
