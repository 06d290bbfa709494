package fanout

// startsQuery tells whether what follows an opening bracket, or stands at the begin of tokens i to end, is a query.
func (w *renamer) startsQuery(i, end int) bool {
	for i < end && w.mark(i, "(") {
		next := w.pairs[i] + 1
		if next < end && !w.isAny(next, "UNION", "INTERSECT", "EXCEPT", "ORDER", "LIMIT", "OFFSET", "FETCH") {
			return false
		}
		i++
	}
	return w.word(i, "SELECT") || w.word(i, "WITH") || w.word(i, "VALUES") && w.mark(i+1, "(")
}

// expr renames schemas in an expression: there a.b is a column, unless a function or its place says otherwise.
func (w *renamer) expr(i, end int) {
	end = min(end, len(w.tokens))
	for k := i; k < end; {
		switch {
		case w.mark(k, "(") || w.mark(k, "["):
			w.group(k, end)
			k = w.pairs[k] + 1
		case w.tokens[k].kind == tokenString:
			w.literal(k)
			k++
		case w.isName(k):
			k = w.exprName(k, true)
		default:
			k++
		}
	}
}

// group treats a bracket within an expression.
func (w *renamer) group(k, end int) {
	inner := min(w.pairs[k], end)
	if w.mark(k, "(") && w.startsQuery(k+1, inner) {
		w.query(k+1, inner, inExpr)
		return
	}
	w.expr(k+1, inner)
}

// exprName treats a name in an expression; inside tells whether that stands in brackets of its own, where AS and RETURNING come before
// a type. It gives the place of the next token.
func (w *renamer) exprName(k int, inside bool) int {
	c := w.chain(k)
	switch {
	case w.mark(k-1, "."), c.parts == 1 && !c.star && !c.oper:
	case c.oper, w.operatorAt(k):
		w.object(k, c)
	case w.mark(k-1, ":") && w.mark(k-2, ":"), w.word(k-1, "COLLATE"), inside && (w.word(k-1, "AS") || w.word(k-1, "RETURNING")):
		w.object(k, c)
	case c.star && c.parts == 1:
		w.column(k)
	case w.mark(c.next, "("): // a function; no column has brackets after it
		w.object(k, c)
	case c.parts > 2 || c.star:
		w.perhaps(k) // schema.table.column
	case w.endsOperand(k - 1):
		w.perhaps(k) // the type of a column: COLUMNS a old.t PATH '...'
	default:
		w.column(k)
	}
	return c.next
}

// endsOperand tells whether a token is a name that no operator or keyword follows: what comes next is no column then.
func (w *renamer) endsOperand(k int) bool {
	if !w.named(k) {
		return false
	}
	return w.tokens[k].kind == tokenQuoted || w.mark(k-1, ".") || !w.isAny(k,
		"AND", "OR", "NOT", "IN", "IS", "LIKE", "ILIKE", "SIMILAR", "TO", "BETWEEN", "SYMMETRIC", "ASYMMETRIC", "ESCAPE", "CASE", "WHEN",
		"THEN", "ELSE", "DISTINCT", "ALL", "ANY", "SOME", "FROM", "FOR", "BY", "ON", "SELECT", "WHERE", "HAVING", "LIMIT", "OFFSET",
		"RETURNING", "VALUES", "SET", "USING", "PASSING", "PATH", "DEFAULT", "VARIADIC", "LEADING", "TRAILING", "BOTH", "PLACING",
		"OVERLAPS", "ZONE", "ROWS", "RANGE", "GROUPS", "DOCUMENT", "CONTENT", "VALUE", "KEY", "COLUMNS", "FIRST", "NEXT", "ISNULL",
		"NOTNULL", "MATERIALIZED", "REF", "XMLATTRIBUTES", "NAME", "RETURN")
}
