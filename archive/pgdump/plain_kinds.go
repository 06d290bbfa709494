package pgdump

import "github.com/pgark/pgark/archive"

// The kinds of entry that are treated apart.
const (
	kindBlob      = "BLOB"
	kindBlobs     = "BLOBS"
	kindBlobGroup = "BLOB METADATA"
	kindTable     = "TABLE"
	kindTableData = "TABLE DATA"
	kindACL       = "ACL"
	kindComment   = "COMMENT"
	kindStatement = "STATEMENT" // not pg_dump's: a statement that it does not write
	kindMatView   = "MATERIALIZED VIEW"
	kindConstr    = "CONSTRAINT"
)

// sectionOf gives the section that pg_dump puts a kind of entry in; 0 for kinds that are unknown, or are in the section
// where they stand.
func sectionOf(kind string) archive.Section {
	switch kind {
	case "COMMENT", "ACL", "ACL LANGUAGE", "SECURITY LABEL":
		return archive.SectionNone
	case "ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "DATABASE PROPERTIES", "SCHEMA", "EXTENSION", "TYPE", "SHELL TYPE",
		"DOMAIN", "PROCEDURAL LANGUAGE", "FUNCTION", "PROCEDURE", "AGGREGATE", "CAST", "TRANSFORM", "OPERATOR", "ACCESS METHOD",
		"OPERATOR CLASS", "OPERATOR FAMILY", "COLLATION", "CONVERSION", "TEXT SEARCH PARSER", "TEXT SEARCH DICTIONARY",
		"TEXT SEARCH TEMPLATE", "TEXT SEARCH CONFIGURATION", "FOREIGN DATA WRAPPER", "SERVER", "USER MAPPING", "TABLE",
		"FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE", "SEQUENCE OWNED BY", "DEFAULT", "TABLE ATTACH", "BLOB",
		"EXTERNAL TABLE", "PROTOCOL", kindTypeStorage: // the last three are Greenplum's
		return archive.SectionPreData
	case "TABLE DATA", "BLOBS", "SEQUENCE SET", "BLOB METADATA":
		return archive.SectionData
	case "CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT", "INDEX", "INDEX ATTACH", "STATISTICS", "RULE", "TRIGGER",
		"EVENT TRIGGER", "POLICY", "ROW SECURITY", "PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA",
		"SUBSCRIPTION", "SUBSCRIPTION TABLE", "DEFAULT ACL", "MATERIALIZED VIEW DATA", "EXTENDED STATISTICS DATA":
		return archive.SectionPostData
	default:
		return 0
	}
}

// postponable tells whether pg_dump may put a kind of entry after the rows, which it does where it needs a primary key.
func postponable(kind string) bool {
	switch kind {
	case "FUNCTION", "PROCEDURE", kindMatView:
		return true
	}
	return false
}

// ownable tells whether an entry of a kind has an owner of its own, whose ALTER ... OWNER TO is no part of its definition.
func ownable(kind string) bool {
	switch kind {
	case "COLLATION", "CONVERSION", "DOMAIN", "FOREIGN TABLE", kindMatView, "SEQUENCE", "STATISTICS", kindTable,
		"TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TYPE", "VIEW", "DATABASE", "EVENT TRIGGER", "FOREIGN DATA WRAPPER",
		"PROCEDURAL LANGUAGE", "PUBLICATION", "SCHEMA", "SERVER", "SUBSCRIPTION", "PROTOCOL", "EXTERNAL TABLE", kindBlob,
		kindBlobGroup:
		return true
	}
	return ownedBySignature(kind)
}

// ownedBySignature tells whether the name of an object in ALTER ... OWNER TO has its arguments' types.
func ownedBySignature(kind string) bool {
	switch kind {
	case "AGGREGATE", "FUNCTION", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "PROCEDURE":
		return true
	}
	return false
}

// hasTablespace tells whether entries of a kind have a tablespace, were it the default one.
func hasTablespace(kind string, o *object) bool {
	switch kind {
	case kindTable, kindMatView, "EXTERNAL TABLE", "INDEX":
		return true
	case kindConstr:
		return o.backed
	}
	return false
}

// relationKind is pg_class.relkind of what an entry makes, as archives have it from version 1.16 on; 0 for all else.
func relationKind(kind string, partitioned bool) byte {
	switch {
	case kind == kindTable && partitioned:
		return 'p'
	case kind == kindTable:
		return 'r'
	case kind == "VIEW":
		return 'v'
	case kind == kindMatView:
		return 'm'
	case kind == "FOREIGN TABLE":
		return 'f'
	}
	return 0
}

// trustedKind tells whether an entry may be of the kind that its comment says, given what its first statement is. What
// the rest of the program treats apart must be what it says it is, or statements would be left out unseen.
func trustedKind(said, found string) bool {
	if said == found {
		return true
	}
	switch said {
	case "RULE":
		return found == "VIEW"
	case "SHELL TYPE":
		return found == "TYPE"
	case kindBlobGroup:
		return found == kindBlob
	case "CHECK CONSTRAINT", kindConstr: // of a domain or not, with an index or not
		return found == kindConstr || found == "CHECK CONSTRAINT"
	case kindMatView, "FOREIGN TABLE", "EXTERNAL TABLE", kindTable, "VIEW":
		return found == kindTable || found == "VIEW" || found == "EXTERNAL TABLE" || found == ""
	case "STATISTICS DATA", "EXTENDED STATISTICS DATA", kindTypeStorage, "SUBSCRIPTION TABLE":
		return found == ""
	}
	return sectionOf(said) == 0 && found == ""
}
