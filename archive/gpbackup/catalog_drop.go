package gpbackup

import "strings"

// dropStatement removes an object, where that is plain to write; "" where it is not, or there is nothing to remove.
func dropStatement(kind string, p *piece, statements []string) string {
	if object := dropped(kind, p, statements); object != "" {
		return "DROP " + object + ";\n"
	}
	switch kind {
	case "CONSTRAINT", kindForeignKey, "CHECK CONSTRAINT":
		if p.Reference != "" {
			return "ALTER TABLE ONLY " + p.Reference + " DROP CONSTRAINT " + p.Name + ";\n"
		}
	}
	return ""
}

// dropped is what DROP names.
func dropped(kind string, p *piece, statements []string) string {
	text := statements[0]
	switch kind {
	case "SCHEMA", "EXTENSION", "SERVER", "FOREIGN DATA WRAPPER", "EVENT TRIGGER", "PROTOCOL", "PROCEDURAL LANGUAGE",
		"ACCESS METHOD":
		return kind + " " + p.Name
	case "SEQUENCE":
		if strings.HasPrefix(text, "ALTER TABLE ") { // of an identity column, with which it goes
			return ""
		}
		return kind + " " + p.relation()
	case "TABLE", "VIEW", "MATERIALIZED VIEW", "TYPE", "DOMAIN", "FUNCTION", "PROCEDURE", "AGGREGATE", "FOREIGN TABLE",
		"EXTERNAL TABLE",
		"COLLATION", "CONVERSION", "INDEX", "STATISTICS",
		"TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TEXT SEARCH PARSER", "TEXT SEARCH TEMPLATE":
		return kind + " " + p.relation()
	case "TRIGGER", "RULE":
		if p.Reference != "" {
			return kind + " " + p.Name + " ON " + p.Reference
		}
	case "POLICY":
		if name := policyName(statements); name != "" && p.Reference != "" {
			return kind + " " + name + " ON " + p.Reference
		}
	case "CAST":
		return kind + " " + p.Name
	case "USER MAPPING":
		role, ok := strings.CutPrefix(text, "CREATE USER MAPPING FOR ")
		if server, is := after(text, "SERVER "); ok && is {
			return kind + " FOR " + role[:nameLength(role)] + " SERVER " + server[:nameLength(server)]
		}
	case "TRANSFORM":
		if of, ok := strings.CutPrefix(text, "CREATE TRANSFORM FOR "); ok {
			if language, is := after(of, "LANGUAGE "); is {
				return kind + " FOR " + of[:len(of)-len(language)+nameLength(language)]
			}
		}
	}
	return ""
}
