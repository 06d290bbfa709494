package fanout

import (
	"strings"

	"github.com/pgark/pgark/archive"
)

// ownerWanted tells whether the owner of an entry's object is to be set. What has no statement to drop it is no
// object of its own.
func (p *Plan) ownerWanted(e *archive.Entry) bool {
	return !p.Options.NoOwner && e.Owner != "" && e.Drop != "" && !p.ownerIsNumber(e)
}

// ownerIsNumber tells whether the owner of a database is an OID, which Greenplum 6's pg_dump writes where the name belongs.
func (p *Plan) ownerIsNumber(e *archive.Entry) bool {
	return e.Kind == kindDatabase && p.Catalog.Product == "Greenplum" && e.Owner != "" && strings.Trim(e.Owner, "0123456789") == ""
}

// ownerForm is how the object of an entry is named in ALTER ... OWNER TO.
type ownerForm uint8

const (
	ownerUnknown ownerForm = iota
	ownerNone              // it belongs to something that has an owner
	ownerByName            // kind and qualified name
	ownerByDrop            // as in its DROP statement, which has the argument types
	ownerOfBlob            // a number
	ownerOfBlobs           // many numbers
)

func ownerFormOf(kind string) ownerForm {
	switch kind {
	case "COLLATION", "CONVERSION", "DOMAIN", "FOREIGN TABLE", "MATERIALIZED VIEW", "SEQUENCE", "STATISTICS",
		kindTable, "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TYPE", "VIEW",
		kindDatabase, "EVENT TRIGGER", "FOREIGN DATA WRAPPER", "PROCEDURAL LANGUAGE", "PUBLICATION", kindSchema,
		"SERVER", "SUBSCRIPTION",
		"PROTOCOL", "EXTERNAL TABLE": // Greenplum's
		return ownerByName
	case "AGGREGATE", "FUNCTION", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "PROCEDURE":
		return ownerByDrop
	case kindBlob:
		return ownerOfBlob
	case kindBlobMetadata:
		return ownerOfBlobs
	case "CAST", "CHECK CONSTRAINT", "CONSTRAINT", kindDatabaseProp, "DEFAULT", "FK CONSTRAINT", "INDEX", "POLICY",
		"ROW SECURITY", "RULE", "TRIGGER", "USER MAPPING":
		return ownerNone
	default:
		return ownerUnknown
	}
}

func ownerKnown(kind string) bool { return ownerFormOf(kind) != ownerUnknown }

// ownerStatement gives an entry's object its owner; "" if the object has none or is of an unknown kind.
func (p *Plan) ownerStatement(e *archive.Entry) string {
	to := " OWNER TO " + p.ident(e.Owner)
	switch ownerFormOf(e.Kind) {
	case ownerByName:
		return "ALTER " + p.ownerKind(e.Kind) + " " + p.qualified(e.Schema, e.Name) + to + ";"
	case ownerByDrop:
		named, ok := strings.CutPrefix(e.Drop, "DROP ")
		if !ok {
			return ""
		}
		return "ALTER " + strings.TrimRight(named, ";\n") + to + ";"
	case ownerOfBlob:
		return "ALTER LARGE OBJECT " + e.Name + to + ";"
	case ownerOfBlobs:
		return blobCommands(e.DDL, "ALTER LARGE OBJECT ", to)
	default:
		return ""
	}
}

// ownerKind is the kind of object that ALTER names. ALTER TABLE serves all relations, and every release has it.
func (p *Plan) ownerKind(kind string) string {
	switch kind {
	case "VIEW", "SEQUENCE", "MATERIALIZED VIEW":
		if !p.style.ownerByKind {
			return kindTable
		}
	}
	return kind
}

// setsOwner tells whether a statement of an entry is that of ownerStatement, or its like for a partition.
func setsOwner(e *archive.Entry, sql string) bool {
	return e.Owner != "" && sql != e.DDL && strings.HasPrefix(sql, "ALTER ") && strings.Contains(sql, " OWNER TO ")
}
