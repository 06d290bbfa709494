package fanout

import (
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// Without says what of a catalog is left out of a dump or a restore, in the terms of pg_dump and pg_restore.
type Without struct {
	Tablespaces        bool // everything goes into the target's default one
	TableAccessMethods bool // every table gets the target's default one
	Publications       bool
	Subscriptions      bool
	SecurityLabels     bool
	Policies           bool // row security, too (pg_restore 18)
}

// leavesOut tells whether an entry is left out, what belongs to one with it.
func (w *Without) leavesOut(e *archive.Entry) bool {
	kind := e.Kind
	switch kind {
	case kindLabel:
		if w.SecurityLabels {
			return true
		}
		kind, _, _ = strings.Cut(e.Name, " ")
	case kindComment, kindACL:
		kind, _, _ = strings.Cut(e.Name, " ")
	}
	switch kind {
	case "PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA":
		return w.Publications
	case "SUBSCRIPTION", "SUBSCRIPTION TABLE":
		return w.Subscriptions
	case "POLICY", "ROW SECURITY":
		return w.Policies
	case kindTablespace: // of the server
		return w.Tablespaces
	}
	return false
}

// withoutTablespaces is the definition of a relation without the tablespaces in it. pg_dump writes none there but those of
// Greenplum's partitions; gpbackup does.
func withoutTablespaces(e *archive.Entry, std bool) string {
	switch e.Kind {
	case kindTable, "INDEX", "MATERIALIZED VIEW":
	default:
		return e.DDL
	}
	if !strings.Contains(strings.ToUpper(e.DDL), "TABLESPACE") {
		return e.DDL
	}
	var all []string
	changed := false
	for _, s := range lexStatements(e.DDL, std) {
		if s.is(0, "ALTER") && s.is(len(s.tokens)-3, "SET", "TABLESPACE") {
			changed = true
			continue
		}
		s.cutTablespaces()
		changed = changed || len(s.edits) > 0
		all = append(all, s.result())
	}
	if !changed {
		return e.DDL
	}
	return joinStatements(all)
}

// cutTablespaces cuts TABLESPACE name out of a statement that makes a relation, partitions' included. Columns and tables may be called so,
// too, and in a query anything.
func (s *statement) cutTablespaces() {
	i, query := s.find("SET", "SUBPARTITION", "TEMPLATE"), false
	switch {
	case s.is(0, "CREATE"):
		i = 0
		for i < len(s.tokens)-1 && !s.isAny(i, kindTable, "INDEX", "VIEW") {
			i++
		}
		query = s.is(i, "VIEW")
		i, _ = s.qualified(i + 1)
		if s.is(i, "(") {
			i = s.closing(i) + 1
		}
	case i < 0:
		return
	}
	for ; i < len(s.tokens); i++ {
		switch {
		case s.is(i, "WHERE"), query && s.is(i, "AS"):
			return
		case s.is(i, "TABLESPACE") && s.isName(i+1) && !s.is(i-1, ".") && !s.is(i-1, "(") && !s.is(i-1, ","):
			s.cut(i, i+1)
			i++
		}
	}
}

// strip takes out of a catalog what is left out of a dump. pg_dump itself ignores some of it when it writes an archive.
func (w *Without) strip(cat *archive.Catalog) {
	cat.Entries = slices.DeleteFunc(cat.Entries, func(e archive.Entry) bool { return w.leavesOut(&e) })
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if w.Tablespaces {
			e.Tablespace = ""
		}
		if w.TableAccessMethods {
			e.TableAM, e.Nulls = "", e.Nulls|archive.NullTableAM
		}
	}
}
