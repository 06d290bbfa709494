package archive

import "strings"

// Global says that the entry is of a server, or of a whole Greenplum, and not of a database: a role, a tablespace, or what belongs to
// one. See SPEC.md, section 18.3. Stock formats have no such entries.
func (e *Entry) Global() bool {
	switch e.Kind {
	case "ROLE", "ROLE MEMBERSHIP", "ROLE SETTING", "TABLESPACE", "PARAMETER ACL", "RESOURCE QUEUE", "RESOURCE GROUP", "GLOBAL":
		return true
	case "ACL", "COMMENT", "SECURITY LABEL":
		if e.Section != SectionNone {
			return false
		}
		for _, of := range []string{"ROLE ", "TABLESPACE ", "RESOURCE QUEUE ", "RESOURCE GROUP "} {
			if strings.HasPrefix(e.Name, of) {
				return true
			}
		}
	}
	return false
}
