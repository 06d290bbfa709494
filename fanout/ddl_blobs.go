package fanout

import (
	"strings"

	"github.com/pgark/pgark/archive"
)

// blobCommands makes one statement for each large object of a BLOB METADATA entry, whose definition is a list of
// OIDs, one a line. A line that is no number is left out: it would be SQL from who knows where.
func blobCommands(oids, before, after string) string {
	var b strings.Builder
	for oid := range strings.Lines(oids) {
		oid = strings.TrimRight(oid, "\n")
		if !isNumber(oid) {
			continue
		}
		b.WriteString(before + oid + after + ";\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// blobACL gives the rights of a group of large objects: the entry has the statements for one of them, and they hold
// for all of the BLOB METADATA entry that it depends on.
func (p *Plan) blobACL(e *archive.Entry) []string {
	if len(e.Deps) == 0 {
		return nil
	}
	group := p.byID[e.Deps[0]]
	if group == nil || group.Kind != kindBlobMetadata {
		return nil
	}
	var body []string
	for _, statement := range splitStatements(e.DDL) {
		before, after, ok := cutBlob(statement)
		if ok {
			body = append(body, blobCommands(group.DDL, before, after))
		}
	}
	return body
}

// splitStatements divides GRANT and REVOKE statements, in which semicolons may stand within quoted names.
func splitStatements(sql string) []string {
	var all []string
	quoted, from := false, 0
	for i := range len(sql) {
		switch {
		case sql[i] == '"':
			quoted = !quoted
		case sql[i] == ';' && !quoted:
			all = append(all, strings.TrimSpace(sql[from:i]))
			from = i + 1
		}
	}
	return all
}

// cutBlob divides a statement around the OID that follows LARGE OBJECT.
func cutBlob(statement string) (before, after string, ok bool) {
	const mark = "LARGE OBJECT "
	quoted := false
	for i := range len(statement) {
		if statement[i] == '"' {
			quoted = !quoted
		}
		if quoted || !strings.HasPrefix(statement[i:], mark) {
			continue
		}
		end := i + len(mark)
		for end < len(statement) && statement[end] >= '0' && statement[end] <= '9' {
			end++
		}
		return statement[:i+len(mark)], statement[end:], end > i+len(mark)
	}
	return "", "", false
}
