package fanout

import "github.com/pgark/pgark/archive"

// global takes out of a role what only Greenplum and Cloudberry have, and leaves out statements of an unknown kind.
func (t *translator) global(e *archive.Entry) {
	if e.Kind == kindGlobal {
		t.leaveOut(e, "global entries left out", "PostgreSQL has no such objects")
		return
	}
	var kept []string
	changed := false
	for _, s := range t.statements(e) {
		if s.is(0, "ALTER", "ROLE") && (s.is(3, "DENY") || s.is(3, "WITH", "PROFILE")) {
			changed = true
			continue
		}
		for i := range s.tokens {
			switch {
			case s.tokens[i].depth > 0 || i < 3:
			case s.is(i, "RESOURCE") && s.isAny(i+1, "QUEUE", "GROUP") && s.isName(i+2):
				s.cut(i, i+2)
			case s.isAny(i, "CREATEEXTTABLE", "NOCREATEEXTTABLE") && s.is(i+1, "("):
				s.cut(i, s.closing(i+1))
			}
		}
		changed = changed || len(s.edits) > 0
		kept = append(kept, s.result())
	}
	if changed {
		e.DDL = joinStatements(kept)
		t.notes.add(noteKind{What: "resource queues, external table rights and login times of roles left out", Why: "PostgreSQL has no such properties", Lost: true}, e)
	}
}
