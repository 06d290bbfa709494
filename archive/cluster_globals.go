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

// GlobalTable is the system catalog that holds global objects of a kind, by its OID, which is the same in all releases; 0 for kinds that have
// none of their own.
func GlobalTable(kind string) uint32 {
	switch kind {
	case "ROLE":
		return 1260 // pg_authid
	case "ROLE MEMBERSHIP":
		return 1261 // pg_auth_members
	case "TABLESPACE":
		return 1213 // pg_tablespace
	case "ROLE SETTING":
		return 2964 // pg_db_role_setting
	case "PARAMETER ACL":
		return 6243 // pg_parameter_acl
	}
	return 0
}
