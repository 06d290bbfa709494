package gpbackup

import (
	"strings"

	"github.com/pgark/pgark/archive"
)

// typeOf is the type of the table of contents without what versions write differently.
func typeOf(objectType string) string {
	switch objectType = strings.TrimSuffix(objectType, " METADATA"); objectType {
	case "PROCEDURAL LANGUAGE": // before gpbackup 1.9
		return "LANGUAGE"
	case "SERVER":
		return "FOREIGN SERVER"
	case "STATISTICS_EXT", "STATISTIC_EXT":
		return "STATISTICS"
	}
	return objectType
}

// kindOf is pg_dump's word for an object. Some types have several; statements that make it tell, as far as there are any.
func kindOf(p *piece, statements []string, section archive.Section) string {
	text := ""
	if len(statements) > 0 {
		text = statements[0]
	}
	switch p.of {
	case "SEQUENCE OWNER":
		return "SEQUENCE OWNED BY"
	case "FOREIGN SERVER":
		return "SERVER"
	case "LANGUAGE":
		return "PROCEDURAL LANGUAGE"
	case "DEFAULT PRIVILEGES":
		return "DEFAULT ACL"
	case "CONSTRAINT":
		return constraintKind(text)
	case "TYPE":
		if name, ok := strings.CutPrefix(text, "CREATE TYPE "); ok && qualifiedLength(name) == len(name) {
			return "SHELL TYPE"
		}
	case "FUNCTION":
		if hasPrefix(text, "CREATE PROCEDURE ", "CREATE OR REPLACE PROCEDURE ") {
			return "PROCEDURE"
		}
	case "VIEW":
		if section == archive.SectionPostData && strings.HasPrefix(text, "CREATE OR REPLACE ") {
			return "RULE" // which is what pg_dump calls the true definition of a view that it had to make before
		}
	case "TABLE":
		switch {
		case hasPrefix(text, "CREATE FOREIGN TABLE "):
			return "FOREIGN TABLE"
		case hasPrefix(text, "CREATE EXTERNAL ", "CREATE READABLE EXTERNAL ", "CREATE WRITABLE EXTERNAL "):
			return "EXTERNAL TABLE"
		}
	}
	return p.of
}

func hasPrefix(s string, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// constraintKind tells constraints apart by the words that follow ADD CONSTRAINT name.
func constraintKind(text string) string {
	rest, _ := after(text, "ADD CONSTRAINT ")
	switch rest = strings.TrimSpace(rest[nameLength(rest):]); {
	case strings.HasPrefix(rest, "FOREIGN KEY"):
		return kindForeignKey
	case strings.HasPrefix(rest, "CHECK"):
		return "CHECK CONSTRAINT"
	}
	return "CONSTRAINT"
}

const kindForeignKey = "FK CONSTRAINT"

// inSchema tells whether objects of a kind are in a schema.
func inSchema(kind string) bool {
	switch kind {
	case "SCHEMA", "DATABASE", "EXTENSION", "PROCEDURAL LANGUAGE", "CAST", "EVENT TRIGGER", "FOREIGN DATA WRAPPER", "SERVER",
		"USER MAPPING", "PROTOCOL", "ACCESS METHOD", "TRANSFORM":
		return false
	}
	return true
}

// ownable tells the kinds of object that have an owner of their own, which who restores sets by the entry's.
func ownable(kind string) bool {
	switch kind {
	case "CAST", "CHECK CONSTRAINT", "CONSTRAINT", kindForeignKey, "INDEX", "POLICY", "ROW SECURITY", "RULE", "TRIGGER",
		"USER MAPPING",
		"EXTENSION", "TRANSFORM", "ACCESS METHOD", "SHELL TYPE":
		return false
	}
	return true
}

// isObject tells whether what ALTER names, as TABLE a.b, is of a type: a piece about a language also alters functions.
func isObject(object, of string) bool {
	words := []string{of}
	switch of {
	case "FOREIGN SERVER":
		words = append(words, "SERVER")
	case "LANGUAGE":
		words = append(words, "PROCEDURAL LANGUAGE")
	case "FUNCTION":
		words = append(words, "PROCEDURE")
	case "VIEW", "MATERIALIZED VIEW", "SEQUENCE", "FOREIGN TABLE":
		words = append(words, "TABLE") // as Greenplum 5 has it
	case "TABLE":
		words = append(words, "EXTERNAL TABLE", "FOREIGN TABLE")
	}
	for _, w := range words {
		if strings.HasPrefix(object, w+" ") {
			return true
		}
	}
	return false
}

// nameOf is pg_dump's tag of an object.
func (b *catalogBuilder) nameOf(kind string, p *piece, statements []string) string {
	name := unquote(p.Name)
	of := func(name string) string { // as pg_dump names what belongs to a table
		if id := b.relations[p.Reference]; id != 0 {
			return b.entry(id).Name + " " + name
		}
		return name
	}
	switch kind {
	case "CONSTRAINT", kindForeignKey, "CHECK CONSTRAINT", "TRIGGER":
		return of(name)
	case "RULE":
		if p.of == "VIEW" {
			return name + " _RETURN"
		}
		return of(name)
	case "POLICY": // of which the table of contents names the table
		return of(unquote(policyName(statements)))
	case "CAST":
		return "CAST " + p.Name
	case "USER MAPPING", "TRANSFORM":
		if drop := dropStatement(kind, p, statements); drop != "" {
			return strings.TrimSuffix(strings.TrimPrefix(drop, "DROP "), ";\n")
		}
	case "DEFAULT ACL":
		if rest, ok := after(statements[0], "REVOKE ALL ON "); ok {
			return "DEFAULT PRIVILEGES FOR " + rest[:nameLength(rest)]
		}
		return "DEFAULT PRIVILEGES"
	}
	return name
}

// tagOf is how pg_dump calls a comment on an object, or rights.
func (b *catalogBuilder) tagOf(id int32, p *piece) string {
	e := b.entry(id)
	kind, name := e.Kind, unquote(p.Name)
	switch kind {
	case "CONSTRAINT", kindForeignKey, "CHECK CONSTRAINT":
		kind = "CONSTRAINT"
	case "TRIGGER", "RULE":
	case "POLICY":
		if rest, ok := strings.CutPrefix(p.text, "COMMENT ON POLICY "); ok {
			name = unquote(rest[:nameLength(rest)])
		}
	case "CAST", "USER MAPPING", "TRANSFORM":
		return e.Name
	default:
		return kind + " " + name
	}
	if len(e.Deps) == 0 {
		return kind + " " + name
	}
	for _, dep := range e.Deps {
		if d := b.entry(dep); isRelation(d.Kind) {
			return kind + " " + name + " ON " + d.Name
		}
	}
	return kind + " " + name
}

func isRelation(kind string) bool {
	switch kind {
	case "TABLE", "FOREIGN TABLE", "EXTERNAL TABLE", "VIEW", "MATERIALIZED VIEW":
		return true
	}
	return false
}

// defaultRole is the role in ALTER DEFAULT PRIVILEGES FOR ROLE.
func defaultRole(st string) string {
	rest, ok := strings.CutPrefix(st, "ALTER DEFAULT PRIVILEGES FOR ROLE ")
	if !ok {
		return ""
	}
	return unquote(rest[:nameLength(rest)])
}

func policyName(statements []string) string {
	rest, _ := strings.CutPrefix(statements[0], "CREATE POLICY ")
	return rest[:nameLength(rest)]
}
