package fanout

import (
	"strings"

	"github.com/pgark/pgark/archive"
)

// foreignTable makes an ordinary table of a foreign one whose rows belong to this database: a partition, or one whose rows
// are in the catalog. Others, and the external tables of Greenplum 7 and Cloudberry, are left to what they read.
func (t *translator) foreignTable(e *archive.Entry) {
	statements := t.statements(e)
	if len(statements) == 0 {
		return
	}
	s := statements[0]
	switch {
	case t.segmented && (!s.is(0, "CREATE", "FOREIGN") || readsExternal(s)):
		t.leaveOutQuietly(e)
		t.note(noteExternal, e)
		return
	case s.find("PARTITION", "OF") < 0 && !t.rowsAreHere(e):
		return
	}
	i, _ := s.qualified(3)
	s.cut(1, 1)
	for ; i < len(s.tokens); i++ {
		switch {
		case s.is(i, "SERVER") && s.tokens[i].depth == 0:
			s.cut(i, i+1)
		case s.is(i, "OPTIONS", "(") && s.tokens[i].depth <= 1:
			s.cut(i, s.closing(i+1))
		}
	}
	all := []string{s.result()}
	for _, s := range statements[1:] {
		if s.is(0, "ALTER", "FOREIGN") {
			if s.find("OPTIONS", "(") >= 0 {
				continue
			}
			s.cut(1, 1)
		}
		all = append(all, s.result())
	}
	e.DDL = joinStatements(all)
	e.Kind = kindTable
	e.Drop = strings.Replace(e.Drop, "DROP FOREIGN TABLE", "DROP TABLE", 1)
	if e.RelKind == 'f' {
		e.RelKind = 'r'
	}
	t.local[e.ID] = true
	t.note(noteForeign, e)
}

// readsExternal tells the foreign tables that stand for external ones.
func readsExternal(s *statement) bool {
	return s.find("SERVER", "gp_exttable_server") >= 0
}

// rowsAreHere tells whether the foreign table is attached as a partition, or has its rows in the catalog.
func (t *translator) rowsAreHere(e *archive.Entry) bool {
	for _, id := range t.users[e.ID] {
		switch user := t.byID[id]; user.Kind {
		case kindTableData:
			return true
		case "TABLE ATTACH":
			if user.Name == e.Name && user.Schema == e.Schema {
				return true
			}
		}
	}
	return false
}

// onLocal adapts what depends on a foreign table that has become an ordinary one.
func (t *translator) onLocal(e *archive.Entry) {
	switch e.Kind {
	case kindComment, kindLabel:
		e.Name = strings.Replace(e.Name, "FOREIGN TABLE ", "TABLE ", 1)
	case kindTable, kindTableData, kindACL:
		return
	}
	edited := false
	var all []string
	for _, s := range t.statements(e) {
		for _, at := range []int{1, 2, 4} { // ALTER FOREIGN TABLE, COMMENT ON FOREIGN TABLE, SECURITY LABEL FOR x ON FOREIGN TABLE
			if s.is(at, "FOREIGN", kindTable) {
				s.cut(at, at)
				edited = true
				break
			}
		}
		all = append(all, s.result())
	}
	if edited {
		e.DDL = joinStatements(all)
	}
	e.Drop = strings.Replace(e.Drop, "ALTER FOREIGN TABLE", "ALTER TABLE", 1)
}

// dropForeign leaves out the servers that only such tables used, and what only those servers need.
func (t *translator) dropForeign() {
	if len(t.local) == 0 {
		return
	}
	servers := make(map[string]bool)
	for i := range t.entries {
		e := &t.entries[i]
		if e.Kind == "SERVER" && t.usedByLocalOnly(e) {
			t.leaveOutQuietly(e)
			t.note(noteServers, e)
			servers[e.Name] = true
		}
	}
	for i := range t.entries {
		// pg_dump does not say on what a user mapping depends.
		e := &t.entries[i]
		if e.Kind != kindUserMapping {
			continue
		}
		if _, server := userMapping(t.statements(e)); servers[server] {
			t.leaveOutQuietly(e)
		}
	}
	for _, kind := range []string{"FOREIGN DATA WRAPPER", "EXTENSION"} {
		for i := range t.entries {
			e := &t.entries[i]
			if e.Kind != kind || kind == "EXTENSION" && e.Name != "postgres_fdw" {
				continue
			}
			if used, left := t.usersOf(e); left > 0 && used == 0 {
				t.leaveOutQuietly(e)
				t.note(noteWrappers, e)
			}
		}
	}
}

// userMapping is what CREATE USER MAPPING FOR ... SERVER ... names. The user is "" for PUBLIC.
func userMapping(statements []*statement) (user, server string) {
	for _, s := range statements {
		for i := 5; s.is(0, "CREATE", "USER", "MAPPING", "FOR") && i+1 < len(s.tokens); i++ {
			if s.is(i, "SERVER") && s.isName(i+1) {
				if name := s.name(4); name != "public" { // which is no role, in quotes neither
					user = name
				}
				return user, s.name(i + 1)
			}
		}
	}
	return "", ""
}

// usedByLocalOnly tells whether all foreign tables on a server are ordinary tables now, and there are some.
func (t *translator) usedByLocalOnly(server *archive.Entry) bool {
	n := 0
	for _, id := range t.users[server.ID] {
		switch e := t.byID[id]; {
		case t.local[id]:
			n++
		case e.Kind == kindForeign && t.gone[id] == "":
			return false
		}
	}
	return n > 0
}

// usersOf counts what depends on an entry: what is kept and is more than a comment, and what is left out.
func (t *translator) usersOf(e *archive.Entry) (used, left int) {
	for _, id := range t.users[e.ID] {
		user := t.byID[id]
		switch {
		case t.gone[id] != "":
			left++
		case user.Kind == kindComment, user.Kind == kindACL, user.Kind == kindLabel, t.local[id]:
		default:
			used++
		}
	}
	return used, left
}
