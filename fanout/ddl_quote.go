package fanout

import "strings"

// quoteID quotes an identifier as pg_restore does, only where it must be, so that scripts read the same.
func quoteID(s string) string {
	if isPlainID(s) && !isKeyword(s) {
		return s
	}
	return alwaysQuoteID(s)
}

func alwaysQuoteID(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// qualifiedID quotes a name with its schema, if it has one.
func qualifiedID(schema, name string) string {
	if schema == "" {
		return quoteID(name)
	}
	return quoteID(schema) + "." + quoteID(name)
}

func isPlainID(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c == '_':
		case c >= '0' && c <= '9' && i > 0:
		default:
			return false
		}
	}
	return s != ""
}

// isKeyword tells whether a word is a keyword that can't always stand as a name. These are the words that
// pg_get_keywords() of PostgreSQL 9.4 to 18 does not call unreserved; one too many does no harm.
func isKeyword(s string) bool {
	switch s {
	case "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization",
		"between", "bigint", "binary", "bit", "boolean", "both",
		"case", "cast", "char", "character", "check", "coalesce", "collate", "collation", "column",
		"concurrently", "constraint", "create", "cross", "current_catalog", "current_date", "current_role",
		"current_schema", "current_time", "current_timestamp", "current_user",
		"dec", "decimal", "default", "deferrable", "desc", "distinct", "do",
		"else", "end", "except", "exists", "extract",
		"false", "fetch", "float", "for", "foreign", "freeze", "from", "full",
		"grant", "greatest", "group", "grouping", "having",
		"ilike", "in", "initially", "inner", "inout", "int", "integer", "intersect", "interval", "into",
		"is", "isnull", "join", "json_array", "json_arrayagg", "json_exists", "json_object", "json_objectagg",
		"json_query", "json_scalar", "json_serialize", "json_table", "json_value",
		"lateral", "leading", "least", "left", "like", "limit", "localtime", "localtimestamp",
		"merge_action", "national", "natural", "nchar", "none", "normalize", "not", "notnull", "null", "nullif", "numeric",
		"offset", "on", "only", "or", "order", "out", "outer", "overlaps", "overlay",
		"placing", "position", "precision", "primary", "real", "references", "returning", "right", "row",
		"select", "session_user", "setof", "similar", "smallint", "some", "substring", "symmetric", "system_user",
		"table", "tablesample", "then", "time", "timestamp", "to", "trailing", "treat", "trim", "true",
		"union", "unique", "user", "using", "values", "varchar", "variadic", "verbose", "when", "where", "window", "with",
		"xmlattributes", "xmlconcat", "xmlelement", "xmlexists", "xmlforest", "xmlnamespaces", "xmlparse",
		"xmlpi", "xmlroot", "xmlserialize", "xmltable":
		return true
	default:
		return false
	}
}

// sanitizeLine keeps a name inside its line of a comment. A newline in it would let whoever named the object put
// statements into the script.
func sanitizeLine(s string) string {
	return strings.NewReplacer("\n", " ", "\r", " ").Replace(s)
}

// sanitizeOr is sanitizeLine with a hyphen for what is NULL.
func sanitizeOr(s string, null bool) string {
	if null {
		return "-"
	}
	return sanitizeLine(s)
}

// stringLiteral quotes a string for a server whose standard_conforming_strings is as in the archive.
func stringLiteral(s string, std bool) string {
	s = strings.ReplaceAll(s, "'", "''")
	if !std {
		s = strings.ReplaceAll(s, `\`, `\\`)
	}
	return "'" + s + "'"
}
