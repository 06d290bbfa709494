package fanout

// statementEnd is the place of the semicolon that ends the statement at token i; the end of the text if none does. The body
// of a routine in SQL has semicolons of its own.
func (w *renamer) statementEnd(i int) int {
	routine := w.routineAt(i) > 0
	for k := i; k < len(w.tokens); k++ {
		switch {
		case w.tokens[k].depth > 0:
		case w.mark(k, ";"):
			return k
		case routine && w.words(k, "BEGIN", "ATOMIC"):
			k = w.atomicEnd(k)
		}
	}
	return len(w.tokens)
}

// afterCreate is the place of what a statement creates, 0 if it creates nothing.
func (w *renamer) afterCreate(i int) int {
	if !w.word(i, "CREATE") {
		return 0
	}
	k := i + 1
	if w.words(k, "OR", "REPLACE") {
		k += 2
	}
	for w.isAny(k, "TEMP", "TEMPORARY", "RECURSIVE", "MATERIALIZED", "UNLOGGED", "LOCAL", "GLOBAL") {
		k++
	}
	return k
}

// routineAt is the place of FUNCTION or PROCEDURE where the statement at token i creates one, 0 if it does not.
func (w *renamer) routineAt(i int) int {
	if k := w.afterCreate(i); k > 0 && (w.word(k, "FUNCTION") || w.word(k, "PROCEDURE")) {
		return k
	}
	return 0
}

// oneStatement renames schemas in the statement that tokens i to end are.
func (w *renamer) oneStatement(i, end int) {
	w.silent = w.words(i, "COMMENT", "ON") || w.words(i, "SECURITY", "LABEL") || w.word(i+1, "SUBSCRIPTION") || // it may hold a password
		w.words(i+1, "USER", "MAPPING")
	switch k := w.afterCreate(i); {
	case k > 0 && w.word(k, "VIEW"):
		w.view(k, end)
	case k > 0 && w.word(k, "RULE"):
		w.rule(k, end)
	case w.routineAt(i) > 0:
		w.routine(k, end)
	case w.isAny(i, "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "WITH"):
		w.query(i, end, inExpr)
	default:
		w.silent = w.silent || k > 0 && w.external(k)
		w.ddl(i, end)
	}
}

// external tells whether a statement is about what lies on other servers or in files: its strings name things there.
func (w *renamer) external(k int) bool {
	for ; w.isAny(k, "READABLE", "WRITABLE", "EXTERNAL", "WEB", "FOREIGN"); k++ {
		if w.word(k, "EXTERNAL") {
			return true
		}
	}
	return false
}

// view is CREATE VIEW name (columns) WITH (options) AS query.
func (w *renamer) view(i, end int) {
	for k := i; k < end; k++ {
		if w.tokens[k].depth == w.tokens[i].depth && w.word(k, "AS") {
			w.ddl(i, k)
			w.query(k+1, end, inExpr)
			return
		}
	}
	w.ddl(i, end)
}

// rule is CREATE RULE name AS ON event TO table WHERE condition DO INSTEAD commands. OLD and NEW are tables there.
func (w *renamer) rule(i, end int) {
	w.aliases["old"], w.aliases["new"] = true, true
	k := i
	for ; k < end; k++ {
		if w.words(k, "TO") && w.named(k+1) {
			c := w.chain(k + 1)
			w.object(k+1, c)
			w.aliases[w.ident(c.next-1)] = true
			k = c.next
			break
		}
	}
	do := k
	for do < end && (w.tokens[do].depth > w.tokens[i].depth || !w.word(do, "DO")) {
		do++
	}
	if w.word(k, "WHERE") {
		w.expr(k+1, do)
	}
	k = do + 1
	if w.word(k, "ALSO") || w.word(k, "INSTEAD") {
		k++
	}
	if w.mark(k, "(") && !w.startsQuery(k, end) {
		w.query(k+1, min(w.pairs[k], end), inExpr)
		return
	}
	w.query(k, end, inExpr)
}

// ddl renames schemas in what is no query: there a name with a dot is an object's, but for the exceptions.
func (w *renamer) ddl(i, end int) {
	for k := i; k < end; {
		k = w.ddlToken(k)
	}
}

// ddlToken treats one token and gives the place of the next.
func (w *renamer) ddlToken(k int) int {
	switch {
	case w.tokens[k].kind == tokenString:
		w.literal(k)
		return k + 1
	case !w.isName(k):
		return k + 1
	case w.mark(k+1, "(") && w.isAny(k, "WITH", "SET", "RESET", "OPTIONS", "LOCATION", "ENCODING"):
		// Names with a dot in it are no objects there (toast.fillfactor), and values are of other programs.
		return w.pairs[k+1] + 1
	case w.mark(k+1, "(") && (w.isAny(k, "CHECK", "WHEN", "WHERE", "USING") || w.words(k-1, "ALWAYS", "AS")):
		if w.word(k, "WHEN") { // of a trigger
			w.aliases["old"], w.aliases["new"] = true, true
		}
		w.expr(k+2, w.pairs[k+1])
		return w.pairs[k+1] + 1
	case w.word(k, "SCHEMA") && w.tokens[k].depth == 0 && w.isAny(k-1, "CREATE", "ALTER", "DROP", "ON", "IN", "WITH", "SET"):
		// In brackets it is the name of an argument: p(IN schema text).
		return w.schemaList(k + 1)
	case w.word(k, "SET") && w.named(k+1) && w.ident(k+1) == "search_path":
		return w.searchPath(k + 2)
	}
	return w.ddlName(k)
}

// ddlName treats a name.
func (w *renamer) ddlName(k int) int {
	c := w.chain(k)
	switch {
	case w.mark(k-1, "."):
	case w.word(k-1, "SET") && (w.word(c.next, "TO") || w.mark(c.next, "=")): // of a setting; else a column or an argument is called so
	case c.parts == 1 && !c.star && !c.oper:
	case c.star && !w.operatorAt(k):
		w.column(k)
	case w.silent && w.word(k-1, "COLUMN"), w.words(k-2, "OWNED", "BY"):
		if c.parts >= 3 { // else table.column
			w.object(k, chain{parts: c.parts - 1})
		}
	default:
		w.object(k, c)
	}
	return c.next
}

// operatorAt tells whether what stands at token k is an operator's name: what looks like all columns of a table may be one.
func (w *renamer) operatorAt(k int) bool {
	return w.word(k-1, "OPERATOR") || w.mark(k-1, "(") && w.word(k-2, "OPERATOR") ||
		k > 1 && w.tokens[k-1].kind == tokenNumber && w.word(k-2, "OPERATOR")
}

// schemaList renames schemas in IN SCHEMA a, b and the like.
func (w *renamer) schemaList(k int) int {
	for w.word(k, "IF") || w.word(k, "NOT") || w.word(k, "EXISTS") {
		k++
	}
	for w.named(k) {
		w.schema(k)
		k++
		if !w.mark(k, ",") || w.isAny(k+1, "TABLE", "TABLES", "ALL") || w.mark(k+2, ".") {
			break
		}
		k++
	}
	return k
}

// searchPath renames schemas in SET search_path TO a, "B", 'c'.
func (w *renamer) searchPath(k int) int {
	if w.word(k, "TO") || w.mark(k, "=") {
		k++
	}
	for k < len(w.tokens) {
		switch {
		case w.tokens[k].kind == tokenString:
			w.wholeName(k)
		case w.named(k):
			w.schema(k)
		default:
			return k
		}
		if k++; !w.mark(k, ",") {
			return k
		}
		k++
	}
	return k
}
